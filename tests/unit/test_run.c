#include "config.h"

#include "target/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "unit.h"

#define SECONDS(n) ((n)*CLOCK_SECOND)

/* Runs a shell script to its end, as the deliverer does. The folder is its $0. */
static struct {
	char *folder;
	struct target_run run;
	struct event event;
	const char *records;
	int64_t timeout;
} t;

static int setup(void **state)
{
	(void)state;
	t.folder = unit_folder();
	t.event = unit_event(INT64_C(1795424400123456), "\"n\"", "[{},{}]", 2);
	t.records = "one\ntwo\n";
	t.timeout = SECONDS(30);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_remove(t.folder);
	return 0;
}

static int start_argv(const char *const *argv)
{
	struct conf_target conf = {.name = "crm", .words = (char *const *)argv, .timeout = t.timeout};
	struct attempt_input input = {.fd = attempt_input_open(), .first = &t.event, .records = 2, .attempt = 3};
	assert_true(input.fd >= 0);
	assert_int_equal(fsio_write(input.fd, t.records, strlen(t.records)), 0);
	int result = target_run_kind.start(&t.run.attempt, &conf, &input);
	close(input.fd);
	return result;
}

static void start_script(const char *script)
{
	const char *argv[] = {"/bin/sh", "-c", script, t.folder, "a b", "$HOME", NULL};
	assert_int_equal(start_argv(argv), 0);
}

/* True once it has ended. */
static bool turn(void)
{
	struct pollfd fd = {.fd = t.run.attempt.fd, .events = POLLIN};
	poll(&fd, 1, 5);
	target_run_kind.tick(&t.run.attempt, clock_monotonic());
	return target_run_kind.reap(&t.run.attempt);
}

static void finish(void)
{
	int64_t begun = clock_monotonic();
	while (!turn())
		assert_true(clock_monotonic() - begun < SECONDS(60));
	assert_int_equal(t.run.attempt.fd, -1);
	assert_true(target_run_kind.reap(&t.run.attempt));
}

static void run_script(const char *script)
{
	start_script(script);
	finish();
}

/* What the script has written to a file of its folder. */
static struct buf written(const char *name)
{
	return unit_read(unit_path(t.folder, name));
}

static void expect(const char *name, const char *contents)
{
	struct buf b = written(name);
	unit_check(strcmp(b.data, contents) == 0, "%s: \"%s\"", name, b.data);
	buf_fini(&b);
}

static const char *description(void)
{
	static char text[2 * TARGET_RUN_TAIL];
	struct buf b = {0};
	assert_int_equal(target_run_kind.describe(&t.run.attempt, &b), 0);
	snprintf(text, sizeof text, "%.*s", (int)b.len, b.data);
	buf_fini(&b);
	return text;
}

static const struct {
	const char *script;
	enum retry_result result;
	const char *description;
} ends[] = {
	{"exit 0", RETRY_SUCCEEDED, "exit 0"},
	{"echo fine; exit 0", RETRY_SUCCEEDED, "exit 0: fine"},
	{"exit 1", RETRY_FAILED, "exit 1"},
	{"echo out; echo err >&2; exit 1", RETRY_FAILED, "exit 1: out\nerr"},
	{"exit 99", RETRY_FAILED, "exit 99"},
	{"exit 100", RETRY_HOPELESS, "exit 100"},
	{"echo gone; exit 100", RETRY_HOPELESS, "exit 100: gone"},
	{"exit 101", RETRY_FAILED, "exit 101"},
	{"exit 255", RETRY_FAILED, "exit 255"},
	{"kill -KILL $$", RETRY_FAILED, "signal 9"},
	{"echo oh; kill -TERM $$", RETRY_FAILED, "signal 15: oh"},
	{"exec <&- >&- 2>&-; exit 0", RETRY_SUCCEEDED, "exit 0"},
	{"exec <&- >&- 2>&-; sleep 0.05; exit 1", RETRY_FAILED, "exit 1"},
	{"sleep 100000 & exit 0", RETRY_SUCCEEDED, "exit 0"},
	{"printf 'a\\n\\n\\n'; exit 2", RETRY_FAILED, "exit 2: a"},
};

static void ends_are_told_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(ends); i++) {
		run_script(ends[i].script);
		unit_check(target_run_kind.result(&t.run.attempt) == ends[i].result, "%s", ends[i].script);
		unit_check(strcmp(description(), ends[i].description) == 0, "%s: %s", ends[i].script, description());
	}
}

static void what_cannot_run_ends_with_127(void **state)
{
	(void)state;
	char plain[PATH_MAX], dos[PATH_MAX];
	snprintf(plain, sizeof plain, "%s/plain", t.folder);
	snprintf(dos, sizeof dos, "%s/dos", t.folder);
	unit_write(plain, "exit 0\n", 7);
	unit_write(dos, "#!/bin/sh\r\n", 11);
	assert_int_equal(chmod(dos, 0700), 0);
	const struct {
		const char *program, *why;
	} rows[] = {
		{"/nonexistent/x", "No such file or directory"},
		{"/etc", "it is no regular file"},
		{plain, "Permission denied"},
		{dos, "its first line ends with CR LF, so its interpreter is not found; save it with Unix line ends "
		      "(sed -i 's/\\r$//')"},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const char *argv[] = {rows[i].program, NULL};
		char expected[4096];
		assert_int_equal(start_argv(argv), 0);
		finish();
		snprintf(expected, sizeof expected, "exit 127: cannot run %s: %s", rows[i].program, rows[i].why);
		unit_check(target_run_kind.result(&t.run.attempt) == RETRY_FAILED, "%s", rows[i].program);
		unit_check(strcmp(description(), expected) == 0, "%s: %s", rows[i].program, description());
	}
}

static void gets_records_and_arguments(void **state)
{
	(void)state;
	run_script("cat > $0/in; printf '%s|' \"$@\" > $0/args; pwd > $0/pwd");
	expect("in", "one\ntwo\n");
	expect("args", "a b|$HOME|");
	expect("pwd", "/\n");
}

static void gets_a_large_input(void **state)
{
	(void)state;
	struct buf large = {0};
	for (int i = 0; i < 200000; i++)
		assert_int_equal(buf_printf(&large, "record %d\n", i), 0);
	t.records = buf_cstr(&large);
	run_script("wc -c > $0/n; exit 0");
	char expected[32];
	snprintf(expected, sizeof expected, "%zu\n", large.len);
	expect("n", expected);
	/* And need not read it. */
	run_script("exit 0");
	assert_int_equal(target_run_kind.result(&t.run.attempt), RETRY_SUCCEEDED);
	buf_fini(&large);
}

/* A file system without files that have no name. */
static bool names_all_files;

int openat(int dirfd, const char *name, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (names_all_files && (flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_openat, dirfd, name, flags, mode);
}

/* What is too large for memory is an unnamed file, which is read from its beginning too. */
static void gets_an_input_from_the_disk(void **state)
{
	(void)state;
	const char *argv[] = {"/bin/sh", "-c", "cat > $0/in", t.folder, NULL};
	struct conf_target conf = {.name = "crm", .words = (char *const *)argv, .timeout = t.timeout};
	struct attempt_input input = {.fd = attempt_input_open(), .first = &t.event, .records = 2, .attempt = 1};
	struct stat memory, disk, folder;
	assert_int_equal(fsio_write(input.fd, "one\n", 4), 0);
	assert_int_equal(fstat(input.fd, &memory), 0);
	int fd = open(t.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(attempt_input_spill(&input.fd, fd), 0);
	assert_int_equal(fstat(input.fd, &disk), 0);
	assert_int_equal(fstat(fd, &folder), 0);
	assert_true(memory.st_dev != disk.st_dev);
	assert_true(disk.st_dev == folder.st_dev);
	assert_int_equal(disk.st_nlink, 0);
	assert_int_equal(fsio_write(input.fd, "two\n", 4), 0);
	assert_int_equal(target_run_kind.start(&t.run.attempt, &conf, &input), 0);
	close(input.fd);
	close(fd);
	finish();
	expect("in", "one\ntwo\n");
}

/* A crash has left one that has its name still. */
static void gets_an_input_that_had_a_name(void **state)
{
	int left = open(unit_path(t.folder, "script-input"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fsio_write(left, "left\n", 5), 0);
	close(left);
	names_all_files = true;
	gets_an_input_from_the_disk(state);
	names_all_files = false;
	assert_int_equal(access(unit_path(t.folder, "script-input"), F_OK), -1);
}

static void gets_exactly_this_environment(void **state)
{
	(void)state;
	assert_int_equal(setenv("HTTP_PROXY", "http://evil", 1), 0);
	assert_int_equal(setenv("LD_PRELOAD_X", "x", 1), 0);
	t.event.fields[EVENT_CONNECTION_ID] = UNIT_SPAN("\"$(id)\\n\\u0000=\"");
	t.event.fields[EVENT_EVENT] = (struct span){NULL, 0};
	t.event.fields[EVENT_TYPE] = UNIT_SPAN("\"\"");
	const char *argv[] = {"/bin/sh", "-c", "cat /proc/$$/environ | tr '\\0' '\\n' | sort > $0/env", t.folder, NULL};
	assert_int_equal(start_argv(argv), 0);
	finish();
	unsetenv("HTTP_PROXY");
	unsetenv("LD_PRELOAD_X");
	struct buf b = written("env");
	char *home = strstr(b.data, "HOME=");
	assert_non_null(home);
	assert_true(home == b.data && home[5] == '/');
	char expected[2048];
	snprintf(expected, sizeof expected,
		 "HOOKSPOOL_ATTEMPT=3\n"
		 "HOOKSPOOL_CONNECTION_ID=%%24%%28id%%29%%0A%%00%%3D\n"
		 "HOOKSPOOL_COUNT=2\n"
		 "HOOKSPOOL_ENDPOINT=/webhook\n"
		 "HOOKSPOOL_EVENT=\n"
		 "HOOKSPOOL_EVENT_ID=%s\n"
		 "HOOKSPOOL_OBJECT_TYPE=crm_contact\n"
		 "HOOKSPOOL_TARGET=crm\n"
		 "HOOKSPOOL_TYPE=_\n"
		 "LANG=C.UTF-8\n"
		 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
		 t.event.id);
	assert_string_equal(strchr(b.data, '\n') + 1, expected);
	buf_fini(&b);
}

static void leaks_nothing_into_a_script(void **state)
{
	(void)state;
	sigset_t blocked, before;
	int leak = open("/dev/null", O_RDWR);
	assert_true(leak > 2);
	sigfillset(&blocked);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	mode_t mask = umask(027);
	start_script(
		"ls -l /proc/self/fd | grep -c null > $0/fds; grep -E '^Sig(Ign|Blk)' /proc/self/status > $0/signals;"
		"[ $(ps -o pgid= -p $$) = $$ ] && echo leads > $0/group; umask > $0/umask");
	sigprocmask(SIG_SETMASK, &before, NULL);
	finish();
	umask(mask);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	close(leak);
	expect("fds", "0\n");
	expect("signals", "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
	expect("group", "leads\n");
}

static bool is_alive(pid_t pid)
{
	char path[64], text[256] = "";
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "r");
	if (file == NULL)
		return false;
	size_t n = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[n] = '\0';
	const char *behind = strrchr(text, ')');
	return behind != NULL && behind[2] != 'Z' && behind[2] != 'X';
}

static void expect_all_gone(const char *name)
{
	struct buf pids = written(name);
	char *at = pids.data;
	int count = 0;
	for (long pid; (pid = strtol(at, &at, 10)) > 0; count++) {
		int64_t begun = clock_monotonic();
		while (is_alive((pid_t)pid) && clock_monotonic() - begun < SECONDS(5))
			usleep(1000);
		unit_check(!is_alive((pid_t)pid), "%ld", pid);
	}
	assert_true(count > 0);
	buf_fini(&pids);
}

static void a_timeout_ends_the_whole_group(void **state)
{
	(void)state;
	t.timeout = CLOCK_SECOND / 4;
	run_script("(sleep 100000 & echo $! >> $0/pids; wait) & echo $! $$ >> $0/pids; echo slow; wait");
	assert_int_equal(target_run_kind.result(&t.run.attempt), RETRY_FAILED);
	assert_string_equal(description(), "timeout: slow");
	expect_all_gone("pids");
}

static void term_can_be_used_to_clean_up(void **state)
{
	(void)state;
	t.timeout = CLOCK_SECOND / 4;
	run_script("trap 'echo cleaned > $0/done; exit 0' TERM; sleep 100000 & wait");
	/* Exit code 0 or not, it did not do its work in time. */
	assert_int_equal(target_run_kind.result(&t.run.attempt), RETRY_FAILED);
	expect("done", "cleaned\n");
}

static void kill_follows_term(void **state)
{
	(void)state;
	t.timeout = CLOCK_SECOND / 4;
	int64_t begun = clock_monotonic();
	run_script("trap '' TERM; (trap '' TERM; sleep 100000) & echo $! $$ >> $0/pids; while :; do sleep 1; done");
	assert_true(clock_monotonic() - begun > SECONDS(5));
	assert_int_equal(target_run_kind.result(&t.run.attempt), RETRY_FAILED);
	assert_string_equal(description(), "timeout");
	expect_all_gone("pids");
}

/* Neither a child that holds stdout nor one that ignores TERM is waited for when the leader has ended. */
static void what_is_left_of_the_group_is_killed(void **state)
{
	(void)state;
	int64_t begun = clock_monotonic();
	run_script("(trap '' TERM; while :; do sleep 1; done) & echo $! >> $0/pids; exit 0");
	assert_int_equal(target_run_kind.result(&t.run.attempt), RETRY_SUCCEEDED);
	assert_true(clock_monotonic() - begun < SECONDS(5));
	expect_all_gone("pids");
}

static void the_tail_of_much_output_is_kept(void **state)
{
	(void)state;
	run_script("head -c 5000000 /dev/zero | tr '\\0' x; printf 'the end\\033[2J'; exit 1");
	const char *text = description();
	assert_int_equal(strlen(text), strlen("exit 1: ") + TARGET_RUN_TAIL);
	assert_non_null(strstr(text, "xxxthe end\033[2J"));
	run_script("head -c 1030 /dev/zero | tr '\\0' x; head -c 1024 /dev/zero | tr '\\0' y; exit 1");
	assert_null(strchr(description() + 8, 'x'));
	run_script("yes | head -c 100000000 >&2; exit 0");
	assert_int_equal(target_run_kind.result(&t.run.attempt), RETRY_SUCCEEDED);
}

/* Listening ends though the script does not. */
static void endless_output_does_not_hold_up(void **state)
{
	(void)state;
	start_script("exec yes");
	int64_t begun = clock_monotonic();
	for (int i = 0; i < 100; i++)
		assert_false(turn());
	assert_true(clock_monotonic() - begun < SECONDS(20));
	target_run_kind.kill(&t.run.attempt);
	assert_true(t.run.attempt.ended);
	assert_true(WIFSIGNALED(t.run.status) && WTERMSIG(t.run.status) == SIGKILL);
}

static void can_be_stopped(void **state)
{
	(void)state;
	start_script("trap 'exit 0' TERM; echo > $0/ready; while :; do sleep 0.01; done");
	while (access(unit_path(t.folder, "ready"), F_OK) < 0)
		turn();
	assert_false(t.run.attempt.stopped);
	target_run_kind.stop(&t.run.attempt, clock_monotonic());
	finish();
	assert_true(t.run.attempt.stopped);
	assert_int_equal(target_run_kind.result(&t.run.attempt), RETRY_SUCCEEDED);
}

static void no_process_is_left(void **state)
{
	(void)state;
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ends_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_run_ends_with_127, setup, teardown),
		cmocka_unit_test_setup_teardown(gets_records_and_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(gets_a_large_input, setup, teardown),
		cmocka_unit_test_setup_teardown(gets_an_input_from_the_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(gets_an_input_that_had_a_name, setup, teardown),
		cmocka_unit_test_setup_teardown(gets_exactly_this_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(leaks_nothing_into_a_script, setup, teardown),
		cmocka_unit_test_setup_teardown(a_timeout_ends_the_whole_group, setup, teardown),
		cmocka_unit_test_setup_teardown(term_can_be_used_to_clean_up, setup, teardown),
		cmocka_unit_test_setup_teardown(kill_follows_term, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_left_of_the_group_is_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_tail_of_much_output_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(endless_output_does_not_hold_up, setup, teardown),
		cmocka_unit_test_setup_teardown(can_be_stopped, setup, teardown),
		cmocka_unit_test(no_process_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
