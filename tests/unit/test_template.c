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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_expand), cmocka_unit_test(test_fields)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
