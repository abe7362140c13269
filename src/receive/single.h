/* The receiver that lives for one request: CGI. */
#ifndef HOOKSPOOL_RECEIVE_SINGLE_H
#define HOOKSPOOL_RECEIVE_SINGLE_H

#include "config/conf.h"

/* Receives the request of this process's environment and descriptor 0, commits it, answers, wakes the deliverer. An
 * exit code (sysexits): 0 whenever an answer was given, 74 if the peer was gone. */
int single_run(const struct conf *conf);

/* Answers 500 in place of single_run, for a configuration that cannot be used. */
void single_fail(void);

#endif
