#include "config.h"

#include "receive/page.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "sender/mac.h"
#include "spool/published.h"
#include "spool/request_file.h"

#define OLD_AFTER        (10 * CLOCK_SECOND) /* a file of the deliverer's: then it is asked for a newer one */
#define HEALTH_OLD_AFTER (60 * CLOCK_SECOND) /* the same where anybody may ask */
#define TOLD_AFTER       (15 * CLOCK_SECOND) /* then the page says so */
#define FORM_MAX         1024                /* bytes */
#define CREDENTIALS_MAX  4096

#define HTML  "text/html; charset=utf-8"
#define JSON  "application/json"
#define PLAIN "text/plain; version=0.0.4; charset=utf-8"

/* What every answer has. Nothing but our own style comes with the page, and nothing can be put around it. */
#define HEADERS                                                                                                        \
	"Cache-Control: no-store\r\n"                                                                                  \
	"Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "         \
	"frame-ancestors 'none'\r\n"                                                                                   \
	"Cross-Origin-Resource-Policy: same-origin\r\n"                                                                \
	"Referrer-Policy: no-referrer\r\n"                                                                             \
	"X-Content-Type-Options: nosniff\r\n"

struct visit {
	const struct conf *conf;
	struct request *request;
	const char *authorization; /* or NULL */
	struct buf *reply;
	bool *rings;
};

const char *const view_headers[] = {"authorization", NULL};

static size_t prefix_length(const struct conf *conf)
{
	size_t n = strlen(conf->status_path);
	return n == 1 ? 0 : n; /* "/" */
}

bool view_has(const struct conf *conf, const char *uri)
{
	if (conf->status_path == NULL || uri == NULL)
		return false;
	size_t n = prefix_length(conf);
	return strncmp(uri, conf->status_path, n) == 0 && (uri[n] == '/' || uri[n] == '?' || uri[n] == '\0');
}

/* Answers */

static enum view respond(const struct visit *v, int status, const char *type, const char *headers, struct span body)
{
	bool head = v->request->method != NULL && strcmp(v->request->method, "HEAD") == 0;
	v->reply->len = 0;
	return buf_printf(v->reply, "Status: %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n" HEADERS "%s\r\n",
			  status, request_status_text(status), type, body.len, headers) < 0 ||
			       (!head && body.len > 0 && buf_append(v->reply, body.ptr, body.len) < 0)
		       ? VIEW_FAILED
		       : VIEW_ANSWERED;
}

static enum view respond_text(const struct visit *v, int status, const char *type, const char *headers,
			      const char *body)
{
	return respond(v, status, type, headers, (struct span){body, strlen(body)});
}

/* A page of one sentence. */
#define SENTENCE(text)                                                                                                 \
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>hookspool</title>"                    \
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"                                     \
	"<link rel=\"stylesheet\" href=\"style.css\"></head>\n<body><main><p>" text                                    \
	" <a href=\"./\">Back to the page</a></p></main></body></html>\n"

static enum view not_allowed(const struct visit *v, const char *allow)
{
	return respond_text(v, 405, JSON, allow, "{\"error\":\"method not allowed\"}\n");
}

/* The token */

/* Whether it is one of the tokens, in the same time whatever it is. */
static bool is_token(const struct conf *conf, struct span given)
{
	uint8_t ours[HASH_SIZE], theirs[HASH_SIZE];
	unsigned found = 0;
	hash_sha256(&given, 1, theirs);
	for (size_t i = 0; i < conf->token_count; i++) {
		hash_sha256(&conf->tokens[i], 1, ours);
		found |= mac_equal(ours, theirs, sizeof ours);
	}
	return found != 0;
}

/* "Bearer TOKEN" of programs (RFC 6750), or "Basic" of browsers with any name and the token as the password
 * (RFC 7617). */
static bool has_token(const struct conf *conf, const char *authorization)
{
	uint8_t plain[CREDENTIALS_MAX];
	const char *space = strchr(authorization, ' ');
	size_t scheme = space == NULL ? 0 : (size_t)(space - authorization);
	if (scheme == 6 && strncasecmp(authorization, "Bearer", scheme) == 0)
		return is_token(conf, (struct span){space + 1, strlen(space + 1)});
	if (scheme != 5 || strncasecmp(authorization, "Basic", scheme) != 0)
		return false;
	ssize_t n = text_unbase64(space + 1, strlen(space + 1), plain, sizeof plain);
	const uint8_t *colon = n <= 0 ? NULL : memchr(plain, ':', (size_t)n);
	bool is = colon != NULL &&
		  is_token(conf, (struct span){(const char *)colon + 1, (size_t)(plain + n - colon - 1)});
	explicit_bzero(plain, sizeof plain);
	return is;
}

static enum view refuse(const struct visit *v)
{
	enum view view =
		respond_text(v, 401, JSON, "WWW-Authenticate: Basic realm=\"hookspool\", charset=\"UTF-8\"\r\n",
			     "{\"error\":\"unauthorized\"}\n");
	/* A browser asks without one first; that is nothing to be told. */
	return view == VIEW_ANSWERED && v->authorization != NULL ? VIEW_REFUSED : view;
}

/* Files */

static enum view respond_none(const struct visit *v, const char *type)
{
	*v->rings = true;
	return respond_text(v, 503, type, "Retry-After: 5\r\nRefresh: 5\r\n",
			    strcmp(type, HTML) == 0
				    ? SENTENCE("No deliverer has written anything yet; it was asked to.")
				    : "nothing was written yet\n");
}

/* The page with its age, where it is told. */
static enum view respond_aged(const struct visit *v, const char *type, const struct buf *file, int64_t age)
{
	struct buf out = {0};
	char human[TEXT_HUMAN_SIZE];
	const char *mark =
		file->len == 0 ? NULL : memmem(file->data, file->len, SNAPSHOT_AGE_MARK, sizeof SNAPSHOT_AGE_MARK - 1);
	size_t before = mark == NULL ? file->len : (size_t)(mark - file->data);
	text_human_duration(age, human);
	enum view view = VIEW_FAILED;
	if (buf_append(&out, file->data, before) == 0 &&
	    buf_printf(&out, "<p class=\"age\">This is %s old. The deliverer was asked for a newer one.</p>", human) ==
		    0 &&
	    (mark == NULL || buf_str(&out, mark) == 0))
		view = respond(v, 200, type, "Refresh: 5\r\n", (struct span){out.data, out.len});
	buf_fini(&out);
	return view;
}

static enum view respond_file(const struct visit *v, enum snapshot_file which, const char *type)
{
	struct buf file = {0};
	int64_t written_at;
	enum view view;
	if (snapshot_read(v->conf->spool, which, &file, &written_at) < 0 || buf_cstr(&file) == NULL) {
		view = respond_none(v, type);
	} else {
		int64_t age = clock_now() - written_at;
		if (age > OLD_AFTER)
			*v->rings = true;
		if (which == SNAPSHOT_PAGE && age > TOLD_AFTER)
			view = respond_aged(v, type, &file, age);
		else
			view = respond(v, 200, type, which == SNAPSHOT_PAGE ? "Refresh: 30\r\n" : "",
				       (struct span){file.data, file.len});
	}
	buf_fini(&file);
	return view;
}

/* Health */

/* What came since the deliverer looked can have waited for too long only if that is so long ago: mostly the journal is
 * not looked at. */
static bool is_well(const struct conf *conf, int64_t now, const struct snapshot_health *health)
{
	if (!health->ok || (health->late_at != 0 && now >= health->late_at))
		return false;
	return now - health->at <= conf->late_after ||
	       snapshot_is_waiting(conf->spool, health->at, now - conf->late_after) == 0;
}

static enum view respond_health(const struct visit *v)
{
	struct snapshot_health health;
	int64_t now = clock_now();
	bool known = snapshot_health_read(v->conf->spool, &health) == 0;
	if (!known || now - health.at > HEALTH_OLD_AFTER)
		*v->rings = true;
	if (known && is_well(v->conf, now, &health))
		return respond_text(v, 200, JSON, "", "{\"state\":\"ok\"}\n");
	return respond_text(v, 503, JSON, "", known ? "{\"state\":\"not ok\"}\n" : "{\"state\":\"unknown\"}\n");
}

/* Errands */

static int take_any(void *arg, uint64_t n)
{
	(void)arg;
	(void)n;
	return 0;
}

/* The value of a field of the form (its names and values need no escapes), and a NUL behind it; NULL: there is none. */
static char *field(char *form, const char *name)
{
	size_t n = strlen(name);
	for (char *s = form; s != NULL; s = strchr(s, '&')) {
		s += *s == '&';
		if (strncmp(s, name, n) != 0 || s[n] != '=')
			continue;
		size_t length = strcspn(s + n + 1, "&");
		return strndup(s + n + 1, length);
	}
	return NULL;
}

/* Whether the form has the word that only the page has: another site can make a browser send a form here, too. */
static bool is_ours(const struct conf *conf, const char *word)
{
	struct buf ours = {0};
	int64_t written_at;
	bool is = snapshot_read(conf->spool, SNAPSHOT_FORM, &ours, &written_at) == 0 &&
		  ours.len == SNAPSHOT_FORM_SIZE - 1 && strlen(word) == ours.len &&
		  mac_equal((const uint8_t *)ours.data, (const uint8_t *)word, ours.len);
	buf_fini(&ours);
	return is;
}

static enum view leave_errand(const struct visit *v, const char *word, const char *name)
{
	struct errand errand;
	if (word == NULL || !is_ours(v->conf, word))
		return respond_text(v, 403, HTML, "", SENTENCE("This form is not of the page as it is now."));
	if (name == NULL || !errand_parse(&errand, name))
		return respond_text(v, 400, HTML, "", SENTENCE("This form asks for nothing that is known."));
	if (errand_leave(v->conf->spool, &errand) < 0)
		return respond_text(v, 503, HTML, "Retry-After: 5\r\n", SENTENCE("It cannot be asked for now."));
	*v->rings = true;
	return respond_text(v, 202, HTML, "Refresh: 1; url=./\r\n", SENTENCE("The deliverer was asked to try again."));
}

static enum view take_form(const struct visit *v)
{
	struct buf form = {0};
	enum request_body body = request_read_body(v->request, FORM_MAX, take_any, NULL, &form);
	enum view view;
	if (body == REQUEST_BODY_NO_MEMORY || buf_cstr(&form) == NULL) {
		view = VIEW_FAILED;
	} else if (body != REQUEST_BODY_OK) {
		view = respond_text(v, 400, HTML, "", SENTENCE("This form cannot be read."));
	} else {
		char *word = field(form.data, "form"), *name = field(form.data, "errand");
		view = leave_errand(v, word, name);
		free(word);
		free(name);
	}
	buf_fini(&form);
	return view;
}

/* Routes */

static enum view respond_moved(const struct visit *v)
{
	struct buf location = {0};
	enum view view = VIEW_FAILED;
	if (buf_printf(&location, "Location: %s/\r\n", v->conf->status_path) == 0 && buf_cstr(&location) != NULL)
		view = respond_text(v, 308, JSON, location.data, "");
	buf_fini(&location);
	return view;
}

static enum view answer(const struct visit *v, struct span name)
{
	static const struct {
		const char *name, *type;
		enum snapshot_file file;
	} files[] = {
		{"/", HTML, SNAPSHOT_PAGE},
		{"/style.css", "text/css; charset=utf-8", SNAPSHOT_STYLE},
		{"/status.json", JSON, SNAPSHOT_STATUS},
		{"/metrics", PLAIN, SNAPSHOT_METRICS},
	};
	const char *method = v->request->method == NULL ? "" : v->request->method;
	bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	bool is_health = name.len == 7 && memcmp(name.ptr, "/health", 7) == 0;
	bool is_retry = name.len == 6 && memcmp(name.ptr, "/retry", 6) == 0;
	if (name.len == 0 || is_health)
		return !reads      ? not_allowed(v, "Allow: GET, HEAD\r\n")
		       : is_health ? respond_health(v)
				   : respond_moved(v);
	if (v->authorization == NULL || !has_token(v->conf, v->authorization))
		return refuse(v);
	if (is_retry)
		return strcmp(method, "POST") == 0 ? take_form(v) : not_allowed(v, "Allow: POST\r\n");
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
		if (strlen(files[i].name) == name.len && memcmp(files[i].name, name.ptr, name.len) == 0)
			return reads ? respond_file(v, files[i].file, files[i].type)
				     : not_allowed(v, "Allow: GET, HEAD\r\n");
	return VIEW_UNKNOWN;
}

enum view view_answer(const struct conf *conf, struct request *request, struct buf *reply, bool *rings)
{
	const struct visit visit = {conf, request, request_header(request, view_headers[0]), reply, rings};
	const char *name = request->uri + prefix_length(conf);
	*rings = false;
	enum view view = answer(&visit, (struct span){name, strcspn(name, "?")});
	request_drain(request);
	return view;
}
