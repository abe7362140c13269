/* A progress bar with rate and time left, on standard error if that is a terminal, else nothing. */
#ifndef HOOKSPOOL_COMMAND_BAR_H
#define HOOKSPOOL_COMMAND_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
	const char *label;
	bool shown;
	bool bytes; /* the numbers are bytes */
	int64_t began, drawn_at;
};

void bar_begin(struct bar *bar, const char *label, bool bytes);
/* Draws the bar, ten times a second at most. */
void bar_step(struct bar *bar, uint64_t done, uint64_t total);
/* Removes the bar. */
void bar_end(struct bar *bar);

/* The bar as it is drawn. Pure. `since` is how long the work has taken so far, in microseconds. */
#define BAR_SIZE 160
void bar_text(const struct bar *bar, uint64_t done, uint64_t total, int64_t since, char text[BAR_SIZE]);

#endif
