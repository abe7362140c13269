#include "config.h"

#include "state/counts.h"
#include "stats/traffic.h"

#include "unit.h"

static void one_for_each_quarter(void **state)
{
	(void)state;
	static const int64_t moments[] = {0, 1, STATE_QUARTER, 3, STATE_QUARTER + 7, 7 * STATE_QUARTER, 2};
	struct traffic traffic = {0};
	for (size_t i = 0; i < UNIT_COUNT(moments); i++)
		traffic_at(&traffic, moments[i])->events++;
	assert_int_equal(traffic.count, 3);
	assert_int_equal(traffic_at(&traffic, 5)->events, 4);
	assert_int_equal(traffic_at(&traffic, STATE_QUARTER + 5)->events, 2);
	assert_int_equal(traffic_at(&traffic, 8 * STATE_QUARTER - 1)->events, 1);
	traffic_clear(&traffic);
	assert_int_equal(traffic_at(&traffic, 5)->events, 0);
	traffic_fini(&traffic);
}

/* What a deliverer that was away for long finds. */
static void many_quarters(void **state)
{
	(void)state;
	struct traffic traffic = {0};
	for (int64_t i = 0; i < 1000; i++)
		traffic_at(&traffic, i * STATE_QUARTER)->records += (uint64_t)i;
	assert_int_equal(traffic.count, 1000);
	assert_int_equal(traffic_at(&traffic, 999 * STATE_QUARTER + 1)->records, 999);
	traffic_fini(&traffic);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_for_each_quarter),
		cmocka_unit_test(many_quarters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
