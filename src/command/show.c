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
#include "target/target.h"

/* What became of the event at a target. */
enum fate {
	FATE_UNREAD,  /* the deliverer has not taken the event in yet */
	FATE_PENDING, /* has a row that is pending */
	FATE_PARKED,
	FATE_DONE,    /* says the audit trail */
	FATE_DROPPED, /* says the audit trail */
	FATE_SETTLED, /* done or dropped: the audit trail does not reach back that far */
};
static const struct {
	const char *name;
	enum tint tint;
} fates[] = {
	[FATE_UNREAD] = {"unread", TINT_PLAIN},   [FATE_PENDING] = {"pending", TINT_WARNING},
	[FATE_PARKED] = {"parked", TINT_BAD},     [FATE_DONE] = {"done", TINT_GOOD},
	[FATE_DROPPED] = {"dropped", TINT_PLAIN}, [FATE_SETTLED] = {"settled", TINT_PLAIN},
};

struct fate_row {
	struct fate_row *next;
	const char *target;
	enum fate fate;
	uint64_t attempts;
	int64_t at;      /* us since 1970: parked, or the last thing that the trail tells */
	int64_t next_in; /* us; pending only; below 0: now */
	const char *why;
};

struct told {
	struct told *next;
	struct span raw;
};

struct show {
	struct deed deed;
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
	struct fate_row *fates;
	struct told *story, **story_end;
	uint64_t requests; /* accepted ones: more than one are copies */
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

static struct fate_row *fate_of(struct show *s, const char *target)
{
	struct fate_row **at = &s->fates;
	while (*at != NULL && strcmp((*at)->target, target) != 0)
		at = &(*at)->next;
	if (*at == NULL && (*at = arena_alloc(&s->arena, sizeof **at)) != NULL) {
		(*at)->fate = FATE_SETTLED;
		(*at)->target = arena_copy(&s->arena, target, strlen(target));
	}
	return s->arena.failed ? NULL : *at;
}

static int take_row(void *arg, const struct state_row *row)
{
	struct show *s = arg;
	struct fate_row *f = fate_of(s, row->target);
	if (f == NULL)
		return -1;
	f->fate = row->parked_at != 0 ? FATE_PARKED : FATE_PENDING;
	f->attempts = row->delivery.attempts;
	f->at = row->parked_at;
	f->next_in = row->next_at - state_age(s->deed.state);
	f->why = row->why == NULL ? NULL : arena_copy(&s->arena, row->why, strlen(row->why));
	return s->arena.failed ? -1 : 0;
}

/* The trail is read before the rows, which know better. */
static int take_told(struct show *s, const struct trail_line *line, struct span raw)
{
	static const struct {
		const char *result;
		enum fate fate;
	} results[] = {
		{"\"done\"", FATE_DONE},     {"\"dropped\"", FATE_DROPPED}, {"\"parked\"", FATE_PARKED},
		{"\"retry\"", FATE_SETTLED}, {"\"retried\"", FATE_SETTLED}, {"\"replayed\"", FATE_SETTLED},
	};
	struct told *told = arena_alloc(&s->arena, sizeof *told);
	if (told == NULL)
		return -1;
	told->raw = (struct span){arena_copy(&s->arena, raw.ptr, raw.len), raw.len};
	*s->story_end = told;
	s->story_end = &told->next;
	s->scratch.len = 0;
	if (line->members[TRAIL_TARGET].ptr == NULL) {
		s->requests += trail_number(line, TRAIL_STATUS) == 200;
		return told->raw.ptr == NULL ? -1 : 0;
	}
	if (trail_text(line, TRAIL_TARGET, &s->scratch) < 0 || buf_cstr(&s->scratch) == NULL)
		return -1;
	struct fate_row *f = fate_of(s, s->scratch.data);
	if (f == NULL)
		return -1;
	struct span result = line->members[TRAIL_RESULT];
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
		if (result.len == strlen(results[i].result) && memcmp(result.ptr, results[i].result, result.len) == 0)
			f->fate = results[i].fate;
	f->attempts = trail_number(line, TRAIL_ATTEMPT);
	clock_parse_text(line->members[TRAIL_AT].ptr + 1, &f->at);
	return 0;
}

static int read_trail_file(struct show *s, enum trail_file which)
{
	struct trail trail;
	struct trail_line line;
	struct span raw;
	int result = trail_open(&trail, &s->deed.spool, which);
	if (result <= 0)
		return result;
	while ((result = trail_next(&trail, &raw)) == 1) {
		if (memmem(raw.ptr, raw.len, s->id, EVENT_ID_SIZE - 1) == NULL || !trail_parse(raw, &line) ||
		    line.members[TRAIL_EVENT_ID].len != EVENT_ID_SIZE + 1 ||
		    memcmp(line.members[TRAIL_EVENT_ID].ptr + 1, s->id, EVENT_ID_SIZE - 1) != 0)
			continue;
		result = take_told(s, &line, raw);
		if (result < 0)
			break;
	}
	trail_close(&trail);
	return result;
}

/* What is true of a target that neither a row nor the trail speaks of. */
static int add_silent(struct show *s)
{
	bool unread = !s->archived && (s->cursor < 0 || (uint64_t)s->cursor <= s->offset);
	for (size_t i = 0; i < s->deed.conf->target_count; i++) {
		const struct conf_target *target = &s->deed.conf->targets[i];
		int matches = target_matches(target, &s->event, &s->scratch);
		struct fate_row *f = matches == 1 ? fate_of(s, target->name) : NULL;
		if (matches < 0 || (matches == 1 && f == NULL))
			return -1;
		if (f != NULL && unread && f->fate == FATE_SETTLED)
			f->fate = FATE_UNREAD;
	}
	return 0;
}

/* A fate that the trail tells and that is not over has a row, or it is not true any more. */
static void settle(struct show *s)
{
	for (struct fate_row *f = s->fates; f != NULL; f = f->next)
		if (f->fate == FATE_PARKED)
			f->fate = FATE_SETTLED;
}

static int read_fates(struct show *s)
{
	uint8_t id[STATE_ID_SIZE];
	text_unhex(s->id, EVENT_ID_SIZE - 1, id, sizeof id);
	s->cursor = -1;
	if (read_trail_file(s, TRAIL_OLD) < 0 || read_trail_file(s, TRAIL_NEW) < 0)
		return -1;
	settle(s);
	if (s->deed.state != NULL && (state_hold(s->deed.state) < 0 || state_rows(s->deed.state, id, take_row, s) < 0 ||
				      state_cursors(s->deed.state, find_cursor, s) < 0))
		return -1;
	return s->found ? add_silent(s) : 0;
}

static int find(struct show *s)
{
	const struct history_query query = {.id = s->id, .progress = draw, .unread = s->unread};
	if (s->deed.spool.fd < 0)
		return 0;
	bar_begin(&s->bar, "searching", true);
	int result = history_search(&s->deed.spool, &query, take_line, s);
	bar_end(&s->bar);
	if (result < 0)
		return -1;
	if (s->found && line_decode(s->line.data, s->line.len, &s->event) != LINE_OK) {
		errno = EBADMSG;
		return -1;
	}
	return read_fates(s);
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

static void write_fates(struct writer *w, const struct show *s)
{
	int64_t now = clock_now();
	writer_open(w, "deliveries", '[');
	for (const struct fate_row *f = s->fates; f != NULL; f = f->next) {
		writer_open(w, NULL, '{');
		writer_string(w, "target", f->target);
		writer_string(w, "state", fates[f->fate].name);
		writer_number(w, "attempts", f->attempts);
		writer_time(w, "at", f->at);
		writer_time(w, "next_at", f->fate != FATE_PENDING ? 0 : f->next_in < 0 ? now : now + f->next_in);
		writer_string(w, "why", f->why);
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
	write_fates(&w, s);
	writer_open(&w, "audit", '[');
	for (const struct told *t = s->story; t != NULL; t = t->next)
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
	table_cell(&t, TINT_FAINT, "event");
	table_cell(&t, TINT_STRONG, "%s", s->id);
	table_end(&t);
	if (s->found) {
		table_cell(&t, TINT_FAINT, "received");
		table_cell(&t, TINT_PLAIN, "%s (%s ago)", at, ago);
		table_end(&t);
		table_cell(&t, TINT_FAINT, "endpoint");
		table_text(&t, TINT_PLAIN, e->endpoint);
		table_end(&t);
	}
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		if (add_field(s, &t, (enum event_field)i) < 0)
			return -1;
	table_cell(&t, TINT_FAINT, "data");
	if (s->found)
		table_cell(&t, TINT_PLAIN, "%u %s, %s; --json shows it", e->count,
			   e->count == 1 ? "element" : "elements", size);
	else
		table_cell(&t, TINT_PLAIN, "not kept any more");
	table_end(&t);
	table_cell(&t, TINT_FAINT, "kept in");
	if (s->found)
		table_cell(&t, TINT_PLAIN, "%s/%s, byte %llu", s->archived ? "archive" : "journal", s->segment,
			   (unsigned long long)s->offset);
	else
		table_cell(&t, TINT_PLAIN, "the audit trail only");
	table_end(&t);
	if (s->requests > 1) {
		table_cell(&t, TINT_FAINT, "sent");
		table_cell(&t, TINT_PLAIN, "%llu times", (unsigned long long)s->requests);
		table_end(&t);
	}
	return table_print(&t, "");
}

static void add_fate(struct table *t, const struct fate_row *f, int64_t now)
{
	char in[TEXT_HUMAN_SIZE];
	table_cell(t, TINT_STRONG, "%s", f->target);
	table_cell(t, fates[f->fate].tint, "%s", fates[f->fate].name);
	if (f->at == 0)
		table_cell(t, TINT_PLAIN, "-");
	else
		table_ago(t, TINT_PLAIN, f->at, now);
	table_number(t, TINT_PLAIN, f->attempts);
	text_human_duration(f->next_in, in);
	if (f->fate == FATE_PENDING)
		table_cell(t, TINT_PLAIN, "%s%s%s%s", f->next_in < 0 ? "now" : "next in ", f->next_in < 0 ? "" : in,
			   f->why == NULL ? "" : "; ", f->why == NULL ? "" : f->why);
	else if (f->why != NULL)
		table_cell(t, TINT_PLAIN, "%s", f->why);
	table_end(t);
}

static int print_text(struct show *s)
{
	static const char *const names[] = {"target", "state", "since", "tries"};
	struct table t = {0};
	if (print_event(s) < 0)
		return -1;
	if (s->fates == NULL)
		return !s->found || printf("\nno target matches it: it is delivered nowhere\n") > 0 ? 0 : -1;
	if (putchar('\n') == EOF || fflush(stdout) != 0)
		return -1;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		table_cell(&t, TINT_FAINT, "%s", names[i]);
	table_end(&t);
	for (const struct fate_row *f = s->fates; f != NULL; f = f->next)
		add_fate(&t, f, clock_now());
	return table_print(&t, "");
}

static int print_show(struct show *s, bool json)
{
	if (find(s) < 0)
		return command_unread(s->deed.conf, s->unread);
	if (!s->found && s->story == NULL) {
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
	struct show s = {.id = hex, .story_end = &s.story};
	int at = command_options(argc, argv, known);
	if (at < 0 || at + 1 != argc || deed_id(argv[at], id) < 0)
		return EX_USAGE;
	text_hex(id, sizeof id, hex);
	struct conf *conf = command_conf(conf_path, false);
	if (conf == NULL)
		return EX_CONFIG;
	int result = deed_open(&s.deed, conf, STATE_LOOK);
	if (result == 0)
		result = print_show(&s, json);
	deed_close(&s.deed);
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
