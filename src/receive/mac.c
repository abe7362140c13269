#include "config.h"

#include "receive/mac.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

/* Room for any algorithm's state, in one row for each. */
union context {
	struct hmac_sha1_ctx sha1;
	struct hmac_sha256_ctx sha256;
};

static void with_sha1_key(union context *c, size_t n, const uint8_t *key)
{
	hmac_sha1_set_key(&c->sha1, n, key);
}

static void with_sha1_update(union context *c, size_t n, const uint8_t *bytes)
{
	hmac_sha1_update(&c->sha1, n, bytes);
}

static void with_sha1_digest(union context *c, uint8_t *digest)
{
	hmac_sha1_digest(&c->sha1, SHA1_DIGEST_SIZE, digest);
}

static void with_sha256_key(union context *c, size_t n, const uint8_t *key)
{
	hmac_sha256_set_key(&c->sha256, n, key);
}

static void with_sha256_update(union context *c, size_t n, const uint8_t *bytes)
{
	hmac_sha256_update(&c->sha256, n, bytes);
}

static void with_sha256_digest(union context *c, uint8_t *digest)
{
	hmac_sha256_digest(&c->sha256, SHA256_DIGEST_SIZE, digest);
}

static const struct {
	size_t size;
	void (*set_key)(union context *c, size_t n, const uint8_t *key);
	void (*update)(union context *c, size_t n, const uint8_t *bytes);
	void (*digest)(union context *c, uint8_t *digest);
} algorithms[] = {
	[MAC_SHA1] = {SHA1_DIGEST_SIZE, with_sha1_key, with_sha1_update, with_sha1_digest},
	[MAC_SHA256] = {SHA256_DIGEST_SIZE, with_sha256_key, with_sha256_update, with_sha256_digest},
};

size_t mac_size(enum mac_algorithm algorithm)
{
	return algorithms[algorithm].size;
}

void mac_sign(enum mac_algorithm algorithm, struct span key, const struct span *parts, size_t count,
	      uint8_t digest[MAC_SIZE_MAX])
{
	union context context;
	algorithms[algorithm].set_key(&context, key.len, (const uint8_t *)key.ptr);
	for (size_t i = 0; i < count; i++)
		algorithms[algorithm].update(&context, parts[i].len, (const uint8_t *)parts[i].ptr);
	algorithms[algorithm].digest(&context, digest);
	explicit_bzero(&context, sizeof context);
}

bool mac_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return memeql_sec(a, b, n) != 0;
}
