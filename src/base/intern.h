/* Numbers distinct byte strings in the order in which they are first met: 0, 1, 2, and so on. What a round knows by
 * name (events, files, segments, connections) it keeps in arrays beside. */
#ifndef HOOKSPOOL_BASE_INTERN_H
#define HOOKSPOOL_BASE_INTERN_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Zero-initialise to begin. */
struct names {
	struct buf bytes; /* all names, one after the other */
	struct name *list;
	size_t count, cap;
	size_t *slots; /* a hash table of numbers plus one; 0: free */
	size_t slot_count;
	uint64_t seed; /* so that senders cannot choose names that collide */
};

/* Finds the name, or adds it. 1: it is new; 0: it was known; -1 with errno ENOMEM, and nothing has changed. *number is
 * its number; `number` may be NULL. */
int names_add(struct names *names, const void *bytes, size_t n, size_t *number);

/* Its number, or SIZE_MAX. */
size_t names_find(const struct names *names, const void *bytes, size_t n);

/* Valid until the next names_add. */
struct span names_get(const struct names *names, size_t number);

/* Forgets all names and keeps the memory. */
void names_clear(struct names *names);
void names_fini(struct names *names);

#endif
