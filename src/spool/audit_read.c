#include "config.h"

#include "spool/audit_read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fsio.h"
#include "base/hash.h"
#include "base/json.h"

#define CHUNK    (256u << 10)
#define LINE_MAX (1u << 20) /* longer than any */
#define HEAD     64         /* bytes of a file's first line, which is longer and has its time in them */

static const char *const names[] = {
	[TRAIL_OLD] = "audit/audit.jsonl.1",
	[TRAIL_NEW] = "audit/audit.jsonl",
};

/* Rotation renames, and file systems give inode numbers again: a file is known by its first line. */
static int read_mark(struct trail *trail)
{
	char head[HEAD];
	uint8_t digest[HASH_SIZE];
	ssize_t n = fsio_read_at(trail->fd, head, sizeof head, 0);
	if (n < (ssize_t)sizeof head)
		return n < 0 ? -1 : 0;
	hash_sha256(&(struct span){head, sizeof head}, 1, digest);
	memcpy(&trail->mark, digest, sizeof trail->mark);
	return 1;
}

/* The other user may have put something else there. strays_look finds it. */
static bool is_foreign(const struct spool *spool, int error)
{
	return error == EINVAL || error == ELOOP || error == EMLINK || (error == EACCES && spool->has_group);
}

int trail_open(struct trail *trail, const struct spool *spool, enum trail_file which)
{
	*trail = TRAIL_NONE;
	trail->fd = spool_open_shared(spool, spool->fd, names[which], O_RDONLY);
	if (trail->fd < 0)
		return errno == ENOENT || is_foreign(spool, errno) ? 0 : -1;
	int result = read_mark(trail);
	if (result != 1)
		trail_close(trail);
	return result;
}

void trail_close(struct trail *trail)
{
	int saved = errno;
	fsio_close(&trail->fd);
	buf_fini(&trail->window);
	*trail = TRAIL_NONE;
	errno = saved;
}

/* Reads on behind the window, of which nothing before the next line is kept. 1; 0: there is no more; -1 with errno. */
static int fill(struct trail *trail)
{
	struct buf *w = &trail->window;
	size_t used = w->len;
	if (trail->offset >= trail->window_at && trail->offset - trail->window_at < w->len)
		used = (size_t)(trail->offset - trail->window_at);
	if (used > 0)
		memmove(w->data, w->data + used, w->len - used);
	w->len -= used;
	trail->window_at = trail->offset;
	if (buf_reserve(w, CHUNK) < 0)
		return -1;
	ssize_t n = fsio_read_at(trail->fd, w->data + w->len, CHUNK, (off_t)(trail->window_at + w->len));
	if (n > 0)
		w->len += (size_t)n;
	return n < 0 ? -1 : n > 0;
}

int trail_next(struct trail *trail, struct span *raw)
{
	for (;;) {
		const struct buf *w = &trail->window;
		uint64_t end = trail->window_at + w->len;
		if (trail->offset >= trail->window_at && trail->offset < end) {
			const char *start = w->data + (trail->offset - trail->window_at);
			const char *newline = memchr(start, '\n', (size_t)(end - trail->offset));
			if (newline != NULL) {
				*raw = (struct span){start, (size_t)(newline - start)};
				trail->offset += raw->len + 1;
				return 1;
			}
			/* Nor is what stands behind it ever read: nobody who writes lines has written this. */
			if (end - trail->offset > LINE_MAX)
				return 0;
		}
		int more = fill(trail);
		if (more <= 0)
			return more;
	}
}

/* Appends the file's last bytes, whole lines only. 0, or -1 with errno. */
static int read_end(const struct spool *spool, enum trail_file which, struct buf *out)
{
	struct trail trail;
	struct stat st;
	int result = trail_open(&trail, spool, which);
	if (result <= 0)
		return result;
	result = fstat(trail.fd, &st);
	if (result == 0)
		result = buf_reserve(out, CHUNK);
	if (result == 0) {
		off_t from = st.st_size > CHUNK ? st.st_size - CHUNK : 0;
		ssize_t n = fsio_read_at(trail.fd, out->data, CHUNK, from);
		const char *first = n > 0 && from > 0 ? memchr(out->data, '\n', (size_t)n) : NULL;
		size_t cut = first == NULL ? 0 : (size_t)(first + 1 - out->data);
		if (n > 0) {
			out->len = (size_t)n - cut;
			memmove(out->data, out->data + cut, out->len);
		}
		result = n < 0 ? -1 : 0;
	}
	trail_close(&trail);
	return result;
}

/* The lines from the last one back. How many were taken, or -1. */
static int walk_back(const struct buf *lines, unsigned max, trail_each *each, void *arg)
{
	unsigned taken = 0;
	const char *end = lines->len == 0 ? NULL : memrchr(lines->data, '\n', lines->len);
	while (end != NULL && taken < max) {
		const char *before = memrchr(lines->data, '\n', (size_t)(end - lines->data));
		const char *start = before == NULL ? lines->data : before + 1;
		struct trail_line line;
		int result = trail_parse((struct span){start, (size_t)(end - start)}, &line) ? each(arg, &line) : 0;
		if (result < 0)
			return -1;
		taken += (unsigned)result;
		end = before;
	}
	return (int)taken;
}

int trail_latest(const struct spool *spool, unsigned max, trail_each *each, void *arg)
{
	static const enum trail_file files[] = {TRAIL_NEW, TRAIL_OLD};
	struct buf lines = {0};
	int result = 0;
	for (size_t i = 0; i < 2 && result >= 0 && max > 0; i++) {
		lines.len = 0;
		result = read_end(spool, files[i], &lines);
		if (result == 0)
			result = walk_back(&lines, max, each, arg);
		if (result > 0)
			max -= (unsigned)result;
	}
	int saved = errno;
	buf_fini(&lines);
	errno = saved;
	return result < 0 ? -1 : 0;
}

bool trail_is_over(const struct trail *trail, const struct spool *spool)
{
	struct stat named, ours;
	return fstatat(spool->fd, names[TRAIL_NEW], &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(trail->fd, &ours) == 0 &&
	       (named.st_ino != ours.st_ino || named.st_dev != ours.st_dev);
}
