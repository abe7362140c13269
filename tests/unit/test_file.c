#include "config.h"

#include "target/file.h"

#include <errno.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/sysmacros.h>

#include "base/fsio.h"
#include "journal_files.h"
#include "state/files.h"

static struct unit_targets t;
static struct outfiles files;
static struct fsio_calls system_calls;

static int setup(void **state)
{
	(void)state;
	unit_targets_open(&t);
	outfiles_begin(&files, &t.c);
	system_calls = fsio_calls;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fsio_calls = system_calls;
	outfiles_fini(&files);
	unit_targets_remove(&t);
	return 0;
}

static void spread_nothing(void *arg)
{
	(void)arg;
}

static int put_nothing(void *arg)
{
	(void)arg;
	return 0;
}

static size_t add(const char *path, const char *fixed, const char *records)
{
	size_t number;
	assert_int_equal(outfiles_add(&files, unit_span(path), strlen(fixed), 0600, &number), 0);
	assert_int_equal(buf_str(&files.list[number].records, records), 0);
	return number;
}

/* `records` to `name` below the folder's `out/`, as far as the commit; the error. */
static int write_out(const char *name, const char *records)
{
	char path[4096], fixed[4096];
	snprintf(path, sizeof path, "%s/out/%s", t.folder, name);
	snprintf(fixed, sizeof fixed, "%s/out/", t.folder);
	size_t number = add(path, fixed, records);
	assert_int_equal(outfiles_write(&files, spread_nothing, NULL), OUTFILES_WRITTEN);
	return outfiles_error(&files, number);
}

static void commit(void)
{
	assert_int_equal(outfiles_commit(&files, put_nothing, NULL), 0);
	outfiles_clear(&files);
}

/* What is known of files in memory is gone; their locks are. */
static void crash(void)
{
	outfiles_clear(&files);
	t.era.number = 0;
}

static void deliver_out(const char *name, const char *records)
{
	int error = write_out(name, records);
	unit_check(error == 0, "%s: %s", name, strerror(error));
	commit();
}

static int64_t others_at(const char *name)
{
	struct state_file file;
	char path[4096];
	snprintf(path, sizeof path, "%s/out/%s", t.folder, name);
	assert_int_equal(state_file(t.c.state, unit_span(path), &file), 1);
	return file.others_at;
}

static void expect(const char *name, const char *contents)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/out/%s", t.folder, name);
	struct buf b = unit_read(path);
	unit_check(strcmp(b.data, contents) == 0, "%s has \"%s\" and not \"%s\"", name, b.data, contents);
	buf_fini(&b);
}

static void appends(void **state)
{
	(void)state;
	deliver_out("a/b/c.jsonl", "one\n");
	deliver_out("a/b/c.jsonl", "two\n");
	deliver_out("a/d.jsonl", "three\n");
	expect("a/b/c.jsonl", "one\ntwo\n");
	expect("a/d.jsonl", "three\n");
}

static void flushes_as_often_as_it_likes(void **state)
{
	(void)state;
	assert_int_equal(write_out("a", "one\n"), 0);
	assert_int_equal(write_out("b", "1\n"), 0);
	assert_int_equal(write_out("a", "two\n"), 0);
	expect("a", "one\ntwo\n");
	commit();
	/* All of it was counted: nothing is cut. */
	deliver_out("a", "three\n");
	deliver_out("b", "2\n");
	expect("a", "one\ntwo\nthree\n");
	expect("b", "1\n2\n");
}

static const struct {
	mode_t mode, folder;
} modes[] = {{0600, 0700}, {0640, 0750}, {0644, 0755}, {0660, 0770}, {0664, 0775}, {0604, 0705}};

static void modes_are_exact(void **state)
{
	(void)state;
	static const mode_t masks[] = {0, 022, 077, 0777};
	for (size_t i = 0; i < UNIT_COUNT(modes); i++)
		for (size_t m = 0; m < UNIT_COUNT(masks); m++) {
			char path[4096];
			size_t number, fixed = strlen(t.folder) + 1;
			int n = snprintf(path, sizeof path, "%s/%zu-%zu/f", t.folder, i, m);
			mode_t before = umask(masks[m]);
			assert_int_equal(
				outfiles_add(&files, (struct span){path, (size_t)n}, fixed, modes[i].mode, &number), 0);
			assert_int_equal(buf_str(&files.list[number].records, "x\n"), 0);
			assert_int_equal(outfiles_flush(&files), 0);
			umask(before);
			assert_int_equal(outfiles_error(&files, number), 0);
			unit_check(unit_mode(path) == modes[i].mode, "mode %o, umask %o", modes[i].mode, masks[m]);
			path[n - 2] = '\0';
			unit_check(unit_mode(path) == modes[i].folder, "folder for %o, umask %o", modes[i].mode,
				   masks[m]);
		}
}

/* A file that is there keeps its mode. */
static void modes_of_others_are_kept(void **state)
{
	(void)state;
	deliver_out("a", "x\n");
	char path[4096];
	snprintf(path, sizeof path, "%s/out/a", t.folder);
	assert_int_equal(chmod(path, 0640), 0);
	deliver_out("a", "y\n");
	assert_int_equal(unit_mode(path), 0640);
}

static void make_symlink(const char *path)
{
	assert_int_equal(symlink(unit_path(t.folder, "elsewhere/file"), path), 0);
}

static void make_dangling(const char *path)
{
	assert_int_equal(symlink(unit_path(t.folder, "elsewhere/new"), path), 0);
}

static void make_hard_link(const char *path)
{
	assert_int_equal(link(unit_path(t.folder, "elsewhere/file"), path), 0);
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_folder(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_device(const char *path)
{
	if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) < 0)
		make_fifo(path);
}

static void make_folder_link(const char *path)
{
	assert_int_equal(symlink(unit_path(t.folder, "elsewhere"), path), 0);
}

static void make_file(const char *path)
{
	unit_write(path, "", 0);
}

/* BAD-INPUT 31: swapped for something else. `swapped` is made in place of this part of `name`. */
static const struct {
	const char *what;
	void (*make)(const char *path);
	const char *swapped, *name;
	int error;
	const char *why;
} refusals[] = {
	{"symbolic link", make_symlink, "a/f", "a/f", ELOOP, "out/a/f is a symbolic link"},
	{"dangling symbolic link", make_dangling, "a/f", "a/f", ELOOP, "out/a/f is a symbolic link"},
	{"hard link", make_hard_link, "a/f", "a/f", EMLINK, "out/a/f has 2 names"},
	{"FIFO", make_fifo, "a/f", "a/f", EINVAL, "out/a/f is a FIFO"},
	{"folder", make_folder, "a/f", "a/f", EINVAL, "out/a/f is a folder"},
	{"device", make_device, "a/f", "a/f", EINVAL, "out/a/f is a "},
	{"folder that is a symbolic link", make_folder_link, "b", "b/file", ENOTDIR,
	 "out/b is a symbolic link, not a folder"},
	{"folder that is a dangling symbolic link", make_dangling, "b", "b/file", ENOTDIR,
	 "out/b is a symbolic link, not a folder"},
	{"folder that is a file", make_file, "b", "b/file", ENOTDIR, "out/b is a file, not a folder"},
	{"folder that is a FIFO", make_fifo, "b", "b/file", ENOTDIR, "out/b is a FIFO, not a folder"},
};

static void refuses_what_is_not_its_file(void **state)
{
	(void)state;
	make_folder(unit_path(t.folder, "elsewhere"));
	make_folder(unit_path(t.folder, "out"));
	make_folder(unit_path(t.folder, "out/a"));
	unit_write(unit_path(t.folder, "elsewhere/file"), "theirs\n", 7);
	for (size_t i = 0; i < UNIT_COUNT(refusals); i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/out/%s", t.folder, refusals[i].swapped);
		refusals[i].make(path);
		int error = write_out(refusals[i].name, "x\n");
		unit_check(error == refusals[i].error, "%s: %s", refusals[i].what, strerror(error));
		const char *why = outfiles_why(&files, 0);
		unit_check(strstr(why, refusals[i].why) != NULL, "%s: %s", refusals[i].what, why);
		commit();
		assert_int_equal(remove(path), 0);
		struct buf b = unit_read(unit_path(t.folder, "elsewhere/file"));
		unit_check(strcmp(b.data, "theirs\n") == 0, "%s", refusals[i].what);
		buf_fini(&b);
		unit_check(access(unit_path(t.folder, "elsewhere/new"), F_OK) < 0, "%s", refusals[i].what);
	}
	deliver_out("a/f", "good\n");
	expect("a/f", "good\n");
}

/* The fixed part is the administrator's, who may use symbolic links; and it is made where it is missing. */
static void follows_links_in_the_fixed_part(void **state)
{
	(void)state;
	make_folder(unit_path(t.folder, "real"));
	assert_int_equal(symlink("real", unit_path(t.folder, "out")), 0);
	deliver_out("x/f", "one\n");
	deliver_out("x/f", "two\n");
	expect("x/f", "one\ntwo\n");
	assert_int_equal(access(unit_path(t.folder, "real/x/f"), F_OK), 0);
}

static void one_bad_file_leaves_the_others(void **state)
{
	(void)state;
	make_folder(unit_path(t.folder, "out"));
	make_fifo(unit_path(t.folder, "out/bad"));
	char fixed[4096];
	snprintf(fixed, sizeof fixed, "%s/out/", t.folder);
	size_t good = add(unit_path(t.folder, "out/good"), fixed, "1\n");
	size_t bad = add(unit_path(t.folder, "out/bad"), fixed, "2\n");
	size_t refused = add(unit_path(t.folder, "out/refused"), fixed, "3\n");
	assert_int_equal(outfiles_flush(&files), 0);
	assert_int_equal(outfiles_error(&files, bad), EINVAL);
	assert_true(outfiles_refuse(&files, refused, ECANCELED));
	assert_false(outfiles_refuse(&files, refused, EIO));
	assert_false(outfiles_refuse(&files, bad, ECANCELED));
	assert_int_equal(outfiles_write(&files, spread_nothing, NULL), OUTFILES_WRITTEN);
	assert_int_equal(outfiles_error(&files, good), 0);
	assert_int_equal(outfiles_error(&files, refused), ECANCELED);
	commit();
	expect("good", "1\n");
	expect("refused", "");
	deliver_out("good", "4\n");
	deliver_out("refused", "5\n");
	expect("good", "1\n4\n");
	expect("refused", "5\n");
}

/* What stands behind the recorded length and will be written again is what a crash has left. */
static void cuts_back_what_was_not_committed(void **state)
{
	(void)state;
	struct unit_written event = unit_event_for(&t, "a", 2, true);
	deliver_out("a", "one\n");
	assert_int_equal(write_out("a", event.records.data), 0);
	crash();
	deliver_out("a", "three\n");
	expect("a", "one\nthree\n");
	buf_fini(&event.records);
}

static void cuts_back_a_first_append(void **state)
{
	(void)state;
	struct unit_written a = unit_event_for(&t, "a", 2, true), b = unit_event_for(&t, "b", 0, true);
	assert_int_equal(mkdir(unit_path(t.folder, "out"), 0700), 0);
	unit_write(unit_path(t.folder, "out/a"), "there before", 12);
	assert_int_equal(write_out("a", a.records.data), 0);
	assert_int_equal(write_out("b", b.records.data), 0);
	crash();
	deliver_out("a", "one\n");
	deliver_out("b", "one\n");
	expect("a", "there before\none\n");
	expect("b", "one\n");
	buf_fini(&a.records);
	buf_fini(&b.records);
}

/* Another program that writes to the file, with or without a lock, loses nothing. */
static void what_others_append_stays(void **state)
{
	(void)state;
	const char *path = strdup(unit_path(t.folder, "out/a"));
	deliver_out("a", "one\n");
	deliver_out("b", "one\n");
	crash();
	deliver_out("a", "");
	deliver_out("b", "two\n");
	assert_int_equal(others_at("a"), 0);
	unit_write(path, "theirs\n", 7);
	deliver_out("a", "two\n");
	unit_write(path, "theirs, torn", 12);
	deliver_out("a", "three\n");
	assert_int_equal(write_out("a", "four\n"), 0);
	unit_write(path, "in between\n", 11);
	commit();
	deliver_out("a", "five\n");
	unit_write(path, "at the end\n", 11);
	crash();
	deliver_out("a", "six\n");
	assert_true(others_at("a") > 0);
	assert_int_equal(others_at("b"), 0);
	expect("a", "one\ntheirs\ntwo\ntheirs, torn\nthree\nfour\nin between\nfive\nat the end\nsix\n");
	free((char *)path);
}

/* What a crash has left before lines of others is not written a second time. */
static void what_stands_before_others_is_not_written_again(void **state)
{
	(void)state;
	struct unit_written event = unit_event_for(&t, "a", 3, true);
	struct buf expected = {0};
	const char *second = strchr(event.records.data, '\n') + 1;
	size_t first = (size_t)(second - event.records.data);
	deliver_out("a", "one\n");
	char *part = strndup(event.records.data, first + 10);
	assert_int_equal(write_out("a", part), 0);
	crash();
	/* The torn record is cut off, or it would spoil their line. */
	assert_int_equal(buf_printf(&expected, "one\n%.*stheirs\n%s", (int)first, part, second), 0);
	assert_int_equal(truncate(unit_path(t.folder, "out/a"), (off_t)(4 + first)), 0);
	unit_write(unit_path(t.folder, "out/a"), "theirs\n", 7);
	/* An attempt that is taken back, in the same era and in another one. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(write_out("a", event.records.data), 0);
		expect("a", buf_cstr(&expected));
		if (i == 0)
			outfiles_undo(&files, true);
		outfiles_clear(&files);
		t.era.number = i == 0 ? t.era.number : 0;
	}
	deliver_out("a", event.records.data);
	expect("a", expected.data);
	/* It is forgotten then: whoever asks for a replay gets one. */
	deliver_out("a", event.records.data);
	assert_int_equal(buf_str(&expected, event.records.data), 0);
	expect("a", buf_cstr(&expected));
	free(part);
	buf_fini(&expected);
	buf_fini(&event.records);
}

/* Inodes and times of birth are no help on every file system, nor after a file was put back from a copy. */
static void a_file_is_known_by_what_it_holds(void **state)
{
	(void)state;
	struct unit_written event = unit_event_for(&t, "a", 2, true);
	deliver_out("a", "one\n");
	assert_int_equal(write_out("a", event.records.data), 0);
	crash();
	struct buf b = unit_read(unit_path(t.folder, "out/a"));
	assert_int_equal(unlink(unit_path(t.folder, "out/a")), 0);
	unit_write(unit_path(t.folder, "out/a"), b.data, b.len);
	deliver_out("a", "two\n");
	expect("a", "one\ntwo\n");
	/* In another one nothing is cut, whatever stands there. */
	assert_int_equal(write_out("a", event.records.data), 0);
	crash();
	assert_int_equal(unlink(unit_path(t.folder, "out/a")), 0);
	unit_write(unit_path(t.folder, "out/a"), "another\n", 8);
	unit_write(unit_path(t.folder, "out/a"), event.records.data, event.records.len);
	struct buf expected = {0};
	assert_int_equal(buf_printf(&expected, "another\n%sthree\n", event.records.data), 0);
	deliver_out("a", "three\n");
	expect("a", buf_cstr(&expected));
	buf_fini(&expected);
	buf_fini(&b);
	buf_fini(&event.records);
}

/* A consumer renames the file while it is written to: what is not committed is taken back, and written to the new one.
 */
static void a_file_that_is_renamed_meanwhile_is_written_again(void **state)
{
	(void)state;
	const char *path = strdup(unit_path(t.folder, "out/a"));
	char fixed[4096];
	snprintf(fixed, sizeof fixed, "%s/out/", t.folder);
	deliver_out("a", "one\n");
	for (int made = 0; made < 2; made++) {
		add(path, fixed, "two\n");
		assert_int_equal(outfiles_flush(&files), 0);
		assert_int_equal(rename(path, unit_path(t.folder, "out/taken")), 0);
		if (made)
			unit_write(path, "", 0);
		/* It has a lock until then. */
		int fd = open(unit_path(t.folder, "out/taken"), O_RDONLY | O_CLOEXEC);
		assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), -1);
		assert_int_equal(outfiles_write(&files, spread_nothing, NULL), OUTFILES_MOVED);
		outfiles_clear(&files);
		assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
		close(fd);
		expect("taken", made ? "two\n" : "one\n");
		deliver_out("a", "two\n");
		expect("a", "two\n");
	}
	free((char *)path);
}

static void a_file_that_is_locked_fails_alone(void **state)
{
	(void)state;
	char fixed[4096];
	snprintf(fixed, sizeof fixed, "%s/out/", t.folder);
	deliver_out("a", "one\n");
	int fd = open(unit_path(t.folder, "out/a"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	size_t a = add(unit_path(t.folder, "out/a"), fixed, "two\n");
	size_t b = add(unit_path(t.folder, "out/b"), fixed, "two\n");
	assert_int_equal(outfiles_write(&files, spread_nothing, NULL), OUTFILES_WRITTEN);
	assert_int_equal(outfiles_error(&files, a), EWOULDBLOCK);
	assert_non_null(strstr(outfiles_why(&files, a), "out/a is locked"));
	assert_int_equal(outfiles_error(&files, b), 0);
	commit();
	expect("a", "one\n");
	expect("b", "two\n");
	close(fd);
	deliver_out("a", "three\n");
	expect("a", "one\nthree\n");
}

static void the_reserve_is_kept(void **state)
{
	(void)state;
	deliver_out("a", "one\n");
	t.conf.reserve = UINT64_MAX / 4;
	assert_int_equal(write_out("a", "two\n"), ENOSPC);
	assert_non_null(strstr(outfiles_why(&files, 0), "reserve"));
	commit();
	t.conf.reserve = 1;
	deliver_out("a", "three\n");
	expect("a", "one\nthree\n");
}

static int put_fails(void *arg)
{
	errno = *(int *)arg;
	return -1;
}

static void what_is_not_committed_is_taken_back(void **state)
{
	(void)state;
	int error = EIO;
	deliver_out("a", "one\n");
	assert_int_equal(write_out("a", "two\n"), 0);
	assert_int_equal(outfiles_commit(&files, put_fails, &error), -1);
	assert_int_equal(errno, EIO);
	expect("a", "one\n");
	outfiles_clear(&files);
	deliver_out("a", "three\n");
	expect("a", "one\nthree\n");
}

static void nothing_is_committed_to_a_state_without_a_name(void **state)
{
	(void)state;
	deliver_out("a", "one\n");
	assert_int_equal(write_out("a", "two\n"), 0);
	assert_int_equal(unlink(unit_path(t.folder, "spool/state.db")), 0);
	assert_int_equal(outfiles_commit(&files, put_nothing, NULL), -1);
	assert_int_equal(errno, STATE_REPLACED);
	expect("a", "one\n");
}

/* The record of a new file is durable before its first byte. */
static ssize_t writev_after_record(int fd, const struct iovec *iov, int count)
{
	struct state_file file;
	bool fresh;
	struct state *other = state_open(&t.spool, STATE_LOOK, &fresh);
	assert_non_null(other);
	assert_int_equal(state_file(other, unit_span(unit_path(t.folder, "out/a")), &file), 1);
	assert_int_equal(file.length, 0);
	state_close(other);
	return system_calls.writev(fd, iov, count);
}

static void records_a_new_file_first(void **state)
{
	(void)state;
	fsio_calls.writev = writev_after_record;
	deliver_out("a", "one\n");
	fsio_calls = system_calls;
	expect("a", "one\n");
}

static void undo_cuts_back(void **state)
{
	(void)state;
	deliver_out("a", "one\n");
	assert_int_equal(write_out("a", "two\n"), 0);
	assert_int_equal(write_out("b", "two\n"), 0);
	outfiles_undo(&files, true);
	outfiles_clear(&files);
	expect("a", "one\n");
	expect("b", "");
}

static void rotated_files_begin_anew(void **state)
{
	(void)state;
	deliver_out("a", "one\ntwo\n");
	assert_int_equal(rename(unit_path(t.folder, "out/a"), unit_path(t.folder, "out/a.1")), 0);
	deliver_out("a", "three\n");
	expect("a", "three\n");
	expect("a.1", "one\ntwo\n");
	/* Another file at its place that is longer than recorded is not ours to cut. */
	assert_int_equal(rename(unit_path(t.folder, "out/a"), unit_path(t.folder, "out/a.2")), 0);
	unit_write(unit_path(t.folder, "out/a"), "somebody else's long file\n", 26);
	crash();
	deliver_out("a", "four\n");
	expect("a", "somebody else's long file\nfour\n");
	/* A shorter one (copytruncate) is taken as it is. */
	assert_int_equal(truncate(unit_path(t.folder, "out/a"), 0), 0);
	deliver_out("a", "five\n");
	expect("a", "five\n");
}

/* Two targets may name one file in two ways: through a symbolic link in the fixed part, or with "//". */
static void one_file_under_two_names(void **state)
{
	(void)state;
	make_folder(unit_path(t.folder, "out"));
	assert_int_equal(symlink("out", unit_path(t.folder, "link")), 0);
	char fixed[4096];
	for (int i = 0; i < 2; i++) {
		snprintf(fixed, sizeof fixed, "%s/out/", t.folder);
		size_t a = add(unit_path(t.folder, "out/a"), fixed, "1\n");
		snprintf(fixed, sizeof fixed, "%s/link/", t.folder);
		size_t b = add(unit_path(t.folder, "link/a"), fixed, "2\n");
		assert_int_equal(outfiles_flush(&files), 0);
		size_t c = add(unit_path(t.folder, "link//a"), fixed, "3\n");
		assert_int_equal(buf_str(&files.list[b].records, "4\n"), 0);
		assert_int_equal(outfiles_flush(&files), 0);
		assert_int_equal(outfiles_write(&files, spread_nothing, NULL), OUTFILES_WRITTEN);
		assert_int_equal(outfiles_error(&files, a) | outfiles_error(&files, b) | outfiles_error(&files, c), 0);
		commit();
	}
	deliver_out("a", "5\n");
	expect("a", "1\n2\n4\n3\n1\n2\n4\n3\n5\n");
	snprintf(fixed, sizeof fixed, "%s/link/", t.folder);
	add(unit_path(t.folder, "link/a"), fixed, "6\n");
	assert_int_equal(outfiles_write(&files, spread_nothing, NULL), OUTFILES_WRITTEN);
	commit();
	deliver_out("a", "7\n");
	expect("a", "1\n2\n4\n3\n1\n2\n4\n3\n5\n6\n7\n");
}

static int failing, calls;

static ssize_t failing_writev(int fd, const struct iovec *iov, int count)
{
	(void)count;
	if (++calls == 2) {
		errno = failing;
		return -1;
	}
	return write(fd, iov->iov_base, 1); /* a part of it is written before */
}

static int failing_sync(int fd)
{
	if (++calls == 1) {
		errno = failing;
		return -1;
	}
	return fdatasync(fd);
}

static void failures_are_undone(void **state)
{
	(void)state;
	static const int errors[] = {ENOSPC, EIO, EDQUOT};
	deliver_out("a", "one\n");
	for (size_t i = 0; i < UNIT_COUNT(errors); i++) {
		failing = errors[i];
		calls = 0;
		fsio_calls.writev = failing_writev;
		assert_int_equal(write_out("a", "two\n"), failing);
		fsio_calls = system_calls;
		expect("a", "one\n");
		commit();

		calls = 0;
		fsio_calls.fdatasync = failing_sync;
		assert_int_equal(write_out("a", "two\n"), failing);
		fsio_calls = system_calls;
		expect("a", "one\n");
		commit();
	}
	deliver_out("a", "three\n");
	expect("a", "one\nthree\n");
}

static void many_files(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		char path[4096], fixed[4096];
		snprintf(fixed, sizeof fixed, "%s/out/", t.folder);
		for (int i = 0; i < 200; i++) {
			snprintf(path, sizeof path, "%s/out/%d/f", t.folder, i);
			add(path, fixed, "x\n");
		}
		assert_int_equal(outfiles_write(&files, spread_nothing, NULL), OUTFILES_WRITTEN);
		for (size_t i = 0; i < 200; i++)
			assert_int_equal(outfiles_error(&files, i), 0);
		commit();
	}
	expect("0/f", "x\nx\n");
	expect("199/f", "x\nx\n");
}

/* A transaction from its beginning to its end, and how often the owner was asked. */
static const struct running {
	const char *name;
	int moves;                     /* so often the file is renamed while it is written to */
	int gathers, put_error, error; /* what gather returns; errno of put; of it all */
	int result, gathered, undone;
	const char *contents;
} runs[] = {
	{"it is committed", 0, 1, 0, 0, 1, 1, 0, "one\ntwo\n"},
	{"there is nothing", 0, 0, 0, 0, 0, 1, 0, "one\n"},
	{"it cannot be gathered", 0, -1, 0, EIO, -1, 1, 1, "one\n"},
	{"it cannot be put", 0, 1, EDQUOT, EDQUOT, -1, 1, 1, "one\n"},
	{"the file is renamed", 1, 1, 0, 0, 1, 2, 1, "two\n"},
	{"the file is renamed again and again", INT_MAX, 1, 0, ESTALE, -1, 10, 10, NULL},
};
static struct {
	const struct running *row;
	int gathered, undone;
} running;

static int gather_two(void *arg)
{
	char fixed[4096];
	(void)arg;
	snprintf(fixed, sizeof fixed, "%s/out/", t.folder);
	if (running.row->gathers != 0)
		add(unit_path(t.folder, "out/a"), fixed, "two\n");
	assert_int_equal(outfiles_flush(&files), 0);
	if (running.gathered++ < running.row->moves)
		assert_int_equal(rename(unit_path(t.folder, "out/a"), unit_path(t.folder, "out/taken")), 0);
	errno = EIO;
	return running.row->gathers;
}

static int put_row(void *arg)
{
	(void)arg;
	errno = running.row->put_error;
	return errno == 0 ? 0 : -1;
}

static void count_undone(void *arg)
{
	(void)arg;
	running.undone++;
	errno = 0;
}

static void runs_from_beginning_to_end(void **state)
{
	static const struct outfiles_owner owner = {gather_two, spread_nothing, put_row, count_undone};
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(runs); i++) {
		const struct running *row = running.row = &runs[i];
		running.gathered = running.undone = 0;
		unlink(unit_path(t.folder, "out/a"));
		deliver_out("a", "one\n");
		int result = outfiles_run(&files, &t.c, &owner, NULL);
		unit_check(result == row->result && (result >= 0 || errno == row->error), "%s: %d, %s", row->name,
			   result, strerror(errno));
		unit_check(running.gathered == row->gathered && running.undone == row->undone, "%s: %d and %d",
			   row->name, running.gathered, running.undone);
		if (row->contents != NULL)
			expect("a", row->contents);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(appends, setup, teardown),
		cmocka_unit_test_setup_teardown(flushes_as_often_as_it_likes, setup, teardown),
		cmocka_unit_test_setup_teardown(modes_are_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(modes_of_others_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_not_its_file, setup, teardown),
		cmocka_unit_test_setup_teardown(follows_links_in_the_fixed_part, setup, teardown),
		cmocka_unit_test_setup_teardown(one_bad_file_leaves_the_others, setup, teardown),
		cmocka_unit_test_setup_teardown(cuts_back_what_was_not_committed, setup, teardown),
		cmocka_unit_test_setup_teardown(cuts_back_a_first_append, setup, teardown),
		cmocka_unit_test_setup_teardown(records_a_new_file_first, setup, teardown),
		cmocka_unit_test_setup_teardown(undo_cuts_back, setup, teardown),
		cmocka_unit_test_setup_teardown(rotated_files_begin_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(what_others_append_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(what_stands_before_others_is_not_written_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_is_known_by_what_it_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_renamed_meanwhile_is_written_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_is_locked_fails_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(the_reserve_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_committed_is_taken_back, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_committed_to_a_state_without_a_name, setup, teardown),
		cmocka_unit_test_setup_teardown(one_file_under_two_names, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_are_undone, setup, teardown),
		cmocka_unit_test_setup_teardown(many_files, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_from_beginning_to_end, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
