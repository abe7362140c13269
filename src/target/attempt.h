/* An attempt at a delivery that goes on beside the deliverer, as a run of a script does, and its input. */
#ifndef HOOKSPOOL_TARGET_ATTEMPT_H
#define HOOKSPOOL_TARGET_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "event/event.h"

/* What the deliverer needs to know of one. Each kind has more behind it (kind.h). */
struct attempt {
	int fd;           /* to be polled for reading; -1: there is nothing to be read any more */
	int64_t deadline; /* us, monotonic: there is something to do then though nothing happens */
	pid_t pid;        /* the deliverer's child that it is; 0: it is none */
	bool stopped;     /* its end was asked for */
	bool ended;
};

struct attempt_input {
	int fd;                    /* the records; read from its beginning; stays the caller's */
	const struct event *first; /* the first event */
	uint64_t records;
	unsigned attempt;           /* 1, 2, … */
	const struct rlimit *files; /* the limit on open files for another program; NULL: as this process has it */
};

/* A descriptor for records, which are to be written to it; -1 with errno. */
int attempt_input_open(void);
/* Moves what was written from memory to the disk: to a file without a name in this folder, which vanishes with its last
 * descriptor. Where the file system makes no such files it has the name "script-input" for a moment; one of that name
 * that a crash has left is removed. No other user may make names in the folder. 0, or -1 with errno. */
int attempt_input_spill(int *input, int folder);

#endif
