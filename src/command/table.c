#include "config.h"

#include "command/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/fsio.h"
#include "base/plain.h"
#include "base/text.h"
#include "base/utf8.h"

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

static struct table_cell *add_cell(struct table *t, enum tint tint, const char *bytes, size_t n)
{
	if (array_grow(&t->cells, t->count, &t->cap, sizeof *t->cells) < 0)
		return NULL;
	struct table_cell *cell = &t->cells[t->count];
	*cell = (struct table_cell){.at = t->text.len, .tint = tint};
	if (plain_append(&t->text, bytes, n) < 0)
		return NULL;
	cell->len = t->text.len - cell->at;
	cell->width = utf8_columns(t->text.data + cell->at, cell->len);
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

void table_heading(struct table *t, const char *const *names)
{
	for (; *names != NULL; names++)
		table_cell(t, TINT_FAINT, "%s", *names);
	table_end(t);
}

void table_pair(struct table *t, const char *label, enum tint tint, const char *format, ...)
{
	va_list args;
	table_cell(t, TINT_FAINT, "%s", label);
	va_start(args, format);
	place(t, add_format(t, tint, format, args));
	va_end(args);
	table_end(t);
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
