#include "config.h"

#include "command/input.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

#define CHUNK 65536

int input_read(const char *file, struct buf *out)
{
	int fd = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 1;
	while (n > 0) {
		if (buf_reserve(out, CHUNK) < 0)
			n = -1;
		else
			n = read(fd, out->data + out->len, CHUNK);
		if (n > 0)
			out->len += (size_t)n;
	}
	if (n < 0)
		log_warn("cannot read %s", file);
	if (fd > STDIN_FILENO)
		close(fd);
	return n < 0 ? -1 : 0;
}
