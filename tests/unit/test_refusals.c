#include "config.h"

#include "stats/refusals.h"

#include <errno.h>

#include "base/clock.h"
#include "spool/audit_line.h"
#include "spool/audit_write.h"
#include "spool/open.h"
#include "state/counts.h"
#include "state/state.h"
#include "unit.h"

#define T0 INT64_C(1790000000000000)

static struct {
	char *folder;
	struct conf conf;
	struct spool spool;
	struct state *state;
	struct buf told; /* what there is, a line for each count */
	int lines;
} t;

static int setup(void **state)
{
	(void)state;
	bool fresh;
	t.folder = unit_folder();
	t.conf = unit_conf(t.folder);
	assert_int_equal(spool_open(&t.spool, &t.conf, SPOOL_DELIVER), 0);
	t.state = state_open(&t.spool, STATE_DELIVER, &fresh);
	assert_non_null(t.state);
	assert_int_equal(state_commit(t.state), 0);
	t.lines = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	state_close(t.state);
	spool_close(&t.spool);
	buf_fini(&t.told);
	unit_remove(t.folder);
	return 0;
}

/* A line of the trail, as the receiver writes them; tokens as they stand. */
static void put(const char *status, const char *reason, const char *endpoint, const char *connection)
{
	struct buf b = {0};
	char at[CLOCK_TEXT_SIZE];
	clock_text(T0 + t.lines++, at);
	assert_int_equal(
		buf_printf(&b,
			   "{\"at\":\"%s\",\"what\":\"request\",\"status\":%s,\"reason\":%s,\"endpoint\":%s,"
			   "\"event_id\":null,\"connection_id\":%s,\"object_type\":null,\"records\":0,\"bytes\":9,"
			   "\"remote\":null}\n",
			   at, status, reason, endpoint, connection),
		0);
	unit_write(unit_path(t.folder, "audit/audit.jsonl"), b.data, b.len);
	buf_fini(&b);
}

static void put_wrong(void)
{
	put("401", "\"signature wrong\"", "\"/webhook\"", "\"c1\"");
}

static void rotate(void)
{
	assert_int_equal(rename(unit_path(t.folder, "audit/audit.jsonl"), unit_path(t.folder, "audit/audit.jsonl.1")),
			 0);
}

static int note(void *arg, const struct state_refusal *r)
{
	(void)arg;
	return buf_printf(&t.told, "%.*s %.*s %.*s %u %llu@%d\n", (int)r->endpoint.len, r->endpoint.ptr,
			  (int)r->connection.len, r->connection.ptr, (int)r->reason.len, r->reason.ptr, r->status,
			  (unsigned long long)r->count, (int)(r->last_at - T0));
}

static int note_conf(void *arg, const struct state_conf *c)
{
	(void)arg;
	return buf_printf(&t.told, "%.*s: %.*s\n", (int)c->by.len, c->by.ptr, (int)c->why.len,
			  c->why.ptr == NULL ? "" : c->why.ptr);
}

static const char *stored(void)
{
	t.told.len = 0;
	assert_int_equal(state_refusals(t.state, note, NULL), 0);
	return buf_cstr(&t.told);
}

static const char *unstored(void)
{
	t.told.len = 0;
	assert_int_equal(tally_read(t.state, &t.spool, note, note_conf, NULL), 0);
	return buf_cstr(&t.told);
}

static void put_conf(const char *by, const char *result, const char *detail)
{
	struct buf b = {0};
	assert_int_equal(audit_tell_conf(&b, &(struct audit_conf){by, result, detail}), 0);
	unit_write(unit_path(t.folder, "audit/audit.jsonl"), b.data, b.len);
	buf_fini(&b);
}

static const char *confs(void)
{
	t.told.len = 0;
	assert_int_equal(state_confs(t.state, note_conf, NULL), 0);
	return buf_cstr(&t.told);
}

static uint64_t untold(void)
{
	uint64_t n;
	assert_int_equal(state_count(t.state, STATE_UNTOLD, &n), 0);
	return n;
}

static void counts_what_was_refused(void **state)
{
	(void)state;
	assert_int_equal(tally_fold(t.state, &t.spool), 0);
	assert_string_equal(unstored(), "");
	put_wrong();
	put("200", "\"accepted\"", "\"/webhook\"", "\"c1\"");
	put("404", "\"unknown path\"", "null", "null");
	put("503", "\"disk below its reserve\"", "\"/webhook\"", "\"c 2\"");
	put_wrong();
	unit_write(unit_path(t.folder, "audit/audit.jsonl"), "no line\n\n", 9);
	const char *delivery =
		"{\"at\":\"2026-11-24T09:00:00.000000Z\",\"what\":\"delivery\",\"target\":\"x\",\"event_id\":"
		"\"0123456789abcdef0123456789abcdef\",\"attempt\":1,\"result\":\"done\"}\n";
	unit_write(unit_path(t.folder, "audit/audit.jsonl"), delivery, strlen(delivery));
	assert_string_equal(unstored(), "/webhook c1 signature wrong 401 2@4\n"
					"  unknown path 404 1@2\n"
					"/webhook c%202 disk below its reserve 503 1@3\n");
	assert_string_equal(stored(), "");
	assert_int_equal(tally_fold(t.state, &t.spool), 0);
	/* Nobody was accepted as c1 yet: it is not a connection. */
	assert_string_equal(stored(), "  unknown path 404 1@2\n"
				      "/webhook  disk below its reserve 503 1@3\n"
				      "/webhook  signature wrong 401 2@4\n");
	assert_string_equal(unstored(), "");
	assert_int_equal(tally_fold(t.state, &t.spool), 0);

	/* From now on it is. */
	assert_int_equal(state_connection_put(t.state, UNIT_SPAN("/webhook"), UNIT_SPAN("c1"), 1, T0), 0);
	put_wrong();
	assert_string_equal(unstored(), "/webhook c1 signature wrong 401 1@5\n");
	assert_int_equal(tally_fold(t.state, &t.spool), 0);
	put_wrong();
	assert_int_equal(tally_fold(t.state, &t.spool), 0);
	assert_string_equal(stored(), "  unknown path 404 1@2\n"
				      "/webhook  disk below its reserve 503 1@3\n"
				      "/webhook  signature wrong 401 2@4\n"
				      "/webhook c1 signature wrong 401 2@6\n");
	assert_int_equal(untold(), 0);
}

/* The sum, whatever the moments at which it is folded and rotated; each step is one letter. */
static void rotation(void **state)
{
	(void)state;
	static const struct {
		const char *steps; /* p: put, f: fold, r: rotate */
		int count;
		int untold;
	} rows[] = {
		{"ppf", 2, 0},
		{"pfrpf", 2, 0},
		{"pfprpf", 3, 0},
		{"pprppf", 4, 0},
		{"pfrfpf", 2, 0},
		{"pfrpfrpfrpf", 4, 0},
		{"pfprpfprpfprpf", 7, 0},
		/* lost: what was written before a second rotation */
		{"pfprprpf", 3, 1},
		{"pprprpf", 2, 0}, /* by one that did not know that there was anything */
		{"pfprprprpf", 3, 1},
		{"pfprprpffprpf", 5, 1},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		char text[64];
		teardown(NULL);
		setup(NULL);
		for (const char *s = rows[i].steps; *s != '\0'; s++)
			if (*s == 'p')
				put_wrong();
			else if (*s == 'r')
				rotate();
			else
				assert_int_equal(tally_fold(t.state, &t.spool), 0);
		snprintf(text, sizeof text, "/webhook  signature wrong 401 %d@%d\n", rows[i].count, t.lines - 1);
		unit_check(strcmp(stored(), text) == 0, "%s: %s", rows[i].steps, t.told.data);
		unit_check((int)untold() == rows[i].untold, "%s", rows[i].steps);
		assert_string_equal(unstored(), "");
	}
}

static void much_at_a_time(void **state)
{
	(void)state;
	struct buf b = {0};
	char at[CLOCK_TEXT_SIZE], text[64];
	int rounds = 0;
	enum { LINES = 200000 };
	clock_text(T0, at);
	for (int i = 0; i < LINES; i++)
		assert_int_equal(buf_printf(&b,
					    "{\"at\":\"%s\",\"what\":\"request\",\"status\":404,\"reason\":\"unknown "
					    "path\",\"endpoint\":null,\"connection_id\":null}\n",
					    at),
				 0);
	unit_write(unit_path(t.folder, "audit/audit.jsonl"), b.data, b.len);
	buf_fini(&b);
	int more;
	while ((more = tally_fold(t.state, &t.spool)) == 1)
		rounds++;
	assert_int_equal(more, 0);
	assert_true(rounds >= 2 && rounds < 10);
	snprintf(text, sizeof text, "  unknown path 404 %d@0\n", LINES);
	assert_string_equal(stored(), text);
}

/* Without a state: a command that comes before the first deliverer. */
static void without_a_state(void **state)
{
	(void)state;
	put_wrong();
	rotate();
	put_wrong();
	t.told.len = 0;
	assert_int_equal(tally_read(NULL, &t.spool, note, note_conf, NULL), 0);
	assert_string_equal(buf_cstr(&t.told), "/webhook c1 signature wrong 401 2@1\n");
}

/* Of each kind of process the last line holds, whatever stands between; other kinds are nobody's. */
static void keeps_the_last_word_on_the_configuration(void **state)
{
	(void)state;
	put_conf("receiver", "taken", "at the start");
	put_conf("receiver", "refused", "conf:3: no \"x\"");
	put_conf("deliverer", "taken", NULL);
	put_conf("stranger", "refused", "anything");
	put_wrong();
	assert_string_equal(unstored(),
			    "/webhook c1 signature wrong 401 1@0\nreceiver: conf:3: no \"x\"\ndeliverer: \n");
	assert_int_equal(tally_fold(t.state, &t.spool), 0);
	assert_string_equal(confs(), "deliverer: \nreceiver: conf:3: no \"x\"\n");
	put_conf("receiver", "taken", NULL);
	assert_int_equal(tally_fold(t.state, &t.spool), 0);
	assert_string_equal(confs(), "deliverer: \nreceiver: \n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keeps_the_last_word_on_the_configuration, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_what_was_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(much_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_state, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
