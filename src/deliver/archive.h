/* What has been delivered everywhere: put away from the journal to the archive, kept for a while, then removed
 * (doc/journal.md, Archive and removal). */
#ifndef HOOKSPOOL_DELIVER_ARCHIVE_H
#define HOOKSPOOL_DELIVER_ARCHIVE_H

#include "deliver/deliverer.h"

/* Puts away what can be. 0: nothing more can be now; -1 with errno: some cannot, and others may have been put away. */
int archive_put_away(struct deliverer *d);

/* Removes some of the files that have been kept long enough. How many, or -1 with errno. */
int archive_prune(struct deliverer *d);

struct adopt;

/* Clears up after a crash: cursors of segments that are not in the journal any more, archived files that were not
 * recorded. What is to be adopted is not taken for delivered. */
int archive_recover(struct deliverer *d, const struct adopt *adopt);

/* Reads the identities of what it holds, for a state that is made anew, in the caller's transaction; likewise. */
int archive_remember(struct deliverer *d, const struct adopt *adopt);

#endif
