#include "config.h"

#include "spool/audit_write.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "base/log.h"
#include "spool/open.h"
#include "unit.h"

static char *folder;
static struct conf conf;
static struct spool spool;
static int warnings;

static void count_warning(const char *line)
{
	(void)line;
	warnings++;
}

static int setup(void **state)
{
	(void)state;
	folder = unit_folder();
	conf = unit_conf(folder);
	warnings = 0;
	log_to(count_warning);
	return spool_open(&spool, &conf, SPOOL_DELIVER);
}

static int teardown(void **state)
{
	(void)state;
	log_to(NULL);
	spool_close(&spool);
	unit_remove(folder);
	return 0;
}

static off_t size_of(const char *name)
{
	struct stat st;
	return stat(unit_path(folder, name), &st) < 0 ? -1 : st.st_size;
}

static void write_text(struct audit *audit, const char *text)
{
	audit_write(audit, text, strlen(text));
}

static void appends(void **state)
{
	(void)state;
	struct audit audit;
	audit_init(&audit, &spool, 1 << 20);
	audit_write(&audit, "", 0);
	assert_int_equal(size_of("audit/audit.jsonl"), -1);
	write_text(&audit, "{\"n\":1}\n");
	write_text(&audit, "{\"n\":2}\n{\"n\":3}\n");
	struct buf text = unit_read(unit_path(folder, "audit/audit.jsonl"));
	assert_string_equal(text.data, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
	buf_fini(&text);
	assert_int_equal(unit_mode(unit_path(folder, "audit/audit.jsonl")), 0600);
	audit_fini(&audit);
	audit_fini(&audit);
	assert_int_equal(audit.fd, -1);

	/* The next process goes on behind it. */
	audit_init(&audit, &spool, 1 << 20);
	write_text(&audit, "{\"n\":4}\n");
	assert_int_equal(size_of("audit/audit.jsonl"), 32);
	audit_fini(&audit);
	assert_int_equal(warnings, 0);
}

static void modes(void **state)
{
	(void)state;
	static const struct {
		mode_t mask;
		bool group;
		mode_t mode;
	} rows[] = {{0, false, 0600}, {077, false, 0600}, {0, true, 0660}, {077, true, 0660}};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct audit audit;
		teardown(NULL);
		setup(NULL);
		spool.has_group = rows[i].group;
		spool.group = getegid();
		audit_init(&audit, &spool, 16);
		mode_t before = umask(rows[i].mask);
		for (int k = 0; k < 4; k++)
			write_text(&audit, "{\"n\":1234567}\n");
		umask(before);
		unit_check(unit_mode(unit_path(folder, "audit/audit.jsonl")) == rows[i].mode, "row %zu", i);
		unit_check(unit_mode(unit_path(folder, "audit/audit.jsonl.1")) == rows[i].mode, "row %zu", i);
		audit_fini(&audit);
	}
}

/* However much is written, both files stay below the limit and one write; the newest lines are there, in order. */
static void stays_bounded(void **state)
{
	(void)state;
	enum { MAX = 1000, WRITES = 2000 };
	struct audit audit;
	audit_init(&audit, &spool, MAX);
	for (int i = 0; i < WRITES; i++) {
		char line[32];
		int n = snprintf(line, sizeof line, "{\"n\":%06d}\n", i);
		audit_write(&audit, line, (size_t)n);
		assert_true(size_of("audit/audit.jsonl") < MAX + n);
		assert_true(size_of("audit/audit.jsonl.1") < MAX + n);
	}
	audit_fini(&audit);
	struct buf old = unit_read(unit_path(folder, "audit/audit.jsonl.1")),
		   new = unit_read(unit_path(folder, "audit/audit.jsonl"));
	assert_true(old.len >= MAX);
	assert_int_equal(buf_append(&old, new.data, new.len), 0);
	enum { LINE = 13 };
	assert_int_equal(old.len % LINE, 0);
	int first = WRITES - (int)(old.len / LINE);
	for (size_t at = 0; at < old.len; at += LINE) {
		char line[32];
		snprintf(line, sizeof line, "{\"n\":%06d}\n", first++);
		assert_memory_equal(old.data + at, line, LINE);
	}
	buf_fini(&old);
	buf_fini(&new);
	assert_int_equal(warnings, 0);
}

/* Processes that write one line each: CGI. */
static void rotates_at_the_first_line(void **state)
{
	(void)state;
	enum { MAX = 100, WRITES = 40, LINE = 13 };
	for (int i = 0; i < WRITES; i++) {
		struct audit audit;
		char line[32];
		int n = snprintf(line, sizeof line, "{\"n\":%06d}\n", i);
		audit_init(&audit, &spool, MAX);
		audit_write(&audit, line, (size_t)n);
		audit_fini(&audit);
		assert_true(size_of("audit/audit.jsonl") < MAX + LINE);
	}
	assert_int_equal(size_of("audit/audit.jsonl.1"), (MAX + LINE - 1) / LINE * LINE);
	assert_int_equal(warnings, 0);
}

/* A command adds to what is there, and makes nothing. */
static void commands_append(void **state)
{
	(void)state;
	struct audit audit;
	assert_int_equal(audit_append(&spool, "{\"n\":0}\n", 8), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(access(unit_path(folder, "audit/audit.jsonl"), F_OK), -1);
	audit_init(&audit, &spool, 8);
	write_text(&audit, "{\"n\":1}\n");
	assert_int_equal(audit_append(&spool, "{\"n\":2}\n", 8), 0);
	struct buf text = unit_read(unit_path(folder, "audit/audit.jsonl"));
	assert_string_equal(text.data, "{\"n\":1}\n{\"n\":2}\n");
	buf_fini(&text);
	audit_fini(&audit);
	assert_int_equal(warnings, 0);
}

/* Two in one process, by turns: each notices that the other has rotated. */
static void two_writers_by_turns(void **state)
{
	(void)state;
	enum { MAX = 500, WRITES = 400 };
	struct audit audits[2];
	int seen = 0;
	audit_init(&audits[0], &spool, MAX);
	audit_init(&audits[1], &spool, MAX);
	for (int i = 0; i < WRITES; i++) {
		char line[32];
		int n = snprintf(line, sizeof line, "{\"n\":%06d}\n", i);
		audit_write(&audits[i % 3 % 2], line, (size_t)n);
		/* It is the last line of the file that has this name now. */
		struct buf text = unit_read(unit_path(folder, "audit/audit.jsonl"));
		assert_true(text.len >= (size_t)n && text.len < (size_t)(MAX + n));
		seen += memcmp(text.data + text.len - n, line, (size_t)n) == 0;
		buf_fini(&text);
		assert_true(size_of("audit/audit.jsonl.1") < MAX + n);
	}
	assert_int_equal(seen, WRITES);
	audit_fini(&audits[0]);
	audit_fini(&audits[1]);
	assert_int_equal(warnings, 0);
}

static void write_many(const char *who)
{
	struct audit audit;
	audit_init(&audit, &spool, 4000);
	for (int i = 0; i < 3000; i++) {
		char line[64];
		int n = snprintf(line, sizeof line, "{\"who\":\"%s\",\"n\":%06d}\n", who, i);
		audit_write(&audit, line, (size_t)n);
	}
	audit_fini(&audit);
	_exit(warnings == 0 ? 0 : 1);
}

/* Two processes at once: no line is torn by the other, and the bound holds but for what was under way. */
static void two_writers_at_once(void **state)
{
	(void)state;
	static const char *const names[] = {"audit/audit.jsonl", "audit/audit.jsonl.1"};
	pid_t children[2];
	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] == 0)
			write_many(i == 0 ? "a" : "b");
	}
	for (int i = 0; i < 2; i++) {
		int status;
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		struct buf text = unit_read(unit_path(folder, names[i]));
		int last[2] = {-1, -1}, n, end;
		char who;
		assert_true(text.len > 0 && text.len < 4000 + 4 * 32);
		for (const char *at = text.data; *at != '\0'; at += end) {
			end = 0;
			unit_check(sscanf(at, "{\"who\":\"%c\",\"n\":%6d}\n%n", &who, &n, &end) == 2 && end > 0,
				   "%s: %.40s", names[i], at);
			unit_check(n > last[who == 'b'], "%s: %d after %d", names[i], n, last[who == 'b']);
			last[who == 'b'] = n;
		}
		buf_fini(&text);
	}
}

/* While another process rotates, lines go on into the file that there is. */
static void one_rotates_at_a_time(void **state)
{
	(void)state;
	struct audit audit;
	audit_init(&audit, &spool, 4);
	write_text(&audit, "one\n");
	int other = open(unit_path(folder, "audit/audit.jsonl"), O_RDONLY);
	assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
	write_text(&audit, "two\n");
	assert_int_equal(size_of("audit/audit.jsonl"), 8);
	assert_int_equal(size_of("audit/audit.jsonl.1"), -1);
	close(other);
	write_text(&audit, "three\n");
	assert_int_equal(size_of("audit/audit.jsonl"), 6);
	assert_int_equal(size_of("audit/audit.jsonl.1"), 8);
	audit_fini(&audit);
	assert_int_equal(warnings, 0);
}

/* Somebody else's rotation, or an administrator's rm. */
static void follows_its_name(void **state)
{
	(void)state;
	struct audit audit;
	audit_init(&audit, &spool, 1 << 20);
	write_text(&audit, "one\n");
	assert_int_equal(unlink(unit_path(folder, "audit/audit.jsonl")), 0);
	write_text(&audit, "two\n");
	struct buf text = unit_read(unit_path(folder, "audit/audit.jsonl"));
	assert_string_equal(text.data, "two\n");
	buf_fini(&text);
	audit_fini(&audit);
}

/* A receiver may come before the first deliverer. */
static void makes_its_folder(void **state)
{
	(void)state;
	struct audit audit;
	assert_int_equal(rmdir(unit_path(folder, "audit")), 0);
	audit_init(&audit, &spool, 1 << 20);
	write_text(&audit, "one\n");
	assert_int_equal(size_of("audit/audit.jsonl"), 4);
	assert_int_equal(unit_mode(unit_path(folder, "audit")), 0700);
	audit_fini(&audit);
	assert_int_equal(warnings, 0);
}

static void check_text(const char *name, const char *expected)
{
	struct buf text = unit_read(unit_path(folder, name));
	unit_check(strcmp(text.data, expected) == 0, "%s: %s", name, text.data);
	buf_fini(&text);
}

/* An earlier version had it in the spool's own folder, and a process of it may still write there. */
static void moves_the_trail_of_an_earlier_version(void **state)
{
	(void)state;
	unit_write(unit_path(folder, "audit.jsonl.1"), "one\n", 4);
	unit_write(unit_path(folder, "audit.jsonl"), "two\n", 4);
	audit_adopt(&spool);
	check_text("audit/audit.jsonl.1", "one\n");
	check_text("audit/audit.jsonl", "two\n");
	unit_write(unit_path(folder, "audit.jsonl"), "three\ntorn", 10);
	unit_write(unit_path(folder, "audit.jsonl.1"), "", 0);
	audit_adopt(&spool);
	audit_adopt(&spool);
	check_text("audit/audit.jsonl", "two\nthree\n");
	assert_int_equal(size_of("audit.jsonl"), -1);
	assert_int_equal(size_of("audit.jsonl.1"), -1);
	assert_int_equal(warnings, 0);
	/* Nothing else is taken for one. */
	assert_int_equal(mkfifo(unit_path(folder, "audit.jsonl"), 0600), 0);
	audit_adopt(&spool);
	assert_int_equal(warnings, 1);
	check_text("audit/audit.jsonl", "two\nthree\n");
}

/* A receiver that makes the folder moves it too. */
static void moves_the_trail_when_it_makes_the_folder(void **state)
{
	(void)state;
	struct audit audit;
	assert_int_equal(rmdir(unit_path(folder, "audit")), 0);
	unit_write(unit_path(folder, "audit.jsonl"), "one\n", 4);
	audit_init(&audit, &spool, 1 << 20);
	write_text(&audit, "two\n");
	audit_fini(&audit);
	check_text("audit/audit.jsonl", "one\ntwo\n");
}

/* With a group somebody else may have made the name: a file of this user's own that has another name is not touched. */
static void not_into_another_file_of_this_user(void **state)
{
	(void)state;
	struct audit audit;
	spool.has_group = true;
	spool.group = getegid();
	unit_write(unit_path(folder, "diary"), "", 0);
	assert_int_equal(link(unit_path(folder, "diary"), unit_path(folder, "audit/audit.jsonl")), 0);
	audit_init(&audit, &spool, 1 << 20);
	write_text(&audit, "one\n");
	assert_int_equal(size_of("diary"), 0);
	assert_int_equal(unit_mode(unit_path(folder, "diary")), 0600);
	assert_int_equal(warnings, 1);
	audit_fini(&audit);
}

/* What is no file of ours is not written to; the failure is said once, and the caller goes on. */
static void only_into_a_plain_file(void **state)
{
	(void)state;
	const char *name = unit_path(folder, "audit/audit.jsonl");
	struct audit audit;
	unit_write(unit_path(folder, "precious"), "precious", 8);
	assert_int_equal(symlink("precious", name), 0);
	audit_init(&audit, &spool, 1 << 20);
	write_text(&audit, "one\n");
	write_text(&audit, "two\n");
	assert_int_equal(warnings, 1);
	assert_int_equal(size_of("precious"), 8);
	assert_int_equal(unlink(name), 0);

	assert_int_equal(mkfifo(name, 0600), 0);
	int reader = open(name, O_RDONLY | O_NONBLOCK);
	char byte;
	write_text(&audit, "three\n");
	assert_int_equal(read(reader, &byte, 1), 0);
	close(reader);
	assert_int_equal(unlink(name), 0);

	write_text(&audit, "four\n");
	assert_int_equal(size_of("audit/audit.jsonl"), 5);
	assert_int_equal(warnings, 1);
	audit_fini(&audit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(appends, setup, teardown),
		cmocka_unit_test_setup_teardown(modes, setup, teardown),
		cmocka_unit_test_setup_teardown(stays_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(two_writers_by_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(two_writers_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(rotates_at_the_first_line, setup, teardown),
		cmocka_unit_test_setup_teardown(commands_append, setup, teardown),
		cmocka_unit_test_setup_teardown(one_rotates_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(follows_its_name, setup, teardown),
		cmocka_unit_test_setup_teardown(makes_its_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(moves_the_trail_of_an_earlier_version, setup, teardown),
		cmocka_unit_test_setup_teardown(moves_the_trail_when_it_makes_the_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(not_into_another_file_of_this_user, setup, teardown),
		cmocka_unit_test_setup_teardown(only_into_a_plain_file, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
