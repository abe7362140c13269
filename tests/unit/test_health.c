#include "config.h"

#include "report/health.h"

#include "unit.h"

#define MINUTE INT64_C(60000000)
#define NOW    (1000000 * MINUTE)
#define AGO(n) (NOW - (n)*MINUTE)

static void judges(void **state)
{
	(void)state;
	/* late_after is ten minutes everywhere. */
	static const struct {
		struct health_facts facts;
		enum health health;
		const char *why;
	} rows[] = {
		{{0}, HEALTH_OK, NULL},
		{{.last_at = AGO(9999)}, HEALTH_OK, NULL},
		{{.last_at = AGO(60), .expect = 60 * MINUTE}, HEALTH_OK, NULL},
		{{.last_at = AGO(61), .expect = 60 * MINUTE}, HEALTH_LATE, "silent"},
		{{.expect = 60 * MINUTE}, HEALTH_LATE, "no event yet"},
		{{.oldest_at = AGO(10)}, HEALTH_OK, NULL},
		{{.oldest_at = AGO(11)}, HEALTH_LATE, "wait"},
		{{.oldest_at = AGO(10), .tried = true}, HEALTH_OK, NULL},
		{{.oldest_at = AGO(11), .tried = true}, HEALTH_FAILING, "attempts"},
		{{.tried = true}, HEALTH_OK, NULL},
		{{.parked = 1}, HEALTH_FAILING, "parked"},
		{{.fault_at = AGO(5), .last_at = AGO(6)}, HEALTH_FAILING, "stored"},
		{{.fault_at = AGO(5), .last_at = AGO(4)}, HEALTH_OK, NULL},
		{{.fault_at = AGO(5)}, HEALTH_FAILING, "stored"},
		/* What weighs more is said. */
		{{.parked = 1, .oldest_at = AGO(11), .tried = true, .expect = 1}, HEALTH_FAILING, "parked"},
		{{.oldest_at = AGO(11), .expect = 1}, HEALTH_LATE, "wait"},
		/* A clock that was set back. */
		{{.last_at = AGO(-60), .oldest_at = AGO(-60), .expect = MINUTE}, HEALTH_OK, NULL},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct health_facts facts = rows[i].facts;
		const char *why = "nothing was said";
		facts.now = NOW;
		facts.late_after = 10 * MINUTE;
		enum health health = health_judge(&facts, &why);
		unit_check(health == rows[i].health, "row %zu: %s", i, health_names[health]);
		unit_check(rows[i].why == NULL ? why == NULL : why != NULL && strstr(why, rows[i].why) != NULL,
			   "row %zu: %s", i, why == NULL ? "-" : why);
	}
}

/* When it becomes worse if nothing happens, and that it does then and not before. */
static void turns(void **state)
{
	(void)state;
	static const struct {
		struct health_facts facts;
		int64_t in; /* minutes and a moment; -1: it does not */
	} rows[] = {
		{{0}, -1},
		{{.oldest_at = AGO(3)}, 7},
		{{.oldest_at = AGO(3), .tried = true}, 7},
		{{.oldest_at = AGO(10)}, 0},
		{{.oldest_at = AGO(11)}, -1},
		{{.last_at = AGO(3)}, -1},
		{{.last_at = AGO(3), .expect = 60 * MINUTE}, 57},
		{{.last_at = AGO(61), .expect = 60 * MINUTE}, -1},
		{{.last_at = 0, .expect = 60 * MINUTE}, -1},
		{{.last_at = AGO(3), .expect = 5 * MINUTE, .oldest_at = AGO(3)}, 2},
		{{.last_at = AGO(3), .expect = 60 * MINUTE, .oldest_at = AGO(3)}, 7},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct health_facts facts = rows[i].facts;
		const char *why;
		facts.now = NOW;
		facts.late_after = 10 * MINUTE;
		int64_t at = health_turns_at(&facts);
		unit_check(at == (rows[i].in < 0 ? 0 : NOW + rows[i].in * MINUTE + 1), "row %zu", i);
		if (at == 0)
			continue;
		facts.now = at - 1;
		unit_check(health_judge(&facts, &why) == HEALTH_OK, "row %zu", i);
		facts.now = at;
		unit_check(health_judge(&facts, &why) != HEALTH_OK, "row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(judges), cmocka_unit_test(turns)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
