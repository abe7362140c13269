#include "config.h"

#include "base/json.h"
#include "base/text.h"
#include "sender/mac.h"
#include "sender/presets.h"
#include "sender/scheme.h"
#include "unit.h"

static const char *const verdicts[] = {
	[SCHEME_ACCEPTED] = "accepted", [SCHEME_MALFORMED] = "malformed", [SCHEME_UNSIGNED] = "unsigned",
	[SCHEME_BAD_FORM] = "bad form", [SCHEME_FORGED] = "forged",       [SCHEME_NO_MEMORY] = "no memory",
};

#define NEW "the new secret"
#define OLD "the old secret"
static struct span secrets[] = {{NEW, sizeof NEW - 1}, {OLD, sizeof OLD - 1}};

static const struct scheme_request plain = {
	.secrets = secrets,
	.secret_count = 1,
	.algorithms = SCHEME_SHA1 | SCHEME_SHA256,
};

/* What a body was taken for; keep its event only as long as the body. */
struct outcome {
	enum scheme_verdict verdict;
	struct event event;
	char *body;
};

/* The body in memory of exactly its length, so that a sanitizer sees each read beside it. */
static struct outcome accept_at(const char *path, const struct scheme_request *plain_request, const char *bytes,
				size_t n)
{
	struct outcome outcome = {.event.endpoint = unit_span(path), .body = malloc(n == 0 ? 1 : n)};
	struct scheme_request request = *plain_request;
	const char *reason = NULL;
	assert_non_null(outcome.body);
	if (n > 0)
		memcpy(outcome.body, bytes, n);
	request.body = outcome.body;
	request.n = n;
	outcome.verdict = presets_find("unified")->accept(&request, &outcome.event, &reason);
	assert_int_equal(outcome.verdict == SCHEME_ACCEPTED, reason == NULL);
	return outcome;
}

static struct outcome accept_body(const struct scheme_request *plain_request, const char *bytes, size_t n)
{
	return accept_at("/webhook", plain_request, bytes, n);
}

static void outcome_fini(struct outcome *outcome)
{
	free(outcome->body);
	*outcome = (struct outcome){0};
}

/* One way of writing a signature. */
static void encode(const uint8_t *digest, size_t n, char how, struct buf *text)
{
	char hex[2 * MAC_SIZE_MAX + 1];
	text_hex(digest, n, hex);
	switch (how) {
	case 'h':
		assert_int_equal(buf_str(text, hex), 0);
		break;
	case 'H':
		for (char *c = hex; *c != '\0'; c++)
			*c = (char)(*c >= 'a' ? *c - 32 : *c);
		assert_int_equal(buf_str(text, hex), 0);
		break;
	default: /* b: base64; u: of the URL alphabet, without padding; p: padding bits not zero; n: no padding */
		assert_int_equal(text_base64(text, digest, n), 0);
		for (size_t i = 0; how == 'u' && i < text->len; i++)
			text->data[i] = text->data[i] == '+' ? '-' : text->data[i] == '/' ? '_' : text->data[i];
		if (how == 'u' || how == 'n')
			text->len--;
		if (how == 'p')
			text->data[text->len - 2]++;
	}
}

/* Fills in a template: @d is data; @1h is HMAC-SHA1 over data and nonce as encode() writes it, @2h HMAC-SHA256; with
 * a number behind, as @1h39, only its first characters. A capital N or O before, as @O1h, names the secret. */
static void fill(const char *template, const char *data, const char *signed_data, const char *nonce, struct buf *body)
{
	for (const char *at = template; *at != '\0';) {
		if (*at != '@') {
			assert_int_equal(buf_char(body, *at++), 0);
			continue;
		}
		if (*++at == 'd') {
			assert_int_equal(buf_str(body, data), 0);
			at++;
			continue;
		}
		const char *secret = *at == 'O' ? OLD : NEW;
		if (*at == 'O' || *at == 'N')
			at++;
		enum mac_algorithm algorithm = *at++ == '1' ? MAC_SHA1 : MAC_SHA256;
		const struct span parts[] = {unit_span(signed_data), unit_span(nonce)};
		uint8_t digest[MAC_SIZE_MAX];
		struct buf text = {0};
		mac_sign(algorithm, unit_span(secret), parts, 2, digest);
		encode(digest, mac_size(algorithm), *at++, &text);
		char *end;
		size_t n = strtoul(at, &end, 10);
		assert_int_equal(buf_append(body, text.data, end == at ? text.len : n), 0);
		at = end;
		buf_fini(&text);
	}
}

#define DATA  "[{\"a\":1}]"
#define FRONT "{\"data\":@d,\"nonce\":\"n\","

/* Rows of the answers to bad input: the template, and where it is not DATA and "n", data, nonce and what was signed. */
static const struct {
	const char *template;
	enum scheme_verdict verdict;
	const char *data, *nonce, *signed_data;
} rows[] = {
	/* Every way of writing a good signature. */
	{FRONT "\"sig\":\"@1h\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig\":\"@1H\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig\":\"@1n\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig\":\"@1u\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig256\":\"@2h\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig256\":\"@2H\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig256\":\"@2b\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig256\":\"@2n\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig256\":\"@2u\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"sig256\":\"@2h\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{"{\"sig\":\"@1b\",\"other\":[{\"data\":1}],\"nonce\":\"n\",\"data\":@d}", SCHEME_ACCEPTED, 0, 0, 0},
	{" \r\n\t{ \"data\" : @d , \"nonce\" : \"n\" , \"sig\" : \"@1b\" } \n", SCHEME_ACCEPTED, 0, 0, 0},

	/* 1: none at all. */
	{"{\"data\":@d,\"nonce\":\"n\"}", SCHEME_UNSIGNED, 0, 0, 0},
	{FRONT "\"sig\":null}", SCHEME_UNSIGNED, 0, 0, 0},
	{FRONT "\"sig256\":null}", SCHEME_UNSIGNED, 0, 0, 0},
	{FRONT "\"sig\":\"\"}", SCHEME_UNSIGNED, 0, 0, 0},
	{FRONT "\"sig256\":\"\"}", SCHEME_UNSIGNED, 0, 0, 0},
	{FRONT "\"sig\":null,\"sig256\":\"\"}", SCHEME_UNSIGNED, 0, 0, 0},
	{FRONT "\"sig\":null,\"sig256\":\"@2b\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig\":\"\",\"sig256\":\"@2b\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"Sig\":\"@1b\"}", SCHEME_UNSIGNED, 0, 0, 0},
	{"{\"data\":@d,\"nonce\":\"n\",\"webhook\":{\"sig\":\"@1b\"}}", SCHEME_UNSIGNED, 0, 0, 0},

	/* 2: a part of it, more than it, white space in it. */
	{FRONT "\"sig\":\"@1h1\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h2\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h20\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h38\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig256\":\"@2h40\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig256\":\"@2h62\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1b4\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1b24\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1b26\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig256\":\"@2b42\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h0\"}", SCHEME_UNSIGNED, 0, 0, 0},
	{FRONT "\"sig\":\"@1h\\u0030\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h\\u0030\\u0030\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h\\u0000\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1b=\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1bAAAA\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\\u0000\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\" @1h\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h \"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h\\n\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\\n\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\\r\\n\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\" @1b\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"sha1=@1h\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\" \"}", SCHEME_BAD_FORM, 0, 0, 0},

	/* 3: no canonical base64, no hex, the other algorithm's length. */
	{FRONT "\"sig\":\"@1p\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig256\":\"@2p\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"+-AAAAAAAAAAAAAAAAAAAAAAAAA=\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h39\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig256\":\"@2h63\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1h39g\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@2h\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@2b\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig256\":\"@1h\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig256\":\"@1b\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"\\ud800\"}", SCHEME_BAD_FORM, 0, 0, 0},

	/* 4: no string. */
	{FRONT "\"sig\":0}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":false}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":[\"@1b\"]}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":{}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"sig256\":1}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig256\":[]}", SCHEME_MALFORMED, 0, 0, 0},

	/* 5, 6: wrong; one right and one wrong; another secret; right ones of two secrets. */
	{FRONT "\"sig\":\"0000000000000000000000000000000000000000\"}", SCHEME_FORGED, 0, 0, 0},
	{FRONT "\"sig\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", SCHEME_FORGED, 0, 0, 0},
	{FRONT "\"sig\":\"@1h39\\u0078\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"sig256\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", SCHEME_FORGED, 0, 0, 0},
	{FRONT "\"sig256\":\"@2b\",\"sig\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}", SCHEME_FORGED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"sig256\":\"@2h63\"}", SCHEME_BAD_FORM, 0, 0, 0},
	{FRONT "\"sig\":\"@O1b\"}", SCHEME_FORGED, 0, 0, 0},
	{FRONT "\"sig256\":\"@O2b\"}", SCHEME_FORGED, 0, 0, 0},
	{FRONT "\"sig\":\"@N1b\",\"sig256\":\"@O2b\"}", SCHEME_FORGED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, 0, 0, "[{\"a\":2}]"},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, 0, "m", 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, 0, "", 0},

	/* 8, 9: members twice, also spelt otherwise; keys that only begin like one. */
	{"{\"data\":@d,\"data\":@d,\"nonce\":\"n\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"nonce\":\"n\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"sig256\":\"@2b\",\"sig256\":\"@2b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{},\"webhook\":{}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"type\":\"a\",\"type\":\"a\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"external_xref\":\"a\",\"external_xref\":\"a\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"sig\":null}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":null,\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"d\\u0061ta\":@d,\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"\\u006eonce\":\"n\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"s\\u0069g\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig256\":\"@2b\",\"sig25\\u0036\":\"@2b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{},\"\\u0077ebhook\":{}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"type\":\"a\",\"typ\\u0065\":\"a\"}", SCHEME_MALFORMED, 0, 0, 0},
	{"{\"d\\u0061ta\":@d,\"nonce\":\"n\",\"s\\u0069g\":\"@1b\"}", SCHEME_ACCEPTED, 0, 0, 0},
	{"{\"data\\u0000x\":@d,\"nonce\":\"n\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"data\\u0000x\":@d,\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"data\\u0000\":@d,\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"sig\\u0000x\":\"\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"data2\":1,\"dat\":1,\"Data\":1,\"\":1,\"\\\\u0000\":1}", SCHEME_ACCEPTED, 0, 0, 0},

	/* 10, 12, 18: whatever data holds is verbatim. */
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[{\"a\":1,\"a\":2,\"data\":3,\"data\":4}]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[1,\"x\",null,true,[]]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[12345678901234567890123,1e400,-0,\"\\ud800\",\"\\/\\u2028\"]", 0,
	 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "{}", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "{\"a\":[1,2]}", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[\"\xf0\x9f\x98\x80 \xe2\x80\xa8\"]", 0, 0},

	/* 11: data that is no array and no object, however well signed. */
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "1", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "\"x\"", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "true", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "null", 0, 0},
	{"{\"nonce\":\"n\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, "", 0, 0},

	/* 13: nonces. */
	{"{\"data\":@d,\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "", 0},
	{"{\"data\":@d,\"nonce\":null,\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "", 0},
	{"{\"data\":@d,\"nonce\":1,\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "1", 0},
	{"{\"data\":@d,\"nonce\":[\"n\"],\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "n", 0},
	{"{\"data\":@d,\"nonce\":\"\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "", 0},
	{"{\"data\":@d,\"nonce\":\"a\\nb\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "a\nb", 0},
	{"{\"data\":@d,\"nonce\":\"a\\u001b\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "a\x1b", 0},
	{"{\"data\":@d,\"nonce\":\"a\\u0000b\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "a", 0},
	{"{\"data\":@d,\"nonce\":\"\x7f\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "\x7f", 0},
	{"{\"data\":@d,\"nonce\":\"\\ud800\",\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, "\xef\xbf\xbd", 0},
	{"{\"data\":@d,\"nonce\":\"\\u0061bc\",\"sig\":\"@1b\"}", SCHEME_ACCEPTED, 0, "abc", 0},
	{"{\"data\":@d,\"nonce\":\"\\u0061bc\",\"sig\":\"@1b\"}", SCHEME_FORGED, 0, "\\u0061bc", 0},
	{"{\"data\":@d,\"nonce\":\"\\ud83d\\ude00\\/\",\"sig\":\"@1b\"}", SCHEME_ACCEPTED, 0, "\xf0\x9f\x98\x80/", 0},
	{"{\"data\":@d,\"nonce\":\"]\\\"}\",\"sig\":\"@1b\"}", SCHEME_ACCEPTED, 0, "]\"}", 0},

	/* 15, 16, 23: no JSON object, or more than one. */
	{"", SCHEME_MALFORMED, 0, 0, 0},
	{" ", SCHEME_MALFORMED, 0, 0, 0},
	{"null", SCHEME_MALFORMED, 0, 0, 0},
	{"[]", SCHEME_MALFORMED, 0, 0, 0},
	{"{}", SCHEME_MALFORMED, 0, 0, 0},
	{"\"x\"", SCHEME_MALFORMED, 0, 0, 0},
	{"@d", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\"", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\"}x", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\"}{}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\"},", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",}", SCHEME_MALFORMED, 0, 0, 0},
	{"[" FRONT "\"sig\":\"@1b\"}]", SCHEME_MALFORMED, 0, 0, 0},
	{"\xef\xbb\xbf" FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"x\":\"\xff\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"x\":\"\xc0\xaf\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "[\"\xed\xa0\x80\"]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "[\"\xf4\x90\x80\x80\"]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "[NaN]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "[01]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "[1,]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "['a']", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_MALFORMED, "[\"a\tb\"]", 0, 0},

	/* The unsigned members: of the right type or absent. */
	{FRONT "\"sig\":\"@1b\",\"webhook\":null,\"type\":null,\"external_xref\":null}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":[]}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":\"w\"}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"type\":1}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"external_xref\":{}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{\"object_type\":1}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{\"connection_id\":[]}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{\"created_at\":1,\"runs\":[],\"interval\":60}}", SCHEME_ACCEPTED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{\"event\":\"a\",\"event\":\"b\"}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{\"event\":\"a\",\"ev\\u0065nt\":\"a\"}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{\"event\":null,\"event\":\"b\"}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{\"event\":\"a\",\"event\":null}}", SCHEME_MALFORMED, 0, 0, 0},
	{FRONT "\"sig\":\"@1b\",\"webhook\":{\"runs\":1,\"runs\":2}}", SCHEME_ACCEPTED, 0, 0, 0},

	/* What is signed: the raw bytes, or those without insignificant white space; nothing between. */
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[ { \"a\" : 1 } ]", 0, 0},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[ { \"a\" : 1 } ]", 0, DATA},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[\r\n\t{\"a\":1}\r\n]", 0, DATA},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, "[ { \"a\" : 1 } ]", 0, "[{\"a\": 1}]"},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, DATA, 0, "[ { \"a\" : 1 } ]"},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_ACCEPTED, "[ \" a \\\" b \" ]", 0, "[\" a \\\" b \"]"},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, "[ \" a b \" ]", 0, "[\"ab\"]"},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, "[1.0]", 0, "[1]"},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, "[\"\\u0061\"]", 0, "[\"a\"]"},
	{FRONT "\"sig\":\"@1b\"}", SCHEME_FORGED, "{\"a\":1,\"b\":2}", 0, "{\"b\":2,\"a\":1}"},
};

static void verdict_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const char *data = rows[i].data == NULL ? DATA : rows[i].data;
		struct buf body = {0};
		fill(rows[i].template, data, rows[i].signed_data == NULL ? data : rows[i].signed_data,
		     rows[i].nonce == NULL ? "n" : rows[i].nonce, &body);
		struct outcome outcome = accept_body(&plain, body.data, body.len);
		unit_check(outcome.verdict == rows[i].verdict, "%s, data %s: %s, wanted %s", rows[i].template, data,
			   verdicts[outcome.verdict], verdicts[rows[i].verdict]);
		outcome_fini(&outcome);
		buf_fini(&body);
	}
}

/* Bytes that no C string holds. */
static void raw_bytes(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
	} bodies[] = {
		{"\0", 1}, {"{}\0", 3}, {"\xff\xfe{\0}\0", 6}, {"\xfe\xff\0{\0}", 6}, {"{\0}\0", 4}, {"\0{\0}", 4},
	};
	for (size_t i = 0; i < UNIT_COUNT(bodies); i++) {
		struct outcome outcome = accept_body(&plain, bodies[i].bytes, bodies[i].n);
		unit_check(outcome.verdict == SCHEME_MALFORMED, "row %zu", i);
		outcome_fini(&outcome);
	}
}

static void nonce_lengths(void **state)
{
	(void)state;
	static const struct {
		const char *unit; /* as it stands in the token */
		const char *decoded;
		size_t times;
		enum scheme_verdict verdict;
	} lengths[] = {
		{"x", "x", 1, SCHEME_ACCEPTED},
		{"x", "x", 256, SCHEME_ACCEPTED},
		{"x", "x", 257, SCHEME_MALFORMED},
		{"x", "x", 100000, SCHEME_MALFORMED},
		{"\xc3\xab", "\xc3\xab", 128, SCHEME_ACCEPTED},
		{"\xc3\xab", "\xc3\xab", 129, SCHEME_MALFORMED},
		{"\\u0078", "x", 256, SCHEME_ACCEPTED},
		{"\\u0078", "x", 257, SCHEME_MALFORMED},
		{"\\ud83d\\ude00", "\xf0\x9f\x98\x80", 64, SCHEME_ACCEPTED},
		{"\\ud83d\\ude00", "\xf0\x9f\x98\x80", 65, SCHEME_MALFORMED},
	};
	for (size_t i = 0; i < UNIT_COUNT(lengths); i++) {
		struct buf template = {0}, nonce = {0}, body = {0};
		assert_int_equal(buf_str(&template, "{\"data\":@d,\"sig\":\"@1b\",\"nonce\":\""), 0);
		for (size_t k = 0; k < lengths[i].times; k++) {
			assert_int_equal(buf_str(&template, lengths[i].unit), 0);
			assert_int_equal(buf_str(&nonce, lengths[i].decoded), 0);
		}
		assert_int_equal(buf_str(&template, "\"}"), 0);
		fill(buf_cstr(&template), DATA, DATA, buf_cstr(&nonce), &body);
		struct outcome outcome = accept_body(&plain, body.data, body.len);
		unit_check(outcome.verdict == lengths[i].verdict, "%zu times %s: %s", lengths[i].times, lengths[i].unit,
			   verdicts[outcome.verdict]);
		outcome_fini(&outcome);
		buf_fini(&template);
		buf_fini(&nonce);
		buf_fini(&body);
	}
}

/* Each record of an event has them again, and they are not signed. */
static void field_lengths(void **state)
{
	(void)state;
	static const struct {
		const char *before, *after;
		int max;
	} fields[] = {
		{"\"type\":\"", "\"", 1024},
		{"\"external_xref\":\"", "\"", 4096},
		{"\"webhook\":{\"event\":\"", "\"}", 1024},
		{"\"webhook\":{\"object_type\":\"", "\"}", 1024},
		{"\"webhook\":{\"connection_id\":\"", "\"}", 1024},
		{"\"webhook\":{\"id\":\"", "\"}", 1024},
		{"\"webhook\":{\"workspace_id\":\"", "\"}", 1024},
		{"\"webhook\":{\"integration_type\":\"", "\"}", 1024},
		{"\"webhook\":{\"environment\":\"", "\"}", 1024},
	};
	for (size_t i = 0; i < UNIT_COUNT(fields); i++)
		for (int n = fields[i].max - 1; n <= fields[i].max + 1; n++) {
			struct buf template = {0}, body = {0};
			assert_int_equal(buf_printf(&template, "{\"data\":@d,\"sig\":\"@1b\",\"nonce\":\"n\",%s%0*d%s}",
						    fields[i].before, n - 2, 0, fields[i].after),
					 0);
			fill(buf_cstr(&template), DATA, DATA, "n", &body);
			struct outcome outcome = accept_body(&plain, body.data, body.len);
			unit_check(outcome.verdict == (n > fields[i].max ? SCHEME_MALFORMED : SCHEME_ACCEPTED),
				   "%s %d: %s", fields[i].before, n, verdicts[outcome.verdict]);
			outcome_fini(&outcome);
			buf_fini(&template);
			buf_fini(&body);
		}
}

/* 5, 6: which secrets and which algorithms an endpoint takes. */
static void endpoint_rows(void **state)
{
	(void)state;
	enum { EITHER = SCHEME_SHA1 | SCHEME_SHA256 };
	static const struct {
		size_t secrets;
		unsigned algorithms;
		const char *signatures;
		enum scheme_verdict verdict;
	} endpoints[] = {
		{1, EITHER, "\"sig\":\"@O1b\"", SCHEME_FORGED},
		{2, EITHER, "\"sig\":\"@O1b\"", SCHEME_ACCEPTED},
		{2, EITHER, "\"sig256\":\"@O2h\"", SCHEME_ACCEPTED},
		{2, EITHER, "\"sig\":\"@N1b\"", SCHEME_ACCEPTED},
		{2, EITHER, "\"sig\":\"@O1b\",\"sig256\":\"@O2b\"", SCHEME_ACCEPTED},
		{2, EITHER, "\"sig\":\"@O1b\",\"sig256\":\"@N2b\"", SCHEME_FORGED},
		{2, EITHER, "\"sig\":\"@N1b\",\"sig256\":\"@O2b\"", SCHEME_FORGED},
		{1, SCHEME_SHA1, "\"sig\":\"@1b\"", SCHEME_ACCEPTED},
		{1, SCHEME_SHA1, "\"sig256\":\"@2b\"", SCHEME_UNSIGNED},
		{1, SCHEME_SHA1, "\"sig\":\"@1b\",\"sig256\":\"@2b\"", SCHEME_ACCEPTED},
		{1, SCHEME_SHA1, "\"sig\":\"@1b\",\"sig256\":\"@O2b\"", SCHEME_FORGED},
		{1, SCHEME_SHA256, "\"sig256\":\"@2b\"", SCHEME_ACCEPTED},
		{1, SCHEME_SHA256, "\"sig\":\"@1b\"", SCHEME_UNSIGNED},
		{1, SCHEME_SHA256, "\"sig\":\"@1b\",\"sig256\":null", SCHEME_UNSIGNED},
		{1, SCHEME_SHA256, "\"sig\":\"@1b\",\"sig256\":\"\"", SCHEME_UNSIGNED},
		{1, SCHEME_SHA256, "\"sig\":\"@1b\",\"sig256\":\"@2b\"", SCHEME_ACCEPTED},
		{1, SCHEME_SHA256, "\"sig\":\"@O1b\",\"sig256\":\"@2b\"", SCHEME_FORGED},
		{1, SCHEME_SHA256, "\"sig\":\"x\",\"sig256\":\"@2b\"", SCHEME_BAD_FORM},
	};
	for (size_t i = 0; i < UNIT_COUNT(endpoints); i++) {
		struct scheme_request endpoint = plain;
		char template[256];
		struct buf body = {0};
		endpoint.secret_count = endpoints[i].secrets;
		endpoint.algorithms = endpoints[i].algorithms;
		snprintf(template, sizeof template, FRONT "%s}", endpoints[i].signatures);
		fill(template, DATA, DATA, "n", &body);
		struct outcome outcome = accept_body(&endpoint, body.data, body.len);
		unit_check(outcome.verdict == endpoints[i].verdict, "%zu secrets, algorithms %u, %s: %s",
			   endpoints[i].secrets, endpoints[i].algorithms, endpoints[i].signatures,
			   verdicts[outcome.verdict]);
		outcome_fini(&outcome);
		buf_fini(&body);
	}
}

/* 14: what is one event and what is another; each row against the first. */
static void identities(void **state)
{
	(void)state;
	static const struct {
		const char *name, *template, *data, *nonce, *signed_data;
		bool same;
	} events[] = {
		{"first", "{\"data\":@d,\"nonce\":\"abc\",\"sig\":\"@1b\"}", DATA, "abc", DATA, true},
		{"again", "{\"data\":@d,\"nonce\":\"abc\",\"sig\":\"@1b\"}", DATA, "abc", DATA, true},
		{"another signature", "{\"data\":@d,\"nonce\":\"abc\",\"sig256\":\"@2h\"}", DATA, "abc", DATA, true},
		{"another order", "{\"sig\":\"@1h\",\"nonce\":\"abc\",\"data\":@d}", DATA, "abc", DATA, true},
		{"other unsigned members",
		 "{\"data\":@d,\"nonce\":\"abc\",\"sig\":\"@1b\",\"type\":\"X\",\"webhook\":{\"id\":\"w\"}}", DATA,
		 "abc", DATA, true},
		{"nonce spelt otherwise", "{\"data\":@d,\"nonce\":\"\\u0061bc\",\"sig\":\"@1b\"}", DATA, "abc", DATA,
		 true},
		{"spaced, signed compact", "{\"data\":@d,\"nonce\":\"abc\",\"sig\":\"@1b\"}", "[ {\n\"a\": 1}\t]",
		 "abc", DATA, true},
		{"spaced, signed as it is", "{\"data\":@d,\"nonce\":\"abc\",\"sig\":\"@1b\"}", "[ {\"a\": 1} ]", "abc",
		 "[ {\"a\": 1} ]", true},
		{"another nonce", "{\"data\":@d,\"nonce\":\"abd\",\"sig\":\"@1b\"}", DATA, "abd", DATA, false},
		{"other data", "{\"data\":@d,\"nonce\":\"abc\",\"sig\":\"@1b\"}", "[{\"a\":2}]", "abc", "[{\"a\":2}]",
		 false},
		{"data spelt otherwise", "{\"data\":@d,\"nonce\":\"abc\",\"sig\":\"@1b\"}", "[{\"\\u0061\":1}]", "abc",
		 "[{\"\\u0061\":1}]", false},
	};
	char first[EVENT_ID_SIZE] = "";
	for (size_t i = 0; i < UNIT_COUNT(events); i++) {
		struct buf body = {0};
		fill(events[i].template, events[i].data, events[i].signed_data, events[i].nonce, &body);
		struct outcome outcome = accept_body(&plain, body.data, body.len);
		unit_check(outcome.verdict == SCHEME_ACCEPTED, "%s", events[i].name);
		if (i == 0)
			memcpy(first, outcome.event.id, sizeof first);
		unit_check((strcmp(outcome.event.id, first) == 0) == events[i].same, "%s", events[i].name);
		unit_check(memchr(outcome.event.data.ptr, ' ', outcome.event.data.len) == NULL, "%s", events[i].name);
		outcome_fini(&outcome);
		buf_fini(&body);
	}
	struct buf body = {0};
	fill(events[0].template, DATA, DATA, "abc", &body);
	struct outcome outcome = accept_at("/other", &plain, body.data, body.len);
	assert_int_equal(outcome.verdict, SCHEME_ACCEPTED);
	assert_string_not_equal(outcome.event.id, first);
	outcome_fini(&outcome);
	buf_fini(&body);
}

/* The sender's tokens, byte for byte, wherever they stand. */
static void fields(void **state)
{
	(void)state;
	static const char *const wanted[EVENT_FIELDS] = {
		[EVENT_TYPE] = "\"T\\u0059PE\"",
		[EVENT_EVENT] = "\"updated\"",
		[EVENT_OBJECT_TYPE] = "\"../x\"",
		[EVENT_CONNECTION_ID] = "\"\\u0000\"",
		[EVENT_WEBHOOK_ID] = "\"w\"",
		[EVENT_WORKSPACE_ID] = "\"\"",
		[EVENT_INTEGRATION_TYPE] = "\"\\ud800\"",
		[EVENT_ENVIRONMENT] = "\"Zo\xc3\xab \"",
		[EVENT_EXTERNAL_XREF] = "\"x\"",
	};
	struct buf body = {0};
	fill("{\"external_xref\": \"x\" ,\"webhook\":{\"workspace_id\":\"\",\"environment\":\"Zo\xc3\xab "
	     "\",\"event\":\"updated\","
	     "\"meta\":{\"event\":\"no\",\"id\":\"no\"},\"id\":\"w\", \"integration_type\":\"\\ud800\",\"object_type\" "
	     ": \"../x\","
	     "\"connection_id\":\"\\u0000\"},\"nonce\": \"n\",\"sig\":\"@1b\",\"data\": @d ,\"type\":\"T\\u0059PE\"}",
	     "[1,  2]", "[1,2]", "n", &body);
	struct outcome outcome = accept_body(&plain, body.data, body.len);
	assert_int_equal(outcome.verdict, SCHEME_ACCEPTED);
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		unit_check(unit_same(outcome.event.fields[i], wanted[i]), "%s: %.*s", event_field_names[i],
			   (int)outcome.event.fields[i].len, outcome.event.fields[i].ptr);
	assert_true(unit_same(outcome.event.nonce, "\"n\""));
	assert_true(unit_same(outcome.event.data, "[1,2]"));
	assert_int_equal(outcome.event.count, 2);
	assert_int_equal(outcome.event.received_at, 0);
	outcome_fini(&outcome);
	buf_fini(&body);
}

static void counts(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		uint32_t count;
	} of[] = {{"[]", 0},  {"[ ]", 0},
		  {"{}", 1},  {"{\"a\":1,\"b\":2}", 1},
		  {"[1]", 1}, {"[[1,2],{\"a\":[3]},\"x,y\"]", 3}};
	for (size_t i = 0; i < UNIT_COUNT(of); i++) {
		struct buf body = {0};
		fill(FRONT "\"sig\":\"@1b\"}", of[i].data, of[i].data, "n", &body);
		struct outcome outcome = accept_body(&plain, body.data, body.len);
		unit_check(outcome.verdict == SCHEME_ACCEPTED && outcome.event.count == of[i].count, "%s", of[i].data);
		outcome_fini(&outcome);
		buf_fini(&body);
	}
}

static struct buf secret_lines;
static struct span sample_secrets[2];
static struct scheme_request sample_endpoint;

static int read_secrets(void **state)
{
	(void)state;
	secret_lines = unit_sample("secrets");
	char *end = strchr(secret_lines.data, '\n');
	sample_secrets[0] = (struct span){secret_lines.data, (size_t)(end - secret_lines.data)};
	sample_secrets[1] = (struct span){end + 1, strcspn(end + 1, "\n")};
	sample_endpoint = plain;
	sample_endpoint.secrets = sample_secrets;
	sample_endpoint.secret_count = 2;
	return 0;
}

static int forget_secrets(void **state)
{
	(void)state;
	buf_fini(&secret_lines);
	return 0;
}

/* Payloads as a JavaScript sender makes them. */
static const struct {
	const char *name;
	enum scheme_verdict verdict, with_new_secret_only;
	uint32_t count;
	const char *type, *event, *object_type, *connection_id, *xref;
} samples[] = {
#define C1   "\"5dc201f9414446e39b2045aa\""
#define GOOD SCHEME_ACCEPTED, SCHEME_ACCEPTED
#define BAD  SCHEME_FORGED, SCHEME_FORGED, 0, NULL, NULL, NULL, NULL, NULL
	{"virtual-one", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"virtual-ten", GOOD, 10, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"virtual-thousand", GOOD, 1000, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"native-deleted", GOOD, 1, "\"NATIVE\"", "\"deleted\"", "\"crm_contact\"", C1, NULL},
	{"initial-partial", GOOD, 2, "\"INITIAL-PARTIAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"initial-complete-last-page", GOOD, 1, "\"INITIAL-COMPLETE\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"initial-complete-empty", GOOD, 0, "\"INITIAL-COMPLETE\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"sha1-hex", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"sha256-base64", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"sha256-hex", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"both-signatures", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, "\"user-1\""},
	{"member-order", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, "\"user-1\""},
	{"old-secret", SCHEME_ACCEPTED, SCHEME_FORGED, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"pretty-printed", GOOD, 2, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"unicode", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"numbers", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", C1, NULL},
	{"new-type", GOOD, 1, "\"SOMETHING-NEW\"", "\"landed\"", "\"space_rocket\"", C1, NULL},
	{"sparse-webhook", GOOD, 1, "\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", "\"c\"", NULL},
	{"bad-secret", BAD},
	{"altered-data", BAD},
	{"sha256-bad-sha1-good", BAD},
	{"no-signature", SCHEME_UNSIGNED, SCHEME_UNSIGNED, 0, NULL, NULL, NULL, NULL, NULL},
};

static struct buf sample(size_t i)
{
	char file[64];
	snprintf(file, sizeof file, "%s.json", samples[i].name);
	return unit_sample(file);
}

static void check_field(size_t i, const struct event *event, enum event_field field, const char *wanted)
{
	unit_check(wanted == NULL ? event->fields[field].ptr == NULL : unit_same(event->fields[field], wanted),
		   "%s: %s", samples[i].name, event_field_names[field]);
}

static void sample_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(samples); i++) {
		struct buf body = sample(i);
		struct outcome outcome = accept_body(&sample_endpoint, body.data, body.len);
		const struct event *event = &outcome.event;
		unit_check(outcome.verdict == samples[i].verdict, "%s: %s", samples[i].name, verdicts[outcome.verdict]);
		if (outcome.verdict == SCHEME_ACCEPTED) {
			unit_check(event->count == samples[i].count, "%s: %u", samples[i].name, event->count);
			check_field(i, event, EVENT_TYPE, samples[i].type);
			check_field(i, event, EVENT_EVENT, samples[i].event);
			check_field(i, event, EVENT_OBJECT_TYPE, samples[i].object_type);
			check_field(i, event, EVENT_CONNECTION_ID, samples[i].connection_id);
			check_field(i, event, EVENT_EXTERNAL_XREF, samples[i].xref);
		}
		outcome_fini(&outcome);
		struct scheme_request rotated = sample_endpoint;
		rotated.secret_count = 1;
		outcome = accept_body(&rotated, body.data, body.len);
		unit_check(outcome.verdict == samples[i].with_new_secret_only, "%s, rotated: %s", samples[i].name,
			   verdicts[outcome.verdict]);
		outcome_fini(&outcome);
		buf_fini(&body);
	}
}

/* The same body without its white space is the same event, and its data the same bytes. */
static void samples_without_white_space(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(samples); i++) {
		struct buf body = sample(i);
		struct outcome outcome = accept_body(&sample_endpoint, body.data, body.len);
		if (outcome.verdict == SCHEME_ACCEPTED) {
			size_t n = json_compact(body.data, body.len);
			struct outcome compact = accept_body(&sample_endpoint, body.data, n);
			unit_check(compact.verdict == SCHEME_ACCEPTED, "%s", samples[i].name);
			assert_string_equal(outcome.event.id, compact.event.id);
			assert_int_equal(outcome.event.data.len, compact.event.data.len);
			assert_memory_equal(outcome.event.data.ptr, compact.event.data.ptr, compact.event.data.len);
			/* It stands in the body as it was sent. */
			assert_non_null(memmem(body.data, n, compact.event.data.ptr, compact.event.data.len));
			outcome_fini(&compact);
		}
		outcome_fini(&outcome);
		buf_fini(&body);
	}
}

/* However one bit of a body is changed, it is refused or still is the same event. */
static void flipped_bits(void **state)
{
	(void)state;
	static const char *const names[] = {"sha1-hex.json", "both-signatures.json", "initial-complete-empty.json"};
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		struct buf body = unit_sample(names[i]);
		struct outcome good = accept_body(&sample_endpoint, body.data, body.len);
		assert_int_equal(good.verdict, SCHEME_ACCEPTED);
		for (size_t at = 0; at < body.len; at++)
			for (int bit = 0; bit < 8; bit++) {
				body.data[at] = (char)(body.data[at] ^ (1 << bit));
				struct outcome outcome = accept_body(&sample_endpoint, body.data, body.len);
				unit_check(outcome.verdict != SCHEME_ACCEPTED ||
						   strcmp(outcome.event.id, good.event.id) == 0,
					   "%s: byte %zu, bit %d", names[i], at, bit);
				outcome_fini(&outcome);
				body.data[at] = (char)(body.data[at] ^ (1 << bit));
			}
		outcome_fini(&good);
		buf_fini(&body);
	}
}

static void cut_bodies(void **state)
{
	(void)state;
	struct buf body = unit_sample("both-signatures.json");
	for (size_t n = 0; n < body.len; n++) {
		struct outcome outcome = accept_body(&sample_endpoint, body.data, n);
		unit_check(outcome.verdict == SCHEME_MALFORMED, "first %zu bytes", n);
		outcome_fini(&outcome);
	}
	buf_fini(&body);
}

/* The table of schemes knows this one, and no other name. */
static void found_by_name(void **state)
{
	(void)state;
	assert_string_equal(presets_find("unified")->name, "unified");
	assert_null(presets_find("unifie"));
	assert_null(presets_find("unified2"));
	assert_null(presets_find(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdict_rows),    cmocka_unit_test(raw_bytes),
		cmocka_unit_test(nonce_lengths),   cmocka_unit_test(field_lengths),
		cmocka_unit_test(endpoint_rows),   cmocka_unit_test(identities),
		cmocka_unit_test(fields),          cmocka_unit_test(counts),
		cmocka_unit_test(sample_verdicts), cmocka_unit_test(samples_without_white_space),
		cmocka_unit_test(flipped_bits),    cmocka_unit_test(cut_bodies),
		cmocka_unit_test(found_by_name),
	};
	return cmocka_run_group_tests(tests, read_secrets, forget_secrets);
}
