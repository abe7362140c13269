#include "config.h"

#include "spool/request_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"

#define FOLDER       "errands"
#define ALL          "all"
#define TARGET_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

bool errand_parse(struct errand *errand, const char *name)
{
	const size_t digits = EVENT_ID_SIZE - 1;
	size_t n = strlen(name);
	if (n >= sizeof errand->name)
		return false;
	memcpy(errand->name, name, n + 1);
	errand->all = strcmp(name, ALL) == 0;
	errand->event[0] = '\0';
	errand->target = NULL;
	if (errand->all)
		return true;
	if (strspn(name, "0123456789abcdef") != digits || name[digits] != '.' || name[digits + 1] == '\0' ||
	    name[digits + 1 + strspn(name + digits + 1, TARGET_CHARS)] != '\0')
		return false;
	memcpy(errand->event, name, digits);
	errand->event[digits] = '\0';
	errand->target = errand->name + digits + 1;
	return true;
}

int errand_leave(const char *spool, const struct errand *errand)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/" FOLDER, spool) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return -1;
	int fd = openat(folder, errand->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int result = fd >= 0 || errno == EEXIST ? 0 : -1;
	fsio_close(&fd);
	fsio_close(&folder);
	return result;
}

struct list {
	struct errand *errands;
	int count, max;
};

static int list_one(void *arg, int folder, const char *name)
{
	struct list *list = arg;
	struct stat st;
	if (errand_parse(&list->errands[list->count], name) && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISREG(st.st_mode))
		list->count++;
	return list->count == list->max;
}

int errand_list(const struct spool *spool, struct errand *errands, int max)
{
	struct list list = {.errands = errands, .max = max};
	return fsio_each_name(spool->fd, FOLDER, list_one, &list) < 0 ? -1 : list.count;
}

int errand_done(const struct spool *spool, const struct errand *errand)
{
	int folder = openat(spool->fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result = folder < 0 ? -1 : unlinkat(folder, errand->name, 0);
	fsio_close(&folder);
	return result;
}
