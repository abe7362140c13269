/* The audit trail: spool/audit/audit.jsonl, one JSON line for each request's outcome and each delivery attempt. Many
 * processes append; whoever finds it larger than the limit renames it to audit.jsonl.1, so both together stay bounded.
 * It is written, not synced: the journal is the truth, this is the story.
 *
 * Lines: {"at":"…Z","what":"request","status":200,"reason":"accepted","endpoint":…,"event_id":…,"connection_id":…,
 *         "object_type":…,"records":N,"bytes":N,"remote":…}
 *        {"at":"…Z","what":"delivery","target":…,"event_id":…,"attempt":N,"result":"done|retry|parked|…","detail":…}
 *        {"at":"…Z","what":"configuration","by":"receiver|deliverer","result":"taken|refused","detail":…}
 *        {"at":"…Z","what":"operator","target":…,"event_id":…,"result":"retried|dropped|replayed"}
 * Never in it: secrets, signatures, db_url, data. */
#ifndef HOOKSPOOL_SPOOL_AUDIT_WRITE_H
#define HOOKSPOOL_SPOOL_AUDIT_WRITE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "spool/spool.h"

struct audit {
	const struct spool *spool; /* borrowed */
	uint64_t max;
	int fd;
	ino_t inode;
	int64_t warned_at; /* us, monotonic; 0: never */
};

/* What became of a delivery: an attempt at it, or what an operator did to it. */
struct audit_delivery {
	const char *what; /* "delivery", "operator" */
	const char *target;
	const char *event_id; /* NULL: many events */
	unsigned attempt;     /* 0: it was none */
	const char *result;
	const char *detail; /* may be NULL */
};
/* Appends its line, of this moment. 0, or -1 with errno ENOMEM and `out` as it was. */
int audit_tell(struct buf *out, const struct audit_delivery *delivery);

/* What became of a configuration that a process read. */
struct audit_conf {
	const char *by; /* "receiver", "deliverer" */
	const char *result;
	const char *detail; /* may be NULL */
};
/* Appends its line, of this moment. 0, or -1 with errno ENOMEM and `out` as it was. */
int audit_tell_conf(struct buf *out, const struct audit_conf *conf);

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
