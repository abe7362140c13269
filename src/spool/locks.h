/* Whether the locks that a spool relies on work where it stands. hookspool(7), LOCKS, says which they are. */
#ifndef HOOKSPOOL_SPOOL_LOCKS_H
#define HOOKSPOOL_SPOOL_LOCKS_H

/* Tries each kind in the folder, on a file of its own that is gone afterwards: one descriptor takes it, and a second
 * one must not get it. NULL if all do; else what does not, or that it could not be tried, with errno. */
const char *locks_fault(const char *folder);

#endif
