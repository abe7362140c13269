#include "config.h"

#include "deliver/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "deliver/identities.h"
#include "deliver/state_sql.h"

#define DATABASE       "state.db"
#define SCHEMA_VERSION 4

#define GAP_BELIEVED  (INT64_C(60) * 86400 * CLOCK_SECOND)
#define READY_BASE    (INT64_MIN / 2)
#define VACUUM_AT     1024 /* free pages that are worth it */
#define CHECKPOINT_AT "4096"
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
/* Since version 4; before, identities stood in the tables young and seen. */
#define SCHEMA_SINCE_4                                                                                                 \
	"CREATE TABLE recent (id INTEGER PRIMARY KEY, oldest INTEGER NOT NULL, newest INTEGER NOT NULL, ids BLOB NOT " \
	"NULL);"                                                                                                       \
	"CREATE TABLE run (id INTEGER PRIMARY KEY, slice INTEGER NOT NULL, level INTEGER NOT NULL,"                    \
	" count INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL);"                                  \
	"CREATE TABLE part (id INTEGER PRIMARY KEY, ids BLOB NOT NULL);"                                               \
	"PRAGMA user_version=4;"

static const char schema[] =
	"CREATE TABLE age (one INTEGER PRIMARY KEY CHECK (one = 1), age INTEGER NOT NULL, at INTEGER NOT NULL);"
	"CREATE TABLE segment (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cursor INTEGER NOT NULL);"
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
	"NULL);" SCHEMA_SINCE_2 SCHEMA_SINCE_3 SCHEMA_SINCE_4;
static const char *const schema_from[SCHEMA_VERSION] = {
	[1] = SCHEMA_SINCE_2 SCHEMA_SINCE_3 SCHEMA_SINCE_4,
	[2] = SCHEMA_SINCE_3 SCHEMA_SINCE_4,
	[3] = SCHEMA_SINCE_4,
};

static const char *const count_names[STATE_COUNTS] = {
	[STATE_EVENTS] = "events",   [STATE_RECORDS] = "records", [STATE_DUPLICATES] = "duplicates",
	[STATE_DAMAGED] = "damaged", [STATE_TORN] = "torn",       [STATE_UNTOLD] = "untold",
};

/* The wall clock says how long the spool was left alone; a gap that cannot be is not believed. */
static int read_age(struct state *state)
{
	struct sqlite3_stmt *statement = sql_bind(state, AGE_GET, "");
	int result = sql_step(state, statement);
	state->began = clock_monotonic();
	if (result != 1)
		return result;
	int64_t gap = clock_now() - sql_int(statement, 1);
	state->age = sql_int(statement, 0);
	if (gap > 0 && gap <= GAP_BELIEVED)
		state->age += gap;
	sql_reset(statement);
	return 0;
}

int64_t state_age(const struct state *state)
{
	return state->age + (clock_monotonic() - state->began);
}

int state_keep_age(struct state *state)
{
	return sql_run(state, sql_bind(state, AGE_PUT, "ii", state_age(state), clock_now()));
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

/* Begins the transaction that makes the tables; what an earlier attempt has left is thrown away. */
static int make_tables(struct state *state)
{
	state->began = clock_monotonic();
	if (sql_execute(state, settings_new) < 0 || sql_execute(state, settings) < 0 || state_begin(state) < 0)
		return -1;
	return sql_execute_schema(state, schema) < 0 || state_keep_age(state) < 0 ? -1 : 0;
}

int state_recognise(struct state *state, const struct spool *spool)
{
	struct fsio_identity self;
	int64_t is_same = 1;
	if (fsio_identify(spool->fd, DATABASE, &self) < 0)
		return -1;
	int known = sql_number(state, sql_bind(state, SELF_GET, "ii", (int64_t)self.inode, self.born), &is_same);
	if (known < 0 || (known && is_same))
		return known;
	if (state_begin(state) == 0 &&
	    sql_run(state, sql_bind(state, SELF_PUT, "ii", (int64_t)self.inode, self.born)) == 0 &&
	    (is_same || sql_run(state, sql_bind(state, FILES_FORGET, "")) == 0) && state_commit(state) == 0)
		return (int)is_same;
	state_rollback(state);
	return -1;
}

/* From an earlier version. What fails is rolled back when the database is closed. */
static int bring_up(struct state *state, int64_t version)
{
	if (state_begin(state) < 0 || sql_execute_schema(state, schema_from[version]) < 0 ||
	    identities_take_over(state) < 0 || sql_execute_schema(state, "DROP TABLE young; DROP TABLE seen") < 0)
		return -1;
	return state_commit(state);
}

static int open_database(struct state *state, const char *path, enum state_use use, bool *fresh)
{
	int64_t version = 0;
	if (sql_open(state, path, use == STATE_LOOK) < 0 ||
	    sql_number(state, sql_bind(state, SCHEMA_GET, ""), &version) != 1)
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
	if (sql_execute(state, settings) < 0 ||
	    (version < SCHEMA_VERSION && use == STATE_DELIVER && bring_up(state, version) < 0))
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
	sql_close(state);
	identities_free(state->identities);
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
	if (sql_run(state, sql_bind(state, HOLD, "")) < 0)
		return -1;
	state->held = true;
	return 0;
}

void state_release(struct state *state)
{
	if (state->held)
		sql_run(state, sql_bind(state, COMMIT, ""));
	state->held = false;
}

int state_begin(struct state *state)
{
	state_release(state);
	return sql_run(state, sql_bind(state, BEGIN, ""));
}

int state_commit(struct state *state)
{
	if (identities_keep(state) < 0 || sql_run(state, sql_bind(state, COMMIT, "")) < 0)
		return -1;
	identities_committed(state->identities);
	return 0;
}

void state_rollback(struct state *state)
{
	int saved = errno;
	if (sql_is_open(state))
		sql_run(state, sql_bind(state, ROLLBACK, ""));
	state->held = false;
	identities_rolled_back(state->identities);
	errno = saved;
}

int state_cursors(struct state *state, state_cursor *each, void *arg)
{
	int result;
	struct sqlite3_stmt *statement = sql_bind(state, CURSORS, "");
	while ((result = sql_step(state, statement)) == 1)
		if (each(arg, sql_text(statement, 0), (uint64_t)sql_int(statement, 1)) < 0) {
			sql_reset(statement);
			return -1;
		}
	return result;
}

int state_cursor_put(struct state *state, const char *segment, uint64_t offset, int64_t *id)
{
	if (sql_run(state, sql_bind(state, CURSOR_UPDATE, "si", segment, (int64_t)offset)) < 0)
		return -1;
	if (sql_changes(state) > 0)
		return sql_number(state, sql_bind(state, CURSOR_ID, "s", segment), id) == 1 ? 0 : -1;
	if (sql_run(state, sql_bind(state, CURSOR_INSERT, "si", segment, (int64_t)offset)) < 0)
		return -1;
	*id = sql_last_id(state);
	return 0;
}

int state_cursor_drop(struct state *state, const char *segment)
{
	return sql_run(state, sql_bind(state, CURSOR_DROP, "s", segment));
}

int state_is_pinned(struct state *state, const char *segment)
{
	return sql_ask(state, sql_bind(state, PINNED, "s", segment));
}

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

int state_target(struct state *state, const char *name, int64_t *id)
{
	int known = sql_number(state, sql_bind(state, TARGET_ID, "s", name), id);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (sql_run(state, sql_bind(state, TARGET_INSERT, "s", name)) < 0)
		return -1;
	*id = sql_last_id(state);
	return 0;
}

int state_target_add(struct state *state, int64_t target, const struct state_tally *tally)
{
	int64_t now = clock_now();
	if (sql_run(state, sql_bind(state, TARGET_DONE, "iiiii", target, (int64_t)tally->done, (int64_t)tally->failed,
				    (int64_t)tally->parked, now)) < 0)
		return -1;
	struct state_traffic traffic = {.at = now, .done = tally->done, .failed = tally->failed};
	if (state_traffic_add(state, &traffic) < 0)
		return -1;
	return tally->error == NULL ? 0
				    : sql_run(state, sql_bind(state, TARGET_ERROR, "isi", target, tally->error, now));
}

int state_delivery_add(struct state *state, int64_t target, int64_t lane, const struct state_delivery *d)
{
	return sql_run(state,
		       sql_bind(state, DELIVERY_ADD, "iiiiibiii", target, lane, d->segment_id, (int64_t)d->offset,
				(int64_t)d->length, d->event, (int64_t)d->records, (int64_t)d->attempts, d->first_at));
}

int state_lane_add(struct state *state, int64_t target, int64_t lane, int64_t next_at)
{
	return sql_run(state, sql_bind(state, LANE_ADD, "iii", target, lane, next_at));
}

int state_pending_count(struct state *state, uint64_t *n)
{
	int64_t value;
	if (sql_number(state, sql_bind(state, PENDING_COUNT, ""), &value) != 1)
		return -1;
	*n = (uint64_t)value;
	return 0;
}

int state_is_waiting(struct state *state, int64_t target)
{
	return sql_ask(state, sql_bind(state, WAITING, "i", target));
}

int state_lane_is_waiting(struct state *state, int64_t target, int64_t lane)
{
	return sql_ask(state, sql_bind(state, LANE_WAITING, "ii", target, lane));
}

int state_lanes(struct state *state, int64_t target, struct state_lane *lanes, int max)
{
	int n = 0, result;
	struct sqlite3_stmt *statement = sql_bind(state, LANES, "ii", target, (int64_t)max);
	while ((result = sql_step(state, statement)) == 1) {
		lanes[n].lane = sql_int(statement, 0);
		lanes[n++].next_at = sql_int(statement, 1);
	}
	return result < 0 ? -1 : n;
}

static void read_identity(struct sqlite3_stmt *row, int column, uint8_t id[STATE_ID_SIZE])
{
	struct span bytes = sql_blob(row, column);
	if (bytes.len == STATE_ID_SIZE)
		memcpy(id, bytes.ptr, STATE_ID_SIZE);
}

static void read_delivery(struct sqlite3_stmt *statement, struct state_delivery *d)
{
	*d = (struct state_delivery){
		.id = sql_int(statement, 0),
		.offset = (uint64_t)sql_int(statement, 2),
		.length = (uint64_t)sql_int(statement, 3),
		.records = (uint32_t)sql_int(statement, 5),
		.attempts = (unsigned)sql_int(statement, 6),
		.first_at = sql_int(statement, 7),
	};
	snprintf(d->segment, sizeof d->segment, "%s", sql_text(statement, 1));
	read_identity(statement, 4, d->event);
}

int state_lane_head(struct state *state, int64_t target, int64_t lane, struct state_delivery *deliveries, int max)
{
	int n = 0, result;
	struct sqlite3_stmt *statement = sql_bind(state, LANE_HEAD, "iii", target, lane, (int64_t)max);
	while ((result = sql_step(state, statement)) == 1)
		read_delivery(statement, &deliveries[n++]);
	return result < 0 ? -1 : n;
}

int state_delivery_done(struct state *state, int64_t id)
{
	return sql_run(state, sql_bind(state, DELIVERY_DONE, "i", id));
}

int state_delivery_failed(struct state *state, const struct state_delivery *d, const char *why)
{
	return sql_run(state, sql_bind(state, DELIVERY_FAILED, "iiis", d->id, (int64_t)d->attempts, d->first_at, why));
}

int state_delivery_park(struct state *state, const struct state_delivery *d, const char *why)
{
	return sql_run(state, sql_bind(state, DELIVERY_PARK, "iiisi", d->id, (int64_t)d->attempts, d->first_at, why,
				       clock_now()));
}

int state_lane_settle(struct state *state, int64_t target, int64_t lane, int64_t next_at)
{
	int64_t empty;
	if (sql_number(state, sql_bind(state, LANE_IS_EMPTY, "ii", target, lane), &empty) != 1)
		return -1;
	if (empty)
		return sql_run(state, sql_bind(state, LANE_DROP, "ii", target, lane));
	return sql_run(state, sql_bind(state, LANE_SET, "iii", target, lane, next_at));
}

int state_archive_put(struct state *state, const char *name, uint64_t length)
{
	return sql_run(state, sql_bind(state, ARCHIVE_PUT, "sii", name, state_age(state), (int64_t)length));
}

int state_archive_keep(struct state *state, const char *name)
{
	return sql_run(state, sql_bind(state, ARCHIVE_KEEP, "si", name, state_age(state)));
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

int state_archive_old(struct state *state, int64_t keep, char names[][SEGMENT_NAME_SIZE], int max)
{
	int n = 0, result;
	struct sqlite3_stmt *statement = sql_bind(state, ARCHIVE_OLD, "ii", state_age(state) - keep, (int64_t)max);
	while ((result = sql_step(state, statement)) == 1)
		snprintf(names[n++], SEGMENT_NAME_SIZE, "%s", sql_text(statement, 0));
	return result < 0 ? -1 : n;
}

int state_count_add(struct state *state, enum state_count count, uint64_t n)
{
	if (n == 0)
		return 0;
	return sql_run(state, sql_bind(state, COUNT_ADD, "si", count_names[count], (int64_t)n));
}

int state_connection_put(struct state *state, struct span endpoint, struct span connection, uint64_t events,
			 int64_t received_at)
{
	return sql_run(state,
		       sql_bind(state, CONNECTION_PUT, "ttii", endpoint, connection, (int64_t)events, received_at));
}

int state_sync_add(struct state *state, const struct state_sync *sync)
{
	return sql_run(state, sql_bind(state, SYNC_ADD, "ttttiiiii", sync->endpoint, sync->connection,
				       sync->object_type, sync->webhook, (int64_t)sync->pages, (int64_t)sync->records,
				       sync->begun_at, sync->last_at, (int64_t)sync->complete));
}

int state_refusal_add(struct state *state, const struct state_refusal *r)
{
	return sql_run(state, sql_bind(state, REFUSAL_ADD, "tttiii", r->endpoint, r->connection, r->reason,
				       (int64_t)r->status, (int64_t)r->count, r->last_at));
}

int state_trail(struct state *state, uint64_t mark, uint64_t *offset)
{
	int64_t value;
	int result = sql_number(state, sql_bind(state, TRAIL_GET, "i", (int64_t)mark), &value);
	if (result == 1)
		*offset = (uint64_t)value;
	return result;
}

int state_trail_put(struct state *state, uint64_t mark, uint64_t offset)
{
	if (sql_run(state, sql_bind(state, TRAIL_PUT, "ii", (int64_t)mark, (int64_t)offset)) < 0)
		return -1;
	return sql_run(state, sql_bind(state, TRAIL_SWEEP, "i", (int64_t)TRAILS_KEPT));
}

int state_trail_is_begun(struct state *state)
{
	return sql_ask(state, sql_bind(state, TRAIL_ANY, ""));
}

int state_traffic_add(struct state *state, const struct state_traffic *t)
{
	if (t->events + t->records + t->refused + t->done + t->failed == 0)
		return 0;
	return sql_run(state, sql_bind(state, TRAFFIC_ADD, "iiiiii", t->at - t->at % STATE_QUARTER, (int64_t)t->events,
				       (int64_t)t->records, (int64_t)t->refused, (int64_t)t->done, (int64_t)t->failed));
}

int state_traffic_sweep(struct state *state)
{
	return sql_run(state, sql_bind(state, TRAFFIC_SWEEP, "i", clock_now() - TRAFFIC_KEPT));
}

uint64_t state_changes(const struct state *state)
{
	return sql_all_changes(state);
}

int state_count(struct state *state, enum state_count count, uint64_t *n)
{
	int64_t value = 0;
	if (sql_number(state, sql_bind(state, COUNT_GET, "s", count_names[count]), &value) < 0)
		return -1;
	*n = (uint64_t)value;
	return 0;
}

struct goals_walk {
	state_each_goal *each;
	void *arg;
};

static int take_goal(struct sqlite3_stmt *row, void *arg)
{
	const struct goals_walk *w = arg;
	return w->each(w->arg, &(struct state_goal){
				       .id = sql_int(row, 0),
				       .target = sql_text(row, 1),
				       .done = (uint64_t)sql_int(row, 2),
				       .failed = (uint64_t)sql_int(row, 3),
				       .parked = (uint64_t)sql_int(row, 4),
				       .done_at = sql_int(row, 5),
				       .error = sql_text(row, 6),
				       .error_at = sql_int(row, 7),
			       });
}

int state_goals(struct state *state, state_each_goal *each, void *arg)
{
	return sql_walk(state, sql_bind(state, GOALS, ""), take_goal, &(struct goals_walk){each, arg});
}

struct contacts_walk {
	state_each_contact *each;
	void *arg;
};

static int take_contact(struct sqlite3_stmt *row, void *arg)
{
	const struct contacts_walk *w = arg;
	return w->each(w->arg, &(struct state_contact){
				       .endpoint = sql_text(row, 0),
				       .connection = sql_text(row, 1),
				       .events = (uint64_t)sql_int(row, 2),
				       .last_at = sql_int(row, 3),
			       });
}

int state_contacts(struct state *state, state_each_contact *each, void *arg)
{
	return sql_walk(state, sql_bind(state, CONTACTS, ""), take_contact, &(struct contacts_walk){each, arg});
}

struct syncs_walk {
	state_each_sync *each;
	void *arg;
};

static int take_sync(struct sqlite3_stmt *row, void *arg)
{
	const struct syncs_walk *w = arg;
	return w->each(w->arg, &(struct state_sync){
				       .endpoint = sql_span(row, 0),
				       .connection = sql_span(row, 1),
				       .object_type = sql_span(row, 2),
				       .webhook = sql_span(row, 3),
				       .pages = (uint64_t)sql_int(row, 4),
				       .records = (uint64_t)sql_int(row, 5),
				       .begun_at = sql_int(row, 6),
				       .last_at = sql_int(row, 7),
				       .complete = sql_int(row, 8) != 0,
			       });
}

int state_syncs(struct state *state, state_each_sync *each, void *arg)
{
	return sql_walk(state, sql_bind(state, SYNCS, ""), take_sync, &(struct syncs_walk){each, arg});
}

struct refusals_walk {
	state_each_refusal *each;
	void *arg;
};

static int take_refusal(struct sqlite3_stmt *row, void *arg)
{
	const struct refusals_walk *w = arg;
	return w->each(w->arg, &(struct state_refusal){
				       .endpoint = sql_span(row, 0),
				       .connection = sql_span(row, 1),
				       .reason = sql_span(row, 2),
				       .status = (unsigned)sql_int(row, 3),
				       .count = (uint64_t)sql_int(row, 4),
				       .last_at = sql_int(row, 5),
			       });
}

int state_refusals(struct state *state, state_each_refusal *each, void *arg)
{
	return sql_walk(state, sql_bind(state, REFUSALS, ""), take_refusal, &(struct refusals_walk){each, arg});
}

struct traffic_walk {
	state_each_traffic *each;
	void *arg;
};

static int take_traffic(struct sqlite3_stmt *row, void *arg)
{
	const struct traffic_walk *w = arg;
	return w->each(w->arg, &(struct state_traffic){
				       .at = sql_int(row, 0),
				       .events = (uint64_t)sql_int(row, 1),
				       .records = (uint64_t)sql_int(row, 2),
				       .refused = (uint64_t)sql_int(row, 3),
				       .done = (uint64_t)sql_int(row, 4),
				       .failed = (uint64_t)sql_int(row, 5),
			       });
}

int state_traffic(struct state *state, int64_t since, state_each_traffic *each, void *arg)
{
	return sql_walk(state, sql_bind(state, TRAFFIC, "i", since), take_traffic, &(struct traffic_walk){each, arg});
}

struct rows_walk {
	state_each_row *each;
	void *arg;
};

static int take_row(struct sqlite3_stmt *statement, void *arg)
{
	const struct rows_walk *w = arg;
	struct state_row row = {
		.target_id = sql_int(statement, 8),
		.lane = sql_int(statement, 9),
		.target = sql_text(statement, 10),
		.why = sql_text(statement, 11),
		.parked_at = sql_int(statement, 12),
		.next_at = sql_int(statement, 13),
		.count = (uint64_t)sql_int(statement, 14),
	};
	read_delivery(statement, &row.delivery);
	return w->each(w->arg, &row);
}

int state_backlog(struct state *state, state_each_row *each, void *arg)
{
	return sql_walk(state, sql_bind(state, BACKLOG, ""), take_row, &(struct rows_walk){each, arg});
}

int state_rows(struct state *state, const uint8_t event[STATE_ID_SIZE], state_each_row *each, void *arg)
{
	return sql_walk(state, sql_bind(state, ROWS_OF, "b", event), take_row, &(struct rows_walk){each, arg});
}

int state_parked(struct state *state, int max, state_each_row *each, void *arg)
{
	return sql_walk(state, sql_bind(state, ROWS_PARKED, "i", (int64_t)max), take_row,
			&(struct rows_walk){each, arg});
}

static int take_short_row(struct sqlite3_stmt *statement, void *arg)
{
	const struct rows_walk *w = arg;
	struct state_row row = {
		.delivery.id = sql_int(statement, 0),
		.target_id = sql_int(statement, 2),
		.parked_at = sql_int(statement, 3),
	};
	read_identity(statement, 1, row.delivery.event);
	return w->each(w->arg, &row);
}

int state_all_rows(struct state *state, state_each_row *each, void *arg)
{
	return sql_walk(state, sql_bind(state, ROWS_ALL, ""), take_short_row, &(struct rows_walk){each, arg});
}

struct pending_walk {
	state_each_pending *each;
	void *arg;
};

static int take_pending(struct sqlite3_stmt *row, void *arg)
{
	const struct pending_walk *w = arg;
	struct span event = sql_blob(row, 0);
	return event.len != STATE_ID_SIZE ? 0 : w->each(w->arg, (const uint8_t *)event.ptr, sql_text(row, 1));
}

int state_pending(struct state *state, state_each_pending *each, void *arg)
{
	return sql_walk(state, sql_bind(state, PENDING, ""), take_pending, &(struct pending_walk){each, arg});
}

int state_segment(struct state *state, const char *segment, uint64_t cursor, int64_t *id)
{
	int known = sql_number(state, sql_bind(state, CURSOR_ID, "s", segment), id);
	if (known != 0)
		return known < 0 ? -1 : 0;
	if (sql_run(state, sql_bind(state, CURSOR_INSERT, "si", segment, (int64_t)cursor)) < 0)
		return -1;
	*id = sql_last_id(state);
	return 0;
}

int state_delivery_retry(struct state *state, const struct state_row *row)
{
	if (sql_run(state, sql_bind(state, ROW_RETRY, "i", row->delivery.id)) < 0)
		return -1;
	if (sql_changes(state) == 0)
		return 0;
	return state_lane_settle(state, row->target_id, row->lane, state_ready(state)) < 0 ? -1 : 1;
}

int state_delivery_drop(struct state *state, const struct state_row *row)
{
	if (sql_run(state, sql_bind(state, ROW_DROP, "i", row->delivery.id)) < 0)
		return -1;
	return sql_changes(state) > 0;
}

int state_tidy(struct state *state, bool idle)
{
	int64_t free_pages;
	if (sql_number(state, sql_bind(state, FREE_PAGES, ""), &free_pages) != 1)
		return -1;
	if (free_pages >= (idle ? 1 : VACUUM_AT)) {
		int result;
		/* Each step frees a page. */
		struct sqlite3_stmt *statement = sql_bind(state, VACUUM, "");
		while ((result = sql_step(state, statement)) == 1)
			;
		if (result < 0)
			return -1;
	}
	return idle ? sql_run(state, sql_bind(state, CHECKPOINT, "")) : 0;
}
