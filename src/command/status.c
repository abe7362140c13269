#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/json_writer.h"
#include "base/log.h"
#include "base/text.h"
#include "command/command.h"
#include "command/table.h"
#include "report/overview.h"
#include "report/status_json.h"
#include "spool/open.h"
#include "spool/spool.h"
#include "state/counts.h"
#include "state/state.h"

#define TRIES 5 /* at reading while no segment is put away, and nothing is put into state.db */

static const enum tint health_tints[] = {
	[HEALTH_OK] = TINT_GOOD,
	[HEALTH_LATE] = TINT_WARNING,
	[HEALTH_FAILING] = TINT_BAD,
};

static int print_json(const struct overview *o, const struct conf *conf)
{
	struct writer w = {0};
	status_json_write(&w, o, conf);
	return writer_print(&w);
}

/* For people */

static void add_health(struct table *t, enum health health, const char *why)
{
	table_cell(t, health_tints[health], "%s%s%s", health_names[health], why == NULL ? "" : ": ",
		   why == NULL ? "" : why);
}

static void add_line(struct table *t, const char *name, enum tint tint, const char *unit, uint64_t n)
{
	table_cell(t, TINT_FAINT, "%s", name);
	table_number(t, n == 0 ? TINT_PLAIN : tint, n);
	table_cell(t, TINT_PLAIN, "%s", unit);
	table_end(t);
}

static int print_summary(const struct overview *o, const struct conf *conf)
{
	struct table t = {0};
	table_cell(&t, TINT_FAINT, "state");
	add_health(&t, o->health, o->why);
	table_end(&t);
	for (const struct overview_trouble *trouble = o->troubles; trouble != NULL; trouble = trouble->next) {
		char since[TEXT_HUMAN_SIZE];
		text_human_duration(o->now - trouble->at, since);
		table_pair(&t, "trouble", TINT_BAD, "%s: %s, for %s", trouble->what, trouble->why, since);
	}
	table_pair(&t, "spool", TINT_PLAIN, "%s", conf->spool);
	if (o->deliverer == 0)
		table_pair(&t, "deliverer", TINT_PLAIN, "does not run%s",
			   conf->deliver_auto ? "; the next event starts it" : "");
	else if (o->deliverer < 0)
		table_pair(&t, "deliverer", TINT_PLAIN, "runs");
	else
		table_pair(&t, "deliverer", TINT_PLAIN, "runs, process %lld", (long long)o->deliverer);
	for (const struct overview_conf *c = o->confs; c != NULL; c = c->next)
		if (c->why != NULL)
			table_pair(&t, "configuration", TINT_BAD, "the %s goes on with the one before: %s", c->by,
				   c->why);
	return table_print(&t, "");
}

static int print_counts(const struct overview *o)
{
	struct table t = {0};
	add_line(&t, "accepted", TINT_PLAIN, "events", o->counts[STATE_EVENTS] + o->unread);
	add_line(&t, "duplicates", TINT_PLAIN, "copies of them, dropped", o->counts[STATE_DUPLICATES]);
	add_line(&t, "rejected", TINT_PLAIN, "requests", o->refused);
	add_line(&t, "unread", TINT_PLAIN, "events that the deliverer has not taken in yet", o->unread);
	add_line(&t, "pending", TINT_WARNING, "deliveries", o->backlog.pending);
	add_line(&t, "parked", TINT_BAD, "deliveries that were given up", o->backlog.parked);
	if (o->counts[STATE_UNMATCHED] > 0)
		add_line(&t, "unmatched", TINT_PLAIN, "events that no target matched, kept in the archive alone",
			 o->counts[STATE_UNMATCHED]);
	if (o->counts[STATE_DAMAGED] > 0)
		add_line(&t, "damaged", TINT_BAD, "lines of the journal, kept in damaged/", o->counts[STATE_DAMAGED]);
	if (o->counts[STATE_TORN] > 0)
		add_line(&t, "torn", TINT_PLAIN, "lines that a crash cut off before they were acknowledged",
			 o->counts[STATE_TORN]);
	if (o->counts[STATE_UNTOLD] > 0)
		add_line(&t, "uncounted", TINT_WARNING,
			 "times rejected requests may not have been counted; see audit_max", o->counts[STATE_UNTOLD]);
	return table_print(&t, "");
}

static int print_endpoints(const struct overview *o)
{
	static const char *const names[] = {"endpoint", "events", "last", "rejected", "state", NULL};
	struct table t = {0};
	table_heading(&t, names);
	for (const struct overview_endpoint *e = o->endpoints; e != NULL; e = e->next) {
		table_cell(&t, TINT_STRONG, "%s", e->conf->path);
		table_number(&t, TINT_PLAIN, e->events + e->unread);
		table_ago(&t, TINT_PLAIN, e->last_at, o->now);
		table_number(&t, TINT_PLAIN, e->refused);
		add_health(&t, e->health, e->why);
		table_end(&t);
	}
	return table_print(&t, "");
}

static int print_refusals(const struct overview *o)
{
	static const char *const names[] = {"rejected", "last", "status", "endpoint", "connection", "reason", NULL};
	struct table t = {0};
	if (o->refusals == NULL)
		return 0;
	table_heading(&t, names);
	for (const struct overview_refusal *r = o->refusals; r != NULL; r = r->next) {
		table_number(&t, TINT_PLAIN, r->count);
		table_ago(&t, TINT_PLAIN, r->last_at, o->now);
		table_number(&t, r->status >= 500 ? TINT_BAD : TINT_PLAIN, r->status);
		table_cell(&t, TINT_PLAIN, "%s", *r->endpoint == '\0' ? "-" : r->endpoint);
		table_cell(&t, TINT_PLAIN, "%s", *r->connection == '\0' ? "-" : r->connection);
		table_cell(&t, TINT_PLAIN, "%s", r->reason);
		table_end(&t);
	}
	return table_print(&t, "");
}

static void add_backlog(struct table *t, const struct overview *o, const struct overview_backlog *b)
{
	table_number(t, b->pending > 0 ? TINT_WARNING : TINT_PLAIN, b->pending);
	table_number(t, b->parked > 0 ? TINT_BAD : TINT_PLAIN, b->parked);
	if (b->oldest_at == 0)
		table_cell(t, TINT_PLAIN, "-");
	else
		table_ago(t, TINT_PLAIN, b->oldest_at, o->now);
}

static int print_targets(const struct overview *o)
{
	static const char *const names[] = {"target", "done", "failed", "pending", "parked",
					    "oldest", "last", "state",  NULL};
	struct table t = {0};
	if (o->targets == NULL)
		return 0;
	table_heading(&t, names);
	for (const struct overview_target *g = o->targets; g != NULL; g = g->next) {
		table_cell(&t, g->conf == NULL ? TINT_FAINT : TINT_STRONG, "%s", g->name);
		table_number(&t, TINT_PLAIN, g->done);
		table_number(&t, TINT_PLAIN, g->failed);
		add_backlog(&t, o, &g->backlog);
		table_ago(&t, TINT_PLAIN, g->done_at, o->now);
		add_health(&t, g->health, g->conf != NULL ? g->why : "not in the configuration any more");
		table_end(&t);
	}
	return table_print(&t, "");
}

static int print_errors(const struct overview *o)
{
	struct table t = {0};
	for (const struct overview_target *g = o->targets; g != NULL; g = g->next) {
		if (g->error == NULL || g->backlog.pending + g->backlog.parked == 0)
			continue;
		table_cell(&t, TINT_STRONG, "%s", g->name);
		table_ago(&t, TINT_PLAIN, g->error_at, o->now);
		table_cell(&t, TINT_BAD, "%s", g->error);
		table_end(&t);
	}
	return table_print(&t, "  last error: ");
}

static int print_connections(const struct overview *o)
{
	static const char *const names[] = {"connection", "endpoint", "events", "last",  "rejected",
					    "pending",    "parked",   "oldest", "state", NULL};
	struct table t = {0};
	if (o->connections == NULL)
		return 0;
	table_heading(&t, names);
	for (const struct overview_connection *c = o->connections; c != NULL; c = c->next) {
		table_cell(&t, TINT_STRONG, "%s", *c->connection == '\0' ? "-" : c->connection);
		table_cell(&t, TINT_PLAIN, "%s", c->endpoint);
		table_number(&t, TINT_PLAIN, c->events + c->unread);
		table_ago(&t, TINT_PLAIN, c->last_at, o->now);
		table_number(&t, TINT_PLAIN, c->refused);
		add_backlog(&t, o, &c->backlog);
		add_health(&t, c->health, c->why);
		table_end(&t);
	}
	return table_print(&t, "");
}

static int print_syncs(const struct overview *o)
{
	static const char *const names[] = {"initial sync", "connection", "pages", "records",
					    "begun",        "last page",  "state", NULL};
	struct table t = {0};
	if (o->syncs == NULL)
		return 0;
	table_heading(&t, names);
	for (const struct overview_sync *s = o->syncs; s != NULL; s = s->next) {
		table_cell(&t, TINT_STRONG, "%s", *s->object_type == '\0' ? "-" : s->object_type);
		table_cell(&t, TINT_PLAIN, "%s", *s->connection == '\0' ? "-" : s->connection);
		table_number(&t, TINT_PLAIN, s->pages);
		table_number(&t, TINT_PLAIN, s->records);
		table_ago(&t, TINT_PLAIN, s->begun_at, o->now);
		table_ago(&t, TINT_PLAIN, s->last_at, o->now);
		table_cell(&t, s->complete ? TINT_GOOD : TINT_WARNING, s->complete ? "complete" : "not complete");
		table_end(&t);
	}
	return table_print(&t, "");
}

/* An empty line before what follows. */
static int blank(bool wanted)
{
	return wanted && (putchar('\n') == EOF || fflush(stdout) != 0) ? -1 : 0;
}

static int print_text(const struct overview *o, const struct conf *conf)
{
	if (print_summary(o, conf) < 0 || blank(true) < 0 || print_counts(o) < 0 || blank(true) < 0 ||
	    print_endpoints(o) < 0 || blank(o->refusals != NULL) < 0 || print_refusals(o) < 0 ||
	    blank(o->targets != NULL) < 0 || print_targets(o) < 0 || print_errors(o) < 0 ||
	    blank(o->connections != NULL) < 0 || print_connections(o) < 0 || blank(o->syncs != NULL) < 0 ||
	    print_syncs(o) < 0) {
		log_warn("cannot write the report");
		return -1;
	}
	return 0;
}

/* All zero: there is no state.db. */
static struct stat stat_state(const struct spool *spool)
{
	struct stat st;
	return fstatat(spool->fd, "state.db", &st, AT_SYMLINK_NOFOLLOW) == 0 ? st : (struct stat){0};
}

/* Whether a deliverer has put its log into state.db. A reader without locks (state_open) may then have read some of it
 * before and some after. */
static bool is_changed(const struct spool *spool, const struct stat *before)
{
	struct stat now = stat_state(spool);
	return now.st_ino != before->st_ino || now.st_size != before->st_size ||
	       now.st_mtim.tv_sec != before->st_mtim.tv_sec || now.st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

/* 0, or -1 with errno. */
static int read_overview(struct overview *o, const struct conf *conf)
{
	struct spool spool;
	bool fresh, again = true;
	int saved = 0, result = spool_open(&spool, conf, SPOOL_LOOK);
	if (result < 0)
		return errno == ENOENT ? overview_read(o, conf, NULL, NULL, OVERVIEW_ALL) : -1;
	for (int i = 0; i < TRIES && again; i++) {
		struct stat before = stat_state(&spool);
		overview_fini(o);
		struct state *state = state_open(&spool, STATE_LOOK, &fresh);
		if (state != NULL || errno == ENOENT)
			result = overview_read(o, conf, &spool, state, OVERVIEW_ALL);
		else
			result = -1;
		saved = errno;
		state_close(state);
		again = o->torn || is_changed(&spool, &before);
	}
	spool_close(&spool);
	errno = saved;
	return result;
}

static int status(const struct conf *conf, bool json)
{
	static const int codes[] = {[HEALTH_OK] = 0, [HEALTH_LATE] = 1, [HEALTH_FAILING] = 2};
	struct overview o = {0};
	int result = EX_IOERR;
	if (read_overview(&o, conf) < 0) {
		result = command_failed(conf);
	} else if ((json ? print_json(&o, conf) : print_text(&o, conf)) == 0) {
		result = codes[o.health];
	}
	overview_fini(&o);
	return result;
}

static int run_status(const char *conf_path, int argc, char **argv)
{
	bool json = false;
	const struct command_option known[] = {{"json", .flag = &json}, {0}};
	if (command_options(argc, argv, known) != argc)
		return EX_USAGE;
	struct conf *conf = command_conf(conf_path, false);
	if (conf == NULL)
		return EX_CONFIG;
	int result = status(conf, json);
	conf_free(conf);
	return result;
}

const struct command status_command = {
	.name = "status",
	.arguments = "[--json]",
	.summary = "how it is: what came, what waits, what failed",
	.help = "Says how the spool is: what came, what waits, what was given up; for each\n"
		"endpoint, target and connection, and how far initial syncs are.\n"
		"\n"
		"    --json      for programs\n"
		"\n"
		"Its exit code is for monitoring:\n"
		"    0   ok\n"
		"    1   late: an event has waited longer than late_after, or a connection has\n"
		"        been silent for longer than its endpoint's expect\n"
		"    2   failing: deliveries are parked, attempts have failed for longer than\n"
		"        late_after, or requests could not be stored\n",
	.prints = true,
	.run = run_status,
};
