#include "config.h"

#include "base/clock.h"
#include "target/retry.h"

#include "unit.h"

#define SECONDS(n) ((n)*CLOCK_SECOND)
#define HOURS(n)   SECONDS((n)*3600)

/* The middle, the shortest and the longest delay after each attempt. */
static const struct {
	unsigned attempts;
	int64_t shortest, longest;
} delays[] = {
	{1, SECONDS(10), SECONDS(10) * 5 / 4},
	{2, SECONDS(20) * 3 / 4, SECONDS(20) * 5 / 4},
	{3, SECONDS(40) * 3 / 4, SECONDS(40) * 5 / 4},
	{4, SECONDS(80) * 3 / 4, SECONDS(80) * 5 / 4},
	{9, SECONDS(2560) * 3 / 4, SECONDS(2560) * 5 / 4},
	{10, HOURS(1) * 3 / 4, HOURS(1)},
	{11, HOURS(1) * 3 / 4, HOURS(1)},
	{1000000, HOURS(1) * 3 / 4, HOURS(1)},
	{UINT32_MAX, HOURS(1) * 3 / 4, HOURS(1)},
};

static void delays_double_and_jitter(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(delays); i++) {
		int64_t least = INT64_MAX, most = 0;
		uint64_t random = 0;
		for (int k = 0; k < 4000; k++) {
			int64_t delay = retry_delay(delays[i].attempts, RETRY_MAX, random);
			least = delay < least ? delay : least;
			most = delay > most ? delay : most;
			random += UINT64_C(0x9e3779b97f4a7c15);
		}
		int64_t hundredth = delays[i].longest / 100;
		unit_check(least >= delays[i].shortest && least <= delays[i].shortest + hundredth, "attempt %u: %lld",
			   delays[i].attempts, (long long)least);
		unit_check(most <= delays[i].longest && most >= delays[i].longest - hundredth, "attempt %u: %lld",
			   delays[i].attempts, (long long)most);
	}
}

static void delays_stay_below_their_maximum(void **state)
{
	(void)state;
	for (unsigned attempts = 1; attempts < 40; attempts++)
		for (uint64_t random = 0; random < 100; random++) {
			int64_t delay = retry_delay(attempts, SECONDS(60), random * UINT64_C(0x9e3779b97f4a7c15));
			assert_in_range(delay, SECONDS(10), SECONDS(60));
		}
}

static const struct {
	enum retry_result result;
	int64_t first_at, now, retry_for;
	enum retry_verdict verdict;
} verdicts[] = {
	{RETRY_SUCCEEDED, 0, 0, HOURS(72), RETRY_DONE},
	{RETRY_SUCCEEDED, 0, HOURS(1000), HOURS(72), RETRY_DONE},
	{RETRY_FAILED, 500, 500, HOURS(72), RETRY_AGAIN},
	{RETRY_FAILED, 500, 499 + HOURS(72), HOURS(72), RETRY_AGAIN},
	{RETRY_FAILED, 500, 500 + HOURS(72), HOURS(72), RETRY_PARK},
	{RETRY_FAILED, 500, 500, 0, RETRY_PARK},
	{RETRY_HOPELESS, 500, 500, HOURS(72), RETRY_PARK},
};

static void judges(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(verdicts); i++)
		unit_check(retry_judge(verdicts[i].result, verdicts[i].first_at, verdicts[i].now,
				       verdicts[i].retry_for) == verdicts[i].verdict,
			   "row %zu", i);
}

static const struct {
	struct retry_share share; /* workers, retrying, first_waits, retry_waits, was_retry */
	enum retry_turn turn;
} turns[] = {
	{{1, 0, false, false, false}, RETRY_NOBODY},
	{{1, 0, true, false, false}, RETRY_FIRST_ATTEMPT},
	{{1, 0, true, false, true}, RETRY_FIRST_ATTEMPT},
	{{1, 0, false, true, false}, RETRY_RETRY},
	{{1, 0, false, true, true}, RETRY_RETRY},
	/* Both wait: in turn, */
	{{1, 0, true, true, false}, RETRY_RETRY},
	{{1, 0, true, true, true}, RETRY_FIRST_ATTEMPT},
	{{4, 1, true, true, false}, RETRY_RETRY},
	{{4, 1, true, true, true}, RETRY_FIRST_ATTEMPT},
	/* and retries on half of the workers. */
	{{2, 1, true, true, false}, RETRY_FIRST_ATTEMPT},
	{{3, 1, true, true, false}, RETRY_FIRST_ATTEMPT},
	{{4, 2, true, true, false}, RETRY_FIRST_ATTEMPT},
	{{64, 31, true, true, false}, RETRY_RETRY},
	{{64, 32, true, true, false}, RETRY_FIRST_ATTEMPT},
	/* Nothing else waits: some workers are kept free. */
	{{2, 1, false, true, false}, RETRY_NOBODY},
	{{4, 2, false, true, true}, RETRY_RETRY},
	{{4, 3, false, true, true}, RETRY_NOBODY},
	{{64, 47, false, true, true}, RETRY_RETRY},
	{{64, 48, false, true, true}, RETRY_NOBODY},
	{{64, 63, true, false, true}, RETRY_FIRST_ATTEMPT},
};

static void workers_are_shared(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(turns); i++)
		unit_check(retry_turn(&turns[i].share) == turns[i].turn, "row %zu", i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delays_double_and_jitter),
		cmocka_unit_test(delays_stay_below_their_maximum),
		cmocka_unit_test(judges),
		cmocka_unit_test(workers_are_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
