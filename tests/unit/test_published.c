#include "config.h"

#include "spool/published.h"

#include <errno.h>

#include "base/clock.h"
#include "unit.h"

#define MINUTE (60 * CLOCK_SECOND)

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

static void whole_or_as_it_was(void **state)
{
	(void)state;
	struct buf b = {0};
	int64_t written_at = 0, before = clock_now() - CLOCK_SECOND;
	assert_int_equal(snapshot_read(t.folder, SNAPSHOT_PAGE, &b, &written_at), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(snapshot_write(&t.spool, SNAPSHOT_PAGE, UNIT_SPAN("<p>one")), 0);
	/* A deliverer was killed in the middle of it. */
	unit_write(unit_path(t.folder, "status/.page.html"), "<p>ha", 5);
	assert_int_equal(snapshot_read(t.folder, SNAPSHOT_PAGE, &b, &written_at), 0);
	assert_true(unit_same((struct span){b.data, b.len}, "<p>one"));
	assert_true(written_at >= before && written_at <= clock_now());
	assert_int_equal(snapshot_write(&t.spool, SNAPSHOT_PAGE, UNIT_SPAN("<p>two")), 0);
	assert_int_equal(snapshot_read(t.folder, SNAPSHOT_PAGE, &b, &written_at), 0);
	assert_true(unit_same((struct span){b.data, b.len}, "<p>one<p>two"));
	assert_int_equal(unit_mode(unit_path(t.folder, "status")), 0700);
	assert_int_equal(unit_mode(unit_path(t.folder, "status/page.html")), 0600);
	/* Nothing through a link. */
	assert_int_equal(rename(unit_path(t.folder, "status/page.html"), unit_path(t.folder, "other")), 0);
	assert_int_equal(symlink("../other", unit_path(t.folder, "status/page.html")), 0);
	assert_int_equal(snapshot_read(t.folder, SNAPSHOT_PAGE, &b, &written_at), -1);
	buf_fini(&b);
}

static void the_word_of_the_forms_stays(void **state)
{
	(void)state;
	char one[SNAPSHOT_FORM_SIZE], two[SNAPSHOT_FORM_SIZE];
	assert_int_equal(snapshot_form(&t.spool, one), 0);
	assert_int_equal(strlen(one), 32);
	assert_int_equal(snapshot_form(&t.spool, two), 0);
	assert_string_equal(one, two);
	assert_int_equal(unlink(unit_path(t.folder, "status/form")), 0);
	assert_int_equal(snapshot_form(&t.spool, two), 0);
	assert_string_not_equal(one, two);
}

static void health_lines(void **state)
{
	(void)state;
	static const struct snapshot_health rows[] = {
		{true, 1790000000000000, 0}, {false, 1790000000000000, 1}, {true, 0, INT64_MAX}};
	static const char *const wrong[] = {"",         "ok",           "ok 1",          "ok 1 2 3\n",
					    "ok x 2\n", "ok 1 2\nmore", "nonsense 1 2\n"};
	struct snapshot_health health;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		assert_int_equal(snapshot_health_write(&t.spool, &rows[i]), 0);
		assert_int_equal(snapshot_health_read(t.folder, &health), 0);
		assert_true(health.ok == rows[i].ok && health.at == rows[i].at && health.late_at == rows[i].late_at);
	}
	for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
		assert_int_equal(snapshot_write(&t.spool, SNAPSHOT_HEALTH, unit_span(wrong[i])), 0);
		unit_check(snapshot_health_read(t.folder, &health) == -1 && errno == EBADMSG, "%s", wrong[i]);
	}
}

/* Segments, by the minutes of their stamp and of their last line from when the deliverer looked. */
static const struct {
	struct {
		int stamp, written;
		bool empty;
	} segments[3];
	int since; /* minutes, 99: nothing waits */
} waits[] = {
	{{{-5, -2, false}}, 99},
	{{{-5, 0, false}}, 99},
	{{{3, 4, false}}, 3},
	{{{3, 4, true}}, 99},
	{{{-5, 30, false}}, 1},
	{{{7, 8, false}, {3, 4, false}, {-5, -4, false}}, 3},
	{{{7, 8, false}, {3, 4, false}, {-5, 20, false}}, 1},
};

static void put_segment(int64_t at, int stamp, int written, bool empty)
{
	char text[CLOCK_STAMP_SIZE], name[96];
	int64_t end = at + written * MINUTE;
	clock_stamp(at + stamp * MINUTE, text);
	snprintf(name, sizeof name, "journal/%s-1-00000000.jsonl", text);
	unit_write(unit_path(t.folder, name), "{}\n", empty ? 0 : 3);
	struct timespec times[2] = {{end / CLOCK_SECOND, end % CLOCK_SECOND * 1000},
				    {end / CLOCK_SECOND, end % CLOCK_SECOND * 1000}};
	assert_int_equal(utimensat(AT_FDCWD, unit_path(t.folder, name), times, 0), 0);
}

static void what_came_since(void **state)
{
	(void)state;
	const int64_t at = INT64_C(1790000000000000);
	for (size_t i = 0; i < UNIT_COUNT(waits); i++) {
		int64_t since = at + waits[i].since * MINUTE;
		teardown(NULL);
		setup(NULL);
		for (size_t k = 0; k < UNIT_COUNT(waits[i].segments) && waits[i].segments[k].stamp != 0; k++)
			put_segment(at, waits[i].segments[k].stamp, waits[i].segments[k].written,
				    waits[i].segments[k].empty);
		if (waits[i].since == 99) {
			assert_int_equal(snapshot_is_waiting(t.folder, at, INT64_MAX), 0);
			continue;
		}
		/* A gap of a minute and a little between two events is one at most. */
		unit_check(snapshot_is_waiting(t.folder, at, since) == 0, "row %zu", i);
		unit_check(snapshot_is_waiting(t.folder, at, since + 3 * CLOCK_SECOND) == 1, "row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_or_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(the_word_of_the_forms_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(health_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(what_came_since, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
