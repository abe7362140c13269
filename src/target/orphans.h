/* Processes that scripts leave behind. A script may start one that leaves its process group, and end before it; while
 * it runs, what it has orphaned becomes its own child (run.c), and when it ends, the deliverer's. So each child
 * of the deliverer that is no script is left over, and is killed. Where /proc does not list children nothing is done.
 */
#ifndef HOOKSPOOL_TARGET_ORPHANS_H
#define HOOKSPOOL_TARGET_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ORPHANS_BEFORE 64

struct orphans {
	pid_t before[ORPHANS_BEFORE]; /* children that this process had before: they are nobody's business */
	size_t count;
};

/* From here on orphans become this process's children. */
void orphans_begin(struct orphans *orphans);
void orphans_end(void);

/* Kills what is left over, and takes the end of what has ended. True: there may be more; ask again after SIGCHLD. */
bool orphans_kill(const struct orphans *orphans, bool (*is_script)(const void *arg, pid_t pid), const void *arg);

#endif
