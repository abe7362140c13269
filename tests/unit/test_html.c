#include "config.h"

#include "report/html.h"

#include <inttypes.h>

#include "base/clock.h"
#include "unit.h"

#define NOW INT64_C(1790000000000000)

static const char *written(struct html *h)
{
	static char text[1024];
	assert_false(h->failed);
	snprintf(text, sizeof text, "%.*s", (int)h->out.len, h->out.data == NULL ? "" : h->out.data);
	buf_fini(&h->out);
	return text;
}

static void text_is_no_markup(void **state)
{
	(void)state;
	static const struct {
		const char *text, *html;
	} rows[] = {
		{"", ""},
		{"plain", "plain"},
		{"<script>", "&lt;script&gt;"},
		{"a&b", "a&amp;b"},
		{"&lt;", "&amp;lt;"},
		{"\"><b>'", "&quot;&gt;&lt;b&gt;&#39;"},
		{"\xc3\xa9", "\xc3\xa9"},
		{"\xff<", "\\xff&lt;"},
		{"a\nb\x1b[1m", "a\\x0ab\\x1b[1m"},
		{"\xe2\x80\xae", "\\u202e"},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct html h = {0};
		html_write(&h, "%s", rows[i].text);
		unit_check(strcmp(written(&h), rows[i].html) == 0, "%s", rows[i].text);
	}
	struct html h = {0};
	html_text(&h, (struct span){"a\0<", 3});
	assert_string_equal(written(&h), "a\\x00&lt;");
	html_text(&h, (struct span){NULL, 0});
	assert_string_equal(written(&h), "");
}

static void numbers(void **state)
{
	(void)state;
	static const struct {
		uint64_t n;
		const char *html;
	} rows[] = {
		{0, "0"},
		{999, "999"},
		{1000, "1,000"},
		{123456, "123,456"},
		{1234567, "1,234,567"},
		{UINT64_MAX, "18,446,744,073,709,551,615"},
	};
	struct html h = {0};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		html_write(&h, "%" PRIu64, rows[i].n);
		assert_string_equal(written(&h), rows[i].html);
	}
	html_write(&h, "<a b=\"%s\">%s%" PRIu64 "</a>%" PRId64 ".", "\"", "<s", UINT64_C(1000), INT64_C(-1200));
	assert_string_equal(written(&h), "<a b=\"&quot;\">&lt;s1,000</a>-1200.");
}

static void moments(void **state)
{
	(void)state;
	static const struct {
		int64_t at;
		const char *text;
	} rows[] = {
		{NOW - 30 * CLOCK_SECOND, ">30 s ago</time>"},
		{NOW + 30 * CLOCK_SECOND, ">in 30 s</time>"},
		{NOW, ">just now</time>"},
		{NOW - 900000, ">just now</time>"},
		{NOW + 900000, ">just now</time>"},
		{0, "\u2013"},
	};
	struct html h = {0};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		html_ago(&h, rows[i].at, NOW);
		const char *text = written(&h);
		unit_check(strstr(text, rows[i].text) != NULL, "%s", text);
		unit_check((strstr(text, "datetime=\"2026-") != NULL) == (rows[i].at != 0), "%s", text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_no_markup),
		cmocka_unit_test(numbers),
		cmocka_unit_test(moments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
