/* The journal as its reader sees it: all segments as one sequence of lines, in causal order (doc/journal.md, Order).
 *
 *     reader = reader_new(spool);
 *     reader_resume(reader, name, offset);          for each cursor that was stored
 *     reader_look(reader);                          a round: what is there now
 *     while (reader_next(reader, &line) == READER_LINE) …
 *     reader_finished(reader, …)                    segments that are sealed and read to their end
 */
#ifndef HOOKSPOOL_SPOOL_READER_H
#define HOOKSPOOL_SPOOL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"
#include "spool/segment.h"
#include "spool/spool.h"

struct reader;

/* Borrows spool. NULL with errno ENOMEM. */
struct reader *reader_new(const struct spool *spool);
void reader_free(struct reader *reader);

/* The segment `name` has been taken in up to offset. 0, or -1 with errno ENOMEM. */
int reader_resume(struct reader *reader, const char *name, uint64_t offset);

/* Looks at the journal folder; begins a round over what stands there now. 0, or -1 with errno. */
int reader_look(struct reader *reader);

enum reader_found {
	READER_LINE,    /* a good line */
	READER_DAMAGED, /* a line that is no good: set it aside */
	READER_NEWER,   /* a good line of a later version: set it aside too */
	READER_TORN,    /* the torn tail of a sealed segment: count it */
	READER_NONE,    /* the round is over */
	READER_FAILED,  /* errno; the segment may have what is next, so the round is over */
};
struct reader_line {
	const char *segment; /* its name; valid until the segment is dropped */
	uint64_t offset;     /* where the line begins */
	uint64_t next;       /* where the next one does: the cursor after this line */
	struct span raw;     /* without its newline; valid until the next call of reader_next or reader_look */
	struct event event;  /* READER_LINE: spans into raw */
};
/* A line that was given counts as taken, also where the round is left in its middle: reader_resume takes it back. */
enum reader_found reader_next(struct reader *reader, struct reader_line *line);

/* What stands in the folder and was passed over: no regular file, or, where the spool is shared, one of another user
 * that cannot be read. True: *stray is the last one since this was asked. */
struct reader_stray {
	char name[SEGMENT_NAME_SIZE];
	int error; /* spool_fault */
};
bool reader_stray(struct reader *reader, struct reader_stray *stray);

/* For a progress bar: bytes that were given since it was made, and those that stood there at the last look and were
 * not. */
void reader_progress(const struct reader *reader, uint64_t *given, uint64_t *left);

/* Reads one line again: `length` without its newline, from journal/, else archive/. The line is appended to out.
 * 0, or -1 with errno (ENOENT, EBADMSG: it is not what it was). */
int reader_fetch(const struct spool *spool, const char *segment, uint64_t offset, uint64_t length, struct buf *out,
		 struct event *event);

/* Whether the segment is sealed, read to its end, and has lines; *size is its size then. */
bool reader_is_finished(const struct reader *reader, const char *name, uint64_t *size);

/* Calls back for each segment that is sealed and read to its end. If `done` returns true it was put away: forget it. */
typedef bool reader_done(void *arg, const char *name, uint64_t size);
void reader_finished(struct reader *reader, reader_done *done, void *arg);

#endif
