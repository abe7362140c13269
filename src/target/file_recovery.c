#include "config.h"

#include "target/file_recovery.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/intern.h"
#include "base/json.h"
#include "base/text.h"
#include "event/record.h"
#include "spool/reader.h"
#include "state/deliveries.h"
#include "state/segments.h"
#include "state/state.h"

#define CHUNK      (256u << 10)
#define RECORD_MAX (1u << 30) /* of a line that is taken for a record */

/* What becomes of an event. */
enum fate {
	FATE_NONE,    /* it is not written to this file again */
	FATE_UNKNOWN, /* perhaps: if it is sent again, for a power cut has taken it from the journal */
	FATE_PARKED,  /* perhaps: if somebody retries it */
	FATE_AGAIN,
};

struct remains {
	const struct target_context *c;
	int fd;
	const char *path;
	uint64_t size;
	struct names events; /* of the lines */
	struct buf fates;    /* a byte for each of them */
	struct buf line, expanded;
	uint64_t end;
	struct standing *standing;
	enum remains_result failure;
};

struct line {
	uint64_t start, end; /* the newline included */
	bool whole;          /* it has one */
	struct span head;
};
typedef int each_line(struct remains *r, const struct line *line);

static int fail(struct remains *r, enum remains_result failure)
{
	r->failure = failure;
	return -1;
}

/* Calls back for each line from `at` up to `stop`. */
static int walk_lines(struct remains *r, uint64_t at, uint64_t stop, char *chunk, each_line *each)
{
	char head[RECORD_HEAD_MAX];
	struct line line = {.start = at, .head = {head, 0}};
	while (at < stop) {
		size_t want = stop - at < CHUNK ? (size_t)(stop - at) : CHUNK;
		ssize_t n = fsio_read_at(r->fd, chunk, want, (off_t)at);
		if (n != (ssize_t)want) {
			/* Shorter than a moment ago. */
			errno = n < 0 ? errno : EIO;
			return fail(r, REMAINS_UNREADABLE);
		}
		for (const char *p = chunk, *past = chunk + n; p < past;) {
			const char *newline = memchr(p, '\n', (size_t)(past - p));
			const char *to = newline != NULL ? newline + 1 : past;
			size_t part = (size_t)(to - p), room = sizeof head - line.head.len;
			memcpy(head + line.head.len, p, part < room ? part : room);
			line.head.len += part < room ? part : room;
			p = to;
			line.end = at + (uint64_t)(p - chunk);
			line.whole = newline != NULL;
			if (!line.whole && line.end < stop)
				break;
			if (each(r, &line) < 0)
				return -1;
			line = (struct line){.start = line.end, .head = {head, 0}};
		}
		at += (uint64_t)n;
	}
	return 0;
}

static int note_event(struct remains *r, const struct line *line)
{
	uint8_t id[STATE_ID_SIZE];
	uint32_t index;
	if (record_head(line->head, id, &index) != RECORD_OF_EVENT)
		return 0;
	int added = names_add(&r->events, id, sizeof id, NULL);
	return added < 0 || (added && buf_char(&r->fates, FATE_NONE) < 0) ? fail(r, REMAINS_UNREADABLE) : 0;
}

static enum fate fate_of(const struct remains *r, const uint8_t id[STATE_ID_SIZE])
{
	size_t number = names_find(&r->events, id, STATE_ID_SIZE);
	return number == SIZE_MAX ? FATE_NONE : (enum fate)r->fates.data[number];
}

/* What is written wins over what may be. */
static void set_fate(struct remains *r, size_t number, enum fate fate)
{
	if ((enum fate)r->fates.data[number] < fate)
		r->fates.data[number] = (char)fate;
}

/* Whether the event goes to this file, if the target gets it. 1, 0 or -1. */
static int leads_here(struct remains *r, const struct target *target, const struct event *event)
{
	char resolved[PATH_MAX];
	r->expanded.len = 0;
	if (!target->conf->kind->is_file)
		return 0;
	if (target_path(target->conf, event, &r->expanded) < 0 || buf_cstr(&r->expanded) == NULL)
		return fail(r, REMAINS_UNREADABLE);
	return realpath(r->expanded.data, resolved) != NULL && strcmp(resolved, r->path) == 0;
}

/* A delivery row: its event is written again, if its line is there and leads here. */
static int note_row(void *arg, const struct state_row *row)
{
	struct remains *r = arg;
	size_t number = names_find(&r->events, row->delivery.event, STATE_ID_SIZE);
	if (number == SIZE_MAX)
		return 0;
	for (size_t i = 0; i < r->c->conf->target_count; i++) {
		struct event event;
		const struct target *target = &r->c->targets[i];
		if (target->id != row->target_id)
			continue;
		r->line.len = 0;
		if (reader_fetch(r->c->spool, row->delivery.segment, row->delivery.offset, row->delivery.length,
				 &r->line, &event) < 0)
			return errno == ENOENT || errno == EBADMSG ? 0 : fail(r, REMAINS_UNREADABLE);
		int here = leads_here(r, target, &event);
		if (here < 0)
			return -1;
		if (here)
			set_fate(r, number, row->parked_at != 0 ? FATE_PARKED : FATE_AGAIN);
	}
	return 0;
}

/* An unread line: its event is written, if it is no duplicate and a target wants it here. */
static int note_unread(struct remains *r, const struct event *event)
{
	uint8_t id[STATE_ID_SIZE];
	text_unhex(event->id, EVENT_ID_SIZE - 1, id, sizeof id);
	size_t number = names_find(&r->events, id, sizeof id);
	if (number == SIZE_MAX)
		return 0;
	int seen = state_seen(r->c->state, id);
	if (seen != 0)
		return seen < 0 ? fail(r, REMAINS_FAILED) : 0;
	for (size_t i = 0; i < r->c->conf->target_count; i++) {
		const struct target *target = &r->c->targets[i];
		int here = leads_here(r, target, event);
		if (here == 1)
			here = target_matches(target->conf, event, &r->expanded);
		if (here < 0)
			return fail(r, REMAINS_UNREADABLE);
		if (here)
			set_fate(r, number, FATE_AGAIN);
	}
	return 0;
}

static int resume(void *arg, const char *segment, uint64_t offset)
{
	return reader_resume(arg, segment, offset);
}

/* The journal behind the cursors, which the round that asks has read a part of. */
static int read_journal(struct remains *r, struct reader *reader)
{
	struct reader_line line;
	enum reader_found found;
	if (state_cursors(r->c->state, resume, reader) < 0)
		return fail(r, REMAINS_FAILED);
	if (reader_look(reader) < 0)
		return fail(r, REMAINS_UNREADABLE);
	while ((found = reader_next(reader, &line)) != READER_NONE) {
		if (found == READER_FAILED)
			return fail(r, REMAINS_UNREADABLE);
		if (found == READER_LINE && note_unread(r, &line.event) < 0)
			return -1;
	}
	return 0;
}

/* The last of the events that nobody knows. Another spool may have written them. */
static int find_unknown(struct remains *r)
{
	size_t found = 0;
	for (size_t i = r->events.count; i > 0 && found < STANDING_UNKNOWN; i--) {
		if (r->fates.data[i - 1] != FATE_NONE)
			continue;
		int seen = state_seen(r->c->state, (const uint8_t *)names_get(&r->events, i - 1).ptr);
		if (seen < 0)
			return fail(r, REMAINS_FAILED);
		if (seen)
			continue;
		set_fate(r, i - 1, FATE_UNKNOWN);
		found++;
	}
	return 0;
}

static int find_fates(struct remains *r)
{
	if (r->events.count == 0)
		return 0;
	if (state_all_lines(r->c->state, note_row, r) < 0)
		return r->failure != REMAINS_JUDGED ? -1 : fail(r, REMAINS_FAILED);
	struct reader *reader = reader_new(r->c->spool);
	int result = reader == NULL ? fail(r, REMAINS_UNREADABLE) : read_journal(r, reader), saved = errno;
	reader_free(reader);
	errno = saved;
	return result < 0 ? -1 : find_unknown(r);
}

/* What a torn record and somebody's line make together begins as a record does, but is no JSON. 1, 0 or -1. */
static int is_record(struct remains *r, const struct line *line)
{
	struct json_value value;
	size_t n = (size_t)(line->end - line->start), where;
	r->line.len = 0;
	if (!line->whole || n > RECORD_MAX)
		return 0;
	if (buf_reserve(&r->line, n) < 0 || fsio_read_at(r->fd, r->line.data, n, (off_t)line->start) != (ssize_t)n)
		return fail(r, REMAINS_UNREADABLE);
	return json_scan(r->line.data, n, &value, &where) == JSON_OK && value.type == JSON_OBJECT;
}

/* The fate of the event whose whole record the line is, if it is `lowest` at least. */
static int judge_record(struct remains *r, const struct line *line, enum fate lowest, uint8_t id[STATE_ID_SIZE],
			uint32_t *index, enum fate *fate)
{
	*fate = FATE_NONE;
	if (record_head(line->head, id, index) != RECORD_OF_EVENT || *index == UINT32_MAX)
		return 0;
	enum fate found = fate_of(r, id);
	int whole = found < lowest ? 0 : is_record(r, line);
	if (whole > 0)
		*fate = found;
	return whole < 0 ? -1 : 0;
}

static int judge_torn(const struct remains *r, const struct line *line)
{
	uint8_t id[STATE_ID_SIZE];
	uint32_t index;
	enum record_head head = record_head(line->head, id, &index);
	return head == RECORD_BEGUN || (head == RECORD_OF_EVENT && fate_of(r, id) == FATE_AGAIN);
}

/* The end moves behind each line that stays. */
static int judge_line(struct remains *r, const struct line *line)
{
	uint8_t id[STATE_ID_SIZE];
	uint32_t index;
	enum fate fate;
	if (!line->whole) {
		if (!judge_torn(r, line))
			r->end = line->end;
		return 0;
	}
	if (judge_record(r, line, FATE_AGAIN, id, &index, &fate) < 0)
		return -1;
	if (fate != FATE_AGAIN)
		r->end = line->end;
	return 0;
}

static int note_standing(struct remains *r, const struct line *line)
{
	uint8_t id[STATE_ID_SIZE];
	uint32_t index;
	enum fate fate;
	if (judge_record(r, line, FATE_UNKNOWN, id, &index, &fate) < 0)
		return -1;
	if (fate != FATE_NONE && standing_note(r->standing, id, index, fate == FATE_UNKNOWN) < 0)
		return fail(r, REMAINS_UNREADABLE);
	return 0;
}

static int judge(struct remains *r, uint64_t from, char *chunk)
{
	return walk_lines(r, from, r->size, chunk, note_event) < 0 || find_fates(r) < 0 ||
			       walk_lines(r, from, r->size, chunk, judge_line) < 0
		       ? -1
		       : walk_lines(r, from, r->end, chunk, note_standing);
}

enum remains_result remains_judge(const struct target_context *c, int fd, const char *path, uint64_t from,
				  uint64_t size, uint64_t *end, struct standing *standing)
{
	struct remains r = {.c = c, .fd = fd, .path = path, .size = size, .end = from, .standing = standing};
	char *chunk = malloc(CHUNK);
	if (chunk == NULL)
		return REMAINS_UNREADABLE;
	if (judge(&r, from, chunk) == 0)
		*end = r.end;
	int saved = errno;
	free(chunk);
	names_fini(&r.events);
	buf_fini(&r.fates);
	buf_fini(&r.line);
	buf_fini(&r.expanded);
	errno = saved;
	return r.failure;
}
