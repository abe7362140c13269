#include "config.h"

#include "web/fcgi.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "unit.h"

/* Records, as a web server writes them: version, type, request, content's length, padding's length. */
#define BEGIN                                                                                                          \
	"\1\1\0\1\0\10\0\0"                                                                                            \
	"\0\1\0\0\0\0\0\0"
#define KEEP                                                                                                           \
	"\1\1\0\1\0\10\0\0"                                                                                            \
	"\0\1\1\0\0\0\0\0"
#define PARAMS                                                                                                         \
	"\1\4\0\1\0\67\3\0"                                                                                            \
	"\16\4REQUEST_METHODPOST"                                                                                      \
	"\13\10REQUEST_URI/webhook"                                                                                    \
	"\14\0CONTENT_TYPE"                                                                                            \
	"pad"
#define DONE "\1\4\0\1\0\0\0\0"
#define BODY                                                                                                           \
	"\1\5\0\1\0\3\5\0"                                                                                             \
	"{\"a"                                                                                                         \
	"12345"                                                                                                        \
	"\1\5\0\1\0\4\0\0"                                                                                             \
	"\":1}"
#define END "\1\5\0\1\0\0\0\0"

static void open_pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

/* Sends the bytes in two parts, the second one after the first has been read. */
struct split {
	int fd;
	const char *bytes;
	size_t n, at;
};

static void *send_split(void *arg)
{
	const struct split *split = arg;
	int unread = split->at > 0;
	if (send(split->fd, split->bytes, split->at, MSG_NOSIGNAL) < 0)
		return NULL;
	while (unread > 0 && ioctl(split->fd, SIOCOUTQ, &unread) == 0)
		sched_yield();
	if (send(split->fd, split->bytes + split->at, split->n - split->at, MSG_NOSIGNAL) < 0)
		return NULL;
	shutdown(split->fd, SHUT_WR);
	return arg;
}

/* The request that is on the way, whole. */
static void check_request(struct request *request, size_t at)
{
	char body[100];
	ssize_t n = request->read(request, body, sizeof body);
	unit_check(n == 7 && memcmp(body, "{\"a\":1}", 7) == 0, "split at %zu", at);
	unit_check(request->read(request, body, sizeof body) == 0, "split at %zu", at);
	unit_check(strcmp(request->method, "POST") == 0, "split at %zu", at);
	unit_check(strcmp(request->uri, "/webhook") == 0, "split at %zu", at);
	unit_check(strcmp(request->content_type, "") == 0, "split at %zu", at);
	assert_null(request->content_length);
	assert_int_equal(request->send(request, "Status: 200\r\n\r\n", 15), 0);
}

/* What a request is does not depend on where its bytes are split on their way. */
static void split_everywhere(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		bool kept;
	} rows[] = {
		{KEEP PARAMS DONE BODY END, sizeof(KEEP PARAMS DONE BODY END) - 1, true},
		{BEGIN PARAMS DONE BODY END, sizeof(BEGIN PARAMS DONE BODY END) - 1, false},
	};
	struct fcgi_request *fcgi = fcgi_new();
	assert_non_null(fcgi);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++)
		for (size_t at = 0; at < rows[i].n; at++) {
			int ends[2];
			pthread_t sender;
			void *sent;
			open_pair(ends);
			struct split split = {ends[0], rows[i].bytes, rows[i].n, at};
			assert_int_equal(pthread_create(&sender, NULL, send_split, &split), 0);
			unit_check(fcgi_begin(fcgi, ends[1]) == 0, "split at %zu", at);
			check_request(fcgi_request(fcgi), at);
			assert_int_equal(fcgi_finish(fcgi), rows[i].kept ? ends[1] : -1);
			assert_int_equal(pthread_join(sender, &sent), 0);
			assert_non_null(sent);
			/* Nothing else comes, and the connection ends. */
			assert_true(!rows[i].kept || fcgi_begin(fcgi, ends[1]) == -1);
			assert_int_equal(fcntl(ends[1], F_GETFD), -1);
			close(ends[0]);
		}
	fcgi_free(fcgi);
	fcgi_free(NULL);
}

/* A peer that goes within a request is no end of its body. libfcgi takes parameters that end between two of
 * them for all that there are; a request without its body is none all the same. */
static void cut_everywhere(void **state)
{
	(void)state;
	static const char bytes[] = BEGIN PARAMS DONE BODY END;
	struct fcgi_request *fcgi = fcgi_new();
	assert_non_null(fcgi);
	for (size_t n = 0; n < sizeof bytes - 1; n++) {
		int ends[2];
		open_pair(ends);
		assert_int_equal(send(ends[0], bytes, n, 0), n);
		close(ends[0]);
		bool begun = fcgi_begin(fcgi, ends[1]) == 0;
		unit_check(begun || n < sizeof(BEGIN PARAMS DONE) - 1, "cut at %zu", n);
		if (begun) {
			char body[100];
			struct request *request = fcgi_request(fcgi);
			ssize_t got;
			while ((got = request->read(request, body, sizeof body)) > 0)
				;
			unit_check(got == -1, "cut at %zu", n);
			assert_int_equal(fcgi_finish(fcgi), -1);
		}
		assert_int_equal(fcntl(ends[1], F_GETFD), -1);
	}
	fcgi_free(fcgi);
}

/* What has a name that nobody asks for is not kept, and of the headers what request_keep is given. */
static void variables(void **state)
{
	(void)state;
	static const char bytes[] = KEEP "\1\4\0\1\0\67\0\0"
					 "\6\1HTTP_A1"
					 "\13\1SERVER_NAMEx"
					 "\10\1HTTP_X_B2"
					 "\13\1REQUEST_URI/"
					 "\4\1PATHx" DONE END;
	static const char *const names[] = {"x-b", NULL};
	struct fcgi_request *fcgi = fcgi_new();
	int ends[2];
	assert_non_null(fcgi);
	open_pair(ends);
	assert_int_equal(send(ends[0], bytes, sizeof bytes - 1, 0), sizeof bytes - 1);
	assert_int_equal(fcgi_begin(fcgi, ends[1]), 0);
	struct request *request = fcgi_request(fcgi);
	assert_string_equal(request_header(request, "a"), "1");
	request_keep(request, names);
	assert_null(request_header(request, "a"));
	assert_string_equal(request_header(request, "x-b"), "2");
	assert_string_equal(request->uri, "/");
	assert_string_equal(request->variables[0], "HTTP_X_B=2");
	assert_string_equal(request->variables[1], "REQUEST_URI=/");
	assert_null(request->variables[2]);
	request_drain(request);
	close(fcgi_finish(fcgi));
	close(ends[0]);
	fcgi_free(fcgi);
}

static void *begin(void *fd)
{
	struct fcgi_request *fcgi = fcgi_new();
	assert_non_null(fcgi);
	int result = fcgi_begin(fcgi, *(int *)fd);
	fcgi_free(fcgi);
	return result == -1 ? fd : NULL;
}

static void abort_ends_a_read(void **state)
{
	(void)state;
	int ends[2];
	pthread_t reader;
	void *ended;
	open_pair(ends);
	assert_int_equal(pthread_create(&reader, NULL, begin, &ends[1]), 0);
	fcgi_abort(ends[1]);
	assert_int_equal(pthread_join(reader, &ended), 0);
	assert_non_null(ended);
	close(ends[0]);
}

static void listeners(void **state)
{
	(void)state;
	int ends[2], pipes[2];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	open_pair(ends);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* No more than the family's name: the kernel gives it an abstract address. */
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address.sun_family), 0);
	assert_false(fcgi_is_listener(listener));
	assert_int_equal(listen(listener, 1), 0);
	assert_true(fcgi_is_listener(listener));
	assert_false(fcgi_is_listener(ends[0]));
	assert_false(fcgi_is_listener(pipes[0]));
	assert_false(fcgi_is_listener(-1));
	close(listener);
	for (size_t i = 0; i < 2; i++) {
		close(ends[i]);
		close(pipes[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_everywhere),  cmocka_unit_test(cut_everywhere), cmocka_unit_test(variables),
		cmocka_unit_test(abort_ends_a_read), cmocka_unit_test(listeners),
	};
	return fcgi_init() == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
