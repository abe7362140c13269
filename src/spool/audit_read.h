/* The audit trail as its readers see it: audit/audit.jsonl.1, then audit.jsonl, line by line. */
#ifndef HOOKSPOOL_SPOOL_AUDIT_READ_H
#define HOOKSPOOL_SPOOL_AUDIT_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "spool/audit_line.h"
#include "spool/spool.h"

enum trail_file {
	TRAIL_OLD, /* audit.jsonl.1 */
	TRAIL_NEW, /* audit.jsonl */
};

struct trail {
	int fd;          /* -1: not open; begin with TRAIL_NONE */
	uint64_t mark;   /* tells this file from all others, whatever its name */
	uint64_t offset; /* of the next line; may be set before the first trail_next */
	struct buf window;
	uint64_t window_at;
};
#define TRAIL_NONE                                                                                                     \
	(struct trail)                                                                                                 \
	{                                                                                                              \
		.fd = -1                                                                                               \
	}

/* Opens it at its beginning. 1; 0: there is none, nothing is in it yet, or something else has
 * its name; -1 with errno. */
int trail_open(struct trail *trail, const struct spool *spool, enum trail_file which);
/* errno stays as it is. */
void trail_close(struct trail *trail);

/* The next whole line, without its newline, valid until the next call. 1; 0: there is none now; -1 with errno. */
int trail_next(struct trail *trail, struct span *raw);

/* The newest lines of both files, the newest first: calls back until `each` has returned 1 (it took the line) max
 * times, or it returns -1, or much has been looked at; 0 passes a line over. 0, or -1 with errno. */
typedef int trail_each(void *arg, const struct trail_line *line);
int trail_latest(const struct spool *spool, unsigned max, trail_each *each, void *arg);

/* Whether audit.jsonl is another file by now: then this one gets no more lines. */
bool trail_is_over(const struct trail *trail, const struct spool *spool);

#endif
