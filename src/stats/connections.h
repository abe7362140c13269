/* What a round tells about connections: their last events, and how far their initial syncs are; and when its events
 * came.
 */
#ifndef HOOKSPOOL_STATS_CONNECTIONS_H
#define HOOKSPOOL_STATS_CONNECTIONS_H

#include "base/intern.h"
#include "event/event.h"
#include "state/state.h"
#include "stats/traffic.h"

struct progress_item;

/* Zero-initialise to begin. */
struct progress {
	struct names names; /* endpoint and connection; for initial syncs also object type and webhook */
	struct progress_item *list;
	size_t cap;
	struct buf key;
	struct traffic traffic;
};

/* Takes a new event into account. 0, or -1 with errno ENOMEM. */
int progress_note(struct progress *progress, const struct event *event);
/* Adds everything to the state. 0, or -1 with errno. */
int progress_put(const struct progress *progress, struct state *state);
void progress_clear(struct progress *progress);
void progress_fini(struct progress *progress);

#endif
