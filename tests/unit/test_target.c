#include "config.h"

#include "target/target.h"

#include <errno.h>

#include "unit.h"

#define NINTH_HOUR INT64_C(1795424400123456) /* 2026-11-23T09:00:00.123456Z */

static struct event an_event(void)
{
	return unit_event(NINTH_HOUR, "\"n\"", "[{}]", 1);
}

static const struct {
	const char *conditions[3]; /* field, '=', glob */
	int matches;
} matching[] = {
	{{NULL}, 1},
	{{"object_type=crm_*"}, 1},
	{{"object_type=crm_contact"}, 1},
	{{"object_type=crm"}, 0},
	{{"object_type=*contac?"}, 1},
	{{"object_type=[ch]*"}, 1},
	{{"object_type=CRM_*"}, 0},
	{{"event=updated", "object_type=crm_*"}, 1},
	{{"event=created", "object_type=crm_*"}, 0},
	{{"object_type=crm_*", "event=created"}, 0},
	{{"type=VIRTUAL", "connection_id=c1", "endpoint=/webhook"}, 1},
	{{"endpoint=/*"}, 1},
	{{"endpoint=/other"}, 0},
	{{"environment="}, 1},
	{{"environment=*"}, 1},
	{{"environment=?*"}, 0},
	{{"external_xref=a\"b\\\\\xc3\xab"}, 1},
	{{"workspace_id=a*"}, 0}, /* "a\u0000b": the glob would see "a" */
	{{"workspace_id=*"}, 0},
};

static void matches_conditions(void **state)
{
	(void)state;
	struct event event = an_event();
	struct buf scratch = {0};
	event.fields[EVENT_EXTERNAL_XREF] = UNIT_SPAN("\"a\\\"b\\\\\\u00eb\"");
	event.fields[EVENT_WORKSPACE_ID] = UNIT_SPAN("\"a\\u0000b\"");
	for (size_t i = 0; i < UNIT_COUNT(matching); i++) {
		struct conf_match matches[3];
		struct conf_target target = {.matches = matches};
		char fields[3][32];
		for (size_t k = 0; k < 3 && matching[i].conditions[k] != NULL; k++) {
			const char *equals = strchr(matching[i].conditions[k], '=');
			snprintf(fields[k], sizeof fields[k], "%.*s", (int)(equals - matching[i].conditions[k]),
				 matching[i].conditions[k]);
			matches[target.match_count++] = (struct conf_match){fields[k], equals + 1};
		}
		unit_check(target_matches(&target, &event, &scratch) == matching[i].matches, "row %zu, %s", i,
			   matching[i].conditions[0]);
	}
	buf_fini(&scratch);
}

static const struct {
	const char *name, *value; /* NULL: no such field */
} values[] = {
	{"type", "VIRTUAL"},
	{"event", "updated"},
	{"object_type", "crm_contact"},
	{"connection_id", "c1"},
	{"endpoint", "/webhook"},
	{"webhook_id", ""},
	{"external_xref", "Zo\xc3\xab"},
	{"date", "2026-11-23"},
	{"hour", "09"},
	{"nonce", NULL},
	{"", NULL},
};

static void has_values(void **state)
{
	(void)state;
	struct event event = an_event();
	event.fields[EVENT_EXTERNAL_XREF] = UNIT_SPAN("\"Zo\\u00eb\"");
	for (size_t i = 0; i < UNIT_COUNT(values); i++) {
		struct buf out = {0};
		int result = target_value(&event, values[i].name, &out);
		unit_check(result == (values[i].value == NULL ? -1 : 0), "%s", values[i].name);
		unit_check(values[i].value == NULL ? errno == EINVAL : strcmp(buf_cstr(&out), values[i].value) == 0,
			   "%s", values[i].name);
		buf_fini(&out);
	}
}

/* Days end where UTC's do. */
static void dates_are_utc(void **state)
{
	(void)state;
	struct buf out = {0};
	struct event event = unit_event(INT64_C(1795478399999999), "\"n\"", "[]", 0);
	assert_int_equal(setenv("TZ", "Pacific/Auckland", 1), 0);
	assert_int_equal(target_value(&event, "date", &out), 0);
	assert_int_equal(target_value(&event, "hour", &out), 0);
	event.received_at++;
	assert_int_equal(target_value(&event, "date", &out), 0);
	assert_int_equal(target_value(&event, "hour", &out), 0);
	assert_string_equal(buf_cstr(&out), "2026-11-2323"
					    "2026-11-2400");
	unsetenv("TZ");
	buf_fini(&out);
}

static const struct {
	const char *connection, *object_type; /* tokens */
	bool same;                            /* as "c1" and "crm_contact" */
} lanes[] = {
	{"\"c1\"", "\"crm_contact\"", true},
	{"\"c\\u0031\"", "\"crm_contact\"", true},
	{"\"c2\"", "\"crm_contact\"", false},
	{"\"c1\"", "\"crm_deal\"", false},
	{"\"c1c\"", "\"rm_contact\"", false},
	{"\"c\"", "\"1crm_contact\"", false},
	{NULL, "\"crm_contact\"", false},
	{"\"c1\"", NULL, false},
	{NULL, NULL, false},
};

static void a_lane_is_connection_and_object_type(void **state)
{
	(void)state;
	struct event event = an_event();
	struct buf scratch = {0};
	int64_t reference, lane;
	assert_int_equal(target_lane(&event, &scratch, &reference), 0);
	for (size_t i = 0; i < UNIT_COUNT(lanes); i++) {
		event.fields[EVENT_CONNECTION_ID] = unit_span(lanes[i].connection);
		event.fields[EVENT_OBJECT_TYPE] = unit_span(lanes[i].object_type);
		event.received_at++;
		assert_int_equal(target_lane(&event, &scratch, &lane), 0);
		unit_check((lane == reference) == lanes[i].same, "row %zu", i);
	}
	buf_fini(&scratch);
}

static const struct {
	const char *file, *object_type, *path;
	size_t fixed;
} paths[] = {
	{"/srv/out.jsonl", "\"x\"", "/srv/out.jsonl", 5},
	{"/srv/%{object_type}/%{date}.jsonl", "\"crm_contact\"", "/srv/crm_contact/2026-11-23.jsonl", 5},
	{"/srv/a/b-%{object_type}", "\"x\"", "/srv/a/b-x", 7},
	{"/srv/%{object_type}", "\"../../etc/passwd\"", "/srv/%2E.%2F..%2Fetc%2Fpasswd", 5},
	{"/srv/%{object_type}/x", "\"..\"", "/srv/%2E./x", 5},
	{"/srv/%{object_type}/x", "\"\"", "/srv/_/x", 5},
	{"/srv/%{object_type}/x", NULL, "/srv/_/x", 5},
	{"/srv/%{object_type}/x", "\"a\\u0000b\"", "/srv/a%00b/x", 5},
	{"/srv/%{endpoint}/%{hour}", "\"x\"", "/srv/%2Fwebhook/09", 5},
	{"/srv/%{object_type}/x", "\"$(id) `;\\n\"", "/srv/%24%28id%29%20%60%3B%0A/x", 5},
	{"/srv/%{object_type}/x", "\"%{date}\"", "/srv/%25%7Bdate%7D/x", 5},
};

static void makes_paths(void **state)
{
	(void)state;
	struct event event = an_event();
	for (size_t i = 0; i < UNIT_COUNT(paths); i++) {
		struct buf out = {0};
		const struct conf_target target = {.file = paths[i].file};
		event.fields[EVENT_OBJECT_TYPE] = unit_span(paths[i].object_type);
		assert_int_equal(target_path(&target, &event, &out), 0);
		unit_check(strcmp(buf_cstr(&out), paths[i].path) == 0, "%s: %s", paths[i].file, out.data);
		unit_check(target_fixed(&target) == paths[i].fixed, "%s", paths[i].file);
		buf_fini(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_conditions), cmocka_unit_test(has_values),
		cmocka_unit_test(dates_are_utc),      cmocka_unit_test(a_lane_is_connection_and_object_type),
		cmocka_unit_test(makes_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
