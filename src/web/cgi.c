#include "config.h"

#include "web/cgi.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fsio.h"

bool cgi_is_running(void)
{
	return getenv("GATEWAY_INTERFACE") != NULL;
}

static ssize_t cgi_read(struct request *request, void *bytes, size_t n)
{
	struct cgi_request *cgi = (struct cgi_request *)request;
	ssize_t got;
	if (n > cgi->left)
		n = (size_t)cgi->left;
	if (n == 0)
		return 0;
	do
		got = read(STDIN_FILENO, bytes, n);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		cgi->left -= (uint64_t)got;
	return got;
}

static int cgi_send(struct request *request, const char *bytes, size_t n)
{
	(void)request;
	return fsio_write(STDOUT_FILENO, bytes, n);
}

void cgi_init(struct cgi_request *cgi)
{
	*cgi = (struct cgi_request){
		.request =
			{
				.method = getenv("REQUEST_METHOD"),
				.uri = getenv("REQUEST_URI"),
				.content_type = getenv("CONTENT_TYPE"),
				.content_length = getenv("CONTENT_LENGTH"),
				.remote_addr = getenv("REMOTE_ADDR"),
				.document_root = getenv("DOCUMENT_ROOT"),
				.variables = environ,
				.read = cgi_read,
				.send = cgi_send,
			},
		.left = UINT64_MAX,
	};
	uint64_t length;
	if (request_length(&cgi->request, &length) == REQUEST_LENGTH_DECLARED)
		cgi->left = length;
}
