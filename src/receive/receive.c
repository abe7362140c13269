#include "config.h"

#include "receive/receive.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "event/record.h"
#include "receive/page.h"
#include "sender/scheme.h"
#include "spool/audit_line.h"

#define RETRY_AFTER   30                    /* seconds, in a 503 */
#define BESIDE_LARGE  4096                  /* bytes beside the body, of the sender's fields: then they count */
#define RECORDS_MAX   (UINT64_C(256) << 20) /* bytes that an event's records may have beside its data */
#define EXPOSED_AGAIN (60 * CLOCK_SECOND)   /* between two messages of it */

/* Every way that a request can end, once. An error of NULL says the reason. */
enum outcome {
	ACCEPTED,
	MALFORMED,
	SHORT_BODY,
	BAD_LENGTH,
	UNAUTHORIZED,
	EXCLUDED,
	NOT_FOUND,
	NOT_POST,
	TOO_LARGE,
	TOO_MANY,
	NOT_JSON,
	FAULT,
	EXPOSED,
	BUSY,
	NOT_STORED,
};
static const struct {
	int status;
	const char *error;
	const char *reason; /* for the audit, where the step that failed gives none */
} outcomes[] = {
	[ACCEPTED] = {200, NULL, "accepted"},
	[MALFORMED] = {400, NULL, NULL},
	[SHORT_BODY] = {400, "body incomplete", "body incomplete"},
	[BAD_LENGTH] = {400, "bad content length", "bad content length"},
	[UNAUTHORIZED] = {401, "bad signature", NULL},
	[EXCLUDED] = {403, "connection not allowed", "connection not allowed"},
	[NOT_FOUND] = {404, "not found", "unknown path"},
	[NOT_POST] = {405, "method not allowed", "method not POST"},
	[TOO_LARGE] = {413, "payload too large", "body over max_body"},
	[TOO_MANY] = {413, "payload too large", "records over 256 MB"},
	[NOT_JSON] = {415, "unsupported media type", "content type not JSON"},
	[FAULT] = {500, "internal error", "out of memory"},
	[EXPOSED] = {500, "internal error", "spool inside the document root"},
	[BUSY] = {503, "try again later", "too much in flight"},
	[NOT_STORED] = {503, "try again later", NULL},
};

static void receipt_end(struct receipt *receipt, enum outcome outcome, const char *reason)
{
	receipt->accepted = outcome == ACCEPTED;
	receipt->reason = reason != NULL ? reason : outcomes[outcome].reason;
	receipt->answer = (struct answer){
		.status = outcomes[outcome].status,
		.error = outcome == MALFORMED ? receipt->reason : outcomes[outcome].error,
		.id = receipt->event.id,
		.records = receipt->event.count == 0 ? 1 : receipt->event.count,
		.retry_after = RETRY_AFTER,
	};
}

/* The endpoint at this path; the query is not looked at, nor a '/' at the end, which senders and web servers add. */
static const struct conf_endpoint *route(const struct conf *conf, const char *uri)
{
	if (uri == NULL)
		return NULL;
	size_t n = strcspn(uri, "?");
	n -= n > 1 && uri[n - 1] == '/';
	for (size_t i = 0; i < conf->endpoint_count; i++)
		if (strlen(conf->endpoints[i].path) == n && memcmp(conf->endpoints[i].path, uri, n) == 0)
			return &conf->endpoints[i];
	return NULL;
}

/* application/json, any +json (RFC 6839 section 3.1), or nothing said; parameters are not looked at. */
static bool is_json(const char *type)
{
	if (type == NULL || *type == '\0')
		return true;
	size_t n = strcspn(type, "; \t");
	return (n == 16 && strncasecmp(type, "application/json", n) == 0) ||
	       (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

bool receive_is_exposed(const struct conf *conf, const char *document_root)
{
	size_t n = document_root == NULL ? 0 : strlen(document_root);
	while (n > 0 && document_root[n - 1] == '/')
		n--;
	return n > 0 && strncmp(conf->spool, document_root, n) == 0 &&
	       (conf->spool[n] == '/' || conf->spool[n] == '\0');
}

struct holding {
	struct receive *receive;
	struct receipt *receipt;
	uint64_t ahead; /* bytes that are held already, of what will be asked for */
};

static int hold(void *arg, uint64_t n)
{
	struct holding *holding = arg;
	if (n <= holding->ahead) {
		holding->ahead -= n;
		return 0;
	}
	uint64_t before = atomic_fetch_add(&holding->receive->in_flight, n);
	uint64_t max = holding->receipt->conf->in_flight_max;
	if (n > max || before > max - n) {
		atomic_fetch_sub(&holding->receive->in_flight, n);
		atomic_store(&holding->receive->was_full, true);
		return -1;
	}
	holding->receipt->held += n;
	return 0;
}

/* Reads into a buffer that was kept, if there is one: it is in memory as a whole, and counts as a whole. */
static void reuse(struct holding *holding, uint64_t length)
{
	struct buf *body = &holding->receipt->body;
	struct buf kept;
	if (!bodies_take(holding->receive->bodies, length, &kept))
		return;
	if (hold(holding, kept.cap) < 0) {
		bodies_put(holding->receive->bodies, &kept);
		return;
	}
	holding->ahead = length;
	buf_fini(body);
	*body = kept;
}

static enum outcome read_body(struct receive *receive, const struct conf_endpoint *endpoint, struct request *request,
			      struct receipt *receipt)
{
	static const enum outcome by_body[] = {
		[REQUEST_BODY_OK] = ACCEPTED,      [REQUEST_BODY_TOO_LARGE] = TOO_LARGE,
		[REQUEST_BODY_SHORT] = SHORT_BODY, [REQUEST_BODY_BAD_LENGTH] = BAD_LENGTH,
		[REQUEST_BODY_BUSY] = BUSY,        [REQUEST_BODY_NO_MEMORY] = FAULT,
	};
	struct holding holding = {receive, receipt, 0};
	uint64_t length;
	if (receive->bodies != NULL && request_length(request, &length) == REQUEST_LENGTH_DECLARED &&
	    length > BODIES_LARGE && length <= endpoint->max_body)
		reuse(&holding, length);
	return by_body[request_read_body(request, endpoint->max_body, hold, &holding, &receipt->body)];
}

static bool is_allowed(const struct conf_endpoint *endpoint, const struct event *event)
{
	if (endpoint->connection_count == 0)
		return true;
	struct span id = event->fields[EVENT_CONNECTION_ID];
	for (size_t i = 0; i < endpoint->connection_count && id.ptr != NULL; i++)
		if (json_string_is(id, endpoint->connections[i]))
			return true;
	return false;
}

static const char *header(const void *request, const char *name)
{
	return request == NULL ? NULL : request_header(request, name);
}

static struct scheme_request ask(const struct conf_endpoint *endpoint, const struct request *request,
				 struct receipt *receipt)
{
	return (struct scheme_request){
		.secrets = endpoint->secrets,
		.secret_count = endpoint->secret_count,
		.algorithms = endpoint->algorithms,
		.body = receipt->body.data,
		.n = receipt->body.len,
		.header = header,
		.arg = request,
		.made = &receipt->made,
	};
}

static enum outcome judge(const struct conf_endpoint *endpoint, const struct request *request, struct receipt *receipt,
			  const char **reason)
{
	static const enum outcome by_verdict[] = {
		[SCHEME_ACCEPTED] = ACCEPTED,     [SCHEME_MALFORMED] = MALFORMED, [SCHEME_UNSIGNED] = UNAUTHORIZED,
		[SCHEME_BAD_FORM] = UNAUTHORIZED, [SCHEME_FORGED] = UNAUTHORIZED, [SCHEME_NO_MEMORY] = FAULT,
	};
	const struct scheme *scheme = endpoint->scheme;
	const struct scheme_request asked = ask(endpoint, request, receipt);
	receipt->event = (struct event){
		.endpoint = {endpoint->path, strlen(endpoint->path)},
		.scheme = {scheme->name, strlen(scheme->name)},
	};
	enum outcome outcome = by_verdict[scheme->accept(&asked, &receipt->event, reason)];
	return outcome == ACCEPTED && !is_allowed(endpoint, &receipt->event) ? EXCLUDED : outcome;
}

void receive_judge(const struct conf_endpoint *endpoint, const struct request *request, struct receipt *receipt)
{
	const char *reason = NULL;
	enum outcome outcome = judge(endpoint, request, receipt, &reason);
	receipt_end(receipt, outcome, reason);
}

int receive_explain(const struct conf_endpoint *endpoint, const struct request *request, struct receipt *receipt,
		    struct buf *out)
{
	const struct scheme_request asked = ask(endpoint, request, receipt);
	return endpoint->scheme->explain(&asked, endpoint->secret_file, out);
}

static enum outcome verify(struct receive *receive, const struct conf_endpoint *endpoint, const struct request *request,
			   struct receipt *receipt, const char **reason)
{
	enum outcome outcome = judge(endpoint, request, receipt, reason);
	if (outcome != ACCEPTED)
		return outcome;
	if (records_overhead(&receipt->event) > RECORDS_MAX)
		return TOO_MANY;
	receipt->event.received_at = clock_now();
	if (line_encode(&receipt->event, &receipt->line) < 0)
		return FAULT;
	struct holding holding = {receive, receipt, 0};
	uint64_t beside = receipt->line.head.cap + receipt->made.cap;
	return beside > BESIDE_LARGE && hold(&holding, beside) < 0 ? BUSY : ACCEPTED;
}

/* A request for the page. */
static enum outcome look(struct request *request, struct receipt *receipt, const char **reason)
{
	enum view view = view_answer(receipt->conf, request, &receipt->reply, &receipt->rings);
	receipt->quiet = view == VIEW_ANSWERED;
	if (view == VIEW_FAILED)
		receipt->reply.len = 0;
	if (view == VIEW_REFUSED)
		*reason = "wrong token";
	return view == VIEW_UNKNOWN ? NOT_FOUND : view == VIEW_FAILED ? FAULT : UNAUTHORIZED;
}

/* A body may take long, and is judged by what is in force when it is there: a secret that was removed meanwhile proves
 * nothing. */
static const struct conf_endpoint *route_again(struct receive *receive, const struct conf_endpoint *endpoint,
					       const char *uri, struct receipt *receipt)
{
	if (current_is(receive->current, receipt->conf))
		return endpoint;
	conf_free(receipt->conf);
	receipt->conf = current_hold(receive->current);
	return route(receipt->conf, uri);
}

/* Which the one who made the configuration has to read, and not for each request. */
static void warn_exposed(struct receive *receive, const struct conf *conf, const char *document_root)
{
	int64_t now = clock_monotonic(), before = atomic_load(&receive->exposed_at);
	if ((before == 0 || now - before >= EXPOSED_AGAIN) &&
	    atomic_compare_exchange_strong(&receive->exposed_at, &before, now))
		log_warnx("requests are answered 500: the spool %s is below the document root %s, where the web server "
			  "hands its files to anybody; move it out of there",
			  conf->spool, document_root);
}

void receive_request(struct receive *receive, struct request *request, struct receipt *receipt)
{
	const struct conf *conf = receipt->conf = current_hold(receive->current);
	const struct conf_endpoint *endpoint = route(conf, request->uri);
	const char *reason = NULL;
	enum outcome outcome;
	bool is_view = endpoint == NULL && view_has(conf, request->uri);
	request_keep(request, is_view ? view_headers : endpoint == NULL ? NULL : endpoint->scheme->headers);
	if (is_view) {
		outcome = look(request, receipt, &reason);
	} else if (endpoint == NULL) {
		outcome = NOT_FOUND;
	} else if (request->method == NULL || strcmp(request->method, "POST") != 0) {
		outcome = NOT_POST;
	} else if (!is_json(request->content_type)) {
		outcome = NOT_JSON;
	} else if (receive_is_exposed(conf, request->document_root)) {
		outcome = EXPOSED;
		warn_exposed(receive, conf, request->document_root);
	} else {
		outcome = read_body(receive, endpoint, request, receipt);
		receipt->bytes = receipt->body.len;
		endpoint = route_again(receive, endpoint, request->uri, receipt);
		if (outcome == ACCEPTED)
			outcome = endpoint == NULL ? NOT_FOUND : verify(receive, endpoint, request, receipt, &reason);
		else
			receipt_release(receive, receipt); /* the rest needs no memory to be read */
	}
	receipt->endpoint = is_view ? receipt->conf->status_path : endpoint == NULL ? NULL : endpoint->path;
	if (outcome != ACCEPTED)
		request_drain(request);
	receipt_end(receipt, outcome, reason);
}

void receipt_refuse(struct receipt *receipt, const char *reason)
{
	receipt_end(receipt, NOT_STORED, reason);
}

int receipt_answer(const struct receipt *receipt, struct request *request)
{
	if (receipt->reply.len > 0)
		return request->send(request, receipt->reply.data, receipt->reply.len);
	return request_answer(request, &receipt->answer);
}

int receipt_audit(const struct receipt *receipt, const struct request *request, struct buf *out)
{
	const struct event *event = &receipt->event;
	return audit_tell_request(out, &(struct audit_request){
					       .status = receipt->answer.status,
					       .reason = receipt->reason,
					       .endpoint = receipt->endpoint,
					       .path = receipt->endpoint == NULL ? request->uri : NULL,
					       .event_id = receipt->accepted ? event->id : NULL,
					       .connection_id = event->fields[EVENT_CONNECTION_ID],
					       .object_type = event->fields[EVENT_OBJECT_TYPE],
					       .records = receipt->accepted ? receipt->answer.records : 0,
					       .bytes = receipt->bytes,
					       .remote = request->remote_addr,
				       });
}

void receipt_release(struct receive *receive, struct receipt *receipt)
{
	receipt->body.len = 0;
	if (receipt->body.cap > BODIES_LARGE && receipt->bytes > BODIES_LARGE && receive->bodies != NULL)
		bodies_put(receive->bodies, &receipt->body);
	else if (receipt->body.cap > BODIES_LARGE)
		buf_fini(&receipt->body);
	receipt->made.len = 0;
	if (receipt->line.head.cap + receipt->made.cap > BESIDE_LARGE) {
		line_fini(&receipt->line);
		buf_fini(&receipt->made);
	}
	atomic_fetch_sub(&receive->in_flight, receipt->held);
	receipt->held = 0;
}

static void receipt_part(struct receipt *receipt)
{
	conf_free(receipt->conf);
	receipt->conf = NULL;
	receipt->endpoint = NULL;
}

void receipt_clear(struct receive *receive, struct receipt *receipt)
{
	receipt_release(receive, receipt);
	receipt->event = (struct event){0};
	receipt->bytes = 0;
	receipt->quiet = receipt->rings = false;
	buf_fini(&receipt->reply);
	receipt_part(receipt);
}

void receipt_fini(struct receipt *receipt)
{
	line_fini(&receipt->line);
	buf_fini(&receipt->body);
	buf_fini(&receipt->made);
	buf_fini(&receipt->reply);
	receipt_part(receipt);
}
