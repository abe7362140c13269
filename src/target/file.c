#include "config.h"

#include "target/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/hash.h"
#include "base/log.h"
#include "target/file_recovery.h"

#define MARK_BYTES 256                    /* of a file, by which it is known again */
#define LOCK_FOR   CLOCK_SECOND           /* in all, for the locks of a set that others have */
#define OPEN_TRIES 5                      /* while its name is given away */
#define TELL_EVERY (60 * CLOCK_SECOND)    /* of what others have written */
#define TELL_AGAIN (86400 * CLOCK_SECOND) /* of a file that they write to all the time */

static int grow(struct outfiles *files)
{
	if (files->names.count < files->cap)
		return 0;
	size_t cap = files->cap == 0 ? 16 : files->cap * 2;
	struct outfile *list = reallocarray(files->list, cap, sizeof *list);
	if (list == NULL)
		return -1;
	files->list = list;
	size_t *first = reallocarray(files->first, cap, sizeof *first);
	if (first == NULL)
		return -1;
	files->first = first;
	memset(list + files->cap, 0, (cap - files->cap) * sizeof *list);
	files->cap = cap;
	return 0;
}

static struct buf emptied(struct buf b)
{
	return (struct buf){b.data, 0, b.cap};
}

void outfiles_begin(struct outfiles *files, const struct target_context *context)
{
	files->context = *context;
}

int outfiles_add(struct outfiles *files, struct span path, size_t fixed, mode_t mode, size_t *number)
{
	if (grow(files) < 0)
		return -1;
	switch (names_add(&files->names, path.ptr, path.len, number)) {
	case NAMES_FAILED:
		return -1;
	case NAMES_KNOWN:
		return 0;
	case NAMES_NEW:
		break;
	}
	struct outfile *file = &files->list[*number];
	/* What earlier rounds have allocated is used again. */
	standing_clear(&file->standing);
	*file = (struct outfile){.records = emptied(file->records),
				 .why = emptied(file->why),
				 .path = emptied(file->path),
				 .standing = file->standing,
				 .fixed = fixed,
				 .mode = mode,
				 .fd = -1,
				 .same_as = *number};
	return 0;
}

static struct outfile *outfile(const struct outfiles *files, size_t number)
{
	return &files->list[files->list[number].same_as];
}

int outfiles_error(const struct outfiles *files, size_t number)
{
	return outfile(files, number)->error;
}

const char *outfiles_why(const struct outfiles *files, size_t number)
{
	const struct outfile *file = outfile(files, number);
	return file->error == 0 ? NULL : file->why.len > 0 ? file->why.data : strerrordesc_np(file->error);
}

bool outfiles_refuse(struct outfiles *files, size_t number, int error)
{
	struct outfile *file = outfile(files, number);
	if (file->error != 0)
		return false;
	file->error = error;
	return true;
}

static struct span outfile_path(const struct outfile *file)
{
	return (struct span){file->path.data, file->path.len};
}

/* errno, which has failed in a call about the file itself. */
static void outfile_fail(struct outfile *file, const char *what)
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

/* Whether the path still is the file's that is open: 1 or 0; -1 with errno. */
static int has_name(const struct outfile *file, uint64_t *size)
{
	struct stat st;
	if (lstat(file->path.data, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	*size = (uint64_t)st.st_size;
	return st.st_dev == file->device && st.st_ino == file->inode;
}

/* Whether an earlier file of the set is the same one. */
static bool find_same(struct outfiles *files, size_t number)
{
	size_t earlier;
	struct outfile *file = &files->list[number];
	switch (names_add(&files->paths, file->path.data, file->path.len, &earlier)) {
	case NAMES_FAILED:
		outfile_fail(file, "");
		return false;
	case NAMES_NEW:
		files->first[earlier] = number;
		return false;
	case NAMES_KNOWN:
		break;
	}
	file->same_as = files->first[earlier];
	return file->same_as != number;
}

/* Takes the advisory lock. Where the file system has none, others have none either. */
static int lock(struct outfiles *files, struct outfile *file)
{
	if (fsio_lock(file->fd, 0) == 0 || errno != EWOULDBLOCK)
		return 0;
	int64_t now = clock_monotonic();
	if (files->wait_until == 0)
		files->wait_until = now + LOCK_FOR;
	if (fsio_lock(file->fd, files->wait_until - now) == 0)
		return 0;
	file->error = errno;
	outpath_explain(&file->why, "%s is locked (flock) by another process; it is tried again when that lets go",
			file->path.data);
	return -1;
}

/* Opens the file and finds its path. 0, or -1: it has an error. */
static int open_once(struct outfiles *files, size_t number)
{
	struct stat st;
	struct outfile *file = &files->list[number];
	struct span name = names_get(&files->names, number);
	const struct outpath path = {name, file->fixed, file->mode};
	fsio_close(&file->fd);
	file->fd = outpath_open(&path, &st, &file->why);
	if (file->fd < 0) {
		file->error = errno;
		return -1;
	}
	file->device = st.st_dev;
	file->inode = st.st_ino;
	if (find_path(file, name) == 0)
		return 0;
	/* A name that was given away meanwhile is looked for again. */
	if (errno == ENOENT)
		return 0;
	outfile_fail(file, "");
	return -1;
}

/* Opens and locks the file that has the name then. 1; 0: it is another one of the set; -1: it has an error. */
static int outfile_open(struct outfiles *files, size_t number)
{
	struct outfile *file = &files->list[number];
	for (int tries = 0; tries < OPEN_TRIES; tries++) {
		if (open_once(files, number) < 0)
			return -1;
		if (find_same(files, number))
			return 0;
		if (file->error != 0 || lock(files, file) < 0)
			return -1;
		switch (has_name(file, &file->length)) {
		case 1:
			return 1;
		case 0:
			break;
		default:
			outfile_fail(file, "");
			return -1;
		}
	}
	errno = ESTALE;
	outfile_fail(file, " is renamed again and again");
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
	int64_t mark = known->mark;
	if (known->era != era(c) && file->length >= known->length) {
		if (known->has_mark && read_mark(file, known->length, &mark) < 0)
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

/* Compares the file with what is recorded of it. 0, or -1 with errno if the state failed. */
static int outfile_look(const struct target_context *c, struct outfile *file)
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

/* A file that is new in the set. */
struct newcomer {
	struct span name;
	size_t number;
};

static int compare_newcomers(const void *a, const void *b)
{
	const struct span x = ((const struct newcomer *)a)->name, y = ((const struct newcomer *)b)->name;
	int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
	return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

/* Opens the files that are new in the set, in the order of their names: two spools that share several files would wait
 * for each other's locks else. 0, or -1 with errno if the state failed. */
static int open_files(struct outfiles *files)
{
	int result = 0;
	size_t count = files->names.count - files->opened;
	struct newcomer *newcomers = calloc(count + 1, sizeof *newcomers);
	if (newcomers == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		newcomers[i] = (struct newcomer){names_get(&files->names, files->opened + i), files->opened + i};
	qsort(newcomers, count, sizeof *newcomers, compare_newcomers);
	for (size_t i = 0; i < count && result == 0; i++) {
		struct outfile *file = &files->list[newcomers[i].number];
		if (file->error == 0 && outfile_open(files, newcomers[i].number) == 1)
			result = outfile_look(&files->context, file);
	}
	files->opened += count;
	free(newcomers);
	return result;
}

static bool is_in_use(const struct outfiles *files, size_t number)
{
	const struct outfile *file = &files->list[number];
	return file->same_as == number && file->fd >= 0;
}

static int record(const struct target_context *c, struct outfile *file, uint64_t length, int64_t in_era,
		  uint64_t standing)
{
	struct state_file now = {
		.length = length, .has_mark = true, .era = in_era, .standing = standing, .others_at = file->others_at};
	if (read_mark(file, length, &now.mark) < 0)
		return -1;
	return state_file_put(c->state, outfile_path(file), &now);
}

static int record_one(const struct target_context *c, struct outfile *file)
{
	return standing_store(&file->standing, c->state, outfile_path(file)) < 0
		       ? -1
		       : record(c, file, file->length, era(c), file->standing.events.count);
}

static bool is_to_record(const struct outfiles *files, size_t number)
{
	return is_in_use(files, number) && files->list[number].is_new && files->list[number].error == 0;
}

static int record_new(struct outfiles *files)
{
	const struct target_context *c = &files->context;
	bool some = false;
	for (size_t i = 0; i < files->names.count; i++)
		some |= is_to_record(files, i);
	if (!some)
		return 0;
	if (state_begin(c->state) < 0)
		return -1;
	for (size_t i = 0; i < files->names.count; i++)
		if (is_to_record(files, i) && record_one(c, &files->list[i]) < 0)
			goto fail;
	if (state_commit(c->state) < 0)
		goto fail;
	for (size_t i = 0; i < files->names.count; i++)
		files->list[i].is_new = false;
	return 0;
fail:
	state_rollback(c->state);
	return -1;
}

/* Appending */

/* Free space of the file system that was asked last. */
struct space {
	bool known;
	dev_t device;
	uint64_t bytes;
};

/* Whether the file system keeps twice its reserve if so much is appended: what is left is for the receiver, whose
 * events wait well where they are. */
static bool has_space(const struct target_context *c, const struct outfile *file, size_t n, struct space *space)
{
	uint64_t inodes;
	if (!space->known || space->device != file->device) {
		*space = (struct space){.known = true, .device = file->device};
		if (fsio_free_space(file->fd, &space->bytes, &inodes) < 0)
			space->bytes = UINT64_MAX;
	}
	if (space->bytes < n || (space->bytes - n) / 2 < c->conf->reserve)
		return false;
	space->bytes -= n;
	return true;
}

/* What of a write that failed has come into the file, which ends with it then, is cut off. */
static void take_back(const struct target_context *c, struct outfile *file, const struct buf *records)
{
	struct stat st;
	uint64_t length = file->length + file->grown, size;
	char chunk[4096];
	if (fstat(file->fd, &st) < 0 || (uint64_t)st.st_size < length || (uint64_t)st.st_size > length + records->len)
		goto doubt;
	size = (uint64_t)st.st_size;
	for (uint64_t at = length; at < size;) {
		size_t n = size - at < sizeof chunk ? (size_t)(size - at) : sizeof chunk;
		if (fsio_read_at(file->fd, chunk, n, (off_t)at) != (ssize_t)n ||
		    memcmp(chunk, records->data + (at - length), n) != 0)
			goto doubt;
		at += n;
	}
	if (size == length || cut(file, length) == 0)
		return;
doubt:
	c->era->number = 0;
}

static void append(struct outfiles *files, size_t number, struct space *space)
{
	struct outfile *records = &files->list[number], *file = outfile(files, number);
	const struct target_context *c = &files->context;
	standing_leave_out(&file->standing, &records->records);
	size_t n = records->records.len;
	off_t at = (off_t)(file->length + file->grown);
	if (n == 0 || file->error != 0)
		return;
	if (!has_space(c, file, n, space)) {
		errno = ENOSPC;
		outfile_fail(file, ": its file system would have less free than twice the reserve");
	} else if (fsio_write(file->fd, records->records.data, n) < 0) {
		outfile_fail(file, " cannot be appended to");
		take_back(c, file, &records->records);
	} else {
		file->grown += n;
		/* The disk can begin; outfiles_write waits for it. */
		sync_file_range(file->fd, at, (off_t)n, SYNC_FILE_RANGE_WRITE);
	}
}

int outfiles_flush(struct outfiles *files)
{
	struct space space = {0};
	if (open_files(files) < 0 || record_new(files) < 0)
		return -1;
	for (size_t i = 0; i < files->names.count; i++) {
		append(files, i, &space);
		files->list[i].records.len = 0;
	}
	return 0;
}

static void sync_files(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (is_in_use(files, i) && file->error == 0 && file->grown > 0 && fsio_datasync(file->fd) < 0)
			outfile_fail(file, " cannot be made durable");
	}
}

/* Looks whether what was appended is where its readers look for it. False: a name has become another file's. */
static bool confirm(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (!is_in_use(files, i) || file->error != 0 || file->grown == 0)
			continue;
		switch (has_name(file, &file->size)) {
		case 1:
			break;
		case 0:
			return false;
		default:
			outfile_fail(file, " cannot be found again");
		}
	}
	return true;
}

enum outfiles_result outfiles_write(struct outfiles *files, outfiles_spread *spread, void *arg)
{
	enum outfiles_result result = OUTFILES_WRITTEN;
	if (outfiles_flush(files) < 0) {
		result = OUTFILES_FAILED;
	} else {
		spread(arg);
		sync_files(files);
		spread(arg);
		if (!confirm(files))
			result = OUTFILES_MOVED;
		spread(arg);
	}
	outfiles_undo(files, result != OUTFILES_WRITTEN);
	return result;
}

/* Exactly what this set has appended is cut off. Where anything else has come in, the next append looks at it. */
static void undo(const struct target_context *c, struct outfile *file)
{
	struct stat st;
	if (fstat(file->fd, &st) < 0 || (uint64_t)st.st_size != file->length + file->grown ||
	    cut(file, file->length) < 0)
		c->era->number = 0;
	file->grown = 0;
}

/* What was appended is judged when the state is asked again: whether a commit that failed is durable is known only
 * then. */
static void leave(struct outfiles *files)
{
	files->context.era->number = 0;
	for (size_t i = 0; i < files->names.count; i++)
		files->list[i].grown = 0;
}

void outfiles_undo(struct outfiles *files, bool all)
{
	int saved = errno;
	/* Another deliverer writes to these files now, and judges what it finds there: where locks do nothing, this
	 * length may be the one that it has reached. */
	if (saved == STATE_TAKEN) {
		leave(files);
		return;
	}
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (is_in_use(files, i) && file->grown > 0 && (all || file->error != 0))
			undo(&files->context, file);
	}
	errno = saved;
}

/* Others may have written among it: then the file is looked at again. */
static int settle(struct outfiles *files)
{
	const struct target_context *c = &files->context;
	for (size_t i = 0; i < files->names.count; i++) {
		uint64_t left;
		struct outfile *file = &files->list[i];
		if (!is_in_use(files, i) || file->error != 0 || (file->grown == 0 && file->standing.events.count == 0))
			continue;
		if (file->grown == 0)
			file->size = file->length;
		bool alone = file->size == file->length + file->grown;
		if (file->size < file->length + file->grown)
			log_warnx("%s: cut by another program while records were appended to it", file->path.data);
		if (standing_drop_met(&file->standing, c->state, outfile_path(file), &left) < 0 ||
		    record(c, file, file->size, alone ? era(c) : 0, left) < 0)
			return -1;
	}
	return 0;
}

int outfiles_commit(struct outfiles *files, outfiles_put *put, void *arg)
{
	struct state *state = files->context.state;
	bool asked = false;
	if (state_begin(state) == 0 && settle(files) == 0 && put(arg) == 0 && state_keep_age(state) == 0 &&
	    state_is_there(state) == 0) {
		asked = true;
		if (state_commit(state) == 0)
			return 0;
	}
	state_rollback(state);
	if (!asked)
		outfiles_undo(files, true);
	else
		leave(files);
	return -1;
}

/* Buffers that are kept for the next round: not one that was needed once for something large, nor one of many. */
#define KEEP_BYTES (16u << 20)
#define KEEP_FILES 4

void outfiles_clear(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		fsio_close(&file->fd);
		if (file->records.cap > KEEP_BYTES || i >= KEEP_FILES)
			buf_fini(&file->records);
	}
	names_clear(&files->names);
	names_clear(&files->paths);
	files->opened = 0;
	files->wait_until = 0;
}

void outfiles_fini(struct outfiles *files)
{
	outfiles_clear(files);
	for (size_t i = 0; i < files->cap; i++) {
		buf_fini(&files->list[i].records);
		buf_fini(&files->list[i].why);
		buf_fini(&files->list[i].path);
		standing_fini(&files->list[i].standing);
	}
	free(files->list);
	free(files->first);
	names_fini(&files->names);
	names_fini(&files->paths);
	*files = (struct outfiles){0};
}
