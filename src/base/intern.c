#include "config.h"

#include "base/intern.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/fsio.h"

struct name {
	size_t at, len;
	uint64_t hash;
};

/* FNV-1a, begun with a secret. */
static uint64_t hash_of(const struct names *names, const void *bytes, size_t n)
{
	const unsigned char *s = bytes;
	uint64_t hash = names->seed;
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ s[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

/* The slot that holds the name, or the free one where it belongs. There always is a free one. */
static size_t *slot_of(const struct names *names, const void *bytes, size_t n, uint64_t hash)
{
	size_t at = hash & (names->slot_count - 1);
	while (names->slots[at] != 0) {
		const struct name *name = &names->list[names->slots[at] - 1];
		if (name->hash == hash && name->len == n &&
		    (n == 0 || memcmp(names->bytes.data + name->at, bytes, n) == 0))
			break;
		at = (at + 1) & (names->slot_count - 1);
	}
	return &names->slots[at];
}

/* At most half of the slots are in use. */
static int grow_slots(struct names *names)
{
	if (names->count * 2 < names->slot_count)
		return 0;
	size_t count = names->slot_count == 0 ? 64 : names->slot_count * 2;
	size_t *slots = calloc(count, sizeof *slots);
	if (slots == NULL)
		return -1;
	if (names->slot_count == 0)
		fsio_random(&names->seed, sizeof names->seed);
	free(names->slots);
	names->slots = slots;
	names->slot_count = count;
	for (size_t i = 0; i < names->count; i++) {
		size_t at = names->list[i].hash & (count - 1);
		while (slots[at] != 0)
			at = (at + 1) & (count - 1);
		slots[at] = i + 1;
	}
	return 0;
}

int names_add(struct names *names, const void *bytes, size_t n, size_t *number)
{
	if (grow_slots(names) < 0 || array_grow(&names->list, names->count, &names->cap, sizeof *names->list) < 0)
		return -1;
	uint64_t hash = hash_of(names, bytes, n);
	size_t *slot = slot_of(names, bytes, n, hash);
	bool is_new = *slot == 0;
	if (is_new) {
		struct name name = {names->bytes.len, n, hash};
		if (buf_append(&names->bytes, bytes, n) < 0)
			return -1;
		names->list[names->count++] = name;
		*slot = names->count;
	}
	if (number != NULL)
		*number = *slot - 1;
	return is_new;
}

size_t names_find(const struct names *names, const void *bytes, size_t n)
{
	if (names->count == 0)
		return SIZE_MAX;
	size_t slot = *slot_of(names, bytes, n, hash_of(names, bytes, n));
	return slot == 0 ? SIZE_MAX : slot - 1;
}

struct span names_get(const struct names *names, size_t number)
{
	const struct name *name = &names->list[number];
	return (struct span){names->bytes.data + name->at, name->len};
}

void names_clear(struct names *names)
{
	if (names->count > 0)
		memset(names->slots, 0, names->slot_count * sizeof *names->slots);
	names->count = 0;
	names->bytes.len = 0;
}

void names_fini(struct names *names)
{
	buf_fini(&names->bytes);
	free(names->list);
	free(names->slots);
	*names = (struct names){0};
}
