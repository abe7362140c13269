/* What an operator does to deliveries: in the state, the audit trail and the deliverer's ear. */
#ifndef HOOKSPOOL_COMMAND_SESSION_H
#define HOOKSPOOL_COMMAND_SESSION_H

#include <stdint.h>

#include "base/buf.h"
#include "config/conf.h"
#include "spool/spool.h"
#include "state/state.h"

struct deed {
	const struct conf *conf;
	struct spool spool;
	struct state *state; /* NULL: none yet */
	struct buf story;    /* audit lines of what is not committed yet */
	int64_t began;       /* us, monotonic: the transaction */
	int64_t took;        /* us: the one before; 0: there was none */
};

#define DEED_ROWS 1000 /* deliveries that one transaction changes: the deliverer waits for no more than that */

/* Opens the spool and its state, to write or to read only; what is not there yet stays closed, and is no failure. 0, or
 * an exit code after a message. To be closed in any case. */
int deed_open(struct deed *deed, const struct conf *conf, enum state_use use);
void deed_close(struct deed *deed);

/* Begins a transaction. After another one it waits first: a deliverer that wants to write looks again from time to time
 * whether it may, and would not find a moment without a transaction. 0, or -1 with errno. */
int deed_begin(struct deed *deed);
/* Adds to the story. id NULL: many events; detail may be NULL. 0, or -1 with errno ENOMEM. */
int deed_tell(struct deed *deed, const char *target, const uint8_t *id, const char *result, const char *detail);
/* Commits, and writes the story. 0, or -1 with errno. */
int deed_commit(struct deed *deed);
/* Writes the story of what was committed. */
void deed_publish(struct deed *deed);

/* An event's identity as it is written. 0, or -1 after a message. */
int deed_id(const char *text, uint8_t id[STATE_ID_SIZE]);

#endif
