/* What the page looks like, for light and dark: page.css as a string, which make has made of it. */
#ifndef HOOKSPOOL_REPORT_STYLE_SHEET_H
#define HOOKSPOOL_REPORT_STYLE_SHEET_H

extern const char style_sheet[];

#endif
