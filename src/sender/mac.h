/* Keyed digests of requests: HMAC (RFC 2104, FIPS 198-1). The only user of nettle's HMACs. */
#ifndef HOOKSPOOL_SENDER_MAC_H
#define HOOKSPOOL_SENDER_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"

enum mac_algorithm {
	MAC_SHA1,
	MAC_SHA256,
};
#define MAC_SIZE_MAX 32

/* Bytes of a digest: 20 or 32. */
size_t mac_size(enum mac_algorithm algorithm);

/* An HMAC of bytes that come in pieces. What it knows of the key is wiped at its end. */
struct mac {
	enum mac_algorithm algorithm;
	_Alignas(8) unsigned char state[384];
};
void mac_begin(struct mac *mac, enum mac_algorithm algorithm, struct span key);
void mac_update(struct mac *mac, struct span bytes);
void mac_end(struct mac *mac, uint8_t digest[MAC_SIZE_MAX]);

/* The same bytes for some HMACs, and for a hash without a key unless that is NULL: a block for each in turn. The rounds
 * of one block wait for each other, and those of another digest do not wait for them: a processor with SHA instructions
 * computes two digests in two thirds of the time that they take one after the other. */
void mac_update_together(struct mac *macs, size_t count, struct hash *hash, struct span bytes);

/* The HMAC of the parts, one after the other. */
void mac_sign(enum mac_algorithm algorithm, struct span key, const struct span *parts, size_t count,
	      uint8_t digest[MAC_SIZE_MAX]);

/* Whether two digests are the same, in a time that depends on n alone. */
bool mac_equal(const uint8_t *a, const uint8_t *b, size_t n);

#endif
