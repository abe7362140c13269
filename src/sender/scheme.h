/* A scheme: how a sender's request proves who sent it, and what event it is. sender/presets has the table. Pure. */
#ifndef HOOKSPOOL_SENDER_SCHEME_H
#define HOOKSPOOL_SENDER_SCHEME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "event/event.h"

/* Which signatures may prove an event; bits of scheme_request.algorithms. */
enum {
	SCHEME_SHA1 = 1,
	SCHEME_SHA256 = 2,
};

/* A request, and what its endpoint accepts. */
struct scheme_request {
	const struct span *secrets; /* at least one; any of them may have signed */
	size_t secret_count;
	unsigned algorithms;
	char *body; /* the scheme may change it, and compact its data in place */
	size_t n;
	/* The value of a header that the scheme declares; NULL: there is none. */
	const char *(*header)(const void *arg, const char *name);
	const void *arg;
	struct buf *made; /* empty: for what an event has that does not stand in the body */
};

/* What is to be signed, for a test. */
struct scheme_sample {
	struct span secret;
	struct span data;                 /* an array or an object, without white space between tokens */
	const char *fields[EVENT_FIELDS]; /* NULL: absent */
	const char *nonce;
	unsigned algorithms; /* each of them signs */
	bool is_hex;         /* else base64 */
};

enum scheme_verdict {
	SCHEME_ACCEPTED,
	SCHEME_MALFORMED, /* not the JSON that the scheme asks for */
	SCHEME_UNSIGNED,  /* signature missing */
	SCHEME_BAD_FORM,  /* signature malformed */
	SCHEME_FORGED,    /* signature wrong */
	SCHEME_NO_MEMORY,
};

/* A file defines its scheme as `const struct scheme NAME_scheme`; the list in presets.c names it. */
struct scheme {
	const char *name;
	unsigned algorithms;        /* that it knows; an endpoint may accept fewer */
	const char *const *headers; /* that it reads, in lower case and up to a NULL; NULL: none */
	/* Checks the request and fills the event, whose endpoint and scheme are set, and whose received_at is for the
	 * caller to set. Its spans point into the body, or into what was made. A refusal for which the request is to
	 * blame gives `reason`, a literal for the audit: which rule, never which bytes. */
	enum scheme_verdict (*accept)(const struct scheme_request *request, struct event *event, const char **reason);
	/* Makes a body as the sender would, in `out`, which is empty. 0, or -1 with errno ENOMEM. */
	int (*sign)(const struct scheme_sample *sample, struct buf *out);
	/* Appends lines for people: what the signatures of the request are signatures of, of all that was seen in the
	 * wild. secret_file is where the secrets stand. 0, or -1 with errno ENOMEM. */
	int (*explain)(const struct scheme_request *request, const char *secret_file, struct buf *out);
};

#endif
