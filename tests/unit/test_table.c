#include "config.h"

#include "command/table.h"

#include "base/clock.h"
#include "unit.h"

/* What a function writes to standard output, which is no terminal. */
static struct buf written(void (*write)(void))
{
	char *folder = unit_folder();
	const char *path = unit_path(folder, "out");
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600), before = dup(STDOUT_FILENO);
	assert_true(fd >= 0 && before >= 0);
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	write();
	dup2(before, STDOUT_FILENO);
	close(before);
	close(fd);
	struct buf text = unit_read(path);
	unit_remove(folder);
	return text;
}

static void write_table(void)
{
	struct table t = {0};
	const int64_t now = INT64_C(1790000000000000);
	table_cell(&t, TINT_FAINT, "name");
	table_cell(&t, TINT_FAINT, "n");
	table_cell(&t, TINT_FAINT, "when");
	table_cell(&t, TINT_FAINT, "said");
	table_end(&t);
	table_cell(&t, TINT_STRONG, "%s", "zo\xc3\xab");
	table_number(&t, TINT_BAD, 12345);
	table_ago(&t, TINT_PLAIN, now - 3 * 60 * CLOCK_SECOND, now);
	table_cell(&t, TINT_PLAIN, "a sentence that is longer than all others");
	table_end(&t);
	table_text(&t, TINT_PLAIN, UNIT_SPAN("x\x1b[2J"));
	table_number(&t, TINT_PLAIN, 7);
	table_ago(&t, TINT_PLAIN, 0, now);
	table_end(&t);
	table_cell(&t, TINT_PLAIN, "y");
	table_number(&t, TINT_PLAIN, 8);
	table_ago(&t, TINT_PLAIN, now + 2 * 3600 * CLOCK_SECOND, now);
	table_cell(&t, TINT_PLAIN, "end");
	table_end(&t);
	assert_int_equal(table_print(&t, "> "), 0);
	assert_int_equal(table_print(&t, "> "), 0);
}

static void aligns(void **state)
{
	(void)state;
	struct buf text = written(write_table);
	assert_string_equal(text.data,
			    "> name      n      when       said\n"
			    "> zo\xc3\xab       12345  3 min ago  a sentence that is longer than all others\n"
			    "> x\\x1b[2J      7  never\n"
			    "> y             8  in 2 h     end\n");
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(aligns)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
