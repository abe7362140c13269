#include "config.h"

#include "spool/search.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/fsio.h"
#include "event/line.h"
#include "spool/segment.h"

#define CHUNK (1u << 20)
#define MARGIN                                                                                                         \
	(INT64_C(3600) * CLOCK_SECOND) /* a file's time and its lines' may differ so much, if a clock was set          \
					*/

struct names_list {
	char (*names)[SEGMENT_NAME_SIZE];
	size_t count, cap;
};

/* What is done with the whole lines of a window; they begin at `offset` of the file. *used are their bytes. */
struct search;
typedef int take_window(struct search *search, struct history_line *line, size_t *used);

struct search {
	const struct history_query *query;
	const struct spool *spool;
	take_window *take;
	history_each *each;
	history_glimpse *glimpse;
	void *arg;
	char since[CLOCK_TEXT_SIZE];
	uint64_t done, total; /* bytes */
	struct buf window;
};

static int add_name(struct names_list *list, const char *name)
{
	if (array_grow(&list->names, list->count, &list->cap, sizeof *list->names) < 0)
		return -1;
	strcpy(list->names[list->count++], name);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Says what cannot be read; name: "" for the folder. -1, and errno stays. */
static int cannot_read(const struct search *search, bool archived, const char *name)
{
	int saved = errno;
	if (search->query->unread != NULL)
		snprintf(search->query->unread, HISTORY_PATH_SIZE, "%s/%s", archived ? "archive" : "journal", name);
	errno = saved;
	return -1;
}

struct listing {
	struct search *search;
	struct names_list *list;
	bool archived;
};

static int list_one(void *arg, int folder, const char *name)
{
	const struct listing *listing = arg;
	struct search *search = listing->search;
	struct stat st;
	/* In the archive such a name is a copy that is not whole. */
	const char *hidden = listing->archived ? NULL : segment_hidden(name);
	const char *shown = hidden == NULL ? name : hidden;
	if (!segment_parse_name(shown, NULL) || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode) || st.st_mtim.tv_sec * CLOCK_SECOND + MARGIN < search->query->since)
		return 0;
	search->total += (uint64_t)st.st_size;
	return add_name(listing->list, shown);
}

/* The folder's segments that may have something that fits, in the order of their names. */
static int list_folder(struct search *search, int folder, struct names_list *list)
{
	struct listing listing = {search, list, folder == search->spool->archive_fd};
	int result = fsio_each_name(folder, ".", list_one, &listing);
	if (result < 0)
		cannot_read(search, listing.archived, "");
	if (list->count > 0)
		qsort(list->names, list->count, SEGMENT_NAME_SIZE, by_name);
	return result;
}

/* Looks at the two fields where they stand, before the whole line is read. */
static bool may_fit(const struct search *search, const char *line, size_t n)
{
	struct line_head head;
	const char *id = search->query->id;
	return line_peek(line, n, &head) && (id == NULL || memcmp(head.id, id, EVENT_ID_SIZE - 1) == 0) &&
	       memcmp(head.received_at, search->since, CLOCK_TEXT_SIZE - 1) >= 0;
}

static int search_window(struct search *search, struct history_line *line, size_t *used)
{
	const char *start = search->window.data, *end = start + search->window.len, *newline;
	int result = 0;
	while (result == 0 && (newline = memchr(start, '\n', (size_t)(end - start))) != NULL) {
		size_t n = (size_t)(newline - start);
		line->raw = (struct span){start, n};
		if (may_fit(search, start, n) && line_decode(start, n, &line->event) == LINE_OK)
			result = search->each(search->arg, line);
		line->offset += n + 1;
		start = newline + 1;
	}
	*used = (size_t)(start - search->window.data);
	return result;
}

static int glance(struct search *search, const char *line, size_t n)
{
	struct history_glance glance = {.length = n};
	struct line_head head;
	if (!line_peek(line, n, &head) || clock_parse_text(head.received_at, &glance.received_at) < 0)
		return 0;
	glance.endpoint = line_peek_endpoint(&head);
	glance.connection = line_peek_connection(&head);
	return glance.endpoint.ptr == NULL ? 0 : search->glimpse(search->arg, &glance);
}

static int glance_window(struct search *search, struct history_line *line, size_t *used)
{
	const char *start = search->window.data, *end = start + search->window.len, *newline;
	int result = 0;
	while (result == 0 && (newline = memchr(start, '\n', (size_t)(end - start))) != NULL) {
		result = glance(search, start, (size_t)(newline - start));
		start = newline + 1;
	}
	*used = (size_t)(start - search->window.data);
	line->offset += *used;
	return result;
}

static int search_file(struct search *search, int fd, struct history_line *line)
{
	struct buf *w = &search->window;
	int result = 0;
	w->len = 0;
	while (result == 0) {
		/* As much again as there is of a line that does not end. */
		size_t used, more = w->len < CHUNK ? CHUNK : w->len;
		/* No line ends here, nor will one that somebody can have written. */
		if (w->len > search->spool->line_max)
			return 0;
		if (buf_reserve(w, more) < 0)
			return -1;
		ssize_t n = fsio_read_at(fd, w->data + w->len, more, (off_t)(line->offset + w->len));
		if (n <= 0)
			return n < 0 ? cannot_read(search, line->archived, line->segment) : 0;
		w->len += (size_t)n;
		search->done += (uint64_t)n;
		result = search->take(search, line, &used);
		memmove(w->data, w->data + used, w->len - used);
		w->len -= used;
		if (search->query->progress != NULL)
			search->query->progress(search->arg, search->done, search->total);
	}
	return result;
}

/* 0 too if it has been put away or removed since; and if it is another user's work, which the deliverer passes over. */
static int search_segment(struct search *search, int folder, struct history_line *line)
{
	char hidden[SEGMENT_HIDDEN_SIZE];
	int fd = spool_open_shared(search->spool, folder, line->segment, O_RDONLY);
	if (fd < 0 && errno == ENOENT && !line->archived) {
		segment_name_hidden(hidden, line->segment);
		fd = spool_open_shared(search->spool, folder, hidden, O_RDONLY);
	}
	if (fd < 0)
		return errno == ENOENT || errno == EINVAL || errno == EMLINK || errno == ELOOP || errno == ENXIO ||
				       (errno == EACCES && search->spool->has_group)
			       ? 0
			       : cannot_read(search, line->archived, line->segment);
	int result = search_file(search, fd, line);
	fsio_close(&fd);
	return result;
}

static int search_list(struct search *search, int folder, bool archived, const struct names_list *list)
{
	int result = 0;
	for (size_t i = 0; i < list->count && result == 0; i++) {
		struct history_line line = {.segment = list->names[i], .archived = archived};
		result = search_segment(search, folder, &line);
	}
	return result;
}

int history_search(const struct spool *spool, const struct history_query *query, history_each *each, void *arg)
{
	struct search search = {.query = query, .spool = spool, .take = search_window, .each = each, .arg = arg};
	struct names_list journal = {0}, archive = {0};
	clock_text(query->since, search.since);
	int result = list_folder(&search, spool->journal_fd, &journal);
	/* For the total only. */
	if (result == 0 && spool->archive_fd >= 0)
		result = list_folder(&search, spool->archive_fd, &archive);
	if (result == 0)
		result = search_list(&search, spool->journal_fd, false, &journal);
	if (result == 0 && spool->archive_fd >= 0) {
		archive.count = 0;
		search.total = search.done;
		result = list_folder(&search, spool->archive_fd, &archive);
	}
	if (result == 0)
		result = search_list(&search, spool->archive_fd, true, &archive);
	int saved = errno;
	free(journal.names);
	free(archive.names);
	buf_fini(&search.window);
	errno = saved;
	return result;
}

int history_look(const struct spool *spool, history_from *from, history_glimpse *each, void *arg)
{
	static const struct history_query any = {0};
	struct search search = {.query = &any, .spool = spool, .take = glance_window, .glimpse = each, .arg = arg};
	struct names_list list = {0};
	int result = list_folder(&search, spool->journal_fd, &list);
	for (size_t i = 0; i < list.count && result == 0; i++) {
		struct history_line line = {.segment = list.names[i], .offset = from(arg, list.names[i])};
		if (line.offset != UINT64_MAX)
			result = search_segment(&search, spool->journal_fd, &line);
		/* The deliverer has named it, if it must wait for it too. */
		if (result < 0 && (errno == EACCES || errno == EPERM || errno == EIO))
			result = 0;
	}
	int saved = errno;
	free(list.names);
	buf_fini(&search.window);
	errno = saved;
	return result;
}
