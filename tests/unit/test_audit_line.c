#include "config.h"

#include "spool/audit_line.h"

#include "base/clock.h"
#include "unit.h"

#define ID   "0123456789abcdef0123456789abcdef"
#define HEAD "{\"at\":\""

static void parses(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		bool good;
	} rows[] = {
		{"", false},
		{"\0\0", false},
		{"{\"at\":\"x\",\"what\":\"request\"", false},
		{"{\"what\":\"request\"}", false},
		{"{\"at\":\"x\"}", false},
		{"[]", false},
		{"{\"at\":\"x\",\"what\":\"request\"}", true},
		{"{\"at\":\"x\",\"what\":\"something new\",\"more\":{}}", true},
	};
	struct trail_line line;
	struct buf text = {0};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++)
		unit_check(trail_parse(unit_span(rows[i].line), &line) == rows[i].good, "%s", rows[i].line);
	assert_true(trail_parse(UNIT_SPAN("{\"at\":\"x\",\"what\":\"request\",\"status\":401,\"reason\":\"a\\u0062\","
					  "\"endpoint\":null,\"records\":-1,\"bytes\":99999999999999999999}"),
				&line));
	assert_int_equal(trail_number(&line, TRAIL_STATUS), 401);
	assert_int_equal(trail_number(&line, TRAIL_RECORDS), 0);
	assert_int_equal(trail_number(&line, TRAIL_BYTES), 0);
	assert_int_equal(trail_number(&line, TRAIL_ATTEMPT), 0);
	assert_null(line.members[TRAIL_ENDPOINT].ptr);
	assert_int_equal(trail_text(&line, TRAIL_REASON, &text), 0);
	assert_int_equal(trail_text(&line, TRAIL_ENDPOINT, &text), 0);
	assert_int_equal(trail_text(&line, TRAIL_STATUS, &text), 0);
	assert_string_equal(buf_cstr(&text), "ab");
	buf_fini(&text);
}

static void tells_of_deliveries(void **state)
{
	(void)state;
	static const struct {
		struct audit_delivery delivery;
		const char *line; /* behind its time */
	} rows[] = {
		{{"delivery", "crm", ID, 1, "done", NULL},
		 "\",\"what\":\"delivery\",\"target\":\"crm\",\"event_id\":\"" ID
		 "\",\"attempt\":1,\"result\":\"done\"}\n"},
		{{"delivery", "crm", ID, 12, "retry", "exit 1: \"no\"\n"},
		 "\",\"what\":\"delivery\",\"target\":\"crm\",\"event_id\":\"" ID
		 "\",\"attempt\":12,\"result\":\"retry\",\"detail\":\"exit 1: \\\"no\\\"\\n\"}\n"},
		{{"operator", "crm", NULL, 0, "replayed", "3 events"},
		 "\",\"what\":\"operator\",\"target\":\"crm\",\"event_id\":null,\"result\":\"replayed\",\"detail\":\"3 "
		 "events\"}\n"},
	};
	struct buf out = {0};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		out.len = 0;
		assert_int_equal(audit_tell(&out, &rows[i].delivery), 0);
		size_t at = strlen(HEAD) + strlen("2026-11-23T09:00:00.123456Z");
		assert_true(out.len > at);
		assert_memory_equal(out.data, HEAD, strlen(HEAD));
		unit_check(unit_same((struct span){out.data + at, out.len - at}, rows[i].line), "row %zu", i);
	}
	buf_fini(&out);
}

/* As the writers begin their lines, and as nobody does. */
static void kinds(void **state)
{
	(void)state;
	static const struct {
		const char *what; /* behind the time */
		enum audit_kind kind;
	} rows[] = {
		{"\",\"what\":\"request\",\"status\":401,\"reason\":\"x\"}", AUDIT_REFUSED},
		{"\",\"what\":\"request\",\"status\":200,\"reason\":\"x\"}", AUDIT_OTHER},
		{"\",\"what\":\"request\",\"status\":", AUDIT_OTHER},
		{"\",\"what\":\"delivery\",\"status\":401}", AUDIT_OTHER},
		{"\",\"what\":\"configuration\",\"by\":\"receiver\"}", AUDIT_CONF},
		{"", AUDIT_OTHER},
	};
	struct buf out = {0};
	int64_t at;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		out.len = 0;
		assert_true(buf_printf(&out, HEAD "2026-11-23T09:00:00.123456Z%s", rows[i].what) == 0);
		unit_check(audit_kind((struct span){out.data, out.len}, &at) == rows[i].kind, "%s", rows[i].what);
		unit_check(rows[i].kind == AUDIT_OTHER || at == INT64_C(1795424400123456), "%s", rows[i].what);
	}
	assert_int_equal(
		audit_kind(UNIT_SPAN(HEAD "2026-11-23 09:00:00.123456Z\",\"what\":\"configuration\",\"by\":"), &at),
		AUDIT_CONF);
	assert_int_equal(at, 0);
	out.len = 0;
	assert_int_equal(audit_tell_request(&out, &(struct audit_request){.status = 503, .reason = "x"}), 0);
	assert_int_equal(audit_kind((struct span){out.data, out.len}, &at), AUDIT_REFUSED);
	out.len = 0;
	assert_int_equal(audit_tell_conf(&out, &(struct audit_conf){"receiver", "taken", NULL}), 0);
	assert_int_equal(audit_kind((struct span){out.data, out.len}, &at), AUDIT_CONF);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(tells_of_deliveries),
		cmocka_unit_test(kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
