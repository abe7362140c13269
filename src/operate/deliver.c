#include "config.h"

#include "deliver/deliver.h"

#include <getopt.h>
#include <sysexits.h>

#include "operate/command.h"

int command_deliver(const char *conf_path, int argc, char **argv)
{
	static const struct option options[] = {
		{"once", no_argument, NULL, 'o'},
		{"stay", no_argument, NULL, 's'},
		{0},
	};
	enum deliver_until until = DELIVER_IDLE;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'o':
			until = DELIVER_ONCE;
			break;
		case 's':
			until = DELIVER_STOP;
			break;
		default:
			return EX_USAGE;
		}
	if (optind != argc)
		return EX_USAGE;
	struct conf *conf = command_conf(conf_path, false);
	if (conf == NULL)
		return EX_CONFIG;
	int result = deliver(conf, until);
	conf_free(conf);
	return result;
}
