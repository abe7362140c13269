/* The files that a configuration is read from: what they were when they were read, so that one can ask later whether
 * they still are. Names are followed through symbolic links each time, whichever of their parts is one. */
#ifndef HOOKSPOOL_CONFIG_SOURCES_H
#define HOOKSPOOL_CONFIG_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"
#include "config/safe_file.h"

struct sources {
	struct buf names; /* a NUL behind each */
	struct hash stamps, contents;
	int64_t youngest; /* when one of them was last changed, as the file system says: us since 1970 */
};

void sources_begin(struct sources *sources);
void sources_fini(struct sources *sources);

/* guarded_read, and notes the file; also one that cannot be read. */
int sources_read(struct sources *sources, const char *path, enum guarded guarded, size_t max, struct buf *out,
		 char why[GUARDED_WHY_SIZE]);

/* What the files were when they were read: a digest of their inodes, sizes and times; and one of their contents. */
void sources_noted(const struct sources *sources, uint8_t stamps[HASH_SIZE]);
void sources_contents(const struct sources *sources, uint8_t contents[HASH_SIZE]);

/* What they are now: the same stamps as those that were noted, or others. One stat(2) for each file. */
void sources_look(const struct sources *sources, uint8_t stamps[HASH_SIZE]);

#endif
