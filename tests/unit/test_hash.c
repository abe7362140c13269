#include "config.h"

#include "base/hash.h"

#include "base/text.h"
#include "unit.h"

/* NIST's examples for FIPS 180-4, and the empty message. */
static const struct {
	const char *message, *digest;
} vectors[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
	{"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrst"
	 "nopqrstu",
	 "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void check(const struct span *parts, size_t count, const char *digest)
{
	uint8_t bytes[HASH_SIZE];
	char text[2 * HASH_SIZE + 1];
	hash_sha256(parts, count, bytes);
	text_hex(bytes, sizeof bytes, text);
	assert_string_equal(text, digest);
}

static void whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(vectors); i++)
		check(&(struct span){vectors[i].message, strlen(vectors[i].message)}, 1, vectors[i].digest);
	check(NULL, 0, vectors[0].digest);
}

static void cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(vectors); i++) {
		size_t n = strlen(vectors[i].message);
		for (size_t cut = 0; cut <= n; cut++) {
			const struct span parts[] = {
				{vectors[i].message, cut}, {"", 0}, {vectors[i].message + cut, n - cut}};
			check(parts, UNIT_COUNT(parts), vectors[i].digest);
		}
	}
}

static void million(void **state)
{
	(void)state;
	char thousand[1000];
	struct span parts[1000];
	memset(thousand, 'a', sizeof thousand);
	for (size_t i = 0; i < UNIT_COUNT(parts); i++)
		parts[i] = (struct span){thousand, sizeof thousand};
	check(parts, UNIT_COUNT(parts), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(million),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
