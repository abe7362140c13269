/* A request's path, headers and body, through receive_request and the answer. The input is text: method, URI, content
 * type, content length, remote address, document root, authorization, a line each ("-" for none), an empty line, the
 * body. */
#include "config.h"

#include <string.h>

#include "base/json.h"
#include "fuzz.h"
#include "receive/receive.h"
#include "sender/presets.h"
#include "sender/scheme.h"

#define HEADERS 7

struct fake {
	struct request request;
	struct span body;
	bool cut; /* the peer goes before the end */
	struct buf sent;
};

static ssize_t fake_read(struct request *request, void *bytes, size_t n)
{
	struct fake *fake = (struct fake *)request;
	/* In pieces of odd sizes, as a network has them. */
	size_t most = 1 + (fake->body.len * 7 + 3) % 61, got = n < most ? n : most;
	if (fake->body.len == 0)
		return fake->cut ? -1 : 0;
	if (got > fake->body.len)
		got = fake->body.len;
	memcpy(bytes, fake->body.ptr, got);
	fake->body.ptr += got;
	fake->body.len -= got;
	return (ssize_t)got;
}

static int fake_send(struct request *request, const char *bytes, size_t n)
{
	return buf_append(&((struct fake *)request)->sent, bytes, n);
}

static struct span next_line(struct span *rest)
{
	const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
	struct span line = {rest->ptr, end == NULL ? rest->len : (size_t)(end - rest->ptr)};
	size_t used = line.len + (end != NULL);
	*rest = (struct span){rest->ptr + used, rest->len - used};
	return line;
}

/* The answer is a CGI response with a JSON body of the length that it says, and nothing of the sender's in its head. */
static void check_response(struct span sent, int status)
{
	char expected[32];
	struct json_value value;
	size_t where;
	const char *body = memmem(sent.ptr, sent.len, "\r\n\r\n", 4);
	snprintf(expected, sizeof expected, "Status: %d ", status);
	MUST(body != NULL && sent.len > strlen(expected) && memcmp(sent.ptr, expected, strlen(expected)) == 0);
	body += 4;
	size_t length = sent.len - (size_t)(body - sent.ptr);
	snprintf(expected, sizeof expected, "Content-Length: %zu\r\n", length);
	MUST(memmem(sent.ptr, (size_t)(body - sent.ptr), expected, strlen(expected)) != NULL);
	MUST(json_scan(body, length, &value, &where) == JSON_OK && value.type == JSON_OBJECT);
}

static void check_audit(const struct receipt *receipt, const struct request *request)
{
	struct buf line = {0};
	struct json_value value;
	size_t where;
	MUST(receipt_audit(receipt, request, &line) == 0);
	MUST(line.len > 0 && line.data[line.len - 1] == '\n' && line.len < 4096);
	for (size_t i = 0; i < line.len - 1; i++)
		MUST((unsigned char)line.data[i] >= 0x20 && line.data[i] != 0x7f);
	MUST(json_scan(line.data, line.len - 1, &value, &where) == JSON_OK && value.type == JSON_OBJECT);
	buf_fini(&line);
}

/* With a '/' at its end too, which senders and web servers add. */
static bool is_path(const char *uri, const char *path)
{
	size_t n = strlen(path);
	if (uri == NULL || strncmp(uri, path, n) != 0)
		return false;
	n += uri[n] == '/';
	return uri[n] == '\0' || uri[n] == '?';
}

/* Which answers there can be, by what no signature is needed for. */
static void check_status(const struct conf *conf, const struct request *request, int status)
{
	bool known = false;
	for (size_t i = 0; i < conf->endpoint_count; i++)
		known |= is_path(request->uri, conf->endpoints[i].path);
	MUST(known == (status != 404));
	MUST(!known || (request->method != NULL && strcmp(request->method, "POST") == 0) == (status != 405));
	MUST(status == 200 || (status >= 400 && status <= 415) || status == 500 || status == 503);
}

/* There is no spool, so there is nothing to be seen; and without the token nothing is told. */
static void check_page(const struct fake *fake, const struct receipt *receipt)
{
	static const char *const statuses[] = {"308 ", "401 ", "400 ", "403 ", "405 ", "503 "};
	const char *sent = fake->sent.data + strlen("Status: ");
	bool known = false;
	MUST(fake->sent.len > 12 && memcmp(fake->sent.data, "Status: ", 8) == 0);
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		known |= memcmp(sent, statuses[i], 4) == 0;
	MUST(known && memmem(fake->sent.data, fake->sent.len, "\r\n\r\n", 4) != NULL);
	MUST(!receipt->accepted && fake->body.len == 0);
	MUST(memmem(fake->sent.data, fake->sent.len, "0123456789abcdef-token", 22) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct span secrets[] = {{"wks_5de520f96e439b002043d8d8_secret", 35}};
	static const char *connections[] = {"c1", "5dc201f9414446e39b2045aa"};
	static struct conf_endpoint endpoints[] = {
		{.path = "/webhook",
		 .secrets = secrets,
		 .secret_count = 1,
		 .algorithms = SCHEME_SHA1 | SCHEME_SHA256,
		 .max_body = 4000},
		{.path = "/w",
		 .secrets = secrets,
		 .secret_count = 1,
		 .algorithms = SCHEME_SHA256,
		 .connections = connections,
		 .connection_count = 2,
		 .max_body = 100000},
	};
	static struct span tokens[] = {{"0123456789abcdef-token", 22}};
	static const struct conf conf = {.spool = "/srv/www/spool",
					 .endpoints = endpoints,
					 .endpoint_count = 2,
					 .in_flight_max = 1 << 20,
					 .status_path = "/page",
					 .tokens = tokens,
					 .token_count = 1};
	endpoints[0].scheme = endpoints[1].scheme = presets_find("unified");
	/* Used again and again, as the server does it; freed from time to time. */
	static struct current current = CURRENT_OF(&conf);
	static struct receive receive = {.current = &current};
	static struct receipt receipt;
	struct span rest = {(const char *)data, size};
	char *headers[HEADERS];
	for (size_t i = 0; i < HEADERS; i++) {
		struct span line = next_line(&rest);
		headers[i] =
			line.len == 1 && *line.ptr == '-' ? NULL : strndup(line.len == 0 ? "" : line.ptr, line.len);
	}
	char header[4096], *variables[] = {headers[6] == NULL ? NULL : header, NULL};
	snprintf(header, sizeof header, "HTTP_AUTHORIZATION=%s", headers[6]);
	struct fake fake = {
		.request = {.method = headers[0],
			    .uri = headers[1],
			    .content_type = headers[2],
			    .content_length = headers[3],
			    .remote_addr = headers[4],
			    .document_root = headers[5],
			    .variables = variables,
			    .read = fake_read,
			    .send = fake_send},
		.cut = next_line(&rest).len > 0,
		.body = rest,
	};
	receive_request(&receive, &fake.request, &receipt);
	MUST(receipt.accepted == (receipt.answer.status == 200) && (receipt.quiet || receipt.reason != NULL));
	if (receipt.reply.len == 0)
		check_status(&conf, &fake.request, receipt.answer.status);
	MUST(!receipt.accepted || receipt.line.data.len == receipt.event.data.len);
	check_audit(&receipt, &fake.request);
	if (receipt.accepted && size % 7 == 0)
		receipt_refuse(&receipt, "disk below its reserve");
	bool is_page = receipt.reply.len > 0;
	receipt_release(&receive, &receipt);
	MUST(receive.in_flight == 0);
	MUST(receipt_answer(&receipt, &fake.request) == 0);
	if (is_page)
		check_page(&fake, &receipt);
	else
		check_response((struct span){fake.sent.data, fake.sent.len}, receipt.answer.status);
	receipt_clear(&receive, &receipt);
	MUST(receive.in_flight == 0);
	if (size % 5 == 0)
		receipt_fini(&receipt);
	for (size_t i = 0; i < HEADERS; i++)
		free(headers[i]);
	buf_fini(&fake.sent);
	return 0;
}
