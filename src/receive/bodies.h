/* Buffers of large bodies that have ended, kept for the next large ones: memory fresh from the system costs a body as
 * much as its signature does. Every thread may call. Together they are BODIES_MAX at most. */
#ifndef HOOKSPOOL_RECEIVE_BODIES_H
#define HOOKSPOOL_RECEIVE_BODIES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define BODIES_MAX   (16u << 20) /* bytes, of all buffers that are kept */
#define BODIES_LARGE (64u << 10) /* bytes: a smaller buffer is kept by whoever has it */

struct bodies;

/* NULL: no memory. */
struct bodies *bodies_new(void);
void bodies_free(struct bodies *bodies);

/* Gives `body`, which has no memory, a kept buffer that has room for `size` bytes, and not for more than twice as many.
 * False: there is none. */
bool bodies_take(struct bodies *bodies, size_t size, struct buf *body);

/* Takes the buffer over; it is empty afterwards. */
void bodies_put(struct bodies *bodies, struct buf *body);

/* To be called now and then: gives back to the system what was not taken since the last time. */
void bodies_trim(struct bodies *bodies);

#endif
