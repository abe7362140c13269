#include "config.h"

#include "spool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"

#define AGE_MAX    (3600 * CLOCK_SECOND)
#define BIRTHS_MAX 16
#define SUFFIX     ".jsonl"
#define KEPT       "-kept" SUFFIX

bool segment_parse_name(const char *name, int64_t *stamp)
{
	int64_t at;
	size_t n = strlen(name), end = sizeof SUFFIX - 1;
	if (n >= SEGMENT_NAME_SIZE || strchr(name, '/') != NULL || n < end || strcmp(name + n - end, SUFFIX) != 0 ||
	    clock_parse_stamp(name, &at) < 0)
		return false;
	if (stamp != NULL)
		*stamp = at;
	return true;
}

static void make_name(char name[SEGMENT_NAME_SIZE], int64_t stamp, const char *suffix)
{
	char text[CLOCK_STAMP_SIZE];
	uint32_t random;
	clock_stamp(stamp, text);
	fsio_random(&random, sizeof random);
	snprintf(name, SEGMENT_NAME_SIZE, "%s-%ld-%08" PRIx32 "%s", text, (long)getpid(), random, suffix);
}

void segment_name_kept(char name[SEGMENT_NAME_SIZE], int64_t stamp)
{
	make_name(name, stamp, KEPT);
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);
	return n > m && strcmp(name + n - m, end) == 0;
}

bool segment_is_kept(const char *name)
{
	return ends_in(name, KEPT);
}

bool segment_is_fold(const char *name)
{
	return ends_in(name, SEGMENT_FOLD_END);
}

const char *segment_hidden(const char *name)
{
	return name[0] == '.' && segment_parse_name(name + 1, NULL) && !segment_is_kept(name) ? name + 1 : NULL;
}

void segment_name_hidden(char hidden[SEGMENT_HIDDEN_SIZE], const char *name)
{
	snprintf(hidden, SEGMENT_HIDDEN_SIZE, ".%s", name);
}

bool segment_is_named(struct segment *segment, const struct spool *spool)
{
	struct stat named;
	if (fstatat(spool->journal_fd, segment->name, &named, AT_SYMLINK_NOFOLLOW) == 0)
		segment->is_lost |= named.st_ino != segment->inode || named.st_dev != segment->device;
	else
		segment->is_lost |= errno == ENOENT;
	return !segment->is_lost;
}

/* S1 to S2: whether the file is ours, by lock and by name. */
static bool is_owned(struct segment *segment, const struct spool *spool)
{
	struct stat opened;
	if (flock(segment->fd, LOCK_EX | LOCK_NB) < 0 || fstat(segment->fd, &opened) < 0)
		return false;
	segment->device = opened.st_dev;
	segment->inode = opened.st_ino;
	return segment_is_named(segment, spool);
}

int segment_open(struct segment *segment, const struct spool *spool, int64_t stamp)
{
	for (int births = 0; births < BIRTHS_MAX; births++) {
		*segment = (struct segment){.opened_at = clock_monotonic()};
		make_name(segment->name, stamp, SUFFIX);
		segment->fd = openat(spool->journal_fd, segment->name,
				     O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (segment->fd < 0 && errno == EEXIST)
			continue;
		if (segment->fd < 0)
			return -1;
		if (!is_owned(segment, spool)) {
			/* The deliverer has looked at it between its birth and its lock, and may put it away. */
			errno = EAGAIN;
			fsio_close(&segment->fd);
			continue;
		}
		if (spool_share(spool, segment->fd) < 0 || fsio_sync(spool->journal_fd) < 0) {
			fsio_close(&segment->fd);
			return -1;
		}
		return 0;
	}
	return -1;
}

int segment_commit(struct segment *segment, const struct spool *spool, struct iovec *iov, int count)
{
	uint64_t size = 0;
	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	if (fsio_write_all(segment->fd, iov, count) < 0 || fsio_datasync(segment->fd) < 0) {
		fsio_close(&segment->fd);
		return -1;
	}
	/* Durable, but nobody will find it. */
	if (!segment_is_named(segment, spool)) {
		errno = ESTALE;
		return -1;
	}
	segment->size += size;
	return 0;
}

/* Appends what was durable of another segment, as far as it can be read: what was cut off it is gone. 0, or -1 with
 * errno. */
static int copy(struct segment *to, const struct segment *from)
{
	char bytes[16384];
	while (to->size < from->size) {
		uint64_t left = from->size - to->size;
		ssize_t n = fsio_read_at(from->fd, bytes, left < sizeof bytes ? left : sizeof bytes, (off_t)to->size);
		if (n <= 0)
			break;
		if (fsio_write(to->fd, bytes, (size_t)n) < 0)
			return -1;
		to->size += (uint64_t)n;
	}
	return fsio_datasync(to->fd);
}

int segment_rescue(struct segment *segment, const struct spool *spool)
{
	struct segment next;
	int64_t stamp;
	if (!segment_parse_name(segment->name, &stamp) || segment_open(&next, spool, stamp) < 0)
		return -1;
	if (copy(&next, segment) < 0 || !segment_is_named(&next, spool)) {
		segment_close(&next);
		return -1;
	}
	segment_close(segment);
	*segment = next;
	return 0;
}

void segment_close(struct segment *segment)
{
	fsio_close(&segment->fd);
}

bool segment_is_full(const struct segment *segment, int64_t now)
{
	return segment->size >= SEGMENT_SIZE_MAX || now - segment->opened_at >= AGE_MAX;
}
