#include "config.h"

#include "base/clock.h"

#include <time.h>

#include "unit.h"

/* Seconds by date(1) -u. */
static const struct {
	int64_t at;
	const char *text, *stamp;
} moments[] = {
	{0, "1970-01-01T00:00:00.000000Z", "19700101T000000.000000Z"},
	{1, "1970-01-01T00:00:00.000001Z", "19700101T000000.000001Z"},
	{-1, "1969-12-31T23:59:59.999999Z", "19691231T235959.999999Z"},
	{-CLOCK_SECOND, "1969-12-31T23:59:59.000000Z", "19691231T235959.000000Z"},
	{INT64_C(951782400000000), "2000-02-29T00:00:00.000000Z", "20000229T000000.000000Z"},
	{INT64_C(1795424400123456), "2026-11-23T09:00:00.123456Z", "20261123T090000.123456Z"},
	{INT64_C(1798761599999999), "2026-12-31T23:59:59.999999Z", "20261231T235959.999999Z"},
	{INT64_C(4294967296000000), "2106-02-07T06:28:16.000000Z", "21060207T062816.000000Z"},
	{INT64_C(253402300799999999), "9999-12-31T23:59:59.999999Z", "99991231T235959.999999Z"},
};

static void there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(moments); i++) {
		char text[CLOCK_TEXT_SIZE], stamp[CLOCK_STAMP_SIZE];
		int64_t at;
		clock_text(moments[i].at, text);
		clock_stamp(moments[i].at, stamp);
		assert_string_equal(text, moments[i].text);
		assert_string_equal(stamp, moments[i].stamp);
		unit_check(clock_parse_text(moments[i].text, &at) == 0 && at == moments[i].at, "%s", text);
		unit_check(clock_parse_stamp(moments[i].stamp, &at) == 0 && at == moments[i].at, "%s", stamp);
	}
}

/* Each day of a thousand years, beside the C library. */
static void dates(void **state)
{
	(void)state;
	for (int64_t day = -135140; day < 230000; day++) {
		char text[CLOCK_TEXT_SIZE], expected[128];
		time_t seconds = (time_t)day * 86400;
		struct tm tm;
		gmtime_r(&seconds, &tm);
		snprintf(expected, sizeof expected, "%04d-%02d-%02dT00:00:00.000000Z", tm.tm_year + 1900, tm.tm_mon + 1,
			 tm.tm_mday);
		clock_text(day * 86400 * CLOCK_SECOND, text);
		assert_string_equal(text, expected);
	}
}

static void only_the_beginning_is_read(void **state)
{
	(void)state;
	int64_t at;
	assert_int_equal(clock_parse_stamp("20261123T090000.123456Z-17-0badcafe.jsonl", &at), 0);
	assert_int_equal(at, INT64_C(1795424400123456));
	assert_int_equal(clock_parse_text("2026-11-23T09:00:00.123456Z\",\"x\"", &at), 0);
	assert_int_equal(at, INT64_C(1795424400123456));
}

static const struct {
	const char *text;
	bool is_stamp;
} other_shapes[] = {
	{"", false},
	{"2026", false},
	{"2026-11-23T09:00:00Z", false},
	{"2026-11-23T09:00:00.123Z", false},
	{"2026-11-23T09:00:00.123456", false},
	{"2026-11-23T09:00:00.123456z", false},
	{"2026-11-23 09:00:00.123456Z", false},
	{"2026-11-23T09:00:00,123456Z", false},
	{"2026-11-23T09:00:00.123456+00:00", false},
	{" 2026-11-23T09:00:00.12345Z", false},
	{"-026-11-23T09:00:00.123456Z", false},
	{"YYYY-MM-DDThh:mm:ss.ffffffZ", false},
	{"2026-00-23T09:00:00.123456Z", false},
	{"2026-13-23T09:00:00.123456Z", false},
	{"2026-11-00T09:00:00.123456Z", false},
	{"2026-11-32T09:00:00.123456Z", false},
	{"2026-11-31T09:00:00.123456Z", false},
	{"2026-02-29T09:00:00.123456Z", false},
	{"2100-02-29T09:00:00.123456Z", false},
	{"2024-02-30T09:00:00.123456Z", false},
	{"2026-11-23T24:00:00.123456Z", false},
	{"2026-11-23T09:60:00.123456Z", false},
	{"2026-11-23T09:00:61.123456Z", false},
	{"20261123T090000.123456Z", false},
	{"", true},
	{"20261123T090000Z", true},
	{"20261123T090000.12345Z", true},
	{"20261123t090000.123456Z", true},
	{"20261323T090000.123456Z", true},
	{"2026-11-23T09:00:00.123456Z", true},
	{"audit.jsonl", true},
};

static void other_shapes_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(other_shapes); i++) {
		const char *text = other_shapes[i].text;
		int64_t at;
		int result = other_shapes[i].is_stamp ? clock_parse_stamp(text, &at) : clock_parse_text(text, &at);
		unit_check(result == -1, "%s", text);
	}
}

/* Names in the journal are sorted as text and must come out in the order of time. */
static void stamps_sort_by_time(void **state)
{
	(void)state;
	for (size_t i = 3; i + 1 < UNIT_COUNT(moments); i++)
		unit_check(strcmp(moments[i].stamp, moments[i + 1].stamp) < 0, "%s", moments[i].stamp);
	char before[CLOCK_STAMP_SIZE], after[CLOCK_STAMP_SIZE];
	int64_t at = INT64_C(1795424399999999);
	for (int64_t step = 1; step < INT64_C(1) << 50; step *= 7) {
		clock_stamp(at, before);
		clock_stamp(at + step, after);
		unit_check(strcmp(before, after) < 0, "%s, %s", before, after);
	}
}

static void clocks_go(void **state)
{
	(void)state;
	int64_t seconds = time(NULL), now = clock_now();
	assert_true(now >= seconds * CLOCK_SECOND);
	assert_true(now < (seconds + 60) * CLOCK_SECOND);
	int64_t first = clock_monotonic(), last = first;
	for (int i = 0; i < 1000; i++) {
		int64_t next = clock_monotonic();
		assert_true(next >= last);
		last = next;
	}
	usleep(2000);
	int64_t waited = clock_monotonic() - first;
	assert_true(waited >= 2000 && waited < 60 * CLOCK_SECOND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(dates),
		cmocka_unit_test(only_the_beginning_is_read),
		cmocka_unit_test(other_shapes_are_refused),
		cmocka_unit_test(stamps_sort_by_time),
		cmocka_unit_test(clocks_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
