#include "config.h"

#include "base/hash.h"

#include <nettle/sha2.h>

void hash_sha256(const struct span *parts, size_t count, uint8_t digest[HASH_SIZE])
{
	struct sha256_ctx sha;
	sha256_init(&sha);
	for (size_t i = 0; i < count; i++)
		sha256_update(&sha, parts[i].len, (const uint8_t *)parts[i].ptr);
	sha256_digest(&sha, HASH_SIZE, digest);
}
