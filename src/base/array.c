#include "config.h"

#include "base/array.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 16

int array_grow(void *items, size_t count, size_t *cap, size_t size)
{
	void *array;
	if (count < *cap)
		return 0;
	size_t grown = *cap == 0 ? CAP_MIN : *cap * 2;
	/* A pointer to a pointer of any type. */
	memcpy(&array, items, sizeof array);
	void *larger = reallocarray(array, grown, size);
	if (larger == NULL)
		return -1;
	memcpy(items, &larger, sizeof larger);
	*cap = grown;
	/* cppcheck-suppress memleak ; the caller's pointer has it */
	return 0;
}
