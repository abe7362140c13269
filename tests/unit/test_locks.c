#include "config.h"

#include "spool/locks.h"

#include <dirent.h>
#include <errno.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "unit.h"

/* This program's flock stands before the system's. */
static enum {
	AS_IT_IS,
	BLIND,  /* everybody gets it */
	ABSENT, /* the file system has none */
} flocks;

int flock(int fd, int operation)
{
	if (flocks == BLIND)
		return 0;
	if (flocks == AS_IT_IS)
		return (int)syscall(SYS_flock, fd, operation);
	errno = ENOLCK;
	return -1;
}

static size_t entries(const char *folder)
{
	DIR *dir = opendir(folder);
	size_t count = 0;
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count - 2; /* "." and ".." */
}

static void locks(void **state)
{
	(void)state;
	char *folder = unit_folder();
	flocks = AS_IT_IS;
	assert_null(locks_fault(folder));
	flocks = BLIND;
	assert_string_equal(locks_fault(folder), "a flock is not seen there by whoever opens the file again");
	assert_int_equal(errno, 0);
	flocks = ABSENT;
	assert_string_equal(locks_fault(folder), "flock does not work there");
	assert_int_equal(errno, ENOLCK);
	assert_int_equal(entries(folder), 0);
	flocks = AS_IT_IS;
	assert_string_equal(locks_fault(unit_path(folder, "none")), "the locks cannot be tried");
	assert_int_equal(errno, ENOENT);
	unit_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(locks)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
