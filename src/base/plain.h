/* Text that somebody else wrote, made harmless for a terminal. */
#ifndef HOOKSPOOL_BASE_PLAIN_H
#define HOOKSPOOL_BASE_PLAIN_H

#include "base/buf.h"

/* Appends it on one line. Control characters, marks that turn the direction of writing and bytes that are no UTF-8 are
 * shown as \x1b, \u202e and so on. 0, or -1 with errno ENOMEM. */
int plain_append(struct buf *out, const char *bytes, size_t n);

#endif
