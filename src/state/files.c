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

struct shared_walk {
	state_each_shared *each;
	void *arg;
};

static int take_shared(struct sqlite3_stmt *row, void *arg)
{
	const struct shared_walk *w = arg;
	return w->each(w->arg, db_text(row, 0), db_int(row, 1));
}

int state_files_of_others(struct state *state, int max, state_each_shared *each, void *arg)
{
	return db_walk(db_bind(&state->db, DB_FILES_OF_OTHERS, "i", (int64_t)max), take_shared,
		       &(struct shared_walk){each, arg});
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

struct standing_walk {
	state_each_standing *each;
	void *arg;
};

static int take_standing(struct sqlite3_stmt *row, void *arg)
{
	const struct standing_walk *w = arg;
	struct span event = db_blob(row, 0);
	return event.len != STATE_ID_SIZE
		       ? 0
		       : w->each(w->arg, (const uint8_t *)event.ptr, (uint32_t)db_int(row, 1), db_int(row, 2) != 0);
}

int state_standing(struct state *state, struct span path, state_each_standing *each, void *arg)
{
	return db_walk(db_bind(&state->db, DB_STANDING, "t", path), take_standing, &(struct standing_walk){each, arg});
}
