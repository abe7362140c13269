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

static const char *const db_texts[DB_STATEMENTS] = {
	[DB_SCHEMA_GET] = "PRAGMA user_version",
	[DB_BEGIN] = "BEGIN IMMEDIATE",
	[DB_READ] = "BEGIN DEFERRED",
	[DB_COMMIT] = "COMMIT",
	[DB_ROLLBACK] = "ROLLBACK",
	[DB_AGE_GET] = "SELECT age, at FROM age",
	[DB_AGE_PUT] =
		"INSERT INTO age VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET age = excluded.age, at = excluded.at",
	[DB_OWNER_PUT] = "INSERT OR REPLACE INTO owner VALUES (1, ?)",
	[DB_OWNER_IS] = "SELECT 1 FROM owner WHERE number = ?",
	[DB_CURSORS] = "SELECT name, cursor FROM segment",
	[DB_CURSOR_UPDATE] = "UPDATE segment SET cursor = ?2 WHERE name = ?1",
	[DB_CURSOR_INSERT] = "INSERT INTO segment (name, cursor) VALUES (?, ?)",
	[DB_CURSOR_ID] = "SELECT id FROM segment WHERE name = ?",
	[DB_CURSOR_DROP] = "DELETE FROM segment WHERE name = ?",
	[DB_PINNED] = "SELECT 1 FROM segment JOIN delivery ON delivery.segment = segment.id WHERE name = ? LIMIT 1",
	[DB_PIN_NEXT] = "SELECT id, name FROM segment WHERE id > ? AND EXISTS"
			" (SELECT 1 FROM delivery INDEXED BY delivery_segment WHERE delivery.segment = segment.id)"
			" ORDER BY id LIMIT 1",
	[DB_PLACES] = "SELECT id, offset, length FROM delivery INDEXED BY delivery_segment"
		      " WHERE segment = ? AND id > ? ORDER BY id LIMIT ?",
	[DB_WAITERS] = "SELECT id, event FROM delivery INDEXED BY delivery_segment"
		       " WHERE segment = ? AND id > ? ORDER BY id LIMIT ?",
	[DB_PLACE_MOVE] = "UPDATE delivery SET segment = ?2, offset = ?3, length = ?4 WHERE id = ?1",
	[DB_DATA_VERSION] = "PRAGMA data_version",
	[DB_RECENT_ALL] = "SELECT id, oldest, newest, ids FROM recent ORDER BY id",
	[DB_RECENT_PUT] = "INSERT OR REPLACE INTO recent VALUES (?, ?, ?, ?)",
	[DB_RECENT_OLD] = "SELECT ids, oldest, newest FROM recent WHERE newest < ? ORDER BY id",
	[DB_RECENT_SWEEP] = "DELETE FROM recent WHERE newest < ?",
	[DB_RECENT_CLEAR] = "DELETE FROM recent",
	[DB_RUNS] = "SELECT id, slice, level, count, oldest, newest FROM run ORDER BY id",
	[DB_RUN_ADD] = "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?)",
	[DB_RUN_DROP] = "DELETE FROM run WHERE id = ?",
	[DB_PART_ADD] = "INSERT INTO part VALUES (?, ?)",
	[DB_PART_AT] = "SELECT ids FROM part WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT 1",
	[DB_PARTS] = "SELECT ids FROM part WHERE id BETWEEN ? AND ? ORDER BY id",
	[DB_PARTS_DROP] = "DELETE FROM part WHERE id BETWEEN ? AND ?",
	[DB_FILE_GET] = "SELECT length, mark, era, standing, others_at FROM outfile WHERE path = ?",
	[DB_FILE_PUT] = "INSERT OR REPLACE INTO outfile VALUES (?, ?, ?, ?, ?, ?, ?)",
	[DB_FILES_OF_OTHERS] =
		"SELECT path, others_at FROM outfile WHERE others_at > 0 ORDER BY others_at DESC LIMIT ?",
	[DB_FILES_SWEEP] = "DELETE FROM outfile WHERE age < iif(era = ?, ?, ?)",
	[DB_STANDING_PUT] = "INSERT OR REPLACE INTO standing VALUES (?, ?, ?, ?)",
	[DB_STANDING_DROP] = "DELETE FROM standing WHERE path = ? AND event = ?",
	[DB_STANDING] = "SELECT event, records, unknown FROM standing WHERE path = ?",
	[DB_STANDING_SWEEP] = "DELETE FROM standing WHERE path NOT IN (SELECT path FROM outfile)",
	[DB_TARGET_ID] = "SELECT id FROM target WHERE name = ?",
	[DB_TARGET_INSERT] = "INSERT INTO target (name) VALUES (?)",
	[DB_TARGET_DONE] = "UPDATE target SET done = done + ?2, failed = failed + ?3, parked = parked + ?4,"
			   " done_at = CASE WHEN ?2 > 0 THEN ?5 ELSE done_at END WHERE id = ?1",
	[DB_TARGET_ERROR] = "UPDATE target SET error = ?2, error_at = ?3 WHERE id = ?1",
	[DB_DELIVERY_ADD] =
		"INSERT INTO delivery (target, lane, segment, offset, length, event, records, attempts, first_age)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[DB_LANE_ADD] = "INSERT OR IGNORE INTO lane VALUES (?, ?, ?)",
	[DB_PENDING_COUNT] = "SELECT count(*) FROM delivery INDEXED BY delivery_head WHERE parked_at IS NULL",
	[DB_WAITING] = "SELECT 1 FROM lane WHERE target = ? LIMIT 1",
	[DB_LANE_WAITING] = "SELECT 1 FROM lane WHERE target = ? AND lane = ?",
	[DB_LANES] = "SELECT lane, next_age FROM lane WHERE target = ? AND next_age >= ? ORDER BY next_age LIMIT ?",
	[DB_LANE_HEAD] = "SELECT delivery.id, segment.name, offset, length, event, records, attempts, first_age"
			 " FROM delivery INDEXED BY delivery_head CROSS JOIN segment ON segment.id = delivery.segment"
			 " WHERE target = ? AND lane = ? AND parked_at IS NULL ORDER BY delivery.id LIMIT ?",
	[DB_DELIVERY_DONE] = "DELETE FROM delivery WHERE id = ?",
	[DB_DELIVERY_FAILED] = "UPDATE delivery SET attempts = ?2, first_age = ?3, why = ?4 WHERE id = ?1",
	[DB_DELIVERY_PARK] =
		"UPDATE delivery SET attempts = ?2, first_age = ?3, why = ?4, parked_at = ?5 WHERE id = ?1",
	[DB_LANE_IS_EMPTY] = "SELECT NOT EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_head"
			     " WHERE target = ? AND lane = ? AND parked_at IS NULL)",
	[DB_LANE_SET] = "INSERT OR REPLACE INTO lane VALUES (?, ?, ?)",
	[DB_LANE_DROP] = "DELETE FROM lane WHERE target = ? AND lane = ?",
	[DB_ARCHIVE_PUT] = "INSERT OR REPLACE INTO archive VALUES (?, ?, ?)",
	[DB_ARCHIVE_LENGTH] = "SELECT length FROM archive WHERE name = ?",
	[DB_ARCHIVE_DROP] = "DELETE FROM archive WHERE name = ?",
	[DB_ARCHIVE_IS_OLD] = "SELECT 1 FROM archive WHERE name = ? AND age < ?",
	[DB_ARCHIVE_OLD] = "SELECT name FROM archive WHERE age < ? AND NOT EXISTS"
			   " (SELECT 1 FROM segment JOIN delivery ON delivery.segment = segment.id"
			   " WHERE segment.name = archive.name) ORDER BY age LIMIT ?",
	[DB_COUNT_ADD] =
		"INSERT INTO count VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
	[DB_CONNECTION_PUT] = "INSERT INTO connection VALUES (?, ?, ?, ?) ON CONFLICT (endpoint, connection)"
			      " DO UPDATE SET events = events + excluded.events, last_at = excluded.last_at",
	[DB_SYNC_ADD] = "INSERT INTO sync VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
			" ON CONFLICT (endpoint, connection, object_type) DO UPDATE SET"
			" pages = excluded.pages + iif(webhook = excluded.webhook, pages, 0),"
			" records = excluded.records + iif(webhook = excluded.webhook, records, 0),"
			" begun_at = iif(webhook = excluded.webhook, begun_at, excluded.begun_at),"
			" complete = max(excluded.complete, iif(webhook = excluded.webhook, complete, 0)),"
			" last_at = excluded.last_at, webhook = excluded.webhook",
	[DB_REFUSAL_ADD] = "INSERT INTO refusal SELECT ?1, iif(EXISTS (SELECT 1 FROM connection WHERE endpoint = ?1"
			   " AND connection = ?2), ?2, ''), ?3, ?4, ?5, ?6 WHERE true"
			   " ON CONFLICT (endpoint, connection, reason) DO UPDATE SET count = count + excluded.count,"
			   " status = excluded.status, last_at = max(last_at, excluded.last_at)",
	[DB_CONF_PUT] = "INSERT OR REPLACE INTO conf VALUES (?, ?, ?)",
	[DB_CONFS] = "SELECT by, why, at FROM conf ORDER BY by",
	[DB_TRAIL_GET] = "SELECT offset FROM trail WHERE mark = ?",
	[DB_TRAIL_PUT] = "INSERT INTO trail (mark, offset) VALUES (?, ?)"
			 " ON CONFLICT (mark) DO UPDATE SET offset = excluded.offset",
	[DB_TRAIL_SWEEP] = "DELETE FROM trail WHERE id <= (SELECT max(id) FROM trail) - ?",
	[DB_TRAIL_ANY] = "SELECT 1 FROM trail LIMIT 1",
	[DB_TRAFFIC_ADD] = "INSERT INTO traffic VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (at) DO UPDATE SET"
			   " events = events + excluded.events, records = records + excluded.records,"
			   " refused = refused + excluded.refused, done = done + excluded.done,"
			   " failed = failed + excluded.failed",
	[DB_TRAFFIC_SWEEP] = "DELETE FROM traffic WHERE at < ?",
	[DB_TRAFFIC] = "SELECT at, events, records, refused, done, failed FROM traffic WHERE at >= ? ORDER BY at",
	[DB_COUNT_GET] = "SELECT value FROM count WHERE name = ?",
	[DB_TROUBLE_PUT] = "INSERT INTO trouble VALUES (?, ?, ?) ON CONFLICT (what) DO UPDATE SET why = excluded.why",
	[DB_TROUBLE_DROP] = "DELETE FROM trouble WHERE what = ?",
	[DB_TROUBLE_GET] = "SELECT 1 FROM trouble WHERE what = ?",
	[DB_TROUBLES] = "SELECT what, why, at FROM trouble ORDER BY at",
	[DB_GOALS] = "SELECT id, name, done, failed, parked, done_at, error, error_at FROM target",
	[DB_CONTACTS] = "SELECT endpoint, connection, events, last_at FROM connection",
	[DB_SYNCS] =
		"SELECT endpoint, connection, object_type, webhook, pages, records, begun_at, last_at, complete FROM "
		"sync",
	[DB_REFUSALS] = "SELECT endpoint, connection, reason, status, count, last_at FROM refusal",
	[DB_BACKLOG] = ROW_COLUMNS ", n FROM"
				   " (SELECT min(id) AS first, count(*) AS n FROM delivery INDEXED BY delivery_head"
				   " WHERE parked_at IS NULL GROUP BY target, lane"
				   " UNION ALL SELECT min(id), count(*) FROM delivery"
				   " WHERE parked_at IS NOT NULL GROUP BY target, lane)"
				   " JOIN delivery ON delivery.id = first" ROW_JOINS,
	[DB_ROWS_OF] = ROW_COLUMNS ", 1 FROM delivery" ROW_JOINS " WHERE event = ? ORDER BY delivery.id",
	[DB_ROWS_PARKED] = ROW_COLUMNS ", 1 FROM delivery INDEXED BY delivery_parked" ROW_JOINS
				       " WHERE parked_at IS NOT NULL ORDER BY parked_at, delivery.id LIMIT ?",
	[DB_ROWS_FAILED] = ROW_COLUMNS ", 1 FROM delivery" ROW_JOINS
				       " WHERE delivery.id > ? AND (parked_at IS NOT NULL OR attempts > 0)"
				       " ORDER BY delivery.id LIMIT ?",
	[DB_LANES_PUSH] = "UPDATE lane SET next_age = 0 WHERE next_age > ?",
	[DB_LANE_PUSH] = "UPDATE lane SET next_age = 0 WHERE target = ? AND lane = ? AND next_age > ?",
	[DB_LANES_NEXT] = "SELECT next_age FROM lane ORDER BY next_age LIMIT 1",
	[DB_ROWS_ALL] = "SELECT id, event, target, parked_at FROM delivery",
	[DB_LINES_ALL] = "SELECT event, target, parked_at, segment.name, offset, length"
			 " FROM delivery JOIN segment ON segment.id = delivery.segment",
	[DB_ROW_RETRY] = "UPDATE delivery SET parked_at = NULL, attempts = 0, first_age = 0"
			 " WHERE id = ? AND parked_at IS NOT NULL",
	[DB_ROW_DROP] = "DELETE FROM delivery WHERE id = ?",
	[DB_FREE_PAGES] = "PRAGMA freelist_count",
	[DB_VACUUM] = "PRAGMA incremental_vacuum(" VACUUM_PAGES ")",
	[DB_CHECKPOINT] = "PRAGMA wal_checkpoint(TRUNCATE)",
};

/* What the file system has said, as far as it is nothing that has a meaning of its own here. */
static int system_error(struct sqlite3 *handle)
{
	static const int told[] = {ENOSPC, EDQUOT, EROFS, EACCES, EMFILE, ENFILE, EFBIG};
	int error = sqlite3_system_errno(handle);
	for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
		if (error == told[i])
			return error;
	return EIO;
}

/* Makes errno of what SQLite says. */
static int fail(struct sqlite3 *handle)
{
	switch (sqlite3_errcode(handle) & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_CONSTRAINT: /* rows that no version of this program leaves */
		errno = STATE_CORRUPT;
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
		errno = system_error(handle);
	}
	return -1;
}

static const int flags_of[] = {
	[DB_OPEN_WRITE] = SQLITE_OPEN_READWRITE,
	[DB_OPEN_READ] = SQLITE_OPEN_READONLY,
	[DB_OPEN_ALONE] = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
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

int db_open(struct db *db, const char *path, enum db_use use)
{
	struct buf uri = {0};
	if (use == DB_OPEN_ALONE && (make_uri(path, &uri) < 0 || buf_cstr(&uri) == NULL)) {
		buf_fini(&uri);
		return -1;
	}
	int code = sqlite3_open_v2(use == DB_OPEN_ALONE ? uri.data : path, &db->handle,
				   flags_of[use] | SQLITE_OPEN_NOMUTEX, NULL);
	buf_fini(&uri);
	if (code != SQLITE_OK)
		return db->handle == NULL ? (errno = ENOMEM, -1) : fail(db->handle);
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	sqlite3_extended_result_codes(db->handle, 1);
	return 0;
}

void db_close(struct db *db)
{
	for (size_t i = 0; i < DB_STATEMENTS; i++) {
		sqlite3_finalize(db->statements[i]);
		db->statements[i] = NULL;
	}
	sqlite3_close(db->handle);
	db->handle = NULL;
}

struct sqlite3_stmt *db_bind(struct db *db, enum db_sql which, const char *types, ...)
{
	struct sqlite3_stmt **statement = &db->statements[which];
	if (*statement == NULL && sqlite3_prepare_v3(db->handle, db_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
						     statement, NULL) != SQLITE_OK) {
		fail(db->handle);
		/* A table is missing, or is not ours. */
		if (sqlite3_errcode(db->handle) == SQLITE_ERROR)
			errno = STATE_CORRUPT;
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

int db_step(struct sqlite3_stmt *statement)
{
	if (statement == NULL)
		return -1;
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		return 1;
	int result = code == SQLITE_DONE ? 0 : fail(sqlite3_db_handle(statement));
	sqlite3_reset(statement);
	return result;
}

int db_run(struct sqlite3_stmt *statement)
{
	int result = db_step(statement);
	if (result == 1)
		sqlite3_reset(statement);
	return result < 0 ? -1 : 0;
}

int db_ask(struct sqlite3_stmt *statement)
{
	int result = db_step(statement);
	if (result == 1)
		sqlite3_reset(statement);
	return result;
}

int db_number(struct sqlite3_stmt *statement, int64_t *number)
{
	int result = db_step(statement);
	if (result == 1) {
		*number = db_int(statement, 0);
		sqlite3_reset(statement);
	}
	return result;
}

int db_execute(struct db *db, const char *text)
{
	return sqlite3_exec(db->handle, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db->handle);
}

int db_execute_schema(struct db *db, const char *text)
{
	if (db_execute(db, text) == 0)
		return 0;
	if (sqlite3_errcode(db->handle) == SQLITE_ERROR)
		errno = STATE_CORRUPT;
	return -1;
}

void db_reset(struct sqlite3_stmt *statement)
{
	int saved = errno;
	sqlite3_reset(statement);
	errno = saved;
}

int db_stop(struct sqlite3_stmt *statement)
{
	db_reset(statement);
	return -1;
}

int64_t db_int(struct sqlite3_stmt *row, int column)
{
	return sqlite3_column_int64(row, column);
}

const char *db_text(struct sqlite3_stmt *row, int column)
{
	return (const char *)sqlite3_column_text(row, column);
}

struct span db_span(struct sqlite3_stmt *row, int column)
{
	const char *text = db_text(row, column);
	return (struct span){text, text == NULL ? 0 : (size_t)sqlite3_column_bytes(row, column)};
}

int db_segment(struct sqlite3_stmt *row, int column, char name[SEGMENT_NAME_SIZE])
{
	struct span text = db_span(row, column);
	if (text.len == 0 || text.len >= SEGMENT_NAME_SIZE || text.ptr[0] == '.' ||
	    memchr(text.ptr, '/', text.len) != NULL || memchr(text.ptr, '\0', text.len) != NULL) {
		errno = STATE_CORRUPT;
		return -1;
	}
	memcpy(name, text.ptr, text.len);
	name[text.len] = '\0';
	return 0;
}

struct span db_blob(struct sqlite3_stmt *row, int column)
{
	const char *bytes = sqlite3_column_blob(row, column);
	return (struct span){bytes, (size_t)sqlite3_column_bytes(row, column)};
}

int db_changes(const struct db *db)
{
	return sqlite3_changes(db->handle);
}

uint64_t db_all_changes(const struct db *db)
{
	return (uint64_t)sqlite3_total_changes64(db->handle);
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

bool db_is_open(const struct db *db)
{
	return !sqlite3_get_autocommit(db->handle);
}

bool db_is_moved(const struct db *db)
{
	int moved = 0;
	return sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0;
}

int db_walk(struct sqlite3_stmt *statement, db_take *take, void *arg)
{
	int result;
	while ((result = db_step(statement)) == 1)
		if (take(statement, arg) < 0)
			return db_stop(statement);
	return result;
}
