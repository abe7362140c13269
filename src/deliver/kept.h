/* What waits is kept by itself (doc/journal.md, What waits): the lines that delivery rows name are copied out of
 * segments and files of the archive that hold little else of use, into kept segments, so that the rest can be put away
 * or removed.
 */
#ifndef HOOKSPOOL_DELIVER_KEPT_H
#define HOOKSPOOL_DELIVER_KEPT_H

#include <stdbool.h>

#include "deliver/deliverer.h"

struct kept;

/* NULL with errno ENOMEM. */
struct kept *kept_new(void);
/* Takes NULL. */
void kept_free(struct kept *kept);

/* Some of the work, a few milliseconds and a few MiB of it. 1: there may be more; 0: there is nothing to do; -1 with
 * errno: it can be tried again, nothing is lost by it. */
int kept_gather(struct deliverer *d);

/* Of a segment that no row names: whether all of its lines stand in a kept segment, so that it needs no archive. */
bool kept_is_copied(const struct kept *kept, const char *segment);
/* Forgets which ones they were. */
void kept_forget_copied(struct kept *kept);
/* Of a kept segment that no row names: whether that is open, for the commit failed. */
bool kept_is_open(const struct kept *kept, const char *segment);

#endif
