#include "config.h"

#include "base/fsio.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>

struct fsio_calls fsio_calls = {.writev = writev, .fdatasync = fdatasync, .fsync = fsync};

#define VECTORS_AT_ONCE 1024 /* IOV_MAX of Linux */

int fsio_write_all(int fd, struct iovec *iov, int count)
{
	while (count > 0) {
		if (iov->iov_len == 0) {
			iov++;
			count--;
			continue;
		}
		ssize_t n = fsio_calls.writev(fd, iov, count < VECTORS_AT_ONCE ? count : VECTORS_AT_ONCE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0) {
			/* A write of bytes that takes none is no progress: a full device may answer so. */
			errno = ENOSPC;
			return -1;
		}
		size_t done = (size_t)n;
		while (count > 0 && done >= iov->iov_len) {
			done -= iov->iov_len;
			iov++;
			count--;
		}
		if (count > 0) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= done;
		}
	}
	return 0;
}

int fsio_write(int fd, const void *bytes, size_t n)
{
	struct iovec iov = {(void *)bytes, n};
	return fsio_write_all(fd, &iov, 1);
}

int fsio_datasync(int fd)
{
	int result;
	do
		result = fsio_calls.fdatasync(fd);
	while (result < 0 && errno == EINTR);
	return result;
}

int fsio_sync(int fd)
{
	int result;
	do
		result = fsio_calls.fsync(fd);
	while (result < 0 && errno == EINTR);
	return result;
}

void fsio_close(int *fd)
{
	int saved = errno;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static void wake_up(int number)
{
	(void)number;
}

/* A signal ends the waiting. It comes again and again, for the first one may come before the waiting begins. */
static int lock_for(int fd, int64_t us)
{
	const struct sigaction wake = {.sa_handler = wake_up};
	const struct itimerval timer = {{0, 10000}, {us / 1000000, us % 1000000}}, none = {{0, 0}, {0, 0}};
	struct sigaction before;
	sigset_t alarm, mask;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &wake, &before);
	sigprocmask(SIG_UNBLOCK, &alarm, &mask);
	setitimer(ITIMER_REAL, &timer, NULL);
	int result = flock(fd, LOCK_EX), saved = errno;
	setitimer(ITIMER_REAL, &none, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGALRM, &before, NULL);
	errno = saved == EINTR ? EWOULDBLOCK : saved;
	return result;
}

int fsio_lock(int fd, int64_t us)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return us > 0 && errno == EWOULDBLOCK ? lock_for(fd, us) : -1;
}

ssize_t fsio_read_at(int fd, void *bytes, size_t n, off_t offset)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = pread(fd, (char *)bytes + done, n - done, offset + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int fsio_find_tail(int fd, uint64_t size, uint64_t *start)
{
	char bytes[4096];
	for (*start = size; *start > 0;) {
		size_t n = *start < sizeof bytes ? (size_t)*start : sizeof bytes;
		ssize_t got = fsio_read_at(fd, bytes, n, (off_t)(*start - n));
		if (got < 0)
			return -1;
		const char *newline = memrchr(bytes, '\n', (size_t)got);
		*start -= n;
		if (newline != NULL) {
			*start += (uint64_t)(newline + 1 - bytes);
			break;
		}
	}
	return 0;
}

int fsio_make_folder(int dirfd, const char *name, mode_t mode)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	bool made = mkdirat(dirfd, name, mode & 0777) == 0;
	if (!made && errno != EEXIST)
		return -1;
	int fd = openat(dirfd, name, flags);
	if (fd < 0)
		return -1;
	if (made && (fchmod(fd, mode) < 0 || fsio_sync(dirfd) < 0)) {
		fsio_close(&fd);
		return -1;
	}
	return fd;
}

int fsio_each_name(int dirfd, const char *path, fsio_name *each, void *arg)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		fsio_close(&fd);
		return -1;
	}
	const struct dirent *entry;
	int result = 0;
	while (result == 0 && (errno = 0, entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = each(arg, fd, entry->d_name);
	if (result == 0 && errno != 0)
		result = -1;
	int saved = errno;
	closedir(dir);
	errno = saved;
	return result;
}

int fsio_free_space(int fd, uint64_t *bytes, uint64_t *inodes)
{
	struct statvfs v;
	if (fstatvfs(fd, &v) < 0)
		return -1;
	*bytes = (uint64_t)v.f_bavail * v.f_frsize;
	*inodes = v.f_files == 0 ? UINT64_MAX : v.f_favail;
	return 0;
}

void fsio_close_from(int lowest)
{
	closefrom(lowest);
}

/* For a kernel without getrandom, before 3.17. */
static ssize_t read_urandom(void *bytes, size_t n)
{
	int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t got = read(fd, bytes, n);
	close(fd);
	return got;
}

void fsio_random(void *bytes, size_t n)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = getrandom((char *)bytes + done, n - done, 0);
		if (got < 0 && errno == ENOSYS)
			got = read_urandom((char *)bytes + done, n - done);
		if (got > 0)
			done += (size_t)got;
		else if (errno != EINTR)
			abort();
	}
}
