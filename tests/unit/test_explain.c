#include "config.h"

#include "sender/explain.h"

#include "base/text.h"
#include "unit.h"

/* A nonce for which both digests have '-' or '_' in base64url, whatever was signed, is looked for. */
static const struct span secrets[] = {{"first secret", 12}, {"second secret", 13}, {"third", 5}};
#define SECRET 1 /* the one that signs */
/* With the nonce in it, so that all depends on it. */
#define RAW     "[ {\"id\": \"%s\", \"text\": \"a b\"} ]"
#define COMPACT "[{\"id\":\"%s\",\"text\":\"a b\"}]"

static const char *const encodings[] = {"hex", "base64", "base64url"};
static const char *const member_names[] = {[MAC_SHA1] = "sig", [MAC_SHA256] = "sig256"};

struct combination {
	enum mac_algorithm algorithm;
	enum trial_encoding encoding;
	enum trial_span span;
	enum trial_order order;
};

static void append_body(struct buf *out, const char *nonce, const char *member, const char *signature)
{
	out->len = 0;
	assert_int_equal(buf_printf(out, "{ \"data\" : " RAW " ,\n\"nonce\":\"%s\"", nonce, nonce), 0);
	if (member != NULL)
		assert_int_equal(buf_printf(out, ", \"%s\": \"%s\"", member, signature), 0);
	assert_int_equal(buf_str(out, ",\"type\":\"VIRTUAL\" }"), 0);
}

/* What stands there without the signature's member. */
#define UNSIGNED "{ \"data\" : " RAW " ,\n\"nonce\":\"%s\",\"type\":\"VIRTUAL\" }"

static void sign(const struct combination *c, const char *nonce, char text[128])
{
	uint8_t digest[MAC_SIZE_MAX];
	char whole[256];
	struct buf b = {0};
	switch (c->span) {
	case TRIAL_RAW:
		snprintf(whole, sizeof whole, RAW, nonce);
		break;
	case TRIAL_COMPACT:
		snprintf(whole, sizeof whole, COMPACT, nonce);
		break;
	default:
		snprintf(whole, sizeof whole, UNSIGNED, nonce, nonce);
	}
	struct span data = unit_span(whole);
	struct span parts[2] = {data, unit_span(nonce)};
	if (c->order == TRIAL_NONCE_FIRST) {
		parts[0] = parts[1];
		parts[1] = data;
	}
	mac_sign(c->algorithm, secrets[SECRET], parts, c->order == TRIAL_NO_NONCE ? 1 : 2, digest);
	if (c->encoding == TRIAL_HEX) {
		text_hex(digest, mac_size(c->algorithm), text);
		return;
	}
	assert_int_equal(text_base64(&b, digest, mac_size(c->algorithm)), 0);
	snprintf(text, 128, "%.*s", (int)b.len, b.data);
	buf_fini(&b);
	if (c->encoding == TRIAL_BASE64URL)
		for (char *s = text; *s != '\0'; s++)
			*s = *s == '+' ? '-' : *s == '/' ? '_' : *s == '=' ? '\0' : *s;
}

/* Tries nonces until the text can be told from that of another alphabet. */
static void sign_plainly(const struct combination *c, char nonce[16], char text[128])
{
	for (int i = 0; i < 1000; i++) {
		snprintf(nonce, 16, "n%d", i);
		sign(c, nonce, text);
		if (c->encoding == TRIAL_HEX || strpbrk(text, c->encoding == TRIAL_BASE64 ? "+/" : "-_") != NULL)
			return;
	}
	fail_msg("no nonce will do");
}

static void check(const struct combination *c)
{
	struct trial_result results[TRIAL_SIGNATURES];
	char nonce[16], text[128];
	struct buf body = {0};
	size_t tried;
	sign_plainly(c, nonce, text);
	append_body(&body, nonce, member_names[c->algorithm], text);
	assert_int_equal(trial_run((struct span){body.data, body.len}, secrets, UNIT_COUNT(secrets), results, &tried),
			 TRIAL_DONE);
	const struct trial_result *r = &results[c->algorithm == MAC_SHA1 ? 0 : 1],
				  *other = &results[c->algorithm == MAC_SHA1 ? 1 : 0];
	unit_check(r->there && r->readable && r->matches && r->algorithm == c->algorithm &&
			   r->encoding == c->encoding && r->span == c->span && r->order == c->order &&
			   r->secret == SECRET,
		   "%s %s span %d order %d", member_names[c->algorithm], encodings[c->encoding], c->span, c->order);
	assert_false(other->there);
	assert_int_equal(tried, TRIAL_SPANS * TRIAL_ORDERS * UNIT_COUNT(secrets));

	/* One other byte, and nothing matches. */
	memcpy(strstr(body.data, "a b"), "a c", 3);
	trial_run((struct span){body.data, body.len}, secrets, UNIT_COUNT(secrets), results, &tried);
	unit_check(r->readable && !r->matches, "%s altered", text);
	buf_fini(&body);
}

/* 2 algorithms, 3 encodings, 3 spans, 3 orders: among them are the 24 of data and nonce. */
static void finds_each_combination(void **state)
{
	(void)state;
	size_t count = 0, of_data_and_nonce = 0;
	for (int algorithm = MAC_SHA1; algorithm <= MAC_SHA256; algorithm++)
		for (int encoding = 0; encoding < TRIAL_ENCODINGS; encoding++)
			for (int span = 0; span < TRIAL_SPANS; span++)
				for (int order = 0; order < TRIAL_ORDERS; order++) {
					const struct combination c = {(enum mac_algorithm)algorithm,
								      (enum trial_encoding)encoding,
								      (enum trial_span)span, (enum trial_order)order};
					check(&c);
					count++;
					of_data_and_nonce += span != TRIAL_BODY && order != TRIAL_NO_NONCE;
				}
	assert_int_equal(count, 54);
	assert_int_equal(of_data_and_nonce, 24);
}

/* Both members, each with a digest of the other algorithm. */
static void members_need_not_be_what_they_are_called(void **state)
{
	(void)state;
	struct trial_result results[TRIAL_SIGNATURES];
	char one[128], two[128];
	struct buf body = {0};
	size_t tried;
	sign(&(struct combination){MAC_SHA256, TRIAL_HEX, TRIAL_RAW, TRIAL_NONCE_LAST}, "n", one);
	sign(&(struct combination){MAC_SHA1, TRIAL_BASE64, TRIAL_COMPACT, TRIAL_NONCE_FIRST}, "n", two);
	assert_int_equal(
		buf_printf(&body, "{\"sig\":\"%s\",\"sig256\":\"%s\",\"data\":" RAW ",\"nonce\":\"n\"}", one, two, "n"),
		0);
	assert_int_equal(trial_run((struct span){body.data, body.len}, secrets, UNIT_COUNT(secrets), results, &tried),
			 TRIAL_DONE);
	assert_true(results[0].matches && results[0].algorithm == MAC_SHA256 && results[0].span == TRIAL_RAW);
	assert_true(results[1].matches && results[1].algorithm == MAC_SHA1 && results[1].span == TRIAL_COMPACT &&
		    results[1].order == TRIAL_NONCE_FIRST);
	buf_fini(&body);
}

static void what_cannot_be_read(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		enum trial_verdict verdict;
		bool there, readable;
	} rows[] = {
		{"", TRIAL_NO_JSON, false, false},
		{"[]", TRIAL_NO_JSON, false, false},
		{"{\"sig\":\"x\"", TRIAL_NO_JSON, false, false},
		{"{}", TRIAL_NO_DATA, false, false},
		{"{\"nonce\":\"n\",\"sig\":\"0011223344556677889900112233445566778899\"}", TRIAL_NO_DATA, true, true},
		{"{\"data\":[],\"nonce\":1,\"sig\":\"0011223344556677889900112233445566778899\"}", TRIAL_DONE, true,
		 true},
		{"{\"data\":[],\"sig\":\"00112233445566778899001122334455667788\"}", TRIAL_DONE, true, false},
		{"{\"data\":[],\"sig\":\"\"}", TRIAL_DONE, false, false},
		{"{\"data\":[],\"sig\":1}", TRIAL_DONE, true, false},
		{"{\"data\":[],\"sig\":null}", TRIAL_DONE, false, false},
		{"{\"data\":[],\"sig\":\"not base64 at all!\"}", TRIAL_DONE, true, false},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct trial_result results[TRIAL_SIGNATURES];
		size_t tried;
		enum trial_verdict verdict =
			trial_run(unit_span(rows[i].body), secrets, UNIT_COUNT(secrets), results, &tried);
		unit_check(verdict == rows[i].verdict && results[0].there == rows[i].there &&
				   results[0].readable == rows[i].readable && !results[0].matches &&
				   !results[1].there && (tried > 0) == rows[i].readable,
			   "%s", rows[i].body);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_each_combination),
		cmocka_unit_test(members_need_not_be_what_they_are_called),
		cmocka_unit_test(what_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
