/* Records that stand in an output file though their event may be written there again: others appended behind them
 * before a deliverer could take them back, or the spool does not know the event and may be sent it again. They are left
 * out when the event is written (doc/journal.md, Cutting back). */
#ifndef HOOKSPOOL_TARGET_FILE_STANDING_H
#define HOOKSPOOL_TARGET_FILE_STANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/intern.h"
#include "state/state.h"

/* Of one file. Zero-initialise to begin. */
struct standing {
	struct names events; /* their identities */
	struct standing_event {
		uint32_t records; /* so many stand, the first ones */
		bool unknown;     /* of an event that the spool does not know: STANDING_UNKNOWN of them are stored */
		bool met;         /* the event has been written again, without them */
	} * list;
	size_t cap;
};

#define STANDING_UNKNOWN 1000

/* 0, or -1 with errno ENOMEM. */
int standing_put(struct standing *standing, const uint8_t id[STATE_ID_SIZE], uint32_t records, bool unknown);
/* One more record that stands. Only one that follows those before it counts. */
int standing_note(struct standing *standing, const uint8_t id[STATE_ID_SIZE], uint32_t index, bool unknown);
/* Takes the records that stand out of a text of whole records. */
void standing_leave_out(struct standing *standing, struct buf *records);

/* Puts what stands in the file of this path into the state, of unknown events the last ones; or drops there what has
 * been met, and tells how many are left. */
int standing_store(const struct standing *standing, struct state *state, struct span path);
int standing_drop_met(const struct standing *standing, struct state *state, struct span path, uint64_t *left);
int standing_load(struct standing *standing, struct state *state, struct span path);

void standing_clear(struct standing *standing);
void standing_fini(struct standing *standing);

#endif
