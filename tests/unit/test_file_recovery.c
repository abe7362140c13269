#include "config.h"

#include "target/file_recovery.h"

#include <errno.h>

#include "base/text.h"
#include "journal_files.h"
#include "state/deliveries.h"
#include "state/segments.h"

#define RECORDS 4

/* Events by letter. */
enum {
	UNREAD = 'u',
	DUPLICATE = 's', /* unread, and seen: it will be dropped */
	ELSEWHERE = 'o', /* unread, for another file */
	PENDING = 'p',
	GONE = 'g', /* pending, with a line that is gone */
	PARKED = 'd',
	ALIEN = 'n', /* of another spool */
};
static const char letters[] = "usopgdn";

static struct unit_targets t;
static struct unit_written events[128];
static char *path;
static int fd;

static int park(void *arg, const struct state_row *row)
{
	(void)arg;
	return state_delivery_park(t.c.state, &row->delivery, "why not");
}

/* Its line was taken in, and it has a row. */
static void take_in(char letter)
{
	const struct unit_written *event = &events[(unsigned char)letter];
	struct state_delivery delivery = {.length = event->length, .records = RECORDS};
	memcpy(delivery.event, event->id, sizeof delivery.event);
	assert_int_equal(state_seen_add(t.c.state, event->id), 0);
	assert_int_equal(state_cursor_put(t.c.state, event->segment, event->length + 1, &delivery.segment_id), 0);
	assert_int_equal(state_delivery_add(t.c.state, t.target.id, 1, &delivery), 0);
}

static int setup(void **state)
{
	(void)state;
	unit_targets_open(&t);
	for (const char *letter = letters; *letter != '\0'; letter++)
		events[(unsigned char)*letter] =
			unit_event_for(&t, *letter == ELSEWHERE ? "other" : "file", RECORDS, *letter != ALIEN);
	assert_int_equal(state_begin(t.c.state), 0);
	take_in(PENDING);
	take_in(GONE);
	take_in(PARKED);
	assert_int_equal(state_rows(t.c.state, events[PARKED].id, park, NULL), 0);
	assert_int_equal(state_seen_add(t.c.state, events[DUPLICATE].id), 0);
	assert_int_equal(state_commit(t.c.state), 0);
	assert_int_equal(unlinkat(t.spool.journal_fd, events[GONE].segment, 0), 0);
	assert_int_equal(mkdir(unit_path(t.folder, "out"), 0700), 0);
	path = strdup(unit_path(t.folder, "out/file"));
	fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(fd);
	free(path);
	for (const char *letter = letters; *letter != '\0'; letter++)
		buf_fini(&events[(unsigned char)*letter].records);
	unit_targets_remove(&t);
	return 0;
}

/* The next record of the event. */
static struct span next_record(char letter, unsigned met[128])
{
	const char *record = events[(unsigned char)letter].records.data;
	for (unsigned i = met[(unsigned char)letter]++; i > 0; i--)
		record = strchr(record, '\n') + 1;
	return (struct span){record, (size_t)(strchr(record, '\n') + 1 - record)};
}

/* A letter is the next record of its event; '-' somebody's line; '~' half a record of the letter behind it; '+' the
 * same, and somebody's line as its end; '.' the beginning of any record. */
static void put_line(struct buf *b, const char **what, size_t padding, unsigned met[128])
{
	char letter = *(*what)++;
	if (letter == '-') {
		assert_int_equal(buf_str(b, "{\"note\":\""), 0);
		for (size_t i = 0; i < padding; i++)
			assert_int_equal(buf_char(b, 'x'), 0);
		assert_int_equal(buf_str(b, "\"}\n"), 0);
	} else if (letter == '.') {
		assert_int_equal(buf_str(b, "{\"event_id\":\"01"), 0);
	} else if (letter == '~' || letter == '+') {
		struct span record = next_record(*(*what)++, met);
		assert_int_equal(buf_append(b, record.ptr, record.len * 3 / 4), 0);
		assert_int_equal(buf_str(b, letter == '+' ? "{\"note\":1}\n" : ""), 0);
	} else {
		struct span record = next_record(letter, met);
		assert_int_equal(buf_append(b, record.ptr, record.len), 0);
	}
}

static const struct {
	const char *name, *lines;
	int stay;             /* so many of them */
	const char *standing; /* of those that stay: letters and how many records */
} tails[] = {
	{"nothing", "", 0, ""},
	{"what a crash has left of a round", "uuuu", 0, ""},
	{"and a torn record", "uu~u", 0, ""},
	{"a torn record alone", "~u", 0, ""},
	{"less than can be told", ".", 0, ""},
	{"what a crash has left of a retry", "ppp~p", 0, ""},
	{"both", "ppuu~u", 0, ""},
	{"another spool's, or taken from the journal by a power cut", "nnnn", 4, "n4"},
	{"another spool's, and a torn record of it", "nn~n", 3, "n2"},
	{"another spool's, and a crash", "nnuu~u", 2, "n2"},
	{"another spool's torn record, that something was appended to", "+nuu", 1, ""},
	{"a torn record that something was appended to", "u+u", 2, "u1"},
	{"somebody's lines", "--", 2, ""},
	{"a crash, and somebody's line", "uu-", 3, "u2"},
	{"a crash, somebody's line, another crash", "uu-u~u", 3, "u2"},
	{"a retry, somebody's line", "ppp-", 4, "p3"},
	{"among somebody's lines", "-u-p-u", 5, "u1p1"},
	{"taken in long ago, and sent again", "ss", 2, ""},
	{"for another file", "oo", 2, "o2"},
	{"pending, but its line is gone", "gg", 2, ""},
	{"given up: it stays, and is not to come twice if it is retried", "dd", 2, "d2"},
	{"given up, and a crash", "duu", 1, "d1"},
	{"an older state: what the file has, and a crash", "nnnnsspp~p", 6, "n4"},
};

static void judge(const char *name, size_t padding, const struct buf *b, const uint64_t expected,
		  const char *expected_standing)
{
	struct standing standing = {0};
	uint64_t end = 0;
	char found[64] = "";
	enum remains_result result = remains_judge(&t.c, fd, path, 5, b->len, &end, &standing);
	unit_check(result == REMAINS_JUDGED && end == expected, "%s, %zu: %d, %llu, not %llu", name, padding, result,
		   (unsigned long long)end, (unsigned long long)expected);
	for (size_t i = 0; i < standing.events.count; i++)
		for (const char *letter = letters; *letter != '\0'; letter++)
			if (memcmp(names_get(&standing.events, i).ptr, events[(unsigned char)*letter].id,
				   STATE_ID_SIZE) == 0)
				snprintf(found + strlen(found), sizeof found - strlen(found), "%c%u", *letter,
					 standing.list[i].records);
	unit_check(strcmp(found, expected_standing) == 0, "%s: %s stand, not %s", name, found, expected_standing);
	standing_fini(&standing);
}

static void judges(void **state)
{
	(void)state;
	/* So long that heads and ends of lines meet the ends of what is read at a time. */
	static const size_t paddings[] = {0, 1000, (256 << 10) - 20, (256 << 10) - 60, 300000};
	for (size_t i = 0; i < UNIT_COUNT(tails); i++)
		for (size_t j = 0; j < UNIT_COUNT(paddings); j++) {
			struct buf b = {0};
			unsigned met[128] = {0};
			uint64_t expected = 5;
			const char *what = tails[i].lines;
			assert_int_equal(buf_str(&b, "head\n"), 0);
			for (int n = 1; *what != '\0'; n++) {
				put_line(&b, &what, paddings[j], met);
				if (n == tails[i].stay)
					expected = b.len;
			}
			assert_int_equal(ftruncate(fd, 0), 0);
			assert_int_equal(write(fd, b.data, b.len), b.len);
			judge(tails[i].name, paddings[j], &b, expected, tails[i].standing);
			buf_fini(&b);
		}
}

static void a_file_that_shrinks_meanwhile_is_not_judged(void **state)
{
	(void)state;
	struct standing standing = {0};
	uint64_t end = 7;
	assert_int_equal(write(fd, "head\n", 5), 5);
	assert_int_equal(remains_judge(&t.c, fd, path, 5, 100, &end, &standing), REMAINS_UNREADABLE);
	assert_int_equal(errno, EIO);
	assert_int_equal(end, 7);
	standing_fini(&standing);
}

/* What the target is to get is known from its configuration now: not from what it was when the crash was. */
static void what_the_target_does_not_want_any_more_stays(void **state)
{
	(void)state;
	struct conf_match match = {"object_type", "hris_*"};
	struct span record = {events[UNREAD].records.data, events[UNREAD].records.len};
	struct buf b = {(char *)record.ptr, record.len, 0};
	assert_int_equal(write(fd, b.data, b.len), b.len);
	t.conf_target.matches = &match;
	t.conf_target.match_count = 1;
	struct standing standing = {0};
	uint64_t end;
	assert_int_equal(remains_judge(&t.c, fd, path, 0, b.len, &end, &standing), REMAINS_JUDGED);
	assert_int_equal(end, b.len);
	t.conf_target.match_count = 0;
	assert_int_equal(remains_judge(&t.c, fd, path, 0, b.len, &end, &standing), REMAINS_JUDGED);
	assert_int_equal(end, 0);
	standing_fini(&standing);
}

static void what_stands_is_left_out(void **state)
{
	(void)state;
	struct standing standing = {0};
	const struct buf *records = &events[UNREAD].records;
	struct buf b = {0};
	for (unsigned n = 0; n <= RECORDS; n++) {
		unsigned met[128] = {n};
		standing_clear(&standing);
		assert_int_equal(standing_put(&standing, events[UNREAD].id, n, false), 0);
		b.len = 0;
		assert_int_equal(buf_append(&b, events[ALIEN].records.data, events[ALIEN].records.len), 0);
		size_t before = b.len;
		assert_int_equal(buf_append(&b, records->data, records->len), 0);
		standing_leave_out(&standing, &b);
		met[UNREAD] = n;
		const char *rest = n == RECORDS ? records->data + records->len : next_record(UNREAD, met).ptr;
		unit_check(b.len - before == (size_t)(records->data + records->len - rest) &&
				   memcmp(b.data + before, rest, b.len - before) == 0,
			   "%u", n);
		assert_true(standing.list[0].met);
	}
	buf_fini(&b);
	standing_fini(&standing);
}

/* Only what follows counts: what is missing in between would be lost. */
static void only_what_comes_first_stands(void **state)
{
	(void)state;
	struct standing standing = {0};
	static const uint32_t indexes[] = {1, 0, 0, 1, 3, 2};
	static const uint32_t expected[] = {0, 1, 1, 2, 2, 3};
	for (size_t i = 0; i < UNIT_COUNT(indexes); i++) {
		assert_int_equal(standing_note(&standing, events[UNREAD].id, indexes[i], false), 0);
		assert_int_equal(standing.list[0].records, expected[i]);
	}
	standing_fini(&standing);
}

/* Another spool can write any number of them. */
static void of_unknown_events_the_last_ones_are_stored(void **state)
{
	(void)state;
	struct standing standing = {0}, stored = {0};
	const struct span file = UNIT_SPAN("/a");
	uint8_t id[STATE_ID_SIZE] = {0};
	uint64_t left;
	for (uint32_t i = 0; i < STANDING_UNKNOWN + 100; i++) {
		memcpy(id, &i, sizeof i);
		assert_int_equal(standing_note(&standing, id, 0, i != 50), 0);
	}
	assert_int_equal(state_begin(t.c.state), 0);
	assert_int_equal(standing_store(&standing, t.c.state, file), 0);
	assert_int_equal(standing_load(&stored, t.c.state, file), 0);
	assert_int_equal(stored.events.count, STANDING_UNKNOWN + 1);
	for (uint32_t i = 0; i < STANDING_UNKNOWN + 100; i++) {
		memcpy(id, &i, sizeof i);
		unit_check((names_find(&stored.events, id, sizeof id) != SIZE_MAX) == (i == 50 || i >= 100), "%u", i);
	}
	assert_int_equal(standing_drop_met(&stored, t.c.state, file, &left), 0);
	assert_int_equal(left, STANDING_UNKNOWN + 1);
	assert_int_equal(state_commit(t.c.state), 0);
	standing_fini(&standing);
	standing_fini(&stored);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(judges, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_shrinks_meanwhile_is_not_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(what_the_target_does_not_want_any_more_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(what_stands_is_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_comes_first_stands, setup, teardown),
		cmocka_unit_test_setup_teardown(of_unknown_events_the_last_ones_are_stored, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
