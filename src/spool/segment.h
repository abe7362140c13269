/* A journal segment while it is written: states S0 to S6 of doc/journal.md. One writer, one thread. */
#ifndef HOOKSPOOL_SPOOL_SEGMENT_H
#define HOOKSPOOL_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "spool/spool.h"

#define SEGMENT_NAME_SIZE 64 /* with its NUL */
#define SEGMENT_SIZE_MAX  (UINT64_C(64) << 20)

struct segment {
	int fd; /* -1 while none is open; begin with SEGMENT_NONE */
	char name[SEGMENT_NAME_SIZE];
	dev_t device; /* with inode: which file it is, whatever bears its name */
	ino_t inode;
	uint64_t size;     /* bytes that are durable */
	int64_t opened_at; /* us, monotonic */
	bool is_lost;      /* its name is gone, or another file's; segment_rescue */
};
#define SEGMENT_NONE                                                                                                   \
	{                                                                                                              \
		.fd = -1                                                                                               \
	}

/* Whether it is the name of a segment, or of a file of the archive, which are named alike. `stamp`, if not NULL, takes
 * what the name begins with: us since 1970. */
bool segment_parse_name(const char *name, int64_t *stamp);

/* The name of a new kept segment, whose lines stood elsewhere before (doc/journal.md, What waits). */
void segment_name_kept(char name[SEGMENT_NAME_SIZE], int64_t stamp);
bool segment_is_kept(const char *name);
/* How a file of the archive ends whose lines were in many segments; its stamp is not that of its first line. */
#define SEGMENT_FOLD_END "-fold.jsonl"
bool segment_is_fold(const char *name);
/* While the deliverer puts a segment away, the segment stands under its name with a dot before it. Of such a name: the
 * segment's; else NULL. (A kept segment with a dot is another thing: one that is not whole yet.) */
const char *segment_hidden(const char *name);
#define SEGMENT_HIDDEN_SIZE (SEGMENT_NAME_SIZE + 1)
/* Writes the hidden name of a segment. */
void segment_name_hidden(char hidden[SEGMENT_HIDDEN_SIZE], const char *name);

/* Opens a new segment, durably (S3). `stamp` is the received_at of its first event. 0, or -1 with errno. */
int segment_open(struct segment *segment, const struct spool *spool, int64_t stamp);

/* Appends all vectors and syncs: 0 means durable, in a file that has its name. On -1 (errno) the segment was abandoned
 * (S5) and is closed. But on ESTALE it is lost, and still open: somebody has removed, moved or replaced the file, and
 * segment_rescue is to be called. The vectors are changed. */
int segment_commit(struct segment *segment, const struct spool *spool, struct iovec *iov, int count);

/* Whether the segment's name is still this file. Notes it if not. */
bool segment_is_named(struct segment *segment, const struct spool *spool);

/* Writes what was durable of a lost segment into a new one, which takes its place: S3. What the deliverer had of it, it
 * knows by the events' identities. 0, or -1 with errno: the segment is as it was. The new size is less than the old one
 * if something could not be read any more. */
int segment_rescue(struct segment *segment, const struct spool *spool);

/* Seals it (S6). Takes a closed one. */
void segment_close(struct segment *segment);

/* Whether a commit at this moment (us, monotonic) should begin a new one: size or age. */
bool segment_is_full(const struct segment *segment, int64_t now);

#endif
