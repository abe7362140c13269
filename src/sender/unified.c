/* The scheme of Unified.to: signature, nonce and type are members of the body (the vendor's "Introduction to
 * webhooks").
 *
 *     sig    HMAC-SHA1(secret, data + nonce)      either encoded as hex or base64; at least one must be there,
 *     sig256 HMAC-SHA256(secret, data + nonce)    and whichever is there must be right
 *
 * data is what stands in the body, byte for byte; if that does not match and it holds white space between tokens, what
 * stands there without that white space. nonce is the decoded string. webhook, type and external_xref are not signed.
 */
#include "config.h"

#include <string.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "base/text.h"
#include "sender/explain.h"
#include "sender/mac.h"
#include "sender/scheme.h"

#define NONCE_MAX     256                /* bytes, decoded */
#define FIELD_MAX     1024               /* bytes, as sent: each record of the event has them again */
#define XREF_MAX      4096               /* the same, for what the sender's customer chose */
#define SIGNATURE_MAX (2 * MAC_SIZE_MAX) /* bytes, decoded: hex of the longest digest */

/* The members that mean something here, in the order of the table below. */
enum member {
	DATA,
	WEBHOOK,
	NONCE,
	SIG,
	SIG256,
	TYPE,
	XREF,
	MEMBERS,
};
static const char *const member_names[MEMBERS] = {
	[DATA] = "data",     [WEBHOOK] = "webhook", [NONCE] = "nonce",        [SIG] = "sig",
	[SIG256] = "sig256", [TYPE] = "type",       [XREF] = "external_xref",
};

/* The webhook object's members that a record carries. */
static const struct {
	const char *name;
	enum event_field field;
} webhook_fields[] = {
	{"id", EVENT_WEBHOOK_ID},
	{"connection_id", EVENT_CONNECTION_ID},
	{"object_type", EVENT_OBJECT_TYPE},
	{"event", EVENT_EVENT},
	{"workspace_id", EVENT_WORKSPACE_ID},
	{"integration_type", EVENT_INTEGRATION_TYPE},
	{"environment", EVENT_ENVIRONMENT},
};
#define WEBHOOK_FIELDS (sizeof webhook_fields / sizeof webhook_fields[0])

static const struct {
	enum member member;
	enum mac_algorithm algorithm;
	unsigned flag;
} signatures[] = {
	{SIG, MAC_SHA1, SCHEME_SHA1},
	{SIG256, MAC_SHA256, SCHEME_SHA256},
};
#define SIGNATURES (sizeof signatures / sizeof signatures[0])

/* A request under examination. */
struct claim {
	const struct scheme_request *request;
	struct json_value members[MEMBERS];
	bool present[MEMBERS];
	const char *wrong; /* with a member's name */
	struct buf nonce;
	uint8_t claimed[SIGNATURES][MAC_SIZE_MAX]; /* decoded signatures */
	bool signed_by[SIGNATURES];                /* which there are */
	const char **reason;
};

static enum scheme_verdict malformed(struct claim *claim, const char *reason)
{
	*claim->reason = reason;
	return SCHEME_MALFORMED;
}

static bool is_present(const struct claim *claim, enum member member)
{
	return claim->present[member] && claim->members[member].type != JSON_NULL;
}

/* Whether a key's token has an escape for NUL in it. */
static bool has_nul(struct span key)
{
	for (size_t i = 1; i + 6 < key.len; i++) {
		if (key.ptr[i] != '\\')
			continue;
		if (memcmp(key.ptr + i, "\\u0000", 6) == 0)
			return true;
		i++;
	}
	return false;
}

/* A key that decodes to a member's name twice would let two readers of one body see two events; and so would
 * "data\0x", which a reader of C strings takes for "data". The first such key is what is told. */
static void take_member(void *arg, struct span key, const struct json_value *value)
{
	struct claim *claim = arg;
	const char *wrong = has_nul(key) ? "NUL in a member's name" : NULL;
	for (size_t i = 0; i < MEMBERS && wrong == NULL; i++) {
		if (!json_string_is(key, member_names[i]))
			continue;
		if (claim->present[i])
			wrong = "duplicate member";
		claim->present[i] = true;
		claim->members[i] = *value;
	}
	if (claim->wrong == NULL)
		claim->wrong = wrong;
}

static enum scheme_verdict read_nonce(struct claim *claim)
{
	bool lossy = false;
	if (!is_present(claim, NONCE) || claim->members[NONCE].type != JSON_STRING)
		return malformed(claim, "nonce missing or no string");
	/* An escape is six bytes for one: a longer token cannot be short enough, and is not copied. */
	if (claim->members[NONCE].raw.len > 6 * NONCE_MAX + 2)
		return malformed(claim, "nonce too long");
	if (json_decode_string(claim->members[NONCE].raw, &claim->nonce, &lossy) < 0)
		return SCHEME_NO_MEMORY;
	if (lossy)
		return malformed(claim, "nonce with a lone surrogate");
	if (claim->nonce.len == 0 || claim->nonce.len > NONCE_MAX)
		return malformed(claim, "nonce empty or too long");
	for (size_t i = 0; i < claim->nonce.len; i++)
		if ((unsigned char)claim->nonce.data[i] < 0x20 || claim->nonce.data[i] == 0x7f)
			return malformed(claim, "nonce with a control character");
	return SCHEME_ACCEPTED;
}

static enum scheme_verdict take_field(struct claim *claim, const struct json_value *value, size_t max,
				      struct span *field)
{
	if (value->type == JSON_NULL)
		return SCHEME_ACCEPTED;
	if (value->type != JSON_STRING)
		return malformed(claim, "a member that must be a string is none");
	if (value->raw.len > max)
		return malformed(claim, "a member too long");
	*field = value->raw;
	return SCHEME_ACCEPTED;
}

static enum scheme_verdict read_webhook(struct claim *claim, struct event *event)
{
	struct json_walk walk;
	bool seen[WEBHOOK_FIELDS] = {false};
	if (!is_present(claim, WEBHOOK))
		return SCHEME_ACCEPTED;
	if (claim->members[WEBHOOK].type != JSON_OBJECT)
		return malformed(claim, "webhook is no object");
	json_walk_begin(&walk, &claim->members[WEBHOOK]);
	while (json_walk_next(&walk))
		for (size_t i = 0; i < WEBHOOK_FIELDS; i++) {
			if (!json_string_is(walk.key, webhook_fields[i].name))
				continue;
			if (seen[i])
				return malformed(claim, "duplicate member of webhook");
			seen[i] = true;
			enum scheme_verdict verdict =
				take_field(claim, &walk.value, FIELD_MAX, &event->fields[webhook_fields[i].field]);
			if (verdict != SCHEME_ACCEPTED)
				return verdict;
		}
	return SCHEME_ACCEPTED;
}

/* The body's shape, before any signature is looked at. */
static enum scheme_verdict read_claim(struct claim *claim, struct event *event)
{
	struct json_value whole;
	size_t where;
	if (json_scan_members(claim->request->body, claim->request->n, &whole, take_member, claim, &where) != JSON_OK ||
	    whole.type != JSON_OBJECT)
		return malformed(claim, "no JSON object");
	if (claim->wrong != NULL)
		return malformed(claim, claim->wrong);
	enum scheme_verdict verdict = read_nonce(claim);
	if (verdict == SCHEME_ACCEPTED)
		verdict = read_webhook(claim, event);
	if (verdict == SCHEME_ACCEPTED && is_present(claim, TYPE))
		verdict = take_field(claim, &claim->members[TYPE], FIELD_MAX, &event->fields[EVENT_TYPE]);
	if (verdict == SCHEME_ACCEPTED && is_present(claim, XREF))
		verdict = take_field(claim, &claim->members[XREF], XREF_MAX, &event->fields[EVENT_EXTERNAL_XREF]);
	if (verdict != SCHEME_ACCEPTED)
		return verdict;
	/* Nothing separates data from nonce in what is signed: only a value with its own end keeps them apart. */
	if (!claim->present[DATA] ||
	    (claim->members[DATA].type != JSON_ARRAY && claim->members[DATA].type != JSON_OBJECT))
		return malformed(claim, "data missing, or neither array nor object");
	for (size_t i = 0; i < SIGNATURES; i++)
		if (is_present(claim, signatures[i].member) && claim->members[signatures[i].member].type != JSON_STRING)
			return malformed(claim, "a signature that is no string");
	return SCHEME_ACCEPTED;
}

/* Decodes a signature: hex or base64, whichever has the right length. Escapes are decoded first ("\/" in base64). */
static enum scheme_verdict decode_signature(struct span token, size_t size, uint8_t *digest)
{
	struct buf decoded = {0};
	bool right = false;
	if (token.len > 6 * SIGNATURE_MAX + 2)
		return SCHEME_BAD_FORM;
	if (json_decode_string(token, &decoded, NULL) < 0)
		return SCHEME_NO_MEMORY;
	if (decoded.len == 2 * size)
		right = text_unhex(decoded.data, decoded.len, digest, size) == (ssize_t)size;
	else if (decoded.len > 0 && decoded.len < 2 * size)
		right = text_unbase64(decoded.data, decoded.len, digest, size) == (ssize_t)size;
	buf_fini(&decoded);
	return right ? SCHEME_ACCEPTED : SCHEME_BAD_FORM;
}

static enum scheme_verdict read_signatures(struct claim *claim)
{
	unsigned there = 0;
	bool well_formed = true;
	for (size_t i = 0; i < SIGNATURES; i++) {
		const struct json_value *value = &claim->members[signatures[i].member];
		if (!is_present(claim, signatures[i].member) || value->raw.len == 2)
			continue;
		there |= signatures[i].flag;
		claim->signed_by[i] = true;
		enum scheme_verdict verdict =
			decode_signature(value->raw, mac_size(signatures[i].algorithm), claim->claimed[i]);
		if (verdict == SCHEME_NO_MEMORY)
			return verdict;
		well_formed &= verdict == SCHEME_ACCEPTED;
	}
	if ((there & claim->request->algorithms) == 0) {
		*claim->reason = there == 0 ? "signature missing" : "signature of a required algorithm missing";
		return SCHEME_UNSIGNED;
	}
	if (!well_formed) {
		*claim->reason = "signature malformed";
		return SCHEME_BAD_FORM;
	}
	return SCHEME_ACCEPTED;
}

static struct span nonce_of(const struct claim *claim)
{
	return (struct span){claim->nonce.data, claim->nonce.len};
}

/* Whether one secret explains all signatures that there are, over these bytes. All secrets and all signatures are
 * computed, whatever the first ones say: the time tells nothing. The event (NULL: none), whose data they are, is
 * identified on the way. */
static bool is_signed(const struct claim *claim, struct span data, struct event *event)
{
	struct mac macs[SIGNATURES];
	struct hash identity;
	bool any = false;
	if (event != NULL)
		event_identify_begin(event, nonce_of(claim), &identity);
	for (size_t s = 0; s < claim->request->secret_count; s++) {
		size_t count = 0, done = 0;
		bool all = true;
		for (size_t i = 0; i < SIGNATURES; i++)
			if (claim->signed_by[i])
				mac_begin(&macs[count++], signatures[i].algorithm, claim->request->secrets[s]);
		mac_update_together(macs, count, event != NULL && s == 0 ? &identity : NULL, data);
		for (size_t i = 0; i < SIGNATURES; i++) {
			uint8_t digest[MAC_SIZE_MAX];
			if (!claim->signed_by[i])
				continue;
			mac_update(&macs[done], nonce_of(claim));
			mac_end(&macs[done++], digest);
			all &= mac_equal(digest, claim->claimed[i], mac_size(signatures[i].algorithm));
		}
		any |= all;
	}
	if (event != NULL)
		event_identify_end(event, &identity);
	return any;
}

static enum scheme_verdict verify(struct claim *claim, struct event *event)
{
	struct span raw = claim->members[DATA].raw;
	bool spaced = claim->members[DATA].spaced;
	event->data = raw;
	bool right = is_signed(claim, raw, spaced ? NULL : event);
	if (spaced) {
		/* Cut in place: nothing else of the body stands within data, and its raw form is not needed any more.
		 */
		char *body = claim->request->body;
		event->data.len = json_compact(body + (raw.ptr - body), raw.len);
		if (right)
			event_identify(event, nonce_of(claim));
		else
			right = is_signed(claim, event->data, event);
	}
	if (!right) {
		*claim->reason = "signature wrong";
		return SCHEME_FORGED;
	}
	return SCHEME_ACCEPTED;
}

static enum scheme_verdict accept_event(const struct scheme_request *request, struct event *event, const char **reason)
{
	struct claim claim = {.request = request, .reason = reason};
	enum scheme_verdict verdict = read_claim(&claim, event);
	if (verdict == SCHEME_ACCEPTED)
		verdict = read_signatures(&claim);
	if (verdict == SCHEME_ACCEPTED)
		verdict = verify(&claim, event);
	if (verdict == SCHEME_ACCEPTED) {
		event->nonce = claim.members[NONCE].raw;
		event->count = claim.members[DATA].type == JSON_OBJECT ? 1 : claim.members[DATA].count;
	}
	buf_fini(&claim.nonce);
	return verdict;
}

static int append_digest(struct buf *out, const uint8_t *digest, size_t size, bool is_hex)
{
	char hex[2 * MAC_SIZE_MAX + 1];
	if (!is_hex)
		return text_base64(out, digest, size);
	text_hex(digest, size, hex);
	return buf_str(out, hex);
}

static int sign_sample(const struct scheme_sample *sample, struct buf *out)
{
	const struct span parts[] = {sample->data, {sample->nonce, strlen(sample->nonce)}};
	struct writer w = {0};
	writer_open(&w, NULL, '{');
	writer_raw(&w, member_names[DATA], sample->data);
	writer_open(&w, member_names[WEBHOOK], '{');
	for (size_t i = 0; i < WEBHOOK_FIELDS; i++)
		if (sample->fields[webhook_fields[i].field] != NULL)
			writer_string(&w, webhook_fields[i].name, sample->fields[webhook_fields[i].field]);
	writer_close(&w, '}');
	writer_string(&w, member_names[NONCE], sample->nonce);
	for (size_t i = 0; i < SIGNATURES; i++) {
		uint8_t digest[MAC_SIZE_MAX];
		struct buf text = {0};
		if ((sample->algorithms & signatures[i].flag) == 0)
			continue;
		mac_sign(signatures[i].algorithm, sample->secret, parts, 2, digest);
		w.failed |= append_digest(&text, digest, mac_size(signatures[i].algorithm), sample->is_hex) < 0;
		writer_text(&w, member_names[signatures[i].member], (struct span){text.data, text.len});
		buf_fini(&text);
	}
	writer_string(&w, member_names[TYPE], sample->fields[EVENT_TYPE]);
	writer_close(&w, '}');
	*out = w.out;
	return writer_end(&w);
}

/* The parts of a request that a sender may sign. */
enum source {
	OF_NOTHING,
	OF_NONCE,
	OF_DATA,    /* as it stands in the body */
	OF_COMPACT, /* without white space between tokens, where there is any */
	OF_BODY,    /* without the members that are signatures */
	SOURCES,
};
static const struct explain_reading readings[] = {
	{OF_DATA, OF_NONCE, "data as it stands, then the nonce", true},
	{OF_NONCE, OF_DATA, "data as it stands, after the nonce", false},
	{OF_DATA, OF_NOTHING, "data as it stands, without the nonce", false},
	{OF_COMPACT, OF_NONCE, "data without white space, then the nonce", true},
	{OF_NONCE, OF_COMPACT, "data without white space, after the nonce", false},
	{OF_COMPACT, OF_NOTHING, "data without white space, without the nonce", false},
	{OF_BODY, OF_NONCE, "the whole body without its signatures, then the nonce", false},
	{OF_NONCE, OF_BODY, "the whole body without its signatures, after the nonce", false},
	{OF_BODY, OF_NOTHING, "the whole body without its signatures, without the nonce", false},
};

static bool is_signature(struct span key)
{
	for (size_t i = 0; i < SIGNATURES; i++)
		if (json_string_is(key, member_names[signatures[i].member]))
			return true;
	return false;
}

/* Appends the body without its signatures, byte for byte: what the sender had when it signed. */
static int append_unsigned(struct buf *out, const struct json_value *object)
{
	struct json_walk walk;
	const char *open = object->raw.ptr, *close = open + object->raw.len - 1, *from = open + 1;
	bool first = true;
	if (buf_char(out, '{') < 0)
		return -1;
	json_walk_begin(&walk, object);
	while (json_walk_next(&walk)) {
		const char *end = walk.value.raw.ptr + walk.value.raw.len;
		const char *next = memchr(end, ',', (size_t)(close - end));
		/* From behind the comma before it to the comma behind it. */
		const char *to = next == NULL ? close : next;
		if (!is_signature(walk.key)) {
			if ((!first && buf_char(out, ',') < 0) || buf_append(out, from, (size_t)(to - from)) < 0)
				return -1;
			first = false;
		}
		from = to + 1;
	}
	return buf_char(out, '}');
}

/* Decodes a string into `text`. What is no string decodes to nothing. */
static int decode_member(const struct json_value *value, struct buf *text, struct span *decoded)
{
	if (value->type == JSON_STRING && json_decode_string(value->raw, text, NULL) < 0)
		return -1;
	*decoded = (struct span){text->len == 0 ? "" : text->data, text->len};
	return 0;
}

/* `texts` holds the sources that do not stand in the body. */
static int read_sources(const struct claim *claim, const struct json_value *whole, struct buf texts[SOURCES],
			struct span sources[SOURCES])
{
	const struct json_value *data = &claim->members[DATA];
	struct buf *compact = &texts[OF_COMPACT], *body = &texts[OF_BODY];
	if (decode_member(&claim->members[NONCE], &texts[OF_NONCE], &sources[OF_NONCE]) < 0 ||
	    append_unsigned(body, whole) < 0 || (data->spaced && buf_append(compact, data->raw.ptr, data->raw.len) < 0))
		return -1;
	sources[OF_NOTHING] = (struct span){"", 0};
	sources[OF_DATA] = data->raw;
	sources[OF_COMPACT] = (struct span){compact->data, json_compact(compact->data, compact->len)};
	sources[OF_BODY] = (struct span){body->data, body->len};
	return 0;
}

/* An empty signature counts as absent, as in accept_event. */
static int explain_claim(const struct claim *claim, const struct json_value *whole, struct buf *texts,
			 const char *secret_file, struct buf *out)
{
	struct span sources[SOURCES];
	struct explain_signature claimed[SIGNATURES];
	if (read_sources(claim, whole, texts, sources) < 0)
		return -1;
	for (size_t i = 0; i < SIGNATURES; i++) {
		const struct json_value *value = &claim->members[signatures[i].member];
		claimed[i] = (struct explain_signature){member_names[signatures[i].member],
							.algorithm = signatures[i].algorithm};
		if (is_present(claim, signatures[i].member) && (value->type != JSON_STRING || value->raw.len > 2) &&
		    decode_member(value, &texts[SOURCES + i], &claimed[i].text) < 0)
			return -1;
	}
	return explain(&(struct explain){.signatures = claimed,
					 .signature_count = SIGNATURES,
					 .readings = readings,
					 .reading_count = sizeof readings / sizeof readings[0],
					 .sources = sources,
					 .secrets = claim->request->secrets,
					 .secret_count = claim->request->secret_count,
					 .secret_file = secret_file},
		       out);
}

static int explain_request(const struct scheme_request *request, const char *secret_file, struct buf *out)
{
	struct claim claim = {.request = request};
	struct buf texts[SOURCES + SIGNATURES] = {{0}};
	struct json_value whole;
	size_t where;
	if (json_scan_members(request->body, request->n, &whole, take_member, &claim, &where) != JSON_OK ||
	    whole.type != JSON_OBJECT)
		return buf_str(out, "    the body is no JSON object: nothing can be tried\n");
	if (claim.members[DATA].raw.ptr == NULL &&
	    buf_str(out, "    the body has no data: only the whole body was tried\n") < 0)
		return -1;
	int result = explain_claim(&claim, &whole, texts, secret_file, out);
	for (size_t i = 0; i < SOURCES + SIGNATURES; i++)
		buf_fini(&texts[i]);
	return result;
}

const struct scheme unified_scheme = {
	.name = "unified",
	.algorithms = SCHEME_SHA1 | SCHEME_SHA256,
	.accept = accept_event,
	.sign = sign_sample,
	.explain = explain_request,
};
