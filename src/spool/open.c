#include "config.h"

#include "spool/open.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "config/conf.h"
#include "spool/audit_write.h"
#include "spool/layout.h"

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
	    fchmod(folder, spool_folder_mode(spool, false)) == 0 && fsio_sync(folder) == 0)
		result = fsio_sync(above);
	fsio_close(&folder);
	fsio_close(&above);
	return result;
}

static int open_folder(const struct spool *spool, const char *name)
{
	return openat(spool->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Where the deliverer is another user, the receiver finds what it needs, or waits for it. */
static int open_for_receiver(struct spool *spool)
{
	spool->journal_fd = open_folder(spool, "journal");
	if (spool->journal_fd < 0 && errno == ENOENT)
		spool->journal_fd = spool_shared_folder(spool, "journal");
	if (spool->journal_fd < 0)
		return -1;
	return spool_make_trigger(spool) < 0 && errno != EACCES ? -1 : 0;
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
	return spool_make_trigger(spool);
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
