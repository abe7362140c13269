#include "config.h"

#include "sender/explain.h"

#include <string.h>

#include "base/json.h"
#include "base/text.h"

const char *const trial_span_names[TRIAL_SPANS] = {
	[TRIAL_RAW] = "data as it stands",
	[TRIAL_COMPACT] = "data without white space",
	[TRIAL_BODY] = "the whole body without its signatures",
};
const char *const trial_order_names[TRIAL_ORDERS] = {
	[TRIAL_NONCE_LAST] = "then the nonce",
	[TRIAL_NONCE_FIRST] = "after the nonce",
	[TRIAL_NO_NONCE] = "without the nonce",
};
const char *const trial_encoding_names[TRIAL_ENCODINGS] = {
	[TRIAL_HEX] = "hex",
	[TRIAL_BASE64] = "base64",
	[TRIAL_BASE64URL] = "base64url",
};

static const char *const members[TRIAL_SIGNATURES] = {"sig", "sig256"};

/* What the body gives to try. */
struct matter {
	struct span spans[TRIAL_SPANS]; /* absent: cannot be tried */
	struct buf compact, body, nonce;
	struct json_value signatures[TRIAL_SIGNATURES];
};

static void matter_fini(struct matter *m)
{
	buf_fini(&m->compact);
	buf_fini(&m->body);
	buf_fini(&m->nonce);
}

static bool is_signature(struct span key, size_t *which)
{
	for (*which = 0; *which < TRIAL_SIGNATURES; (*which)++)
		if (json_string_is(key, members[*which]))
			return true;
	return false;
}

/* The body's members but its signatures, byte for byte, as they stood when it was signed. */
static int append_unsigned(struct matter *m, const struct json_value *object)
{
	struct json_walk walk;
	const char *open = object->raw.ptr, *close = open + object->raw.len - 1, *from = open + 1;
	bool first = true;
	size_t which;
	if (buf_char(&m->body, '{') < 0)
		return -1;
	json_walk_begin(&walk, object);
	while (json_walk_next(&walk)) {
		const char *end = walk.value.raw.ptr + walk.value.raw.len;
		const char *next = memchr(end, ',', (size_t)(close - end));
		/* From behind the comma before it to the comma behind it. */
		const char *to = next == NULL ? close : next;
		if (!is_signature(walk.key, &which)) {
			if ((!first && buf_char(&m->body, ',') < 0) ||
			    buf_append(&m->body, from, (size_t)(to - from)) < 0)
				return -1;
			first = false;
		}
		from = to + 1;
	}
	return buf_char(&m->body, '}');
}

static enum trial_verdict read_body(struct matter *m, struct span body)
{
	struct json_value object;
	struct json_walk walk;
	size_t where, which;
	if (json_scan(body.ptr, body.len, &object, &where) != JSON_OK || object.type != JSON_OBJECT)
		return TRIAL_NO_JSON;
	json_walk_begin(&walk, &object);
	while (json_walk_next(&walk)) {
		if (is_signature(walk.key, &which))
			m->signatures[which] = walk.value;
		else if (json_string_is(walk.key, "data"))
			m->spans[TRIAL_RAW] = walk.value.raw;
		else if (json_string_is(walk.key, "nonce") && walk.value.type == JSON_STRING && m->nonce.len == 0 &&
			 json_decode_string(walk.value.raw, &m->nonce, NULL) < 0)
			return TRIAL_NO_MEMORY;
	}
	if (append_unsigned(m, &object) < 0)
		return TRIAL_NO_MEMORY;
	m->spans[TRIAL_BODY] = (struct span){m->body.data, m->body.len};
	struct span raw = m->spans[TRIAL_RAW];
	if (raw.ptr == NULL)
		return TRIAL_NO_DATA;
	if (buf_append(&m->compact, raw.ptr, raw.len) < 0)
		return TRIAL_NO_MEMORY;
	m->compact.len = json_compact(m->compact.data, m->compact.len);
	if (m->compact.len != raw.len)
		m->spans[TRIAL_COMPACT] = (struct span){m->compact.data, m->compact.len};
	return TRIAL_DONE;
}

/* Whichever encoding gives a digest of one of the two lengths. */
static bool read_signature(const struct json_value *value, struct trial_result *result, uint8_t digest[MAC_SIZE_MAX])
{
	struct buf text = {0};
	if (value->type != JSON_STRING || json_decode_string(value->raw, &text, NULL) < 0) {
		buf_fini(&text);
		return false;
	}
	ssize_t n = text_unhex(text.data, text.len, digest, MAC_SIZE_MAX);
	result->encoding = TRIAL_HEX;
	if (n != (ssize_t)mac_size(MAC_SHA1) && n != (ssize_t)mac_size(MAC_SHA256)) {
		n = text_unbase64(text.data, text.len, digest, MAC_SIZE_MAX);
		bool url = text.len > 0 &&
			   (memchr(text.data, '-', text.len) != NULL || memchr(text.data, '_', text.len) != NULL);
		result->encoding = url ? TRIAL_BASE64URL : TRIAL_BASE64;
	}
	buf_fini(&text);
	result->algorithm = n == (ssize_t)mac_size(MAC_SHA1) ? MAC_SHA1 : MAC_SHA256;
	return n == (ssize_t)mac_size(result->algorithm);
}

static bool try_reading(const struct matter *m, const struct trial_result *reading, struct span secret,
			const uint8_t *claimed)
{
	uint8_t digest[MAC_SIZE_MAX];
	const struct span data = m->spans[reading->span],
			  nonce = {m->nonce.len == 0 ? "" : m->nonce.data, m->nonce.len};
	const struct span orders[TRIAL_ORDERS][2] = {
		[TRIAL_NONCE_LAST] = {data, nonce},
		[TRIAL_NONCE_FIRST] = {nonce, data},
		[TRIAL_NO_NONCE] = {data, {"", 0}},
	};
	mac_sign(reading->algorithm, secret, orders[reading->order], 2, digest);
	return mac_equal(digest, claimed, mac_size(reading->algorithm));
}

/* An empty one is none, as for the receiver. */
static bool is_there(const struct json_value *value)
{
	return value->raw.ptr != NULL && value->type != JSON_NULL && (value->type != JSON_STRING || value->raw.len > 2);
}

static void try_signature(const struct matter *m, const struct json_value *value, const struct span *secrets,
			  size_t count, struct trial_result *result, size_t *tried)
{
	uint8_t claimed[MAC_SIZE_MAX] = {0};
	result->readable = read_signature(value, result, claimed);
	if (!result->readable)
		return;
	struct trial_result reading = *result;
	for (size_t span = 0; span < TRIAL_SPANS; span++)
		for (size_t order = 0; order < TRIAL_ORDERS && m->spans[span].ptr != NULL; order++)
			for (reading.secret = 0; reading.secret < count; reading.secret++) {
				reading.span = (enum trial_span)span;
				reading.order = (enum trial_order)order;
				++*tried;
				if (result->matches || !try_reading(m, &reading, secrets[reading.secret], claimed))
					continue;
				*result = reading;
				result->matches = true;
			}
}

enum trial_verdict trial_run(struct span body, const struct span *secrets, size_t count,
			     struct trial_result results[TRIAL_SIGNATURES], size_t *tried)
{
	struct matter m = {0};
	enum trial_verdict verdict = read_body(&m, body);
	*tried = 0;
	for (size_t i = 0; i < TRIAL_SIGNATURES; i++) {
		results[i] = (struct trial_result){.member = members[i], .there = is_there(&m.signatures[i])};
		if (results[i].there && (verdict == TRIAL_DONE || verdict == TRIAL_NO_DATA))
			try_signature(&m, &m.signatures[i], secrets, count, &results[i], tried);
	}
	matter_fini(&m);
	return verdict;
}
