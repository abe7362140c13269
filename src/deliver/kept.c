#include "config.h"

#include "deliver/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/intern.h"
#include "deliver/adopt.h"
#include "event/line.h"
#include "spool/segment.h"
#include "state/archive_index.h"
#include "state/deliveries.h"
#include "state/segments.h"
#include "state/state.h"

#define YOUNG      (60 * CLOCK_SECOND) /* most of what is younger waits for its first attempt */
#define LOOK_AGAIN (60 * CLOCK_SECOND) /* at what was young, though nothing has changed */

/* In one go. */
#define ROWS_MEASURED 4096
#define PINS_MEASURED 500
#define FOUND_MAX     2000
#define ROWS_MOVED    4000
#define BYTES_MOVED   (4u << 20)
#define SPACE_LEFT    (16u << 20) /* that copying must leave */

/* A segment is worth it for half of its bytes, if they are some; small ones if there are several of about one size. */
#define DEAD_MIN   (64u << 10)
#define SMALL_MIN  (8u << 10) /* the first class is below it */
#define SMALL_STEP 8          /* from one class to the next */
#define SMALL_MAX  (512u << 10)
#define CLASSES    3
#define CLASS_MANY 8

/* A segment, or a file of the archive, that rows name. */
struct pinned {
	struct state_pin pin;
	bool is_archived;
	uint64_t size, wanted; /* bytes, and those of them that rows name */
};

/* A search goes through all segments that rows name, a few at a time. */
struct kept {
	int64_t at;           /* the segment that was measured last */
	bool measuring;       /* it is not measured to its end: */
	struct pinned pinned; /* it */
	int64_t row;          /* of its rows the last that was measured */
	uint64_t offset;      /* of that one's line */
	struct pinned found[FOUND_MAX];
	size_t found_count;
	uint64_t version; /* of the state, when the search began that has found nothing */
	bool quiet;
	int64_t again_at; /* us, monotonic: when a search is made all the same; INT64_MAX: never */
	struct names copied;
	char open[SEGMENT_NAME_SIZE]; /* "": none */
};

struct kept *kept_new(void)
{
	struct kept *kept = calloc(1, sizeof *kept);
	if (kept != NULL)
		kept->again_at = INT64_MAX;
	return kept;
}

void kept_free(struct kept *kept)
{
	if (kept != NULL)
		names_fini(&kept->copied);
	free(kept);
}

bool kept_is_copied(const struct kept *kept, const char *segment)
{
	return names_find(&kept->copied, segment, strlen(segment) + 1) != SIZE_MAX;
}

void kept_forget_copied(struct kept *kept)
{
	names_clear(&kept->copied);
}

bool kept_is_open(const struct kept *kept, const char *segment)
{
	return strcmp(kept->open, segment) == 0;
}

/* Measuring */

/* Whether lines may be copied from it: 1, 0 or -1. Of the archive that is what would have been removed by now. */
static int may_copy(struct kept *kept, struct deliverer *d, struct pinned *p)
{
	int64_t stamp;
	struct stat st;
	if (!segment_parse_name(p->pin.name, &stamp))
		return 0;
	p->is_archived = false;
	if (reader_is_finished(d->reader, p->pin.name, &p->size)) {
		int64_t age = clock_now() - stamp;
		if (age < 0 || age >= YOUNG)
			return 1;
		kept->again_at = clock_monotonic() + LOOK_AGAIN;
		return 0;
	}
	if (fstatat(d->spool->archive_fd, p->pin.name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return 0;
	p->is_archived = true;
	p->size = (uint64_t)st.st_size;
	return state_archive_is_old(d->state, p->pin.name, d->conf->keep);
}

static bool is_wasteful(const struct pinned *p)
{
	uint64_t dead = p->size > p->wanted ? p->size - p->wanted : 0;
	return p->is_archived || (dead >= DEAD_MIN && dead >= p->wanted);
}

/* Its class among the small ones; CLASSES: it is none. */
static unsigned class_of(const struct pinned *p)
{
	unsigned class = 0;
	for (uint64_t limit = SMALL_MIN; class < CLASSES && p->wanted >= limit; limit *= SMALL_STEP)
		class ++;
	return class;
}

/* Goes on with the segment that is being measured. How many of its rows were read, or -1. A row that names the line of
 * the one before is for another target. */
static int measure(struct kept *kept, struct deliverer *d)
{
	struct state_place places[256];
	struct pinned *p = &kept->pinned;
	int max = (int)(sizeof places / sizeof places[0]);
	int n = state_places(d->state, p->pin.id, kept->row, places, max);
	for (int i = 0; i < n; i++) {
		if (places[i].offset != kept->offset)
			p->wanted += places[i].length + 1;
		kept->offset = places[i].offset;
		kept->row = places[i].row;
	}
	bool is_full = !p->is_archived && p->wanted > p->size / 2 && p->wanted >= SMALL_MAX;
	kept->measuring = n == max && !is_full;
	if (n >= 0 && !kept->measuring && !is_full && (is_wasteful(p) || class_of(p) < CLASSES))
		kept->found[kept->found_count++] = *p;
	return n;
}

/* 1: all segments were seen, or enough was found; 0: there are more; -1 with errno. */
static int search(struct kept *kept, struct deliverer *d)
{
	int rows = 0;
	for (int pins = 0; rows < ROWS_MEASURED && pins < PINS_MEASURED;) {
		if (!kept->measuring) {
			kept->pinned = (struct pinned){0};
			int next = state_pin_next(d->state, kept->at, &kept->pinned.pin);
			if (next != 1 || kept->found_count == FOUND_MAX) {
				kept->at = next == 0 ? 0 : kept->at;
				return next < 0 ? -1 : 1;
			}
			pins++;
			kept->at = kept->pinned.pin.id;
			kept->row = 0;
			kept->offset = UINT64_MAX;
			int may = may_copy(kept, d, &kept->pinned);
			if (may < 0)
				return -1;
			kept->measuring = may == 1;
		} else {
			int n = measure(kept, d);
			if (n < 0)
				return -1;
			rows += n;
		}
	}
	return 0;
}

/* Leaves among those found the ones whose lines are to be copied. */
static void choose(struct kept *kept)
{
	size_t counts[CLASSES + 1] = {0}, chosen = 0;
	for (size_t i = 0; i < kept->found_count; i++)
		counts[class_of(&kept->found[i])]++;
	for (size_t i = 0; i < kept->found_count; i++) {
		const struct pinned *p = &kept->found[i];
		unsigned class = class_of(p);
		if (is_wasteful(p) || (class < CLASSES && counts[class] >= CLASS_MANY))
			kept->found[chosen++] = *p;
	}
	kept->found_count = chosen;
}

/* Copying */

/* A row and the segment whose line it names. */
struct move {
	struct state_place place;
	size_t from; /* in kept->found */
	bool skipped;
};

struct copy {
	struct kept *kept;
	struct deliverer *d;
	struct move *moves;
	size_t count;
	struct names lines; /* that were copied: struct line_key each */
	struct buf offsets; /* uint64_t each: where they stand now */
	struct buf bytes;   /* the new segment */
	int64_t stamp;
	char name[SEGMENT_NAME_SIZE];
	int fd;                   /* of the segment that is read from, or -1 */
	size_t from;              /* which one that is */
	uint64_t read[FOUND_MAX]; /* bytes that were copied of each */
};

struct line_key {
	size_t from;
	uint64_t offset;
};

/* Lists the rows that are moved in one go: of each segment the first ones. */
static int list_moves(struct copy *copy)
{
	struct state_place places[256];
	uint64_t bytes = 0;
	for (size_t i = 0; i < copy->kept->found_count; i++) {
		int64_t after = 0;
		int n = 1;
		while (n > 0 && bytes < BYTES_MOVED && copy->count < ROWS_MOVED) {
			size_t room = ROWS_MOVED - copy->count, max = sizeof places / sizeof places[0];
			n = state_places(copy->d->state, copy->kept->found[i].pin.id, after, places,
					 (int)(room < max ? room : max));
			if (n < 0)
				return -1;
			for (int k = 0; k < n && bytes < BYTES_MOVED; k++) {
				copy->moves[copy->count++] = (struct move){places[k], i, false};
				bytes += places[k].length;
				after = places[k].row;
			}
		}
	}
	return 0;
}

/* In the order in which the events were taken in: a kept segment is read like any other when state.db is lost. */
static int by_row(const void *a, const void *b)
{
	const struct move *x = a, *y = b;
	return x->place.row < y->place.row ? -1 : x->place.row > y->place.row;
}

static int open_from(struct copy *copy, size_t from)
{
	const struct pinned *p = &copy->kept->found[from];
	const struct spool *spool = copy->d->spool;
	if (copy->fd >= 0 && copy->from == from)
		return 0;
	fsio_close(&copy->fd);
	copy->from = from;
	copy->fd = p->is_archived
			   ? openat(spool->archive_fd, p->pin.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
			   : spool_open_shared(spool, spool->journal_fd, p->pin.name, O_RDONLY);
	return copy->fd < 0 ? -1 : 0;
}

/* Appends the line to the new segment. 1; 0: it cannot be read, and stays where it is; -1 with errno ENOMEM. */
static int copy_line(struct copy *copy, const struct move *move)
{
	struct event event;
	struct buf *b = &copy->bytes;
	uint64_t length = move->place.length, at = b->len;
	if (buf_reserve(b, length + 1) < 0 || buf_append(&copy->offsets, &at, sizeof at) < 0)
		return -1;
	if (open_from(copy, move->from) < 0 ||
	    fsio_read_at(copy->fd, b->data + at, length, (off_t)move->place.offset) != (ssize_t)length)
		return 0;
	/* One that is damaged is copied as it is: who reads it will say so. */
	if (line_decode(b->data + at, length, &event) == LINE_OK && event.received_at < copy->stamp)
		copy->stamp = event.received_at;
	b->len += length;
	copy->read[move->from] += length + 1;
	return buf_char(b, '\n') < 0 ? -1 : 1;
}

/* Copies the line unless another row names it too, and lets the move name the copy. */
static int copy_move(struct copy *copy, struct move *move)
{
	struct line_key key = {.from = move->from, .offset = move->place.offset};
	size_t number;
	uint64_t offset;
	int added = names_add(&copy->lines, &key, sizeof key, &number);
	int result = added == 1 ? copy_line(copy, move) : 1;
	if (added < 0 || result < 0)
		return -1;
	memcpy(&offset, copy->offsets.data + number * sizeof offset, sizeof offset);
	if (result == 0)
		offset = UINT64_MAX;
	memcpy(copy->offsets.data + number * sizeof offset, &offset, sizeof offset);
	move->skipped = offset == UINT64_MAX;
	move->place.offset = offset;
	return 0;
}

static int copy_lines(struct copy *copy)
{
	if (list_moves(copy) < 0)
		return -1;
	qsort(copy->moves, copy->count, sizeof *copy->moves, by_row);
	for (size_t i = 0; i < copy->count; i++)
		if (copy_move(copy, &copy->moves[i]) < 0)
			return -1;
	return 0;
}

/* Writing */

static bool has_space(const struct copy *copy)
{
	uint64_t bytes, inodes;
	return fsio_free_space(copy->d->spool->journal_fd, &bytes, &inodes) == 0 &&
	       bytes >= SPACE_LEFT + 2 * copy->bytes.len && inodes > 0;
}

/* The new segment gets its name when it is whole and synced. */
static int write_segment(struct copy *copy)
{
	const struct spool *spool = copy->d->spool;
	char draft[SEGMENT_NAME_SIZE + 1];
	segment_name_kept(copy->name, copy->stamp);
	snprintf(draft, sizeof draft, ".%s", copy->name);
	int fd = openat(spool->journal_fd, draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	int result = spool_own(spool, fd) < 0 || fsio_write(fd, copy->bytes.data, copy->bytes.len) < 0 ||
				     fsio_datasync(fd) < 0 ||
				     renameat(spool->journal_fd, draft, spool->journal_fd, copy->name) < 0
			     ? -1
			     : 0;
	int saved = errno;
	close(fd);
	if (result < 0)
		unlinkat(spool->journal_fd, draft, 0);
	errno = saved;
	return result;
}

static int move_rows(struct copy *copy)
{
	struct state *state = copy->d->state;
	int64_t segment;
	if (fsio_sync(copy->d->spool->journal_fd) < 0 ||
	    state_cursor_put(state, copy->name, copy->bytes.len, &segment) < 0)
		return -1;
	for (size_t i = 0; i < copy->count; i++)
		if (!copy->moves[i].skipped && state_place_move(state, &copy->moves[i].place, segment) < 0)
			return -1;
	return state_commit(state);
}

static int note_copied(struct copy *copy)
{
	for (size_t i = 0; i < copy->kept->found_count; i++) {
		const struct pinned *p = &copy->kept->found[i];
		if (!p->is_archived && copy->read[i] == p->size &&
		    names_add(&copy->kept->copied, p->pin.name, strlen(p->pin.name) + 1, NULL) < 0)
			return -1;
	}
	return 0;
}

/* From the look at the rows to the commit is one transaction. Once the segment has its name it is read by nobody as if
 * it were new; if its rows cannot be moved, or it is not known whether they were, it is adopted later. */
static int copy_within(struct copy *copy)
{
	if (copy_lines(copy) < 0)
		return -1;
	if (copy->bytes.len == 0 || !has_space(copy))
		return 0;
	if (write_segment(copy) < 0)
		return -1;
	strcpy(copy->kept->open, copy->name);
	if (reader_resume(copy->d->reader, copy->name, copy->bytes.len) < 0 || move_rows(copy) < 0)
		return -1;
	copy->kept->open[0] = '\0';
	return note_copied(copy) < 0 ? -1 : 1;
}

static int copy_found(struct kept *kept, struct deliverer *d)
{
	int result = -1;
	struct copy *copy = calloc(1, sizeof *copy);
	if (copy == NULL)
		return -1;
	copy->kept = kept;
	copy->d = d;
	copy->fd = -1;
	copy->stamp = clock_now();
	copy->moves = calloc(ROWS_MOVED, sizeof *copy->moves);
	if (copy->moves != NULL && state_begin(d->state) == 0) {
		result = copy_within(copy);
		if (result != 1)
			state_rollback(d->state);
	}
	int saved = errno;
	fsio_close(&copy->fd);
	names_fini(&copy->lines);
	buf_fini(&copy->offsets);
	buf_fini(&copy->bytes);
	free(copy->moves);
	free(copy);
	errno = saved;
	return result;
}

/* All together */

/* What an earlier commit has left open is done now. */
static int close_open(struct kept *kept, struct deliverer *d)
{
	struct adopt adopt = {0};
	int result = adopt_look(&adopt, d) < 0 || adopt_all(&adopt, d) < 0 ? -1 : 0;
	if (result == 0)
		kept->open[0] = '\0';
	int saved = errno;
	adopt_fini(&adopt);
	errno = saved;
	return result;
}

/* Whether a search is to be begun, or goes on. 1, 0 or -1. */
static int is_due(struct kept *kept, struct deliverer *d)
{
	uint64_t version;
	if (kept->measuring || kept->at != 0)
		return 1;
	if (state_version(d->state, &version) < 0)
		return -1;
	bool due = !kept->quiet || version != kept->version || clock_monotonic() >= kept->again_at;
	kept->version = version;
	return due;
}

int kept_gather(struct deliverer *d)
{
	struct kept *kept = d->kept;
	if (kept->open[0] != '\0' && close_open(kept, d) < 0)
		return -1;
	int result = is_due(kept, d);
	if (result != 1)
		return result;
	if (!kept->measuring && kept->at == 0)
		kept->again_at = INT64_MAX;
	result = search(kept, d);
	if (result != 1)
		return result < 0 ? -1 : 1;
	choose(kept);
	result = kept->found_count > 0 ? copy_found(kept, d) : 0;
	kept->found_count = 0;
	kept->quiet = result == 0 && kept->at == 0;
	return result != 0 ? result : !kept->quiet;
}
