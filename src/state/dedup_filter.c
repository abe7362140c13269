#include "config.h"

#include "state/dedup_filter.h"

#include <stdlib.h>

/* An entry is a slot and some bits of the mark; 0: free. */
#define MARK_BITS 10
#define MARK_MASK ((1u << MARK_BITS) - 1)

int hints_make(struct hints *hints, size_t room)
{
	uint16_t *entries = calloc(room, sizeof *entries);
	if (entries == NULL)
		return -1;
	hints_fini(hints);
	hints->entries = entries;
	hints->room = room;
	return 0;
}

void hints_fini(struct hints *hints)
{
	free(hints->entries);
	*hints = (struct hints){0};
}

bool hints_are_full(const struct hints *hints, size_t more)
{
	return hints->used + more > hints->room / 5 * 3;
}

size_t hints_start(const struct hints *hints, struct hint hint)
{
	return (size_t)((uint64_t)hint.position * hints->room >> 32);
}

static size_t after(const struct hints *hints, size_t at)
{
	return at + 1 == hints->room ? 0 : at + 1;
}

static uint16_t make_entry(struct hint hint, unsigned slot)
{
	return (uint16_t)(slot << MARK_BITS | (hint.mark & MARK_MASK));
}

unsigned hints_next(const struct hints *hints, struct hint hint, size_t *at)
{
	for (uint16_t entry; (entry = hints->entries[*at]) != 0;) {
		*at = after(hints, *at);
		if (((entry ^ hint.mark) & MARK_MASK) == 0)
			return entry >> MARK_BITS;
	}
	return 0;
}

void hints_add(struct hints *hints, struct hint hint, unsigned slot)
{
	size_t at = hints_start(hints, hint);
	while (hints->entries[at] != 0)
		at = after(hints, at);
	hints->entries[at] = make_entry(hint, slot);
	hints->used++;
}

/* Of several entries with this mark the first one is as good as another: what looks for them passes them in the same
 * order. */
void hints_move(struct hints *hints, struct hint hint, uint64_t from, unsigned to)
{
	size_t at = hints_start(hints, hint);
	for (uint16_t entry; (entry = hints->entries[at]) != 0; at = after(hints, at))
		if (((entry ^ hint.mark) & MARK_MASK) == 0 && (from >> (entry >> MARK_BITS) & 1) != 0) {
			hints->entries[at] = make_entry(hint, to);
			return;
		}
}
