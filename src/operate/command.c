#include "config.h"

#include "operate/command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"

static void complain(void *arg, const char *message)
{
	(void)arg;
	log_warnx("%s", message);
}

struct conf *command_conf(const char *conf_path, bool with_secrets)
{
	char *path = conf_find(conf_path);
	if (path == NULL)
		return NULL;
	/* Who knows secrets leaves no core, and is no other process's of this user to look into. An exec undoes it: the
	 * deliverer and its scripts have none. */
	if (with_secrets)
		prctl(PR_SET_DUMPABLE, 0);
	struct conf *conf = conf_read(path, with_secrets, complain, NULL);
	free(path);
	return conf;
}

const struct conf_endpoint *command_endpoint(const struct conf *conf, const char *path)
{
	for (size_t i = 0; i < conf->endpoint_count; i++)
		if (path == NULL || strcmp(conf->endpoints[i].path, path) == 0)
			return &conf->endpoints[i];
	log_warnx("%s has no endpoint \"%s\"", conf->path, path == NULL ? "" : path);
	return NULL;
}
