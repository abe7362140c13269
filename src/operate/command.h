/* The commands, one file each. `conf_path` is what -c gave, or NULL; argv[0] is the command's name. Each returns an
 * exit code: 0, 1 (refused, not found), or one of sysexits.h: 64 usage, 74 I/O, 75 try again, 78 configuration. */
#ifndef HOOKSPOOL_COMMAND_H
#define HOOKSPOOL_COMMAND_H

#include "config/conf.h"

struct command {
	const char *name;
	int (*run)(const char *conf_path, int argc, char **argv);
	const char *arguments, *summary; /* for the usage text */
};

int command_serve(const char *conf_path, int argc, char **argv);
int command_deliver(const char *conf_path, int argc, char **argv);
int command_check(const char *conf_path, int argc, char **argv);
int command_sign(const char *conf_path, int argc, char **argv);
int command_verify(const char *conf_path, int argc, char **argv);

/* Not by name: what a web server starts without arguments. */
int command_cgi(const char *conf_path);
int command_fcgi(const char *conf_path, int listen_fd);

/* Finds and reads the configuration; every problem goes to standard error, a line each. NULL if there was one. */
struct conf *command_conf(const char *conf_path, bool with_secrets);

/* The endpoint of this path; the only or first one for NULL. NULL after a message if there is none. */
const struct conf_endpoint *command_endpoint(const struct conf *conf, const char *path);

#endif
