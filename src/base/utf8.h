/* UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. Pure. */
#ifndef HOOKSPOOL_BASE_UTF8_H
#define HOOKSPOOL_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the character that begins at bytes, of which there are n, one at least; 0 if none begins there. A
 * character that the end cuts counts whole: its length is more than n. *code is that of a whole one. */
size_t utf8_decode(const char *bytes, size_t n, uint32_t *code);

/* Writes a code up to U+10FFFF, no surrogate: four bytes at most. Returns the place behind. */
char *utf8_encode(char *out, uint32_t code);

/* Characters, each of which is taken for a column of a terminal. */
size_t utf8_columns(const char *text, size_t n);

#endif
