#include "config.h"

#include "state/segments.h"

#include "state/state_private.h"

int state_cursors(struct state *state, state_cursor *each, void *arg)
{
	int result;
	char name[SEGMENT_NAME_SIZE];
	struct sqlite3_stmt *statement = db_bind(&state->db, DB_CURSORS, "");
	while ((result = db_step(statement)) == 1)
		if (db_segment(statement, 0, name) < 0 || each(arg, name, (uint64_t)db_int(statement, 1)) < 0)
			return db_stop(statement);
	return result;
}

int state_cursor_put(struct state *state, const char *segment, uint64_t offset, int64_t *id)
{
	if (db_run(db_bind(&state->db, DB_CURSOR_UPDATE, "si", segment, (int64_t)offset)) < 0)
		return -1;
	if (db_changes(&state->db) > 0)
		return db_number(db_bind(&state->db, DB_CURSOR_ID, "s", segment), id) == 1 ? 0 : -1;
	if (db_run(db_bind(&state->db, DB_CURSOR_INSERT, "si", segment, (int64_t)offset)) < 0)
		return -1;
	*id = db_last_id(&state->db);
	return 0;
}

int state_cursor_drop(struct state *state, const char *segment)
{
	return db_run(db_bind(&state->db, DB_CURSOR_DROP, "s", segment));
}

int state_segment(struct state *state, const char *segment, uint64_t cursor, int64_t *id)
{
	int known = db_number(db_bind(&state->db, DB_CURSOR_ID, "s", segment), id);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (db_run(db_bind(&state->db, DB_CURSOR_INSERT, "si", segment, (int64_t)cursor)) < 0)
		return -1;
	*id = db_last_id(&state->db);
	return 0;
}

int state_is_pinned(struct state *state, const char *segment)
{
	return db_ask(db_bind(&state->db, DB_PINNED, "s", segment));
}

int state_pin_next(struct state *state, int64_t after, struct state_pin *pin)
{
	struct sqlite3_stmt *statement = db_bind(&state->db, DB_PIN_NEXT, "i", after);
	int result = db_step(statement);
	if (result == 1) {
		pin->id = db_int(statement, 0);
		result = db_segment(statement, 1, pin->name) < 0 ? -1 : 1;
		db_reset(statement);
	}
	return result;
}
