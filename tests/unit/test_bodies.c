#include "config.h"

#include "receive/bodies.h"

#include "unit.h"

#define KB ((size_t)1 << 10)
#define MB ((size_t)1 << 20)

static struct bodies *bodies;

static int setup(void **state)
{
	(void)state;
	bodies = bodies_new();
	return bodies == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	bodies_free(bodies);
	return 0;
}

/* A buffer of exactly this size, with something in it. */
static void put(size_t cap)
{
	struct buf body = {.data = malloc(cap), .len = 1, .cap = cap};
	assert_non_null(body.data);
	body.data[0] = 'x';
	bodies_put(bodies, &body);
	assert_null(body.data);
	assert_int_equal(body.cap, 0);
}

/* The size of what is taken for so many bytes; 0: nothing is. */
static size_t take(size_t size)
{
	struct buf body = {0};
	bool taken = bodies_take(bodies, size, &body);
	size_t cap = body.cap;
	assert_int_equal(taken, cap > 0);
	assert_int_equal(body.len, 0);
	buf_fini(&body);
	return cap;
}

static void gives_what_fits(void **state)
{
	(void)state;
	static const struct {
		size_t kept[3], size, taken;
	} rows[] = {
		{{0}, 100 * KB, 0},
		{{100 * KB}, 100 * KB, 100 * KB},
		{{100 * KB}, 100 * KB + 1, 0},
		{{100 * KB}, 50 * KB, 100 * KB},
		{{100 * KB}, 50 * KB - 1, 0},
		{{100 * KB, 200 * KB, 300 * KB}, 100 * KB, 200 * KB},
		{{100 * KB, 300 * KB, 200 * KB}, 90 * KB, 100 * KB},
		{{300 * KB, 200 * KB, 100 * KB}, 160 * KB, 200 * KB},
		{{150 * KB, 160 * KB, 170 * KB}, 140 * KB, 170 * KB},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		for (size_t k = 0; k < UNIT_COUNT(rows[i].kept); k++)
			if (rows[i].kept[k] > 0)
				put(rows[i].kept[k]);
		size_t taken = take(rows[i].size);
		unit_check(taken == rows[i].taken, "row %zu: %zu", i, taken);
		bodies_trim(bodies);
		bodies_trim(bodies);
	}
}

static void keeps_no_more_than_it_says(void **state)
{
	(void)state;
	static const struct {
		size_t cap, put, kept;
	} rows[] = {
		{MB, 20, BODIES_MAX / MB},
		{BODIES_MAX, 2, 1},
		{BODIES_MAX + 1, 1, 0},
		{BODIES_LARGE, 100, 64},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		size_t kept = 0;
		for (size_t k = 0; k < rows[i].put; k++)
			put(rows[i].cap);
		while (take(rows[i].cap) > 0)
			kept++;
		unit_check(kept == rows[i].kept, "row %zu: %zu", i, kept);
	}
}

static void lets_go_of_what_nobody_took(void **state)
{
	(void)state;
	put(100 * KB);
	put(200 * KB);
	bodies_trim(bodies);
	assert_int_equal(take(200 * KB), 200 * KB);
	put(200 * KB); /* it came back, and has not rested */
	bodies_trim(bodies);
	assert_int_equal(take(100 * KB), 200 * KB);
	assert_int_equal(take(100 * KB), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(gives_what_fits, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_no_more_than_it_says, setup, teardown),
		cmocka_unit_test_setup_teardown(lets_go_of_what_nobody_took, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
