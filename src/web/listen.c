#include "config.h"

#include "web/listen.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fsio.h"
#include "web/fcgi.h"

#define SYSTEMD_FIRST 3 /* SD_LISTEN_FDS_START */

/* How many descriptors systemd passes to this very process. */
static int systemd_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	long n = strtol(count, NULL, 10);
	return n < 0 || n > 64 ? 0 : (int)n;
}

void inherit_init(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	fsio_close_from(SYSTEMD_FIRST + systemd_count());
	for (int i = 0; i < systemd_count(); i++)
		fcntl(SYSTEMD_FIRST + i, F_SETFD, FD_CLOEXEC);
}

int inherit_listener(void)
{
	if (systemd_count() > 0 && fcgi_is_listener(SYSTEMD_FIRST))
		return SYSTEMD_FIRST;
	return fcgi_is_listener(STDIN_FILENO) ? STDIN_FILENO : -1;
}
