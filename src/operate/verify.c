#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

#include "operate/command.h"
#include "operate/input.h"
#include "receive/scheme.h"

static int verify(const struct conf *conf, const char *path, const char *file)
{
	struct buf body = {0};
	struct event event;
	const char *reason;
	const struct conf_endpoint *endpoint = command_endpoint(conf, path);
	if (endpoint == NULL)
		return EX_USAGE;
	if (input_read(file, &body) < 0) {
		buf_fini(&body);
		return EX_NOINPUT;
	}
	enum scheme_verdict verdict =
		scheme_find(endpoint->scheme)->accept(endpoint, body.data, body.len, &event, &reason);
	if (body.len > endpoint->max_body) {
		verdict = SCHEME_MALFORMED;
		reason = "body over max_body";
	}
	if (verdict == SCHEME_ACCEPTED)
		printf("accepted: %s, event %s, %u elements in data\n", endpoint->path, event.id, event.count);
	else
		printf("refused: %s: %s\n", endpoint->path, reason);
	buf_fini(&body);
	return verdict == SCHEME_ACCEPTED ? 0 : 1;
}

int command_verify(const char *conf_path, int argc, char **argv)
{
	static const struct option options[] = {
		{"endpoint", required_argument, NULL, 'e'},
		{0},
	};
	const char *endpoint = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'e')
			return EX_USAGE;
		endpoint = optarg;
	}
	if (optind + 1 != argc)
		return EX_USAGE;
	struct conf *conf = command_conf(conf_path, true);
	if (conf == NULL)
		return EX_CONFIG;
	int result = verify(conf, endpoint, argv[optind]);
	conf_free(conf);
	return result;
}
