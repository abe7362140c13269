/* What a signature could be a signature of: the readings that are seen in the wild, tried one after the other. It is
 * how a user finds out what a sender really signs. Pure. */
#ifndef HOOKSPOOL_SENDER_EXPLAIN_H
#define HOOKSPOOL_SENDER_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "sender/mac.h"

/* What the sender took the digest of. */
enum trial_span {
	TRIAL_RAW,     /* data as it stands in the body */
	TRIAL_COMPACT, /* data without white space between tokens */
	TRIAL_BODY,    /* the whole body, without the members that are signatures */
	TRIAL_SPANS,
};
enum trial_order {
	TRIAL_NONCE_LAST,
	TRIAL_NONCE_FIRST,
	TRIAL_NO_NONCE,
	TRIAL_ORDERS,
};
enum trial_encoding {
	TRIAL_HEX,
	TRIAL_BASE64,
	TRIAL_BASE64URL,
	TRIAL_ENCODINGS,
};
/* In words, as parts of a sentence. */
extern const char *const trial_span_names[TRIAL_SPANS];
extern const char *const trial_order_names[TRIAL_ORDERS];
extern const char *const trial_encoding_names[TRIAL_ENCODINGS];

#define TRIAL_SIGNATURES 2 /* sig, sig256 */

/* A signature of the body and the reading that explains it. */
struct trial_result {
	const char *member; /* "sig", "sig256" */
	bool there, readable, matches;
	/* If it is readable. It has the length of one algorithm's digest; base64 that has no character of its own
	 * alphabet is taken for the standard one. */
	enum trial_encoding encoding;
	enum mac_algorithm algorithm;
	/* If it matches. */
	enum trial_span span;
	enum trial_order order;
	size_t secret; /* from 0 */
};

enum trial_verdict {
	TRIAL_DONE,
	TRIAL_NO_JSON, /* the body is no JSON object */
	TRIAL_NO_DATA, /* it has no data: only the whole body was tried */
	TRIAL_NO_MEMORY,
};

/* Tries all readings for all signatures of the body; *tried is their number. The first that matches is kept. */
enum trial_verdict trial_run(struct span body, const struct span *secrets, size_t count,
			     struct trial_result results[TRIAL_SIGNATURES], size_t *tried);

#endif
