/* The audit trail: spool/audit/audit.jsonl, one JSON line for each request's outcome and each delivery attempt. Many
 * processes append; whoever finds it larger than the limit renames it to audit.jsonl.1, so both together stay bounded.
 * It is written, not synced: the journal is the truth, this is the story. spool/audit_line has its lines. */
#ifndef HOOKSPOOL_SPOOL_AUDIT_WRITE_H
#define HOOKSPOOL_SPOOL_AUDIT_WRITE_H

#include <stdint.h>
#include <sys/types.h>

#include "spool/spool.h"

struct audit {
	const struct spool *spool; /* borrowed */
	uint64_t max;
	int fd;
	ino_t inode;
	int64_t warned_at; /* us, monotonic; 0: never */
};

void audit_init(struct audit *audit, const struct spool *spool, uint64_t max);
void audit_fini(struct audit *audit);

/* Appends whole lines (each with its newline) in one write. A failure is logged once a minute and otherwise ignored:
 * no event is refused because of its audit line. Not for two threads at a time. */
void audit_write(struct audit *audit, const char *lines, size_t n);

/* For whoever owns the spool's folder: an earlier version had the trail there. It is moved into audit/; a failure
 * is logged. */
void audit_adopt(const struct spool *spool);

/* For commands: appends to the file that is there, and neither makes nor rotates one, for it would belong to whoever
 * runs the command. 0, or -1 with errno. */
int audit_append(const struct spool *spool, const char *lines, size_t n);

#endif
