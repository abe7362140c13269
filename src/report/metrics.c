#include "config.h"

#include "report/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/plain.h"
#include "state/counts.h"

struct metrics {
	struct buf *out;
	bool failed; /* no memory */
};

/* Begins a family; its samples follow. */
static void family(struct metrics *m, const char *name, const char *type, const char *help)
{
	m->failed |= buf_printf(m->out, "# HELP hookspool_%s %s\n# TYPE hookspool_%s %s\n", name, help, name, type) < 0;
}

/* A label's value: any text, with backslash and quote escaped. A newline is shown as \x0a, as other controls are. */
static int append_value(struct buf *out, const char *value)
{
	struct buf plain = {0};
	int result = plain_append(&plain, value, strlen(value));
	for (size_t i = 0; i < plain.len && result == 0; i++) {
		if (plain.data[i] == '"' || plain.data[i] == '\\')
			result = buf_char(out, '\\');
		if (result == 0)
			result = buf_char(out, plain.data[i]);
	}
	buf_fini(&plain);
	return result;
}

enum kind { COUNT, MOMENT };

/* A sample, with the names and values of its labels up to a NULL. A moment of 0 has none. */
__attribute__((sentinel)) static void sample(struct metrics *m, const char *name, enum kind kind, uint64_t n, ...)
{
	va_list labels;
	const char *label;
	char before = '{';
	if (kind == MOMENT && n == 0)
		return;
	m->failed |= buf_printf(m->out, "hookspool_%s", name) < 0;
	va_start(labels, n);
	while ((label = va_arg(labels, const char *)) != NULL) {
		const char *value = va_arg(labels, const char *);
		m->failed |= buf_printf(m->out, "%c%s=\"", before, label) < 0 || append_value(m->out, value) < 0 ||
			     buf_char(m->out, '"') < 0;
		before = ',';
	}
	va_end(labels);
	m->failed |= (before == ',' && buf_char(m->out, '}') < 0) ||
		     (kind == COUNT ? buf_printf(m->out, " %" PRIu64 "\n", n)
				    : buf_printf(m->out, " %" PRIu64 ".%06" PRIu64 "\n", n / CLOCK_SECOND,
						 n % CLOCK_SECOND)) < 0;
}

static void write_totals(struct metrics *m, const struct overview *o)
{
	uint64_t refused = 0;
	for (const struct overview_conf *c = o->confs; c != NULL; c = c->next)
		refused += c->why != NULL;
	const struct {
		const char *name, *type, *help;
		uint64_t n;
	} rows[] = {
		{"records_accepted_total", "counter", "Records of the events that were accepted and taken in.",
		 o->counts[STATE_RECORDS]},
		{"duplicates_total", "counter", "Events that were received again, and dropped.",
		 o->counts[STATE_DUPLICATES]},
		{"journal_lines_damaged_total", "counter", "Lines of the journal that were set aside.",
		 o->counts[STATE_DAMAGED]},
		{"journal_lines_torn_total", "counter", "Lines that a crash cut off before they were acknowledged.",
		 o->counts[STATE_TORN]},
		{"events_unmatched_total", "counter", "Events that no target matched when they were taken in.",
		 o->counts[STATE_UNMATCHED]},
		{"requests_uncounted_total", "counter", "Times that rejected requests may not have been counted.",
		 o->counts[STATE_UNTOLD]},
		{"events_unread", "gauge", "Events that the deliverer has not taken in yet, as far as it has looked.",
		 o->unread},
		{"configuration_refused", "gauge",
		 "Kinds of processes that go on with an earlier configuration: they refused the newest one.", refused},
		{"healthy", "gauge", "1 if nothing is late or failing.", o->health == HEALTH_OK},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		family(m, rows[i].name, rows[i].type, rows[i].help);
		sample(m, rows[i].name, COUNT, rows[i].n, (char *)NULL);
	}
	family(m, "status_timestamp_seconds", "gauge", "When the deliverer wrote this.");
	sample(m, "status_timestamp_seconds", MOMENT, (uint64_t)o->now, (char *)NULL);
}

static void write_refusals(struct metrics *m, const struct overview *o)
{
	static const char name[] = "requests_rejected_total";
	family(m, name, "counter", "Requests that were refused.");
	for (const struct overview_refusal *r = o->refusals; r != NULL; r = r->next) {
		char status[12];
		snprintf(status, sizeof status, "%u", r->status);
		sample(m, name, COUNT, r->count, "endpoint", r->endpoint, "connection", r->connection, "status", status,
		       "reason", r->reason, (char *)NULL);
	}
}

static void write_troubles(struct metrics *m, const struct overview *o)
{
	static const char name[] = "trouble_since_timestamp_seconds";
	family(m, name, "gauge", "Since when the deliverer cannot do what it says.");
	for (const struct overview_trouble *t = o->troubles; t != NULL; t = t->next)
		sample(m, name, MOMENT, (uint64_t)t->at, "what", t->what, "why", t->why, (char *)NULL);
}

static void write_connections(struct metrics *m, const struct overview *o)
{
	enum { EVENTS, LAST, HEALTHY, ROWS };
	static const struct {
		const char *name, *type, *help;
		enum kind kind;
	} rows[ROWS] = {
		[EVENTS] = {"events_accepted_total", "counter", "Events that were accepted and taken in.", COUNT},
		[LAST] = {"last_event_timestamp_seconds", "gauge", "When the last event came.", MOMENT},
		[HEALTHY] = {"connection_healthy", "gauge", "1 if the connection is neither late nor failing.", COUNT},
	};
	for (size_t i = 0; i < ROWS; i++) {
		family(m, rows[i].name, rows[i].type, rows[i].help);
		for (const struct overview_connection *c = o->connections; c != NULL; c = c->next) {
			const uint64_t numbers[ROWS] = {c->events, (uint64_t)c->last_at, c->health == HEALTH_OK};
			sample(m, rows[i].name, rows[i].kind, numbers[i], "endpoint", c->endpoint, "connection",
			       c->connection, (char *)NULL);
		}
	}
}

static void write_targets(struct metrics *m, const struct overview *o)
{
	enum { DONE, FAILED, PENDING, PARKED, OLDEST, HEALTHY, ROWS };
	static const struct {
		const char *name, *type, *help;
		enum kind kind;
	} rows[ROWS] = {
		[DONE] = {"deliveries_done_total", "counter", "Events that were delivered.", COUNT},
		[FAILED] = {"delivery_attempts_failed_total", "counter", "Attempts to deliver that failed.", COUNT},
		[PENDING] = {"deliveries_pending", "gauge", "Deliveries that wait.", COUNT},
		[PARKED] = {"deliveries_parked", "gauge", "Deliveries that were given up.", COUNT},
		[OLDEST] = {"oldest_pending_timestamp_seconds", "gauge",
			    "When the oldest event that waits was received.", MOMENT},
		[HEALTHY] = {"target_healthy", "gauge", "1 if the target is neither late nor failing.", COUNT},
	};
	for (size_t i = 0; i < ROWS; i++) {
		family(m, rows[i].name, rows[i].type, rows[i].help);
		for (const struct overview_target *t = o->targets; t != NULL; t = t->next) {
			const uint64_t numbers[ROWS] = {
				[DONE] = t->done,
				[FAILED] = t->failed,
				[PENDING] = t->backlog.pending,
				[PARKED] = t->backlog.parked,
				[OLDEST] = (uint64_t)t->backlog.oldest_at,
				[HEALTHY] = t->health == HEALTH_OK,
			};
			sample(m, rows[i].name, rows[i].kind, numbers[i], "target", t->name, (char *)NULL);
		}
	}
}

static void write_syncs(struct metrics *m, const struct overview *o)
{
	enum { PAGES, RECORDS, COMPLETE, ROWS };
	static const struct {
		const char *name, *help;
	} rows[ROWS] = {
		[PAGES] = {"sync_pages", "Pages of the initial sync that have come."},
		[RECORDS] = {"sync_records", "Records of the initial sync that have come."},
		[COMPLETE] = {"sync_complete", "1 if the initial sync is complete."},
	};
	for (size_t i = 0; i < ROWS; i++) {
		family(m, rows[i].name, "gauge", rows[i].help);
		for (const struct overview_sync *s = o->syncs; s != NULL; s = s->next) {
			const uint64_t numbers[ROWS] = {s->pages, s->records, s->complete};
			sample(m, rows[i].name, COUNT, numbers[i], "endpoint", s->endpoint, "connection", s->connection,
			       "object_type", s->object_type, (char *)NULL);
		}
	}
}

int metrics_write(struct buf *out, const struct overview *o)
{
	struct metrics m = {.out = out};
	write_totals(&m, o);
	write_troubles(&m, o);
	write_refusals(&m, o);
	write_connections(&m, o);
	write_targets(&m, o);
	write_syncs(&m, o);
	if (!m.failed)
		return 0;
	errno = ENOMEM;
	return -1;
}
