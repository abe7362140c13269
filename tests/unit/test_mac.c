#include "config.h"

#include "sender/mac.h"

#include "base/text.h"
#include "unit.h"

/* RFC 2202 section 3 and RFC 4231 section 4, without its truncated case 5. Keys and data in hex; a count repeats a
 * byte. */
static const struct {
	enum mac_algorithm algorithm;
	const char *key;
	size_t key_times;
	const char *data;
	size_t data_times;
	const char *digest;
} vectors[] = {
	{MAC_SHA1, "0b", 20, "4869205468657265", 1, "b617318655057264e28bc0b6fb378c8ef146be00"},
	{MAC_SHA1, "4a656665", 1, "7768617420646f2079612077616e7420666f72206e6f7468696e673f", 1,
	 "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
	{MAC_SHA1, "aa", 20, "dd", 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
	{MAC_SHA1, "0102030405060708090a0b0c0d0e0f10111213141516171819", 1, "cd", 50,
	 "4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
	{MAC_SHA1, "0c", 20, "546573742057697468205472756e636174696f6e", 1, "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
	{MAC_SHA1, "aa", 80,
	 "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
	 1, "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
	{MAC_SHA1, "aa", 80,
	 "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b657920616e64204c6172676572205468616e20"
	 "4f6e6520426c6f636b2d53697a652044617461",
	 1, "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
	{MAC_SHA256, "0b", 20, "4869205468657265", 1,
	 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{MAC_SHA256, "4a656665", 1, "7768617420646f2079612077616e7420666f72206e6f7468696e673f", 1,
	 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{MAC_SHA256, "aa", 20, "dd", 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
	{MAC_SHA256, "0102030405060708090a0b0c0d0e0f10111213141516171819", 1, "cd", 50,
	 "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
	{MAC_SHA256, "aa", 131,
	 "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
	 1, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	{MAC_SHA256, "aa", 131,
	 "5468697320697320612074657374207573696e672061206c6172676572207468616e20626c6f636b2d73697a65206b657920616e6420"
	 "61206c6172676572207468616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565647320746f20626520686173"
	 "686564206265666f7265206265696e6720757365642062792074686520484d414320616c676f726974686d2e",
	 1, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static size_t unpack(const char *hex, size_t times, uint8_t out[256])
{
	ssize_t n = text_unhex(hex, strlen(hex), out, 256);
	assert_true(n > 0 && (times == 1 || n == 1) && times <= 256);
	if (times > 1)
		memset(out, out[0], times);
	return times > 1 ? times : (size_t)n;
}

static void published_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(vectors); i++) {
		uint8_t key[256], data[256], digest[MAC_SIZE_MAX];
		char text[2 * MAC_SIZE_MAX + 1];
		size_t key_n = unpack(vectors[i].key, vectors[i].key_times, key);
		size_t data_n = unpack(vectors[i].data, vectors[i].data_times, data);
		for (size_t cut = 0; cut <= data_n; cut += 7) {
			const struct span parts[] = {{(char *)data, cut}, {(char *)data + cut, data_n - cut}};
			mac_sign(vectors[i].algorithm, (struct span){(char *)key, key_n}, parts, 2, digest);
			text_hex(digest, mac_size(vectors[i].algorithm), text);
			unit_check(strcmp(text, vectors[i].digest) == 0, "vector %zu cut at %zu: %s", i, cut, text);
		}
	}
}

static void sizes(void **state)
{
	(void)state;
	assert_int_equal(mac_size(MAC_SHA1), 20);
	assert_int_equal(mac_size(MAC_SHA256), 32);
}

static void equal_means_each_bit(void **state)
{
	(void)state;
	uint8_t a[32], b[32];
	for (size_t i = 0; i < sizeof a; i++)
		a[i] = b[i] = (uint8_t)(i * 11);
	assert_true(mac_equal(a, b, sizeof a));
	for (size_t bit = 0; bit < 8 * sizeof b; bit++) {
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		unit_check(!mac_equal(a, b, sizeof a), "bit %zu", bit);
		b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	b[20] ^= 1;
	assert_true(mac_equal(a, b, 20));
}

/* Whatever the hash has taken before, and wherever blocks end: each digest is what it is alone. */
static void together_as_alone(void **state)
{
	(void)state;
	static const struct {
		enum mac_algorithm algorithms[3];
		size_t count;
		bool hashed;
	} rows[] = {
		{{MAC_SHA256}, 1, true},
		{{MAC_SHA1}, 1, true},
		{{MAC_SHA1, MAC_SHA256}, 2, true},
		{{MAC_SHA1, MAC_SHA256}, 2, false},
		{{MAC_SHA256, MAC_SHA256, MAC_SHA1}, 3, true},
		{{MAC_SHA256}, 0, true},
	};
	static const size_t before[] = {0, 1, 11, 63, 64, 65, 127},
			    lengths[] = {0, 1, 2, 53, 63, 64, 65, 127, 128, 129, 1000};
	static const char *const keys[] = {"one", "two", "three"};
	char bytes[1200];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	for (size_t r = 0; r < UNIT_COUNT(rows); r++)
		for (size_t b = 0; b < UNIT_COUNT(before); b++)
			for (size_t n = 0; n < UNIT_COUNT(lengths); n++) {
				const struct span parts[] = {{bytes, before[b]}, {bytes + before[b], lengths[n]}};
				uint8_t got[MAC_SIZE_MAX], expected[MAC_SIZE_MAX];
				struct mac macs[3];
				struct hash hash;
				hash_begin(&hash);
				hash_update(&hash, parts[0]);
				for (size_t i = 0; i < rows[r].count; i++)
					mac_begin(&macs[i], rows[r].algorithms[i], unit_span(keys[i]));
				mac_update_together(macs, rows[r].count, rows[r].hashed ? &hash : NULL, parts[1]);
				for (size_t i = 0; i < rows[r].count; i++) {
					enum mac_algorithm algorithm = rows[r].algorithms[i];
					mac_end(&macs[i], got);
					mac_sign(algorithm, unit_span(keys[i]), &parts[1], 1, expected);
					unit_check(memcmp(got, expected, mac_size(algorithm)) == 0,
						   "row %zu, %zu before, %zu bytes: mac %zu", r, before[b], lengths[n],
						   i);
				}
				hash_end(&hash, got);
				hash_sha256(parts, rows[r].hashed ? 2 : 1, expected);
				unit_check(memcmp(got, expected, HASH_SIZE) == 0,
					   "row %zu, %zu before, %zu bytes: hash", r, before[b], lengths[n]);
			}
}

/* What a MAC knew of its key is gone with it. */
static void wiped_at_the_end(void **state)
{
	(void)state;
	static const enum mac_algorithm algorithms[] = {MAC_SHA1, MAC_SHA256};
	for (size_t i = 0; i < UNIT_COUNT(algorithms); i++) {
		uint8_t digest[MAC_SIZE_MAX];
		struct mac mac;
		mac_begin(&mac, algorithms[i], UNIT_SPAN("key"));
		mac_end(&mac, digest);
		for (size_t k = 0; k < sizeof mac.state; k++)
			unit_check(mac.state[k] == 0, "algorithm %d: byte %zu", algorithms[i], k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),    cmocka_unit_test(together_as_alone),
		cmocka_unit_test(wiped_at_the_end),     cmocka_unit_test(sizes),
		cmocka_unit_test(equal_means_each_bit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
