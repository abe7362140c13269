#include "config.h"

#include "event/event.h"

#include <errno.h>

#include "base/hash.h"
#include "base/text.h"
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

static bool same_span(struct span a, struct span b)
{
	return (a.ptr == NULL) == (b.ptr == NULL) && a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
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
		unit_check(event_decode(line.data, line.len - 1, &back) == EVENT_OK, "%s: %s", row, line.data);
		unit_check(back.received_at == event.received_at, "%s", row);
		unit_check(strcmp(back.id, event.id) == 0, "%s", row);
		unit_check(same_span(back.endpoint, event.endpoint), "%s", row);
		unit_check(same_span(back.scheme, event.scheme), "%s", row);
		for (size_t k = 0; k < EVENT_FIELDS; k++)
			unit_check(same_span(back.fields[k], event.fields[k]), "%s: %s", row, event_field_names[k]);
		unit_check(same_span(back.nonce, event.nonce), "%s", row);
		unit_check(same_span(back.data, event.data), "%s: %.*s", row, (int)back.data.len, back.data.ptr);
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
		struct event_line line = {0};
		struct iovec iov[3];
		assert_int_equal(event_encode(&event, &line), 0);
		event_line_vectors(&line, iov);
		assert_ptr_equal(iov[1].iov_base, event.data.ptr);
		event_line_fini(&line);
		event_line_fini(&line);
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
				unit_check(event_decode(line.data, line.len - 1, &back) == EVENT_DAMAGED,
					   "%s: byte %zu, bit %d", events[i].name, at, bit);
				line.data[at] = (char)(line.data[at] ^ (1 << bit));
			}
		assert_int_equal(event_decode(line.data, line.len - 1, &back), EVENT_OK);
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
		unit_check(event_decode(part, cut, &back) == EVENT_DAMAGED, "first %zu", cut);
		memcpy(part, line.data + n - cut, cut);
		unit_check(event_decode(part, cut, &back) == EVENT_DAMAGED, "last %zu", cut);
		free(part);
	}
	struct buf two = {0};
	assert_int_equal(buf_append(&two, line.data, n / 2), 0);
	assert_int_equal(buf_append(&two, line.data, n), 0);
	assert_int_equal(event_decode(two.data, two.len, &back), EVENT_DAMAGED);
	buf_fini(&two);
	assert_int_equal(event_decode(line.data, n + 1, &back), EVENT_DAMAGED);
	buf_fini(&line);
}

/* Lines whose checksum is right, but that no program of this version writes. */
static const struct {
	const char *text; /* up to the checksum */
	enum event_verdict verdict;
} shapes[] = {
	{"{\"v\":2,\"something\":\"else\"", EVENT_NEWER},
	{"{\"v\":10", EVENT_NEWER},
	{"{\"v\":4294967295,\"x\":[]", EVENT_NEWER},
	{"{\"v\":1", EVENT_DAMAGED},
	{"{\"v\":1,\"something\":\"else\"", EVENT_DAMAGED},
	{"{\"v\":", EVENT_DAMAGED},
	{"{\"v\":\"1\"", EVENT_DAMAGED},
	{"{\"v\":-1", EVENT_DAMAGED},
	{"{\"x\":1", EVENT_DAMAGED},
	{"[]", EVENT_DAMAGED},
	{"", EVENT_DAMAGED},
#define FRONT(at, id)                                                                                                  \
	"{\"v\":1,\"received_at\":\"" at "\",\"event_id\":\"" id                                                       \
	"\",\"endpoint\":\"/webhook\",\"scheme\":\"unified\",\"type\":null,\"event\":null,\"object_type\":null,"       \
	"\"connection_id\":null,\"webhook_id\":null,\"workspace_id\":null,\"integration_type\":null,"                  \
	"\"environment\":null"
#define GOOD_AT "2026-11-23T09:00:00.123456Z"
#define GOOD_ID "00112233445566778899aabbccddeeff"
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]", EVENT_OK},
	{FRONT("2026-13-23T09:00:00.123456Z",
	       GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]",
	 EVENT_DAMAGED},
	{FRONT("2026-11-23T09:00:00Z", GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]",
	 EVENT_DAMAGED},
	{FRONT(GOOD_AT, "0011") ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]", EVENT_DAMAGED},
	{FRONT(GOOD_AT,
	       "00112233445566778899AABBCCDDEEFF") ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":[1]",
	 EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"nonce\":\"n\",\"count\":1,\"data\":[1]", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":1,\"nonce\":\"n\",\"count\":1,\"data\":[1]", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":\"\\x\",\"nonce\":\"n\",\"count\":1,\"data\":[1]", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":\"\xff\",\"nonce\":\"n\",\"count\":1,\"data\":[1]", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":null,\"count\":1,\"data\":[1]", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":-1,\"data\":[1]", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":4294967296,\"data\":[1]",
	 EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":2,\"data\":[1]", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":1", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n\",\"count\":1,\"data\":", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":null,\"nonce\":\"n", EVENT_DAMAGED},
	{FRONT(GOOD_AT, GOOD_ID) ",\"external_xref\":\"x\\\"", EVENT_DAMAGED},
};

static void right_sum_wrong_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(shapes); i++) {
		struct buf line = {0};
		struct event back;
		unit_sealed(shapes[i].text, &line);
		unit_check(event_decode(line.data, line.len, &back) == shapes[i].verdict, "%s", shapes[i].text);
		buf_fini(&line);
	}
}

#define RECORD_FIELDS                                                                                                  \
	"\"received_at\":\"2026-11-23T09:00:00.123456Z\",\"endpoint\":\"/webhook\",\"scheme\":\"unified\","            \
	"\"type\":\"VIRTUAL\",\"event\":\"updated\",\"object_type\":\"crm_contact\",\"connection_id\":\"c1\","         \
	"\"webhook_id\":null,\"workspace_id\":null,\"integration_type\":null,\"environment\":null,"                    \
	"\"external_xref\":null,"

/* DESIGN, A normalized record: the text before RECORD_FIELDS and behind, for each line; NULL ends. */
static const struct {
	const char *name, *data;
	uint32_t count;
	const char *lines[4][2];
} records[] = {
	{"one", "[{\"a\":1}]", 1, {{"\"index\":0,\"count\":1,", "\"data\":{\"a\":1}}\n"}}},
	{"three",
	 "[{\"a\":1},{\"a\":[2,{\"b\":3}]},{}]",
	 3,
	 {{"\"index\":0,\"count\":3,", "\"data\":{\"a\":1}}\n"},
	  {"\"index\":1,\"count\":3,", "\"data\":{\"a\":[2,{\"b\":3}]}}\n"},
	  {"\"index\":2,\"count\":3,", "\"data\":{}}\n"}}},
	{"no element: a mark that something ended", "[]", 0, {{"\"index\":null,\"count\":0,", "\"data\":null}\n"}}},
	{"an object", "{\"a\":[1,2]}", 1, {{"\"index\":0,\"count\":1,", "\"data\":{\"a\":[1,2]}}\n"}}},
	{"an empty object", "{}", 1, {{"\"index\":0,\"count\":1,", "\"data\":{}}\n"}}},
	{"no objects",
	 "[1,\"x\",null,[]]",
	 4,
	 {{"\"index\":0,\"count\":4,", "\"data\":1}\n"},
	  {"\"index\":1,\"count\":4,", "\"data\":\"x\"}\n"},
	  {"\"index\":2,\"count\":4,", "\"data\":null}\n"},
	  {"\"index\":3,\"count\":4,", "\"data\":[]}\n"}}},
	{"verbatim",
	 "[{\"a\":1,\"a\":1e400,\"s\":\"\\ud800 \\/ x  y\"},-0,12345678901234567890123]",
	 3,
	 {{"\"index\":0,\"count\":3,", "\"data\":{\"a\":1,\"a\":1e400,\"s\":\"\\ud800 \\/ x  y\"}}\n"},
	  {"\"index\":1,\"count\":3,", "\"data\":-0}\n"},
	  {"\"index\":2,\"count\":3,", "\"data\":12345678901234567890123}\n"}}},
	{"commas and brackets in strings",
	 "[\"],[\",{\"}\":\"\\\"]\"}]",
	 2,
	 {{"\"index\":0,\"count\":2,", "\"data\":\"],[\"}\n"},
	  {"\"index\":1,\"count\":2,", "\"data\":{\"}\":\"\\\"]\"}}\n"}}},
};

static void normalized_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(records); i++) {
		struct event event = unit_event(AT, "\"n\"", records[i].data, records[i].count);
		struct buf out = {0}, wanted = {0};
		assert_int_equal(buf_str(&out, "before\n"), 0);
		assert_int_equal(buf_str(&wanted, "before\n"), 0);
		for (size_t k = 0; k < UNIT_COUNT(records[0].lines) && records[i].lines[k][0] != NULL; k++)
			assert_int_equal(buf_printf(&wanted, "{\"event_id\":\"%s\",%s" RECORD_FIELDS "%s", event.id,
						    records[i].lines[k][0], records[i].lines[k][1]),
					 0);
		assert_int_equal(event_records(&event, &out, NULL, NULL), 0);
		unit_check(strcmp(buf_cstr(&out), buf_cstr(&wanted)) == 0, "%s:\n%s\nwanted\n%s", records[i].name,
			   out.data, wanted.data);
		buf_fini(&out);
		buf_fini(&wanted);
	}
}

/* Drained in parts, which end with a record, they are the same. */
static unsigned drains;

static int drain(void *arg, struct buf *out)
{
	assert_in_range(out->len, 1u << 20, (1u << 20) + 4096);
	assert_int_equal(out->data[out->len - 1], '\n');
	assert_int_equal(buf_append(arg, out->data, out->len), 0);
	out->len = 0;
	drains++;
	return 0;
}

static int refuse(void *arg, struct buf *out)
{
	(void)out;
	errno = ENOSPC;
	return --*(int *)arg > 0 ? 0 : -1;
}

static void records_in_parts(void **state)
{
	(void)state;
	enum { COUNT = 20000 };
	struct buf data = {0}, whole = {0}, parts = {0}, rest = {0};
	assert_int_equal(buf_char(&data, '['), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(buf_str(&data, i == 0 ? "1" : ",1"), 0);
	assert_int_equal(buf_char(&data, ']'), 0);
	struct event event = unit_event(AT, "\"n\"", buf_cstr(&data), COUNT);
	assert_int_equal(event_records(&event, &whole, NULL, NULL), 0);
	assert_int_equal(event_records(&event, &rest, drain, &parts), 0);
	assert_int_equal(drains, whole.len >> 20);
	assert_true(rest.cap < 4u << 20);
	assert_int_equal(buf_append(&parts, rest.data, rest.len), 0);
	assert_true(same_span((struct span){whole.data, whole.len}, (struct span){parts.data, parts.len}));
	int refusals = 1;
	rest.len = 0;
	assert_int_equal(event_records(&event, &rest, refuse, &refusals), -1);
	assert_int_equal(errno, ENOSPC);
	buf_fini(&data);
	buf_fini(&whole);
	buf_fini(&parts);
	buf_fini(&rest);
}

/* A record of what was read back is the record of what was sent. */
static void records_of_a_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(events); i++) {
		struct event event = event_of(i), back;
		struct buf line = line_of(&event), one = {0}, two = {0};
		assert_int_equal(event_decode(line.data, line.len - 1, &back), EVENT_OK);
		assert_int_equal(event_records(&event, &one, NULL, NULL), 0);
		assert_int_equal(event_records(&back, &two, NULL, NULL), 0);
		unit_check(same_span((struct span){one.data, one.len}, (struct span){two.data, two.len}), "%s",
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

/* doc/journal.md, Identity: over endpoint, NUL, nonce, NUL, data; the first 16 bytes. */
static void identity(void **state)
{
	(void)state;
	static const struct {
		const char *endpoint, *nonce, *data;
		bool same; /* as the row before */
	} rows[] = {
		{"/webhook", "n", "[1]", false}, {"/webhook", "n", "[1]", true},  {"/other", "n", "[1]", false},
		{"/webhook", "m", "[1]", false}, {"/webhook", "n", "[2]", false}, {"/webhook", "n[", "1]", false},
		{"/webhookn", "", "[1]", false},
	};
	char before[EVENT_ID_SIZE] = "";
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct event event = {.endpoint = unit_span(rows[i].endpoint), .data = unit_span(rows[i].data)};
		event_identify(&event, unit_span(rows[i].nonce));
		assert_int_equal(strspn(event.id, "0123456789abcdef"), 32);
		assert_int_equal(event.id[32], '\0');
		unit_check((strcmp(event.id, before) == 0) == rows[i].same, "row %zu", i);
		memcpy(before, event.id, sizeof before);
	}
	struct event event = {.endpoint = UNIT_SPAN("/webhook"), .data = UNIT_SPAN("[1]")};
	const struct span text = UNIT_SPAN("/webhook\0n\0[1]");
	uint8_t digest[HASH_SIZE];
	char hex[2 * HASH_SIZE + 1];
	event_identify(&event, UNIT_SPAN("n"));
	hash_sha256(&text, 1, digest);
	text_hex(digest, 16, hex);
	assert_string_equal(event.id, hex);
}

static void field_texts(void **state)
{
	(void)state;
	static const struct {
		const char *token, *text;
	} rows[] = {
		{NULL, ""},
		{"\"\"", ""},
		{"\"crm_contact\"", "crm_contact"},
		{"\"a\\/b\"", "a/b"},
		{"\"\\u005A\\t\"", "Z\t"},
		{"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
		{"\"\\ud800\"", "\xef\xbf\xbd"},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct event event = {0};
		struct buf out = {0};
		event.fields[EVENT_OBJECT_TYPE] = unit_span(rows[i].token);
		assert_int_equal(buf_char(&out, '>'), 0);
		assert_int_equal(event_field_text(&event, EVENT_OBJECT_TYPE, &out), 0);
		unit_check(strcmp(buf_cstr(&out) + 1, rows[i].text) == 0, "row %zu: %s", i, out.data);
		buf_fini(&out);
	}
}

/* Never less than what the records have beside the data, and not much more. */
static void overheads(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		uint32_t count;
		size_t commas; /* bytes of data that no record has */
	} rows[] = {{"[]", 0, 2}, {"{}", 1, 0}, {"[1]", 1, 2}, {"[1,2,3,4,5,6,7,8,9,0,\"x\",{}]", 12, 13}};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++)
		for (int full = 0; full < 2; full++) {
			struct event event = unit_event(1795424400123456, "\"n\"", rows[i].data, rows[i].count);
			struct buf out = {0};
			for (size_t f = 0; full && f < EVENT_FIELDS; f++)
				event.fields[f] = UNIT_SPAN("\"a value\"");
			assert_int_equal(event_records(&event, &out, NULL, NULL), 0);
			uint64_t own = out.len - (event.data.len - rows[i].commas),
				 most = event_records_overhead(&event);
			unit_check(own <= most && most <= own + own / 5, "row %zu: %ju of at most %ju", i,
				   (uintmax_t)own, (uintmax_t)most);
			buf_fini(&out);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),      cmocka_unit_test(the_line),
		cmocka_unit_test(data_is_not_copied),  cmocka_unit_test(each_flipped_bit_is_damage),
		cmocka_unit_test(each_part_is_damage), cmocka_unit_test(right_sum_wrong_shape),
		cmocka_unit_test(normalized_records),  cmocka_unit_test(records_in_parts),
		cmocka_unit_test(records_of_a_line),   cmocka_unit_test(identity),
		cmocka_unit_test(field_texts),         cmocka_unit_test(overheads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
