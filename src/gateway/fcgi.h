/* FastCGI requests on connections that the caller has accepted. The only user of libfcgi.
 *
 * Facts relied on (libfcgi 2.4.2): a request may be begun in one thread and finished in another; its parameters live
 * until it is finished; an FCGX_Request with its ipcFd and keepConnection set reads from that connection and accepts
 * none itself; the body ends early without a complaint when the peer closes, so fcgi's read asks FCGX_GetError. */
#ifndef HOOKSPOOL_FCGI_H
#define HOOKSPOOL_FCGI_H

#include <stdbool.h>

#include "gateway/request.h"

struct fcgi_request;

/* Once in a process, before any thread. 0 or -1. */
int fcgi_init(void);

/* Whether fd is a listening socket, as a web server passes it on descriptor 0. */
bool fcgi_is_listener(int fd);

/* Reads a request's parameters from the connection, blocking. Takes fd over, whatever comes out. NULL: the connection
 * ended (or was no FastCGI), and is closed. */
struct fcgi_request *fcgi_begin(int fd);
struct request *fcgi_request(struct fcgi_request *fcgi);

/* Makes a read that blocks in another thread end: the request will fail. */
void fcgi_abort(int fd);

/* Flushes the answer, ends the request and frees it. The connection if it stays open for another request, else -1. */
int fcgi_finish(struct fcgi_request *fcgi);

#endif
