/* What the page looks like: its style sheet, for light and dark. */
#ifndef HOOKSPOOL_REPORT_PAGE_CSS_H
#define HOOKSPOOL_REPORT_PAGE_CSS_H

extern const char style_sheet[];

#endif
