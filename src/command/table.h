/* Text for people: rows of cells, aligned, in colour on a terminal.
 *
 *     struct table t = {0};
 *     table_cell(&t, TINT_STRONG, "%s", name);
 *     table_number(&t, TINT_PLAIN, 12);
 *     table_end(&t);                                a row
 *     table_print(&t, "    ");
 */
#ifndef HOOKSPOOL_COMMAND_TABLE_H
#define HOOKSPOOL_COMMAND_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define TABLE_COLUMNS 12

enum tint {
	TINT_PLAIN,
	TINT_STRONG,
	TINT_FAINT,
	TINT_GOOD,
	TINT_WARNING,
	TINT_BAD,
};

/* Zero-initialise to begin. */
struct table {
	struct buf text; /* of all cells */
	struct table_cell *cells;
	size_t count, cap;
	size_t column; /* of the next cell */
	size_t widths[TABLE_COLUMNS];
	bool failed; /* no memory */
};

/* A cell; what moves a terminal's cursor is shown as \x1b, \u202e and so on. */
void table_cell(struct table *t, enum tint tint, const char *format, ...) __attribute__((format(printf, 3, 4)));
void table_text(struct table *t, enum tint tint, struct span text);
/* Stands at the right of its column. */
void table_number(struct table *t, enum tint tint, uint64_t value);
/* "3 min ago" or "in 3 min"; "never" for a moment of 0. */
void table_ago(struct table *t, enum tint tint, int64_t at, int64_t now);
void table_end(struct table *t);
/* A whole row: names up to a NULL, or a label and a cell. */
void table_heading(struct table *t, const char *const *names);
void table_pair(struct table *t, const char *label, enum tint tint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Writes all rows to standard output, each after `indent`, and leaves the table empty. 0, or -1 with errno. */
int table_print(struct table *t, const char *indent);

/* What begins and ends a tint on standard output; empty where that is no terminal, or its user wants none
 * (no-color.org). */
const char *tint_begin(enum tint tint);
const char *tint_end(enum tint tint);

#endif
