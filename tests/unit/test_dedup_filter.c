#include "config.h"

#include "state/dedup_filter.h"

#include "unit.h"

static bool leads_to(const struct filter *filter, struct filter_key key, unsigned slot)
{
	size_t at = filter_start(filter, key);
	for (unsigned found; (found = filter_next(filter, key, &at)) != 0;)
		if (found == slot)
			return true;
	return false;
}

static struct filter_key key_at(uint64_t i)
{
	uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z ^= z >> 27;
	return (struct filter_key){(uint32_t)(z >> 32), (uint32_t)z};
}

/* Whatever shares a place or a mark, each is led to its slot. */
static void all_are_found(void **state)
{
	(void)state;
	struct filter filter = {0};
	unsigned n = 0;
	assert_int_equal(filter_make(&filter, 1000), 0);
	for (; !filter_is_full(&filter, 1); n++)
		filter_add(&filter, key_at(n % 200), n % FILTER_SLOTS + 1);
	assert_in_range(n, 500, 1000);
	for (unsigned i = 0; i < n; i++)
		assert_true(leads_to(&filter, key_at(i % 200), i % FILTER_SLOTS + 1));
	filter_fini(&filter);
}

static void what_moves_is_found_where_it_went(void **state)
{
	(void)state;
	struct filter filter = {0};
	/* At the table's end, so that some go on at its begin. */
	const struct filter_key same = {UINT32_MAX, 5};
	assert_int_equal(filter_make(&filter, 16), 0);
	for (unsigned slot = 1; slot <= 4; slot++)
		filter_add(&filter, same, slot);
	filter_move(&filter, same, 1u << 2 | 1u << 3, FILTER_SLOTS);
	filter_move(&filter, same, 1u << 2 | 1u << 3, FILTER_SLOTS);
	filter_move(&filter, (struct filter_key){UINT32_MAX, 6}, 1u << 1, 9);
	for (unsigned slot = 1; slot <= FILTER_SLOTS; slot++)
		unit_check(leads_to(&filter, same, slot) == (slot == 1 || slot == 4 || slot == FILTER_SLOTS), "%u",
			   slot);
	filter_fini(&filter);
}

static void few_are_wrong_even_when_it_is_full(void **state)
{
	(void)state;
	enum { ASKED = 10000 };
	struct filter filter = {0};
	unsigned wrong = 0, n = 0;
	assert_int_equal(filter_make(&filter, 2 * ASKED), 0);
	for (; !filter_is_full(&filter, 1); n++)
		filter_add(&filter, key_at(n), 1);
	for (unsigned i = 0; i < ASKED; i++)
		wrong += leads_to(&filter, key_at(n + i), 1);
	assert_in_range(wrong, 1, ASKED / 50);
	filter_fini(&filter);
	filter_fini(&filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_are_found),
		cmocka_unit_test(what_moves_is_found_where_it_went),
		cmocka_unit_test(few_are_wrong_even_when_it_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
