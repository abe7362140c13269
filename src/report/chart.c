#include "config.h"

#include "report/chart.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "state/counts.h"

/* In the chart's own units: a bar and the gap behind it, the bar, and how high it can be. */
#define STEP 6
#define BAR  5
#define HIGH 72

static int note_quarter(void *arg, const struct state_traffic *traffic)
{
	struct chart_day *day = arg;
	int64_t i = (traffic->at - day->first) / STATE_QUARTER;
	if (i >= 0 && i < CHART_QUARTERS)
		day->quarters[i] = *traffic;
	return 0;
}

int chart_read(struct chart_day *day, struct state *state, int64_t now)
{
	*day = (struct chart_day){.first = now - now % STATE_QUARTER - (CHART_QUARTERS - 1) * STATE_QUARTER};
	return state_traffic(state, day->first, note_quarter, day);
}

static uint64_t number_at(const struct state_traffic *quarter, size_t offset)
{
	uint64_t n = 0;
	if (offset != SIZE_MAX)
		memcpy(&n, (const char *)quarter + offset, sizeof n);
	return n;
}

static void bar(struct html *h, size_t at, uint64_t from, uint64_t to, uint64_t most, const char *kind)
{
	int64_t low = (int64_t)((double)from / (double)most * HIGH + 0.5);
	int64_t high = (int64_t)((double)to / (double)most * HIGH + 0.5);
	/* A number that is not 0 is drawn at least one unit high. */
	if (high == low && low == HIGH)
		low--;
	else if (high == low)
		high++;
	html_write(h,
		   "<rect class=\"%s\" x=\"%" PRId64 "\" y=\"%" PRId64 "\" width=\"%" PRId64 "\" height=\"%" PRId64
		   "\"/>",
		   kind, (int64_t)at * STEP, HIGH - high, (int64_t)BAR, high - low);
}

static void write_quarter(struct html *h, const struct chart *chart, const struct chart_day *day, size_t i,
			  uint64_t most)
{
	const struct state_traffic *quarter = &day->quarters[i];
	uint64_t n = number_at(quarter, chart->offset), top = number_at(quarter, chart->top_offset);
	char moment[CLOCK_TEXT_SIZE];
	if (n + top == 0)
		return;
	clock_text(quarter->at, moment);
	html_markup(h, "<g><title>");
	html_text(h, (struct span){moment + strlen("2026-11-23T"), strlen("09:00")});
	html_write(h, " UTC: %" PRIu64 " %s", n, chart->of);
	if (top > 0)
		html_write(h, ", %" PRIu64 "%s", top, chart->top_name);
	html_markup(h, "</title>");
	if (n > 0)
		bar(h, i, 0, n, most, chart->kind);
	if (top > 0)
		bar(h, i, n, n + top, most, "bad");
	html_markup(h, "</g>");
}

void chart_write(struct html *h, const struct chart *chart, const struct chart_day *day)
{
	uint64_t most = 0, sum = 0;
	for (size_t i = 0; i < CHART_QUARTERS; i++) {
		uint64_t n = number_at(&day->quarters[i], chart->offset);
		uint64_t with_top = n + number_at(&day->quarters[i], chart->top_offset);
		sum += n;
		most = with_top > most ? with_top : most;
	}
	html_write(h,
		   "<figure><figcaption><b>%s</b> <span>%" PRIu64 " in 24 h</span></figcaption>\n"
		   "<svg viewBox=\"0 0 576 73\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%s: %" PRIu64
		   " in the last 24 hours, at most %" PRIu64 " in a quarter of an hour\">",
		   chart->name, sum, chart->name, sum, most);
	for (size_t i = 0; i < CHART_QUARTERS && most > 0; i++)
		write_quarter(h, chart, day, i, most);
	html_write(h,
		   "<path class=\"axis\" d=\"M0 72.5H576\"/></svg>\n<p class=\"scale\"><span>24 h ago</span>"
		   "<span>most: %" PRIu64 " in 15 min</span><span>now</span></p></figure>\n",
		   most);
}
