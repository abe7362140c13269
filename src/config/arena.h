/* Memory that is given up all at once, and overwritten then: it may hold secrets. Zero-initialise to begin. */
#ifndef HOOKSPOOL_CONFIG_ARENA_H
#define HOOKSPOOL_CONFIG_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena {
	struct arena_block *blocks;
	bool failed; /* some call returned NULL */
};

/* Zeroed. NULL: no memory. */
void *arena_alloc(struct arena *arena, size_t n);

/* n bytes and a NUL. NULL: no memory. */
char *arena_copy(struct arena *arena, const char *bytes, size_t n);

void arena_fini(struct arena *arena);

#endif
