/* FastCGI requests on connections that the caller has accepted. The only user of libfcgi.
 *
 * Facts relied on (libfcgi 2.4.2): a request may be begun in one thread and finished in another; its parameters live
 * until it is finished; an FCGX_Request with its ipcFd and keepConnection set reads from that connection and accepts
 * none itself; the body ends early without a complaint when the peer closes, so fcgi's read asks FCGX_GetError. */
#ifndef HOOKSPOOL_WEB_FCGI_H
#define HOOKSPOOL_WEB_FCGI_H

#include <stdbool.h>

#include "web/request.h"

struct fcgi_request;

/* Once in a process, before any thread. 0 or -1. */
int fcgi_init(void);

/* Whether fd is a listening socket, as a web server passes it on descriptor 0. */
bool fcgi_is_listener(int fd);

/* Room for one request at a time. NULL with errno ENOMEM. */
struct fcgi_request *fcgi_new(void);
/* Takes NULL. The request must be finished. */
void fcgi_free(struct fcgi_request *fcgi);

/* Reads a request's parameters from the connection, blocking; request_keep is to be called next. 0; or -1: the
 * connection ended (or was no FastCGI), and is closed. */
int fcgi_begin(struct fcgi_request *fcgi, int fd);
struct request *fcgi_request(struct fcgi_request *fcgi);

/* Makes a read that blocks in another thread end: the request will fail. */
void fcgi_abort(int fd);

/* Flushes the answer and ends the request. What libfcgi has allocated for it is freed by the next fcgi_begin or
 * fcgi_free: in a thread that allocates such things itself, where that costs the least. The connection if it stays open
 * for another request, else -1. */
int fcgi_finish(struct fcgi_request *fcgi);

#endif
