#include "config.h"

#include "base/buf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

int buf_reserve(struct buf *b, size_t more)
{
	if (more <= b->cap - b->len)
		return 0;
	if (more > SIZE_MAX / 2 - b->len) {
		errno = ENOMEM;
		return -1;
	}
	size_t cap = b->cap < 128 ? 128 : b->cap;
	while (cap < b->len + more)
		cap += cap / 2;
	char *data = realloc(b->data, cap);
	if (data == NULL)
		return -1;
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_append(struct buf *b, const void *bytes, size_t n)
{
	if (n == 0)
		return 0;
	if (buf_reserve(b, n) < 0)
		return -1;
	memcpy(b->data + b->len, bytes, n);
	b->len += n;
	return 0;
}

int buf_str(struct buf *b, const char *s)
{
	return buf_append(b, s, strlen(s));
}

int buf_span(struct buf *b, struct span s)
{
	return buf_append(b, s.ptr, s.len);
}

int buf_char(struct buf *b, char c)
{
	return buf_append(b, &c, 1);
}

int buf_printf(struct buf *b, const char *format, ...)
{
	/* Most texts fit into what is there already; the second attempt is for the others. */
	if (buf_reserve(b, 1) < 0)
		return -1;
	for (;;) {
		va_list args;
		size_t room = b->cap - b->len;
		va_start(args, format);
		int n = vsnprintf(b->data + b->len, room, format, args);
		va_end(args);
		if (n < 0)
			return -1;
		if ((size_t)n < room) {
			b->len += (size_t)n;
			return 0;
		}
		if (buf_reserve(b, (size_t)n + 1) < 0)
			return -1;
	}
}

static int append_escaped(struct buf *b, uint32_t code)
{
	switch (code) {
	case '"':
		return buf_str(b, "\\\"");
	case '\\':
		return buf_str(b, "\\\\");
	case '\n':
		return buf_str(b, "\\n");
	case '\t':
		return buf_str(b, "\\t");
	default:
		return buf_printf(b, "\\u%04x", code);
	}
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

int buf_json_string(struct buf *b, const char *bytes, size_t n)
{
	size_t before = b->len;
	int failed = buf_char(b, '"');
	for (size_t i = 0; i < n && !failed;) {
		size_t plain = i;
		while (plain < n && is_plain((unsigned char)bytes[plain]))
			plain++;
		failed = buf_append(b, bytes + i, plain - i);
		i = plain;
		if (i == n || failed)
			break;
		uint32_t code;
		size_t length = utf8_decode(bytes + i, n - i, &code);
		if (length == 0 || length > n - i) {
			failed = buf_str(b, "\xef\xbf\xbd");
			length = 1;
		} else if (length == 1 || code < 0xa0) {
			failed = append_escaped(b, code); /* U+0080 to U+009F are control characters too */
		} else {
			failed = buf_append(b, bytes + i, length);
		}
		i += length;
	}
	if (failed || buf_char(b, '"') < 0) {
		b->len = before;
		return -1;
	}
	return 0;
}

char *buf_cstr(struct buf *b)
{
	if (buf_reserve(b, 1) < 0)
		return NULL;
	b->data[b->len] = '\0';
	return b->data;
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}
