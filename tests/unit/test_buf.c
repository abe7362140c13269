#include "config.h"

#include "base/buf.h"

#include <errno.h>

#include "unit.h"

static void grows(void **state)
{
	(void)state;
	struct buf b = {0};
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_char(&b, (char)('a' + i % 26)), 0);
	assert_int_equal(b.len, 100000);
	assert_true(b.cap >= b.len);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(b.data[i], 'a' + i % 26);
	buf_fini(&b);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
	assert_int_equal(b.cap, 0);
	buf_fini(&b);
}

static void reserves_once(void **state)
{
	(void)state;
	struct buf b = {0};
	assert_int_equal(buf_reserve(&b, 5000), 0);
	assert_true(b.cap >= 5000);
	assert_int_equal(b.len, 0);
	const char *before = b.data;
	for (int i = 0; i < 5000; i++)
		assert_int_equal(buf_char(&b, 'x'), 0);
	assert_ptr_equal(b.data, before);
	buf_fini(&b);
}

static void appends_nothing(void **state)
{
	(void)state;
	struct buf b = {0};
	assert_int_equal(buf_append(&b, NULL, 0), 0);
	assert_int_equal(buf_str(&b, ""), 0);
	assert_null(b.data);
	assert_int_equal(b.len, 0);
}

static void too_much_leaves_it_as_it_was(void **state)
{
	(void)state;
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 3, SIZE_MAX / 2};
	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		struct buf b = {0};
		assert_int_equal(buf_str(&b, "abc"), 0);
		const char *data = b.data;
		errno = 0;
		unit_check(buf_reserve(&b, sizes[i]) == -1, "%zu", sizes[i]);
		unit_check(errno == ENOMEM, "%zu", sizes[i]);
		assert_ptr_equal(b.data, data);
		assert_int_equal(b.len, 3);
		assert_memory_equal(b.data, "abc", 3);
		buf_fini(&b);
	}
}

static void prints(void **state)
{
	(void)state;
	struct buf b = {0};
	char wide[1000];
	memset(wide, 'w', sizeof wide - 1);
	wide[sizeof wide - 1] = '\0';
	assert_int_equal(buf_printf(&b, "%d-%s", 7, "x"), 0);
	assert_int_equal(buf_printf(&b, "%s", ""), 0);
	assert_int_equal(buf_printf(&b, "|%s|", wide), 0);
	assert_int_equal(b.len, 3 + 999 + 2);
	assert_memory_equal(b.data, "7-x|www", 7);
	assert_int_equal(b.data[b.len - 1], '|');
	buf_fini(&b);
}

/* Wherever the end of the room happens to be. */
static void prints_up_to_each_edge(void **state)
{
	(void)state;
	for (int before = 0; before < 260; before++)
		for (int n = 0; n < 140; n++) {
			struct buf b = {0};
			for (int i = 0; i < before; i++)
				assert_int_equal(buf_char(&b, 'b'), 0);
			assert_int_equal(buf_printf(&b, "%0*d", n, 7), 0);
			size_t wanted = (size_t)(before + (n == 0 ? 1 : n));
			unit_check(b.len == wanted && b.len <= b.cap, "%d behind %d", n, before);
			unit_check(b.data[b.len - 1] == '7' && (before == 0 || b.data[before - 1] == 'b'),
				   "%d behind %d", n, before);
			buf_fini(&b);
		}
}

static void cstr_does_not_count_its_nul(void **state)
{
	(void)state;
	struct buf b = {0};
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_str(&b, "ab"), 0);
	assert_string_equal(buf_cstr(&b), "ab");
	assert_int_equal(buf_char(&b, 'c'), 0);
	assert_string_equal(buf_cstr(&b), "abc");
	/* Exactly full: the NUL needs more room. */
	while (b.len < b.cap)
		assert_int_equal(buf_char(&b, 'd'), 0);
	size_t full = b.len;
	assert_int_equal(strlen(buf_cstr(&b)), full);
	buf_fini(&b);
}

#define BAD "\xef\xbf\xbd"
static const struct {
	const char *bytes;
	size_t n;
	const char *json;
} strings[] = {
	{"", 0, "\"\""},
	{"abc", 3, "\"abc\""},
	{"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
	{"/", 1, "\"/\""},
	{"\n\t\r\b\f", 5, "\"\\n\\t\\u000d\\u0008\\u000c\""},
	{"\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\""},
	{"\x1b[2J", 4, "\"\\u001b[2J\""},
	{"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", 8, "\"\\u0080\\u009b\\u009f\xc2\xa0\""},
	{"Zo\xc3\xab \xe4\xb8\xad \xf0\x9f\x98\x80", 13, "\"Zo\xc3\xab \xe4\xb8\xad \xf0\x9f\x98\x80\""},
	{"\xe2\x80\xa8", 3, "\"\xe2\x80\xa8\""},
	{"\xed\x9f\xbf\xee\x80\x80", 6, "\"\xed\x9f\xbf\xee\x80\x80\""},
	{"\xf4\x8f\xbf\xbf", 4, "\"\xf4\x8f\xbf\xbf\""},
	/* No UTF-8: a lone continuation, overlong forms, a surrogate, above U+10FFFF, cut sequences. */
	{"a\x80z", 3, "\"a" BAD "z\""},
	{"\xc0\xaf", 2, "\"" BAD BAD "\""},
	{"\xc1\xbf", 2, "\"" BAD BAD "\""},
	{"\xe0\x80\xaf", 3, "\"" BAD BAD BAD "\""},
	{"\xe0\x9f\xbf", 3, "\"" BAD BAD BAD "\""},
	{"\xf0\x8f\xbf\xbf", 4, "\"" BAD BAD BAD BAD "\""},
	{"\xed\xa0\x80", 3, "\"" BAD BAD BAD "\""},
	{"\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\""},
	{"\xf5\x80\x80\x80", 4, "\"" BAD BAD BAD BAD "\""},
	{"\xff", 1, "\"" BAD "\""},
	{"\xc3", 1, "\"" BAD "\""},
	{"\xe4\xb8", 2, "\"" BAD BAD "\""},
	{"\xe4\xb8\"", 3, "\"" BAD BAD "\\\"\""},
	{"\xf0\x9f\x98", 3, "\"" BAD BAD BAD "\""},
};

static void json_strings(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(strings); i++) {
		struct buf b = {0};
		assert_int_equal(buf_str(&b, "before"), 0);
		assert_int_equal(buf_json_string(&b, strings[i].bytes, strings[i].n), 0);
		const char *got = buf_cstr(&b) + 6;
		unit_check(strcmp(got, strings[i].json) == 0, "row %zu: %s, wanted %s", i, got, strings[i].json);
		buf_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows),
		cmocka_unit_test(reserves_once),
		cmocka_unit_test(appends_nothing),
		cmocka_unit_test(too_much_leaves_it_as_it_was),
		cmocka_unit_test(prints),
		cmocka_unit_test(prints_up_to_each_edge),
		cmocka_unit_test(cstr_does_not_count_its_nul),
		cmocka_unit_test(json_strings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
