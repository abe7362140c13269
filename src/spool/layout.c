#include "config.h"

#include "spool/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "config/conf.h"

/* What may stand in a spool. The spool's own folder comes first: once only the deliverer may rename what is in it, each
 * of the others is what its name says. */
static const struct member {
	const char *name;
	bool is_folder, is_shared;
} members[] = {
	{".", true, false},         {"journal", true, true},        {"errands", true, true},
	{"audit", true, true},      {"archive", true, false},       {"damaged", true, false},
	{"status", true, false},    {"trigger", false, true},       {"deliver.lock", false, false},
	{"state.db", false, false}, {"state.db-wal", false, false}, {"state.db-shm", false, false},
};
#define MEMBERS (sizeof members / sizeof members[0])

bool layout_may_make(const struct conf *conf, enum spool_use use)
{
	return use == SPOOL_DELIVER || (use == SPOOL_RECEIVE && (!conf->has_group || conf->deliver_auto));
}

/* What the mode should be: the owner's and others' bits stay, the group gets those of the layout. */
static mode_t settled(const struct stat *st, bool is_shared)
{
	if (S_ISDIR(st->st_mode))
		return (st->st_mode & 0707) | 02050 | (is_shared ? 0020 : 0);
	return (st->st_mode & 0707) | 0040 | (is_shared ? 0020 : 0);
}

static bool is_settled(const struct spool *spool, const struct stat *st, bool is_shared)
{
	return st->st_gid == spool->group && (st->st_mode & 07777) == settled(st, is_shared);
}

static int settle_file(const struct spool *spool, int fd, bool is_shared)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -1;
	if (st.st_uid != geteuid() || is_settled(spool, &st, is_shared))
		return 0;
	return fchown(fd, (uid_t)-1, spool->group) < 0 ? -1 : fchmod(fd, settled(&st, is_shared));
}

struct settling {
	const struct spool *spool;
	bool is_shared;
};

/* The other user may still have names made here: whatever is no plain file is left alone. */
static int settle_content(void *arg, int folder, const char *name)
{
	const struct settling *settling = arg;
	int fd = spool_open_shared(settling->spool, folder, name, O_RDONLY);
	if (fd < 0)
		return 0;
	int result = settle_file(settling->spool, fd, settling->is_shared);
	fsio_close(&fd);
	return result;
}

/* The folder's own mode is changed after its files': a crash between is made up for. */
static int settle_folder(const struct spool *spool, const struct member *member, const struct stat *st)
{
	struct settling settling = {spool, member->is_shared};
	int fd = openat(spool->fd, member->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = member == members ? 0 : fsio_each_name(fd, ".", settle_content, &settling);
	if (result == 0 && (fchown(fd, (uid_t)-1, spool->group) < 0 || fchmod(fd, settled(st, member->is_shared)) < 0 ||
			    fsio_sync(fd) < 0))
		result = -1;
	fsio_close(&fd);
	return result;
}

/* By name, which nobody else can change by now: to open a FIFO would be to wake its writers, to close a database to
 * give up its locks. */
static int settle_name(const struct spool *spool, const struct member *member, const struct stat *st)
{
	return fchownat(spool->fd, member->name, (uid_t)-1, spool->group, AT_SYMLINK_NOFOLLOW) < 0
		       ? -1
		       : fchmodat(spool->fd, member->name, settled(st, member->is_shared), 0);
}

/* Whether it belongs to somebody else though only the deliverer may write it. */
static bool is_foreign(const struct member *member, const struct stat *st, uid_t deliverer)
{
	return !member->is_shared && st->st_uid != deliverer;
}

static int settle(const struct spool *spool, const struct member *member)
{
	struct stat st;
	if (fstatat(spool->fd, member->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -1;
	if (is_foreign(member, &st, geteuid())) {
		errno = EPERM;
		return -1;
	}
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode) != member->is_folder || st.st_uid != geteuid() ||
	    is_settled(spool, &st, member->is_shared))
		return 0;
	return member->is_folder ? settle_folder(spool, member, &st) : settle_name(spool, member, &st);
}

int layout_settle(const struct spool *spool)
{
	for (size_t i = 0; spool->has_group && i < MEMBERS; i++)
		if (settle(spool, &members[i]) < 0)
			return -1;
	return 0;
}

bool layout_is_foreign(const struct conf *conf, uid_t deliverer, char text[LAYOUT_FAULT_SIZE])
{
	for (size_t i = 0; conf->has_group && i < MEMBERS; i++) {
		char path[PATH_MAX];
		struct stat st;
		snprintf(path, sizeof path, "%s/%s", conf->spool, members[i].name);
		if (lstat(path, &st) < 0 || !is_foreign(&members[i], &st, deliverer))
			continue;
		snprintf(text, LAYOUT_FAULT_SIZE,
			 "%s belongs to the user %u, but must belong to the deliverer's, which is %u: chown -Rh %u %s",
			 i == 0 ? conf->spool : path, (unsigned)st.st_uid, (unsigned)deliverer, (unsigned)deliverer,
			 conf->spool);
		return true;
	}
	return false;
}

static bool fault_of_receiver(const struct conf *conf, char text[LAYOUT_FAULT_SIZE])
{
	char journal[PATH_MAX];
	snprintf(journal, sizeof journal, "%s/journal", conf->spool);
	if (access(journal, R_OK | W_OK | X_OK) == 0)
		return false;
	if (errno == ENOENT && access(conf->spool, W_OK | X_OK) < 0)
		snprintf(text, LAYOUT_FAULT_SIZE,
			 "%s is not there, and only the deliverer makes it: start it (hookspool deliver)", journal);
	else if (errno == EACCES && conf->has_group)
		snprintf(text, LAYOUT_FAULT_SIZE,
			 "this user (%u) may not write in %s: is it in the group %u, and was the deliverer started "
			 "since "
			 "`group` was set?",
			 (unsigned)geteuid(), journal, (unsigned)conf->group);
	else
		return false;
	return true;
}

bool layout_fault(const struct conf *conf, enum spool_use use, char text[LAYOUT_FAULT_SIZE])
{
	struct stat st;
	if (stat(conf->spool, &st) < 0) {
		if (errno != ENOENT || layout_may_make(conf, use))
			return false;
		snprintf(text, LAYOUT_FAULT_SIZE,
			 "%s is not there, and only the deliverer makes it: start it (hookspool deliver)", conf->spool);
		return true;
	}
	if (st.st_mode & S_IWOTH) {
		snprintf(text, LAYOUT_FAULT_SIZE, "everybody can write in %s: chmod o-w %s", conf->spool, conf->spool);
		return true;
	}
	return use == SPOOL_DELIVER ? layout_is_foreign(conf, geteuid(), text) : fault_of_receiver(conf, text);
}
