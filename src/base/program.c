#include "config.h"

#include "base/program.h"

#include <errno.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

#define LINK "/proc/self/exe"

int program_path(char path[PATH_MAX])
{
	ssize_t n = readlink(LINK, path, PATH_MAX - 1);
	if (n > 0) {
		path[n] = '\0';
		return 0;
	}
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel passes it so */
	const char *name = (const char *)getauxval(AT_EXECFN);
	char folder[PATH_MAX] = "";
	if (name == NULL || (name[0] != '/' && getcwd(folder, sizeof folder) == NULL))
		return -1;
	n = snprintf(path, PATH_MAX, "%s%s%s", folder, name[0] == '/' ? "" : "/", name);
	if (n < PATH_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

const char *program_again(char path[PATH_MAX])
{
	if (access(LINK, X_OK) == 0)
		return LINK;
	return program_path(path) == 0 ? path : NULL;
}
