/* A request from a web server, whichever way it came (CGI, RFC 3875; FastCGI), and the answer to it. */
#ifndef HOOKSPOOL_WEB_REQUEST_H
#define HOOKSPOOL_WEB_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* Strings are borrowed from the gateway and live until the answer; NULL where the server passed none. */
struct request {
	const char *method;
	const char *uri; /* REQUEST_URI: the path as the client sent it, with query */
	const char *content_type;
	const char *content_length;
	const char *remote_addr;
	const char *document_root;
	/* All variables that the server passed, as "NAME=value", then a NULL; or NULL. Names of headers begin with
	 * HTTP_. */
	char **variables;
	bool is_owner; /* each variable was allocated on its own: request_keep may free it */

	/* Reads up to n bytes of the body. 0: its end. -1: it was cut short, or the peer is gone. */
	ssize_t (*read)(struct request *request, void *bytes, size_t n);
	/* Sends a complete CGI response. 0, or -1 if the peer is gone. */
	int (*send)(struct request *request, const char *bytes, size_t n);
};

/* Returns the value of a header, or NULL if the request has none. The name is in lower case. Many servers do not pass
 * "authorization" to CGI programs. */
const char *request_header(const struct request *request, const char *name);

/* Frees all headers but the named ones (lower-case names, then a NULL; NULL: none). The headers of a client can be a
 * megabyte, and would take memory for as long as the body is read. */
void request_keep(struct request *request, const char *const *names);

struct answer {
	int status;           /* 200, … */
	const char *error;    /* NULL for 200 */
	const char *id;       /* 200: the event's */
	uint32_t records;     /* 200 */
	unsigned retry_after; /* 503: seconds */
};

/* The reason phrase of a status that this program answers with. */
const char *request_status_text(int status);

/* Formats and sends. */
int request_answer(struct request *request, const struct answer *answer);

/* What CONTENT_LENGTH says (RFC 3875 section 4.1.2). */
enum request_length {
	REQUEST_LENGTH_UNKNOWN, /* none; or "-1", which Caddy passes for a chunked body */
	REQUEST_LENGTH_DECLARED,
	REQUEST_LENGTH_BAD,
};
enum request_length request_length(const struct request *request, uint64_t *length);

enum request_body {
	REQUEST_BODY_OK,
	REQUEST_BODY_TOO_LARGE,  /* over max */
	REQUEST_BODY_SHORT,      /* shorter or longer than declared, or cut */
	REQUEST_BODY_BAD_LENGTH, /* a declared length that is no number */
	REQUEST_BODY_BUSY,       /* `take` refused the memory */
	REQUEST_BODY_NO_MEMORY,
};
/* Reads the body to its end into body. `take(arg, n)` is asked before n more bytes of memory are used, and says 0 or
 * -1. */
enum request_body request_read_body(struct request *request, uint64_t max, int (*take)(void *arg, uint64_t n),
				    void *arg, struct buf *body);

/* Reads what is left of the body and throws it away. Every refused request needs it: a server may not look at an answer
 * before it has sent its body, and on a kept connection the next request stands behind it. */
void request_drain(struct request *request);

#endif
