#include "config.h"

#include "base/program.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

static bool is_this(const char *path)
{
	struct stat own, st;
	return stat("/proc/self/exe", &own) == 0 && stat(path, &st) == 0 && own.st_dev == st.st_dev &&
	       own.st_ino == st.st_ino;
}

/* Without /proc: tests/system/test_static.py. */
static void test_it_is_this_program(void **state)
{
	(void)state;
	char path[PATH_MAX];
	assert_int_equal(program_path(path), 0);
	assert_int_equal(path[0], '/');
	assert_true(is_this(path));
	assert_true(is_this(program_again(path)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_this_program),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
