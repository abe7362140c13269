#include "config.h"

#include "state/dedup_filter.h"

#include "unit.h"

static bool leads_to(const struct hints *hints, struct hint hint, unsigned slot)
{
	size_t at = hints_start(hints, hint);
	for (unsigned found; (found = hints_next(hints, hint, &at)) != 0;)
		if (found == slot)
			return true;
	return false;
}

static struct hint hint_at(unsigned i)
{
	return (struct hint){i * UINT32_C(2654435761), i * UINT32_C(40503)};
}

/* Whatever shares a place or a mark, each is led to its slot. */
static void all_are_found(void **state)
{
	(void)state;
	struct hints hints = {0};
	unsigned n = 0;
	assert_int_equal(hints_make(&hints, 1000), 0);
	for (; !hints_are_full(&hints, 1); n++)
		hints_add(&hints, hint_at(n % 200), n % HINTS_SLOTS + 1);
	assert_in_range(n, 500, 1000);
	for (unsigned i = 0; i < n; i++)
		assert_true(leads_to(&hints, hint_at(i % 200), i % HINTS_SLOTS + 1));
	hints_fini(&hints);
}

static void what_moves_is_found_where_it_went(void **state)
{
	(void)state;
	struct hints hints = {0};
	/* At the table's end, so that some go on at its begin. */
	const struct hint same = {UINT32_MAX, 5};
	assert_int_equal(hints_make(&hints, 16), 0);
	for (unsigned slot = 1; slot <= 4; slot++)
		hints_add(&hints, same, slot);
	hints_move(&hints, same, 1u << 2 | 1u << 3, HINTS_SLOTS);
	hints_move(&hints, same, 1u << 2 | 1u << 3, HINTS_SLOTS);
	hints_move(&hints, (struct hint){UINT32_MAX, 6}, 1u << 1, 9);
	for (unsigned slot = 1; slot <= HINTS_SLOTS; slot++)
		unit_check(leads_to(&hints, same, slot) == (slot == 1 || slot == 4 || slot == HINTS_SLOTS), "%u", slot);
	hints_fini(&hints);
}

static void few_are_wrong(void **state)
{
	(void)state;
	enum { COUNT = 10000 };
	struct hints hints = {0};
	unsigned wrong = 0;
	assert_int_equal(hints_make(&hints, 2 * COUNT), 0);
	for (unsigned i = 0; i < COUNT; i++)
		hints_add(&hints, hint_at(i), 1);
	for (unsigned i = COUNT; i < 2 * COUNT; i++)
		wrong += leads_to(&hints, hint_at(i), 1);
	assert_in_range(wrong, 0, COUNT / 100);
	hints_fini(&hints);
	hints_fini(&hints);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_found),
		cmocka_unit_test(what_moves_is_found_where_it_went),
		cmocka_unit_test(few_are_wrong),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
