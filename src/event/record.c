#include "config.h"

#include "event/record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#define HEAD_START "{\"event_id\":\""
#define HEAD_INDEX "\",\"index\":"
#define ID_DIGITS  (EVENT_ID_SIZE - 1)
#define ID_AT      (sizeof HEAD_START - 1)
#define INDEX_AT   (ID_AT + ID_DIGITS)
#define NUMBER_AT  (INDEX_AT + sizeof HEAD_INDEX - 1)

#define DRAIN_AT (1u << 20)

/* Where records go, and what they have in common: the parts before and behind the index. */
struct recorder {
	struct buf before, behind;
	struct buf *out;
	record_drain *drain;
	void *arg;
};

static int append_record(struct recorder *r, const char *index, struct span data)
{
	struct buf *out = r->out;
	if (buf_append(out, r->before.data, r->before.len) < 0 || buf_str(out, index) < 0 ||
	    buf_append(out, r->behind.data, r->behind.len) < 0 || buf_span(out, data) < 0 ||
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

int records_append(const struct event *event, struct buf *out, record_drain *drain, void *arg)
{
	struct recorder r = {.out = out, .drain = drain, .arg = arg};
	size_t start = out->len;
	char at[CLOCK_TEXT_SIZE];
	int result;
	clock_text(event->received_at, at);
	if (buf_printf(&r.before, HEAD_START "%s" HEAD_INDEX, event->id) < 0 ||
	    buf_printf(&r.behind, ",\"count\":%u,\"received_at\":\"%s\"", event->count, at) < 0 ||
	    event_append_origin(event, &r.behind) < 0 || buf_str(&r.behind, ",\"data\":") < 0 || reserve(&r, event) < 0)
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

uint64_t records_overhead(const struct event *event)
{
	static const char keys[] = "{\"event_id\":\"\",\"index\":4294967295,\"count\":4294967295,\"received_at\":\"\""
				   ",\"endpoint\":\"\",\"scheme\":\"\",\"data\":null}\n";
	uint64_t one = sizeof keys + EVENT_ID_SIZE + CLOCK_TEXT_SIZE + event->endpoint.len + event->scheme.len;
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		one += strlen(event_field_names[i]) + sizeof ",\"\":null" + event->fields[i].len;
	return one * (event->count == 0 ? 1 : event->count);
}

static bool begins_with(struct span text, size_t at, const char *expected)
{
	size_t n = strlen(expected);
	if (text.len <= at)
		return true;
	if (n > text.len - at)
		n = text.len - at;
	return memcmp(text.ptr + at, expected, n) == 0;
}

/* "null" is the number of the only record of an event without elements. */
static bool read_number(struct span text, uint32_t *index)
{
	uint64_t number = 0;
	size_t at = NUMBER_AT;
	if (text.len >= at + 5 && memcmp(text.ptr + at, "null,", 5) == 0) {
		*index = 0;
		return true;
	}
	while (at < text.len && at < NUMBER_AT + 10 && text.ptr[at] >= '0' && text.ptr[at] <= '9')
		number = number * 10 + (uint64_t)(text.ptr[at++] - '0');
	if (at == NUMBER_AT || at == text.len || text.ptr[at] != ',' || number >= UINT32_MAX)
		return false;
	*index = (uint32_t)number;
	return true;
}

enum record_head record_head(struct span text, uint8_t id[EVENT_ID_BYTES], uint32_t *index)
{
	size_t digits = text.len <= ID_AT ? 0 : text.len - ID_AT < ID_DIGITS ? text.len - ID_AT : ID_DIGITS;
	*index = UINT32_MAX;
	if (!begins_with(text, 0, HEAD_START))
		return RECORD_ALIEN;
	for (size_t i = 0; i < digits; i++)
		if (strchr("0123456789abcdef", text.ptr[ID_AT + i]) == NULL || text.ptr[ID_AT + i] == '\0')
			return RECORD_ALIEN;
	if (digits < ID_DIGITS)
		return RECORD_BEGUN;
	if (!begins_with(text, INDEX_AT, HEAD_INDEX))
		return RECORD_ALIEN;
	text_unhex(text.ptr + ID_AT, ID_DIGITS, id, EVENT_ID_BYTES);
	if (text.len > NUMBER_AT)
		read_number(text, index);
	return RECORD_OF_EVENT;
}
