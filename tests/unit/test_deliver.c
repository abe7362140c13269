#include "config.h"

#include "deliver/deliver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/signals.h"
#include "query.h"
#include "spool/open.h"
#include "spool/request_file.h"
#include "spool/segment.h"
#include "spool/spool.h"
#include "target/kind.h"
#include "unit.h"

#define SECONDS(n) ((n)*CLOCK_SECOND)

static const struct deliver_times quick = {
	.idle_for = CLOCK_SECOND / 2,
	.stop_after = 3 * CLOCK_SECOND,
	.look_every = CLOCK_SECOND / 2,
};
#define NOON INT64_C(1795435200000000) /* 2026-11-23T12:00:00Z */

static struct {
	char *folder;
	struct conf conf;
	struct conf_target targets[3];
	struct buf texts[3]; /* what the targets' strings are in */
	char *argv[3][8];
	int64_t now; /* received_at of the next event */
	unsigned events;
	struct buf log;
} t;

static void keep_log(const char *line)
{
	assert_int_equal(buf_str(&t.log, line), 0);
	assert_int_equal(buf_char(&t.log, '\n'), 0);
}

static bool logged(const char *words)
{
	return t.log.len > 0 && strstr(buf_cstr(&t.log), words) != NULL;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof t);
	t.folder = unit_folder();
	t.conf = unit_conf(strdup(unit_path(t.folder, "spool")));
	t.conf.keep = SECONDS(7 * 86400);
	t.conf.remember = SECONDS(30 * 86400);
	t.conf.targets = t.targets;
	t.now = NOON;
	log_to(keep_log);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_to(NULL);
	buf_fini(&t.log);
	for (size_t i = 0; i < UNIT_COUNT(t.texts); i++)
		buf_fini(&t.texts[i]);
	free((char *)t.conf.spool);
	unit_remove(t.folder);
	return 0;
}

/* Targets */

static struct conf_target *add_target(const char *name)
{
	struct conf_target *target = &t.targets[t.conf.target_count++];
	*target = (struct conf_target){
		.name = name,
		.mode = 0600,
		.timeout = SECONDS(30),
		.batch = 1,
		.workers = 1,
		.retry_for = SECONDS(3 * 86400),
	};
	return target;
}

/* A file target below the folder's out/. */
static struct conf_target *add_file(const char *name, const char *template)
{
	struct buf *text = &t.texts[t.conf.target_count];
	struct conf_target *target = add_target(name);
	assert_int_equal(buf_printf(text, "%s/out/%s", t.folder, template), 0);
	target->kind = &target_file_kind.conf;
	target->file = buf_cstr(text);
	return target;
}

/* A script for the shell, whose $0 is the folder. */
static struct conf_target *add_script(const char *name, const char *script)
{
	char **argv = t.argv[t.conf.target_count];
	struct conf_target *target = add_target(name);
	argv[0] = (char *)"/bin/sh";
	argv[1] = (char *)"-c";
	argv[2] = (char *)script;
	argv[3] = t.folder;
	target->kind = &target_run_kind.conf;
	target->words = argv;
	return target;
}

/* The journal */

static struct event make_event(const char *nonce, const char *connection, const char *data)
{
	struct event event = unit_event(t.now++, nonce, data, data[1] == ']' ? 0 : 1);
	event.fields[EVENT_CONNECTION_ID] = unit_span(connection);
	return event;
}

/* Bytes as one segment of their own. */
static void put_segment(struct buf *lines)
{
	struct spool spool;
	struct segment segment = SEGMENT_NONE;
	assert_int_equal(spool_open(&spool, &t.conf, SPOOL_RECEIVE), 0);
	assert_int_equal(segment_open(&segment, &spool, t.now), 0);
	struct iovec iov = {lines->data, lines->len};
	assert_int_equal(segment_commit(&segment, &spool, &iov, 1), 0);
	segment_close(&segment);
	spool_close(&spool);
	buf_fini(lines);
}

/* An event in a segment of its own: the elements are {"n":<a number>} */
static void put_event(const char *nonce, const char *connection)
{
	char data[64];
	struct buf lines = {0};
	snprintf(data, sizeof data, "[{\"n\":%u}]", t.events++);
	struct event event = make_event(nonce, connection, data);
	unit_line(&event, &lines);
	put_segment(&lines);
}

static void put_events(unsigned count, const char *connection)
{
	char nonce[32];
	for (unsigned i = 0; i < count; i++) {
		snprintf(nonce, sizeof nonce, "\"%u\"", t.events);
		put_event(nonce, connection);
	}
}

static int count_files(const char *name)
{
	DIR *dir = opendir(unit_path(t.folder, name));
	struct dirent *entry;
	int count = 0;
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* The numbers of the records in a file, one after the other; "" if it is not there. */
static const char *numbers(const char *name)
{
	static char text[4096];
	size_t n = 0;
	const char *path = unit_path(t.folder, name);
	text[0] = '\0';
	if (access(path, F_OK) < 0)
		return text;
	struct buf b = unit_read(path);
	assert_true(b.len == 0 || b.data[b.len - 1] == '\n');
	for (char *line = b.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		const char *number = strstr(line, "\"data\":{\"n\":");
		assert_non_null(number);
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", n > 0 ? " " : "", atoi(number + 12));
	}
	buf_fini(&b);
	return text;
}

#define expect_numbers(name, expected) assert_string_equal(numbers(name), expected)

/* The state, past the module. */
static int64_t query(const char *sql)
{
	return unit_query(unit_path(t.folder, "spool/state.db"), sql);
}

static void once(void)
{
	int code = deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, NULL, &quick);
	if (code != 0)
		print_error("%s", t.log.len > 0 ? buf_cstr(&t.log) : "nothing was logged\n");
	assert_int_equal(code, 0);
}

/* As if this much time had passed since the last run. */
static void later(int64_t us)
{
	char sql[80];
	snprintf(sql, sizeof sql, "UPDATE age SET at = at - %lld", (long long)us);
	query(sql);
}

/* Files */

static void events_reach_files_and_the_archive(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	add_file("by", "%{connection_id}/%{date}.jsonl");
	put_events(2, "\"c1\"");
	put_events(1, "\"../c2\"");
	put_events(1, "\"c1\"");
	once();
	expect_numbers("out/all.jsonl", "0 1 2 3");
	expect_numbers("out/c1/2026-11-23.jsonl", "0 1 3");
	expect_numbers("out/%2E.%2Fc2/2026-11-23.jsonl", "2");
	assert_int_equal(count_files("spool/journal"), 0);
	assert_int_equal(count_files("spool/archive"), 1);
	assert_int_equal(query("SELECT count(*) FROM segment"), 0);
	assert_int_equal(query("SELECT value FROM count WHERE name = 'events'"), 4);
	assert_int_equal(query("SELECT sum(done) FROM target"), 8);
	put_events(1, "\"c1\"");
	once();
	expect_numbers("out/all.jsonl", "0 1 2 3 4");
	/* The same fold takes more. */
	assert_int_equal(count_files("spool/archive"), 1);
}

/* A writer whose lock is not seen here, and what it appends when the next thing is synced. */
static struct {
	const char *path;
	struct buf line;
} writer;

static int datasync_late(int fd)
{
	if (writer.path != NULL)
		unit_write(writer.path, writer.line.data, writer.line.len);
	writer.path = NULL;
	return fdatasync(fd);
}

static const char *only_segment(void)
{
	static char path[4096];
	DIR *dir = opendir(unit_path(t.folder, "spool/journal"));
	struct dirent *entry;
	assert_non_null(dir);
	path[0] = '\0';
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			snprintf(path, sizeof path, "%s/spool/journal/%s", t.folder, entry->d_name);
	closedir(dir);
	return path;
}

static void check_growing(size_t padding)
{
	struct buf data = {0}, lines = {0};
	assert_int_equal(buf_printf(&data, "[{\"n\":%u,\"x\":\"%*s\"}]", t.events++, (int)padding, ""), 0);
	struct event event = make_event("\"a\"", "\"c1\"", buf_cstr(&data));
	unit_line(&event, &lines);
	put_segment(&lines);
	buf_fini(&data);
	assert_int_equal(buf_printf(&data, "[{\"n\":%u}]", t.events++), 0);
	event = make_event("\"b\"", "\"c1\"", buf_cstr(&data));
	unit_line(&event, &writer.line);
	buf_fini(&data);
	writer.path = only_segment();
	fsio_calls.fdatasync = datasync_late;
	once();
	fsio_calls.fdatasync = fdatasync;
	assert_null(writer.path);
	once();
	assert_int_equal(count_files("spool/journal"), 0);
	buf_fini(&writer.line);
}

/* Folded, and moved as they are. */
static void segments_that_grow_are_not_put_away(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	check_growing(10);
	expect_numbers("out/all.jsonl", "0 1");
	teardown(NULL);
	setup(NULL);
	add_file("all", "all.jsonl");
	check_growing(2u << 20);
	expect_numbers("out/all.jsonl", "0 1");
}

/* As a deliverer leaves it that is killed while it puts it away. */
static void a_hidden_segment_is_found_again(void **state)
{
	(void)state;
	char hidden[4096];
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	const char *path = only_segment(), *name = strrchr(path, '/') + 1;
	snprintf(hidden, sizeof hidden, "%.*s.%s", (int)(name - path), path, name);
	assert_int_equal(rename(path, hidden), 0);
	once();
	expect_numbers("out/all.jsonl", "0");
	assert_int_equal(access(hidden, F_OK), -1);
	assert_int_equal(count_files("spool/journal"), 0);
}

/* As a deliverer leaves it that is killed when the segment is copied to another file system; its writer went on. */
static void a_copy_is_not_taken_for_delivered(void **state)
{
	(void)state;
	char path[4096];
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	once();
	put_events(1, "\"c1\"");
	const char *name = strrchr(only_segment(), '/');
	struct buf copy = unit_read(only_segment());
	snprintf(path, sizeof path, "%s/spool/archive%s", t.folder, name);
	unit_write(path, copy.data, copy.len);
	once();
	expect_numbers("out/all.jsonl", "0 1");
	buf_fini(&copy);
}

static void an_empty_event_is_a_record(void **state)
{
	(void)state;
	struct buf lines = {0};
	add_file("all", "all.jsonl");
	struct event event = make_event("\"n\"", "\"c1\"", "[]");
	unit_line(&event, &lines);
	put_segment(&lines);
	once();
	struct buf b = unit_read(unit_path(t.folder, "out/all.jsonl"));
	assert_non_null(strstr(b.data, ",\"index\":null,\"count\":0,"));
	buf_fini(&b);
}

static void duplicates_are_delivered_once(void **state)
{
	(void)state;
	struct buf lines = {0};
	add_file("all", "all.jsonl");
	struct event event = make_event("\"n\"", "\"c1\"", "[{\"n\":7}]");
	unit_line(&event, &lines);
	unit_line(&event, &lines);
	put_segment(&lines);
	once();
	event.received_at += SECONDS(60);
	event.fields[EVENT_CONNECTION_ID] = UNIT_SPAN("\"c2\""); /* not signed, and not part of the identity */
	unit_line(&event, &lines);
	put_segment(&lines);
	once();
	expect_numbers("out/all.jsonl", "7");
	assert_int_equal(query("SELECT value FROM count WHERE name = 'duplicates'"), 2);
	assert_int_equal(query("SELECT value FROM count WHERE name = 'events'"), 1);
}

static void damage_is_set_aside(void **state)
{
	(void)state;
	struct buf lines = {0};
	add_file("all", "all.jsonl");
	for (int i = 0; i < 4; i++) {
		char data[32], nonce[16];
		snprintf(data, sizeof data, "[{\"n\":%d}]", i);
		snprintf(nonce, sizeof nonce, "\"%d\"", i);
		struct event event = make_event(nonce, "\"c1\"", data);
		unit_line(&event, &lines);
	}
	char *second = strstr(buf_cstr(&lines), "{\"n\":1}");
	second[5] = '9';
	lines.len -= 30; /* the last one is torn */
	put_segment(&lines);
	once();
	expect_numbers("out/all.jsonl", "0 2");
	assert_int_equal(query("SELECT value FROM count WHERE name = 'damaged'"), 1);
	assert_int_equal(query("SELECT value FROM count WHERE name = 'torn'"), 1);
	assert_int_equal(count_files("spool/damaged"), 1);
	assert_int_equal(count_files("spool/journal"), 0);
	assert_true(logged("damaged"));
	t.events = 4;
	put_events(1, "\"c1\"");
	once();
	expect_numbers("out/all.jsonl", "0 2 4");
	assert_int_equal(count_files("spool/archive"), 1);
}

static void a_lost_state_is_made_from_the_archive(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	put_event("\"a\"", "\"c1\"");
	once();
	assert_int_equal(unlink(unit_path(t.folder, "spool/state.db")), 0);
	t.events = 0;
	put_event("\"a\"", "\"c1\"");
	put_event("\"b\"", "\"c1\"");
	once();
	expect_numbers("out/all.jsonl", "0 1");
}

static void copy_state(const char *from, const char *to, bool in_place)
{
	struct buf b = unit_read(unit_path(t.folder, from));
	if (in_place)
		assert_int_equal(truncate(unit_path(t.folder, to), 0), 0);
	else
		unlink(unit_path(t.folder, to));
	unit_write(unit_path(t.folder, to), b.data, b.len);
	buf_fini(&b);
}

/* What the files have and the journal has no more is not cut off, and not delivered again. */
static void an_older_state_cuts_nothing_off(void **state)
{
	for (int in_place = 0; in_place < 2; in_place++) {
		if (in_place) {
			teardown(state);
			setup(state);
		}
		add_file("all", "all.jsonl");
		put_events(2, "\"c1\"");
		once();
		copy_state("spool/state.db", "older", false);
		put_events(2, "\"c1\"");
		once();
		copy_state("older", "spool/state.db", in_place);
		put_events(1, "\"c1\"");
		t.events = 2;
		put_events(1, "\"c1\""); /* sent again */
		once();
		expect_numbers("out/all.jsonl", "0 1 2 3 4");
		assert_int_equal(query("SELECT value FROM count WHERE name = 'duplicates'"), 1);
		assert_true(logged("they stay"));
		once();
		expect_numbers("out/all.jsonl", "0 1 2 3 4");
	}
}

/* What stands in the journal is delivered again, and was cut off before. */
static void an_older_state_delivers_again_what_is_in_the_journal(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	add_script("crm", "exit 100");
	put_events(2, "\"c1\"");
	once();
	copy_state("spool/state.db", "older", false);
	put_events(2, "\"c1\"");
	once();
	copy_state("older", "spool/state.db", true);
	put_events(1, "\"c1\"");
	once();
	expect_numbers("out/all.jsonl", "0 1 2 3 4");
	assert_int_equal(query("SELECT count(*) FROM delivery WHERE parked_at IS NOT NULL"), 5);
}

static void a_torn_record_of_a_lost_state_is_cut_off(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	once();
	assert_int_equal(unlink(unit_path(t.folder, "spool/state.db")), 0);
	unit_write(unit_path(t.folder, "out/all.jsonl"), "{\"event_id\":\"01", 15);
	put_events(1, "\"c1\"");
	once();
	expect_numbers("out/all.jsonl", "0 1");
}

static void a_damaged_state_is_set_aside(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	put_event("\"a\"", "\"c1\"");
	once();
	int fd = open(unit_path(t.folder, "spool/state.db"), O_WRONLY);
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 4096; at < st.st_size; at++)
		assert_int_equal(pwrite(fd, "x", 1, at), 1);
	close(fd);
	t.events = 0;
	put_event("\"a\"", "\"c1\"");
	put_event("\"b\"", "\"c1\"");
	once();
	expect_numbers("out/all.jsonl", "0 1");
	assert_true(logged("damaged"));
	assert_true(logged("set aside"));
}

static void a_state_of_another_version_is_left_alone(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	once();
	query("PRAGMA user_version = 999");
	put_event("\"a\"", "\"c1\"");
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, NULL, &quick), EX_SOFTWARE);
	assert_true(logged("another version"));
	assert_int_equal(query("PRAGMA user_version"), 999);
	assert_int_equal(access(unit_path(t.folder, "out/all.jsonl"), F_OK), -1);
}

/* Whichever page is gone, the deliverer goes on. It may find it late, when an event is delivered that stands in the
 * journal still: then that one comes again. */
static void any_page_may_be_lost(void **state)
{
	(void)state;
	static const char zeros[4096];
	unsigned times[64] = {0};
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	once();
	struct buf b = unit_read(unit_path(t.folder, "spool/state.db"));
	unsigned pages = (unsigned)(b.len / sizeof zeros);
	assert_in_range(pages, 20, UNIT_COUNT(times) - 1);
	for (unsigned page = 0; page < pages; page++) {
		const char *path = unit_path(t.folder, "spool/state.db");
		assert_int_equal(truncate(path, 0), 0);
		unit_write(path, b.data, b.len);
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		assert_int_equal(pwrite(fd, zeros, sizeof zeros, (off_t)page * (off_t)sizeof zeros), sizeof zeros);
		close(fd);
		put_events(1, "\"c1\"");
		once();
	}
	buf_fini(&b);
	const char *rest = numbers("out/all.jsonl");
	while (*rest != '\0') {
		char *end;
		unsigned long n = strtoul(rest, &end, 10);
		assert_in_range(n, 0, pages);
		times[n]++;
		rest = end + strspn(end, " ");
	}
	for (unsigned i = 0; i <= pages; i++)
		unit_check(times[i] == 1 || times[i] == 2, "%u: %u times", i, times[i]);
}

static void a_refused_file_keeps_its_events(void **state)
{
	(void)state;
	add_file("by", "%{connection_id}.jsonl");
	add_file("all", "all.jsonl");
	assert_int_equal(mkdir(unit_path(t.folder, "out"), 0700), 0);
	assert_int_equal(symlink("/dev/null", unit_path(t.folder, "out/bad.jsonl")), 0);
	put_events(2, "\"good\"");
	put_events(2, "\"bad\"");
	put_events(1, "\"good\"");
	once();
	/* Other targets, and other lanes of this one, are not held up. */
	expect_numbers("out/all.jsonl", "0 1 2 3 4");
	expect_numbers("out/good.jsonl", "0 1 4");
	assert_int_equal(query("SELECT count(*) FROM delivery"), 2);
	assert_int_equal(query("SELECT error LIKE '%/out/bad.jsonl is a symbolic link%' AND failed > 0 FROM target"
			       " WHERE name = 'by'"),
			 1);
	put_events(1, "\"bad\"");
	put_events(1, "\"good\"");
	once();
	expect_numbers("out/good.jsonl", "0 1 4 6");
	assert_int_equal(query("SELECT count(*) FROM delivery"), 3);
	assert_true(count_files("spool/journal") == 3);
	/* Mended, but not due yet. */
	assert_int_equal(unlink(unit_path(t.folder, "out/bad.jsonl")), 0);
	once();
	expect_numbers("out/bad.jsonl", "");
	later(SECONDS(3600));
	put_events(1, "\"bad\"");
	once();
	expect_numbers("out/bad.jsonl", "2 3 5 7");
	expect_numbers("out/all.jsonl", "0 1 2 3 4 5 6 7");
	assert_int_equal(query("SELECT count(*) FROM delivery"), 0);
	assert_int_equal(query("SELECT count(*) FROM lane"), 0);
	assert_int_equal(count_files("spool/journal"), 0);
}

/* Scripts */

#define NOTE "echo $HOOKSPOOL_CONNECTION_ID $HOOKSPOOL_ATTEMPT >> $0/notes; cat >> $0/in; "

static void a_script_gets_each_event(void **state)
{
	(void)state;
	add_script("crm", NOTE);
	put_events(3, "\"c1\"");
	once();
	expect_numbers("in", "0 1 2");
	assert_int_equal(query("SELECT count(*) FROM delivery"), 0);
	assert_int_equal(query("SELECT count(*) FROM lane"), 0);
	assert_int_equal(query("SELECT done = 3 AND failed = 0 FROM target"), 1);
	assert_int_equal(count_files("spool/journal"), 0);
}

static void matches_choose(void **state)
{
	(void)state;
	static struct conf_match match = {"connection_id", "c[12]"};
	struct conf_target *target = add_script("crm", NOTE);
	target->matches = &match;
	target->match_count = 1;
	put_events(1, "\"c1\"");
	put_events(1, "\"c3\"");
	put_events(1, "\"c2\"");
	once();
	expect_numbers("in", "0 2");
}

static void a_failing_event_holds_back_its_lane_only(void **state)
{
	(void)state;
	add_script("crm", NOTE "[ $HOOKSPOOL_CONNECTION_ID != bad ]");
	put_events(2, "\"bad\"");
	put_events(2, "\"good\"");
	once();
	expect_numbers("in", "0 2 3");
	assert_int_equal(query("SELECT count(*) FROM delivery"), 2);
	assert_int_equal(query("SELECT attempts = 1 AND why = 'exit 1' AND parked_at IS NULL FROM delivery"), 1);
	assert_int_equal(query("SELECT next_age - age BETWEEN 5000000 AND 13000000 FROM lane, age"), 1);
	once();
	expect_numbers("in", "0 2 3");
	later(SECONDS(15));
	once();
	expect_numbers("in", "0 2 3 0");
	struct buf notes = unit_read(unit_path(t.folder, "notes"));
	assert_string_equal(notes.data, "bad 1\ngood 1\ngood 1\nbad 2\n");
	buf_fini(&notes);
	assert_int_equal(query("SELECT attempts FROM delivery ORDER BY id"), 2);
}

static void exit_100_parks_and_the_lane_goes_on(void **state)
{
	(void)state;
	add_script("crm", NOTE "grep -q '\"n\":0' $0/in && { : > $0/in; echo never; exit 100; }; exit 0");
	put_events(3, "\"c1\"");
	once();
	expect_numbers("in", "1 2");
	assert_int_equal(query("SELECT count(*) FROM delivery WHERE parked_at > 0 AND why = 'exit 100: never'"), 1);
	assert_int_equal(query("SELECT count(*) FROM delivery"), 1);
	assert_int_equal(query("SELECT parked = 1 AND done = 2 FROM target"), 1);
	/* What is parked stays in the journal, and is not run again. */
	assert_int_equal(count_files("spool/journal"), 1);
	later(SECONDS(30 * 86400));
	once();
	expect_numbers("in", "1 2");
}

/* The page */

static struct {
	unsigned count;
	int64_t parked; /* rows when the last report was made */
} reports;

static void note_report(void *arg, const struct conf *conf, const struct spool *spool, struct state *state)
{
	(void)conf;
	(void)arg;
	assert_true(spool->fd >= 0);
	assert_non_null(state);
	reports.count++;
	reports.parked = query("SELECT count(*) FROM delivery WHERE parked_at > 0");
}

static const struct deliver_watcher watcher = {.report = note_report};

static void watched(void)
{
	reports.count = 0;
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, &watcher, &quick), 0);
	assert_true(reports.count > 0);
}

static void ask_for(const char *event, const char *target)
{
	char name[128];
	struct errand errand;
	snprintf(name, sizeof name, "%s%s%s", event, *target == '\0' ? "" : ".", target);
	assert_true(errand_parse(&errand, name));
	assert_int_equal(errand_leave(t.conf.spool, &errand), 0);
}

static unsigned operator_lines(void)
{
	struct buf b = unit_read(unit_path(t.folder, "spool/audit/audit.jsonl"));
	unsigned count = 0;
	for (const char *s = b.data; (s = strstr(s, "\"what\":\"operator\"")) != NULL; s++)
		count++;
	buf_fini(&b);
	return count;
}

static void errands_are_carried_out(void **state)
{
	(void)state;
	char first[33];
	add_script("crm", "test -e $0/works || exit 100; cat >> $0/in");
	add_script("erp", "test -e $0/works || exit 100");
	put_events(70, "\"c1\"");
	/* Without a page there is nothing of it. */
	once();
	assert_int_equal(access(unit_path(t.folder, "spool/status"), F_OK), -1);
	t.conf.status_path = "/page";
	watched();
	assert_int_equal(reports.parked, 140);

	unit_write(unit_path(t.folder, "works"), "", 0);
	struct buf audit = unit_read(unit_path(t.folder, "spool/audit/audit.jsonl"));
	memcpy(first, strstr(audit.data, "\"event_id\":\"") + strlen("\"event_id\":\""), 32);
	first[32] = '\0';
	buf_fini(&audit);
	ask_for(first, "crm");
	ask_for(first, "nothing");
	ask_for("00000000000000000000000000000000", "crm");
	watched();
	expect_numbers("in", "0");
	assert_int_equal(reports.parked, 139);
	assert_int_equal(operator_lines(), 1);
	assert_int_equal(count_files("spool/errands"), 0);

	/* More than one transaction's. */
	ask_for("all", "");
	watched();
	assert_int_equal(reports.parked, 0);
	assert_int_equal(operator_lines(), 140);
	assert_int_equal(query("SELECT count(*) FROM delivery"), 0);
	assert_int_equal(count_files("spool/errands"), 0);
}

static void an_errand_that_was_carried_out_before_a_crash_is_nothing(void **state)
{
	(void)state;
	t.conf.status_path = "/page";
	add_script("crm", "exit 100");
	put_events(1, "\"c1\"");
	watched();
	query("UPDATE delivery SET parked_at = NULL");
	ask_for("all", "");
	watched();
	assert_int_equal(operator_lines(), 0);
	assert_int_equal(count_files("spool/errands"), 0);
}

static struct {
	uint64_t done, total;
} progress[2];

static void note_progress(void *arg, enum deliver_work work, uint64_t done, uint64_t total)
{
	(void)arg;
	assert_true(done >= progress[work].done && done <= total);
	progress[work].done = done;
	progress[work].total = total;
}

static void progress_is_shown(void **state)
{
	(void)state;
	static const struct deliver_watcher shows = {.progress = note_progress};
	add_file("all", "all.jsonl");
	for (int i = 0; i < 5; i++)
		put_events(2000, "\"c1\"");
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, &shows, &quick), 0);
	assert_true(progress[DELIVER_READING].done == progress[DELIVER_READING].total);
	assert_true(progress[DELIVER_READING].total > 10000 * 200);
	assert_int_equal(progress[DELIVER_TRYING].total, 0);

	/* Scripts: the first that ends is told. */
	memset(progress, 0, sizeof progress);
	add_script("crm", "exit 0");
	put_events(20, "\"c1\"");
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, &shows, &quick), 0);
	assert_true(progress[DELIVER_TRYING].total >= 19);
}

static void what_fails_too_long_is_parked(void **state)
{
	(void)state;
	struct conf_target *target = add_script("crm", NOTE "exit 7");
	target->retry_for = SECONDS(5 * 3600);
	put_events(1, "\"c1\"");
	for (int i = 0; i < 5; i++) {
		once();
		later(SECONDS(3 * 3600));
	}
	expect_numbers("in", "0 0 0");
	assert_int_equal(query("SELECT attempts = 3 AND parked_at > 0 AND why = 'exit 7' FROM delivery"), 1);
	assert_int_equal(query("SELECT count(*) FROM lane"), 0);
}

/* Once the first one is given up, those behind it that were received longer ago than retry_for have one attempt each.
 */
static void what_waited_behind_it_for_too_long_is_parked_too(void **state)
{
	(void)state;
	struct conf_target *target = add_script("crm", NOTE "exit 7");
	target->retry_for = SECONDS(5 * 3600);
	put_events(4, "\"c1\"");
	t.now = clock_now();
	put_events(2, "\"c1\"");
	once();
	later(SECONDS(6 * 3600));
	once();
	expect_numbers("in", "0 0 1 2 3 4");
	assert_int_equal(query("SELECT count(*) FROM delivery WHERE parked_at > 0"), 4);
	assert_int_equal(query("SELECT count(*) FROM delivery WHERE parked_at IS NULL AND attempts = 1"), 1);
	assert_int_equal(query("SELECT count(*) FROM delivery WHERE parked_at IS NULL AND attempts = 0"), 1);
}

static void a_clock_that_jumps_a_year_gives_nothing_up(void **state)
{
	(void)state;
	add_script("crm", NOTE "exit 7");
	put_events(1, "\"c1\"");
	once();
	later(SECONDS(INT64_C(365) * 86400));
	put_events(1, "\"c2\"");
	once();
	later(-SECONDS(INT64_C(365) * 86400));
	once();
	assert_int_equal(query("SELECT count(*) FROM delivery WHERE parked_at IS NULL"), 2);
	assert_int_equal(query("SELECT total(length(ids)) / 16 FROM recent"), 2);
	/* Nor does it wait for a year. */
	later(SECONDS(3600));
	once();
	assert_int_equal(query("SELECT min(attempts) FROM delivery"), 2);
}

static void a_batch_is_one_attempt(void **state)
{
	(void)state;
	struct conf_target *target = add_script("crm", NOTE "echo $HOOKSPOOL_COUNT >> $0/counts; [ -e $0/ok ]");
	target->batch = 3;
	put_events(4, "\"c1\"");
	put_events(1, "\"c2\"");
	once();
	expect_numbers("in", "0 1 2 4");
	assert_int_equal(query("SELECT sum(attempts) FROM delivery"), 4);
	unit_write(unit_path(t.folder, "ok"), "", 0);
	assert_int_equal(unlink(unit_path(t.folder, "in")), 0);
	assert_int_equal(unlink(unit_path(t.folder, "counts")), 0);
	later(SECONDS(3600));
	once();
	struct buf counts = unit_read(unit_path(t.folder, "counts"));
	assert_true(strcmp(counts.data, "3\n1\n1\n") == 0 || strcmp(counts.data, "1\n3\n1\n") == 0);
	buf_fini(&counts);
	assert_int_equal(query("SELECT count(*) FROM delivery"), 0);
}

/* As many lanes at a time as there are workers: each waits for the other. */
static void workers_run_beside_each_other(void **state)
{
	(void)state;
	struct conf_target *target = add_script("crm", "cat >> $0/in; echo x > $0/$HOOKSPOOL_CONNECTION_ID;"
						       "while ! [ -e $0/c1 -a -e $0/c2 ]; do sleep 0.01; done");
	target->workers = 2;
	put_events(2, "\"c1\"");
	put_events(2, "\"c2\"");
	once();
	assert_int_equal(query("SELECT done FROM target"), 4);
}

/* Runs of the script that were for this kind of connection, by their numbers: the last of them. */
static unsigned last_run_of(const char *connection)
{
	struct buf b = unit_read(unit_path(t.folder, "notes"));
	unsigned number = 0, last = 0;
	for (char *line = b.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		number++;
		if (strncmp(line, connection, strlen(connection)) == 0)
			last = number;
	}
	buf_fini(&b);
	return last;
}

static void put_in_lanes(unsigned lanes, const char *connection)
{
	char name[32];
	for (unsigned i = 0; i < lanes; i++) {
		snprintf(name, sizeof name, "\"%s%u\"", connection, i);
		put_events(1, name);
	}
}

/* Many of one kind are due and a few of the other: those few are not the last ones. */
static void first_attempts_and_retries_share(void **state)
{
	static const struct {
		unsigned workers, bad, good;
	} rows[] = {{1, 3, 24}, {1, 24, 3}, {4, 4, 24}, {4, 24, 4}};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		if (i > 0) {
			teardown(state);
			setup(state);
		}
		unsigned workers = rows[i].workers, few = rows[i].bad < rows[i].good ? rows[i].bad : rows[i].good;
		struct conf_target *target =
			add_script("crm", NOTE "sleep 0.02; [ ${HOOKSPOOL_CONNECTION_ID%%[0-9]*} = good ]");
		target->workers = workers;
		put_in_lanes(rows[i].bad, "bad");
		once();
		assert_int_equal(unlink(unit_path(t.folder, "notes")), 0);
		later(SECONDS(3600));
		put_in_lanes(rows[i].good, "good");
		once();
		assert_int_equal(query("SELECT done FROM target"), rows[i].good);
		assert_int_equal(query("SELECT min(attempts) FROM delivery"), 2);
		unsigned last = last_run_of(rows[i].bad == few ? "bad" : "good");
		unit_check(last <= 2 * few + workers, "row %zu: the last one is run %u", i, last);
	}
}

/* Nor are those few the last ones while each of the many has several events, of which one after the other is parked. */
static void what_is_parked_in_turn_leaves_others_their_share(void **state)
{
	(void)state;
	add_script("crm", NOTE "[ ${HOOKSPOOL_CONNECTION_ID%%[0-9]*} = good ] || exit 100");
	for (int i = 0; i < 6; i++)
		put_in_lanes(12, "bad");
	for (int i = 0; i < 4; i++)
		put_in_lanes(3, "good");
	once();
	assert_int_equal(query("SELECT done = 12 AND parked = 72 FROM target"), 1);
	unsigned last = last_run_of("good");
	unit_check(last <= 50, "the last one is run %u", last);
}

enum { WORKERS = 64 };

static struct {
	unsigned rounds; /* that took something in */
	unsigned running;
} arrival;

/* Those of this process that are not reaped yet. */
static unsigned count_children(void)
{
	DIR *dir = opendir("/proc");
	const struct dirent *entry;
	unsigned count = 0;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		char path[300], text[512] = "";
		int parent;
		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		int fd = atoi(entry->d_name) == 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		ssize_t n = read(fd, text, sizeof text - 1);
		close(fd);
		const char *end = n <= 0 ? NULL : strrchr(text, ')');
		count += end != NULL && sscanf(end, ") %*c %d", &parent) == 1 && parent == getpid();
	}
	closedir(dir);
	return count;
}

/* An event comes when the first round is taken in and no script is started yet. It is delivered in the second one. */
static void let_one_arrive(void *arg, enum deliver_work work, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)done;
	(void)total;
	if (work != DELIVER_READING)
		return;
	arrival.rounds++;
	if (arrival.rounds == 1) {
		put_events(1, "\"late\"");
	} else if (arrival.rounds == 2) {
		const char *last = strrchr(numbers("out/all.jsonl"), ' ');
		assert_non_null(last);
		assert_int_equal(atoi(last), WORKERS);
		arrival.running = count_children();
		unit_write(unit_path(t.folder, "go"), "", 0);
	}
}

/* However many workers are free and scripts are slow. */
static void the_journal_is_read_between_a_few_starts(void **state)
{
	(void)state;
	static const struct deliver_watcher shows = {.progress = let_one_arrive};
	memset(&arrival, 0, sizeof arrival);
	struct conf_target *target = add_script("crm", "until [ -e $0/go ]; do sleep 0.05; done");
	target->workers = WORKERS;
	add_file("all", "all.jsonl");
	put_in_lanes(WORKERS, "c");
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, &shows, &quick), 0);
	assert_int_equal(query("SELECT min(done) FROM target"), WORKERS + 1);
	assert_true(arrival.running > 0);
	unit_check(arrival.running < WORKERS, "%u scripts were started before the event was in the file",
		   arrival.running);
}

static void a_line_that_is_gone_is_parked(void **state)
{
	(void)state;
	add_script("crm", NOTE "[ -e $0/ok ]");
	put_events(1, "\"c1\"");
	put_events(1, "\"c2\"");
	once();
	query("UPDATE delivery SET offset = 3 WHERE lane = (SELECT min(lane) FROM delivery)");
	unit_write(unit_path(t.folder, "ok"), "", 0);
	later(SECONDS(3600));
	once();
	assert_int_equal(query("SELECT count(*) FROM delivery"), 1);
	assert_int_equal(query("SELECT why = 'its line in the journal is damaged' AND parked_at > 0 FROM delivery"), 1);
}

static void progress_is_kept(void **state)
{
	(void)state;
	static const char *const types[] = {"\"INITIAL-PARTIAL\"", "\"INITIAL-PARTIAL\"", "\"VIRTUAL\"",
					    "\"INITIAL-COMPLETE\""};
	struct buf lines = {0};
	add_file("all", "all.jsonl");
	for (size_t i = 0; i < UNIT_COUNT(types); i++) {
		char nonce[8];
		snprintf(nonce, sizeof nonce, "\"%zu\"", i);
		struct event event = make_event(nonce, "\"c 1\"", i == 3 ? "[]" : "[{\"n\":1}]");
		event.fields[EVENT_TYPE] = unit_span(types[i]);
		unit_line(&event, &lines);
		if (i == 1) {
			put_segment(&lines);
			once();
			assert_int_equal(query("SELECT pages = 2 AND records = 2 AND NOT complete FROM sync"), 1);
		}
	}
	put_segment(&lines);
	once();
	assert_int_equal(query("SELECT pages = 3 AND records = 2 AND complete AND endpoint = '/webhook'"
			       " AND connection = 'c%201' AND object_type = 'crm_contact' FROM sync"),
			 1);
	assert_int_equal(query("SELECT events = 4 AND connection = 'c%201' FROM connection"), 1);
	assert_int_equal(query("SELECT last_at - begun_at FROM sync"), 3);
}

/* The audit trail. */
static void attempts_are_told(void **state)
{
	(void)state;
	add_script("crm", "printf 'said\\033\\n'; exit 3");
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	once();
	struct buf b = unit_read(unit_path(t.folder, "spool/audit/audit.jsonl"));
	assert_non_null(strstr(b.data, "\"what\":\"delivery\",\"target\":\"all\",\"event_id\":\""));
	assert_non_null(strstr(b.data, "\"attempt\":1,\"result\":\"done\"}\n"));
	assert_non_null(strstr(b.data, "\"attempt\":1,\"result\":\"retry\",\"detail\":\"exit 3: said\\u001b\"}\n"));
	assert_int_equal(b.data[b.len - 1], '\n');
	buf_fini(&b);
}

/* Keeping and forgetting */

static void the_archive_is_pruned(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	once();
	later(SECONDS(6 * 86400));
	once();
	assert_int_equal(count_files("spool/archive"), 1);
	later(SECONDS(2 * 86400));
	once();
	assert_int_equal(count_files("spool/archive"), 0);
	assert_int_equal(query("SELECT count(*) FROM archive"), 0);
	/* But the event is remembered, and then forgotten. */
	assert_int_equal(query("SELECT total(length(ids)) / 16 FROM recent"), 1);
	later(SECONDS(31 * 86400));
	once();
	assert_int_equal(query("SELECT total(length(ids)) / 16 FROM recent"), 0);
}

static void a_large_segment_is_moved_as_it_is(void **state)
{
	(void)state;
	struct buf lines = {0}, data = {0};
	add_file("all", "all.jsonl");
	assert_int_equal(buf_str(&data, "[{\"n\":1,\"x\":\""), 0);
	for (int i = 0; i < 20000; i++)
		assert_int_equal(buf_str(&data, "0123456789012345678901234567890123456789012345678901234567890"), 0);
	assert_int_equal(buf_str(&data, "\"}]"), 0);
	struct event event = make_event("\"n\"", "\"c1\"", buf_cstr(&data));
	unit_line(&event, &lines);
	buf_fini(&data);
	put_segment(&lines);
	put_events(1, "\"c1\"");
	once();
	assert_int_equal(count_files("spool/journal"), 0);
	assert_int_equal(count_files("spool/archive"), 2);
	assert_int_equal(query("SELECT count(*) FROM archive"), 2);
	assert_int_equal(query("SELECT count(*) FROM archive WHERE name LIKE '%-fold.jsonl'"), 1);
}

/* What waits is kept by itself */

/* Fails for events with a number that ends in 7, as long as there is the file "bad". */
#define PICKY "in=$(cat); if [ -e $0/bad ]; then case $in in *7}*) exit $(cat $0/bad);; esac; fi; echo \"$in\" >> $0/in"

static void make_bad(const char *code)
{
	unlink(unit_path(t.folder, "bad"));
	if (code != NULL)
		unit_write(unit_path(t.folder, "bad"), code, strlen(code));
}

/* One segment; each event has a connection of its own. `padding` bytes make each longer. */
static void put_many(unsigned count, size_t padding)
{
	struct buf lines = {0}, data = {0};
	for (unsigned i = 0; i < count; i++) {
		char nonce[16], connection[16];
		data.len = 0;
		snprintf(nonce, sizeof nonce, "\"%u\"", t.events);
		snprintf(connection, sizeof connection, "\"c%u\"", t.events);
		assert_int_equal(buf_printf(&data, "[{\"n\":%u},{\"n\":%u,\"x\":\"", t.events, t.events), 0);
		for (size_t n = 0; n < padding; n++)
			assert_int_equal(buf_char(&data, 'x'), 0);
		assert_int_equal(buf_str(&data, "\"}]"), 0);
		t.events++;
		struct event event = make_event(nonce, connection, buf_cstr(&data));
		event.count = 2;
		unit_line(&event, &lines);
	}
	buf_fini(&data);
	put_segment(&lines);
}

/* Names in journal/, of which so many are kept segments. */
static void expect_kept(int kept, int all)
{
	DIR *dir = opendir(unit_path(t.folder, "spool/journal"));
	const struct dirent *entry;
	int kept_found = 0, found = 0;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		kept_found += segment_is_kept(entry->d_name);
		found += segment_parse_name(entry->d_name, NULL);
	}
	closedir(dir);
	assert_int_equal(kept_found, kept);
	assert_int_equal(found, all);
}

static int64_t folder_size(const char *name)
{
	DIR *dir = opendir(unit_path(t.folder, name));
	const struct dirent *entry;
	struct stat st;
	int64_t size = 0;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			size += st.st_size;
	closedir(dir);
	return size;
}

/* How often each number from one to before another stands in a file of records; two records an event. */
static void expect_each(const char *name, unsigned from, unsigned to, unsigned least, unsigned most)
{
	unsigned seen[64] = {0};
	struct buf b = unit_read(unit_path(t.folder, name));
	for (const char *at = b.data; (at = strstr(at, "\"data\":{\"n\":")) != NULL; at++) {
		unsigned n = (unsigned)atoi(at + 12);
		assert_true(n < UNIT_COUNT(seen));
		seen[n]++;
	}
	for (unsigned i = from; i < to; i++)
		unit_check(seen[i] >= 2 * least && seen[i] <= 2 * most, "%s: %u records of event %u\n", name, seen[i],
			   i);
	buf_fini(&b);
}

static void what_waits_is_kept_by_itself(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	add_script("crm", PICKY)->batch = 1;
	make_bad("100"); /* parked */
	put_many(20, 60000);
	put_many(3, 90000); /* nothing of it waits */
	once();
	make_bad("1"); /* fails */
	put_many(20, 10000);
	once();
	/* The events 7 and 17, and 27 and 37. */
	assert_int_equal(query("SELECT count(*) FROM delivery"), 4);
	expect_kept(2, 2);
	/* 140,000 bytes wait. Of a segment that was copied while others still waited, up to half is not wanted any
	 * more. */
	assert_true(folder_size("spool/journal") < 300000);
	assert_true(folder_size("spool/archive") > 1000000);
	make_bad(NULL);
	query("UPDATE delivery SET parked_at = NULL");
	query("INSERT OR IGNORE INTO lane SELECT target, lane, 0 FROM delivery");
	later(SECONDS(3600));
	once();
	expect_each("in", 0, 43, 1, 1);
	expect_each("out/all.jsonl", 0, 43, 1, 1);
	expect_kept(0, 0);
	assert_int_equal(query("SELECT count(*) FROM segment"), 0);
	assert_int_equal(query("SELECT count(*) FROM archive"), count_files("spool/archive"));
	assert_int_equal(query("SELECT ifnull(sum(value), 0) FROM count WHERE name = 'duplicates'"), 0);
}

/* As CGI leaves them: a file an event. All of it waits, so nothing of it needs the archive. */
static void small_segments_are_joined(void **state)
{
	(void)state;
	add_script("crm", "exit 1");
	put_events(7, "\"c1\"");
	once();
	expect_kept(0, 7);
	put_events(13, "\"c1\"");
	once();
	expect_kept(1, 1);
	assert_int_equal(count_files("spool/archive"), 0);
	assert_int_equal(query("SELECT count(*) FROM segment"), 1);
	t.argv[0][2] = (char *)NOTE;
	later(SECONDS(3600));
	once();
	expect_numbers("in", "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19");
	expect_kept(0, 0);
}

/* A replayed event of the archive that waits does not keep its file for longer than others. */
static void the_archive_is_pruned_of_what_does_not_wait(void **state)
{
	(void)state;
	add_script("crm", PICKY);
	put_events(10, "\"c1\"");
	once();
	query("INSERT INTO segment (name, cursor) SELECT name, length FROM archive");
	query("INSERT INTO delivery (target, lane, segment, offset, length, event, records, attempts, first_age, "
	      "parked_at)"
	      " SELECT 1, 5, segment.id, 0, 300, zeroblob(16), 1, 1, 1, 1 FROM segment");
	struct dirent *entry;
	DIR *dir = opendir(unit_path(t.folder, "spool/archive"));
	while ((entry = readdir(dir)) != NULL && entry->d_name[0] == '.')
		;
	char fold[300];
	snprintf(fold, sizeof fold, "spool/archive/%s", entry->d_name);
	closedir(dir);
	struct buf b = unit_read(unit_path(t.folder, fold));
	char sql[80];
	snprintf(sql, sizeof sql, "UPDATE delivery SET length = %zu", strcspn(b.data, "\n"));
	query(sql);
	buf_fini(&b);
	once();
	expect_kept(0, 0);
	later(SECONDS(8 * 86400));
	once();
	once();
	expect_kept(1, 1);
	assert_int_equal(count_files("spool/archive"), 0);
	assert_int_equal(query("SELECT count(*) FROM segment"), 1);
	query("UPDATE delivery SET parked_at = NULL");
	query("INSERT OR IGNORE INTO lane SELECT target, lane, 0 FROM delivery");
	once();
	expect_numbers("in", "0 1 2 3 4 5 6 7 8 9 0");
	expect_kept(0, 0);
}

/* However long that is, a copy is a duplicate; and it is none when nothing waits any more. */
static void what_waits_is_remembered(void **state)
{
	(void)state;
	t.now -= SECONDS(86400) * 365;
	add_script("crm", "exit 100");
	put_event("\"a\"", "\"c1\"");
	once();
	for (int i = 0; i < 2; i++) {
		later(SECONDS(40 * 86400));
		once();
	}
	t.events = 0;
	put_event("\"a\"", "\"c1\"");
	once();
	assert_int_equal(query("SELECT value FROM count WHERE name = 'duplicates'"), 1);
	assert_int_equal(query("SELECT count(*) FROM delivery"), 1);
	query("DELETE FROM delivery");
	for (int i = 0; i < 2; i++) {
		later(SECONDS(40 * 86400));
		once();
	}
	t.events = 0;
	put_event("\"a\"", "\"c1\"");
	once();
	assert_int_equal(query("SELECT count(*) FROM delivery"), 1);
}

/* One at a time */

static void a_second_one_yields(void **state)
{
	(void)state;
	struct spool spool;
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	assert_int_equal(spool_open(&spool, &t.conf, SPOOL_DELIVER), 0);
	int lock = spool_lock(&spool), trigger = spool_trigger_listen(&spool);
	assert_true(lock >= 0 && trigger >= 0);
	int64_t begun = clock_monotonic();
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, NULL, &quick), 0);
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_IDLE, NULL, &quick), 0);
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_STOP, NULL, &quick), EX_TEMPFAIL);
	assert_true(clock_monotonic() - begun < SECONDS(5));
	expect_numbers("out/all.jsonl", "");
	/* The holder was woken. */
	char byte;
	assert_int_equal(read(trigger, &byte, 1), 1);
	close(trigger);
	close(lock);
	spool_close(&spool);
	once();
	expect_numbers("out/all.jsonl", "0");
}

/* A holder that does not read any more is about to end: it is waited for. */
static void one_that_ends_is_waited_for(void **state)
{
	(void)state;
	struct spool spool;
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	assert_int_equal(spool_open(&spool, &t.conf, SPOOL_DELIVER), 0);
	int lock = spool_lock(&spool);
	pid_t child = fork();
	if (child == 0) {
		close(lock);
		_exit(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, NULL, &quick));
	}
	usleep(300000);
	expect_numbers("out/all.jsonl", "");
	close(lock);
	spool_close(&spool);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	expect_numbers("out/all.jsonl", "0");
}

/* One that was killed while it started a script: the child has its lock and its trigger until it is another program. It
 * is waited for, not taken for a deliverer that is awake. */
static void what_a_dead_one_has_left_is_waited_for(void **state)
{
	(void)state;
	struct spool spool;
	int status;
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	assert_int_equal(spool_open(&spool, &t.conf, SPOOL_DELIVER), 0);
	pid_t owner = fork();
	if (owner == 0) {
		if (spool_lock(&spool) < 0 || spool_trigger_listen(&spool) < 0)
			_exit(1);
		if (fork() == 0)
			usleep(300000);
		_exit(0);
	}
	assert_int_equal(waitpid(owner, &status, 0), owner);
	assert_int_equal(status, 0);
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	once();
	expect_numbers("out/all.jsonl", "0");
	spool_close(&spool);
}

/* A segment that cannot be opened, whoever runs this. */
static const char *refused;

int openat(int dirfd, const char *name, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (refused != NULL && strcmp(name, refused) == 0) {
		errno = EACCES;
		return -1;
	}
	return (int)syscall(SYS_openat, dirfd, name, flags, mode);
}

static void what_cannot_be_read_holds_up_what_came_later(void **state)
{
	(void)state;
	char first[SEGMENT_NAME_SIZE] = "";
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	DIR *folder = opendir(unit_path(t.folder, "spool/journal"));
	const struct dirent *entry;
	assert_non_null(folder);
	while ((entry = readdir(folder)) != NULL)
		if (segment_parse_name(entry->d_name, NULL))
			strcpy(first, entry->d_name);
	closedir(folder);
	put_events(1, "\"c1\"");
	refused = first;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, NULL, &quick), EX_IOERR);
		expect_numbers("out/all.jsonl", "");
		assert_true(logged(first) && logged("chown"));
		assert_int_equal(query("SELECT count(*) FROM trouble"), 1);
	}
	refused = NULL;
	once();
	expect_numbers("out/all.jsonl", "0 1");
	assert_int_equal(query("SELECT count(*) FROM trouble"), 0);
}

/* As where a file system has no locks. */
static bool locks_do_nothing;

int flock(int fd, int operation)
{
	return locks_do_nothing ? 0 : (int)syscall(SYS_flock, fd, operation);
}

/* A deliverer that stands still before its commit, while another one takes over whom no lock holds back. */
static struct {
	int begin[2], end[2];
	int (*fdatasync)(int fd);
} takeover;

static int fdatasync_that_waits(int fd)
{
	char byte;
	int result = takeover.fdatasync(fd);
	fsio_calls.fdatasync = takeover.fdatasync;
	close(takeover.end[1]);
	if (write(takeover.begin[1], "", 1) != 1 || read(takeover.end[0], &byte, 1) != 0)
		_exit(1);
	return result;
}

static pid_t start_the_one_that_takes_over(void)
{
	char byte;
	pid_t child = fork();
	if (child == 0) {
		if (read(takeover.begin[0], &byte, 1) != 1 || unlink(unit_path(t.folder, "spool/deliver.lock")) < 0)
			_exit(1);
		locks_do_nothing = true;
		_exit(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, NULL, &quick));
	}
	close(takeover.end[1]);
	return child;
}

static void one_that_was_taken_over_writes_nothing_more(void **state)
{
	(void)state;
	int status;
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	once();
	put_events(2, "\"c1\"");
	assert_int_equal(pipe(takeover.begin), 0);
	assert_int_equal(pipe(takeover.end), 0);
	pid_t child = start_the_one_that_takes_over();
	takeover.fdatasync = fsio_calls.fdatasync;
	fsio_calls.fdatasync = fdatasync_that_waits;
	assert_int_equal(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, NULL, &quick), EX_TEMPFAIL);
	fsio_calls.fdatasync = takeover.fdatasync;
	assert_true(logged("another deliverer has taken over"));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	expect_numbers("out/all.jsonl", "0 1 2");
	once();
	expect_numbers("out/all.jsonl", "0 1 2");
	assert_int_equal(query("SELECT count(*) FROM delivery"), 0);
	close(takeover.begin[0]);
	close(takeover.begin[1]);
	close(takeover.end[0]);
}

static void wait_for_numbers(const char *name, const char *expected)
{
	int64_t begun = clock_monotonic();
	while (strcmp(numbers(name), expected) != 0 && clock_monotonic() - begun < SECONDS(20))
		usleep(5000);
	expect_numbers(name, expected);
}

static void wake(void)
{
	struct spool spool;
	assert_int_equal(spool_open(&spool, &t.conf, SPOOL_RECEIVE), 0);
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	spool_close(&spool);
}

static pid_t start(enum deliver_until until)
{
	pid_t child = fork();
	if (child == 0)
		_exit(deliver(&CURRENT_OF(&t.conf), until, NULL, &quick));
	return child;
}

static int end_of(pid_t child)
{
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void it_stays_and_is_woken(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	pid_t child = start(DELIVER_STOP);
	wait_for_numbers("out/all.jsonl", "0");
	put_events(1, "\"c1\"");
	int64_t begun = clock_monotonic();
	wake();
	wait_for_numbers("out/all.jsonl", "0 1");
	assert_true(clock_monotonic() - begun < SECONDS(4));
	/* A byte that is lost costs the time until the next look. */
	put_events(1, "\"c1\"");
	wait_for_numbers("out/all.jsonl", "0 1 2");
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(end_of(child), 0);
	assert_int_equal(access(unit_path(t.folder, "spool/state.db-wal"), F_OK), -1);
}

static void sigterm_lets_a_script_finish(void **state)
{
	(void)state;
	add_script("crm", "echo > $0/begun; sleep 0.5; cat >> $0/in");
	put_events(2, "\"c1\"");
	pid_t child = start(DELIVER_STOP);
	while (access(unit_path(t.folder, "begun"), F_OK) < 0)
		usleep(1000);
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(end_of(child), 0);
	expect_numbers("in", "0");
	assert_int_equal(query("SELECT count(*) FROM delivery"), 1);
	once();
	expect_numbers("in", "0 1");
}

static void sigterm_ends_a_script_that_does_not(void **state)
{
	(void)state;
	add_script("crm", "echo $$ > $0/begun; echo $HOOKSPOOL_ATTEMPT >> $0/attempts; [ -e $0/ok ] || sleep 100000");
	put_events(1, "\"c1\"");
	pid_t child = start(DELIVER_STOP);
	while (access(unit_path(t.folder, "begun"), F_OK) < 0)
		usleep(1000);
	int64_t begun = clock_monotonic();
	assert_int_equal(kill(child, SIGTERM), 0);
	assert_int_equal(end_of(child), 0);
	assert_true(clock_monotonic() - begun >=
		    quick.stop_after); /* it had its time, and not the 100000 s it asked for */
	/* It stays as it was: this was no attempt. */
	assert_int_equal(query("SELECT attempts = 0 AND parked_at IS NULL FROM delivery"), 1);
	unit_write(unit_path(t.folder, "ok"), "", 0);
	once();
	struct buf b = unit_read(unit_path(t.folder, "attempts"));
	assert_string_equal(b.data, "1\n1\n");
	buf_fini(&b);
}

static void idle_it_ends(void **state)
{
	(void)state;
	add_file("all", "all.jsonl");
	put_events(1, "\"c1\"");
	pid_t child = start(DELIVER_IDLE);
	wait_for_numbers("out/all.jsonl", "0");
	int64_t begun = clock_monotonic();
	assert_int_equal(end_of(child), 0);
	assert_true(clock_monotonic() - begun >= quick.idle_for / 2);
}

/* Crashes: the process ends at its n-th write or sync, before or after it, for each n. */

static struct {
	unsigned at, calls;
	bool after, half;
	struct fsio_calls calls_of_the_system;
} crash;

static void crash_if_due(bool after)
{
	if (crash.after == after && crash.calls == crash.at)
		kill(getpid(), SIGKILL);
}

static ssize_t crashing_writev(int fd, const struct iovec *iov, int count)
{
	crash.calls++;
	if (crash.half && crash.calls == crash.at && write(fd, iov->iov_base, iov->iov_len / 2) >= 0)
		kill(getpid(), SIGKILL);
	crash_if_due(false);
	ssize_t n = crash.calls_of_the_system.writev(fd, iov, count);
	crash_if_due(true);
	return n;
}

static int crashing_fdatasync(int fd)
{
	crash.calls++;
	crash_if_due(false);
	int result = crash.calls_of_the_system.fdatasync(fd);
	crash_if_due(true);
	return result;
}

static int crashing_fsync(int fd)
{
	crash.calls++;
	crash_if_due(false);
	int result = crash.calls_of_the_system.fsync(fd);
	crash_if_due(true);
	return result;
}

/* True if it came to its end before the crash. */
static bool deliver_until_crash(unsigned at, bool after, bool half)
{
	pid_t child = fork();
	if (child == 0) {
		crash.at = at;
		crash.after = after;
		crash.half = half;
		crash.calls_of_the_system = fsio_calls;
		fsio_calls = (struct fsio_calls){crashing_writev, crashing_fdatasync, crashing_fsync};
		_exit(deliver(&CURRENT_OF(&t.conf), DELIVER_ONCE, NULL, &quick));
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	unit_check(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "call %u: exit code %d", at, WEXITSTATUS(status));
	return !WIFSIGNALED(status);
}

static bool survives_a_crash(unsigned at, bool after, bool half)
{
	void *none = NULL;
	setup(&none);
	add_file("all", "all.jsonl");
	add_file("by", "%{connection_id}.jsonl");
	add_script("crm", "cat >> $0/in");
	put_events(2, "\"c1\"");
	once();
	struct buf lines = {0};
	for (int i = 0; i < 3; i++) {
		char data[32], nonce[16];
		snprintf(data, sizeof data, "[{\"n\":%d}]", 10 + i);
		snprintf(nonce, sizeof nonce, "\"x%d\"", i);
		struct event event = make_event(nonce, "\"c2\"", data);
		unit_line(&event, &lines);
		if (i == 1)
			lines.data[lines.len - 40] ^= 1; /* damaged */
	}
	put_segment(&lines);
	put_events(2, "\"c1\"");
	bool ended = deliver_until_crash(at, after, half);
	if (!ended)
		once();
	expect_numbers("out/all.jsonl", "0 1 10 12 2 3");
	expect_numbers("out/c1.jsonl", "0 1 2 3");
	expect_numbers("out/c2.jsonl", "10 12");
	assert_true(strlen(numbers("in")) >= strlen("0 1 2 3 10 12"));
	assert_int_equal(count_files("spool/journal"), 0);
	assert_int_equal(query("SELECT count(*) FROM delivery"), 0);
	assert_int_equal(query("SELECT count(*) FROM segment"), 0);
	assert_int_equal(query("SELECT count(*) FROM archive"), count_files("spool/archive"));
	assert_int_equal(query("SELECT value FROM count WHERE name = 'events'"), 6);
	teardown(&none);
	return ended;
}

static void crashes_lose_and_double_nothing(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		unsigned at = 1;
		while (!survives_a_crash(at, kind == 1, kind == 2) || (kind == 2 && at < 12))
			at++;
		assert_true(at > 8);
	}
}

/* What became of state.db after a crash. */
enum fate { STATE_KEPT, STATE_LOST, STATE_OLDER, FATES };

/* What came just now has waited for years. */
static void age_segments(void)
{
	char from[300], to[300];
	DIR *dir = opendir(unit_path(t.folder, "spool/journal"));
	const struct dirent *entry;
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		if (!segment_parse_name(entry->d_name, NULL) || strncmp(entry->d_name, "2020", 4) == 0)
			continue;
		snprintf(from, sizeof from, "spool/journal/%s", entry->d_name);
		snprintf(to, sizeof to, "spool/journal/2020%s", entry->d_name + 4);
		assert_int_equal(rename(unit_path(t.folder, from), unit_path(t.folder, to)), 0);
	}
	closedir(dir);
	query("UPDATE segment SET name = '2020' || substr(name, 5)");
}

/* Killed while what waits is copied; then all of it is delivered. */
static bool copying_survives(unsigned at, bool after, bool half, enum fate fate)
{
	void *none = NULL;
	setup(&none);
	add_file("all", "all.jsonl");
	add_script("crm", PICKY);
	make_bad("1");
	t.now = clock_now();
	for (t.events = 6; t.events < 28; t.events += 8)
		put_many(2, 70000); /* 6 and 7, and so on; the first of two is done with */
	once();
	expect_kept(0, 3);
	age_segments();
	copy_state("spool/state.db", "older", false);
	bool ended = deliver_until_crash(at, after, half);
	if (ended)
		expect_kept(1, 1);
	if (fate == STATE_LOST) {
		unlink(unit_path(t.folder, "spool/state.db"));
	} else if (fate == STATE_OLDER) {
		unlink(unit_path(t.folder, "spool/state.db-wal"));
		copy_state("older", "spool/state.db", true);
	}
	make_bad(NULL);
	once();
	later(SECONDS(3600));
	once();
	for (unsigned n = 6; n < 28; n += 10) {
		expect_each("in", n, n + 1, 1, fate == STATE_LOST && !ended ? 2 : 1);
		expect_each("in", n + 1, n + 2, 1, 1);
		expect_each("out/all.jsonl", n, n + 1, 1, fate == STATE_LOST && !ended ? 2 : 1);
		expect_each("out/all.jsonl", n + 1, n + 2, 1, fate == STATE_LOST ? 2 : 1);
	}
	expect_kept(0, 0);
	assert_int_equal(query("SELECT count(*) FROM delivery"), 0);
	assert_int_equal(query("SELECT count(*) FROM segment"), 0);
	teardown(&none);
	return ended;
}

static void crashes_while_copying_lose_and_double_nothing(void **state)
{
	(void)state;
	for (int fate = 0; fate < FATES; fate++)
		for (int kind = 0; kind < 3; kind++) {
			unsigned at = 1;
			while (!copying_survives(at, kind == 1, kind == 2, (enum fate)fate))
				at++;
			assert_true(at > 4);
		}
}

/* Failures */

static int failing_calls;

static int failing_fdatasync(int fd)
{
	(void)fd;
	if (failing_calls-- > 0) {
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

static void a_sync_that_fails_delays_the_file_only(void **state)
{
	(void)state;
	struct fsio_calls before = fsio_calls;
	add_file("all", "all.jsonl");
	add_script("crm", NOTE);
	put_events(2, "\"c1\"");
	failing_calls = 1;
	fsio_calls.fdatasync = failing_fdatasync;
	once();
	fsio_calls = before;
	expect_numbers("out/all.jsonl", "");
	expect_numbers("in", "0 1");
	assert_int_equal(query("SELECT count(*) FROM delivery"), 2);
	later(SECONDS(3600));
	once();
	expect_numbers("out/all.jsonl", "0 1");
}

/* An event whose records are megabytes. */
static void put_large_event(unsigned count)
{
	struct buf data = {0}, lines = {0};
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(buf_printf(&data, "%c{\"n\":7}", i == 0 ? '[' : ','), 0);
	assert_int_equal(buf_char(&data, ']'), 0);
	struct event event = make_event("\"large\"", "\"c1\"", buf_cstr(&data));
	event.count = count;
	unit_line(&event, &lines);
	put_segment(&lines);
	buf_fini(&data);
}

/* "0", so many times "7", "1": in this order and nothing else. */
static void expect_large(const char *name, unsigned count)
{
	struct buf b = unit_read(unit_path(t.folder, name));
	unsigned lines = 0;
	for (char *line = b.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, lines++) {
		*end = '\0';
		const char *wanted = lines == 0 ? "{\"n\":0}}" : lines <= count ? "{\"n\":7}}" : "{\"n\":1}}";
		unit_check(strstr(line, wanted) != NULL, "line %u: %s", lines, line);
	}
	assert_int_equal(lines, count + 2);
	buf_fini(&b);
}

static void a_large_event_is_written_in_parts(void **state)
{
	(void)state;
	enum { COUNT = 12000 };
	struct fsio_calls before = fsio_calls;
	add_file("all", "all.jsonl");
	add_script("crm", "cat >> $0/in");
	put_events(1, "\"c1\"");
	put_large_event(COUNT);
	put_events(1, "\"c1\"");
	/* At first the file fails, and they become rows. */
	failing_calls = 1;
	fsio_calls.fdatasync = failing_fdatasync;
	once();
	fsio_calls = before;
	expect_numbers("out/all.jsonl", "");
	expect_large("in", COUNT);
	later(SECONDS(3600));
	once();
	expect_large("out/all.jsonl", COUNT);
	/* And in a round. */
	add_file("other", "other.jsonl");
	assert_int_equal(rename(unit_path(t.folder, "spool/archive"), unit_path(t.folder, "spool/journal.new")), 0);
	assert_int_equal(rmdir(unit_path(t.folder, "spool/journal")), 0);
	assert_int_equal(rename(unit_path(t.folder, "spool/journal.new"), unit_path(t.folder, "spool/journal")), 0);
	assert_int_equal(unlink(unit_path(t.folder, "spool/state.db")), 0);
	once();
	expect_large("out/other.jsonl", COUNT);
}

int main(void)
{
	signals_begin();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(events_reach_files_and_the_archive, setup, teardown),
		cmocka_unit_test_setup_teardown(segments_that_grow_are_not_put_away, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hidden_segment_is_found_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_copy_is_not_taken_for_delivered, setup, teardown),
		cmocka_unit_test_setup_teardown(an_empty_event_is_a_record, setup, teardown),
		cmocka_unit_test_setup_teardown(duplicates_are_delivered_once, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lost_state_is_made_from_the_archive, setup, teardown),
		cmocka_unit_test_setup_teardown(an_older_state_cuts_nothing_off, setup, teardown),
		cmocka_unit_test_setup_teardown(an_older_state_delivers_again_what_is_in_the_journal, setup, teardown),
		cmocka_unit_test_setup_teardown(a_torn_record_of_a_lost_state_is_cut_off, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_state_is_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(a_state_of_another_version_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(any_page_may_be_lost, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refused_file_keeps_its_events, setup, teardown),
		cmocka_unit_test_setup_teardown(a_script_gets_each_event, setup, teardown),
		cmocka_unit_test_setup_teardown(matches_choose, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failing_event_holds_back_its_lane_only, setup, teardown),
		cmocka_unit_test_setup_teardown(exit_100_parks_and_the_lane_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(errands_are_carried_out, setup, teardown),
		cmocka_unit_test_setup_teardown(an_errand_that_was_carried_out_before_a_crash_is_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(progress_is_shown, setup, teardown),
		cmocka_unit_test_setup_teardown(what_fails_too_long_is_parked, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waited_behind_it_for_too_long_is_parked_too, setup, teardown),
		cmocka_unit_test_setup_teardown(a_clock_that_jumps_a_year_gives_nothing_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_batch_is_one_attempt, setup, teardown),
		cmocka_unit_test_setup_teardown(workers_run_beside_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(first_attempts_and_retries_share, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_parked_in_turn_leaves_others_their_share, setup, teardown),
		cmocka_unit_test_setup_teardown(the_journal_is_read_between_a_few_starts, setup, teardown),
		cmocka_unit_test_setup_teardown(a_line_that_is_gone_is_parked, setup, teardown),
		cmocka_unit_test_setup_teardown(progress_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(attempts_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(the_archive_is_pruned, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_is_kept_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_is_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(small_segments_are_joined, setup, teardown),
		cmocka_unit_test_setup_teardown(the_archive_is_pruned_of_what_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(a_large_segment_is_moved_as_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(a_second_one_yields, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_ends_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_dead_one_has_left_is_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_was_taken_over_writes_nothing_more, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_read_holds_up_what_came_later, setup, teardown),
		cmocka_unit_test_setup_teardown(it_stays_and_is_woken, setup, teardown),
		cmocka_unit_test_setup_teardown(sigterm_lets_a_script_finish, setup, teardown),
		cmocka_unit_test_setup_teardown(sigterm_ends_a_script_that_does_not, setup, teardown),
		cmocka_unit_test_setup_teardown(idle_it_ends, setup, teardown),
		cmocka_unit_test(crashes_lose_and_double_nothing),
		cmocka_unit_test(crashes_while_copying_lose_and_double_nothing),
		cmocka_unit_test_setup_teardown(a_sync_that_fails_delays_the_file_only, setup, teardown),
		cmocka_unit_test_setup_teardown(a_large_event_is_written_in_parts, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
