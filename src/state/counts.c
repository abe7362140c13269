#include "config.h"

#include "state/counts.h"

#include "base/clock.h"
#include "state/state_private.h"

#define TRAFFIC_KEPT (INT64_C(2) * 86400 * CLOCK_SECOND)
#define TRAILS_KEPT  8 /* files of the audit trail that are remembered; there are two at a time */

static const char *const count_names[STATE_COUNTS] = {
	[STATE_EVENTS] = "events",       [STATE_RECORDS] = "records", [STATE_DUPLICATES] = "duplicates",
	[STATE_DAMAGED] = "damaged",     [STATE_TORN] = "torn",       [STATE_UNTOLD] = "untold",
	[STATE_UNMATCHED] = "unmatched",
};

int state_target(struct state *state, const char *name, int64_t *id)
{
	int known = db_number(db_bind(&state->db, DB_TARGET_ID, "s", name), id);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (db_run(db_bind(&state->db, DB_TARGET_INSERT, "s", name)) < 0)
		return -1;
	*id = db_last_id(&state->db);
	return 0;
}

int state_target_add(struct state *state, int64_t target, const struct state_tally *tally)
{
	int64_t now = clock_now();
	if (db_run(db_bind(&state->db, DB_TARGET_DONE, "iiiii", target, (int64_t)tally->done, (int64_t)tally->failed,
			   (int64_t)tally->parked, now)) < 0)
		return -1;
	struct state_traffic traffic = {.at = now, .done = tally->done, .failed = tally->failed};
	if (state_traffic_add(state, &traffic) < 0)
		return -1;
	return tally->error == NULL ? 0
				    : db_run(db_bind(&state->db, DB_TARGET_ERROR, "isi", target, tally->error, now));
}

int state_count_add(struct state *state, enum state_count count, uint64_t n)
{
	if (n == 0)
		return 0;
	return db_run(db_bind(&state->db, DB_COUNT_ADD, "si", count_names[count], (int64_t)n));
}

int state_connection_put(struct state *state, struct span endpoint, struct span connection, uint64_t events,
			 int64_t received_at)
{
	return db_run(
		db_bind(&state->db, DB_CONNECTION_PUT, "ttii", endpoint, connection, (int64_t)events, received_at));
}

int state_sync_add(struct state *state, const struct state_sync *sync)
{
	return db_run(db_bind(&state->db, DB_SYNC_ADD, "ttttiiiii", sync->endpoint, sync->connection, sync->object_type,
			      sync->webhook, (int64_t)sync->pages, (int64_t)sync->records, sync->begun_at,
			      sync->last_at, (int64_t)sync->complete));
}

int state_refusal_add(struct state *state, const struct state_refusal *r)
{
	return db_run(db_bind(&state->db, DB_REFUSAL_ADD, "tttiii", r->endpoint, r->connection, r->reason,
			      (int64_t)r->status, (int64_t)r->count, r->last_at));
}

int state_conf_put(struct state *state, const struct state_conf *c)
{
	return db_run(db_bind(&state->db, DB_CONF_PUT, "tti", c->by, c->why, c->at));
}

int state_confs(struct state *state, state_each_conf *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_CONFS, "");
	while ((result = db_step(row)) == 1)
		if (each(arg, &(struct state_conf){
				      .by = db_span(row, 0),
				      .why = db_span(row, 1),
				      .at = db_int(row, 2),
			      }) < 0)
			return db_stop(row);
	return result;
}

int state_trail(struct state *state, uint64_t mark, uint64_t *offset)
{
	int64_t value;
	int result = db_number(db_bind(&state->db, DB_TRAIL_GET, "i", (int64_t)mark), &value);
	if (result == 1)
		*offset = (uint64_t)value;
	return result;
}

int state_trail_put(struct state *state, uint64_t mark, uint64_t offset)
{
	if (db_run(db_bind(&state->db, DB_TRAIL_PUT, "ii", (int64_t)mark, (int64_t)offset)) < 0)
		return -1;
	return db_run(db_bind(&state->db, DB_TRAIL_SWEEP, "i", (int64_t)TRAILS_KEPT));
}

int state_trail_is_begun(struct state *state)
{
	return db_ask(db_bind(&state->db, DB_TRAIL_ANY, ""));
}

int state_traffic_add(struct state *state, const struct state_traffic *t)
{
	if (t->events + t->records + t->refused + t->done + t->failed == 0)
		return 0;
	return db_run(db_bind(&state->db, DB_TRAFFIC_ADD, "iiiiii", t->at - t->at % STATE_QUARTER, (int64_t)t->events,
			      (int64_t)t->records, (int64_t)t->refused, (int64_t)t->done, (int64_t)t->failed));
}

int state_traffic_sweep(struct state *state)
{
	return db_run(db_bind(&state->db, DB_TRAFFIC_SWEEP, "i", clock_now() - TRAFFIC_KEPT));
}

int state_count(struct state *state, enum state_count count, uint64_t *n)
{
	int64_t value = 0;
	if (db_number(db_bind(&state->db, DB_COUNT_GET, "s", count_names[count]), &value) < 0)
		return -1;
	*n = (uint64_t)value;
	return 0;
}

int state_goals(struct state *state, state_each_goal *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_GOALS, "");
	while ((result = db_step(row)) == 1)
		if (each(arg, &(struct state_goal){
				      .id = db_int(row, 0),
				      .target = db_text(row, 1),
				      .done = (uint64_t)db_int(row, 2),
				      .failed = (uint64_t)db_int(row, 3),
				      .parked = (uint64_t)db_int(row, 4),
				      .done_at = db_int(row, 5),
				      .error = db_text(row, 6),
				      .error_at = db_int(row, 7),
			      }) < 0)
			return db_stop(row);
	return result;
}

int state_contacts(struct state *state, state_each_contact *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_CONTACTS, "");
	while ((result = db_step(row)) == 1)
		if (each(arg, &(struct state_contact){
				      .endpoint = db_text(row, 0),
				      .connection = db_text(row, 1),
				      .events = (uint64_t)db_int(row, 2),
				      .last_at = db_int(row, 3),
			      }) < 0)
			return db_stop(row);
	return result;
}

int state_syncs(struct state *state, state_each_sync *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_SYNCS, "");
	while ((result = db_step(row)) == 1)
		if (each(arg, &(struct state_sync){
				      .endpoint = db_span(row, 0),
				      .connection = db_span(row, 1),
				      .object_type = db_span(row, 2),
				      .webhook = db_span(row, 3),
				      .pages = (uint64_t)db_int(row, 4),
				      .records = (uint64_t)db_int(row, 5),
				      .begun_at = db_int(row, 6),
				      .last_at = db_int(row, 7),
				      .complete = db_int(row, 8) != 0,
			      }) < 0)
			return db_stop(row);
	return result;
}

int state_refusals(struct state *state, state_each_refusal *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_REFUSALS, "");
	while ((result = db_step(row)) == 1)
		if (each(arg, &(struct state_refusal){
				      .endpoint = db_span(row, 0),
				      .connection = db_span(row, 1),
				      .reason = db_span(row, 2),
				      .status = (unsigned)db_int(row, 3),
				      .count = (uint64_t)db_int(row, 4),
				      .last_at = db_int(row, 5),
			      }) < 0)
			return db_stop(row);
	return result;
}

int state_traffic(struct state *state, int64_t since, state_each_traffic *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_TRAFFIC, "i", since);
	while ((result = db_step(row)) == 1)
		if (each(arg, &(struct state_traffic){
				      .at = db_int(row, 0),
				      .events = (uint64_t)db_int(row, 1),
				      .records = (uint64_t)db_int(row, 2),
				      .refused = (uint64_t)db_int(row, 3),
				      .done = (uint64_t)db_int(row, 4),
				      .failed = (uint64_t)db_int(row, 5),
			      }) < 0)
			return db_stop(row);
	return result;
}

int state_trouble_put(struct state *state, const char *what, const char *why)
{
	return db_run(db_bind(&state->db, DB_TROUBLE_PUT, "ssi", what, why, clock_now()));
}

int state_trouble_drop(struct state *state, const char *what)
{
	return db_run(db_bind(&state->db, DB_TROUBLE_DROP, "s", what));
}

int state_has_trouble(struct state *state, const char *what)
{
	return db_ask(db_bind(&state->db, DB_TROUBLE_GET, "s", what));
}

int state_troubles(struct state *state, state_each_trouble *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_TROUBLES, "");
	while ((result = db_step(row)) == 1)
		if (each(arg, &(struct state_trouble){db_text(row, 0), db_text(row, 1), db_int(row, 2)}) < 0)
			return db_stop(row);
	return result;
}
