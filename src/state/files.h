/* Files of file targets in state.db. Functions return what those of state.h do. */
#ifndef HOOKSPOOL_STATE_FILES_H
#define HOOKSPOOL_STATE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "state/common.h"

struct state;

/* A file, as it was when the last append to it was committed. */
struct state_file {
	uint64_t length;
	int64_t mark;      /* a hash of its last bytes before that length */
	int64_t era;       /* the era of the deliverer that recorded it (doc/journal.md) */
	uint64_t standing; /* how many rows of state_standing it has */
	int64_t others_at; /* us since 1970: when bytes of another program were last found in it; 0: never */
};
int state_file(struct state *state, struct span path, struct state_file *file);
int state_file_put(struct state *state, struct span path, const struct state_file *file);
/* Up to `max` files in which bytes of another program were found, the latest first. */
typedef int state_each_shared(void *arg, const char *path, int64_t others_at);
int state_files_of_others(struct state *state, int max, state_each_shared *each, void *arg);
/* Forgets files without an append for `unused_for`: the next append records their length again. A file of an earlier
 * era may have remains of a crash, and is kept for `doubted_for`. */
int state_files_sweep(struct state *state, int64_t era, int64_t unused_for, int64_t doubted_for);

/* Records that are in a file already, though their event may be written there again (target/file_standing.h). */
int state_standing_put(struct state *state, struct span path, const uint8_t event[STATE_ID_SIZE], uint32_t records,
		       bool unknown);
int state_standing_drop(struct state *state, struct span path, const uint8_t event[STATE_ID_SIZE]);
typedef int state_each_standing(void *arg, const uint8_t event[STATE_ID_SIZE], uint32_t records, bool unknown);
int state_standing(struct state *state, struct span path, state_each_standing *each, void *arg);

#endif
