/* A strict scanner for JSON texts (RFC 8259) that finds where things stand and changes nothing.
 *
 * It builds no tree: a caller asks for the members of an object or the elements of an array and gets spans of the text,
 * so that what was signed can be hashed, stored and delivered byte for byte. Strict: UTF-8 only (no BOM, no overlong
 * forms, no surrogates encoded as UTF-8), one value, nothing behind it but white space, no raw control characters in
 * strings, numbers as the grammar says, at most JSON_DEPTH levels. Escapes of lone surrogates are allowed: they are in
 * the grammar, and JavaScript sends them. Duplicate keys are allowed here; callers that mind look for them.
 *
 * Pure: no I/O, no allocation, time linear in the text, memory constant. */
#ifndef HOOKSPOOL_BASE_JSON_H
#define HOOKSPOOL_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define JSON_DEPTH 512

enum json_type {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

enum json_error {
	JSON_OK,
	JSON_SYNTAX, /* not the grammar */
	JSON_UTF8,   /* not UTF-8 */
	JSON_DEEP,   /* deeper than JSON_DEPTH */
	JSON_END,    /* the text ends before its value does */
};

/* A value where it stands in the text. */
struct json_value {
	enum json_type type;
	struct span raw; /* from its first to its last byte, without white space around it; strings with their quotes */
	bool spaced;     /* arrays and objects: there is white space outside strings between their brackets */
	uint32_t count;  /* arrays and objects: elements or members */
};

/* Checks the whole text strictly and gives its value. On an error *where is the offset of the first offending byte: the
 * first one of a character that is not UTF-8, the bracket that goes too deep, n if the text ends too early. */
enum json_error json_scan(const char *text, size_t n, struct json_value *value, size_t *where);

/* The same, and if the value is an object its members are handed to `each` on the way, in their order: one pass in
 * place of a scan and a walk. An error may stand behind a member: what `each` was given counts only if the answer is
 * JSON_OK. */
typedef void json_member(void *arg, struct span key, const struct json_value *value);
enum json_error json_scan_members(const char *text, size_t n, struct json_value *value, json_member *each, void *arg,
				  size_t *where);

/* Walks the members of an object, or the elements of an array, of a text that json_scan accepted.
 *     struct json_walk walk;
 *     json_walk_begin(&walk, &object);
 *     while (json_walk_next(&walk)) use(walk.key, walk.value);
 * On text that was not scanned the results are unspecified, but no byte outside the span is read. */
struct json_walk {
	struct span key;         /* objects: the key's raw token with quotes; arrays: absent */
	struct json_value value; /* `spaced` and `count` are filled in */
	const char *at, *end;    /* internal */
	bool object;             /* internal */
};
void json_walk_begin(struct json_walk *walk, const struct json_value *container);
bool json_walk_next(struct json_walk *walk);

/* Decodes a scanned string token (with its quotes) to UTF-8 bytes, appended to out. Lone surrogate escapes have no
 * UTF-8 form: they become U+FFFD, as JavaScript's encoder does, and *lossy (if not NULL) is set. 0, or -1 with errno
 * ENOMEM. */
int json_decode_string(struct span token, struct buf *out, bool *lossy);

/* Whether a scanned string token decodes to exactly this ASCII text. */
bool json_string_is(struct span token, const char *text);

/* Removes white space outside strings from scanned text, in place; returns the new length. */
size_t json_compact(char *text, size_t n);

#endif
