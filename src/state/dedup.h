/* The identities of all events that were taken in, as they stand in state.db: an event whose identity is among them is
 * a duplicate. For the files of this folder alone, and for the deliverer alone, since what is in memory follows nobody
 * else's changes.
 *
 * Identities are random, so a b-tree of them has another page to change for each, and more pages the longer it runs.
 * Here an event costs the same however many there are before it:
 *
 *     recent   the newest ones, in rows in the order in which they came, and all of them in memory
 *     run      when there are enough of those, they are put away, sorted, by their first byte: each slice gets a run. A
 *              few runs of one slice and about one size are merged into one of the next size, so an identity is written
 *              again as often as the number of all grows eightfold, and a slice has a few runs of each size
 *     part     a run's identities, as many to a row as fill a page; the row's number is the run's, and the first bytes
 *              of its first identity, so the part that would hold one is found at once
 *
 * To look one up costs a look at the recent ones and one at the slice's filter, which is in memory too; only the part
 * that it leads to is read. A slice's filter is made when the slice was asked often enough that it pays: a deliverer
 * that starts for one event reads what is recent, and a part of each run of one slice.
 *
 * A run has the spool's age at its oldest and its newest identity, and is forgotten when the newest is old enough. What
 * is merged is near in age, so nothing is remembered for much longer than it was asked for; it never is for less.
 *
 * Memory: half a MiB, and filters of 3 to 4 bytes an identity. Beyond 256 MiB of them slices go without: an identity is
 * looked up in each of their runs, which costs ten times as much.
 */
#ifndef HOOKSPOOL_STATE_DEDUP_H
#define HOOKSPOOL_STATE_DEDUP_H

#include <stddef.h>
#include <stdint.h>

#include "state/common.h"

struct db;
struct dedup;

/* NULL with errno ENOMEM. */
struct dedup *dedup_new(void);
/* Takes NULL. */
void dedup_free(struct dedup *dedup);

/* All of these use the same database, which nobody else adds to. An age is the spool's (state.h), in microseconds, and
 * never less than one before.
 *
 * Whether it was added: 1, 0, or -1 with errno. */
int dedup_seen(struct dedup *dedup, struct db *db, const uint8_t id[STATE_ID_SIZE]);
/* One that was not seen, in a transaction of the caller's. 0, or -1 with errno, as the others. */
int dedup_add(struct dedup *dedup, struct db *db, const uint8_t id[STATE_ID_SIZE], int64_t age);
/* Forgets what is older than `remember` (state_seen_sweep). */
int dedup_sweep(struct dedup *dedup, struct db *db, size_t max, int64_t remember, int64_t age);

/* Before a commit: writes what was added, and merges as much as that makes due. */
int dedup_before_commit(struct dedup *dedup, struct db *db);
/* After it, or after a rollback. */
void dedup_committed(struct dedup *dedup);
void dedup_rolled_back(struct dedup *dedup);

#endif
