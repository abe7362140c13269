#include "config.h"

#include "state/files.h"

#include "state/state.h"
#include "state/state_private.h"

int state_file(struct state *state, struct span path, struct state_file *file)
{
	struct sqlite3_stmt *statement = db_bind(&state->db, DB_FILE_GET, "t", path);
	int result = db_step(statement);
	if (result == 1) {
		*file = (struct state_file){
			.length = (uint64_t)db_int(statement, 0),
			.mark = db_int(statement, 1),
			.era = db_int(statement, 2),
			.standing = (uint64_t)db_int(statement, 3),
			.others_at = db_int(statement, 4),
		};
		db_reset(statement);
	}
	return result;
}

int state_file_put(struct state *state, struct span path, const struct state_file *file)
{
	return db_run(db_bind(&state->db, DB_FILE_PUT, "tiiiiii", path, (int64_t)file->length, file->mark, file->era,
			      (int64_t)file->standing, state_age(state), file->others_at));
}

int state_files_of_others(struct state *state, int max, state_each_shared *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_FILES_OF_OTHERS, "i", (int64_t)max);
	while ((result = db_step(row)) == 1)
		if (each(arg, db_text(row, 0), db_int(row, 1)) < 0)
			return db_stop(row);
	return result;
}

int state_files_sweep(struct state *state, int64_t era, int64_t unused_for, int64_t doubted_for)
{
	int64_t age = state_age(state);
	if (db_run(db_bind(&state->db, DB_FILES_SWEEP, "iii", era, age - unused_for, age - doubted_for)) < 0)
		return -1;
	return db_run(db_bind(&state->db, DB_STANDING_SWEEP, ""));
}

int state_standing_put(struct state *state, struct span path, const uint8_t event[STATE_ID_SIZE], uint32_t records,
		       bool unknown)
{
	return db_run(db_bind(&state->db, DB_STANDING_PUT, "tbii", path, event, (int64_t)records, (int64_t)unknown));
}

int state_standing_drop(struct state *state, struct span path, const uint8_t event[STATE_ID_SIZE])
{
	return db_run(db_bind(&state->db, DB_STANDING_DROP, "tb", path, event));
}

int state_standing(struct state *state, struct span path, state_each_standing *each, void *arg)
{
	int result;
	struct sqlite3_stmt *row = db_bind(&state->db, DB_STANDING, "t", path);
	while ((result = db_step(row)) == 1) {
		struct span event = db_blob(row, 0);
		if (event.len == STATE_ID_SIZE &&
		    each(arg, (const uint8_t *)event.ptr, (uint32_t)db_int(row, 1), db_int(row, 2) != 0) < 0)
			return db_stop(row);
	}
	return result;
}
