/* A day's traffic as a small chart, by the quarter of an hour: SVG within HTML, with the numbers in words too. */
#ifndef HOOKSPOOL_REPORT_CHART_H
#define HOOKSPOOL_REPORT_CHART_H

#include <stddef.h>
#include <stdint.h>

#include "report/html.h"
#include "state/counts.h"

#define CHART_QUARTERS 96

struct chart_day {
	int64_t first; /* where the first quarter begins, us since 1970 */
	struct state_traffic quarters[CHART_QUARTERS];
};

/* The day up to now. 0, or -1 with errno. */
int chart_read(struct chart_day *day, struct state *state, int64_t now);

/* What a chart shows of a quarter: one number, and another one on top of it. */
struct chart {
	const char *name, *of, *top_name, *kind;
	size_t offset, top_offset; /* in struct state_traffic; SIZE_MAX: there is none */
};

void chart_write(struct html *h, const struct chart *chart, const struct chart_day *day);

#endif
