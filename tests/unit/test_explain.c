#include "config.h"

#include "base/text.h"
#include "sender/mac.h"
#include "sender/presets.h"
#include "sender/scheme.h"
#include "unit.h"

/* A nonce for which both digests have '-' or '_' in base64url, whatever was signed, is looked for. */
static const struct span secrets[] = {{"first secret", 12}, {"second secret", 13}, {"third", 5}};
#define SECRET 1 /* the one that signs */
/* With the nonce in it, so that all depends on it. */
#define RAW     "[ {\"id\": \"%s\", \"text\": \"a b\"} ]"
#define COMPACT "[{\"id\":\"%s\",\"text\":\"a b\"}]"

/* What can be made of a body, in the words of the answer. */
enum encoding { HEX, BASE64, BASE64URL, ENCODINGS };
enum part { RAW_DATA, COMPACT_DATA, WHOLE_BODY, PARTS };
enum order { NONCE_LAST, NONCE_FIRST, NO_NONCE, ORDERS };
static const char *const encodings[] = {"hex", "base64", "base64url"};
static const char *const parts[] = {"data as it stands", "data without white space",
				    "the whole body without its signatures"};
static const char *const orders[] = {"then the nonce", "after the nonce", "without the nonce"};
static const char *const algorithms[] = {[MAC_SHA1] = "SHA1", [MAC_SHA256] = "SHA256"};
static const char *const member_names[] = {[MAC_SHA1] = "sig", [MAC_SHA256] = "sig256"};

struct combination {
	enum mac_algorithm algorithm;
	enum encoding encoding;
	enum part part;
	enum order order;
};

/* The answer. */
static struct buf said;

__attribute__((format(printf, 1, 2))) static bool says(const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return strstr(buf_cstr(&said), text) != NULL;
}

static void explain_body(struct span body)
{
	const struct scheme_request request = {.secrets = secrets,
					       .secret_count = UNIT_COUNT(secrets),
					       .algorithms = SCHEME_SHA1 | SCHEME_SHA256,
					       .body = (char *)body.ptr,
					       .n = body.len};
	said.len = 0;
	assert_int_equal(presets_find("unified")->explain(&request, "/etc/secret", &said), 0);
}

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
	switch (c->part) {
	case RAW_DATA:
		snprintf(whole, sizeof whole, RAW, nonce);
		break;
	case COMPACT_DATA:
		snprintf(whole, sizeof whole, COMPACT, nonce);
		break;
	default:
		snprintf(whole, sizeof whole, UNSIGNED, nonce, nonce);
	}
	struct span data = unit_span(whole);
	struct span signed_parts[2] = {data, unit_span(nonce)};
	if (c->order == NONCE_FIRST) {
		signed_parts[0] = signed_parts[1];
		signed_parts[1] = data;
	}
	mac_sign(c->algorithm, secrets[SECRET], signed_parts, c->order == NO_NONCE ? 1 : 2, digest);
	if (c->encoding == HEX) {
		text_hex(digest, mac_size(c->algorithm), text);
		return;
	}
	assert_int_equal(text_base64(&b, digest, mac_size(c->algorithm)), 0);
	snprintf(text, 128, "%.*s", (int)b.len, b.data);
	buf_fini(&b);
	if (c->encoding == BASE64URL)
		for (char *s = text; *s != '\0'; s++)
			*s = *s == '+' ? '-' : *s == '/' ? '_' : *s == '=' ? '\0' : *s;
}

/* Tries nonces until the text can be told from that of another alphabet. */
static void sign_plainly(const struct combination *c, char nonce[16], char text[128])
{
	for (int i = 0; i < 1000; i++) {
		snprintf(nonce, 16, "n%d", i);
		sign(c, nonce, text);
		if (c->encoding == HEX || strpbrk(text, c->encoding == BASE64 ? "+/" : "-_") != NULL)
			return;
	}
	fail_msg("no nonce will do");
}

static void check(const struct combination *c)
{
	char nonce[16], text[128];
	struct buf body = {0};
	bool is_accepted = c->part != WHOLE_BODY && c->order == NONCE_LAST;
	sign_plainly(c, nonce, text);
	append_body(&body, nonce, member_names[c->algorithm], text);
	explain_body((struct span){body.data, body.len});
	unit_check(says("    %-7s is HMAC-%s in %s, over %s, %s, with secret %d of 3%s\n", member_names[c->algorithm],
			algorithms[c->algorithm], encodings[c->encoding], parts[c->part], orders[c->order], SECRET + 1,
			is_accepted ? "" : "; this is not accepted"),
		   "%s", said.data);
	assert_true(says("    %-7s is not there\n", member_names[c->algorithm == MAC_SHA1 ? MAC_SHA256 : MAC_SHA1]));
	assert_true(says("    %d readings were tried, with 3 secrets\n", PARTS * ORDERS * 3));

	/* One other byte, and nothing matches. */
	memcpy(strstr(body.data, "a b"), "a c", 3);
	explain_body((struct span){body.data, body.len});
	unit_check(says("    %-7s is %s of the length of %s, and no reading matches\n", member_names[c->algorithm],
			encodings[c->encoding], algorithms[c->algorithm]),
		   "%s altered", text);
	buf_fini(&body);
}

/* 2 algorithms, 3 encodings, 3 spans, 3 orders: among them are the 24 of data and nonce. */
static void finds_each_combination(void **state)
{
	(void)state;
	size_t count = 0, of_data_and_nonce = 0;
	for (int algorithm = MAC_SHA1; algorithm <= MAC_SHA256; algorithm++)
		for (int encoding = 0; encoding < ENCODINGS; encoding++)
			for (int part = 0; part < PARTS; part++)
				for (int order = 0; order < ORDERS; order++) {
					const struct combination c = {(enum mac_algorithm)algorithm,
								      (enum encoding)encoding, (enum part)part,
								      (enum order)order};
					check(&c);
					count++;
					of_data_and_nonce += part != WHOLE_BODY && order != NO_NONCE;
				}
	assert_int_equal(count, 54);
	assert_int_equal(of_data_and_nonce, 24);
}

/* Both members, each with a digest of the other algorithm. */
static void members_need_not_be_what_they_are_called(void **state)
{
	(void)state;
	char one[128], two[128];
	struct buf body = {0};
	sign(&(struct combination){MAC_SHA256, HEX, RAW_DATA, NONCE_LAST}, "n", one);
	sign(&(struct combination){MAC_SHA1, BASE64, COMPACT_DATA, NONCE_FIRST}, "n", two);
	assert_int_equal(
		buf_printf(&body, "{\"sig\":\"%s\",\"sig256\":\"%s\",\"data\":" RAW ",\"nonce\":\"n\"}", one, two, "n"),
		0);
	explain_body((struct span){body.data, body.len});
	assert_true(
		says("    sig     is HMAC-SHA256 in hex, over data as it stands, then the nonce, with secret 2 of 3; "
		     "this is not accepted\n"));
	assert_true(
		says("    sig256  is HMAC-SHA1 in base64, over data without white space, after the nonce, with secret "
		     "2 of 3; this is not accepted\n"));
	buf_fini(&body);
}

#define NO_JSON    "the body is no JSON object: nothing can be tried\n"
#define NO_DATA    "the body has no data: only the whole body was tried\n"
#define NOT_THERE  "    sig     is not there\n"
#define UNREADABLE "    sig     is neither hex nor base64 of 20 bytes (SHA1) or 32 bytes (SHA256)\n"
#define READABLE   "    sig     is hex of the length of SHA1, and no reading matches\n"
#define TRIED(n)   "    " n " readings were tried, with 3 secrets\n"

static void what_cannot_be_read(void **state)
{
	(void)state;
	static const struct {
		const char *body, *said[3];
	} rows[] = {
		{"", {NO_JSON}},
		{"[]", {NO_JSON}},
		{"{\"sig\":\"x\"", {NO_JSON}},
		{"{}", {NO_DATA, NOT_THERE, TRIED("0")}},
		{"{\"nonce\":\"n\",\"sig\":\"0011223344556677889900112233445566778899\"}",
		 {NO_DATA, READABLE, TRIED("9")}},
		{"{\"data\":[],\"nonce\":1,\"sig\":\"0011223344556677889900112233445566778899\"}",
		 {READABLE, TRIED("18")}},
		{"{\"data\":[],\"sig\":\"00112233445566778899001122334455667788\"}", {UNREADABLE, TRIED("0")}},
		{"{\"data\":[],\"sig\":\"\"}", {NOT_THERE, TRIED("0")}},
		{"{\"data\":[],\"sig\":1}", {UNREADABLE, TRIED("0")}},
		{"{\"data\":[],\"sig\":null}", {NOT_THERE, TRIED("0")}},
		{"{\"data\":[],\"sig\":\"not base64 at all!\"}", {UNREADABLE, TRIED("0")}},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		explain_body(unit_span(rows[i].body));
		for (size_t k = 0; k < UNIT_COUNT(rows[i].said) && rows[i].said[k] != NULL; k++)
			unit_check(says("%s", rows[i].said[k]), "%s: %s", rows[i].body, said.data);
		unit_check(rows[i].said[1] != NULL || !says("sig"), "%s", rows[i].body);
	}
}

/* A secret with something around it is found out, layer after layer. */
static void what_stands_around_a_secret(void **state)
{
	(void)state;
	char text[128];
	struct buf body = {0};
	static const struct span around[] = {UNIT_SPAN("KEY='second secret'"), UNIT_SPAN("other")};
	sign(&(struct combination){MAC_SHA256, HEX, RAW_DATA, NONCE_LAST}, "n", text);
	append_body(&body, "n", "sig256", text);
	const struct scheme_request request = {.secrets = around, .secret_count = 2, .body = body.data, .n = body.len};
	said.len = 0;
	assert_int_equal(presets_find("unified")->explain(&request, "/etc/secret", &said), 0);
	assert_true(
		says("    sig256  is signed with secret 1 without quotes around it: take that away in /etc/secret\n"));
	assert_false(says("name and '='"));
	buf_fini(&body);
}

static int forget(void **state)
{
	(void)state;
	buf_fini(&said);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_each_combination),
		cmocka_unit_test(members_need_not_be_what_they_are_called),
		cmocka_unit_test(what_cannot_be_read),
		cmocka_unit_test(what_stands_around_a_secret),
	};
	return cmocka_run_group_tests(tests, NULL, forget);
}
