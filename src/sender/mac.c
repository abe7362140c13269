#include "config.h"

#include "sender/mac.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

/* Room for any algorithm's state, in one row for each. */
union __attribute__((may_alias)) context {
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

_Static_assert(sizeof(union context) <= sizeof((struct mac *)0)->state, "room for nettle's state");

static union context *context(struct mac *mac)
{
	return (union context *)(void *)mac->state;
}

void mac_begin(struct mac *mac, enum mac_algorithm algorithm, struct span key)
{
	mac->algorithm = algorithm;
	algorithms[algorithm].set_key(context(mac), key.len, (const uint8_t *)key.ptr);
}

void mac_update(struct mac *mac, struct span bytes)
{
	algorithms[mac->algorithm].update(context(mac), bytes.len, (const uint8_t *)bytes.ptr);
}

void mac_end(struct mac *mac, uint8_t digest[MAC_SIZE_MAX])
{
	algorithms[mac->algorithm].digest(context(mac), digest);
	explicit_bzero(mac, sizeof *mac);
}

/* A key fills a block, so that an HMAC's blocks begin where its bytes do; the hash's begin where one that is there
 * already ends. */
void mac_update_together(struct mac *macs, size_t count, struct hash *hash, struct span bytes)
{
	size_t at = 0, ahead = hash == NULL ? 0 : hash_missing(hash);
	if (ahead > bytes.len)
		ahead = bytes.len;
	if (hash != NULL)
		hash_update(hash, (struct span){bytes.ptr, ahead});
	for (; bytes.len - ahead - at >= HASH_BLOCK; at += HASH_BLOCK) {
		for (size_t i = 0; i < count; i++)
			mac_update(&macs[i], (struct span){bytes.ptr + at, HASH_BLOCK});
		if (hash != NULL)
			hash_update(hash, (struct span){bytes.ptr + at + ahead, HASH_BLOCK});
	}
	for (size_t i = 0; i < count; i++)
		mac_update(&macs[i], (struct span){bytes.ptr + at, bytes.len - at});
	if (hash != NULL)
		hash_update(hash, (struct span){bytes.ptr + at + ahead, bytes.len - at - ahead});
}

void mac_sign(enum mac_algorithm algorithm, struct span key, const struct span *parts, size_t count,
	      uint8_t digest[MAC_SIZE_MAX])
{
	struct mac mac;
	mac_begin(&mac, algorithm, key);
	for (size_t i = 0; i < count; i++)
		mac_update(&mac, parts[i]);
	mac_end(&mac, digest);
}

bool mac_equal(const uint8_t *a, const uint8_t *b, size_t n)
{
	return memeql_sec(a, b, n) != 0;
}
