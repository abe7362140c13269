#include "config.h"

#include "spool/strays.h"

#include "unit.h"

#define SEGMENT "20261124T090000.123456Z-1-00000000.jsonl"

static struct unit_spool t;

static int setup(void **state)
{
	(void)state;
	unit_spool_open(&t, SPOOL_DELIVER);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_spool_remove(&t);
	return 0;
}

enum kind { PLAIN, FIFO, FOLDER, LINK, HARD_LINK, UNREADABLE };

static void make(const char *name, enum kind kind)
{
	const char *path = unit_path(t.folder, name);
	switch (kind) {
	case PLAIN:
	case UNREADABLE:
		unit_write(path, "x", 1);
		break;
	case FIFO:
		assert_int_equal(mkfifo(path, 0600), 0);
		break;
	case FOLDER:
		assert_int_equal(mkdir(path, 0700), 0);
		break;
	case LINK:
		assert_int_equal(symlink("/etc/passwd", path), 0);
		break;
	case HARD_LINK:
		unit_write(unit_path(t.folder, "diary"), "x", 1);
		assert_int_equal(link(unit_path(t.folder, "diary"), unit_path(t.folder, name)), 0);
		break;
	}
	if (kind == UNREADABLE && geteuid() == 0)
		assert_int_equal(lchown(unit_path(t.folder, name), 65534, (gid_t)-1), 0);
}

static const struct {
	const char *name;
	enum kind kind;
	const char *told; /* NULL: it belongs there */
	bool with_group;  /* it is only then */
} rows[] = {
	{"journal/" SEGMENT, PLAIN, NULL, false},
	{"journal/.20261124T090000.123456Z-kept.jsonl", PLAIN, NULL, false},
	{"errands/all", PLAIN, NULL, false},
	{"audit/audit.jsonl.1", PLAIN, NULL, false},
	{"archive/" SEGMENT, PLAIN, NULL, false},
	{"archive/" SEGMENT, HARD_LINK, NULL, false},
	{"journal/" SEGMENT, FIFO, "journal/" SEGMENT " is no regular file", false},
	{"journal/" SEGMENT, FOLDER, "journal/" SEGMENT " is no regular file", false},
	{"journal/" SEGMENT, LINK, "journal/" SEGMENT " is no regular file", false},
	{"journal/" SEGMENT, HARD_LINK,
	 "journal/" SEGMENT " is a file of this user's that has another name (a hard link)", true},
	{"journal/" SEGMENT, UNREADABLE, "journal/" SEGMENT " cannot be read by the deliverer", true},
	{"journal/notes\n\x9b.txt", PLAIN, "journal/notes??.txt is nothing that belongs there", false},
	{"errands/all", FOLDER, "errands/all is no regular file", false},
	{"errands/x", PLAIN, "errands/x is nothing that belongs there", false},
	{"audit/audit.jsonl", FIFO, "audit/audit.jsonl is no regular file", false},
	{"audit/audit.jsonl.2", PLAIN, "audit/audit.jsonl.2 is nothing that belongs there", false},
	{"archive/" SEGMENT, FOLDER, "archive/" SEGMENT " is no regular file", false},
};

static void are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++)
		for (int group = 0; group < 2; group++) {
			struct strays strays;
			if (rows[i].kind == UNREADABLE && geteuid() != 0)
				continue;
			make(rows[i].name, rows[i].kind);
			t.spool.has_group = group;
			t.spool.group = getegid();
			bool told = rows[i].told != NULL && (group || !rows[i].with_group);
			assert_int_equal(strays_look(&t.spool, &strays), 0);
			unit_check(strays.count == told, "row %zu, group %d", i, group);
			unit_check(!told || strcmp(strays.first, rows[i].told) == 0, "row %zu: %s", i, strays.first);
			teardown(NULL);
			setup(NULL);
		}
}

static void are_counted(void **state)
{
	(void)state;
	struct strays strays;
	char name[300] = "journal/";
	memset(name + 8, 'x', 250);
	make(name, PLAIN);
	make("errands/b", FIFO);
	make("archive/c", FOLDER);
	assert_int_equal(strays_look(&t.spool, &strays), 0);
	assert_int_equal(strays.count, 3);
	assert_non_null(strstr(strays.first, "xxx is nothing that belongs there"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(are_counted, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
