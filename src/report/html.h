/* Writes HTML. Markup is always a literal and is written as it is; everything else is text, and is escaped. Without
 * memory `failed` is set, and stays so. */
#ifndef HOOKSPOOL_REPORT_HTML_H
#define HOOKSPOOL_REPORT_HTML_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Zero-initialise to begin. */
struct html {
	struct buf out;
	bool failed; /* no memory */
};

void html_markup(struct html *h, const char *markup);
/* Markup with text in it, as printf has it: %s is text, PRIu64 a count such as 1,234,567, PRId64 a plain number. */
void html_write(struct html *h, const char *markup, ...) __attribute__((format(printf, 2, 3)));
/* Text for between tags, or for an attribute in double quotes. It is made plain first (plain_append). */
void html_text(struct html *h, struct span text);
/* "3 min ago", with the moment itself in the element's title; a dash for a moment of 0. */
void html_ago(struct html *h, int64_t at, int64_t now);

#endif
