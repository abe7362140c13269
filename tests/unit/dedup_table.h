/* The identities of state/dedup.h in a plain table: the oracle of test_dedup, and what tests/bench/dedup measures
 * beside dedup.c. The table stands in the same database, so a commit, a rollback and another process mean the same to
 * both. An identity keeps the age with which it was added first; table_sweep forgets all older ones at once. Functions
 * return what those of dedup.h do. */
#ifndef HOOKSPOOL_UNIT_DEDUP_TABLE_H
#define HOOKSPOOL_UNIT_DEDUP_TABLE_H

#include <sqlite3.h>
#include <stdint.h>

#define TABLE_ID_SIZE 16

struct dedup_table {
	sqlite3 *db;
	sqlite3_stmt *seen, *add, *sweep;
};

static inline int table_run(sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	sqlite3_reset(statement);
	return code == SQLITE_ROW ? 1 : code == SQLITE_DONE ? 0 : -1;
}

static inline int table_open(struct dedup_table *table, sqlite3 *db)
{
	const struct {
		sqlite3_stmt **statement;
		const char *sql;
	} all[] = {
		{&table->seen, "SELECT 1 FROM seen WHERE id = ?"},
		{&table->add, "INSERT OR IGNORE INTO seen VALUES (?, ?)"},
		{&table->sweep, "DELETE FROM seen WHERE age < ?"},
	};
	table->db = db;
	if (sqlite3_exec(db,
			 "CREATE TABLE IF NOT EXISTS seen (id BLOB PRIMARY KEY, age INTEGER NOT NULL) WITHOUT ROWID;"
			 "CREATE INDEX IF NOT EXISTS seen_age ON seen (age)",
			 NULL, NULL, NULL) != SQLITE_OK)
		return -1;
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		if (sqlite3_prepare_v2(db, all[i].sql, -1, all[i].statement, NULL) != SQLITE_OK)
			return -1;
	return 0;
}

/* Before the database is closed. */
static inline void table_close(struct dedup_table *table)
{
	sqlite3_finalize(table->seen);
	sqlite3_finalize(table->add);
	sqlite3_finalize(table->sweep);
}

static inline int table_seen(struct dedup_table *table, const uint8_t id[TABLE_ID_SIZE])
{
	sqlite3_bind_blob(table->seen, 1, id, TABLE_ID_SIZE, SQLITE_STATIC);
	return table_run(table->seen);
}

static inline int table_add(struct dedup_table *table, const uint8_t id[TABLE_ID_SIZE], int64_t age)
{
	sqlite3_bind_blob(table->add, 1, id, TABLE_ID_SIZE, SQLITE_STATIC);
	sqlite3_bind_int64(table->add, 2, age);
	return table_run(table->add);
}

static inline int table_sweep(struct dedup_table *table, int64_t oldest)
{
	sqlite3_bind_int64(table->sweep, 1, oldest);
	return table_run(table->sweep);
}

#endif
