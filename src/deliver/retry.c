#include "config.h"

#include "deliver/retry.h"

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

enum retry_verdict retry_judge(enum retry_result result, int64_t first_at, int64_t now, int64_t retry_for)
{
	if (result == RETRY_SUCCEEDED)
		return RETRY_DONE;
	return result == RETRY_HOPELESS || now - first_at >= retry_for ? RETRY_PARK : RETRY_AGAIN;
}
