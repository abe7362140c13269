#include "config.h"

#include "deliver/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fsio.h"

#define STEP (4u << 20)

struct draft {
	char name[SEGMENT_NAME_SIZE + 1];
	int from, to;
};

/* What stands there is of this process if it is as long as what was copied. */
static int draft_open(struct draft *draft, struct transfer *transfer, const struct spool *spool)
{
	struct stat st;
	const int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	snprintf(draft->name, sizeof draft->name, ".%s", transfer->name);
	draft->from = spool_open_shared(spool, spool->journal_fd, transfer->name, O_RDONLY);
	draft->to = draft->from < 0
			    ? -1
			    : openat(spool->archive_fd, draft->name, O_WRONLY | O_APPEND | O_CREAT | flags, 0600);
	if (draft->to < 0 || spool_own(spool, draft->to) < 0 || fstat(draft->to, &st) < 0)
		return -1;
	if ((uint64_t)st.st_size == transfer->done)
		return 0;
	transfer->done = 0;
	return ftruncate(draft->to, 0);
}

/* Copies some more. How many bytes: 0 at the end. */
static ssize_t draft_copy(const struct draft *draft, uint64_t at)
{
	struct buf b = {0};
	ssize_t n = buf_reserve(&b, STEP) < 0 ? -1 : fsio_read_at(draft->from, b.data, STEP, (off_t)at);
	if (n > 0 && (fsio_write(draft->to, b.data, (size_t)n) < 0 || fsio_datasync(draft->to) < 0))
		n = -1;
	int saved = errno;
	buf_fini(&b);
	errno = saved;
	return n;
}

int transfer_step(struct transfer *transfer, const struct spool *spool, const char *name)
{
	struct draft draft = {.from = -1, .to = -1};
	if (strcmp(transfer->name, name) != 0) {
		strcpy(transfer->name, name);
		transfer->done = 0;
	}
	int result = draft_open(&draft, transfer, spool);
	ssize_t n = result < 0 ? -1 : draft_copy(&draft, transfer->done);
	if (n < 0)
		result = -1;
	else if (n == STEP)
		transfer->done += STEP;
	else
		result = renameat(spool->archive_fd, draft.name, spool->archive_fd, name) < 0 ? -1 : 1;
	if (result != 0)
		transfer->name[0] = '\0';
	fsio_close(&draft.from);
	fsio_close(&draft.to);
	return result;
}

bool transfer_is_draft(const char *name)
{
	return name[0] == '.' && segment_parse_name(name + 1, NULL);
}
