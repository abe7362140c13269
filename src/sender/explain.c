#include "config.h"

#include "sender/explain.h"

#include <string.h>

#include "base/text.h"
#include "sender/key.h"

static const char *const algorithms[] = {[MAC_SHA1] = "SHA1", [MAC_SHA256] = "SHA256"};

/* What a signature turned out to be. */
struct finding {
	bool is_readable;
	/* If it is readable. */
	const char *encoding;
	enum mac_algorithm algorithm;
	uint8_t digest[MAC_SIZE_MAX];
	/* If a reading explains it, else NULL. */
	const struct explain_reading *reading;
	size_t secret; /* from 0 */
};

static bool has_length(struct finding *f, ssize_t n)
{
	f->algorithm = n == (ssize_t)mac_size(MAC_SHA1) ? MAC_SHA1 : MAC_SHA256;
	return n == (ssize_t)mac_size(f->algorithm);
}

/* Takes the encoding that gives a digest of one of the two lengths. */
static struct finding read_signature(const struct explain_signature *s)
{
	struct finding f = {.encoding = "hex"};
	if (s->text.ptr == NULL)
		return f;
	f.is_readable = has_length(&f, text_unhex(s->text.ptr, s->text.len, f.digest, sizeof f.digest));
	if (f.is_readable)
		return f;
	bool of_url = memchr(s->text.ptr, '-', s->text.len) != NULL || memchr(s->text.ptr, '_', s->text.len) != NULL;
	f.encoding = of_url ? "base64url" : "base64";
	f.is_readable = has_length(&f, text_unbase64(s->text.ptr, s->text.len, f.digest, sizeof f.digest));
	return f;
}

static bool is_possible(const struct explain *e, const struct explain_reading *reading)
{
	return e->sources[reading->first].ptr != NULL && e->sources[reading->second].ptr != NULL;
}

/* Finds the first reading, and for it the first secret, that a readable signature matches. */
static bool find_reading(const struct explain *e, const struct span *secrets, size_t count, struct finding *f)
{
	uint8_t digest[MAC_SIZE_MAX];
	for (f->reading = e->readings; f->reading < e->readings + e->reading_count; f->reading++) {
		const struct span parts[] = {e->sources[f->reading->first], e->sources[f->reading->second]};
		for (f->secret = 0; is_possible(e, f->reading) && f->secret < count; f->secret++) {
			mac_sign(f->algorithm, secrets[f->secret], parts, 2, digest);
			if (mac_equal(digest, f->digest, mac_size(f->algorithm)))
				return true;
		}
	}
	f->reading = NULL;
	return false;
}

static int append_finding(const struct explain *e, const struct explain_signature *s, const struct finding *f,
			  struct buf *out)
{
	if (buf_printf(out, "    %-7s ", s->name) < 0)
		return -1;
	if (s->text.ptr == NULL)
		return buf_str(out, "is not there\n");
	if (!f->is_readable)
		return buf_str(out, "is neither hex nor base64 of 20 bytes (SHA1) or 32 bytes (SHA256)\n");
	if (f->reading == NULL)
		return buf_printf(out, "is %s of the length of %s, and no reading matches\n", f->encoding,
				  algorithms[f->algorithm]);
	bool is_accepted = f->reading->is_accepted && f->algorithm == s->algorithm;
	return buf_printf(out, "is HMAC-%s in %s, over %s, with secret %zu of %zu%s\n", algorithms[f->algorithm],
			  f->encoding, f->reading->words, f->secret + 1, e->secret_count,
			  is_accepted ? "" : "; this is not accepted");
}

/* Tries a secret without the quotes, blanks and the like that may stand around it by mistake. */
static int append_key(const struct explain *e, size_t secret, struct buf *out)
{
	struct span key = e->secrets[secret];
	const char *layer;
	for (size_t n = 0; n < KEY_LAYERS && (layer = key_strip(&key)) != NULL; n++)
		for (size_t i = 0; i < e->signature_count; i++) {
			struct finding f = read_signature(&e->signatures[i]);
			if (f.is_readable && find_reading(e, &key, 1, &f) &&
			    buf_printf(out, "    %-7s is signed with secret %zu without %s: take that away in %s\n",
				       e->signatures[i].name, secret + 1, layer, e->secret_file) < 0)
				return -1;
		}
	return 0;
}

int explain(const struct explain *e, struct buf *out)
{
	size_t readable = 0, possible = 0;
	for (size_t i = 0; i < e->reading_count; i++)
		possible += is_possible(e, &e->readings[i]);
	for (size_t i = 0; i < e->signature_count; i++) {
		struct finding f = read_signature(&e->signatures[i]);
		readable += f.is_readable;
		if (f.is_readable)
			find_reading(e, e->secrets, e->secret_count, &f);
		if (append_finding(e, &e->signatures[i], &f, out) < 0)
			return -1;
	}
	for (size_t i = 0; i < e->secret_count; i++)
		if (append_key(e, i, out) < 0)
			return -1;
	return buf_printf(out, "    %zu readings were tried, with %zu %s\n", readable * possible * e->secret_count,
			  e->secret_count, e->secret_count == 1 ? "secret" : "secrets");
}
