/* The identities of all events that were taken in (state_seen, state_seen_add, state_seen_sweep), as they stand in
 * state.db. For the files of the state alone; for the deliverer alone, since what is in memory follows nobody else's
 * changes.
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
 * To look one up costs a look at the recent ones and one at the slice's hints, which are in memory too; only the part
 * that a hint leads to is read. Hints are made when a slice was asked often enough that it pays: a deliverer that
 * starts for one event reads what is recent, and a part of each run of one slice.
 *
 * A run has the spool's age at its oldest and its newest identity, and is forgotten when the newest is old enough. What
 * is merged is near in age, so nothing is remembered for much longer than it was asked for; it never is for less.
 *
 * Memory: half a MiB, and hints of 3 to 7 bytes an identity; beyond 64 MiB of them slices go without, and are slower.
 */
#ifndef HOOKSPOOL_STATE_DEDUP_H
#define HOOKSPOOL_STATE_DEDUP_H

#include "state/state.h"

struct identities;

/* Takes NULL. */
void identities_free(struct identities *identities);

/* Before a commit: writes what was added, and merges as much as that makes due. 0, or -1 with errno. */
int identities_keep(struct state *state);
/* After it, or after a rollback. They take NULL. */
void identities_committed(struct identities *identities);
void identities_rolled_back(struct identities *identities);

#endif
