#include "config.h"

#include "base/json_writer.h"

#include "base/json.h"
#include "unit.h"

static void writes_a_document(void **state)
{
	(void)state;
	struct writer w = {0};
	writer_open(&w, NULL, '{');
	writer_string(&w, "text", "a\"\n\xff");
	writer_string(&w, "none", NULL);
	writer_number(&w, "most", UINT64_MAX);
	writer_bool(&w, "yes", true);
	writer_bool(&w, "no", false);
	writer_time(&w, "at", INT64_C(1790000000123456));
	writer_time(&w, "never", 0);
	writer_raw(&w, "raw", UNIT_SPAN("[1.0]"));
	writer_raw(&w, "absent", (struct span){NULL, 0});
	writer_text(&w, "span", (struct span){"xyz", 2});
	writer_open(&w, "list", '[');
	writer_number(&w, NULL, 1);
	writer_open(&w, NULL, '{');
	writer_close(&w, '}');
	writer_open(&w, NULL, '[');
	writer_close(&w, ']');
	writer_close(&w, ']');
	writer_string(&w, "", "last");
	writer_close(&w, '}');
	assert_false(w.failed);
	assert_string_equal(buf_cstr(&w.out),
			    "{\"text\":\"a\\\"\\n\xef\xbf\xbd\",\"none\":null,\"most\":18446744073709551615,"
			    "\"yes\":true,\"no\":false,\"at\":\"2026-09-21T14:13:20.123456Z\",\"never\":null,"
			    "\"raw\":[1.0],\"absent\":null,\"span\":\"xy\",\"list\":[1,{},[]],\"\":\"last\"}");
	struct json_value value;
	size_t where;
	assert_int_equal(json_scan(w.out.data, w.out.len, &value, &where), JSON_OK);
	buf_fini(&w.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(writes_a_document)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
