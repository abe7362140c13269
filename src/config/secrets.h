/* The secrets of an endpoint, or the tokens of the page: a file with one on each line. Lines may end with CR LF; blank
 * ones do not count, and those that begin with '#' are comments. */
#ifndef HOOKSPOOL_CONFIG_SECRETS_H
#define HOOKSPOOL_CONFIG_SECRETS_H

#include <stddef.h>

#include "base/buf.h"
#include "config/arena.h"
#include "config/safe_file.h"
#include "config/sources.h"

#define SECRETS_MAX     16   /* in a file */
#define SECRETS_MAX_LEN 1024 /* bytes of one */

/* Reads the file; the secrets live in the arena, a NUL behind each. 0, or -1 with `why` as guarded_read has it: no byte
 * of a secret is in it. */
int secrets_read(struct sources *sources, const char *path, struct arena *arena, struct span **secrets, size_t *count,
		 char why[GUARDED_WHY_SIZE]);

#endif
