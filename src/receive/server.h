/* The receiver that lives on: FastCGI requests in, batches to the store, answers out.
 *
 *     acceptor threads: accept, read, scan, verify ─▶ commit queue ─▶ committer: commit, audit, answer, wake
 *
 * No thread waits for an idle connection: they are watched together, and one that has something to say gets an
 * acceptor. Acceptors are added while all are busy. A connection that does not finish what it began is cut off in the
 * end. */
#ifndef HOOKSPOOL_RECEIVE_SERVER_H
#define HOOKSPOOL_RECEIVE_SERVER_H

#include <sys/types.h>

#include "config/current.h"

struct server_options {
	int listen_fd;           /* a listening socket; the server closes it */
	const char *socket_path; /* unlinked at the end, if not NULL */
	/* For a caller that has children of its own (all may be NULL): about once a second, when a child has ended, and
	 * at SIGHUP. */
	void (*tick)(void *arg);
	void (*child_ended)(void *arg, pid_t pid, int status);
	void (*hung_up)(void *arg);
	void *arg;
};

/* Serves until SIGTERM, SIGINT or SIGUSR1; then answers what is in flight. Changes of the configuration are taken as
 * current_look finds them, and at SIGHUP. An exit code (sysexits): 0, or 71, 74 if it could not begin; the reason was
 * logged. */
int server_run(struct current *current, const struct server_options *options);

#endif
