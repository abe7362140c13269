#include "config.h"

#include "config/sources.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"

void sources_begin(struct sources *sources)
{
	sources->names.len = 0;
	sources->youngest = 0;
	hash_begin(&sources->stamps);
	hash_begin(&sources->contents);
}

void sources_fini(struct sources *sources)
{
	buf_fini(&sources->names);
	*sources = (struct sources){0};
}

static int64_t microseconds(struct timespec t)
{
	return (int64_t)t.tv_sec * CLOCK_SECOND + t.tv_nsec / 1000;
}

/* Adds what the file of this name is now. The later of the times at which it was changed, us since 1970. */
static int64_t add_stamp(struct hash *stamps, const char *path)
{
	struct stat st = {0};
	int64_t error = stat(path, &st) == 0 ? 0 : errno;
	/* Of two files that take turns at a name, inode and size can be the same; of one that is changed and given its
	 * old time again, the time of change (ctime) cannot. */
	const int64_t stamp[] = {error,
				 (int64_t)st.st_dev,
				 (int64_t)st.st_ino,
				 (int64_t)st.st_size,
				 (int64_t)st.st_mtim.tv_sec,
				 (int64_t)st.st_mtim.tv_nsec,
				 (int64_t)st.st_ctim.tv_sec,
				 (int64_t)st.st_ctim.tv_nsec};
	hash_update(stamps, (struct span){(const char *)stamp, sizeof stamp});
	int64_t modified = microseconds(st.st_mtim), changed = microseconds(st.st_ctim);
	return modified > changed ? modified : changed;
}

int sources_read(struct sources *sources, const char *path, enum guarded guarded, size_t max, struct buf *out,
		 char why[GUARDED_WHY_SIZE])
{
	if (buf_append(&sources->names, path, strlen(path) + 1) < 0) {
		snprintf(why, GUARDED_WHY_SIZE, "needs more memory than there is; try again");
		return -1;
	}
	/* Before it is read: a change meanwhile is seen by the next look, and never missed. */
	int64_t changed_at = add_stamp(&sources->stamps, path);
	if (changed_at > sources->youngest)
		sources->youngest = changed_at;
	int result = guarded_read(path, guarded, max, out, why);
	uint8_t contents[HASH_SIZE] = {0};
	if (result == 0)
		hash_sha256(&(struct span){out->data, out->len}, 1, contents);
	/* Its digest, so that no byte of a secret stays in what is kept. */
	hash_update(&sources->contents, (struct span){(const char *)contents, sizeof contents});
	return result;
}

static void digest(const struct hash *hash, uint8_t out[HASH_SIZE])
{
	struct hash copy = *hash;
	hash_end(&copy, out);
}

void sources_noted(const struct sources *sources, uint8_t stamps[HASH_SIZE])
{
	digest(&sources->stamps, stamps);
}

void sources_contents(const struct sources *sources, uint8_t contents[HASH_SIZE])
{
	digest(&sources->contents, contents);
}

void sources_look(const struct sources *sources, uint8_t stamps[HASH_SIZE])
{
	struct hash hash;
	hash_begin(&hash);
	for (size_t at = 0; at < sources->names.len; at += strlen(sources->names.data + at) + 1)
		add_stamp(&hash, sources->names.data + at);
	hash_end(&hash, stamps);
}
