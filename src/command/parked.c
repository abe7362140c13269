#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/json_writer.h"
#include "base/log.h"
#include "base/text.h"
#include "command/command.h"
#include "command/session.h"
#include "command/table.h"
#include "spool/reader.h"
#include "state/deliveries.h"
#include "state/state.h"

/* parked */

struct listing {
	const struct spool *spool;
	int64_t now;
	bool json;
	uint64_t count;
	struct writer w;
	struct table t;
	struct buf line, text;
};

/* The event's own fields, as far as its line can still be read. */
static int read_event(struct listing *l, const struct state_row *row, struct event *event)
{
	l->line.len = 0;
	if (reader_fetch(l->spool, row->delivery.segment, row->delivery.offset, row->delivery.length, &l->line,
			 event) == 0)
		return 0;
	if (errno != ENOENT && errno != EBADMSG)
		return -1;
	*event = (struct event){0};
	return 0;
}

static void write_parked(struct listing *l, const struct state_row *row, const struct event *event, const char *id)
{
	writer_open(&l->w, NULL, '{');
	writer_string(&l->w, "event_id", id);
	writer_string(&l->w, "target", row->target);
	writer_raw(&l->w, "connection_id", event->fields[EVENT_CONNECTION_ID]);
	writer_raw(&l->w, "object_type", event->fields[EVENT_OBJECT_TYPE]);
	writer_number(&l->w, "records", row->delivery.records);
	writer_number(&l->w, "attempts", row->delivery.attempts);
	writer_time(&l->w, "received_at", event->received_at);
	writer_time(&l->w, "parked_at", row->parked_at);
	writer_string(&l->w, "why", row->why);
	writer_close(&l->w, '}');
}

static int add_field(struct listing *l, const struct event *event, enum event_field field)
{
	l->text.len = 0;
	if (event_field_text(event, field, &l->text) < 0)
		return -1;
	struct span text = {l->text.data, l->text.len};
	table_text(&l->t, TINT_PLAIN, text.len == 0 ? (struct span){"-", 1} : text);
	return 0;
}

static int list_parked(void *arg, const struct state_row *row)
{
	static const char *const names[] = {"event", "target", "connection", "object type",
					    "tries", "parked", "why",        NULL};
	struct listing *l = arg;
	struct event event;
	char id[EVENT_ID_SIZE];
	text_hex(row->delivery.event, STATE_ID_SIZE, id);
	if (read_event(l, row, &event) < 0)
		return -1;
	if (l->json) {
		write_parked(l, row, &event, id);
		return 0;
	}
	if (l->count++ == 0)
		table_heading(&l->t, names);
	table_cell(&l->t, TINT_STRONG, "%s", id);
	table_cell(&l->t, TINT_PLAIN, "%s", row->target);
	if (add_field(l, &event, EVENT_CONNECTION_ID) < 0 || add_field(l, &event, EVENT_OBJECT_TYPE) < 0)
		return -1;
	table_number(&l->t, TINT_PLAIN, row->delivery.attempts);
	table_ago(&l->t, TINT_PLAIN, row->parked_at, l->now);
	table_cell(&l->t, TINT_BAD, "%s", row->why == NULL ? "-" : row->why);
	table_end(&l->t);
	return 0;
}

static int print_parked(struct session *session, bool json)
{
	struct listing l = {.spool = &session->spool, .now = clock_now(), .json = json};
	int result = 0;
	if (json)
		writer_open(&l.w, NULL, '[');
	if (session->state != NULL)
		result = state_parked(session->state, -1, list_parked, &l);
	if (json)
		writer_close(&l.w, ']');
	if (result < 0)
		result = command_failed(session->conf);
	else if (json)
		result = writer_print(&l.w) < 0 ? EX_IOERR : 0;
	else if (table_print(&l.t, "") < 0) {
		log_warn("cannot write the list");
		result = EX_IOERR;
	}
	buf_fini(&l.w.out);
	buf_fini(&l.line);
	buf_fini(&l.text);
	return result;
}

static int run_parked(const char *conf_path, int argc, char **argv)
{
	bool json = false;
	const struct command_option known[] = {{"json", .flag = &json}, {0}};
	struct session session;
	if (command_options(argc, argv, known) != argc)
		return EX_USAGE;
	struct conf *conf = command_conf(conf_path, false);
	if (conf == NULL)
		return EX_CONFIG;
	int result = session_open(&session, conf, STATE_LOOK);
	if (result == 0)
		result = print_parked(&session, json);
	session_close(&session);
	conf_free(conf);
	return result;
}

const struct command parked_command = {
	.name = "parked",
	.arguments = "[--json]",
	.summary = "what was given up",
	.help = "Lists the deliveries that were given up: the script said so (exit code 100), or\n"
		"it has failed for as long as retry_for says.\n"
		"\n"
		"    --json      for programs\n",
	.prints = true,
	.run = run_parked,
};

/* retry, drop */

/* Deliveries to be changed. They are read first: a row must not change while rows are read. */
struct chosen {
	struct chosen_row {
		struct state_row row;
		char *target;
	} * list;
	size_t count, cap;
	int64_t last; /* the number of the last one that was read */
};

static void clear(struct chosen *c)
{
	for (size_t i = 0; i < c->count; i++)
		free(c->list[i].target);
	c->count = 0;
}

static int choose(void *arg, const struct state_row *row)
{
	struct chosen *c = arg;
	if (array_grow(&c->list, c->count, &c->cap, sizeof *c->list) < 0)
		return -1;
	struct chosen_row *chosen = &c->list[c->count];
	*chosen = (struct chosen_row){.row = *row, .target = strdup(row->target)};
	if (chosen->target == NULL)
		return -1;
	c->count++;
	c->last = row->delivery.id;
	return 0;
}

/* What is done to a delivery, and the word for it in the audit trail. */
struct verb {
	int (*change)(struct state *state, const struct state_row *row);
	const char *result;
	bool wakes;
};

/* Changes, in one transaction, all deliveries of an event, or (id NULL) the next ones that failed. */
static int change_some(struct session *session, const struct verb *verb, const uint8_t *id, struct chosen *chosen,
		       uint64_t *changed)
{
	uint64_t n = 0;
	clear(chosen);
	if (session_begin(session) < 0)
		return -1;
	if ((id != NULL ? state_rows(session->state, id, choose, chosen)
			: state_failed(session->state, chosen->last, SESSION_ROWS, choose, chosen)) < 0)
		goto fail;
	for (size_t i = 0; i < chosen->count; i++) {
		const struct chosen_row *row = &chosen->list[i];
		int result = verb->change(session->state, &row->row);
		if (result < 0 || (result == 1 && session_audit(session, row->target, row->row.delivery.event,
								verb->result, NULL) < 0))
			goto fail;
		n += (uint64_t)result;
	}
	if (session_commit(session) < 0)
		goto fail;
	*changed += n;
	return 0;
fail:
	state_rollback(session->state);
	return -1;
}

static int change_all(struct session *session, const struct verb *verb, const uint8_t *id, uint64_t *changed)
{
	struct chosen chosen = {0};
	int result;
	do
		result = change_some(session, verb, id, &chosen, changed);
	while (result == 0 && id == NULL && chosen.count == SESSION_ROWS);
	clear(&chosen);
	free(chosen.list);
	return result;
}

/* Prints how many deliveries are still pending, and when the first is due. */
static int print_rest(struct session *session)
{
	char text[TEXT_HUMAN_SIZE];
	int64_t next_at;
	uint64_t pending;
	if (state_pending_count(session->state, &pending) < 0)
		return -1;
	int waits = state_lanes_next(session->state, &next_at);
	if (waits < 0 || pending == 0 || waits == 0)
		return waits < 0 ? -1 : 0;
	int64_t left = next_at < 0 ? 0 : next_at - state_age(session->state);
	text_human_duration(left < 0 ? 0 : left, text);
	printf("%llu %s, the first is due %s%s\n", (unsigned long long)pending,
	       pending == 1 ? "delivery is pending" : "deliveries are pending", left <= 0 ? "now" : "in ",
	       left <= 0 ? "" : text);
	return 0;
}

static int change(struct session *session, const struct verb *verb, const uint8_t *id)
{
	uint64_t changed = 0;
	int result = 0;
	if (session->state != NULL && change_all(session, verb, id, &changed) < 0) {
		result = command_failed(session->conf);
	} else {
		printf("%llu %s %s\n", (unsigned long long)changed, changed == 1 ? "delivery" : "deliveries",
		       verb->result);
		if (session->state != NULL && print_rest(session) < 0)
			result = command_failed(session->conf);
		if (changed > 0 && verb->wakes)
			command_wake(session->conf, &session->spool);
		if (result == 0)
			result = changed > 0 || id == NULL ? 0 : 1;
	}
	return result;
}

static int change_parked(const char *conf_path, int argc, char **argv, const struct verb *verb)
{
	bool all = false;
	const struct command_option known[] = {{"all", .flag = &all}, {0}};
	uint8_t id[STATE_ID_SIZE];
	struct session session;
	int at = command_options(argc, argv, known);
	if (at < 0 || argc - at != (all ? 0 : 1) || (!all && session_parse_id(argv[at], id) < 0))
		return EX_USAGE;
	struct conf *conf = command_conf(conf_path, false);
	if (conf == NULL)
		return EX_CONFIG;
	int result = session_open(&session, conf, STATE_CHANGE);
	if (result == 0)
		result = change(&session, verb, all ? NULL : id);
	session_close(&session);
	conf_free(conf);
	return result;
}

static int run_retry(const char *conf_path, int argc, char **argv)
{
	static const struct verb verb = {state_delivery_retry, "retried", true};
	return change_parked(conf_path, argc, argv, &verb);
}

const struct command retry_command = {
	.name = "retry",
	.arguments = "ID | --all",
	.summary = "try again what was given up",
	.help = "Tries parked deliveries again, as if for the first time, and those that wait for\n"
		"another attempt at once: of one event, or all.\n",
	.run = run_retry,
};

static int run_drop(const char *conf_path, int argc, char **argv)
{
	static const struct verb verb = {state_delivery_drop, "dropped", false};
	return change_parked(conf_path, argc, argv, &verb);
}

const struct command drop_command = {
	.name = "drop",
	.arguments = "ID | --all",
	.summary = "forget what was given up",
	.help = "Forgets the deliveries of one event, or all that are parked or have failed. The\n"
		"event itself stays for as long as keep says, and can be replayed.\n",
	.run = run_drop,
};
