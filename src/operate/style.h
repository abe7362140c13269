/* What the page looks like: its style sheet, for light and dark. */
#ifndef HOOKSPOOL_STYLE_H
#define HOOKSPOOL_STYLE_H

extern const char style_sheet[];

#endif
