/* Whose the spool's folders and files are, and what their modes let receiver and deliverer do (doc/journal.md, Who may
 * do what). With `group` in the configuration the two may be two users. Then the spool's own folder and all that only
 * the deliverer writes belong to the deliverer; in the shared folders both make and remove names. */
#ifndef HOOKSPOOL_SPOOL_LAYOUT_H
#define HOOKSPOOL_SPOOL_LAYOUT_H

#include <stdbool.h>
#include <sys/types.h>

#include "spool/spool.h"

/* Whether this use makes a spool that is not there. A receiver does not where the deliverer may be another user: it
 * could not give the folder away. */
bool layout_may_make(const struct conf *conf, enum spool_use use);

/* For the deliverer, when it has opened the spool's own folder: gives what stands in it the modes above, where the
 * spool was made by an earlier version, or before `group` was set. Again after a crash. 0, or -1 with errno; EPERM:
 * something belongs to another user (layout_fault). */
int layout_settle(const struct spool *spool);

/* Why the spool cannot be used so, by this user, with what to do about it, as far as owners and modes tell. False:
 * there is no such reason. */
#define LAYOUT_FAULT_SIZE 4608
bool layout_fault(const struct conf *conf, enum spool_use use, char text[LAYOUT_FAULT_SIZE]);

/* The same for a deliverer that runs as `deliverer`, whoever asks. */
bool layout_is_foreign(const struct conf *conf, uid_t deliverer, char text[LAYOUT_FAULT_SIZE]);

#endif
