/* The scheme of Unified.to: signature, nonce and type are members of the body (the vendor's "Introduction to
 * webhooks").
 *
 *     sig    HMAC-SHA1(secret, data + nonce)      either encoded as hex or base64; at least one must be there,
 *     sig256 HMAC-SHA256(secret, data + nonce)    and whichever is there must be right
 *
 * data is what stands in the body, byte for byte; if that does not match and it holds white space between tokens, what
 * stands there without that white space. nonce is the decoded string. webhook, type and external_xref are not signed.
 */
#ifndef HOOKSPOOL_SENDER_UNIFIED_H
#define HOOKSPOOL_SENDER_UNIFIED_H

#include "sender/scheme.h"

enum scheme_verdict unified_accept(const struct conf_endpoint *endpoint, char *body, size_t n, struct event *event,
				   const char **reason);

#endif
