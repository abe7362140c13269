/* Writes a JSON document, for programs. Members and elements get their commas; lack of memory is remembered, and told
 * at the end.
 *
 *     struct writer w = {0};
 *     writer_open(&w, NULL, '{');
 *     writer_string(&w, "state", "ok");
 *     writer_close(&w, '}');
 *     writer_print(&w);
 */
#ifndef HOOKSPOOL_BASE_JSON_WRITER_H
#define HOOKSPOOL_BASE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Zero-initialise to begin. */
struct writer {
	struct buf out;
	bool comma;  /* the next value needs one before it */
	bool failed; /* no memory */
};

/* In an object each value has a key; in an array the key is NULL. */
void writer_open(struct writer *w, const char *key, char bracket);
void writer_close(struct writer *w, char bracket);
/* NULL is null. */
void writer_string(struct writer *w, const char *key, const char *value);
void writer_text(struct writer *w, const char *key, struct span value);
void writer_number(struct writer *w, const char *key, uint64_t value);
void writer_bool(struct writer *w, const char *key, bool value);
/* A moment in microseconds since 1970; 0 is null. */
void writer_time(struct writer *w, const char *key, int64_t at);
/* A JSON value as it stands; absent is null. */
void writer_raw(struct writer *w, const char *key, struct span value);

/* Ends the document with a newline; it stands in `out` then. 0, or -1 with errno ENOMEM. */
int writer_end(struct writer *w);
/* Ends the document, writes it to standard output, and frees it. 0, or -1 after a message. */
int writer_print(struct writer *w);

#endif
