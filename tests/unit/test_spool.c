#include "config.h"

#include "spool/spool.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/fsio.h"
#include "spool/open.h"
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
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_remove(folder);
	return 0;
}

static bool is_there(const char *name)
{
	struct stat st;
	return lstat(unit_path(path, name), &st) == 0;
}

/* A group that this process may give files to, and that is not the one they get by themselves where there is another.
 */
static gid_t other_group(void)
{
	gid_t groups[64];
	int count = getgroups((int)UNIT_COUNT(groups), groups);
	if (geteuid() == 0)
		return getegid() + 1;
	for (int i = 0; i < count; i++)
		if (groups[i] != getegid())
			return groups[i];
	return getegid();
}

static const struct {
	enum spool_use use;
	bool archive, trigger;
} uses[] = {
	{SPOOL_RECEIVE, false, true},
	{SPOOL_DELIVER, true, true},
};

static void makes_what_its_user_needs(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(uses); i++) {
		struct spool spool;
		assert_int_equal(spool_open(&spool, &conf, uses[i].use), 0);
		assert_true(spool.fd >= 0 && spool.journal_fd >= 0);
		assert_true(is_there("journal"));
		unit_check(is_there("archive") == uses[i].archive, "use %zu", i);
		unit_check(is_there("damaged") == uses[i].archive, "use %zu", i);
		unit_check((spool.archive_fd >= 0) == uses[i].archive, "use %zu", i);
		unit_check((spool.damaged_fd >= 0) == uses[i].archive, "use %zu", i);
		unit_check(is_there("trigger") == uses[i].trigger, "use %zu", i);
		assert_false(is_there("deliver.lock"));
		assert_false(is_there("audit.jsonl"));
		assert_true(spool_is_there(&spool));
		spool_close(&spool);
		assert_int_equal(spool.fd, -1);
		assert_int_equal(spool.journal_fd, -1);
		spool_close(&spool);
	}
}

/* Those who only look, and a receiver that lost its spool, make nothing. */
static void makes_nothing_for_others(void **state)
{
	(void)state;
	static const enum spool_use rows[] = {SPOOL_RETURN, SPOOL_LOOK};
	struct spool spool;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		unit_check(spool_open(&spool, &conf, rows[i]) == -1 && errno == ENOENT, "use %zu", i);
		assert_int_equal(spool.fd, -1);
		assert_int_equal(access(path, F_OK), -1);
	}
	/* Nor does a receiver where the deliverer is another user. */
	conf.has_group = true;
	conf.group = getegid();
	assert_int_equal(spool_open(&spool, &conf, SPOOL_RECEIVE), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(access(path, F_OK), -1);
	conf.has_group = false;
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		unit_check(spool_open(&spool, &conf, rows[i]) == -1 && errno == ENOENT, "use %zu", i);
		assert_int_equal(spool.fd, -1);
		assert_false(is_there("journal"));
	}
	/* A spool that no deliverer has seen yet can be looked at. */
	assert_int_equal(spool_open(&spool, &conf, SPOOL_RECEIVE), 0);
	spool_close(&spool);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		assert_int_equal(spool_open(&spool, &conf, rows[i]), 0);
		assert_true(spool.journal_fd >= 0);
		assert_int_equal(spool.archive_fd, -1);
		assert_false(is_there("archive"));
		spool_close(&spool);
	}
}

static int make_file(const struct spool *spool, const char *name, int (*give)(const struct spool *, int))
{
	int fd = openat(spool->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	int result = give(spool, fd);
	close(fd);
	return result;
}

static void check_mode(const char *name, mode_t mode, mode_t mask)
{
	mode_t is = unit_mode(name == NULL ? path : unit_path(path, name));
	unit_check(is == mode, "%s: %o under umask %o", name == NULL ? "spool" : name, is, mask);
}

static const struct {
	mode_t mask;
	bool group;
} masks[] = {
	{0, false}, {022, false}, {077, false}, {0277, false}, {0, true}, {022, true}, {077, true},
};

static const struct {
	const char *name;
	mode_t alone, with_group;
} modes[] = {
	{NULL, 0700, 02750},      {"journal", 0700, 02770}, {"errands", 0700, 02770}, {"audit", 0700, 02770},
	{"archive", 0700, 02750}, {"damaged", 0700, 02750}, {"trigger", 0600, 0660},  {"deliver.lock", 0600, 0640},
	{"own", 0600, 0640},      {"shared", 0600, 0660},
};

static void modes_whatever_the_umask(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(masks); i++) {
		struct spool spool;
		conf.has_group = masks[i].group;
		conf.group = other_group();
		mode_t before = umask(masks[i].mask);
		int opened = spool_open(&spool, &conf, SPOOL_DELIVER);
		int lock = spool_lock(&spool);
		int made = make_file(&spool, "own", spool_own) + make_file(&spool, "shared", spool_share);
		umask(before);
		unit_check(opened == 0 && lock >= 0 && made == 0, "row %zu", i);
		for (size_t k = 0; k < UNIT_COUNT(modes); k++) {
			struct stat st;
			const char *name = modes[k].name;
			check_mode(name, conf.has_group ? modes[k].with_group : modes[k].alone, masks[i].mask);
			assert_int_equal(lstat(name == NULL ? path : unit_path(path, name), &st), 0);
			unit_check(!conf.has_group || st.st_gid == conf.group, "%s", name == NULL ? "spool" : name);
		}
		close(lock);
		spool_close(&spool);
		teardown(NULL);
		setup(NULL);
	}
}

/* A folder that others can write may have been filled by anybody. */
static void others_may_not_write(void **state)
{
	(void)state;
	static const struct {
		mode_t mode;
		bool refused;
	} rows[] = {{0700, false}, {0755, false}, {0770, false}, {0702, true}, {0777, true}, {01777, true}};
	static const enum spool_use every[] = {SPOOL_RECEIVE, SPOOL_RETURN, SPOOL_DELIVER, SPOOL_LOOK};
	struct spool spool;
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	spool_close(&spool);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++)
		for (size_t k = 0; k < UNIT_COUNT(every); k++) {
			assert_int_equal(chmod(path, rows[i].mode), 0);
			int result = spool_open(&spool, &conf, every[k]);
			unit_check(result == (rows[i].refused ? -1 : 0), "mode %o, use %zu", rows[i].mode, k);
			unit_check(!rows[i].refused || (errno == EPERM && spool.fd == -1), "mode %o", rows[i].mode);
			assert_int_equal(unit_mode(path), rows[i].mode);
			spool_close(&spool);
		}
}

static void not_through_links(void **state)
{
	(void)state;
	static const char *const names[] = {"journal", "errands", "audit", "archive", "damaged"};
	struct spool spool;
	assert_int_equal(mkdir(unit_path(folder, "elsewhere"), 0700), 0);
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		assert_int_equal(mkdir(path, 0700), 0);
		assert_int_equal(symlink("../elsewhere", unit_path(path, names[i])), 0);
		unit_check(spool_open(&spool, &conf, SPOOL_DELIVER) == -1, "%s", names[i]);
		assert_int_equal(spool.fd, -1);
		teardown(NULL);
		setup(NULL);
		assert_int_equal(mkdir(unit_path(folder, "elsewhere"), 0700), 0);
	}
}

static void needs_its_parent(void **state)
{
	(void)state;
	struct spool spool;
	conf.spool = unit_path(folder, "no/such");
	assert_int_equal(spool_open(&spool, &conf, SPOOL_RECEIVE), -1);
	assert_int_equal(errno, ENOENT);
	unit_write(unit_path(folder, "file"), "", 0);
	conf.spool = unit_path(folder, "file");
	assert_int_equal(spool_open(&spool, &conf, SPOOL_RECEIVE), -1);
	assert_int_equal(errno, ENOTDIR);
}

static int (*the_fsync)(int);
static int failing_sync, syncs;

static int fsync_that_fails_once(int fd)
{
	if (++syncs == failing_sync) {
		errno = EIO;
		return -1;
	}
	return the_fsync(fd);
}

/* A spool whose names may vanish in a power cut is no spool: each sync on the way counts, and the next try succeeds. */
static void each_sync_counts(void **state)
{
	(void)state;
	struct spool spool;
	the_fsync = fsio_calls.fsync;
	fsio_calls.fsync = fsync_that_fails_once;
	syncs = failing_sync = 0;
	int result = spool_open(&spool, &conf, SPOOL_DELIVER);
	spool_close(&spool);
	int all = syncs;
	assert_int_equal(result, 0);
	/* The spool, its parent, and the spool again for each folder in it. */
	assert_true(all >= 5);
	for (int i = 1; i <= all; i++) {
		teardown(NULL);
		setup(NULL);
		syncs = 0;
		failing_sync = i;
		result = spool_open(&spool, &conf, SPOOL_DELIVER);
		unit_check(result == -1 && errno == EIO && spool.fd == -1, "sync %d", i);
		unit_check(spool_open(&spool, &conf, SPOOL_DELIVER) == 0, "after sync %d", i);
		spool_close(&spool);
	}
	fsio_calls.fsync = the_fsync;
}

static void knows_when_it_is_gone(void **state)
{
	(void)state;
	struct spool spool;
	const char *away = unit_path(folder, "away");
	assert_int_equal(spool_open(&spool, &conf, SPOOL_RECEIVE), 0);
	assert_true(spool_is_there(&spool));

	assert_int_equal(rename(path, away), 0);
	assert_false(spool_is_there(&spool));
	/* Another one in its place. */
	assert_int_equal(mkdir(path, 0700), 0);
	assert_false(spool_is_there(&spool));
	assert_int_equal(mkdir(unit_path(path, "journal"), 0700), 0);
	assert_false(spool_is_there(&spool));
	/* It came back. */
	assert_int_equal(rmdir(unit_path(path, "journal")), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(away, path), 0);
	assert_true(spool_is_there(&spool));
	/* Only the journal was taken. */
	assert_int_equal(rename(unit_path(path, "journal"), unit_path(path, "old")), 0);
	assert_false(spool_is_there(&spool));
	spool_close(&spool);
}

static void trigger(void **state)
{
	(void)state;
	struct spool spool;
	char byte[8];
	assert_int_equal(spool_open(&spool, &conf, SPOOL_RECEIVE), 0);
	assert_int_equal(spool_trigger(&spool), SPOOL_ASLEEP);
	assert_int_equal(spool_trigger(&spool), SPOOL_ASLEEP);

	int ear = spool_trigger_listen(&spool);
	assert_true(ear >= 0);
	assert_true(fcntl(ear, F_GETFD) & FD_CLOEXEC);
	/* Nothing to read yet: neither a byte nor an end of file. */
	assert_int_equal(read(ear, byte, sizeof byte), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	assert_int_equal(read(ear, byte, sizeof byte), 2);
	assert_int_equal(read(ear, byte, sizeof byte), -1);

	/* It went away and came back: the old end is no use, a new one is. */
	close(ear);
	assert_int_equal(spool_trigger(&spool), SPOOL_ASLEEP);
	ear = spool_trigger_listen(&spool);
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	close(ear);
	ear = spool_trigger_listen(&spool);
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	assert_true(read(ear, byte, sizeof byte) > 0);

	/* Another FIFO by this name, with its own reader. */
	close(ear);
	assert_int_equal(unlink(unit_path(path, "trigger")), 0);
	assert_int_equal(mkfifo(unit_path(path, "trigger"), 0600), 0);
	ear = spool_trigger_listen(&spool);
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	assert_int_equal(read(ear, byte, sizeof byte), 1);

	/* A full pipe needs no byte. */
	int more = openat(spool.fd, "trigger", O_WRONLY | O_NONBLOCK);
	static char bytes[4096];
	while (write(more, bytes, sizeof bytes) > 0)
		;
	while (write(more, bytes, 1) > 0)
		;
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	close(more);
	close(ear);
	spool_close(&spool);
}

static void trigger_that_is_none(void **state)
{
	(void)state;
	struct spool spool;
	assert_int_equal(spool_open(&spool, &conf, SPOOL_RECEIVE), 0);
	const char *name = unit_path(path, "trigger");
	assert_int_equal(unlink(name), 0);
	assert_int_equal(spool_trigger(&spool), SPOOL_WAKE_FAILED);
	/* Whoever listens makes it anew. */
	int ear = spool_trigger_listen(&spool);
	assert_true(ear >= 0 && spool_is_named(&spool, "trigger", ear));
	assert_int_equal(spool_trigger(&spool), SPOOL_AWAKE);
	assert_int_equal(unlink(name), 0);
	assert_false(spool_is_named(&spool, "trigger", ear));
	close(ear);
	fsio_close(&spool.trigger_fd);
	assert_int_equal(symlink("journal", name), 0);
	assert_int_equal(spool_trigger(&spool), SPOOL_WAKE_FAILED);
	assert_int_equal(spool_trigger_listen(&spool), -1);
	assert_int_equal(unlink(name), 0);
	/* A file in its place: nobody is woken by a byte in it. */
	unit_write(name, "", 0);
	assert_int_equal(spool_trigger_listen(&spool), -1);
	assert_int_equal(spool_trigger(&spool), SPOOL_WAKE_FAILED);
	struct stat st;
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_size, 0);
	spool_close(&spool);
}

/* The seat and the place before it, which whoever starts a deliverer takes and hands on. */
static void one_sits_and_one_waits(void **state)
{
	(void)state;
	struct spool spool;
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	int seat = spool_seat(&spool), place = spool_place(&spool, -1);
	assert_true(seat >= 0 && place >= 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(spool_seat(&spool), -1);
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(spool_place(&spool, -1), -1);
		assert_int_equal(errno, EAGAIN);
		/* No more by a descriptor of something else, or of the folder without the lock. */
		assert_int_equal(spool_place(&spool, spool.fd), -1);
		assert_int_equal(spool_place(&spool, spool.journal_fd), -1);
		/* Whatever becomes of the files. */
		unlink(unit_path(path, "deliver.lock"));
		unlink(unit_path(path, "trigger"));
	}
	int handed = spool_place(&spool, place);
	assert_true(handed >= 0 && handed != place);
	close(place);
	assert_int_equal(spool_place(&spool, -1), -1);
	close(handed);
	place = spool_place(&spool, -1);
	assert_true(place >= 0);
	close(place);
	close(seat);
	seat = spool_seat(&spool);
	assert_true(seat >= 0);
	close(seat);
	spool_close(&spool);
}

static void one_deliverer(void **state)
{
	(void)state;
	struct spool spool, other;
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	assert_int_equal(spool_open(&other, &conf, SPOOL_DELIVER), 0);
	assert_int_equal(spool_locked_by(&spool), 0);
	int lock = spool_lock(&spool);
	assert_true(lock >= 0);
	assert_true(fcntl(lock, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(spool_lock(&other), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(spool_locked_by(&other), getpid());
	assert_int_equal(spool_locked_by(&spool), getpid());
	/* Asking has taken nothing, and the loser has spoiled nothing. */
	struct buf text = unit_read(unit_path(path, "deliver.lock"));
	assert_int_equal(strtol(text.data, NULL, 10), getpid());
	buf_fini(&text);
	close(lock);
	assert_int_equal(spool_locked_by(&other), 0);
	lock = spool_lock(&other);
	assert_true(lock >= 0);
	close(lock);
	spool_close(&other);
	spool_close(&spool);
}

/* The lock ends with its process, however that ends. */
static void a_dead_deliverer_holds_nothing(void **state)
{
	(void)state;
	struct spool spool;
	int ready[2];
	char byte;
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		if (spool_lock(&spool) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(spool_lock(&spool), -1);
	assert_int_equal(spool_locked_by(&spool), child);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(spool_locked_by(&spool), 0);
	int lock = spool_lock(&spool);
	assert_true(lock >= 0);
	assert_int_equal(spool_locked_by(&spool), getpid());
	close(lock);
	close(ready[0]);
	close(ready[1]);
	spool_close(&spool);
}

/* The lock's file may not be something else. */
static void lock_not_through_links(void **state)
{
	(void)state;
	struct spool spool;
	assert_int_equal(spool_open(&spool, &conf, SPOOL_DELIVER), 0);
	unit_write(unit_path(folder, "precious"), "precious", 8);
	assert_int_equal(symlink("../precious", unit_path(path, "deliver.lock")), 0);
	assert_int_equal(spool_lock(&spool), -1);
	assert_int_equal(spool_locked_by(&spool), -1);
	struct buf text = unit_read(unit_path(folder, "precious"));
	assert_string_equal(text.data, "precious");
	buf_fini(&text);
	spool_close(&spool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_what_its_user_needs, setup, teardown),
		cmocka_unit_test_setup_teardown(makes_nothing_for_others, setup, teardown),
		cmocka_unit_test_setup_teardown(modes_whatever_the_umask, setup, teardown),
		cmocka_unit_test_setup_teardown(others_may_not_write, setup, teardown),
		cmocka_unit_test_setup_teardown(not_through_links, setup, teardown),
		cmocka_unit_test_setup_teardown(needs_its_parent, setup, teardown),
		cmocka_unit_test_setup_teardown(each_sync_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(knows_when_it_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(trigger, setup, teardown),
		cmocka_unit_test_setup_teardown(trigger_that_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(one_sits_and_one_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(one_deliverer, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_deliverer_holds_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(lock_not_through_links, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
