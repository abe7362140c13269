#include "config.h"

#include "spool/strays.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fsio.h"
#include "spool/request_file.h"
#include "spool/segment.h"

static bool names_segment(const char *name)
{
	/* With a dot: one that is being written or put away. */
	return segment_parse_name(name[0] == '.' ? name + 1 : name, NULL);
}

static bool names_errand(const char *name)
{
	struct errand errand;
	return errand_parse(&errand, name);
}

static bool names_trail(const char *name)
{
	return strcmp(name, "audit.jsonl") == 0 || strcmp(name, "audit.jsonl.1") == 0;
}

static const struct folder {
	const char *name;
	bool (*belongs)(const char *name);
	bool is_shared;
} folders[] = {
	{"journal", names_segment, true},
	{"errands", names_errand, true},
	{"audit", names_trail, true},
	{"archive", names_segment, false},
};

struct looking {
	const struct spool *spool;
	const struct folder *folder;
	uid_t deliverer;
	struct strays *strays;
};

/* NULL: nothing is wrong with it. */
static const char *fault_of(const struct looking *looking, int folder, const char *name)
{
	struct stat st;
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	if (!looking->folder->belongs(name))
		return "is nothing that belongs there";
	if (!S_ISREG(st.st_mode))
		return spool_fault(EINVAL);
	if (!looking->spool->has_group || !looking->folder->is_shared)
		return NULL;
	if (st.st_uid == looking->deliverer)
		return st.st_nlink > 1 ? spool_fault(EMLINK) : NULL;
	/* A segment is empty until it has its mode. */
	return st.st_size > 0 && st.st_uid != 0 && (st.st_gid != looking->spool->group || (st.st_mode & S_IRGRP) == 0)
		       ? "cannot be read by the deliverer"
		       : NULL;
}

static int look_at(void *arg, int folder, const char *name)
{
	const struct looking *looking = arg;
	struct strays *strays = looking->strays;
	const char *fault = fault_of(looking, folder, name);
	if (fault == NULL)
		return 0;
	if (strays->count++ > 0)
		return 0;
	int at = snprintf(strays->first, sizeof strays->first, "%s/", looking->folder->name);
	int end = snprintf(strays->first + at, sizeof strays->first - (size_t)at, "%.200s", name) + at;
	if (end > at + 200)
		end = at + 200;
	/* The name is the other user's. */
	for (char *s = strays->first + at; *s != '\0'; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
	snprintf(strays->first + end, sizeof strays->first - (size_t)end, " %s", fault);
	return 0;
}

int strays_look(const struct spool *spool, struct strays *strays)
{
	struct stat root;
	*strays = (struct strays){0};
	if (fstat(spool->fd, &root) < 0)
		return -1;
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		struct looking looking = {spool, &folders[i], root.st_uid, strays};
		if (fsio_each_name(spool->fd, folders[i].name, look_at, &looking) < 0 && errno != ENOENT)
			return -1;
	}
	return 0;
}
