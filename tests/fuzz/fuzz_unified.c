/* The scheme `unified` over arbitrary bodies. What it accepts must verify under a computation of our own: a simple
 * reader of JSON that is known to be good, and HMAC as RFC 2104 writes it down. A body is tried as it is, and once more
 * with its signatures put right: then it must not be called forged. What was accepted goes to the journal's line, back
 * and into records. */
#include "config.h"

#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <string.h>

#include "base/json.h"
#include "event/line.h"
#include "event/record.h"
#include "fuzz.h"
#include "sender/presets.h"
#include "sender/scheme.h"

static const char secret[] = "wks_5de520f96e439b002043d8d8_secret";

/* The simple reader. Each step moves `at` on, or gives NULL where the text is not what it should be. */

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && strchr(" \t\r\n", *at) != NULL && *at != '\0')
		at++;
	return at;
}

static const char *end_of_string(const char *at, const char *end)
{
	if (at >= end || *at != '"')
		return NULL;
	for (at++; at < end; at++) {
		if (*at == '"')
			return at + 1;
		if (*at == '\\')
			at++;
	}
	return NULL;
}

static const char *end_of_value(const char *at, const char *end)
{
	unsigned depth = 0;
	do {
		if (at >= end)
			return NULL;
		if (*at == '"') {
			at = end_of_string(at, end);
			if (at == NULL)
				return NULL;
		} else if (*at == '[' || *at == '{') {
			depth++;
			at++;
		} else if (*at == ']' || *at == '}') {
			if (depth == 0)
				return NULL;
			depth--;
			at++;
		} else if (depth == 0) {
			while (at < end && (*at == '\0' || strchr(",]} \t\r\n", *at) == NULL))
				at++;
		} else {
			at++;
		}
	} while (depth > 0);
	return at;
}

static unsigned hex_of(const char *digits)
{
	char text[5] = {digits[0], digits[1], digits[2], digits[3]};
	return (unsigned)strtoul(text, NULL, 16);
}

static size_t put_utf8(unsigned code, char *out)
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		out[0] = (char)(0xc0 | code >> 6);
		out[1] = (char)(0x80 | (code & 63));
		return 2;
	}
	if (code < 0x10000) {
		out[0] = (char)(0xe0 | code >> 12);
		out[1] = (char)(0x80 | (code >> 6 & 63));
		out[2] = (char)(0x80 | (code & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | code >> 18);
	out[1] = (char)(0x80 | (code >> 12 & 63));
	out[2] = (char)(0x80 | (code >> 6 & 63));
	out[3] = (char)(0x80 | (code & 63));
	return 4;
}

/* The text of a string token, allocated; it is never longer than the token. */
static struct span decode(struct span token)
{
	static const char from[] = "bfnrt\"\\/", to[] = "\b\f\n\r\t\"\\/";
	char *out = malloc(token.len + 4);
	size_t n = 0;
	MUST(out != NULL);
	for (const char *at = token.ptr + 1; at < token.ptr + token.len - 1;) {
		if (*at != '\\') {
			out[n++] = *at++;
			continue;
		}
		const char *simple = at[1] == '\0' ? NULL : strchr(from, at[1]);
		if (simple != NULL) {
			out[n++] = to[simple - from];
			at += 2;
			continue;
		}
		if (token.ptr + token.len - 1 - at < 6) {
			break;
		}
		unsigned code = hex_of(at + 2);
		at += 6;
		if (code >= 0xd800 && code < 0xdc00 && token.ptr + token.len - 1 - at >= 6 && at[0] == '\\' &&
		    at[1] == 'u' && hex_of(at + 2) >= 0xdc00 && hex_of(at + 2) < 0xe000) {
			code = 0x10000 + ((code - 0xd800) << 10) + (hex_of(at + 2) - 0xdc00);
			at += 6;
		}
		n += put_utf8(code, out + n);
	}
	return (struct span){out, n};
}

static bool is_key(struct span token, const char *name)
{
	struct span text = decode(token);
	bool same = text.len == strlen(name) && memcmp(text.ptr, name, text.len) == 0;
	free((char *)text.ptr);
	return same;
}

/* The last member of this name; absent if there is none, or if the text is no object. */
static struct span find(const char *text, size_t n, const char *name)
{
	const char *end = text + n, *at = skip_space(text, end);
	struct span found = {NULL, 0};
	if (at == end || *at++ != '{')
		return found;
	for (;;) {
		const char *key = skip_space(at, end);
		at = end_of_string(key, end);
		if (at == NULL)
			return found;
		struct span token = {key, (size_t)(at - key)};
		at = skip_space(at, end);
		if (at == end || *at != ':')
			return found;
		const char *value = skip_space(at + 1, end);
		at = end_of_value(value, end);
		if (at == NULL)
			return found;
		if (is_key(token, name))
			found = (struct span){value, (size_t)(at - value)};
		at = skip_space(at, end);
		if (at == end || *at++ != ',')
			return found;
	}
}

/* Without the white space outside strings; allocated. */
static struct span compact(struct span text)
{
	char *out = malloc(text.len);
	size_t n = 0;
	MUST(out != NULL);
	for (const char *at = text.ptr, *end = text.ptr + text.len; at < end;) {
		const char *next = *at == '"' ? end_of_string(at, end) : NULL;
		if (next == NULL)
			next = at + 1;
		if (*at == '\0' || strchr(" \t\r\n", *at) == NULL) {
			memcpy(out + n, at, (size_t)(next - at));
			n += (size_t)(next - at);
		}
		at = next;
	}
	return (struct span){out, n};
}

/* A hash of three parts, SHA-256 or SHA-1. */
static void hash(bool sha256, const struct span parts[3], uint8_t *digest)
{
	struct sha1_ctx one;
	struct sha256_ctx two;
	sha1_init(&one);
	sha256_init(&two);
	for (size_t i = 0; i < 3; i++) {
		sha1_update(&one, parts[i].len, (const uint8_t *)parts[i].ptr);
		sha256_update(&two, parts[i].len, (const uint8_t *)parts[i].ptr);
	}
	if (sha256)
		sha256_digest(&two, 32, digest);
	else
		sha1_digest(&one, 20, digest);
}

/* H(K ^ opad, H(K ^ ipad, text)), RFC 2104, for a key shorter than a block. */
static size_t hmac(bool sha256, struct span data, struct span nonce, uint8_t digest[32])
{
	char inner[64], outer[64];
	size_t size = sha256 ? 32 : 20;
	memset(inner, 0x36, sizeof inner);
	memset(outer, 0x5c, sizeof outer);
	for (size_t i = 0; i < sizeof secret - 1; i++) {
		inner[i] ^= secret[i];
		outer[i] ^= secret[i];
	}
	uint8_t first[32];
	hash(sha256, (const struct span[3]){{inner, 64}, data, nonce}, first);
	hash(sha256, (const struct span[3]){{outer, 64}, {(char *)first, size}, {"", 0}}, digest);
	return size;
}

static size_t put_base64(const uint8_t *bytes, size_t n, char *out, const char *last_two, bool pad)
{
	char digits[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t length = 0;
	strcat(digits, last_two);
	for (size_t bit = 0; bit < 8 * n; bit += 6) {
		unsigned two = (unsigned)bytes[bit / 8] << 8 | (bit / 8 + 1 < n ? bytes[bit / 8 + 1] : 0);
		out[length++] = digits[two >> (10 - bit % 8) & 63];
	}
	while (pad && length % 4 != 0)
		out[length++] = '=';
	return length;
}

/* One of the forms that a signature may have, by `form`. */
static size_t put_signature(const uint8_t *digest, size_t size, unsigned form, char *out)
{
	if (form >= 2)
		return put_base64(digest, size, out, form & 1 ? "-_" : "+/", form & 4);
	for (size_t i = 0; i < size; i++)
		snprintf(out + 2 * i, 3, form == 0 ? "%02x" : "%02X", digest[i]);
	return 2 * size;
}

static bool is_signature(struct span token, const uint8_t *digest, size_t size)
{
	char form[80];
	struct span text = decode(token);
	bool right = false;
	if (text.len == 2 * size) {
		char lower[80];
		put_signature(digest, size, 0, form);
		for (size_t i = 0; i < text.len; i++)
			lower[i] = (char)(text.ptr[i] >= 'A' && text.ptr[i] <= 'F' ? text.ptr[i] + 32 : text.ptr[i]);
		right = memcmp(lower, form, text.len) == 0;
	}
	for (unsigned i = 2; !right && i < 8; i++)
		right = put_signature(digest, size, i, form) == text.len && memcmp(text.ptr, form, text.len) == 0;
	free((char *)text.ptr);
	return right;
}

static bool is_null(struct span value)
{
	return value.ptr == NULL || (value.len == 4 && memcmp(value.ptr, "null", 4) == 0);
}

static bool is_there(struct span signature)
{
	return !is_null(signature) && signature.len > 2;
}

/* Whether all signatures that a good body holds are right over these bytes, and there is one. */
static bool is_signed(const char *body, size_t n, struct span data, struct span nonce)
{
	static const char *const names[] = {"sig", "sig256"};
	unsigned there = 0;
	for (size_t i = 0; i < 2; i++) {
		uint8_t digest[32];
		struct span token = find(body, n, names[i]);
		if (!is_there(token))
			continue;
		there++;
		size_t size = hmac(i == 1, data, nonce, digest);
		if (!is_signature(token, digest, size))
			return false;
	}
	return there > 0;
}

static bool is_inside(struct span s, const char *body, size_t n)
{
	return s.ptr == NULL ? s.len == 0 : s.ptr >= body && s.len <= n && s.ptr + s.len <= body + n;
}

static void check_records(const struct event *event)
{
	struct buf out = {0};
	size_t lines = 0;
	MUST(records_append(event, &out, NULL, NULL) == 0);
	for (const char *at = out.data, *end = out.data + out.len; at < end; lines++) {
		struct json_value record;
		size_t where;
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		MUST(newline != NULL && json_scan(at, (size_t)(newline - at), &record, &where) == JSON_OK);
		MUST(record.type == JSON_OBJECT && record.count == 16 && !record.spaced);
		at = newline + 1;
	}
	MUST(lines == (event->count == 0 ? 1 : event->count));
	buf_fini(&out);
}

static void check_line(struct event *event)
{
	struct line line = {0};
	struct iovec iov[3];
	struct buf text = {0};
	struct event again;
	event->received_at = INT64_C(1795424400123456);
	MUST(line_encode(event, &line) == 0);
	line_vectors(&line, iov);
	for (size_t i = 0; i < 3; i++)
		MUST(buf_append(&text, iov[i].iov_base, iov[i].iov_len) == 0);
	MUST(memchr(text.data, '\n', text.len) == text.data + text.len - 1);
	MUST(line_decode(text.data, text.len - 1, &again) == LINE_OK);
	MUST(strcmp(again.id, event->id) == 0 && again.count == event->count);
	MUST(again.data.len == event->data.len && memcmp(again.data.ptr, event->data.ptr, again.data.len) == 0);
	check_records(&again);
	buf_fini(&text);
	line_fini(&line);
}

static void check_identity(const struct event *event, struct span nonce)
{
	struct sha256_ctx context;
	uint8_t digest[32];
	char id[65];
	sha256_init(&context);
	sha256_update(&context, 9, (const uint8_t *)"/webhook");
	sha256_update(&context, nonce.len, (const uint8_t *)nonce.ptr);
	sha256_update(&context, 1, (const uint8_t *)"");
	sha256_update(&context, event->data.len, (const uint8_t *)event->data.ptr);
	sha256_digest(&context, 32, digest);
	for (size_t i = 0; i < 16; i++)
		snprintf(id + 2 * i, 3, "%02x", digest[i]);
	MUST(strcmp(id, event->id) == 0);
}

static enum scheme_verdict try_body(const uint8_t *bytes, size_t n)
{
	static struct span secrets[] = {{"another one", 11}, {secret, sizeof secret - 1}};
	struct event event = {.endpoint = {"/webhook", 8}, .scheme = {"unified", 7}};
	const char *reason = NULL;
	/* The scheme may change the body: it gets a copy, of exactly its size. */
	char *body = malloc(n > 0 ? n : 1);
	MUST(body != NULL);
	if (n > 0)
		memcpy(body, bytes, n);
	const struct scheme_request request = {
		.secrets = secrets, .secret_count = 2, .algorithms = SCHEME_SHA1 | SCHEME_SHA256, .body = body, .n = n};
	enum scheme_verdict verdict = presets_find("unified")->accept(&request, &event, &reason);
	MUST((reason == NULL) == (verdict == SCHEME_ACCEPTED));
	if (verdict == SCHEME_ACCEPTED) {
		const char *text = (const char *)bytes;
		struct span data = find(text, n, "data"), nonce = decode(find(text, n, "nonce"));
		struct span tight = compact(data);
		MUST(is_inside(event.data, body, n) && is_inside(event.nonce, body, n));
		for (size_t i = 0; i < EVENT_FIELDS; i++)
			MUST(is_inside(event.fields[i], body, n));
		MUST(event.data.len == tight.len && memcmp(event.data.ptr, tight.ptr, tight.len) == 0);
		MUST(is_signed(text, n, data, nonce) || is_signed(text, n, tight, nonce));
		check_identity(&event, nonce);
		check_line(&event);
		free((char *)tight.ptr);
		free((char *)nonce.ptr);
	}
	free(body);
	return verdict;
}

/* The body with the string `from` in it replaced; allocated. */
static uint8_t *replace(const uint8_t *body, size_t *n, struct span from, const char *to, size_t length)
{
	size_t before = (size_t)((const uint8_t *)from.ptr - body), behind = *n - before - from.len;
	uint8_t *out = malloc(before + length + 2 + behind);
	MUST(out != NULL);
	memcpy(out, body, before);
	out[before] = '"';
	memcpy(out + before + 1, to, length);
	out[before + 1 + length] = '"';
	memcpy(out + before + length + 2, from.ptr + from.len, behind);
	*n = before + length + 2 + behind;
	return out;
}

/* With its signatures put right, in a form that the body's bytes choose. */
static void try_signed(const uint8_t *bytes, size_t n)
{
	static const char *const names[] = {"sig", "sig256"};
	uint8_t *body = malloc(n > 0 ? n : 1);
	unsigned form = (unsigned)n, there = 0;
	MUST(body != NULL);
	if (n > 0)
		memcpy(body, bytes, n);
	for (size_t i = 0; i < 2; i++) {
		const char *text = (const char *)body;
		struct span token = find(text, n, names[i]), data = find(text, n, "data"),
			    nonce = find(text, n, "nonce");
		if (token.len < 2 || *token.ptr != '"' || data.ptr == NULL || nonce.len < 2 || *nonce.ptr != '"')
			continue;
		char out[80];
		uint8_t digest[32];
		struct span decoded = decode(nonce), tight = compact(data);
		size_t size = hmac(i == 1, form & 8 ? tight : data, decoded, digest);
		uint8_t *old = body;
		body = replace(body, &n, token, out, put_signature(digest, size, form % 8, out));
		free(old);
		free((char *)decoded.ptr);
		free((char *)tight.ptr);
		there++;
	}
	if (there > 0) {
		enum scheme_verdict verdict = try_body(body, n);
		MUST(verdict == SCHEME_ACCEPTED || verdict == SCHEME_MALFORMED);
	}
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_body(data, size);
	try_signed(data, size);
	return 0;
}
