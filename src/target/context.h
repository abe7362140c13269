/* What targets that are files need of the deliverer that they belong to. */
#ifndef HOOKSPOOL_TARGET_CONTEXT_H
#define HOOKSPOOL_TARGET_CONTEXT_H

#include "spool/spool.h"
#include "state/state.h"
#include "target/target.h"

/* The present era of the output files (doc/journal.md, Cutting back). Zero-initialise to begin. */
struct target_era {
	/* Random, and made anew when records may have been left in a file that are not committed: behind the length of
	 * a file that was recorded in the present era, all was written by others. 0: a new one is to be made. */
	int64_t number;
	int64_t told_at; /* us, monotonic: when bytes of others in a file were last told of; 0: never */
};

/* All of it is borrowed. */
struct target_context {
	const struct conf *conf; /* in force */
	const struct spool *spool;
	struct state *state;
	const struct target *targets; /* conf->target_count of them */
	struct target_era *era;
};

#endif
