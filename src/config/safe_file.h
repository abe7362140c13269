/* Files whose safety the program's depends on: they must not be others' to change, and secrets not others' to read. */
#ifndef HOOKSPOOL_CONFIG_SAFE_FILE_H
#define HOOKSPOOL_CONFIG_SAFE_FILE_H

#include <stddef.h>

#include "base/buf.h"

enum guarded {
	GUARDED_TEXT,   /* no write permission for group and others */
	GUARDED_SECRET, /* nor read permission; but root may give one to its own group or to one of this process's */
};

#define GUARDED_WHY_SIZE 160

/* Reads a regular file of at most max bytes whole into out (empty before; its memory is allocated once, so that
 * overwriting it leaves no other copy). 0, or -1 with `why` as "what is wrong; what to do", to stand behind the file's
 * name. */
int guarded_read(const char *path, enum guarded guarded, size_t max, struct buf *out, char why[GUARDED_WHY_SIZE]);

#endif
