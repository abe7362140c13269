#include "config.h"

#include "event/line.h"

#include "base/clock.h"
#include "event/record.h"
#include "unit.h"

#define AT INT64_C(1795424400123456) /* 2026-11-23T09:00:00.123456Z */

/* Events as they may come from a sender: what stands in tokens must not be taken for the line's own shape. */
static const struct {
	const char *name, *nonce, *data;
	uint32_t count;
	const char *fields[EVENT_FIELDS]; /* NULL: absent */
} events[] = {
	{"all fields",
	 "\"n\"",
	 "[{\"a\":1},{\"b\":2}]",
	 2,
	 {"\"VIRTUAL\"", "\"updated\"", "\"crm_contact\"", "\"c1\"", "\"w1\"", "\"ws1\"", "\"hubspot\"",
	  "\"Production\"", "\"x1\""}},
	{"no fields", "\"n\"", "[{}]", 1, {NULL}},
	{"empty array", "\"n\"", "[]", 0, {"\"INITIAL-COMPLETE\""}},
	{"empty object", "\"n\"", "{}", 1, {"\"\""}},
	{"object", "\"n\"", "{\"a\":[1,2,3]}", 1, {"\"\""}},
	{"quotes, commas and brackets in tokens",
	 "\"\\\",\\\"count\\\":9,\\\"data\\\":[\"",
	 "[\",\\\"sum\\\":\\\"0000000000000000\\\"}\"]",
	 1,
	 {"\"\\\\\"", "\"\\\"\"", "\",\\\"nonce\\\":\"", "\"null\"", "\"}\"", "\"\\\\\\\\\"", "\"a b  c\""}},
	{"escapes stay", "\"\\u0061\\/\\ud800\"", "[\"\\u2028\",1e400,-0,12345678901234567890123]", 4, {"\"\\u0041\""}},
	{"UTF-8", "\"\xf0\x9f\x98\x80\"", "[\"Zo\xc3\xab \x7f\"]", 1, {NULL, "\"\xe4\xb8\xad\""}},
};

static struct event event_of(size_t row)
{
	struct event event = unit_event(AT, events[row].nonce, events[row].data, events[row].count);
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		event.fields[i] = unit_span(events[row].fields[i]);
	return event;
}

static struct buf line_of(const struct event *event)
{
	struct buf line = {0};
	unit_line(event, &line);
	assert_non_null(buf_cstr(&line));
	return line;
}

static void there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(events); i++) {
		const char *row = events[i].name;
		struct event event = event_of(i), back;
		struct buf line = line_of(&event);
		memset(&back, 0x5a, sizeof back);
		unit_check(line.data[line.len - 1] == '\n' && memchr(line.data, '\n', line.len - 1) == NULL, "%s", row);
		unit_check(line_decode(line.data, line.len - 1, &back) == LINE_OK, "%s: %s", row, line.data);
		unit_check(back.received_at == event.received_at, "%s", row);
		unit_check(strcmp(back.id, event.id) == 0, "%s", row);
		unit_check(unit_same_span(back.endpoint, event.endpoint), "%s", row);
		unit_check(unit_same_span(back.scheme, event.scheme), "%s", row);
		for (size_t k = 0; k < EVENT_FIELDS; k++)
			unit_check(unit_same_span(back.fields[k], event.fields[k]), "%s: %s", row,
				   event_field_names[k]);
		unit_check(unit_same_span(back.nonce, event.nonce), "%s", row);
		unit_check(unit_same_span(back.data, event.data), "%s: %.*s", row, (int)back.data.len, back.data.ptr);
		unit_check(back.count == event.count, "%s", row);
		unit_check(back.data.ptr > line.data && back.data.ptr < line.data + line.len, "%s", row);
		buf_fini(&line);
	}
}

/* doc/journal.md, The line: byte for byte, checksum too, since journals outlive the program that wrote them. */
static void the_line(void **state)
{
	(void)state;
	struct event event = event_of(0);
	struct buf line = line_of(&event);
	char *sum = strstr(line.data, ",\"sum\":\"");
	assert_non_null(sum);
	assert_int_equal(strspn(sum + 8, "0123456789abcdef"), 16);
	assert_string_equal(sum + 24, "\"}\n");
	assert_string_equal(sum, ",\"sum\":\"c7b79420785e04bd\"}\n");
	*sum = '\0';
	assert_string_equal(
		line.data,
		"{\"v\":1,\"received_at\":\"2026-11-23T09:00:00.123456Z\","
		"\"event_id\":\"926c55ed868f3bf3f0f72260e2d5a885\",\"endpoint\":\"/webhook\",\"scheme\":\"unified\","
		"\"type\":\"VIRTUAL\",\"event\":\"updated\",\"object_type\":\"crm_contact\",\"connection_id\":\"c1\","
		"\"webhook_id\":\"w1\",\"workspace_id\":\"ws1\",\"integration_type\":\"hubspot\","
		"\"environment\":\"Production\",\"external_xref\":\"x1\",\"nonce\":\"n\",\"count\":2,"
		"\"data\":[{\"a\":1},{\"b\":2}]");
	buf_fini(&line);
}

static void data_is_not_copied(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(events); i++) {
		struct event event = event_of(i);
		struct line line = {0};
		struct iovec iov[3];
		assert_int_equal(line_encode(&event, &line), 0);
		line_vectors(&line, iov);
		assert_ptr_equal(iov[1].iov_base, event.data.ptr);
		line_fini(&line);
		line_fini(&line);
	}
}

/* Every bit of every byte, alone: the line is never taken for a good one, nor for one of a later version. */
static void each_flipped_bit_is_damage(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(events); i++) {
		struct event event = event_of(i), back;
		struct buf line = line_of(&event);
		for (size_t at = 0; at < line.len - 1; at++)
			for (int bit = 0; bit < 8; bit++) {
				line.data[at] = (char)(line.data[at] ^ (1 << bit));
				unit_check(line_decode(line.data, line.len - 1, &back) == LINE_DAMAGED,
					   "%s: byte %zu, bit %d", events[i].name, at, bit);
				line.data[at] = (char)(line.data[at] ^ (1 << bit));
			}
		assert_int_equal(line_decode(line.data, line.len - 1, &back), LINE_OK);
		buf_fini(&line);
	}
}

/* A prefix or a suffix, alone or glued to another line: in memory of exactly its length. */
static void each_part_is_damage(void **state)
{
	(void)state;
	struct event event = event_of(0), back;
	struct buf line = line_of(&event);
	size_t n = line.len - 1;
	for (size_t cut = 0; cut < n; cut++) {
		char *part = malloc(cut == 0 ? 1 : cut);
		memcpy(part, line.data, cut);
		unit_check(line_decode(part, cut, &back) == LINE_DAMAGED, "first %zu", cut);
		memcpy(part, line.data + n - cut, cut);
		unit_check(line_decode(part, cut, &back) == LINE_DAMAGED, "last %zu", cut);
		free(part);
	}
	struct buf two = {0};
	assert_int_equal(buf_append(&two, line.data, n / 2), 0);
	assert_int_equal(buf_append(&two, line.data, n), 0);
	assert_int_equal(line_decode(two.data, two.len, &back), LINE_DAMAGED);
	buf_fini(&two);
	assert_int_equal(line_decode(line.data, n + 1, &back), LINE_DAMAGED);
	buf_fini(&line);
}

/* Lines whose checksum is right, but that no program of this version writes. */
static const struct {
	const char *text; /* up to the checksum */
	enum line_verdict verdict;
} shapes[] = {
	{"{\"v\":2,\"something\":\"else\"", LINE_NEWER},
	{"{\"v\":10", LINE_NEWER},
	{"{\"v\":0", LINE_DAMAGED},
	{"{\"v\":4294967295,\"x\":[]", LINE_NEWER},
	{"{\"v\":1", LINE_DAMAGED},
	{"{\"v\":1,\"something\":\"else\"", LINE_DAMAGED},
	{"{\"v\":", LINE_DAMAGED},
	{"{\"v\":\"1\"", LINE_DAMAGED},
	{"{\"v\":-1", LINE_DAMAGED},
	{"{\"x\":1", LINE_DAMAGED},
	{"[]", LINE_DAMAGED},
	{"", LINE_DAMAGED},
#define FRONT(at, id)                                                                                                  \
	"{\"v\":1,\"received_at\":\"" at "\",\"event_id\":\"" id                                                       \
	"\",\"endpoint\":\"/webhook\",\"scheme\":\"unified\",\"type\":null,\"event\":null,\"object_type\":null,"       \
	"\"connection_id\":null,\"webhook_id\":null,\"workspace_id\":null,\"integration_type\":null,"                  \
	"\"environment\":null"
#define GOOD_AT "2026-11-23T09:00:00.123456Z"
#define GOOD_ID "00112233445566778899aabbccddeeff"
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]", LINE_OK},
	{FRONT("2026-13-23T09:00:00.123456Z",
	       GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]",
	 LINE_DAMAGED},
	{FRONT("2026-11-23T09:00:00Z", GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]",
	 LINE_DAMAGED},
	{FRONT(GOOD_AT, "0011") ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]", LINE_DAMAGED},
	{FRONT(GOOD_AT,
	       "00112233445566778899AABBCCDDEEFF") ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]",
	 LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"nonce\":\"n\",\"count\":1,\"data\":[1]", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":1,\"nonce\":\"n\",\"count\":1,\"data\":[1]", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":\"\\x\",\"nonce\":\"n\",\"count\":1,\"data\":[1]", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":\"\xff\",\"nonce\":\"n\",\"count\":1,\"data\":[1]", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":null,\"count\":1,\"data\":[1]", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":-1,\"data\":[1]", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":4294967296,\"data\":[1]",
	 LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":2,\"data\":[1]", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":1", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n", LINE_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":\"x\\\"", LINE_DAMAGED},
};

static void right_sum_wrong_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(shapes); i++) {
		struct buf line = {0};
		struct event back;
		unit_sealed(shapes[i].text, &line);
		unit_check(line_decode(line.data, line.len, &back) == shapes[i].verdict, "%s", shapes[i].text);
		buf_fini(&line);
	}
}

/* What stands at a line's front, without reading the rest. */
static void heads_of_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(events); i++) {
		struct event event = event_of(i);
		struct buf line = line_of(&event);
		struct line_head head;
		char at[CLOCK_TEXT_SIZE];
		clock_text(event.received_at, at);
		assert_true(line_peek(line.data, line.len - 1, &head));
		assert_memory_equal(head.received_at, at, CLOCK_TEXT_SIZE - 1);
		assert_memory_equal(head.id, event.id, EVENT_ID_SIZE - 1);
		unit_check(unit_same_span(line_peek_endpoint(&head), event.endpoint) &&
				   unit_same_span(line_peek_connection(&head), event.fields[EVENT_CONNECTION_ID]),
			   "%s", events[i].name);
		buf_fini(&line);
	}
	static const char *const others[] = {"", "{}", "{\"v\":1",
					     "{\"v\":2,\"received_at\":\"" GOOD_AT "\",\"event_id\":\"" GOOD_ID "\"",
					     "{\"v\":1,\"received_at\":\"" GOOD_AT "\",\"event_id\":\"0011"};
	struct line_head head;
	for (size_t i = 0; i < UNIT_COUNT(others); i++)
		unit_check(!line_peek(others[i], strlen(others[i]), &head), "%s", others[i]);
}

/* A record of what was read back is the record of what was sent. */
static void records_of_a_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(events); i++) {
		struct event event = event_of(i), back;
		struct buf line = line_of(&event), one = {0}, two = {0};
		assert_int_equal(line_decode(line.data, line.len - 1, &back), LINE_OK);
		assert_int_equal(records_append(&event, &one, NULL, NULL), 0);
		assert_int_equal(records_append(&back, &two, NULL, NULL), 0);
		unit_check(unit_same_span((struct span){one.data, one.len}, (struct span){two.data, two.len}), "%s",
			   events[i].name);
		size_t lines = 0;
		for (size_t k = 0; k < one.len; k++)
			lines += one.data[k] == '\n';
		unit_check(lines == (event.count == 0 ? 1 : event.count), "%s", events[i].name);
		buf_fini(&line);
		buf_fini(&one);
		buf_fini(&two);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),      cmocka_unit_test(the_line),
		cmocka_unit_test(data_is_not_copied),  cmocka_unit_test(each_flipped_bit_is_damage),
		cmocka_unit_test(each_part_is_damage), cmocka_unit_test(right_sum_wrong_shape),
		cmocka_unit_test(heads_of_lines),      cmocka_unit_test(records_of_a_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
