#include "config.h"

#include "deliver/remains.h"

#include <errno.h>

#include "base/text.h"
#include "unit.h"

static struct {
	char *folder;
	struct conf conf;
	struct spool spool;
	struct state *state;
	int fd; /* of the file */
} t;

/* Events by their letter: u is unknown to the state, k known, p pending, g pending with a line that is gone, a pending
 * with a line in the archive, d parked. */
static void make_id(char letter, uint8_t id[STATE_ID_SIZE])
{
	memset(id, letter, STATE_ID_SIZE);
}

static void know(char letter, const char *segment)
{
	struct state_delivery delivery = {.length = 1, .records = 1};
	make_id(letter, delivery.event);
	assert_int_equal(state_seen_add(t.state, delivery.event), 0);
	if (segment == NULL)
		return;
	assert_int_equal(state_segment(t.state, segment, 1, &delivery.segment_id), 0);
	assert_int_equal(state_delivery_add(t.state, 1, 1, &delivery), 0);
}

static int park(void *arg, const struct state_row *row)
{
	(void)arg;
	return state_delivery_park(t.state, &row->delivery, "why not");
}

static int setup(void **state)
{
	(void)state;
	bool fresh;
	uint8_t parked[STATE_ID_SIZE];
	int64_t target;
	t.folder = unit_folder();
	t.conf = unit_conf(strdup(unit_path(t.folder, "spool")));
	assert_int_equal(spool_open(&t.spool, &t.conf, SPOOL_DELIVER), 0);
	t.state = state_open(&t.spool, STATE_DELIVER, &fresh);
	assert_non_null(t.state);
	assert_int_equal(state_target(t.state, "records", &target), 0);
	unit_write(unit_path(t.folder, "spool/journal/here.jsonl"), "\n", 1);
	unit_write(unit_path(t.folder, "spool/archive/there.jsonl"), "\n", 1);
	know('k', NULL);
	know('p', "here.jsonl");
	know('g', "gone.jsonl");
	know('a', "there.jsonl");
	know('d', "here.jsonl");
	make_id('d', parked);
	assert_int_equal(state_rows(t.state, parked, park, NULL), 0);
	assert_int_equal(state_commit(t.state), 0);
	t.fd = open(unit_path(t.folder, "file"), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	assert_true(t.fd >= 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(t.fd);
	state_close(t.state);
	spool_close(&t.spool);
	free((char *)t.conf.spool);
	unit_remove(t.folder);
	return 0;
}

/* A record of the event; '-': somebody's line; '~': half a record of a known event. */
static void put_line(struct buf *b, char letter, size_t padding)
{
	uint8_t id[STATE_ID_SIZE];
	char hex[2 * STATE_ID_SIZE + 1];
	if (letter == '-') {
		assert_int_equal(buf_str(b, "not a record\n"), 0);
		return;
	}
	make_id(letter == '~' ? 'k' : letter, id);
	text_hex(id, sizeof id, hex);
	assert_int_equal(buf_printf(b, "{\"event_id\":\"%s\",\"index\":0,", hex), 0);
	for (size_t i = 0; i < padding; i++)
		assert_int_equal(buf_char(b, 'x'), 0);
	if (letter != '~')
		assert_int_equal(buf_str(b, "}\n"), 0);
}

static const struct {
	const char *name, *lines;
	int stay; /* so many of them */
} tails[] = {
	{"what a crash has left in a round", "uuu", 0},
	{"with a torn line", "uu~", 0},
	{"what a crash has left of deliveries that are pending", "pap", 0},
	{"an older state", "kkk", 3},
	{"an older state, and a crash", "kkuu~", 2},
	{"a pending row whose line is gone will not be delivered", "pgp", 2},
	{"a parked one neither", "dp", 1},
	{"what would be written again stays if it is in between", "ukupk", 5},
	{"somebody's lines", "-u-", 0},
	{"somebody's lines before one that stays", "--k-", 3},
	{"half a record", "~", 0},
};

static void judges(void **state)
{
	(void)state;
	/* So long that heads and ends of lines meet the ends of what is read at a time. */
	static const size_t paddings[] = {0, 1000, (256 << 10) - 20, (256 << 10) - 60, 300000};
	for (size_t i = 0; i < UNIT_COUNT(tails); i++)
		for (size_t j = 0; j < UNIT_COUNT(paddings); j++) {
			struct remains remains = {.state = t.state, .spool = &t.spool};
			struct buf b = {0};
			uint64_t end, expected = 5;
			assert_int_equal(buf_str(&b, "head\n"), 0);
			for (int n = 0; tails[i].lines[n] != '\0'; n++) {
				put_line(&b, tails[i].lines[n], paddings[j]);
				if (n + 1 == tails[i].stay)
					expected = b.len;
			}
			assert_int_equal(ftruncate(t.fd, 0), 0);
			assert_int_equal(write(t.fd, b.data, b.len), b.len);
			assert_int_equal(remains_judge(&remains, t.fd, 5, b.len, &end), REMAINS_JUDGED);
			unit_check(end == expected, "%s, %zu: %llu, not %llu", tails[i].name, paddings[j],
				   (unsigned long long)end, (unsigned long long)expected);
			remains_fini(&remains);
			buf_fini(&b);
		}
}

static void a_file_that_shrinks_meanwhile_is_not_judged(void **state)
{
	(void)state;
	struct remains remains = {.state = t.state, .spool = &t.spool};
	uint64_t end;
	assert_int_equal(write(t.fd, "head\n", 5), 5);
	assert_int_equal(remains_judge(&remains, t.fd, 5, 100, &end), REMAINS_UNREADABLE);
	assert_int_equal(errno, EIO);
	remains_fini(&remains);
}

static void what_must_not_be_read_is_not_judged(void **state)
{
	(void)state;
	struct remains remains = {.state = t.state, .spool = &t.spool};
	uint64_t end;
	int fd = open(unit_path(t.folder, "file"), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "half a line", 11), 11);
	assert_int_equal(remains_judge(&remains, fd, 5, 11, &end), REMAINS_UNREADABLE);
	assert_int_equal(errno, EACCES);
	assert_int_equal(remains_end_line(fd, 11, &end), 0);
	assert_int_equal(end, 11);
	close(fd);
	remains_fini(&remains);
}

static const struct {
	const char *before, *after;
} ends[] = {
	{"", ""},
	{"a line\n", "a line\n"},
	{"two\nlines\n", "two\nlines\n"},
	{"somebody's", "somebody's\n"},
	{"a line\nsomebody's", "a line\nsomebody's\n"},
	{"a line\n{\"event_id\":\"01234567", "a line\n"},
	{"a line\n{\"event_id\":\"", "a line\n"},
	{"a line\n{", "a line\n"},
	{"{\"event_id\":\"0123", ""},
	{"{\"event\":", "{\"event\":\n"},
	{"\n", "\n"},
};

static void ends_the_last_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(ends); i++) {
		uint64_t end;
		size_t n = strlen(ends[i].before);
		assert_int_equal(ftruncate(t.fd, 0), 0);
		assert_int_equal(write(t.fd, ends[i].before, n), n);
		assert_int_equal(remains_end_line(t.fd, n, &end), 0);
		struct buf b = unit_read(unit_path(t.folder, "file"));
		unit_check(strcmp(b.data, ends[i].after) == 0 && end == b.len, "\"%s\" became \"%s\"", ends[i].before,
			   b.data);
		buf_fini(&b);
	}
}

static void ends_a_long_last_line(void **state)
{
	(void)state;
	struct buf b = {0};
	uint64_t end;
	put_line(&b, 'u', 10);
	size_t whole = b.len;
	put_line(&b, '~', 10000);
	assert_int_equal(write(t.fd, b.data, b.len), b.len);
	assert_int_equal(remains_end_line(t.fd, b.len, &end), 0);
	assert_int_equal(end, whole);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(judges, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_shrinks_meanwhile_is_not_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(what_must_not_be_read_is_not_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_the_last_line, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_a_long_last_line, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
