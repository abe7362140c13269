#include "config.h"

#include "deliver/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/text.h"
#include "event/line.h"
#include "spool/lines.h"
#include "spool/segment.h"
#include "state/deliveries.h"
#include "state/segments.h"
#include "state/state.h"

/* Where an event's line stands. */
struct adopt_place {
	size_t segment; /* its number in adopt->segments */
	uint64_t offset, length;
};

static struct adopt_place place_of(const struct adopt *adopt, size_t event)
{
	struct adopt_place place;
	memcpy(&place, adopt->places.data + event * sizeof place, sizeof place);
	return place;
}

void adopt_fini(struct adopt *adopt)
{
	names_fini(&adopt->segments);
	names_fini(&adopt->events);
	buf_fini(&adopt->places);
	buf_fini(&adopt->sizes);
}

/* Looking */

struct looking {
	struct adopt *adopt;
	const struct spool *spool;
	struct names known; /* segments that the state has, with their NULs */
};

static int add_known(void *arg, const char *segment, uint64_t offset)
{
	struct looking *looking = arg;
	(void)offset;
	return names_add(&looking->known, segment, strlen(segment) + 1, NULL) < 0 ? -1 : 0;
}

static int add_line(void *arg, const char *line, size_t n, uint64_t offset)
{
	struct adopt *adopt = arg;
	struct event event;
	uint8_t id[STATE_ID_SIZE];
	if (line_decode(line, n, &event) != LINE_OK)
		return 0;
	text_unhex(event.id, EVENT_ID_SIZE - 1, id, sizeof id);
	int added = names_add(&adopt->events, id, sizeof id, NULL);
	if (added != 1)
		return added;
	struct adopt_place place = {adopt->segments.count - 1, offset, n};
	return buf_append(&adopt->places, &place, sizeof place);
}

/* Its lines; also a file that was not synced before a crash has them for good from here on. */
static int add_segment(struct adopt *adopt, const struct spool *spool, int folder, const char *name)
{
	struct stat st;
	uint64_t size;
	/* Another user's is none, whatever its name: its lines are read as new ones. */
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
	    (spool->has_group && st.st_uid != geteuid()))
		return 0;
	int fd = spool_open_shared(spool, folder, name, O_RDONLY);
	if (fd < 0)
		return errno == ENOENT || errno == EINVAL || errno == EMLINK || errno == ELOOP ? 0 : -1;
	int result = 0;
	if ((names_add(&adopt->segments, name, strlen(name) + 1, NULL) < 0 || fsio_datasync(fd) < 0 ||
	     lines_each(fd, 0, add_line, adopt, &size) < 0 || buf_append(&adopt->sizes, &size, sizeof size) < 0))
		result = -1;
	fsio_close(&fd);
	return result;
}

/* A kept one was never whole; another one was about to be put away, and may have more by now. */
static void look_at_hidden(int folder, const char *name)
{
	const char *shown = segment_hidden(name);
	if (segment_is_kept(name))
		unlinkat(folder, name, 0);
	else if (shown != NULL && faccessat(folder, shown, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		renameat(folder, name, folder, shown);
}

static int look_at(void *arg, int folder, const char *name)
{
	struct looking *looking = arg;
	if (name[0] == '.')
		look_at_hidden(folder, name);
	if (!segment_is_kept(name) || !segment_parse_name(name, NULL) ||
	    names_find(&looking->known, name, strlen(name) + 1) != SIZE_MAX)
		return 0;
	return add_segment(looking->adopt, looking->spool, folder, name);
}

int adopt_look(struct adopt *adopt, struct deliverer *d)
{
	struct looking looking = {.adopt = adopt, .spool = d->spool};
	int result = state_cursors(d->state, add_known, &looking);
	if (result == 0)
		result = fsio_each_name(d->spool->journal_fd, ".", look_at, &looking);
	if (result == 0 && adopt->segments.count > 0)
		result = fsio_sync(d->spool->journal_fd);
	int saved = errno;
	names_fini(&looking.known);
	errno = saved;
	return result;
}

bool adopt_has(const struct adopt *adopt, const uint8_t event[STATE_ID_SIZE])
{
	return names_find(&adopt->events, event, STATE_ID_SIZE) != SIZE_MAX;
}

/* Adopting */

/* What is collected before anything is changed. */
struct claims {
	const struct adopt *adopt;
	struct buf list; /* struct claim each */
};
struct claim {
	int64_t row;
	size_t event;
};

static int claim_row(void *arg, const struct state_row *row)
{
	struct claims *claims = arg;
	struct claim claim = {row->delivery.id, names_find(&claims->adopt->events, row->delivery.event, STATE_ID_SIZE)};
	return claim.event == SIZE_MAX ? 0 : buf_append(&claims->list, &claim, sizeof claim);
}

/* How far each segment counts as taken in: to its end, or not at all. -1 with errno. */
static int find_cursors(const struct adopt *adopt, struct deliverer *d, uint64_t *cursors)
{
	memcpy(cursors, adopt->sizes.data, adopt->sizes.len);
	for (size_t i = 0; i < adopt->events.count; i++) {
		int seen = state_seen(d->state, (const uint8_t *)names_get(&adopt->events, i).ptr);
		if (seen < 0)
			return -1;
		if (!seen)
			cursors[place_of(adopt, i).segment] = 0;
	}
	return 0;
}

static int put_segments(const struct adopt *adopt, struct deliverer *d, const uint64_t *cursors, int64_t *ids)
{
	for (size_t i = 0; i < adopt->segments.count; i++)
		if (state_cursor_put(d->state, names_get(&adopt->segments, i).ptr, cursors[i], &ids[i]) < 0)
			return -1;
	return 0;
}

static int move_rows(const struct adopt *adopt, struct deliverer *d, const struct claims *claims, const int64_t *ids)
{
	for (size_t at = 0; at < claims->list.len; at += sizeof(struct claim)) {
		struct claim claim;
		memcpy(&claim, claims->list.data + at, sizeof claim);
		struct adopt_place place = place_of(adopt, claim.event);
		struct state_place moved = {claim.row, place.offset, place.length};
		if (state_place_move(d->state, &moved, ids[place.segment]) < 0)
			return -1;
	}
	return 0;
}

static int adopt_within(const struct adopt *adopt, struct deliverer *d)
{
	struct claims claims = {.adopt = adopt};
	uint64_t *cursors = calloc(adopt->segments.count, sizeof *cursors);
	int64_t *ids = calloc(adopt->segments.count, sizeof *ids);
	int result = cursors == NULL || ids == NULL || find_cursors(adopt, d, cursors) < 0 ||
				     state_all_rows(d->state, claim_row, &claims) < 0 ||
				     put_segments(adopt, d, cursors, ids) < 0 || move_rows(adopt, d, &claims, ids) < 0
			     ? -1
			     : 0;
	int saved = errno;
	buf_fini(&claims.list);
	free(cursors);
	free(ids);
	errno = saved;
	return result;
}

int adopt_all(struct adopt *adopt, struct deliverer *d)
{
	if (adopt->segments.count == 0)
		return 0;
	return state_begin(d->state) < 0 ? -1 : deliverer_commit(d, adopt_within(adopt, d));
}
