#include "config.h"

#include "spool/segment.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "spool/open.h"
#include "spool/spool.h"
#include "unit.h"

#define STAMP INT64_C(1795424400123456) /* 20261123T090000.123456Z */

/* What was called, in order: a letter for each, with what it was done to. */
static char calls[64];
static int failing_call;  /* the how-manyeth of them fails with EIO; 0: none */
static size_t most_bytes; /* that a write takes */
static int journal_fd;

static int note(char what)
{
	size_t n = strlen(calls);
	assert_true(n + 1 < sizeof calls);
	calls[n] = what;
	calls[n + 1] = '\0';
	if ((int)n + 1 == failing_call) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static ssize_t noting_writev(int fd, const struct iovec *iov, int count)
{
	if (note('w') < 0)
		return -1;
	struct iovec first = iov[0];
	if (first.iov_len <= most_bytes)
		return writev(fd, iov, count);
	first.iov_len = most_bytes;
	return writev(fd, &first, 1);
}

static int noting_fdatasync(int fd)
{
	return note('d') < 0 ? -1 : fdatasync(fd);
}

static int noting_fsync(int fd)
{
	return note(fd == journal_fd ? 'j' : '?') < 0 ? -1 : fsync(fd);
}

/* Between a segment's birth and its lock: this program's flock stands before the system's. */
static void (*before_flock)(int fd);

int flock(int fd, int operation)
{
	if (before_flock != NULL)
		before_flock(fd);
	return (int)syscall(SYS_flock, fd, operation);
}

static char *folder;
static struct conf conf;
static struct spool spool;
static struct fsio_calls the_system;

static int setup(void **state)
{
	(void)state;
	folder = unit_folder();
	conf = unit_conf(folder);
	assert_int_equal(spool_open(&spool, &conf, SPOOL_RECEIVE), 0);
	journal_fd = spool.journal_fd;
	the_system = fsio_calls;
	fsio_calls = (struct fsio_calls){noting_writev, noting_fdatasync, noting_fsync};
	calls[0] = '\0';
	failing_call = 0;
	most_bytes = SIZE_MAX;
	before_flock = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fsio_calls = the_system;
	before_flock = NULL;
	spool_close(&spool);
	unit_remove(folder);
	return 0;
}

static const char *segment_path(const struct segment *segment)
{
	char name[128];
	snprintf(name, sizeof name, "journal/%s", segment->name);
	return unit_path(folder, name);
}

static size_t segments_there(void)
{
	DIR *dir = opendir(unit_path(folder, "journal"));
	size_t count = 0;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* Whether somebody else could lock it. */
static bool is_unlocked(const char *path)
{
	int fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	bool free = syscall(SYS_flock, fd, LOCK_SH | LOCK_NB) == 0;
	close(fd);
	return free;
}

static int commit(struct segment *segment, const char *one, const char *two)
{
	struct iovec iov[] = {{(void *)one, strlen(one)}, {(void *)two, strlen(two)}};
	return segment_commit(segment, &spool, iov, 2);
}

/* S0 to S3: made by this name, locked, its folder synced. */
static void opens(void **state)
{
	(void)state;
	struct segment segment = SEGMENT_NONE;
	char wanted[64];
	struct stat st;
	assert_int_equal(segment.fd, -1);
	assert_int_equal(segment_open(&segment, &spool, STAMP), 0);
	assert_string_equal(calls, "j");
	int n = snprintf(wanted, sizeof wanted, "20261123T090000.123456Z-%ld-", (long)getpid());
	assert_memory_equal(segment.name, wanted, (size_t)n);
	assert_int_equal(strspn(segment.name + n, "0123456789abcdef"), 8);
	assert_string_equal(segment.name + n + 8, ".jsonl");
	assert_int_equal(segment.size, 0);
	assert_int_equal(stat(segment_path(&segment), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 0);
	assert_true(fcntl(segment.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(segment.fd, F_GETFL) & O_APPEND);
	assert_false(is_unlocked(segment_path(&segment)));
	segment_close(&segment);
	assert_int_equal(segment.fd, -1);
	assert_true(is_unlocked(segment_path(&segment)));
	segment_close(&segment);
}

/* S3 to S4 to S3: written, then synced, each time. */
static void commits(void **state)
{
	(void)state;
	struct segment segment = SEGMENT_NONE;
	assert_int_equal(segment_open(&segment, &spool, STAMP), 0);
	assert_int_equal(commit(&segment, "one", "\n"), 0);
	assert_string_equal(calls, "jwd");
	assert_int_equal(segment.size, 4);
	most_bytes = 2;
	assert_int_equal(commit(&segment, "three", "\n"), 0);
	assert_string_equal(calls, "jwdwwwd");
	assert_int_equal(segment.size, 10);
	struct buf text = unit_read(segment_path(&segment));
	assert_string_equal(text.data, "one\nthree\n");
	buf_fini(&text);
	assert_false(is_unlocked(segment_path(&segment)));
	segment_close(&segment);
	assert_string_equal(calls, "jwdwwwd");
}

/* S4 to S5: whatever fails, the segment is closed and unlocked, never written or synced again, and keeps what was
 * durable. */
static const struct {
	const char *name;
	int failing_call; /* behind the "jwd" of the first commit */
	size_t most_bytes;
	const char *calls, *left;
} failures[] = {
	{"write fails", 4, SIZE_MAX, "jwdw", "good\n"},
	{"second part of a write fails", 5, 2, "jwdww", "good\nba"},
	{"sync fails", 5, SIZE_MAX, "jwdwd", "good\nbad\n"},
};

static void a_failure_poisons(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(failures); i++) {
		struct segment segment = SEGMENT_NONE, next = SEGMENT_NONE;
		calls[0] = '\0';
		failing_call = 0;
		most_bytes = SIZE_MAX;
		assert_int_equal(segment_open(&segment, &spool, STAMP), 0);
		assert_int_equal(commit(&segment, "good", "\n"), 0);
		failing_call = failures[i].failing_call;
		most_bytes = failures[i].most_bytes;
		errno = 0;
		unit_check(commit(&segment, "bad", "\n") == -1, "%s", failures[i].name);
		unit_check(errno == EIO, "%s: errno %d", failures[i].name, errno);
		unit_check(strcmp(calls, failures[i].calls) == 0, "%s: %s", failures[i].name, calls);
		unit_check(segment.fd == -1, "%s", failures[i].name);
		unit_check(is_unlocked(segment_path(&segment)), "%s", failures[i].name);
		struct buf text = unit_read(segment_path(&segment));
		unit_check(strcmp(text.data, failures[i].left) == 0, "%s: %s", failures[i].name, text.data);
		buf_fini(&text);
		/* The next one is another file. */
		failing_call = 0;
		most_bytes = SIZE_MAX;
		assert_int_equal(segment_open(&next, &spool, STAMP), 0);
		assert_string_not_equal(next.name, segment.name);
		assert_int_equal(commit(&next, "next", "\n"), 0);
		segment_close(&next);
	}
}

static int others[32], births;
static bool takes_all;

/* The newest file: the one that fd has open. */
static void name_of(int fd, char name[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, name, PATH_MAX - 1);
	assert_true(n > 0);
	name[n] = '\0';
}

static void lock_it(int fd)
{
	char name[PATH_MAX];
	if (++births > 1 && !takes_all)
		return;
	assert_true(births <= (int)UNIT_COUNT(others));
	name_of(fd, name);
	int other = others[births - 1] = open(name, O_RDONLY);
	assert_int_equal(syscall(SYS_flock, other, LOCK_SH), 0);
}

static void rename_it(int fd)
{
	char name[PATH_MAX];
	if (++births > 1)
		return;
	name_of(fd, name);
	assert_int_equal(rename(name, unit_path(folder, "away")), 0);
}

static void unlink_it(int fd)
{
	char name[PATH_MAX];
	if (++births > 1)
		return;
	name_of(fd, name);
	assert_int_equal(unlink(name), 0);
}

static void replace_it(int fd)
{
	char name[PATH_MAX];
	if (++births > 1)
		return;
	name_of(fd, name);
	assert_int_equal(rename(name, unit_path(folder, "away")), 0);
	unit_write(name, "", 0);
}

/* Somebody takes the name away while the segment is open. */
static const struct {
	const char *name;
	void (*hook)(int fd);
} losses[] = {
	{"renamed", rename_it},
	{"unlinked", unlink_it},
	{"replaced", replace_it},
};

/* S4 to S5: what nobody would find is not acknowledged, and what was acknowledged before gets a name again. */
static void a_lost_name_is_seen_before_the_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(losses); i++) {
		struct segment segment = SEGMENT_NONE;
		char before[SEGMENT_NAME_SIZE];
		assert_int_equal(segment_open(&segment, &spool, STAMP), 0);
		assert_int_equal(commit(&segment, "one", "\n"), 0);
		assert_true(segment_is_named(&segment, &spool));
		births = 0;
		losses[i].hook(segment.fd);
		errno = 0;
		unit_check(commit(&segment, "two", "\n") == -1 && errno == ESTALE, "%s: errno %d", losses[i].name,
			   errno);
		unit_check(segment.fd >= 0 && segment.is_lost && segment.size == 4, "%s", losses[i].name);
		strcpy(before, segment.name);
		unit_check(segment_rescue(&segment, &spool) == 0, "%s: errno %d", losses[i].name, errno);
		assert_string_not_equal(segment.name, before);
		unit_check(segment.size == 4 && !segment.is_lost, "%s", losses[i].name);
		assert_int_equal(commit(&segment, "three", "\n"), 0);
		struct buf text = unit_read(segment_path(&segment));
		unit_check(strcmp(text.data, "one\nthree\n") == 0, "%s: %s", losses[i].name, text.data);
		buf_fini(&text);
		assert_false(is_unlocked(segment_path(&segment)));
		segment_close(&segment);
		teardown(NULL);
		setup(NULL);
	}
}

/* Whatever of a rescue fails, it can be tried again; what was cut off meanwhile is gone, and no reason to try for ever.
 */
static void a_rescue_is_tried_again(void **state)
{
	(void)state;
	struct segment segment = SEGMENT_NONE;
	char *text = malloc(40001);
	assert_non_null(text);
	memset(text, 'x', 40000);
	text[40000] = '\0';
	assert_int_equal(segment_open(&segment, &spool, STAMP), 0);
	assert_int_equal(commit(&segment, text, "\n"), 0);
	births = 0;
	unlink_it(segment.fd);
	assert_false(segment_is_named(&segment, &spool));
	for (int call = 1; call <= 5; call++) { /* the folder's sync, three writes, the sync */
		calls[0] = '\0';
		failing_call = call;
		unit_check(segment_rescue(&segment, &spool) == -1 && errno == EIO, "call %d", call);
		unit_check(segment.fd >= 0 && segment.is_lost && segment.size == 40001, "call %d", call);
	}
	failing_call = 0;
	calls[0] = '\0';
	assert_int_equal(ftruncate(segment.fd, 30000), 0);
	assert_int_equal(segment_rescue(&segment, &spool), 0);
	assert_string_equal(calls, "jwwd");
	assert_int_equal(segment.size, 30000);
	struct buf left = unit_read(segment_path(&segment));
	assert_int_equal(left.len, 30000);
	buf_fini(&left);
	free(text);
	segment_close(&segment);
}

/* S2: a name that is not durable is no place for an event. */
static void an_unsynced_name_is_not_used(void **state)
{
	(void)state;
	struct segment segment = SEGMENT_NONE;
	failing_call = 1;
	assert_int_equal(segment_open(&segment, &spool, STAMP), -1);
	assert_int_equal(errno, EIO);
	assert_string_equal(calls, "j");
	assert_int_equal(segment.fd, -1);
	assert_true(is_unlocked(segment_path(&segment)));
}

/* S1: what a deliverer does to a file that it finds empty and unlocked makes the writer abandon it. */
static const struct {
	const char *name;
	void (*hook)(int fd);
	size_t left; /* files in the journal afterwards: the new one, and the first where it still is there */
} takings[] = {
	{"locked", lock_it, 2},
	{"renamed", rename_it, 1},
	{"unlinked", unlink_it, 1},
	{"replaced", replace_it, 2},
};

static void a_file_taken_before_its_lock_is_abandoned(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(takings); i++) {
		struct segment segment = SEGMENT_NONE;
		births = 0;
		calls[0] = '\0';
		before_flock = takings[i].hook;
		unit_check(segment_open(&segment, &spool, STAMP) == 0, "%s", takings[i].name);
		unit_check(births == 2, "%s: %d births", takings[i].name, births);
		unit_check(strcmp(calls, "j") == 0, "%s: the first name was synced", takings[i].name);
		before_flock = NULL;
		assert_int_equal(commit(&segment, "x", "\n"), 0);
		struct buf text = unit_read(segment_path(&segment));
		unit_check(strcmp(text.data, "x\n") == 0, "%s", takings[i].name);
		buf_fini(&text);
		unit_check(segments_there() == takings[i].left, "%s: %zu files", takings[i].name, segments_there());
		segment_close(&segment);
		if (takings[i].hook == lock_it)
			close(others[0]);
		teardown(NULL);
		setup(NULL);
	}
}

/* Somebody who takes each of them is a fault, not an endless loop. */
static void births_are_bounded(void **state)
{
	(void)state;
	struct segment segment = SEGMENT_NONE;
	births = 0;
	takes_all = true;
	before_flock = lock_it;
	int result = segment_open(&segment, &spool, STAMP);
	takes_all = false;
	assert_int_equal(result, -1);
	assert_int_equal(segment.fd, -1);
	assert_true(births > 1);
	assert_string_equal(calls, "");
	while (births > 0)
		close(others[--births]);
}

static void no_folder(void **state)
{
	(void)state;
	struct segment segment = SEGMENT_NONE;
	assert_int_equal(rmdir(unit_path(folder, "journal")), 0);
	assert_int_equal(segment_open(&segment, &spool, STAMP), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(segment.fd, -1);
}

static void umasks(void **state)
{
	(void)state;
	static const mode_t masks[] = {0, 077, 0777};
	for (size_t i = 0; i < UNIT_COUNT(masks); i++) {
		struct segment segment = SEGMENT_NONE;
		mode_t before = umask(masks[i]);
		int result = segment_open(&segment, &spool, STAMP);
		umask(before);
		assert_int_equal(result, 0);
		assert_int_equal(unit_mode(segment_path(&segment)), 0600);
		segment_close(&segment);
	}
}

static void full(void **state)
{
	(void)state;
	static const struct {
		uint64_t size;
		int64_t age;
		bool full;
	} rows[] = {
		{0, 0, false},
		{SEGMENT_SIZE_MAX - 1, 0, false},
		{SEGMENT_SIZE_MAX, 0, true},
		{SEGMENT_SIZE_MAX + 1, 0, true},
		{1, 3600 * CLOCK_SECOND - 1, false},
		{1, 3600 * CLOCK_SECOND, true},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct segment segment = {.fd = 3, .size = rows[i].size, .opened_at = 12345};
		unit_check(segment_is_full(&segment, 12345 + rows[i].age) == rows[i].full, "row %zu", i);
	}
}

#define TEXT  "20261123T090000.123456Z"
#define DIGIT "0123456789"

static void names(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool is;
	} rows[] = {
		{TEXT "-17-0badcafe.jsonl", true},
		{TEXT "-fold.jsonl", true},
		{TEXT ".jsonl", true},
		{TEXT DIGIT DIGIT DIGIT "1234.jsonl", true}, /* 63 bytes */
		{TEXT DIGIT DIGIT DIGIT "12345.jsonl", false},
		{"", false},
		{".jsonl", false},
		{TEXT, false},
		{TEXT "-17-0badcafe.json", false},
		{TEXT "-17-0badcafe.jsonl~", false},
		{"." TEXT "-17-0badcafe.jsonl", false},
		{"20261323T090000.123456Z-17-0badcafe.jsonl", false},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		int64_t stamp = 0;
		unit_check(segment_parse_name(rows[i].name, &stamp) == rows[i].is, "%s", rows[i].name);
		unit_check(segment_parse_name(rows[i].name, NULL) == rows[i].is, "%s", rows[i].name);
		unit_check(stamp == (rows[i].is ? STAMP : 0), "%s", rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opens, setup, teardown),
		cmocka_unit_test_setup_teardown(commits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_poisons, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_name_is_seen_before_the_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rescue_is_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(an_unsynced_name_is_not_used, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_taken_before_its_lock_is_abandoned, setup, teardown),
		cmocka_unit_test_setup_teardown(births_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(no_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(umasks, setup, teardown),
		cmocka_unit_test(full),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
