#include "config.h"

#include "base/utf8.h"

#include "unit.h"

static bool is_surrogate(uint32_t code)
{
	return code >= 0xd800 && code < 0xe000;
}

static void every_code(void **state)
{
	(void)state;
	char bytes[4];
	for (uint32_t code = 0; code <= 0x10ffff; code++) {
		uint32_t again = UINT32_MAX;
		size_t n = (size_t)(utf8_encode(bytes, code) - bytes);
		size_t length = utf8_decode(bytes, n, &again);
		unit_check(is_surrogate(code) ? length == 0 : length == n && again == code, "U+%04X", (unsigned)code);
		unit_check(utf8_columns(bytes, n) == 1, "U+%04X", (unsigned)code);
		for (size_t cut = 1; cut < n && !is_surrogate(code); cut++)
			unit_check(utf8_decode(bytes, cut, &again) == n, "U+%04X, %zu bytes", (unsigned)code, cut);
	}
}

static void what_is_none(void **state)
{
	(void)state;
	static const struct {
		struct span bytes;
		size_t length;
	} rows[] = {
		{UNIT_SPAN("\x80"), 0},
		{UNIT_SPAN("\xbf\x80"), 0},
		{UNIT_SPAN("\xff"), 0},
		{UNIT_SPAN("\xc3("), 0},
		{UNIT_SPAN("\xe2\x82("), 0},
		{UNIT_SPAN("\xf0\x9f\x98("), 0},
		/* overlong */
		{UNIT_SPAN("\xc0\x80"), 0},
		{UNIT_SPAN("\xc1"), 0},
		{UNIT_SPAN("\xe0\x9f\xbf"), 0},
		{UNIT_SPAN("\xf0\x8f\xbf\xbf"), 0},
		/* a surrogate, and above U+10FFFF: known by the second byte */
		{UNIT_SPAN("\xed\xa0"), 0},
		{UNIT_SPAN("\xf4\x90"), 0},
		{UNIT_SPAN("\xf5\x80"), 0},
		/* what follows is not looked at */
		{UNIT_SPAN("a\xff"), 1},
		{UNIT_SPAN("\xc3\xab\xff"), 2},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		uint32_t code;
		unit_check(utf8_decode(rows[i].bytes.ptr, rows[i].bytes.len, &code) == rows[i].length, "row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_code), cmocka_unit_test(what_is_none)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
