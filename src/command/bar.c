#include "config.h"

#include "command/bar.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define CELLS      24
#define DRAW_EVERY (CLOCK_SECOND / 10)

void bar_begin(struct bar *bar, const char *label, bool bytes)
{
	*bar = (struct bar){.label = label, .shown = isatty(STDERR_FILENO), .bytes = bytes, .began = clock_monotonic()};
}

void bar_text(const struct bar *bar, uint64_t done, uint64_t total, int64_t since, char text[BAR_SIZE])
{
	char rate[32] = "", left[TEXT_HUMAN_SIZE + 8] = "";
	double share = total == 0 || done >= total ? 1 : (double)done / (double)total;
	int full = (int)(share * CELLS);
	if (since > 0 && done > 0) {
		double a_second = (double)done * CLOCK_SECOND / (double)since;
		if (bar->bytes) {
			text_human_size((uint64_t)a_second, rate);
			strcat(rate, "/s");
		} else {
			snprintf(rate, sizeof rate, "%.0f/s", a_second);
		}
		text_human_duration((int64_t)((double)since * (1 - share) / share), left);
		strcat(left, " left");
	}
	snprintf(text, BAR_SIZE, "%s [%.*s%*s] %3.0f%%  %s  %s", bar->label, full, "########################",
		 CELLS - full, "", share * 100, rate, left);
}

static void write_all(const char *s, size_t n)
{
	/* The bar is not worth an error message. */
	if (write(STDERR_FILENO, s, n) < 0)
		return;
}

void bar_step(struct bar *bar, uint64_t done, uint64_t total)
{
	char text[BAR_SIZE], line[BAR_SIZE + 8];
	int64_t now = clock_monotonic();
	if (!bar->shown || now - bar->drawn_at < DRAW_EVERY)
		return;
	bar->drawn_at = now;
	bar_text(bar, done, total, now - bar->began, text);
	write_all(line, (size_t)snprintf(line, sizeof line, "\r%s\033[K", text));
}

void bar_end(struct bar *bar)
{
	if (bar->shown && bar->drawn_at != 0)
		write_all("\r\033[K", 4);
	bar->shown = false;
}
