#include "config.h"

#include "spool/published.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/text.h"
#include "spool/segment.h"

#define FOLDER   "status"
#define READ_MAX (64 << 20)          /* bytes */
#define IDLE_MAX (62 * CLOCK_SECOND) /* a segment without an event for so long is closed */

static const char *const names[SNAPSHOT_FILES] = {
	[SNAPSHOT_PAGE] = "page.html",  [SNAPSHOT_STYLE] = "style.css", [SNAPSHOT_STATUS] = "status.json",
	[SNAPSHOT_METRICS] = "metrics", [SNAPSHOT_HEALTH] = "health",   [SNAPSHOT_FORM] = "form",
};

int snapshot_write(const struct spool *spool, enum snapshot_file file, struct span content)
{
	char fresh[32];
	snprintf(fresh, sizeof fresh, ".%s", names[file]);
	int folder = spool_folder(spool, FOLDER), fd = -1, result = -1;
	if (folder < 0)
		return -1;
	/* What a killed deliverer has left. */
	unlinkat(folder, fresh, 0);
	fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && spool_own(spool, fd) == 0 && fsio_write(fd, content.ptr, content.len) == 0)
		result = renameat(folder, fresh, folder, names[file]);
	fsio_close(&fd);
	fsio_close(&folder);
	return result;
}

int snapshot_read(const char *spool, enum snapshot_file file, struct buf *out, int64_t *written_at)
{
	char path[PATH_MAX];
	struct stat st;
	if (snprintf(path, sizeof path, "%s/" FOLDER "/%s", spool, names[file]) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), result = -1;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0) {
		ssize_t n = -1;
		if (!S_ISREG(st.st_mode) || st.st_size > READ_MAX)
			errno = EINVAL;
		else if (buf_reserve(out, (size_t)st.st_size) == 0)
			n = fsio_read_at(fd, out->data + out->len, (size_t)st.st_size, 0);
		if (n >= 0) {
			out->len += (size_t)n;
			*written_at = st.st_mtim.tv_sec * CLOCK_SECOND + st.st_mtim.tv_nsec / 1000;
			result = 0;
		}
	}
	fsio_close(&fd);
	return result;
}

int snapshot_form(const struct spool *spool, char word[SNAPSHOT_FORM_SIZE])
{
	struct buf kept = {0};
	int64_t written_at;
	int result = 0;
	if (snapshot_read(spool->path, SNAPSHOT_FORM, &kept, &written_at) == 0 && kept.len == SNAPSHOT_FORM_SIZE - 1) {
		memcpy(word, kept.data, kept.len);
		word[kept.len] = '\0';
	} else {
		uint8_t random[(SNAPSHOT_FORM_SIZE - 1) / 2];
		fsio_random(random, sizeof random);
		text_hex(random, sizeof random, word);
		result = snapshot_write(spool, SNAPSHOT_FORM, (struct span){word, SNAPSHOT_FORM_SIZE - 1});
	}
	buf_fini(&kept);
	return result;
}

int snapshot_health_write(const struct spool *spool, const struct snapshot_health *health)
{
	char line[64];
	int n = snprintf(line, sizeof line, "%s %" PRId64 " %" PRId64 "\n", health->ok ? "ok" : "bad", health->at,
			 health->late_at);
	return snapshot_write(spool, SNAPSHOT_HEALTH, (struct span){line, (size_t)n});
}

/* Reads the line, a NUL behind it. 0, or -1 with errno EBADMSG. */
static int parse_health(const char *line, size_t n, struct snapshot_health *health)
{
	char *end;
	health->ok = strncmp(line, "ok ", 3) == 0;
	if (health->ok || strncmp(line, "bad ", 4) == 0) {
		errno = 0;
		health->at = strtoll(strchr(line, ' '), &end, 10);
		if (*end == ' ') {
			health->late_at = strtoll(end, &end, 10);
			if (errno == 0 && *end == '\n' && (size_t)(end + 1 - line) == n)
				return 0;
		}
	}
	errno = EBADMSG;
	return -1;
}

int snapshot_health_read(const char *spool, struct snapshot_health *health)
{
	struct buf line = {0};
	int64_t written_at;
	int result = snapshot_read(spool, SNAPSHOT_HEALTH, &line, &written_at);
	if (result == 0)
		result = buf_cstr(&line) == NULL ? -1 : parse_health(line.data, line.len, health);
	int saved = errno;
	buf_fini(&line);
	errno = saved;
	return result;
}

/* Since when something has been standing in the segment that came after `at`; 0: nothing has. What is kept came long
 * before it was written. */
static int64_t waiting_in(int folder, const char *name, int64_t at)
{
	struct stat st;
	int64_t stamp;
	if (!segment_parse_name(name, &stamp) || segment_is_kept(name) ||
	    fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_size == 0 || !S_ISREG(st.st_mode))
		return 0;
	if (stamp > at)
		return stamp;
	int64_t written_at = st.st_mtim.tv_sec * CLOCK_SECOND + st.st_mtim.tv_nsec / 1000;
	if (written_at <= at)
		return 0;
	/* There was an event before `at` and one after it, and no gap of more than a minute between them. */
	return written_at < at + IDLE_MAX ? written_at : at + IDLE_MAX;
}

struct waiting {
	int64_t at, before;
};

static int is_waiting_in(void *arg, int folder, const char *name)
{
	const struct waiting *waiting = arg;
	int64_t since = waiting_in(folder, name, waiting->at);
	return since != 0 && since < waiting->before;
}

int snapshot_is_waiting(const char *spool, int64_t at, int64_t before)
{
	char path[PATH_MAX];
	struct waiting waiting = {at, before};
	if (snprintf(path, sizeof path, "%s/journal", spool) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return fsio_each_name(AT_FDCWD, path, is_waiting_in, &waiting);
}
