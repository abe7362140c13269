#include "config.h"

#include "target/orphans.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fsio.h"

#define CHILDREN_MAX 512 /* at a time */

static size_t list_children(pid_t children[CHILDREN_MAX])
{
	char path[64], text[CHILDREN_MAX * 12];
	size_t count = 0;
	snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof text - 1);
	fsio_close(&fd);
	text[n < 0 ? 0 : n] = '\0';
	for (char *at = text, *end; count < CHILDREN_MAX; at = end) {
		long pid = strtol(at, &end, 10);
		/* The last one may be cut off where they do not fit. */
		if (end == at || *end == '\0')
			break;
		children[count++] = (pid_t)pid;
	}
	return count;
}

void orphans_begin(struct orphans *orphans)
{
	pid_t children[CHILDREN_MAX];
	orphans->count = list_children(children);
	if (orphans->count > ORPHANS_BEFORE)
		orphans->count = ORPHANS_BEFORE;
	for (size_t i = 0; i < orphans->count; i++)
		orphans->before[i] = children[i];
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

void orphans_end(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static bool was_there(const struct orphans *orphans, pid_t pid)
{
	for (size_t i = 0; i < orphans->count; i++)
		if (orphans->before[i] == pid)
			return true;
	return false;
}

bool orphans_kill(const struct orphans *orphans, bool (*is_script)(const void *arg, pid_t pid), const void *arg)
{
	pid_t children[CHILDREN_MAX];
	size_t count = list_children(children);
	bool found = false;
	for (size_t i = 0; i < count; i++) {
		if (is_script(arg, children[i]) || was_there(orphans, children[i]))
			continue;
		found = true;
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, WNOHANG);
	}
	return found;
}
