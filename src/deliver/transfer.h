/* A segment on its way to an archive/ that is another file system: it is copied a few MiB at a time, so that nobody
 * waits for a large one. */
#ifndef HOOKSPOOL_DELIVER_TRANSFER_H
#define HOOKSPOOL_DELIVER_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>

#include "spool/segment.h"
#include "spool/spool.h"

/* Zero-initialise to begin. */
struct transfer {
	char name[SEGMENT_NAME_SIZE];
	uint64_t done; /* bytes of it */
};

/* Goes on with the segment, or begins with it. 1: it stands in archive/ under its name, synced but for the folder, and
 * can be removed from journal/; 0: not all of it yet; -1 with errno. */
int transfer_step(struct transfer *transfer, const struct spool *spool, const char *name);

/* Whether a name in archive/ is that of a copy that is not whole. */
bool transfer_is_draft(const char *name);

#endif
