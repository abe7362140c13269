#include "config.h"

#include "base/text.h"

#include <errno.h>

#include "unit.h"

static void hex(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xab, 0xff};
	char text[2 * sizeof bytes + 1];
	text_hex(bytes, sizeof bytes, text);
	assert_string_equal(text, "00017f80abff");
	text_hex(bytes, 0, text);
	assert_string_equal(text, "");
}

/* Encoded text; what it decodes to, NULL where it must be refused; and the room there is. */
struct decoding {
	const char *text;
	size_t max;
	const char *bytes;
	size_t n;
};

static void decode(ssize_t (*decoder)(const char *, size_t, uint8_t *, size_t), const struct decoding *rows,
		   size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t out[64];
		memset(out, '#', sizeof out);
		/* A copy of just the text, so that a sanitizer sees each read behind it. */
		size_t n = strlen(rows[i].text);
		char *text = malloc(n == 0 ? 1 : n);
		memcpy(text, rows[i].text, n);
		ssize_t got = decoder(text, n, out, rows[i].max);
		free(text);
		ssize_t wanted = rows[i].bytes == NULL ? -1 : (ssize_t)rows[i].n;
		unit_check(got == wanted, "%s: %zd", rows[i].text, got);
		unit_check(got < 0 || memcmp(out, rows[i].bytes, rows[i].n) == 0, "%s", rows[i].text);
		for (size_t k = rows[i].max; k < sizeof out; k++)
			unit_check(out[k] == '#', "%s wrote behind its room", rows[i].text);
	}
}

static void unhex(void **state)
{
	(void)state;
	static const struct decoding rows[] = {
		{"", 4, "", 0},
		{"00", 4, "\0", 1},
		{"0aF9", 4, "\x0a\xf9", 2},
		{"abcdefAB", 4, "\xab\xcd\xef\xab", 4},
		{"abcdefABCD", 4, NULL, 0},
		{"abc", 4, NULL, 0},
		{"0", 4, NULL, 0},
		{"0g", 4, NULL, 0},
		{"g0", 4, NULL, 0},
		{"0x12", 4, NULL, 0},
		{" 12", 4, NULL, 0},
		{"12 ", 4, NULL, 0},
		{"12\n", 4, NULL, 0},
		{"1 2 ", 4, NULL, 0},
		{"-1", 4, NULL, 0},
		{"@`", 4, NULL, 0},
		{"/:", 4, NULL, 0},
		{"\xc3\xa4", 4, NULL, 0},
	};
	decode(text_unhex, rows, UNIT_COUNT(rows));
}

static void unbase64(void **state)
{
	(void)state;
	static const struct decoding rows[] = {
		/* RFC 4648 section 10 */
		{"", 8, "", 0},
		{"Zg==", 8, "f", 1},
		{"Zm8=", 8, "fo", 2},
		{"Zm9v", 8, "foo", 3},
		{"Zm9vYg==", 8, "foob", 4},
		{"Zm9vYmE=", 8, "fooba", 5},
		{"Zm9vYmFy", 8, "foobar", 6},
		/* without padding */
		{"Zg", 8, "f", 1},
		{"Zm8", 8, "fo", 2},
		{"Zm9vYg", 8, "foob", 4},
		/* both alphabets, not mixed */
		{"+/+/", 8, "\xfb\xff\xbf", 3},
		{"-_-_", 8, "\xfb\xff\xbf", 3},
		{"_w==", 8, "\xff", 1},
		{"_w", 8, "\xff", 1},
		{"+_+_", 8, NULL, 0},
		{"-/AA", 8, NULL, 0},
		{"AAA+AAA_", 8, NULL, 0},
		/* padding bits that are not zero (section 3.5) */
		{"Zh==", 8, NULL, 0},
		{"Zv", 8, NULL, 0},
		{"Zm9=", 8, NULL, 0},
		{"Zm9", 8, NULL, 0},
		{"//==", 8, NULL, 0},
		/* padding that is too little, too much, or in the middle */
		{"Zg=", 8, NULL, 0},
		{"Zg===", 8, NULL, 0},
		{"Zm8==", 8, NULL, 0},
		{"Zm9v=", 8, NULL, 0},
		{"Zm9v====", 8, NULL, 0},
		{"Zg==Zg==", 8, NULL, 0},
		{"=", 8, NULL, 0},
		{"==", 8, NULL, 0},
		{"===", 8, NULL, 0},
		{"====", 8, NULL, 0},
		{"Z===", 8, NULL, 0},
		{"=AAA", 8, NULL, 0},
		/* a length that nothing encodes to */
		{"Z", 8, NULL, 0},
		{"Zm9vY", 8, NULL, 0},
		/* anything else */
		{"Zm9v\n", 8, NULL, 0},
		{"Zm9v\r\n", 8, NULL, 0},
		{" Zm9v", 8, NULL, 0},
		{"Zm 9v", 8, NULL, 0},
		{"Zm9v!AAA", 8, NULL, 0},
		{"Zm,v", 8, NULL, 0},
		{"Zm\xc3\xa4v", 8, NULL, 0},
		/* room */
		{"Zm9vYmFy", 6, "foobar", 6},
		{"Zm9vYmFy", 5, NULL, 0},
		{"Zm9vYmE=", 5, "fooba", 5},
		{"Zm9vYmE=", 4, NULL, 0},
		{"Zm9vYg==", 4, "foob", 4},
		{"Zm9vYg", 3, NULL, 0},
		{"Zg==", 0, NULL, 0},
	};
	decode(text_unbase64, rows, UNIT_COUNT(rows));
}

static void base64_there_and_back(void **state)
{
	(void)state;
	uint8_t bytes[64], back[64];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 37 + 251);
	for (size_t n = 0; n <= sizeof bytes; n++) {
		struct buf b = {0};
		assert_int_equal(text_base64(&b, bytes, n), 0);
		unit_check(b.len == (n + 2) / 3 * 4, "%zu", n);
		unit_check(text_unbase64(b.data, b.len, back, sizeof back) == (ssize_t)n, "%zu", n);
		unit_check(memcmp(bytes, back, n) == 0, "%zu", n);
		buf_fini(&b);
	}
}

static void base64(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"", ""},
					      {"f", "Zg=="},
					      {"fo", "Zm8="},
					      {"foo", "Zm9v"},
					      {"foob", "Zm9vYg=="},
					      {"fooba", "Zm9vYmE="},
					      {"foobar", "Zm9vYmFy"},
					      {"\xfb\xff\xbf", "+/+/"}};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf b = {0};
		assert_int_equal(text_base64(&b, (const uint8_t *)rows[i][0], strlen(rows[i][0])), 0);
		assert_string_equal(buf_cstr(&b), rows[i][1]);
		buf_fini(&b);
	}
}

static const struct {
	const char *bytes;
	size_t n;
	const char *component;
} components[] = {
	{"crm_contact", 11, "crm_contact"},
	{"", 0, "_"},
	{"_", 1, "%5F"},
	{"__", 2, "__"},
	{"%5F", 3, "%255F"},
	{"a.b-c_D9", 8, "a.b-c_D9"},
	{".", 1, "%2E"},
	{"..", 2, "%2E."},
	{"...", 3, "%2E.."},
	{".hidden", 7, "%2Ehidden"},
	{"-rf", 3, "%2Drf"},
	{"../x", 4, "%2E.%2Fx"},
	{"/x", 2, "%2Fx"},
	{"a/b", 3, "a%2Fb"},
	{"a%2Fb", 5, "a%252Fb"},
	{"a\0b", 3, "a%00b"},
	{"\n\x1b", 2, "%0A%1B"},
	{"a b", 3, "a%20b"},
	{"$(id)`;'\"\\", 10, "%24%28id%29%60%3B%27%22%5C"},
	{"() { :;};", 9, "%28%29%20%7B%20%3A%3B%7D%3B"},
	{"~", 1, "%7E"},
	{"=*?[", 4, "%3D%2A%3F%5B"},
	{"Zo\xc3\xab", 4, "Zo%C3%AB"},
	{"\xff", 1, "%FF"},
};

static void component_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(components); i++) {
		struct buf b = {0};
		assert_int_equal(buf_str(&b, "dir/"), 0);
		assert_int_equal(text_component(&b, components[i].bytes, components[i].n), 0);
		const char *got = buf_cstr(&b) + 4;
		unit_check(strcmp(got, components[i].component) == 0, "%s: %s", components[i].component, got);
		buf_fini(&b);
	}
}

static struct buf component(const char *bytes, size_t n)
{
	struct buf b = {0};
	assert_int_equal(text_component(&b, bytes, n), 0);
	assert_non_null(buf_cstr(&b));
	return b;
}

/* 200 bytes of output are not cut, longer ones are; what differs only behind the cut stays different; no %XX is cut in
 * two, which would make another byte of it. */
static void long_components(void **state)
{
	(void)state;
	char plain[300], spaces[300];
	memset(plain, 'a', sizeof plain);
	memset(spaces, ' ', sizeof spaces);
	static const struct {
		bool spaces;
		size_t n, length;
	} rows[] = {
		{false, 199, 199}, {false, 200, 200}, {false, 201, 200}, {false, 300, 200},
		{true, 66, 198},   {true, 67, 199},   {true, 68, 199},   {true, 300, 199},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf b = component(rows[i].spaces ? spaces : plain, rows[i].n);
		unit_check(b.len == rows[i].length, "row %zu: %zu", i, b.len);
		buf_fini(&b);
	}
	struct buf one = component(plain, 300), two;
	plain[299] = 'b';
	two = component(plain, 300);
	assert_string_not_equal(one.data, two.data);
	assert_memory_equal(one.data, two.data, 166);
	assert_memory_equal(one.data + 166, "%x", 2); /* no value's encoding has that */
	assert_int_equal(strspn(one.data + 168, "0123456789abcdef"), 32);
	buf_fini(&one);
	buf_fini(&two);
	for (size_t shift = 0; shift < 3; shift++) {
		char mixed[300];
		memset(mixed, ' ', sizeof mixed);
		memset(mixed, 'a', shift);
		struct buf cut = component(mixed, sizeof mixed);
		size_t mark = cut.len - 34;
		unit_check(cut.len <= 200 && cut.data[mark] == '%', "shift %zu", shift);
		unit_check((mark - shift) % 3 == 0, "shift %zu cuts an escape: %s", shift, cut.data);
		buf_fini(&cut);
	}
}

#define K UINT64_C(1024)
static const struct {
	const char *text;
	int error;
	uint64_t value;
} sizes[] = {
	{"0", 0, 0},
	{"512", 0, 512},
	{"512b", 0, 512},
	{"64k", 0, 64 * K},
	{"64K", 0, 64 * K},
	{"64kB", 0, 64 * K},
	{"10M", 0, 10 * K *K},
	{"10MB", 0, 10 * K *K},
	{"1G", 0, K *K *K},
	{"007", 0, 7},
	{"9223372036854775807", 0, INT64_MAX},
	{"9223372036854775808", ERANGE, 0},
	{"18446744073709551616", ERANGE, 0},
	{"99999999999999999999999", ERANGE, 0},
	{"8589934591G", 0, UINT64_C(8589934591) * K *K *K},
	{"8589934592G", ERANGE, 0},
	{"18446744073709551615k", ERANGE, 0},
	{"", EINVAL, 0},
	{"M", EINVAL, 0},
	{"-1", EINVAL, 0},
	{"+1", EINVAL, 0},
	{" 1", EINVAL, 0},
	{"1 ", EINVAL, 0},
	{"1 M", EINVAL, 0},
	{"1.5M", EINVAL, 0},
	{"1e9", EINVAL, 0},
	{"0x10", EINVAL, 0},
	{"1T", EINVAL, 0},
	{"1MiB", EINVAL, 0},
	{"10s", EINVAL, 0},
};

static void size_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		uint64_t value = 0;
		errno = 0;
		int result = text_size(sizes[i].text, &value);
		unit_check(result == (sizes[i].error ? -1 : 0), "%s", sizes[i].text);
		unit_check(sizes[i].error ? errno == sizes[i].error : value == sizes[i].value, "%s: %llu, errno %d",
			   sizes[i].text, (unsigned long long)value, errno);
	}
}

#define S INT64_C(1000000)
static const struct {
	const char *text;
	int error;
	int64_t us;
} durations[] = {
	{"0", 0, 0},
	{"0s", 0, 0},
	{"250ms", 0, 250000},
	{"30s", 0, 30 * S},
	{"30S", 0, 30 * S},
	{"10m", 0, 600 * S},
	{"1h", 0, 3600 * S},
	{"7d", 0, 7 * 86400 * S},
	{"2w", 0, 14 * 86400 * S},
	{"106751991d", 0, INT64_C(106751991) * 86400 * S},
	{"106751992d", ERANGE, 0},
	{"99999999999999999999s", ERANGE, 0},
	{"18446744073709551615ms", ERANGE, 0},
	{"30", EINVAL, 0},
	{"", EINVAL, 0},
	{"s", EINVAL, 0},
	{"-1s", EINVAL, 0},
	{"1.5h", EINVAL, 0},
	{"1 h", EINVAL, 0},
	{"1h30m", EINVAL, 0},
	{"10M B", EINVAL, 0},
	{"1y", EINVAL, 0},
};

static void duration_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(durations); i++) {
		int64_t us = 0;
		errno = 0;
		int result = text_duration(durations[i].text, &us);
		unit_check(result == (durations[i].error ? -1 : 0), "%s", durations[i].text);
		unit_check(durations[i].error ? errno == durations[i].error : us == durations[i].us,
			   "%s: %lld, errno %d", durations[i].text, (long long)us, errno);
	}
}

static void human_sizes(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0 B"},
		{1023, "1023 B"},
		{1024, "1 KB"},
		{1536, "1.5 KB"},
		{10 * K * K, "10 MB"},
		{K * K * 3 / 2, "1.5 MB"},
		{64 * K * K * K, "64 GB"},
		{K * K * K * K, "1 TB"},
		{UINT64_MAX, "16777216 TB"},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		char text[TEXT_HUMAN_SIZE];
		text_human_size(rows[i].bytes, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void human_durations(void **state)
{
	(void)state;
	static const struct {
		int64_t us;
		const char *text;
	} rows[] = {
		{0, "0 ms"},
		{-5, "0 ms"},
		{250000, "250 ms"},
		{S, "1 s"},
		{S * 3 / 2, "1.5 s"},
		{90 * S, "1.5 min"},
		{600 * S, "10 min"},
		{3600 * S, "1 h"},
		{36 * 3600 * S, "1.5 d"},
		{3 * 86400 * S, "3 d"},
		{INT64_MAX, "106751991 d"},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		char text[TEXT_HUMAN_SIZE];
		text_human_duration(rows[i].us, text);
		assert_string_equal(text, rows[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex),
		cmocka_unit_test(unhex),
		cmocka_unit_test(unbase64),
		cmocka_unit_test(base64),
		cmocka_unit_test(base64_there_and_back),
		cmocka_unit_test(component_rows),
		cmocka_unit_test(long_components),
		cmocka_unit_test(size_rows),
		cmocka_unit_test(duration_rows),
		cmocka_unit_test(human_sizes),
		cmocka_unit_test(human_durations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
