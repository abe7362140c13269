#include "config.h"

#include "spool/locks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fsio.h"

static int take_flock(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB);
}

static int take_ofd(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(fd, F_OFD_SETLK, &lock);
}

static const struct {
	int (*take)(int fd);
	const char *failed, *unseen;
} kinds[] = {
	{take_flock, "flock does not work there", "a flock is not seen there by whoever opens the file again"},
	{take_ofd, "fcntl's F_OFD_SETLK does not work there",
	 "a lock of fcntl's F_OFD_SETLK is not seen there by whoever opens the file again"},
};

static const char *try_locks(int one, int two)
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (kinds[i].take(one) < 0)
			return kinds[i].failed;
		errno = 0;
		if (kinds[i].take(two) == 0)
			return kinds[i].unseen;
		if (errno != EAGAIN && errno != EACCES)
			return kinds[i].failed;
	}
	return NULL;
}

const char *locks_fault(const char *folder)
{
	char path[PATH_MAX];
	uint32_t random;
	fsio_random(&random, sizeof random);
	if (snprintf(path, sizeof path, "%s/.locks-%08" PRIx32, folder, random) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return "the locks cannot be tried";
	}
	int one = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (one < 0)
		return "the locks cannot be tried";
	int two = open(path, O_RDWR | O_CLOEXEC);
	const char *fault = two < 0 ? "the locks cannot be tried" : try_locks(one, two);
	int saved = errno;
	unlink(path);
	fsio_close(&two);
	fsio_close(&one);
	errno = saved;
	return fault;
}
