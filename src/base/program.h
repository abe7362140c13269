/* The file that this program was started from. It is found without /proc too, for a chroot may have none: then the name
 * of the exec is taken (AT_EXECFN, getauxval(3)), and one without a folder is taken from the current one, so nothing
 * may change the folder before. */
#ifndef HOOKSPOOL_BASE_PROGRAM_H
#define HOOKSPOOL_BASE_PROGRAM_H

#include <limits.h>

/* Its absolute path. 0, or -1 with errno. */
int program_path(char path[PATH_MAX]);

/* What to exec for the same program again, even if another file has taken its place: /proc/self/exe, or else the path,
 * written into `path`. NULL with errno if neither is known. */
const char *program_again(char path[PATH_MAX]);

#endif
