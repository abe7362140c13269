#include "config.h"

#include "deliver/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/fsio.h"
#include "base/intern.h"
#include "base/log.h"
#include "base/text.h"
#include "event/record.h"
#include "state/counts.h"
#include "state/deliveries.h"
#include "state/segments.h"
#include "state/state.h"
#include "stats/connections.h"
#include "target/file.h"
#include "target/retry.h"

/* A round ends at the first of these. */
#define EVENTS_MAX 8000
#define BYTES_MAX  (64u << 20)
#define FILES_MAX  200

#define BUFFER_MAX (2u << 20) /* of records, before they are written */

/* What the round has read of a segment: until the commit the reader can be put back to its beginning. */
struct range {
	uint64_t from, to;
	int64_t id;
};

/* A new event. */
struct item {
	struct state_delivery delivery;
	char id[EVENT_ID_SIZE];
	size_t range;
	int64_t lane;
};

/* An event that a target wants. */
struct match {
	size_t item, target;
	size_t file; /* NO_FILE: it becomes a delivery row */
};
#define NO_FILE SIZE_MAX

/* A growing array. */
struct list {
	void *array;
	size_t count, cap;
};

struct round {
	struct deliverer *d;
	struct names segments; /* of the ranges */
	struct list ranges, items, matches;
	struct names ids;
	struct outfiles files;
	struct progress progress;
	uint64_t counts[STATE_COUNTS];
	size_t bytes;         /* read in this round */
	size_t damaged_range; /* whose lines are in `damaged` */
	struct buf damaged, scratch;
	struct state_tally *tallies; /* one a target */
	bool *refused;               /* one a target: its files are not written in this round */
};

struct round *round_new(struct deliverer *d)
{
	struct round *round = calloc(1, sizeof *round);
	if (round != NULL)
		round->d = d;
	return round;
}

void round_free(struct round *round)
{
	if (round == NULL)
		return;
	names_fini(&round->segments);
	names_fini(&round->ids);
	free(round->ranges.array);
	free(round->items.array);
	free(round->matches.array);
	free(round->tallies);
	free(round->refused);
	outfiles_fini(&round->files);
	progress_fini(&round->progress);
	buf_fini(&round->damaged);
	buf_fini(&round->scratch);
	free(round);
}

static int round_begin(struct round *round)
{
	names_clear(&round->segments);
	names_clear(&round->ids);
	progress_clear(&round->progress);
	round->ranges.count = round->items.count = round->matches.count = 0;
	round->bytes = 0;
	round->damaged.len = 0;
	memset(round->counts, 0, sizeof round->counts);
	size_t targets = round->d->conf->target_count;
	/* The configuration may have changed since the last round. */
	struct state_tally *tallies = reallocarray(round->tallies, targets + 1, sizeof *tallies);
	if (tallies == NULL)
		return -1;
	round->tallies = tallies;
	bool *refused = reallocarray(round->refused, targets + 1, sizeof *refused);
	if (refused == NULL)
		return -1;
	round->refused = refused;
	memset(tallies, 0, targets * sizeof *tallies);
	memset(refused, 0, targets * sizeof *refused);
	return 0;
}

/* Room for one more element of this size; NULL with errno ENOMEM. */
static void *list_more(struct list *list, size_t size)
{
	if (array_grow(&list->array, list->count, &list->cap, size) < 0)
		return NULL;
	return memset((char *)list->array + size * list->count++, 0, size);
}

static struct range *range_at(const struct round *round, size_t i)
{
	return &((struct range *)round->ranges.array)[i];
}

static struct item *item_at(const struct round *round, size_t i)
{
	return &((struct item *)round->items.array)[i];
}

static struct match *match_at(const struct round *round, size_t i)
{
	return &((struct match *)round->matches.array)[i];
}

/* The range of the line's segment. With its NUL, so that the name can be used as it is. */
static int find_range(struct round *round, const struct reader_line *line, size_t *number)
{
	int added = names_add(&round->segments, line->segment, strlen(line->segment) + 1, number);
	if (added != 1)
		return added;
	struct range *range = list_more(&round->ranges, sizeof *range);
	if (range == NULL)
		return -1;
	range->from = range->to = line->offset;
	return 0;
}

static const char *range_name(const struct round *round, size_t range)
{
	return names_get(&round->segments, range).ptr;
}

/* Appends the lines set aside to damaged/, synced. A crash before the round is committed leaves them there twice. */
static int save_damaged(struct round *round)
{
	const struct spool *spool = round->d->spool;
	if (round->damaged.len == 0)
		return 0;
	const char *name = range_name(round, round->damaged_range);
	int fd = openat(spool->damaged_fd, name,
			O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	int result = spool_own(spool, fd) < 0 || fsio_write(fd, round->damaged.data, round->damaged.len) < 0 ||
				     fsio_sync(fd) < 0 || fsio_sync(spool->damaged_fd) < 0
			     ? -1
			     : 0;
	int saved = errno;
	close(fd);
	errno = saved;
	round->damaged.len = 0;
	return result;
}

/* Two lines for each: where it stood, and itself as it was. */
static int take_damaged(struct round *round, const struct reader_line *line, size_t range, const char *why)
{
	if (round->damaged_range != range && save_damaged(round) < 0)
		return -1;
	round->damaged_range = range;
	round->counts[STATE_DAMAGED]++;
	log_warnx("%s/journal/%s: the line at offset %llu is %s; it is set aside in damaged/", round->d->conf->spool,
		  line->segment, (unsigned long long)line->offset, why);
	return buf_printf(&round->damaged, "{\"offset\":%llu,\"length\":%zu,\"why\":\"%s\"}\n",
			  (unsigned long long)line->offset, line->raw.len, why) < 0 ||
			       buf_append(&round->damaged, line->raw.ptr, line->raw.len) < 0 ||
			       buf_char(&round->damaged, '\n') < 0
		       ? -1
		       : 0;
}

/* 1: the event is new; 0: it is a duplicate; -1 with errno. */
static int is_new(struct round *round, const struct event *event, uint8_t id[STATE_ID_SIZE])
{
	text_unhex(event->id, EVENT_ID_SIZE - 1, id, STATE_ID_SIZE);
	int seen = state_seen(round->d->state, id);
	if (seen != 0)
		return seen < 0 ? -1 : 0;
	return names_add(&round->ids, id, STATE_ID_SIZE, NULL);
}

static int match_event(struct round *round, const struct event *event, size_t item_number)
{
	struct deliverer *d = round->d;
	bool has_lane = false;
	for (size_t i = 0; i < d->conf->target_count; i++) {
		const struct target *target = &d->targets[i];
		struct item *item = item_at(round, item_number);
		int wants = target_matches(target->conf, event, &round->scratch);
		if (wants < 0)
			return -1;
		if (!wants)
			continue;
		if (!has_lane && target_lane(event, &round->scratch, &item->lane) < 0)
			return -1;
		has_lane = true;
		struct match *match = list_more(&round->matches, sizeof *match);
		if (match == NULL)
			return -1;
		*match = (struct match){item_number, i, NO_FILE};
		if (!target->conf->kind->is_file)
			continue;
		int held = target->waiting ? state_lane_is_waiting(d->state, target->id, item->lane) : 0;
		if (held < 0 || (!held && outfiles_take(&round->files, target->conf, event, &match->file) < 0))
			return -1;
	}
	round->counts[STATE_UNMATCHED] += !has_lane;
	return 0;
}

static int take_event(struct round *round, const struct reader_line *line, size_t range)
{
	uint8_t id[STATE_ID_SIZE];
	int result = is_new(round, &line->event, id);
	if (result < 0)
		return -1;
	if (result == 0) {
		round->counts[STATE_DUPLICATES]++;
		return 0;
	}
	struct item *item = list_more(&round->items, sizeof *item);
	if (item == NULL)
		return -1;
	item->range = range;
	item->delivery.offset = line->offset;
	item->delivery.length = line->raw.len;
	item->delivery.records = line->event.count;
	memcpy(item->delivery.event, id, sizeof id);
	memcpy(item->id, line->event.id, sizeof item->id);
	round->counts[STATE_EVENTS]++;
	round->counts[STATE_RECORDS] += line->event.count;
	if (progress_note(&round->progress, &line->event) < 0)
		return -1;
	return match_event(round, &line->event, round->items.count - 1);
}

static int take_line(struct round *round, enum reader_found found, const struct reader_line *line)
{
	size_t range;
	int result = 0;
	if (find_range(round, line, &range) < 0)
		return -1;
	switch (found) {
	case READER_LINE:
		result = take_event(round, line, range);
		break;
	case READER_DAMAGED:
		result = take_damaged(round, line, range, "damaged");
		break;
	case READER_NEWER:
		result = take_damaged(round, line, range, "of a version that this program does not know");
		break;
	case READER_TORN:
		round->counts[STATE_TORN]++;
		break;
	case READER_NONE:
	case READER_FAILED:
		return 0;
	}
	range_at(round, range)->to = line->next;
	round->bytes += line->raw.len;
	return result;
}

/* What was passed over: once a minute, for it stays there. */
static void tell_stray(struct deliverer *d)
{
	struct reader_stray stray;
	int64_t now = clock_monotonic();
	if (!reader_stray(d->reader, &stray) || (d->stray_at != 0 && now - d->stray_at < 60 * CLOCK_SECOND))
		return;
	d->stray_at = now;
	log_warnx("%s/journal/%s is passed over, for it %s; remove it, or put it right; `hookspool status` counts them",
		  d->spool->path, stray.name, spool_fault(stray.error));
}

static bool is_full(const struct round *round)
{
	return round->items.count >= EVENTS_MAX || round->bytes + round->files.flushed >= BYTES_MAX ||
	       round->damaged.len >= BYTES_MAX || round->files.names.count >= FILES_MAX;
}

/* One that was taken away meanwhile is none. */
static void note_unread(struct deliverer *d, const char *segment)
{
	if (errno == ENOENT)
		return;
	strcpy(d->unread.segment, segment);
	d->unread.error = errno;
}

/* Reads what the round takes. 0, or -1 with errno. */
static int read_events(struct round *round)
{
	struct deliverer *d = round->d;
	struct reader_line line;
	enum reader_found found;
	for (size_t i = 0; i < d->conf->target_count; i++) {
		int waiting = state_is_waiting(d->state, d->targets[i].id);
		if (waiting < 0)
			return -1;
		d->targets[i].waiting = waiting == 1;
	}
	tell_stray(d);
	d->unread.segment[0] = '\0';
	while (!is_full(round)) {
		found = reader_next(d->reader, &line);
		if (found == READER_NONE)
			return 0;
		if (found == READER_FAILED)
			note_unread(d, line.segment);
		else if (state_read_begin(d->state) < 0 || take_line(round, found, &line) < 0 ||
			 (round->files.buffered >= BUFFER_MAX && outfiles_flush(&round->files) < 0)) {
			/* The reader counts it as taken, and its range may not be known to put_back yet. */
			int saved = errno;
			reader_resume(d->reader, line.segment, line.offset);
			errno = saved;
			return -1;
		}
	}
	return 0;
}

/* Whether a file of the match's target refuses it. */
static int match_error(const struct round *round, const struct match *match)
{
	return match->file == NO_FILE ? 0 : outfiles_error(&round->files, match->file);
}

/* A target takes all of its events of the round, or none: so that a lane's order is kept whatever files it needs. */
static void spread_refusals(void *arg)
{
	struct round *round = arg;
	bool again = true;
	while (again) {
		again = false;
		for (size_t i = 0; i < round->matches.count; i++) {
			const struct match *match = match_at(round, i);
			if (match_error(round, match) != 0)
				round->refused[match->target] = true;
		}
		for (size_t i = 0; i < round->matches.count; i++) {
			const struct match *match = match_at(round, i);
			if (match->file != NO_FILE && round->refused[match->target])
				again |= outfiles_refuse(&round->files, match->file, ECANCELED);
		}
	}
}

/* A delivery row: the target runs scripts, or its file refused. What failed has had its first attempt; what was only
 * held back with it is ready. */
static int put_delivery(struct round *round, const struct match *match, int error)
{
	struct deliverer *d = round->d;
	const struct item *item = item_at(round, match->item);
	const struct target *target = &d->targets[match->target];
	struct state_delivery delivery = item->delivery;
	int64_t next_at = state_ready(d->state);
	bool failed = error != 0 && error != ECANCELED;
	delivery.segment_id = range_at(round, item->range)->id;
	if (failed) {
		uint64_t random;
		fsio_random(&random, sizeof random);
		delivery.attempts = 1;
		delivery.first_at = state_age(d->state);
		next_at = delivery.first_at + retry_delay(1, RETRY_MAX, random);
		round->tallies[match->target].failed++;
		round->tallies[match->target].error = outfiles_why(&round->files, match->file);
		deliverer_audit_add(d, target, item->id, 1, "retry", outfiles_why(&round->files, match->file));
	}
	if (state_delivery_add(d->state, target->id, item->lane, &delivery) < 0)
		return -1;
	return state_lane_add(d->state, target->id, item->lane, next_at);
}

static int put_matches(struct round *round)
{
	struct deliverer *d = round->d;
	for (size_t i = 0; i < round->matches.count; i++) {
		const struct match *match = match_at(round, i);
		int error = match_error(round, match);
		if (match->file == NO_FILE || error != 0) {
			if (put_delivery(round, match, error) < 0)
				return -1;
			continue;
		}
		round->tallies[match->target].done++;
		deliverer_audit_add(d, &d->targets[match->target], item_at(round, match->item)->id, 1, "done", NULL);
	}
	return 0;
}

static int put_seen(const struct round *round)
{
	for (size_t i = 0; i < round->items.count; i++)
		if (state_seen_add(round->d->state, item_at(round, i)->delivery.event) < 0)
			return -1;
	return 0;
}

static int put_round(void *arg)
{
	struct round *round = arg;
	struct deliverer *d = round->d;
	for (size_t i = 0; i < round->ranges.count; i++)
		if (state_cursor_put(d->state, range_name(round, i), range_at(round, i)->to, &range_at(round, i)->id) <
		    0)
			return -1;
	if (put_seen(round) < 0 || put_matches(round) < 0 || progress_put(&round->progress, d->state) < 0)
		return -1;
	for (size_t i = 0; i < STATE_COUNTS; i++)
		if (state_count_add(d->state, (enum state_count)i, round->counts[i]) < 0)
			return -1;
	for (size_t i = 0; i < d->conf->target_count; i++) {
		const struct state_tally *tally = &round->tallies[i];
		if (tally->done + tally->failed > 0 && state_target_add(d->state, d->targets[i].id, tally) < 0)
			return -1;
	}
	return state_seen_sweep(d->state, round->items.count * 2, d->conf->remember);
}

static int gather(void *arg)
{
	struct round *round = arg;
	if (round_begin(round) < 0 || reader_look(round->d->reader) < 0 || read_events(round) < 0)
		return -1;
	if (round->ranges.count == 0)
		return 0;
	return save_damaged(round) < 0 ? -1 : 1;
}

/* The next round takes the same events again. */
static void put_back(void *arg)
{
	struct round *round = arg;
	for (size_t i = 0; i < round->ranges.count; i++)
		reader_resume(round->d->reader, range_name(round, i), range_at(round, i)->from);
	round->d->audit_lines.len = 0;
}

int round_take(struct round *round)
{
	static const struct outfiles_owner owner = {gather, spread_refusals, put_round, put_back};
	const struct target_context context = deliverer_context(round->d);
	int result = outfiles_run(&round->files, &context, &owner, round);
	if (result == 1)
		deliverer_audit_flush(round->d);
	return result;
}
