/* A CGI request (RFC 3875): the environment, descriptor 0, descriptor 1. */
#ifndef HOOKSPOOL_WEB_CGI_H
#define HOOKSPOOL_WEB_CGI_H

#include <stdbool.h>
#include <stdint.h>

#include "web/request.h"

struct cgi_request {
	struct request request; /* its strings are the environment's */
	uint64_t left;          /* bytes of the body still to come; the server need not end the stream behind them */
};

/* Whether this process was started as a CGI program. */
bool cgi_is_running(void);

void cgi_init(struct cgi_request *cgi);

#endif
