#include "config.h"

#include "receive/receive.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "event/line.h"
#include "sender/mac.h"
#include "sender/presets.h"
#include "sender/scheme.h"
#include "unit.h"

#define SECRET "wks_5de520f96e439b002043d8d8_secret" /* of the samples */

static struct span secrets[] = {{SECRET, sizeof SECRET - 1}};
static struct conf_endpoint endpoints[] = {
	{.path = "/webhook",
	 .secrets = secrets,
	 .secret_count = 1,
	 .algorithms = SCHEME_SHA1 | SCHEME_SHA256,
	 .max_body = 100000},
	{.path = "/hooks/crm", .secrets = secrets, .secret_count = 1, .algorithms = SCHEME_SHA256, .max_body = 100000},
};

/* What all requests of a test share, and what they are answered with. */
static struct conf conf;
static struct current current;
static struct receive receive;
static struct receipt receipt;

/* A request with its body; whether all of the body was read. */
struct peer {
	struct request request; /* first: the callbacks are given this */
	struct buf body;
	size_t at;
	char length[24];
	bool cut;
};

static ssize_t peer_read(struct request *request, void *bytes, size_t n)
{
	struct peer *peer = (struct peer *)request;
	size_t left = peer->body.len - peer->at;
	if (left == 0)
		return peer->cut ? -1 : 0;
	n = n < left ? n : left;
	memcpy(bytes, peer->body.data + peer->at, n);
	peer->at += n;
	return (ssize_t)n;
}

static int peer_send(struct request *request, const char *bytes, size_t n)
{
	(void)request;
	(void)bytes;
	(void)n;
	fail_msg("the request was answered here");
	return -1;
}

/* A request that would be accepted; takes the body. */
static struct peer new_peer(struct buf body)
{
	struct peer peer = {
		.request = {.method = "POST",
			    .uri = "/webhook",
			    .content_type = "application/json",
			    .remote_addr = "192.0.2.1",
			    .read = peer_read,
			    .send = peer_send},
		.body = body,
	};
	snprintf(peer.length, sizeof peer.length, "%zu", body.len);
	return peer;
}

static struct buf text_body(const char *text)
{
	struct buf b = {0};
	assert_int_equal(buf_str(&b, text), 0);
	return b;
}

static void ask(struct peer *peer)
{
	if (peer->request.content_length == NULL && peer->length[0] != '\0')
		peer->request.content_length = peer->length;
	receive_request(&receive, &peer->request, &receipt);
	assert_non_null(receipt.reason);
	assert_int_equal(receipt.accepted, receipt.answer.status == 200);
	assert_int_equal(receipt.answer.error == NULL, receipt.answer.status == 200);
	/* Whatever is answered, nothing of the body is left in the way of the next request. */
	unit_check(peer->at == peer->body.len, "%s: %zu of %zu bytes read", receipt.reason, peer->at, peer->body.len);
	/* A body that was not taken holds no memory while its rest is read. */
	bool is_taken =
		receipt.event.data.ptr != NULL || (receipt.answer.status != 413 && receipt.answer.status != 503);
	unit_check(receipt.held == 0 || is_taken, "%s holds %" PRIu64, receipt.reason, receipt.held);
}

static void ended(struct peer *peer)
{
	receipt_clear(&receive, &receipt);
	assert_int_equal(receive.in_flight, 0);
	buf_fini(&peer->body);
}

static int setup(void **state)
{
	(void)state;
	conf = unit_conf("/srv/www/site/spool");
	for (size_t i = 0; i < UNIT_COUNT(endpoints); i++)
		endpoints[i].scheme = presets_find("unified");
	conf.endpoints = endpoints;
	conf.endpoint_count = UNIT_COUNT(endpoints);
	conf.in_flight_max = 1 << 20;
	current = CURRENT_OF(&conf);
	receive.current = &current;
	receive.in_flight = 0;
	receipt = (struct receipt){0};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	receipt_fini(&receipt);
	return 0;
}

static const struct {
	const char *method, *uri, *type, *root;
	int status;
} routes[] = {
	{"POST", "/webhook", "application/json", NULL, 200},

	/* Methods. */
	{"GET", "/webhook", "application/json", NULL, 405},
	{"HEAD", "/webhook", "application/json", NULL, 405},
	{"PUT", "/webhook", "application/json", NULL, 405},
	{"DELETE", "/webhook", "application/json", NULL, 405},
	{"post", "/webhook", "application/json", NULL, 405},
	{"POSTS", "/webhook", "application/json", NULL, 405},
	{"", "/webhook", "application/json", NULL, 405},
	{NULL, "/webhook", "application/json", NULL, 405},

	/* Content types. */
	{"POST", "/webhook", NULL, NULL, 200},
	{"POST", "/webhook", "", NULL, 200},
	{"POST", "/webhook", "Application/JSON", NULL, 200},
	{"POST", "/webhook", "application/json; charset=utf-8", NULL, 200},
	{"POST", "/webhook", "application/json;charset=UTF-8", NULL, 200},
	{"POST", "/webhook", "application/json ; x=y", NULL, 200},
	{"POST", "/webhook", "application/vnd.unified+json", NULL, 200},
	{"POST", "/webhook", "application/cloudevents+JSON; v=1", NULL, 200},
	{"POST", "/webhook", "text/plain", NULL, 415},
	{"POST", "/webhook", "text/json", NULL, 415},
	{"POST", "/webhook", "multipart/form-data; boundary=x", NULL, 415},
	{"POST", "/webhook", "application/x-www-form-urlencoded", NULL, 415},
	{"POST", "/webhook", "application/jsonp", NULL, 415},
	{"POST", "/webhook", "application/jso", NULL, 415},
	{"POST", "/webhook", "xapplication/json", NULL, 415},
	{"POST", "/webhook", "text/plain; application/json", NULL, 415},
	{"POST", "/webhook", "application/xml+jsonx", NULL, 415},
	{"POST", "/webhook", "+json", NULL, 415},
	{"POST", "/webhook", "json", NULL, 415},
	{"POST", "/webhook", ";", NULL, 415},

	/* Paths, as they stand in the request: nothing is decoded or joined; a '/' at the end does not count. */
	{"POST", "/webhook?x=1&y=/other", "application/json", NULL, 200},
	{"POST", "/webhook?", "application/json", NULL, 200},
	{"POST", "/webhook?/../x", "application/json", NULL, 200},
	{"POST", "/", "application/json", NULL, 404},
	{"POST", "", "application/json", NULL, 404},
	{"POST", NULL, "application/json", NULL, 404},
	{"POST", "?", "application/json", NULL, 404},
	{"POST", "/webhoo", "application/json", NULL, 404},
	{"POST", "/webhooks", "application/json", NULL, 404},
	{"POST", "/webhook/", "application/json", NULL, 200},
	{"POST", "/webhook/?x=1", "application/json", NULL, 200},
	{"POST", "/webhook//", "application/json", NULL, 404},
	{"POST", "/webhook/x", "application/json", NULL, 404},
	{"POST", "/webhook/../x", "application/json", NULL, 404},
	{"POST", "/webhook/../webhook", "application/json", NULL, 404},
	{"POST", "/./webhook", "application/json", NULL, 404},
	{"POST", "//webhook", "application/json", NULL, 404},
	{"POST", "/WEBHOOK", "application/json", NULL, 404},
	{"POST", "/%77ebhook", "application/json", NULL, 404},
	{"POST", "/webhook%00", "application/json", NULL, 404},
	{"POST", "/webhook;x", "application/json", NULL, 404},
	{"POST", "/webhook#x", "application/json", NULL, 404},
	{"POST", "/hooks", "application/json", NULL, 404},
	{"POST", "/hooks/crm/", "application/json", NULL, 401},
	{"POST", "/hooks/crm", "application/json", NULL, 401}, /* there, and asks for SHA-256 */

	/* The first of several faults is the one that is told. */
	{"GET", "/x", "text/plain", NULL, 404},
	{"GET", "/webhook", "text/plain", "/srv/www/site", 405},
	{"POST", "/webhook", "text/plain", "/srv/www/site", 415},

	/* A spool that the web server would hand out. */
	{"POST", "/webhook", "application/json", "/srv/www/site", 500},
	{"POST", "/webhook", "application/json", "/srv/www/site/", 500},
	{"POST", "/webhook", "application/json", "/srv/www/site//", 500},
	{"POST", "/webhook", "application/json", "/srv/www", 500},
	{"POST", "/webhook", "application/json", "/srv/www/site/spool", 500},
	{"POST", "/webhook", "application/json", "/srv/www/sit", 200},
	{"POST", "/webhook", "application/json", "/srv/www/site/sp", 200},
	{"POST", "/webhook", "application/json", "/srv/www/site2", 200},
	{"POST", "/webhook", "application/json", "/var/www", 200},
	{"POST", "/webhook", "application/json", "", 200},
};

static void route_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(routes); i++) {
		struct peer peer = new_peer(unit_sample("virtual-one.json"));
		peer.request.method = routes[i].method;
		peer.request.uri = routes[i].uri;
		peer.request.content_type = routes[i].type;
		peer.request.document_root = routes[i].root;
		ask(&peer);
		unit_check(receipt.answer.status == routes[i].status, "%s %s, %s, root %s: %d", routes[i].method,
			   routes[i].uri, routes[i].type, routes[i].root, receipt.answer.status);
		ended(&peer);
	}
}

/* What is accepted is a line that holds the event, and the answer names it. */
static void accepted(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t count, records;
	} samples[] = {{"virtual-ten.json", 10, 10},
		       {"virtual-one.json", 1, 1},
		       {"initial-complete-empty.json", 0, 1},
		       {"pretty-printed.json", 2, 2}};
	for (size_t i = 0; i < UNIT_COUNT(samples); i++) {
		struct peer peer = new_peer(unit_sample(samples[i].name));
		struct buf line = {0};
		struct iovec iov[3];
		struct event event;
		int64_t before = clock_now();
		ask(&peer);
		int64_t after = clock_now();
		unit_check(receipt.answer.status == 200, "%s", samples[i].name);
		unit_check(receipt.answer.records == samples[i].records, "%s", samples[i].name);
		assert_string_equal(receipt.reason, "accepted");
		assert_string_equal(receipt.endpoint, "/webhook");
		assert_int_equal(receipt.bytes, peer.body.len);
		line_vectors(&receipt.line, iov);
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(buf_append(&line, iov[k].iov_base, iov[k].iov_len), 0);
		assert_int_equal(line_decode(line.data, line.len - 1, &event), LINE_OK);
		assert_int_equal(line.data[line.len - 1], '\n');
		assert_string_equal(event.id, receipt.answer.id);
		assert_int_equal(event.count, samples[i].count);
		assert_true(unit_same(event.endpoint, "/webhook") && unit_same(event.scheme, "unified"));
		assert_true(event.received_at >= before && event.received_at <= after);
		buf_fini(&line);
		ended(&peer);
	}
}

static const struct {
	const char *name, *body, *length;
	bool cut;
	int status;
	const char *error, *reason;
} refusals[] = {
	{"empty", "", NULL, false, 400, "no JSON object", "no JSON object"},
	{"null", "null", NULL, false, 400, "no JSON object", "no JSON object"},
	{"shorter than declared", "{}", "3", false, 400, "body incomplete", "body incomplete"},
	{"longer than declared", "{}", "1", false, 400, "body incomplete", "body incomplete"},
	{"peer gone", "{", "2", true, 400, "body incomplete", "body incomplete"},
	{"peer gone, no length", "{", "", true, 400, "body incomplete", "body incomplete"},
	{"no length", "{}", "-1", false, 400, NULL, NULL},
	{"bad length", "{}", "+2", false, 400, "bad content length", "bad content length"},
	{"declared too large", "{}", "100001", false, 413, "payload too large", "body over max_body"},
	{"unsigned", "{\"data\":[],\"nonce\":\"n\"}", NULL, false, 401, "bad signature", "signature missing"},
	{"malformed signature", "{\"data\":[],\"nonce\":\"n\",\"sig\":\"x\"}", NULL, false, 401, "bad signature",
	 "signature malformed"},
	{"forged", "{\"data\":[],\"nonce\":\"n\",\"sig\":\"0000000000000000000000000000000000000000\"}", NULL, false,
	 401, "bad signature", "signature wrong"},
};

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(refusals); i++) {
		struct peer peer = new_peer(text_body(refusals[i].body));
		peer.request.content_length = refusals[i].length;
		peer.cut = refusals[i].cut;
		ask(&peer);
		unit_check(receipt.answer.status == refusals[i].status, "%s: %d", refusals[i].name,
			   receipt.answer.status);
		unit_check(refusals[i].error == NULL || strcmp(receipt.answer.error, refusals[i].error) == 0, "%s: %s",
			   refusals[i].name, receipt.answer.error);
		unit_check(refusals[i].reason == NULL || strcmp(receipt.reason, refusals[i].reason) == 0, "%s: %s",
			   refusals[i].name, receipt.reason);
		ended(&peer);
	}
}

/* 29: the list of connections. Whoever has no secret learns nothing of it. */
static void connection_rows(void **state)
{
	(void)state;
	static const char *allowed[] = {"c1", "c2"};
	static const struct {
		size_t allowed;
		const char *webhook;
		const char *sig; /* NULL: the right one */
		int status;
	} rows[] = {
		{0, "{\"connection_id\":\"c9\"}", NULL, 200},
		{0, "{}", NULL, 200},
		{2, "{\"connection_id\":\"c1\"}", NULL, 200},
		{2, "{\"connection_id\":\"c2\"}", NULL, 200},
		{2, "{\"connection_id\":\"\\u00632\"}", NULL, 200},
		{1, "{\"connection_id\":\"c2\"}", NULL, 403},
		{2, "{\"connection_id\":\"c\"}", NULL, 403},
		{2, "{\"connection_id\":\"c11\"}", NULL, 403},
		{2, "{\"connection_id\":\"C1\"}", NULL, 403},
		{2, "{\"connection_id\":\"c1\\u0000\"}", NULL, 403},
		{2, "{\"connection_id\":\"\"}", NULL, 403},
		{2, "{\"connection_id\":null}", NULL, 403},
		{2, "{\"id\":\"c1\"}", NULL, 403},
		{2, "{}", NULL, 403},
		{2, "null", NULL, 403},
		{2, "{\"connection_id\":\"c9\"}", "0000000000000000000000000000000000000000", 401},
		{2, "{\"connection_id\":\"c9\"}", "x", 401},
		{2, "{\"connection_id\":\"c9\"}", "", 401},
	};
	const struct span parts[] = {UNIT_SPAN("[]n")};
	uint8_t digest[MAC_SIZE_MAX];
	char right[2 * MAC_SIZE_MAX + 1];
	mac_sign(MAC_SHA1, secrets[0], parts, 1, digest);
	text_hex(digest, mac_size(MAC_SHA1), right);
	endpoints[0].connections = allowed;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf body = {0};
		const char *sig = rows[i].sig == NULL ? right : rows[i].sig;
		assert_int_equal(buf_printf(&body, "{\"data\":[],\"nonce\":\"n\",\"webhook\":%s,\"sig\":\"%s\"}",
					    rows[i].webhook, sig),
				 0);
		struct peer peer = new_peer(body);
		endpoints[0].connection_count = rows[i].allowed;
		ask(&peer);
		unit_check(receipt.answer.status == rows[i].status, "%zu allowed, %s, %s: %d", rows[i].allowed,
			   rows[i].webhook, sig, receipt.answer.status);
		unit_check((strcmp(receipt.reason, "connection not allowed") == 0) == (rows[i].status == 403), "%s: %s",
			   rows[i].webhook, receipt.reason);
		ended(&peer);
	}
	endpoints[0].connection_count = 0;
}

/* 20: the body is read to its end, but not kept. */
static void too_large(void **state)
{
	(void)state;
	static const char *const lengths[] = {NULL, "-1", ""};
	for (size_t i = 0; i < UNIT_COUNT(lengths); i++) {
		struct buf body = {0};
		for (int k = 0; k < 1000; k++)
			assert_int_equal(buf_printf(&body, "%01000d", 0), 0);
		struct peer peer = new_peer(body);
		peer.request.content_length = lengths[i];
		ask(&peer);
		assert_int_equal(receipt.answer.status, 413);
		assert_true(receipt.body.cap < 300000);
		ended(&peer);
	}
}

static void in_flight(void **state)
{
	(void)state;
	enum { OTHERS = 5000 };
	struct buf sample = unit_sample("virtual-one.json");
	const size_t n = sample.len;
	buf_fini(&sample);
	const struct {
		const char *name;
		const char *length; /* NULL: declared */
		uint64_t max;
		int status;
		uint64_t held;
	} rows[] = {
		{"room for more", NULL, 1 << 20, 200, n},
		{"just enough", NULL, OTHERS + n, 200, n},
		{"one byte too little", NULL, OTHERS + n - 1, 503, 0},
		{"others have it all", NULL, OTHERS, 503, 0},
		{"more than there ever is", NULL, n - 1, 503, 0},
		{"no length", "", 1 << 20, 200, 65536},
		{"no length, just enough", "", OTHERS + 65536, 200, 65536},
		{"no length, too little", "", OTHERS + 65535, 503, 0},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct peer peer = new_peer(unit_sample("virtual-one.json"));
		conf.in_flight_max = rows[i].max;
		receive.in_flight = OTHERS;
		peer.request.content_length = rows[i].length;
		ask(&peer);
		unit_check(receipt.answer.status == rows[i].status, "%s: %d", rows[i].name, receipt.answer.status);
		unit_check(receive.in_flight == OTHERS + rows[i].held, "%s: %" PRIu64, rows[i].name, receive.in_flight);
		unit_check(rows[i].status == 200 || receipt.answer.retry_after > 0, "%s", rows[i].name);
		receive.in_flight -= OTHERS;
		ended(&peer);
	}
}

/* The line has the fields again, and may not keep them for the next request. */
static void long_fields_count(void **state)
{
	(void)state;
	static const struct {
		size_t xref;
		bool counts;
		uint64_t max;
		int status;
	} rows[] = {
		{1000, false, 1 << 20, 200},
		{4000, true, 1 << 20, 200},
		{4000, true, 8000, 503},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf sample = unit_sample("virtual-one.json"), body = {0};
		assert_int_equal(buf_printf(&body, "{\"external_xref\":\"%0*d\",%s", (int)rows[i].xref, 0,
					    buf_cstr(&sample) + 1),
				 0);
		uint64_t size = body.len;
		struct peer peer = new_peer(body);
		conf.in_flight_max = rows[i].max;
		ask(&peer);
		unit_check(receipt.answer.status == rows[i].status, "%zu: %d", rows[i].xref, receipt.answer.status);
		unit_check(rows[i].status != 200 || (receive.in_flight > size) == rows[i].counts, "%zu: %" PRIu64,
			   rows[i].xref, receive.in_flight);
		ended(&peer);
		unit_check(receipt.line.head.cap < 20000, "%zu: %zu are kept", rows[i].xref, receipt.line.head.cap);
		buf_fini(&sample);
	}
}

/* A scheme that takes what a header says for the event's type, as often as the body has bytes. */
static enum scheme_verdict accept_header(const struct scheme_request *request, struct event *event, const char **reason)
{
	const char *value = request->header(request->arg, "x-type");
	assert_int_equal(request->made->len, 0);
	assert_null(request->header(request->arg, "x-other"));
	if (value == NULL) {
		*reason = "header missing";
		return SCHEME_UNSIGNED;
	}
	assert_int_equal(buf_char(request->made, '"'), 0);
	for (size_t i = 0; i < request->n; i++)
		assert_int_equal(buf_str(request->made, value), 0);
	assert_int_equal(buf_char(request->made, '"'), 0);
	event->fields[EVENT_TYPE] = (struct span){request->made->data, request->made->len};
	event->nonce = UNIT_SPAN("\"\"");
	event->data = UNIT_SPAN("{}");
	event->count = 1;
	event_identify(event, UNIT_SPAN(""));
	return SCHEME_ACCEPTED;
}

/* What a scheme makes of headers counts if it is large, and is not kept then. */
static void headers_of_a_scheme(void **state)
{
	(void)state;
	static const char *const names[] = {"x-type", NULL};
	static const struct scheme scheme = {.name = "header", .headers = names, .accept = accept_header};
	static const struct {
		const char *header;
		size_t n;
		int status;
		bool counts;
	} rows[] = {
		{"HTTP_X_TYPE=a", 3, 200, false},  {"HTTP_X_TYPE=b", 5000, 200, true},
		{"HTTP_X_TYPES=a", 3, 401, false}, {"HTTP_X_TYPE=c", 20000, 503, false},
		{"HTTP_X_TYPE=d", 3, 200, false},
	};
	endpoints[0].scheme = &scheme;
	conf.in_flight_max = 50000;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf body = {0};
		assert_int_equal(buf_printf(&body, "%0*d", (int)rows[i].n, 0), 0);
		struct peer peer = new_peer(body);
		char *variables[] = {strdup("HTTP_X_OTHER=x"), strdup(rows[i].header), strdup("HTTP_Y=y"), NULL};
		peer.request.variables = variables;
		peer.request.is_owner = true;
		ask(&peer);
		unit_check(receipt.answer.status == rows[i].status, "row %zu: %d", i, receipt.answer.status);
		unit_check(rows[i].status != 200 || (receive.in_flight > rows[i].n) == rows[i].counts,
			   "row %zu: %" PRIu64, i, receive.in_flight);
		unit_check(rows[i].status != 200 || receipt.event.fields[EVENT_TYPE].len == rows[i].n + 2, "row %zu",
			   i);
		free(variables[0]);
		ended(&peer);
		unit_check(receipt.made.cap <= 4096, "row %zu: %zu are kept", i, receipt.made.cap);
	}
}

static void refuse_after_all(void **state)
{
	(void)state;
	struct peer peer = new_peer(unit_sample("virtual-ten.json"));
	struct buf line = {0};
	ask(&peer);
	assert_true(receipt.accepted);
	receipt_refuse(&receipt, "disk below its reserve");
	assert_false(receipt.accepted);
	assert_int_equal(receipt.answer.status, 503);
	assert_string_equal(receipt.answer.error, "try again later");
	assert_true(receipt.answer.retry_after > 0);
	assert_int_equal(receipt_audit(&receipt, &peer.request, &line), 0);
	assert_non_null(buf_cstr(&line));
	assert_non_null(strstr(line.data, "\"status\":503,\"reason\":\"disk below its reserve\""));
	assert_non_null(strstr(line.data, "\"event_id\":null"));
	assert_non_null(strstr(line.data, "\"records\":0,"));
	buf_fini(&line);
	ended(&peer);
}

/* A receipt serves one request after the other; nothing of one is seen in the next one's. */
static void one_after_the_other(void **state)
{
	(void)state;
	static const struct {
		const char *sample, *uri;
		int status;
		const char *in_audit;
	} turns[] = {
		{"virtual-thousand.json", "/webhook", 413, "\"connection_id\":null"},
		{"new-type.json", "/webhook", 200, "\"object_type\":\"space_rocket\""},
		{"new-type.json", "/nowhere", 404, "\"event_id\":null,\"connection_id\":null,\"object_type\":null"},
		{"sparse-webhook.json", "/webhook", 200, "\"connection_id\":\"c\",\"object_type\":\"crm_contact\""},
		{"bad-secret.json", "/webhook", 401,
		 "\"reason\":\"signature wrong\",\"endpoint\":\"/webhook\",\"event_id\":null"},
		{"virtual-ten.json", "/webhook", 200, "\"records\":10,"},
		{"virtual-one.json", "/nowhere", 404,
		 "\"endpoint\":null,\"path\":\"/nowhere\",\"event_id\":null,\"connection_id\":null"},
		{"virtual-one.json", "/webhook", 200, "\"records\":1,"},
	};
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < UNIT_COUNT(turns); i++) {
			struct peer peer = new_peer(unit_sample(turns[i].sample));
			struct buf line = {0};
			peer.request.uri = turns[i].uri;
			ask(&peer);
			unit_check(receipt.answer.status == turns[i].status, "turn %zu: %d", i, receipt.answer.status);
			assert_int_equal(receipt_audit(&receipt, &peer.request, &line), 0);
			unit_check(strstr(buf_cstr(&line), turns[i].in_audit) != NULL, "turn %zu: %s", i, line.data);
			buf_fini(&line);
			ended(&peer);
			assert_true(receipt.body.cap <= 1 << 17);
		}
}

/* Whatever the sender writes, an audit line is one line, JSON, not long, and holds nothing secret. */
static void audit_lines(void **state)
{
	(void)state;
	char long_id[1000];
	memset(long_id, 'x', sizeof long_id - 1);
	long_id[sizeof long_id - 1] = '\0';
	const struct {
		const char *connection, *remote;
		const char *in_line;
	} rows[] = {
		{"c1", "192.0.2.1", "\"connection_id\":\"c1\",\"object_type\":null,\"records\":0,\"bytes\":"},
		{"\\u001b[2J\\n\\u0000", "192.0.2.1", "\"connection_id\":\"\\u001b[2J\\n\\u0000\""},
		{"\x7f\xc2\x9b\\u00e9", "192.0.2.1", "\"connection_id\":\"\\u007f\\u009b\xc3\xa9\""},
		{long_id, "2001:db8::1", "\"connection_id\":null"},
		{"c1", NULL, "\"remote\":null}"},
		{"c1", "a\"b\\c\x1b\n\xff", "\"remote\":\"a\\\"b\\\\c\\u001b\\n\xef\xbf\xbd\"}"},
		{"c1", long_id, "\"remote\":\"xxxx"},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf body = {0}, line = {0};
		struct json_value value;
		size_t where;
		assert_int_equal(buf_printf(&body,
					    "{\"data\":[\"the data\"],\"nonce\":\"the nonce\",\"sig\":"
					    "\"00112233445566778899aabbccddeeff00112233\",\"webhook\":{\"db_url\":"
					    "\"the password\",\"connection_id\":\"%s\"}}",
					    rows[i].connection),
				 0);
		struct peer peer = new_peer(body);
		peer.request.remote_addr = rows[i].remote;
		ask(&peer);
		assert_int_equal(receipt.answer.status, 401);
		assert_int_equal(buf_str(&line, "before\n"), 0);
		assert_int_equal(receipt_audit(&receipt, &peer.request, &line), 0);
		const char *text = buf_cstr(&line) + 7;
		unit_check(strstr(text, rows[i].in_line) != NULL, "row %zu: %s", i, text);
		unit_check(strchr(text, '\n') == line.data + line.len - 1, "row %zu: %s", i, text);
		unit_check(json_scan(text, line.len - 7, &value, &where) == JSON_OK && value.type == JSON_OBJECT &&
				   value.count == 11,
			   "row %zu: %s", i, text);
		unit_check(line.len < 1000, "row %zu", i);
		unit_check(strstr(text, "the ") == NULL && strstr(text, "00112233") == NULL &&
				   strstr(text, SECRET) == NULL,
			   "row %zu: %s", i, text);
		buf_fini(&line);
		ended(&peer);
	}
}

/* Which path it was, and nothing behind it. */
static void unknown_paths(void **state)
{
	(void)state;
	char long_path[2000];
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[0] = '/';
	long_path[sizeof long_path - 1] = '\0';
	const struct {
		const char *uri, *in_line;
	} rows[] = {
		{"/other", "\"endpoint\":null,\"path\":\"/other\",\"event_id\""},
		{"/other?token=secret", "\"path\":\"/other\",\"event_id\""},
		{"/a\"b\x1b\n\xff", "\"path\":\"/a\\\"b\\u001b\\n\xef\xbf\xbd\",\"event_id\""},
		{"", "\"path\":\"\",\"event_id\""},
		{NULL, "\"endpoint\":null,\"event_id\""},
		{long_path, "xxxx\",\"event_id\""},
		{"/webhook", "\"endpoint\":\"/webhook\",\"event_id\""},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf line = {0};
		struct json_value value;
		size_t where;
		struct peer peer = new_peer(unit_sample("virtual-one.json"));
		peer.request.uri = rows[i].uri;
		ask(&peer);
		assert_int_equal(receipt_audit(&receipt, &peer.request, &line), 0);
		unit_check(strstr(buf_cstr(&line), rows[i].in_line) != NULL, "row %zu: %s", i, line.data);
		unit_check(strstr(line.data, "secret") == NULL && line.len < 600, "row %zu: %s", i, line.data);
		unit_check(json_scan(line.data, line.len, &value, &where) == JSON_OK, "row %zu: %s", i, line.data);
		buf_fini(&line);
		ended(&peer);
	}
}

static void connections(void **state)
{
	(void)state;
	static const char *allowed[] = {"c"};
	static const struct {
		const char *sample;
		int status;
	} rows[] = {{"sparse-webhook.json", 200}, {"virtual-one.json", 403}, {"bad-secret.json", 401}};
	endpoints[0].connections = allowed;
	endpoints[0].connection_count = 1;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct peer peer = new_peer(unit_sample(rows[i].sample));
		ask(&peer);
		unit_check(receipt.answer.status == rows[i].status, "%s: %d", rows[i].sample, receipt.answer.status);
		ended(&peer);
	}
	endpoints[0].connections = NULL;
	endpoints[0].connection_count = 0;
}

/* What was kept is in memory as a whole. */
static void a_kept_buffer_counts_as_a_whole(void **state)
{
	(void)state;
	enum { KEPT = 90000, BODY = 70000, SMALL = 60000 };
	static const struct {
		const char *name, *length; /* NULL: declared */
		size_t body;
		uint64_t max, held;
	} rows[] = {
		{"used", NULL, BODY, 1 << 20, KEPT},
		{"just enough", NULL, BODY, KEPT, KEPT},
		{"no room for all of it", NULL, BODY, KEPT - 1, BODY},
		{"a small body", NULL, SMALL, 1 << 20, SMALL},
		{"no length", "", BODY, 1 << 20, 2 * 65536},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct buf kept = {.data = malloc(KEPT), .cap = KEPT}, body = {0};
		const char *memory = kept.data;
		assert_int_equal(buf_printf(&body, "%0*d", (int)rows[i].body, 0), 0);
		struct peer peer = new_peer(body);
		conf.in_flight_max = rows[i].max;
		peer.request.content_length = rows[i].length;
		receive.bodies = bodies_new();
		bodies_put(receive.bodies, &kept);
		ask(&peer);
		assert_int_equal(receipt.answer.status, 400);
		unit_check(receive.in_flight == rows[i].held, "%s: %" PRIu64, rows[i].name, receive.in_flight);
		unit_check((receipt.body.data == memory) == (rows[i].held == KEPT), "%s", rows[i].name);
		ended(&peer);
		bodies_free(receive.bodies);
		receive.bodies = NULL;
		receipt_fini(&receipt);
		receipt = (struct receipt){0};
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(route_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(accepted, setup, teardown),
		cmocka_unit_test_setup_teardown(refused, setup, teardown),
		cmocka_unit_test_setup_teardown(connection_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(too_large, setup, teardown),
		cmocka_unit_test_setup_teardown(in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(long_fields_count, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kept_buffer_counts_as_a_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(headers_of_a_scheme, setup, teardown),
		cmocka_unit_test_setup_teardown(refuse_after_all, setup, teardown),
		cmocka_unit_test_setup_teardown(one_after_the_other, setup, teardown),
		cmocka_unit_test_setup_teardown(audit_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(connections, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
