#include "config.h"

#include "report/overview.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/intern.h"
#include "base/json.h"
#include "base/text.h"
#include "config/current.h"
#include "spool/open.h"
#include "spool/reader.h"
#include "spool/search.h"
#include "spool/strays.h"
#include "state/counts.h"
#include "state/deliveries.h"
#include "state/segments.h"
#include "state/state.h"
#include "stats/refusals.h"

#define NEAR_MAX (32u << 20) /* bytes of unread events */

/* An overview that is being read. */
struct reading {
	struct overview *o;
	const struct conf *conf;
	const struct spool *spool;
	struct state *state;        /* NULL: none yet */
	struct names connections;   /* endpoint and connection */
	struct buf connection_rows; /* struct overview_connection * each */
	struct names refusals;      /* endpoint, connection and reason */
	struct buf refusal_rows;    /* struct overview_refusal * each */
	struct overview_refusal *last_refusal;
	struct overview_sync *last_sync;
	struct names tokens;   /* endpoint and connection, as unread lines have them */
	struct buf token_rows; /* struct overview_connection * each */
	struct names cursors;
	struct buf offsets;    /* uint64_t each: of the cursors */
	struct names segments; /* the journal's before the state was read, with their NULs */
	struct buf line, text, key;
	uint64_t looked_max, looked; /* bytes of unread events */
};

static const char *copy(struct overview *o, struct span text)
{
	return arena_copy(&o->arena, text.ptr == NULL ? "" : text.ptr, text.len);
}

static struct span span_of(const char *text)
{
	return (struct span){text, strlen(text)};
}

static bool is_text(const char *text, struct span span)
{
	return strlen(text) == span.len && memcmp(text, span.ptr, span.len) == 0;
}

static void keep_latest(int64_t *at, int64_t other)
{
	if (other > *at)
		*at = other;
}

static void keep_earliest(int64_t *at, int64_t other)
{
	if (*at == 0 || other < *at)
		*at = other;
}

/* Finding and adding. NULL: no memory. New members go to the end of a list. */

static struct overview_target *target_of(struct overview *o, const char *name)
{
	struct overview_target **at = &o->targets;
	while (*at != NULL && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	if (*at == NULL && (*at = arena_alloc(&o->arena, sizeof **at)) != NULL &&
	    ((*at)->name = copy(o, span_of(name))) == NULL)
		*at = NULL;
	return *at;
}

/* Makes r->key, by which a connection is found. 0, or -1. */
static int make_key(struct reading *r, struct span endpoint, struct span connection)
{
	r->key.len = 0;
	if (buf_append(&r->key, endpoint.ptr, endpoint.len) == 0 && buf_char(&r->key, '\0') == 0 &&
	    buf_append(&r->key, connection.ptr, connection.len) == 0)
		return 0;
	r->o->arena.failed = true;
	return -1;
}

/* There may be thousands of connections, and as many calls. NULL: there is none. */
static struct overview_connection *find_connection(struct reading *r, struct span endpoint, struct span connection)
{
	struct overview_connection *c;
	if (make_key(r, endpoint, connection) < 0)
		return NULL;
	size_t number = names_find(&r->connections, r->key.data, r->key.len);
	if (number == SIZE_MAX)
		return NULL;
	memcpy(&c, r->connection_rows.data + number * sizeof c, sizeof c);
	return c;
}

static struct overview_connection *add_connection(struct reading *r, struct span endpoint, struct span connection)
{
	struct overview *o = r->o;
	struct overview_connection *c = arena_alloc(&o->arena, sizeof *c);
	if (c == NULL || make_key(r, endpoint, connection) < 0 ||
	    names_add(&r->connections, r->key.data, r->key.len, NULL) != 1 ||
	    buf_append(&r->connection_rows, &c, sizeof c) < 0)
		return NULL;
	c->endpoint = copy(o, endpoint);
	c->connection = copy(o, connection);
	*(o->connections == NULL ? &o->connections : &o->last_connection->next) = c;
	o->last_connection = c;
	return c->endpoint == NULL || c->connection == NULL ? NULL : c;
}

static struct overview_endpoint *find_endpoint(struct overview *o, struct span path)
{
	struct overview_endpoint *e = o->endpoints;
	while (e != NULL && !is_text(e->conf->path, path))
		e = e->next;
	return e;
}

/* Targets and endpoints of the configuration are in the overview even if they were never used. */
static int add_conf(struct reading *r)
{
	struct overview_endpoint **end = &r->o->endpoints;
	for (size_t i = 0; i < r->conf->target_count; i++) {
		struct overview_target *t = target_of(r->o, r->conf->targets[i].name);
		if (t == NULL)
			return -1;
		t->conf = &r->conf->targets[i];
	}
	for (size_t i = 0; i < r->conf->endpoint_count; i++, end = &(*end)->next) {
		*end = arena_alloc(&r->o->arena, sizeof **end);
		if (*end == NULL)
			return -1;
		(*end)->conf = &r->conf->endpoints[i];
	}
	return 0;
}

/* What the state has */

static int add_cursor(void *arg, const char *segment, uint64_t offset)
{
	struct reading *r = arg;
	/* With its NUL, as a key and as a name. */
	if (names_add(&r->cursors, segment, strlen(segment) + 1, NULL) < 0)
		return -1;
	return buf_append(&r->offsets, &offset, sizeof offset);
}

static int add_target_stats(void *arg, const struct state_goal *goal)
{
	struct overview *o = arg;
	struct overview_target *t = target_of(o, goal->target);
	if (t == NULL)
		return -1;
	t->id = goal->id;
	t->done = goal->done;
	t->failed = goal->failed;
	t->done_at = goal->done_at;
	t->error_at = goal->error_at;
	t->error = goal->error == NULL ? NULL : copy(o, span_of(goal->error));
	return 0;
}

static int add_connection_stats(void *arg, const struct state_contact *contact)
{
	struct reading *r = arg;
	struct overview *o = r->o;
	struct overview_connection *c = add_connection(r, span_of(contact->endpoint), span_of(contact->connection));
	if (c == NULL)
		return -1;
	c->events = contact->events;
	c->last_at = contact->last_at;
	struct overview_endpoint *e = find_endpoint(o, span_of(contact->endpoint));
	if (e != NULL) {
		e->events += contact->events;
		keep_latest(&e->last_at, contact->last_at);
	}
	return 0;
}

static int add_sync(void *arg, const struct state_sync *sync)
{
	struct reading *r = arg;
	struct overview *o = r->o;
	struct overview_sync *s = arena_alloc(&o->arena, sizeof *s);
	if (s == NULL)
		return -1;
	*(o->syncs == NULL ? &o->syncs : &r->last_sync->next) = s;
	r->last_sync = s;
	*s = (struct overview_sync){
		.endpoint = copy(o, sync->endpoint),
		.connection = copy(o, sync->connection),
		.object_type = copy(o, sync->object_type),
		.pages = sync->pages,
		.records = sync->records,
		.begun_at = sync->begun_at,
		.last_at = sync->last_at,
		.complete = sync->complete,
	};
	return o->arena.failed ? -1 : 0;
}

/* There are few reasons. */
static int add_reason(struct overview *o, struct overview_reason **at, const struct state_refusal *refusal)
{
	while (*at != NULL && !is_text((*at)->reason, refusal->reason))
		at = &(*at)->next;
	if (*at == NULL &&
	    ((*at = arena_alloc(&o->arena, sizeof **at)) == NULL || ((*at)->reason = copy(o, refusal->reason)) == NULL))
		return -1;
	(*at)->count += refusal->count;
	return 0;
}

/* Finds the refusal of this endpoint, connection and reason, or adds it. NULL: no memory. */
static struct overview_refusal *refusal_of(struct reading *r, const struct state_refusal *refusal,
					   struct span connection)
{
	struct overview *o = r->o;
	struct overview_refusal *same;
	size_t number;
	if (make_key(r, refusal->endpoint, connection) < 0 || buf_char(&r->key, '\0') < 0 ||
	    buf_append(&r->key, refusal->reason.ptr, refusal->reason.len) < 0)
		return NULL;
	int added = names_add(&r->refusals, r->key.data, r->key.len, &number);
	if (added < 0)
		return NULL;
	if (!added) {
		memcpy(&same, r->refusal_rows.data + number * sizeof same, sizeof same);
		return same;
	}
	same = arena_alloc(&o->arena, sizeof *same);
	if (same == NULL || buf_append(&r->refusal_rows, &same, sizeof same) < 0)
		return NULL;
	same->endpoint = copy(o, refusal->endpoint);
	same->connection = copy(o, connection);
	same->reason = copy(o, refusal->reason);
	*(o->refusals == NULL ? &o->refusals : &r->last_refusal->next) = same;
	r->last_refusal = same;
	return o->arena.failed ? NULL : same;
}

/* Is called for what the state has counted, and then for what only the trail has. */
static int add_refusal(void *arg, const struct state_refusal *refusal)
{
	struct reading *r = arg;
	struct overview *o = r->o;
	struct overview_connection *c = find_connection(r, refusal->endpoint, refusal->connection);
	struct overview_endpoint *e = find_endpoint(o, refusal->endpoint);
	struct span connection = c == NULL ? (struct span){"", 0} : refusal->connection;
	struct overview_refusal *same = refusal_of(r, refusal, connection);
	if (same == NULL || add_reason(o, &o->reasons, refusal) < 0 ||
	    (e != NULL && add_reason(o, &e->reasons, refusal) < 0) ||
	    (c != NULL && add_reason(o, &c->reasons, refusal) < 0))
		return -1;
	same->status = refusal->status;
	same->count += refusal->count;
	keep_latest(&same->last_at, refusal->last_at);
	o->refused += refusal->count;
	if (c != NULL) {
		c->refused += refusal->count;
		keep_latest(&c->refused_at, refusal->last_at);
	}
	if (e != NULL) {
		e->refused += refusal->count;
		keep_latest(&e->refused_at, refusal->last_at);
		if (refusal->status >= 500)
			keep_latest(&e->fault_at, refusal->last_at);
	}
	return 0;
}

/* A process that goes on with an earlier configuration repeats that regularly: one that is silent has ended. */
#define CONF_HOLDS (2 * CURRENT_TELL_AGAIN)

/* Of a kind of process, the last verdict holds. */
static int add_verdict(void *arg, const struct state_conf *conf)
{
	struct reading *r = arg;
	struct overview_conf **at = &r->o->confs;
	while (*at != NULL && !is_text((*at)->by, conf->by))
		at = &(*at)->next;
	if (*at == NULL && (*at = arena_alloc(&r->o->arena, sizeof **at)) == NULL)
		return -1;
	(*at)->by = copy(r->o, conf->by);
	(*at)->why = conf->why.ptr == NULL || r->o->now - conf->at > CONF_HOLDS ? NULL : copy(r->o, conf->why);
	(*at)->at = conf->at;
	return r->o->arena.failed ? -1 : 0;
}

static void backlog_add(struct overview_backlog *b, const struct state_row *row, int64_t received_at)
{
	if (row->parked_at != 0) {
		b->parked += row->count;
		return;
	}
	b->pending += row->count;
	b->tried |= row->delivery.attempts > 0;
	if (received_at != 0)
		keep_earliest(&b->oldest_at, received_at);
}

/* Appends a connection's name, decoded from a line and encoded as the state has it. 0, or -1 with errno ENOMEM. */
static int append_connection(struct buf *out, struct span token)
{
	struct buf plain = {0};
	int result = 0;
	if (token.ptr != NULL) {
		result = json_decode_string(token, &plain, NULL);
		if (result == 0)
			result = text_component(out, plain.data, plain.len);
	}
	buf_fini(&plain);
	return result;
}

/* The state has only the number of a lane. The line of its oldest event says of which connection it is; if that cannot
 * be read, the backlog is counted for the target alone. */
static int add_backlog(void *arg, const struct state_row *row)
{
	struct reading *r = arg;
	struct event event = {0};
	struct overview_connection *c = NULL;
	r->line.len = r->text.len = 0;
	bool known = reader_fetch(r->spool, row->delivery.segment, row->delivery.offset, row->delivery.length, &r->line,
				  &event) == 0;
	if (append_connection(&r->text, event.fields[EVENT_CONNECTION_ID]) < 0)
		return -1;
	if (known)
		c = find_connection(r, event.endpoint, (struct span){r->text.data, r->text.len});
	struct overview_target *t = target_of(r->o, row->target);
	if (t == NULL)
		return -1;
	backlog_add(&t->backlog, row, event.received_at);
	backlog_add(&r->o->backlog, row, event.received_at);
	if (c != NULL)
		backlog_add(&c->backlog, row, event.received_at);
	return 0;
}

/* The list begins with the latest. */
static int add_trouble(void *arg, const struct state_trouble *trouble)
{
	struct overview *o = arg;
	struct overview_trouble *t = arena_alloc(&o->arena, sizeof *t);
	if (t == NULL)
		return -1;
	*t = (struct overview_trouble){
		.next = o->troubles,
		.what = copy(o, span_of(trouble->what)),
		.why = copy(o, span_of(trouble->why)),
		.at = trouble->at,
	};
	o->troubles = t;
	return o->arena.failed ? -1 : 0;
}

static int read_state(struct reading *r)
{
	struct overview *o = r->o;
	if (r->state == NULL)
		return tally_read(NULL, r->spool, add_refusal, add_verdict, r);
	if (state_read_begin(r->state) < 0)
		return -1;
	for (size_t i = 0; i < STATE_COUNTS; i++)
		if (state_count(r->state, (enum state_count)i, &o->counts[i]) < 0)
			return -1;
	return state_cursors(r->state, add_cursor, r) < 0 || state_goals(r->state, add_target_stats, o) < 0 ||
			       state_contacts(r->state, add_connection_stats, r) < 0 ||
			       state_syncs(r->state, add_sync, r) < 0 || state_refusals(r->state, add_refusal, r) < 0 ||
			       state_confs(r->state, add_verdict, r) < 0 ||
			       state_troubles(r->state, add_trouble, o) < 0 ||
			       tally_read(r->state, r->spool, add_refusal, add_verdict, r) < 0 ||
			       state_backlog(r->state, add_backlog, r) < 0
		       ? -1
		       : 0;
}

/* What the journal has beyond that */

static uint64_t cursor_at(const struct reading *r, size_t number)
{
	uint64_t offset;
	memcpy(&offset, r->offsets.data + number * sizeof offset, sizeof offset);
	return offset;
}

/* The deliverer is just making a kept segment that has no cursor, of events that it took in before. */
static uint64_t cursor_of(void *arg, const char *segment)
{
	const struct reading *r = arg;
	size_t number = names_find(&r->cursors, segment, strlen(segment) + 1);
	if (number != SIZE_MAX)
		return cursor_at(r, number);
	return r->state != NULL && segment_is_kept(segment) ? UINT64_MAX : 0;
}

/* Finds the connection of an unread line, or adds it. There may be millions of lines of few connections, so what they
 * have is decoded once. */
static struct overview_connection *connection_of(struct reading *r, const struct history_glance *line)
{
	struct overview_connection *c;
	size_t number;
	r->line.len = r->text.len = 0;
	if (buf_append(&r->line, line->endpoint.ptr, line->endpoint.len) < 0 || buf_char(&r->line, '\0') < 0 ||
	    buf_append(&r->line, line->connection.ptr, line->connection.len) < 0)
		return NULL;
	int added = names_add(&r->tokens, r->line.data, r->line.len, &number);
	if (added < 0)
		return NULL;
	if (!added) {
		memcpy(&c, r->token_rows.data + number * sizeof c, sizeof c);
		return c;
	}
	if (append_connection(&r->text, line->connection) < 0)
		return NULL;
	struct span connection = {r->text.data, r->text.len};
	c = find_connection(r, line->endpoint, connection);
	if (c == NULL)
		c = add_connection(r, line->endpoint, connection);
	return c == NULL || buf_append(&r->token_rows, &c, sizeof c) < 0 ? NULL : c;
}

static int add_unread(void *arg, const struct history_glance *line)
{
	struct reading *r = arg;
	struct overview_endpoint *e = find_endpoint(r->o, line->endpoint);
	struct overview_connection *c = connection_of(r, line);
	if (c == NULL)
		return -1;
	c->unread++;
	keep_latest(&c->last_at, line->received_at);
	keep_earliest(&c->unread_at, line->received_at);
	r->o->unread++;
	keep_earliest(&r->o->unread_at, line->received_at);
	if (e != NULL) {
		e->unread++;
		keep_latest(&e->last_at, line->received_at);
		keep_earliest(&e->unread_at, line->received_at);
	}
	r->looked += line->length;
	r->o->unread_more = r->looked > r->looked_max;
	return r->o->unread_more ? 1 : 0;
}

static int add_segment(void *arg, int folder, const char *name)
{
	struct reading *r = arg;
	(void)folder;
	if (!segment_parse_name(name, NULL))
		return 0;
	return names_add(&r->segments, name, strlen(name) + 1, NULL) < 0 ? -1 : 0;
}

static bool is_in_journal(const struct reading *r, const char *segment)
{
	return faccessat(r->spool->journal_fd, segment, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether a segment went away while the state was read, or after that. It has been taken in since; the overview counts
 * its events neither as taken in nor as unread. */
static bool is_segment_gone(const struct reading *r)
{
	struct stat st;
	for (size_t i = 0; i < r->cursors.count; i++) {
		const char *name = names_get(&r->cursors, i).ptr;
		if (!is_in_journal(r, name) && (fstatat(r->spool->archive_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
						(uint64_t)st.st_size != cursor_at(r, i)))
			return true;
	}
	for (size_t i = 0; i < r->segments.count; i++) {
		struct span name = names_get(&r->segments, i);
		if (names_find(&r->cursors, name.ptr, name.len) == SIZE_MAX && !is_in_journal(r, name.ptr))
			return true;
	}
	return false;
}

/* Health */

static bool is_listed(const struct conf_endpoint *e, const char *connection)
{
	struct buf id = {0};
	bool listed = false;
	for (size_t i = 0; i < e->connection_count && !listed; i++) {
		id.len = 0;
		listed = text_component(&id, e->connections[i], strlen(e->connections[i])) == 0 &&
			 is_text(connection, (struct span){id.data, id.len});
	}
	buf_fini(&id);
	return listed;
}

/* How long a connection may be silent. One that the configuration does not list is taken for ended when it has been
 * silent for longer than `remember`. */
static int64_t expected_of(const struct reading *r, const struct overview_connection *c)
{
	struct overview_endpoint *e = find_endpoint(r->o, span_of(c->endpoint));
	if (e == NULL)
		return 0;
	if (e->conf->connection_count > 0)
		return is_listed(e->conf, c->connection) ? e->conf->expect : 0;
	return r->o->now - c->last_at > r->conf->remember ? 0 : e->conf->expect;
}

static struct health_facts facts_of(const struct reading *r, const struct overview_backlog *backlog)
{
	return (struct health_facts){
		.now = r->o->now,
		.late_after = r->conf->late_after,
		.oldest_at = backlog->oldest_at,
		.tried = backlog->tried,
		.parked = backlog->parked,
	};
}

/* Judges one of them. The overview has the worst health of all. */
static enum health weigh(struct overview *o, const struct health_facts *facts, const char **why)
{
	enum health health = health_judge(facts, why);
	int64_t turns_at = health_turns_at(facts);
	if (health > o->health)
		o->health = health;
	if (turns_at != 0)
		keep_earliest(&o->turns_at, turns_at);
	return health;
}

/* Adds connections that the configuration lists and that have sent nothing yet. */
static int add_listed(struct reading *r)
{
	struct buf id = {0};
	int result = 0;
	for (size_t i = 0; i < r->conf->endpoint_count && result == 0; i++) {
		const struct conf_endpoint *e = &r->conf->endpoints[i];
		for (size_t k = 0; k < e->connection_count && result == 0; k++) {
			id.len = 0;
			result = text_component(&id, e->connections[k], strlen(e->connections[k]));
			struct span connection = {id.data, id.len};
			if (result == 0 && find_connection(r, span_of(e->path), connection) == NULL &&
			    add_connection(r, span_of(e->path), connection) == NULL)
				result = -1;
		}
	}
	buf_fini(&id);
	return result;
}

/* Says what is wrong with the spool as a whole. */
static void blame(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void blame(struct reading *r, const char *format, ...)
{
	char text[PATH_MAX + 512];
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	r->o->why = arena_copy(&r->o->arena, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
	r->o->health = HEALTH_FAILING;
}

static int look_for_strays(struct reading *r)
{
	struct strays strays;
	if (strays_look(r->spool, &strays) < 0)
		return -1;
	if (strays.count == 1)
		blame(r, "%s; it is passed over", strays.first);
	else if (strays.count > 1)
		blame(r, "%s; it is passed over, as %llu others are", strays.first,
		      (unsigned long long)strays.count - 1);
	return 0;
}

static int judge(struct reading *r)
{
	struct overview *o = r->o;
	if (add_listed(r) < 0)
		return -1;
	for (struct overview_conf *c = o->confs; c != NULL; c = c->next)
		if (c->why != NULL)
			o->health = HEALTH_FAILING;
	if (o->troubles != NULL)
		o->health = HEALTH_FAILING;
	for (struct overview_target *t = o->targets; t != NULL; t = t->next) {
		struct health_facts facts = facts_of(r, &t->backlog);
		t->health = weigh(o, &facts, &t->why);
	}
	for (struct overview_connection *c = o->connections; c != NULL; c = c->next) {
		struct health_facts facts = facts_of(r, &c->backlog);
		if (c->unread_at != 0)
			keep_earliest(&facts.oldest_at, c->unread_at);
		facts.last_at = c->last_at;
		facts.expect = expected_of(r, c);
		c->health = weigh(o, &facts, &c->why);
	}
	for (struct overview_endpoint *e = o->endpoints; e != NULL; e = e->next) {
		struct overview_backlog unread = {.oldest_at = e->unread_at};
		struct health_facts facts = facts_of(r, &unread);
		facts.last_at = e->last_at;
		facts.expect = e->conf->expect;
		facts.fault_at = e->fault_at;
		e->health = weigh(o, &facts, &e->why);
	}
	return 0;
}

/* All together */

static int read_spool(struct reading *r, enum overview_reach reach)
{
	if (fsio_each_name(r->spool->journal_fd, ".", add_segment, r) < 0)
		return -1;
	r->o->deliverer = spool_locked_by(r->spool);
	int result = read_state(r);
	/* The search may take long, and as long as somebody reads the state, the deliverer's log only grows. */
	if (r->state != NULL && reach == OVERVIEW_ALL)
		state_read_end(r->state);
	if (result == 0)
		result = history_look(r->spool, cursor_of, add_unread, r);
	if (result == 0)
		result = look_for_strays(r);
	int saved = errno;
	r->o->torn = is_segment_gone(r);
	errno = saved;
	return result < 0 ? -1 : 0;
}

int overview_read(struct overview *o, const struct conf *conf, const struct spool *spool, struct state *state,
		  enum overview_reach reach)
{
	struct reading r = {.o = o,
			    .conf = conf,
			    .spool = spool,
			    .state = state,
			    .looked_max = reach == OVERVIEW_NEAR ? NEAR_MAX : UINT64_MAX};
	*o = (struct overview){.now = clock_now()};
	int result = add_conf(&r);
	if (spool == NULL)
		blame(&r,
		      "%s is not there, or has no journal/: either nothing has ever been received, or its file system "
		      "is not mounted",
		      conf->spool);
	else if (result == 0)
		result = read_spool(&r, reach);
	if (result == 0)
		result = judge(&r);
	int saved = o->arena.failed ? ENOMEM : errno;
	names_fini(&r.cursors);
	names_fini(&r.segments);
	names_fini(&r.tokens);
	names_fini(&r.connections);
	names_fini(&r.refusals);
	buf_fini(&r.refusal_rows);
	buf_fini(&r.connection_rows);
	buf_fini(&r.key);
	buf_fini(&r.token_rows);
	buf_fini(&r.offsets);
	buf_fini(&r.line);
	buf_fini(&r.text);
	errno = saved;
	return result < 0 || o->arena.failed ? -1 : 0;
}

void overview_fini(struct overview *o)
{
	arena_fini(&o->arena);
	*o = (struct overview){0};
}
