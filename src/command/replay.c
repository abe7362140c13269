#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/intern.h"
#include "base/log.h"
#include "base/text.h"
#include "command/bar.h"
#include "command/command.h"
#include "command/session.h"
#include "spool/search.h"
#include "spool/segment.h"
#include "state/counts.h"
#include "state/deliveries.h"
#include "state/segments.h"
#include "state/state.h"
#include "target/target.h"

#define TRIES 5 /* in a row in which no delivery was made, because segments were put away during the search */

struct filter {
	const char *id; /* NULL: all since */
	int64_t since;
	const char *target; /* NULL: all that match */
};

/* A delivery to be made. */
struct planned {
	int64_t received_at;
	size_t segment; /* its number */
	int64_t segment_id;
	uint64_t offset, length;
	uint8_t id[STATE_ID_SIZE];
	uint32_t records;
	int64_t lane;
	const struct conf_target *target;
};

struct replay {
	struct session session;
	const struct filter *filter;
	struct bar bar;
	struct names segments; /* with their NULs */
	struct names asked;    /* identities that the first search has found: later searches take no others */
	struct names events;   /* identities that this search has found, for an event may stand there twice */
	struct names cursors;  /* with their NULs */
	struct buf offsets;    /* uint64_t each: of the cursors */
	struct names rows;     /* deliveries that the state has, struct row_key each */
	struct buf parked;     /* struct state_row each, of a transaction: parked deliveries that pass the filter */
	int64_t last_failed;   /* the number of the last failed delivery that was read */
	size_t failed;         /* failed deliveries that the transaction has read */
	struct planned *plan;
	size_t count, cap;
	struct tried {
		int64_t id; /* in the state; -1: not known yet */
		uint64_t made;
	} * targets; /* conf->target_count of them */
	uint64_t unread, retried;
	char unread_file[HISTORY_PATH_SIZE]; /* "": none */
	bool vanished;                       /* a segment was put away meanwhile */
	bool again;                          /* a search after the first */
	bool progressed;                     /* a delivery was made since the last search */
	struct buf scratch;
};

struct row_key {
	uint8_t id[STATE_ID_SIZE];
	int64_t target;
};

/* Choosing */

static void draw(void *arg, uint64_t done, uint64_t total)
{
	struct replay *r = arg;
	bar_step(&r->bar, done, total);
}

static struct planned *add_planned(struct replay *r)
{
	return array_grow(&r->plan, r->count, &r->cap, sizeof *r->plan) < 0 ? NULL : &r->plan[r->count++];
}

static bool is_unread(const struct replay *r, const struct history_line *line)
{
	uint64_t cursor;
	size_t number = names_find(&r->cursors, line->segment, strlen(line->segment) + 1);
	if (line->archived)
		return false;
	if (number == SIZE_MAX)
		return true;
	memcpy(&cursor, r->offsets.data + number * sizeof cursor, sizeof cursor);
	return line->offset >= cursor;
}

static int plan_targets(struct replay *r, const struct history_line *line, const uint8_t id[STATE_ID_SIZE])
{
	struct planned planned = {.received_at = line->event.received_at,
				  .offset = line->offset,
				  .length = line->raw.len,
				  .records = line->event.count};
	memcpy(planned.id, id, sizeof planned.id);
	if (names_add(&r->segments, line->segment, strlen(line->segment) + 1, &planned.segment) < 0 ||
	    target_lane(&line->event, &r->scratch, &planned.lane) < 0)
		return -1;
	for (size_t i = 0; i < r->session.conf->target_count; i++) {
		planned.target = &r->session.conf->targets[i];
		if (r->filter->target != NULL && strcmp(r->filter->target, planned.target->name) != 0)
			continue;
		int matches = target_matches(planned.target, &line->event, &r->scratch);
		struct planned *added = matches == 1 ? add_planned(r) : NULL;
		if (matches < 0 || (matches == 1 && added == NULL))
			return -1;
		if (added != NULL)
			*added = planned;
	}
	return 0;
}

static int choose(void *arg, const struct history_line *line)
{
	struct replay *r = arg;
	uint8_t id[STATE_ID_SIZE];
	text_unhex(line->event.id, EVENT_ID_SIZE - 1, id, sizeof id);
	if (is_unread(r, line)) {
		r->unread += !r->again;
		return 0;
	}
	if (r->again && names_find(&r->asked, id, sizeof id) == SIZE_MAX)
		return 0;
	int added = names_add(&r->events, id, sizeof id, NULL);
	if (added != 1)
		return added;
	if ((!r->again && names_add(&r->asked, id, sizeof id, NULL) < 0) || plan_targets(r, line, id) < 0)
		return -1;
	return r->filter->id != NULL;
}

static int add_cursor(void *arg, const char *segment, uint64_t offset)
{
	struct replay *r = arg;
	if (names_add(&r->cursors, segment, strlen(segment) + 1, NULL) < 0)
		return -1;
	return buf_append(&r->offsets, &offset, sizeof offset);
}

static int by_time(const void *a, const void *b)
{
	const struct planned *x = a, *y = b;
	if (x->received_at != y->received_at)
		return x->received_at < y->received_at ? -1 : 1;
	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int search(struct replay *r)
{
	const struct history_query query = {
		.id = r->filter->id, .since = r->filter->since, .progress = draw, .unread = r->unread_file};
	names_clear(&r->segments);
	names_clear(&r->events);
	names_clear(&r->cursors);
	r->offsets.len = 0;
	r->count = 0;
	if (state_cursors(r->session.state, add_cursor, r) < 0)
		return -1;
	bar_begin(&r->bar, "searching", true);
	int result = history_search(&r->session.spool, &query, choose, r);
	bar_end(&r->bar);
	if (r->count > 0)
		qsort(r->plan, r->count, sizeof *r->plan, by_time);
	return result < 0 ? -1 : 0;
}

/* Changing the state */

static int target_id(struct replay *r, const struct conf_target *target, int64_t *id)
{
	int64_t *known = &r->targets[target - r->session.conf->targets].id;
	if (*known < 0 && state_target(r->session.state, target->name, known) < 0)
		return -1;
	*id = *known;
	return 0;
}

/* Notes a delivery that the state has. */
static int add_row(void *arg, const struct state_row *row)
{
	struct replay *r = arg;
	struct row_key key = {.target = row->target_id};
	memcpy(key.id, row->delivery.event, sizeof key.id);
	return names_add(&r->rows, &key, sizeof key, NULL) < 0 ? -1 : 0;
}

static int add_parked(void *arg, const struct state_row *row)
{
	struct replay *r = arg;
	r->failed++;
	r->last_failed = row->delivery.id;
	if (row->parked_at == 0 || names_find(&r->events, row->delivery.event, STATE_ID_SIZE) == SIZE_MAX ||
	    (r->filter->target != NULL && strcmp(r->filter->target, row->target) != 0))
		return 0;
	/* The row's texts are gone after this call; nobody reads them. */
	return buf_append(&r->parked, row, sizeof *row);
}

/* Reads the next failed deliveries, and retries the parked ones that pass the filter. */
static int retry_some(struct replay *r)
{
	uint64_t retried = 0;
	r->failed = 0;
	r->parked.len = 0;
	if (session_begin(&r->session) < 0)
		return -1;
	if (state_failed(r->session.state, r->last_failed, SESSION_ROWS, add_parked, r) < 0)
		goto fail;
	for (size_t at = 0; at < r->parked.len; at += sizeof(struct state_row)) {
		struct state_row row;
		memcpy(&row, r->parked.data + at, sizeof row);
		int result = state_delivery_retry(r->session.state, &row);
		if (result < 0)
			goto fail;
		retried += (uint64_t)result;
	}
	if (session_commit(&r->session) < 0)
		goto fail;
	r->retried += retried;
	return 0;
fail:
	state_rollback(r->session.state);
	return -1;
}

/* Parked deliveries become pending again. They are among those that the state has then, and are not made twice. */
static int begin(struct replay *r)
{
	do
		if (retry_some(r) < 0)
			return -1;
	while (r->failed == SESSION_ROWS);
	return state_all_rows(r->session.state, add_row, r);
}

/* Finds a segment that a deliverer was putting away, under a hidden name, when it was killed. The next deliverer gives
 * it its name back first of all, and cannot begin before this transaction ends. */
static int find_hidden(const struct spool *spool, const char *name, struct stat *st)
{
	char hidden[SEGMENT_HIDDEN_SIZE];
	segment_name_hidden(hidden, name);
	if (spool_locked_by(spool) == 0)
		return fstatat(spool->journal_fd, hidden, st, AT_SYMLINK_NOFOLLOW);
	errno = ENOENT;
	return -1;
}

/* Finds the segment where its lines were read. Once a delivery names it, it stays there. */
static int find_segment(struct replay *r, struct planned *planned)
{
	const struct spool *spool = &r->session.spool;
	const char *name = names_get(&r->segments, planned->segment).ptr;
	struct stat st;
	if (fstatat(spool->journal_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 &&
	    (errno != ENOENT || fstatat(spool->archive_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) &&
	    (errno != ENOENT || find_hidden(spool, name, &st) < 0)) {
		r->vanished = errno == ENOENT;
		return -1;
	}
	return state_segment(r->session.state, name, (uint64_t)st.st_size, &planned->segment_id);
}

static int make_one(struct replay *r, const struct planned *planned)
{
	struct row_key key = {0};
	struct state_delivery delivery = {.segment_id = planned->segment_id,
					  .offset = planned->offset,
					  .length = planned->length,
					  .records = planned->records};
	if (target_id(r, planned->target, &key.target) < 0)
		return -1;
	memcpy(key.id, planned->id, sizeof key.id);
	memcpy(delivery.event, planned->id, sizeof delivery.event);
	int added = names_add(&r->rows, &key, sizeof key, NULL);
	if (added != 1)
		return added;
	if (state_delivery_add(r->session.state, key.target, planned->lane, &delivery) < 0 ||
	    state_lane_add(r->session.state, key.target, planned->lane, state_ready(r->session.state)) < 0)
		return -1;
	r->targets[planned->target - r->session.conf->targets].made++;
	r->progressed = true;
	return 0;
}

/* Finds all segments before it makes the first delivery, so that a rollback leaves nothing to undo in memory. */
static int make(struct replay *r, struct planned *plan, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && plan[i].segment == plan[i - 1].segment)
			plan[i].segment_id = plan[i - 1].segment_id;
		else if (find_segment(r, &plan[i]) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (make_one(r, &plan[i]) < 0)
			return -1;
	return 0;
}

/* Makes the next deliveries, in one transaction. Their number, or -1 with errno. */
static ssize_t make_some(struct replay *r, size_t from)
{
	size_t n = r->count - from < SESSION_ROWS ? r->count - from : SESSION_ROWS;
	if (session_begin(&r->session) < 0)
		return -1;
	if (make(r, r->plan + from, n) == 0 && session_commit(&r->session) == 0)
		return (ssize_t)n;
	state_rollback(r->session.state);
	return -1;
}

static int make_all(struct replay *r)
{
	ssize_t n = 0;
	bar_begin(&r->bar, "replaying", false);
	for (size_t at = 0; at < r->count && n >= 0; at += (size_t)n) {
		n = make_some(r, at);
		bar_step(&r->bar, at, r->count);
	}
	bar_end(&r->bar);
	return n < 0 ? -1 : 0;
}

/* One line for each target. */
static int write_audit(struct replay *r)
{
	char since[CLOCK_TEXT_SIZE], detail[96];
	uint8_t id[STATE_ID_SIZE];
	clock_text(r->filter->since, since);
	if (r->filter->id != NULL)
		text_unhex(r->filter->id, EVENT_ID_SIZE - 1, id, sizeof id);
	for (size_t i = 0; i < r->session.conf->target_count; i++) {
		snprintf(detail, sizeof detail, "%llu events since %s", (unsigned long long)r->targets[i].made, since);
		if (r->targets[i].made > 0 &&
		    session_audit(&r->session, r->session.conf->targets[i].name, r->filter->id == NULL ? NULL : id,
				  "replayed", r->filter->id == NULL ? detail : NULL) < 0)
			return -1;
	}
	session_flush(&r->session);
	return 0;
}

static int run(struct replay *r)
{
	r->targets = calloc(r->session.conf->target_count + 1, sizeof *r->targets);
	if (r->targets == NULL)
		return -1;
	for (size_t i = 0; i < r->session.conf->target_count; i++)
		r->targets[i].id = -1;
	if (search(r) < 0 || begin(r) < 0)
		return -1;
	int result = make_all(r);
	for (int i = 0; i < TRIES && result < 0 && r->vanished; i = r->progressed ? 0 : i + 1) {
		r->vanished = r->progressed = false;
		r->again = true;
		result = search(r) < 0 ? -1 : make_all(r);
	}
	return result < 0 ? -1 : write_audit(r);
}

static const char *plural(uint64_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

/* Prints what was done. The exit code: 1 if there was no delivery to make. */
static int report(const struct replay *r)
{
	uint64_t made = 0, events = r->events.count;
	for (size_t i = 0; i < r->session.conf->target_count; i++)
		made += r->targets[i].made;
	/* A parked delivery may be for a target that no longer matches, and is not planned then. */
	uint64_t waiting = r->count > made + r->retried ? r->count - made - r->retried : 0;
	printf("%llu %s: %llu %s", (unsigned long long)events, plural(events, "event", "events"),
	       (unsigned long long)made, plural(made, "delivery", "deliveries"));
	if (r->retried > 0)
		printf(", %llu more that %s parked", (unsigned long long)r->retried, plural(r->retried, "was", "were"));
	if (waiting > 0)
		printf(", %llu %s pending already", (unsigned long long)waiting, plural(waiting, "is", "are"));
	if (r->unread > 0)
		printf("; %llu %s yet to be delivered for the first time", (unsigned long long)r->unread,
		       plural(r->unread, "event is", "events are"));
	putchar('\n');
	if (made + r->retried > 0)
		return 0;
	if (events + r->unread == 0)
		log_warnx(r->filter->id != NULL ? "there is no such event in the journal or the archive"
						: "the journal and the archive have no event since then");
	return waiting + r->unread > 0 ? 0 : 1;
}

static void replay_fini(struct replay *r)
{
	session_close(&r->session);
	names_fini(&r->segments);
	names_fini(&r->asked);
	names_fini(&r->events);
	names_fini(&r->cursors);
	names_fini(&r->rows);
	buf_fini(&r->offsets);
	buf_fini(&r->parked);
	buf_fini(&r->scratch);
	free(r->plan);
	free(r->targets);
}

static int replay(const struct conf *conf, const struct filter *filter)
{
	struct replay r = {.filter = filter};
	int result = session_open(&r.session, conf, STATE_CHANGE);
	if (result == 0 && r.session.state == NULL) {
		log_warnx("%s: nothing was delivered yet", conf->spool);
		result = 1;
	} else if (result == 0 && run(&r) < 0) {
		result = command_unread(conf, r.unread_file);
	} else if (result == 0) {
		result = report(&r);
		fflush(stdout);
		command_wake(conf, &r.session.spool);
	}
	replay_fini(&r);
	return result;
}

/* "2h" (ago), or a moment in UTC as far as it is given: "2026-11-24", "2026-11-24 09:00:00Z". 0 or -1. */
static int read_since(const char *s, int64_t *since)
{
	char text[CLOCK_TEXT_SIZE] = "0000-00-00T00:00:00.000000Z";
	size_t n = strlen(s);
	int64_t ago;
	if (text_duration(s, &ago) == 0) {
		*since = clock_now() - ago;
		return 0;
	}
	if (n > 0 && s[n - 1] == 'Z')
		n--;
	if (n != strlen("2026-11-24") && n != strlen("2026-11-24T09:00") && n != strlen("2026-11-24T09:00:00") &&
	    n != CLOCK_TEXT_SIZE - 2)
		return -1;
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the rest of the text stays, with its NUL */
	memcpy(text, s, n);
	if (text[10] == ' ')
		text[10] = 'T';
	return clock_parse_text(text, since);
}

static bool has_target(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->target_count; i++)
		if (strcmp(conf->targets[i].name, name) == 0)
			return true;
	log_warnx("%s has no target \"%s\"", conf->path, name);
	return false;
}

static int run_replay(const char *conf_path, int argc, char **argv)
{
	struct filter filter = {0};
	const char *since = NULL;
	const struct command_option known[] = {
		{"since", .value = &since},
		{"target", .value = &filter.target},
		{0},
	};
	uint8_t id[STATE_ID_SIZE];
	char hex[EVENT_ID_SIZE];
	int at = command_options(argc, argv, known);
	if (at < 0 || argc - at != (since == NULL ? 1 : 0) || (since == NULL && session_parse_id(argv[at], id) < 0))
		return EX_USAGE;
	if (since == NULL) {
		text_hex(id, sizeof id, hex);
		filter.id = hex;
	} else if (read_since(since, &filter.since) < 0) {
		log_warnx("\"%s\" is no time; write \"2h\" for two hours ago, or \"2026-11-24 09:00Z\"", since);
		return EX_USAGE;
	}
	struct conf *conf = command_conf(conf_path, false);
	if (conf == NULL)
		return EX_CONFIG;
	int result = filter.target != NULL && !has_target(conf, filter.target) ? EX_USAGE : replay(conf, &filter);
	conf_free(conf);
	return result;
}

const struct command replay_command = {
	.name = "replay",
	.arguments = "[--target NAME] ID | --since TIME",
	.summary = "deliver again",
	.help = "Delivers again what is kept in the journal or the archive: one event, or all\n"
		"that were received since a time. They go to each target that they match, files\n"
		"too. What still waits is not delivered twice; what was parked is tried again.\n"
		"\n"
		"    --since TIME    \"2h\" is two hours ago; or a moment in UTC, such as\n"
		"                    2026-11-24 or \"2026-11-24 09:00:00Z\"\n"
		"    --target NAME   to this target only\n",
	.run = run_replay,
};
