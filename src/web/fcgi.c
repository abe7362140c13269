#include "config.h"

#include "web/fcgi.h"

#include <fcgiapp.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PARAMETER_MAX 131072 /* bytes; a longer one counts as absent */

struct fcgi_request {
	struct request request;
	FCGX_Request fcgx;
};

int fcgi_init(void)
{
	/* libfcgi installs handlers (os_unix.c, installSignalHandlers), which only its own accept would heed. A child
	 * that gets such a signal between fork and exec would run the handler, and live on. */
	static const int caught[] = {SIGTERM, SIGUSR1};
	struct sigaction before[sizeof caught / sizeof caught[0]];
	for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
		sigaction(caught[i], NULL, &before[i]);
	/* libfcgi waits up to two seconds for the peer to close first; the committer cannot. */
	setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1);
	int result = FCGX_Init();
	unsetenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT");
	for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
		sigaction(caught[i], &before[i], NULL);
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

/* The first of a name counts. False: nobody asks for it. Which headers are asked for is not known yet. */
static bool take_parameter(struct request *request, const char *parameter)
{
	const struct {
		const char *name;
		const char **value;
	} wanted[] = {
		{"REQUEST_METHOD=", &request->method},     {"REQUEST_URI=", &request->uri},
		{"CONTENT_TYPE=", &request->content_type}, {"CONTENT_LENGTH=", &request->content_length},
		{"REMOTE_ADDR=", &request->remote_addr},   {"DOCUMENT_ROOT=", &request->document_root},
	};
	if (strncmp(parameter, "HTTP_", 5) == 0)
		return strlen(parameter) <= PARAMETER_MAX;
	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		size_t n = strlen(wanted[i].name);
		if (strncmp(parameter, wanted[i].name, n) != 0)
			continue;
		if (*wanted[i].value != NULL || strlen(parameter) > PARAMETER_MAX)
			return false;
		*wanted[i].value = parameter + n;
		return true;
	}
	return false;
}

/* Frees what nobody asks for. libfcgi frees the rest with the request: each string on its own, up to the NULL
 * (fcgiapp.c, FreeParams). */
static void take_parameters(struct request *request, char **envp)
{
	char **kept = envp;
	for (char **p = envp; *p != NULL; p++) {
		char *parameter = *p;
		*p = NULL;
		if (take_parameter(request, parameter))
			*kept++ = parameter;
		else
			free(parameter);
	}
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
	fcgi->request =
		(struct request){.variables = fcgi->fcgx.envp, .is_owner = true, .read = fcgi_read, .send = fcgi_send};
	take_parameters(&fcgi->request, fcgi->fcgx.envp);
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
