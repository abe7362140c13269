/* Writes HTML. Markup goes in as it stands, and is always a literal; all else is text, and escaped. Lack of memory is
 * remembered. */
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
/* Nothing in it is markup, whether it stands between tags or in an attribute's double quotes; what would move a
 * terminal's cursor or turn the direction of writing is shown as \x1b, \u202e and so on. */
void html_text(struct html *h, struct span text);
void html_string(struct html *h, const char *text);
/* 1,234,567 */
void html_count(struct html *h, uint64_t n);
void html_integer(struct html *h, int64_t n);
/* "3 min ago", with the moment itself for who wants it; a dash for a moment of 0. */
void html_ago(struct html *h, int64_t at, int64_t now);

#endif
