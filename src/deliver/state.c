#include "config.h"

#include "deliver/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"

#define DATABASE       "state.db"
#define SCHEMA_VERSION 3

#define BUSY_MS       10000
#define GAP_BELIEVED  (INT64_C(60) * 86400 * CLOCK_SECOND)
#define READY_BASE    (INT64_MIN / 2)
#define VACUUM_AT     1024 /* free pages that are worth it */
#define VACUUM_PAGES  "512"
#define CHECKPOINT_AT "4096"
#define YOUNG_MAX     (INT64_C(128) << 10)
#define TRAFFIC_KEPT  (INT64_C(2) * 86400 * CLOCK_SECOND)
#define TRAILS_KEPT   8 /* files of the audit trail that are remembered; there are two at a time */

/* The database is made with these, outside of a transaction; auto_vacuum before the first table. */
static const char settings_new[] = "PRAGMA auto_vacuum=INCREMENTAL;"
				   "PRAGMA journal_mode=WAL;";
static const char settings[] = "PRAGMA synchronous=FULL;"
			       "PRAGMA wal_autocheckpoint=" CHECKPOINT_AT ";"
			       "PRAGMA journal_size_limit=33554432;"
			       "PRAGMA cache_size=-32768;"
			       "PRAGMA temp_store=MEMORY;"
			       "PRAGMA foreign_keys=OFF;";

/* Since version 2. */
#define SCHEMA_SINCE_2                                                                                                 \
	"CREATE TABLE traffic (at INTEGER PRIMARY KEY, events INTEGER NOT NULL, records INTEGER NOT NULL,"             \
	" refused INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL);"                                  \
	"PRAGMA user_version=2;"
/* Since version 3. */
#define SCHEMA_SINCE_3                                                                                                 \
	"CREATE TABLE self (one INTEGER PRIMARY KEY CHECK (one = 1), inode INTEGER NOT NULL, born INTEGER NOT NULL);"  \
	"ALTER TABLE archive ADD COLUMN length INTEGER NOT NULL DEFAULT 0;"                                            \
	"CREATE INDEX delivery_parked_lane ON delivery (target, lane, id) WHERE parked_at IS NOT NULL;"                \
	"PRAGMA user_version=3;"

static const char schema[] =
	"CREATE TABLE age (one INTEGER PRIMARY KEY CHECK (one = 1), age INTEGER NOT NULL, at INTEGER NOT NULL);"
	"CREATE TABLE segment (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cursor INTEGER NOT NULL);"
	"CREATE TABLE seen (id BLOB PRIMARY KEY, age INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE young (id BLOB PRIMARY KEY, age INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE file (path TEXT PRIMARY KEY, inode INTEGER NOT NULL, born INTEGER NOT NULL,"
	" length INTEGER NOT NULL, age INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE target (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, done INTEGER NOT NULL DEFAULT 0,"
	" failed INTEGER NOT NULL DEFAULT 0, parked INTEGER NOT NULL DEFAULT 0, done_at INTEGER, error TEXT,"
	" error_at INTEGER);"
	"CREATE TABLE delivery (id INTEGER PRIMARY KEY, target INTEGER NOT NULL, lane INTEGER NOT NULL,"
	" segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, event BLOB NOT NULL,"
	" records INTEGER NOT NULL, attempts INTEGER NOT NULL, first_age INTEGER NOT NULL, parked_at INTEGER,"
	" why TEXT);"
	"CREATE INDEX delivery_head ON delivery (target, lane, id) WHERE parked_at IS NULL;"
	"CREATE INDEX delivery_parked ON delivery (parked_at) WHERE parked_at IS NOT NULL;"
	"CREATE INDEX delivery_segment ON delivery (segment);"
	"CREATE TABLE lane (target INTEGER, lane INTEGER, next_age INTEGER NOT NULL, PRIMARY KEY (target, lane))"
	" WITHOUT ROWID;"
	"CREATE INDEX lane_due ON lane (target, next_age);"
	"CREATE TABLE archive (name TEXT PRIMARY KEY, age INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE count (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE connection (endpoint TEXT, connection TEXT, events INTEGER NOT NULL, last_at INTEGER NOT NULL,"
	" PRIMARY KEY (endpoint, connection)) WITHOUT ROWID;"
	"CREATE TABLE sync (endpoint TEXT, connection TEXT, object_type TEXT, webhook TEXT NOT NULL,"
	" pages INTEGER NOT NULL, records INTEGER NOT NULL, begun_at INTEGER NOT NULL, last_at INTEGER NOT NULL,"
	" complete INTEGER NOT NULL, PRIMARY KEY (endpoint, connection, object_type)) WITHOUT ROWID;"
	"CREATE TABLE refusal (endpoint TEXT, connection TEXT, reason TEXT, status INTEGER NOT NULL,"
	" count INTEGER NOT NULL, last_at INTEGER NOT NULL, PRIMARY KEY (endpoint, connection, reason)) WITHOUT ROWID;"
	"CREATE TABLE trail (id INTEGER PRIMARY KEY, mark INTEGER NOT NULL UNIQUE, offset INTEGER NOT "
	"NULL);" SCHEMA_SINCE_2 SCHEMA_SINCE_3;
static const char *const schema_from[SCHEMA_VERSION] = {
	[1] = "BEGIN IMMEDIATE;" SCHEMA_SINCE_2 SCHEMA_SINCE_3 "COMMIT;",
	[2] = "BEGIN IMMEDIATE;" SCHEMA_SINCE_3 "COMMIT;",
};

enum sql {
	BEGIN,
	HOLD,
	COMMIT,
	ROLLBACK,
	AGE_GET,
	AGE_PUT,
	SELF_GET,
	SELF_PUT,
	CURSORS,
	CURSOR_UPDATE,
	CURSOR_INSERT,
	CURSOR_ID,
	CURSOR_DROP,
	PINNED,
	SEEN,
	YOUNG_ADD,
	YOUNG_COUNT,
	YOUNG_COPY,
	YOUNG_DROP,
	SEEN_RANGE,
	SEEN_DROP,
	FILE_GET,
	FILE_PUT,
	FILES,
	FILES_SWEEP,
	FILES_FORGET,
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
	ARCHIVE_KEEP,
	ARCHIVE_LENGTH,
	ARCHIVE_DROP,
	ARCHIVE_OLD,
	COUNT_ADD,
	CONNECTION_PUT,
	SYNC_ADD,
	REFUSAL_ADD,
	TRAIL_GET,
	TRAIL_PUT,
	TRAIL_SWEEP,
	TRAIL_ANY,
	TRAFFIC_ADD,
	TRAFFIC_SWEEP,
	TRAFFIC,
	COUNT_GET,
	GOALS,
	CONTACTS,
	SYNCS,
	REFUSALS,
	BACKLOG,
	ROWS_OF,
	ROWS_PARKED,
	ROWS_ALL,
	PENDING,
	ROW_RETRY,
	ROW_DROP,
	FREE_PAGES,
	VACUUM,
	CHECKPOINT,
	STATEMENTS,
};

#define ROW_COLUMNS                                                                                                    \
	"SELECT delivery.id, segment.name, offset, length, event, records, attempts, first_age, delivery.target,"      \
	" delivery.lane, target.name, why, parked_at, next_age"
#define ROW_JOINS                                                                                                      \
	" JOIN segment ON segment.id = delivery.segment JOIN target ON target.id = delivery.target"                    \
	" LEFT JOIN lane ON lane.target = delivery.target AND lane.lane = delivery.lane"

static const char *const sql_texts[STATEMENTS] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[HOLD] = "BEGIN DEFERRED",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[AGE_GET] = "SELECT age, at FROM age",
	[AGE_PUT] =
		"INSERT INTO age VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET age = excluded.age, at = excluded.at",
	[SELF_GET] = "SELECT inode = ? AND born = ? FROM self",
	[SELF_PUT] = "INSERT OR REPLACE INTO self VALUES (1, ?, ?)",
	[CURSORS] = "SELECT name, cursor FROM segment",
	[CURSOR_UPDATE] = "UPDATE segment SET cursor = ?2 WHERE name = ?1",
	[CURSOR_INSERT] = "INSERT INTO segment (name, cursor) VALUES (?, ?)",
	[CURSOR_ID] = "SELECT id FROM segment WHERE name = ?",
	[CURSOR_DROP] = "DELETE FROM segment WHERE name = ?",
	[PINNED] = "SELECT 1 FROM segment JOIN delivery ON delivery.segment = segment.id WHERE name = ? LIMIT 1",
	[SEEN] = "SELECT 1 FROM young WHERE id = ?1 UNION ALL SELECT 1 FROM seen WHERE id = ?1 LIMIT 1",
	[YOUNG_ADD] = "INSERT OR IGNORE INTO young VALUES (?, ?)",
	[YOUNG_COUNT] = "SELECT count(*) FROM young",
	[YOUNG_COPY] = "INSERT OR IGNORE INTO seen SELECT id, age FROM young WHERE id BETWEEN ? AND ? ORDER BY id",
	[YOUNG_DROP] = "DELETE FROM young WHERE id BETWEEN ? AND ?",
	[SEEN_RANGE] = "SELECT id, age FROM seen WHERE id >= ? ORDER BY id LIMIT ?",
	[SEEN_DROP] = "DELETE FROM seen WHERE id >= ?1 AND id <= ?2 AND age < ?3",
	[FILE_GET] = "SELECT inode, born, length FROM file WHERE path = ?",
	[FILE_PUT] = "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?)",
	[FILES] = "SELECT path, inode, born, length FROM file",
	[FILES_SWEEP] = "DELETE FROM file WHERE age < ?",
	[FILES_FORGET] = "DELETE FROM file",
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
	[LANES] = "SELECT lane, next_age FROM lane WHERE target = ? ORDER BY next_age LIMIT ?",
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
	[ARCHIVE_KEEP] = "UPDATE archive SET age = ?2 WHERE name = ?1",
	[ARCHIVE_LENGTH] = "SELECT length FROM archive WHERE name = ?",
	[ARCHIVE_DROP] = "DELETE FROM archive WHERE name = ?",
	[ARCHIVE_OLD] = "SELECT name FROM archive WHERE age < ? ORDER BY age LIMIT ?",
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
	[GOALS] = "SELECT id, name, done, failed, parked, done_at, error, error_at FROM target",
	[CONTACTS] = "SELECT endpoint, connection, events, last_at FROM connection",
	[SYNCS] = "SELECT endpoint, connection, object_type, webhook, pages, records, begun_at, last_at, complete FROM "
		  "sync",
	[REFUSALS] = "SELECT endpoint, connection, reason, status, count, last_at FROM refusal",
	[BACKLOG] = ROW_COLUMNS ", n FROM"
				" (SELECT min(id) AS first, count(*) AS n FROM delivery INDEXED BY delivery_head"
				" WHERE parked_at IS NULL GROUP BY target, lane"
				/* By an index of version 3, and more slowly without it. */
				" UNION ALL SELECT min(id), count(*) FROM delivery"
				" WHERE parked_at IS NOT NULL GROUP BY target, lane)"
				" JOIN delivery ON delivery.id = first" ROW_JOINS,
	[ROWS_OF] = ROW_COLUMNS ", 1 FROM delivery" ROW_JOINS " WHERE event = ? ORDER BY delivery.id",
	[ROWS_PARKED] = ROW_COLUMNS ", 1 FROM delivery INDEXED BY delivery_parked" ROW_JOINS
				    " WHERE parked_at IS NOT NULL ORDER BY parked_at, delivery.id LIMIT ?",
	[ROWS_ALL] = "SELECT id, event, target, parked_at FROM delivery",
	[PENDING] = "SELECT event, segment.name FROM delivery JOIN segment ON segment.id = delivery.segment"
		    " WHERE parked_at IS NULL",
	[ROW_RETRY] = "UPDATE delivery SET parked_at = NULL, attempts = 0, first_age = 0"
		      " WHERE id = ? AND parked_at IS NOT NULL",
	[ROW_DROP] = "DELETE FROM delivery WHERE id = ? AND parked_at IS NOT NULL",
	[FREE_PAGES] = "PRAGMA freelist_count",
	[VACUUM] = "PRAGMA incremental_vacuum(" VACUUM_PAGES ")",
	[CHECKPOINT] = "PRAGMA wal_checkpoint(TRUNCATE)",
};

static const char *const count_names[STATE_COUNTS] = {
	[STATE_EVENTS] = "events",   [STATE_RECORDS] = "records", [STATE_DUPLICATES] = "duplicates",
	[STATE_DAMAGED] = "damaged", [STATE_TORN] = "torn",       [STATE_UNTOLD] = "untold",
};

struct state {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	int64_t age, began; /* the spool's age at this moment, us of the monotonic clock */
	int64_t young;      /* rows in that table; -1: to be counted */
	unsigned slice;     /* the first byte of the identities that are moved next */
	uint8_t swept[STATE_ID_SIZE];
	bool held;
};

/* Makes errno of what SQLite says. */
static int fail(const struct state *state)
{
	switch (sqlite3_errcode(state->db) & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		errno = EBADMSG;
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
		errno = EIO;
	}
	return -1;
}

/* The statement with its values, ready to be stepped: i int64_t, t struct span as text, s char * (or NULL), b an
 * identity. NULL with errno. */
static sqlite3_stmt *bind(struct state *state, enum sql which, const char *types, ...)
{
	sqlite3_stmt **statement = &state->statements[which];
	if (*statement == NULL && sqlite3_prepare_v3(state->db, sql_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
						     statement, NULL) != SQLITE_OK) {
		fail(state);
		/* A table is missing, or is not ours. */
		if (sqlite3_errcode(state->db) == SQLITE_ERROR)
			errno = EBADMSG;
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
		case 'b':
			sqlite3_bind_blob(*statement, i, va_arg(args, const uint8_t *), STATE_ID_SIZE, SQLITE_STATIC);
			break;
		}
	}
	va_end(args);
	return *statement;
}

/* 1: a row; 0: no more, and the statement is reset; -1 with errno, reset too. */
static int step(struct state *state, sqlite3_stmt *statement)
{
	if (statement == NULL)
		return -1;
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		return 1;
	int result = code == SQLITE_DONE ? 0 : fail(state);
	sqlite3_reset(statement);
	return result;
}

/* For statements without rows, and those whose rows do not matter. */
static int run(struct state *state, sqlite3_stmt *statement)
{
	int result = step(state, statement);
	if (result == 1)
		sqlite3_reset(statement);
	return result < 0 ? -1 : 0;
}

/* Whether it has a row. */
static int ask(struct state *state, sqlite3_stmt *statement)
{
	int result = step(state, statement);
	if (result == 1)
		sqlite3_reset(statement);
	return result;
}

/* The first column of its first row; 1, 0 (no row) or -1. */
static int ask_number(struct state *state, sqlite3_stmt *statement, int64_t *number)
{
	int result = step(state, statement);
	if (result == 1) {
		*number = sqlite3_column_int64(statement, 0);
		sqlite3_reset(statement);
	}
	return result;
}

static int execute(struct state *state, const char *text)
{
	return sqlite3_exec(state->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(state);
}

/* The wall clock says how long the spool was left alone; a gap that cannot be is not believed. */
static int read_age(struct state *state)
{
	sqlite3_stmt *statement = bind(state, AGE_GET, "");
	int result = step(state, statement);
	state->began = clock_monotonic();
	if (result != 1)
		return result;
	int64_t gap = clock_now() - sqlite3_column_int64(statement, 1);
	state->age = sqlite3_column_int64(statement, 0);
	if (gap > 0 && gap <= GAP_BELIEVED)
		state->age += gap;
	sqlite3_reset(statement);
	return 0;
}

int64_t state_age(const struct state *state)
{
	return state->age + (clock_monotonic() - state->began);
}

int state_keep_age(struct state *state)
{
	return run(state, bind(state, AGE_PUT, "ii", state_age(state), clock_now()));
}

int64_t state_ready(const struct state *state)
{
	return READY_BASE + state_age(state);
}

/* Makes the file with the spool's mode, durably: SQLite would use the umask's. What is left of a database that is gone
 * goes too. */
static int make_file(const struct spool *spool)
{
	struct stat st;
	if (fstatat(spool->fd, DATABASE, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	unlinkat(spool->fd, DATABASE "-wal", 0);
	unlinkat(spool->fd, DATABASE "-shm", 0);
	int fd = openat(spool->fd, DATABASE, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	int result = spool_own(spool, fd) < 0 || fsio_sync(spool->fd) < 0 ? -1 : 0;
	close(fd);
	return result;
}

static int read_version(struct state *state, int64_t *version)
{
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(state->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return fail(state);
	int result = ask_number(state, statement, version) == 1 ? 0 : -1;
	sqlite3_finalize(statement);
	return result;
}

/* What is there already, or is not there, belongs to no database of this version. */
static int execute_schema(struct state *state, const char *text)
{
	if (execute(state, text) == 0)
		return 0;
	if (sqlite3_errcode(state->db) == SQLITE_ERROR)
		errno = EBADMSG;
	return -1;
}

/* Begins the transaction that makes the tables; what an earlier attempt has left is thrown away. */
static int make_tables(struct state *state)
{
	state->began = clock_monotonic();
	if (execute(state, settings_new) < 0 || execute(state, settings) < 0 || state_begin(state) < 0)
		return -1;
	return execute_schema(state, schema) < 0 || state_keep_age(state) < 0 ? -1 : 0;
}

int state_recognise(struct state *state, const struct spool *spool)
{
	struct fsio_identity self;
	int64_t is_same = 1;
	if (fsio_identify(spool->fd, DATABASE, &self) < 0)
		return -1;
	int known = ask_number(state, bind(state, SELF_GET, "ii", (int64_t)self.inode, self.born), &is_same);
	if (known < 0 || (known && is_same))
		return known;
	if (state_begin(state) == 0 && run(state, bind(state, SELF_PUT, "ii", (int64_t)self.inode, self.born)) == 0 &&
	    (is_same || run(state, bind(state, FILES_FORGET, "")) == 0) && state_commit(state) == 0)
		return (int)is_same;
	state_rollback(state);
	return -1;
}

static int open_database(struct state *state, const char *path, enum state_use use, bool *fresh)
{
	int64_t version = 0;
	int flags = use == STATE_LOOK ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	if (sqlite3_open_v2(path, &state->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return state->db == NULL ? (errno = ENOMEM, -1) : fail(state);
	sqlite3_busy_timeout(state->db, BUSY_MS);
	sqlite3_extended_result_codes(state->db, 1);
	if (read_version(state, &version) < 0)
		return -1;
	*fresh = version == 0;
	if (*fresh && use != STATE_DELIVER) {
		errno = ENOENT;
		return -1;
	}
	if (*fresh)
		return make_tables(state);
	if (version < 0 || version > SCHEMA_VERSION) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	if (execute(state, settings) < 0 ||
	    (version < SCHEMA_VERSION && use == STATE_DELIVER && execute_schema(state, schema_from[version]) < 0))
		return -1;
	return read_age(state);
}

struct state *state_open(const struct spool *spool, enum state_use use, bool *fresh)
{
	char path[PATH_MAX];
	*fresh = false;
	if (snprintf(path, sizeof path, "%s/" DATABASE, spool->path) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	if (use == STATE_DELIVER ? make_file(spool) < 0 : access(path, F_OK) < 0)
		return NULL;
	struct state *state = calloc(1, sizeof *state);
	if (state == NULL)
		return NULL;
	state->young = -1;
	fsio_random(&state->slice, sizeof state->slice);
	fsio_random(state->swept, sizeof state->swept);
	if (open_database(state, path, use, fresh) == 0)
		return state;
	int saved = errno;
	state_close(state);
	errno = saved;
	return NULL;
}

void state_close(struct state *state)
{
	if (state == NULL)
		return;
	for (size_t i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(state->statements[i]);
	sqlite3_close(state->db);
	free(state);
}

int state_set_aside(const struct spool *spool, char name[64])
{
	char stamp[CLOCK_STAMP_SIZE], log[80];
	clock_stamp(clock_now(), stamp);
	snprintf(name, 64, DATABASE ".damaged-%s", stamp);
	snprintf(log, sizeof log, "%s-wal", name);
	if (renameat(spool->fd, DATABASE "-wal", spool->fd, log) < 0 && errno != ENOENT)
		return -1;
	unlinkat(spool->fd, DATABASE "-shm", 0);
	if (renameat(spool->fd, DATABASE, spool->fd, name) < 0)
		return -1;
	return fsio_sync(spool->fd);
}

int state_hold(struct state *state)
{
	if (state->held)
		return 0;
	if (run(state, bind(state, HOLD, "")) < 0)
		return -1;
	state->held = true;
	return 0;
}

void state_release(struct state *state)
{
	if (state->held)
		run(state, bind(state, COMMIT, ""));
	state->held = false;
}

int state_begin(struct state *state)
{
	state_release(state);
	return run(state, bind(state, BEGIN, ""));
}

int state_commit(struct state *state)
{
	return run(state, bind(state, COMMIT, ""));
}

void state_rollback(struct state *state)
{
	int saved = errno;
	if (!sqlite3_get_autocommit(state->db))
		run(state, bind(state, ROLLBACK, ""));
	state->held = false;
	state->young = -1;
	errno = saved;
}

int state_cursors(struct state *state, state_cursor *each, void *arg)
{
	int result;
	sqlite3_stmt *statement = bind(state, CURSORS, "");
	while ((result = step(state, statement)) == 1)
		if (each(arg, (const char *)sqlite3_column_text(statement, 0),
			 (uint64_t)sqlite3_column_int64(statement, 1)) < 0) {
			sqlite3_reset(statement);
			return -1;
		}
	return result;
}

int state_cursor_put(struct state *state, const char *segment, uint64_t offset, int64_t *id)
{
	if (run(state, bind(state, CURSOR_UPDATE, "si", segment, (int64_t)offset)) < 0)
		return -1;
	if (sqlite3_changes(state->db) > 0)
		return ask_number(state, bind(state, CURSOR_ID, "s", segment), id) == 1 ? 0 : -1;
	if (run(state, bind(state, CURSOR_INSERT, "si", segment, (int64_t)offset)) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(state->db);
	return 0;
}

int state_cursor_drop(struct state *state, const char *segment)
{
	return run(state, bind(state, CURSOR_DROP, "s", segment));
}

int state_is_pinned(struct state *state, const char *segment)
{
	return ask(state, bind(state, PINNED, "s", segment));
}

int state_seen(struct state *state, const uint8_t id[STATE_ID_SIZE])
{
	return ask(state, bind(state, SEEN, "b", id));
}

static int count_young(struct state *state)
{
	if (state->young >= 0)
		return 0;
	return ask_number(state, bind(state, YOUNG_COUNT, ""), &state->young) == 1 ? 0 : -1;
}

int state_seen_add(struct state *state, const uint8_t id[STATE_ID_SIZE])
{
	if (count_young(state) < 0 || run(state, bind(state, YOUNG_ADD, "bi", id, state_age(state))) < 0)
		return -1;
	state->young += sqlite3_changes(state->db);
	return 0;
}

/* Identities are random: each of them put into a large table changes a page of its own. So they are collected in a
 * small one, whose pages are changed many at a time, and moved from there a slice at a time: those of a slice are
 * neighbours. */
static int move_slice(struct state *state)
{
	uint8_t first[STATE_ID_SIZE], last[STATE_ID_SIZE];
	memset(first, 0, sizeof first);
	memset(last, 0xff, sizeof last);
	first[0] = last[0] = (uint8_t)state->slice++;
	if (run(state, bind(state, YOUNG_COPY, "bb", first, last)) < 0 ||
	    run(state, bind(state, YOUNG_DROP, "bb", first, last)) < 0)
		return -1;
	state->young -= sqlite3_changes(state->db);
	return 0;
}

int state_seen_settle(struct state *state, bool all)
{
	if (count_young(state) < 0)
		return -1;
	while (state->young > (all ? 0 : YOUNG_MAX))
		if (move_slice(state) < 0)
			return -1;
	return 0;
}

/* Sweeps on from where the last sweep ended. How many rows were looked at, or -1. */
static int sweep(struct state *state, unsigned rows, int64_t oldest)
{
	uint8_t last[STATE_ID_SIZE];
	bool some_old = false;
	int n = 0, result;
	sqlite3_stmt *statement = bind(state, SEEN_RANGE, "bi", state->swept, (int64_t)rows);
	memcpy(last, state->swept, sizeof last);
	for (; (result = step(state, statement)) == 1; n++) {
		if (sqlite3_column_bytes(statement, 0) == sizeof last)
			memcpy(last, sqlite3_column_blob(statement, 0), sizeof last);
		some_old |= sqlite3_column_int64(statement, 1) < oldest;
	}
	if (result < 0)
		return -1;
	if (some_old && run(state, bind(state, SEEN_DROP, "bbi", state->swept, last, oldest)) < 0)
		return -1;
	memcpy(state->swept, last, sizeof last);
	return n;
}

int state_seen_sweep(struct state *state, unsigned rows, int64_t remember)
{
	int64_t oldest = state_age(state) - remember;
	int n = sweep(state, rows, oldest);
	if (n < 0 || (unsigned)n == rows)
		return n < 0 ? -1 : 0;
	/* That was the end: on from the beginning. */
	memset(state->swept, 0, sizeof state->swept);
	return sweep(state, rows - (unsigned)n, oldest) < 0 ? -1 : 0;
}

static void read_file(sqlite3_stmt *statement, int column, struct state_file *file)
{
	file->inode = (uint64_t)sqlite3_column_int64(statement, column);
	file->born = sqlite3_column_int64(statement, column + 1);
	file->length = (uint64_t)sqlite3_column_int64(statement, column + 2);
}

int state_file(struct state *state, struct span path, struct state_file *file)
{
	sqlite3_stmt *statement = bind(state, FILE_GET, "t", path);
	int result = step(state, statement);
	if (result == 1) {
		read_file(statement, 0, file);
		sqlite3_reset(statement);
	}
	return result;
}

int state_file_put(struct state *state, struct span path, const struct state_file *file)
{
	return run(state, bind(state, FILE_PUT, "tiiii", path, (int64_t)file->inode, file->born, (int64_t)file->length,
			       state_age(state)));
}

int state_files(struct state *state, state_each_file *each, void *arg)
{
	int result;
	struct state_file file;
	sqlite3_stmt *statement = bind(state, FILES, "");
	while ((result = step(state, statement)) == 1) {
		read_file(statement, 1, &file);
		if (each(arg, (const char *)sqlite3_column_text(statement, 0), &file) < 0) {
			sqlite3_reset(statement);
			return -1;
		}
	}
	return result;
}

int state_files_sweep(struct state *state, int64_t unused_for)
{
	return run(state, bind(state, FILES_SWEEP, "i", state_age(state) - unused_for));
}

int state_target(struct state *state, const char *name, int64_t *id)
{
	int known = ask_number(state, bind(state, TARGET_ID, "s", name), id);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (run(state, bind(state, TARGET_INSERT, "s", name)) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(state->db);
	return 0;
}

int state_target_add(struct state *state, int64_t target, const struct state_tally *tally)
{
	int64_t now = clock_now();
	if (run(state, bind(state, TARGET_DONE, "iiiii", target, (int64_t)tally->done, (int64_t)tally->failed,
			    (int64_t)tally->parked, now)) < 0)
		return -1;
	struct state_traffic traffic = {.at = now, .done = tally->done, .failed = tally->failed};
	if (state_traffic_add(state, &traffic) < 0)
		return -1;
	return tally->error == NULL ? 0 : run(state, bind(state, TARGET_ERROR, "isi", target, tally->error, now));
}

int state_delivery_add(struct state *state, int64_t target, int64_t lane, const struct state_delivery *d)
{
	return run(state, bind(state, DELIVERY_ADD, "iiiiibiii", target, lane, d->segment_id, (int64_t)d->offset,
			       (int64_t)d->length, d->event, (int64_t)d->records, (int64_t)d->attempts, d->first_at));
}

int state_lane_add(struct state *state, int64_t target, int64_t lane, int64_t next_at)
{
	return run(state, bind(state, LANE_ADD, "iii", target, lane, next_at));
}

int state_pending_count(struct state *state, uint64_t *n)
{
	int64_t value;
	if (ask_number(state, bind(state, PENDING_COUNT, ""), &value) != 1)
		return -1;
	*n = (uint64_t)value;
	return 0;
}

int state_is_waiting(struct state *state, int64_t target)
{
	return ask(state, bind(state, WAITING, "i", target));
}

int state_lane_is_waiting(struct state *state, int64_t target, int64_t lane)
{
	return ask(state, bind(state, LANE_WAITING, "ii", target, lane));
}

int state_lanes(struct state *state, int64_t target, struct state_lane *lanes, int max)
{
	int n = 0, result;
	sqlite3_stmt *statement = bind(state, LANES, "ii", target, (int64_t)max);
	while ((result = step(state, statement)) == 1) {
		lanes[n].lane = sqlite3_column_int64(statement, 0);
		lanes[n++].next_at = sqlite3_column_int64(statement, 1);
	}
	return result < 0 ? -1 : n;
}

static void read_delivery(sqlite3_stmt *statement, struct state_delivery *d)
{
	*d = (struct state_delivery){
		.id = sqlite3_column_int64(statement, 0),
		.offset = (uint64_t)sqlite3_column_int64(statement, 2),
		.length = (uint64_t)sqlite3_column_int64(statement, 3),
		.records = (uint32_t)sqlite3_column_int64(statement, 5),
		.attempts = (unsigned)sqlite3_column_int64(statement, 6),
		.first_at = sqlite3_column_int64(statement, 7),
	};
	snprintf(d->segment, sizeof d->segment, "%s", (const char *)sqlite3_column_text(statement, 1));
	if (sqlite3_column_bytes(statement, 4) == sizeof d->event)
		memcpy(d->event, sqlite3_column_blob(statement, 4), sizeof d->event);
}

int state_lane_head(struct state *state, int64_t target, int64_t lane, struct state_delivery *deliveries, int max)
{
	int n = 0, result;
	sqlite3_stmt *statement = bind(state, LANE_HEAD, "iii", target, lane, (int64_t)max);
	while ((result = step(state, statement)) == 1)
		read_delivery(statement, &deliveries[n++]);
	return result < 0 ? -1 : n;
}

int state_delivery_done(struct state *state, int64_t id)
{
	return run(state, bind(state, DELIVERY_DONE, "i", id));
}

int state_delivery_failed(struct state *state, const struct state_delivery *d, const char *why)
{
	return run(state, bind(state, DELIVERY_FAILED, "iiis", d->id, (int64_t)d->attempts, d->first_at, why));
}

int state_delivery_park(struct state *state, const struct state_delivery *d, const char *why)
{
	return run(state,
		   bind(state, DELIVERY_PARK, "iiisi", d->id, (int64_t)d->attempts, d->first_at, why, clock_now()));
}

int state_lane_settle(struct state *state, int64_t target, int64_t lane, int64_t next_at)
{
	int64_t empty;
	if (ask_number(state, bind(state, LANE_IS_EMPTY, "ii", target, lane), &empty) != 1)
		return -1;
	if (empty)
		return run(state, bind(state, LANE_DROP, "ii", target, lane));
	return run(state, bind(state, LANE_SET, "iii", target, lane, next_at));
}

int state_archive_put(struct state *state, const char *name, uint64_t length)
{
	return run(state, bind(state, ARCHIVE_PUT, "sii", name, state_age(state), (int64_t)length));
}

int state_archive_keep(struct state *state, const char *name)
{
	return run(state, bind(state, ARCHIVE_KEEP, "si", name, state_age(state)));
}

int state_archive_length(struct state *state, const char *name, uint64_t *length)
{
	int64_t value;
	int result = ask_number(state, bind(state, ARCHIVE_LENGTH, "s", name), &value);
	if (result == 1)
		*length = (uint64_t)value;
	return result;
}

int state_archive_drop(struct state *state, const char *name)
{
	return run(state, bind(state, ARCHIVE_DROP, "s", name));
}

int state_archive_old(struct state *state, int64_t keep, char names[][SEGMENT_NAME_SIZE], int max)
{
	int n = 0, result;
	sqlite3_stmt *statement = bind(state, ARCHIVE_OLD, "ii", state_age(state) - keep, (int64_t)max);
	while ((result = step(state, statement)) == 1)
		snprintf(names[n++], SEGMENT_NAME_SIZE, "%s", (const char *)sqlite3_column_text(statement, 0));
	return result < 0 ? -1 : n;
}

int state_count_add(struct state *state, enum state_count count, uint64_t n)
{
	if (n == 0)
		return 0;
	return run(state, bind(state, COUNT_ADD, "si", count_names[count], (int64_t)n));
}

int state_connection_put(struct state *state, struct span endpoint, struct span connection, uint64_t events,
			 int64_t received_at)
{
	return run(state, bind(state, CONNECTION_PUT, "ttii", endpoint, connection, (int64_t)events, received_at));
}

int state_sync_add(struct state *state, const struct state_sync *sync)
{
	return run(state, bind(state, SYNC_ADD, "ttttiiiii", sync->endpoint, sync->connection, sync->object_type,
			       sync->webhook, (int64_t)sync->pages, (int64_t)sync->records, sync->begun_at,
			       sync->last_at, (int64_t)sync->complete));
}

int state_refusal_add(struct state *state, const struct state_refusal *r)
{
	return run(state, bind(state, REFUSAL_ADD, "tttiii", r->endpoint, r->connection, r->reason, (int64_t)r->status,
			       (int64_t)r->count, r->last_at));
}

int state_trail(struct state *state, uint64_t mark, uint64_t *offset)
{
	int64_t value;
	int result = ask_number(state, bind(state, TRAIL_GET, "i", (int64_t)mark), &value);
	if (result == 1)
		*offset = (uint64_t)value;
	return result;
}

int state_trail_put(struct state *state, uint64_t mark, uint64_t offset)
{
	if (run(state, bind(state, TRAIL_PUT, "ii", (int64_t)mark, (int64_t)offset)) < 0)
		return -1;
	return run(state, bind(state, TRAIL_SWEEP, "i", (int64_t)TRAILS_KEPT));
}

int state_trail_is_begun(struct state *state)
{
	return ask(state, bind(state, TRAIL_ANY, ""));
}

int state_traffic_add(struct state *state, const struct state_traffic *t)
{
	if (t->events + t->records + t->refused + t->done + t->failed == 0)
		return 0;
	return run(state, bind(state, TRAFFIC_ADD, "iiiiii", t->at - t->at % STATE_QUARTER, (int64_t)t->events,
			       (int64_t)t->records, (int64_t)t->refused, (int64_t)t->done, (int64_t)t->failed));
}

int state_traffic_sweep(struct state *state)
{
	return run(state, bind(state, TRAFFIC_SWEEP, "i", clock_now() - TRAFFIC_KEPT));
}

uint64_t state_changes(const struct state *state)
{
	return (uint64_t)sqlite3_total_changes64(state->db);
}

int state_count(struct state *state, enum state_count count, uint64_t *n)
{
	int64_t value = 0;
	if (ask_number(state, bind(state, COUNT_GET, "s", count_names[count]), &value) < 0)
		return -1;
	*n = (uint64_t)value;
	return 0;
}

/* Calls back for each row of the statement. */
static int walk(struct state *state, sqlite3_stmt *statement, int (*take)(sqlite3_stmt *row, void *walk), void *arg)
{
	int result;
	while ((result = step(state, statement)) == 1)
		if (take(statement, arg) < 0) {
			int saved = errno;
			sqlite3_reset(statement);
			errno = saved;
			return -1;
		}
	return result;
}

static const char *text_at(sqlite3_stmt *row, int column)
{
	return (const char *)sqlite3_column_text(row, column);
}

static struct span span_at(sqlite3_stmt *row, int column)
{
	const char *text = text_at(row, column);
	return (struct span){text, text == NULL ? 0 : (size_t)sqlite3_column_bytes(row, column)};
}

struct goals_walk {
	state_each_goal *each;
	void *arg;
};

static int take_goal(sqlite3_stmt *row, void *arg)
{
	const struct goals_walk *w = arg;
	return w->each(w->arg, &(struct state_goal){
				       .id = sqlite3_column_int64(row, 0),
				       .target = text_at(row, 1),
				       .done = (uint64_t)sqlite3_column_int64(row, 2),
				       .failed = (uint64_t)sqlite3_column_int64(row, 3),
				       .parked = (uint64_t)sqlite3_column_int64(row, 4),
				       .done_at = sqlite3_column_int64(row, 5),
				       .error = text_at(row, 6),
				       .error_at = sqlite3_column_int64(row, 7),
			       });
}

int state_goals(struct state *state, state_each_goal *each, void *arg)
{
	return walk(state, bind(state, GOALS, ""), take_goal, &(struct goals_walk){each, arg});
}

struct contacts_walk {
	state_each_contact *each;
	void *arg;
};

static int take_contact(sqlite3_stmt *row, void *arg)
{
	const struct contacts_walk *w = arg;
	return w->each(w->arg, &(struct state_contact){
				       .endpoint = text_at(row, 0),
				       .connection = text_at(row, 1),
				       .events = (uint64_t)sqlite3_column_int64(row, 2),
				       .last_at = sqlite3_column_int64(row, 3),
			       });
}

int state_contacts(struct state *state, state_each_contact *each, void *arg)
{
	return walk(state, bind(state, CONTACTS, ""), take_contact, &(struct contacts_walk){each, arg});
}

struct syncs_walk {
	state_each_sync *each;
	void *arg;
};

static int take_sync(sqlite3_stmt *row, void *arg)
{
	const struct syncs_walk *w = arg;
	return w->each(w->arg, &(struct state_sync){
				       .endpoint = span_at(row, 0),
				       .connection = span_at(row, 1),
				       .object_type = span_at(row, 2),
				       .webhook = span_at(row, 3),
				       .pages = (uint64_t)sqlite3_column_int64(row, 4),
				       .records = (uint64_t)sqlite3_column_int64(row, 5),
				       .begun_at = sqlite3_column_int64(row, 6),
				       .last_at = sqlite3_column_int64(row, 7),
				       .complete = sqlite3_column_int64(row, 8) != 0,
			       });
}

int state_syncs(struct state *state, state_each_sync *each, void *arg)
{
	return walk(state, bind(state, SYNCS, ""), take_sync, &(struct syncs_walk){each, arg});
}

struct refusals_walk {
	state_each_refusal *each;
	void *arg;
};

static int take_refusal(sqlite3_stmt *row, void *arg)
{
	const struct refusals_walk *w = arg;
	return w->each(w->arg, &(struct state_refusal){
				       .endpoint = span_at(row, 0),
				       .connection = span_at(row, 1),
				       .reason = span_at(row, 2),
				       .status = (unsigned)sqlite3_column_int64(row, 3),
				       .count = (uint64_t)sqlite3_column_int64(row, 4),
				       .last_at = sqlite3_column_int64(row, 5),
			       });
}

int state_refusals(struct state *state, state_each_refusal *each, void *arg)
{
	return walk(state, bind(state, REFUSALS, ""), take_refusal, &(struct refusals_walk){each, arg});
}

struct traffic_walk {
	state_each_traffic *each;
	void *arg;
};

static int take_traffic(sqlite3_stmt *row, void *arg)
{
	const struct traffic_walk *w = arg;
	return w->each(w->arg, &(struct state_traffic){
				       .at = sqlite3_column_int64(row, 0),
				       .events = (uint64_t)sqlite3_column_int64(row, 1),
				       .records = (uint64_t)sqlite3_column_int64(row, 2),
				       .refused = (uint64_t)sqlite3_column_int64(row, 3),
				       .done = (uint64_t)sqlite3_column_int64(row, 4),
				       .failed = (uint64_t)sqlite3_column_int64(row, 5),
			       });
}

int state_traffic(struct state *state, int64_t since, state_each_traffic *each, void *arg)
{
	return walk(state, bind(state, TRAFFIC, "i", since), take_traffic, &(struct traffic_walk){each, arg});
}

struct rows_walk {
	state_each_row *each;
	void *arg;
};

static int take_row(sqlite3_stmt *statement, void *arg)
{
	const struct rows_walk *w = arg;
	struct state_row row = {
		.target_id = sqlite3_column_int64(statement, 8),
		.lane = sqlite3_column_int64(statement, 9),
		.target = text_at(statement, 10),
		.why = text_at(statement, 11),
		.parked_at = sqlite3_column_int64(statement, 12),
		.next_at = sqlite3_column_int64(statement, 13),
		.count = (uint64_t)sqlite3_column_int64(statement, 14),
	};
	read_delivery(statement, &row.delivery);
	return w->each(w->arg, &row);
}

int state_backlog(struct state *state, state_each_row *each, void *arg)
{
	return walk(state, bind(state, BACKLOG, ""), take_row, &(struct rows_walk){each, arg});
}

int state_rows(struct state *state, const uint8_t event[STATE_ID_SIZE], state_each_row *each, void *arg)
{
	return walk(state, bind(state, ROWS_OF, "b", event), take_row, &(struct rows_walk){each, arg});
}

int state_parked(struct state *state, int max, state_each_row *each, void *arg)
{
	return walk(state, bind(state, ROWS_PARKED, "i", (int64_t)max), take_row, &(struct rows_walk){each, arg});
}

static int take_short_row(sqlite3_stmt *statement, void *arg)
{
	const struct rows_walk *w = arg;
	struct state_row row = {
		.delivery.id = sqlite3_column_int64(statement, 0),
		.target_id = sqlite3_column_int64(statement, 2),
		.parked_at = sqlite3_column_int64(statement, 3),
	};
	if (sqlite3_column_bytes(statement, 1) == sizeof row.delivery.event)
		memcpy(row.delivery.event, sqlite3_column_blob(statement, 1), sizeof row.delivery.event);
	return w->each(w->arg, &row);
}

int state_all_rows(struct state *state, state_each_row *each, void *arg)
{
	return walk(state, bind(state, ROWS_ALL, ""), take_short_row, &(struct rows_walk){each, arg});
}

struct pending_walk {
	state_each_pending *each;
	void *arg;
};

static int take_pending(sqlite3_stmt *row, void *arg)
{
	const struct pending_walk *w = arg;
	if (sqlite3_column_bytes(row, 0) != STATE_ID_SIZE)
		return 0;
	return w->each(w->arg, sqlite3_column_blob(row, 0), text_at(row, 1));
}

int state_pending(struct state *state, state_each_pending *each, void *arg)
{
	return walk(state, bind(state, PENDING, ""), take_pending, &(struct pending_walk){each, arg});
}

int state_segment(struct state *state, const char *segment, uint64_t cursor, int64_t *id)
{
	int known = ask_number(state, bind(state, CURSOR_ID, "s", segment), id);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (run(state, bind(state, CURSOR_INSERT, "si", segment, (int64_t)cursor)) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(state->db);
	return 0;
}

int state_delivery_retry(struct state *state, const struct state_row *row)
{
	if (run(state, bind(state, ROW_RETRY, "i", row->delivery.id)) < 0)
		return -1;
	if (sqlite3_changes(state->db) == 0)
		return 0;
	return state_lane_settle(state, row->target_id, row->lane, state_ready(state)) < 0 ? -1 : 1;
}

int state_delivery_drop(struct state *state, const struct state_row *row)
{
	if (run(state, bind(state, ROW_DROP, "i", row->delivery.id)) < 0)
		return -1;
	return sqlite3_changes(state->db) > 0;
}

int state_tidy(struct state *state, bool idle)
{
	int64_t free_pages;
	if (ask_number(state, bind(state, FREE_PAGES, ""), &free_pages) != 1)
		return -1;
	if (free_pages >= (idle ? 1 : VACUUM_AT)) {
		int result;
		/* Each step frees a page. */
		sqlite3_stmt *statement = bind(state, VACUUM, "");
		while ((result = step(state, statement)) == 1)
			;
		if (result < 0)
			return -1;
	}
	return idle ? run(state, bind(state, CHECKPOINT, "")) : 0;
}
