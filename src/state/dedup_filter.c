#include "config.h"

#include "state/dedup_filter.h"

#include <stdlib.h>

/* An entry is a slot and some bits of the mark; 0: free. */
#define MARK_BITS 10
#define MARK_MASK ((1u << MARK_BITS) - 1)

int filter_make(struct filter *filter, size_t room)
{
	uint16_t *entries = calloc(room, sizeof *entries);
	if (entries == NULL)
		return -1;
	filter_fini(filter);
	filter->entries = entries;
	filter->room = room;
	return 0;
}

void filter_fini(struct filter *filter)
{
	free(filter->entries);
	*filter = (struct filter){0};
}

bool filter_is_full(const struct filter *filter, size_t more)
{
	return filter->used + more > filter->room / 4 * 3;
}

size_t filter_start(const struct filter *filter, struct filter_key key)
{
	return (size_t)((uint64_t)key.position * filter->room >> 32);
}

static size_t after(const struct filter *filter, size_t at)
{
	return at + 1 == filter->room ? 0 : at + 1;
}

static uint16_t make_entry(struct filter_key key, unsigned slot)
{
	return (uint16_t)(slot << MARK_BITS | (key.mark & MARK_MASK));
}

unsigned filter_next(const struct filter *filter, struct filter_key key, size_t *at)
{
	for (uint16_t entry; (entry = filter->entries[*at]) != 0;) {
		*at = after(filter, *at);
		if (((entry ^ key.mark) & MARK_MASK) == 0)
			return entry >> MARK_BITS;
	}
	return 0;
}

void filter_add(struct filter *filter, struct filter_key key, unsigned slot)
{
	size_t at = filter_start(filter, key);
	while (filter->entries[at] != 0)
		at = after(filter, at);
	filter->entries[at] = make_entry(key, slot);
	filter->used++;
}

/* Of several entries with this mark the first one is as good as another: what looks for them passes them in the same
 * order. */
void filter_move(struct filter *filter, struct filter_key key, uint64_t from, unsigned to)
{
	size_t at = filter_start(filter, key);
	for (uint16_t entry; (entry = filter->entries[at]) != 0; at = after(filter, at))
		if (((entry ^ key.mark) & MARK_MASK) == 0 && (from >> (entry >> MARK_BITS) & 1) != 0) {
			filter->entries[at] = make_entry(key, to);
			return;
		}
}
