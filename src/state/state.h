/* state.db: what the deliverer knows beyond the journal. doc/journal.md says what is in it and what a crash leaves of
 * it. Here is the database itself, and the memory of duplicates; segments.h, deliveries.h, files.h, archive_index.h and
 * counts.h have the rest of what is asked of it.
 *
 * Functions return 0, or -1 with errno, unless said otherwise; -1 may come from each of them: STATE_CORRUPT means that
 * the database is damaged, or could not be read (state_set_aside); ENOSPC, EIO, EAGAIN (another process holds it) and
 * ENOMEM are what they say. The ones that answer a question return 1 (yes, found) or 0.
 *
 * Times with the name `age` are the spool's age: microseconds that it is known to have lived. That clock does not jump
 * when the system's does, so nothing is forgotten or given up too early; but for the time between two deliverers the
 * system's is asked, and believed up to 60 days. */
#ifndef HOOKSPOOL_STATE_STATE_H
#define HOOKSPOOL_STATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spool/spool.h"
#include "state/common.h"

struct state;

enum state_use {
	STATE_DELIVER, /* made where missing */
	STATE_LOOK,    /* for commands: nothing is written. ENOENT: there is none yet */
	STATE_CHANGE,  /* for commands that write. ENOENT: there is none yet */
};

/* NULL with errno. STATE_DELIVER makes the caller the owner (STATE_TAKEN). A database that is new (*fresh) is open in a
 * transaction, which makes it when it is committed: until then, whatever happens, the next one to open it finds it
 * fresh. */
struct state *state_open(const struct spool *spool, enum state_use use, bool *fresh);
void state_close(struct state *state);

/* 0 if state.db still is what is open; -1 with errno STATE_REPLACED: what is committed from now on is lost. */
int state_is_there(const struct state *state);

/* Renames a damaged database, which nobody may have open, and tells its new name. */
int state_set_aside(const struct spool *spool, char name[64]);

int state_begin(struct state *state);
int state_commit(struct state *state);
void state_rollback(struct state *state);

/* A read transaction: questions are answered from one moment's contents, and cost less. To begin one that is open
 * already does nothing; state_begin ends it too. */
int state_read_begin(struct state *state);
void state_read_end(struct state *state);

/* The spool's age now. */
int64_t state_age(const struct state *state);
/* Stores it, in a transaction of the caller's. */
int state_keep_age(struct state *state);

/* A number that is another one once anybody has written. */
int state_version(struct state *state, uint64_t *version);

/* Identities (dedup.h), for the deliverer. They are added and swept in a transaction; state_commit writes them. */
int state_seen(struct state *state, const uint8_t id[STATE_ID_SIZE]);
/* One that is not seen. */
int state_seen_add(struct state *state, const uint8_t id[STATE_ID_SIZE]);
/* Forgets identities older than `remember`, some more than `max` of them at most; some may be kept for a while longer,
 * and those of events that rows name are: as long as they do.
 * What is added from then on is kept so that these can be forgotten together. */
int state_seen_sweep(struct state *state, size_t max, int64_t remember);

/* A number that grows with whatever is written through this `state`. */
uint64_t state_changes(const struct state *state);

/* Bounded work that keeps the files small. Outside of a transaction. `idle`: nothing else is to be done. */
int state_tidy(struct state *state, bool idle);

#endif
