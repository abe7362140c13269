/* Run targets: one run of a script, from fork to its end. The owner polls, this module never blocks.
 *
 * A script is the leader of its own process group. It gets TERM at its timeout and KILL some seconds later; what is
 * left of its group when it has ended is killed, and what has left the group too (orphans.h). */
#ifndef HOOKSPOOL_TARGET_RUN_H
#define HOOKSPOOL_TARGET_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "config/conf.h"
#include "event/event.h"
#include "target/retry.h"

#define TARGET_RUN_TAIL 1024

enum target_run_stage {
	TARGET_RUN_GOING,
	TARGET_RUN_TOLD,   /* TERM was sent */
	TARGET_RUN_KILLED, /* KILL was sent */
	TARGET_RUN_ENDED,
};

struct target_run {
	enum target_run_stage stage;
	pid_t pid;
	int output;       /* to be polled for reading; -1 when it is at its end */
	int64_t deadline; /* us, monotonic: target_run_tick has something to do then */
	bool timed_out, stopped;
	int status; /* of waitpid, when it has ended */

	/* internal */
	size_t said; /* bytes of output so far */
	char tail[TARGET_RUN_TAIL];
};

/* What the script is told about its input. */
struct target_run_input {
	int fd;                    /* the records; read from its beginning; stays the caller's */
	const struct event *first; /* the first event of the run */
	uint64_t records;
	unsigned attempt;           /* 1, 2, … */
	const struct rlimit *files; /* the script's limit on open files; NULL: as this process has it */
};

/* A descriptor for records, which are to be written to it; -1 with errno. */
int target_run_paper(void);
/* Moves what was written from memory to the disk: to a file without a name in this folder, which vanishes with its last
 * descriptor. Where the file system makes no such files it has the name "script-input" for a moment; one of that name
 * that a crash has left is removed. No other user may make names in the folder. 0, or -1 with errno. */
int target_run_unload(int *paper, int folder);

/* Starts the script. 0, or -1 with errno. That a program cannot be run shows as exit code 127. */
int target_run_start(struct target_run *run, const struct conf_target *conf, const struct target_run_input *input);

/* Takes what the script has said. */
void target_run_listen(struct target_run *run);
/* Signals that are due at this moment (us, monotonic). */
void target_run_tick(struct target_run *run, int64_t now);
/* Ends it early, unless its end has begun: TERM now. */
void target_run_stop(struct target_run *run, int64_t now);
/* Ends it at once, and waits for that, a second at most. */
void target_run_kill(struct target_run *run);
/* True if it has ended: its group is gone, its status and output are final. */
bool target_run_reap(struct target_run *run);

/* How it ended, and the sentence for the audit (appended; 0, or -1 with errno ENOMEM). */
enum retry_result target_run_result(const struct target_run *run);
int target_run_describe(const struct target_run *run, struct buf *out);

#endif
