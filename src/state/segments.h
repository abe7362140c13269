/* Segments of the journal, and files of the archive, in state.db: how far each was taken in, and which of them delivery
 * rows name. Functions return what those of state.h do. */
#ifndef HOOKSPOOL_STATE_SEGMENTS_H
#define HOOKSPOOL_STATE_SEGMENTS_H

#include <stdint.h>

#include "spool/segment.h"

struct state;

/* A cursor is the offset up to which a segment was taken in. */
typedef int state_cursor(void *arg, const char *segment, uint64_t offset);
int state_cursors(struct state *state, state_cursor *each, void *arg);
int state_cursor_put(struct state *state, const char *segment, uint64_t offset, int64_t *id);
int state_cursor_drop(struct state *state, const char *segment);
/* *id is the number of a segment, or of a file of the archive, for state_delivery_add. A new one gets this cursor. */
int state_segment(struct state *state, const char *segment, uint64_t cursor, int64_t *id);
/* Whether a delivery row names the segment. */
int state_is_pinned(struct state *state, const char *segment);
/* The first segment, or file of the archive, that delivery rows name and whose number is greater than `after`. 1, 0
 * (there is none) or -1. */
struct state_pin {
	int64_t id;
	char name[SEGMENT_NAME_SIZE];
};
int state_pin_next(struct state *state, int64_t after, struct state_pin *pin);

#endif
