#include "config.h"

/* As small as they can be, so that all that happens with millions happens with hundreds. */
#define DEDUP_SLICES  2
#define DEDUP_RECENT  16
#define DEDUP_PART    5
#define DEDUP_MERGED  70
#define DEDUP_FILTERS 36000
#define DEDUP_WALK    20
#include "state/dedup.c"

#include "base/clock.h"
#include "dedup_table.h"
#include "query.h"
#include "spool/open.h"
#include "state/deliveries.h"
#include "state/segments.h"
#include "state/state.h"
#include "state/state_private.h"
#include "unit.h"

#define DAYS(n) ((n)*INT64_C(86400) * CLOCK_SECOND)

/* An identity that was added, and the age at which it was, the last time. */
struct known {
	uint8_t id[ID_SIZE];
	int64_t last;
};

static struct {
	char *folder;
	struct conf conf;
	struct spool spool;
	struct state *state;
	struct dedup_table table;
	int64_t age;
	uint64_t random;
	struct known known[10000];
	size_t count;
} t;

static void open_state(void)
{
	bool fresh;
	t.state = state_open(&t.spool, STATE_DELIVER, &fresh);
	assert_non_null(t.state);
	if (fresh)
		assert_int_equal(state_commit(t.state), 0);
	assert_int_equal(table_open(&t.table, t.state->db.handle), 0);
}

static void close_state(void)
{
	table_close(&t.table);
	state_close(t.state);
}

static void reopen(void)
{
	close_state();
	open_state();
}

static int setup(void **state)
{
	(void)state;
	t.folder = unit_folder();
	t.conf = unit_conf(t.folder);
	assert_int_equal(spool_open(&t.spool, &t.conf, SPOOL_DELIVER), 0);
	t.count = 0;
	t.random = 1;
	t.age = 1;
	open_state();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_state();
	spool_close(&t.spool);
	unit_remove(t.folder);
	return 0;
}

static int64_t query(const char *sql)
{
	return unit_query(unit_path(t.folder, "state.db"), sql);
}

static uint64_t random_number(void)
{
	uint64_t z = t.random += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* One in four begins as others do: no part may end between these. */
static void make_id(uint8_t id[ID_SIZE])
{
	uint64_t halves[2] = {random_number(), random_number()};
	memcpy(id, halves, ID_SIZE);
	if (id[15] % 4 == 0)
		memset(id, id[15] & 0x80, 5);
}

static int seen(const uint8_t id[ID_SIZE])
{
	return dedup_seen(t.state->dedup, &t.state->db, id);
}

static void add_to_both(struct known *known)
{
	known->last = t.age;
	assert_int_equal(dedup_add(t.state->dedup, &t.state->db, known->id, t.age), 0);
	assert_int_equal(table_add(&t.table, known->id, t.age), 0);
}

static void sweep(size_t max, int64_t remember)
{
	assert_int_equal(dedup_sweep(t.state->dedup, &t.state->db, max, remember, t.age), 0);
	assert_int_equal(table_sweep(&t.table, t.age - remember), 0);
}

static void add_new(void)
{
	struct known *known = &t.known[t.count++];
	assert_true(t.count <= UNIT_COUNT(t.known));
	make_id(known->id);
	assert_int_equal(seen(known->id), 0);
	add_to_both(known);
	assert_int_equal(seen(known->id), 1);
}

/* One that may be there already, be it recent or in a run: that changes nothing, but that it may stay for longer. */
static void add_again(void)
{
	if (t.count > 0)
		add_to_both(&t.known[random_number() % t.count]);
}

static void add_some(size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (random_number() % 16 == 0)
			add_again();
		else
			add_new();
}

/* What the table has is known; what was last added so long ago is not, nor is what was never added. Of what was added,
 * one in `step` is looked at. */
static void compare_some(size_t step, int64_t gone)
{
	uint8_t id[ID_SIZE];
	if (!db_is_open(&t.state->db))
		assert_int_equal(state_read_begin(t.state), 0);
	for (size_t i = random_number() % step; i < t.count; i += step) {
		int own = seen(t.known[i].id), plain = table_seen(&t.table, t.known[i].id);
		int64_t age = t.age - t.known[i].last;
		unit_check(own >= plain, "%zu: %d, %d after %d days", i, own, plain, (int)(age / DAYS(1)));
		unit_check(own == 0 || age < gone, "%zu: %d after %d days", i, own, (int)(age / DAYS(1)));
	}
	for (int i = 0; i < 50; i++) {
		make_id(id);
		assert_int_equal(seen(id), 0);
	}
	state_read_end(t.state);
}

static void compare_both(int64_t gone)
{
	compare_some(1, gone);
}

static void begin(void)
{
	assert_int_equal(state_begin(t.state), 0);
}

static void commit(void)
{
	assert_int_equal(state_commit(t.state), 0);
}

static void sweep_and_commit(size_t max, int64_t remember)
{
	begin();
	sweep(max, remember);
	commit();
}

/* Adds, and all that may come between: as the plain table has it. */
static void as_the_table_has_it(void **state)
{
	(void)state;
	const int64_t remember = DAYS(8);
	for (int step = 0; step < 400; step++) {
		size_t before = t.count;
		t.age += CLOCK_SECOND;
		switch (random_number() % 8) {
		case 0:
			begin();
			add_some(random_number() % 60);
			sweep(10, DAYS(60));
			compare_some(8, INT64_MAX);
			state_rollback(t.state);
			t.count = before;
			break;
		case 1:
			reopen();
			break;
		case 2:
			t.age += DAYS(1);
			sweep_and_commit(SIZE_MAX, remember);
			compare_some(4, remember * 5 / 2);
			break;
		case 3:
			begin();
			for (int i = 0; i < 3; i++)
				add_new();
			commit();
			break;
		default:
			begin();
			add_some(random_number() % 30);
			sweep(1, remember);
			commit();
		}
	}
	compare_both(INT64_MAX);
	assert_true(query("SELECT max(level) FROM run") > 0);
	/* And nothing of them is left. */
	for (int i = 0; i < 4; i++) {
		t.age += DAYS(5);
		sweep_and_commit(SIZE_MAX, remember);
	}
	compare_both(0);
	assert_int_equal(query("SELECT (SELECT count(*) FROM recent) + (SELECT count(*) FROM run)"
			       " + (SELECT count(*) FROM part) + (SELECT count(*) FROM seen)"),
			 0);
}

/* Days in which events come and identities are forgotten. */
static void live(int days)
{
	for (int i = 0; i < days; i += 2) {
		t.age += DAYS(2);
		if (i % 4 == 0)
			reopen();
		begin();
		add_new();
		for (int k = 0; k < 20; k++)
			sweep(SIZE_MAX, DAYS(8));
		if (i % 6 == 0)
			state_rollback(t.state);
		else
			commit();
	}
}

/* One of three waits for longer than is remembered; there are as many as stay recent, or far more. */
static void what_waits_is_not_forgotten(void **state)
{
	static const size_t counts[] = {5, 300};
	for (size_t c = 0; c < UNIT_COUNT(counts); c++) {
		struct state_delivery delivery = {.length = 1};
		if (c > 0) {
			teardown(state);
			setup(state);
		}
		begin();
		assert_int_equal(
			state_segment(t.state, "20200101T000000.000000Z-1-00000000.jsonl", 1, &delivery.segment_id), 0);
		for (size_t i = 0; i < counts[c]; i++) {
			add_new();
			memcpy(delivery.event, t.known[i].id, ID_SIZE);
			if (i % 3 == 0)
				assert_int_equal(state_delivery_add(t.state, 1, 1, &delivery), 0);
		}
		commit();
		live(40);
		for (size_t i = 0; i < counts[c]; i++)
			unit_check(seen(t.known[i].id) == (i % 3 == 0), "%zu of %zu", i, counts[c]);
		query("DELETE FROM delivery");
		live(40);
		for (size_t i = 0; i < counts[c]; i++)
			unit_check(seen(t.known[i].id) == 0, "%zu of %zu", i, counts[c]);
	}
}

/* More than there are slots for, if none were merged that are too large for it; and more than there may be filters for.
 */
static void more_than_are_merged(void **state)
{
	(void)state;
	while (t.count < 9000) {
		begin();
		for (int i = 0; i < 300; i++)
			add_new();
		commit();
	}
	compare_both(INT64_MAX);
	assert_in_range(query("SELECT max(n) FROM (SELECT count(*) AS n FROM run GROUP BY slice)"), 20,
			FILTER_SLOTS - 1);
	assert_true(t.state->dedup->filter_bytes <= FILTERS_MAX);
	reopen();
	compare_both(INT64_MAX);
}

/* Who is started for each event, as by CGI, still fills its rows. */
static void rows_are_filled(void **state)
{
	(void)state;
	for (int i = 0; i < 11; i++) {
		begin();
		add_new();
		commit();
		reopen();
	}
	assert_int_equal(query("SELECT count(*) FROM recent"), 3);
	compare_both(INT64_MAX);
}

static const struct {
	const char *name, *sql;
} damages[] = {
	{"half an identity", "UPDATE recent SET ids = substr(ids, 1, 15)"},
	{"no identity", "UPDATE recent SET ids = x''"},
	{"too many recent ones", "UPDATE recent SET ids = zeroblob(16000)"},
	{"a slice that is none", "UPDATE run SET slice = 2"},
	{"a slice below all", "UPDATE run SET slice = -1"},
	{"a run of none", "UPDATE run SET count = 0"},
	{"a run of more than can be", "UPDATE run SET count = 1 << 40"},
	{"a run of more than it says", "UPDATE run SET count = 1"},
	{"recent ones for which there is no room", "UPDATE recent SET ids = zeroblob(16 * 16)"},
	{"a run of a level that none has", "UPDATE run SET level = 1 << 31"},
	{"a run of a level below all", "UPDATE run SET level = -1"},
	{"a run with a number that none has", "UPDATE run SET id = id + (1 << 31)"},
	{"a run older than the spool", "UPDATE run SET oldest = -1"},
	{"a run that ends before it begins", "UPDATE run SET oldest = newest + 1"},
	{"too many runs", "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 63)"
			  " INSERT INTO run SELECT max(id) + i, 0, 0, 1, 0, 0 FROM n, run GROUP BY i"},
	{"parts of none", "UPDATE part SET ids = x''"},
	{"parts of half an identity", "UPDATE part SET ids = substr(ids, 1, 8)"},
	{"no table", "DROP TABLE part"},
};

static void damage_is_noticed(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(damages); i++) {
		begin();
		t.count = 0;
		for (int n = 0; n < 203; n++)
			add_new();
		commit();
		close_state();
		query(damages[i].sql);
		open_state();
		int result = 0;
		for (size_t n = 0; n < t.count && result >= 0; n++)
			result = seen(t.known[n].id);
		unit_check(result == -1 && errno == STATE_CORRUPT, "%s: %d", damages[i].name, result);
		close_state();
		assert_int_equal(unlink(unit_path(t.folder, "state.db")), 0);
		open_state();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_the_table_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_is_not_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_are_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_are_filled, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_noticed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
