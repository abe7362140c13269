#include "config.h"

#include "spool/audit_read.h"

#include "spool/audit_write.h"
#include "unit.h"

static struct unit_spool t;

static int setup(void **state)
{
	(void)state;
	unit_spool_open(&t, SPOOL_DELIVER);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_spool_remove(&t);
	return 0;
}

/* A line as long as real ones, which tells its number. */
static const char *line_of(int n)
{
	static char line[128];
	snprintf(line, sizeof line,
		 "{\"at\":\"2026-11-24T09:00:00.%06dZ\",\"what\":\"request\",\"status\":200,\"n\":%d}\n", n, n);
	return line;
}

static void put(const char *name, const char *text)
{
	unit_write(unit_path(t.folder, name), text, strlen(text));
}

static int number_of(struct span raw)
{
	const char *n = memmem(raw.ptr, raw.len, "\"n\":", 4);
	return n == NULL ? -1 : atoi(n + 4);
}

static void reads_whole_lines(void **state)
{
	(void)state;
	struct trail trail;
	struct span raw;
	assert_int_equal(trail_open(&trail, &t.spool, TRAIL_NEW), 0);
	put("audit/audit.jsonl", "{\"at\":");
	assert_int_equal(trail_open(&trail, &t.spool, TRAIL_NEW), 0);
	put("audit/audit.jsonl", line_of(0) + strlen("{\"at\":"));
	for (int i = 1; i < 5000; i++)
		put("audit/audit.jsonl", line_of(i));
	put("audit/audit.jsonl", "{\"at\":\"torn");
	assert_int_equal(trail_open(&trail, &t.spool, TRAIL_NEW), 1);
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(trail_next(&trail, &raw), 1);
		assert_int_equal(number_of(raw), i);
	}
	uint64_t offset = trail.offset;
	assert_int_equal(trail_next(&trail, &raw), 0);
	assert_int_equal(trail_next(&trail, &raw), 0);
	assert_int_equal(trail.offset, offset);

	/* What is written later is read later. */
	put("audit/audit.jsonl", "\",\"what\":\"x\"}\n");
	put("audit/audit.jsonl", line_of(5001));
	assert_int_equal(trail_next(&trail, &raw), 1);
	assert_true(unit_same(raw, "{\"at\":\"torn\",\"what\":\"x\"}"));
	assert_int_equal(trail_next(&trail, &raw), 1);
	assert_int_equal(number_of(raw), 5001);
	assert_int_equal(trail_next(&trail, &raw), 0);

	/* From where another one stood. */
	struct trail again;
	assert_int_equal(trail_open(&again, &t.spool, TRAIL_NEW), 1);
	assert_int_equal(again.mark, trail.mark);
	again.offset = offset;
	assert_int_equal(trail_next(&again, &raw), 1);
	assert_int_equal(trail_next(&again, &raw), 1);
	assert_int_equal(number_of(raw), 5001);
	trail_close(&again);
	trail_close(&trail);
	trail_close(&trail);
}

static void knows_a_file_by_its_mark(void **state)
{
	(void)state;
	struct trail a, b;
	put("audit/audit.jsonl", line_of(1));
	put("audit/audit.jsonl.1", line_of(2));
	assert_int_equal(trail_open(&a, &t.spool, TRAIL_NEW), 1);
	assert_int_equal(trail_open(&b, &t.spool, TRAIL_OLD), 1);
	assert_int_not_equal(a.mark, b.mark);
	assert_false(trail_is_over(&a, &t.spool));
	assert_true(trail_is_over(&b, &t.spool));
	trail_close(&b);
	assert_int_equal(rename(unit_path(t.folder, "audit/audit.jsonl"), unit_path(t.folder, "audit/audit.jsonl.1")),
			 0);
	assert_false(trail_is_over(&a, &t.spool));
	put("audit/audit.jsonl", line_of(3));
	assert_true(trail_is_over(&a, &t.spool));
	assert_int_equal(trail_open(&b, &t.spool, TRAIL_OLD), 1);
	assert_int_equal(a.mark, b.mark);
	trail_close(&a);
	trail_close(&b);
}

/* Takes lines whose number is no multiple of three. */
static int take_number(void *arg, const struct trail_line *line)
{
	char *text = arg;
	struct span at = line->members[TRAIL_AT];
	int n = atoi(at.ptr + strlen("\"2026-11-24T09:00:00."));
	if (n % 3 == 0)
		return 0;
	sprintf(text + strlen(text), "%d ", n);
	return n == 13 ? -1 : 1;
}

static void the_latest_first(void **state)
{
	(void)state;
	char text[64] = "";
	assert_int_equal(trail_latest(&t.spool, 9, take_number, text), 0);
	assert_string_equal(text, "");
	for (int i = 14; i < 18; i++)
		put("audit/audit.jsonl.1", line_of(i));
	put("audit/audit.jsonl", line_of(18));
	put("audit/audit.jsonl", "no line\n");
	put("audit/audit.jsonl", line_of(19));
	put("audit/audit.jsonl", "{\"at\":\"torn");
	assert_int_equal(trail_latest(&t.spool, 3, take_number, text), 0);
	assert_string_equal(text, "19 17 16 ");
	*text = '\0';
	assert_int_equal(trail_latest(&t.spool, 9, take_number, text), 0);
	assert_string_equal(text, "19 17 16 14 ");
	/* Of a large file the end is looked at. */
	for (int i = 1000; i < 10000; i++)
		put("audit/audit.jsonl", line_of(i));
	*text = '\0';
	assert_int_equal(trail_latest(&t.spool, 3, take_number, text), 0);
	assert_string_equal(text, "9998 9997 9995 ");
	/* An error ends it. */
	*text = '\0';
	put("audit/audit.jsonl", line_of(13));
	assert_int_equal(trail_latest(&t.spool, 3, take_number, text), -1);
}

/* What has no newline for longer than a line is would have to be held in memory as a whole. */
static void no_line_without_an_end(void **state)
{
	(void)state;
	struct trail trail;
	struct span raw;
	put("audit/audit.jsonl", line_of(1));
	assert_int_equal(truncate(unit_path(t.folder, "audit/audit.jsonl"), (off_t)1 << 40), 0);
	assert_int_equal(trail_open(&trail, &t.spool, TRAIL_NEW), 1);
	assert_int_equal(trail_next(&trail, &raw), 1);
	assert_int_equal(trail_next(&trail, &raw), 0);
	assert_true(trail.window.cap < 4 << 20);
	trail_close(&trail);
}

static void only_a_plain_file(void **state)
{
	(void)state;
	struct trail trail;
	assert_int_equal(mkfifo(unit_path(t.folder, "audit/audit.jsonl"), 0600), 0);
	assert_int_equal(trail_open(&trail, &t.spool, TRAIL_NEW), 0);
	assert_int_equal(symlink("/etc/passwd", unit_path(t.folder, "audit/audit.jsonl.1")), 0);
	assert_int_equal(trail_open(&trail, &t.spool, TRAIL_OLD), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_whole_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(knows_a_file_by_its_mark, setup, teardown),
		cmocka_unit_test_setup_teardown(the_latest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(no_line_without_an_end, setup, teardown),
		cmocka_unit_test_setup_teardown(only_a_plain_file, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
