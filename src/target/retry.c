#include "config.h"

#include "target/retry.h"

int64_t retry_delay(unsigned attempts, int64_t max, uint64_t random)
{
	int64_t delay = RETRY_FIRST;
	for (unsigned i = 1; i < attempts && delay < max; i++)
		delay *= 2;
	if (delay > max)
		delay = max;
	delay += (int64_t)(random % (uint64_t)(delay / 2 + 1)) - delay / 4;
	if (delay > max)
		delay = max;
	return delay < RETRY_FIRST ? RETRY_FIRST : delay;
}

enum retry_verdict retry_judge_behind(enum retry_verdict verdict, int64_t waited, int64_t retry_for)
{
	return verdict == RETRY_AGAIN && waited >= retry_for ? RETRY_PARK : verdict;
}

static unsigned one_at_least(unsigned n)
{
	return n > 0 ? n : 1;
}

enum retry_turn retry_turn(const struct retry_share *share)
{
	unsigned most = 1;
	if (share->first_waits)
		most = one_at_least(share->workers / 2);
	else if (share->workers > 1)
		most = share->workers - one_at_least(share->workers / 4);
	bool may_retry = share->retry_waits && share->retrying < most;
	if (may_retry && !(share->first_waits && share->was_retry))
		return RETRY_RETRY;
	return share->first_waits ? RETRY_FIRST_ATTEMPT : RETRY_NOBODY;
}

enum retry_verdict retry_judge(enum retry_result result, int64_t first_at, int64_t now, int64_t retry_for)
{
	if (result == RETRY_SUCCEEDED)
		return RETRY_DONE;
	return result == RETRY_HOPELESS || now - first_at >= retry_for ? RETRY_PARK : RETRY_AGAIN;
}
