/* The database behind state.h: its statements, and how they are run. The only user of SQLite; for the files of the
 * state alone. Functions return 0, or -1 with errno as state.h says, unless said otherwise. */
#ifndef HOOKSPOOL_STATE_DB_H
#define HOOKSPOOL_STATE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "state/state.h"

struct sqlite3;
struct sqlite3_stmt;

enum sql {
	SCHEMA_GET,
	BEGIN,
	HOLD,
	COMMIT,
	ROLLBACK,
	AGE_GET,
	AGE_PUT,
	OWNER_PUT,
	OWNER_IS,
	CURSORS,
	CURSOR_UPDATE,
	CURSOR_INSERT,
	CURSOR_ID,
	CURSOR_DROP,
	PINNED,
	PIN_NEXT,
	PLACES,
	WAITERS,
	PLACE_MOVE,
	DATA_VERSION,
	RECENT_ALL,
	RECENT_PUT,
	RECENT_OLD,
	RECENT_SWEEP,
	RECENT_CLEAR,
	RUNS,
	RUN_ADD,
	RUN_DROP,
	PART_ADD,
	PART_AT,
	PARTS,
	PARTS_DROP,
	FILE_GET,
	FILE_PUT,
	FILES_OF_OTHERS,
	FILES_SWEEP,
	STANDING_PUT,
	STANDING_DROP,
	STANDING,
	STANDING_SWEEP,
	TARGET_ID,
	TARGET_INSERT,
	TARGET_DONE,
	TARGET_ERROR,
	DELIVERY_ADD,
	LANE_ADD,
	PENDING_COUNT,
	WAITING,
	LANE_WAITING,
	LANES,
	LANE_HEAD,
	DELIVERY_DONE,
	DELIVERY_FAILED,
	DELIVERY_PARK,
	LANE_IS_EMPTY,
	LANE_SET,
	LANE_DROP,
	ARCHIVE_PUT,
	ARCHIVE_LENGTH,
	ARCHIVE_DROP,
	ARCHIVE_IS_OLD,
	ARCHIVE_OLD,
	COUNT_ADD,
	CONNECTION_PUT,
	SYNC_ADD,
	REFUSAL_ADD,
	CONF_PUT,
	CONFS,
	TRAIL_GET,
	TRAIL_PUT,
	TRAIL_SWEEP,
	TRAIL_ANY,
	TRAFFIC_ADD,
	TRAFFIC_SWEEP,
	TRAFFIC,
	COUNT_GET,
	TROUBLE_PUT,
	TROUBLE_DROP,
	TROUBLE_GET,
	TROUBLES,
	GOALS,
	CONTACTS,
	SYNCS,
	REFUSALS,
	BACKLOG,
	ROWS_OF,
	ROWS_PARKED,
	ROWS_FAILED,
	LANES_PUSH,
	LANE_PUSH,
	LANES_NEXT,
	ROWS_ALL,
	LINES_ALL,
	ROW_RETRY,
	ROW_DROP,
	FREE_PAGES,
	VACUUM,
	CHECKPOINT,
	STATEMENTS,
};

struct state {
	struct sqlite3 *db;
	struct sqlite3_stmt *statements[STATEMENTS];
	int64_t age, began; /* the spool's age at this moment, us of the monotonic clock */
	bool held;
	int64_t owner; /* this deliverer's number; 0: it is none */
	struct identities *identities;
};

enum sql_use {
	SQL_WRITE,
	SQL_READ,
	SQL_READ_ALONE, /* nobody writes to it meanwhile, and it has no log: nothing is made beside it, not even for
			   locks */
};
int sql_open(struct state *state, const char *path, enum sql_use use);
void sql_close(struct state *state);

/* The statement with its values, ready to be stepped: i int64_t, t struct span as text, s char * (or NULL), b an
 * identity, v struct span as a blob. What is pointed to stays as it is until the statement is reset. NULL with errno.
 */
struct sqlite3_stmt *sql_bind(struct state *state, enum sql which, const char *types, ...);

/* All of these take what sql_bind returns, NULL too.
 *
 * 1: a row; 0: no more, and the statement is reset; -1 with errno, reset too. */
int sql_step(struct state *state, struct sqlite3_stmt *statement);
/* Ends a statement before its last row; errno stays. */
void sql_reset(struct sqlite3_stmt *statement);
/* For statements without rows, and those whose rows do not matter. */
int sql_run(struct state *state, struct sqlite3_stmt *statement);
/* Whether it has a row: 1, 0 or -1. */
int sql_ask(struct state *state, struct sqlite3_stmt *statement);
/* The first column of its first row; 1, 0 (no row) or -1. */
int sql_number(struct state *state, struct sqlite3_stmt *statement, int64_t *number);
/* Calls back for each row. -1 from it ends the walk. */
typedef int sql_take(struct sqlite3_stmt *row, void *arg);
int sql_walk(struct state *state, struct sqlite3_stmt *statement, sql_take *take, void *arg);

int sql_execute(struct state *state, const char *text);
/* STATE_UNSOUND: what is there already, or is not there, belongs to no database of this version. */
int sql_execute_schema(struct state *state, const char *text);

/* Columns of a row, valid until the next step. */
int64_t sql_int(struct sqlite3_stmt *row, int column);
const char *sql_text(struct sqlite3_stmt *row, int column);
struct span sql_span(struct sqlite3_stmt *row, int column);
struct span sql_blob(struct sqlite3_stmt *row, int column);
/* The name of a segment or of a file of the archive, copied. -1 with errno STATE_UNSOUND: it names nothing in a folder,
 * and no deliverer has written it. */
int sql_segment(struct sqlite3_stmt *row, int column, char name[SEGMENT_NAME_SIZE]);

/* Rows that the last statement changed; rows changed by all of them; the number of the row that was put last. */
int sql_changes(const struct state *state);
uint64_t sql_all_changes(const struct state *state);
int64_t sql_last_id(const struct state *state);
/* Whether a transaction is open. */
bool sql_is_open(const struct state *state);
/* Whether the database's name is another file's by now, or nobody's. */
bool sql_is_moved(const struct state *state);

#endif
