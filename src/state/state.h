/* state.db: what the deliverer knows beyond the journal. doc/journal.md describes its contents, and what a crash leaves
 * of them. This header opens the database, has its transactions, and the memory of duplicates; segments.h,
 * deliveries.h, files.h, archive_index.h and counts.h have the functions for everything else in it. A caller writes as
 *
 *     if (state_begin(state) == 0 && state_cursor_put(state, ...) == 0 && state_commit(state) == 0)
 *             return 0;
 *     state_rollback(state);
 *     return -1;
 *
 * Functions return 0, or -1 with errno, unless their comment says otherwise. Any of them may fail: with STATE_CORRUPT
 * if the database is damaged or cannot be read (state_set_aside), with EAGAIN if another process holds it, with ENOSPC,
 * EIO or ENOMEM. Functions that answer a question return 1 (yes, found), 0 or -1.
 *
 * An `age` is a time by the spool's own clock, in microseconds. That clock runs while a deliverer does, and does not
 * jump when the system's clock is set, so nothing is forgotten or given up too early. For the time between two
 * deliverers the system's clock is asked, and believed up to 60 days. */
#ifndef HOOKSPOOL_STATE_STATE_H
#define HOOKSPOOL_STATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/spool.h"
#include "state/common.h"

struct state;

enum state_use {
	STATE_DELIVER, /* for the deliverer: creates a missing database */
	STATE_LOOK,    /* for commands that only read. ENOENT: there is no database yet */
	STATE_CHANGE,  /* for commands that write. ENOENT: there is no database yet */
};

/* NULL with errno. STATE_DELIVER makes the caller the owner (STATE_TAKEN). A new database (*fresh) is returned inside
 * of the transaction that creates its tables. Until the caller commits it, the next process finds the database fresh.
 */
struct state *state_open(const struct spool *spool, enum state_use use, bool *fresh);
void state_close(struct state *state);

/* 0 if the open file still has the name state.db; -1 with errno STATE_REPLACED: what is committed now would be lost. */
int state_is_there(const struct state *state);

/* Renames a damaged database, which no process may have open. `name` gets its new name. */
int state_set_aside(const struct spool *spool, char name[64]);

int state_begin(struct state *state);
int state_commit(struct state *state);
void state_rollback(struct state *state);

/* A read transaction: all questions are answered from one moment's contents, and each costs less. Nothing happens if
 * one is open already. state_begin ends it too. */
int state_read_begin(struct state *state);
void state_read_end(struct state *state);

/* The spool's age now. */
int64_t state_age(const struct state *state);
/* Stores it, in the caller's transaction. */
int state_keep_age(struct state *state);

/* A number that differs after any process has written. */
int state_version(struct state *state, uint64_t *version);

/* The memory of duplicates (dedup.h), for the deliverer alone. Whether an event with this identity was taken in. */
int state_seen(struct state *state, const uint8_t id[STATE_ID_SIZE]);
/* Adds an identity that was not seen, in the caller's transaction. */
int state_seen_add(struct state *state, const uint8_t id[STATE_ID_SIZE]);
/* Forgets identities older than `remember`, about `max` of them at most, in the caller's transaction. It may keep some
 * for a while longer. It keeps those of events that delivery rows name, as long as they do. */
int state_seen_sweep(struct state *state, size_t max, int64_t remember);

/* A number that grows with each row that is written through this `state`. */
uint64_t state_changes(const struct state *state);

/* Gives free pages back and empties the log, a bounded part of it at a time, or all if the deliverer is `idle`. Not
 * within a transaction. */
int state_tidy(struct state *state, bool idle);

#endif
