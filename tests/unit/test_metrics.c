#include "config.h"

#include "report/metrics.h"

#include "base/clock.h"
#include "state/counts.h"
#include "unit.h"

static struct buf out;

static int setup(void **state)
{
	(void)state;
	out = (struct buf){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&out);
	return 0;
}

static bool has(const char *line)
{
	return strstr(buf_cstr(&out), line) != NULL;
}

static void numbers_and_moments(void **state)
{
	(void)state;
	struct overview_target late = {.name = "crm",
				       .done = 7,
				       .failed = 2,
				       .backlog = {.pending = 3, .parked = 1, .oldest_at = 1790000000500000},
				       .health = HEALTH_LATE};
	struct overview_target target = {.next = &late, .name = "records", .done = UINT64_MAX};
	struct overview_trouble trouble = {.what = "it cannot", .why = "No space", .at = 1790000000250000};
	struct overview o = {
		.now = 1790000001000002, .health = HEALTH_LATE, .unread = 5, .targets = &target, .troubles = &trouble};
	o.counts[STATE_DUPLICATES] = 11;
	assert_int_equal(metrics_write(&out, &o), 0);
	assert_true(has("\nhookspool_duplicates_total 11\n"));
	assert_true(has("\nhookspool_events_unread 5\n"));
	assert_true(has("\nhookspool_healthy 0\n"));
	assert_true(has("\nhookspool_status_timestamp_seconds 1790000001.000002\n"));
	assert_true(has("\nhookspool_deliveries_done_total{target=\"records\"} 18446744073709551615\n"));
	assert_true(has("\nhookspool_delivery_attempts_failed_total{target=\"crm\"} 2\n"));
	assert_true(has("\nhookspool_deliveries_parked{target=\"crm\"} 1\n"));
	assert_true(has("\nhookspool_oldest_pending_timestamp_seconds{target=\"crm\"} 1790000000.500000\n"));
	assert_true(has("\nhookspool_trouble_since_timestamp_seconds{what=\"it cannot\",why=\"No space\"} "
			"1790000000.250000\n"));
	/* A moment that never was has no sample. */
	assert_false(has("oldest_pending_timestamp_seconds{target=\"records\"}"));
	assert_true(has("\nhookspool_target_healthy{target=\"records\"} 1\n"));
	assert_true(has("\nhookspool_target_healthy{target=\"crm\"} 0\n"));
}

/* The text format: backslash, quote and newline are escaped in a label's value. */
static void labels_are_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *text, *label;
	} rows[] = {
		{"", "\"\""},
		{"signature wrong", "\"signature wrong\""},
		{"a\"b", "\"a\\\"b\""},
		{"a\\b", "\"a\\\\b\""},
		{"a\nb", "\"a\\\\x0ab\""},
		{"\xc3\xa9{}=,", "\"\xc3\xa9{}=,\""},
		{"\xff", "\"\\\\xff\""},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		char line[200];
		struct overview_refusal refusal = {
			.endpoint = "/w", .connection = "c", .reason = rows[i].text, .status = 401, .count = 3};
		struct overview o = {.refusals = &refusal};
		out.len = 0;
		assert_int_equal(metrics_write(&out, &o), 0);
		snprintf(line, sizeof line,
			 "\nhookspool_requests_rejected_total{endpoint=\"/w\",connection=\"c\",status=\"401\","
			 "reason=%s} 3\n",
			 rows[i].label);
		unit_check(has(line), "%s", rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(numbers_and_moments, setup, teardown),
		cmocka_unit_test_setup_teardown(labels_are_escaped, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
