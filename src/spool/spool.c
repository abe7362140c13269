#include "config.h"

#include "spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "config/conf.h"

#define BODY_MAX   (UINT64_C(64) << 20)
#define FIELDS_MAX (UINT64_C(1) << 20)

mode_t spool_folder_mode(const struct spool *spool, bool is_shared)
{
	return !spool->has_group ? 0700 : is_shared ? 02770 : 02750;
}

mode_t spool_file_mode(const struct spool *spool, bool is_shared)
{
	return !spool->has_group ? 0600 : is_shared ? 0660 : 0640;
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
	int fd = fsio_make_folder(spool->fd, name, spool_folder_mode(spool, is_shared));
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

/* One that is removed again before it has its mode does without: whoever listens makes another one. */
int spool_make_trigger(const struct spool *spool)
{
	if (mkfifoat(spool->fd, "trigger", 0600) < 0)
		return errno == EEXIST ? 0 : -1;
	if ((!has_owner(spool) ||
	     fchownat(spool->fd, "trigger", spool->owner, group_of(spool), AT_SYMLINK_NOFOLLOW) == 0) &&
	    fchmodat(spool->fd, "trigger", spool_file_mode(spool, true), 0) == 0)
		return 0;
	return errno == ENOENT ? 0 : -1;
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
	return fchmod(fd, spool_file_mode(spool, is_shared));
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
	if (fd < 0 && errno == ENOENT && spool_make_trigger(spool) == 0)
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
