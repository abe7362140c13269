#include "config.h"

#include "spool/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "spool/open.h"
#include "spool/spool.h"
#include "unit.h"

/* Time in these tests is counted in minutes from here. */
#define BEGIN INT64_C(1795424400000000)

static char *folder;
static struct conf conf;
static struct spool spool;
static struct reader *reader;

/* What others do while the reader asks for a lock, or has just let go of one: this program's flock stands before the
 * system's. */
static void (*before_lock)(void);
static void (*after_unlock)(void);

int flock(int fd, int operation)
{
	if (before_lock != NULL && !(operation & LOCK_UN))
		before_lock();
	int result = (int)syscall(SYS_flock, fd, operation);
	if (after_unlock != NULL && operation & LOCK_UN)
		after_unlock();
	return result;
}

/* What others do at the first look at a size: between the two lists of the folder. */
static void (*before_size)(void);

int fstatat(int dirfd, const char *restrict name, struct stat *restrict st, int flags)
{
	if (before_size != NULL)
		before_size();
	return (int)syscall(SYS_newfstatat, dirfd, name, st, flags);
}

/* A segment that cannot be opened, whoever runs this; NULL: there is none. */
static const char *refused;

int openat(int dirfd, const char *name, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (refused != NULL && strcmp(name, refused) == 0) {
		errno = EACCES;
		return -1;
	}
	return (int)syscall(SYS_openat, dirfd, name, flags, mode);
}

/* Nothing here is about power cuts: each test's new spool need not wait for a disk. */
static int no_sync(int fd)
{
	(void)fd;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	folder = unit_folder();
	conf = unit_conf(folder);
	fsio_calls.fsync = no_sync;
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	reader = reader_new(&spool);
	assert_non_null(reader);
	before_lock = after_unlock = before_size = NULL;
	refused = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	before_lock = after_unlock = before_size = NULL;
	refused = NULL;
	reader_free(reader);
	spool_close(&spool);
	unit_remove(folder);
	return 0;
}

static const char *segment_path(const char *name)
{
	char below[128];
	snprintf(below, sizeof below, "journal/%s", name);
	return unit_path(folder, below);
}

/* The name of a segment whose first event came in at this minute. */
static void name_segment(char name[64], int minute, int number)
{
	char stamp[CLOCK_STAMP_SIZE];
	clock_stamp(BEGIN + minute * 60 * CLOCK_SECOND, stamp);
	snprintf(name, 64, "%s-%d-%08x.jsonl", stamp, 100 + number, number);
}

/* An event is known by its minute and by its letter. */
static void append_event(struct buf *out, int minute, char letter)
{
	char nonce[32];
	snprintf(nonce, sizeof nonce, "\"%d%c\"", minute, letter);
	struct event event = unit_event(BEGIN + minute * 60 * CLOCK_SECOND, nonce, "[{\"a\":1}]", 1);
	unit_line(&event, out);
}

/* Appends events to a segment: the text "1a 5b" is an event of minute 1 with letter a, then one of minute 5; what
 * begins with ! is put there as it stands, a line; with ~, without a newline. */
static void put(const char *name, const char *what)
{
	struct buf bytes = {0};
	char word[128];
	int n;
	for (const char *at = what; sscanf(at, " %127s%n", word, &n) == 1; at += n) {
		int minute;
		char letter;
		if (sscanf(word, "%d%c", &minute, &letter) == 2)
			append_event(&bytes, minute, letter);
		else
			assert_int_equal(buf_printf(&bytes, "%s%s", word + 1, word[0] == '!' ? "\n" : ""), 0);
	}
	unit_write(segment_path(name), bytes.data, bytes.len);
	buf_fini(&bytes);
}

/* What a writer does that lives on. */
static int hold(const char *name)
{
	int fd = open(segment_path(name), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(syscall(SYS_flock, fd, LOCK_EX | LOCK_NB), 0);
	return fd;
}

static void look(void)
{
	assert_int_equal(reader_look(reader), 0);
}

/* Takes up to `most` lines of the round, as words: "1a 5b", DAMAGED, NEWER, TORN, FAILED; NONE where it ended. */
static const char *take(int most)
{
	static const char *const words[] = {[READER_DAMAGED] = "DAMAGED",
					    [READER_NEWER] = "NEWER",
					    [READER_TORN] = "TORN",
					    [READER_NONE] = "NONE",
					    [READER_FAILED] = "FAILED"};
	static char text[4096];
	size_t n = 0;
	text[0] = '\0';
	for (int i = 0; i < most; i++) {
		struct reader_line line;
		enum reader_found found = reader_next(reader, &line);
		if (i > 0)
			text[n++] = ' ';
		if (found == READER_LINE) {
			n += (size_t)snprintf(text + n, sizeof text - n, "%.*s", (int)line.event.nonce.len - 2,
					      line.event.nonce.ptr + 1);
			assert_int_equal(line.next, line.offset + line.raw.len + 1);
		} else {
			n += (size_t)snprintf(text + n, sizeof text - n, "%s", words[found]);
		}
		assert_true(n < sizeof text - 64);
		if (found == READER_NONE)
			break;
	}
	return text;
}

#define ALL 1000

struct finished {
	char text[4096];
	bool put_away;
};

static bool note_finished(void *arg, const char *name, uint64_t size)
{
	struct finished *finished = arg;
	size_t n = strlen(finished->text);
	snprintf(finished->text + n, sizeof finished->text - n, "%s%s:%llu", n == 0 ? "" : " ", strrchr(name, '-') + 8,
		 (unsigned long long)size);
	if (finished->put_away)
		assert_int_equal(unlink(segment_path(name)), 0);
	return finished->put_away;
}

/* The last digit of each finished segment's number, and the size that was told. */
static const char *finish(bool put_away)
{
	static struct finished finished;
	finished = (struct finished){.put_away = put_away};
	reader_finished(reader, note_finished, &finished);
	for (char *at; (at = strstr(finished.text, ".jsonl")) != NULL;)
		memmove(at, at + 6, strlen(at + 6) + 1);
	return finished.text;
}

static uint64_t size_of(const char *name)
{
	struct stat st;
	assert_int_equal(stat(segment_path(name), &st), 0);
	return (uint64_t)st.st_size;
}

/* Segments by the minute of their stamp, and the order of all. */
static const struct {
	const char *name;
	struct {
		int minute;
		const char *events;
	} segments[6];
	const char *order;
} orders[] = {
	{"nothing", {{0, NULL}}, "NONE"},
	{"one", {{1, "1a 2a 3a"}}, "1a 2a 3a NONE"},
	{"two that overlap", {{1, "1a 3a 5a"}, {2, "2b 4b 6b"}}, "1a 2b 3a 4b 5a 6b NONE"},
	{"three, long and short", {{1, "1a 2a 9a"}, {3, "3b 4b"}, {5, "5c 10c"}}, "1a 2a 3b 4b 5c 9a 10c NONE"},
	{"one behind the other", {{1, "1a 2a"}, {3, "3b"}, {4, "4c 5c"}}, "1a 2a 3b 4c 5c NONE"},
	{"a clock that went back within one keeps its order", {{5, "5a 3a 9a"}, {4, "4b 6b"}}, "4b 5a 3a 6b 9a NONE"},
	{"the same time: the name decides", {{1, "1a"}, {1, "1b"}, {1, "1c"}}, "1a 1b 1c NONE"},
	{"the same time in older segments: the older one", {{1, "1a 5a"}, {2, "2b 5b"}}, "1a 2b 5a 5b NONE"},
	{"an empty one between", {{1, "1a"}, {2, ""}, {3, "3c"}}, "1a 3c NONE"},
	{"damage between good lines", {{1, "1a !damaged 3a"}}, "1a DAMAGED 3a NONE"},
	{"damage first and last", {{1, "!damaged 2a !damaged"}}, "DAMAGED 2a DAMAGED NONE"},
	{"nothing but damage", {{1, "!a !b !c"}}, "DAMAGED DAMAGED DAMAGED NONE"},
	{"damage holds back no other", {{1, "1a !x 4a"}, {2, "2b 3b"}}, "1a DAMAGED 2b 3b 4a NONE"},
	{"an empty line is damage", {{1, "1a ! 2a"}}, "1a DAMAGED 2a NONE"},
	{"a torn tail", {{1, "1a 2a ~{\"v\":1,\"rec"}}, "1a 2a TORN NONE"},
	{"a torn tail alone", {{1, "~x"}}, "TORN NONE"},
	{"a torn tail among others", {{1, "1a ~x"}, {2, "2b 3b"}}, "1a TORN 2b 3b NONE"},
	{"two torn tails", {{1, "1a ~x"}, {2, "2b ~y"}, {3, "3c"}}, "1a TORN 2b TORN 3c NONE"},
};

static void order(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(orders); i++) {
		for (int k = 0; k < 6 && orders[i].segments[k].events != NULL; k++) {
			char name[64];
			name_segment(name, orders[i].segments[k].minute, k);
			put(name, orders[i].segments[k].events);
		}
		look();
		const char *got = take(ALL);
		unit_check(strcmp(got, orders[i].order) == 0, "%s: %s, wanted %s", orders[i].name, got,
			   orders[i].order);
		/* Nothing is given twice. */
		finish(false);
		look();
		unit_check(strcmp(take(ALL), "NONE") == 0, "%s, again", orders[i].name);
		teardown(NULL);
		setup(NULL);
	}
}

static void newer_versions(void **state)
{
	(void)state;
	char name[64];
	struct buf line = {0};
	struct reader_line found;
	name_segment(name, 1, 0);
	put(name, "1a");
	unit_sealed("{\"v\":2,\"new\":true", &line);
	unit_write(segment_path(name), line.data, line.len);
	put(name, "! 3a");
	look();
	assert_string_equal(take(1), "1a");
	assert_int_equal(reader_next(reader, &found), READER_NEWER);
	assert_int_equal(found.raw.len, line.len);
	assert_memory_equal(found.raw.ptr, line.data, line.len);
	assert_string_equal(take(ALL), "3a NONE");
	buf_fini(&line);
}

/* A segment's last newline can rot too: its line was written whole, and must not pass for a torn one. */
static void a_last_newline_that_rotted(void **state)
{
	(void)state;
	char name[64];
	name_segment(name, 1, 0);
	put(name, "1a 2a");
	int fd = open(segment_path(name), O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "\v", 1, (off_t)size_of(name) - 1), 1);
	close(fd);
	look();
	assert_string_equal(take(ALL), "1a DAMAGED NONE");
	/* A write that was torn just before its newline leaves no byte too many. */
	name_segment(name, 2, 1);
	put(name, "3a 4a");
	assert_int_equal(truncate(segment_path(name), (off_t)size_of(name) - 1), 0);
	finish(false);
	look();
	assert_string_equal(take(ALL), "3a TORN NONE");
}

/* Where a line stands: what a cursor and a delivery row are made of. */
static void positions(void **state)
{
	(void)state;
	char name[64];
	struct reader_line line;
	name_segment(name, 1, 0);
	put(name, "1a");
	uint64_t first = size_of(name);
	put(name, "!xyz 2a ~torn");
	look();
	assert_int_equal(reader_next(reader, &line), READER_LINE);
	assert_string_equal(line.segment, name);
	assert_int_equal(line.offset, 0);
	assert_int_equal(line.next, first);
	assert_int_equal(line.event.received_at, BEGIN + 60 * CLOCK_SECOND);
	assert_int_equal(reader_next(reader, &line), READER_DAMAGED);
	assert_int_equal(line.offset, first);
	assert_int_equal(line.next, first + 4);
	assert_true(unit_same(line.raw, "xyz"));
	assert_int_equal(reader_next(reader, &line), READER_LINE);
	assert_int_equal(line.offset, first + 4);
	assert_int_equal(line.next, first + 4 + first);
	assert_int_equal(reader_next(reader, &line), READER_TORN);
	assert_string_equal(line.segment, name);
	assert_int_equal(line.offset, first + 4 + first);
	assert_int_equal(line.next, size_of(name));
	assert_true(unit_same(line.raw, "torn"));
	assert_int_equal(reader_next(reader, &line), READER_NONE);
	assert_int_equal(reader_next(reader, &line), READER_NONE);
}

/* A line without its newline is a write under way while its writer lives, and torn when it does not. */
static void a_tail_under_a_lock_is_waited_for(void **state)
{
	(void)state;
	char name[64];
	struct buf line = {0};
	name_segment(name, 1, 0);
	int writer = hold(name);
	put(name, "1a");
	append_event(&line, 2, 'a');
	assert_int_equal(write(writer, line.data, 40), 40);
	look();
	assert_string_equal(take(ALL), "1a NONE");
	assert_string_equal(finish(false), "");
	look();
	assert_string_equal(take(ALL), "NONE");
	assert_int_equal(write(writer, line.data + 40, line.len - 41), line.len - 41);
	look();
	assert_string_equal(take(ALL), "NONE");
	assert_int_equal(write(writer, "\n", 1), 1);
	look();
	assert_string_equal(take(ALL), "2a NONE");
	assert_int_equal(write(writer, line.data, 40), 40);
	look();
	assert_string_equal(take(ALL), "NONE");
	close(writer);
	look();
	assert_string_equal(take(ALL), "TORN NONE");
	char wanted[64];
	snprintf(wanted, sizeof wanted, "0:%llu", (unsigned long long)size_of(name));
	assert_string_equal(finish(true), wanted);
	buf_fini(&line);
}

/* A round is what its look saw. */
static void what_comes_later_is_for_the_next_round(void **state)
{
	(void)state;
	char a[64], b[64];
	name_segment(a, 1, 0);
	name_segment(b, 2, 1);
	int writer = hold(a);
	put(a, "1a");
	look();
	put(a, "3a");
	put(b, "2b");
	assert_string_equal(take(ALL), "1a NONE");
	assert_string_equal(take(ALL), "NONE");
	look();
	assert_string_equal(take(ALL), "2b 3a NONE");
	close(writer);
}

static char one[64], two[64];

/* Between the looks at two segments: one event is committed to the first, and then one to the second by a sender who
 * has seen the first one's answer. */
static int looks;

static void commit_to_both(void)
{
	/* The first segment has been looked at when the second one's lock is asked for. */
	if (++looks != 2)
		return;
	put(one, "5a");
	put(two, "6b");
}

static void cause_before_effect(void **state)
{
	(void)state;
	name_segment(one, 1, 0);
	name_segment(two, 2, 1);
	int first = hold(one), second = hold(two);
	put(one, "1a 4a");
	put(two, "2b");
	looks = 0;
	before_lock = commit_to_both;
	look();
	before_lock = NULL;
	assert_int_equal(looks, 2);
	assert_string_equal(take(ALL), "1a 2b 4a NONE");
	look();
	assert_string_equal(take(ALL), "5a 6b NONE");
	close(first);
	close(second);
}

/* The same with a segment that is born when the folder was listed: another process took the first of the two. */
static void commit_to_a_new_one(void)
{
	before_size = NULL;
	put(one, "3a");
	put(two, "4b");
}

static void a_cause_in_a_new_segment(void **state)
{
	(void)state;
	name_segment(one, 3, 0);
	name_segment(two, 2, 1);
	int writer = hold(two);
	put(two, "2b");
	before_size = commit_to_a_new_one;
	look();
	assert_null(before_size);
	assert_string_equal(take(ALL), "2b 3a 4b NONE");
	close(writer);
}

/* Where each request is a process there may be thousands of segments. They must not all be open at a time. */
static void thousands_of_short_segments(void **state)
{
	(void)state;
	static const struct {
		int count;
		int step; /* minutes between them; 0: all of the same moment */
	} rows[] = {{2000, 1}, {300, 0}};
	for (size_t s = 0; s < UNIT_COUNT(rows); s++) {
		const int count = rows[s].count, step = rows[s].step;
		struct rlimit before, few;
		for (int i = 0; i < count; i++) {
			char name[64], event[16];
			name_segment(name, 1 + i * step, i);
			snprintf(event, sizeof event, "%da", 1 + i * step);
			put(name, event);
		}
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
		few = before;
		few.rlim_cur = 40;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		int64_t began = clock_monotonic();
		look();
		int lines = 0;
		int64_t last = 0;
		struct reader_line line;
		enum reader_found found;
		while ((found = reader_next(reader, &line)) == READER_LINE) {
			unit_check(line.event.received_at >= last, "line %d", lines);
			last = line.event.received_at;
			lines++;
		}
		int64_t took = clock_monotonic() - began;
		setrlimit(RLIMIT_NOFILE, &before);
		unit_check(found == READER_NONE && lines == count, "step %d: %d lines", step, lines);
		unit_check(took < 20 * CLOCK_SECOND, "step %d: %lld us", step, (long long)took);
		finish(true);
		look();
		assert_string_equal(take(ALL), "NONE");
		teardown(NULL);
		setup(NULL);
	}
}

/* Lines larger than any window, among small ones, and damage as large. */
static void long_lines(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 262000, 262144, 262145, 300000, 3000000, 7};
	char name[64];
	name_segment(name, 1, 0);
	int writer = hold(name);
	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		char *data = malloc(sizes[i] + 5), nonce[16];
		struct buf line = {0};
		memset(data + 2, 'x', sizes[i]);
		memcpy(data, "[\"", 2);
		memcpy(data + 2 + sizes[i], "\"]", 3);
		snprintf(nonce, sizeof nonce, "\"%zu\"", i);
		struct event event = unit_event(BEGIN, nonce, data, 1);
		unit_line(&event, &line);
		unit_write(segment_path(name), line.data, line.len);
		memset(line.data, '#', line.len - 1);
		unit_write(segment_path(name), line.data, line.len);
		buf_fini(&line);
		free(data);
	}
	look();
	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		struct reader_line line;
		unit_check(reader_next(reader, &line) == READER_LINE, "line %zu", i);
		unit_check(line.event.data.len == sizes[i] + 4, "line %zu", i);
		unit_check(line.event.nonce.ptr[1] == (char)('0' + i), "line %zu", i);
		unit_check(reader_next(reader, &line) == READER_DAMAGED, "line %zu", i);
		unit_check(line.raw.ptr[0] == '#' && line.raw.ptr[line.raw.len - 1] == '#', "line %zu", i);
	}
	assert_string_equal(take(1), "NONE");
	close(writer);
}

static const struct {
	const char *name;
	int events; /* taken in before */
	int more;   /* bytes added to that cursor */
	const char *order;
} resumes[] = {
	{"from the beginning", 0, 0, "1a 2a 3a NONE"},
	{"behind the first", 1, 0, "2a 3a NONE"},
	{"at the end", 3, 0, "NONE"},
	{"beyond the end: what was never synced may be gone", 3, 1, "1a 2a 3a NONE"},
	{"far beyond the end", 3, 1 << 30, "1a 2a 3a NONE"},
	{"in the middle of a line: it is damaged", 1, 7, "1a 2a 3a NONE"},
	{"before a newline", 1, -1, "1a 2a 3a NONE"},
};

static void resume(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(resumes); i++) {
		char name[64], wanted[64];
		name_segment(name, 1, 0);
		put(name, "1a 2a 3a");
		uint64_t size = size_of(name);
		assert_int_equal(
			reader_resume(reader, name, size / 3 * (uint64_t)resumes[i].events + (uint64_t)resumes[i].more),
			0);
		look();
		const char *got = take(ALL);
		unit_check(strcmp(got, resumes[i].order) == 0, "%s: %s", resumes[i].name, got);
		snprintf(wanted, sizeof wanted, "0:%llu", (unsigned long long)size);
		got = finish(true);
		unit_check(strcmp(got, wanted) == 0, "%s: %s", resumes[i].name, got);
		teardown(NULL);
		setup(NULL);
	}
}

/* A segment that had shrunk and is written again. */
static void beyond_the_end_then_more(void **state)
{
	(void)state;
	char name[64];
	name_segment(name, 1, 0);
	int writer = hold(name);
	put(name, "1a");
	assert_int_equal(reader_resume(reader, name, 100000), 0);
	look();
	assert_string_equal(take(ALL), "1a NONE");
	put(name, "2a");
	look();
	assert_string_equal(take(ALL), "2a NONE");
	close(writer);
}

static void resumes_what_is_not_there(void **state)
{
	(void)state;
	char name[64], gone[64];
	name_segment(name, 1, 0);
	name_segment(gone, 2, 1);
	put(name, "1a");
	assert_int_equal(reader_resume(reader, gone, 17), 0);
	assert_int_equal(reader_resume(reader, "../state.db", 17), 0);
	assert_int_equal(reader_resume(reader, "", 17), 0);
	look();
	assert_string_equal(take(ALL), "1a NONE");
	/* What was dropped as missing is new when it is there again. */
	put(gone, "2b");
	look();
	assert_string_equal(take(ALL), "2b NONE");
}

/* A transaction that failed is made again. */
static void resume_goes_back(void **state)
{
	(void)state;
	char name[64];
	name_segment(name, 1, 0);
	put(name, "1a 2a 3a");
	uint64_t line = size_of(name) / 3;
	look();
	assert_string_equal(take(2), "1a 2a");
	assert_int_equal(reader_resume(reader, name, line), 0);
	look();
	assert_string_equal(take(ALL), "2a 3a NONE");
	assert_int_equal(reader_resume(reader, name, 0), 0);
	look();
	assert_string_equal(take(ALL), "1a 2a 3a NONE");
}

/* Also where the next line had been read already, to compare it with another segment's. */
static void resume_goes_back_of_what_was_read(void **state)
{
	(void)state;
	char a[64], b[64];
	name_segment(a, 1, 0);
	name_segment(b, 2, 1);
	int writers[] = {hold(a), hold(b)};
	put(a, "1a 3a");
	put(b, "2b");
	look();
	assert_string_equal(take(2), "1a 2b");
	assert_int_equal(reader_resume(reader, a, 0), 0);
	look();
	assert_string_equal(take(ALL), "1a 3a NONE");
	close(writers[0]);
	close(writers[1]);
}

/* A line that was given has been taken, also where the round was left in its middle. */
static void bounded_rounds(void **state)
{
	(void)state;
	char a[64], b[64];
	name_segment(a, 1, 0);
	name_segment(b, 2, 1);
	put(a, "1a 3a 5a");
	put(b, "2b 4b");
	look();
	assert_string_equal(take(2), "1a 2b");
	look();
	assert_string_equal(take(1), "3a");
	assert_string_equal(finish(false), "");
	look();
	assert_string_equal(take(2), "4b 5a");
	/* Both are read to their end, though nobody has asked for more. */
	assert_int_equal(strspn(finish(true), "0"), 1);
	look();
	assert_string_equal(take(ALL), "NONE");
}

static void finished_segments(void **state)
{
	(void)state;
	char names[4][64], wanted[128];
	for (int i = 0; i < 4; i++)
		name_segment(names[i], i + 1, i);
	put(names[0], "1a");
	put(names[1], "2b");
	int writer = hold(names[2]);
	put(names[2], "3c");
	put(names[3], "4d");
	uint64_t size = size_of(names[0]);
	look();
	assert_string_equal(take(3), "1a 2b 3c");
	/* Read to their end and sealed: not the one that is held, nor the one that is not read. */
	snprintf(wanted, sizeof wanted, "0:%llu 1:%llu", (unsigned long long)size, (unsigned long long)size);
	assert_string_equal(finish(false), wanted);
	/* Offered again until it is put away. */
	assert_string_equal(finish(true), wanted);
	assert_string_equal(finish(true), "");
	look();
	assert_string_equal(take(ALL), "4d NONE");
	close(writer);
	look();
	snprintf(wanted, sizeof wanted, "2:%llu 3:%llu", (unsigned long long)size, (unsigned long long)size);
	assert_string_equal(finish(true), wanted);
}

/* S1 and S2: whether an empty segment is a dead writer's or a newborn one's is decided under its lock. */
static bool try_to_own(void *arg, const char *name, uint64_t size)
{
	int *failed = arg;
	assert_int_equal(size, 0);
	int fd = open(segment_path(name), O_WRONLY);
	*failed = syscall(SYS_flock, fd, LOCK_EX | LOCK_NB) < 0;
	close(fd);
	return unlink(segment_path(name)) == 0;
}

static void empty_segments_are_put_away_under_a_lock(void **state)
{
	(void)state;
	char name[64];
	int failed = -1;
	name_segment(name, 1, 0);
	put(name, "");
	look();
	reader_finished(reader, try_to_own, &failed);
	assert_int_equal(failed, 1);
}

static void an_empty_segment_that_found_its_writer(void **state)
{
	(void)state;
	char name[64];
	name_segment(name, 1, 0);
	/* Locked, written and left since the look, before anything is put away. */
	put(name, "");
	look();
	put(name, "0a");
	look();
	assert_string_equal(take(ALL), "0a NONE");
	assert_int_equal(finish(true)[0], '0');
	/* Locked since the look. */
	put(name, "");
	look();
	int writer = hold(name);
	assert_string_equal(finish(true), "");
	put(name, "1a");
	look();
	assert_string_equal(take(ALL), "1a NONE");
	assert_string_equal(finish(true), "");
	close(writer);
	look();
	assert_int_equal(finish(true)[0], '0');
	/* Locked, written and left since the look. */
	put(name, "");
	look();
	put(name, "2a");
	assert_string_equal(finish(true), "");
	look();
	assert_string_equal(take(ALL), "2a NONE");
	assert_int_equal(finish(true)[0], '0');
}

static int late_writer;

static void own_and_write(void)
{
	after_unlock = NULL;
	late_writer = hold(one);
	put(one, "1a ~{\"v\":1,");
}

/* From S1 to S4 at the moment when the reader lets go of the lock that it has tried: the segment is its writer's, and
 * may neither be put away nor have a torn tail, whatever of it the round takes on the way to another one's line. */
static void a_writer_that_comes_during_the_look(void **state)
{
	(void)state;
	name_segment(one, 1, 0);
	name_segment(two, 2, 1);
	put(one, "");
	put(two, "5b");
	after_unlock = own_and_write;
	look();
	assert_null(after_unlock);
	assert_null(strstr(take(ALL), "TORN"));
	assert_null(strstr(finish(true), "0:"));
	put(one, "!rest 2a");
	look();
	assert_non_null(strstr(take(ALL), "DAMAGED 2a NONE"));
	assert_null(strstr(finish(true), "0:"));
	close(late_writer);
	look();
	assert_string_equal(take(ALL), "NONE");
	assert_int_equal(finish(true)[0], '0');
}

/* Only plain files of the right name are segments. */
static void other_things_in_the_folder(void **state)
{
	(void)state;
	static const char *const others[] = {
		"README",
		".20261123T090000.123456Z-1-00000000.jsonl",
		"20261123T090000.123456Z-1-00000000.jsonl.tmp",
		"20261123T090000.123456Z-1-00000000",
		"2026-11-23T09:00:00.123456Z-1-00000000.jsonl",
		".jsonl",
		"20261123T090000.123456Z-123456789012345678901234567890123456789-00000000.jsonl",
	};
	char name[64], good[64];
	for (size_t i = 0; i < UNIT_COUNT(others); i++)
		put(others[i], "1x");
	name_segment(name, 2, 0);
	put("README", "2x");
	assert_int_equal(symlink("README", segment_path(name)), 0);
	name_segment(name, 3, 1);
	assert_int_equal(mkdir(segment_path(name), 0700), 0);
	name_segment(name, 4, 2);
	assert_int_equal(mkfifo(segment_path(name), 0600), 0);
	name_segment(good, 5, 3);
	put(good, "5a");
	for (int i = 0; i < 3; i++) {
		look();
		assert_string_equal(take(ALL), i == 0 ? "5a NONE" : "NONE");
		finish(false);
	}
}

/* What a segment has that cannot be read may be next: nothing overtakes it, and it is tried again in the next round. */
static void failures(void **state)
{
	(void)state;
	char a[64], b[64];
	struct reader_line line;
	name_segment(a, 1, 0);
	name_segment(b, 2, 1);
	put(a, "1a");
	put(b, "2b");
	look();
	assert_int_equal(rename(segment_path(a), unit_path(folder, "away")), 0);
	errno = 0;
	assert_int_equal(reader_next(reader, &line), READER_FAILED);
	assert_int_equal(errno, ENOENT);
	assert_string_equal(line.segment, a);
	assert_string_equal(take(ALL), "NONE");
	assert_int_equal(rename(unit_path(folder, "away"), segment_path(a)), 0);
	look();
	assert_string_equal(take(ALL), "1a 2b NONE");
	/* Cut off under the reader's hands. */
	put(a, "3a");
	int writer = hold(a);
	reader_resume(reader, a, 0);
	look();
	assert_int_equal(ftruncate(writer, 0), 0);
	assert_string_equal(take(ALL), "FAILED NONE");
	look();
	assert_string_equal(take(ALL), "NONE");
	close(writer);
	assert_int_equal(rename(unit_path(folder, "journal"), unit_path(folder, "gone")), 0);
	reader_free(reader);
	close(spool.journal_fd);
	spool.journal_fd = open("/dev/null", O_RDONLY);
	reader = reader_new(&spool);
	assert_int_equal(reader_look(reader), -1);
	assert_int_equal(errno, ENOTDIR);
}

/* Segments of the minutes 1, 3 and 5, of which the second cannot be opened. */
static const struct {
	const char *name, *second;
	bool is_link;
	const char *order, *later;
} unreadable[] = {
	{"with a line: what came later waits", "3b", false, "1a FAILED NONE", "3b 5c NONE"},
	{"not written to yet: nothing can be in it", "", false, "1a 5c NONE", "NONE"},
	{"no file at all", "3b", true, "1a 5c NONE", "NONE"},
};

static void unreadable_segments(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(unreadable); i++) {
		char names[3][64];
		for (int k = 0; k < 3; k++)
			name_segment(names[k], 1 + 2 * k, k);
		put(names[0], "1a");
		put(unreadable[i].is_link ? "other" : names[1], unreadable[i].second);
		put(names[2], "5c");
		if (unreadable[i].is_link)
			assert_int_equal(symlink("other", segment_path(names[1])), 0);
		refused = names[1];
		look();
		const char *got = take(ALL);
		unit_check(strcmp(got, unreadable[i].order) == 0, "%s: %s", unreadable[i].name, got);
		finish(false);
		look();
		got = take(1);
		unit_check(strcmp(got, strstr(unreadable[i].order, "FAILED") ? "FAILED" : "NONE") == 0, "%s, again: %s",
			   unreadable[i].name, got);
		refused = NULL;
		look();
		got = take(ALL);
		unit_check(strcmp(got, unreadable[i].later) == 0, "%s, readable: %s", unreadable[i].name, got);
		teardown(NULL);
		setup(NULL);
	}
}

/* Where another user may write to the journal, what that one has made unreadable holds nobody up. */
static void unreadable_segments_of_another_user(void **state)
{
	(void)state;
	struct reader_stray stray;
	char names[3][64];
	if (geteuid() != 0)
		skip();
	for (int k = 0; k < 3; k++) {
		name_segment(names[k], 1 + 2 * k, k);
		put(names[k], (const char *[]){"1a", "3b", "5c"}[k]);
	}
	spool.has_group = true;
	refused = names[1];
	assert_int_equal(lchown(segment_path(names[1]), 65534, (gid_t)-1), 0);
	look();
	assert_string_equal(take(ALL), "1a 5c NONE");
	assert_true(reader_stray(reader, &stray));
	assert_string_equal(stray.name, names[1]);
	assert_int_equal(stray.error, EACCES);
	assert_false(reader_stray(reader, &stray));
	refused = NULL;
	look();
	assert_string_equal(take(ALL), "3b NONE");
}

/* Of its own files, none that has a name elsewhere too: the other user may have given it one here. */
static void hard_links(void **state)
{
	(void)state;
	struct reader_stray stray;
	char name[64];
	name_segment(name, 1, 0);
	put("other", "1a");
	assert_int_equal(link(segment_path("other"), segment_path(name)), 0);
	spool.has_group = true;
	look();
	assert_string_equal(take(ALL), "NONE");
	assert_true(reader_stray(reader, &stray));
	assert_int_equal(stray.error, EMLINK);
	spool.has_group = false;
	look();
	assert_string_equal(take(ALL), "1a NONE");
}

/* A line that does not end would have to be held in memory as a whole. */
static void endless_lines(void **state)
{
	(void)state;
	struct reader_stray stray;
	char names[2][64];
	if (geteuid() != 0)
		skip();
	name_segment(names[0], 1, 0);
	name_segment(names[1], 2, 1);
	put(names[0], "");
	put(names[1], "2b");
	assert_int_equal(truncate(segment_path(names[0]), (off_t)1 << 40), 0);
	assert_int_equal(lchown(segment_path(names[0]), 65534, (gid_t)-1), 0);
	spool.has_group = true;
	spool.line_max = 1 << 20;
	look();
	assert_string_equal(take(ALL), "2b NONE");
	assert_true(reader_stray(reader, &stray));
	assert_int_equal(stray.error, EFBIG);
}

static int count_open(void)
{
	int count = 0;
	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Names by the thousand, of which none can be read: none is kept open. */
static void many_that_are_no_files(void **state)
{
	(void)state;
	char name[64];
	for (int i = 0; i < 1100; i++) {
		name_segment(name, 1, i);
		assert_int_equal(mkfifo(segment_path(name), 0600), 0);
	}
	name_segment(name, 2, 1100);
	put(name, "2b");
	int before = count_open();
	look();
	assert_int_equal(count_open(), before);
	assert_string_equal(take(ALL), "2b NONE");
}

/* Segments that are written to stay open for their reader, but not by the thousand; and they come in their order. */
static void many_that_are_held(void **state)
{
	(void)state;
	enum { MANY = 400 };
	static int writers[MANY];
	char name[64], word[16], expected[MANY * 8] = "";
	struct rlimit limit = {4096, 4096};
	setrlimit(RLIMIT_NOFILE, &limit);
	/* All of one stamp, so that each has to be looked into; the later in name the earlier in time. */
	for (int i = 0; i < MANY; i++) {
		name_segment(name, 1, i);
		writers[i] = hold(name);
		snprintf(word, sizeof word, "%da", 1 + MANY - i);
		put(name, word);
		snprintf(word, sizeof word, "%da ", 2 + i);
		strcat(expected, word);
	}
	int before = count_open();
	look();
	assert_true(count_open() - before < 150);
	const char *got = take(ALL);
	assert_true(count_open() - before < 150);
	strcat(expected, "NONE");
	assert_string_equal(got, expected);
	for (int i = 0; i < MANY; i++)
		close(writers[i]);
}

static const struct {
	const char *name;
	bool archived, altered;
	int offset, length; /* added to what is right */
	int error;
} fetches[] = {
	{"journal", false, false, 0, 0, 0},
	{"archive", true, false, 0, 0, 0},
	{"altered", false, true, 0, 0, EBADMSG},
	{"altered in the archive", true, true, 0, 0, EBADMSG},
	{"another place", false, false, 1, 0, EBADMSG},
	{"too short", false, false, 0, -1, EBADMSG},
	{"with its newline", false, false, 0, 1, EBADMSG},
	{"over the end", false, false, 0, 100000, EBADMSG},
	{"behind the end", false, false, 100000, 0, EBADMSG},
};

static void fetch(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(fetches); i++) {
		char name[64], archived[128];
		struct buf out = {0};
		struct event event;
		name_segment(name, 1, 0);
		put(name, "1a");
		uint64_t line = size_of(name);
		put(name, "2a 3a");
		if (fetches[i].altered) {
			int fd = open(segment_path(name), O_WRONLY);
			assert_int_equal(pwrite(fd, "#", 1, (off_t)(line + line / 2)), 1);
			close(fd);
		}
		if (fetches[i].archived) {
			snprintf(archived, sizeof archived, "archive/%s", name);
			assert_int_equal(rename(segment_path(name), unit_path(folder, archived)), 0);
		}
		assert_int_equal(buf_str(&out, "before"), 0);
		errno = 0;
		int result = reader_fetch(&spool, name, line + (uint64_t)fetches[i].offset,
					  line - 1 + (uint64_t)fetches[i].length, &out, &event);
		unit_check(result == (fetches[i].error ? -1 : 0), "%s", fetches[i].name);
		unit_check(errno == fetches[i].error || result == 0, "%s: errno %d", fetches[i].name, errno);
		unit_check(out.len == 6 + (result == 0 ? line - 1 : 0), "%s", fetches[i].name);
		unit_check(result < 0 || unit_same(event.nonce, "\"2a\""), "%s", fetches[i].name);
		buf_fini(&out);
		teardown(NULL);
		setup(NULL);
	}
	struct buf out = {0};
	struct event event;
	char name[64];
	name_segment(name, 1, 0);
	assert_int_equal(reader_fetch(&spool, name, 0, 10, &out, &event), -1);
	assert_int_equal(errno, ENOENT);
	/* A command that looks at a spool may have no archive. */
	close(spool.archive_fd);
	spool.archive_fd = -1;
	assert_int_equal(reader_fetch(&spool, name, 0, 10, &out, &event), -1);
	assert_int_equal(errno, ENOENT);
	buf_fini(&out);
}

static void free_takes_null(void **state)
{
	(void)state;
	reader_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order, setup, teardown),
		cmocka_unit_test_setup_teardown(newer_versions, setup, teardown),
		cmocka_unit_test_setup_teardown(a_last_newline_that_rotted, setup, teardown),
		cmocka_unit_test_setup_teardown(positions, setup, teardown),
		cmocka_unit_test_setup_teardown(a_tail_under_a_lock_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_later_is_for_the_next_round, setup, teardown),
		cmocka_unit_test_setup_teardown(cause_before_effect, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cause_in_a_new_segment, setup, teardown),
		cmocka_unit_test_setup_teardown(thousands_of_short_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(long_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(resume, setup, teardown),
		cmocka_unit_test_setup_teardown(beyond_the_end_then_more, setup, teardown),
		cmocka_unit_test_setup_teardown(resumes_what_is_not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(resume_goes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(resume_goes_back_of_what_was_read, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded_rounds, setup, teardown),
		cmocka_unit_test_setup_teardown(finished_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(empty_segments_are_put_away_under_a_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_segment_that_found_its_writer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_writer_that_comes_during_the_look, setup, teardown),
		cmocka_unit_test_setup_teardown(other_things_in_the_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(failures, setup, teardown),
		cmocka_unit_test_setup_teardown(unreadable_segments, setup, teardown),
		cmocka_unit_test_setup_teardown(unreadable_segments_of_another_user, setup, teardown),
		cmocka_unit_test_setup_teardown(hard_links, setup, teardown),
		cmocka_unit_test_setup_teardown(endless_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(many_that_are_no_files, setup, teardown),
		cmocka_unit_test_setup_teardown(many_that_are_held, setup, teardown),
		cmocka_unit_test_setup_teardown(fetch, setup, teardown),
		cmocka_unit_test(free_takes_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
