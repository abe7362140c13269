#include "config.h"

#include "event/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
/* For XXH3_state_t on the stack. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "base/json.h"
#include "base/text.h"

const char *const event_field_names[EVENT_FIELDS] = {
	[EVENT_TYPE] = "type",
	[EVENT_EVENT] = "event",
	[EVENT_OBJECT_TYPE] = "object_type",
	[EVENT_CONNECTION_ID] = "connection_id",
	[EVENT_WEBHOOK_ID] = "webhook_id",
	[EVENT_WORKSPACE_ID] = "workspace_id",
	[EVENT_INTEGRATION_TYPE] = "integration_type",
	[EVENT_ENVIRONMENT] = "environment",
	[EVENT_EXTERNAL_XREF] = "external_xref",
};

/* The line's end: what stands before the checksum, its 16 digits, what stands behind. */
#define SUM_BEFORE ",\"sum\":\""
#define SUM_AFTER  "\"}"
#define SUM_DIGITS 16
#define TAIL_SIZE  (sizeof SUM_BEFORE - 1 + SUM_DIGITS + sizeof SUM_AFTER - 1)

void event_identify_begin(const struct event *event, struct span decoded_nonce, struct hash *hash)
{
	const struct span nul = {"", 1};
	hash_begin(hash);
	hash_update(hash, event->endpoint);
	hash_update(hash, nul);
	hash_update(hash, decoded_nonce);
	hash_update(hash, nul);
}

void event_identify_end(struct event *event, struct hash *hash)
{
	uint8_t digest[HASH_SIZE];
	hash_end(hash, digest);
	text_hex(digest, (EVENT_ID_SIZE - 1) / 2, event->id);
}

void event_identify(struct event *event, struct span decoded_nonce)
{
	struct hash hash;
	event_identify_begin(event, decoded_nonce, &hash);
	hash_update(&hash, event->data);
	event_identify_end(event, &hash);
}

static int append_span(struct buf *b, struct span s)
{
	return buf_append(b, s.ptr, s.len);
}

/* `"received_at":…,` … up to the last of the sender's fields: what line and record have in common, each behind a comma.
 */
static int append_fields(const struct event *event, struct buf *b)
{
	for (size_t i = 0; i < EVENT_FIELDS; i++) {
		struct span value = event->fields[i];
		if (value.ptr == NULL)
			value = (struct span){"null", 4};
		if (buf_str(b, ",\"") < 0 || buf_str(b, event_field_names[i]) < 0 || buf_str(b, "\":") < 0 ||
		    append_span(b, value) < 0)
			return -1;
	}
	return 0;
}

static int append_origin(const struct event *event, struct buf *b)
{
	return buf_str(b, ",\"endpoint\":\"") < 0 || append_span(b, event->endpoint) < 0 ||
			       buf_str(b, "\",\"scheme\":\"") < 0 || append_span(b, event->scheme) < 0 ||
			       buf_char(b, '"') < 0 || append_fields(event, b) < 0
		       ? -1
		       : 0;
}

int event_encode(const struct event *event, struct event_line *line)
{
	char at[CLOCK_TEXT_SIZE];
	clock_text(event->received_at, at);
	struct buf *b = &line->head;
	b->len = 0;
	line->data = event->data;
	if (buf_printf(b, "{\"v\":%d,\"received_at\":\"%s\",\"event_id\":\"%s\"", EVENT_VERSION, at, event->id) < 0 ||
	    append_origin(event, b) < 0 || buf_str(b, ",\"nonce\":") < 0 || append_span(b, event->nonce) < 0 ||
	    buf_printf(b, ",\"count\":%u,\"data\":", event->count) < 0) {
		event_line_fini(line);
		return -1;
	}
	XXH3_state_t sum;
	XXH3_64bits_reset(&sum);
	XXH3_64bits_update(&sum, b->data, b->len);
	XXH3_64bits_update(&sum, event->data.ptr, event->data.len);
	line->tail_len = (size_t)snprintf(line->tail, sizeof line->tail, SUM_BEFORE "%016llx" SUM_AFTER "\n",
					  (unsigned long long)XXH3_64bits_digest(&sum));
	return 0;
}

void event_line_vectors(struct event_line *line, struct iovec iov[3])
{
	iov[0] = (struct iovec){line->head.data, line->head.len};
	iov[1] = (struct iovec){(void *)line->data.ptr, line->data.len};
	iov[2] = (struct iovec){line->tail, line->tail_len};
}

void event_line_fini(struct event_line *line)
{
	buf_fini(&line->head);
	*line = (struct event_line){0};
}

/* Reading: each step takes what it expects from the front of the text, or fails. */

static bool take(struct span *text, const char *expected)
{
	size_t n = strlen(expected);
	if (text->len < n || memcmp(text->ptr, expected, n) != 0)
		return false;
	text->ptr += n;
	text->len -= n;
	return true;
}

/* A string token with its quotes. The checksum says that it is what was written; that it can be decoded is seen here.
 */
static bool take_token(struct span *text, struct span *token)
{
	struct json_value value;
	size_t n = 1, where;
	if (text->len < 2 || text->ptr[0] != '"')
		return false;
	while (n < text->len && text->ptr[n] != '"')
		n += text->ptr[n] == '\\' ? 2 : 1;
	if (n >= text->len || json_scan(text->ptr, n + 1, &value, &where) != JSON_OK)
		return false;
	*token = (struct span){text->ptr, n + 1};
	text->ptr += n + 1;
	text->len -= n + 1;
	return true;
}

/* The inside of a string token. */
static bool take_text(struct span *text, struct span *inside)
{
	if (!take_token(text, inside))
		return false;
	inside->ptr++;
	inside->len -= 2;
	return true;
}

static bool take_number(struct span *text, uint32_t *number)
{
	uint64_t value = 0;
	size_t n = 0;
	while (n < text->len && n < 10 && text->ptr[n] >= '0' && text->ptr[n] <= '9')
		value = value * 10 + (uint64_t)(text->ptr[n++] - '0');
	if (n == 0 || value > UINT32_MAX)
		return false;
	*number = (uint32_t)value;
	text->ptr += n;
	text->len -= n;
	return true;
}

static bool take_fields(struct span *text, struct event *event)
{
	for (size_t i = 0; i < EVENT_FIELDS; i++) {
		if (!take(text, ",\"") || !take(text, event_field_names[i]) || !take(text, "\":"))
			return false;
		if (take(text, "null"))
			event->fields[i] = (struct span){NULL, 0};
		else if (!take_token(text, &event->fields[i]))
			return false;
	}
	return true;
}

static bool take_id(struct span *text, struct event *event)
{
	struct span id;
	if (!take_text(text, &id) || id.len != EVENT_ID_SIZE - 1 || strspn(id.ptr, "0123456789abcdef") < id.len)
		return false;
	memcpy(event->id, id.ptr, id.len);
	event->id[id.len] = '\0';
	return true;
}

/* All of version 1 behind the version's number. An element is a byte at least, with a comma or bracket behind it. */
static bool take_event(struct span *text, struct event *event)
{
	struct span at;
	return take(text, ",\"received_at\":") && take_text(text, &at) && at.len == CLOCK_TEXT_SIZE - 1 &&
	       clock_parse_text(at.ptr, &event->received_at) == 0 && take(text, ",\"event_id\":") &&
	       take_id(text, event) && take(text, ",\"endpoint\":") && take_text(text, &event->endpoint) &&
	       take(text, ",\"scheme\":") && take_text(text, &event->scheme) && take_fields(text, event) &&
	       take(text, ",\"nonce\":") && take_token(text, &event->nonce) && take(text, ",\"count\":") &&
	       take_number(text, &event->count) && take(text, ",\"data\":") && text->len >= 2 &&
	       (text->ptr[0] == '[' || text->ptr[0] == '{') && event->count <= text->len / 2;
}

enum event_verdict event_decode(const char *line, size_t n, struct event *event)
{
	if (n <= TAIL_SIZE)
		return EVENT_DAMAGED;
	struct span text = {line, n - TAIL_SIZE}, tail = {line + text.len, TAIL_SIZE};
	char sum[SUM_DIGITS + 1];
	snprintf(sum, sizeof sum, "%016llx", (unsigned long long)XXH3_64bits(text.ptr, text.len));
	if (!take(&tail, SUM_BEFORE) || !take(&tail, sum) || !take(&tail, SUM_AFTER))
		return EVENT_DAMAGED;
	uint32_t version;
	if (!take(&text, "{\"v\":") || !take_number(&text, &version))
		return EVENT_DAMAGED;
	if (version != EVENT_VERSION)
		return EVENT_NEWER;
	if (!take_event(&text, event))
		return EVENT_DAMAGED;
	event->data = text;
	return EVENT_OK;
}

#define DRAIN_AT (1u << 20)

/* Where records go, and what they have in common: the parts before and behind the index. */
struct recorder {
	struct buf before, behind;
	struct buf *out;
	event_drain *drain;
	void *arg;
};

static int append_record(struct recorder *r, const char *index, struct span data)
{
	struct buf *out = r->out;
	if (buf_append(out, r->before.data, r->before.len) < 0 || buf_str(out, index) < 0 ||
	    buf_append(out, r->behind.data, r->behind.len) < 0 || append_span(out, data) < 0 ||
	    buf_append(out, "}\n", 2) < 0)
		return -1;
	return r->drain != NULL && out->len >= DRAIN_AT ? r->drain(r->arg, out) : 0;
}

static int append_elements(struct recorder *r, const struct event *event)
{
	char index[16];
	struct json_walk walk;
	struct json_value array = {.type = JSON_ARRAY, .raw = event->data, .count = event->count};
	json_walk_begin(&walk, &array);
	for (unsigned i = 0; json_walk_next(&walk); i++) {
		snprintf(index, sizeof index, "%u", i);
		if (append_record(r, index, walk.value.raw) < 0)
			return -1;
	}
	return 0;
}

/* One growth in place of many: the size is known but for the digits of the index. */
static int reserve(const struct recorder *r, const struct event *event)
{
	size_t records = event->count == 0 ? 1 : event->count;
	size_t size = event->data.len + records * (r->before.len + r->behind.len + sizeof "4294967295}\n");
	return buf_reserve(r->out, r->drain == NULL || size < DRAIN_AT ? size : DRAIN_AT);
}

int event_records(const struct event *event, struct buf *out, event_drain *drain, void *arg)
{
	struct recorder r = {.out = out, .drain = drain, .arg = arg};
	size_t start = out->len;
	char at[CLOCK_TEXT_SIZE];
	int result;
	clock_text(event->received_at, at);
	if (buf_printf(&r.before, "{\"event_id\":\"%s\",\"index\":", event->id) < 0 ||
	    buf_printf(&r.behind, ",\"count\":%u,\"received_at\":\"%s\"", event->count, at) < 0 ||
	    append_origin(event, &r.behind) < 0 || buf_str(&r.behind, ",\"data\":") < 0 || reserve(&r, event) < 0)
		result = -1;
	else if (event->count == 0)
		result = append_record(&r, "null", (struct span){"null", 4});
	else if (event->data.ptr[0] == '{')
		result = append_record(&r, "0", event->data);
	else
		result = append_elements(&r, event);
	int saved = errno;
	buf_fini(&r.before);
	buf_fini(&r.behind);
	if (result < 0 && drain == NULL)
		out->len = start;
	errno = saved;
	return result;
}

uint64_t event_records_overhead(const struct event *event)
{
	static const char keys[] = "{\"event_id\":\"\",\"index\":4294967295,\"count\":4294967295,\"received_at\":\"\""
				   ",\"endpoint\":\"\",\"scheme\":\"\",\"data\":null}\n";
	uint64_t one = sizeof keys + EVENT_ID_SIZE + CLOCK_TEXT_SIZE + event->endpoint.len + event->scheme.len;
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		one += strlen(event_field_names[i]) + sizeof ",\"\":null" + event->fields[i].len;
	return one * (event->count == 0 ? 1 : event->count);
}

int event_field_text(const struct event *event, enum event_field field, struct buf *out)
{
	if (event->fields[field].ptr == NULL)
		return 0;
	return json_decode_string(event->fields[field], out, NULL);
}
