/* Where accepted requests become durable: the commit of a batch, and the words to the audit and the deliverer that
 * follow it. One thread at a time. doc/journal.md, "Steps to an acknowledgement". */
#ifndef HOOKSPOOL_RECEIVE_STORE_H
#define HOOKSPOOL_RECEIVE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/current.h"
#include "receive/receive.h"
#include "spool/audit_write.h"
#include "spool/segment.h"
#include "spool/spool.h"

struct store {
	struct current *current;
	const struct conf *conf; /* of this batch */
	struct spool spool;
	struct segment segment;
	struct audit audit;
	int64_t warned_at;  /* us, monotonic: when a failure was last logged; 0: never */
	int64_t started_at; /* us, monotonic: when a deliverer was last started; 0: never */
};

/* Opens the spool, made where missing. 0, or -1 after a message. */
int store_init(struct store *store, struct current *current);
void store_fini(struct store *store);

/* Goes on with the configuration that is in force now. */
void store_renew(struct store *store);

/* Commits the accepted ones of a batch: afterwards each of them either is durable or was refused (receipt_refuse). */
void store_commit(struct store *store, struct receipt *const *receipts, size_t count);

/* Writes audit lines that are no request's, and tells a deliverer that runs, which tells others. Opens nothing for
 * longer than that. */
void store_tell(struct store *store, const char *lines, size_t n);

/* Closes the segment, so that the deliverer can put it away, and the audit trail: an idle receiver has nothing open for
 * writing, and its file system can be remounted. The next commit opens both. */
void store_seal(struct store *store);

/* Tells the deliverer that there is something. False: nobody reads, and a deliverer that was started a moment ago is
 * not there yet: call again after STORE_WAKE_AGAIN. */
#define STORE_WAKE_AGAIN CLOCK_SECOND
bool store_wake(struct store *store);

#endif
