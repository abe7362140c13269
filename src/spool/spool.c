#include "config.h"

#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "config/conf.h"
#include "spool/audit_write.h"
#include "spool/layout.h"

#define BODY_MAX   (UINT64_C(64) << 20)
#define FIELDS_MAX (UINT64_C(1) << 20)

/* Makes the spool's own folder, durably, and gives it its mode. */
static int make_root(const struct spool *spool)
{
	if (mkdir(spool->path, 0700) < 0)
		return errno == EEXIST ? 0 : -1;
	char parent[PATH_MAX];
	if (snprintf(parent, sizeof parent, "%s", spool->path) >= (int)sizeof parent) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int folder = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int above = open(dirname(parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = -1;
	if (folder >= 0 && above >= 0 && (!spool->has_group || fchown(folder, (uid_t)-1, spool->group) == 0) &&
	    fchmod(folder, layout_folder_mode(spool, false)) == 0 && fsio_sync(folder) == 0)
		result = fsio_sync(above);
	fsio_close(&folder);
	fsio_close(&above);
	return result;
}

static bool has_owner(const struct spool *spool)
{
	return spool->has_group || spool->owner != (uid_t)-1;
}

static gid_t group_of(const struct spool *spool)
{
	return spool->has_group ? spool->group : (gid_t)-1;
}

static int make_folder(const struct spool *spool, const char *name, bool is_shared)
{
	int fd = fsio_make_folder(spool->fd, name, layout_folder_mode(spool, is_shared));
	struct stat st;
	/* A folder of another owner has its group already; only its maker may give it away. */
	if (fd >= 0 && has_owner(spool) && fstat(fd, &st) == 0 &&
	    ((spool->has_group && st.st_gid != spool->group) || (st.st_uid == 0 && spool->owner != (uid_t)-1)) &&
	    fchown(fd, spool->owner, group_of(spool)) < 0)
		fsio_close(&fd);
	return fd;
}

int spool_folder(const struct spool *spool, const char *name)
{
	return make_folder(spool, name, false);
}

int spool_shared_folder(const struct spool *spool, const char *name)
{
	return make_folder(spool, name, true);
}

static int open_folder(const struct spool *spool, const char *name)
{
	return openat(spool->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* One that is removed again before it has its mode does without: whoever listens makes another one. */
static int make_trigger(const struct spool *spool)
{
	if (mkfifoat(spool->fd, "trigger", 0600) < 0)
		return errno == EEXIST ? 0 : -1;
	if ((!has_owner(spool) ||
	     fchownat(spool->fd, "trigger", spool->owner, group_of(spool), AT_SYMLINK_NOFOLLOW) == 0) &&
	    fchmodat(spool->fd, "trigger", layout_file_mode(spool, true), 0) == 0)
		return 0;
	return errno == ENOENT ? 0 : -1;
}

/* Where the deliverer is another user, the receiver finds what it needs, or waits for it. */
static int open_for_receiver(struct spool *spool)
{
	spool->journal_fd = open_folder(spool, "journal");
	if (spool->journal_fd < 0 && errno == ENOENT)
		spool->journal_fd = spool_shared_folder(spool, "journal");
	if (spool->journal_fd < 0)
		return -1;
	return make_trigger(spool) < 0 && errno != EACCES ? -1 : 0;
}

static int open_for_deliverer(struct spool *spool)
{
	static const char *const shared[] = {"audit", "errands"};
	if (layout_settle(spool) < 0)
		return -1;
	spool->journal_fd = spool_shared_folder(spool, "journal");
	spool->archive_fd = spool_folder(spool, "archive");
	spool->damaged_fd = spool_folder(spool, "damaged");
	if (spool->journal_fd < 0 || spool->archive_fd < 0 || spool->damaged_fd < 0)
		return -1;
	for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
		int folder = spool_shared_folder(spool, shared[i]);
		if (folder < 0)
			return -1;
		fsio_close(&folder);
	}
	audit_adopt(spool);
	return make_trigger(spool);
}

static int open_as_it_is(struct spool *spool, bool whole)
{
	spool->journal_fd = open_folder(spool, "journal");
	if (spool->journal_fd < 0)
		return -1;
	/* A command may look at a spool that no deliverer has opened yet. */
	if (whole) {
		spool->archive_fd = open_folder(spool, "archive");
		spool->damaged_fd = open_folder(spool, "damaged");
	}
	return 0;
}

static int open_folders(struct spool *spool, enum spool_use use)
{
	switch (use) {
	case SPOOL_RECEIVE:
		return open_for_receiver(spool);
	case SPOOL_DELIVER:
		return open_for_deliverer(spool);
	case SPOOL_RETURN:
	case SPOOL_LOOK:
		break;
	}
	return open_as_it_is(spool, use == SPOOL_LOOK);
}

int spool_open(struct spool *spool, const struct conf *conf, enum spool_use use)
{
	struct stat st;
	*spool = SPOOL_NONE;
	spool->path = conf->spool;
	spool->has_group = conf->has_group;
	spool->group = conf->group;
	spool->owner = (uid_t)-1;
	spool_renew(spool, conf);
	if (layout_may_make(conf, use) && make_root(spool) < 0)
		return -1;
	spool->fd = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->fd < 0 || fstat(spool->fd, &st) < 0)
		goto fail;
	if (st.st_mode & S_IWOTH) {
		errno = EPERM;
		goto fail;
	}
	spool->owner = geteuid() == 0 && st.st_uid != 0 ? st.st_uid : (uid_t)-1;
	if (open_folders(spool, use) == 0)
		return 0;
fail:
	spool_close(spool);
	return -1;
}

void spool_close(struct spool *spool)
{
	fsio_close(&spool->trigger_fd);
	fsio_close(&spool->damaged_fd);
	fsio_close(&spool->archive_fd);
	fsio_close(&spool->journal_fd);
	fsio_close(&spool->fd);
}

void spool_renew(struct spool *spool, const struct conf *conf)
{
	/* A line is little longer than its body. A larger body may have been allowed before. */
	uint64_t body_max = conf->in_flight_max > BODY_MAX ? conf->in_flight_max : BODY_MAX;
	spool->line_max = body_max + FIELDS_MAX;
}

bool spool_is_there(const struct spool *spool)
{
	struct stat named, open_one;
	char journal[PATH_MAX];
	if (snprintf(journal, sizeof journal, "%s/journal", spool->path) >= (int)sizeof journal)
		return false;
	return stat(journal, &named) == 0 && fstat(spool->journal_fd, &open_one) == 0 &&
	       named.st_dev == open_one.st_dev && named.st_ino == open_one.st_ino;
}

static int give(const struct spool *spool, int fd, bool is_shared)
{
	if (has_owner(spool) && fchown(fd, spool->owner, group_of(spool)) < 0)
		return -1;
	return fchmod(fd, layout_file_mode(spool, is_shared));
}

int spool_own(const struct spool *spool, int fd)
{
	return give(spool, fd, false);
}

int spool_share(const struct spool *spool, int fd)
{
	return give(spool, fd, true);
}

const char *spool_fault(int error)
{
	switch (error) {
	case EINVAL:
	case ELOOP:
	case ENXIO:
		return "is no regular file";
	case EMLINK:
		return "is a file of this user's that has another name (a hard link)";
	case EFBIG:
		return "has a line that is longer than any request";
	default:
		return strerror(error);
	}
}

int spool_open_shared(const struct spool *spool, int folder, const char *name, int flags)
{
	struct stat st;
	int fd = openat(folder, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		goto fail;
	if (!S_ISREG(st.st_mode))
		errno = EINVAL;
	else if (spool->has_group && st.st_nlink > 1 && st.st_uid == geteuid())
		errno = EMLINK;
	else
		return fd;
fail:
	fsio_close(&fd);
	return -1;
}

/* Only a FIFO will do: a byte written to a file in its place would wake nobody. */
static int open_trigger(const struct spool *spool, int flags)
{
	struct stat st;
	int fd = openat(spool->fd, "trigger", flags | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))) {
		fsio_close(&fd);
		errno = EINVAL;
	}
	return fd;
}

int spool_trigger_listen(const struct spool *spool)
{
	int fd = open_trigger(spool, O_RDWR);
	if (fd < 0 && errno == ENOENT && make_trigger(spool) == 0)
		fd = open_trigger(spool, O_RDWR);
	return fd;
}

enum spool_wake spool_trigger(struct spool *spool)
{
	/* The second time around is for a reader that came back: the old end answers EPIPE, a new one may be open. */
	for (int tries = 0; tries < 2; tries++) {
		if (spool->trigger_fd < 0)
			spool->trigger_fd = open_trigger(spool, O_WRONLY);
		if (spool->trigger_fd < 0)
			return errno == ENXIO ? SPOOL_ASLEEP : SPOOL_WAKE_FAILED;
		if (write(spool->trigger_fd, "", 1) == 1 || errno == EAGAIN)
			return SPOOL_AWAKE;
		fsio_close(&spool->trigger_fd);
	}
	return SPOOL_ASLEEP;
}

bool spool_is_named(const struct spool *spool, const char *name, int fd)
{
	struct stat named, opened;
	return fstatat(spool->fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &opened) == 0 &&
	       named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

/* Takes the folder's lock, or closes it. */
static int lock_folder(int fd)
{
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return fd;
	fsio_close(&fd);
	errno = EAGAIN;
	return -1;
}

int spool_seat(const struct spool *spool)
{
	return lock_folder(openat(spool->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

int spool_place(const struct spool *spool, int handed)
{
	bool is_place = handed >= 0 && spool_is_named(spool, "journal", handed);
	return lock_folder(is_place ? fcntl(handed, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
				    : openat(spool->fd, "journal", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

/* Locks of open file descriptions (fcntl(2), F_OFD_SETLK): they can be asked for without being taken, which flock's
 * cannot, and they work over NFS. */
static struct flock whole_file(void)
{
	return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

int spool_lock(const struct spool *spool)
{
	int fd = openat(spool->fd, "deliver.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	struct flock lock = whole_file();
	char pid[24];
	int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	struct stat st;
	if (fcntl(fd, F_OFD_SETLK, &lock) < 0) {
		if (errno == EACCES)
			errno = EAGAIN;
		fsio_close(&fd);
		return -1;
	}
	if (fstat(fd, &st) < 0 || (st.st_uid == geteuid() && spool_own(spool, fd) < 0) || ftruncate(fd, 0) < 0 ||
	    pwrite(fd, pid, (size_t)n, 0) != n)
		fsio_close(&fd);
	return fd;
}

pid_t spool_locked_by(const struct spool *spool)
{
	int fd = openat(spool->fd, "deliver.lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	struct flock lock = whole_file();
	char text[24] = "";
	pid_t holder = 0;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		holder = -1;
	else if (lock.l_type != F_UNLCK)
		holder = pread(fd, text, sizeof text - 1, 0) > 0 ? (pid_t)strtol(text, NULL, 10) : -1;
	fsio_close(&fd);
	return holder;
}
