#include "config.h"

#include "target/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/hash.h"
#include "base/log.h"
#include "state/files.h"
#include "target/file_path.h"
#include "target/file_recovery.h"

#define MARK_BYTES 256                    /* of a file, by which it is known again */
#define LOCK_FOR   CLOCK_SECOND           /* in all, for the locks of a set that others have */
#define TELL_EVERY (60 * CLOCK_SECOND)    /* of what others have written */
#define TELL_AGAIN (86400 * CLOCK_SECOND) /* of a file that they write to all the time */

static struct buf emptied(struct buf b)
{
	return (struct buf){b.data, 0, b.cap};
}

void outfile_init(struct outfile *file, size_t fixed, mode_t mode, size_t number)
{
	standing_clear(&file->standing);
	*file = (struct outfile){.records = emptied(file->records),
				 .why = emptied(file->why),
				 .path = emptied(file->path),
				 .standing = file->standing,
				 .fixed = fixed,
				 .mode = mode,
				 .fd = -1,
				 .same_as = number};
}

void outfile_fini(struct outfile *file)
{
	buf_fini(&file->records);
	buf_fini(&file->why);
	buf_fini(&file->path);
	standing_fini(&file->standing);
}

static struct span outfile_path(const struct outfile *file)
{
	return (struct span){file->path.data, file->path.len};
}

void outfile_fail(struct outfile *file, const char *what)
{
	file->error = errno;
	outpath_explain(&file->why, "%s%s: %s", file->path.data, what, strerrordesc_np(file->error));
}

/* Opening */

/* The one path of an open file: two targets, or one with a symbolic link in its fixed part, can name it in different
 * ways. */
static int find_path(struct outfile *file, struct span name)
{
	char resolved[PATH_MAX];
	file->path.len = 0;
	if (buf_append(&file->path, name.ptr, name.len) < 0 || buf_cstr(&file->path) == NULL ||
	    realpath(file->path.data, resolved) == NULL)
		return -1;
	file->path.len = 0;
	return buf_str(&file->path, resolved) < 0 || buf_cstr(&file->path) == NULL ? -1 : 0;
}

int outfile_is_named(const struct outfile *file, uint64_t *size)
{
	struct stat st;
	if (lstat(file->path.data, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	*size = (uint64_t)st.st_size;
	return st.st_dev == file->device && st.st_ino == file->inode;
}

int outfile_lock(struct outfile *file, int64_t *wait_until)
{
	if (fsio_lock(file->fd, 0) == 0 || errno != EWOULDBLOCK)
		return 0;
	int64_t now = clock_monotonic();
	if (*wait_until == 0)
		*wait_until = now + LOCK_FOR;
	if (fsio_lock(file->fd, *wait_until - now) == 0)
		return 0;
	file->error = errno;
	outpath_explain(&file->why, "%s is locked (flock) by another process; it is tried again when that lets go",
			file->path.data);
	return -1;
}

int outfile_open(struct outfile *file, struct span name)
{
	struct stat st;
	const struct outpath path = {name, file->fixed, file->mode};
	fsio_close(&file->fd);
	file->fd = outpath_open(&path, &st, &file->why);
	if (file->fd < 0) {
		file->error = errno;
		return -1;
	}
	file->device = st.st_dev;
	file->inode = st.st_ino;
	/* A name that was given away meanwhile is looked for again. */
	if (find_path(file, name) == 0 || errno == ENOENT)
		return 0;
	outfile_fail(file, "");
	return -1;
}

/* Looking at what stands in it */

static int read_mark(const struct outfile *file, uint64_t length, int64_t *mark)
{
	char bytes[MARK_BYTES];
	uint8_t digest[HASH_SIZE];
	size_t n = length < sizeof bytes ? (size_t)length : sizeof bytes;
	ssize_t got = fsio_read_at(file->fd, bytes, n, (off_t)(length - n));
	if (got != (ssize_t)n) {
		errno = got < 0 ? errno : EIO;
		return -1;
	}
	hash_sha256(&(struct span){bytes, n}, 1, digest);
	memcpy(mark, digest, sizeof *mark);
	return 0;
}

static int cut(const struct outfile *file, uint64_t length)
{
	return ftruncate(file->fd, (off_t)length) < 0 ? -1 : fsio_sync(file->fd);
}

static int64_t era(const struct target_context *c)
{
	while (c->era->number == 0)
		fsio_random(&c->era->number, sizeof c->era->number);
	return c->era->number;
}

/* Two programs that write to one file do it all the time. */
static void note_others(const struct target_context *c, struct outfile *file, uint64_t bytes)
{
	int64_t now = clock_monotonic(), before = file->others_at;
	file->others_at = clock_now();
	if ((c->era->told_at != 0 && now - c->era->told_at < TELL_EVERY) ||
	    (before <= file->others_at && file->others_at - before < TELL_AGAIN))
		return;
	c->era->told_at = now;
	log_warnx("%s: %llu bytes of it were not written by this spool, or will not be written again; they stay",
		  file->path.data, (unsigned long long)bytes);
}

/* From where on it may have remains. In the era in which it was recorded, nowhere; in another file than the one that
 * was recorded neither: there it can only be a last line without its end. 0, or -1 with errno. */
static int find_doubt(const struct target_context *c, const struct outfile *file, const struct state_file *known,
		      uint64_t *from)
{
	int64_t mark;
	if (known->era != era(c) && file->length >= known->length) {
		if (read_mark(file, known->length, &mark) < 0)
			return -1;
		*from = known->length;
		if (mark == known->mark)
			return 0;
	}
	return fsio_find_tail(file->fd, file->length, from);
}

/* Ends the line that the file ends with, if it has no end. */
static int end_line(struct outfile *file)
{
	char last = '\n';
	if (file->length > 0 && fsio_read_at(file->fd, &last, 1, (off_t)file->length - 1) < 0)
		return -1;
	if (last == '\n')
		return 0;
	file->length++;
	return fsio_write(file->fd, "\n", 1) < 0 ? -1 : fsio_sync(file->fd);
}

/* Cuts off what will be written again. 0; 1: the file has an error; -1 with errno: the state failed. */
static int cut_remains(const struct target_context *c, struct outfile *file, uint64_t from)
{
	uint64_t end = from;
	switch (remains_judge(c, file->fd, file->path.data, from, file->length, &end, &file->standing)) {
	case REMAINS_FAILED:
		return -1;
	case REMAINS_UNREADABLE:
		outfile_fail(file, ": what a crash has left of it cannot be told from the rest");
		return 1;
	case REMAINS_JUDGED:
		break;
	}
	if (end > from)
		note_others(c, file, end - from);
	if (end == file->length)
		return 0;
	log_warnx("%s: %llu bytes of records that were not committed are cut off, to be written again", file->path.data,
		  (unsigned long long)(file->length - end));
	file->length = end;
	if (cut(file, end) == 0)
		return 0;
	outfile_fail(file, ": what a crash has left cannot be cut off");
	return 1;
}

/* In the era in which its length was recorded, all that came behind that is of others. 0, or -1 with errno. */
static int find_others(const struct target_context *c, struct outfile *file, const struct state_file *known)
{
	int64_t mark;
	if (known->era != era(c) || file->length <= known->length)
		return 0;
	if (read_mark(file, known->length, &mark) < 0)
		return -1;
	if (mark == known->mark)
		note_others(c, file, file->length - known->length);
	return 0;
}

int outfile_look(const struct target_context *c, struct outfile *file)
{
	uint64_t from;
	struct state_file known = {0};
	int found = state_file(c->state, outfile_path(file), &known);
	if (found < 0 || (known.standing > 0 && standing_load(&file->standing, c->state, outfile_path(file)) < 0))
		return -1;
	file->others_at = known.others_at;
	if (found == 1 && known.era == era(c) && known.length == file->length)
		return 0;
	int result = found == 1 ? find_others(c, file, &known) < 0 ? -1 : find_doubt(c, file, &known, &from)
				: fsio_find_tail(file->fd, file->length, &from);
	if (result < 0) {
		outfile_fail(file, " cannot be read");
		return 0;
	}
	if (from < file->length && (result = cut_remains(c, file, from)) != 0)
		return result < 0 ? -1 : 0;
	if (end_line(file) < 0)
		outfile_fail(file, ": its last line cannot be ended");
	file->is_new = found == 0 || file->length != known.length || file->standing.events.count > known.standing;
	return 0;
}

static int record(const struct target_context *c, struct outfile *file, uint64_t length, int64_t in_era,
		  uint64_t standing)
{
	struct state_file now = {.length = length, .era = in_era, .standing = standing, .others_at = file->others_at};
	if (read_mark(file, length, &now.mark) < 0)
		return -1;
	return state_file_put(c->state, outfile_path(file), &now);
}

int outfile_record(const struct target_context *c, struct outfile *file)
{
	return standing_store(&file->standing, c->state, outfile_path(file)) < 0
		       ? -1
		       : record(c, file, file->length, era(c), file->standing.events.count);
}

/* Appending */

/* Whether the file system keeps twice its reserve if so much is appended: what is left is for the receiver, whose
 * events wait well where they are. */
static bool has_space(const struct target_context *c, const struct outfile *file, size_t n, struct outfile_space *space)
{
	uint64_t inodes;
	if (!space->known || space->device != file->device) {
		*space = (struct outfile_space){.known = true, .device = file->device};
		if (fsio_free_space(file->fd, &space->bytes, &inodes) < 0)
			space->bytes = UINT64_MAX;
	}
	if (space->bytes < n || (space->bytes - n) / 2 < c->conf->reserve)
		return false;
	space->bytes -= n;
	return true;
}

/* Whether the file ends with a beginning of the records, from `length` to `size`. */
static bool ends_with(const struct outfile *file, const struct buf *records, uint64_t length, uint64_t size)
{
	char chunk[4096];
	for (uint64_t at = length; at < size;) {
		size_t n = size - at < sizeof chunk ? (size_t)(size - at) : sizeof chunk;
		if (fsio_read_at(file->fd, chunk, n, (off_t)at) != (ssize_t)n ||
		    memcmp(chunk, records->data + (at - length), n) != 0)
			return false;
		at += n;
	}
	return true;
}

/* Cuts off what a write that failed has left at the end of the file. */
static void take_back(const struct target_context *c, const struct outfile *file, const struct buf *records)
{
	struct stat st;
	uint64_t length = file->length + file->grown, size = length;
	bool is_known = fstat(file->fd, &st) == 0;
	if (is_known)
		size = (uint64_t)st.st_size;
	if (!is_known || size < length || size > length + records->len || !ends_with(file, records, length, size) ||
	    (size > length && cut(file, length) < 0))
		c->era->number = 0;
}

void outfile_append(const struct target_context *c, struct outfile *file, struct buf *records,
		    struct outfile_space *space)
{
	standing_leave_out(&file->standing, records);
	off_t at = (off_t)(file->length + file->grown);
	if (records->len == 0 || file->error != 0)
		return;
	if (!has_space(c, file, records->len, space)) {
		errno = ENOSPC;
		outfile_fail(file, ": its file system would have less free than twice the reserve");
	} else if (fsio_write(file->fd, records->data, records->len) < 0) {
		outfile_fail(file, " cannot be appended to");
		take_back(c, file, records);
	} else {
		file->grown += records->len;
		/* The disk can begin; outfiles_run waits for it. */
		sync_file_range(file->fd, at, (off_t)records->len, SYNC_FILE_RANGE_WRITE);
	}
}

void outfile_undo(const struct target_context *c, struct outfile *file)
{
	struct stat st;
	if (fstat(file->fd, &st) < 0 || (uint64_t)st.st_size != file->length + file->grown ||
	    cut(file, file->length) < 0)
		c->era->number = 0;
	file->grown = 0;
}

int outfile_settle(const struct target_context *c, struct outfile *file)
{
	uint64_t left;
	if (file->grown == 0)
		file->size = file->length;
	/* If others have written among it, the file is looked at again. */
	bool alone = file->size == file->length + file->grown;
	if (file->size < file->length + file->grown)
		log_warnx("%s: cut by another program while records were appended to it", file->path.data);
	return standing_drop_met(&file->standing, c->state, outfile_path(file), &left) < 0
		       ? -1
		       : record(c, file, file->size, alone ? era(c) : 0, left);
}
