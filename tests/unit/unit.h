/* What the unit tests share: rows that name themselves, a temporary folder, files, a configuration, a spool, an event.
 * Helpers fail the test that calls them. */
#ifndef HOOKSPOOL_UNIT_H
#define HOOKSPOOL_UNIT_H

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/buf.h"
#include "config/conf.h"
#include "event/event.h"
#include "event/line.h"
#include "spool/open.h"
#include "spool/spool.h"

#define UNIT_COUNT(table) (sizeof(table) / sizeof(table)[0])
#define UNIT_SPAN(text)                                                                                                \
	(struct span)                                                                                                  \
	{                                                                                                              \
		text, sizeof(text) - 1                                                                                 \
	}

/* Fails and says which row of a table it was. */
#define unit_check(condition, ...)                                                                                     \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			print_error("%s: not so in this row: ", #condition);                                           \
			print_error(__VA_ARGS__);                                                                      \
			print_error("\n");                                                                             \
			fail();                                                                                        \
		}                                                                                                      \
	} while (0)

static inline bool unit_same(struct span a, const char *text)
{
	return a.ptr != NULL && a.len == strlen(text) && memcmp(a.ptr, text, a.len) == 0;
}

static inline bool unit_same_span(struct span a, struct span b)
{
	return (a.ptr == NULL) == (b.ptr == NULL) && a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline struct span unit_span(const char *text)
{
	return (struct span){text, text == NULL ? 0 : strlen(text)};
}

/* A new folder; remove it with unit_remove. */
static inline char *unit_folder(void)
{
	const char *above = getenv("TMPDIR");
	char *path = NULL;
	assert_true(asprintf(&path, "%s/hookspool-unit-XXXXXX", above != NULL ? above : "/tmp") > 0);
	assert_non_null(mkdtemp(path));
	return path;
}

static inline int unit_remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
	(void)st;
	(void)what;
	(void)ftw;
	return remove(path);
}

static inline void unit_remove(char *path)
{
	assert_int_equal(nftw(path, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(path);
}

/* `folder`/`name`; valid until the call after the next three. */
static inline const char *unit_path(const char *folder, const char *name)
{
	static char paths[4][4096];
	static unsigned turn;
	char *path = paths[turn++ % 4];
	int n = snprintf(path, sizeof paths[0], "%s/%s", folder, name);
	assert_true(n > 0 && (size_t)n < sizeof paths[0]);
	return path;
}

static inline void unit_write(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

/* The whole file, NUL behind it. */
static inline struct buf unit_read(const char *path)
{
	struct buf b = {0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		print_error("cannot open %s\n", path);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(buf_reserve(&b, (size_t)st.st_size + 1), 0);
	assert_int_equal(read(fd, b.data, (size_t)st.st_size), st.st_size);
	b.len = (size_t)st.st_size;
	b.data[b.len] = '\0';
	close(fd);
	return b;
}

static inline struct buf unit_sample(const char *name)
{
	const char *srcdir = getenv("srcdir");
	char folder[3072];
	snprintf(folder, sizeof folder, "%s/tests/samples", srcdir != NULL ? srcdir : ".");
	return unit_read(unit_path(folder, name));
}

static inline mode_t unit_mode(const char *path)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* Enough of a configuration for a spool. */
static inline struct conf unit_conf(const char *spool)
{
	return (struct conf){
		.spool = spool,
		.in_flight_max = 64u << 20,
		.audit_max = 16u << 20,
	};
}

/* A spool in a folder of its own, as whoever uses it so opens it. */
struct unit_spool {
	char *folder;
	struct conf conf;
	struct spool spool;
};

static inline void unit_spool_open(struct unit_spool *t, enum spool_use use)
{
	t->folder = unit_folder();
	t->conf = unit_conf(t->folder);
	assert_int_equal(spool_open(&t->spool, &t->conf, use), 0);
}

static inline void unit_spool_remove(struct unit_spool *t)
{
	spool_close(&t->spool);
	unit_remove(t->folder);
}

/* An event that has everything but the optional fields. */
static inline struct event unit_event(int64_t received_at, const char *nonce, const char *data, uint32_t count)
{
	struct event event = {
		.received_at = received_at,
		.endpoint = UNIT_SPAN("/webhook"),
		.scheme = UNIT_SPAN("unified"),
		.nonce = unit_span(nonce),
		.data = unit_span(data),
		.count = count,
	};
	event.fields[EVENT_TYPE] = UNIT_SPAN("\"VIRTUAL\"");
	event.fields[EVENT_EVENT] = UNIT_SPAN("\"updated\"");
	event.fields[EVENT_OBJECT_TYPE] = UNIT_SPAN("\"crm_contact\"");
	event.fields[EVENT_CONNECTION_ID] = UNIT_SPAN("\"c1\"");
	event_identify(&event, (struct span){nonce + 1, strlen(nonce) - 2});
	return event;
}

/* Its line, newline included. */
static inline void unit_line(const struct event *event, struct buf *out)
{
	struct line line = {0};
	struct iovec iov[3];
	assert_int_equal(line_encode(event, &line), 0);
	line_vectors(&line, iov);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(buf_append(out, iov[i].iov_base, iov[i].iov_len), 0);
	line_fini(&line);
}

/* `text` with the checksum that belongs to it, without newline: for lines that no encoder writes. */
static inline void unit_sealed(const char *text, struct buf *out)
{
	assert_int_equal(
		buf_printf(out, "%s,\"sum\":\"%016llx\"}", text, (unsigned long long)XXH3_64bits(text, strlen(text))),
		0);
}

#endif
