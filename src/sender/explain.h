/* What a signature could be a signature of: the readings that a scheme names are tried one after the other, with each
 * secret. It is how a user finds out what a sender really signs. Pure. */
#ifndef HOOKSPOOL_SENDER_EXPLAIN_H
#define HOOKSPOOL_SENDER_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "sender/mac.h"

/* A signature as the request has it. */
struct explain_signature {
	const char *name;             /* as the sender calls it */
	struct span text;             /* hex or base64, if it is readable; absent: it is not there */
	enum mac_algorithm algorithm; /* that the scheme accepts */
};

/* What the sender may have signed: two of the sources, one after the other. */
struct explain_reading {
	unsigned first, second;
	const char *words; /* behind "over" */
	bool is_accepted;  /* by the scheme */
};

struct explain {
	const struct explain_signature *signatures;
	size_t signature_count;
	const struct explain_reading *readings; /* the first that matches is told */
	size_t reading_count;
	const struct span *sources; /* of the request; absent: it does not have it */
	const struct span *secrets; /* tried as they are, and without what may stand around them by mistake */
	size_t secret_count;
	const char *secret_file; /* where they stand, for what there is to do */
};

/* Appends lines for people. Either algorithm is tried, whichever has a digest of the signature's length; base64 without
 * a character of its own alphabet is taken for the standard one. 0, or -1 with errno ENOMEM. */
int explain(const struct explain *e, struct buf *out);

#endif
