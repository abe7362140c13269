#include "config.h"

#include "report/status_json.h"
#include "state/counts.h"

static void write_reasons(struct writer *w, const struct overview_reason *reasons)
{
	writer_open(w, "rejected", '{');
	for (; reasons != NULL; reasons = reasons->next)
		writer_number(w, reasons->reason, reasons->count);
	writer_close(w, '}');
}

static void write_health(struct writer *w, enum health health, const char *why)
{
	writer_string(w, "state", health_names[health]);
	writer_string(w, "why", why);
}

static void write_backlog(struct writer *w, const struct overview_backlog *b)
{
	writer_number(w, "pending", b->pending);
	writer_number(w, "parked", b->parked);
	writer_time(w, "oldest", b->oldest_at);
}

static void write_targets(struct writer *w, const struct overview *o)
{
	writer_open(w, "targets", '[');
	for (const struct overview_target *t = o->targets; t != NULL; t = t->next) {
		writer_open(w, NULL, '{');
		writer_string(w, "name", t->name);
		writer_string(w, "kind", t->conf == NULL ? NULL : t->conf->kind->option);
		write_health(w, t->health, t->why);
		writer_number(w, "done", t->done);
		writer_number(w, "failed", t->failed);
		write_backlog(w, &t->backlog);
		writer_time(w, "last_done", t->done_at);
		writer_string(w, "last_error", t->error);
		writer_time(w, "last_error_at", t->error_at);
		writer_close(w, '}');
	}
	writer_close(w, ']');
}

static void write_endpoints(struct writer *w, const struct overview *o)
{
	writer_open(w, "endpoints", '[');
	for (const struct overview_endpoint *e = o->endpoints; e != NULL; e = e->next) {
		writer_open(w, NULL, '{');
		writer_string(w, "path", e->conf->path);
		write_health(w, e->health, e->why);
		writer_number(w, "events", e->events);
		writer_number(w, "unread", e->unread);
		writer_time(w, "last", e->last_at);
		write_reasons(w, e->reasons);
		writer_time(w, "last_rejected", e->refused_at);
		writer_close(w, '}');
	}
	writer_close(w, ']');
}

static void write_connections(struct writer *w, const struct overview *o)
{
	writer_open(w, "connections", '[');
	for (const struct overview_connection *c = o->connections; c != NULL; c = c->next) {
		writer_open(w, NULL, '{');
		writer_string(w, "endpoint", c->endpoint);
		writer_string(w, "connection", c->connection);
		write_health(w, c->health, c->why);
		writer_number(w, "events", c->events);
		writer_number(w, "unread", c->unread);
		writer_time(w, "last", c->last_at);
		write_backlog(w, &c->backlog);
		write_reasons(w, c->reasons);
		writer_time(w, "last_rejected", c->refused_at);
		writer_close(w, '}');
	}
	writer_close(w, ']');
}

static void write_troubles(struct writer *w, const struct overview *o)
{
	writer_open(w, "troubles", '[');
	for (const struct overview_trouble *t = o->troubles; t != NULL; t = t->next) {
		writer_open(w, NULL, '{');
		writer_string(w, "what", t->what);
		writer_string(w, "why", t->why);
		writer_time(w, "since", t->at);
		writer_close(w, '}');
	}
	writer_close(w, ']');
}

static void write_syncs(struct writer *w, const struct overview *o)
{
	writer_open(w, "syncs", '[');
	for (const struct overview_sync *s = o->syncs; s != NULL; s = s->next) {
		writer_open(w, NULL, '{');
		writer_string(w, "endpoint", s->endpoint);
		writer_string(w, "connection", s->connection);
		writer_string(w, "object_type", s->object_type);
		writer_number(w, "pages", s->pages);
		writer_number(w, "records", s->records);
		writer_time(w, "begun", s->begun_at);
		writer_time(w, "last", s->last_at);
		writer_bool(w, "complete", s->complete);
		writer_close(w, '}');
	}
	writer_close(w, ']');
}

static void write_confs(struct writer *w, const struct overview *o)
{
	writer_open(w, "configuration", '[');
	for (const struct overview_conf *c = o->confs; c != NULL; c = c->next) {
		if (c->why == NULL)
			continue;
		writer_open(w, NULL, '{');
		writer_string(w, "by", c->by);
		write_health(w, HEALTH_FAILING, c->why);
		writer_time(w, "at", c->at);
		writer_close(w, '}');
	}
	writer_close(w, ']');
}

void status_json_write(struct writer *w, const struct overview *o, const struct conf *conf)
{
	writer_open(w, NULL, '{');
	write_health(w, o->health, o->why);
	writer_time(w, "at", o->now);
	writer_string(w, "spool", conf->spool);
	writer_bool(w, "deliverer", o->deliverer != 0);
	writer_number(w, "accepted", o->counts[STATE_EVENTS] + o->unread);
	writer_number(w, "records", o->counts[STATE_RECORDS]);
	writer_number(w, "duplicates", o->counts[STATE_DUPLICATES]);
	write_reasons(w, o->reasons);
	writer_number(w, "rejected_uncounted", o->counts[STATE_UNTOLD]);
	writer_number(w, "unread", o->unread);
	writer_bool(w, "unread_more", o->unread_more);
	writer_time(w, "oldest_unread", o->unread_at);
	write_backlog(w, &o->backlog);
	writer_number(w, "damaged", o->counts[STATE_DAMAGED]);
	writer_number(w, "torn", o->counts[STATE_TORN]);
	writer_number(w, "unmatched", o->counts[STATE_UNMATCHED]);
	write_confs(w, o);
	write_troubles(w, o);
	write_endpoints(w, o);
	write_targets(w, o);
	write_connections(w, o);
	write_syncs(w, o);
	writer_close(w, '}');
}
