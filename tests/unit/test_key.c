#include "config.h"

#include "sender/key.h"

#include "unit.h"

static const struct {
	const char *key, *layers, *bare;
} rows[] = {
	{"wks_5de520f96e439b002043d8d8_secret", "", "wks_5de520f96e439b002043d8d8_secret"},
	{" s3cret", "w", "s3cret"},
	{"s3cret \t\r", "w", "s3cret"},
	{"\"s3cret\"", "q", "s3cret"},
	{"'s3cret'", "q", "s3cret"},
	{"'s3cret\"", "", "'s3cret\""},
	{"\"\"", "", "\"\""},
	{"SECRET=s3cret", "a", "s3cret"},
	{"unified_secret2=\"s3cret\"", "aq", "s3cret"},
	{" SECRET= 's3cret ' ", "wawq", "s3cret "},
	{"2SECRET=s3cret", "", "2SECRET=s3cret"},
	{"c2VjcmV0", "", "c2VjcmV0"},
	{"c2VjcmU=", "", "c2VjcmU="},
	{"c2VjcmU==", "", "c2VjcmU=="},
	{"a+b/c=d", "", "a+b/c=d"},
	{"x", "", "x"},
};

static void layers(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct span key = unit_span(rows[i].key);
		char found[KEY_LAYERS + 1] = "";
		const char *layer;
		for (size_t n = 0; n < KEY_LAYERS && (layer = key_strip(&key)) != NULL; n++)
			found[n] = layer[0];
		unit_check(strcmp(found, rows[i].layers) == 0, "%s: %s", rows[i].key, found);
		unit_check(unit_same(key, rows[i].bare), "%s: %.*s", rows[i].key, (int)key.len, key.ptr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(layers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
