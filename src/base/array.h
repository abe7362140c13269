/* Growing arrays. An array is a pointer to its items, NULL at first, beside its count and its capacity, 0 at first. */
#ifndef HOOKSPOOL_BASE_ARRAY_H
#define HOOKSPOOL_BASE_ARRAY_H

#include <stddef.h>

/* Makes room for one more item of `size` bytes after the first `count`. `items` is the address of the array's pointer.
 * 0, or -1 with errno ENOMEM and the array as it was. */
int array_grow(void *items, size_t count, size_t *cap, size_t size);

#endif
