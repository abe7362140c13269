#include "config.h"

#include "base/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"

#define HEAD_SIZE 256 /* bytes that the kernel looks at */

/* The name behind "#!", as the kernel reads it. */
static const char *find_interpreter(char *line)
{
	char *name = line + 2 + strspn(line + 2, " \t");
	name[strcspn(name, " \t")] = '\0';
	return name;
}

/* What is wrong with a first line that begins with "#!". */
static const char *line_fault(char *line, char why[EXECUTABLE_WHY_SIZE])
{
	struct stat st;
	size_t n = strlen(line);
	if (line[n - 1] == '\r')
		return "its first line ends with CR LF, so its interpreter is not found; save it with Unix line ends "
		       "(sed -i 's/\\r$//')";
	const char *name = find_interpreter(line);
	if (name[0] != '/') {
		snprintf(why, EXECUTABLE_WHY_SIZE,
			 "its first line names \"%s\" as interpreter, which is no absolute path", name);
		return why;
	}
	if (stat(name, &st) == 0 && access(name, X_OK) == 0)
		return NULL;
	snprintf(why, EXECUTABLE_WHY_SIZE, "its first line names the interpreter %s: %s", name, strerrordesc_np(errno));
	return why;
}

/* What is wrong with a file that begins so. */
static const char *head_fault(char *head, size_t n, char why[EXECUTABLE_WHY_SIZE])
{
	static const char mark[] = "\xef\xbb\xbf";
	if (n == 0)
		return "it is empty";
	if (strncmp(head, mark, strlen(mark)) == 0)
		return "it begins with a byte order mark, where #! should be; save it without";
	/* Where the kernel knows other kinds of files, they are no text. */
	if (strncmp(head, "#!", 2) != 0)
		return memchr(head, '\0', n) != NULL
			       ? NULL
			       : "it is text without an interpreter; begin it with a line as #!/bin/sh";
	head[strcspn(head, "\n")] = '\0';
	return line_fault(head, why);
}

const char *executable_fault(const char *path, char why[EXECUTABLE_WHY_SIZE])
{
	char head[HEAD_SIZE + 1];
	struct stat st;
	if (stat(path, &st) < 0)
		return strerrordesc_np(errno);
	if (!S_ISREG(st.st_mode))
		return "it is no regular file";
	if (access(path, X_OK) < 0)
		return strerrordesc_np(errno);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ssize_t n = fd < 0 ? -1 : fsio_read_at(fd, head, HEAD_SIZE, 0);
	fsio_close(&fd);
	/* What cannot be read may be run all the same. */
	if (n < 0)
		return NULL;
	head[n] = '\0';
	return head_fault(head, (size_t)n, why);
}
