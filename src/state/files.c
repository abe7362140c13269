#include "config.h"

#include "state/state.h"

#include <stdio.h>

#include "state/db.h"

int state_file(struct state *state, struct span path, struct state_file *file)
{
	struct sqlite3_stmt *statement = sql_bind(state, FILE_GET, "t", path);
	int result = sql_step(state, statement);
	if (result == 1) {
		*file = (struct state_file){
			.length = (uint64_t)sql_int(statement, 0),
			.mark = sql_int(statement, 1),
			.era = sql_int(statement, 2),
			.standing = (uint64_t)sql_int(statement, 3),
			.others_at = sql_int(statement, 4),
		};
		sql_reset(statement);
	}
	return result;
}

int state_file_put(struct state *state, struct span path, const struct state_file *file)
{
	return sql_run(state, sql_bind(state, FILE_PUT, "tiiiiii", path, (int64_t)file->length, file->mark, file->era,
				       (int64_t)file->standing, state_age(state), file->others_at));
}

struct shared_walk {
	state_each_shared *each;
	void *arg;
};

static int take_shared(struct sqlite3_stmt *row, void *arg)
{
	const struct shared_walk *w = arg;
	return w->each(w->arg, sql_text(row, 0), sql_int(row, 1));
}

int state_files_of_others(struct state *state, int max, state_each_shared *each, void *arg)
{
	return sql_walk(state, sql_bind(state, FILES_OF_OTHERS, "i", (int64_t)max), take_shared,
			&(struct shared_walk){each, arg});
}

int state_files_sweep(struct state *state, int64_t era, int64_t unused_for, int64_t doubted_for)
{
	int64_t age = state_age(state);
	if (sql_run(state, sql_bind(state, FILES_SWEEP, "iii", era, age - unused_for, age - doubted_for)) < 0)
		return -1;
	return sql_run(state, sql_bind(state, STANDING_SWEEP, ""));
}

int state_standing_put(struct state *state, struct span path, const uint8_t event[STATE_ID_SIZE], uint32_t records,
		       bool unknown)
{
	return sql_run(state, sql_bind(state, STANDING_PUT, "tbii", path, event, (int64_t)records, (int64_t)unknown));
}

int state_standing_drop(struct state *state, struct span path, const uint8_t event[STATE_ID_SIZE])
{
	return sql_run(state, sql_bind(state, STANDING_DROP, "tb", path, event));
}

struct standing_walk {
	state_each_standing *each;
	void *arg;
};

static int take_standing(struct sqlite3_stmt *row, void *arg)
{
	const struct standing_walk *w = arg;
	struct span event = sql_blob(row, 0);
	return event.len != STATE_ID_SIZE
		       ? 0
		       : w->each(w->arg, (const uint8_t *)event.ptr, (uint32_t)sql_int(row, 1), sql_int(row, 2) != 0);
}

int state_standing(struct state *state, struct span path, state_each_standing *each, void *arg)
{
	return sql_walk(state, sql_bind(state, STANDING, "t", path), take_standing, &(struct standing_walk){each, arg});
}

int state_archive_put(struct state *state, const char *name, uint64_t length)
{
	return sql_run(state, sql_bind(state, ARCHIVE_PUT, "sii", name, state_age(state), (int64_t)length));
}

int state_archive_length(struct state *state, const char *name, uint64_t *length)
{
	int64_t value;
	int result = sql_number(state, sql_bind(state, ARCHIVE_LENGTH, "s", name), &value);
	if (result == 1)
		*length = (uint64_t)value;
	return result;
}

int state_archive_drop(struct state *state, const char *name)
{
	return sql_run(state, sql_bind(state, ARCHIVE_DROP, "s", name));
}

int state_archive_is_old(struct state *state, const char *name, int64_t keep)
{
	return sql_ask(state, sql_bind(state, ARCHIVE_IS_OLD, "si", name, state_age(state) - keep));
}

int state_archive_old(struct state *state, int64_t keep, char names[][SEGMENT_NAME_SIZE], int max)
{
	int n = 0, result;
	struct sqlite3_stmt *statement = sql_bind(state, ARCHIVE_OLD, "ii", state_age(state) - keep, (int64_t)max);
	while ((result = sql_step(state, statement)) == 1)
		if (sql_segment(statement, 0, names[n++]) < 0) {
			sql_reset(statement);
			return -1;
		}
	return result < 0 ? -1 : n;
}
