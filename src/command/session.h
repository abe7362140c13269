/* A command's work on a spool: it has the spool and its state open, changes the state in transactions, and writes into
 * the audit trail what was done. */
#ifndef HOOKSPOOL_COMMAND_SESSION_H
#define HOOKSPOOL_COMMAND_SESSION_H

#include <stdint.h>

#include "base/buf.h"
#include "config/conf.h"
#include "spool/spool.h"
#include "state/state.h"

struct session {
	const struct conf *conf;
	struct spool spool;
	struct state *state; /* NULL: none yet */
	struct buf audit;    /* lines that are not written yet */
	int64_t began;       /* us, monotonic: when this transaction began */
	int64_t took;        /* us: how long the one before took; 0: there was none */
};

#define SESSION_ROWS 1000 /* deliveries that one transaction changes at most, for the deliverer waits meanwhile */

/* Opens the spool and its state. What is not there yet stays closed, which is no failure. 0, or an exit code after a
 * message. To be closed in any case. */
int session_open(struct session *session, const struct conf *conf, enum state_use use);
void session_close(struct session *session);

/* Begins a transaction. If there was one before, it first waits for as long as that took: a deliverer that wants to
 * write polls the lock, and would otherwise never find it free. 0, or -1 with errno. */
int session_begin(struct session *session);
/* Adds a line for the audit trail. id NULL: many events; detail may be NULL. 0, or -1 with errno ENOMEM. */
int session_audit(struct session *session, const char *target, const uint8_t *id, const char *result,
		  const char *detail);
/* Commits, and writes the lines. 0, or -1 with errno. */
int session_commit(struct session *session);
/* Writes the lines that were added since. */
void session_flush(struct session *session);

/* Reads an event's identity: 32 hex digits. 0, or -1 after a message. */
int session_parse_id(const char *text, uint8_t id[STATE_ID_SIZE]);

#endif
