/* A line of the audit trail: the codec. Nothing else knows how a line begins and goes on. Pure but for the time.
 *
 * Lines: {"at":"…Z","what":"request","status":200,"reason":"accepted","endpoint":…,"event_id":…,"connection_id":…,
 *         "object_type":…,"records":N,"bytes":N,"remote":…}
 *        {"at":"…Z","what":"delivery","target":…,"event_id":…,"attempt":N,"result":"done|retry|parked|…","detail":…}
 *        {"at":"…Z","what":"configuration","by":"receiver|deliverer","result":"taken|refused","detail":…}
 *        {"at":"…Z","what":"operator","target":…,"event_id":…,"result":"retried|dropped|replayed"}
 * Never in it: secrets, signatures, db_url, data. */
#ifndef HOOKSPOOL_SPOOL_AUDIT_LINE_H
#define HOOKSPOOL_SPOOL_AUDIT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Writing: each appends a line of this moment. 0, or -1 with errno ENOMEM and `out` as it was. */

/* What a request was answered. */
struct audit_request {
	int status;
	const char *reason;
	const char *endpoint;                   /* NULL: unknown */
	const char *path;                       /* what was asked for in place of it; its query is left out */
	const char *event_id;                   /* NULL: it was refused */
	struct span connection_id, object_type; /* the sender's tokens; absent, or too long for people: null */
	uint32_t records;
	size_t bytes;
	const char *remote; /* may be NULL */
};
int audit_tell_request(struct buf *out, const struct audit_request *request);

/* What became of a delivery: an attempt at it, or what an operator did to it. */
struct audit_delivery {
	const char *what; /* "delivery", "operator" */
	const char *target;
	const char *event_id; /* NULL: many events */
	unsigned attempt;     /* 0: it was none */
	const char *result;
	const char *detail; /* may be NULL */
};
int audit_tell(struct buf *out, const struct audit_delivery *delivery);

/* What became of a configuration that a process read. */
struct audit_conf {
	const char *by; /* "receiver", "deliverer" */
	const char *result;
	const char *detail; /* may be NULL */
};
int audit_tell_conf(struct buf *out, const struct audit_conf *conf);

/* Reading. */

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

/* What a line is about, by its first bytes: for those who count millions. *at: its time, us since 1970; 0: unreadable.
 */
enum audit_kind {
	AUDIT_OTHER,
	AUDIT_REFUSED, /* a request that was not answered 200 */
	AUDIT_CONF,
};
enum audit_kind audit_kind(struct span raw, int64_t *at);

#endif
