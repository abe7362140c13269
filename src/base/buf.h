/* A growing byte buffer. All functions that can fail return 0, or -1 with errno ENOMEM and the buffer as it was. */
#ifndef HOOKSPOOL_BASE_BUF_H
#define HOOKSPOOL_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

/* A borrowed run of bytes: not owned, not NUL-terminated. {NULL, 0} means absent. */
struct span {
	const char *ptr;
	size_t len;
};

/* data is owned by the buffer, may be NULL while cap is 0, and is not NUL-terminated. Zero-initialise to begin. */
struct buf {
	char *data;
	size_t len;
	size_t cap;
};

/* Room for `more` bytes behind len. */
int buf_reserve(struct buf *b, size_t more);
int buf_append(struct buf *b, const void *bytes, size_t n);
int buf_str(struct buf *b, const char *s);
int buf_span(struct buf *b, struct span s);
int buf_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends bytes as a JSON string with its quotes. Control characters, `"` and `\` are escaped (RFC 8259 section 7);
 * bytes that are no UTF-8 become U+FFFD, so that the result is always JSON. */
int buf_json_string(struct buf *b, const char *bytes, size_t n);

/* A NUL behind len that len does not count; returns data, or NULL with errno ENOMEM. */
char *buf_cstr(struct buf *b);

/* Frees what it holds and leaves it empty. Takes a zeroed buffer. */
void buf_fini(struct buf *b);

#endif
