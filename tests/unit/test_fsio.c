#include "config.h"

#include "base/fsio.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "unit.h"

/* A device that takes at most `most` bytes a call, and answers the errors of a script first. 0 in the script: no
 * error. */
static struct {
	size_t most;
	int script[8];
	size_t calls;
	int most_vectors;
	bool takes_nothing;
	struct buf got;
} device;

static int scripted(void)
{
	size_t call = device.calls++;
	errno = call < UNIT_COUNT(device.script) ? device.script[call] : 0;
	return errno != 0 ? -1 : 0;
}

static ssize_t device_writev(int fd, const struct iovec *iov, int count)
{
	size_t taken = 0;
	assert_int_equal(fd, 99);
	if (scripted() < 0)
		return -1;
	if (count > device.most_vectors)
		device.most_vectors = count;
	if (device.takes_nothing)
		return 0;
	for (int i = 0; i < count && taken < device.most; i++) {
		size_t n = iov[i].iov_len < device.most - taken ? iov[i].iov_len : device.most - taken;
		assert_int_equal(buf_append(&device.got, iov[i].iov_base, n), 0);
		taken += n;
	}
	return (ssize_t)taken;
}

static int device_sync(int fd)
{
	assert_int_equal(fd, 99);
	return scripted();
}

static const struct fsio_calls system_calls_of_the_device = {device_writev, device_sync, device_sync};
static struct fsio_calls the_system;

static int setup(void **state)
{
	(void)state;
	the_system = fsio_calls;
	fsio_calls = system_calls_of_the_device;
	memset(&device, 0, sizeof device);
	device.most = SIZE_MAX;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fsio_calls = the_system;
	buf_fini(&device.got);
	return 0;
}

/* Whatever a device takes at a time, all bytes arrive, once and in order. */
static void short_writes_are_continued(void **state)
{
	(void)state;
	for (size_t most = 1; most <= 16; most++) {
		struct iovec iov[] = {{(void *)"", 0},     {(void *)"one ", 4},  {(void *)"", 0},
				      {(void *)"two ", 4}, {(void *)"three", 5}, {(void *)"", 0}};
		device.most = most;
		device.got.len = 0;
		unit_check(fsio_write_all(99, iov, UNIT_COUNT(iov)) == 0, "%zu at a time", most);
		unit_check(unit_same((struct span){device.got.data, device.got.len}, "one two three"), "%zu at a time",
			   most);
	}
}

static void nothing_to_write(void **state)
{
	(void)state;
	struct iovec empty[] = {{NULL, 0}, {(void *)"", 0}};
	assert_int_equal(fsio_write_all(99, empty, 2), 0);
	assert_int_equal(fsio_write_all(99, NULL, 0), 0);
	assert_int_equal(fsio_write(99, "", 0), 0);
	assert_int_equal(device.calls, 0);
}

/* writev(2) takes IOV_MAX vectors and no more. */
static void many_vectors(void **state)
{
	(void)state;
	enum { MANY = 5000 };
	struct iovec *iov = calloc(MANY, sizeof *iov);
	for (size_t i = 0; i < MANY; i++)
		iov[i] = (struct iovec){(void *)"0123456789", i % 11};
	size_t total = 0;
	for (size_t i = 0; i < MANY; i++)
		total += i % 11;
	assert_int_equal(fsio_write_all(99, iov, MANY), 0);
	assert_int_equal(device.got.len, total);
	assert_true(device.most_vectors <= 1024);
	free(iov);
}

static const struct {
	const char *name;
	int script[8];
	size_t most;
	bool takes_nothing;
	int error; /* 0: succeeds */
	const char *got;
} writes[] = {
	{"plain", {0}, 100, false, 0, "0123456789"},
	{"interrupted at first", {EINTR, EINTR, 0}, 100, false, 0, "0123456789"},
	{"interrupted between", {0, EINTR, 0, EINTR}, 4, false, 0, "0123456789"},
	{"refused", {EIO}, 100, false, EIO, ""},
	{"full in the middle", {0, 0, ENOSPC}, 4, false, ENOSPC, "01234567"},
	{"quota", {0, EDQUOT}, 3, false, EDQUOT, "012"},
	{"no progress", {0}, 100, true, ENOSPC, ""},
};

static void write_failures(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(writes); i++) {
		memcpy(device.script, writes[i].script, sizeof device.script);
		device.calls = 0;
		device.most = writes[i].most;
		device.takes_nothing = writes[i].takes_nothing;
		device.got.len = 0;
		int result = fsio_write(99, "0123456789", 10);
		int error = errno;
		unit_check(result == (writes[i].error ? -1 : 0), "%s", writes[i].name);
		unit_check(writes[i].error == 0 || error == writes[i].error, "%s: errno %d", writes[i].name, error);
		unit_check(device.got.len == strlen(writes[i].got), "%s", writes[i].name);
	}
}

/* A sync that fails is told, and not tried again: the pages may count as clean by then. */
static void sync_failures(void **state)
{
	(void)state;
	static const struct {
		int script[8];
		int error;
		size_t calls;
	} rows[] = {
		{{0}, 0, 1},           {{EINTR, EINTR}, 0, 3}, {{EIO}, EIO, 1}, {{EINTR, ENOSPC}, ENOSPC, 2},
		{{EDQUOT}, EDQUOT, 1},
	};
	int (*const calls[])(int) = {fsio_datasync, fsio_sync};
	for (size_t c = 0; c < UNIT_COUNT(calls); c++)
		for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
			memcpy(device.script, rows[i].script, sizeof device.script);
			device.calls = 0;
			int result = calls[c](99);
			unit_check(result == (rows[i].error ? -1 : 0), "row %zu", i);
			unit_check(rows[i].error == 0 || errno == rows[i].error, "row %zu: errno %d", i, errno);
			unit_check(device.calls == rows[i].calls, "row %zu", i);
		}
}

static void reads_at(void **state)
{
	(void)state;
	char *folder = unit_folder(), bytes[16];
	unit_write(unit_path(folder, "f"), "0123456789", 10);
	int fd = open(unit_path(folder, "f"), O_RDONLY);
	assert_int_equal(fsio_read_at(fd, bytes, 4, 0), 4);
	assert_memory_equal(bytes, "0123", 4);
	assert_int_equal(fsio_read_at(fd, bytes, sizeof bytes, 7), 3);
	assert_memory_equal(bytes, "789", 3);
	assert_int_equal(fsio_read_at(fd, bytes, sizeof bytes, 10), 0);
	assert_int_equal(fsio_read_at(fd, bytes, sizeof bytes, 1000), 0);
	assert_int_equal(fsio_read_at(fd, bytes, 0, 0), 0);
	close(fd);
	assert_int_equal(fsio_read_at(fd, bytes, 1, 0), -1);
	assert_int_equal(errno, EBADF);
	unit_remove(folder);
}

static void finds_tails(void **state)
{
	(void)state;
	/* Runs of x, a newline behind each but the last; long ones go over the pieces that are read. */
	static const struct {
		size_t lines[3];
		int count;
		bool ended;
	} rows[] = {
		{{0}, 0, false},          {{0}, 1, true},           {{5}, 1, true},        {{5}, 1, false},
		{{5, 7}, 2, false},       {{5, 7}, 2, true},        {{4095}, 1, true},     {{4096}, 1, false},
		{{4096}, 1, true},        {{3, 4095}, 2, false},    {{3, 4096}, 2, false}, {{3, 4097}, 2, false},
		{{3, 20000}, 2, false},   {{20000, 1}, 2, false},   {{20000}, 1, false},   {{0, 0, 0}, 3, true},
		{{9, 0, 8192}, 3, false}, {{9, 8191, 0}, 3, false},
	};
	char *folder = unit_folder();
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf text = {0};
		uint64_t start = 99, expected = 0;
		for (int k = 0; k < rows[i].count; k++) {
			expected = text.len;
			for (size_t n = 0; n < rows[i].lines[k]; n++)
				assert_int_equal(buf_char(&text, 'x'), 0);
			if (k + 1 < rows[i].count || rows[i].ended)
				assert_int_equal(buf_char(&text, '\n'), 0);
		}
		if (rows[i].ended)
			expected = text.len;
		const char *path = unit_path(folder, "lines");
		unlink(path);
		unit_write(path, text.data, text.len);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		unit_check(fsio_find_tail(fd, text.len, &start) == 0 && start == expected, "row %zu: %ju", i,
			   (uintmax_t)start);
		close(fd);
		buf_fini(&text);
	}
	uint64_t start;
	assert_int_equal(fsio_find_tail(-1, 10, &start), -1);
	unit_remove(folder);
}

static int syncs, failing_sync;

static int counting_fsync(int fd)
{
	(void)fd;
	if (++syncs == failing_sync) {
		errno = EIO;
		return -1;
	}
	return 0;
}

static void makes_folders(void **state)
{
	(void)state;
	static const struct {
		mode_t mask, mode;
	} rows[] = {{0, 0700}, {077, 0700}, {0277, 0700}, {0, 02770}, {077, 02770}, {027, 0755}};
	char *folder = unit_folder();
	int dirfd = open(folder, O_RDONLY | O_DIRECTORY);
	fsio_calls.fsync = counting_fsync;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		char name[16];
		struct stat st;
		snprintf(name, sizeof name, "d%zu", i);
		syncs = failing_sync = 0;
		mode_t before = umask(rows[i].mask);
		int fd = fsio_make_folder(dirfd, name, rows[i].mode);
		umask(before);
		unit_check(fd >= 0, "row %zu", i);
		unit_check(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) && (st.st_mode & 07777) == rows[i].mode,
			   "row %zu: mode %o", i, st.st_mode & 07777);
		unit_check(fcntl(fd, F_GETFD) & FD_CLOEXEC, "row %zu", i);
		unit_check(syncs == 1, "row %zu", i);
		close(fd);
	}
	close(dirfd);
	unit_remove(folder);
}

static void folders_that_are_there(void **state)
{
	(void)state;
	char *folder = unit_folder();
	int dirfd = open(folder, O_RDONLY | O_DIRECTORY);
	fsio_calls.fsync = counting_fsync;
	syncs = failing_sync = 0;
	assert_int_equal(mkdir(unit_path(folder, "old"), 0), 0);
	assert_int_equal(chmod(unit_path(folder, "old"), 0750), 0);
	int fd = fsio_make_folder(dirfd, "old", 0700);
	assert_true(fd >= 0);
	assert_int_equal(unit_mode(unit_path(folder, "old")), 0750);
	assert_int_equal(syncs, 0);
	close(fd);

	unit_write(unit_path(folder, "file"), "x", 1);
	assert_int_equal(symlink("old", unit_path(folder, "link")), 0);
	assert_int_equal(symlink("nowhere", unit_path(folder, "dangling")), 0);
	static const char *const refused[] = {"file", "link", "dangling", "no/such"};
	for (size_t i = 0; i < UNIT_COUNT(refused); i++)
		unit_check(fsio_make_folder(dirfd, refused[i], 0700) == -1, "%s", refused[i]);
	assert_int_equal(access(unit_path(folder, "nowhere"), F_OK), -1);

	failing_sync = 1;
	assert_int_equal(fsio_make_folder(dirfd, "unsynced", 0700), -1);
	assert_int_equal(errno, EIO);
	close(dirfd);
	unit_remove(folder);
}

static void locks(void **state)
{
	(void)state;
	struct sigaction before, after;
	char *folder = unit_folder();
	const char *path = unit_path(folder, "locked");
	int one = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), two = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(sigaction(SIGALRM, NULL, &before), 0);
	assert_int_equal(fsio_lock(one, 0), 0);
	for (int64_t us = 0; us <= 20000; us += 20000) {
		errno = 0;
		assert_int_equal(fsio_lock(two, us), -1);
		assert_int_equal(errno, EWOULDBLOCK);
	}
	/* It is waited for, and ends with the other one's. */
	pid_t child = fork();
	if (child == 0) {
		close(two);
		usleep(20000);
		_exit(0);
	}
	close(one);
	assert_int_equal(fsio_lock(two, 60 * INT64_C(1000000)), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(sigaction(SIGALRM, NULL, &after), 0);
	assert_true(before.sa_handler == after.sa_handler);
	close(two);
	assert_int_equal(fsio_lock(-1, 1), -1);
	assert_int_equal(errno, EBADF);
	unit_remove(folder);
}

static void free_space(void **state)
{
	(void)state;
	uint64_t bytes = 0, inodes = 0;
	char *folder = unit_folder();
	int fd = open(folder, O_RDONLY | O_DIRECTORY);
	assert_int_equal(fsio_free_space(fd, &bytes, &inodes), 0);
	assert_true(bytes > 0);
	assert_true(inodes > 0);
	close(fd);
	assert_int_equal(fsio_free_space(fd, &bytes, &inodes), -1);
	assert_int_equal(errno, EBADF);
	unit_remove(folder);
}

static void closes_from(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		int low = dup(STDERR_FILENO), high = fcntl(STDERR_FILENO, F_DUPFD, 900);
		fsio_close_from(low + 1);
		_exit(fcntl(low, F_GETFD) >= 0 && fcntl(high, F_GETFD) < 0 && fcntl(STDERR_FILENO, F_GETFD) >= 0 ? 0
														 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void random_bytes(void **state)
{
	(void)state;
	uint8_t a[300] = {0}, b[300] = {0}, none[4] = {1, 2, 3, 4};
	fsio_random(a, sizeof a);
	fsio_random(b, sizeof b);
	assert_memory_not_equal(a, b, sizeof a);
	/* Filled to its end: 16 zero bytes there would be a miracle. */
	static const uint8_t zeros[16];
	assert_memory_not_equal(a + sizeof a - sizeof zeros, zeros, sizeof zeros);
	fsio_random(none, 0);
	assert_memory_equal(none, "\1\2\3\4", 4);
}

struct seen {
	char names[8][8];
	int count, last; /* it ends at this one */
};

static int see(void *arg, int folder, const char *name)
{
	struct seen *seen = arg;
	assert_int_equal(faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW), 0);
	strcpy(seen->names[seen->count++], name);
	errno = EXDEV;
	return seen->count == seen->last ? -7 : 0;
}

static void each_name(void **state)
{
	(void)state;
	static const char *const names[] = {"a", "b", ".c", "..d"};
	char *folder = unit_folder();
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct seen seen = {.last = -1};
	assert_int_equal(fsio_each_name(fd, ".", see, &seen), 0);
	assert_int_equal(seen.count, 0);
	for (size_t i = 0; i < UNIT_COUNT(names); i++)
		unit_write(unit_path(folder, names[i]), "", 0);
	/* Again and again from the beginning, whatever was read of it before. */
	for (int last = 1; last <= 5; last++) {
		seen = (struct seen){.last = last};
		assert_int_equal(fsio_each_name(fd, ".", see, &seen), last == 5 ? 0 : -7);
		assert_int_equal(seen.count, last == 5 ? 4 : last);
		assert_true(last == 5 || errno == EXDEV);
	}
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		int times = 0;
		for (int k = 0; k < seen.count; k++)
			times += strcmp(seen.names[k], names[i]) == 0;
		unit_check(times == 1, "%s", names[i]);
	}
	assert_int_equal(mkdirat(fd, "sub", 0700), 0);
	assert_int_equal(symlinkat("sub", fd, "link"), 0);
	assert_int_equal(fsio_each_name(fd, "sub", see, &seen), 0);
	assert_int_equal(fsio_each_name(AT_FDCWD, unit_path(folder, "sub"), see, &seen), 0);
	static const struct {
		const char *name;
		int error;
	} wrong[] = {{"none", ENOENT}, {"a", ENOTDIR}, {"link", ENOTDIR}};
	for (size_t i = 0; i < UNIT_COUNT(wrong); i++) {
		errno = 0;
		int result = fsio_each_name(fd, wrong[i].name, see, &seen);
		unit_check(result == -1 && errno == wrong[i].error, "%s: %s", wrong[i].name, strerror(errno));
	}
	close(fd);
	unit_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(short_writes_are_continued, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_write, setup, teardown),
		cmocka_unit_test_setup_teardown(many_vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(write_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(sync_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(makes_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(folders_that_are_there, setup, teardown),
		cmocka_unit_test(reads_at),
		cmocka_unit_test(finds_tails),
		cmocka_unit_test(each_name),
		cmocka_unit_test(free_space),
		cmocka_unit_test(locks),
		cmocka_unit_test(closes_from),
		cmocka_unit_test(random_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
