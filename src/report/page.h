/* The page: an overview as HTML, for people. No script is needed to read it, and none is in it. */
#ifndef HOOKSPOOL_REPORT_PAGE_H
#define HOOKSPOOL_REPORT_PAGE_H

#include "report/html.h"
#include "report/overview.h"
#include "spool/spool.h"
#include "state/state.h"

struct page {
	const struct overview *overview;
	const struct spool *spool;
	struct state *state;
	const char *csrf_token; /* goes into each form */
};

/* 0, or -1 with errno: what is not in the overview could not be read, or there is no memory. */
int page_write(struct html *h, const struct page *page);

#endif
