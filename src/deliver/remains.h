/* What stands behind the recorded length of an output file: how much of it is left by a crash and will be written
 * again, and how much is there to stay (doc/journal.md, Cutting back). */
#ifndef HOOKSPOOL_REMAINS_H
#define HOOKSPOOL_REMAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "deliver/names.h"
#include "deliver/state.h"

/* {.state = …, .spool = …} to begin, both borrowed; one for as many files as are looked at at a time. */
struct remains {
	struct state *state;
	const struct spool *spool;
	/* internal */
	bool loaded;
	struct names pending;  /* events that will be delivered again, though the state knows them */
	struct names segments; /* of rows, with their NUL */
	struct names gone;     /* those of them that stand nowhere any more */
};
void remains_fini(struct remains *remains);

enum remains_result {
	REMAINS_JUDGED,
	REMAINS_UNREADABLE, /* errno: the file cannot be read */
	REMAINS_FAILED,     /* errno: the state failed */
};

/* The file of fd was recorded with one length and has a larger one. *end: where it is to be cut; what stands before is
 * to stay. A descriptor that is open for writing only is unreadable: EACCES. */
enum remains_result remains_judge(struct remains *remains, int fd, uint64_t recorded, uint64_t size, uint64_t *end);

/* Ends the last line of a file of this size, of which nothing is recorded: cuts off what begins as a record does,
 * appends a newline to anything else. *end: its size then. 0, or -1 with errno. A file that is open for writing only is
 * left as it is. */
int remains_end_line(int fd, uint64_t size, uint64_t *end);

#endif
