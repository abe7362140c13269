/* How far long work is, on a terminal's standard error: a bar with rate and time left. In a pipe nothing. */
#ifndef HOOKSPOOL_COMMAND_BAR_H
#define HOOKSPOOL_COMMAND_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
	const char *label;
	bool shown;
	bool bytes; /* what is counted; else things */
	int64_t began, drawn_at;
};

void bar_begin(struct bar *bar, const char *label, bool bytes);
/* Draws it, ten times a second at most. */
void bar_step(struct bar *bar, uint64_t done, uint64_t total);
/* Wipes it away. */
void bar_end(struct bar *bar);

/* The line as it is drawn: pure. `since` is how long it has taken so far, in microseconds. */
#define BAR_SIZE 160
void bar_text(const struct bar *bar, uint64_t done, uint64_t total, int64_t since, char text[BAR_SIZE]);

#endif
