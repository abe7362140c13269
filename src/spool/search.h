/* All events that are kept, delivered or not: the lines of journal/ and archive/. */
#ifndef HOOKSPOOL_SPOOL_SEARCH_H
#define HOOKSPOOL_SPOOL_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "event/event.h"
#include "spool/segment.h"
#include "spool/spool.h"

#define HISTORY_PATH_SIZE (SEGMENT_NAME_SIZE + sizeof "archive/")

struct history_query {
	const char *id; /* 32 lower-case hex digits; NULL: any event */
	int64_t since;  /* received then or later; us since 1970 */
	/* How far the search is, in bytes; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	/* Where the search fails over a file or folder, its path below the spool; else it is left as it is.
	 * HISTORY_PATH_SIZE bytes, or NULL. */
	char *unread;
};

struct history_line {
	const char *segment; /* its name; valid during the call */
	bool archived;
	uint64_t offset;
	struct span raw; /* without its newline */
	struct event event;
};

/* 0 to go on; anything else ends the search. */
typedef int history_each(void *arg, const struct history_line *line);

/* Calls back for each good line that fits: journal/ first, then archive/, so that none is missed that is put away
 * meanwhile. The same event may come more than once: sent twice, or in both folders. 0, what `each` returned, or -1
 * with errno. */
int history_search(const struct spool *spool, const struct history_query *query, history_each *each, void *arg);

/* Calls back for each line of journal/ from an offset on, which `from` says for each segment; UINT64_MAX: leave it out.
 * So is one that cannot be read. Only the line's first fields are read, for there may be millions. 0, what `each`
 * returned, or -1 with errno. */
struct history_glance {
	int64_t received_at;
	size_t length; /* of the line, without its newline */
	struct span endpoint;
	struct span connection; /* a JSON string token, or absent */
};
typedef uint64_t history_from(void *arg, const char *segment);
typedef int history_glimpse(void *arg, const struct history_glance *line);
int history_look(const struct spool *spool, history_from *from, history_glimpse *each, void *arg);

#endif
