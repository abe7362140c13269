#include "config.h"

#include "event/event.h"

#include "base/hash.h"
#include "base/text.h"
#include "unit.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity),
		cmocka_unit_test(field_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
