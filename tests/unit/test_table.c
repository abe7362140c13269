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

static void plain(void **state)
{
	(void)state;
	static const struct {
		const char *text, *shown;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"a\tb\nc", "a\\x09b\\x0ac"},
		{"\x1b[31m", "\\x1b[31m"},
		{"\x7f", "\\x7f"},
		{"zo\xc3\xab \xe2\x82\xac \xf0\x9f\x98\x80", "zo\xc3\xab \xe2\x82\xac \xf0\x9f\x98\x80"},
		/* C1 controls, as UTF-8 and as bytes */
		{"\xc2\x9b"
		 "2J",
		 "\\u009b2J"},
		{"\x9b"
		 "2J",
		 "\\x9b2J"},
		/* marks of direction, line ends */
		{"\xe2\x80\xae", "\\u202e"},
		{"\xe2\x80\x8f", "\\u200f"},
		{"\xe2\x81\xa6", "\\u2066"},
		{"\xd8\x9c", "\\u061c"},
		{"\xe2\x80\xa8", "\\u2028"},
		/* no UTF-8: cut, overlong, surrogate, beyond */
		{"\xc3", "\\xc3"},
		{"\xe2\x82", "\\xe2\\x82"},
		{"\xc0\x9b", "\\xc0\\x9b"},
		{"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},
		{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
		{"\xff", "\\xff"},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf out = {0};
		assert_int_equal(table_plain(&out, rows[i].text, strlen(rows[i].text)), 0);
		assert_non_null(buf_cstr(&out));
		unit_check(strcmp(out.data, rows[i].shown) == 0, "row %zu: %s", i, out.data);
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(aligns), cmocka_unit_test(plain)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
