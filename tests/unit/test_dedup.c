#include "config.h"

/* As small as they can be, so that all that happens with millions happens with hundreds. */
#define IDENTITIES_SLICES 2
#define IDENTITIES_RECENT 24
#define IDENTITIES_PART   5
#define IDENTITIES_MERGED 200
#define IDENTITIES_HINTS  40000
#define IDENTITIES_WALK   20
#include "state/dedup.c"

#include <sqlite3.h>

#include "base/clock.h"
#include "query.h"
#include "unit.h"

#define DAYS(n) ((n)*INT64_C(86400) * CLOCK_SECOND)

/* An identity that was added, and the spool's age then, the first and the last time. */
struct known {
	uint8_t id[ID_SIZE];
	int64_t first, last;
};

static struct {
	char *folder;
	struct conf conf;
	struct spool spool;
	struct state *state;
	uint64_t random;
	struct known *known;
	size_t count;
} t;

static void open_state(void)
{
	bool fresh;
	t.state = state_open(&t.spool, STATE_DELIVER, &fresh);
	assert_non_null(t.state);
	if (fresh)
		assert_int_equal(state_commit(t.state), 0);
}

static int setup(void **state)
{
	(void)state;
	t.folder = unit_folder();
	t.conf = unit_conf(t.folder);
	assert_int_equal(spool_open(&t.spool, &t.conf, SPOOL_DELIVER), 0);
	t.known = malloc(50000 * sizeof *t.known);
	assert_non_null(t.known);
	t.count = 0;
	t.random = 1;
	open_state();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	state_close(t.state);
	spool_close(&t.spool);
	free(t.known);
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

static void add_new(void)
{
	struct known *known = &t.known[t.count++];
	make_id(known->id);
	known->first = known->last = state_age(t.state);
	assert_int_equal(state_seen(t.state, known->id), 0);
	assert_int_equal(state_seen_add(t.state, known->id), 0);
	assert_int_equal(state_seen(t.state, known->id), 1);
}

/* One that may be there already, be it recent or in a run: that changes nothing, but that it may stay for longer. */
static void add_again(void)
{
	if (t.count == 0)
		return;
	struct known *known = &t.known[random_number() % t.count];
	known->last = state_age(t.state);
	assert_int_equal(state_seen_add(t.state, known->id), 0);
}

static void add_some(size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (random_number() % 16 == 0)
			add_again();
		else
			add_new();
}

/* What is not older than `kept` is known, what is older than `gone` is not; nor is what was never added. */
static void check(int64_t kept, int64_t gone)
{
	int64_t now = state_age(t.state);
	uint8_t id[ID_SIZE];
	for (size_t i = 0; i < t.count; i++) {
		int seen = state_seen(t.state, t.known[i].id);
		int64_t age = now - t.known[i].first, again = now - t.known[i].last;
		unit_check(seen == 1 || age > kept, "%zu: %d after %d days", i, seen, (int)(age / DAYS(1)));
		unit_check(seen == 0 || again < gone, "%zu: %d after %d days", i, seen, (int)(again / DAYS(1)));
	}
	for (int i = 0; i < 200; i++) {
		make_id(id);
		assert_int_equal(state_seen(t.state, id), 0);
	}
}

/* Another process, so much later. */
static void reopen(int64_t later)
{
	char sql[80];
	assert_int_equal(state_begin(t.state), 0);
	assert_int_equal(state_keep_age(t.state), 0);
	assert_int_equal(state_commit(t.state), 0);
	state_close(t.state);
	snprintf(sql, sizeof sql, "UPDATE age SET at = at - %lld", (long long)later);
	query(sql);
	open_state();
}

static void begin(void)
{
	assert_int_equal(state_begin(t.state), 0);
}

static void commit(void)
{
	assert_int_equal(state_commit(t.state), 0);
}

/* Adds, and all that may come between: as a plain set with ages has it. */
static void as_a_set_has_it(void **state)
{
	(void)state;
	const int64_t remember = DAYS(8);
	for (int step = 0; step < 400; step++) {
		size_t before = t.count;
		switch (random_number() % 8) {
		case 0:
			begin();
			add_some(random_number() % 60);
			assert_int_equal(state_seen_sweep(t.state, 10, DAYS(60)), 0);
			check(remember, INT64_MAX);
			state_rollback(t.state);
			t.count = before;
			break;
		case 1:
			reopen(0);
			break;
		case 2:
			reopen(DAYS(1));
			begin();
			assert_int_equal(state_seen_sweep(t.state, SIZE_MAX, remember), 0);
			commit();
			check(remember, remember * 5 / 2);
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
			assert_int_equal(state_seen_sweep(t.state, 1, remember), 0);
			commit();
		}
	}
	check(remember, INT64_MAX);
	assert_true(query("SELECT max(level) FROM run") > 0);
	/* And nothing of them is left. */
	for (int i = 0; i < 4; i++) {
		reopen(DAYS(5));
		begin();
		assert_int_equal(state_seen_sweep(t.state, SIZE_MAX, remember), 0);
		commit();
	}
	check(0, 0);
	assert_int_equal(query("SELECT (SELECT count(*) FROM recent) + (SELECT count(*) FROM run)"
			       " + (SELECT count(*) FROM part)"),
			 0);
}

/* Days in which events come and identities are forgotten. */
static void live(int days)
{
	for (int i = 0; i < days; i += 2) {
		reopen(DAYS(2));
		begin();
		add_new();
		for (int k = 0; k < 20; k++)
			assert_int_equal(state_seen_sweep(t.state, SIZE_MAX, DAYS(8)), 0);
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
			unit_check(state_seen(t.state, t.known[i].id) == (i % 3 == 0), "%zu of %zu", i, counts[c]);
		query("DELETE FROM delivery");
		live(40);
		for (size_t i = 0; i < counts[c]; i++)
			unit_check(state_seen(t.state, t.known[i].id) == 0, "%zu of %zu", i, counts[c]);
	}
}

/* More than there are slots for, if none were merged that are too large for it; and more than there may be hints for.
 */
static void more_than_are_merged(void **state)
{
	(void)state;
	while (t.count < 30000) {
		begin();
		for (int i = 0; i < 300; i++)
			add_new();
		commit();
	}
	check(INT64_MAX, INT64_MAX);
	assert_in_range(query("SELECT max(n) FROM (SELECT count(*) AS n FROM run GROUP BY slice)"), 20,
			HINTS_SLOTS - 1);
	assert_true(t.state->identities->hint_bytes <= HINTS_MAX);
	reopen(0);
	check(INT64_MAX, INT64_MAX);
}

/* Who is started for each event, as by CGI, still fills its rows. */
static void rows_are_filled(void **state)
{
	(void)state;
	for (int i = 0; i < 11; i++) {
		begin();
		add_new();
		commit();
		reopen(0);
	}
	assert_int_equal(query("SELECT count(*) FROM recent"), 3);
	check(INT64_MAX, INT64_MAX);
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
	{"recent ones for which there is no room", "UPDATE recent SET ids = zeroblob(24 * 16)"},
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
		for (int n = 0; n < 1003; n++)
			add_new();
		commit();
		state_close(t.state);
		query(damages[i].sql);
		open_state();
		int result = 0;
		for (size_t n = 0; n < t.count && result >= 0; n++)
			result = state_seen(t.state, t.known[n].id);
		unit_check(result == -1 && errno == STATE_UNSOUND, "%s: %d", damages[i].name, result);
		state_close(t.state);
		assert_int_equal(unlink(unit_path(t.folder, "state.db")), 0);
		open_state();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(as_a_set_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_is_not_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_are_merged, setup, teardown),
		cmocka_unit_test_setup_teardown(rows_are_filled, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_noticed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
