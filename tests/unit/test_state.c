#include "config.h"

#include "state/state.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "query.h"
#include "spool/open.h"
#include "state/archive_index.h"
#include "state/counts.h"
#include "state/deliveries.h"
#include "state/files.h"
#include "state/segments.h"
#include "unit.h"

#define DAYS(n) ((n)*INT64_C(86400) * CLOCK_SECOND)

static struct {
	char *folder;
	struct conf conf;
	struct spool spool;
	struct state *state;
	bool fresh;
} t;

static void open_state(void)
{
	t.state = state_open(&t.spool, STATE_DELIVER, &t.fresh);
	if (t.state == NULL)
		print_error("state_open: %s\n", strerror(errno));
	assert_non_null(t.state);
	if (t.fresh)
		assert_int_equal(state_commit(t.state), 0);
}

static void reopen_state(void)
{
	state_close(t.state);
	open_state();
	assert_false(t.fresh);
}

static int setup(void **state)
{
	(void)state;
	t.folder = unit_folder();
	t.conf = unit_conf(t.folder);
	assert_int_equal(spool_open(&t.spool, &t.conf, SPOOL_DELIVER), 0);
	open_state();
	assert_true(t.fresh);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	state_close(t.state);
	t.state = NULL;
	spool_close(&t.spool);
	unit_remove(t.folder);
	return 0;
}

/* Another process's view, past the module. */
static int64_t query(const char *sql)
{
	return unit_query(unit_path(t.folder, "state.db"), sql);
}

static void files_have_the_spools_mode(void **state)
{
	(void)state;
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_commit(t.state), 0);
	assert_int_equal(unit_mode(unit_path(t.folder, "state.db")), 0600);
	state_close(t.state);
	assert_int_equal(unlink(unit_path(t.folder, "state.db")), 0);
	spool_close(&t.spool);
	t.conf.has_group = true;
	t.conf.group = getegid();
	assert_int_equal(spool_open(&t.spool, &t.conf, SPOOL_DELIVER), 0);
	mode_t before = umask(077);
	open_state();
	umask(before);
	assert_true(t.fresh);
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_count_add(t.state, STATE_EVENTS, 1), 0);
	assert_int_equal(state_commit(t.state), 0);
	assert_int_equal(unit_mode(unit_path(t.folder, "state.db")), 0640);
	assert_int_equal(unit_mode(unit_path(t.folder, "state.db-wal")), 0640);
	assert_int_equal(unit_mode(unit_path(t.folder, "state.db-shm")), 0640);
}

/* A database that was not committed when it was made is made again. */
static void making_is_all_or_nothing(void **state)
{
	(void)state;
	bool fresh;
	uint8_t id[STATE_ID_SIZE] = {1};
	state_close(t.state);
	assert_int_equal(unlink(unit_path(t.folder, "state.db")), 0);
	pid_t child = fork();
	if (child == 0) {
		struct state *unfinished = state_open(&t.spool, STATE_DELIVER, &fresh);
		if (unfinished != NULL && fresh && state_seen_add(unfinished, id) == 0)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	open_state();
	assert_true(t.fresh);
	assert_int_equal(state_seen(t.state, id), 0);
	reopen_state();
}

/* What is left of a database that was removed must not come to life in the next one. */
static void an_old_log_is_not_taken_for_a_new_one(void **state)
{
	(void)state;
	uint8_t id[STATE_ID_SIZE] = {1};
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_seen_add(t.state, id), 0);
	assert_int_equal(state_commit(t.state), 0);
	struct buf log = unit_read(unit_path(t.folder, "state.db-wal"));
	state_close(t.state);
	assert_int_equal(unlink(unit_path(t.folder, "state.db")), 0);
	unit_write(unit_path(t.folder, "state.db-wal"), log.data, log.len);
	buf_fini(&log);
	open_state();
	assert_true(t.fresh);
	assert_int_equal(state_seen(t.state, id), 0);
}

static void note_event(uint8_t first)
{
	const uint8_t id[STATE_ID_SIZE] = {first};
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_seen_add(t.state, id), 0);
	assert_int_equal(state_commit(t.state), 0);
}

static bool is_event_known(uint8_t first)
{
	const uint8_t id[STATE_ID_SIZE] = {first};
	return state_seen(t.state, id) == 1;
}

/* An older copy that gets the name is used as it is, without the log of the one that had it. */
static void a_replaced_database_has_its_own_log(void **state)
{
	(void)state;
	note_event(1);
	reopen_state();
	state_close(t.state);
	struct buf copy = unit_read(unit_path(t.folder, "state.db"));
	open_state();
	note_event(2);
	assert_int_equal(state_is_there(t.state), 0);
	unit_write(unit_path(t.folder, "copy"), copy.data, copy.len);
	buf_fini(&copy);
	assert_int_equal(rename(unit_path(t.folder, "copy"), unit_path(t.folder, "state.db")), 0);
	assert_int_equal(state_is_there(t.state), -1);
	assert_int_equal(errno, STATE_REPLACED);
	reopen_state();
	assert_int_equal(state_is_there(t.state), 0);
	assert_true(is_event_known(1));
	assert_false(is_event_known(2));
	assert_int_equal(unlink(unit_path(t.folder, "state.db")), 0);
	assert_int_equal(state_is_there(t.state), -1);
}

static void commands_look(void **state)
{
	(void)state;
	bool fresh;
	struct state *looker = state_open(&t.spool, STATE_LOOK, &fresh);
	assert_non_null(looker);
	assert_int_equal(state_count_add(looker, STATE_EVENTS, 1), -1);
	state_close(looker);
	state_close(t.state);
	assert_int_equal(unlink(unit_path(t.folder, "state.db")), 0);
	assert_null(state_open(&t.spool, STATE_LOOK, &fresh));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(access(unit_path(t.folder, "state.db"), F_OK), -1);
	open_state();
}

/* Its tables may look alike and mean something else: nobody touches them, and a deliverer does not set them aside. */
static void another_version_is_refused(void **state)
{
	(void)state;
	static const int versions[] = {-1, 1, 4, 6};
	bool fresh;
	state_close(t.state);
	for (size_t i = 0; i < UNIT_COUNT(versions); i++) {
		char sql[40];
		snprintf(sql, sizeof sql, "PRAGMA user_version = %d", versions[i]);
		query(sql);
		for (enum state_use use = STATE_DELIVER; use <= STATE_CHANGE; use++)
			unit_check(state_open(&t.spool, use, &fresh) == NULL && errno == STATE_OTHER_VERSION, "%d, %d",
				   versions[i], use);
		assert_int_equal(query("PRAGMA user_version"), versions[i]);
	}
	query("PRAGMA user_version = 5");
	open_state();
}

/* No version has left these tables. */
static void tables_without_a_version_are_damage(void **state)
{
	(void)state;
	bool fresh;
	state_close(t.state);
	query("PRAGMA user_version = 0");
	t.state = state_open(&t.spool, STATE_DELIVER, &fresh);
	assert_null(t.state);
	assert_int_equal(errno, STATE_CORRUPT);
}

/* The last deliverer that opened the database is its owner; an operator's command is none, and needs to be none. */
static void one_deliverer_owns_it(void **state)
{
	(void)state;
	bool fresh;
	struct state *command = state_open(&t.spool, STATE_CHANGE, &fresh);
	struct state *second = state_open(&t.spool, STATE_DELIVER, &fresh);
	assert_non_null(command);
	assert_non_null(second);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(state_begin(t.state), -1);
		assert_int_equal(errno, STATE_TAKEN);
		assert_int_equal(state_begin(second), 0);
		assert_int_equal(state_commit(second), 0);
		assert_int_equal(state_begin(command), 0);
		assert_int_equal(state_commit(command), 0);
	}
	state_close(command);
	state_close(second);
	reopen_state();
	assert_int_equal(state_begin(t.state), 0);
	state_rollback(t.state);
}

static int note_traffic(void *arg, const struct state_traffic *q)
{
	char *text = arg;
	size_t n = strlen(text);
	snprintf(text + n, 256 - n, "%lld:%llu/%llu/%llu/%llu/%llu;", (long long)(q->at / STATE_QUARTER),
		 (unsigned long long)q->events, (unsigned long long)q->records, (unsigned long long)q->refused,
		 (unsigned long long)q->done, (unsigned long long)q->failed);
	return 0;
}

static const char *traffic_since(int64_t since)
{
	static char text[256];
	text[0] = '\0';
	assert_int_equal(state_traffic(t.state, since, note_traffic, text), 0);
	return text;
}

static void quarters_of_an_hour(void **state)
{
	(void)state;
	const int64_t day = 96 * STATE_QUARTER, now = clock_now() / STATE_QUARTER, early = now - 3 * 96;
	static const struct state_traffic adds[] = {
		{.at = 1, .events = 2, .records = 20},
		{.at = STATE_QUARTER - 1, .events = 1, .records = 1},
		{.at = STATE_QUARTER, .refused = 5},
		{.at = STATE_QUARTER, .done = 1, .failed = 2},
		{.at = 5 * STATE_QUARTER},
	};
	char expected[256];
	for (size_t i = 0; i < UNIT_COUNT(adds); i++) {
		struct state_traffic add = adds[i];
		add.at += early * STATE_QUARTER;
		assert_int_equal(state_traffic_add(t.state, &add), 0);
	}
	snprintf(expected, sizeof expected, "%lld:3/21/0/0/0;%lld:0/0/5/1/2;", (long long)early, (long long)early + 1);
	assert_string_equal(traffic_since(0), expected);
	snprintf(expected, sizeof expected, "%lld:0/0/5/1/2;", (long long)early + 1);
	assert_string_equal(traffic_since((early + 1) * STATE_QUARTER), expected);

	/* A target's counts are among them. */
	int64_t target;
	assert_int_equal(state_target(t.state, "crm", &target), 0);
	uint64_t before = state_changes(t.state);
	assert_int_equal(state_target_add(t.state, target, &(struct state_tally){.done = 3, .failed = 1}), 0);
	assert_true(state_changes(t.state) > before);
	assert_non_null(strstr(traffic_since(clock_now() - day), ":0/0/0/3/1;"));

	assert_int_equal(state_traffic_sweep(t.state), 0);
	assert_int_equal(query("SELECT count(*) FROM traffic"), 1);
}

static const struct {
	const char *name;
	off_t from, to; /* to be overwritten; to 0: to the end */
} damages[] = {
	{"header", 0, 100},
	{"schema", 100, 4096},
	{"everything", 0, 0},
	{"all but the header", 4096, 0},
};

static void damage_is_noticed_and_set_aside(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(damages); i++) {
		uint8_t id[STATE_ID_SIZE] = {1};
		char name[64];
		struct stat st;
		bool fresh;
		assert_int_equal(state_begin(t.state), 0);
		assert_int_equal(state_seen_add(t.state, id), 0);
		assert_int_equal(state_commit(t.state), 0);
		state_close(t.state);
		int fd = open(unit_path(t.folder, "state.db"), O_WRONLY);
		assert_int_equal(fstat(fd, &st), 0);
		off_t to = damages[i].to == 0 ? st.st_size : damages[i].to;
		char *rubbish = malloc((size_t)to);
		assert_non_null(rubbish);
		memset(rubbish, 0x5a, (size_t)to);
		assert_int_equal(pwrite(fd, rubbish, (size_t)(to - damages[i].from), damages[i].from),
				 to - damages[i].from);
		free(rubbish);
		close(fd);
		t.state = state_open(&t.spool, STATE_DELIVER, &fresh);
		unit_check(t.state == NULL || state_seen(t.state, id) == -1, "%s", damages[i].name);
		unit_check(errno == STATE_CORRUPT, "%s: %s", damages[i].name, strerror(errno));
		state_close(t.state);
		assert_int_equal(state_set_aside(&t.spool, name), 0);
		assert_int_equal(access(unit_path(t.folder, name), F_OK), 0);
		open_state();
		unit_check(t.fresh, "%s", damages[i].name);
		assert_int_equal(state_seen(t.state, id), 0);
	}
}

static void identities(void **state)
{
	(void)state;
	static const uint8_t a[STATE_ID_SIZE] = {0, 1}, b[STATE_ID_SIZE] = {[15] = 255};
	assert_int_equal(state_read_begin(t.state), 0);
	assert_int_equal(state_seen(t.state, a), 0);
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_seen_add(t.state, a), 0);
	assert_int_equal(state_seen_add(t.state, a), 0);
	assert_int_equal(state_commit(t.state), 0);
	assert_int_equal(state_seen(t.state, a), 1);
	assert_int_equal(state_seen(t.state, b), 0);
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_seen_add(t.state, b), 0);
	state_rollback(t.state);
	reopen_state();
	assert_int_equal(state_seen(t.state, a), 1);
	assert_int_equal(state_seen(t.state, b), 0);
}

/* SQLite's memory, while there is some. */
static struct {
	sqlite3_mem_methods methods;
	bool is_out;
} memory;

static void *allocate(int size)
{
	return memory.is_out ? NULL : memory.methods.xMalloc(size);
}

static void *reallocate(void *block, int size)
{
	return memory.is_out ? NULL : memory.methods.xRealloc(block, size);
}

static int watch_memory(void **state)
{
	(void)state;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.methods), SQLITE_OK);
	sqlite3_mem_methods watched = memory.methods;
	watched.xMalloc = allocate;
	watched.xRealloc = reallocate;
	return sqlite3_config(SQLITE_CONFIG_MALLOC, &watched);
}

/* The same want of memory that has made a transaction fail can make its end fail. */
static void a_failed_rollback_is_made_up_for(void **state)
{
	(void)state;
	static const uint8_t a[STATE_ID_SIZE] = {0, 1}, b[STATE_ID_SIZE] = {0, 2};
	for (int held = 0; held <= 1; held++) {
		reopen_state();
		assert_int_equal(state_begin(t.state), 0);
		assert_int_equal(state_seen_add(t.state, a), 0);
		memory.is_out = true;
		state_rollback(t.state);
		memory.is_out = false;
		assert_int_equal(held ? state_read_begin(t.state) : state_begin(t.state), 0);
		assert_int_equal(state_seen(t.state, a), 0);
		if (held)
			assert_int_equal(state_begin(t.state), 0);
		assert_int_equal(state_seen_add(t.state, b), 0);
		assert_int_equal(state_commit(t.state), 0);
		assert_int_equal(state_seen(t.state, a), 0);
		assert_int_equal(state_seen(t.state, b), 1);
	}
}

static const struct {
	const char *name;
	int64_t away; /* what the wall clock says that the spool was left alone for */
	bool believed;
} gaps[] = {
	{"a minute", CLOCK_SECOND * 60, true}, {"a month", DAYS(31), true},
	{"a year ahead", DAYS(365), false},    {"an hour back", -CLOCK_SECOND * 3600, false},
	{"a year back", -DAYS(365), false},
};

static void the_age_does_not_jump_with_the_clock(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(gaps); i++) {
		assert_int_equal(state_begin(t.state), 0);
		assert_int_equal(state_keep_age(t.state), 0);
		assert_int_equal(state_commit(t.state), 0);
		int64_t before = query("SELECT age FROM age");
		char sql[80];
		snprintf(sql, sizeof sql, "UPDATE age SET at = at - (%lld)", (long long)gaps[i].away);
		query(sql);
		reopen_state();
		int64_t grown = state_age(t.state) - before, least = gaps[i].believed ? gaps[i].away : 0;
		unit_check(grown >= least && grown < least + 10 * CLOCK_SECOND, "%s: %lld", gaps[i].name,
			   (long long)grown);
	}
}

static int collect_cursor(void *arg, const char *segment, uint64_t offset)
{
	return buf_printf(arg, "%s %llu\n", segment, (unsigned long long)offset);
}

static void cursors(void **state)
{
	(void)state;
	int64_t a, b, again;
	struct buf all = {0};
	assert_int_equal(state_cursor_put(t.state, "b.jsonl", 5, &b), 0);
	assert_int_equal(state_cursor_put(t.state, "a.jsonl", 0, &a), 0);
	assert_int_equal(state_cursor_put(t.state, "b.jsonl", UINT64_C(1) << 40, &again), 0);
	assert_true(a != b && b == again);
	reopen_state();
	assert_int_equal(state_cursors(t.state, collect_cursor, &all), 0);
	assert_true(strcmp(buf_cstr(&all), "b.jsonl 1099511627776\na.jsonl 0\n") == 0 ||
		    strcmp(all.data, "a.jsonl 0\nb.jsonl 1099511627776\n") == 0);
	all.len = 0;
	assert_int_equal(state_cursor_drop(t.state, "b.jsonl"), 0);
	assert_int_equal(state_cursor_drop(t.state, "c.jsonl"), 0);
	assert_int_equal(state_cursors(t.state, collect_cursor, &all), 0);
	assert_string_equal(buf_cstr(&all), "a.jsonl 0\n");
	buf_fini(&all);
}

static void expect_file(const struct state_file *file, const struct state_file *expected)
{
	assert_true(file->length == expected->length && file->mark == expected->mark && file->era == expected->era &&
		    file->standing == expected->standing && file->others_at == expected->others_at);
}

static void files(void **state)
{
	(void)state;
	const struct state_file one = {UINT64_MAX - 1, -5, 1234, 3, 0}, two = {7, 0, 9, 0, 5};
	struct state_file found = {0};
	struct span path = UNIT_SPAN("/srv/a b/\xff.jsonl"), other = UNIT_SPAN("/srv/a b/");
	assert_int_equal(state_file(t.state, path, &found), 0);
	assert_int_equal(state_file_put(t.state, path, &one), 0);
	reopen_state();
	assert_int_equal(state_file(t.state, path, &found), 1);
	expect_file(&found, &one);
	assert_int_equal(state_file_put(t.state, path, &two), 0);
	assert_int_equal(state_file(t.state, path, &found), 1);
	expect_file(&found, &two);
	assert_int_equal(state_file(t.state, other, &found), 0);
	/* One of another era is kept for longer. */
	assert_int_equal(state_files_sweep(t.state, 9, DAYS(1), DAYS(1)), 0);
	assert_int_equal(state_files_sweep(t.state, 8, -1, DAYS(1)), 0);
	assert_int_equal(state_file(t.state, path, &found), 1);
	assert_int_equal(state_files_sweep(t.state, 9, -1, DAYS(1)), 0);
	assert_int_equal(state_file(t.state, path, &found), 0);
}

static int add_standing(void *arg, const uint8_t event[STATE_ID_SIZE], uint32_t records, bool unknown)
{
	return buf_printf(arg, "%u %u%s;", event[0], records, unknown ? "?" : "");
}

static void expect_standing(struct span path, const char *expected)
{
	struct buf all = {0};
	assert_int_equal(buf_str(&all, ""), 0);
	assert_int_equal(state_standing(t.state, path, add_standing, &all), 0);
	assert_string_equal(buf_cstr(&all), expected);
	buf_fini(&all);
}

static void what_stands_in_files(void **state)
{
	(void)state;
	static const uint8_t one[STATE_ID_SIZE] = {1}, two[STATE_ID_SIZE] = {2};
	const struct span a = UNIT_SPAN("/a"), b = UNIT_SPAN("/b");
	const struct state_file file = {.length = 1};
	assert_int_equal(state_file_put(t.state, a, &file), 0);
	assert_int_equal(state_standing_put(t.state, a, one, 3, true), 0);
	assert_int_equal(state_standing_put(t.state, a, two, 4, true), 0);
	assert_int_equal(state_standing_put(t.state, a, one, 5, false), 0);
	assert_int_equal(state_standing_put(t.state, b, one, 6, false), 0);
	expect_standing(a, "1 5;2 4?;");
	expect_standing(b, "1 6;");
	assert_int_equal(state_standing_drop(t.state, a, one), 0);
	expect_standing(a, "2 4?;");
	/* What is of no file goes. */
	assert_int_equal(state_files_sweep(t.state, 0, DAYS(1), DAYS(1)), 0);
	expect_standing(a, "2 4?;");
	expect_standing(b, "");
}

static int64_t add_delivery(int64_t target, int64_t lane, const char *segment, uint64_t offset)
{
	struct state_delivery delivery = {
		.offset = offset, .length = 10, .event = {[3] = (uint8_t)offset}, .records = 2};
	assert_int_equal(state_cursor_put(t.state, segment, offset + 10, &delivery.segment_id), 0);
	assert_int_equal(state_delivery_add(t.state, target, lane, &delivery), 0);
	assert_int_equal(state_lane_add(t.state, target, lane, state_ready(t.state)), 0);
	return query("SELECT max(id) FROM delivery");
}

static void a_delivery_from_pending_to_done(void **state)
{
	(void)state;
	struct state_delivery head[4];
	int64_t crm, other;
	assert_int_equal(state_target(t.state, "crm", &crm), 0);
	assert_int_equal(state_target(t.state, "other", &other), 0);
	assert_true(crm != other);
	assert_int_equal(state_is_waiting(t.state, crm), 0);
	for (uint64_t i = 0; i < 3; i++)
		add_delivery(crm, -7, "a.jsonl", 100 + i);
	add_delivery(crm, 8, "b.jsonl", 50);
	assert_int_equal(state_is_waiting(t.state, crm), 1);
	assert_int_equal(state_is_waiting(t.state, other), 0);
	assert_int_equal(state_lane_is_waiting(t.state, crm, -7), 1);
	assert_int_equal(state_lane_is_waiting(t.state, other, -7), 0);
	assert_int_equal(state_is_pinned(t.state, "a.jsonl"), 1);
	reopen_state();
	assert_int_equal(state_lane_head(t.state, other, -7, head, 4), 0);
	assert_int_equal(state_lane_head(t.state, crm, -7, head, 4), 3);
	assert_int_equal(state_lane_head(t.state, crm, -7, head, 2), 2);
	assert_string_equal(head[0].segment, "a.jsonl");
	assert_int_equal(head[0].offset, 100);
	assert_int_equal(head[0].length, 10);
	assert_int_equal(head[0].records, 2);
	assert_int_equal(head[0].event[3], 100);
	assert_int_equal(head[0].attempts, 0);
	assert_int_equal(head[0].first_at, 0);
	assert_int_equal(head[1].offset, 101);

	head[0].attempts = 3;
	head[0].first_at = 77;
	assert_int_equal(state_delivery_failed(t.state, &head[0], "exit 1"), 0);
	assert_int_equal(state_lane_head(t.state, crm, -7, head, 1), 1);
	assert_int_equal(head[0].attempts, 3);
	assert_int_equal(head[0].first_at, 77);
	assert_int_equal(state_delivery_done(t.state, head[0].id), 0);
	assert_int_equal(state_lane_settle(t.state, crm, -7, 5), 0);
	assert_int_equal(state_lane_head(t.state, crm, -7, head, 4), 2);
	assert_int_equal(head[0].offset, 101);
	assert_int_equal(state_delivery_park(t.state, &head[0], "exit 100"), 0);
	assert_int_equal(state_lane_head(t.state, crm, -7, head, 4), 1);
	assert_int_equal(head[0].offset, 102);
	assert_int_equal(state_delivery_done(t.state, head[0].id), 0);
	assert_int_equal(state_lane_settle(t.state, crm, -7, 5), 0);
	assert_int_equal(state_lane_is_waiting(t.state, crm, -7), 0);
	assert_int_equal(state_is_waiting(t.state, crm), 1);
	/* What is parked keeps its segment in the journal. */
	assert_int_equal(state_is_pinned(t.state, "a.jsonl"), 1);
	assert_int_equal(query("SELECT parked_at > 0 AND why = 'exit 100' FROM delivery WHERE offset = 101"), 1);
	query("DELETE FROM delivery WHERE offset = 101");
	assert_int_equal(state_is_pinned(t.state, "a.jsonl"), 0);
	assert_int_equal(state_is_pinned(t.state, "b.jsonl"), 1);
	assert_int_equal(state_is_pinned(t.state, "c.jsonl"), 0);
}

static void lanes_in_the_order_in_which_they_are_due(void **state)
{
	(void)state;
	struct state_lane lanes[4];
	static const int64_t next[] = {500, 0, 900, 100};
	for (int i = 0; i < 4; i++)
		assert_int_equal(state_lane_add(t.state, 1, 10 + i, next[i]), 0);
	assert_int_equal(state_lane_add(t.state, 2, 99, 1), 0);
	assert_int_equal(state_lane_add(t.state, 1, 11, state_ready(t.state)), 0); /* it has a row already */
	assert_int_equal(state_lane_add(t.state, 1, 14, state_ready(t.state)), 0);
	usleep(10);
	assert_int_equal(state_lane_add(t.state, 1, 15, state_ready(t.state)), 0);
	assert_int_equal(state_lanes(t.state, 1, INT64_MIN, lanes, 4), 4);
	static const int64_t order[] = {14, 15, 11, 13};
	for (int i = 0; i < 4; i++)
		assert_int_equal(lanes[i].lane, order[i]);
	assert_true(lanes[1].next_at < 0);
	assert_int_equal(lanes[3].next_at, 100);
	assert_int_equal(state_lanes(t.state, 3, INT64_MIN, lanes, 4), 0);
	/* Those that wait for a retry, and of these the ones that are not due at 100. */
	assert_int_equal(state_lanes(t.state, 1, 0, lanes, 4), 4);
	assert_int_equal(lanes[0].lane, 11);
	assert_int_equal(state_lanes(t.state, 1, 101, lanes, 4), 2);
	assert_int_equal(lanes[0].lane, 10);
}

/* The head is found by an index: what stands behind it is not read. */
static void a_long_lane_costs_nothing(void **state)
{
	(void)state;
	enum { LONG = 20000 };
	struct state_delivery head;
	struct state_delivery delivery = {.segment_id = 1, .length = 10};
	int64_t id;
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_cursor_put(t.state, "a.jsonl", 10, &id), 0);
	delivery.segment_id = id;
	for (int i = 0; i < LONG; i++)
		assert_int_equal(state_delivery_add(t.state, 1, 5, &delivery), 0);
	delivery.offset = 1;
	assert_int_equal(state_delivery_add(t.state, 1, 6, &delivery), 0);
	assert_int_equal(state_commit(t.state), 0);
	clock_t begun = clock();
	for (int i = 0; i < 200; i++) {
		assert_int_equal(state_lane_head(t.state, 1, 6, &head, 1), 1);
		assert_int_equal(head.offset, 1);
		assert_int_equal(state_lane_settle(t.state, 1, 5, 0), 0);
	}
	assert_true(clock() - begun < CLOCKS_PER_SEC / 2);
	assert_int_equal(query("SELECT count(*) FROM pragma_index_list('delivery') WHERE name = 'delivery_head'"), 1);
}

static int note_trouble(void *arg, const struct state_trouble *trouble)
{
	char *text = arg;
	size_t n = strlen(text);
	assert_true(trouble->at > 0);
	snprintf(text + n, 100 - n, "%s: %s;", trouble->what, trouble->why);
	return 0;
}

static void troubles(void **state)
{
	(void)state;
	char text[100] = "";
	assert_int_equal(state_has_trouble(t.state, "a"), 0);
	assert_int_equal(state_trouble_put(t.state, "a", "No space"), 0);
	assert_int_equal(state_trouble_put(t.state, "b", "No memory"), 0);
	assert_int_equal(state_trouble_put(t.state, "a", "Permission denied"), 0);
	assert_int_equal(state_troubles(t.state, note_trouble, text), 0);
	assert_string_equal(text, "a: Permission denied;b: No memory;");
	assert_int_equal(state_trouble_drop(t.state, "b"), 0);
	assert_int_equal(state_has_trouble(t.state, "a"), 1);
	assert_int_equal(state_has_trouble(t.state, "b"), 0);
}

static void rows_name_places(void **state)
{
	(void)state;
	struct state_pin pin;
	struct state_place places[4];
	int64_t ids[3];
	uint64_t version, later;
	for (int i = 0; i < 3; i++) {
		char name[24];
		snprintf(name, sizeof name, "%d.jsonl", i);
		assert_int_equal(state_segment(t.state, name, 100, &ids[i]), 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		struct state_delivery delivery = {.segment_id = ids[i == 2 ? 2 : 0], .offset = 10 * i, .length = i};
		assert_int_equal(state_delivery_add(t.state, 1, 5, &delivery), 0);
	}
	assert_int_equal(state_pin_next(t.state, 0, &pin), 1);
	assert_int_equal(pin.id, ids[0]);
	assert_string_equal(pin.name, "0.jsonl");
	assert_int_equal(state_places(t.state, pin.id, 0, places, 1), 1);
	assert_int_equal(state_places(t.state, pin.id, places[0].row, places, 4), 1);
	assert_int_equal(places[0].offset, 10);
	assert_int_equal(places[0].length, 1);
	assert_int_equal(state_version(t.state, &version), 0);
	places[0].offset = 70;
	assert_int_equal(state_place_move(t.state, &places[0], ids[1]), 0);
	assert_int_equal(state_version(t.state, &later), 0);
	assert_true(later != version);
	assert_int_equal(state_pin_next(t.state, ids[0], &pin), 1);
	assert_string_equal(pin.name, "1.jsonl");
	assert_int_equal(state_places(t.state, pin.id, 0, places, 4), 1);
	assert_int_equal(places[0].offset, 70);
	assert_int_equal(state_pin_next(t.state, ids[1], &pin), 1);
	assert_int_equal(state_pin_next(t.state, ids[2], &pin), 0);
	version = later;
	query("DELETE FROM delivery");
	assert_int_equal(state_version(t.state, &later), 0);
	assert_true(later != version);
}

static int take_no_row(void *arg, const struct state_row *row)
{
	(void)arg;
	(void)row;
	return 0;
}

/* A name that would lead out of its folder is none that was written here. */
static void names_that_lead_elsewhere(void **state)
{
	(void)state;
	static const char *const names[] = {
		"../../home/diary.txt",
		"/etc/passwd",
		"20261124T090000.123456Z/../x.jsonl",
		".",
		"..",
		"",
		"20261124T090000.123456Z-123456789012345678901234567890123456789-00000000.jsonl"};
	static const uint8_t id[STATE_ID_SIZE] = {0};
	char found[4][SEGMENT_NAME_SIZE], sql[256];
	struct buf all = {0};
	struct state_delivery head[1];
	struct state_pin pin;
	int64_t target;
	assert_int_equal(state_target(t.state, "crm", &target), 0);
	add_delivery(target, 7, "a.jsonl", 0);
	query("UPDATE delivery SET event = zeroblob(16)");
	assert_int_equal(state_archive_put(t.state, "b.jsonl", 8), 0);
	query("UPDATE archive SET age = age - 904800000000");
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		query("UPDATE segment SET name = 'a.jsonl'");
		snprintf(sql, sizeof sql, "UPDATE archive SET name = '%s'", names[i]);
		query(sql);
		unit_check(state_archive_old(t.state, DAYS(7), found, 4) == -1 && errno == STATE_CORRUPT, "%s",
			   names[i]);
		snprintf(sql, sizeof sql, "UPDATE segment SET name = '%s'", names[i]);
		query(sql);
		unit_check(state_cursors(t.state, collect_cursor, &all) == -1 && errno == STATE_CORRUPT, "%s",
			   names[i]);
		unit_check(state_lane_head(t.state, target, 7, head, 1) == -1 && errno == STATE_CORRUPT, "%s",
			   names[i]);
		unit_check(state_rows(t.state, id, take_no_row, NULL) == -1 && errno == STATE_CORRUPT, "%s", names[i]);
		unit_check(state_pin_next(t.state, 0, &pin) == -1 && errno == STATE_CORRUPT, "%s", names[i]);
	}
	buf_fini(&all);
}

static void archived_files(void **state)
{
	(void)state;
	char names[4][SEGMENT_NAME_SIZE];
	uint64_t length;
	assert_int_equal(state_archive_put(t.state, "a.jsonl", 7), 0);
	assert_int_equal(state_archive_put(t.state, "b.jsonl", 8), 0);
	assert_int_equal(state_archive_length(t.state, "a.jsonl", &length), 1);
	assert_int_equal(length, 7);
	assert_int_equal(state_archive_length(t.state, "c.jsonl", &length), 0);
	assert_int_equal(state_archive_old(t.state, DAYS(7), names, 4), 0);
	query("UPDATE archive SET age = age - 604800000000 WHERE name = 'b.jsonl'");
	assert_int_equal(state_archive_old(t.state, DAYS(7), names, 4), 1);
	assert_string_equal(names[0], "b.jsonl");
	query("UPDATE archive SET age = age - 704800000000 WHERE name = 'a.jsonl'");
	assert_int_equal(state_archive_old(t.state, DAYS(7), names, 1), 1);
	assert_string_equal(names[0], "a.jsonl");
	assert_int_equal(state_archive_is_old(t.state, "a.jsonl", DAYS(7)), 1);
	assert_int_equal(state_archive_is_old(t.state, "a.jsonl", DAYS(30)), 0);
	assert_int_equal(state_archive_is_old(t.state, "c.jsonl", DAYS(7)), 0);
	/* One that a row names does not stand in the way of others. */
	int64_t segment;
	struct state_delivery delivery = {.offset = 1, .length = 2};
	assert_int_equal(state_segment(t.state, "a.jsonl", 7, &segment), 0);
	delivery.segment_id = segment;
	assert_int_equal(state_delivery_add(t.state, 1, 5, &delivery), 0);
	assert_int_equal(state_archive_old(t.state, DAYS(7), names, 1), 1);
	assert_string_equal(names[0], "b.jsonl");
	assert_int_equal(state_archive_drop(t.state, "b.jsonl"), 0);
	assert_int_equal(state_archive_old(t.state, DAYS(7), names, 4), 0);
}

static void counts(void **state)
{
	(void)state;
	int64_t id, same;
	struct state_tally good = {.done = 5}, bad = {.failed = 2, .parked = 1, .error = "exit 1: no"};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(state_count_add(t.state, STATE_RECORDS, 10), 0);
		assert_int_equal(state_count_add(t.state, STATE_TORN, 0), 0);
	}
	assert_int_equal(query("SELECT value FROM count WHERE name = 'records'"), 20);
	assert_int_equal(query("SELECT count(*) FROM count"), 1);
	assert_int_equal(state_target(t.state, "crm", &id), 0);
	assert_int_equal(state_target(t.state, "crm", &same), 0);
	assert_int_equal(id, same);
	assert_int_equal(state_target_add(t.state, id, &bad), 0);
	assert_int_equal(query("SELECT done_at IS NULL AND error = 'exit 1: no' FROM target"), 1);
	assert_int_equal(state_target_add(t.state, id, &good), 0);
	assert_int_equal(query("SELECT done = 5 AND failed = 2 AND parked = 1 AND done_at > 0 AND error = 'exit 1: no'"
			       " FROM target"),
			 1);
}

static void connections_and_syncs(void **state)
{
	(void)state;
	struct span endpoint = UNIT_SPAN("/webhook"), c1 = UNIT_SPAN("c1");
	assert_int_equal(state_connection_put(t.state, endpoint, c1, 3, 100), 0);
	assert_int_equal(state_connection_put(t.state, endpoint, c1, 2, 200), 0);
	assert_int_equal(query("SELECT events = 5 AND last_at = 200 FROM connection"), 1);

	struct state_sync page = {endpoint, c1, UNIT_SPAN("crm_contact"), UNIT_SPAN("w1"), 2, 20, 10, 11, false};
	assert_int_equal(state_sync_add(t.state, &page), 0);
	page.complete = true;
	page.begun_at = page.last_at = 12;
	assert_int_equal(state_sync_add(t.state, &page), 0);
	assert_int_equal(
		query("SELECT pages = 4 AND records = 40 AND begun_at = 10 AND last_at = 12 AND complete FROM sync"),
		1);
	/* A page that was tried again comes late: the sync is complete all the same. */
	page.complete = false;
	assert_int_equal(state_sync_add(t.state, &page), 0);
	assert_int_equal(query("SELECT pages = 6 AND complete FROM sync"), 1);
	/* Another webhook begins anew. */
	page.webhook = UNIT_SPAN("w2");
	page.begun_at = page.last_at = 50;
	assert_int_equal(state_sync_add(t.state, &page), 0);
	assert_int_equal(query("SELECT pages = 2 AND records = 20 AND begun_at = 50 AND NOT complete FROM sync"), 1);
}

static void make_id(uint8_t id[STATE_ID_SIZE], uint64_t i)
{
	const uint64_t halves[2] = {i * UINT64_C(0x9e3779b97f4a7c15), i * UINT64_C(0xd6e8feb86659fd93)};
	memcpy(id, halves, STATE_ID_SIZE);
}

static void it_gets_small_again(void **state)
{
	(void)state;
	enum { COUNT = 30000 };
	uint8_t id[STATE_ID_SIZE];
	struct stat st;
	for (unsigned i = 0; i < COUNT;) {
		assert_int_equal(state_begin(t.state), 0);
		for (unsigned end = i + COUNT / 10; i < end; i++) {
			make_id(id, i);
			assert_int_equal(state_seen(t.state, id), 0);
			assert_int_equal(state_seen_add(t.state, id), 0);
		}
		assert_int_equal(state_commit(t.state), 0);
	}
	assert_int_equal(state_tidy(t.state, true), 0);
	assert_int_equal(stat(unit_path(t.folder, "state.db"), &st), 0);
	assert_in_range(st.st_size, COUNT * 16, COUNT * 40);
	assert_int_equal(stat(unit_path(t.folder, "state.db-wal"), &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(state_read_begin(t.state), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		make_id(id, i);
		assert_int_equal(state_seen(t.state, id), 1);
	}
	/* A part at a time. */
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_seen_sweep(t.state, COUNT / 4, -CLOCK_SECOND), 0);
	assert_int_equal(state_commit(t.state), 0);
	assert_in_range(query("SELECT sum(count) FROM run"), COUNT / 2, COUNT * 3 / 4);
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_seen_sweep(t.state, COUNT, -CLOCK_SECOND), 0);
	assert_int_equal(state_commit(t.state), 0);
	assert_int_equal(query("SELECT (SELECT count(*) FROM recent) + (SELECT count(*) FROM run)"), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(state_tidy(t.state, true), 0);
	assert_int_equal(stat(unit_path(t.folder, "state.db"), &st), 0);
	assert_true(st.st_size < 200000);
}

/* What commands ask and change. */

struct rows {
	char text[512]; /* "TARGET OFFSET/COUNT WHY;", parked ones in brackets */
	struct state_row last;
};

static int note_row(void *arg, const struct state_row *row)
{
	struct rows *r = arg;
	size_t n = strlen(r->text);
	bool parked = row->parked_at != 0;
	r->last = *row;
	snprintf(r->text + n, sizeof r->text - n, "%s%s %d/%d%s%s%s;", parked ? "[" : "",
		 row->target == NULL ? "-" : row->target, (int)row->delivery.offset, (int)row->count,
		 row->why == NULL ? "" : " ", row->why == NULL ? "" : row->why, parked ? "]" : "");
	return 0;
}

static int note_goal(void *arg, const struct state_goal *goal)
{
	char *text = arg;
	sprintf(text + strlen(text), "%s %d %d %d %s;", goal->target, (int)goal->done, (int)goal->failed,
		(int)goal->parked, goal->error == NULL ? "-" : goal->error);
	return 0;
}

static void park(int64_t target, int64_t lane, const char *why)
{
	struct state_delivery head;
	assert_int_equal(state_lane_head(t.state, target, lane, &head, 1), 1);
	head.attempts = 3;
	head.first_at = 1000;
	assert_int_equal(state_delivery_park(t.state, &head, why), 0);
	assert_int_equal(state_lane_settle(t.state, target, lane, state_ready(t.state)), 0);
}

static const char *backlog(struct rows *r)
{
	*r = (struct rows){0};
	assert_int_equal(state_backlog(t.state, note_row, r), 0);
	return r->text;
}

static const char *parked(struct rows *r)
{
	*r = (struct rows){0};
	assert_int_equal(state_parked(t.state, -1, note_row, r), 0);
	return r->text;
}

static const char *failed(int64_t after, int max)
{
	static struct rows r;
	r = (struct rows){0};
	assert_int_equal(state_failed(t.state, after, max, note_row, &r), 0);
	return r.text;
}

static void deliveries_as_they_stand(void **state)
{
	(void)state;
	struct rows r;
	int64_t crm, file;
	char goals[256] = "";
	assert_int_equal(state_target(t.state, "crm", &crm), 0);
	assert_int_equal(state_target(t.state, "file", &file), 0);
	assert_string_equal(backlog(&r), "");
	for (uint64_t offset = 1; offset <= 3; offset++)
		add_delivery(crm, 7, "a.jsonl", offset);
	add_delivery(crm, 8, "a.jsonl", 4);
	add_delivery(file, 7, "b.jsonl", 1);
	assert_string_equal(backlog(&r), "crm 1/3;crm 4/1;file 1/1;");
	assert_string_equal(parked(&r), "");
	park(crm, 7, "exit 100");
	park(crm, 8, "gone");
	assert_string_equal(backlog(&r), "crm 2/2;file 1/1;[crm 1/1 exit 100];[crm 4/1 gone];");
	assert_string_equal(parked(&r), "[crm 1/1 exit 100];[crm 4/1 gone];");
	r = (struct rows){0};
	assert_int_equal(state_parked(t.state, 1, note_row, &r), 0);
	assert_string_equal(r.text, "[crm 1/1 exit 100];");
	assert_string_equal(failed(0, 1), "[crm 1/1 exit 100];");
	assert_string_equal(failed(0, 2), "[crm 1/1 exit 100];[crm 4/1 gone];");
	parked(&r);
	assert_string_equal(r.last.delivery.segment, "a.jsonl");
	assert_int_equal(r.last.delivery.attempts, 3);
	assert_int_equal(r.last.lane, 8);

	/* One event's, and all. */
	r = (struct rows){0};
	assert_int_equal(state_rows(t.state, (const uint8_t[STATE_ID_SIZE]){[3] = 1}, note_row, &r), 0);
	assert_string_equal(r.text, "[crm 1/1 exit 100];file 1/1;");
	assert_true(r.last.next_at < 0);
	r = (struct rows){0};
	assert_int_equal(state_all_rows(t.state, note_row, &r), 0);
	assert_int_equal(r.last.target_id, file);
	assert_int_equal(r.last.delivery.event[3], 1);

	assert_int_equal(state_target_add(t.state, crm, &(struct state_tally){.done = 2, .failed = 1, .error = "no"}),
			 0);
	assert_int_equal(state_goals(t.state, note_goal, goals), 0);
	assert_string_equal(goals, "crm 2 1 0 no;file 0 0 0 -;");
}

static void parked_ones_are_tried_again_or_dropped(void **state)
{
	(void)state;
	struct rows r;
	struct state_delivery head;
	int64_t crm;
	assert_int_equal(state_target(t.state, "crm", &crm), 0);
	add_delivery(crm, 7, "a.jsonl", 1);
	add_delivery(crm, 8, "a.jsonl", 2);
	park(crm, 7, "exit 100");
	assert_int_equal(state_lane_is_waiting(t.state, crm, 7), 0);
	parked(&r);
	assert_string_equal(failed(0, 9), "[crm 1/1 exit 100];");
	assert_string_equal(failed(r.last.delivery.id, 9), "");

	/* As if never tried; and once. */
	assert_int_equal(state_delivery_retry(t.state, &r.last), 1);
	assert_int_equal(state_delivery_retry(t.state, &r.last), 0);
	assert_int_equal(state_lane_is_waiting(t.state, crm, 7), 1);
	assert_int_equal(state_lane_head(t.state, crm, 7, &head, 1), 1);
	assert_int_equal(head.attempts, 0);
	assert_int_equal(head.first_at, 0);
	const struct state_row first = r.last;
	assert_string_equal(backlog(&r), "crm 1/1 exit 100;crm 2/1;");

	/* A pending one is dropped too, and its lane with it. */
	assert_int_equal(state_delivery_drop(t.state, &first), 1);
	assert_int_equal(state_lane_is_waiting(t.state, crm, 7), 0);
	add_delivery(crm, 7, "a.jsonl", 1);
	park(crm, 7, "exit 100");
	parked(&r);
	assert_int_equal(state_is_pinned(t.state, "a.jsonl"), 1);
	assert_int_equal(state_delivery_drop(t.state, &r.last), 1);
	assert_int_equal(state_delivery_drop(t.state, &r.last), 0);
	assert_string_equal(backlog(&r), "crm 2/1;");
}

/* A retry makes a lane due that waited for the attempt of another. */
static void a_retry_does_not_wait(void **state)
{
	(void)state;
	struct rows r;
	struct state_lane lane;
	int64_t crm;
	assert_int_equal(state_target(t.state, "crm", &crm), 0);
	add_delivery(crm, 7, "a.jsonl", 1);
	add_delivery(crm, 7, "a.jsonl", 2);
	park(crm, 7, "exit 100");
	assert_int_equal(state_lane_settle(t.state, crm, 7, DAYS(3)), 0);
	parked(&r);
	assert_int_equal(state_delivery_retry(t.state, &r.last), 1);
	assert_int_equal(state_lanes(t.state, crm, INT64_MIN, &lane, 1), 1);
	assert_true(lane.next_at < 0);
}

static void segments_that_a_replay_names(void **state)
{
	(void)state;
	int64_t known, id;
	assert_int_equal(state_cursor_put(t.state, "a.jsonl", 100, &known), 0);
	assert_int_equal(state_segment(t.state, "a.jsonl", 7, &id), 0);
	assert_int_equal(id, known);
	assert_int_equal(query("SELECT cursor FROM segment WHERE name = 'a.jsonl'"), 100);
	assert_int_equal(state_segment(t.state, "archived.jsonl", 7, &id), 0);
	assert_int_not_equal(id, known);
	assert_int_equal(query("SELECT cursor FROM segment WHERE name = 'archived.jsonl'"), 7);
}

static int count_refusal(void *arg, const struct state_refusal *refusal)
{
	*(uint64_t *)arg = *(uint64_t *)arg * 10 + refusal->count;
	return 0;
}

static void refusals_and_how_far_the_trail_was_read(void **state)
{
	(void)state;
	uint64_t offset = 1, counts = 0;
	const struct state_refusal refusal = {UNIT_SPAN("/webhook"), UNIT_SPAN("c1"), UNIT_SPAN("wrong"), 401, 2, 5};
	assert_int_equal(state_trail_is_begun(t.state), 0);
	assert_int_equal(state_trail(t.state, UINT64_MAX, &offset), 0);
	assert_int_equal(state_trail_put(t.state, UINT64_MAX, 17), 0);
	assert_int_equal(state_trail_put(t.state, UINT64_MAX, 18), 0);
	assert_int_equal(state_trail(t.state, UINT64_MAX, &offset), 1);
	assert_int_equal(offset, 18);
	assert_int_equal(state_trail_is_begun(t.state), 1);
	/* Files that are long gone are forgotten. */
	for (uint64_t mark = 1; mark < 20; mark++)
		assert_int_equal(state_trail_put(t.state, mark, mark), 0);
	assert_int_equal(state_trail(t.state, UINT64_MAX, &offset), 0);
	assert_int_equal(state_trail(t.state, 18, &offset), 1);
	assert_true(query("SELECT count(*) FROM trail") <= 10);

	assert_int_equal(state_refusal_add(t.state, &refusal), 0);
	assert_int_equal(state_connection_put(t.state, UNIT_SPAN("/webhook"), UNIT_SPAN("c1"), 1, 1), 0);
	assert_int_equal(state_refusal_add(t.state, &refusal), 0);
	assert_int_equal(state_refusal_add(t.state, &refusal), 0);
	assert_int_equal(state_refusals(t.state, count_refusal, &counts), 0);
	assert_int_equal(counts, 24);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files_have_the_spools_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(making_is_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(an_old_log_is_not_taken_for_a_new_one, setup, teardown),
		cmocka_unit_test_setup_teardown(a_replaced_database_has_its_own_log, setup, teardown),
		cmocka_unit_test_setup_teardown(commands_look, setup, teardown),
		cmocka_unit_test_setup_teardown(another_version_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(tables_without_a_version_are_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(one_deliverer_owns_it, setup, teardown),
		cmocka_unit_test_setup_teardown(quarters_of_an_hour, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_noticed_and_set_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(identities, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failed_rollback_is_made_up_for, setup, teardown),
		cmocka_unit_test_setup_teardown(the_age_does_not_jump_with_the_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(cursors, setup, teardown),
		cmocka_unit_test_setup_teardown(files, setup, teardown),
		cmocka_unit_test_setup_teardown(what_stands_in_files, setup, teardown),
		cmocka_unit_test_setup_teardown(a_delivery_from_pending_to_done, setup, teardown),
		cmocka_unit_test_setup_teardown(lanes_in_the_order_in_which_they_are_due, setup, teardown),
		cmocka_unit_test_setup_teardown(a_long_lane_costs_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(troubles, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_name_places, setup, teardown),
		cmocka_unit_test_setup_teardown(names_that_lead_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(archived_files, setup, teardown),
		cmocka_unit_test_setup_teardown(counts, setup, teardown),
		cmocka_unit_test_setup_teardown(connections_and_syncs, setup, teardown),
		cmocka_unit_test_setup_teardown(it_gets_small_again, setup, teardown),
		cmocka_unit_test_setup_teardown(deliveries_as_they_stand, setup, teardown),
		cmocka_unit_test_setup_teardown(parked_ones_are_tried_again_or_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(a_retry_does_not_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(segments_that_a_replay_names, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals_and_how_far_the_trail_was_read, setup, teardown),
	};
	return cmocka_run_group_tests(tests, watch_memory, NULL);
}
