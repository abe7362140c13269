#include "config.h"

#include "journal/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "config/conf.h"

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
	    fchmod(folder, spool->folder_mode) == 0 && fsio_sync(folder) == 0)
		result = fsio_sync(above);
	fsio_close(&folder);
	fsio_close(&above);
	return result;
}

int spool_folder(const struct spool *spool, const char *name)
{
	int fd = fsio_make_folder(spool->fd, name, spool->folder_mode);
	struct stat st;
	/* A folder of another owner has its group already; only its maker may give it away. */
	if (fd >= 0 && spool->has_group && fstat(fd, &st) == 0 && st.st_gid != spool->group &&
	    fchown(fd, (uid_t)-1, spool->group) < 0)
		fsio_close(&fd);
	return fd;
}

static int open_folder(const struct spool *spool, const char *name, bool make)
{
	return make ? spool_folder(spool, name)
		    : openat(spool->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_trigger(const struct spool *spool)
{
	if (mkfifoat(spool->fd, "trigger", 0600) < 0)
		return errno == EEXIST ? 0 : -1;
	if (spool->has_group && fchownat(spool->fd, "trigger", (uid_t)-1, spool->group, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return fchmodat(spool->fd, "trigger", spool->file_mode, 0);
}

int spool_open(struct spool *spool, const struct conf *conf, enum spool_use use)
{
	bool make = use == SPOOL_RECEIVE || use == SPOOL_DELIVER;
	bool whole = use == SPOOL_DELIVER || use == SPOOL_LOOK;
	struct stat st;
	*spool = SPOOL_NONE;
	spool->path = conf->spool;
	spool->has_group = conf->has_group;
	spool->group = conf->group;
	spool->folder_mode = conf->has_group ? 02770 : 0700;
	spool->file_mode = conf->has_group ? 0660 : 0600;
	if (make && make_root(spool) < 0)
		return -1;
	spool->fd = open(spool->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->fd < 0 || fstat(spool->fd, &st) < 0)
		goto fail;
	if (st.st_mode & S_IWOTH) {
		errno = EPERM;
		goto fail;
	}
	spool->journal_fd = open_folder(spool, "journal", make);
	if (spool->journal_fd < 0)
		goto fail;
	if (whole) {
		spool->archive_fd = open_folder(spool, "archive", make);
		spool->damaged_fd = open_folder(spool, "damaged", make);
		/* A command may look at a spool that no deliverer has opened yet. */
		if (make && (spool->archive_fd < 0 || spool->damaged_fd < 0))
			goto fail;
	}
	if (make && make_trigger(spool) < 0)
		goto fail;
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

bool spool_is_there(const struct spool *spool)
{
	struct stat named, open_one;
	char journal[PATH_MAX];
	if (snprintf(journal, sizeof journal, "%s/journal", spool->path) >= (int)sizeof journal)
		return false;
	return stat(journal, &named) == 0 && fstat(spool->journal_fd, &open_one) == 0 &&
	       named.st_dev == open_one.st_dev && named.st_ino == open_one.st_ino;
}

int spool_own(const struct spool *spool, int fd)
{
	if (spool->has_group && fchown(fd, (uid_t)-1, spool->group) < 0)
		return -1;
	return fchmod(fd, spool->file_mode);
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
	return open_trigger(spool, O_RDWR);
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
