#include "config.h"

#include "base/plain.h"

#include "unit.h"

static void nothing_is_obeyed(void **state)
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
		assert_int_equal(plain_append(&out, rows[i].text, strlen(rows[i].text)), 0);
		assert_non_null(buf_cstr(&out));
		unit_check(strcmp(out.data, rows[i].shown) == 0, "row %zu: %s", i, out.data);
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_obeyed)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
