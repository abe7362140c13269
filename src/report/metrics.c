#include "config.h"

#include "report/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/plain.h"
#include "state/counts.h"

/* Begins a family; its samples follow. */
static int family(struct buf *out, const char *name, const char *type, const char *help)
{
	return buf_printf(out, "# HELP hookspool_%s %s\n# TYPE hookspool_%s %s\n", name, help, name, type);
}

/* A label's value: any text, with backslash, quote and newline escaped. Controls are shown as \x1b. */
static int label(struct buf *out, const char *before, const char *name, const char *value)
{
	struct buf plain = {0};
	int result = buf_printf(out, "%s%s=\"", before, name);
	if (result == 0)
		result = plain_append(&plain, value, strlen(value));
	for (size_t i = 0; i < plain.len && result == 0; i++) {
		if (plain.data[i] == '"' || plain.data[i] == '\\')
			result = buf_char(out, '\\');
		if (result == 0)
			result = buf_char(out, plain.data[i]);
	}
	buf_fini(&plain);
	return result == 0 ? buf_char(out, '"') : -1;
}

static int value(struct buf *out, uint64_t n)
{
	return buf_printf(out, "} %" PRIu64 "\n", n);
}

static int moment(struct buf *out, int64_t at)
{
	return buf_printf(out, "} %" PRId64 ".%06" PRId64 "\n", at / CLOCK_SECOND, at % CLOCK_SECOND);
}

/* A family of one sample without labels. */
static int single(struct buf *out, const char *name, const char *type, const char *help, uint64_t n)
{
	return family(out, name, type, help) < 0 || buf_printf(out, "hookspool_%s %" PRIu64 "\n", name, n) < 0 ? -1 : 0;
}

static int begin_sample(struct buf *out, const char *name)
{
	return buf_printf(out, "hookspool_%s{", name);
}

static int write_totals(struct buf *out, const struct overview *o)
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
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (single(out, rows[i].name, rows[i].type, rows[i].help, rows[i].n) < 0)
			return -1;
	return family(out, "status_timestamp_seconds", "gauge", "When the deliverer wrote this.") < 0 ||
			       buf_str(out, "hookspool_status_timestamp_seconds") < 0 ||
			       buf_printf(out, " %" PRId64 ".%06" PRId64 "\n", o->now / CLOCK_SECOND,
					  o->now % CLOCK_SECOND) < 0
		       ? -1
		       : 0;
}

static int write_refusals(struct buf *out, const struct overview *o)
{
	static const char name[] = "requests_rejected_total";
	if (family(out, name, "counter", "Requests that were refused.") < 0)
		return -1;
	for (const struct overview_refusal *r = o->refusals; r != NULL; r = r->next) {
		char status[12];
		snprintf(status, sizeof status, "%u", r->status);
		if (begin_sample(out, name) < 0 || label(out, "", "endpoint", r->endpoint) < 0 ||
		    label(out, ",", "connection", r->connection) < 0 || label(out, ",", "status", status) < 0 ||
		    label(out, ",", "reason", r->reason) < 0 || value(out, r->count) < 0)
			return -1;
	}
	return 0;
}

/* Each member of a list has a sample. A moment of 0 has none. */
enum kind { COUNT, MOMENT };

static int number(struct buf *out, enum kind kind, uint64_t n)
{
	return kind == COUNT ? value(out, n) : moment(out, (int64_t)n);
}

static int write_troubles(struct buf *out, const struct overview *o)
{
	if (family(out, "trouble_since_timestamp_seconds", "gauge",
		   "Since when the deliverer cannot do what it says.") < 0)
		return -1;
	for (const struct overview_trouble *t = o->troubles; t != NULL; t = t->next)
		if (begin_sample(out, "trouble_since_timestamp_seconds") < 0 || label(out, "", "what", t->what) < 0 ||
		    label(out, ",", "why", t->why) < 0 || moment(out, t->at) < 0)
			return -1;
	return 0;
}

static int write_connections(struct buf *out, const struct overview *o)
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
		if (family(out, rows[i].name, rows[i].type, rows[i].help) < 0)
			return -1;
		for (const struct overview_connection *c = o->connections; c != NULL; c = c->next) {
			uint64_t n = i == EVENTS ? c->events
				     : i == LAST ? (uint64_t)c->last_at
						 : (uint64_t)(c->health == HEALTH_OK);
			if (rows[i].kind == MOMENT && n == 0)
				continue;
			if (begin_sample(out, rows[i].name) < 0 || label(out, "", "endpoint", c->endpoint) < 0 ||
			    label(out, ",", "connection", c->connection) < 0 || number(out, rows[i].kind, n) < 0)
				return -1;
		}
	}
	return 0;
}

static int write_targets(struct buf *out, const struct overview *o)
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
		if (family(out, rows[i].name, rows[i].type, rows[i].help) < 0)
			return -1;
		for (const struct overview_target *t = o->targets; t != NULL; t = t->next) {
			const uint64_t numbers[ROWS] = {
				[DONE] = t->done,
				[FAILED] = t->failed,
				[PENDING] = t->backlog.pending,
				[PARKED] = t->backlog.parked,
				[OLDEST] = (uint64_t)t->backlog.oldest_at,
				[HEALTHY] = t->health == HEALTH_OK,
			};
			if (rows[i].kind == MOMENT && numbers[i] == 0)
				continue;
			if (begin_sample(out, rows[i].name) < 0 || label(out, "", "target", t->name) < 0 ||
			    number(out, rows[i].kind, numbers[i]) < 0)
				return -1;
		}
	}
	return 0;
}

static int write_syncs(struct buf *out, const struct overview *o)
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
		if (family(out, rows[i].name, "gauge", rows[i].help) < 0)
			return -1;
		for (const struct overview_sync *s = o->syncs; s != NULL; s = s->next) {
			const uint64_t numbers[ROWS] = {s->pages, s->records, s->complete};
			if (begin_sample(out, rows[i].name) < 0 || label(out, "", "endpoint", s->endpoint) < 0 ||
			    label(out, ",", "connection", s->connection) < 0 ||
			    label(out, ",", "object_type", s->object_type) < 0 || value(out, numbers[i]) < 0)
				return -1;
		}
	}
	return 0;
}

int metrics_write(struct buf *out, const struct overview *o)
{
	return write_totals(out, o) < 0 || write_troubles(out, o) < 0 || write_refusals(out, o) < 0 ||
			       write_connections(out, o) < 0 || write_targets(out, o) < 0 || write_syncs(out, o) < 0
		       ? -1
		       : 0;
}
