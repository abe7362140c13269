/* Preloaded into a command, which waits at a gate until the file GATE is there. GATE_REACHED gets a byte each time.
 *
 * The gate stands at each pause of the program, or, with GATE_AT=N, at the N-th look at state.db or its log: a reading,
 * or the question whether it is there. Pauses of libraries, such as SQLite's while it waits for a lock, are none of
 * these. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY 5000000 /* ns */

static int pause_for(const struct timespec *time, struct timespec *left)
{
	return (int)syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, time, left) == 0 ? 0 : -1;
}

static void wait_at_gate(void)
{
	const char *gate = getenv("GATE"), *reached = getenv("GATE_REACHED");
	if (gate == NULL || reached == NULL)
		return;
	int fd = open(reached, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, ".", 1) != 1)
		abort();
	close(fd);
	while (access(gate, F_OK) < 0)
		pause_for(&(struct timespec){.tv_nsec = LOOK_EVERY}, NULL);
}

/* The program itself is the first object that the linker has loaded. */
static int is_program(void *caller)
{
	Dl_info info;
	struct link_map *map;
	return dladdr1(caller, &info, (void **)&map, RTLD_DL_LINKMAP) != 0 && map->l_prev == NULL;
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
	if (getenv("GATE_AT") == NULL && is_program(__builtin_return_address(0)))
		wait_at_gate();
	return pause_for(time, left);
}

static void look(const char *path)
{
	static int looks;
	const char *at = getenv("GATE_AT"), *slash = strrchr(path, '/');
	if (at != NULL && strncmp(slash == NULL ? path : slash + 1, "state.db", 8) == 0 && ++looks == atoi(at))
		wait_at_gate();
}

ssize_t pread64(int fd, void *bytes, size_t n, off64_t offset)
{
	char link[32], path[4096];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, sizeof path - 1);
	path[length < 0 ? 0 : length] = '\0';
	look(path);
	return syscall(SYS_pread64, fd, bytes, n, offset);
}

ssize_t pread(int fd, void *bytes, size_t n, off_t offset)
{
	return pread64(fd, bytes, n, offset);
}

int stat(const char *restrict path, struct stat *restrict st)
{
	look(path);
	return (int)syscall(SYS_newfstatat, AT_FDCWD, path, st, 0);
}

/* The same, as programs with large files call it. */
int stat64(const char *restrict, struct stat64 *restrict) __attribute__((alias("stat")));
