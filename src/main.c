/* hookspool: receives webhooks behind any web server, and never loses one that it acknowledged.
 *
 * An event's way through the folders, which are its stations. Each uses only those that stand before it:
 *
 *     base/      what all of them use               json, the scanner over signed bytes; fsio; log; buf
 *     event/     an event                           event: a line of the journal, the records that targets get
 *     sender/    who sent it                        scheme (the table), unified, mac; explain, key (why not)
 *     web/       a request in, an answer out        fcgi (libfcgi), cgi, request, listen
 *     config/    the configuration                  conf; current (in force, read again when it changes)
 *     spool/     the files of doc/journal.md        segment (written), reader, search; audit_write, audit_read;
 *                                                   published, request_file (between the page and the deliverer)
 *     state/     what the deliverer knows           state; db (SQLite), deliveries, files, dedup, counts
 *     stats/     what is counted for people         connections, refusals, traffic
 *     target/    the user's files and scripts       target (which events), file, run, retry
 *     receive/   one request to one outcome         receive; server (FastCGI), single (CGI), store (a batch's commit)
 *     deliver/   events in, deliveries out          deliver (the loop), intake, dispatch, archive
 *     report/    what there is to say of a spool    overview, and its shapes: page, status_json, metrics
 *     command/   a command a file
 *
 * receive and deliver never meet: the journal is between them. doc/journal.md has every state of the spool on disk. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/signals.h"
#include "command/command.h"
#include "command/help.h"
#include "web/cgi.h"
#include "web/listen.h"

static const struct command commands[] = {
	{"serve", command_serve, "[-s SOCKET]", "serve FastCGI on a unix socket; start and watch a deliverer", false},
	{"deliver", command_deliver, "[--once|--stay]", "deliver what is in the journal; end when idle", false},
	{"check", command_check, "", "say what the configuration means, or what is wrong with it", true},
	{"sign", command_sign, "[OPTION …] FILE", "print a signed payload for the data in FILE", true},
	{"verify", command_verify, "[--endpoint PATH] [--explain] FILE", "check a captured body", true},
	{"status", command_status, "[--json]", "how it is: what came, what waits, what failed", true},
	{"log", command_log, "[-f] [--json]", "the audit trail: requests and deliveries", true},
	{"show", command_show, "[--json] ID", "an event and what became of it", true},
	{"replay", command_replay, "[--target NAME] ID | --since TIME", "deliver again", false},
	{"parked", command_parked, "[--json]", "what was given up", true},
	{"retry", command_retry, "ID | --all", "try again what was given up", false},
	{"drop", command_drop, "ID | --all", "forget what was given up", false},
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_usage(FILE *to)
{
	fprintf(to, "usage: hookspool [-c FILE] COMMAND …\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "    %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(to, "\nWithout a command it serves the web server that started it (FastCGI or CGI).\n"
		    "hookspool COMMAND --help says more, hookspool(1) all; hookspool.conf(5) describes\n"
		    "the configuration.\n");
}

static void print_help(const struct command *command)
{
	printf("usage: hookspool [-c FILE] %s %s\n\n%s", command->name, command->arguments, help_text(command->name));
}

static int run_command(const char *conf_path, int argc, char **argv)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[0], commands[i].name) != 0)
			continue;
		if (argc > 1 && strcmp(argv[1], "--help") == 0) {
			print_help(&commands[i]);
			return 0;
		}
		optind = 0;
		if (commands[i].prints)
			signals_end_at_pipe();
		int result = commands[i].run(conf_path, argc, argv);
		if (result == EX_USAGE)
			fprintf(stderr, "usage: hookspool [-c FILE] %s %s\n", commands[i].name, commands[i].arguments);
		return result;
	}
	log_warnx("there is no command \"%s\"", argv[0]);
	print_usage(stderr);
	return EX_USAGE;
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
