/* Preloaded into a command: its first pause begins to last until the file GATE is there. GATE_REACHED gets a byte for
 * each pause, when it begins. Pauses of libraries, such as SQLite's while it waits for a lock, are none of these. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_EVERY 5000000 /* ns */

static int pause_for(const struct timespec *time, struct timespec *left)
{
	return (int)syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, time, left) == 0 ? 0 : -1;
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
	const char *gate = getenv("GATE"), *reached = getenv("GATE_REACHED");
	if (gate == NULL || reached == NULL || !is_program(__builtin_return_address(0)))
		return pause_for(time, left);
	int fd = open(reached, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, ".", 1) != 1)
		abort();
	close(fd);
	while (access(gate, F_OK) < 0)
		pause_for(&(struct timespec){.tv_nsec = LOOK_EVERY}, NULL);
	return pause_for(time, left);
}
