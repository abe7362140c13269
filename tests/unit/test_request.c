#include "config.h"

#include "web/request.h"

#include "unit.h"

/* A peer that sends `bytes`, at most `most` at a time, then ends or, if it is cut, fails. What is answered is kept. */
struct peer {
	struct request request; /* first: the callbacks are given this */
	const char *bytes;
	size_t n, at, most;
	bool cut;
	struct buf answer;
	bool gone;
};

static ssize_t peer_read(struct request *request, void *bytes, size_t n)
{
	struct peer *peer = (struct peer *)request;
	size_t left = peer->n - peer->at;
	if (left == 0)
		return peer->cut ? -1 : 0;
	if (n > left)
		n = left;
	if (n > peer->most)
		n = peer->most;
	memcpy(bytes, peer->bytes + peer->at, n);
	peer->at += n;
	return (ssize_t)n;
}

static int peer_send(struct request *request, const char *bytes, size_t n)
{
	struct peer *peer = (struct peer *)request;
	assert_int_equal(buf_append(&peer->answer, bytes, n), 0);
	return peer->gone ? -1 : 0;
}

static struct peer new_peer(const char *bytes, size_t n, const char *length)
{
	return (struct peer){
		.request = {.content_length = length, .read = peer_read, .send = peer_send},
		.bytes = bytes,
		.n = n,
		.most = SIZE_MAX,
	};
}

/* Memory that was asked for, and how much of it there is. */
struct memory {
	uint64_t taken, max;
};

static int take(void *arg, uint64_t n)
{
	struct memory *memory = arg;
	if (memory->taken + n > memory->max)
		return -1;
	memory->taken += n;
	return 0;
}

/* A header is found by its name, whole and in any place. */
static void headers(void **state)
{
	(void)state;
	static const char *const variables[] = {"HTTP_X_HUB=1",   "HTTP_X_HUB_SIGNATURE_256=sha256=00",
						"HTTP_HOST=a",    "HTTP_HOST=b",
						"HTTP_EMPTY=",    "REDIRECT_HTTP_HOST=c",
						"X_BARE=1",       "REDIRECT_HTTP_AUTHORIZATION=Basic x",
						"HTTP_NO_VALUE",  "http_lower=1",
						"HTTP_x_lower=1", NULL};
	static const struct {
		const char *name, *value;
	} rows[] = {
		{"x-hub", "1"},
		{"x-hub-signature-256", "sha256=00"},
		{"host", "a"},
		{"empty", ""},
		{"authorization", "Basic x"},
		{"x-hub-signature", NULL},
		{"x-bare", NULL},
		{"no-value", NULL},
		{"lower", NULL},
		{"x-lower", NULL},
		{"", NULL},
		{"redirect-http-host", NULL},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const struct request request = {.variables = (char **)variables};
		const char *value = request_header(&request, rows[i].name);
		unit_check(rows[i].value == NULL ? value == NULL : value != NULL && strcmp(value, rows[i].value) == 0,
			   "%s: %s", rows[i].name, value);
	}
	assert_null(request_header(&(struct request){0}, "host"));
}

/* Of the headers only those stay that are asked for; what is no header stays. The sanitizers see what was not freed. */
static void kept_headers(void **state)
{
	(void)state;
	static const char *const given[] = {"REQUEST_URI=/x", "HTTP_A=1", "HTTP_B=2", "HTTP_A_B=3",
					    "HTTPS=on",       "HTTP_B=4", "HTTP_=5"};
	static const char *const b[] = {"b", "not-there", NULL}, *const none[] = {NULL};
	static const struct {
		const char *const *names;
		bool is_owner;
		const char *kept;
	} rows[] = {
		{NULL, true, "REQUEST_URI=/x HTTPS=on "},
		{none, true, "REQUEST_URI=/x HTTPS=on "},
		{b, true, "REQUEST_URI=/x HTTP_B=2 HTTPS=on HTTP_B=4 "},
		{b, false, "REQUEST_URI=/x HTTP_A=1 HTTP_B=2 HTTP_A_B=3 HTTPS=on HTTP_B=4 HTTP_=5 "},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		char *variables[UNIT_COUNT(given) + 1] = {NULL};
		struct request request = {.variables = variables, .is_owner = rows[i].is_owner};
		struct buf kept = {0};
		for (size_t k = 0; k < UNIT_COUNT(given); k++)
			variables[k] = strdup(given[k]);
		request_keep(&request, rows[i].names);
		for (char **p = variables; *p != NULL; p++) {
			assert_int_equal(buf_printf(&kept, "%s ", *p), 0);
			free(*p);
		}
		unit_check(strcmp(buf_cstr(&kept), rows[i].kept) == 0, "row %zu: %s", i, kept.data);
		buf_fini(&kept);
	}
}

static const struct {
	const char *text; /* NULL: not passed */
	enum request_length result;
	uint64_t length;
} lengths[] = {
	{NULL, REQUEST_LENGTH_UNKNOWN, 0},
	{"", REQUEST_LENGTH_UNKNOWN, 0},
	{"-1", REQUEST_LENGTH_UNKNOWN, 0},
	{"0", REQUEST_LENGTH_DECLARED, 0},
	{"5", REQUEST_LENGTH_DECLARED, 5},
	{"0005", REQUEST_LENGTH_DECLARED, 5},
	{"18446744073709551615", REQUEST_LENGTH_DECLARED, UINT64_MAX},
	{"18446744073709551616", REQUEST_LENGTH_BAD, 0},
	{"99999999999999999999", REQUEST_LENGTH_BAD, 0},
	{"+5", REQUEST_LENGTH_BAD, 0},
	{"-5", REQUEST_LENGTH_BAD, 0},
	{"-0", REQUEST_LENGTH_BAD, 0},
	{"1e9", REQUEST_LENGTH_BAD, 0},
	{"0x5", REQUEST_LENGTH_BAD, 0},
	{" 5", REQUEST_LENGTH_BAD, 0},
	{"5 ", REQUEST_LENGTH_BAD, 0},
	{"5,5", REQUEST_LENGTH_BAD, 0},
	{"5.0", REQUEST_LENGTH_BAD, 0},
	{"five", REQUEST_LENGTH_BAD, 0},
	{"-", REQUEST_LENGTH_BAD, 0},
};

static void length_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(lengths); i++) {
		struct request request = {.content_length = lengths[i].text};
		const char *row = lengths[i].text == NULL ? "none" : lengths[i].text;
		uint64_t length = 0;
		unit_check(request_length(&request, &length) == lengths[i].result, "%s", row);
		unit_check(lengths[i].result != REQUEST_LENGTH_DECLARED || length == lengths[i].length, "%s", row);
	}
}

#define MAX 10
#define ALL UINT64_MAX
static const struct {
	const char *name, *sent, *length;
	bool cut;
	uint64_t memory;
	enum request_body result;
} bodies[] = {
	{"as declared", "01234", "5", false, ALL, REQUEST_BODY_OK},
	{"declared and empty", "", "0", false, ALL, REQUEST_BODY_OK},
	{"declared and just fits", "0123456789", "10", false, ALL, REQUEST_BODY_OK},
	{"shorter", "0123", "5", false, ALL, REQUEST_BODY_SHORT},
	{"empty, though declared", "", "5", false, ALL, REQUEST_BODY_SHORT},
	{"longer", "012345", "5", false, ALL, REQUEST_BODY_SHORT},
	{"longer than none", "0", "0", false, ALL, REQUEST_BODY_SHORT},
	{"peer gone in the middle", "0123", "5", true, ALL, REQUEST_BODY_SHORT},
	{"peer gone at the end", "01234", "5", true, ALL, REQUEST_BODY_SHORT},
	{"declared too large", "0123456789a", "11", false, ALL, REQUEST_BODY_TOO_LARGE},
	{"declared enormous", "01234", "18446744073709551615", false, ALL, REQUEST_BODY_TOO_LARGE},
	{"declared, memory just enough", "01234", "5", false, 5, REQUEST_BODY_OK},
	{"declared, no memory", "01234", "5", false, 4, REQUEST_BODY_BUSY},
	{"too large before no memory", "01234", "11", false, 0, REQUEST_BODY_TOO_LARGE},
	{"no number", "01234", "5x", false, ALL, REQUEST_BODY_BAD_LENGTH},
	{"with a sign", "01234", "+5", false, ALL, REQUEST_BODY_BAD_LENGTH},
	{"with an exponent", "01234", "1e9", false, ALL, REQUEST_BODY_BAD_LENGTH},
	{"beyond 64 bits", "01234", "99999999999999999999", false, ALL, REQUEST_BODY_BAD_LENGTH},
	{"unknown", "01234", NULL, false, ALL, REQUEST_BODY_OK},
	{"unknown, said empty", "01234", "", false, ALL, REQUEST_BODY_OK},
	{"unknown, said -1", "01234", "-1", false, ALL, REQUEST_BODY_OK},
	{"unknown and empty", "", NULL, false, ALL, REQUEST_BODY_OK},
	{"unknown and just fits", "0123456789", NULL, false, ALL, REQUEST_BODY_OK},
	{"unknown and too large", "0123456789a", NULL, false, ALL, REQUEST_BODY_TOO_LARGE},
	{"unknown, peer gone", "01234", NULL, true, ALL, REQUEST_BODY_SHORT},
	{"unknown, no memory", "01234", NULL, false, 100, REQUEST_BODY_BUSY},
};

static void body_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bodies); i++)
		for (size_t most = 1; most <= 16; most *= 4) {
			struct peer peer = new_peer(bodies[i].sent, strlen(bodies[i].sent), bodies[i].length);
			struct memory memory = {0, bodies[i].memory};
			struct buf body = {0};
			peer.cut = bodies[i].cut;
			peer.most = most;
			unit_check(request_read_body(&peer.request, MAX, take, &memory, &body) == bodies[i].result,
				   "%s", bodies[i].name);
			unit_check(bodies[i].result != REQUEST_BODY_OK ||
					   unit_same((struct span){body.data == NULL ? "" : body.data, body.len},
						     bodies[i].sent),
				   "%s", bodies[i].name);
			unit_check(body.cap <= 1 << 20, "%s", bodies[i].name);
			buf_fini(&body);
		}
}

/* Without a length memory is asked for as the body grows, and a body over the cap is left as soon as that is known. */
static void memory_grows_with_the_body(void **state)
{
	(void)state;
	static char bytes[1 << 20];
	memset(bytes, 'x', sizeof bytes);
	static const struct {
		size_t n;
		uint64_t max, memory;
		enum request_body result;
	} rows[] = {
		{1, 1 << 20, 65536, REQUEST_BODY_OK},
		{65535, 1 << 20, 65536, REQUEST_BODY_OK},
		{65537, 1 << 20, 65536, REQUEST_BODY_BUSY},
		{1 << 20, 1 << 20, 1 << 20, REQUEST_BODY_BUSY},
		{1 << 20, 1 << 20, (1 << 20) + 65536, REQUEST_BODY_OK},
		{1 << 20, (1 << 20) - 1, 1 << 21, REQUEST_BODY_TOO_LARGE},
		{1 << 20, 100000, 1 << 17, REQUEST_BODY_TOO_LARGE},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct peer peer = new_peer(bytes, rows[i].n, NULL);
		struct memory memory = {0, rows[i].memory};
		struct buf body = {0};
		peer.most = 7919;
		unit_check(request_read_body(&peer.request, rows[i].max, take, &memory, &body) == rows[i].result,
			   "row %zu", i);
		unit_check(rows[i].result != REQUEST_BODY_OK || body.len == rows[i].n, "row %zu", i);
		unit_check(body.len <= memory.taken, "row %zu: more was used than taken", i);
		unit_check(peer.at <= rows[i].max + 65536, "row %zu read on", i);
		buf_fini(&body);
	}
}

static void drains(void **state)
{
	(void)state;
	static char bytes[100000];
	for (int cut = 0; cut <= 1; cut++) {
		struct peer peer = new_peer(bytes, sizeof bytes, "5");
		peer.cut = cut;
		request_drain(&peer.request);
		assert_int_equal(peer.at, sizeof bytes);
	}
}

#define HEAD(status, length) "Status: " status "\r\nContent-Type: application/json\r\nContent-Length: " length "\r\n"
static const struct {
	struct answer answer;
	const char *text;
} answers[] = {
	{{.status = 200, .id = "00112233445566778899aabbccddeeff", .records = 10},
	 HEAD("200 OK",
	      "75") "\r\n{\"status\":\"accepted\",\"id\":\"00112233445566778899aabbccddeeff\",\"records\":10}\n"},
	{{.status = 400, .error = "no JSON object"},
	 HEAD("400 Bad Request", "27") "\r\n{\"error\":\"no JSON object\"}\n"},
	{{.status = 401, .error = "bad signature"},
	 HEAD("401 Unauthorized", "26") "\r\n{\"error\":\"bad signature\"}\n"},
	{{.status = 403, .error = "x"}, HEAD("403 Forbidden", "14") "\r\n{\"error\":\"x\"}\n"},
	{{.status = 404, .error = "x"}, HEAD("404 Not Found", "14") "\r\n{\"error\":\"x\"}\n"},
	{{.status = 405, .error = "x"}, HEAD("405 Method Not Allowed", "14") "Allow: POST\r\n\r\n{\"error\":\"x\"}\n"},
	{{.status = 413, .error = "x"}, HEAD("413 Content Too Large", "14") "\r\n{\"error\":\"x\"}\n"},
	{{.status = 415, .error = "x"}, HEAD("415 Unsupported Media Type", "14") "\r\n{\"error\":\"x\"}\n"},
	{{.status = 500, .error = "x", .retry_after = 30},
	 HEAD("500 Internal Server Error", "14") "\r\n{\"error\":\"x\"}\n"},
	{{.status = 503, .error = "x", .retry_after = 30},
	 HEAD("503 Service Unavailable", "14") "Retry-After: 30\r\n\r\n{\"error\":\"x\"}\n"},
};

static void answer_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(answers); i++) {
		struct peer peer = new_peer("", 0, NULL);
		assert_int_equal(request_answer(&peer.request, &answers[i].answer), 0);
		assert_string_equal(buf_cstr(&peer.answer), answers[i].text);
		/* The length says what stands behind the head. */
		const char *body = strstr(peer.answer.data, "\r\n\r\n") + 4;
		assert_int_equal(strtoul(strstr(peer.answer.data, "Length: ") + 8, NULL, 10), strlen(body));
		buf_fini(&peer.answer);
	}
	struct peer peer = new_peer("", 0, NULL);
	peer.gone = true;
	assert_int_equal(request_answer(&peer.request, &answers[0].answer), -1);
	buf_fini(&peer.answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(kept_headers),
		cmocka_unit_test(length_rows),
		cmocka_unit_test(body_rows),
		cmocka_unit_test(memory_grows_with_the_body),
		cmocka_unit_test(drains),
		cmocka_unit_test(answer_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
