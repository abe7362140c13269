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
#include "base/text.h"
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
	{"event", EVENT_EVENT},
	{"object_type", EVENT_OBJECT_TYPE},
	{"connection_id", EVENT_CONNECTION_ID},
	{"id", EVENT_WEBHOOK_ID},
	{"workspace_id", EVENT_WORKSPACE_ID},
	{"integration_type", EVENT_INTEGRATION_TYPE},
	{"environment", EVENT_ENVIRONMENT},
};

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
	bool seen[sizeof webhook_fields / sizeof webhook_fields[0]] = {false};
	if (!is_present(claim, WEBHOOK))
		return SCHEME_ACCEPTED;
	if (claim->members[WEBHOOK].type != JSON_OBJECT)
		return malformed(claim, "webhook is no object");
	json_walk_begin(&walk, &claim->members[WEBHOOK]);
	while (json_walk_next(&walk))
		for (size_t i = 0; i < sizeof webhook_fields / sizeof webhook_fields[0]; i++) {
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

const struct scheme scheme_unified = {
	.name = "unified",
	.accept = accept_event,
};
