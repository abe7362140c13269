/* The journal's line: never accepted with a wrong checksum, never read beyond its end; what is accepted comes back from
 * an encoding as it was. The input is a line, tried as it is and with its checksum put right. */
#include "config.h"

#include <string.h>
#include <xxhash.h>

#include "event/event.h"
#include "event/line.h"
#include "event/record.h"
#include "fuzz.h"

#define SUM_BEFORE ",\"sum\":\""
#define SUM_SIZE   (sizeof SUM_BEFORE - 1 + 16 + 2)

static bool is_inside(struct span s, const char *line, size_t n)
{
	return s.ptr == NULL ? s.len == 0 : s.ptr >= line && s.len <= n && s.ptr + s.len <= line + n;
}

static void check_spans(const struct event *event, const char *line, size_t n)
{
	MUST(strlen(event->id) == EVENT_ID_SIZE - 1);
	MUST(is_inside(event->endpoint, line, n) && is_inside(event->scheme, line, n));
	MUST(is_inside(event->nonce, line, n) && event->nonce.len >= 2);
	MUST(is_inside(event->data, line, n) && event->data.len >= 2);
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		MUST(is_inside(event->fields[i], line, n) &&
		     (event->fields[i].ptr == NULL || event->fields[i].len >= 2));
}

static bool is_same(struct span a, struct span b)
{
	return (a.ptr == NULL) == (b.ptr == NULL) && a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static void check_round_trip(const struct event *event)
{
	struct line line = {0};
	struct iovec iov[3];
	struct buf text = {0};
	struct event again;
	MUST(line_encode(event, &line) == 0);
	line_vectors(&line, iov);
	for (size_t i = 0; i < 3; i++)
		MUST(buf_append(&text, iov[i].iov_base, iov[i].iov_len) == 0);
	MUST(text.data[text.len - 1] == '\n');
	MUST(line_decode(text.data, text.len - 1, &again) == LINE_OK);
	MUST(again.received_at == event->received_at && again.count == event->count);
	MUST(strcmp(again.id, event->id) == 0);
	MUST(is_same(again.endpoint, event->endpoint) && is_same(again.scheme, event->scheme));
	MUST(is_same(again.nonce, event->nonce) && is_same(again.data, event->data));
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		MUST(is_same(again.fields[i], event->fields[i]));
	buf_fini(&text);
	line_fini(&line);
}

static void check_sum(const char *line, size_t n)
{
	char sum[17];
	MUST(n > SUM_SIZE);
	snprintf(sum, sizeof sum, "%016llx", (unsigned long long)XXH3_64bits(line, n - SUM_SIZE));
	MUST(memcmp(line + n - SUM_SIZE, SUM_BEFORE, sizeof SUM_BEFORE - 1) == 0);
	MUST(memcmp(line + n - 18, sum, 16) == 0 && memcmp(line + n - 2, "\"}", 2) == 0);
}

static void try_line(const char *line, size_t n)
{
	struct event event;
	struct buf out = {0};
	enum line_verdict verdict = line_decode(line, n, &event);
	if (verdict != LINE_DAMAGED)
		check_sum(line, n);
	if (verdict != LINE_OK)
		return;
	check_spans(&event, line, n);
	check_round_trip(&event);
	/* What is not JSON gives no good records, but nothing is read that is not there. */
	MUST(records_append(&event, &out, NULL, NULL) == 0);
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		MUST(event_field_text(&event, i, &out) == 0);
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_line((const char *)data, size);
	size_t body = size < SUM_SIZE ? size : size - SUM_SIZE;
	char *line = malloc(body + SUM_SIZE + 1);
	if (line == NULL)
		return 0;
	if (body > 0)
		memcpy(line, data, body);
	snprintf(line + body, SUM_SIZE + 1, SUM_BEFORE "%016llx\"}", (unsigned long long)XXH3_64bits(line, body));
	/* Moved, so that its end is the allocation's. */
	char *exact = malloc(body + SUM_SIZE);
	if (exact != NULL) {
		memcpy(exact, line, body + SUM_SIZE);
		try_line(exact, body + SUM_SIZE);
	}
	free(exact);
	free(line);
	return 0;
}
