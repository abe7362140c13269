#include "config.h"

#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "state/dedup.h"
#include "state/state_private.h"

#define DATABASE       "state.db"
#define SCHEMA_VERSION 5 /* the schema's last line says it too */

#define GAP_BELIEVED  (INT64_C(60) * 86400 * CLOCK_SECOND)
#define VACUUM_AT     1024 /* free pages that are worth it */
#define CHECKPOINT_AT "4096"
#define LOOKS         3 /* at a database that a deliverer begins or ceases to use */

/* The database is made with these, outside of a transaction; auto_vacuum before the first table. */
static const char settings_new[] = "PRAGMA auto_vacuum=INCREMENTAL;"
				   "PRAGMA journal_mode=WAL;";
static const char settings[] = "PRAGMA synchronous=FULL;"
			       "PRAGMA wal_autocheckpoint=" CHECKPOINT_AT ";"
			       "PRAGMA journal_size_limit=33554432;"
			       "PRAGMA cache_size=-32768;"
			       "PRAGMA temp_store=MEMORY;"
			       "PRAGMA foreign_keys=OFF;";

static const char schema[] =
	"CREATE TABLE age (one INTEGER PRIMARY KEY CHECK (one = 1), age INTEGER NOT NULL, at INTEGER NOT NULL);"
	"CREATE TABLE owner (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL);"
	"CREATE TABLE segment (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cursor INTEGER NOT NULL);"
	"CREATE TABLE outfile (path TEXT PRIMARY KEY, length INTEGER NOT NULL, mark INTEGER NOT NULL,"
	" era INTEGER NOT NULL, standing INTEGER NOT NULL, age INTEGER NOT NULL, others_at INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE standing (path TEXT, event BLOB, records INTEGER NOT NULL, unknown INTEGER NOT NULL,"
	" PRIMARY KEY (path, event)) WITHOUT ROWID;"
	"CREATE TABLE target (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, done INTEGER NOT NULL DEFAULT 0,"
	" failed INTEGER NOT NULL DEFAULT 0, parked INTEGER NOT NULL DEFAULT 0, done_at INTEGER, error TEXT,"
	" error_at INTEGER);"
	"CREATE TABLE delivery (id INTEGER PRIMARY KEY, target INTEGER NOT NULL, lane INTEGER NOT NULL,"
	" segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL, event BLOB NOT NULL,"
	" records INTEGER NOT NULL, attempts INTEGER NOT NULL, first_age INTEGER NOT NULL, parked_at INTEGER,"
	" why TEXT);"
	"CREATE INDEX delivery_head ON delivery (target, lane, id) WHERE parked_at IS NULL;"
	"CREATE INDEX delivery_parked ON delivery (parked_at) WHERE parked_at IS NOT NULL;"
	"CREATE INDEX delivery_parked_lane ON delivery (target, lane, id) WHERE parked_at IS NOT NULL;"
	"CREATE INDEX delivery_segment ON delivery (segment);"
	"CREATE TABLE lane (target INTEGER, lane INTEGER, next_age INTEGER NOT NULL, PRIMARY KEY (target, lane))"
	" WITHOUT ROWID;"
	"CREATE INDEX lane_due ON lane (target, next_age);"
	"CREATE TABLE archive (name TEXT PRIMARY KEY, age INTEGER NOT NULL, length INTEGER NOT NULL DEFAULT 0)"
	" WITHOUT ROWID;"
	"CREATE TABLE count (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE connection (endpoint TEXT, connection TEXT, events INTEGER NOT NULL, last_at INTEGER NOT NULL,"
	" PRIMARY KEY (endpoint, connection)) WITHOUT ROWID;"
	"CREATE TABLE sync (endpoint TEXT, connection TEXT, object_type TEXT, webhook TEXT NOT NULL,"
	" pages INTEGER NOT NULL, records INTEGER NOT NULL, begun_at INTEGER NOT NULL, last_at INTEGER NOT NULL,"
	" complete INTEGER NOT NULL, PRIMARY KEY (endpoint, connection, object_type)) WITHOUT ROWID;"
	"CREATE TABLE refusal (endpoint TEXT, connection TEXT, reason TEXT, status INTEGER NOT NULL,"
	" count INTEGER NOT NULL, last_at INTEGER NOT NULL, PRIMARY KEY (endpoint, connection, reason)) WITHOUT ROWID;"
	"CREATE TABLE trail (id INTEGER PRIMARY KEY, mark INTEGER NOT NULL UNIQUE, offset INTEGER NOT NULL);"
	"CREATE TABLE traffic (at INTEGER PRIMARY KEY, events INTEGER NOT NULL, records INTEGER NOT NULL,"
	" refused INTEGER NOT NULL, done INTEGER NOT NULL, failed INTEGER NOT NULL);"
	"CREATE TABLE conf (by TEXT PRIMARY KEY, why TEXT, at INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE trouble (what TEXT PRIMARY KEY, why TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE recent (id INTEGER PRIMARY KEY, oldest INTEGER NOT NULL, newest INTEGER NOT NULL,"
	" ids BLOB NOT NULL);"
	"CREATE TABLE run (id INTEGER PRIMARY KEY, slice INTEGER NOT NULL, level INTEGER NOT NULL,"
	" count INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL);"
	"CREATE TABLE part (id INTEGER PRIMARY KEY, ids BLOB NOT NULL);"
	"PRAGMA user_version=5;";

/* The wall clock says how long the spool was left alone; a gap that cannot be is not believed. What a wrong clock has
 * added is not taken back when it is put right: nothing would be tried again until it is where it was. */
static int read_age(struct state *state)
{
	struct sqlite3_stmt *statement = db_bind(&state->db, DB_AGE_GET, "");
	int result = db_step(statement);
	state->began = clock_monotonic();
	if (result != 1)
		return result;
	int64_t gap = clock_now() - db_int(statement, 1);
	state->age = db_int(statement, 0);
	if (gap > 0 && gap <= GAP_BELIEVED)
		state->age += gap;
	db_reset(statement);
	return 0;
}

int64_t state_age(const struct state *state)
{
	return state->age + (clock_monotonic() - state->began);
}

int state_keep_age(struct state *state)
{
	return db_run(db_bind(&state->db, DB_AGE_PUT, "ii", state_age(state), clock_now()));
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

/* Makes this process the owner, in a transaction of the caller's: whoever was it before writes nothing more. */
static int put_owner(struct state *state)
{
	fsio_random(&state->owner, sizeof state->owner);
	return db_run(db_bind(&state->db, DB_OWNER_PUT, "i", state->owner));
}

static int take_over(struct state *state)
{
	if (state_begin(state) < 0)
		return -1;
	if (put_owner(state) == 0 && state_commit(state) == 0)
		return 0;
	state_rollback(state);
	return -1;
}

/* Begins the transaction that makes the tables; what an earlier attempt has left is thrown away. */
static int make_tables(struct state *state)
{
	state->began = clock_monotonic();
	if (db_execute(&state->db, settings_new) < 0 || db_execute(&state->db, settings) < 0 || state_begin(state) < 0)
		return -1;
	return db_execute_schema(&state->db, schema) < 0 || state_keep_age(state) < 0 || put_owner(state) < 0 ? -1 : 0;
}

/* Whether what is committed stands in the database alone, and no deliverer is there to change that. */
static bool is_at_rest(const char *path)
{
	char log[PATH_MAX + sizeof "-wal"];
	struct stat st;
	snprintf(log, sizeof log, "%s-wal", path);
	return stat(log, &st) < 0 ? errno == ENOENT : st.st_size == 0;
}

static int read_schema(struct state *state, const char *path, enum db_use use, int64_t *version)
{
	return db_open(&state->db, path, use) == 0 && db_number(db_bind(&state->db, DB_SCHEMA_GET, ""), version) == 1
		       ? 0
		       : -1;
}

/* Opens it; 0, or -1 with errno. Readers of a database with a log make a file for their locks beside it, which a full
 * or read-only file system does not let them, nor does a folder that is another user's. A deliverer that begins or ends
 * meanwhile makes and removes it: then it is tried again. */
static int read_version(struct state *state, const char *path, enum state_use use, int64_t *version)
{
	if (use != STATE_LOOK)
		return read_schema(state, path, DB_OPEN_WRITE, version);
	for (int i = 0; i < LOOKS; i++) {
		if (read_schema(state, path, DB_OPEN_READ, version) == 0)
			return 0;
		if (errno == STATE_CORRUPT || errno == ENOMEM || errno == EAGAIN)
			return -1;
		int saved = errno;
		db_close(&state->db);
		if (is_at_rest(path))
			return read_schema(state, path, DB_OPEN_ALONE, version);
		/* state.db itself is there: the file for locks is not. */
		errno = saved == ENOENT ? EAGAIN : saved;
	}
	return -1;
}

static int open_database(struct state *state, const char *path, enum state_use use, bool *fresh)
{
	int64_t version = 0;
	if (read_version(state, path, use, &version) < 0)
		return -1;
	*fresh = version == 0;
	if (*fresh && use != STATE_DELIVER) {
		errno = ENOENT;
		return -1;
	}
	if (*fresh)
		return make_tables(state);
	if (version != SCHEMA_VERSION) {
		errno = STATE_OTHER_VERSION;
		return -1;
	}
	if (db_execute(&state->db, settings) < 0 || read_age(state) < 0)
		return -1;
	return use == STATE_DELIVER ? take_over(state) : 0;
}

struct state *state_open(const struct spool *spool, enum state_use use, bool *fresh)
{
	char path[PATH_MAX];
	*fresh = false;
	if (snprintf(path, sizeof path, "%s/" DATABASE, spool->path) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	/* SQLite would open for reading what it cannot write to. */
	if (use == STATE_DELIVER ? make_file(spool) < 0 : access(path, use == STATE_CHANGE ? R_OK | W_OK : F_OK) < 0)
		return NULL;
	struct state *state = calloc(1, sizeof *state);
	if (state == NULL)
		return NULL;
	state->dedup = dedup_new();
	if (state->dedup != NULL && open_database(state, path, use, fresh) == 0)
		return state;
	int saved = errno;
	state_close(state);
	errno = saved;
	return NULL;
}

/* SQLite leaves the log of a database whose name is another's: the next one to open that would take it for its own. */
static void empty_log(struct state *state)
{
	state_read_end(state);
	if (db_is_open(&state->db))
		state_rollback(state);
	db_run(db_bind(&state->db, DB_CHECKPOINT, ""));
}

int state_is_there(const struct state *state)
{
	if (!db_is_moved(&state->db))
		return 0;
	errno = STATE_REPLACED;
	return -1;
}

void state_close(struct state *state)
{
	if (state == NULL)
		return;
	if (state->owner != 0 && db_is_moved(&state->db))
		empty_log(state);
	db_close(&state->db);
	dedup_free(state->dedup);
	free(state);
}

int state_set_aside(const struct spool *spool, char name[64])
{
	char stamp[CLOCK_STAMP_SIZE], log[80];
	clock_stamp(clock_now(), stamp);
	snprintf(name, 64, DATABASE ".damaged-%s", stamp);
	snprintf(log, sizeof log, "%s-wal", name);
	/* The database first: without its log it would be taken for a good one, a log without it is removed. */
	if (renameat(spool->fd, DATABASE, spool->fd, name) < 0 ||
	    (renameat(spool->fd, DATABASE "-wal", spool->fd, log) < 0 && errno != ENOENT))
		return -1;
	unlinkat(spool->fd, DATABASE "-shm", 0);
	return fsio_sync(spool->fd);
}

/* A rollback may have failed, for want of memory: it is made up for before anything else begins. */
static int end_open(struct state *state)
{
	if (db_is_open(&state->db))
		state_rollback(state);
	if (!db_is_open(&state->db))
		return 0;
	errno = ENOMEM;
	return -1;
}

int state_read_begin(struct state *state)
{
	if (state->reading)
		return 0;
	if (end_open(state) < 0 || db_run(db_bind(&state->db, DB_READ, "")) < 0)
		return -1;
	state->reading = true;
	return 0;
}

void state_read_end(struct state *state)
{
	if (state->reading)
		db_run(db_bind(&state->db, DB_COMMIT, ""));
	state->reading = false;
}

/* Within the transaction nobody else can become the owner. */
static int check_owner(struct state *state)
{
	if (state->owner == 0)
		return 0;
	int is_owner = db_ask(db_bind(&state->db, DB_OWNER_IS, "i", state->owner));
	if (is_owner == 0)
		errno = STATE_TAKEN;
	return is_owner == 1 ? 0 : -1;
}

int state_begin(struct state *state)
{
	state_read_end(state);
	if (end_open(state) < 0 || db_run(db_bind(&state->db, DB_BEGIN, "")) < 0)
		return -1;
	if (check_owner(state) == 0)
		return 0;
	state_rollback(state);
	return -1;
}

int state_commit(struct state *state)
{
	if (dedup_before_commit(state->dedup, &state->db) < 0 || db_run(db_bind(&state->db, DB_COMMIT, "")) < 0)
		return -1;
	dedup_committed(state->dedup);
	return 0;
}

void state_rollback(struct state *state)
{
	int saved = errno;
	if (db_is_open(&state->db))
		db_run(db_bind(&state->db, DB_ROLLBACK, ""));
	state->reading = false;
	if (!db_is_open(&state->db))
		dedup_rolled_back(state->dedup);
	errno = saved;
}

int state_seen(struct state *state, const uint8_t id[STATE_ID_SIZE])
{
	return dedup_seen(state->dedup, &state->db, id);
}

int state_seen_add(struct state *state, const uint8_t id[STATE_ID_SIZE])
{
	return dedup_add(state->dedup, &state->db, id, state_age(state));
}

int state_seen_sweep(struct state *state, size_t max, int64_t remember)
{
	return dedup_sweep(state->dedup, &state->db, max, remember, state_age(state));
}

int state_version(struct state *state, uint64_t *version)
{
	int64_t value;
	if (db_number(db_bind(&state->db, DB_DATA_VERSION, ""), &value) != 1)
		return -1;
	*version = (uint64_t)value << 40 ^ state_changes(state);
	return 0;
}

uint64_t state_changes(const struct state *state)
{
	return db_all_changes(&state->db);
}

int state_tidy(struct state *state, bool idle)
{
	int64_t free_pages;
	if (db_number(db_bind(&state->db, DB_FREE_PAGES, ""), &free_pages) != 1)
		return -1;
	if (free_pages >= (idle ? 1 : VACUUM_AT)) {
		int result;
		/* Each step frees a page. */
		struct sqlite3_stmt *statement = db_bind(&state->db, DB_VACUUM, "");
		while ((result = db_step(statement)) == 1)
			;
		if (result < 0)
			return -1;
	}
	return idle ? db_run(db_bind(&state->db, DB_CHECKPOINT, "")) : 0;
}
