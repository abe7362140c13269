/* Small conversions between bytes and text. Pure. */
#ifndef HOOKSPOOL_BASE_TEXT_H
#define HOOKSPOOL_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* n bytes as 2n lower-case hex digits and a NUL. */
void text_hex(const uint8_t *bytes, size_t n, char *out);

/* Decodes hex of either case. Bytes written, or -1 if it is not hex, of odd length, or more than max bytes. */
ssize_t text_unhex(const char *s, size_t n, uint8_t *out, size_t max);

/* Decodes base64 of the standard or the URL alphabet (RFC 4648 sections 4 and 5), not mixed, padded or not, with
 * padding bits zero (section 3.5) and nothing else in it. Bytes written, or -1. */
ssize_t text_unbase64(const char *s, size_t n, uint8_t *out, size_t max);

/* Appends bytes in the standard alphabet of base64, padded. 0, or -1 with errno ENOMEM. */
int text_base64(struct buf *b, const uint8_t *bytes, size_t n);

/* Appends bytes as one component for a path or an environment variable: all outside [A-Za-z0-9._-] as %XX, and so a
 * first '.' or '-'; an empty value is "_", and the value "_" is "%5F". Longer than 200 bytes of output: cut, and "%x"
 * with 32 hex digits of a hash of the whole appended. So different values stay different. 0, or -1 with errno ENOMEM.
 */
int text_component(struct buf *b, const char *bytes, size_t n);

/* "10M", "64k", "1G", "512": bytes; units k, M, G are 1024-based, either case, an optional B behind. 0 or -1 (EINVAL,
 * ERANGE). */
int text_size(const char *s, uint64_t *bytes);

/* "30s", "10m", "1h", "7d", "250ms"; a unit is required unless it is 0. Microseconds. 0 or -1 (EINVAL, ERANGE). */
int text_duration(const char *s, int64_t *us);

/* The reverse, for people: "10 MB", "3 d"; static shapes, at most 15 characters and a NUL. */
#define TEXT_HUMAN_SIZE 16
void text_human_size(uint64_t bytes, char out[TEXT_HUMAN_SIZE]);
void text_human_duration(int64_t us, char out[TEXT_HUMAN_SIZE]);

#endif
