#include "config.h"

#include "spool/lines.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/fsio.h"

#define CHUNK (1u << 20)

/* Gives the whole lines of the window, which begins at *offset, and keeps the rest. */
static int take_window(struct buf *window, uint64_t *offset, lines_take *each, void *arg)
{
	size_t at = 0;
	int result = 0;
	const char *newline;
	while (result == 0 && (newline = memchr(window->data + at, '\n', window->len - at)) != NULL) {
		size_t n = (size_t)(newline - window->data) - at;
		result = each(arg, window->data + at, n, *offset + at);
		at += n + 1;
	}
	memmove(window->data, window->data + at, window->len - at);
	window->len -= at;
	*offset += at;
	return result;
}

int lines_each(int fd, uint64_t offset, lines_take *each, void *arg, uint64_t *end)
{
	struct buf window = {0};
	int result = 0;
	while (result == 0) {
		/* As much again as there is of a line that does not end. */
		size_t more = window.len < CHUNK ? CHUNK : window.len;
		ssize_t n = buf_reserve(&window, more) < 0
				    ? -1
				    : fsio_read_at(fd, window.data + window.len, more, (off_t)(offset + window.len));
		if (n < 0)
			result = -1;
		if (n <= 0)
			break;
		window.len += (size_t)n;
		result = take_window(&window, &offset, each, arg);
	}
	*end = offset + window.len;
	int saved = errno;
	buf_fini(&window);
	errno = saved;
	return result;
}
