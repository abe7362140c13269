/* hookspool: receives webhooks behind any web server, and never loses one that it acknowledged.
 *
 * An event's way, and where its stations are:
 *
 *     gateway/   a request in, an answer out         fcgi (libfcgi), cgi, request (body, answer)
 *     receive/   one request to one outcome          receive; scheme and unified (who sent it); mac (nettle's HMACs)
 *                the page                            view (what was written for it is sent)
 *                many requests                       server (acceptors, committer), bodies (buffers), single (CGI)
 *                made durable                        store (a batch's commit), wake (starts a deliverer)
 *     journal/   where it waits                      event (a line), segment (written), reader, history, lines, spool
 *                what became of it                   audit (written), trail (read)
 *                between page and deliverer          snapshot (what is shown), errand (what is asked for)
 *     deliver/   taken in, and handed out            deliver (the loop); round (events in), lanes (deliveries out)
 *                to the user's files and scripts     target (which events), target_file, target_run, retry, orphans
 *                                                    (of scripts), outpath (a file, opened safely), remains (what a
 *                                                    crash left in it), standing (what stays of that)
 *                what is known, and what is kept     state (state_sql: SQLite), identities, archive, kept (what
 *                                                    waits), adopt (of it, what a crash left)
 *                counted, for people                 progress (of syncs), tally (of refusals), traffic
 *                what the page asked for             errands
 *                what nobody takes any more          gone (targets that are not in the configuration)
 *
 * Beside the way: operate/ has the commands, one file each; config/ the configuration, which current has
 * in force and exchanges when its files change; base/ what all of them use, such as json, the scanner over signed
 * bytes. doc/journal.md has every state of the spool on disk. Each folder uses only what stands below it: operate, then
 * receive and deliver (never each other), gateway, journal, config, base. */
#include "config.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/signals.h"
#include "gateway/cgi.h"
#include "operate/command.h"
#include "operate/help.h"
#include "operate/inherit.h"

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
