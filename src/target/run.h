/* Run targets: one run of a script, from fork to its end. The owner polls, this module never blocks.
 *
 * That a program cannot be run shows as exit code 127. A script is the leader of its own process group. It gets TERM at
 * its timeout and KILL some seconds later; what is left of its group when it has ended is killed, and what has left the
 * group too (orphans.h). */
#ifndef HOOKSPOOL_TARGET_RUN_H
#define HOOKSPOOL_TARGET_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "target/kind.h"

#define TARGET_RUN_TAIL 1024

enum target_run_stage {
	TARGET_RUN_GOING,
	TARGET_RUN_TOLD,   /* TERM was sent */
	TARGET_RUN_KILLED, /* KILL was sent */
};

struct target_run {
	struct attempt attempt; /* its end is that of the leader; then its group is gone */

	/* internal */
	enum target_run_stage stage;
	bool timed_out;
	int status;  /* of waitpid, when it has ended */
	size_t said; /* bytes of output so far */
	char tail[TARGET_RUN_TAIL];
};

#endif
