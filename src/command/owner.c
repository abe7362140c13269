#include "config.h"

#include "command/owner.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* 0, or -1 with errno. */
static int find_owner(const struct conf *conf, struct stat *st)
{
	char parent[PATH_MAX];
	if (stat(conf->spool, st) == 0)
		return 0;
	snprintf(parent, sizeof parent, "%s", conf->spool);
	return errno == ENOENT ? stat(dirname(parent), st) : -1;
}

/* The user's own groups, and the spool's. */
static int take_groups(const struct conf *conf, const struct passwd *user, gid_t group)
{
	gid_t groups[NGROUPS_MAX + 1];
	int count = NGROUPS_MAX;
	if (user == NULL || getgrouplist(user->pw_name, group, groups, &count) < 0) {
		groups[0] = group;
		count = 1;
	}
	if (conf->has_group)
		groups[count++] = conf->group;
	return setgroups((size_t)count, groups);
}

int owner_become(const struct conf *conf)
{
	struct stat st;
	/* If neither the spool nor its parent is there, the command says so. */
	if (geteuid() != 0 || find_owner(conf, &st) < 0 || st.st_uid == 0)
		return 0;
	const struct passwd *user = getpwuid(st.st_uid);
	gid_t group = user == NULL ? st.st_gid : user->pw_gid;
	if (take_groups(conf, user, group) == 0 && setgid(group) == 0 && setuid(st.st_uid) == 0)
		return 0;
	log_warn("%s belongs to the user %u, whom this process cannot become; run this command as that user",
		 conf->spool, (unsigned)st.st_uid);
	return -1;
}
