#include "config.h"

#include "gateway/fcgi.h"

#include <fcgiapp.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fcgi_request {
	struct request request;
	FCGX_Request fcgx;
};

int fcgi_init(void)
{
	/* libfcgi waits up to two seconds for the peer to close first; the committer cannot. */
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1);
	int result = FCGX_Init();
	unsetenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT");
	return result == 0 ? 0 : -1;
}

bool fcgi_is_listener(int fd)
{
	int listening = 0;
	socklen_t size = sizeof listening;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening != 0;
}

static ssize_t fcgi_read(struct request *request, void *bytes, size_t n)
{
	struct fcgi_request *fcgi = (struct fcgi_request *)request;
	int got = FCGX_GetStr(bytes, n > INT_MAX ? INT_MAX : (int)n, fcgi->fcgx.in);
	if (got < 0 || (got == 0 && FCGX_GetError(fcgi->fcgx.in) != 0))
		return -1;
	return got;
}

static int fcgi_send(struct request *request, const char *bytes, size_t n)
{
	struct fcgi_request *fcgi = (struct fcgi_request *)request;
	return FCGX_PutStr(bytes, (int)n, fcgi->fcgx.out) < 0 ? -1 : 0;
}

struct fcgi_request *fcgi_new(void)
{
	return calloc(1, sizeof(struct fcgi_request));
}

void fcgi_free(struct fcgi_request *fcgi)
{
	if (fcgi != NULL)
		FCGX_Free(&fcgi->fcgx, 0);
	free(fcgi);
}

int fcgi_begin(struct fcgi_request *fcgi, int fd)
{
	FCGX_Free(&fcgi->fcgx, 0);
	/* Without a listening socket of its own, libfcgi's attempt to accept another connection after this one ends in
	 * an error, which is how its end is seen. */
	FCGX_InitRequest(&fcgi->fcgx, -1, 0);
	fcgi->fcgx.ipcFd = fd;
	fcgi->fcgx.keepConnection = 1;
	if (FCGX_Accept_r(&fcgi->fcgx) != 0) {
		FCGX_Free(&fcgi->fcgx, 1);
		return -1;
	}
	char **envp = fcgi->fcgx.envp;
	fcgi->request = (struct request){
		.method = FCGX_GetParam("REQUEST_METHOD", envp),
		.uri = FCGX_GetParam("REQUEST_URI", envp),
		.content_type = FCGX_GetParam("CONTENT_TYPE", envp),
		.content_length = FCGX_GetParam("CONTENT_LENGTH", envp),
		.remote_addr = FCGX_GetParam("REMOTE_ADDR", envp),
		.document_root = FCGX_GetParam("DOCUMENT_ROOT", envp),
		.authorization = FCGX_GetParam("HTTP_AUTHORIZATION", envp),
		.read = fcgi_read,
		.send = fcgi_send,
	};
	return 0;
}

struct request *fcgi_request(struct fcgi_request *fcgi)
{
	return &fcgi->request;
}

void fcgi_abort(int fd)
{
	shutdown(fd, SHUT_RDWR);
}

int fcgi_finish(struct fcgi_request *fcgi)
{
	FCGX_Request *fcgx = &fcgi->fcgx;
	int failed = FCGX_FClose(fcgx->err);
	failed |= FCGX_FClose(fcgx->out);
	failed |= FCGX_GetError(fcgx->in);
	int fd = fcgx->ipcFd;
	fcgx->ipcFd = -1;
	if (fcgx->keepConnection && !failed)
		return fd;
	/* The request was read to its end, so nothing of the answer is lost by closing at once. */
	close(fd);
	return -1;
}
