#include "config.h"

#include "spool/audit_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"

#define FOLDER    "audit"
#define AUDIT     FOLDER "/audit.jsonl"
#define AUDIT_OLD FOLDER "/audit.jsonl.1"

#define ADOPT_MAX (64u << 20)

void audit_init(struct audit *audit, const struct spool *spool, uint64_t max)
{
	*audit = (struct audit){.spool = spool, .max = max, .fd = -1};
}

void audit_fini(struct audit *audit)
{
	fsio_close(&audit->fd);
}

/* Its lines go behind those that are there already: a process of an earlier version has written them since the trail
 * was moved, or they are older than what was begun meanwhile. */
static int append_early(const struct spool *spool, int from)
{
	struct buf lines = {0};
	struct stat st;
	int result = -1;
	/* Another process may do it, or may have done it. */
	if (flock(from, LOCK_EX | LOCK_NB) < 0 || fstat(from, &st) < 0 || st.st_nlink == 0)
		return 0;
	if (st.st_size > ADOPT_MAX)
		errno = EFBIG;
	else if (buf_reserve(&lines, (size_t)st.st_size) == 0) {
		ssize_t n = fsio_read_at(from, lines.data, (size_t)st.st_size, 0);
		const char *end = n > 0 ? memrchr(lines.data, '\n', (size_t)n) : NULL;
		size_t whole = end == NULL ? 0 : (size_t)(end + 1 - lines.data);
		result = n < 0 || (whole > 0 && audit_append(spool, lines.data, whole) < 0) ? -1 : 0;
	}
	buf_fini(&lines);
	return result;
}

static int adopt(const struct spool *spool, const char *early, const char *name)
{
	struct stat st;
	int from = spool_open_shared(spool, spool->fd, early, O_RDONLY), result;
	if (from < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstatat(spool->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		result = renameat(spool->fd, early, spool->fd, name);
	else
		result = append_early(spool, from) < 0 ? -1 : unlinkat(spool->fd, early, 0);
	fsio_close(&from);
	return result < 0 && errno != ENOENT ? -1 : 0;
}

void audit_adopt(const struct spool *spool)
{
	if (adopt(spool, "audit.jsonl.1", AUDIT_OLD) < 0 || adopt(spool, "audit.jsonl", AUDIT) < 0)
		log_warn("cannot move the audit trail %s/audit.jsonl into the folder " FOLDER, spool->path);
}

/* Where it is missing and this user may make it. */
static int make_folder(const struct spool *spool)
{
	int folder = spool_shared_folder(spool, FOLDER);
	if (folder < 0)
		return -1;
	fsio_close(&folder);
	audit_adopt(spool);
	return 0;
}

static int audit_open(struct audit *audit)
{
	struct stat st;
	audit_fini(audit);
	for (int tries = 0; tries < 2 && audit->fd < 0; tries++) {
		audit->fd = spool_open_shared(audit->spool, audit->spool->fd, AUDIT, O_WRONLY | O_APPEND | O_CREAT);
		if (audit->fd < 0 && (errno != ENOENT || make_folder(audit->spool) < 0))
			return -1;
	}
	if (audit->fd < 0 || fstat(audit->fd, &st) < 0)
		return -1;
	/* Its maker gives it its mode; the other of two users finds it done. */
	if (st.st_size == 0 && st.st_uid == geteuid() && spool_share(audit->spool, audit->fd) < 0)
		return -1;
	audit->inode = st.st_ino;
	return 0;
}

/* Makes sure that the descriptor is the file of that name, and not too large. Several processes may come here at once:
 * the lock on the old file lets one of them rename it. */
static int audit_prepare(struct audit *audit)
{
	struct stat st;
	if ((audit->fd < 0 || fstatat(audit->spool->fd, AUDIT, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	     st.st_ino != audit->inode) &&
	    audit_open(audit) < 0)
		return -1;
	/* At its first line too: a CGI process writes no other. */
	if (fstat(audit->fd, &st) < 0)
		return -1;
	if ((uint64_t)st.st_size < audit->max || flock(audit->fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	if (fstatat(audit->spool->fd, AUDIT, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == audit->inode &&
	    renameat(audit->spool->fd, AUDIT, audit->spool->fd, AUDIT_OLD) < 0)
		return -1;
	return audit_open(audit);
}

/* In one write, so that lines of several processes stay whole. */
static int write_lines(int fd, const char *lines, size_t n)
{
	ssize_t written = write(fd, lines, n);
	if (written >= 0 && written < (ssize_t)n)
		errno = ENOSPC;
	return written == (ssize_t)n ? 0 : -1;
}

void audit_write(struct audit *audit, const char *lines, size_t n)
{
	if (n == 0 || (audit_prepare(audit) == 0 && write_lines(audit->fd, lines, n) == 0))
		return;
	int64_t now = clock_monotonic();
	if (audit->warned_at == 0 || now - audit->warned_at >= 60 * CLOCK_SECOND) {
		log_warn("cannot write the audit trail %s/" AUDIT, audit->spool->path);
		audit->warned_at = now;
	}
	audit_fini(audit);
}

int audit_append(const struct spool *spool, const char *lines, size_t n)
{
	int fd = spool_open_shared(spool, spool->fd, AUDIT, O_WRONLY | O_APPEND);
	if (fd < 0)
		return -1;
	int result = write_lines(fd, lines, n);
	fsio_close(&fd);
	return result;
}
