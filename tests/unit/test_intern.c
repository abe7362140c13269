#include "config.h"

#include "base/intern.h"

#include "unit.h"

static void numbers_in_order_of_appearance(void **state)
{
	(void)state;
	static const struct {
		struct span name;
		int found;
		size_t number;
	} rows[] = {
		{UNIT_SPAN("a"), 1, 0},  {UNIT_SPAN("b"), 1, 1},    {UNIT_SPAN("a"), 0, 0},    {UNIT_SPAN(""), 1, 2},
		{UNIT_SPAN("ab"), 1, 3}, {UNIT_SPAN(""), 0, 2},     {UNIT_SPAN("a\0b"), 1, 4}, {UNIT_SPAN("a\0"), 1, 5},
		{UNIT_SPAN("b"), 0, 1},  {UNIT_SPAN("a\0b"), 0, 4},
	};
	struct names names = {0};
	size_t number;
	assert_int_equal(names_find(&names, "a", 1), SIZE_MAX);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		unit_check(names_add(&names, rows[i].name.ptr, rows[i].name.len, &number) == rows[i].found, "row %zu",
			   i);
		unit_check(number == rows[i].number, "row %zu", i);
		unit_check(names_find(&names, rows[i].name.ptr, rows[i].name.len) == rows[i].number, "row %zu", i);
	}
	assert_int_equal(names.count, 6);
	assert_int_equal(names_find(&names, "c", 1), SIZE_MAX);
	names_fini(&names);
}

static void many_and_again(void **state)
{
	(void)state;
	enum { MANY = 10000 };
	struct names names = {0};
	size_t number;
	char text[16];
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < MANY; i++) {
			int n = snprintf(text, sizeof text, "%zu", i);
			assert_int_equal(names_add(&names, text, (size_t)n, &number), 1);
			assert_int_equal(number, i);
		}
		for (size_t i = 0; i < MANY; i++) {
			int n = snprintf(text, sizeof text, "%zu", i);
			assert_int_equal(names_find(&names, text, (size_t)n), i);
			assert_true(names_get(&names, i).len == (size_t)n);
			assert_memory_equal(names_get(&names, i).ptr, text, n);
		}
		names_clear(&names);
		assert_int_equal(names.count, 0);
		assert_int_equal(names_find(&names, "7", 1), SIZE_MAX);
	}
	names_fini(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_in_order_of_appearance),
		cmocka_unit_test(many_and_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
