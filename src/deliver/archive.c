#include "config.h"

#include "deliver/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/intern.h"
#include "base/log.h"
#include "base/text.h"
#include "deliver/adopt.h"
#include "deliver/kept.h"
#include "event/line.h"
#include "spool/lines.h"
#include "spool/segment.h"
#include "state/archive_index.h"
#include "state/segments.h"
#include "state/state.h"

#define MOVE_SIZE   (UINT64_C(1) << 20)    /* from here on a segment is moved as it is */
#define COPY_SIZE   (2 * SEGMENT_SIZE_MAX) /* no receiver makes a larger one */
#define FOLD_SIZE   (UINT64_C(64) << 20)
#define FOLD_AGE    (86400 * CLOCK_SECOND) /* or `keep`, where that is less: a fold goes when its last line may */
#define PASS_BYTES  (8u << 20)             /* folded at a time */
#define PASS_COUNT  2000
#define PRUNE_COUNT 16
#define ERRORS_MAX  8 /* segments that cannot be put away in one pass: they are not all tried */

#define READ_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* One pass over the segments that are read to their end. */
struct pass {
	struct deliverer *d;
	struct names folded, gone;
	struct buf lines; /* of those that are folded */
	uint64_t fold_size;
	bool moved;
	bool is_copying; /* a step was made towards another file system, and there are more */
	unsigned errors;
	int error; /* the last one; 0: none */
};

/* What another user can make of one name in the journal; it does not keep others from being put away. */
static bool is_odd(int error)
{
	return error == ENOENT || error == EISDIR || error == EINVAL || error == EMLINK || error == ELOOP ||
	       error == ENXIO || error == EACCES || error == EPERM;
}

/* Whether it is moved as it is. Another user's is copied, for that user could go on writing to it. */
static bool may_move(const struct spool *spool, const char *name, uint64_t size)
{
	struct stat st;
	if (size < MOVE_SIZE || !spool->has_group || size > COPY_SIZE)
		return size >= MOVE_SIZE;
	return fstatat(spool->journal_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == geteuid();
}

/* The name of a segment, with its NUL. */
static int add_name(struct names *names, const char *name)
{
	return names_add(names, name, strlen(name) + 1, NULL) < 0 ? -1 : 0;
}

/* Its last lines may never have been synced: their writer may have died before. */
static int sync_segment(const struct spool *spool, const char *name)
{
	int fd = spool_open_shared(spool, spool->journal_fd, name, O_RDONLY);
	if (fd < 0)
		return -1;
	int result = fsio_datasync(fd);
	fsio_close(&fd);
	return result;
}

/* Takes a segment's name away and looks at its size then: where locks do nothing its writer may have appended to it,
 * and acknowledged that, since it was read to its end; what it appends from now on it does not acknowledge, for it
 * finds the name gone. 1: it stands under the `hidden` name; 0: it has more, or is gone; -1 with errno. */
static int hide(struct pass *pass, const char *name, uint64_t size, char hidden[SEGMENT_HIDDEN_SIZE])
{
	int journal = pass->d->spool->journal_fd;
	struct stat st;
	/* Only the deliverer writes a kept one, so it needs no hiding. */
	if (segment_is_kept(name)) {
		strcpy(hidden, name);
		return 1;
	}
	segment_name_hidden(hidden, name);
	if (renameat(journal, name, journal, hidden) < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstatat(journal, hidden, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_size <= size)
		return 1;
	return renameat(journal, hidden, journal, name) < 0 ? -1 : reader_resume(pass->d->reader, name, size);
}

/* Gives it its name back; errno stays. */
static void show(const struct pass *pass, const char *hidden, const char *name)
{
	int saved = errno;
	renameat(pass->d->spool->journal_fd, hidden, pass->d->spool->journal_fd, name);
	errno = saved;
}

/* 1; 0: it stays, or is gone; -1 with errno. */
static int unlink_segment(struct pass *pass, const char *name, uint64_t size)
{
	char hidden[SEGMENT_HIDDEN_SIZE];
	int result = hide(pass, name, size, hidden);
	if (result != 1 || unlinkat(pass->d->spool->journal_fd, hidden, 0) == 0)
		return result;
	show(pass, hidden, name);
	return errno == ENOENT || errno == EISDIR ? 0 : -1;
}

/* Copies it to another file system, one a pass. 1: it is there; 0: not yet; -1 with errno. */
static int copy_segment(struct pass *pass, const char *name, uint64_t size)
{
	const struct spool *spool = pass->d->spool;
	if (pass->is_copying)
		return 0;
	pass->is_copying = true;
	int there = transfer_step(&pass->d->transfer, spool, name);
	if (there != 1)
		return there;
	return fsio_sync(spool->archive_fd) < 0 ? -1 : unlink_segment(pass, name, size);
}

/* 1; 0: it is on its way; -1 with errno. */
static int move_segment(struct pass *pass, const char *name, uint64_t size)
{
	const struct spool *spool = pass->d->spool;
	char hidden[SEGMENT_HIDDEN_SIZE];
	if (sync_segment(spool, name) < 0)
		return is_odd(errno) ? 0 : -1;
	int moved = hide(pass, name, size, hidden);
	if (moved == 1 && renameat(spool->journal_fd, hidden, spool->archive_fd, name) < 0) {
		show(pass, hidden, name);
		moved = errno == EXDEV ? copy_segment(pass, name, size) : -1;
	}
	if (moved != 1)
		return moved;
	pass->moved = true;
	return add_name(&pass->gone, name) < 0 ? -1 : 1;
}

static int remove_segment(struct pass *pass, const char *name, uint64_t size)
{
	int removed = unlink_segment(pass, name, size);
	if (removed != 1)
		return removed;
	return add_name(&pass->gone, name) < 0 ? -1 : 1;
}

/* Appends the segment's lines to those of the pass; a torn tail is no line. */
static int read_segment(struct pass *pass, const char *name, uint64_t size)
{
	struct buf *b = &pass->lines;
	size_t before = b->len;
	int fd = spool_open_shared(pass->d->spool, pass->d->spool->journal_fd, name, O_RDONLY);
	if (fd < 0)
		return is_odd(errno) ? 0 : -1;
	ssize_t n = buf_reserve(b, size) < 0 ? -1 : fsio_read_at(fd, b->data + before, size, 0);
	fsio_close(&fd);
	if (n < 0)
		return -1;
	const char *newline = memrchr(b->data + before, '\n', (size_t)n);
	if (newline != NULL)
		b->len = (size_t)(newline + 1 - b->data);
	return add_name(&pass->folded, name);
}

static void note_error(struct pass *pass)
{
	pass->errors++;
	pass->error = errno;
}

/* First: empty and copied segments are removed, large ones moved, the lines of small ones collected. */
static bool collect(void *arg, const char *name, uint64_t size)
{
	struct pass *pass = arg;
	const struct kept *kept = pass->d->kept;
	int result;
	if (pass->errors >= ERRORS_MAX || pass->folded.count + pass->gone.count >= PASS_COUNT ||
	    kept_is_open(kept, name))
		return false;
	int pinned = size == 0 ? 0 : state_is_pinned(pass->d->state, name);
	if (pinned == 1)
		return false;
	if (pinned < 0)
		result = -1;
	else if (size == 0 || kept_is_copied(kept, name))
		result = remove_segment(pass, name, size);
	else if (may_move(pass->d->spool, name, size))
		result = move_segment(pass, name, size);
	else if (pass->lines.len > 0 && pass->lines.len + size > PASS_BYTES)
		return false;
	else
		result = read_segment(pass, name, size);
	if (result < 0)
		note_error(pass);
	return result == 1;
}

/* Second: the folded ones are removed. */
static bool remove_folded(void *arg, const char *name, uint64_t size)
{
	struct pass *pass = arg;
	if (names_find(&pass->folded, name, strlen(name) + 1) == SIZE_MAX)
		return false;
	int removed = remove_segment(pass, name, size);
	if (removed < 0)
		note_error(pass);
	return removed == 1;
}

static int latest_fold(void *arg, int folder, const char *name)
{
	char *latest = arg;
	size_t n = strlen(name), end = strlen(SEGMENT_FOLD_END);
	(void)folder;
	if (segment_parse_name(name, NULL) && n == CLOCK_STAMP_SIZE - 1 + end &&
	    strcmp(name + n - end, SEGMENT_FOLD_END) == 0 && strcmp(name, latest) > 0)
		strcpy(latest, name);
	return 0;
}

/* A crash may have left a part of a line at its end. */
static int cut_torn(int fd, uint64_t size)
{
	uint64_t end;
	return fsio_find_tail(fd, size, &end) < 0 ? -1 : ftruncate(fd, (off_t)end);
}

/* Opens the latest fold if it may take more. -1 with errno 0: there is none. */
static int open_old_fold(const struct deliverer *d, char name[SEGMENT_NAME_SIZE])
{
	int64_t stamp;
	struct stat st;
	name[0] = '\0';
	if (fsio_each_name(d->spool->archive_fd, ".", latest_fold, name) < 0)
		return -1;
	errno = 0;
	if (name[0] == '\0')
		return -1;
	segment_parse_name(name, &stamp);
	int64_t age = clock_now() - stamp;
	int fd = openat(d->spool->archive_fd, name, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size >= FOLD_SIZE || age < 0 ||
	    age >= (d->conf->keep < FOLD_AGE ? d->conf->keep : FOLD_AGE) || cut_torn(fd, (uint64_t)st.st_size) < 0) {
		close(fd);
		errno = 0;
		return -1;
	}
	return fd;
}

static int open_fold(const struct deliverer *d, char name[SEGMENT_NAME_SIZE])
{
	char stamp[CLOCK_STAMP_SIZE];
	int fd = open_old_fold(d, name);
	if (fd >= 0 || errno != 0)
		return fd;
	clock_stamp(clock_now(), stamp);
	snprintf(name, SEGMENT_NAME_SIZE, "%s" SEGMENT_FOLD_END, stamp);
	fd = openat(d->spool->archive_fd, name, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && (spool_own(d->spool, fd) < 0 || fsio_sync(d->spool->archive_fd) < 0)) {
		fsio_close(&fd);
		return -1;
	}
	return fd;
}

/* Appends the collected lines to the open fold, synced. */
static int fold(struct pass *pass, char name[SEGMENT_NAME_SIZE])
{
	struct stat st;
	int fd = open_fold(pass->d, name);
	if (fd < 0)
		return -1;
	int result =
		fsio_write(fd, pass->lines.data, pass->lines.len) < 0 || fsio_datasync(fd) < 0 || fstat(fd, &st) < 0
			? -1
			: 0;
	if (result == 0)
		pass->fold_size = (uint64_t)st.st_size;
	fsio_close(&fd);
	return result;
}

/* The rows of what is gone from the journal; the folders first, so that nothing comes back after its row has gone. */
static int record_pass(struct pass *pass, const char *fold_name)
{
	struct deliverer *d = pass->d;
	struct stat st;
	int result = 0;
	if ((pass->moved && fsio_sync(d->spool->archive_fd) < 0) || fsio_sync(d->spool->journal_fd) < 0)
		result = -1;
	if (result == 0 && fold_name[0] != '\0')
		result = state_archive_put(d->state, fold_name, pass->fold_size);
	for (size_t i = 0; i < pass->gone.count && result == 0; i++) {
		const char *name = names_get(&pass->gone, i).ptr;
		result = state_cursor_drop(d->state, name);
		if (result == 0 && pass->moved && fstatat(d->spool->archive_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			result = state_archive_put(d->state, name, (uint64_t)st.st_size);
	}
	return deliverer_commit(d, result);
}

int archive_put_away(struct deliverer *d)
{
	struct pass pass = {.d = d};
	char fold_name[SEGMENT_NAME_SIZE] = "";
	int result = 0;
	/* From the look at a segment's deliveries to its end: a replay must not give it new ones in between. */
	if (state_begin(d->state) < 0)
		return -1;
	reader_finished(d->reader, collect, &pass);
	if (pass.lines.len > 0 && fold(&pass, fold_name) < 0) {
		note_error(&pass);
		names_clear(&pass.folded);
	}
	if (pass.folded.count > 0)
		reader_finished(d->reader, remove_folded, &pass);
	if (pass.gone.count > 0)
		result = record_pass(&pass, fold_name);
	else
		state_rollback(d->state);
	if (result == 0)
		result = pass.gone.count > 0 || pass.is_copying;
	if (pass.gone.count < PASS_COUNT)
		kept_forget_copied(d->kept);
	if (pass.error != 0) {
		errno = pass.error;
		result = -1;
	}
	int saved = errno;
	names_fini(&pass.folded);
	names_fini(&pass.gone);
	buf_fini(&pass.lines);
	errno = saved;
	return result;
}

/* A file that a delivery names by now stays; its lines are copied from it first (kept). */
static int prune_one(struct deliverer *d, const char *name)
{
	int pinned = state_is_pinned(d->state, name);
	if (pinned != 0)
		return pinned < 0 ? -1 : 0;
	if (unlinkat(d->spool->archive_fd, name, 0) < 0 && errno != ENOENT)
		return -1;
	return state_archive_drop(d->state, name) < 0 ? -1 : state_cursor_drop(d->state, name);
}

int archive_prune(struct deliverer *d)
{
	char names[PRUNE_COUNT][SEGMENT_NAME_SIZE];
	int n = state_archive_old(d->state, d->conf->keep, names, PRUNE_COUNT);
	if (n <= 0)
		return n;
	if (state_begin(d->state) < 0)
		return -1;
	int result = 0;
	for (int i = 0; i < n && result == 0; i++)
		result = prune_one(d, names[i]);
	return deliverer_commit(d, result) < 0 ? -1 : n;
}

/* Names the segments that have a cursor and are not in the journal. */
static int find_missing(void *arg, const char *segment, uint64_t offset)
{
	struct pass *pass = arg;
	(void)offset;
	if (faccessat(pass->d->spool->journal_fd, segment, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return 0;
	return add_name(&pass->gone, segment);
}

struct remembering {
	struct deliverer *d;
	const struct adopt *adopt;
};

static int remember_line(void *arg, const char *line, size_t n, uint64_t offset)
{
	const struct remembering *r = arg;
	struct event event;
	uint8_t id[STATE_ID_SIZE];
	(void)offset;
	if (line_decode(line, n, &event) != LINE_OK)
		return 0;
	text_unhex(event.id, EVENT_ID_SIZE - 1, id, sizeof id);
	if (adopt_has(r->adopt, id))
		return 0;
	int seen = state_seen(r->d->state, id);
	return seen == 0 ? state_seen_add(r->d->state, id) : seen < 0 ? -1 : 0;
}

/* The identities of a file's lines from an offset on, and its length. */
static int remember_from(const struct remembering *r, const char *name, uint64_t offset)
{
	uint64_t length;
	int fd = openat(r->d->spool->archive_fd, name, READ_FLAGS);
	if (fd < 0) {
		log_warn("%s/archive/%s", r->d->spool->path, name);
		return -1;
	}
	int result = lines_each(fd, offset, remember_line, (void *)r, &length);
	fsio_close(&fd);
	return result == 0 ? state_archive_put(r->d->state, name, length) : -1;
}

static bool is_kept_there(int folder, const char *name)
{
	struct stat st;
	return segment_parse_name(name, NULL) && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode);
}

static int remember_file(void *arg, int folder, const char *name)
{
	return is_kept_there(folder, name) ? remember_from(arg, name, 0) : 0;
}

static bool is_in_journal(const struct deliverer *d, const char *name)
{
	return faccessat(d->spool->journal_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Names the files of the archive that hold more than is recorded. Of one that stands in the journal too, only what the
 * cursor is behind of was taken in; it is put away over this copy. */
static int find_unknown(void *arg, int folder, const char *name)
{
	struct pass *pass = arg;
	struct stat st;
	uint64_t length = 0;
	if (transfer_is_draft(name))
		unlinkat(folder, name, 0);
	if (!is_kept_there(folder, name) || is_in_journal(pass->d, name))
		return 0;
	int known = state_archive_length(pass->d->state, name, &length);
	if (known < 0 || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	return known && (uint64_t)st.st_size <= length ? 0 : add_name(&pass->folded, name);
}

static int recover(struct pass *pass, const struct adopt *adopt)
{
	struct deliverer *d = pass->d;
	const struct remembering r = {d, adopt};
	int result = 0;
	for (size_t i = 0; i < pass->folded.count && result == 0; i++) {
		const char *name = names_get(&pass->folded, i).ptr;
		uint64_t length = 0;
		result = state_archive_length(d->state, name, &length) < 0 ? -1 : remember_from(&r, name, length);
	}
	for (size_t i = 0; i < pass->gone.count && result == 0; i++) {
		const char *name = names_get(&pass->gone, i).ptr;
		int pinned = state_is_pinned(d->state, name);
		if (pinned < 0)
			return -1;
		if (!pinned)
			result = state_cursor_drop(d->state, name);
	}
	return result;
}

int archive_recover(struct deliverer *d, const struct adopt *adopt)
{
	struct pass pass = {.d = d};
	int result = state_cursors(d->state, find_missing, &pass);
	if (result == 0)
		result = fsio_each_name(d->spool->archive_fd, ".", find_unknown, &pass);
	if (result == 0 && pass.folded.count + pass.gone.count > 0) {
		result = state_begin(d->state);
		if (result == 0)
			result = deliverer_commit(d, recover(&pass, adopt));
	}
	int saved = errno;
	names_fini(&pass.folded);
	names_fini(&pass.gone);
	errno = saved;
	return result;
}

int archive_remember(struct deliverer *d, const struct adopt *adopt)
{
	struct remembering r = {d, adopt};
	return fsio_each_name(d->spool->archive_fd, ".", remember_file, &r);
}
