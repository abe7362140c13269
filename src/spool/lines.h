/* The whole lines of a file, one after the other. */
#ifndef HOOKSPOOL_SPOOL_LINES_H
#define HOOKSPOOL_SPOOL_LINES_H

#include <stddef.h>
#include <stdint.h>

/* A line without its newline, valid during the call, and where it begins. 0; anything else ends the walk. */
typedef int lines_take(void *arg, const char *line, size_t n, uint64_t offset);

/* Calls back for each whole line from `offset` on. *end is the size of the file then: behind the last line may stand a
 * torn one. 0, what `each` returned, or -1 with errno. */
int lines_each(int fd, uint64_t offset, lines_take *each, void *arg, uint64_t *end);

#endif
