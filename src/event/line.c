#include "config.h"

#include "event/line.h"

#include <stdio.h>
#include <string.h>
/* For XXH3_state_t on the stack. */
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "base/clock.h"
#include "base/json.h"

/* How a line of version 1 begins: its time, its id, and what follows them. */
#define HEAD       "{\"v\":"
#define HEAD_AT    ",\"received_at\":\""
#define HEAD_ID    "\",\"event_id\":\""
#define CONNECTION ",\"connection_id\":"

/* How any line ends: what stands before the checksum, its 16 digits, what stands behind. */
#define SUM_BEFORE ",\"sum\":\""
#define SUM_AFTER  "\"}"
#define SUM_DIGITS 16
#define TAIL_SIZE  (sizeof SUM_BEFORE - 1 + SUM_DIGITS + sizeof SUM_AFTER - 1)

int line_encode(const struct event *event, struct line *line)
{
	char at[CLOCK_TEXT_SIZE];
	clock_text(event->received_at, at);
	struct buf *b = &line->head;
	b->len = 0;
	line->data = event->data;
	if (buf_printf(b, HEAD "%d" HEAD_AT "%s" HEAD_ID "%s\"", LINE_VERSION, at, event->id) < 0 ||
	    event_append_origin(event, b) < 0 || buf_str(b, ",\"nonce\":") < 0 || buf_span(b, event->nonce) < 0 ||
	    buf_printf(b, ",\"count\":%u,\"data\":", event->count) < 0) {
		line_fini(line);
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

void line_vectors(struct line *line, struct iovec iov[3])
{
	iov[0] = (struct iovec){line->head.data, line->head.len};
	iov[1] = (struct iovec){(void *)line->data.ptr, line->data.len};
	iov[2] = (struct iovec){line->tail, line->tail_len};
}

void line_fini(struct line *line)
{
	buf_fini(&line->head);
	*line = (struct line){0};
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

/* What stands behind the number of version 1. An element is a byte at least, with a comma or bracket behind it. */
static bool take_1(struct span *text, struct event *event)
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

static bool take_bytes(struct span *text, size_t n, const char **bytes)
{
	if (text->len < n)
		return false;
	*bytes = text->ptr;
	text->ptr += n;
	text->len -= n;
	return true;
}

static bool peek_1(struct span *text, struct line_head *head)
{
	return take(text, HEAD_AT) && take_bytes(text, CLOCK_TEXT_SIZE - 1, &head->received_at) &&
	       take(text, HEAD_ID) && take_bytes(text, EVENT_ID_SIZE - 1, &head->id);
}

/* What reads a version's lines, behind the number. */
static const struct version {
	bool (*take)(struct span *text, struct event *event); /* up to the data, which stays */
	bool (*peek)(struct span *text, struct line_head *head);
} versions[] = {
	[1] = {take_1, peek_1},
};
#define VERSIONS (sizeof versions / sizeof versions[0])
_Static_assert(VERSIONS == LINE_VERSION + 1, "a row for each version");

/* NULL: no version that is known here. */
static const struct version *take_version(struct span *text, uint32_t *number)
{
	if (!take(text, HEAD) || !take_number(text, number) || *number == 0 || *number >= VERSIONS)
		return NULL;
	return &versions[*number];
}

enum line_verdict line_decode(const char *line, size_t n, struct event *event)
{
	if (n <= TAIL_SIZE)
		return LINE_DAMAGED;
	struct span text = {line, n - TAIL_SIZE}, tail = {line + text.len, TAIL_SIZE};
	char sum[SUM_DIGITS + 1];
	snprintf(sum, sizeof sum, "%016llx", (unsigned long long)XXH3_64bits(text.ptr, text.len));
	if (!take(&tail, SUM_BEFORE) || !take(&tail, sum) || !take(&tail, SUM_AFTER))
		return LINE_DAMAGED;
	uint32_t number = 0;
	const struct version *version = take_version(&text, &number);
	if (version == NULL)
		return number > LINE_VERSION ? LINE_NEWER : LINE_DAMAGED;
	if (!version->take(&text, event))
		return LINE_DAMAGED;
	event->data = text;
	return LINE_OK;
}

bool line_peek(const char *line, size_t n, struct line_head *head)
{
	uint32_t number;
	head->rest = (struct span){line, n};
	const struct version *version = take_version(&head->rest, &number);
	return version != NULL && version->peek(&head->rest, head);
}

/* A sender's string never has this key in it: its quotes would be escaped there. */
static bool take_to(struct span *text, const char *key)
{
	const char *found = memmem(text->ptr, text->len, key, strlen(key));
	if (found == NULL)
		return false;
	text->len -= (size_t)(found - text->ptr);
	text->ptr = found;
	return take(text, key);
}

struct span line_peek_endpoint(const struct line_head *head)
{
	struct span rest = head->rest, endpoint;
	return take_to(&rest, ",\"endpoint\":") && take_text(&rest, &endpoint) ? endpoint : (struct span){NULL, 0};
}

struct span line_peek_connection(const struct line_head *head)
{
	struct span rest = head->rest, connection;
	return take_to(&rest, CONNECTION) && take_token(&rest, &connection) ? connection : (struct span){NULL, 0};
}
