/* A scheme: how a sender proves that a request is its own, and how the request becomes an event. Pure. sender/presets
 * has the list of schemes. */
#ifndef HOOKSPOOL_SENDER_SCHEME_H
#define HOOKSPOOL_SENDER_SCHEME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "event/event.h"

/* Algorithms of signatures, as bits. */
enum {
	SCHEME_SHA1 = 1,
	SCHEME_SHA256 = 2,
};

/* A request, with what its endpoint accepts. */
struct scheme_request {
	const struct span *secrets; /* at least one; the sender signs with any of them */
	size_t secret_count;
	unsigned algorithms; /* an event needs a signature by one of these */
	char *body;          /* the scheme may change it, as when it compacts the data in place */
	size_t n;
	/* Returns the value of one of the headers that the scheme declares, or NULL if the request has none. */
	const char *(*header)(const void *arg, const char *name);
	const void *arg;
	struct buf *made; /* empty; the scheme puts here what its event needs and the body does not have */
};

/* What `hookspool sign` signs. */
struct scheme_sample {
	struct span secret;
	struct span data;                 /* an array or an object, without white space between tokens */
	const char *fields[EVENT_FIELDS]; /* NULL: absent */
	const char *nonce;
	unsigned algorithms; /* the body gets a signature by each */
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

/* The file NAME.c defines a scheme as `const struct scheme NAME_scheme`; the list in presets.c names it. */
struct scheme {
	const char *name;
	unsigned algorithms;        /* that the scheme knows; an endpoint may accept fewer */
	const char *const *headers; /* that the scheme reads: lower-case names, then a NULL; or NULL */
	/* Checks a request and fills its event. The caller has set the event's endpoint and scheme, and sets
	 * received_at later. The event's spans point into the body or into `made`. Unless the event is accepted or
	 * memory is short, *reason becomes a literal for the audit: it names the rule, never the bytes. */
	enum scheme_verdict (*accept)(const struct scheme_request *request, struct event *event, const char **reason);
	/* Writes a body, signed as by the sender, into the empty buffer `out`. 0, or -1 with errno ENOMEM. */
	int (*sign)(const struct scheme_sample *sample, struct buf *out);
	/* Appends lines for people that say what each signature of the request was made over, and with which secret.
	 * secret_file is the file of the secrets. 0, or -1 with errno ENOMEM. */
	int (*explain)(const struct scheme_request *request, const char *secret_file, struct buf *out);
};

#endif
