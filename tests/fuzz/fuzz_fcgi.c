/* What a FastCGI peer says, through the gateway, over a pair of sockets: it never hangs, and each request that begins
 * is received and answered. The input is the peer's bytes; so that seeds are text, "\xHH", "\n" and "\\" stand for one
 * byte each, and a real newline for nothing. */
#include "config.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "fuzz.h"
#include "receive/receive.h"
#include "sender/presets.h"
#include "sender/scheme.h"
#include "web/fcgi.h"

#define REQUESTS_MAX 1000 /* on one connection */

static size_t unescape(const uint8_t *data, size_t size, uint8_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\n')
			continue;
		out[n] = data[i];
		if (data[i] == '\\' && i + 3 < size && data[i + 1] == 'x' &&
		    text_unhex((const char *)data + i + 2, 2, out + n, 1) == 1)
			i += 3;
		else if (data[i] == '\\' && i + 1 < size && (data[i + 1] == 'n' || data[i + 1] == '\\'))
			out[n] = data[++i] == 'n' ? '\n' : '\\';
		n++;
	}
	return n;
}

/* What libfcgi 2.4.2 gets wrong, and this program cannot help: it ends the process over parameters of more bytes than
 * it gets, and over values asked for again and again; it loses memory over management records and other types that it
 * does not know; behind an empty record of another request it takes content for headers. */
static bool is_beyond_libfcgi(const uint8_t *bytes, size_t n)
{
	for (size_t at = 0; at + 8 <= n;) {
		const uint8_t *h = bytes + at;
		size_t content = (size_t)h[4] << 8 | h[5];
		bool known = h[1] == 2 || h[1] == 4 || h[1] == 5 || (h[1] == 1 && content == 8);
		if (h[0] != 1 || !known || (h[2] == 0 && h[3] == 0) || h[2] != bytes[2] || h[3] != bytes[3])
			return true;
		at += 8;
		for (size_t i = at; h[1] == 4 && i < at + content && i < n; i++)
			if (bytes[i] >= 0xa0)
				return true;
		at += content + h[6];
	}
	return false;
}

/* Serves the connection to its end, as the server does it; the number of requests. */
static unsigned serve(int fd)
{
	static struct span secrets[] = {{"wks_5de520f96e439b002043d8d8_secret", 35}};
	static struct conf_endpoint endpoints[] = {{.path = "/webhook",
						    .secrets = secrets,
						    .secret_count = 1,
						    .algorithms = SCHEME_SHA1 | SCHEME_SHA256,
						    .max_body = 4000}};
	static const struct conf conf = {
		.spool = "/spool", .endpoints = endpoints, .endpoint_count = 1, .in_flight_max = 1 << 20};
	static struct current current = CURRENT_OF(&conf);
	static struct receive receive = {.current = &current};
	static struct receipt receipt;
	static struct fcgi_request *fcgi;
	unsigned requests = 0;
	endpoints[0].scheme = presets_find("unified");
	if (fcgi == NULL) {
		MUST(fcgi_init() == 0);
		fcgi = fcgi_new();
	}
	MUST(fcgi != NULL);
	while (fd >= 0 && fcgi_begin(fcgi, fd) == 0) {
		receive_request(&receive, fcgi_request(fcgi), &receipt);
		MUST(receipt.accepted == (receipt.answer.status == 200));
		request_answer(fcgi_request(fcgi), &receipt.answer);
		fd = fcgi_finish(fcgi);
		receipt_clear(&receive, &receipt);
		MUST(receive.in_flight == 0);
		MUST(++requests < REQUESTS_MAX);
	}
	return requests;
}

/* Each request that began was answered, but for those whose peer took no more. */
static void check_answers(int fd, unsigned requests)
{
	char text[65536];
	unsigned answers = 0;
	size_t n = 0;
	for (ssize_t got; (got = recv(fd, text + n, sizeof text - n, MSG_DONTWAIT)) > 0;)
		n += (size_t)got;
	for (const char *at = text; (at = memmem(at, n - (size_t)(at - text), "Status: ", 8)) != NULL; at += 8)
		answers++;
	MUST(answers == requests || n == sizeof text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int ends[2], room = 1 << 20;
	uint8_t *bytes = malloc(size + 1);
	size_t n = unescape(data, size, bytes);
	signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		perror("socketpair");
		abort();
	}
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	if (!is_beyond_libfcgi(bytes, n) && send(ends[0], bytes, n, MSG_DONTWAIT) == (ssize_t)n) {
		shutdown(ends[0], SHUT_WR);
		check_answers(ends[0], serve(ends[1]));
	} else {
		close(ends[1]);
	}
	/* The gateway has closed its end. */
	MUST(fcntl(ends[1], F_GETFD) < 0);
	close(ends[0]);
	free(bytes);
	return 0;
}
