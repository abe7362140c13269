/* SHA-256 without a key (FIPS 180-4), by nettle; what is keyed is in sender/mac. */
#ifndef HOOKSPOOL_BASE_HASH_H
#define HOOKSPOOL_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define HASH_SIZE 32

#define HASH_BLOCK 64 /* bytes that are worked on at a time, as in SHA-1 */

/* A digest of bytes that come in pieces. */
struct hash {
	_Alignas(8) unsigned char state[128];
};
void hash_begin(struct hash *hash);
void hash_update(struct hash *hash, struct span bytes);
void hash_end(struct hash *hash, uint8_t digest[HASH_SIZE]);

/* How many bytes are missing from the block that was begun. */
size_t hash_missing(const struct hash *hash);

/* The digest of the parts, one after the other. */
void hash_sha256(const struct span *parts, size_t count, uint8_t digest[HASH_SIZE]);

#endif
