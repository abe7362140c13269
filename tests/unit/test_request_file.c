#include "config.h"

#include "spool/request_file.h"

#include <errno.h>

#include "unit.h"

#define ID "0123456789abcdef0123456789abcdef"

static struct unit_spool t;

static int setup(void **state)
{
	(void)state;
	unit_spool_open(&t, SPOOL_DELIVER);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_spool_remove(&t);
	return 0;
}

static const struct {
	const char *name, *target; /* NULL: it is no errand, or it is one for all */
	bool is, all;
} names[] = {
	{"all", NULL, true, true},
	{ID ".crm", "crm", true, false},
	{ID ".crm-2_b.c", "crm-2_b.c", true, false},
	{ID "..", ".", true, false},
	{"", NULL, false, false},
	{"all ", NULL, false, false},
	{".all", NULL, false, false},
	{ID, NULL, false, false},
	{ID ".", NULL, false, false},
	{ID "0.crm", NULL, false, false},
	{"123.crm", NULL, false, false},
	{"0123456789ABCDEF0123456789ABCDEF.crm", NULL, false, false},
	{ID ".a/b", NULL, false, false},
	{ID ".a b", NULL, false, false},
	{ID ".\xc3\xa9", NULL, false, false},
	{"../" ID ".crm", NULL, false, false},
};

static void names_say_it_all(void **state)
{
	(void)state;
	struct errand errand;
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		bool is = errand_parse(&errand, names[i].name);
		unit_check(is == names[i].is, "%s", names[i].name);
		if (!is)
			continue;
		unit_check(errand.all == names[i].all, "%s", names[i].name);
		if (errand.all)
			continue;
		assert_string_equal(errand.event, ID);
		assert_string_equal(errand.target, names[i].target);
	}
	char longest[400];
	memset(longest, 'x', sizeof longest);
	memcpy(longest, ID ".", sizeof ID);
	longest[255] = '\0';
	assert_true(errand_parse(&errand, longest));
	longest[255] = 'x';
	longest[256] = '\0';
	assert_false(errand_parse(&errand, longest));
}

static void left_and_done(void **state)
{
	(void)state;
	struct errand one, all, found[8];
	assert_true(errand_parse(&one, ID ".crm"));
	assert_true(errand_parse(&all, "all"));
	assert_int_equal(unit_mode(unit_path(t.folder, "errands")), 0700);
	assert_int_equal(errand_list(&t.spool, found, 8), 0);
	/* Twice is once. */
	assert_int_equal(errand_leave(t.folder, &one), 0);
	assert_int_equal(errand_leave(t.folder, &one), 0);
	assert_int_equal(errand_leave(t.folder, &all), 0);
	unit_write(unit_path(t.folder, "errands/something else"), "x", 1);
	assert_int_equal(errand_list(&t.spool, found, 8), 2);
	assert_int_equal(errand_list(&t.spool, found, 1), 1);
	assert_int_equal(errand_done(&t.spool, &one), 0);
	assert_int_equal(errand_list(&t.spool, found, 8), 1);
	assert_true(found[0].all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_say_it_all),
		cmocka_unit_test_setup_teardown(left_and_done, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
