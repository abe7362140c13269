/* Finds out what a signature was made over. A scheme names the readings, that is, what senders were seen to sign; each
 * is tried with each secret. `hookspool verify --explain` prints the result. Pure. */
#ifndef HOOKSPOOL_SENDER_EXPLAIN_H
#define HOOKSPOOL_SENDER_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "sender/mac.h"

/* A signature of the request. */
struct explain_signature {
	const char *name;             /* of the member or header, for the output */
	struct span text;             /* as sent, decoded from JSON; absent: there is no such signature */
	enum mac_algorithm algorithm; /* the only one that the scheme accepts here */
};

/* What a sender may sign: two of the sources, one after the other. */
struct explain_reading {
	unsigned first, second;
	const char *words; /* of the sources, behind "over" */
	bool is_accepted;  /* whether the scheme accepts a signature over this */
};

struct explain {
	const struct explain_signature *signatures;
	size_t signature_count;
	const struct explain_reading *readings; /* the first that matches is printed */
	size_t reading_count;
	const struct span *sources; /* a reading with an absent source is not tried */
	const struct span *secrets; /* tried as they are, then without quotes, blanks and the like around them */
	size_t secret_count;
	const char *secret_file; /* named in the advice */
};

/* Appends lines for people. The length of a signature tells its algorithm. Base64 that uses no character of one
 * alphabet alone is called base64. 0, or -1 with errno ENOMEM. */
int explain(const struct explain *e, struct buf *out);

#endif
