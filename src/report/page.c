#include "config.h"

#include "report/page.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "report/chart.h"
#include "spool/audit_read.h"
#include "spool/published.h"
#include "spool/reader.h"
#include "state/counts.h"
#include "state/deliveries.h"
#include "state/state.h"

#define PARKED_MAX 50 /* rows of each list; the numbers above them count all */
#define RECENT_MAX 15
#define ROWS_MAX   200

/* Small parts */

static void heading(struct html *h, const char *id, const char *text)
{
	html_write(h, "<section aria-labelledby=\"%s\"><h2 id=\"%s\">%s</h2>\n", id, id, text);
}

/* A column is "name", ">name" for numbers, or "" for one without a heading. */
static void begin_table(struct html *h, const char *label, const char *const *columns)
{
	html_write(h, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-labelledby=\"%s\"><table><thead><tr>",
		   label);
	for (; *columns != NULL; columns++)
		if (**columns == '\0')
			html_markup(h, "<td></td>");
		else if (**columns == '>')
			html_write(h, "<th scope=\"col\" class=\"n\">%s</th>", *columns + 1);
		else
			html_write(h, "<th scope=\"col\">%s</th>", *columns);
	html_markup(h, "</tr></thead><tbody>\n");
}

static void begin_list(struct html *h, const char *id, const char *text, const char *const *columns)
{
	heading(h, id, text);
	begin_table(h, id, columns);
}

/* `more` rows are not shown. */
static void end_list(struct html *h, uint64_t more)
{
	html_markup(h, "</tbody></table></div>\n");
	if (more > 0)
		html_write(h, "<p class=\"more\">and %" PRIu64 " more</p>\n", more);
	html_markup(h, "</section>\n");
}

static void cell_text(struct html *h, const char *text)
{
	html_write(h, "<td>%s</td>", *text == '\0' ? "\u2013" : text);
}

static void cell_head(struct html *h, const char *text)
{
	html_write(h, "<th scope=\"row\">%s</th>", *text == '\0' ? "\u2013" : text);
}

static void cell_count(struct html *h, uint64_t n, const char *kind)
{
	html_write(h, "<td class=\"n%s\">%" PRIu64 "</td>", n > 0 ? kind : "", n);
}

static void cell_ago(struct html *h, int64_t at, int64_t now)
{
	html_markup(h, "<td>");
	html_ago(h, at, now);
	html_markup(h, "</td>");
}

static void badge(struct html *h, enum health health, const char *why)
{
	html_write(h, "<span class=\"state %s\">%s</span>", health_names[health], health_names[health]);
	if (why != NULL)
		html_write(h, " %s", why);
}

static void cell_health(struct html *h, enum health health, const char *why)
{
	html_markup(h, "<td>");
	badge(h, health, why);
	html_markup(h, "</td>");
}

/* A JSON token of a line, decoded; a dash if it is empty or absent. */
static void cell_token(struct html *h, struct span token)
{
	struct buf text = {0};
	if (token.ptr != NULL && token.ptr[0] == '"' && json_decode_string(token, &text, NULL) < 0)
		h->failed = true;
	html_markup(h, "<td>");
	if (text.len == 0)
		html_markup(h, "\u2013");
	else
		html_text(h, (struct span){text.data, text.len});
	html_markup(h, "</td>");
	buf_fini(&text);
}

/* An identity. The style sheet shows its beginning; the whole of it can be copied. */
static void cell_id(struct html *h, const char *id)
{
	if (*id == '\0')
		cell_text(h, id);
	else
		html_write(h, "<td class=\"id\" title=\"%s\"><code>%s</code></td>", id, id);
}

/* Numbers */

static void tile(struct html *h, const char *name, uint64_t n, const char *kind)
{
	html_write(h, "<li class=\"tile%s\"><span>%s</span> <b>%" PRIu64 "</b></li>\n", n > 0 ? kind : "", name, n);
}

static void write_tiles(struct html *h, const struct overview *o)
{
	html_markup(h, "<ul class=\"tiles\">\n");
	tile(h, "accepted", o->counts[STATE_EVENTS] + o->unread, "");
	tile(h, "duplicates", o->counts[STATE_DUPLICATES], "");
	tile(h, "rejected", o->refused, "");
	tile(h, o->unread_more ? "unread, at least" : "unread", o->unread, "");
	tile(h, "pending", o->backlog.pending, " warn");
	tile(h, "parked", o->backlog.parked, " bad");
	if (o->counts[STATE_DAMAGED] > 0)
		tile(h, "damaged lines", o->counts[STATE_DAMAGED], " bad");
	if (o->counts[STATE_UNTOLD] > 0)
		tile(h, "times uncounted", o->counts[STATE_UNTOLD], " warn");
	html_markup(h, "</ul>\n");
}

/* Charts */

static int write_charts(struct html *h, const struct page *page)
{
	static const struct chart charts[] = {
		{"Events accepted", "events", NULL, "good", offsetof(struct state_traffic, events), SIZE_MAX},
		{"Deliveries", "done", " attempts failed", "good", offsetof(struct state_traffic, done),
		 offsetof(struct state_traffic, failed)},
		{"Requests rejected", "requests", NULL, "warn", offsetof(struct state_traffic, refused), SIZE_MAX},
	};
	struct chart_day day;
	if (chart_read(&day, page->state, page->overview->now) < 0)
		return -1;
	html_markup(h, "<section class=\"charts\" aria-label=\"Traffic of the last 24 hours\">\n");
	for (size_t i = 0; i < sizeof charts / sizeof charts[0]; i++)
		chart_write(h, &charts[i], &day);
	html_markup(h, "</section>\n");
	return 0;
}

/* Parked deliveries */

struct listing {
	struct html *h;
	const struct page *page;
	struct buf line;
	unsigned count;
};

static void button(struct html *h, const char *csrf_token, const char *id, const char *target)
{
	html_write(h,
		   "<form method=\"post\" action=\"retry\"><input type=\"hidden\" name=\"form\" value=\"%s\">"
		   "<input type=\"hidden\" name=\"errand\" value=\"%s%s%s\"><button>%s</button></form>",
		   csrf_token, id, target == NULL ? "" : ".", target == NULL ? "" : target,
		   target == NULL ? "Retry all" : "Retry");
}

static int list_parked(void *arg, const struct state_row *row)
{
	struct listing *l = arg;
	struct html *h = l->h;
	struct event event = {0};
	char id[EVENT_ID_SIZE];
	text_hex(row->delivery.event, STATE_ID_SIZE, id);
	l->line.len = 0;
	/* If the event's line cannot be read any more, the row has no connection and no object type. */
	if (reader_fetch(l->page->spool, row->delivery.segment, row->delivery.offset, row->delivery.length, &l->line,
			 &event) < 0)
		event = (struct event){0};
	html_markup(h, "<tr>");
	cell_id(h, id);
	cell_text(h, row->target);
	cell_token(h, event.fields[EVENT_CONNECTION_ID]);
	cell_token(h, event.fields[EVENT_OBJECT_TYPE]);
	cell_count(h, row->delivery.attempts, "");
	cell_ago(h, row->parked_at, l->page->overview->now);
	cell_text(h, row->why == NULL ? "" : row->why);
	html_markup(h, "<td>");
	button(h, l->page->csrf_token, id, row->target);
	html_markup(h, "</td></tr>\n");
	l->count++;
	return 0;
}

static int write_parked(struct html *h, const struct page *page)
{
	static const char *const columns[] = {"event",  "target", "connection", "object type", ">tries",
					      "parked", "why",    "",           NULL};
	uint64_t parked = page->overview->backlog.parked;
	struct listing l = {.h = h, .page = page};
	if (parked == 0)
		return 0;
	heading(h, "parked", "Parked deliveries");
	html_markup(h, "<div class=\"bar\"><p>These were given up.</p>");
	button(h, page->csrf_token, "all", NULL);
	html_markup(h, "</div>\n");
	begin_table(h, "parked", columns);
	int result = state_parked(page->state, PARKED_MAX, list_parked, &l);
	end_list(h, parked > l.count ? parked - l.count : 0);
	buf_fini(&l.line);
	return result < 0 ? -1 : 0;
}

/* Connections, targets, endpoints, syncs */

/* The earlier of two moments. 0: there is none. */
static int64_t earlier(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void write_connection(struct html *h, const struct overview_connection *c, int64_t now)
{
	html_markup(h, "<tr>");
	cell_head(h, c->connection);
	cell_text(h, c->endpoint);
	cell_health(h, c->health, c->why);
	cell_ago(h, c->last_at, now);
	cell_count(h, c->events + c->unread, "");
	cell_count(h, c->refused, "");
	cell_count(h, c->backlog.pending, " warn");
	cell_ago(h, earlier(c->backlog.oldest_at, c->unread_at), now);
	cell_count(h, c->backlog.parked, " bad");
	html_markup(h, "</tr>\n");
}

/* Failing connections come first, then late ones. */
static void write_connections(struct html *h, const struct overview *o)
{
	static const char *const columns[] = {"connection", "endpoint", "state",  "last event", ">events",
					      ">rejected",  ">pending", "oldest", ">parked",    NULL};
	static const enum health order[] = {HEALTH_FAILING, HEALTH_LATE, HEALTH_OK};
	uint64_t shown = 0, all = 0;
	begin_list(h, "connections", "Connections", columns);
	for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
		for (const struct overview_connection *c = o->connections; c != NULL; c = c->next) {
			if (c->health != order[i])
				continue;
			if (all++ < ROWS_MAX) {
				write_connection(h, c, o->now);
				shown++;
			}
		}
	if (all == 0)
		html_markup(h, "<tr><td colspan=\"9\">No event has come yet.</td></tr>\n");
	end_list(h, all - shown);
}

static void write_targets(struct html *h, const struct overview *o)
{
	static const char *const columns[] = {"target",   "state",  "last done", ">done",      ">failed",
					      ">pending", "oldest", ">parked",   "last error", NULL};
	if (o->targets == NULL)
		return;
	begin_list(h, "targets", "Targets", columns);
	for (const struct overview_target *t = o->targets; t != NULL; t = t->next) {
		html_markup(h, "<tr>");
		cell_head(h, t->name);
		cell_health(h, t->health, t->conf != NULL ? t->why : "not in the configuration any more");
		cell_ago(h, t->done_at, o->now);
		cell_count(h, t->done, "");
		cell_count(h, t->failed, "");
		cell_count(h, t->backlog.pending, " warn");
		cell_ago(h, t->backlog.oldest_at, o->now);
		cell_count(h, t->backlog.parked, " bad");
		html_markup(h, "<td>");
		if (t->error != NULL)
			html_write(h, "%s, ", t->error);
		html_ago(h, t->error_at, o->now);
		html_markup(h, "</td></tr>\n");
	}
	end_list(h, 0);
}

static void write_endpoints(struct html *h, const struct overview *o)
{
	static const char *const columns[] = {"endpoint", "state", "last event", ">events", ">rejected", NULL};
	begin_list(h, "endpoints", "Endpoints", columns);
	for (const struct overview_endpoint *e = o->endpoints; e != NULL; e = e->next) {
		html_markup(h, "<tr>");
		cell_head(h, e->conf->path);
		cell_health(h, e->health, e->why);
		cell_ago(h, e->last_at, o->now);
		cell_count(h, e->events + e->unread, "");
		cell_count(h, e->refused, "");
		html_markup(h, "</tr>\n");
	}
	end_list(h, 0);
}

static void write_refusals(struct html *h, const struct overview *o)
{
	static const char *const columns[] = {"reason", ">status", "endpoint", "connection", ">requests", "last", NULL};
	uint64_t all = 0;
	if (o->refusals == NULL)
		return;
	begin_list(h, "rejected", "Rejected requests", columns);
	for (const struct overview_refusal *r = o->refusals; r != NULL; r = r->next) {
		if (all++ >= ROWS_MAX)
			continue;
		html_markup(h, "<tr>");
		cell_head(h, r->reason);
		cell_count(h, r->status, r->status >= 500 ? " bad" : "");
		cell_text(h, r->endpoint);
		cell_text(h, r->connection);
		cell_count(h, r->count, "");
		cell_ago(h, r->last_at, o->now);
		html_markup(h, "</tr>\n");
	}
	end_list(h, all > ROWS_MAX ? all - ROWS_MAX : 0);
}

static void write_syncs(struct html *h, const struct overview *o)
{
	static const char *const columns[] = {"object type", "connection", "state",     ">pages",
					      ">records",    "begun",      "last page", NULL};
	uint64_t all = 0;
	if (o->syncs == NULL)
		return;
	begin_list(h, "syncs", "Initial syncs", columns);
	for (const struct overview_sync *s = o->syncs; s != NULL; s = s->next) {
		if (all++ >= ROWS_MAX)
			continue;
		html_markup(h, "<tr>");
		cell_head(h, s->object_type);
		cell_text(h, s->connection);
		html_markup(h, s->complete ? "<td><span class=\"state ok\">complete</span></td>"
					   : "<td><span class=\"state late\">not complete</span></td>");
		cell_count(h, s->pages, "");
		cell_count(h, s->records, "");
		cell_ago(h, s->begun_at, o->now);
		cell_ago(h, s->last_at, o->now);
		html_markup(h, "</tr>\n");
	}
	end_list(h, all > ROWS_MAX ? all - ROWS_MAX : 0);
}

/* Recent requests */

static bool is_request(const struct trail_line *line)
{
	return json_string_is(line->members[TRAIL_WHAT], "request");
}

static int list_recent(void *arg, const struct trail_line *line)
{
	struct listing *l = arg;
	struct html *h = l->h;
	struct buf text = {0};
	int64_t at = 0;
	uint64_t status = trail_number(line, TRAIL_STATUS);
	if (!is_request(line))
		return 0;
	if (trail_text(line, TRAIL_AT, &text) == 0 && buf_cstr(&text) != NULL)
		clock_parse_text(text.data, &at);
	buf_fini(&text);
	html_markup(h, "<tr>");
	cell_ago(h, at, l->page->overview->now);
	html_write(h, "<td><span class=\"state %s\">%" PRId64 "</span></td>", status == 200 ? "ok" : "failing",
		   (int64_t)status);
	cell_token(h, line->members[TRAIL_REASON]);
	cell_token(h, line->members[TRAIL_CONNECTION_ID]);
	cell_token(h, line->members[TRAIL_OBJECT_TYPE]);
	cell_count(h, trail_number(line, TRAIL_RECORDS), "");
	if (trail_text(line, TRAIL_EVENT_ID, &text) < 0 || buf_cstr(&text) == NULL)
		h->failed = true;
	else
		cell_id(h, text.data);
	buf_fini(&text);
	html_markup(h, "</tr>\n");
	l->count++;
	return 1;
}

static int write_recent(struct html *h, const struct page *page)
{
	static const char *const columns[] = {"received",    "answer",   "reason", "connection",
					      "object type", ">records", "event",  NULL};
	struct listing l = {.h = h, .page = page};
	begin_list(h, "recent", "Recent requests", columns);
	int result = trail_latest(page->spool, RECENT_MAX, list_recent, &l);
	if (l.count == 0)
		html_markup(h, "<tr><td colspan=\"7\">None yet.</td></tr>\n");
	end_list(h, 0);
	return result;
}

/* All together */

static void write_head(struct html *h, const struct overview *o)
{
	char moment[CLOCK_TEXT_SIZE];
	clock_text(o->now, moment);
	html_write(
		h,
		"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%s \u2013 hookspool</title>\n"
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
		"<meta name=\"color-scheme\" content=\"light dark\">"
		"<link rel=\"stylesheet\" href=\"style.css\"></head>\n<body><header><h1>hookspool</h1> ",
		health_names[o->health]);
	badge(h, o->health, o->why);
	html_write(h, "<p>as of <time datetime=\"%s\">", moment);
	html_text(h, (struct span){moment, strlen("2026-11-23")});
	html_markup(h, " ");
	html_text(h, (struct span){moment + strlen("2026-11-23T"), strlen("09:00:00")});
	html_markup(h, " UTC</time></p></header>\n" SNAPSHOT_AGE_MARK "\n<main>\n");
}

static void write_confs(struct html *h, const struct overview *o)
{
	for (const struct overview_conf *c = o->confs; c != NULL; c = c->next) {
		if (c->why == NULL)
			continue;
		html_write(h,
			   "<p class=\"conf\"><span class=\"state failing\">failing</span> The %s goes on with the "
			   "configuration before: %s (",
			   c->by, c->why);
		html_ago(h, c->at, o->now);
		html_markup(h, ")</p>\n");
	}
}

static void write_troubles(struct html *h, const struct overview *o)
{
	for (const struct overview_trouble *t = o->troubles; t != NULL; t = t->next) {
		html_markup(h, "<p class=\"trouble\">");
		badge(h, HEALTH_FAILING, t->what);
		html_write(h, ": %s, first ", t->why);
		html_ago(h, t->at, o->now);
		html_markup(h, "</p>\n");
	}
}

int page_write(struct html *h, const struct page *page)
{
	const struct overview *o = page->overview;
	write_head(h, o);
	write_confs(h, o);
	write_troubles(h, o);
	write_tiles(h, o);
	if (write_charts(h, page) < 0 || write_parked(h, page) < 0)
		return -1;
	write_connections(h, o);
	write_targets(h, o);
	write_endpoints(h, o);
	write_refusals(h, o);
	write_syncs(h, o);
	if (write_recent(h, page) < 0)
		return -1;
	html_markup(h, "</main>\n<footer><p>" PACKAGE_STRING ". For programs: <a href=\"status.json\">status.json</a>, "
		       "<a href=\"metrics\">metrics</a>, <a href=\"health\">health</a></p></footer>\n</body></html>\n");
	if (!h->failed)
		return 0;
	errno = ENOMEM;
	return -1;
}
