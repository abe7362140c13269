/* A look into state.db past the module, as another process has it. */
#ifndef HOOKSPOOL_QUERY_H
#define HOOKSPOOL_QUERY_H

#include <sqlite3.h>

#include "unit.h"

/* Runs one statement on a database. Its first value, 0 if it gives none; fails the test that calls it. */
static inline int64_t unit_query(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *statement;
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	unit_check(code == SQLITE_ROW || code == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
	int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return value;
}

#endif
