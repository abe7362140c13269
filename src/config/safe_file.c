#include "config.h"

#include "config/safe_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"

/* So that a service's user can read a file that it cannot replace. Group root is systemd's way to hand out credentials,
 * and a process of root cannot know for which group a file is meant. */
static bool is_given_by_root(const struct stat *st)
{
	return st->st_uid == 0 &&
	       (st->st_gid == 0 || st->st_gid == getegid() || group_member(st->st_gid) || geteuid() == 0);
}

static int examine(const struct stat *st, enum guarded guarded, size_t max, char why[GUARDED_WHY_SIZE])
{
	unsigned mode = st->st_mode & 07777;
	if (!S_ISREG(st->st_mode))
		snprintf(why, GUARDED_WHY_SIZE, "is no regular file; name one");
	else if ((uint64_t)st->st_size > max)
		snprintf(why, GUARDED_WHY_SIZE, "is larger than %zu bytes; is it the right file?", max);
	else if (mode & 022)
		snprintf(why, GUARDED_WHY_SIZE, "can be changed by others (mode %04o); take that away: chmod go-w",
			 mode);
	else if (guarded == GUARDED_SECRET && (mode & 04))
		snprintf(why, GUARDED_WHY_SIZE, "can be read by others (mode %04o); take that away: chmod 0600", mode);
	else if (guarded == GUARDED_SECRET && (mode & 040) && !is_given_by_root(st))
		snprintf(
			why, GUARDED_WHY_SIZE,
			"can be read by its group (mode %04o); chmod 0600, or give it to root and this program's group",
			mode);
	else
		return 0;
	return -1;
}

int guarded_read(const char *path, enum guarded guarded, size_t max, struct buf *out, char why[GUARDED_WHY_SIZE])
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0)
		goto fail;
	if (examine(&st, guarded, max, why) < 0) {
		close(fd);
		return -1;
	}
	if (buf_reserve(out, (size_t)st.st_size + 1) < 0)
		goto fail;
	ssize_t n = fsio_read_at(fd, out->data, (size_t)st.st_size, 0);
	if (n < 0)
		goto fail;
	out->len = (size_t)n;
	close(fd);
	return 0;
fail:
	snprintf(why, GUARDED_WHY_SIZE, "cannot be read: %s; are its name and its mode right?", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}
