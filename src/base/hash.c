#include "config.h"

#include "base/hash.h"

#include <nettle/sha2.h>

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(struct hash), "room for nettle's state");
_Static_assert(SHA256_BLOCK_SIZE == HASH_BLOCK, "FIPS 180-4");

union __attribute__((may_alias)) context {
	struct sha256_ctx sha256;
};

static struct sha256_ctx *context(struct hash *hash)
{
	return &((union context *)(void *)hash->state)->sha256;
}

void hash_begin(struct hash *hash)
{
	sha256_init(context(hash));
}

void hash_update(struct hash *hash, struct span bytes)
{
	sha256_update(context(hash), bytes.len, (const uint8_t *)bytes.ptr);
}

void hash_end(struct hash *hash, uint8_t digest[HASH_SIZE])
{
	sha256_digest(context(hash), HASH_SIZE, digest);
}

size_t hash_missing(const struct hash *hash)
{
	unsigned begun = ((const union context *)(const void *)hash->state)->sha256.index;
	return begun == 0 ? 0 : HASH_BLOCK - begun;
}

void hash_sha256(const struct span *parts, size_t count, uint8_t digest[HASH_SIZE])
{
	struct hash hash;
	hash_begin(&hash);
	for (size_t i = 0; i < count; i++)
		hash_update(&hash, parts[i]);
	hash_end(&hash, digest);
}
