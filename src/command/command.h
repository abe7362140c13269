/* What a command is, and what commands have in common. */
#ifndef HOOKSPOOL_COMMAND_COMMAND_H
#define HOOKSPOOL_COMMAND_COMMAND_H

#include <stdbool.h>

#include "config/current.h"

struct spool;

/* A file defines its command as `const struct command NAME_command`; the list in main.c names it. */
struct command {
	const char *name, *arguments, *summary; /* for the usage text */
	const char *help;                       /* a screen, which follows the usage line */
	bool prints;                            /* it changes nothing, and ends when nobody reads its output */
	/* conf_path is what -c gave, or NULL; argv[0] is the command's name. Returns an exit code: 0, 1 (refused, not
	 * found), or one of sysexits.h; hookspool(1) lists them. After EX_USAGE the usage line is printed. */
	int (*run)(const char *conf_path, int argc, char **argv);
};

/* What runs when a web server starts the program without arguments. */
int command_cgi(const char *conf_path);
int command_fcgi(const char *conf_path, int listen_fd);

/* Finds and reads the configuration; every problem goes to standard error, a line each. NULL if there was one. */
struct conf *command_conf(const char *conf_path, bool with_secrets);
/* The same for a process that stays, and reads the configuration again when it changes. 0 or -1. */
int command_current(struct current *current, const char *conf_path, bool with_secrets);

/* An option of a command: --name, which sets flag, or --name VALUE. A table ends with a NULL name. */
struct command_option {
	const char *name;
	bool *flag;
	const char **value;
	char letter; /* of a flag's short form; 0: it has none */
};
#define COMMAND_OPTIONS_MAX 8 /* in one table */
/* The index of the first operand, or -1 after a message. */
int command_options(int argc, char **argv, const struct command_option *known);

/* The exit code for errno, after a message: the spool or its state could not be used. */
int command_failed(const struct conf *conf);
/* The same where a search may have failed: unread is the file that could not be read, or "" (history_query). */
int command_unread(const struct conf *conf, const char *unread);

/* Wakes the deliverer, or starts one; prints a message if it can do neither. */
void command_wake(const struct conf *conf, struct spool *spool);

/* The endpoint of this path; the only or first one for NULL. NULL after a message if there is none. */
const struct conf_endpoint *command_endpoint(const struct conf *conf, const char *path);

#endif
