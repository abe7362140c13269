/* Whether a file can be run (execve(2)), and why not: the system's errno does not say that a script's interpreter is
 * what is missing. Needs no memory of its own: a child may ask between fork and exec. */
#ifndef HOOKSPOOL_BASE_EXECUTABLE_H
#define HOOKSPOOL_BASE_EXECUTABLE_H

#include <stddef.h>

#define EXECUTABLE_WHY_SIZE 512

/* What will keep this user from running the file at this absolute path, to stand behind its name and ": "; NULL if
 * nothing is seen. The text is in `why` or static. */
const char *executable_fault(const char *path, char why[EXECUTABLE_WHY_SIZE]);

#endif
