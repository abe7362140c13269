#include "config.h"

#include "spool/search.h"

#include <errno.h>
#include <sys/time.h>

#include "base/clock.h"
#include "spool/segment.h"
#include "unit.h"

#define T0     INT64_C(1790000000000000)
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

/* The event of this number, received so many minutes after T0. */
static struct event event_of(int n, char nonce[16])
{
	snprintf(nonce, 16, "\"n%d\"", n);
	return unit_event(T0 + n * MINUTE, nonce, "[{}]", 1);
}

static const char *id_of(int n)
{
	static char ids[4][EVENT_ID_SIZE];
	char nonce[16];
	struct event event = event_of(n, nonce);
	memcpy(ids[n % 4], event.id, EVENT_ID_SIZE);
	return ids[n % 4];
}

static const char *segment_of(int n)
{
	static char names[4][64];
	char stamp[CLOCK_STAMP_SIZE];
	clock_stamp(T0 + n * MINUTE, stamp);
	snprintf(names[n % 4], sizeof names[0], "%s-1-%08x.jsonl", stamp, n);
	return names[n % 4];
}

static const char *path_of(const char *where, int segment)
{
	char name[96];
	snprintf(name, sizeof name, "%s/%s", where, segment_of(segment));
	return unit_path(t.folder, name);
}

static void put_raw(const char *where, int segment, const char *text)
{
	unit_write(path_of(where, segment), text, strlen(text));
}

static void put(const char *where, int segment, int n)
{
	char nonce[16];
	struct event event = event_of(n, nonce);
	struct buf line = {0};
	unit_line(&event, &line);
	unit_write(path_of(where, segment), line.data, line.len);
	buf_fini(&line);
}

/* What was found: "j" or "a", and the minute, in order. */
struct found {
	struct buf text;
	int stop_at; /* ends the search with this value at that many */
	int count;
	uint64_t done, total;
};

static int note(void *arg, const struct history_line *line)
{
	struct found *f = arg;
	struct buf again = {0};
	assert_true(line->raw.ptr[line->raw.len] == '\n');
	/* It stands where it is said to. */
	char name[96];
	snprintf(name, sizeof name, "%s/%s", line->archived ? "archive" : "journal", line->segment);
	if (!line->archived && access(unit_path(t.folder, name), F_OK) < 0)
		snprintf(name, sizeof name, "journal/.%s", line->segment);
	again = unit_read(unit_path(t.folder, name));
	assert_memory_equal(again.data + line->offset, line->raw.ptr, line->raw.len);
	buf_fini(&again);
	buf_printf(&f->text, "%s%d ", line->archived ? "a" : "j", (int)((line->event.received_at - T0) / MINUTE));
	return ++f->count == f->stop_at ? 7 : 0;
}

static void progress(void *arg, uint64_t done, uint64_t total)
{
	struct found *f = arg;
	assert_true(done >= f->done);
	f->done = done;
	f->total = total;
}

static void check(const struct history_query *query, int stop_at, int result, const char *found)
{
	struct found f = {.stop_at = stop_at};
	struct history_query q = *query;
	q.progress = progress;
	unit_check(history_search(&t.spool, &q, note, &f) == result, "%s", found);
	assert_non_null(buf_cstr(&f.text));
	unit_check(strcmp(f.text.data, found) == 0, "%s, not %s", f.text.data, found);
	if (result == 0)
		assert_int_equal(f.done, f.total);
	buf_fini(&f.text);
}

static void finds(void **state)
{
	(void)state;
	put("journal", 5, 5);
	put("journal", 5, 6);
	put("journal", 7, 7);
	put("archive", 1, 1);
	put("archive", 2, 2);
	put("archive", 2, 5);
	check(&(struct history_query){0}, 0, 0, "j5 j6 j7 a1 a2 a5 ");
	check(&(struct history_query){0}, 2, 7, "j5 j6 ");
	check(&(struct history_query){.since = T0 + 5 * MINUTE}, 0, 0, "j5 j6 j7 a5 ");
	check(&(struct history_query){.since = T0 + 5 * MINUTE + 1}, 0, 0, "j6 j7 ");
	check(&(struct history_query){.id = id_of(5)}, 0, 0, "j5 a5 ");
	check(&(struct history_query){.id = id_of(5)}, 1, 7, "j5 ");
	check(&(struct history_query){.id = id_of(2), .since = T0 + 3 * MINUTE}, 0, 0, "");
	check(&(struct history_query){.id = id_of(9)}, 0, 0, "");
}

static void passes_over_what_is_no_line(void **state)
{
	(void)state;
	char nonce[16];
	struct buf line = {0};
	put("journal", 1, 1);
	put_raw("journal", 1, "damaged\n\n{\"v\":2}\n");
	struct event event = event_of(2, nonce);
	unit_line(&event, &line);
	line.data[line.len - 10] ^= 1;
	unit_write(path_of("journal", 1), line.data, line.len);
	put("journal", 1, 3);
	put_raw("journal", 1, "{\"v\":1,\"received_at\":\"torn");
	unit_write(unit_path(t.folder, "journal/notes.txt"), "x\n", 2);
	assert_int_equal(mkdir(path_of("journal", 2), 0700), 0);
	check(&(struct history_query){0}, 0, 0, "j1 j3 ");
	buf_fini(&line);
}

/* A file that was last written long before the time is not opened. */
static void passes_over_old_files(void **state)
{
	(void)state;
	put("archive", 1, 10);
	put("archive", 2, 20);
	const struct timeval old[2] = {{.tv_sec = T0 / CLOCK_SECOND - 7200}, {.tv_sec = T0 / CLOCK_SECOND - 7200}},
			     recent[2] = {{.tv_sec = T0 / CLOCK_SECOND - 1800}, {.tv_sec = T0 / CLOCK_SECOND - 1800}};
	assert_int_equal(utimes(path_of("archive", 1), old), 0);
	assert_int_equal(utimes(path_of("archive", 2), recent), 0);
	check(&(struct history_query){.since = T0}, 0, 0, "a20 ");
	check(&(struct history_query){0}, 0, 0, "a10 a20 ");
}

/* One that is being put away has a dot before its name; in the archive that is a copy that is not whole. */
static void finds_what_is_being_put_away(void **state)
{
	(void)state;
	char from[4096], to[4096];
	put("journal", 1, 1);
	put("journal", 2, 2);
	put("archive", 3, 3);
	for (int n = 1; n <= 3; n += 2) {
		const char *path = path_of(n == 1 ? "journal" : "archive", n), *name = strrchr(path, '/') + 1;
		snprintf(from, sizeof from, "%s", path);
		snprintf(to, sizeof to, "%.*s.%s", (int)(name - path), path, name);
		assert_int_equal(rename(from, to), 0);
	}
	check(&(struct history_query){0}, 0, 0, "j1 j2 ");
}

/* Longer than what is read at a time, and many short ones. */
static void lines_of_any_length(void **state)
{
	(void)state;
	struct buf data = {0}, line = {0};
	char nonce[16];
	assert_int_equal(buf_str(&data, "[\""), 0);
	for (int i = 0; i < 5 << 20; i++)
		buf_char(&data, 'x');
	assert_int_equal(buf_str(&data, "\"]"), 0);
	put("journal", 1, 1);
	struct event event = event_of(2, nonce);
	event.data = (struct span){data.data, data.len};
	event_identify(&event, UNIT_SPAN("n2"));
	unit_line(&event, &line);
	unit_write(path_of("journal", 1), line.data, line.len);
	put("journal", 1, 3);
	check(&(struct history_query){0}, 0, 0, "j1 j2 j3 ");
	buf_fini(&data);
	buf_fini(&line);
}

/* Glances */

struct glimpses {
	struct buf text;
	uint64_t from;
};

static uint64_t from_of(void *arg, const char *segment)
{
	const struct glimpses *g = arg;
	return strcmp(segment, segment_of(1)) == 0 ? g->from : strcmp(segment, segment_of(2)) == 0 ? UINT64_MAX : 0;
}

static int note_glance(void *arg, const struct history_glance *line)
{
	struct glimpses *g = arg;
	buf_printf(&g->text, "%d %.*s %.*s|", (int)((line->received_at - T0) / MINUTE), (int)line->endpoint.len,
		   line->endpoint.ptr, (int)line->connection.len,
		   line->connection.ptr == NULL ? "" : line->connection.ptr);
	return 0;
}

static void check_glances(uint64_t from, const char *seen)
{
	struct glimpses g = {.from = from};
	assert_int_equal(history_look(&t.spool, from_of, note_glance, &g), 0);
	assert_non_null(buf_cstr(&g.text));
	unit_check(strcmp(g.text.data, seen) == 0, "%s", g.text.data);
	buf_fini(&g.text);
}

static void glances(void **state)
{
	(void)state;
	char nonce[16];
	struct stat st;
	struct buf line = {0};
	put("journal", 1, 1);
	assert_int_equal(stat(path_of("journal", 1), &st), 0);
	struct event event = event_of(2, nonce);
	/* Keys in a sender's strings are no keys. */
	event.fields[EVENT_TYPE] = UNIT_SPAN("\",\\\"connection_id\\\":\\\"no\\\"\"");
	event.fields[EVENT_CONNECTION_ID] = UNIT_SPAN("\"c\\\"2\"");
	unit_line(&event, &line);
	event = event_of(3, nonce);
	event.fields[EVENT_CONNECTION_ID] = (struct span){NULL, 0};
	unit_line(&event, &line);
	unit_write(path_of("journal", 1), line.data, line.len);
	put_raw("journal", 1, "damaged\n{\"v\":1,\"received_at\":\"torn");
	put("journal", 2, 2);
	put("journal", 3, 9);
	put("archive", 3, 9);
	check_glances(0, "1 /webhook \"c1\"|2 /webhook \"c\\\"2\"|3 /webhook |9 /webhook \"c1\"|");
	check_glances((uint64_t)st.st_size, "2 /webhook \"c\\\"2\"|3 /webhook |9 /webhook \"c1\"|");
	check_glances(UINT64_MAX, "9 /webhook \"c1\"|");
	check_glances(1 << 30, "9 /webhook \"c1\"|");
	buf_fini(&line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds, setup, teardown),
		cmocka_unit_test_setup_teardown(passes_over_what_is_no_line, setup, teardown),
		cmocka_unit_test_setup_teardown(passes_over_old_files, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_what_is_being_put_away, setup, teardown),
		cmocka_unit_test_setup_teardown(lines_of_any_length, setup, teardown),
		cmocka_unit_test_setup_teardown(glances, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
