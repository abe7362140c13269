#include "config.h"

#include "spool/layout.h"
#include "spool/open.h"

#include <errno.h>

#include "unit.h"

static char *folder;
static char path[4096];
static struct conf conf;

static int setup(void **state)
{
	(void)state;
	folder = unit_folder();
	snprintf(path, sizeof path, "%s/spool", folder);
	conf = unit_conf(path);
	conf.has_group = true;
	conf.group = getegid();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_remove(folder);
	return 0;
}

/* A spool as earlier versions made it for two users, or as one was before `group` was set. */
static const struct {
	const char *name;
	mode_t shared, alone, settled; /* modes before and after */
} members[] = {
	{"", 02770, 0700, 02750},
	{"journal", 02770, 0700, 02770},
	{"journal/20261124T090000.123456Z-1-00000000.jsonl", 0660, 0600, 0660},
	{"errands", 02770, 0700, 02770},
	{"archive", 02770, 0700, 02750},
	{"archive/20261124T090000.123456Z-fold.jsonl", 0660, 0600, 0640},
	{"damaged", 02770, 0700, 02750},
	{"damaged/20261124T090000.123456Z-1-00000000.jsonl", 0660, 0600, 0640},
	{"status", 02770, 0700, 02750},
	{"status/form", 0660, 0600, 0640},
	{"state.db", 0660, 0600, 0640},
	{"state.db-wal", 0660, 0600, 0640},
	{"state.db-shm", 0660, 0600, 0640},
	{"deliver.lock", 0660, 0600, 0640},
};

static void make_early(bool shared)
{
	for (size_t i = 0; i < UNIT_COUNT(members); i++) {
		const char *name = unit_path(path, members[i].name);
		if (members[i].settled & S_ISGID)
			assert_int_equal(mkdir(name, 0700), 0);
		else
			unit_write(name, "", 0);
	}
	for (size_t i = UNIT_COUNT(members); i-- > 0;)
		assert_int_equal(chmod(unit_path(path, members[i].name), shared ? members[i].shared : members[i].alone),
				 0);
	assert_int_equal(mkfifo(unit_path(path, "trigger"), 0600), 0);
}

static void settles_an_early_spool(void **state)
{
	(void)state;
	for (int shared = 0; shared < 2; shared++) {
		struct spool spool;
		make_early(shared);
		/* The second time nothing is to be done. */
		for (int times = 0; times < 2; times++) {
			assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
			spool_close(&spool);
			for (size_t i = 0; i < UNIT_COUNT(members); i++)
				unit_check(unit_mode(unit_path(path, members[i].name)) == members[i].settled, "%s: %o",
					   members[i].name, unit_mode(unit_path(path, members[i].name)));
			assert_int_equal(unit_mode(unit_path(path, "trigger")), 0660);
			assert_int_equal(unit_mode(unit_path(path, "audit")), 02770);
		}
		teardown(NULL);
		setup(NULL);
	}
}

/* An administrator's modes stay as they are where there is one user, and bits of others where there are two. */
static void leaves_other_modes(void **state)
{
	(void)state;
	struct spool spool;
	conf.has_group = false;
	make_early(true);
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	spool_close(&spool);
	for (size_t i = 0; i < UNIT_COUNT(members); i++)
		unit_check(unit_mode(unit_path(path, members[i].name)) == members[i].shared, "%s", members[i].name);
	conf.has_group = true;
	assert_int_equal(chmod(path, 0775), 0);
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	spool_close(&spool);
	assert_int_equal(unit_mode(path), 02755);
}

/* Whoever may write in a folder may have put there what is no plain file, or a name of another one. */
static void touches_nothing_elsewhere(void **state)
{
	(void)state;
	struct spool spool;
	make_early(true);
	const char *diary = unit_path(folder, "diary");
	unit_write(diary, "", 0);
	assert_int_equal(symlink(diary, unit_path(path, "archive/link")), 0);
	assert_int_equal(link(unit_path(folder, "diary"), unit_path(path, "archive/name")), 0);
	assert_int_equal(mkfifo(unit_path(path, "archive/fifo"), 0600), 0);
	assert_int_equal(mkdir(unit_path(path, "archive/folder"), 0700), 0);
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	spool_close(&spool);
	assert_int_equal(unit_mode(unit_path(path, "archive")), 02750);
	assert_int_equal(unit_mode(unit_path(folder, "diary")), 0600);
}

/* What the deliverer's own files must be, and are not: nothing is delivered, and the command is told. */
static void what_is_anothers_is_refused(void **state)
{
	(void)state;
	static const char *const names[] = {"", "archive", "damaged", "status", "state.db", "deliver.lock"};
	char fault[LAYOUT_FAULT_SIZE], command[8192];
	struct spool spool;
	if (geteuid() != 0)
		skip();
	make_early(true);
	snprintf(command, sizeof command, "chown -Rh 0 %s", path);
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		assert_false(layout_fault(&conf, SPOOL_DELIVER, fault));
		assert_int_equal(lchown(unit_path(path, names[i]), 65534, (gid_t)-1), 0);
		assert_true(layout_fault(&conf, SPOOL_DELIVER, fault));
		unit_check(strstr(fault, names[i]) != NULL && strstr(fault, command) != NULL, "%s: %s", names[i],
			   fault);
		assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(system(command), 0);
	}
	/* Of the shared ones it does not matter. */
	assert_int_equal(lchown(unit_path(path, "journal"), 65534, (gid_t)-1), 0);
	assert_false(layout_fault(&conf, SPOOL_DELIVER, fault));
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	spool_close(&spool);
}

static void says_who_makes_what_is_missing(void **state)
{
	(void)state;
	char fault[LAYOUT_FAULT_SIZE];
	assert_true(layout_fault(&conf, SPOOL_RECEIVE, fault));
	assert_non_null(strstr(fault, "hookspool deliver"));
	assert_false(layout_fault(&conf, SPOOL_DELIVER, fault));
	conf.deliver_auto = true;
	assert_false(layout_fault(&conf, SPOOL_RECEIVE, fault));
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_true(layout_fault(&conf, SPOOL_DELIVER, fault));
	assert_non_null(strstr(fault, "chmod o-w "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(settles_an_early_spool, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_other_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(touches_nothing_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_anothers_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(says_who_makes_what_is_missing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
