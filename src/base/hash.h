/* SHA-256 without a key (FIPS 180-4), by nettle; what is keyed is in receive/mac. */
#ifndef HOOKSPOOL_HASH_H
#define HOOKSPOOL_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define HASH_SIZE 32

/* The digest of the parts, one after the other. */
void hash_sha256(const struct span *parts, size_t count, uint8_t digest[HASH_SIZE]);

#endif
