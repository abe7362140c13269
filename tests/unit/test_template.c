#include "config.h"

#include "unit.h"

#include "config/template.h"

static const struct {
	const char *path, *value, *expanded; /* NULL: the value cannot be had */
} rows[] = {
	{"/srv/x.jsonl", "v", "/srv/x.jsonl"},
	{"/srv/%{type}", "v", "/srv/v"},
	{"/srv/%{type}%{event}/%{date}-%{hour}.jsonl", "v", "/srv/vv/v-v.jsonl"},
	{"/srv/%{endpoint}/a%b", "/a b", "/srv/%2Fa%20b/a%b"},
	{"/srv/%{external_xref}", "", "/srv/_"},
	{"/srv/%{object_type}/x", "..", "/srv/%2E./x"},
	{"/srv/%{connection_id}", "%{type}", "/srv/%25%7Btype%7D"},
	{"/srv/%{colour}/%{type", "v", "/srv/%{colour}/%{type"},
	{"/srv/%{type}", NULL, NULL},
};

static int give(void *arg, const char *name, struct buf *out)
{
	const char *value = arg;
	assert_true(template_is_field(name) || strcmp(name, "date") == 0 || strcmp(name, "hour") == 0);
	return value == NULL ? -1 : buf_str(out, value);
}

static void test_expand(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf out = {0};
		int result = template_expand(rows[i].path, give, (void *)rows[i].value, &out);
		unit_check((result == 0) == (rows[i].expanded != NULL), "%s", rows[i].path);
		if (result == 0)
			assert_string_equal(buf_cstr(&out), rows[i].expanded);
		buf_fini(&out);
	}
}

/* What a match can name is what an event has. */
static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		unit_check(template_is_field(event_field_names[i]), "%s", event_field_names[i]);
	assert_true(template_is_field("endpoint"));
	assert_false(template_is_field("date"));
	assert_false(template_is_field("hour"));
	assert_false(template_is_field(""));
	assert_false(template_is_field("typ"));
}

static void test_meetings(void **state)
{
	(void)state;
	static const struct {
		const char *path, *other;
		bool is_folder, meets;
	} meetings[] = {
		{"/r/a", "/r/a", false, true},
		{"/r/a", "/r/b", false, false},
		{"/r/a", "/r/ab", false, false},
		{"/r/%{type}", "/r/%{type}", false, true},
		{"/r/%{type}", "/r/%{event}", false, true},
		{"/r/%{type}.jsonl", "/r/all.jsonl", false, true},
		{"/r/all.jsonl", "/r/%{type}.jsonl", false, true},
		{"/r/%{type}.jsonl", "/r/.jsonl", false, false},
		{"/r/%{type}.jsonl", "/r/.all.jsonl", false, false},
		{"/r/%{type}.jsonl", "/r/-all.jsonl", false, false},
		{"/r/%{type}.jsonl", "/r/%{type}.json", false, false},
		{"/r/%{type}.jsonl", "/r/sub/all.jsonl", false, false},
		{"/r/%{type}/%{date}.jsonl", "/r/%{type}/%{hour}.jsonl", false, false},
		{"/r/%{type}/%{date}.jsonl", "/r/%{type}/%{event}.jsonl", false, true},
		{"/r/%{date}", "/r/2026-11-23", false, true},
		{"/r/%{date}", "/r/2026-11-2x", false, false},
		{"/r/%{hour}", "/r/9", false, false},
		{"/r/%{type}-%{event}", "/r/a-b-c", false, true},
		{"/r/%{type}-%{event}", "/r/ab", false, false},
		{"/r/a%{type}b%{event}c", "/r/a%{event}x%{hour}c", false, true},
		{"/r/%{type}", "/r/spool", true, false},
		{"/r/%{type}/x", "/r/spool", true, true},
		{"/r/%{type}/%{date}/x", "/r/spool", true, true},
		{"/r/spool/x", "/r/spool", true, true},
		{"/r/spool", "/r/spool", true, false},
		{"/r/spool2/x", "/r/spool", true, false},
		{"/r/x", "/r/spool", true, false},
		{"/r/%{date}/x", "/r/spool", true, false},
	};
	for (size_t i = 0; i < UNIT_COUNT(meetings); i++)
		unit_check(template_meets(meetings[i].path, meetings[i].other, meetings[i].is_folder) ==
				   meetings[i].meets,
			   "%s, %s", meetings[i].path, meetings[i].other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_expand), cmocka_unit_test(test_fields),
					   cmocka_unit_test(test_meetings)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
