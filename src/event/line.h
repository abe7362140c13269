/* The journal's line: an event as it is kept in journal/ and archive/ (doc/journal.md, The line). Nothing else knows
 * how a line begins, goes on and ends. Pure.
 *
 * To change the format:
 *
 *     1. doc/journal.md: describe the new line beside the old one
 *     2. here: raise LINE_VERSION
 *     3. line.c: let line_encode write the new line, and give `versions` a row that reads it; the old rows stay as long
 *        as an archive may hold their lines
 *     4. tests/unit/test_line.c: rows for both; tests/fuzz/corpus/event: a line of the new version
 *
 * A program that does not know a line's version sets the line aside in damaged/ and loses nothing of it, so the
 * deliverer is upgraded before the receivers. */
#ifndef HOOKSPOOL_EVENT_LINE_H
#define HOOKSPOOL_EVENT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "event/event.h"

#define LINE_VERSION 1

/* A line to be written: head, data (borrowed from the event) and tail, in three vectors, newline included. */
struct line {
	struct buf head;
	struct span data;
	char tail[32];
	size_t tail_len;
};
/* Fills a line, zeroed or used before. 0, or -1 with errno ENOMEM. Free with line_fini. */
int line_encode(const struct event *event, struct line *line);
void line_vectors(struct line *line, struct iovec iov[3]);
void line_fini(struct line *line);

enum line_verdict {
	LINE_OK,
	LINE_DAMAGED, /* checksum, or not the shape */
	LINE_NEWER,   /* a good line of a version that this program does not know */
};
/* Reads a line (without its newline) back. Spans point into it. */
enum line_verdict line_decode(const char *text, size_t n, struct event *event);

/* A line's first fields, for a search through millions of lines: neither the rest nor the checksum is read. */
struct line_head {
	const char *received_at; /* CLOCK_TEXT_SIZE - 1 bytes, as clock_text writes them; not checked */
	const char *id;          /* EVENT_ID_SIZE - 1 bytes; not checked */
	struct span rest;        /* of the line, behind the id */
};
/* False: no line of a version that this program knows begins so. */
bool line_peek(const char *text, size_t n, struct line_head *head);
/* Two fields of the rest: plain text; a JSON string token. Absent where they are null or not found. */
struct span line_peek_endpoint(const struct line_head *head);
struct span line_peek_connection(const struct line_head *head);

#endif
