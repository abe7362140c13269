/* For a slice of the identities: which of its runs may hold one (dedup.h). 2 bytes each in memory, 3 to 7 with the
 * room to grow. A hint may be wrong, about one time in a thousand; what was added and not moved is always found.
 *
 * An identity is a part of a SHA-256 (doc/journal.md): its bits are its hash. Sorted ones are neighbours here too. */
#ifndef HOOKSPOOL_STATE_DEDUP_FILTER_H
#define HOOKSPOOL_STATE_DEDUP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HINTS_SLOTS 63 /* runs have the numbers 1 to this */

/* Zero-initialise to begin. */
struct hints {
	uint16_t *entries; /* NULL: there are none */
	size_t room, used;
};

/* Empty, with this room. 0, or -1 with errno ENOMEM. */
int hints_make(struct hints *hints, size_t room);
void hints_fini(struct hints *hints);

/* Whether so many more would make them slow. */
bool hints_are_full(const struct hints *hints, size_t more);

/* `position` goes from 0 to UINT32_MAX with the identity's place in the slice, `mark` is any other of its bits. */
struct hint {
	uint32_t position, mark;
};
void hints_add(struct hints *hints, struct hint hint, unsigned slot);
/* The identity stands in another slot now than in one of `from`, a bit (1 << slot) for each. */
void hints_move(struct hints *hints, struct hint hint, uint64_t from, unsigned to);

/* Slot after slot that may hold it, then 0. *at begins as hints_start. */
size_t hints_start(const struct hints *hints, struct hint hint);
unsigned hints_next(const struct hints *hints, struct hint hint, size_t *at);

#endif
