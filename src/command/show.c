#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/text.h"
#include "command/bar.h"
#include "command/command.h"
#include "command/session.h"
#include "command/table.h"
#include "config/arena.h"
#include "event/line.h"
#include "spool/audit_read.h"
#include "spool/search.h"
#include "state/deliveries.h"
#include "state/segments.h"
#include "state/state.h"
#include "target/target.h"

/* What became of the event at a target. */
enum outcome {
	OUTCOME_UNREAD,  /* the deliverer has not taken the event in yet */
	OUTCOME_PENDING, /* the state has a row of it, which is not parked */
	OUTCOME_PARKED,
	OUTCOME_DONE,    /* the audit trail says so */
	OUTCOME_DROPPED, /* the audit trail says so */
	OUTCOME_SETTLED, /* done or dropped: the audit trail does not reach back that far */
};
static const struct {
	const char *name;
	enum tint tint;
} outcomes[] = {
	[OUTCOME_UNREAD] = {"unread", TINT_PLAIN},   [OUTCOME_PENDING] = {"pending", TINT_WARNING},
	[OUTCOME_PARKED] = {"parked", TINT_BAD},     [OUTCOME_DONE] = {"done", TINT_GOOD},
	[OUTCOME_DROPPED] = {"dropped", TINT_PLAIN}, [OUTCOME_SETTLED] = {"settled", TINT_PLAIN},
};

struct delivery {
	struct delivery *next;
	const char *target;
	enum outcome outcome;
	uint64_t attempts;
	int64_t at;      /* us since 1970: parked, or its last line in the trail */
	int64_t next_in; /* us; pending only; below 0: now */
	const char *why;
};

struct audit_line {
	struct audit_line *next;
	struct span raw;
};

struct show {
	struct session session;
	struct arena arena;
	struct bar bar;
	const char *id;
	char unread[HISTORY_PATH_SIZE];
	bool found, archived;
	char segment[SEGMENT_NAME_SIZE];
	uint64_t offset;
	struct buf line, scratch;
	struct event event;
	int64_t cursor; /* of its segment; -1: it has none */
	struct delivery *deliveries;
	struct audit_line *audit, **audit_end;
	uint64_t requests; /* accepted ones: those after the first were duplicates */
};

/* Finding */

static void draw(void *arg, uint64_t done, uint64_t total)
{
	struct show *s = arg;
	bar_step(&s->bar, done, total);
}

static int take_line(void *arg, const struct history_line *line)
{
	struct show *s = arg;
	s->line.len = 0;
	if (buf_append(&s->line, line->raw.ptr, line->raw.len) < 0)
		return -1;
	strcpy(s->segment, line->segment);
	s->offset = line->offset;
	s->archived = line->archived;
	s->found = true;
	return 1;
}

static int find_cursor(void *arg, const char *segment, uint64_t offset)
{
	struct show *s = arg;
	if (strcmp(segment, s->segment) == 0)
		s->cursor = (int64_t)offset;
	return 0;
}

static struct delivery *delivery_of(struct show *s, const char *target)
{
	struct delivery **at = &s->deliveries;
	while (*at != NULL && strcmp((*at)->target, target) != 0)
		at = &(*at)->next;
	if (*at == NULL && (*at = arena_alloc(&s->arena, sizeof **at)) != NULL) {
		(*at)->outcome = OUTCOME_SETTLED;
		(*at)->target = arena_copy(&s->arena, target, strlen(target));
	}
	return s->arena.failed ? NULL : *at;
}

static int take_row(void *arg, const struct state_row *row)
{
	struct show *s = arg;
	struct delivery *d = delivery_of(s, row->target);
	if (d == NULL)
		return -1;
	d->outcome = row->parked_at != 0 ? OUTCOME_PARKED : OUTCOME_PENDING;
	d->attempts = row->delivery.attempts;
	d->at = row->parked_at;
	d->next_in = row->next_at - state_age(s->session.state);
	d->why = row->why == NULL ? NULL : arena_copy(&s->arena, row->why, strlen(row->why));
	return s->arena.failed ? -1 : 0;
}

/* The rows of the state are read after the trail, and correct what it says. */
static int take_audit_line(struct show *s, const struct trail_line *line, struct span raw)
{
	static const struct {
		const char *result;
		enum outcome outcome;
	} results[] = {
		{"\"done\"", OUTCOME_DONE},     {"\"dropped\"", OUTCOME_DROPPED}, {"\"parked\"", OUTCOME_PARKED},
		{"\"retry\"", OUTCOME_SETTLED}, {"\"retried\"", OUTCOME_SETTLED}, {"\"replayed\"", OUTCOME_SETTLED},
	};
	struct audit_line *kept = arena_alloc(&s->arena, sizeof *kept);
	if (kept == NULL)
		return -1;
	kept->raw = (struct span){arena_copy(&s->arena, raw.ptr, raw.len), raw.len};
	*s->audit_end = kept;
	s->audit_end = &kept->next;
	s->scratch.len = 0;
	if (line->members[TRAIL_TARGET].ptr == NULL) {
		s->requests += trail_number(line, TRAIL_STATUS) == 200;
		return kept->raw.ptr == NULL ? -1 : 0;
	}
	if (trail_text(line, TRAIL_TARGET, &s->scratch) < 0 || buf_cstr(&s->scratch) == NULL)
		return -1;
	struct delivery *d = delivery_of(s, s->scratch.data);
	if (d == NULL)
		return -1;
	struct span result = line->members[TRAIL_RESULT];
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		if (result.len == strlen(results[i].result) && memcmp(result.ptr, results[i].result, result.len) == 0)
			d->outcome = results[i].outcome;
	d->attempts = trail_number(line, TRAIL_ATTEMPT);
	clock_parse_text(line->members[TRAIL_AT].ptr + 1, &d->at);
	return 0;
}

static int read_trail_file(struct show *s, enum trail_file which)
{
	struct trail trail;
	struct trail_line line;
	struct span raw;
	int result = trail_open(&trail, &s->session.spool, which);
	if (result <= 0)
		return result;
	while ((result = trail_next(&trail, &raw)) == 1) {
		if (memmem(raw.ptr, raw.len, s->id, EVENT_ID_SIZE - 1) == NULL || !trail_parse(raw, &line) ||
		    line.members[TRAIL_EVENT_ID].len != EVENT_ID_SIZE + 1 ||
		    memcmp(line.members[TRAIL_EVENT_ID].ptr + 1, s->id, EVENT_ID_SIZE - 1) != 0)
			continue;
		result = take_audit_line(s, &line, raw);
		if (result < 0)
			break;
	}
	trail_close(&trail);
	return result;
}

/* Adds the targets that neither a row nor the trail names. */
static int add_silent(struct show *s)
{
	bool unread = !s->archived && (s->cursor < 0 || (uint64_t)s->cursor <= s->offset);
	for (size_t i = 0; i < s->session.conf->target_count; i++) {
		const struct conf_target *target = &s->session.conf->targets[i];
		int matches = target_matches(target, &s->event, &s->scratch);
		struct delivery *d = matches == 1 ? delivery_of(s, target->name) : NULL;
		if (matches < 0 || (matches == 1 && d == NULL))
			return -1;
		if (d != NULL && unread && d->outcome == OUTCOME_SETTLED)
			d->outcome = OUTCOME_UNREAD;
	}
	return 0;
}

/* A delivery that the trail calls parked has a row in the state, or it is parked no more. */
static void forget_parked(struct show *s)
{
	for (struct delivery *d = s->deliveries; d != NULL; d = d->next)
		if (d->outcome == OUTCOME_PARKED)
			d->outcome = OUTCOME_SETTLED;
}

static int read_deliveries(struct show *s)
{
	uint8_t id[STATE_ID_SIZE];
	text_unhex(s->id, EVENT_ID_SIZE - 1, id, sizeof id);
	s->cursor = -1;
	if (read_trail_file(s, TRAIL_OLD) < 0 || read_trail_file(s, TRAIL_NEW) < 0)
		return -1;
	forget_parked(s);
	if (s->session.state != NULL &&
	    (state_read_begin(s->session.state) < 0 || state_rows(s->session.state, id, take_row, s) < 0 ||
	     state_cursors(s->session.state, find_cursor, s) < 0))
		return -1;
	return s->found ? add_silent(s) : 0;
}

static int find(struct show *s)
{
	const struct history_query query = {.id = s->id, .progress = draw, .unread = s->unread};
	if (s->session.spool.fd < 0)
		return 0;
	bar_begin(&s->bar, "searching", true);
	int result = history_search(&s->session.spool, &query, take_line, s);
	bar_end(&s->bar);
	if (result < 0)
		return -1;
	if (s->found && line_decode(s->line.data, s->line.len, &s->event) != LINE_OK) {
		errno = EBADMSG;
		return -1;
	}
	return read_deliveries(s);
}

/* For programs */

static void write_event(struct writer *w, const struct show *s)
{
	const struct event *e = &s->event;
	if (!s->found) {
		writer_string(w, "event", NULL);
		return;
	}
	writer_open(w, "event", '{');
	writer_string(w, "event_id", e->id);
	writer_time(w, "received_at", e->received_at);
	writer_open(w, "kept_in", '{');
	writer_string(w, "folder", s->archived ? "archive" : "journal");
	writer_string(w, "segment", s->segment);
	writer_number(w, "offset", s->offset);
	writer_close(w, '}');
	writer_text(w, "endpoint", e->endpoint);
	writer_text(w, "scheme", e->scheme);
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		writer_raw(w, event_field_names[i], e->fields[i]);
	writer_raw(w, "nonce", e->nonce);
	writer_number(w, "count", e->count);
	writer_raw(w, "data", e->data);
	writer_close(w, '}');
}

static void write_deliveries(struct writer *w, const struct show *s)
{
	int64_t now = clock_now();
	writer_open(w, "deliveries", '[');
	for (const struct delivery *d = s->deliveries; d != NULL; d = d->next) {
		writer_open(w, NULL, '{');
		writer_string(w, "target", d->target);
		writer_string(w, "state", outcomes[d->outcome].name);
		writer_number(w, "attempts", d->attempts);
		writer_time(w, "at", d->at);
		writer_time(w, "next_at", d->outcome != OUTCOME_PENDING ? 0 : d->next_in < 0 ? now : now + d->next_in);
		writer_string(w, "why", d->why);
		writer_close(w, '}');
	}
	writer_close(w, ']');
}

static int print_json(const struct show *s)
{
	struct writer w = {0};
	writer_open(&w, NULL, '{');
	write_event(&w, s);
	writer_number(&w, "requests", s->requests);
	write_deliveries(&w, s);
	writer_open(&w, "audit", '[');
	for (const struct audit_line *t = s->audit; t != NULL; t = t->next)
		writer_raw(&w, NULL, t->raw);
	writer_close(&w, ']');
	writer_close(&w, '}');
	return writer_print(&w);
}

/* For people */

static int add_field(struct show *s, struct table *t, enum event_field field)
{
	if (s->event.fields[field].ptr == NULL)
		return 0;
	s->scratch.len = 0;
	if (event_field_text(&s->event, field, &s->scratch) < 0)
		return -1;
	table_cell(t, TINT_FAINT, "%s", event_field_names[field]);
	table_text(t, TINT_PLAIN, (struct span){s->scratch.data, s->scratch.len});
	table_end(t);
	return 0;
}

static int print_event(struct show *s)
{
	struct table t = {0};
	char at[CLOCK_TEXT_SIZE], ago[TEXT_HUMAN_SIZE], size[TEXT_HUMAN_SIZE];
	const struct event *e = &s->event;
	clock_text(e->received_at, at);
	text_human_duration(clock_now() - e->received_at, ago);
	text_human_size(e->data.len, size);
	table_pair(&t, "event", TINT_STRONG, "%s", s->id);
	if (s->found) {
		table_pair(&t, "received", TINT_PLAIN, "%s (%s ago)", at, ago);
		table_pair(&t, "endpoint", TINT_PLAIN, "%.*s", (int)e->endpoint.len, e->endpoint.ptr);
	}
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		if (add_field(s, &t, (enum event_field)i) < 0)
			return -1;
	if (s->found)
		table_pair(&t, "data", TINT_PLAIN, "%u %s, %s; --json shows it", e->count,
			   e->count == 1 ? "element" : "elements", size);
	else
		table_pair(&t, "data", TINT_PLAIN, "not kept any more");
	if (s->found)
		table_pair(&t, "kept in", TINT_PLAIN, "%s/%s, byte %llu", s->archived ? "archive" : "journal",
			   s->segment, (unsigned long long)s->offset);
	else
		table_pair(&t, "kept in", TINT_PLAIN, "the audit trail only");
	if (s->requests > 1)
		table_pair(&t, "sent", TINT_PLAIN, "%llu times", (unsigned long long)s->requests);
	return table_print(&t, "");
}

static void add_delivery(struct table *t, const struct delivery *d, int64_t now)
{
	char in[TEXT_HUMAN_SIZE];
	table_cell(t, TINT_STRONG, "%s", d->target);
	table_cell(t, outcomes[d->outcome].tint, "%s", outcomes[d->outcome].name);
	if (d->at == 0)
		table_cell(t, TINT_PLAIN, "-");
	else
		table_ago(t, TINT_PLAIN, d->at, now);
	table_number(t, TINT_PLAIN, d->attempts);
	text_human_duration(d->next_in, in);
	if (d->outcome == OUTCOME_PENDING)
		table_cell(t, TINT_PLAIN, "%s%s%s%s", d->next_in < 0 ? "now" : "next in ", d->next_in < 0 ? "" : in,
			   d->why == NULL ? "" : "; ", d->why == NULL ? "" : d->why);
	else if (d->why != NULL)
		table_cell(t, TINT_PLAIN, "%s", d->why);
	table_end(t);
}

static int print_text(struct show *s)
{
	static const char *const names[] = {"target", "state", "since", "tries", NULL};
	struct table t = {0};
	if (print_event(s) < 0)
		return -1;
	if (s->deliveries == NULL)
		return !s->found || printf("\nno target matches it: it is delivered nowhere\n") > 0 ? 0 : -1;
	if (putchar('\n') == EOF || fflush(stdout) != 0)
		return -1;
	table_heading(&t, names);
	for (const struct delivery *d = s->deliveries; d != NULL; d = d->next)
		add_delivery(&t, d, clock_now());
	return table_print(&t, "");
}

static int print_show(struct show *s, bool json)
{
	if (find(s) < 0)
		return command_unread(s->session.conf, s->unread);
	if (!s->found && s->audit == NULL) {
		log_warnx("there is no event %s", s->id);
		return 1;
	}
	if ((json ? print_json(s) : print_text(s)) == 0)
		return 0;
	log_warn("cannot write the answer");
	return EX_IOERR;
}

static int run_show(const char *conf_path, int argc, char **argv)
{
	bool json = false;
	const struct command_option known[] = {{"json", .flag = &json}, {0}};
	uint8_t id[STATE_ID_SIZE];
	char hex[EVENT_ID_SIZE];
	struct show s = {.id = hex, .audit_end = &s.audit};
	int at = command_options(argc, argv, known);
	if (at < 0 || at + 1 != argc || session_parse_id(argv[at], id) < 0)
		return EX_USAGE;
	text_hex(id, sizeof id, hex);
	struct conf *conf = command_conf(conf_path, false);
	if (conf == NULL)
		return EX_CONFIG;
	int result = session_open(&s.session, conf, STATE_LOOK);
	if (result == 0)
		result = print_show(&s, json);
	session_close(&s.session);
	arena_fini(&s.arena);
	buf_fini(&s.line);
	buf_fini(&s.scratch);
	conf_free(conf);
	return result;
}

const struct command show_command = {
	.name = "show",
	.arguments = "[--json] ID",
	.summary = "an event and what became of it",
	.help = "Shows an event and what became of it at each target:\n"
		"\n"
		"    unread     it has not been taken in yet\n"
		"    pending    it waits for its turn, or for the next attempt\n"
		"    parked     it was given up: see retry and drop\n"
		"    done       it was delivered\n"
		"    dropped    somebody dropped it\n"
		"    settled    done or dropped, longer ago than the audit trail goes back\n"
		"\n"
		"    --json      for programs; has the data, too\n",
	.prints = true,
	.run = run_show,
};
