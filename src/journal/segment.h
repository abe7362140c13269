/* A journal segment while it is written: states S0 to S6 of doc/journal.md. One writer, one thread. */
#ifndef HOOKSPOOL_SEGMENT_H
#define HOOKSPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "journal/spool.h"

#define SEGMENT_NAME_SIZE 64 /* with its NUL */
#define SEGMENT_SIZE_MAX  (UINT64_C(64) << 20)

struct segment {
	int fd; /* -1 while none is open; begin with SEGMENT_NONE */
	char name[SEGMENT_NAME_SIZE];
	uint64_t size;     /* bytes written */
	int64_t opened_at; /* us, monotonic */
};
#define SEGMENT_NONE                                                                                                   \
	{                                                                                                              \
		.fd = -1                                                                                               \
	}

/* Whether it is the name of a segment, or of a file of the archive, which are named alike. `stamp`, if not NULL, takes
 * what the name begins with: us since 1970. */
bool segment_parse_name(const char *name, int64_t *stamp);

/* Opens a new segment, durably (S3). `stamp` is the received_at of its first event. 0, or -1 with errno. */
int segment_open(struct segment *segment, const struct spool *spool, int64_t stamp);

/* Appends all vectors and syncs: 0 means durable. On -1 (errno) the segment was abandoned (S5) and is closed.
 * The vectors are changed. */
int segment_commit(struct segment *segment, struct iovec *iov, int count);

/* Seals it (S6). Takes a closed one. */
void segment_close(struct segment *segment);

/* Whether a commit at this moment (us, monotonic) should begin a new one: size or age. */
bool segment_is_full(const struct segment *segment, int64_t now);

#endif
