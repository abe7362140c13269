/* The limit on open files (RLIMIT_NOFILE). Every script that runs takes a descriptor of the deliverer; a limit of
 * 1,024, as shells have it, would be less than the workers that a configuration may ask for. */
#ifndef HOOKSPOOL_BASE_DESCRIPTORS_H
#define HOOKSPOOL_BASE_DESCRIPTORS_H

#include <stddef.h>
#include <sys/resource.h>

/* Raises the limit as far as this user may and there is use for it. *before is what it was, for the programs that are
 * started, and for setrlimit at the end. */
void descriptors_raise(struct rlimit *before);

/* How many scripts may run at a time within this limit: the rest is kept for files, segments and state.db. */
size_t descriptors_for_scripts(rlim_t limit);

/* The most that this process can have. */
rlim_t descriptors_most(void);
/* What it has. */
rlim_t descriptors_now(void);

#endif
