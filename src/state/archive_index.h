/* What the archive holds, how much of it, and since when, in state.db. Functions return what those of state.h do. */
#ifndef HOOKSPOOL_STATE_ARCHIVE_INDEX_H
#define HOOKSPOOL_STATE_ARCHIVE_INDEX_H

#include <stdint.h>

#include "spool/segment.h"

struct state;

/* Adds the file, or records its new length; its time becomes now. */
int state_archive_put(struct state *state, const char *name, uint64_t length);
/* 1, 0 (it is not known) or -1. */
int state_archive_length(struct state *state, const char *name, uint64_t *length);
int state_archive_drop(struct state *state, const char *name);
/* Whether the file was put longer ago than `keep`. */
int state_archive_is_old(struct state *state, const char *name, int64_t keep);
/* Up to max names of such files that no delivery row names. Their number, or -1. */
int state_archive_old(struct state *state, int64_t keep, char names[][SEGMENT_NAME_SIZE], int max);

#endif
