/* For a slice of the identities: which of its runs may have one (dedup.h). An entry has 2 bytes, and the room to grow
 * as much again at most. It leads to a run that has not got the identity about one time in a hundred, when it is full;
 * what was added and not moved is always found.
 *
 * An identity is a part of a SHA-256 (doc/journal.md): its bits are its hash. Sorted ones are neighbours here too. */
#ifndef HOOKSPOOL_STATE_DEDUP_FILTER_H
#define HOOKSPOOL_STATE_DEDUP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_SLOTS 63 /* runs have the numbers 1 to this */

/* Zero-initialise to begin. */
struct filter {
	uint16_t *entries; /* NULL: there are none */
	size_t room, used;
};

/* Empty, with this room. 0, or -1 with errno ENOMEM. */
int filter_make(struct filter *filter, size_t room);
void filter_fini(struct filter *filter);

/* Whether so many more would make them slow. */
bool filter_is_full(const struct filter *filter, size_t more);

/* `position` goes from 0 to UINT32_MAX with the identity's place in the slice, `mark` is any other of its bits. */
struct filter_key {
	uint32_t position, mark;
};
void filter_add(struct filter *filter, struct filter_key key, unsigned slot);
/* The identity stands in another slot now than in one of `from`, a bit (1 << slot) for each. */
void filter_move(struct filter *filter, struct filter_key key, uint64_t from, unsigned to);

/* Slot after slot that may hold it, then 0. *at begins as filter_start. */
size_t filter_start(const struct filter *filter, struct filter_key key);
unsigned filter_next(const struct filter *filter, struct filter_key key, size_t *at);

#endif
