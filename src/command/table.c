#include "config.h"

#include "command/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/text.h"

#define GAP 2

struct table_cell {
	size_t at, len, width; /* bytes in `text`, and columns of a terminal */
	enum tint tint;
	bool right, last;
};

static const char *const tints[] = {
	[TINT_PLAIN] = "",        [TINT_STRONG] = "\033[1m",   [TINT_FAINT] = "\033[2m",
	[TINT_GOOD] = "\033[32m", [TINT_WARNING] = "\033[33m", [TINT_BAD] = "\033[31m",
};

static bool is_coloured(void)
{
	const char *term = getenv("TERM"), *none = getenv("NO_COLOR");
	return (none == NULL || *none == '\0') && term != NULL && strcmp(term, "dumb") != 0 && isatty(STDOUT_FILENO);
}

const char *tint_begin(enum tint tint)
{
	return tint != TINT_PLAIN && is_coloured() ? tints[tint] : "";
}

const char *tint_end(enum tint tint)
{
	return tint != TINT_PLAIN && is_coloured() ? "\033[0m" : "";
}

/* Bytes of the UTF-8 character at s, its code in *code; 0 if there is none. */
static size_t decode(const unsigned char *s, size_t n, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
	if (len == 0 || len > n || s[0] > 0xf4)
		return 0;
	*code = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	return *code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ? 0 : len;
}

/* Controls of both sets, and the marks that turn the direction of what follows, or end a line. */
static bool is_obeyed(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || (code >= 0x200e && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

int table_plain(struct buf *out, const char *bytes, size_t n)
{
	const unsigned char *s = (const unsigned char *)bytes;
	while (n > 0) {
		uint32_t code = 0;
		size_t len = decode(s, n, &code);
		int result;
		if (len == 0)
			result = buf_printf(out, "\\x%02x", s[0]);
		else if (is_obeyed(code))
			result = buf_printf(out, code < 0x80 ? "\\x%02x" : "\\u%04x", code);
		else
			result = buf_append(out, s, len);
		if (result < 0)
			return -1;
		len = len == 0 ? 1 : len;
		s += len;
		n -= len;
	}
	return 0;
}

/* Characters, of which each is taken for a column. */
static size_t width(const char *s, size_t n)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += ((unsigned char)s[i] & 0xc0) != 0x80;
	return count;
}

static struct table_cell *add_cell(struct table *t, enum tint tint, const char *bytes, size_t n)
{
	if (t->count == t->cap) {
		size_t cap = t->cap == 0 ? 64 : t->cap * 2;
		struct table_cell *cells = reallocarray(t->cells, cap, sizeof *cells);
		if (cells == NULL)
			return NULL;
		t->cells = cells;
		t->cap = cap;
	}
	struct table_cell *cell = &t->cells[t->count];
	*cell = (struct table_cell){.at = t->text.len, .tint = tint};
	if (table_plain(&t->text, bytes, n) < 0)
		return NULL;
	cell->len = t->text.len - cell->at;
	cell->width = width(t->text.data + cell->at, cell->len);
	t->count++;
	return cell;
}

__attribute__((format(printf, 3, 0))) static struct table_cell *add_format(struct table *t, enum tint tint,
									   const char *format, va_list args)
{
	char *text;
	int n = vasprintf(&text, format, args);
	if (n < 0)
		return NULL;
	struct table_cell *cell = add_cell(t, tint, text, (size_t)n);
	free(text);
	return cell;
}

static void place(struct table *t, struct table_cell *cell)
{
	if (cell == NULL)
		t->failed = true;
	else
		t->column++;
}

void table_cell(struct table *t, enum tint tint, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	place(t, add_format(t, tint, format, args));
	va_end(args);
}

void table_text(struct table *t, enum tint tint, struct span text)
{
	place(t, add_cell(t, tint, text.ptr, text.len));
}

void table_number(struct table *t, enum tint tint, uint64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	struct table_cell *cell = add_cell(t, tint, text, (size_t)n);
	if (cell != NULL)
		cell->right = true;
	place(t, cell);
}

void table_ago(struct table *t, enum tint tint, int64_t at, int64_t now)
{
	char text[TEXT_HUMAN_SIZE];
	text_human_duration(at > now ? at - now : now - at, text);
	if (at == 0)
		table_cell(t, tint, "never");
	else if (at > now)
		table_cell(t, tint, "in %s", text);
	else
		table_cell(t, tint, "%s ago", text);
}

/* The last cell of a row does not make its column wider: it can be a sentence. */
void table_end(struct table *t)
{
	size_t n = t->column;
	t->column = 0;
	if (t->failed || n == 0)
		return;
	const struct table_cell *row = &t->cells[t->count - n];
	t->cells[t->count - 1].last = true;
	for (size_t i = 0; i < n && i < TABLE_COLUMNS; i++)
		if (row[i].width > t->widths[i] && (!row[i].last || row[i].right))
			t->widths[i] = row[i].width;
}

static int pad(struct buf *out, size_t n)
{
	return buf_printf(out, "%*s", (int)n, "");
}

static int write_cell(const struct table *t, const struct table_cell *cell, size_t column, struct buf *out)
{
	size_t all = column < TABLE_COLUMNS ? t->widths[column] : 0;
	size_t gap = all > cell->width ? all - cell->width : 0;
	if ((cell->right && pad(out, gap) < 0) || buf_str(out, tint_begin(cell->tint)) < 0 ||
	    buf_append(out, t->text.data + cell->at, cell->len) < 0 || buf_str(out, tint_end(cell->tint)) < 0)
		return -1;
	if (cell->last)
		return buf_char(out, '\n');
	return pad(out, (cell->right ? 0 : gap) + GAP);
}

int table_print(struct table *t, const char *indent)
{
	struct buf out = {0};
	size_t column = 0;
	int result = t->failed ? -1 : 0;
	for (size_t i = 0; i < t->count && result == 0; i++) {
		if (column == 0)
			result = buf_str(&out, indent);
		if (result == 0)
			result = write_cell(t, &t->cells[i], column, &out);
		column = t->cells[i].last ? 0 : column + 1;
	}
	if (result < 0)
		errno = ENOMEM;
	else if (out.len > 0)
		result = fsio_write(STDOUT_FILENO, out.data, out.len);
	int saved = errno;
	buf_fini(&out);
	buf_fini(&t->text);
	free(t->cells);
	*t = (struct table){0};
	errno = saved;
	return result;
}
