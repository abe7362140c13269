#include "config.h"

#include "spool/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/fsio.h"
#include "event/line.h"
#include "spool/segment.h"

#define WINDOW_MIN (256u << 10)
#define OPEN_MAX   128 /* segments that stay open until they are needed again */

/* A segment as its reader sees it. */
struct source {
	char name[SEGMENT_NAME_SIZE];
	int64_t stamp;
	uint64_t cursor;   /* taken in up to here */
	uint64_t first;    /* size at the round's first look: what is owed in this round */
	uint64_t second;   /* size at its second look: what may be read in this round */
	bool there;        /* it stands in the folder (reader_look) */
	bool sealed;       /* nobody holds it: it does not grow any more */
	bool stuck;        /* nothing more to be had from it in this round */
	int fd;            /* -1 while closed */
	struct buf window; /* bytes of the segment from window_at on */
	uint64_t window_at;
	enum reader_found head; /* READER_NONE: the line at the cursor is not loaded */
	size_t head_len;        /* without newline */
	uint64_t head_next;
	struct event event;
	int64_t key; /* orders heads of several segments */
	bool keyed;  /* key is that of the line at the cursor, loaded or not */
};

struct reader {
	const struct spool *spool;
	struct source **sources; /* sorted by name, which begins with the stamp */
	size_t count, cap;
	size_t from;               /* all before it are stuck in this round */
	bool barred;               /* a segment could not be read: nothing more is given in this round */
	struct source *given;      /* its head was returned by the last reader_next */
	size_t open;               /* how many sources are */
	struct reader_stray stray; /* the last one that was passed over; "": none since it was told */
	uint64_t bytes_given;
};

struct reader *reader_new(const struct spool *spool)
{
	struct reader *reader = calloc(1, sizeof *reader);
	if (reader != NULL)
		reader->spool = spool;
	return reader;
}

static void source_close(struct reader *reader, struct source *source)
{
	if (source->fd >= 0) {
		close(source->fd);
		reader->open--;
	}
	source->fd = -1;
	buf_fini(&source->window);
	source->head = READER_NONE;
}

static void source_free(struct reader *reader, struct source *source)
{
	source_close(reader, source);
	free(source);
}

void reader_free(struct reader *reader)
{
	if (reader == NULL)
		return;
	for (size_t i = 0; i < reader->count; i++)
		source_free(reader, reader->sources[i]);
	free(reader->sources);
	free(reader);
}

/* Where name is, or where it should be put. */
static size_t reader_find(const struct reader *reader, const char *name, bool *found)
{
	size_t low = 0, high = reader->count;
	*found = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(name, reader->sources[middle]->name);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The source of this name, made where it is new. NULL with errno. */
static struct source *reader_source(struct reader *reader, const char *name, int64_t stamp)
{
	bool found;
	size_t at = reader_find(reader, name, &found);
	if (found)
		return reader->sources[at];
	if (array_grow(&reader->sources, reader->count, &reader->cap, sizeof *reader->sources) < 0)
		return NULL;
	struct source *source = calloc(1, sizeof *source);
	if (source == NULL)
		return NULL;
	strcpy(source->name, name);
	source->stamp = stamp;
	source->fd = -1;
	source->head = READER_NONE;
	memmove(reader->sources + at + 1, reader->sources + at, (reader->count - at) * sizeof(struct source *));
	reader->sources[at] = source;
	reader->count++;
	return source;
}

int reader_resume(struct reader *reader, const char *name, uint64_t offset)
{
	int64_t stamp;
	if (!segment_parse_name(name, &stamp))
		return 0;
	struct source *source = reader_source(reader, name, stamp);
	if (source == NULL)
		return -1;
	source_close(reader, source);
	source->cursor = offset;
	source->keyed = false;
	source->sealed = false;
	if (reader->given == source)
		reader->given = NULL;
	return 0;
}

static int see_segment(void *arg, int folder, const char *name)
{
	struct reader *reader = arg;
	int64_t stamp;
	(void)folder;
	if (!segment_parse_name(name, &stamp))
		return 0;
	struct source *source = reader_source(reader, name, stamp);
	if (source == NULL)
		return -1;
	source->there = true;
	return 0;
}

/* Makes a source for each segment that stands in the folder now. */
static int list_segments(struct reader *reader)
{
	return fsio_each_name(reader->spool->journal_fd, ".", see_segment, reader);
}

static void forget_places(struct reader *reader)
{
	for (size_t i = 0; i < reader->count; i++)
		reader->sources[i]->there = false;
}

static void drop_missing(struct reader *reader)
{
	size_t kept = 0;
	for (size_t i = 0; i < reader->count; i++) {
		if (reader->sources[i]->there)
			reader->sources[kept++] = reader->sources[i];
		else
			source_free(reader, reader->sources[i]);
	}
	reader->count = kept;
}

/* Whether it can have no more lines than those taken in: such a segment costs nothing in a round. */
static bool is_finished(const struct source *source)
{
	return source->sealed && source->cursor >= source->second;
}

/* One that is empty may have been seen between its birth and its lock, and has a line by now. */
static bool may_have_more(const struct source *source)
{
	return !is_finished(source) || source->second == 0;
}

static int source_open(struct reader *reader, struct source *source)
{
	if (source->fd >= 0)
		return 0;
	source->fd = spool_open_shared(reader->spool, reader->spool->journal_fd, source->name, O_RDONLY);
	if (source->fd < 0)
		return -1;
	reader->open++;
	return 0;
}

/* The other user of a shared spool may have put it there, or spoiled it: it is not waited for. Its own segments it
 * makes readable before it writes to them. */
static bool is_the_others(const struct reader *reader, const struct stat *st)
{
	return reader->spool->has_group && (st->st_uid == geteuid() ? st->st_nlink > 1 : st->st_uid != 0);
}

static void pass_over(struct reader *reader, const struct source *source, int error)
{
	strcpy(reader->stray.name, source->name);
	reader->stray.error = error;
}

bool reader_stray(struct reader *reader, struct reader_stray *stray)
{
	*stray = reader->stray;
	reader->stray.name[0] = '\0';
	return stray->name[0] != '\0';
}

/* Whether the cursor is behind a line. A power cut may have taken what was never synced, though it was read before; and
 * the cursor may be damaged. */
static bool cursor_fits(const struct source *source, uint64_t size)
{
	char last;
	if (source->cursor == 0 || source->cursor == size)
		return true;
	return source->cursor < size && fsio_read_at(source->fd, &last, 1, (off_t)source->cursor - 1) == 1 &&
	       last == '\n';
}

/* A segment that cannot be opened is owed all the same: source_load comes to it in its turn. One that is gone owes
 * nothing, nor does what is no file. Nor one that has no line yet: its writer makes it readable before it writes. */
static void look_from_outside(struct reader *reader, struct source *source)
{
	struct stat st;
	int error = errno;
	if (fstatat(reader->spool->journal_fd, source->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (!S_ISREG(st.st_mode) || is_the_others(reader, &st)) {
		if (!S_ISREG(st.st_mode) || st.st_size > 0)
			pass_over(reader, source, S_ISREG(st.st_mode) ? error : EINVAL);
		return;
	}
	source->second = (uint64_t)st.st_size;
	source->sealed = false;
	source->stuck = source->cursor >= source->second;
}

/* The second look. A segment that is not locked is sealed: its writer takes the lock before it writes and never gives
 * it back alive. Its size is read while the lock is held here: one that is empty may still be waiting for its writer,
 * who would have it locked and written in between (see reader_finished). */
static void look_again(struct reader *reader, struct source *source)
{
	struct stat st;
	source->stuck = true;
	source->second = source->cursor;
	if (source_open(reader, source) < 0) {
		look_from_outside(reader, source);
		return;
	}
	bool sealed = flock(source->fd, LOCK_SH | LOCK_NB) == 0;
	bool known = fstat(source->fd, &st) == 0;
	if (sealed)
		flock(source->fd, LOCK_UN);
	if (!known)
		return;
	if (!cursor_fits(source, (uint64_t)st.st_size)) {
		source->cursor = 0;
		source->keyed = false;
	}
	source->second = (uint64_t)st.st_size;
	source->sealed = sealed;
	source->stuck = source->cursor >= source->second;
	/* Thousands of short segments wait at a time where CGI writes them: they are opened when it is their turn. */
	if (sealed || reader->open > OPEN_MAX)
		source_close(reader, source);
}

/* The cursor moves behind the line that was given last. */
static void reader_advance(struct reader *reader)
{
	struct source *source = reader->given;
	reader->given = NULL;
	if (source == NULL)
		return;
	reader->bytes_given += source->head_next - source->cursor;
	source->cursor = source->head_next;
	source->head = READER_NONE;
	source->keyed = false;
	if (source->cursor < source->second)
		return;
	source->stuck = true;
	if (source->sealed || reader->open > OPEN_MAX)
		source_close(reader, source);
}

void reader_progress(const struct reader *reader, uint64_t *given, uint64_t *left)
{
	*given = reader->bytes_given;
	*left = 0;
	for (size_t i = 0; i < reader->count; i++) {
		const struct source *source = reader->sources[i];
		if (source->second > source->cursor)
			*left += source->second - source->cursor;
	}
}

/* The first look: what is owed in this round. Whether anything is. */
static bool look_first(struct reader *reader)
{
	struct stat st;
	bool owed = false;
	for (size_t i = 0; i < reader->count; i++) {
		struct source *source = reader->sources[i];
		if (!may_have_more(source))
			continue;
		source->first = fstatat(reader->spool->journal_fd, source->name, &st, AT_SYMLINK_NOFOLLOW) < 0
					? source->cursor
					: (uint64_t)st.st_size;
		/* A cursor that is not believed (cursor_fits) may be behind the end. */
		owed |= source->first != source->cursor;
	}
	return owed;
}

int reader_look(struct reader *reader)
{
	reader_advance(reader);
	reader->from = 0;
	reader->barred = false;
	forget_places(reader);
	if (list_segments(reader) < 0)
		return -1;
	drop_missing(reader);
	/* Before what the first look saw was sent, another segment may have been born that the list has not. */
	if (look_first(reader) && list_segments(reader) < 0)
		return -1;
	for (size_t i = 0; i < reader->count; i++)
		if (may_have_more(reader->sources[i]))
			look_again(reader, reader->sources[i]);
		else
			reader->sources[i]->stuck = true;
	return 0;
}

/* Makes the window hold more of the segment from the cursor on, twice as much as it does. */
static int fill_window(struct source *source)
{
	struct buf *window = &source->window;
	if (window->len == 0 || source->cursor < source->window_at ||
	    source->cursor > source->window_at + window->len) {
		window->len = 0;
		source->window_at = source->cursor;
	} else {
		size_t used = (size_t)(source->cursor - source->window_at);
		memmove(window->data, window->data + used, window->len - used);
		window->len -= used;
		source->window_at = source->cursor;
	}
	uint64_t left = source->second - (source->window_at + window->len);
	size_t more = window->len < WINDOW_MIN ? WINDOW_MIN : window->len;
	if (more > left)
		more = (size_t)left;
	if (buf_reserve(window, more) < 0)
		return -1;
	ssize_t n =
		fsio_read_at(source->fd, window->data + window->len, more, (off_t)(source->window_at + window->len));
	if (n < 0)
		return -1;
	if (n == 0) {
		/* Shorter than a moment ago. */
		errno = EIO;
		return -1;
	}
	window->len += (size_t)n;
	return 0;
}

static const char *head_start(const struct source *source)
{
	return source->window.data + (source->cursor - source->window_at);
}

/* Finds the line at the cursor: the newline's place, or NULL with *whole false if the segment ends before one does. -1
 * with errno; EFBIG: no receiver writes such a line. */
static int find_line(struct source *source, uint64_t max, bool *whole)
{
	size_t looked = 0;
	for (;;) {
		uint64_t end = source->window_at + source->window.len;
		if (source->window.len > 0 && source->cursor >= source->window_at && source->cursor < end) {
			size_t have = (size_t)(end - source->cursor);
			const char *newline = memchr(head_start(source) + looked, '\n', have - looked);
			if (newline != NULL) {
				source->head_len = (size_t)(newline - head_start(source));
				source->head_next = source->cursor + source->head_len + 1;
				*whole = true;
				return 0;
			}
			looked = have;
			if (end >= source->second) {
				source->head_len = have;
				source->head_next = source->second;
				*whole = false;
				return 0;
			}
			if (have > max) {
				errno = EFBIG;
				return -1;
			}
		}
		if (fill_window(source) < 0)
			return -1;
	}
}

/* What a torn write leaves is less than a line. A whole one with something else in its newline's place was written
 * whole, may have been acknowledged, and has been damaged since. */
static enum reader_found judge_tail(const struct source *source)
{
	struct event event;
	return source->head_len > 0 && line_decode(head_start(source), source->head_len - 1, &event) != LINE_DAMAGED
		       ? READER_DAMAGED
		       : READER_TORN;
}

/* Loads the line at the cursor. READER_NONE: there is none in this round. */
static enum reader_found source_load(struct reader *reader, struct source *source)
{
	bool whole;
	if (source->head != READER_NONE)
		return source->head;
	if (source_open(reader, source) < 0 || find_line(source, reader->spool->line_max, &whole) < 0)
		return READER_FAILED;
	if (!whole && !source->sealed)
		return READER_NONE;
	source->key = source->stamp;
	source->keyed = true;
	if (!whole) {
		source->head = judge_tail(source);
		return source->head;
	}
	switch (line_decode(head_start(source), source->head_len, &source->event)) {
	case LINE_OK:
		source->head = READER_LINE;
		source->key = source->event.received_at;
		break;
	case LINE_NEWER:
		source->head = READER_NEWER;
		break;
	case LINE_DAMAGED:
		source->head = READER_DAMAGED;
		break;
	}
	return source->head;
}

/* Ends it for this round: it cannot be read. Whether it is another user's, so that the others are not held up by it. */
static bool give_up(struct reader *reader, struct source *source)
{
	struct stat st;
	int error = errno;
	bool is_there = fstatat(reader->spool->journal_fd, source->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	bool skip = is_there ? is_the_others(reader, &st) : reader->spool->has_group;
	if (skip && is_there)
		pass_over(reader, source, error);
	source->stuck = true;
	source_close(reader, source);
	errno = error;
	return skip;
}

/* The segment whose head is next in order, or NULL. A segment's stamp is not later than its first line, so the search
 * ends at the first stamp that is not earlier than the best head. One on the way that cannot be read may have what is
 * next: it is told at once (READER_FAILED). */
static struct source *find_next(struct reader *reader, enum reader_found *found)
{
	struct source *best = NULL;
	while (reader->from < reader->count && reader->sources[reader->from]->stuck)
		reader->from++;
	for (size_t i = reader->from; i < reader->count; i++) {
		struct source *source = reader->sources[i], *later = source;
		if (best != NULL && source->stamp >= best->key)
			break;
		if (source->stuck)
			continue;
		*found = source->keyed ? READER_LINE : source_load(reader, source);
		if (*found == READER_FAILED && !give_up(reader, source))
			return source;
		if (*found == READER_NONE || *found == READER_FAILED) {
			source->stuck = true;
			continue;
		}
		if (best == NULL || source->key < best->key) {
			later = best;
			best = source;
		}
		/* Its key is enough until it is its turn. */
		if (later != NULL && reader->open > OPEN_MAX)
			source_close(reader, later);
	}
	*found = best == NULL ? READER_NONE : READER_LINE;
	return best;
}

/* The same, its head loaded. */
static struct source *reader_pick(struct reader *reader, enum reader_found *found)
{
	for (;;) {
		struct source *next = find_next(reader, found);
		if (next == NULL || *found == READER_FAILED)
			return next;
		*found = source_load(reader, next);
		if (*found != READER_NONE && (*found != READER_FAILED || !give_up(reader, next)))
			return next;
		/* It has been spoiled since its key was known. */
		next->stuck = true;
		next->keyed = false;
	}
}

/* Whether the first look saw something that has not been given yet. */
static bool is_owing(const struct reader *reader)
{
	for (size_t i = reader->from; i < reader->count; i++)
		if (!reader->sources[i]->stuck && reader->sources[i]->cursor < reader->sources[i]->first)
			return true;
	return false;
}

enum reader_found reader_next(struct reader *reader, struct reader_line *line)
{
	reader_advance(reader);
	if (reader->barred || !is_owing(reader))
		return READER_NONE;
	enum reader_found found;
	struct source *source = reader_pick(reader, &found);
	if (source == NULL)
		return READER_NONE;
	line->segment = source->name;
	line->offset = source->cursor;
	if (found == READER_FAILED) {
		reader->barred = true;
		return found;
	}
	reader->given = source;
	line->next = source->head_next;
	line->raw = (struct span){head_start(source), source->head_len};
	if (found == READER_LINE)
		line->event = source->event;
	return found;
}

/* A file system says of a file what is said here of a line: that could not be read, and is to be read again. */
static int cannot_fetch(void)
{
	if (errno == EBADMSG)
		errno = EIO;
	return -1;
}

int reader_fetch(const struct spool *spool, const char *segment, uint64_t offset, uint64_t length, struct buf *out,
		 struct event *event)
{
	int fd = spool_open_shared(spool, spool->journal_fd, segment, O_RDONLY);
	if (fd < 0 && errno == ENOENT && spool->archive_fd >= 0)
		fd = spool_open_shared(spool, spool->archive_fd, segment, O_RDONLY);
	if (fd < 0)
		return cannot_fetch();
	ssize_t n = buf_reserve(out, length) < 0 ? -1 : fsio_read_at(fd, out->data + out->len, length, (off_t)offset);
	fsio_close(&fd);
	if (n < 0)
		return cannot_fetch();
	if ((uint64_t)n != length || line_decode(out->data + out->len, length, event) != LINE_OK) {
		errno = EBADMSG;
		return -1;
	}
	out->len += length;
	return 0;
}

bool reader_is_finished(const struct reader *reader, const char *name, uint64_t *size)
{
	bool found;
	size_t at = reader_find(reader, name, &found);
	if (!found || reader->sources[at] == reader->given || !is_finished(reader->sources[at]))
		return false;
	*size = reader->sources[at]->second;
	return *size > 0;
}

/* An empty segment may be one whose writer has not locked it yet: it is put away under a lock, which makes that
 * writer's own attempt fail, and only if it is empty still. */
static bool finish_empty(struct reader *reader, struct source *source, reader_done *done, void *arg)
{
	struct stat st;
	if (source_open(reader, source) < 0)
		return false;
	bool put_away = flock(source->fd, LOCK_SH | LOCK_NB) == 0 && fstat(source->fd, &st) == 0 && st.st_size == 0 &&
			done(arg, source->name, 0);
	source_close(reader, source);
	if (!put_away)
		source->sealed = false;
	return put_away;
}

void reader_finished(struct reader *reader, reader_done *done, void *arg)
{
	size_t kept = 0;
	reader_advance(reader);
	for (size_t i = 0; i < reader->count; i++) {
		struct source *source = reader->sources[i];
		bool put_away = is_finished(source) && (source->second == 0 ? finish_empty(reader, source, done, arg)
									    : done(arg, source->name, source->second));
		if (put_away)
			source_free(reader, source);
		else
			reader->sources[kept++] = source;
	}
	reader->count = kept;
	reader->from = 0;
}
