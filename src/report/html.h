/* Writes HTML. Markup is always a literal and is written as it is; everything else is text, and is escaped. After a
 * failure to get memory `failed` stays set. */
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
/* Text for between tags, or for an attribute in double quotes. It is made plain first (plain_append). */
void html_text(struct html *h, struct span text);
void html_string(struct html *h, const char *text);
/* 1,234,567 */
void html_count(struct html *h, uint64_t n);
void html_integer(struct html *h, int64_t n);
/* "3 min ago", with the moment itself in the element's title; a dash for a moment of 0. */
void html_ago(struct html *h, int64_t at, int64_t now);

#endif
