/* The audit trail as its readers see it: audit/audit.jsonl.1, then audit.jsonl, line by line (spool/audit_write writes
 * them). */
#ifndef HOOKSPOOL_SPOOL_AUDIT_READ_H
#define HOOKSPOOL_SPOOL_AUDIT_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "spool/spool.h"

enum trail_member {
	TRAIL_AT,
	TRAIL_WHAT,
	TRAIL_STATUS,
	TRAIL_REASON,
	TRAIL_ENDPOINT,
	TRAIL_PATH,
	TRAIL_EVENT_ID,
	TRAIL_CONNECTION_ID,
	TRAIL_OBJECT_TYPE,
	TRAIL_RECORDS,
	TRAIL_BYTES,
	TRAIL_REMOTE,
	TRAIL_TARGET,
	TRAIL_ATTEMPT,
	TRAIL_RESULT,
	TRAIL_DETAIL,
	TRAIL_BY,
	TRAIL_MEMBERS,
};

/* A line's members as tokens; absent where there is none, or it is null. */
struct trail_line {
	struct span members[TRAIL_MEMBERS];
};

/* Reads a line. False: it is none (a crash may have torn it). Pure. */
bool trail_parse(struct span raw, struct trail_line *line);
/* A member that is a number, or 0. */
uint64_t trail_number(const struct trail_line *line, enum trail_member member);
/* Appends a member that is a string, decoded; one that is absent appends nothing. 0, or -1 with errno ENOMEM. */
int trail_text(const struct trail_line *line, enum trail_member member, struct buf *out);

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
