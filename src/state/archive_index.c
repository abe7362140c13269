#include "config.h"

#include "state/archive_index.h"

#include "state/state.h"
#include "state/state_private.h"

int state_archive_put(struct state *state, const char *name, uint64_t length)
{
	return db_run(db_bind(&state->db, DB_ARCHIVE_PUT, "sii", name, state_age(state), (int64_t)length));
}

int state_archive_length(struct state *state, const char *name, uint64_t *length)
{
	int64_t value;
	int result = db_number(db_bind(&state->db, DB_ARCHIVE_LENGTH, "s", name), &value);
	if (result == 1)
		*length = (uint64_t)value;
	return result;
}

int state_archive_drop(struct state *state, const char *name)
{
	return db_run(db_bind(&state->db, DB_ARCHIVE_DROP, "s", name));
}

int state_archive_is_old(struct state *state, const char *name, int64_t keep)
{
	return db_ask(db_bind(&state->db, DB_ARCHIVE_IS_OLD, "si", name, state_age(state) - keep));
}

int state_archive_old(struct state *state, int64_t keep, char names[][SEGMENT_NAME_SIZE], int max)
{
	int n = 0, result;
	struct sqlite3_stmt *statement =
		db_bind(&state->db, DB_ARCHIVE_OLD, "ii", state_age(state) - keep, (int64_t)max);
	while ((result = db_step(statement)) == 1)
		if (db_segment(statement, 0, names[n++]) < 0)
			return db_stop(statement);
	return result < 0 ? -1 : n;
}
