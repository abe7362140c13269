/* What stands behind the recorded length of an output file: how much of it this spool has left there and will write
 * again, and how much is there to stay (doc/journal.md, Cutting back). */
#ifndef HOOKSPOOL_TARGET_FILE_RECOVERY_H
#define HOOKSPOOL_TARGET_FILE_RECOVERY_H

#include <stdint.h>

#include "target/context.h"
#include "target/file_standing.h"

enum remains_result {
	REMAINS_JUDGED,
	REMAINS_UNREADABLE, /* errno: the file, or the journal, cannot be read */
	REMAINS_FAILED,     /* errno: the state failed */
};

/* The file of fd, readable, is known by this path (without symbolic links) and has this size. *end: where it is to be
 * cut; `from` at least, and what stands before it is to stay. What is among that and will be written again all the same
 * is noted in `standing`. */
enum remains_result remains_judge(const struct target_context *c, int fd, const char *path, uint64_t from,
				  uint64_t size, uint64_t *end, struct standing *standing);

#endif
