/* What the parts of the deliverer share: the one context in place of globals. */
#ifndef HOOKSPOOL_DELIVER_DELIVERER_H
#define HOOKSPOOL_DELIVER_DELIVERER_H

#include <stdint.h>
#include <sys/resource.h>

#include "deliver/transfer.h"
#include "spool/audit_line.h"
#include "spool/audit_write.h"
#include "spool/reader.h"
#include "target/context.h"

struct kept;

struct deliverer {
	const struct conf *conf; /* in force for what is begun now; what runs has its own */
	const struct spool *spool;
	struct state *state;
	struct reader *reader;
	struct kept *kept;
	struct transfer transfer;
	struct audit audit;
	struct buf audit_lines;     /* audit lines that are not written yet */
	struct target *targets;     /* conf->target_count of them */
	int64_t tried_age;          /* lanes that were due at this age were tried last */
	struct rlimit files_before; /* the limit on open files that scripts get */
	size_t runs_max;            /* of scripts, at a time */
	/* What the last round could not read, and ended at. */
	struct {
		char segment[SEGMENT_NAME_SIZE]; /* "": nothing */
		int error;
	} unread;
	int64_t stray_at;  /* us, monotonic: when a stray was last told of; 0: never */
	int64_t warned_at; /* us, monotonic: when a failure was last logged; 0: never */
	struct target_era era;
};

/* For targets, until the configuration changes. */
struct target_context deliverer_context(struct deliverer *d);

/* Adds the audit line of a delivery attempt to those that wait. detail may be NULL. Lack of memory costs the line. */
void deliverer_audit_add(struct deliverer *d, const struct target *target, const char *event_id, unsigned attempt,
			 const char *result, const char *detail);
/* Writes the lines that wait. */
void deliverer_audit_flush(struct deliverer *d);

/* Ends a transaction. If `result` is 0, it commits and writes the audit lines that wait; if it is -1, with errno, it
 * rolls back and drops them. 0, or -1 with errno. */
int deliverer_commit(struct deliverer *d, int result);

/* Logs with errno, once a minute: what fails is tried again, often. */
void deliverer_report(struct deliverer *d, const char *what);

#endif
