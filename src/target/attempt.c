#include "config.h"

#include "target/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fsio.h"

#define SPILLED "script-input"

int attempt_input_open(void)
{
	return memfd_create("hookspool-records", MFD_CLOEXEC);
}

/* A file that loses its name before anything is written to it. */
static int open_named(int folder)
{
	if (unlinkat(folder, SPILLED, 0) < 0 && errno != ENOENT)
		return -1;
	int fd = openat(folder, SPILLED, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && unlinkat(folder, SPILLED, 0) < 0)
		fsio_close(&fd);
	return fd;
}

static int open_unnamed(int folder)
{
	int fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT))
		fd = open_named(folder);
	return fd;
}

int attempt_input_spill(int *input, int folder)
{
	char bytes[64 << 10];
	ssize_t n;
	off_t at = 0;
	int fd = open_unnamed(folder);
	if (fd < 0)
		return -1;
	while ((n = fsio_read_at(*input, bytes, sizeof bytes, at)) > 0 && fsio_write(fd, bytes, (size_t)n) == 0)
		at += n;
	if (n != 0) {
		fsio_close(&fd);
		return -1;
	}
	close(*input);
	*input = fd;
	return 0;
}
