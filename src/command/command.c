#include "config.h"

#include "command/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "config/parse.h"
#include "receive/spawn.h"
#include "spool/spool.h"
#include "state/state.h"

static void complain(void *arg, const char *message)
{
	(void)arg;
	log_warnx("%s", message);
}

/* A process that knows secrets writes no core file, and other processes of its user cannot read its memory. An exec
 * ends that, but the deliverer and its scripts know no secrets. */
static char *find_conf(const char *conf_path, bool with_secrets)
{
	char *path = conf_find(conf_path);
	if (path != NULL && with_secrets)
		prctl(PR_SET_DUMPABLE, 0);
	return path;
}

struct conf *command_conf(const char *conf_path, bool with_secrets)
{
	char *path = find_conf(conf_path, with_secrets);
	struct conf *conf = path == NULL ? NULL : conf_read(path, with_secrets, complain, NULL);
	free(path);
	return conf;
}

int command_current(struct current *current, const char *conf_path, bool with_secrets)
{
	char *path = find_conf(conf_path, with_secrets);
	int result = path == NULL ? -1 : current_open(current, path, with_secrets);
	free(path);
	return result;
}

const struct conf_endpoint *command_endpoint(const struct conf *conf, const char *path)
{
	size_t n = path == NULL ? 0 : strlen(path);
	n -= n > 1 && path[n - 1] == '/';
	for (size_t i = 0; i < conf->endpoint_count; i++)
		if (path == NULL ||
		    (strlen(conf->endpoints[i].path) == n && memcmp(conf->endpoints[i].path, path, n) == 0))
			return &conf->endpoints[i];
	log_warnx("%s has no endpoint \"%s\"", conf->path, path == NULL ? "" : path);
	return NULL;
}

int command_options(int argc, char **argv, const struct command_option *known)
{
	struct option options[COMMAND_OPTIONS_MAX + 1] = {0};
	char letters[COMMAND_OPTIONS_MAX + 1] = "";
	int option, index = 0;
	for (size_t i = 0; i < COMMAND_OPTIONS_MAX && known[i].name != NULL; i++) {
		options[i] = (struct option){.name = known[i].name,
					     .has_arg = known[i].value == NULL ? no_argument : required_argument};
		if (known[i].letter != 0)
			letters[strlen(letters)] = known[i].letter;
	}
	while ((option = getopt_long(argc, argv, letters, options, &index)) != -1) {
		if (option == '?')
			return -1;
		if (option != 0)
			for (index = 0; known[index].letter != option;)
				index++;
		if (known[index].flag != NULL)
			*known[index].flag = true;
		else
			/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): an option has a flag or a value */
			*known[index].value = optarg;
	}
	return optind;
}

int command_failed(const struct conf *conf)
{
	switch (errno) {
	case EAGAIN:
		log_warnx("%s/state.db: another process holds it; try again", conf->spool);
		return EX_TEMPFAIL;
	case STATE_CORRUPT:
		log_warnx("%s/state.db: damaged; the next `hookspool deliver` sets it aside and makes a new one",
			  conf->spool);
		return EX_DATAERR;
	case STATE_OTHER_VERSION:
		log_warnx(
			"%s/state.db: made by another version of this program; run that one, or begin with a new spool",
			conf->spool);
		return EX_SOFTWARE;
	case ENOSPC:
	case EDQUOT:
	case EROFS:
		log_warn("%s/state.db: cannot be used", conf->spool);
		return EX_IOERR;
	case EACCES:
		log_warn("%s, or state.db in it, cannot be used by this user (%u)", conf->spool, (unsigned)geteuid());
		return EX_IOERR;
	default:
		log_warn("%s: cannot be read", conf->spool);
		return EX_IOERR;
	}
}

int command_unread(const struct conf *conf, const char *unread)
{
	if (unread[0] == '\0')
		return command_failed(conf);
	bool is_other = errno == EACCES || errno == EPERM;
	log_warnx("%s/%s: cannot be read: %s%s", conf->spool, unread, strerrordesc_np(errno),
		  is_other ? "; give it to the user of the deliverer (chown), or move it away" : "");
	return EX_IOERR;
}

/* Only the spool's owner may start a deliverer: files that it makes belong to its user, and scripts run as that user.
 */
static bool is_owner(const struct spool *spool)
{
	struct stat st;
	return fstat(spool->fd, &st) == 0 && st.st_uid == geteuid();
}

void command_wake(const struct conf *conf, struct spool *spool)
{
	if (spool_trigger(spool) == SPOOL_AWAKE)
		return;
	if (conf->deliver_auto && is_owner(spool))
		wake_deliverer(conf->path, spool);
	else
		log_warnx("no deliverer runs: this takes effect when `hookspool deliver` is run by its user");
}
