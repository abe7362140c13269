/* The scanner against json-c, against its own plain build, and against itself.
 *
 * What the scanner accepts json-c must accept, and they must see the same values in it. The reverse does not hold: even
 * in its strict mode json-c takes more than JSON. Where json-c cannot follow, nothing is compared:
 *  - it keeps only the last of equal keys, and a key only up to its first NUL;
 *  - it replaces lone surrogates in its own way. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "../unit/json_plain.h"

/* json-c has an enum of this name too. */
#define json_type json_c_type
#include <json-c/json.h>
#undef json_type

#define must(condition)                                                                                                \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

static void *must_copy(const void *bytes, size_t n)
{
	void *copy = malloc(n);
	must(copy != NULL || n == 0);
	if (n != 0)
		memcpy(copy, bytes, n);
	return copy;
}

/* json-c's tree of a text that it must accept. */
static struct json_object *parse(struct span text)
{
	struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH + 2);
	must(tokener != NULL);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *tree = json_tokener_parse_ex(tokener, text.ptr, (int)text.len);
	/* A number could go on: the NUL of a string's end says that it does not. */
	if (json_tokener_get_error(tokener) == json_tokener_continue)
		tree = json_tokener_parse_ex(tokener, "", 1);
	must(json_tokener_get_error(tokener) == json_tokener_success);
	json_tokener_free(tokener);
	return tree;
}

static void same_value(const struct json_value *a, const struct json_value *b)
{
	must(a->type == b->type);
	must(a->raw.ptr == b->raw.ptr);
	must(a->raw.len == b->raw.len);
	must(a->spaced == b->spaced);
	must(a->count == b->count);
}

/* Each value of a walk is what a scan of it says, and what the other build's walk says; all levels down. */
static void check_walks(const struct json_value *container)
{
	struct json_walk walk, plain;
	uint32_t count = 0;
	json_walk_begin(&walk, container);
	plain_walk_begin(&plain, container);
	for (; json_walk_next(&walk); count++) {
		struct json_value value;
		size_t where;
		must(json_scan(walk.value.raw.ptr, walk.value.raw.len, &value, &where) == JSON_OK);
		same_value(&value, &walk.value);
		must(plain_walk_next(&plain));
		same_value(&plain.value, &walk.value);
		must(plain.key.ptr == walk.key.ptr && plain.key.len == walk.key.len);
		must((walk.key.ptr != NULL) == (container->type == JSON_OBJECT));
		check_walks(&walk.value);
	}
	must(!plain_walk_next(&plain));
	must(count == container->count);
}

/* A token as text, NUL-terminated; `exact` says whether json-c can have the same. */
static struct buf decode(struct span token, bool *exact)
{
	struct buf text = {0}, plain = {0};
	bool lossy = false, plain_lossy = false;
	must(json_decode_string(token, &text, &lossy) == 0);
	must(plain_decode_string(token, &plain, &plain_lossy) == 0);
	must(text.len == plain.len && memcmp(text.data, plain.data, text.len) == 0 && lossy == plain_lossy);
	must(text.len <= token.len - 2);
	must(buf_cstr(&text) != NULL);
	*exact = !lossy;
	bool ascii = true;
	for (size_t i = 0; i < text.len; i++)
		ascii &= text.data[i] > 0;
	if (ascii)
		must(json_string_is(token, text.data) && plain_string_is(token, text.data));
	buf_fini(&plain);
	return text;
}

static void check_string(struct span token, struct json_object *object)
{
	bool exact;
	struct buf text = decode(token, &exact);
	if (exact) {
		must((size_t)json_object_get_string_len(object) == text.len);
		must(memcmp(json_object_get_string(object), text.data, text.len) == 0);
	}
	buf_fini(&text);
}

static void check_value(const struct json_value *value, struct json_object *object)
{
	static const enum json_c_type types[] = {
		[JSON_NULL] = json_type_null,     [JSON_FALSE] = json_type_boolean, [JSON_TRUE] = json_type_boolean,
		[JSON_STRING] = json_type_string, [JSON_ARRAY] = json_type_array,   [JSON_OBJECT] = json_type_object,
	};
	enum json_c_type type = json_object_get_type(object);
	if (value->type == JSON_NUMBER)
		must(type == json_type_int || type == json_type_double);
	else
		must(type == types[value->type]);
	if (type == json_type_boolean)
		must(json_object_get_boolean(object) == (value->type == JSON_TRUE));
	if (type == json_type_string)
		check_string(value->raw, object);
	struct json_object *again = parse(value->raw);
	must(json_object_equal(again, object));
	json_object_put(again);
}

/* Whether this key's value is the one that json-c kept. */
static bool is_kept(const struct json_walk *walk, struct span key)
{
	struct json_walk rest = *walk;
	bool kept = true;
	while (kept && json_walk_next(&rest)) {
		bool exact;
		struct buf other = decode(rest.key, &exact);
		kept = strcmp(other.data, key.ptr) != 0;
		buf_fini(&other);
	}
	return kept;
}

static void check_members(const struct json_value *container, struct json_object *tree)
{
	struct json_walk walk;
	json_walk_begin(&walk, container);
	for (size_t i = 0; json_walk_next(&walk); i++) {
		if (container->type == JSON_ARRAY) {
			check_value(&walk.value, json_object_array_get_idx(tree, i));
			continue;
		}
		bool exact;
		struct buf key = decode(walk.key, &exact);
		struct json_object *member = NULL;
		if (exact && strlen(key.data) == key.len && is_kept(&walk, (struct span){key.data, key.len})) {
			must(json_object_object_get_ex(tree, key.data, &member));
			check_value(&walk.value, member);
		}
		buf_fini(&key);
	}
}

static void check_compaction(const struct json_value *value, struct json_object *tree)
{
	struct span raw = value->raw;
	char *text = must_copy(raw.ptr, raw.len), *plain = must_copy(raw.ptr, raw.len);
	size_t n = json_compact(text, raw.len), where;
	must(plain_compact(plain, raw.len) == n && memcmp(plain, text, n) == 0);
	must(value->spaced == (n < raw.len));
	struct json_value compact;
	must(json_scan(text, n, &compact, &where) == JSON_OK);
	must(compact.type == value->type && compact.count == value->count && !compact.spaced);
	must(json_compact(text, n) == n && memcmp(plain, text, n) == 0);
	struct json_object *again = parse((struct span){text, n});
	must(json_object_equal(again, tree));
	json_object_put(again);
	free(text);
	free(plain);
}

/* All that a whole array, object or string can be short of is its end. */
static void check_cut(const struct json_value *value, size_t at)
{
	struct json_value cut;
	size_t where, n = at % value->raw.len;
	char *text = must_copy(value->raw.ptr, n);
	if (value->type != JSON_NUMBER) {
		must(json_scan(text, n, &cut, &where) == JSON_END && where == n);
		must(plain_scan(text, n, &cut, &where) == JSON_END && where == n);
	}
	free(text);
}

/* Unscanned text: only that both stay inside it and end. */
static void check_unscanned(struct span text)
{
	for (size_t b = 0; b < JSON_BUILDS; b++)
		for (enum json_type type = JSON_ARRAY; type <= JSON_OBJECT; type++) {
			struct json_value container = {.type = type, .raw = text};
			struct json_walk walk;
			json_builds[b].walk_begin(&walk, &container);
			while (json_builds[b].walk_next(&walk))
				must(walk.value.raw.len > 0 && walk.value.raw.ptr >= text.ptr &&
				     walk.value.raw.ptr + walk.value.raw.len <= text.ptr + text.len);
		}
	char *copy = must_copy(text.ptr, text.len);
	must(json_compact(copy, text.len) <= text.len);
	free(copy);
}

/* The members that a scan hands over are those that a walk finds. */
struct members {
	struct json_walk walk;
	const struct json_value *object;
};

static void take_member(void *arg, struct span key, const struct json_value *value)
{
	struct members *members = arg;
	if (members->object == NULL)
		return;
	must(json_walk_next(&members->walk));
	must(key.ptr == members->walk.key.ptr && key.len == members->walk.key.len);
	same_value(value, &members->walk.value);
}

/* `value`: of the scan without members, if it was right. */
static void check_scan_members(struct span text, const struct json_value *value, enum json_error error, size_t where)
{
	struct members members = {.object = error == JSON_OK ? value : NULL};
	struct json_value again;
	size_t again_where = where;
	if (error == JSON_OK)
		json_walk_begin(&members.walk, value);
	must(json_scan_members(text.ptr, text.len, &again, take_member, &members, &again_where) == error);
	must(again_where == where);
	if (error != JSON_OK)
		return;
	same_value(&again, value);
	must(value->type != JSON_OBJECT || !json_walk_next(&members.walk));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span text = {(const char *)data, n};
	struct json_value value, plain;
	size_t where = n, plain_where = n;
	enum json_error error = json_scan(text.ptr, n, &value, &where);
	must(plain_scan(text.ptr, n, &plain, &plain_where) == error);
	check_unscanned(text);
	check_scan_members(text, &value, error, where);
	if (error != JSON_OK) {
		must(where == plain_where && where <= n);
		must((error == JSON_END) == (where == n));
		return 0;
	}
	same_value(&value, &plain);
	struct json_object *tree = parse(text);
	check_value(&value, tree);
	check_walks(&value);
	check_members(&value, tree);
	check_compaction(&value, tree);
	check_cut(&value, data[n / 2]);
	json_object_put(tree);
	return 0;
}
