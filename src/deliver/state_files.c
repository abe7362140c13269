#include "config.h"

#include "deliver/state.h"

#include <stdio.h>

#include "deliver/state_sql.h"

static void read_file(struct sqlite3_stmt *statement, int column, struct state_file *file)
{
	file->inode = (uint64_t)sql_int(statement, column);
	file->born = sql_int(statement, column + 1);
	file->length = (uint64_t)sql_int(statement, column + 2);
}

int state_file(struct state *state, struct span path, struct state_file *file)
{
	struct sqlite3_stmt *statement = sql_bind(state, FILE_GET, "t", path);
	int result = sql_step(state, statement);
	if (result == 1) {
		read_file(statement, 0, file);
		sql_reset(statement);
	}
	return result;
}

int state_file_put(struct state *state, struct span path, const struct state_file *file)
{
	return sql_run(state, sql_bind(state, FILE_PUT, "tiiii", path, (int64_t)file->inode, file->born,
				       (int64_t)file->length, state_age(state)));
}

int state_files(struct state *state, state_each_file *each, void *arg)
{
	int result;
	struct state_file file;
	struct sqlite3_stmt *statement = sql_bind(state, FILES, "");
	while ((result = sql_step(state, statement)) == 1) {
		read_file(statement, 1, &file);
		if (each(arg, sql_text(statement, 0), &file) < 0) {
			sql_reset(statement);
			return -1;
		}
	}
	return result;
}

int state_files_sweep(struct state *state, int64_t unused_for)
{
	return sql_run(state, sql_bind(state, FILES_SWEEP, "i", state_age(state) - unused_for));
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
		snprintf(names[n++], SEGMENT_NAME_SIZE, "%s", sql_text(statement, 0));
	return result < 0 ? -1 : n;
}
