#include "config.h"

#include "deliver/remains.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/text.h"

/* How every record begins (event_records). */
#define RECORD_START "{\"event_id\":\""
#define ID_DIGITS    (2 * STATE_ID_SIZE)
#define HEAD_SIZE    (sizeof RECORD_START - 1 + ID_DIGITS)

#define CHUNK (256u << 10)

void remains_fini(struct remains *remains)
{
	names_fini(&remains->pending);
	names_fini(&remains->segments);
	names_fini(&remains->gone);
}

static bool is_readable(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_ACCMODE) != O_WRONLY;
}

static int add_name(struct names *names, const void *bytes, size_t n)
{
	size_t number;
	return names_add(names, bytes, n, &number) == NAMES_FAILED ? -1 : 0;
}

/* A row whose line is gone leads to no delivery. Of many rows of a segment the first one looks. */
static int note_pending(void *arg, const uint8_t event[STATE_ID_SIZE], const char *segment)
{
	struct remains *r = arg;
	size_t n = strlen(segment) + 1, number;
	switch (names_add(&r->segments, segment, n, &number)) {
	case NAMES_FAILED:
		return -1;
	case NAMES_NEW:
		if (faccessat(r->spool->journal_fd, segment, F_OK, 0) < 0 &&
		    faccessat(r->spool->archive_fd, segment, F_OK, 0) < 0 && add_name(&r->gone, segment, n) < 0)
			return -1;
		break;
	case NAMES_KNOWN:
		break;
	}
	return names_find(&r->gone, segment, n) == SIZE_MAX ? add_name(&r->pending, event, STATE_ID_SIZE) : 0;
}

/* Whether the state knows the event and will not deliver it again. 1, 0, or -1 with errno. */
static int is_settled(struct remains *r, const uint8_t id[STATE_ID_SIZE])
{
	int seen = state_seen(r->state, id);
	if (seen != 1)
		return seen;
	if (!r->loaded && state_pending(r->state, note_pending, r) < 0)
		return -1;
	r->loaded = true;
	return names_find(&r->pending, id, STATE_ID_SIZE) == SIZE_MAX;
}

/* The line of which the first bytes are given is a record of such an event. */
static int stays(struct remains *r, const char *head, size_t n)
{
	uint8_t id[STATE_ID_SIZE];
	const char *digits = head + sizeof RECORD_START - 1;
	if (n < HEAD_SIZE || memcmp(head, RECORD_START, sizeof RECORD_START - 1) != 0 ||
	    text_unhex(digits, ID_DIGITS, id, sizeof id) < 0)
		return 0;
	return is_settled(r, id);
}

/* Reads the lines from *at on; *end moves behind each that stays. */
static enum remains_result judge_lines(struct remains *r, int fd, uint64_t at, uint64_t size, char *chunk,
				       uint64_t *end)
{
	char head[HEAD_SIZE];
	size_t head_len = 0;
	while (at < size) {
		ssize_t n = fsio_read_at(fd, chunk, size - at < CHUNK ? (size_t)(size - at) : CHUNK, (off_t)at);
		if (n <= 0) {
			errno = n == 0 ? EIO : errno;
			return REMAINS_UNREADABLE;
		}
		for (char *p = chunk, *stop = chunk + n; p < stop;) {
			char *newline = memchr(p, '\n', (size_t)(stop - p));
			size_t part = (size_t)((newline != NULL ? newline : stop) - p);
			size_t take = part < HEAD_SIZE - head_len ? part : HEAD_SIZE - head_len;
			memcpy(head + head_len, p, take);
			head_len += take;
			p += part;
			if (newline == NULL)
				break;
			int stay = stays(r, head, head_len);
			if (stay < 0)
				return REMAINS_FAILED;
			p++;
			if (stay)
				*end = at + (uint64_t)(p - chunk);
			head_len = 0;
		}
		at += (uint64_t)n;
	}
	return REMAINS_JUDGED;
}

enum remains_result remains_judge(struct remains *remains, int fd, uint64_t recorded, uint64_t size, uint64_t *end)
{
	enum remains_result result = REMAINS_UNREADABLE;
	*end = recorded;
	if (!is_readable(fd)) {
		errno = EACCES;
		return REMAINS_UNREADABLE;
	}
	char *chunk = malloc(CHUNK);
	if (chunk != NULL)
		result = judge_lines(remains, fd, recorded, size, chunk, end);
	int saved = errno;
	free(chunk);
	errno = saved;
	return result;
}

int remains_end_line(int fd, uint64_t size, uint64_t *end)
{
	char head[sizeof RECORD_START - 1];
	uint64_t start;
	*end = size;
	if (!is_readable(fd))
		return 0;
	if (fsio_find_tail(fd, size, &start) < 0)
		return -1;
	ssize_t n = fsio_read_at(fd, head, sizeof head, (off_t)start);
	if (n <= 0)
		return n < 0 ? -1 : 0;
	if (memcmp(head, RECORD_START, (size_t)n) == 0) {
		*end = start;
		return ftruncate(fd, (off_t)start) < 0 ? -1 : fsio_sync(fd);
	}
	*end = size + 1;
	return fsio_write(fd, "\n", 1) < 0 ? -1 : fsio_sync(fd);
}
