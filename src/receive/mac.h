/* Keyed digests of requests: HMAC (RFC 2104, FIPS 198-1). The only user of nettle's HMACs. */
#ifndef HOOKSPOOL_MAC_H
#define HOOKSPOOL_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum mac_algorithm {
	MAC_SHA1,
	MAC_SHA256,
};
#define MAC_SIZE_MAX 32

/* Bytes of a digest: 20 or 32. */
size_t mac_size(enum mac_algorithm algorithm);

/* The HMAC of the parts, one after the other. */
void mac_sign(enum mac_algorithm algorithm, struct span key, const struct span *parts, size_t count,
	      uint8_t digest[MAC_SIZE_MAX]);

/* Whether two digests are the same, in a time that depends on n alone. */
bool mac_equal(const uint8_t *a, const uint8_t *b, size_t n);

#endif
