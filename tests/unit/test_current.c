#include "config.h"

#include "config/current.h"

#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "unit.h"

#define SECRET  "s3cret-of-the-workspace"
#define ANOTHER "s3cret-of-another-space"
/* The least that a file must have, with more behind its first line. */
#define WITH(more) "spool = spool\n" more "endpoint \"/hook\" {\n\tscheme = unified\n\tsecret_file = secret\n}\n"

static struct {
	char *folder;
	struct current current;
	struct buf log;
} t;

static void keep_log(const char *line)
{
	assert_null(strstr(line, "s3cret"));
	assert_int_equal(buf_str(&t.log, line), 0);
	assert_int_equal(buf_char(&t.log, '\n'), 0);
}

static void put(const char *name, const char *text)
{
	const char *path = unit_path(t.folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void replace(const char *name, const char *text)
{
	put("new", text);
	assert_int_equal(rename(unit_path(t.folder, "new"), unit_path(t.folder, name)), 0);
}

static void begin(const char *path)
{
	log_to(keep_log);
	assert_int_equal(current_open(&t.current, unit_path(t.folder, path), true), 0);
	assert_int_equal(t.log.len, 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof t);
	t.folder = unit_folder();
	put("hookspool.conf", WITH(""));
	put("secret", SECRET "\n");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	log_to(NULL);
	current_close(&t.current);
	buf_fini(&t.log);
	unit_remove(t.folder);
	return 0;
}

/* Looks as a process does, until something comes of it; SAME after three seconds. */
static enum current_look look(void)
{
	int64_t end = clock_monotonic() + 3 * CLOCK_SECOND;
	while (clock_monotonic() < end) {
		enum current_look found = current_look(&t.current, false);
		if (found != CURRENT_SAME)
			return found;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return CURRENT_SAME;
}

static bool has_secret(const char *secret)
{
	const struct conf *conf = current_hold(&t.current);
	const struct conf_endpoint *e = &conf->endpoints[0];
	bool has = false;
	for (size_t i = 0; i < e->secret_count; i++)
		has |= unit_same(e->secrets[i], secret);
	conf_free(conf);
	return has;
}

static void expect_rotation(void)
{
	assert_int_equal(look(), CURRENT_TAKEN);
	assert_true(has_secret(ANOTHER));
	assert_false(has_secret(SECRET));
	assert_null(current_why(&t.current));
}

static void a_secret_that_is_written_in_place_is_taken(void **state)
{
	(void)state;
	begin("hookspool.conf");
	put("secret", ANOTHER "\n");
	expect_rotation();
}

static void a_secret_that_is_renamed_into_place_is_taken(void **state)
{
	(void)state;
	begin("hookspool.conf");
	replace("secret", ANOTHER "\n");
	expect_rotation();
}

/* As `kubelet` does it: the file is a link through "..data", and that is renamed over. */
static void a_folder_of_links_that_is_swapped_is_taken(void **state)
{
	(void)state;
	assert_int_equal(mkdir(unit_path(t.folder, "one"), 0700), 0);
	assert_int_equal(mkdir(unit_path(t.folder, "two"), 0700), 0);
	assert_int_equal(mkdir(unit_path(t.folder, "mount"), 0700), 0);
	put("one/hookspool.conf", WITH(""));
	put("two/hookspool.conf", WITH("reserve = 1M\n"));
	put("one/secret", SECRET "\n");
	put("two/secret", ANOTHER "\n");
	assert_int_equal(symlink("../one", unit_path(t.folder, "mount/..data")), 0);
	assert_int_equal(symlink("..data/hookspool.conf", unit_path(t.folder, "mount/hookspool.conf")), 0);
	assert_int_equal(symlink("..data/secret", unit_path(t.folder, "mount/secret")), 0);
	begin("mount/hookspool.conf");
	assert_true(has_secret(SECRET));
	assert_int_equal(symlink("../two", unit_path(t.folder, "mount/..tmp")), 0);
	assert_int_equal(rename(unit_path(t.folder, "mount/..tmp"), unit_path(t.folder, "mount/..data")), 0);
	expect_rotation();
	assert_int_equal(atomic_load(&t.current.conf)->reserve, 1 << 20);
}

/* Of the same length too. */
static void a_change_that_has_its_old_time_again_is_taken(void **state)
{
	(void)state;
	const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	assert_int_equal(utimensat(AT_FDCWD, unit_path(t.folder, "secret"), times, 0), 0);
	begin("hookspool.conf");
	put("secret", ANOTHER "\n");
	assert_int_equal(utimensat(AT_FDCWD, unit_path(t.folder, "secret"), times, 0), 0);
	expect_rotation();
}

static void what_is_only_touched_says_nothing(void **state)
{
	(void)state;
	begin("hookspool.conf");
	const struct conf *before = atomic_load(&t.current.conf);
	replace("secret", SECRET "\n");
	assert_int_equal(look(), CURRENT_SAME);
	assert_true(current_is(&t.current, before));
	assert_int_equal(t.log.len, 0);
}

static void a_bad_file_changes_nothing_and_is_told_once(void **state)
{
	(void)state;
	begin("hookspool.conf");
	const struct conf *before = atomic_load(&t.current.conf);
	put("hookspool.conf", WITH("colour = red\n"));
	assert_int_equal(look(), CURRENT_REFUSED);
	assert_non_null(strstr(current_why(&t.current), "hookspool.conf:2: no such option 'colour'; remove it"));
	assert_non_null(strstr(buf_cstr(&t.log), "hookspool.conf:2: no such option"));
	assert_non_null(strstr(buf_cstr(&t.log), "not taken"));
	assert_true(current_is(&t.current, before));
	t.log.len = 0;
	assert_int_equal(look(), CURRENT_SAME);
	assert_int_equal(t.log.len, 0);
	/* Who asks is told again. */
	assert_int_equal(current_look(&t.current, true), CURRENT_REFUSED);
	/* The old text again is news: the process is well again. */
	put("hookspool.conf", WITH(""));
	assert_int_equal(look(), CURRENT_TAKEN);
	assert_null(current_why(&t.current));
}

static void a_secret_that_is_missing_is_taken_when_it_comes(void **state)
{
	(void)state;
	begin("hookspool.conf");
	assert_int_equal(unlink(unit_path(t.folder, "secret")), 0);
	assert_int_equal(look(), CURRENT_REFUSED);
	assert_true(has_secret(SECRET));
	put("secret", ANOTHER "\n");
	expect_rotation();
}

static void another_spool_is_refused(void **state)
{
	(void)state;
	begin("hookspool.conf");
	put("hookspool.conf",
	    "spool = elsewhere\nendpoint \"/hook\" {\n\tscheme = unified\n\tsecret_file = secret\n}\n");
	assert_int_equal(current_look(&t.current, true), CURRENT_REFUSED);
	assert_non_null(strstr(current_why(&t.current), "restart it"));
	assert_non_null(strstr(atomic_load(&t.current.conf)->spool, "/spool"));
}

static void a_reference_outlives_the_change(void **state)
{
	(void)state;
	begin("hookspool.conf");
	const struct conf *held = current_hold(&t.current);
	put("secret", ANOTHER "\n");
	assert_int_equal(current_look(&t.current, true), CURRENT_TAKEN);
	assert_false(current_is(&t.current, held));
	assert_true(unit_same(held->endpoints[0].secrets[0], SECRET));
	conf_free(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_secret_that_is_written_in_place_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_secret_that_is_renamed_into_place_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_folder_of_links_that_is_swapped_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_change_that_has_its_old_time_again_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_only_touched_says_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bad_file_changes_nothing_and_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_secret_that_is_missing_is_taken_when_it_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(another_spool_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reference_outlives_the_change, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
