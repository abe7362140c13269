/* What happened when, by the quarter of an hour, before it is added to the state. */
#ifndef HOOKSPOOL_STATS_TRAFFIC_H
#define HOOKSPOOL_STATS_TRAFFIC_H

#include "state/counts.h"

/* Zero-initialise to begin. */
struct traffic {
	struct state_traffic *quarters;
	size_t count, cap;
};

/* The quarter of this moment (us since 1970), to be counted up; valid until the next call. NULL with errno ENOMEM. */
struct state_traffic *traffic_at(struct traffic *traffic, int64_t at);
/* Adds everything to the state. 0, or -1 with errno. */
int traffic_put(const struct traffic *traffic, struct state *state);
void traffic_clear(struct traffic *traffic);
void traffic_fini(struct traffic *traffic);

#endif
