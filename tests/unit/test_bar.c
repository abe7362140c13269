#include "config.h"

#include "command/bar.h"

#include "base/clock.h"
#include "unit.h"

static void draws(void **state)
{
	(void)state;
	static const struct {
		bool bytes;
		uint64_t done, total;
		int64_t since; /* s */
		const char *text;
	} rows[] = {
		{false, 0, 100, 0, "job [                        ]   0%    "},
		{false, 50, 100, 10, "job [############            ]  50%  5/s  10 s left"},
		{false, 100, 100, 10, "job [########################] 100%  10/s  0 ms left"},
		{false, 120, 100, 10, "job [########################] 100%  12/s  0 ms left"},
		{false, 0, 0, 10, "job [########################] 100%    "},
		{true, 1u << 20, 4u << 20, 2, "job [######                  ]  25%  512 KB/s  6 s left"},
		{true, 1, UINT64_MAX, 1, "job [                        ]   0%  1 B/s  "},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const struct bar bar = {.label = "job", .bytes = rows[i].bytes};
		char text[BAR_SIZE];
		bar_text(&bar, rows[i].done, rows[i].total, rows[i].since * CLOCK_SECOND, text);
		unit_check(strncmp(text, rows[i].text, strlen(rows[i].text)) == 0, "row %zu: %s", i, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(draws)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
