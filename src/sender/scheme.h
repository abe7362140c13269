/* Senders' schemes: how a body is authenticated, and what event it is. A table: one row a scheme. Pure. */
#ifndef HOOKSPOOL_SENDER_SCHEME_H
#define HOOKSPOOL_SENDER_SCHEME_H

#include <stddef.h>

#include "base/buf.h"
#include "config/conf.h"
#include "event/event.h"

enum scheme_verdict {
	SCHEME_ACCEPTED,
	SCHEME_MALFORMED, /* not the JSON that the scheme asks for */
	SCHEME_UNSIGNED,  /* signature missing */
	SCHEME_BAD_FORM,  /* signature malformed */
	SCHEME_FORGED,    /* signature wrong */
	SCHEME_EXCLUDED,  /* connection not in the endpoint's list */
	SCHEME_NO_MEMORY,
};

struct scheme {
	const char *name;
	/* Checks the body and fills event but for received_at. Its data may be compacted in place; event's spans point
	 * into body. `reason` is always set to a literal for the audit: which rule, never which bytes. */
	enum scheme_verdict (*accept)(const struct conf_endpoint *endpoint, char *body, size_t n, struct event *event,
				      const char **reason);
};

/* NULL if there is none of this name. */
const struct scheme *scheme_find(const char *name);

#endif
