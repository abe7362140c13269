/* hookspool: receives webhooks behind any web server, and never loses one that it acknowledged.
 *
 * An event's way through the folders, which are its stations. Each uses only those that stand before it:
 *
 *     base/      what all of them use               json, the scanner over signed bytes; fsio; log; buf
 *     event/     an event                           event: a line of the journal, the records that targets get
 *     sender/    who sent it                        scheme, presets (the table), unified, mac; explain, key (why not)
 *     web/       a request in, an answer out        fcgi (libfcgi), cgi, request, listen
 *     config/    the configuration                  conf; current (in force, read again when it changes)
 *     spool/     the files of doc/journal.md        segment (written), reader, search; audit_write, audit_read;
 *                                                   published, request_file (between the page and the deliverer)
 *     state/     what the deliverer knows           state; db (SQLite), dedup, segments, deliveries, files, counts
 *     stats/     what is counted for people         connections, refusals, traffic
 *     target/    the user's files and scripts       target (which events), kind (the table), file, run, retry
 *     receive/   one request to one outcome         receive; server (FastCGI), single (CGI), store (a batch's commit)
 *     deliver/   events in, deliveries out          deliver (the loop), intake, dispatch, archive
 *     report/    what there is to say of a spool    overview, and its shapes: page, status_json, metrics
 *     command/   a command a file
 *
 * receive and deliver never meet: the journal is between them. doc/journal.md has every state of the spool on disk. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/signals.h"
#include "command/command.h"
#include "web/cgi.h"
#include "web/listen.h"

/* The commands, in the order of the help. A row is a file of command/ that defines NAME_command. */
/* clang-format off */
#define COMMANDS(row) \
	row(serve) \
	row(deliver) \
	row(check) \
	row(sign) \
	row(verify) \
	row(status) \
	row(log) \
	row(show) \
	row(replay) \
	row(parked) \
	row(retry) \
	row(drop)
/* clang-format on */

#define DECLARE(name) extern const struct command name##_command;
#define ROW(name)     &name##_command,
COMMANDS(DECLARE)
static const struct command *const commands[] = {COMMANDS(ROW) NULL};

static void print_usage(FILE *to)
{
	fprintf(to, "usage: hookspool [-c FILE] COMMAND …\n\n");
	for (const struct command *const *c = commands; *c != NULL; c++)
		fprintf(to, "    %-8s %s\n", (*c)->name, (*c)->summary);
	fprintf(to, "\nWithout a command it serves the web server that started it (FastCGI or CGI).\n"
		    "hookspool COMMAND --help says more, hookspool(1) all; hookspool.conf(5) describes\n"
		    "the configuration.\n");
}

static void print_command_usage(FILE *to, const struct command *command)
{
	fprintf(to, "usage: hookspool [-c FILE] %s %s\n", command->name, command->arguments);
}

static const struct command *find_command(const char *name)
{
	const struct command *const *c = commands;
	while (*c != NULL && strcmp((*c)->name, name) != 0)
		c++;
	return *c;
}

static int run_command(const char *conf_path, int argc, char **argv)
{
	const struct command *command = find_command(argv[0]);
	if (command == NULL) {
		log_warnx("there is no command \"%s\"", argv[0]);
		print_usage(stderr);
		return EX_USAGE;
	}
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		print_command_usage(stdout, command);
		printf("\n%s", command->help);
		return 0;
	}
	optind = 0;
	if (command->prints)
		signals_end_at_pipe();
	int result = command->run(conf_path, argc, argv);
	if (result == EX_USAGE)
		print_command_usage(stderr, command);
	return result;
}

/* What a web server or systemd starts: it says what it wants in the descriptors. */
static int run_started(const char *conf_path)
{
	int listener = inherit_listener();
	if (listener >= 0)
		return command_fcgi(conf_path, listener);
	print_usage(stderr);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	const char *conf_path = NULL;
	int option;
	/* Times are UTC. With this the C library does not read the time zone's file, as it would in each CGI run. */
	setenv("TZ", "UTC0", 1);
	signals_begin();
	inherit_init();
	log_name("hookspool");
	/* With another's rights it would read another's secrets for whoever starts it. */
	if (getauxval(AT_SECURE) != 0 || geteuid() != getuid() || getegid() != getgid()) {
		log_warnx("refuses to run set-uid or set-gid: remove that bit from the program's mode");
		return EX_NOPERM;
	}
	/* A CGI program's arguments are the client's: words of a query string (RFC 3875 section 4.4). */
	if (cgi_is_running() && inherit_listener() < 0)
		return command_cgi(NULL);
	/* "+": options behind the command's name are the command's. */
	while ((option = getopt(argc, argv, "+c:hV")) != -1)
		switch (option) {
		case 'c':
			conf_path = optarg;
			break;
		case 'h':
			print_usage(stdout);
			return 0;
		case 'V':
			puts(PACKAGE_STRING);
			return 0;
		default:
			print_usage(stderr);
			return EX_USAGE;
		}
	if (optind < argc)
		return run_command(conf_path, argc - optind, argv + optind);
	return run_started(conf_path);
}
