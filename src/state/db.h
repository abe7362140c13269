/* The database behind state.h: its statements, and how they are run. The only user of SQLite; for the files of this
 * folder alone. Functions return 0, or -1 with errno as state.h says, unless said otherwise. */
#ifndef HOOKSPOOL_STATE_DB_H
#define HOOKSPOOL_STATE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "spool/segment.h"
#include "state/common.h"

struct sqlite3;
struct sqlite3_stmt;

enum db_sql {
	DB_SCHEMA_GET,
	DB_BEGIN,
	DB_READ,
	DB_COMMIT,
	DB_ROLLBACK,
	DB_AGE_GET,
	DB_AGE_PUT,
	DB_OWNER_PUT,
	DB_OWNER_IS,
	DB_CURSORS,
	DB_CURSOR_UPDATE,
	DB_CURSOR_INSERT,
	DB_CURSOR_ID,
	DB_CURSOR_DROP,
	DB_PINNED,
	DB_PIN_NEXT,
	DB_PLACES,
	DB_WAITERS,
	DB_PLACE_MOVE,
	DB_DATA_VERSION,
	DB_RECENT_ALL,
	DB_RECENT_PUT,
	DB_RECENT_OLD,
	DB_RECENT_SWEEP,
	DB_RECENT_CLEAR,
	DB_RUNS,
	DB_RUN_ADD,
	DB_RUN_DROP,
	DB_PART_ADD,
	DB_PART_AT,
	DB_PARTS,
	DB_PARTS_DROP,
	DB_FILE_GET,
	DB_FILE_PUT,
	DB_FILES_OF_OTHERS,
	DB_FILES_SWEEP,
	DB_STANDING_PUT,
	DB_STANDING_DROP,
	DB_STANDING,
	DB_STANDING_SWEEP,
	DB_TARGET_ID,
	DB_TARGET_INSERT,
	DB_TARGET_DONE,
	DB_TARGET_ERROR,
	DB_DELIVERY_ADD,
	DB_LANE_ADD,
	DB_PENDING_COUNT,
	DB_WAITING,
	DB_LANE_WAITING,
	DB_LANES,
	DB_LANE_HEAD,
	DB_DELIVERY_DONE,
	DB_DELIVERY_FAILED,
	DB_DELIVERY_PARK,
	DB_LANE_IS_EMPTY,
	DB_LANE_SET,
	DB_LANE_DROP,
	DB_ARCHIVE_PUT,
	DB_ARCHIVE_LENGTH,
	DB_ARCHIVE_DROP,
	DB_ARCHIVE_IS_OLD,
	DB_ARCHIVE_OLD,
	DB_COUNT_ADD,
	DB_CONNECTION_PUT,
	DB_SYNC_ADD,
	DB_REFUSAL_ADD,
	DB_CONF_PUT,
	DB_CONFS,
	DB_TRAIL_GET,
	DB_TRAIL_PUT,
	DB_TRAIL_SWEEP,
	DB_TRAIL_ANY,
	DB_TRAFFIC_ADD,
	DB_TRAFFIC_SWEEP,
	DB_TRAFFIC,
	DB_COUNT_GET,
	DB_TROUBLE_PUT,
	DB_TROUBLE_DROP,
	DB_TROUBLE_GET,
	DB_TROUBLES,
	DB_GOALS,
	DB_CONTACTS,
	DB_SYNCS,
	DB_REFUSALS,
	DB_BACKLOG,
	DB_ROWS_OF,
	DB_ROWS_PARKED,
	DB_ROWS_FAILED,
	DB_LANES_PUSH,
	DB_LANE_PUSH,
	DB_LANES_NEXT,
	DB_ROWS_ALL,
	DB_LINES_ALL,
	DB_ROW_RETRY,
	DB_ROW_DROP,
	DB_FREE_PAGES,
	DB_VACUUM,
	DB_CHECKPOINT,
	DB_STATEMENTS,
};

/* Zero-initialise to begin. */
struct db {
	struct sqlite3 *handle;
	struct sqlite3_stmt *statements[DB_STATEMENTS];
};

enum db_use {
	DB_OPEN_WRITE,
	DB_OPEN_READ,
	DB_OPEN_ALONE, /* nobody writes to it meanwhile, and it has no log: nothing is made beside it, not even for
			   locks */
};
int db_open(struct db *db, const char *path, enum db_use use);
void db_close(struct db *db);

/* The statement with its values, ready to be stepped. `types` has a letter for each value: i int64_t, t struct span as
 * text, s char * or NULL, b an identity, v struct span as a blob. What values point to must stay until the statement is
 * reset. NULL with errno. */
struct sqlite3_stmt *db_bind(struct db *db, enum db_sql which, const char *types, ...);

/* All of these take what db_bind returns, NULL too.
 *
 * 1: a row; 0: no more, and the statement is reset; -1 with errno, reset too. */
int db_step(struct sqlite3_stmt *statement);
/* Ends a statement before its last row; errno stays. */
void db_reset(struct sqlite3_stmt *statement);
/* The same, for a walk that fails. Returns -1. */
int db_stop(struct sqlite3_stmt *statement);
/* For statements without rows, and those whose rows do not matter. */
int db_run(struct sqlite3_stmt *statement);
/* Whether it has a row: 1, 0 or -1. */
int db_ask(struct sqlite3_stmt *statement);
/* The first column of its first row; 1, 0 (no row) or -1. */
int db_number(struct sqlite3_stmt *statement, int64_t *number);
/* Calls back for each row. -1 from it ends the walk. */
typedef int db_take(struct sqlite3_stmt *row, void *arg);
int db_walk(struct sqlite3_stmt *statement, db_take *take, void *arg);

int db_execute(struct db *db, const char *text);
/* The same, but STATE_CORRUPT if the tables that exist already are not those of a new database. */
int db_execute_schema(struct db *db, const char *text);

/* Columns of a row, valid until the next step. */
int64_t db_int(struct sqlite3_stmt *row, int column);
const char *db_text(struct sqlite3_stmt *row, int column);
struct span db_span(struct sqlite3_stmt *row, int column);
struct span db_blob(struct sqlite3_stmt *row, int column);
/* The name of a segment or of a file of the archive, copied. -1 with errno STATE_CORRUPT: it names nothing in a folder,
 * and no deliverer has written it. */
int db_segment(struct sqlite3_stmt *row, int column, char name[SEGMENT_NAME_SIZE]);

/* Rows that the last statement changed; rows changed by all of them; the number of the row that was put last. */
int db_changes(const struct db *db);
uint64_t db_all_changes(const struct db *db);
int64_t db_last_id(const struct db *db);
/* Whether a transaction is open. */
bool db_is_open(const struct db *db);
/* Whether another file has the database's name by now, or none has it. */
bool db_is_moved(const struct db *db);

#endif
