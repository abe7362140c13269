#include "config.h"

#include "state/dedup.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "state/db.h"
#include "state/dedup_filter.h"

#define ID_SIZE STATE_ID_SIZE

/* Tests make these small. */
#ifndef DEDUP_SLICES
#define DEDUP_SLICES  64 /* at most 256 */
#define DEDUP_RECENT  (64 * 220)
#define DEDUP_PART    253 /* fill a page of 4 KiB */
#define DEDUP_MERGED  (1u << 18)
#define DEDUP_FILTERS (256u << 20)
#define DEDUP_WALK    2000
#endif
#define SLICES      DEDUP_SLICES
#define RECENT_MAX  DEDUP_RECENT /* of them at most a part for each slice, on average */
#define PART_MAX    DEDUP_PART
#define MERGED_MAX  DEDUP_MERGED  /* in a run that merging makes: it is one step */
#define FILTERS_MAX DEDUP_FILTERS /* bytes, of all slices */

#define TABLE_SIZE  32768 /* more than twice RECENT_MAX, a power of two */
#define FAN_IN      8     /* runs that are merged into one */
#define MERGE_SHARE 8     /* identities that are merged for each that is added, if so many are to be */
#define ROW_SHARE   16    /* a row of recent ones spans no more than such a part of the time to remember */
#define RUN_SHARE   4     /* nor does what is merged */

#define WALK_STEPS   DEDUP_WALK /* rows and segments that are looked at before others get their turn */
#define ROWS_AT_ONCE 256
#define AGE_MARGIN   (INT64_C(86400) * CLOCK_SECOND) /* by which clocks may differ */

/* No run has more; a database that says so is damaged. */
#define RUN_MAX   INT32_MAX
#define LEVEL_MAX 64

struct run {
	int64_t id; /* 0: the slot is free */
	unsigned level;
	size_t count;
	int64_t oldest, newest;
};

struct slice {
	struct run runs[FILTER_SLOTS];
	struct filter filter;
	size_t asked; /* parts that were looked for without a filter */
};

struct dedup {
	uint8_t recent[RECENT_MAX][ID_SIZE]; /* in the order in which they came */
	uint32_t table[TABLE_SIZE];          /* of them: place plus one, and 16 bits of the hash; 0: free */
	size_t count, stored;                /* of them, and how many of these stand in rows */
	int64_t oldest, newest;              /* of all of them */
	int64_t pending_oldest;              /* of those in no row */
	struct {
		int64_t id, oldest;
		size_t count;
	} row;                /* the last one */
	int64_t first_newest; /* of the first row */

	struct slice slices[SLICES];
	int64_t last_run;
	size_t filter_bytes;
	size_t merge_debt; /* identities to be merged before the next commit */
	unsigned turn;     /* the slice that is merged next */
	bool mergeable;    /* there may be something to merge */

	/* A walk over the rows of events that have waited for long, before anything is forgotten. */
	struct {
		bool begun;
		int64_t limit;   /* what is older is forgotten at its end */
		int64_t segment; /* number of the one that is walked over */
		int64_t row;     /* the last one of it; 0: none */
		bool is_inside;  /* there may be more rows of it */
	} walk;

	int64_t remember;     /* INT64_MAX: not known yet */
	bool loaded, changed; /* changed: otherwise than what is committed */
};

/* In the order that compare has. */
static uint64_t start_of(const uint8_t *id)
{
	uint64_t start;
	memcpy(&start, id, sizeof start);
	return be64toh(start);
}

/* Some bits of it, to tell it from others. */
static uint32_t mark_of(const uint8_t *id)
{
	uint32_t mark;
	memcpy(&mark, id + 8, sizeof mark);
	return mark;
}

static struct filter_key key_of(const uint8_t *id)
{
	return (struct filter_key){(uint32_t)(start_of(id) * SLICES >> 32), mark_of(id)};
}

static struct slice *slice_of(struct dedup *all, const uint8_t *id)
{
	return &all->slices[id[0] * SLICES / 256];
}

static int64_t part_key(int64_t run, const uint8_t *id)
{
	return run << 32 | (int64_t)(start_of(id) >> 32);
}

static int64_t last_key(int64_t run)
{
	return run << 32 | UINT32_MAX;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, ID_SIZE);
}

static int corrupt(void)
{
	errno = STATE_CORRUPT;
	return -1;
}

/* How many identities a row has: whole ones, at least one. */
static int count_ids(struct span ids, size_t *n)
{
	*n = ids.len / ID_SIZE;
	return *n == 0 || ids.len % ID_SIZE != 0 ? corrupt() : 0;
}

/* The recent ones */

/* The entry of the identity, or the free one where it belongs. */
static uint32_t *entry_of(struct dedup *all, const uint8_t *id)
{
	uint32_t bits, mark = mark_of(id) & 0xffff;
	memcpy(&bits, id + 12, sizeof bits);
	size_t at = bits & (TABLE_SIZE - 1);
	for (uint32_t entry; (entry = all->table[at]) != 0; at = (at + 1) & (TABLE_SIZE - 1))
		if ((entry & 0xffff) == mark && memcmp(all->recent[(entry >> 16) - 1], id, ID_SIZE) == 0)
			break;
	return &all->table[at];
}

static void push_recent(struct dedup *all, uint32_t *entry, const uint8_t *id)
{
	memcpy(all->recent[all->count++], id, ID_SIZE);
	*entry = (uint32_t)all->count << 16 | (mark_of(id) & 0xffff);
}

static void clear_recent(struct dedup *all)
{
	memset(all->table, 0, sizeof all->table);
	memset(&all->row, 0, sizeof all->row);
	all->count = all->stored = 0;
}

static void note_age(struct dedup *all, int64_t oldest, int64_t newest)
{
	if (all->count == 0 || oldest < all->oldest)
		all->oldest = oldest;
	if (all->count == 0 || newest > all->newest)
		all->newest = newest;
}

static int load_row(struct sqlite3_stmt *row, void *arg)
{
	struct dedup *all = arg;
	struct span ids = db_blob(row, 3);
	int64_t oldest = db_int(row, 1), newest = db_int(row, 2);
	size_t n;
	if (count_ids(ids, &n) < 0 || n >= RECENT_MAX - all->count)
		return corrupt();
	if (all->count == 0)
		all->first_newest = newest;
	note_age(all, oldest, newest);
	all->row.id = db_int(row, 0);
	all->row.oldest = oldest;
	all->row.count = n;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *id = (const uint8_t *)ids.ptr + i * ID_SIZE;
		push_recent(all, entry_of(all, id), id);
	}
	all->stored = all->count;
	return 0;
}

static int load_recent(struct dedup *all, struct db *db)
{
	clear_recent(all);
	return db_walk(db_bind(db, DB_RECENT_ALL, ""), load_row, all);
}

/* Those that came last go on in the last row, as long as it fits. */
static int store_recent(struct dedup *all, struct db *db)
{
	while (all->stored < all->count) {
		if (all->row.count == 0 || all->row.count >= PART_MAX ||
		    all->newest - all->row.oldest > all->remember / ROW_SHARE) {
			all->row.id++;
			all->row.oldest = all->pending_oldest;
			all->row.count = 0;
		}
		size_t from = all->stored - all->row.count, to = from + PART_MAX;
		to = to < all->count ? to : all->count;
		struct span ids = {(const char *)all->recent[from], (to - from) * ID_SIZE};
		if (db_run(db_bind(db, DB_RECENT_PUT, "iiiv", all->row.id, all->row.oldest, all->newest, ids)) < 0)
			return -1;
		if (from == 0)
			all->first_newest = all->newest;
		all->row.count = to - from;
		all->stored = to;
	}
	return 0;
}

/* Runs */

static struct run *free_slot(struct slice *slice)
{
	for (size_t i = 0; i < FILTER_SLOTS; i++)
		if (slice->runs[i].id == 0)
			return &slice->runs[i];
	return NULL;
}

static unsigned slot_of(const struct slice *slice, const struct run *run)
{
	return (unsigned)(run - slice->runs) + 1;
}

static void drop_filter(struct dedup *all, struct slice *slice)
{
	all->filter_bytes -= slice->filter.room * sizeof *slice->filter.entries;
	filter_fini(&slice->filter);
	slice->asked = 0;
}

static int load_run(struct sqlite3_stmt *row, void *arg)
{
	struct dedup *all = arg;
	int64_t number = db_int(row, 1), count = db_int(row, 3);
	struct run run = {.id = db_int(row, 0),
			  .level = (unsigned)db_int(row, 2),
			  .count = (size_t)count,
			  .oldest = db_int(row, 4),
			  .newest = db_int(row, 5)};
	struct run *slot = number < 0 || number >= SLICES ? NULL : free_slot(&all->slices[number]);
	if (slot == NULL || slot_of(&all->slices[number], slot) == FILTER_SLOTS || count < 1 || count > UINT32_MAX ||
	    run.id <= all->last_run || run.id > RUN_MAX || db_int(row, 2) < 0 || db_int(row, 2) > LEVEL_MAX ||
	    run.oldest < 0 || run.oldest > run.newest)
		return corrupt();
	all->last_run = run.id;
	*slot = run;
	return 0;
}

static int load(struct dedup *all, struct db *db)
{
	if (all->loaded)
		return 0;
	for (size_t i = 0; i < SLICES; i++) {
		memset(all->slices[i].runs, 0, sizeof all->slices[i].runs);
		drop_filter(all, &all->slices[i]);
	}
	all->last_run = 0;
	if (load_recent(all, db) < 0 || db_walk(db_bind(db, DB_RUNS, ""), load_run, all) < 0)
		return -1;
	all->mergeable = true;
	all->walk.begun = false;
	all->loaded = true;
	return 0;
}

/* All of a run's identities, calling back for each part of them. */
static int walk_run(struct db *db, const struct run *run, db_take *take, void *arg)
{
	return db_walk(db_bind(db, DB_PARTS, "ii", run->id << 32, last_key(run->id)), take, arg);
}

struct adding {
	struct filter *filter;
	unsigned slot;
};

static int add_part(struct sqlite3_stmt *row, void *arg)
{
	struct adding *a = arg;
	struct span ids = db_blob(row, 0);
	size_t n;
	if (count_ids(ids, &n) < 0 || filter_is_full(a->filter, n))
		return corrupt(); /* the run has more than its row says */
	for (size_t i = 0; i < n; i++)
		filter_add(a->filter, key_of((const uint8_t *)ids.ptr + i * ID_SIZE), a->slot);
	return 0;
}

/* Some slices get more room than others: so that they are not all made again at the same time. */
static int make_filter(struct dedup *all, struct db *db, struct slice *slice)
{
	size_t count = 0;
	for (size_t i = 0; i < FILTER_SLOTS; i++)
		count += slice->runs[i].count;
	size_t room = count * (17 + 4 * (size_t)(slice - all->slices) / SLICES) / 10 + 2 * PART_MAX;
	drop_filter(all, slice);
	if (all->filter_bytes + room * sizeof *slice->filter.entries > FILTERS_MAX)
		return 0;
	if (filter_make(&slice->filter, room) < 0)
		return -1;
	all->filter_bytes += room * sizeof *slice->filter.entries;
	for (size_t i = 0; i < FILTER_SLOTS; i++) {
		struct adding adding = {&slice->filter, (unsigned)i + 1};
		if (slice->runs[i].id != 0 && walk_run(db, &slice->runs[i], add_part, &adding) < 0) {
			drop_filter(all, slice);
			return -1;
		}
	}
	return 0;
}

/* Writes the sorted identities as a new run. Parts end where the first bytes change, so that these tell them apart. */
static int put_run(struct dedup *all, struct db *db, struct slice *slice, struct run run, const uint8_t (*ids)[ID_SIZE],
		   uint64_t merged)
{
	struct run *slot = free_slot(slice);
	if (run.count == 0)
		return corrupt();
	size_t parts = (run.count + PART_MAX - 1) / PART_MAX, size = (run.count + parts - 1) / parts;
	run.id = ++all->last_run;
	if (db_run(db_bind(db, DB_RUN_ADD, "iiiiii", run.id, (int64_t)(slice - all->slices), (int64_t)run.level,
			   (int64_t)run.count, run.oldest, run.newest)) < 0)
		return -1;
	for (size_t from = 0, to; from < run.count; from = to) {
		to = from + size < run.count ? from + size : run.count;
		while (to < run.count && memcmp(ids[to - 1], ids[to], 4) == 0)
			to++;
		struct span part = {(const char *)ids[from], (to - from) * ID_SIZE};
		if (db_run(db_bind(db, DB_PART_ADD, "iv", part_key(run.id, ids[from]), part)) < 0)
			return -1;
	}
	*slot = run;
	if (slice->filter.entries == NULL)
		return 0;
	if (merged == 0 && filter_is_full(&slice->filter, run.count))
		return make_filter(all, db, slice);
	for (size_t i = 0; i < run.count; i++)
		if (merged == 0)
			filter_add(&slice->filter, key_of(ids[i]), slot_of(slice, slot));
		else
			filter_move(&slice->filter, key_of(ids[i]), merged, slot_of(slice, slot));
	return 0;
}

static int drop_run(struct db *db, struct run *run)
{
	if (db_run(db_bind(db, DB_PARTS_DROP, "ii", run->id << 32, last_key(run->id))) < 0 ||
	    db_run(db_bind(db, DB_RUN_DROP, "i", run->id)) < 0)
		return -1;
	*run = (struct run){0};
	return 0;
}

/* Merging */

/* The identities of one run that are not taken yet, and how the first of them begins. */
struct source {
	const uint8_t (*at)[ID_SIZE], (*end)[ID_SIZE];
	uint64_t start;
};

struct filling {
	uint8_t (*at)[ID_SIZE], (*end)[ID_SIZE];
};

static int fill_part(struct sqlite3_stmt *row, void *arg)
{
	struct filling *filling = arg;
	struct span ids = db_blob(row, 0);
	size_t n;
	if (count_ids(ids, &n) < 0 || n > (size_t)(filling->end - filling->at))
		return corrupt();
	memcpy(filling->at, ids.ptr, n * ID_SIZE);
	filling->at += n;
	return 0;
}

static bool is_less(const struct source *a, const struct source *b)
{
	return a->start != b->start ? a->start < b->start : compare(a->at, b->at) < 0;
}

/* From sorted ones, each once. How many. */
static size_t merge_sources(struct source *sources, size_t n, uint8_t (*out)[ID_SIZE])
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		sources[i].start = start_of(*sources[i].at);
	while (n > 0) {
		struct source *least = sources;
		for (size_t i = 1; i < n; i++)
			if (is_less(&sources[i], least))
				least = &sources[i];
		if (count == 0 || compare(out[count - 1], least->at) != 0)
			memcpy(out[count++], least->at, ID_SIZE);
		if (++least->at == least->end)
			*least = sources[--n];
		else
			least->start = start_of(*least->at);
	}
	return count;
}

/* Makes one run of these. */
static int merge(struct dedup *all, struct db *db, struct slice *slice, struct run *const *runs, size_t n,
		 unsigned level)
{
	struct source sources[FAN_IN];
	struct run merged = {.level = level, .oldest = INT64_MAX, .newest = INT64_MIN};
	uint64_t slots = 0;
	size_t total = 0;
	for (size_t i = 0; i < n; i++)
		total += runs[i]->count;
	uint8_t(*ids)[ID_SIZE] = reallocarray(NULL, 2 * total + 1, ID_SIZE);
	if (ids == NULL)
		return -1;
	struct filling filling = {ids, ids};
	int result = 0;
	for (size_t i = 0; i < n && result == 0; i++) {
		filling.end += runs[i]->count;
		sources[i].at = (const uint8_t(*)[ID_SIZE])filling.at;
		sources[i].end = (const uint8_t(*)[ID_SIZE])filling.end;
		result = walk_run(db, runs[i], fill_part, &filling);
		if (result == 0 && filling.at != filling.end)
			result = corrupt();
		merged.oldest = runs[i]->oldest < merged.oldest ? runs[i]->oldest : merged.oldest;
		merged.newest = runs[i]->newest > merged.newest ? runs[i]->newest : merged.newest;
		slots |= UINT64_C(1) << slot_of(slice, runs[i]);
	}
	if (result == 0) {
		merged.count = merge_sources(sources, n, ids + total);
		result = put_run(all, db, slice, merged, (const uint8_t(*)[ID_SIZE])ids + total, slots);
	}
	for (size_t i = 0; i < n && result == 0; i++)
		result = drop_run(db, runs[i]);
	free(ids);
	all->merge_debt -= total < all->merge_debt ? total : all->merge_debt;
	return result;
}

/* The runs of the level, or of all (-1), the first made first. How many. */
static size_t list_runs(struct slice *slice, int level, struct run *list[FILTER_SLOTS])
{
	size_t n = 0;
	for (size_t i = 0; i < FILTER_SLOTS; i++) {
		struct run *run = &slice->runs[i];
		if (run->id == 0 || (level >= 0 && run->level != (unsigned)level))
			continue;
		size_t at = n++;
		for (; at > 0 && list[at - 1]->id > run->id; at--)
			list[at] = list[at - 1];
		list[at] = run;
	}
	return n;
}

/* Whether these may be merged: not too many, and near enough in age. */
static bool is_mergeable(const struct dedup *all, struct run *const *runs)
{
	size_t total = 0;
	int64_t oldest = INT64_MAX, newest = INT64_MIN;
	for (size_t i = 0; i < FAN_IN; i++) {
		total += runs[i]->count;
		oldest = runs[i]->oldest < oldest ? runs[i]->oldest : oldest;
		newest = runs[i]->newest > newest ? runs[i]->newest : newest;
	}
	return total <= MERGED_MAX && newest - oldest <= all->remember / RUN_SHARE;
}

/* 1: merged some; 0: there is nothing to merge in this slice; -1 with errno. */
static int merge_slice(struct dedup *all, struct db *db, struct slice *slice)
{
	struct run *runs[FILTER_SLOTS];
	unsigned levels = 0;
	for (size_t i = 0; i < FILTER_SLOTS; i++)
		if (slice->runs[i].id != 0 && slice->runs[i].level >= levels)
			levels = slice->runs[i].level + 1;
	for (unsigned level = 0; level < levels; level++) {
		size_t n = list_runs(slice, (int)level, runs);
		for (size_t i = 0; i + FAN_IN <= n; i++)
			if (is_mergeable(all, runs + i))
				return merge(all, db, slice, runs + i, FAN_IN, level + 1) < 0 ? -1 : 1;
	}
	return 0;
}

static int pay_merge_debt(struct dedup *all, struct db *db)
{
	/* Until then ages would not keep runs apart. */
	if (all->remember == INT64_MAX)
		return 0;
	for (unsigned idle = 0; all->mergeable && all->merge_debt > 0;) {
		int merged = merge_slice(all, db, &all->slices[all->turn]);
		if (merged < 0)
			return -1;
		idle = merged ? 0 : idle + 1;
		all->mergeable = idle < SLICES;
		if (!merged)
			all->turn = (all->turn + 1) % SLICES;
	}
	all->merge_debt = all->mergeable ? all->merge_debt : 0;
	return 0;
}

/* One slot stays free, for what is merged. Should ages have kept too many runs apart, neighbours go together after all:
 * those that have the fewest identities. */
static int make_slot(struct dedup *all, struct db *db, struct slice *slice)
{
	struct run *runs[FILTER_SLOTS];
	size_t n = list_runs(slice, -1, runs), best = 0, least = SIZE_MAX;
	unsigned level = 0;
	if (n + 2 <= FILTER_SLOTS)
		return 0;
	for (size_t i = 0; i + FAN_IN <= n; i++) {
		size_t total = 0;
		for (size_t k = 0; k < FAN_IN; k++)
			total += runs[i + k]->count;
		if (total < least) {
			least = total;
			best = i;
		}
	}
	for (size_t k = 0; k < FAN_IN; k++)
		level = runs[best + k]->level > level ? runs[best + k]->level : level;
	return merge(all, db, slice, runs + best, FAN_IN, level);
}

/* Makes a run of each slice of the identities, which are put in order. */
static int make_runs(struct dedup *all, struct db *db, uint8_t (*sorted)[ID_SIZE], size_t count, int64_t oldest,
		     int64_t newest)
{
	const uint8_t(*ids)[ID_SIZE] = (const uint8_t(*)[ID_SIZE])sorted;
	qsort(sorted, count, ID_SIZE, compare);
	for (size_t from = 0, to; from < count; from = to) {
		struct slice *slice = slice_of(all, ids[from]);
		for (to = from + 1; to < count && slice_of(all, ids[to]) == slice;)
			to++;
		struct run run = {.count = to - from, .oldest = oldest, .newest = newest};
		if (make_slot(all, db, slice) < 0 || put_run(all, db, slice, run, ids + from, 0) < 0)
			return -1;
	}
	all->mergeable = true;
	return 0;
}

/* Puts the recent ones away. */
static int flush_recent(struct dedup *all, struct db *db)
{
	if (make_runs(all, db, all->recent, all->count, all->oldest, all->newest) < 0)
		return -1;
	clear_recent(all);
	return db_run(db_bind(db, DB_RECENT_CLEAR, ""));
}

static int add(struct dedup *all, struct db *db, const uint8_t *id, int64_t age)
{
	uint32_t *entry = entry_of(all, id);
	if (*entry != 0)
		return 0;
	all->changed = true;
	if (all->count == all->stored)
		all->pending_oldest = age;
	note_age(all, age, age);
	push_recent(all, entry, id);
	all->merge_debt += MERGE_SHARE;
	return all->count < RECENT_MAX ? 0 : flush_recent(all, db);
}

/* Looking them up */

static int search_part(struct db *db, const struct run *run, const uint8_t *id)
{
	struct sqlite3_stmt *statement = db_bind(db, DB_PART_AT, "ii", run->id << 32, part_key(run->id, id));
	int result = db_step(statement);
	if (result == 1) {
		struct span ids = db_blob(statement, 0);
		size_t n;
		result = count_ids(ids, &n);
		if (result == 0)
			result = bsearch(id, ids.ptr, n, ID_SIZE, compare) != NULL;
		db_reset(statement);
	}
	return result;
}

static int search_runs(struct db *db, const struct slice *slice, const uint8_t *id, int64_t since)
{
	int result = 0;
	for (size_t i = 0; i < FILTER_SLOTS && result == 0; i++)
		if (slice->runs[i].id != 0 && slice->runs[i].newest >= since)
			result = search_part(db, &slice->runs[i], id);
	return result;
}

/* Whether the searches without a filter have come to cost as much as making it. */
static bool is_asked_often(struct slice *slice)
{
	size_t runs = 0, parts = 0;
	for (size_t i = 0; i < FILTER_SLOTS; i++) {
		runs += slice->runs[i].id != 0;
		parts += slice->runs[i].count / PART_MAX + 1;
	}
	slice->asked += runs;
	return slice->asked > parts;
}

/* In the runs that have something since then. */
static int search_slice(struct dedup *all, struct db *db, struct slice *slice, const uint8_t *id, int64_t since)
{
	int result = 0;
	if (slice->filter.entries == NULL && is_asked_often(slice) && make_filter(all, db, slice) < 0)
		return -1;
	if (slice->filter.entries == NULL)
		return search_runs(db, slice, id, since);
	struct filter_key key = key_of(id);
	size_t at = filter_start(&slice->filter, key);
	for (unsigned slot; result == 0 && (slot = filter_next(&slice->filter, key, &at)) != 0;)
		if (slice->runs[slot - 1].newest >= since)
			result = search_part(db, &slice->runs[slot - 1], id);
	return result;
}

int dedup_seen(struct dedup *all, struct db *db, const uint8_t id[STATE_ID_SIZE])
{
	if (load(all, db) < 0)
		return -1;
	struct slice *slice = slice_of(all, id);
	/* What is likely to be asked next is far away in memory. */
	if (slice->filter.entries != NULL)
		__builtin_prefetch(slice->filter.entries + filter_start(&slice->filter, key_of(id)));
	return *entry_of(all, id) != 0 ? 1 : search_slice(all, db, slice, id, INT64_MIN);
}

int dedup_add(struct dedup *all, struct db *db, const uint8_t id[STATE_ID_SIZE], int64_t age)
{
	return load(all, db) < 0 ? -1 : add(all, db, id, age);
}

/* Renewing: what delivery rows name is not forgotten */

/* Whether the segment may have a line that is older than `remember`. A name begins with the time of the first line by
 * the wall clock, which may have been set; that of a fold says nothing. */
static bool is_old(const char *segment, int64_t remember)
{
	int64_t stamp, now = clock_now();
	if (segment_is_fold(segment) || !segment_parse_name(segment, &stamp))
		return true;
	return stamp < now - remember + AGE_MARGIN || stamp > now + AGE_MARGIN;
}

static int append_ids(struct sqlite3_stmt *row, void *arg)
{
	struct buf *ids = arg;
	struct span more = db_blob(row, 0);
	size_t n;
	return count_ids(more, &n) < 0 ? -1 : buf_append(ids, more.ptr, more.len);
}

/* Makes runs of the recent ones that are to be forgotten, which are told from others by their run then. */
static int set_apart(struct dedup *all, struct db *db, int64_t limit)
{
	struct buf ids = {0};
	if (all->count == 0 || store_recent(all, db) < 0)
		return all->count == 0 ? 0 : -1;
	if (all->first_newest >= limit)
		return 0;
	all->changed = true;
	int result = db_walk(db_bind(db, DB_RECENT_OLD, "i", limit), append_ids, &ids);
	if (result == 0 && ids.len > 0)
		result = make_runs(all, db, (uint8_t(*)[ID_SIZE])ids.data, ids.len / ID_SIZE, all->oldest, limit - 1);
	if (result == 0)
		result = db_run(db_bind(db, DB_RECENT_SWEEP, "i", limit)) < 0 ? -1 : load_recent(all, db);
	int saved = errno;
	buf_fini(&ids);
	errno = saved;
	return result;
}

/* Adds an identity anew unless it stands where it is not forgotten. */
static int renew(struct dedup *all, struct db *db, const uint8_t *id, int64_t now)
{
	if (*entry_of(all, id) != 0)
		return 0;
	int found = search_slice(all, db, slice_of(all, id), id, all->walk.limit);
	return found != 0 ? (found < 0 ? -1 : 0) : add(all, db, id, now);
}

struct renewing {
	struct dedup *all;
	struct db *db;
	int64_t now;
	int rows;
};

static int renew_row(struct sqlite3_stmt *row, void *arg)
{
	struct renewing *r = arg;
	struct span id = db_blob(row, 1);
	r->all->walk.row = db_int(row, 0);
	r->rows++;
	return id.len != ID_SIZE ? 0 : renew(r->all, r->db, (const uint8_t *)id.ptr, r->now);
}

/* Goes on with the rows of a segment. One more than it has looked at, or -1. */
static int renew_some(struct dedup *all, struct db *db, int64_t now)
{
	struct renewing r = {all, db, now, 0};
	if (db_walk(db_bind(db, DB_WAITERS, "iii", all->walk.segment, all->walk.row, (int64_t)ROWS_AT_ONCE), renew_row,
		    &r) < 0)
		return -1;
	all->walk.is_inside = r.rows == ROWS_AT_ONCE;
	return r.rows + 1;
}

/* 1, 0 (that was the last one) or -1. */
static int next_segment(struct dedup *all, struct db *db)
{
	char name[SEGMENT_NAME_SIZE];
	struct sqlite3_stmt *row = db_bind(db, DB_PIN_NEXT, "i", all->walk.segment);
	int result = db_step(row);
	if (result != 1)
		return result;
	all->walk.segment = db_int(row, 0);
	all->walk.row = 0;
	result = db_segment(row, 1, name);
	db_reset(row);
	if (result < 0)
		return -1;
	all->walk.is_inside = is_old(name, all->remember);
	return all->walk.is_inside && set_apart(all, db, all->walk.limit) < 0 ? -1 : 1;
}

/* Sees to it that what waits is not forgotten. 1: what is older than walk.limit can be; 0: not yet; -1 with errno. */
static int renew_waiting(struct dedup *all, struct db *db, int64_t oldest, int64_t now)
{
	if (!all->walk.begun) {
		all->walk.begun = true;
		all->walk.limit = oldest;
		all->walk.segment = 0;
		all->walk.is_inside = false;
	}
	for (int steps = 0, n; steps < WALK_STEPS; steps += n) {
		n = all->walk.is_inside ? renew_some(all, db, now) : next_segment(all, db);
		if (n < 0)
			return -1;
		if (n == 0 && !all->walk.is_inside) {
			all->walk.begun = false;
			return 1;
		}
	}
	return 0;
}

/* Forgetting */

static int sweep_recent(struct dedup *all, struct db *db, int64_t oldest)
{
	if (all->stored == 0 || all->first_newest >= oldest)
		return 0;
	all->changed = true;
	if (store_recent(all, db) < 0 || db_run(db_bind(db, DB_RECENT_SWEEP, "i", oldest)) < 0)
		return -1;
	return load_recent(all, db);
}

/* Whether anything could be forgotten. */
static bool has_older(const struct dedup *all, int64_t oldest)
{
	if (all->stored > 0 && all->first_newest < oldest)
		return true;
	for (size_t i = 0; i < SLICES * FILTER_SLOTS; i++) {
		const struct run *run = &all->slices[i / FILTER_SLOTS].runs[i % FILTER_SLOTS];
		if (run->id != 0 && run->newest < oldest)
			return true;
	}
	return false;
}

static int sweep_runs(struct dedup *all, struct db *db, size_t max, int64_t oldest)
{
	size_t forgotten = 0;
	for (size_t i = 0; i < SLICES * FILTER_SLOTS && forgotten < max; i++) {
		struct slice *slice = &all->slices[i / FILTER_SLOTS];
		struct run *run = &slice->runs[i % FILTER_SLOTS];
		if (run->id == 0 || run->newest >= oldest)
			continue;
		all->changed = true;
		forgotten += run->count;
		drop_filter(all, slice);
		if (drop_run(db, run) < 0)
			return -1;
	}
	return 0;
}

int dedup_sweep(struct dedup *all, struct db *db, size_t max, int64_t remember, int64_t age)
{
	if (load(all, db) < 0)
		return -1;
	all->remember = remember;
	int64_t oldest = age - remember;
	if (!has_older(all, all->walk.begun ? all->walk.limit : oldest))
		return 0;
	int result = renew_waiting(all, db, oldest, age);
	if (result != 1)
		return result;
	return sweep_recent(all, db, all->walk.limit) < 0 ? -1 : sweep_runs(all, db, max, all->walk.limit);
}

struct dedup *dedup_new(void)
{
	struct dedup *all = calloc(1, sizeof *all);
	if (all != NULL)
		all->remember = INT64_MAX;
	return all;
}

void dedup_free(struct dedup *all)
{
	for (size_t i = 0; all != NULL && i < SLICES; i++)
		filter_fini(&all->slices[i].filter);
	free(all);
}

int dedup_before_commit(struct dedup *all, struct db *db)
{
	if (!all->changed)
		return 0;
	return store_recent(all, db) < 0 ? -1 : pay_merge_debt(all, db);
}

void dedup_committed(struct dedup *all)
{
	all->changed = false;
}

void dedup_rolled_back(struct dedup *all)
{
	if (!all->changed)
		return;
	all->changed = all->loaded = false;
	all->merge_debt = 0;
}
