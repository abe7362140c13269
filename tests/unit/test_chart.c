#include "config.h"

#include "report/chart.h"
#include "state/counts.h"

#include "unit.h"

static const struct chart chart = {"Deliveries",
				   "done",
				   " failed",
				   "good",
				   offsetof(struct state_traffic, done),
				   offsetof(struct state_traffic, failed)};

static const char *drawn(const struct chart_day *day)
{
	static char text[1 << 16];
	struct html h = {0};
	chart_write(&h, &chart, day);
	assert_false(h.failed);
	assert_true(h.out.len < sizeof text);
	memcpy(text, h.out.data, h.out.len);
	text[h.out.len] = '\0';
	buf_fini(&h.out);
	return text;
}

static void bars_stand_where_they_belong(void **state)
{
	(void)state;
	struct chart_day day = {0};
	const char *text = drawn(&day);
	assert_null(strstr(text, "<rect"));
	assert_non_null(strstr(text, "0 in the last 24 hours"));
	day.quarters[0] = (struct state_traffic){.done = 36};
	day.quarters[95] = (struct state_traffic){.at = INT64_C(9) * 3600000000, .done = 36, .failed = 36};
	text = drawn(&day);
	assert_non_null(strstr(text, "<rect class=\"good\" x=\"0\" y=\"36\" width=\"5\" height=\"36\"/>"));
	assert_non_null(strstr(text, "<title>09:00 UTC: 36 done, 36 failed</title>"
				     "<rect class=\"good\" x=\"570\" y=\"36\" width=\"5\" height=\"36\"/>"
				     "<rect class=\"bad\" x=\"570\" y=\"0\" width=\"5\" height=\"36\"/>"));
	assert_non_null(strstr(text, "72 in the last 24 hours, at most 72 in a quarter"));
}

/* Whatever the numbers are, each bar is seen, and within the picture. */
static void bars_are_seen(void **state)
{
	(void)state;
	static const struct {
		uint64_t done, failed;
	} rows[] = {{1, 0}, {0, 1}, {1000000, 1}, {1, 1000000}, {UINT64_MAX / 2, 1}, {999999, 1000000}};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct chart_day day = {0};
		day.quarters[7] = (struct state_traffic){.done = rows[i].done, .failed = rows[i].failed};
		day.quarters[9] = (struct state_traffic){.done = 1};
		unsigned bars = 0;
		for (const char *s = drawn(&day); (s = strstr(s, " y=\"")) != NULL; bars++) {
			int y = atoi(s + 4), height = atoi(strstr(s, "height=\"") + 8);
			unit_check(y >= 0 && height >= 1 && y + height <= 72, "row %zu: %d+%d", i, y, height);
			s += 4;
		}
		unit_check(bars == 1u + (rows[i].done > 0) + (rows[i].failed > 0), "row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars_stand_where_they_belong),
		cmocka_unit_test(bars_are_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
