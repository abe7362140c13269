#include "config.h"

#include "config/arena.h"

#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	size_t size;
	max_align_t bytes[];
};

void *arena_alloc(struct arena *arena, size_t n)
{
	struct arena_block *block = calloc(1, sizeof *block + n);
	if (block == NULL) {
		arena->failed = true;
		return NULL;
	}
	block->size = n;
	block->next = arena->blocks;
	arena->blocks = block;
	return block->bytes;
}

char *arena_copy(struct arena *arena, const char *bytes, size_t n)
{
	char *copy = arena_alloc(arena, n + 1);
	if (copy != NULL)
		memcpy(copy, bytes, n);
	return copy;
}

void arena_fini(struct arena *arena)
{
	while (arena->blocks != NULL) {
		struct arena_block *block = arena->blocks;
		arena->blocks = block->next;
		explicit_bzero(block->bytes, block->size);
		free(block);
	}
}
