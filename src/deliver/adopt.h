/* Kept segments that state.db does not know: a crash came before the commit, or state.db is an older one, or made anew
 * (doc/journal.md, What waits). Their lines are what waits; the archive may have them too, and is not to be believed.
 *
 *     adopt_look(&adopt, d)                  before the archive is read
 *     adopt_has(&adopt, id)                  for each event of the archive: not everybody has got it
 *     adopt_all(&adopt, d)                   the rows of those events name these lines
 */
#ifndef HOOKSPOOL_DELIVER_ADOPT_H
#define HOOKSPOOL_DELIVER_ADOPT_H

#include <stdbool.h>

#include "base/intern.h"
#include "deliver/deliverer.h"

/* Zero-initialise to begin. */
struct adopt {
	struct names segments; /* with their NULs */
	struct names events;
	struct buf places; /* struct adopt_place each: of the events */
	struct buf sizes;  /* uint64_t each: of the segments */
};

/* Reads them. 0, or -1 with errno. */
int adopt_look(struct adopt *adopt, struct deliverer *d);
bool adopt_has(const struct adopt *adopt, const uint8_t event[STATE_ID_SIZE]);
/* In a transaction of its own. What is known of all lines of a segment counts as taken in; the others are read as new
 * ones. 0, or -1 with errno. */
int adopt_all(struct adopt *adopt, struct deliverer *d);
void adopt_fini(struct adopt *adopt);

#endif
