#include "config.h"

#include "base/buf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* The length of the UTF-8 sequence (RFC 3629) that begins at s, or 0 if none does. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
	static const struct {
		unsigned char lead_min, lead_max, second_min, second_max, length;
	} forms[] = {
		{0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		if (s[0] < forms[i].lead_min || s[0] > forms[i].lead_max)
			continue;
		size_t length = forms[i].length;
		if (length > n)
			return 0;
		if (length > 1 && (s[1] < forms[i].second_min || s[1] > forms[i].second_max))
			return 0;
		for (size_t k = 2; k < length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return length;
	}
	return 0;
}

static int append_escaped(struct buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		return buf_str(b, "\\\"");
	case '\\':
		return buf_str(b, "\\\\");
	case '\n':
		return buf_str(b, "\\n");
	case '\t':
		return buf_str(b, "\\t");
	default:
		return buf_printf(b, "\\u%04x", c);
	}
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

int buf_json_string(struct buf *b, const char *bytes, size_t n)
{
	size_t before = b->len;
	const unsigned char *s = (const unsigned char *)bytes;
	int failed = buf_char(b, '"');
	for (size_t i = 0; i < n && !failed;) {
		size_t plain = i;
		while (plain < n && is_plain(s[plain]))
			plain++;
		failed = buf_append(b, s + i, plain - i);
		i = plain;
		if (i == n || failed)
			break;
		size_t length = utf8_length(s + i, n - i);
		if (length == 0) {
			failed = buf_str(b, "\xef\xbf\xbd");
			length = 1;
		} else if (length == 1) {
			failed = append_escaped(b, s[i]);
		} else if (s[i] == 0xc2 && s[i + 1] < 0xa0) {
			failed = append_escaped(b, s[i + 1]); /* U+0080 to U+009F are control characters too */
		} else {
			failed = buf_append(b, s + i, length);
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
