#include "config.h"

#include "web/request.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK  65536 /* bytes for which memory is asked at a time */
#define HEADER "HTTP_"

static const struct {
	int status;
	const char *text;
} statuses[] = {
	{200, "OK"},
	{202, "Accepted"},
	{308, "Permanent Redirect"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{413, "Content Too Large"},
	{415, "Unsupported Media Type"},
	{500, "Internal Server Error"},
	{503, "Service Unavailable"},
};

const char *request_status_text(int status)
{
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "";
}

/* Of the header of this name, where the variable has it; else NULL. */
static const char *value_of(const char *variable, const char *prefix, const char *name)
{
	size_t n = strlen(prefix);
	if (strncmp(variable, prefix, n) != 0)
		return NULL;
	for (variable += n; *name != '\0'; variable++, name++)
		if (*variable != (*name == '-' ? '_' : toupper((unsigned char)*name)))
			return NULL;
	return *variable == '=' ? variable + 1 : NULL;
}

const char *request_header(const struct request *request, const char *name)
{
	/* Apache renames variables when it rewrites a path. */
	static const char *const prefixes[] = {HEADER, "REDIRECT_" HEADER};
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
		for (char **p = request->variables; p != NULL && *p != NULL; p++) {
			const char *value = value_of(*p, prefixes[i], name);
			if (value != NULL)
				return value;
		}
	return NULL;
}

static bool is_named(const char *variable, const char *const *names)
{
	for (; names != NULL && *names != NULL; names++)
		if (value_of(variable, HEADER, *names) != NULL)
			return true;
	return false;
}

void request_keep(struct request *request, const char *const *names)
{
	if (!request->is_owner)
		return;
	char **kept = request->variables;
	for (char **p = request->variables; *p != NULL; p++) {
		char *variable = *p;
		*p = NULL;
		if (strncmp(variable, HEADER, sizeof HEADER - 1) != 0 || is_named(variable, names))
			*kept++ = variable;
		else
			free(variable);
	}
}

int request_answer(struct request *request, const struct answer *answer)
{
	char body[256], extra[64] = "", response[640];
	int length = answer->error == NULL
			     ? snprintf(body, sizeof body, "{\"status\":\"accepted\",\"id\":\"%s\",\"records\":%u}\n",
					answer->id, answer->records)
			     : snprintf(body, sizeof body, "{\"error\":\"%s\"}\n", answer->error);
	if (answer->status == 405)
		snprintf(extra, sizeof extra, "Allow: POST\r\n");
	else if (answer->status == 503)
		snprintf(extra, sizeof extra, "Retry-After: %u\r\n", answer->retry_after);
	int n = snprintf(response, sizeof response,
			 "Status: %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
			 answer->status, request_status_text(answer->status), length, extra, body);
	return request->send(request, response, (size_t)n);
}

enum request_length request_length(const struct request *request, uint64_t *length)
{
	const char *s = request->content_length;
	if (s == NULL || *s == '\0' || strcmp(s, "-1") == 0)
		return REQUEST_LENGTH_UNKNOWN;
	*length = 0;
	for (; *s != '\0'; s++)
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(*length, UINT64_C(10), length) ||
		    __builtin_add_overflow(*length, (uint64_t)(*s - '0'), length))
			return REQUEST_LENGTH_BAD;
	return REQUEST_LENGTH_DECLARED;
}

void request_drain(struct request *request)
{
	char waste[16384];
	while (request->read(request, waste, sizeof waste) > 0)
		;
}

/* What is declared and has not come takes no memory, but for the next piece: nobody can hold it by a promise. */
static enum request_body read_declared(struct request *request, uint64_t length, int (*take)(void *arg, uint64_t n),
				       void *arg, struct buf *body)
{
	char more;
	if (buf_reserve(body, length) < 0)
		return REQUEST_BODY_NO_MEMORY;
	while (body->len < length) {
		size_t end = length - body->len < CHUNK ? length : body->len + CHUNK;
		if (take(arg, end - body->len) < 0)
			return REQUEST_BODY_BUSY;
		while (body->len < end) {
			ssize_t n = request->read(request, body->data + body->len, end - body->len);
			if (n <= 0)
				return REQUEST_BODY_SHORT;
			body->len += (size_t)n;
		}
	}
	ssize_t n = request->read(request, &more, 1);
	return n == 0 ? REQUEST_BODY_OK : REQUEST_BODY_SHORT;
}

static enum request_body read_unknown(struct request *request, uint64_t max, int (*take)(void *arg, uint64_t n),
				      void *arg, struct buf *body)
{
	for (;;) {
		if (take(arg, CHUNK) < 0)
			return REQUEST_BODY_BUSY;
		for (size_t end = body->len + CHUNK; body->len < end;) {
			if (buf_reserve(body, end - body->len) < 0)
				return REQUEST_BODY_NO_MEMORY;
			ssize_t n = request->read(request, body->data + body->len, end - body->len);
			if (n < 0)
				return REQUEST_BODY_SHORT;
			if (n == 0)
				return REQUEST_BODY_OK;
			body->len += (size_t)n;
			if (body->len > max)
				return REQUEST_BODY_TOO_LARGE;
		}
	}
}

enum request_body request_read_body(struct request *request, uint64_t max, int (*take)(void *arg, uint64_t n),
				    void *arg, struct buf *body)
{
	uint64_t length;
	switch (request_length(request, &length)) {
	case REQUEST_LENGTH_BAD:
		return REQUEST_BODY_BAD_LENGTH;
	case REQUEST_LENGTH_UNKNOWN:
		return read_unknown(request, max, take, arg, body);
	case REQUEST_LENGTH_DECLARED:
		break;
	}
	if (length > max)
		return REQUEST_BODY_TOO_LARGE;
	return read_declared(request, length, take, arg, body);
}
