#include "config.h"

#include "state/deliveries.h"

#include <string.h>

#include "base/clock.h"
#include "state/state.h"
#include "state/state_private.h"

#define READY_BASE (INT64_MIN / 2)

int64_t state_ready(const struct state *state)
{
	return READY_BASE + state_age(state);
}

int state_delivery_add(struct state *state, int64_t target, int64_t lane, const struct state_delivery *d)
{
	return db_run(db_bind(&state->db, DB_DELIVERY_ADD, "iiiiibiii", target, lane, d->segment_id, (int64_t)d->offset,
			      (int64_t)d->length, d->event, (int64_t)d->records, (int64_t)d->attempts, d->first_at));
}

int state_lane_add(struct state *state, int64_t target, int64_t lane, int64_t next_at)
{
	return db_run(db_bind(&state->db, DB_LANE_ADD, "iii", target, lane, next_at));
}

int state_pending_count(struct state *state, uint64_t *n)
{
	int64_t value;
	if (db_number(db_bind(&state->db, DB_PENDING_COUNT, ""), &value) != 1)
		return -1;
	*n = (uint64_t)value;
	return 0;
}

int state_is_waiting(struct state *state, int64_t target)
{
	return db_ask(db_bind(&state->db, DB_WAITING, "i", target));
}

int state_lane_is_waiting(struct state *state, int64_t target, int64_t lane)
{
	return db_ask(db_bind(&state->db, DB_LANE_WAITING, "ii", target, lane));
}

int state_lanes(struct state *state, int64_t target, int64_t from, struct state_lane *lanes, int max)
{
	int n = 0, result;
	struct sqlite3_stmt *statement = db_bind(&state->db, DB_LANES, "iii", target, from, (int64_t)max);
	while ((result = db_step(statement)) == 1) {
		lanes[n].lane = db_int(statement, 0);
		lanes[n++].next_at = db_int(statement, 1);
	}
	return result < 0 ? -1 : n;
}

static void read_identity(struct sqlite3_stmt *row, int column, uint8_t id[STATE_ID_SIZE])
{
	struct span bytes = db_blob(row, column);
	if (bytes.len == STATE_ID_SIZE)
		memcpy(id, bytes.ptr, STATE_ID_SIZE);
}

static int read_delivery(struct sqlite3_stmt *statement, struct state_delivery *d)
{
	*d = (struct state_delivery){
		.id = db_int(statement, 0),
		.offset = (uint64_t)db_int(statement, 2),
		.length = (uint64_t)db_int(statement, 3),
		.records = (uint32_t)db_int(statement, 5),
		.attempts = (unsigned)db_int(statement, 6),
		.first_at = db_int(statement, 7),
	};
	read_identity(statement, 4, d->event);
	return db_segment(statement, 1, d->segment);
}

int state_lane_head(struct state *state, int64_t target, int64_t lane, struct state_delivery *deliveries, int max)
{
	int n = 0, result;
	struct sqlite3_stmt *statement = db_bind(&state->db, DB_LANE_HEAD, "iii", target, lane, (int64_t)max);
	while ((result = db_step(statement)) == 1)
		if (read_delivery(statement, &deliveries[n++]) < 0)
			return db_stop(statement);
	return result < 0 ? -1 : n;
}

int state_places(struct state *state, int64_t segment, int64_t after, struct state_place *places, int max)
{
	int n = 0, result;
	struct sqlite3_stmt *statement = db_bind(&state->db, DB_PLACES, "iii", segment, after, (int64_t)max);
	while ((result = db_step(statement)) == 1)
		places[n++] = (struct state_place){
			.row = db_int(statement, 0),
			.offset = (uint64_t)db_int(statement, 1),
			.length = (uint64_t)db_int(statement, 2),
		};
	return result < 0 ? -1 : n;
}

int state_place_move(struct state *state, const struct state_place *place, int64_t segment)
{
	return db_run(db_bind(&state->db, DB_PLACE_MOVE, "iiii", place->row, segment, (int64_t)place->offset,
			      (int64_t)place->length));
}

int state_delivery_done(struct state *state, int64_t id)
{
	return db_run(db_bind(&state->db, DB_DELIVERY_DONE, "i", id));
}

int state_delivery_failed(struct state *state, const struct state_delivery *d, const char *why)
{
	return db_run(db_bind(&state->db, DB_DELIVERY_FAILED, "iiis", d->id, (int64_t)d->attempts, d->first_at, why));
}

int state_delivery_park(struct state *state, const struct state_delivery *d, const char *why)
{
	return db_run(db_bind(&state->db, DB_DELIVERY_PARK, "iiisi", d->id, (int64_t)d->attempts, d->first_at, why,
			      clock_now()));
}

int state_lane_settle(struct state *state, int64_t target, int64_t lane, int64_t next_at)
{
	int64_t empty;
	if (db_number(db_bind(&state->db, DB_LANE_IS_EMPTY, "ii", target, lane), &empty) != 1)
		return -1;
	if (empty)
		return db_run(db_bind(&state->db, DB_LANE_DROP, "ii", target, lane));
	return db_run(db_bind(&state->db, DB_LANE_SET, "iii", target, lane, next_at));
}

struct rows_walk {
	state_each_row *each;
	void *arg;
};

static int take_row(struct sqlite3_stmt *statement, void *arg)
{
	const struct rows_walk *w = arg;
	struct state_row row = {
		.target_id = db_int(statement, 8),
		.lane = db_int(statement, 9),
		.target = db_text(statement, 10),
		.why = db_text(statement, 11),
		.parked_at = db_int(statement, 12),
		.next_at = db_int(statement, 13),
		.count = (uint64_t)db_int(statement, 14),
	};
	return read_delivery(statement, &row.delivery) < 0 ? -1 : w->each(w->arg, &row);
}

int state_backlog(struct state *state, state_each_row *each, void *arg)
{
	return db_walk(db_bind(&state->db, DB_BACKLOG, ""), take_row, &(struct rows_walk){each, arg});
}

int state_rows(struct state *state, const uint8_t event[STATE_ID_SIZE], state_each_row *each, void *arg)
{
	return db_walk(db_bind(&state->db, DB_ROWS_OF, "b", event), take_row, &(struct rows_walk){each, arg});
}

int state_parked(struct state *state, int max, state_each_row *each, void *arg)
{
	return db_walk(db_bind(&state->db, DB_ROWS_PARKED, "i", (int64_t)max), take_row,
		       &(struct rows_walk){each, arg});
}

static int take_short_row(struct sqlite3_stmt *statement, void *arg)
{
	const struct rows_walk *w = arg;
	struct state_row row = {
		.delivery.id = db_int(statement, 0),
		.target_id = db_int(statement, 2),
		.parked_at = db_int(statement, 3),
	};
	read_identity(statement, 1, row.delivery.event);
	return w->each(w->arg, &row);
}

int state_all_rows(struct state *state, state_each_row *each, void *arg)
{
	return db_walk(db_bind(&state->db, DB_ROWS_ALL, ""), take_short_row, &(struct rows_walk){each, arg});
}

static int take_line(struct sqlite3_stmt *statement, void *arg)
{
	const struct rows_walk *w = arg;
	struct state_row row = {.target_id = db_int(statement, 1), .parked_at = db_int(statement, 2)};
	read_identity(statement, 0, row.delivery.event);
	row.delivery.offset = (uint64_t)db_int(statement, 4);
	row.delivery.length = (uint64_t)db_int(statement, 5);
	return db_segment(statement, 3, row.delivery.segment) < 0 ? -1 : w->each(w->arg, &row);
}

int state_all_lines(struct state *state, state_each_row *each, void *arg)
{
	return db_walk(db_bind(&state->db, DB_LINES_ALL, ""), take_line, &(struct rows_walk){each, arg});
}

int state_failed(struct state *state, int64_t after, int max, state_each_row *each, void *arg)
{
	return db_walk(db_bind(&state->db, DB_ROWS_FAILED, "ii", after, (int64_t)max), take_row,
		       &(struct rows_walk){each, arg});
}

int state_lanes_push(struct state *state, uint64_t *n)
{
	if (db_run(db_bind(&state->db, DB_LANES_PUSH, "i", state_age(state))) < 0)
		return -1;
	*n = (uint64_t)db_changes(&state->db);
	return 0;
}

int state_lanes_next(struct state *state, int64_t *next_at)
{
	return db_number(db_bind(&state->db, DB_LANES_NEXT, ""), next_at);
}

int state_delivery_retry(struct state *state, const struct state_row *row)
{
	if (row->parked_at == 0) {
		if (db_run(db_bind(&state->db, DB_LANE_PUSH, "iii", row->target_id, row->lane, state_age(state))) < 0)
			return -1;
		return db_changes(&state->db) > 0;
	}
	if (db_run(db_bind(&state->db, DB_ROW_RETRY, "i", row->delivery.id)) < 0)
		return -1;
	if (db_changes(&state->db) == 0)
		return 0;
	return state_lane_settle(state, row->target_id, row->lane, state_ready(state)) < 0 ? -1 : 1;
}

/* Whether the lane has a row for nothing, now that one of its deliveries is gone, or waits for the one that is. */
static int settle_dropped(struct state *state, const struct state_row *row)
{
	int64_t empty;
	if (db_number(db_bind(&state->db, DB_LANE_IS_EMPTY, "ii", row->target_id, row->lane), &empty) != 1)
		return -1;
	if (!empty && (row->parked_at != 0 || row->delivery.attempts == 0))
		return 0;
	return state_lane_settle(state, row->target_id, row->lane, state_ready(state));
}

int state_delivery_drop(struct state *state, const struct state_row *row)
{
	if (db_run(db_bind(&state->db, DB_ROW_DROP, "i", row->delivery.id)) < 0)
		return -1;
	if (db_changes(&state->db) == 0)
		return 0;
	return settle_dropped(state, row) < 0 ? -1 : 1;
}
