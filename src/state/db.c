#include "config.h"

#include "state/db.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>

#define BUSY_MS      10000
#define VACUUM_PAGES "512"

#define ROW_COLUMNS                                                                                                    \
	"SELECT delivery.id, segment.name, offset, length, event, records, attempts, first_age, delivery.target,"      \
	" delivery.lane, target.name, why, parked_at, next_age"
#define ROW_JOINS                                                                                                      \
	" JOIN segment ON segment.id = delivery.segment JOIN target ON target.id = delivery.target"                    \
	" LEFT JOIN lane ON lane.target = delivery.target AND lane.lane = delivery.lane"

static const char *const sql_texts[STATEMENTS] = {
	[SCHEMA_GET] = "PRAGMA user_version",
	[BEGIN] = "BEGIN IMMEDIATE",
	[HOLD] = "BEGIN DEFERRED",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[AGE_GET] = "SELECT age, at FROM age",
	[AGE_PUT] =
		"INSERT INTO age VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET age = excluded.age, at = excluded.at",
	[OWNER_PUT] = "INSERT OR REPLACE INTO owner VALUES (1, ?)",
	[OWNER_IS] = "SELECT 1 FROM owner WHERE number = ?",
	[CURSORS] = "SELECT name, cursor FROM segment",
	[CURSOR_UPDATE] = "UPDATE segment SET cursor = ?2 WHERE name = ?1",
	[CURSOR_INSERT] = "INSERT INTO segment (name, cursor) VALUES (?, ?)",
	[CURSOR_ID] = "SELECT id FROM segment WHERE name = ?",
	[CURSOR_DROP] = "DELETE FROM segment WHERE name = ?",
	[PINNED] = "SELECT 1 FROM segment JOIN delivery ON delivery.segment = segment.id WHERE name = ? LIMIT 1",
	[PIN_NEXT] = "SELECT id, name FROM segment WHERE id > ? AND EXISTS"
		     " (SELECT 1 FROM delivery INDEXED BY delivery_segment WHERE delivery.segment = segment.id)"
		     " ORDER BY id LIMIT 1",
	[PLACES] = "SELECT id, offset, length FROM delivery INDEXED BY delivery_segment"
		   " WHERE segment = ? AND id > ? ORDER BY id LIMIT ?",
	[WAITERS] = "SELECT id, event FROM delivery INDEXED BY delivery_segment"
		    " WHERE segment = ? AND id > ? ORDER BY id LIMIT ?",
	[PLACE_MOVE] = "UPDATE delivery SET segment = ?2, offset = ?3, length = ?4 WHERE id = ?1",
	[DATA_VERSION] = "PRAGMA data_version",
	[RECENT_ALL] = "SELECT id, oldest, newest, ids FROM recent ORDER BY id",
	[RECENT_PUT] = "INSERT OR REPLACE INTO recent VALUES (?, ?, ?, ?)",
	[RECENT_OLD] = "SELECT ids, oldest, newest FROM recent WHERE newest < ? ORDER BY id",
	[RECENT_SWEEP] = "DELETE FROM recent WHERE newest < ?",
	[RECENT_CLEAR] = "DELETE FROM recent",
	[RUNS] = "SELECT id, slice, level, count, oldest, newest FROM run ORDER BY id",
	[RUN_ADD] = "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?)",
	[RUN_DROP] = "DELETE FROM run WHERE id = ?",
	[PART_ADD] = "INSERT INTO part VALUES (?, ?)",
	[PART_AT] = "SELECT ids FROM part WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
	[PARTS] = "SELECT ids FROM part WHERE id BETWEEN ? AND ? ORDER BY id",
	[PARTS_DROP] = "DELETE FROM part WHERE id BETWEEN ? AND ?",
	[FILE_GET] = "SELECT length, mark, era, standing, others_at FROM outfile WHERE path = ?",
	[FILE_PUT] = "INSERT OR REPLACE INTO outfile VALUES (?, ?, ?, ?, ?, ?, ?)",
	[FILES_OF_OTHERS] = "SELECT path, others_at FROM outfile WHERE others_at > 0 ORDER BY others_at DESC LIMIT ?",
	[FILES_SWEEP] = "DELETE FROM outfile WHERE age < iif(era = ?, ?, ?)",
	[STANDING_PUT] = "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?)",
	[STANDING_DROP] = "DELETE FROM standing WHERE path = ? AND event = ?",
	[STANDING] = "SELECT event, records, unknown FROM standing WHERE path = ?",
	[STANDING_SWEEP] = "DELETE FROM standing WHERE path NOT IN (SELECT path FROM outfile)",
	[TARGET_ID] = "SELECT id FROM target WHERE name = ?",
	[TARGET_INSERT] = "INSERT INTO target (name) VALUES (?)",
	[TARGET_DONE] = "UPDATE target SET done = done + ?2, failed = failed + ?3, parked = parked + ?4,"
			" done_at = CASE WHEN ?2 > 0 THEN ?5 ELSE done_at END WHERE id = ?1",
	[TARGET_ERROR] = "UPDATE target SET error = ?2, error_at = ?3 WHERE id = ?1",
	[DELIVERY_ADD] =
		"INSERT INTO delivery (target, lane, segment, offset, length, event, records, attempts, first_age)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[LANE_ADD] = "INSERT OR IGNORE INTO lane VALUES (?, ?, ?)",
	[PENDING_COUNT] = "SELECT count(*) FROM delivery INDEXED BY delivery_head WHERE parked_at IS NULL",
	[WAITING] = "SELECT 1 FROM lane WHERE target = ? LIMIT 1",
	[LANE_WAITING] = "SELECT 1 FROM lane WHERE target = ? AND lane = ?",
	[LANES] = "SELECT lane, next_age FROM lane WHERE target = ? AND next_age >= ? ORDER BY next_age LIMIT ?",
	[LANE_HEAD] = "SELECT delivery.id, segment.name, offset, length, event, records, attempts, first_age"
		      " FROM delivery INDEXED BY delivery_head CROSS JOIN segment ON segment.id = delivery.segment"
		      " WHERE target = ? AND lane = ? AND parked_at IS NULL ORDER BY delivery.id LIMIT ?",
	[DELIVERY_DONE] = "DELETE FROM delivery WHERE id = ?",
	[DELIVERY_FAILED] = "UPDATE delivery SET attempts = ?2, first_age = ?3, why = ?4 WHERE id = ?1",
	[DELIVERY_PARK] = "UPDATE delivery SET attempts = ?2, first_age = ?3, why = ?4, parked_at = ?5 WHERE id = ?1",
	[LANE_IS_EMPTY] = "SELECT NOT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_head"
			  " WHERE target = ? AND lane = ? AND parked_at IS NULL)",
	[LANE_SET] = "INSERT OR REPLACE INTO lane VALUES (?, ?, ?)",
	[LANE_DROP] = "DELETE FROM lane WHERE target = ? AND lane = ?",
	[ARCHIVE_PUT] = "INSERT OR REPLACE INTO archive VALUES (?, ?, ?)",
	[ARCHIVE_LENGTH] = "SELECT length FROM archive WHERE name = ?",
	[ARCHIVE_DROP] = "DELETE FROM archive WHERE name = ?",
	[ARCHIVE_IS_OLD] = "SELECT 1 FROM archive WHERE name = ? AND age < ?",
	[ARCHIVE_OLD] = "SELECT name FROM archive WHERE age < ? AND NOT EXISTS"
			" (SELECT 1 FROM segment JOIN delivery ON delivery.segment = segment.id"
			" WHERE segment.name = archive.name) ORDER BY age LIMIT ?",
	[COUNT_ADD] = "INSERT INTO count VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
	[CONNECTION_PUT] = "INSERT INTO connection VALUES (?, ?, ?, ?) ON CONFLICT (endpoint, connection)"
			   " DO UPDATE SET events = events + excluded.events, last_at = excluded.last_at",
	[SYNC_ADD] = "INSERT INTO sync VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
		     " ON CONFLICT (endpoint, connection, object_type) DO UPDATE SET"
		     " pages = excluded.pages + iif(webhook = excluded.webhook, pages, 0),"
		     " records = excluded.records + iif(webhook = excluded.webhook, records, 0),"
		     " begun_at = iif(webhook = excluded.webhook, begun_at, excluded.begun_at),"
		     " complete = max(excluded.complete, iif(webhook = excluded.webhook, complete, 0)),"
		     " last_at = excluded.last_at, webhook = excluded.webhook",
	[REFUSAL_ADD] = "INSERT INTO refusal SELECT ?1, iif(EXISTS (SELECT 1 FROM connection WHERE endpoint = ?1"
			" AND connection = ?2), ?2, ''), ?3, ?4, ?5, ?6 WHERE true"
			" ON CONFLICT (endpoint, connection, reason) DO UPDATE SET count = count + excluded.count,"
			" status = excluded.status, last_at = max(last_at, excluded.last_at)",
	[CONF_PUT] = "INSERT OR REPLACE INTO conf VALUES (?, ?, ?)",
	[CONFS] = "SELECT by, why, at FROM conf ORDER BY by",
	[TRAIL_GET] = "SELECT offset FROM trail WHERE mark = ?",
	[TRAIL_PUT] = "INSERT INTO trail (mark, offset) VALUES (?, ?)"
		      " ON CONFLICT (mark) DO UPDATE SET offset = excluded.offset",
	[TRAIL_SWEEP] = "DELETE FROM trail WHERE id <= (SELECT max(id) FROM trail) - ?",
	[TRAIL_ANY] = "SELECT 1 FROM trail LIMIT 1",
	[TRAFFIC_ADD] = "INSERT INTO traffic VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (at) DO UPDATE SET"
			" events = events + excluded.events, records = records + excluded.records,"
			" refused = refused + excluded.refused, done = done + excluded.done,"
			" failed = failed + excluded.failed",
	[TRAFFIC_SWEEP] = "DELETE FROM traffic WHERE at < ?",
	[TRAFFIC] = "SELECT at, events, records, refused, done, failed FROM traffic WHERE at >= ? ORDER BY at",
	[COUNT_GET] = "SELECT value FROM count WHERE name = ?",
	[TROUBLE_PUT] = "INSERT INTO trouble VALUES (?, ?, ?) ON CONFLICT (what) DO UPDATE SET why = excluded.why",
	[TROUBLE_DROP] = "DELETE FROM trouble WHERE what = ?",
	[TROUBLE_GET] = "SELECT 1 FROM trouble WHERE what = ?",
	[TROUBLES] = "SELECT what, why, at FROM trouble ORDER BY at",
	[GOALS] = "SELECT id, name, done, failed, parked, done_at, error, error_at FROM target",
	[CONTACTS] = "SELECT endpoint, connection, events, last_at FROM connection",
	[SYNCS] = "SELECT endpoint, connection, object_type, webhook, pages, records, begun_at, last_at, complete FROM "
		  "sync",
	[REFUSALS] = "SELECT endpoint, connection, reason, status, count, last_at FROM refusal",
	[BACKLOG] = ROW_COLUMNS ", n FROM"
				" (SELECT min(id) AS first, count(*) AS n FROM delivery INDEXED BY delivery_head"
				" WHERE parked_at IS NULL GROUP BY target, lane"
				" UNION ALL SELECT min(id), count(*) FROM delivery"
				" WHERE parked_at IS NOT NULL GROUP BY target, lane)"
				" JOIN delivery ON delivery.id = first" ROW_JOINS,
	[ROWS_OF] = ROW_COLUMNS ", 1 FROM delivery" ROW_JOINS " WHERE event = ? ORDER BY delivery.id",
	[ROWS_PARKED] = ROW_COLUMNS ", 1 FROM delivery INDEXED BY delivery_parked" ROW_JOINS
				    " WHERE parked_at IS NOT NULL ORDER BY parked_at, delivery.id LIMIT ?",
	[ROWS_FAILED] = ROW_COLUMNS ", 1 FROM delivery" ROW_JOINS
				    " WHERE delivery.id > ? AND (parked_at IS NOT NULL OR attempts > 0)"
				    " ORDER BY delivery.id LIMIT ?",
	[LANES_PUSH] = "UPDATE lane SET next_age = 0 WHERE next_age > ?",
	[LANE_PUSH] = "UPDATE lane SET next_age = 0 WHERE target = ? AND lane = ? AND next_age > ?",
	[LANES_NEXT] = "SELECT next_age FROM lane ORDER BY next_age LIMIT 1",
	[ROWS_ALL] = "SELECT id, event, target, parked_at FROM delivery",
	[LINES_ALL] = "SELECT event, target, parked_at, segment.name, offset, length"
		      " FROM delivery JOIN segment ON segment.id = delivery.segment",
	[ROW_RETRY] = "UPDATE delivery SET parked_at = NULL, attempts = 0, first_age = 0"
		      " WHERE id = ? AND parked_at IS NOT NULL",
	[ROW_DROP] = "DELETE FROM delivery WHERE id = ?",
	[FREE_PAGES] = "PRAGMA freelist_count",
	[VACUUM] = "PRAGMA incremental_vacuum(" VACUUM_PAGES ")",
	[CHECKPOINT] = "PRAGMA wal_checkpoint(TRUNCATE)",
};

/* What the file system has said, as far as it is nothing that has a meaning of its own here. */
static int system_error(const struct state *state)
{
	static const int told[] = {ENOSPC, EDQUOT, EROFS, EACCES, EMFILE, ENFILE, EFBIG};
	int error = sqlite3_system_errno(state->db);
	for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
		if (error == told[i])
			return error;
	return EIO;
}

/* Makes errno of what SQLite says. */
static int sql_fail(const struct state *state)
{
	switch (sqlite3_errcode(state->db) & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT: /* rows that no version of this program leaves */
		errno = STATE_UNSOUND;
		break;
	case SQLITE_FULL:
		errno = ENOSPC;
		break;
	case SQLITE_NOMEM:
		errno = ENOMEM;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		errno = EAGAIN;
		break;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		errno = EACCES;
		break;
	default:
		errno = system_error(state);
	}
	return -1;
}

static const int flags_of[] = {
	[SQL_WRITE] = SQLITE_OPEN_READWRITE,
	[SQL_READ] = SQLITE_OPEN_READONLY,
	[SQL_READ_ALONE] = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
};

/* A path as a URI: all that means something in one is encoded. */
static int make_uri(const char *path, struct buf *uri)
{
	if (buf_str(uri, "file:") < 0)
		return -1;
	for (const char *s = path; *s != '\0'; s++)
		if ((strchr("?#%", *s) != NULL ? buf_printf(uri, "%%%02X", (unsigned char)*s) : buf_char(uri, *s)) < 0)
			return -1;
	return buf_str(uri, "?immutable=1");
}

int sql_open(struct state *state, const char *path, enum sql_use use)
{
	struct buf uri = {0};
	if (use == SQL_READ_ALONE && (make_uri(path, &uri) < 0 || buf_cstr(&uri) == NULL)) {
		buf_fini(&uri);
		return -1;
	}
	int code = sqlite3_open_v2(use == SQL_READ_ALONE ? uri.data : path, &state->db,
				   flags_of[use] | SQLITE_OPEN_NOMUTEX, NULL);
	buf_fini(&uri);
	if (code != SQLITE_OK)
		return state->db == NULL ? (errno = ENOMEM, -1) : sql_fail(state);
	sqlite3_busy_timeout(state->db, BUSY_MS);
	sqlite3_extended_result_codes(state->db, 1);
	return 0;
}

void sql_close(struct state *state)
{
	for (size_t i = 0; i < STATEMENTS; i++) {
		sqlite3_finalize(state->statements[i]);
		state->statements[i] = NULL;
	}
	sqlite3_close(state->db);
	state->db = NULL;
}

struct sqlite3_stmt *sql_bind(struct state *state, enum sql which, const char *types, ...)
{
	struct sqlite3_stmt **statement = &state->statements[which];
	if (*statement == NULL && sqlite3_prepare_v3(state->db, sql_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
						     statement, NULL) != SQLITE_OK) {
		sql_fail(state);
		/* A table is missing, or is not ours. */
		if (sqlite3_errcode(state->db) == SQLITE_ERROR)
			errno = STATE_UNSOUND;
		return NULL;
	}
	va_list args;
	va_start(args, types);
	for (int i = 1; types[i - 1] != '\0'; i++) {
		struct span text;
		switch (types[i - 1]) {
		case 'i':
			sqlite3_bind_int64(*statement, i, va_arg(args, int64_t));
			break;
		case 't':
			text = va_arg(args, struct span);
			sqlite3_bind_text(*statement, i, text.ptr, (int)text.len, SQLITE_STATIC);
			break;
		case 's':
			sqlite3_bind_text(*statement, i, va_arg(args, const char *), -1, SQLITE_STATIC);
			break;
		case 'v':
			text = va_arg(args, struct span);
			sqlite3_bind_blob(*statement, i, text.ptr, (int)text.len, SQLITE_STATIC);
			break;
		case 'b':
			sqlite3_bind_blob(*statement, i, va_arg(args, const uint8_t *), STATE_ID_SIZE, SQLITE_STATIC);
			break;
		}
	}
	va_end(args);
	return *statement;
}

int sql_step(struct state *state, struct sqlite3_stmt *statement)
{
	if (statement == NULL)
		return -1;
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		return 1;
	int result = code == SQLITE_DONE ? 0 : sql_fail(state);
	sqlite3_reset(statement);
	return result;
}

int sql_run(struct state *state, struct sqlite3_stmt *statement)
{
	int result = sql_step(state, statement);
	if (result == 1)
		sqlite3_reset(statement);
	return result < 0 ? -1 : 0;
}

int sql_ask(struct state *state, struct sqlite3_stmt *statement)
{
	int result = sql_step(state, statement);
	if (result == 1)
		sqlite3_reset(statement);
	return result;
}

int sql_number(struct state *state, struct sqlite3_stmt *statement, int64_t *number)
{
	int result = sql_step(state, statement);
	if (result == 1) {
		*number = sql_int(statement, 0);
		sqlite3_reset(statement);
	}
	return result;
}

int sql_execute(struct state *state, const char *text)
{
	return sqlite3_exec(state->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : sql_fail(state);
}

int sql_execute_schema(struct state *state, const char *text)
{
	if (sql_execute(state, text) == 0)
		return 0;
	if (sqlite3_errcode(state->db) == SQLITE_ERROR)
		errno = STATE_UNSOUND;
	return -1;
}

void sql_reset(struct sqlite3_stmt *statement)
{
	int saved = errno;
	sqlite3_reset(statement);
	errno = saved;
}

int64_t sql_int(struct sqlite3_stmt *row, int column)
{
	return sqlite3_column_int64(row, column);
}

const char *sql_text(struct sqlite3_stmt *row, int column)
{
	return (const char *)sqlite3_column_text(row, column);
}

struct span sql_span(struct sqlite3_stmt *row, int column)
{
	const char *text = sql_text(row, column);
	return (struct span){text, text == NULL ? 0 : (size_t)sqlite3_column_bytes(row, column)};
}

int sql_segment(struct sqlite3_stmt *row, int column, char name[SEGMENT_NAME_SIZE])
{
	struct span text = sql_span(row, column);
	if (text.len == 0 || text.len >= SEGMENT_NAME_SIZE || text.ptr[0] == '.' ||
	    memchr(text.ptr, '/', text.len) != NULL || memchr(text.ptr, '\0', text.len) != NULL) {
		errno = STATE_UNSOUND;
		return -1;
	}
	memcpy(name, text.ptr, text.len);
	name[text.len] = '\0';
	return 0;
}

struct span sql_blob(struct sqlite3_stmt *row, int column)
{
	const char *bytes = sqlite3_column_blob(row, column);
	return (struct span){bytes, (size_t)sqlite3_column_bytes(row, column)};
}

int sql_changes(const struct state *state)
{
	return sqlite3_changes(state->db);
}

uint64_t sql_all_changes(const struct state *state)
{
	return (uint64_t)sqlite3_total_changes64(state->db);
}

int64_t sql_last_id(const struct state *state)
{
	return sqlite3_last_insert_rowid(state->db);
}

bool sql_is_open(const struct state *state)
{
	return !sqlite3_get_autocommit(state->db);
}

bool sql_is_moved(const struct state *state)
{
	int moved = 0;
	return sqlite3_file_control(state->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0;
}

int sql_walk(struct state *state, struct sqlite3_stmt *statement, sql_take *take, void *arg)
{
	int result;
	while ((result = sql_step(state, statement)) == 1)
		if (take(statement, arg) < 0) {
			sql_reset(statement);
			return -1;
		}
	return result;
}
