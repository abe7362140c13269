/* The file of an output path: opened safely, made where it is missing, and what is wrong with it in words.
 *
 * Below the path's fixed part no component is followed if it is a symbolic link, and a file is used only if it is a
 * regular one with one name: whoever may write in those folders cannot lead the deliverer elsewhere. */
#ifndef HOOKSPOOL_TARGET_FILE_PATH_H
#define HOOKSPOOL_TARGET_FILE_PATH_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"

struct outpath {
	struct span path; /* absolute */
	size_t fixed;     /* so many bytes of it are the fixed part */
	mode_t mode;      /* of the file, if it is made; folders get one that fits; whatever the umask */
};

/* A descriptor for reading and appending, or -1 with errno. `why` then says what is wrong with which path, and what to
 * do; it ends with a NUL that it does not count. */
int outpath_open(const struct outpath *path, struct stat *st, struct buf *why);

/* Looks whether this user could open or make what is known of a path beforehand, and makes nothing: a file, or a folder
 * if it ends with '/'. 0, or -1 with errno and `why`. */
int outpath_check(struct span path, size_t fixed, struct buf *why);

/* Sets `why` to "TEXT", as outpath_open does; errno stays. */
void outpath_explain(struct buf *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
