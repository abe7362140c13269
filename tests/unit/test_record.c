#include "config.h"

#include "event/record.h"

#include <errno.h>

#include "unit.h"

#define AT INT64_C(1795424400123456) /* 2026-11-23T09:00:00.123456Z */

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
		assert_int_equal(records_append(&event, &out, NULL, NULL), 0);
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
	assert_int_equal(records_append(&event, &whole, NULL, NULL), 0);
	assert_int_equal(records_append(&event, &rest, drain, &parts), 0);
	assert_int_equal(drains, whole.len >> 20);
	assert_true(rest.cap < 4u << 20);
	assert_int_equal(buf_append(&parts, rest.data, rest.len), 0);
	assert_true(unit_same_span((struct span){whole.data, whole.len}, (struct span){parts.data, parts.len}));
	int refusals = 1;
	rest.len = 0;
	assert_int_equal(records_append(&event, &rest, refuse, &refusals), -1);
	assert_int_equal(errno, ENOSPC);
	buf_fini(&data);
	buf_fini(&whole);
	buf_fini(&parts);
	buf_fini(&rest);
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
			assert_int_equal(records_append(&event, &out, NULL, NULL), 0);
			uint64_t own = out.len - (event.data.len - rows[i].commas), most = records_overhead(&event);
			unit_check(own <= most && most <= own + own / 5, "row %zu: %ju of at most %ju", i,
				   (uintmax_t)own, (uintmax_t)most);
			buf_fini(&out);
		}
}

static const struct {
	const char *text;
	enum record_head head;
	uint32_t index;
} heads[] = {
	{"", RECORD_BEGUN, UINT32_MAX},
	{"{", RECORD_BEGUN, UINT32_MAX},
	{"{\"event_id\":\"", RECORD_BEGUN, UINT32_MAX},
	{"{\"event_id\":\"0123456789abcdef0123456789abcde", RECORD_BEGUN, UINT32_MAX},
	{"{\"event_id\":\"0123456789abcdef0123456789abcdef", RECORD_OF_EVENT, UINT32_MAX},
	{"{\"event_id\":\"0123456789abcdef0123456789abcdef\",\"ind", RECORD_OF_EVENT, UINT32_MAX},
	{"{\"event_id\":\"0123456789abcdef0123456789abcdef\",\"index\":12", RECORD_OF_EVENT, UINT32_MAX},
	{"{\"event_id\":\"0123456789abcdef0123456789abcdef\",\"index\":12,", RECORD_OF_EVENT, 12},
	{"{\"event_id\":\"0123456789abcdef0123456789abcdef\",\"index\":null,", RECORD_OF_EVENT, 0},
	{"{\"event_id\":\"0123456789abcdef0123456789abcdef\",\"index\":99999999999,", RECORD_OF_EVENT, UINT32_MAX},
	{"{\"event_id\":\"0123456789abcdef0123456789abcdef\",\"index\":x,", RECORD_OF_EVENT, UINT32_MAX},
	{"{\"event_id\":\"0123456789abcdef0123456789abcdef\",\"other\":", RECORD_ALIEN, UINT32_MAX},
	{"{\"event_id\":\"0123456789ABCDEF0123456789abcdef\",\"index\":1,", RECORD_ALIEN, UINT32_MAX},
	{"{\"event\":", RECORD_ALIEN, UINT32_MAX},
	{"x", RECORD_ALIEN, UINT32_MAX},
	{"\n", RECORD_ALIEN, UINT32_MAX},
};

static void heads_of_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(heads); i++) {
		uint8_t id[EVENT_ID_BYTES];
		uint32_t index;
		enum record_head head = record_head(unit_span(heads[i].text), id, &index);
		unit_check(head == heads[i].head && index == heads[i].index, "\"%s\": %d, %u", heads[i].text, head,
			   index);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalized_records),
		cmocka_unit_test(records_in_parts),
		cmocka_unit_test(overheads),
		cmocka_unit_test(heads_of_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
