#include "config.h"

#include "base/log.h"

#include <errno.h>

#include "unit.h"

static char last[8192];
static int lines;

static void keep(const char *line)
{
	snprintf(last, sizeof last, "%s", line);
	lines++;
	errno = EDOM; /* a sink may spoil errno: the caller must not see it */
}

static int setup(void **state)
{
	(void)state;
	log_to(keep);
	log_name("unit");
	lines = 0;
	last[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_to(NULL);
	return 0;
}

static void errno_where_it_belongs(void **state)
{
	(void)state;
	errno = ENOENT;
	log_warn("cannot open %s", "x");
	assert_string_equal(last, "unit: cannot open x: No such file or directory");
	assert_int_equal(errno, ENOENT);
	log_warnx("no %d", 5);
	assert_string_equal(last, "unit: no 5");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(lines, 2);
}

static const struct {
	const char *message, *line;
} escapes[] = {
	{"a\nb", "unit: a\\x0ab"},
	{"a\r\n", "unit: a\\x0d\\x0a"},
	{"\x1b[31mred\x07", "unit: \\x1b[31mred\\x07"},
	{"\t\x7f", "unit: \\x09\\x7f"},
	{"Zo\xc3\xab", "unit: Zo\xc3\xab"},
	{"%s%n", "unit: %s%n"},
	{"", "unit: "},
};

static void one_message_is_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(escapes); i++) {
		log_warnx("%s", escapes[i].message);
		assert_string_equal(last, escapes[i].line);
	}
}

/* Nothing a sender can make long may overrun the line, even if each byte of it is escaped. */
static void long_messages_are_cut(void **state)
{
	(void)state;
	static char text[100000];
	memset(text, '\n', sizeof text - 1);
	log_warnx("%s", text);
	assert_true(strlen(last) > 1000);
	assert_true(strlen(last) < sizeof last - 1);
	assert_null(strchr(last, '\n'));
	errno = EIO;
	log_warn("%s", text);
	assert_null(strchr(last, '\n'));
	assert_int_equal(errno, EIO);
	log_name("a name that is longer than what a line's beginning takes, so it is cut");
	log_warnx("%s", text);
	assert_int_equal(strncmp(last, "a name that is longer than what a line's", 40), 0);
	assert_true(strlen(last) < sizeof last - 1);
}

/* The standard way: one write to descriptor 2, newline included. */
static void standard_error(void **state)
{
	(void)state;
	char got[64];
	int ends[2], saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(ends), 0);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	log_to(NULL);
	log_warnx("to %s", "people");
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(ends[1]);
	ssize_t n = read(ends[0], got, sizeof got);
	close(ends[0]);
	assert_int_equal(n, strlen("unit: to people\n"));
	assert_memory_equal(got, "unit: to people\n", (size_t)n);
	assert_int_equal(lines, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(errno_where_it_belongs, setup, teardown),
		cmocka_unit_test_setup_teardown(one_message_is_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(long_messages_are_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(standard_error, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
