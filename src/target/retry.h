/* When a failed delivery is tried again, and when it is given up. Pure. */
#ifndef HOOKSPOOL_TARGET_RETRY_H
#define HOOKSPOOL_TARGET_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define RETRY_FIRST (10 * CLOCK_SECOND)
#define RETRY_MAX   (3600 * CLOCK_SECOND)

/* Microseconds from the failure of attempt number `attempts` (1, 2, …) to the next one: RETRY_FIRST, doubled with each
 * attempt, by up to a quarter more or less as `random` says, and never outside RETRY_FIRST to max. */
int64_t retry_delay(unsigned attempts, int64_t max, uint64_t random);

/* How an attempt ended. */
enum retry_result {
	RETRY_SUCCEEDED,
	RETRY_FAILED,   /* may succeed another time */
	RETRY_HOPELESS, /* must not be tried again: exit code 100 */
};

enum retry_verdict {
	RETRY_DONE,
	RETRY_AGAIN,
	RETRY_PARK,
};

/* Of an event that is tried for the first time when the one before it in its lane was given up, and that was received
 * `waited` us ago: its own retry_for has passed in the queue. */
enum retry_verdict retry_judge_behind(enum retry_verdict verdict, int64_t waited, int64_t retry_for);

/* What follows from it, for an event that was first tried at first_at (its time of this attempt if it is the first). */
enum retry_verdict retry_judge(enum retry_result result, int64_t first_at, int64_t now, int64_t retry_for);

/* A target's workers are shared: its first attempts and its retries each go on, however many of the other wait. */
struct retry_share {
	unsigned workers, retrying; /* all of them, and those that are busy with retries; at least one is free */
	bool first_waits, retry_waits;
	bool was_retry; /* the last start was a retry's */
};
enum retry_turn {
	RETRY_NOBODY,
	RETRY_FIRST_ATTEMPT,
	RETRY_RETRY,
};

/* Whose turn it is for a free worker. While both wait they take turns, and retries, which may be slow, have no more
 * than half of the workers; a quarter, but one at least of several, is kept from retries even while nothing else waits.
 */
enum retry_turn retry_turn(const struct retry_share *share);

#endif
