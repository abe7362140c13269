#include "config.h"

#include "json_plain.h"
#include "unit.h"

#define TEXT(s)    s, sizeof(s) - 1
#define ALIGNMENTS 32

/* A text in a block of its own that ends where the text does, so that a sanitizer sees a read behind it. */
struct exact {
	char *block;
	char *text;
	size_t n;
};

static struct exact exact_copy(const char *text, size_t n, size_t alignment)
{
	struct exact exact = {.n = n};
	assert_int_equal(posix_memalign((void **)&exact.block, ALIGNMENTS, alignment + n + (alignment + n == 0)), 0);
	exact.text = exact.block + alignment;
	if (n != 0)
		memcpy(exact.text, text, n);
	return exact;
}

/* How a row is named when it fails: without what a terminal could not show. */
static const char *shown(const char *text, size_t n)
{
	static char out[400];
	size_t used = 0;
	for (size_t i = 0; i < n && used < sizeof out - 5; i++)
		used += (size_t)snprintf(out + used, sizeof out - used,
					 text[i] > ' ' && text[i] < 0x7f ? "%c" : "\\%03o", (unsigned char)text[i]);
	return out;
}

static const char *const errors[] = {"OK", "SYNTAX", "UTF8", "DEEP", "END"};

static void assert_same_value(const struct json_value *a, const struct json_value *b)
{
	assert_int_equal(a->type, b->type);
	assert_ptr_equal(a->raw.ptr, b->raw.ptr);
	assert_int_equal(a->raw.len, b->raw.len);
	assert_int_equal(a->count, b->count);
	assert_int_equal(a->spaced, b->spaced);
}

/* The members of a text, as they were handed over. */
struct members {
	struct member {
		struct span key;
		struct json_value value;
	} list[64];
	uint32_t count;
};

static void take_member(void *arg, struct span key, const struct json_value *value)
{
	struct members *members = arg;
	if (members->count < UNIT_COUNT(members->list))
		members->list[members->count] = (struct member){key, *value};
	members->count++;
}

static void assert_members(const struct json_build *build, const struct json_value *value,
			   const struct members *members)
{
	struct json_walk walk;
	uint32_t i = 0;
	if (value->type != JSON_OBJECT) {
		assert_int_equal(members->count, 0);
		return;
	}
	build->walk_begin(&walk, value);
	for (; build->walk_next(&walk); i++) {
		if (i >= UNIT_COUNT(members->list))
			continue;
		assert_ptr_equal(members->list[i].key.ptr, walk.key.ptr);
		assert_int_equal(members->list[i].key.len, walk.key.len);
		assert_same_value(&members->list[i].value, &walk.value);
	}
	assert_int_equal(members->count, i);
}

/* Both ways to scan say the same of each text here, and hand over the members that a walk finds. */
static enum json_error scan(const struct json_build *build, const char *text, size_t n, struct json_value *value,
			    size_t *where)
{
	struct members members = {.count = 0};
	struct json_value again;
	size_t again_where = *where;
	enum json_error error = build->scan(text, n, value, where);
	assert_int_equal(build->scan_members(text, n, &again, take_member, &members, &again_where), error);
	if (error == JSON_OK) {
		assert_same_value(value, &again);
		assert_members(build, value, &members);
	} else {
		assert_int_equal(*where, again_where);
	}
	return error;
}

static const struct {
	const char *text;
	size_t n;
	enum json_type type;
	uint32_t count;
	bool spaced;
} good[] = {
	/* words */
	{TEXT("null"), JSON_NULL, 0, false},
	{TEXT("true"), JSON_TRUE, 0, false},
	{TEXT("false"), JSON_FALSE, 0, false},
	{TEXT(" true "), JSON_TRUE, 0, false},
	/* numbers */
	{TEXT("0"), JSON_NUMBER, 0, false},
	{TEXT("-0"), JSON_NUMBER, 0, false},
	{TEXT("7"), JSON_NUMBER, 0, false},
	{TEXT("-1"), JSON_NUMBER, 0, false},
	{TEXT("10"), JSON_NUMBER, 0, false},
	{TEXT("1234567890"), JSON_NUMBER, 0, false},
	{TEXT("123456789012345678901234567890123456789"), JSON_NUMBER, 0, false},
	{TEXT("0.0"), JSON_NUMBER, 0, false},
	{TEXT("-0.1"), JSON_NUMBER, 0, false},
	{TEXT("3.14159265358979323846264338327950288"), JSON_NUMBER, 0, false},
	{TEXT("0e0"), JSON_NUMBER, 0, false},
	{TEXT("0E+1"), JSON_NUMBER, 0, false},
	{TEXT("1e1"), JSON_NUMBER, 0, false},
	{TEXT("1E-2"), JSON_NUMBER, 0, false},
	{TEXT("1e+00"), JSON_NUMBER, 0, false},
	{TEXT("123.456e-789"), JSON_NUMBER, 0, false},
	{TEXT("1e400"), JSON_NUMBER, 0, false},
	{TEXT("-123123e100000"), JSON_NUMBER, 0, false},
	{TEXT("[0,-0,1.5e3,20]"), JSON_ARRAY, 4, false},
	{TEXT("[-0.000000000000000000000000000000000000000000000000000000000000000000001]"), JSON_ARRAY, 1, false},
	/* strings */
	{TEXT("\"\""), JSON_STRING, 0, false},
	{TEXT("\" \""), JSON_STRING, 0, false},
	{TEXT("\"a\""), JSON_STRING, 0, false},
	{TEXT("\"a/b'\x7f\""), JSON_STRING, 0, false},
	{TEXT("\"exactly15bytes!\""), JSON_STRING, 0, false},
	{TEXT("\"exactly 16 bytes\""), JSON_STRING, 0, false},
	{TEXT("\"a string that is longer than one row of bytes, and than two, and even than a piece\""), JSON_STRING, 0,
	 false},
	{TEXT("[\"brackets ] } and , : \\\" inside\"]"), JSON_ARRAY, 1, false},
	{TEXT("\"// no comment\""), JSON_STRING, 0, false},
	/* escapes */
	{TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), JSON_STRING, 0, false},
	{TEXT("\"\\\\\""), JSON_STRING, 0, false},
	{TEXT("\"\\\\\\\"\""), JSON_STRING, 0, false},
	{TEXT("\"\\\\a\""), JSON_STRING, 0, false},
	{TEXT("\"\\u0000\""), JSON_STRING, 0, false},
	{TEXT("\"\\u0022\\u005C\\u002f\""), JSON_STRING, 0, false},
	{TEXT("\"\\uabcd\\uEF01\\u2028\""), JSON_STRING, 0, false},
	{TEXT("\"\\ud83d\\ude00\""), JSON_STRING, 0, false},
	{TEXT("\"\\ud800\""), JSON_STRING, 0, false},
	{TEXT("\"\\uDc00\\uD800\""), JSON_STRING, 0, false},
	{TEXT("\"\\ud800\\n\""), JSON_STRING, 0, false},
	{TEXT("\"\\uD800abc\""), JSON_STRING, 0, false},
	{TEXT("\"\\ud83d\\ud83d\\ude00\""), JSON_STRING, 0, false},
	{TEXT("\"\\ufffe\\uffff\""), JSON_STRING, 0, false},
	/* characters */
	{TEXT("\"\xc3\xa9\""), JSON_STRING, 0, false},
	{TEXT("\"\xe2\x82\xac\xf0\x9d\x84\x9e\""), JSON_STRING, 0, false},
	{TEXT("\"\xe2\x80\xa8\xe2\x80\xa9\""), JSON_STRING, 0, false},
	{TEXT("\"\xef\xbf\xbe\xef\xbb\xbf\""), JSON_STRING, 0, false},
	{TEXT("{\"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87\":\"\xe4\xb8\xad\xe6\x96\x87\"}"), JSON_OBJECT, 1, false},
	/* arrays */
	{TEXT("[]"), JSON_ARRAY, 0, false},
	{TEXT("[ ]"), JSON_ARRAY, 0, true},
	{TEXT("[\t\r\n]"), JSON_ARRAY, 0, true},
	{TEXT("[[]]"), JSON_ARRAY, 1, false},
	{TEXT("[[],[[]]]"), JSON_ARRAY, 2, false},
	{TEXT("[\"\"]"), JSON_ARRAY, 1, false},
	{TEXT("[null,1,\"1\",{}]"), JSON_ARRAY, 4, false},
	{TEXT("[1,null,null,null,2]"), JSON_ARRAY, 5, false},
	{TEXT("[[1,2,3],[4,5]]"), JSON_ARRAY, 2, false},
	{TEXT(" [1] "), JSON_ARRAY, 1, false},
	{TEXT("[1 ]"), JSON_ARRAY, 1, true},
	{TEXT("[ 1]"), JSON_ARRAY, 1, true},
	{TEXT("[1, 2]"), JSON_ARRAY, 2, true},
	{TEXT("[1\n,2]"), JSON_ARRAY, 2, true},
	{TEXT("[\"a b\"]"), JSON_ARRAY, 1, false},
	{TEXT("[[[ ]]]"), JSON_ARRAY, 1, true},
	{TEXT("[false]\n"), JSON_ARRAY, 1, false},
	/* objects */
	{TEXT("{}"), JSON_OBJECT, 0, false},
	{TEXT("{ }"), JSON_OBJECT, 0, true},
	{TEXT("{\"\":0}"), JSON_OBJECT, 1, false},
	{TEXT("{\"a\":1}"), JSON_OBJECT, 1, false},
	{TEXT("{\"a\":\"b\",\"a\":\"b\"}"), JSON_OBJECT, 2, false},
	{TEXT("{\"a\":[],\"b\":{\"c\":{}},\"d\":null}"), JSON_OBJECT, 3, false},
	{TEXT("{\"a\":[1,2,3],\"b\":{\"x\":1,\"y\":2}}"), JSON_OBJECT, 2, false},
	{TEXT("{\"a\\u0000b\":1}"), JSON_OBJECT, 1, false},
	{TEXT("{ \"a\":1}"), JSON_OBJECT, 1, true},
	{TEXT("{\"a\" :1}"), JSON_OBJECT, 1, true},
	{TEXT("{\"a\": 1}"), JSON_OBJECT, 1, true},
	{TEXT("{\"a\":1 }"), JSON_OBJECT, 1, true},
	{TEXT("{\"a\":1,\n\"b\":2}"), JSON_OBJECT, 2, true},
	{TEXT("{\"a b\":\" \"}"), JSON_OBJECT, 1, false},
	{TEXT("\r\n\t {\"min\":-1.0e+28,\"max\":1.0e+28}\r\n\t "), JSON_OBJECT, 2, false},
};

static const struct {
	const char *text;
	size_t n;
	enum json_error error;
	size_t where;
} bad[] = {
	/* nothing, or not all */
	{TEXT(""), JSON_END, 0},
	{TEXT(" \t\r\n"), JSON_END, 4},
	{TEXT("["), JSON_END, 1},
	{TEXT("{"), JSON_END, 1},
	{TEXT("[1,"), JSON_END, 3},
	{TEXT("[1"), JSON_END, 2},
	{TEXT("[[]"), JSON_END, 3},
	{TEXT("{\"a\""), JSON_END, 4},
	{TEXT("{\"a\":"), JSON_END, 5},
	{TEXT("{\"a\":1"), JSON_END, 6},
	{TEXT("{\"a\":1,"), JSON_END, 7},
	{TEXT("\""), JSON_END, 1},
	{TEXT("\"a"), JSON_END, 2},
	{TEXT("\"\\"), JSON_END, 2},
	{TEXT("\"\\\""), JSON_END, 3},
	{TEXT("\"\\u"), JSON_END, 3},
	{TEXT("\"\\u00"), JSON_END, 5},
	{TEXT("\"\\ud800\\u"), JSON_END, 9},
	{TEXT("\"\xe2\x82"), JSON_END, 3},
	{TEXT("tru"), JSON_END, 3},
	{TEXT("[fals"), JSON_END, 5},
	{TEXT("n"), JSON_END, 1},
	{TEXT("-"), JSON_END, 1},
	{TEXT("1."), JSON_END, 2},
	{TEXT("1e"), JSON_END, 2},
	{TEXT("1e+"), JSON_END, 3},
	/* words */
	{TEXT("True"), JSON_SYNTAX, 0},
	{TEXT("TRUE"), JSON_SYNTAX, 0},
	{TEXT("tRUE"), JSON_SYNTAX, 1},
	{TEXT("nul1"), JSON_SYNTAX, 3},
	{TEXT("nullx"), JSON_SYNTAX, 4},
	{TEXT("[truefalse]"), JSON_SYNTAX, 5},
	{TEXT("[nul]"), JSON_SYNTAX, 4},
	{TEXT("undefined"), JSON_SYNTAX, 0},
	{TEXT("NaN"), JSON_SYNTAX, 0},
	{TEXT("nan"), JSON_SYNTAX, 1},
	{TEXT("[-NaN]"), JSON_SYNTAX, 2},
	{TEXT("Infinity"), JSON_SYNTAX, 0},
	{TEXT("[-Infinity]"), JSON_SYNTAX, 2},
	{TEXT("Inf"), JSON_SYNTAX, 0},
	{TEXT("a"), JSON_SYNTAX, 0},
	/* numbers */
	{TEXT("01"), JSON_SYNTAX, 1},
	{TEXT("-01"), JSON_SYNTAX, 2},
	{TEXT("00"), JSON_SYNTAX, 1},
	{TEXT("[012]"), JSON_SYNTAX, 2},
	{TEXT("+1"), JSON_SYNTAX, 0},
	{TEXT("++1"), JSON_SYNTAX, 0},
	{TEXT("--1"), JSON_SYNTAX, 1},
	{TEXT("-x"), JSON_SYNTAX, 1},
	{TEXT("- 1"), JSON_SYNTAX, 1},
	{TEXT(".5"), JSON_SYNTAX, 0},
	{TEXT("-.5"), JSON_SYNTAX, 1},
	{TEXT("[1.]"), JSON_SYNTAX, 3},
	{TEXT("1.e5"), JSON_SYNTAX, 2},
	{TEXT("0.e1"), JSON_SYNTAX, 2},
	{TEXT("1.2.3"), JSON_SYNTAX, 3},
	{TEXT("1.-2"), JSON_SYNTAX, 2},
	{TEXT("[1e]"), JSON_SYNTAX, 3},
	{TEXT("[1e+]"), JSON_SYNTAX, 4},
	{TEXT("1e++1"), JSON_SYNTAX, 3},
	{TEXT("1ee1"), JSON_SYNTAX, 2},
	{TEXT("1e1.5"), JSON_SYNTAX, 3},
	{TEXT("0x10"), JSON_SYNTAX, 1},
	{TEXT("1 000"), JSON_SYNTAX, 2},
	{TEXT("1_000"), JSON_SYNTAX, 1},
	{TEXT("1,5"), JSON_SYNTAX, 1},
	{TEXT("1f"), JSON_SYNTAX, 1},
	{TEXT("1+2"), JSON_SYNTAX, 1},
	{TEXT("1-"), JSON_SYNTAX, 1},
	{TEXT("$1"), JSON_SYNTAX, 0},
	{TEXT("[12345678901234567890123456789a]"), JSON_SYNTAX, 30},
	{TEXT("[1/234567890123456789]"), JSON_SYNTAX, 2},
	{TEXT("[1:234567890123456789]"), JSON_SYNTAX, 2},
	{TEXT("[\xef\xbc\x91]"), JSON_SYNTAX, 1},
	/* strings and escapes */
	{TEXT("'a'"), JSON_SYNTAX, 0},
	{TEXT("\"a\nb\""), JSON_SYNTAX, 2},
	{TEXT("\"a\tb\""), JSON_SYNTAX, 2},
	{TEXT("\"\x1f\""), JSON_SYNTAX, 1},
	{TEXT("\"a\0b\""), JSON_SYNTAX, 2},
	{TEXT("\"a far longer string with a raw newline after a row\nor more\""), JSON_SYNTAX, 51},
	{TEXT("\"\\a\""), JSON_SYNTAX, 2},
	{TEXT("\"\\'\""), JSON_SYNTAX, 2},
	{TEXT("\"\\0\""), JSON_SYNTAX, 2},
	{TEXT("\"\\\0\""), JSON_SYNTAX, 2},
	{TEXT("\"\\x00\""), JSON_SYNTAX, 2},
	{TEXT("\"\\U0041\""), JSON_SYNTAX, 2},
	{TEXT("\"\\ \""), JSON_SYNTAX, 2},
	{TEXT("\"\\\n\""), JSON_SYNTAX, 2},
	{TEXT("\"\\\xc3\xa9\""), JSON_SYNTAX, 2},
	{TEXT("\"\\u\""), JSON_SYNTAX, 3},
	{TEXT("\"\\u00A\""), JSON_SYNTAX, 6},
	{TEXT("\"\\u00gg\""), JSON_SYNTAX, 5},
	{TEXT("\"\\u00/0\""), JSON_SYNTAX, 5},
	{TEXT("\"\\u00:0\""), JSON_SYNTAX, 5},
	{TEXT("\"\\u00@0\""), JSON_SYNTAX, 5},
	{TEXT("\"\\u00`0\""), JSON_SYNTAX, 5},
	{TEXT("\"\\u+123\""), JSON_SYNTAX, 3},
	{TEXT("\"\\u 123\""), JSON_SYNTAX, 3},
	{TEXT("\"\\ud800\\u1\""), JSON_SYNTAX, 10},
	{TEXT("\"\\ud800\\x\""), JSON_SYNTAX, 8},
	{TEXT("[\\u0022a\\u0022]"), JSON_SYNTAX, 1},
	{TEXT("[\"a\"\"b\"]"), JSON_SYNTAX, 4},
	{TEXT("\"a\"b\""), JSON_SYNTAX, 3},
	/* not UTF-8, or not the UTF it must be */
	{TEXT("\"\x80\""), JSON_UTF8, 1},
	{TEXT("\"\xff\""), JSON_UTF8, 1},
	{TEXT("[\xff]"), JSON_UTF8, 1},
	{TEXT("\xc3"), JSON_SYNTAX, 0},
	{TEXT("[1]\xff"), JSON_UTF8, 3},
	{TEXT("\"\xc3\""), JSON_UTF8, 1},
	{TEXT("\"a\xe9\""), JSON_UTF8, 2},
	{TEXT("{\"\xb9\":1}"), JSON_UTF8, 2},
	{TEXT("\xef\xbb\xbf"), JSON_SYNTAX, 0},
	{TEXT("\xef\xbb\xbf{}"), JSON_SYNTAX, 0},
	{TEXT("\xff\xfe[\0]\0"), JSON_UTF8, 0},
	{TEXT("\xfe\xff\0[\0]"), JSON_UTF8, 0},
	{TEXT("[\0]\0"), JSON_SYNTAX, 1},
	{TEXT("\0[\0]"), JSON_SYNTAX, 0},
	{TEXT("\0\0\0[\0\0\0]"), JSON_SYNTAX, 0},
	{TEXT("\xc3\xa9"), JSON_SYNTAX, 0},
	{TEXT("[\xe2\x82\xac]"), JSON_SYNTAX, 1},
	/* arrays */
	{TEXT("]"), JSON_SYNTAX, 0},
	{TEXT("[,]"), JSON_SYNTAX, 1},
	{TEXT("[,1]"), JSON_SYNTAX, 1},
	{TEXT("[1,]"), JSON_SYNTAX, 3},
	{TEXT("[1,,2]"), JSON_SYNTAX, 3},
	{TEXT("[1,,]"), JSON_SYNTAX, 3},
	{TEXT("[1 2]"), JSON_SYNTAX, 3},
	{TEXT("[1;2]"), JSON_SYNTAX, 2},
	{TEXT("[\"a\" 1]"), JSON_SYNTAX, 5},
	{TEXT("[1:2]"), JSON_SYNTAX, 2},
	{TEXT("[\"a\":1]"), JSON_SYNTAX, 4},
	{TEXT("[:1]"), JSON_SYNTAX, 1},
	{TEXT("[1}"), JSON_SYNTAX, 2},
	{TEXT("[}"), JSON_SYNTAX, 1},
	{TEXT("[[1]}"), JSON_SYNTAX, 4},
	{TEXT("[{]"), JSON_SYNTAX, 2},
	{TEXT("[3[4]]"), JSON_SYNTAX, 2},
	{TEXT("[1]]"), JSON_SYNTAX, 3},
	{TEXT("[*]"), JSON_SYNTAX, 1},
	{TEXT("(1)"), JSON_SYNTAX, 0},
	{TEXT("<null>"), JSON_SYNTAX, 0},
	/* objects */
	{TEXT("}"), JSON_SYNTAX, 0},
	{TEXT("{]"), JSON_SYNTAX, 1},
	{TEXT("{,}"), JSON_SYNTAX, 1},
	{TEXT("{\"a\"}"), JSON_SYNTAX, 4},
	{TEXT("{\"a\":}"), JSON_SYNTAX, 5},
	{TEXT("{\"a\",1}"), JSON_SYNTAX, 4},
	{TEXT("{\"a\" 1}"), JSON_SYNTAX, 5},
	{TEXT("{\"a\"::1}"), JSON_SYNTAX, 5},
	{TEXT("{\"a\"=1}"), JSON_SYNTAX, 4},
	{TEXT("{\"a\":1,}"), JSON_SYNTAX, 7},
	{TEXT("{\"a\":1,,\"b\":2}"), JSON_SYNTAX, 7},
	{TEXT("{\"a\":1 \"b\":2}"), JSON_SYNTAX, 7},
	{TEXT("{\"a\":1;\"b\":2}"), JSON_SYNTAX, 6},
	{TEXT("{\"a\":1:2}"), JSON_SYNTAX, 6},
	{TEXT("{\"a\":1]"), JSON_SYNTAX, 6},
	{TEXT("{\"a\":1,2}"), JSON_SYNTAX, 7},
	{TEXT("{\"a\":1,[]}"), JSON_SYNTAX, 7},
	{TEXT("{:1}"), JSON_SYNTAX, 1},
	{TEXT("{1:1}"), JSON_SYNTAX, 1},
	{TEXT("{a:1}"), JSON_SYNTAX, 1},
	{TEXT("{'a':1}"), JSON_SYNTAX, 1},
	{TEXT("{null:1}"), JSON_SYNTAX, 1},
	{TEXT("{[]:1}"), JSON_SYNTAX, 1},
	{TEXT("{{}:1}"), JSON_SYNTAX, 1},
	{TEXT("{\"a\":{\"b\":1]}"), JSON_SYNTAX, 11},
	{TEXT("{\"a\":1}}"), JSON_SYNTAX, 7},
	/* white space, comments, more than one value */
	{TEXT("\f1"), JSON_SYNTAX, 0},
	{TEXT("\v1"), JSON_SYNTAX, 0},
	{TEXT("[\f]"), JSON_SYNTAX, 1},
	{TEXT("[1\b]"), JSON_SYNTAX, 2},
	{TEXT("[1,\x1f]"), JSON_SYNTAX, 3},
	{TEXT("[ \xc2\xa0]"), JSON_SYNTAX, 2},
	{TEXT("[\xe2\x81\xa0]"), JSON_SYNTAX, 1},
	{TEXT("[1] /* */"), JSON_SYNTAX, 4},
	{TEXT("// a\n1"), JSON_SYNTAX, 0},
	{TEXT("[1 // a\n]"), JSON_SYNTAX, 3},
	{TEXT("{} #"), JSON_SYNTAX, 3},
	{TEXT("{}{}"), JSON_SYNTAX, 2},
	{TEXT("{} {}"), JSON_SYNTAX, 3},
	{TEXT("[]\n[]"), JSON_SYNTAX, 3},
	{TEXT("1 2"), JSON_SYNTAX, 2},
	{TEXT("\"a\" \"b\""), JSON_SYNTAX, 4},
	{TEXT("{},"), JSON_SYNTAX, 2},
	{TEXT("{}\0"), JSON_SYNTAX, 2},
	{TEXT("{}a"), JSON_SYNTAX, 2},
	{TEXT("\x1e{}"), JSON_SYNTAX, 0},
};

/* Without the white space around. */
static struct span trimmed(const char *text, size_t n)
{
	size_t begin = strspn(text, " \t\r\n");
	while (n > begin && strchr(" \t\r\n", text[n - 1]) != NULL)
		n--;
	return (struct span){text + begin, n - begin};
}

static void accepts(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(good); i++)
		for (size_t b = 0; b < JSON_BUILDS; b++)
			for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
				const char *name = shown(good[i].text, good[i].n);
				struct exact exact = exact_copy(good[i].text, good[i].n, alignment);
				struct span raw = trimmed(good[i].text, good[i].n);
				struct json_value value;
				size_t where = 0;
				enum json_error error = scan(&json_builds[b], exact.text, exact.n, &value, &where);
				unit_check(error == JSON_OK, "%s, %s: %s at %zu", name, json_builds[b].name,
					   errors[error], where);
				unit_check(value.type == good[i].type, "%s: type %d", name, value.type);
				unit_check(value.count == good[i].count, "%s: count %u", name, value.count);
				unit_check(value.spaced == good[i].spaced, "%s", name);
				unit_check(value.raw.ptr - exact.text == raw.ptr - good[i].text, "%s", name);
				unit_check(value.raw.len == raw.len, "%s: length %zu", name, value.raw.len);
				free(exact.block);
			}
}

static void refuse(const char *text, size_t n, enum json_error expected, size_t expected_where)
{
	for (size_t b = 0; b < JSON_BUILDS; b++)
		for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
			struct exact exact = exact_copy(text, n, alignment);
			struct json_value value;
			size_t where = SIZE_MAX;
			enum json_error error = scan(&json_builds[b], exact.text, exact.n, &value, &where);
			unit_check(error == expected, "%s, %s: %s", shown(text, n), json_builds[b].name, errors[error]);
			unit_check(where == expected_where, "%s, %s: %zu", shown(text, n), json_builds[b].name, where);
			free(exact.block);
		}
}

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		refuse(bad[i].text, bad[i].n, bad[i].error, bad[i].where);
}

/* A text that is right but for its missing end is told from one that is wrong. */
static void cut_texts_end_too_early(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(good); i++)
		for (size_t n = 0; n < good[i].n; n++)
			for (size_t b = 0; b < JSON_BUILDS; b++) {
				struct exact exact = exact_copy(good[i].text, n, 0);
				struct span raw = trimmed(good[i].text, good[i].n);
				bool whole = n >= (size_t)(raw.ptr + raw.len - good[i].text);
				struct json_value value;
				size_t where = SIZE_MAX;
				enum json_error error = scan(&json_builds[b], exact.text, n, &value, &where);
				/* A number may end sooner, and be another one. */
				if (error == JSON_OK && (whole || good[i].type == JSON_NUMBER)) {
					free(exact.block);
					continue;
				}
				unit_check(error == JSON_END, "%s: %s", shown(good[i].text, n), errors[error]);
				unit_check(where == n, "%s: %zu", shown(good[i].text, n), where);
				free(exact.block);
			}
}

/* Nothing before the offending byte gives the error away, and nothing behind its character is needed for it. */
static void cut_texts_keep_their_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		for (size_t n = 0; n < bad[i].n; n++)
			for (size_t b = 0; b < JSON_BUILDS; b++) {
				struct exact exact = exact_copy(bad[i].text, n, 0);
				struct json_value value;
				size_t where = n;
				enum json_error error = scan(&json_builds[b], exact.text, n, &value, &where);
				if (n > bad[i].where + 4)
					unit_check(error == bad[i].error, "%s", shown(bad[i].text, n));
				if (n <= bad[i].where)
					unit_check(error == JSON_OK || error == JSON_END, "%s: %s",
						   shown(bad[i].text, n), errors[error]);
				if (error != JSON_OK && error != JSON_END)
					unit_check(where == bad[i].where, "%s: %zu", shown(bad[i].text, n), where);
				if (error == JSON_END)
					unit_check(where == n, "%s: %zu", shown(bad[i].text, n), where);
				free(exact.block);
			}
}

struct outcome {
	enum json_error error;
	size_t where;
};

/* What comes of `"xx?xx"` with this byte for the question mark. */
static struct outcome foresee(unsigned c, size_t before, size_t behind)
{
	if (c < 0x20)
		return (struct outcome){JSON_SYNTAX, 1 + before};
	if (c == '"' || (c == '\\' && behind > 0))
		return (struct outcome){JSON_SYNTAX, 1 + before + 1};
	if (c == '\\')
		return (struct outcome){JSON_END, 1 + before + 1 + 1};
	if (c >= 0x80)
		return (struct outcome){JSON_UTF8, 1 + before};
	return (struct outcome){JSON_OK, 0};
}

/* Every byte in every place of a string up to where rows repeat, with many lengths behind it. */
static void looks_at_each_byte_of_a_string(void **state)
{
	(void)state;
	char text[80];
	for (unsigned c = 0; c < 256; c++)
		for (size_t before = 0; before < 36; before++)
			for (size_t behind = 0; behind < 36; behind += 5) {
				size_t n = 1 + before + 1 + behind + 1;
				memset(text, 'x', n);
				text[0] = text[n - 1] = '"';
				text[1 + before] = (char)c;
				struct outcome expected = foresee(c, before, behind);
				for (size_t b = 0; b < JSON_BUILDS; b++) {
					struct exact exact = exact_copy(text, n, 0);
					struct json_value value;
					size_t where = 0;
					enum json_error error = scan(&json_builds[b], exact.text, n, &value, &where);
					unit_check(error == expected.error && where == expected.where,
						   "%02x, %zu before, %zu behind, %s: %s at %zu", c, before, behind,
						   json_builds[b].name, errors[error], where);
					free(exact.block);
				}
			}
}

/* RFC 3629, section 4: the first and last of each form, and their neighbours outside. */
static const struct {
	const char *bytes;
	bool right;
} characters[] = {
	{"\x7f", true},
	{"\xc2\x80", true},
	{"\xdf\xbf", true},
	{"\xe0\xa0\x80", true},
	{"\xe0\xbf\xbf", true},
	{"\xe1\x80\x80", true},
	{"\xec\xbf\xbf", true},
	{"\xed\x80\x80", true},
	{"\xed\x9f\xbf", true},
	{"\xee\x80\x80", true},
	{"\xef\xbf\xbf", true},
	{"\xf0\x90\x80\x80", true},
	{"\xf0\xbf\xbf\xbf", true},
	{"\xf1\x80\x80\x80", true},
	{"\xf3\xbf\xbf\xbf", true},
	{"\xf4\x80\x80\x80", true},
	{"\xf4\x8f\xbf\xbf", true},
	{"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", true},
	{"\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87\xe4\xb8\xad\xe6\x96\x87", true},
	{"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80", true},
	/* trailing bytes without a lead, leads without enough of them, too many of them */
	{"\x80", false},
	{"\xbf", false},
	{"\xc2", false},
	{"\xc2"
	 "a",
	 false},
	{"\xc2\xc2\x80", false},
	{"\xdf\x7f", false},
	{"\xdf\xc0", false},
	{"\xe1\x80", false},
	{"\xe1\x80"
	 "a",
	 false},
	{"\xe1\x7f\x80", false},
	{"\xe1\xc0\x80", false},
	{"\xe1\x80\xc0", false},
	{"\xf1\x80\x80", false},
	{"\xf1\x80\x80"
	 "a",
	 false},
	{"\xf1\x7f\x80\x80", false},
	{"\xf1\x80\x7f\x80", false},
	{"\xf1\x80\x80\x7f", false},
	{"\xf1\x80\x80\xc0", false},
	/* overlong */
	{"\xc0\x80", false},
	{"\xc0\xaf", false},
	{"\xc1\xbf", false},
	{"\xe0\x80\x80", false},
	{"\xe0\x9f\xbf", false},
	{"\xf0\x80\x80\x80", false},
	{"\xf0\x8f\xbf\xbf", false},
	/* surrogates */
	{"\xed\xa0\x80", false},
	{"\xed\xaf\xbf", false},
	{"\xed\xb0\x80", false},
	{"\xed\xbf\xbf", false},
	{"\xed\xa0\xbd\xed\xb8\x80", false},
	/* above U+10FFFF, and what never leads */
	{"\xf4\x90\x80\x80", false},
	{"\xf4\xbf\xbf\xbf", false},
	{"\xf5\x80\x80\x80", false},
	{"\xf8\x88\x80\x80\x80", false},
	{"\xfc\x84\x80\x80\x80\x80", false},
	{"\xfe", false},
	{"\xff", false},
};

static const char *const fillers[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

static void knows_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(characters); i++)
		for (size_t f = 0; f < UNIT_COUNT(fillers); f++)
			for (size_t before = 0; before < 36; before++)
				for (size_t behind = 0; behind < 36; behind += 3) {
					char text[400];
					int n = 1;
					text[0] = '"';
					for (size_t k = 0; k < before; k++)
						n += sprintf(text + n, "%s", k % 4 == 0 ? fillers[f] : "b");
					int at = n;
					n += sprintf(text + n, "%s", characters[i].bytes);
					for (size_t k = 0; k < behind; k++)
						n += sprintf(text + n, "%s", k % 4 == 3 ? fillers[f] : "b");
					text[n++] = '"';
					for (size_t b = 0; b < JSON_BUILDS; b++) {
						struct exact exact = exact_copy(text, (size_t)n, 0);
						struct json_value value;
						size_t where = 0;
						enum json_error error =
							scan(&json_builds[b], exact.text, exact.n, &value, &where);
						enum json_error expected = characters[i].right ? JSON_OK : JSON_UTF8;
						unit_check(error == expected, "row %zu, %s, %s: %s", i,
							   shown(text, exact.n), json_builds[b].name, errors[error]);
						if (error != JSON_OK)
							unit_check(where == (size_t)at, "row %zu, %s: %zu", i,
								   shown(text, exact.n), where);
						free(exact.block);
					}
				}
}

/* Every lead with every second byte, and some third and fourth ones: too many for rows, so they are counted. */
static void counts_the_forms_of_utf8(void **state)
{
	(void)state;
	static const char thirds[] = {0x60, (char)0x80, (char)0xa0, (char)0xc0}, fourths[] = {'a', (char)0xbf};
	char text[] = "\"1234 and enough behind it for a row\"";
	for (size_t b = 0; b < JSON_BUILDS; b++) {
		size_t accepted = 0;
		for (unsigned lead = 0x80; lead < 0x100; lead++)
			for (unsigned second = 0; second < 0x100; second++)
				for (unsigned rest = 0; rest < 8; rest++) {
					struct json_value value;
					size_t where = 0;
					text[1] = (char)lead;
					text[2] = (char)second;
					text[3] = thirds[rest % 4];
					text[4] = fourths[rest / 4];
					accepted +=
						scan(&json_builds[b], text, sizeof text - 1, &value, &where) == JSON_OK;
				}
		/* Two bytes: 30 leads, 64 seconds, then the ASCII third and fourth. Three bytes: 16 leads, 64 seconds,
		 * but 32 behind 0xe0 and 0xed, 2 thirds, the ASCII fourth. Four: 5 leads, 48 seconds behind the first
		 * and 16 behind the last, 2 thirds, the other fourth. */
		assert_int_equal(accepted, 30 * 64 + (14 * 64 + 2 * 32) * 2 + (48 + 3 * 64 + 16) * 2);
	}
}

static size_t nested(struct buf *text, const char *open, const char *inner, const char *close, size_t depth)
{
	text->len = 0;
	for (size_t i = 0; i < depth; i++)
		assert_int_equal(buf_str(text, open), 0);
	assert_int_equal(buf_str(text, inner), 0);
	for (size_t i = 0; i < depth; i++)
		assert_int_equal(buf_str(text, close), 0);
	return text->len;
}

static const struct {
	const char *open, *inner, *close;
} nestings[] = {
	{"[", "", "]"},         {"[", "1", "]"},        {"[ ", "", " ]"},
	{"{\"a\":", "{}", "}"}, {"{\"a\":", "[]", "}"}, {"[{\"a\":", "null", "}]"},
	{"[1,", "[]", ",2]"},
};

static void goes_as_deep_as_it_says(void **state)
{
	(void)state;
	struct buf text = {0};
	for (size_t i = 0; i < UNIT_COUNT(nestings); i++)
		for (size_t b = 0; b < JSON_BUILDS; b++) {
			struct json_value value;
			size_t where = 0;
			bool container = nestings[i].inner[0] == '[' || nestings[i].inner[0] == '{';
			size_t levels = nestings[i].open[0] == '[' && nestings[i].open[1] == '{' ? 2 : 1;
			size_t depth = (JSON_DEPTH - container) / levels;
			size_t n = nested(&text, nestings[i].open, nestings[i].inner, nestings[i].close, depth);
			unit_check(scan(&json_builds[b], text.data, n, &value, &where) == JSON_OK, "row %zu", i);
			n = nested(&text, nestings[i].open, nestings[i].inner, nestings[i].close, depth + 1);
			unit_check(scan(&json_builds[b], text.data, n, &value, &where) == JSON_DEEP, "row %zu", i);
			/* The bracket that is too much. */
			size_t last = (depth + 1 - !container) * strlen(nestings[i].open);
			unit_check(where == last, "row %zu: %zu, not %zu", i, where, last);
		}
	buf_fini(&text);
}

static void does_not_follow_a_million_brackets(void **state)
{
	(void)state;
	static const char *const opens[] = {"[", "{\"a\":", "[{\"a\":"};
	struct buf text = {0};
	for (size_t i = 0; i < UNIT_COUNT(opens); i++)
		for (size_t b = 0; b < JSON_BUILDS; b++) {
			struct json_value value;
			size_t where = 0, n = nested(&text, opens[i], "", "", 1000000);
			unit_check(scan(&json_builds[b], text.data, n, &value, &where) == JSON_DEEP, "%s", opens[i]);
			unit_check(where <= JSON_DEPTH * strlen(opens[i]), "%s: %zu", opens[i], where);
		}
	buf_fini(&text);
}

/* Enough levels closed and opened again do not count as deep. */
static void forgets_closed_levels(void **state)
{
	(void)state;
	struct buf text = {0};
	assert_int_equal(buf_str(&text, "[[]"), 0);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(buf_str(&text, ",{\"a\":[[]]},[{}]"), 0);
	assert_int_equal(buf_char(&text, ']'), 0);
	for (size_t b = 0; b < JSON_BUILDS; b++) {
		struct json_value value;
		size_t where = 0;
		assert_int_equal(scan(&json_builds[b], text.data, text.len, &value, &where), JSON_OK);
		assert_int_equal(value.count, 200001);
	}
	buf_fini(&text);
}

static const char *const types[] = {"null", "false", "true", "number", "string", "array", "object"};

static const struct {
	const char *container, *members;
} walks[] = {
	{"[]", ""},
	{"{}", ""},
	{"[ \n]", ""},
	{"{ \n}", ""},
	{"[1]", "number 1;"},
	{"[1,2]", "number 1;number 2;"},
	{"[-0.5e+7,true , false,null]", "number -0.5e+7;true true;false false;null null;"},
	{"[\"\",\"]\",\"\\\"\"]", "string \"\";string \"]\";string \"\\\"\";"},
	{"[[]]", "array 0 [];"},
	{"[[ ]]", "array 0 spaced [ ];"},
	{"[ [] ]", "array 0 [];"},
	{"[ [1], [ 2,3 ] ,{} ]", "array 1 [1];array 2 spaced [ 2,3 ];object 0 {};"},
	{"[[[1,2],[3,4]],{\"a\":[1,2,3]}]", "array 2 [[1,2],[3,4]];object 1 {\"a\":[1,2,3]};"},
	{"[[\" , \"],[\" \", \" \"]]", "array 1 [\" , \"];array 2 spaced [\" \", \" \"];"},
	{"[[\"\\\\\" , \"\\\\\\\"\"],1]", "array 2 spaced [\"\\\\\" , \"\\\\\\\"\"];number 1;"},
	{"{\"a\":1}", "\"a\"=number 1;"},
	{"{\"a\":1,\"b\":\"x\"}", "\"a\"=number 1;\"b\"=string \"x\";"},
	{"{ \"a\" : 1 , \"b\" :\t[ ] }", "\"a\"=number 1;\"b\"=array 0 spaced [ ];"},
	{"{\"\":{\"\":{}},\"}\":[\"}\"]}", "\"\"=object 1 {\"\":{}};\"}\"=array 1 [\"}\"];"},
	{"{\"a\":1,\"a\":2}", "\"a\"=number 1;\"a\"=number 2;"},
	{"{\"d\\u0061ta\":\"\\ud83d\\ude00\",\"\\\"\":null}",
	 "\"d\\u0061ta\"=string \"\\ud83d\\ude00\";\"\\\"\"=null null;"},
	{"[[\"64 bytes and more of a string that holds brackets [[[[ and , , ,\",[2],{\"b\":3}],4]",
	 "array 3 [\"64 bytes and more of a string that holds brackets [[[[ and , , ,\",[2],{\"b\":3}];number 4;"},
	{"[[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37],0]",
	 "array 37 "
	 "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37];"
	 "number 0;"},
};

static void describe(const struct json_build *build, const struct json_value *container, struct buf *out)
{
	struct json_walk walk;
	build->walk_begin(&walk, container);
	while (build->walk_next(&walk)) {
		bool holds = walk.value.type == JSON_ARRAY || walk.value.type == JSON_OBJECT;
		if (walk.key.ptr != NULL)
			assert_int_equal(buf_printf(out, "%.*s=", (int)walk.key.len, walk.key.ptr), 0);
		assert_int_equal(buf_printf(out, "%s ", types[walk.value.type]), 0);
		if (holds)
			assert_int_equal(buf_printf(out, "%u %s", walk.value.count, walk.value.spaced ? "spaced " : ""),
					 0);
		assert_true(holds || (walk.value.count == 0 && !walk.value.spaced));
		assert_int_equal(buf_printf(out, "%.*s;", (int)walk.value.raw.len, walk.value.raw.ptr), 0);
	}
	assert_false(build->walk_next(&walk));
}

static void walks_over_what_is_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(walks); i++)
		for (size_t b = 0; b < JSON_BUILDS; b++)
			for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
				struct exact exact =
					exact_copy(walks[i].container, strlen(walks[i].container), alignment);
				struct buf out = {0};
				struct json_value value;
				size_t where = 0;
				assert_int_equal(scan(&json_builds[b], exact.text, exact.n, &value, &where), JSON_OK);
				describe(&json_builds[b], &value, &out);
				assert_non_null(buf_cstr(&out));
				unit_check(strcmp(out.data, walks[i].members) == 0, "%s, %s: %s", walks[i].container,
					   json_builds[b].name, out.data);
				buf_fini(&out);
				free(exact.block);
			}
}

static void walks_over_nothing_in_a_scalar(void **state)
{
	(void)state;
	static const char *const scalars[] = {"null", "12", "\"ab\"", "true"};
	for (size_t i = 0; i < UNIT_COUNT(scalars); i++)
		for (size_t b = 0; b < JSON_BUILDS; b++) {
			struct json_value value;
			struct json_walk walk;
			size_t where = 0;
			assert_int_equal(scan(&json_builds[b], scalars[i], strlen(scalars[i]), &value, &where),
					 JSON_OK);
			json_builds[b].walk_begin(&walk, &value);
			unit_check(!json_builds[b].walk_next(&walk), "%s", scalars[i]);
		}
}

/* Text that was not scanned: the walk ends, and stays inside. */
static void walk_inside(const char *text, size_t n)
{
	for (size_t b = 0; b < JSON_BUILDS; b++)
		for (enum json_type type = JSON_ARRAY; type <= JSON_OBJECT; type++) {
			struct exact exact = exact_copy(text, n, 0);
			struct json_value value = {.type = type, .raw = {exact.text, n}};
			struct json_walk walk;
			size_t steps = 0;
			json_builds[b].walk_begin(&walk, &value);
			while (json_builds[b].walk_next(&walk)) {
				const char *end = walk.value.raw.ptr + walk.value.raw.len;
				unit_check(walk.value.raw.ptr >= exact.text && end <= exact.text + n, "%s",
					   shown(text, n));
				unit_check(walk.value.raw.len > 0 && ++steps <= n, "%s", shown(text, n));
			}
			free(exact.block);
		}
}

static void never_leaves_unscanned_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		for (size_t n = 0; n <= bad[i].n; n++)
			walk_inside(bad[i].text, n);
	for (size_t i = 0; i < UNIT_COUNT(good); i++)
		for (size_t n = 0; n < good[i].n; n++)
			walk_inside(good[i].text, n);
	for (size_t i = 0; i < UNIT_COUNT(walks); i++)
		for (size_t n = 0; n < strlen(walks[i].container); n++)
			walk_inside(walks[i].container, n);
}

static const struct {
	const char *before, *behind;
} spacings[] = {
	{"1", "1"},
	{" 1 ", "1"},
	{"[]", "[]"},
	{"[ ]", "[]"},
	{"[1,2]", "[1,2]"},
	{"[1, 2 ,\t3\r\n]", "[1,2,3]"},
	{" {\n\t\"a b\" : \" c \" ,\n\t\"d\": [ ]\n}\n", "{\"a b\":\" c \",\"d\":[]}"},
	{"[\" \", \"\\\" \", \"\\\\\" , \"\\\\\\\" \" ]", "[\" \",\"\\\" \",\"\\\\\",\"\\\\\\\" \"]"},
	{"\" a  b \"", "\" a  b \""},
	{"[ \"a string over the end of a piece of sixty-four bytes, with  spaces  in it\" , 1 ]",
	 "[\"a string over the end of a piece of sixty-four bytes, with  spaces  in it\",1]"},
	{"                                                                                                 [ 1 ]",
	 "[1]"},
	{"[ 1e400 , -0 , 0.10 , \"\\ud800 \\/\" ]", "[1e400,-0,0.10,\"\\ud800 \\/\"]"},
};

static void compacts(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(spacings); i++)
		for (size_t b = 0; b < JSON_BUILDS; b++)
			for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
				struct exact exact =
					exact_copy(spacings[i].before, strlen(spacings[i].before), alignment);
				size_t n = json_builds[b].compact(exact.text, exact.n);
				unit_check(unit_same((struct span){exact.text, n}, spacings[i].behind), "%s, %s: %.*s",
					   spacings[i].before, json_builds[b].name, (int)n, exact.text);
				free(exact.block);
			}
	for (size_t b = 0; b < JSON_BUILDS; b++)
		assert_int_equal(json_builds[b].compact(NULL, 0), 0);
}

/* A row of backslashes of every length, everywhere within a piece: is the quote behind it the end of the string? */
static void counts_backslashes_over_pieces(void **state)
{
	(void)state;
	for (size_t before = 0; before < 70; before++)
		for (size_t slashes = 0; slashes < 140; slashes++)
			for (size_t b = 0; b < JSON_BUILDS; b++) {
				char text[300];
				int n = sprintf(text, "[\"");
				memset(text + n, 'x', before);
				n += (int)before;
				memset(text + n, '\\', slashes);
				n += (int)slashes;
				/* Odd: the quote is escaped, and all the rest is string. */
				n += sprintf(text + n, slashes % 2 != 0 ? "\" , [\"" : "\" , []");
				n += sprintf(text + n, "]");
				struct exact exact = exact_copy(text, (size_t)n, 0);
				struct json_value value;
				size_t where = 0, expected = exact.n - (slashes % 2 != 0 ? 0 : 2);
				assert_int_equal(scan(&json_builds[b], exact.text, exact.n, &value, &where), JSON_OK);
				unit_check(value.count == 2 - slashes % 2, "%s: %u", text, value.count);
				struct json_walk walk;
				struct json_value outer = {.type = JSON_ARRAY};
				struct buf wrapped = {0};
				assert_int_equal(buf_printf(&wrapped, "[%s]", text), 0);
				outer.raw = (struct span){wrapped.data, wrapped.len};
				json_builds[b].walk_begin(&walk, &outer);
				assert_true(json_builds[b].walk_next(&walk));
				unit_check(walk.value.count == value.count, "%s: %u", text, walk.value.count);
				unit_check(walk.value.spaced == (slashes % 2 == 0), "%s", text);
				unit_check(json_builds[b].compact(exact.text, exact.n) == expected, "%s", text);
				buf_fini(&wrapped);
				free(exact.block);
			}
}

static const struct {
	const char *token;
	const char *text;
	size_t n;
	bool lossy;
} decoded[] = {
	{"\"\"", TEXT(""), false},
	{"\"abc\"", TEXT("abc"), false},
	{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", TEXT("\"\\/\b\f\n\r\t"), false},
	{"\"a\\nb\\nc\"", TEXT("a\nb\nc"), false},
	{"\"\\u0000\"", TEXT("\0"), false},
	{"\"x\\u0000y\"", TEXT("x\0y"), false},
	{"\"\\u0041\\u007f\"", TEXT("A\x7f"), false},
	{"\"\\u0080\\u07ff\"", TEXT("\xc2\x80\xdf\xbf"), false},
	{"\"\\u0800\\uffff\"", TEXT("\xe0\xa0\x80\xef\xbf\xbf"), false},
	{"\"\\ud7ff\\ue000\"", TEXT("\xed\x9f\xbf\xee\x80\x80"), false},
	{"\"\\u20AC\\u20ac\"", TEXT("\xe2\x82\xac\xe2\x82\xac"), false},
	{"\"\\ud800\\udc00\"", TEXT("\xf0\x90\x80\x80"), false},
	{"\"\\uDBFF\\uDFFF\"", TEXT("\xf4\x8f\xbf\xbf"), false},
	{"\"\\ud83d\\ude00!\"", TEXT("\xf0\x9f\x98\x80!"), false},
	{"\"\\ufffd\"", TEXT("\xef\xbf\xbd"), false},
	{"\"\xc3\xa9\\u00e9\"", TEXT("\xc3\xa9\xc3\xa9"), false},
	{"\"\\\\u0041\"", TEXT("\\u0041"), false},
	{"\"\\ud800\"", TEXT("\xef\xbf\xbd"), true},
	{"\"\\udbff\"", TEXT("\xef\xbf\xbd"), true},
	{"\"\\udc00\"", TEXT("\xef\xbf\xbd"), true},
	{"\"\\udfff\"", TEXT("\xef\xbf\xbd"), true},
	{"\"\\ud800a\"",
	 TEXT("\xef\xbf\xbd"
	      "a"),
	 true},
	{"\"\\ud800\\n\"", TEXT("\xef\xbf\xbd\n"), true},
	{"\"\\ud800\\u0041\"",
	 TEXT("\xef\xbf\xbd"
	      "A"),
	 true},
	{"\"\\ud800\\ue000\"", TEXT("\xef\xbf\xbd\xee\x80\x80"), true},
	{"\"\\ud800\\udbff\"", TEXT("\xef\xbf\xbd\xef\xbf\xbd"), true},
	{"\"\\udc00\\ud800\"", TEXT("\xef\xbf\xbd\xef\xbf\xbd"), true},
	{"\"\\ud83d\\ud83d\\ude00\"", TEXT("\xef\xbf\xbd\xf0\x9f\x98\x80"), true},
	{"\"\\ud800\\\\udc00\"", TEXT("\xef\xbf\xbd\\udc00"), true},
	{"\"\\ud800 \\udc00\"", TEXT("\xef\xbf\xbd \xef\xbf\xbd"), true},
};

static void decodes(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(decoded); i++)
		for (size_t b = 0; b < JSON_BUILDS; b++) {
			struct exact exact = exact_copy(decoded[i].token, strlen(decoded[i].token), 0);
			struct span token = {exact.text, exact.n};
			struct buf out = {0};
			bool lossy = false;
			assert_int_equal(buf_str(&out, "before"), 0);
			unit_check(json_builds[b].decode_string(token, &out, &lossy) == 0, "%s", decoded[i].token);
			unit_check(out.len == 6 + decoded[i].n, "%s: %zu", decoded[i].token, out.len - 6);
			unit_check(memcmp(out.data + 6, decoded[i].text, decoded[i].n) == 0, "%s: %s", decoded[i].token,
				   shown(out.data + 6, out.len - 6));
			assert_memory_equal(out.data, "before", 6);
			unit_check(lossy == decoded[i].lossy, "%s", decoded[i].token);
			assert_int_equal(json_builds[b].decode_string(token, &out, NULL), 0);
			unit_check(out.len == 6 + 2 * decoded[i].n, "%s", decoded[i].token);
			buf_fini(&out);
			free(exact.block);
		}
}

/* What was lost before stays lost: a caller may decode several tokens and ask once. */
static void lossy_is_only_ever_set(void **state)
{
	(void)state;
	struct buf out = {0};
	bool lossy = true;
	assert_int_equal(json_decode_string(UNIT_SPAN("\"a\""), &out, &lossy), 0);
	assert_true(lossy);
	buf_fini(&out);
}

static const struct {
	const char *token, *text;
	bool same;
} compared[] = {
	{"\"\"", "", true},
	{"\"\"", "a", false},
	{"\"a\"", "", false},
	{"\"data\"", "data", true},
	{"\"data\"", "dat", false},
	{"\"data\"", "datax", false},
	{"\"Data\"", "data", false},
	{"\"d\\u0061ta\"", "data", true},
	{"\"\\u0064\\u0061\\u0074\\u0061\"", "data", true},
	{"\"d\\u0041ta\"", "data", false},
	{"\"d\\u0161ta\"", "data", false},
	{"\"d\\ud861ta\"", "data", false},
	{"\"data\\u0000\"", "data", false},
	{"\"data\\u0000x\"", "data", false},
	{"\"\\u0000\"", "", false},
	{"\"\\u0000data\"", "data", false},
	{"\"d\xc3\xa1ta\"", "data", false},
	{"\"data \"", "data", false},
	{"\"a\\/b\"", "a/b", true},
	{"\"a\\nb\"", "a\nb", true},
	{"\"a\\nb\"", "anb", false},
	{"\"a\\\\nb\"", "a\\nb", true},
	{"\"a\\nb\"", "a\\nb", false},
	{"\"\\\"\"", "\"", true},
	{"\"\\u0022\"", "\"", true},
};

static void compares(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(compared); i++)
		for (size_t b = 0; b < JSON_BUILDS; b++) {
			struct exact exact = exact_copy(compared[i].token, strlen(compared[i].token), 0);
			bool same = json_builds[b].string_is((struct span){exact.text, exact.n}, compared[i].text);
			unit_check(same == compared[i].same, "%s, \"%s\"", compared[i].token, compared[i].text);
			free(exact.block);
		}
}

/* Texts made by chance, with and without white space, of which is known what is in them. */
struct maker {
	uint32_t chance;
	struct buf tight, loose;
	uint32_t count; /* of the outermost array or object */
	bool spaced;
};

static uint32_t draw(struct maker *m, uint32_t below)
{
	m->chance ^= m->chance << 13;
	m->chance ^= m->chance >> 17;
	m->chance ^= m->chance << 5;
	return m->chance % below;
}

static void put(struct maker *m, const char *text)
{
	assert_int_equal(buf_str(&m->tight, text), 0);
	assert_int_equal(buf_str(&m->loose, text), 0);
}

static void put_space(struct maker *m)
{
	static const char *const spaces[] = {" ",    "\n",         "\t",
					     "\r\n", "\n        ", "                                   "};
	if (draw(m, 4) != 0)
		return;
	m->spaced = true;
	assert_int_equal(buf_str(&m->loose, spaces[draw(m, UNIT_COUNT(spaces))]), 0);
}

static void put_string(struct maker *m)
{
	static const char *const parts[] = {
		"a",
		"name",
		" ",
		"  ",
		"{[,:]}",
		"\\\"",
		"\\\\",
		"\\/",
		"\\n",
		"\\u00e9",
		"\\ud83d\\ude00",
		"\\udc00",
		"\xc3\xa9",
		"\xd0\xba\xd0\xbb\xd1\x8e\xd1\x87",
		"\xe2\x82\xac",
		"\xf0\x9f\x98\x80",
		"a part of a string that is much longer than the others are",
	};
	put(m, "\"");
	for (uint32_t n = draw(m, 8); n > 0; n--)
		put(m, parts[draw(m, UNIT_COUNT(parts))]);
	put(m, "\"");
}

static void put_value(struct maker *m, uint32_t depth)
{
	static const char *const scalars[] = {"0", "-1.5e+3", "12345678901234567890123", "true", "false", "null"};
	uint32_t kind = depth == 0 ? 2 + draw(m, 2) : draw(m, depth > 5 ? 2 : 4);
	if (kind == 0)
		put(m, scalars[draw(m, UNIT_COUNT(scalars))]);
	if (kind == 1)
		put_string(m);
	if (kind < 2)
		return;
	uint32_t count = draw(m, depth < 2 ? 9 : 4);
	put(m, kind == 2 ? "[" : "{");
	put_space(m);
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0) {
			put(m, ",");
			put_space(m);
		}
		if (kind == 3) {
			put_string(m);
			put_space(m);
			put(m, ":");
			put_space(m);
		}
		put_value(m, depth + 1);
		put_space(m);
	}
	put(m, kind == 2 ? "]" : "}");
	m->count = count;
}

/* Each value that a walk yields is what a scan of it alone says. */
static void compare_walk_and_scan(const struct json_build *build, const struct json_value *container)
{
	struct json_walk walk;
	uint32_t count = 0;
	build->walk_begin(&walk, container);
	for (; build->walk_next(&walk); count++) {
		struct json_value value;
		size_t where = 0;
		struct exact exact = exact_copy(walk.value.raw.ptr, walk.value.raw.len, 0);
		assert_int_equal(scan(build, exact.text, exact.n, &value, &where), JSON_OK);
		assert_int_equal(value.type, walk.value.type);
		assert_int_equal(value.count, walk.value.count);
		assert_int_equal(value.spaced, walk.value.spaced);
		assert_int_equal(value.raw.len, walk.value.raw.len);
		if (container->type == JSON_OBJECT) {
			assert_int_equal(scan(build, walk.key.ptr, walk.key.len, &value, &where), JSON_OK);
			assert_int_equal(value.type, JSON_STRING);
		}
		compare_walk_and_scan(build, &walk.value);
		free(exact.block);
	}
	assert_int_equal(count, container->count);
}

static void agrees_with_what_was_made(void **state)
{
	(void)state;
	struct maker m = {.chance = 20260801};
	for (int round = 0; round < 1000; round++) {
		m.tight.len = m.loose.len = 0;
		m.spaced = false;
		put_value(&m, 0);
		for (size_t b = 0; b < JSON_BUILDS; b++) {
			struct exact exact = exact_copy(m.loose.data, m.loose.len, 0);
			struct json_value value;
			size_t where = 0;
			assert_int_equal(scan(&json_builds[b], exact.text, exact.n, &value, &where), JSON_OK);
			assert_int_equal(value.raw.len, exact.n);
			assert_int_equal(value.count, m.count);
			assert_int_equal(value.spaced, m.spaced);
			compare_walk_and_scan(&json_builds[b], &value);
			size_t n = json_builds[b].compact(exact.text, exact.n);
			assert_int_equal(n, m.tight.len);
			assert_memory_equal(exact.text, m.tight.data, n);
			assert_int_equal(scan(&json_builds[b], exact.text, n, &value, &where), JSON_OK);
			assert_int_equal(value.count, m.count);
			assert_false(value.spaced);
			compare_walk_and_scan(&json_builds[b], &value);
			free(exact.block);
		}
	}
	buf_fini(&m.tight);
	buf_fini(&m.loose);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(refuses),
		cmocka_unit_test(cut_texts_end_too_early),
		cmocka_unit_test(cut_texts_keep_their_error),
		cmocka_unit_test(looks_at_each_byte_of_a_string),
		cmocka_unit_test(knows_utf8),
		cmocka_unit_test(counts_the_forms_of_utf8),
		cmocka_unit_test(goes_as_deep_as_it_says),
		cmocka_unit_test(does_not_follow_a_million_brackets),
		cmocka_unit_test(forgets_closed_levels),
		cmocka_unit_test(walks_over_what_is_there),
		cmocka_unit_test(walks_over_nothing_in_a_scalar),
		cmocka_unit_test(never_leaves_unscanned_text),
		cmocka_unit_test(compacts),
		cmocka_unit_test(counts_backslashes_over_pieces),
		cmocka_unit_test(decodes),
		cmocka_unit_test(lossy_is_only_ever_set),
		cmocka_unit_test(compares),
		cmocka_unit_test(agrees_with_what_was_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
