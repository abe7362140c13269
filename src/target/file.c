#include "config.h"

#include "target/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "event/record.h"
#include "state/state.h"
#include "target/kind.h"

#define OPEN_TRIES 5  /* at a file, while its name is given away */
#define RUN_TRIES  10 /* at a transaction, while names are given away to which was written */

/* Buffers that are kept for the next transaction: not one that was needed once for something large, nor one of many. */
#define KEEP_BYTES (16u << 20)
#define KEEP_FILES 4

#define RETRY_AFTER (60 * CLOCK_SECOND) /* at most: a try at a file costs little */

const struct target_kind target_file_kind = {.conf = {"file", .is_file = true}, .retry_max = RETRY_AFTER};

static int grow(struct outfiles *files)
{
	if (files->names.count < files->cap)
		return 0;
	size_t cap = files->cap == 0 ? 16 : files->cap * 2;
	struct outfile *list = reallocarray(files->list, cap, sizeof *list);
	if (list == NULL)
		return -1;
	files->list = list;
	size_t *first = reallocarray(files->first, cap, sizeof *first);
	if (first == NULL)
		return -1;
	files->first = first;
	memset(list + files->cap, 0, (cap - files->cap) * sizeof *list);
	files->cap = cap;
	return 0;
}

int outfiles_add(struct outfiles *files, struct span path, size_t fixed, mode_t mode, size_t *number)
{
	if (grow(files) < 0)
		return -1;
	int added = names_add(&files->names, path.ptr, path.len, number);
	if (added != 1)
		return added;
	outfile_init(&files->list[*number], fixed, mode, *number);
	return 0;
}

void outfiles_begin(struct outfiles *files, const struct target_context *context)
{
	files->context = *context;
	files->buffered = files->flushed = 0;
	files->is_torn = false;
}

static struct outfile *outfile(const struct outfiles *files, size_t number)
{
	return &files->list[files->list[number].same_as];
}

int outfiles_error(const struct outfiles *files, size_t number)
{
	return outfile(files, number)->error;
}

const char *outfiles_why(const struct outfiles *files, size_t number)
{
	const struct outfile *file = outfile(files, number);
	return file->error == 0 ? NULL : file->why.len > 0 ? file->why.data : strerrordesc_np(file->error);
}

bool outfiles_refuse(struct outfiles *files, size_t number, int error)
{
	struct outfile *file = outfile(files, number);
	if (file->error != 0)
		return false;
	file->error = error;
	return true;
}

/* Whether an earlier file of the set is the same one. */
static bool find_same(struct outfiles *files, size_t number)
{
	size_t earlier;
	struct outfile *file = &files->list[number];
	int added = names_add(&files->paths, file->path.data, file->path.len, &earlier);
	if (added < 0) {
		outfile_fail(file, "");
		return false;
	}
	if (added)
		files->first[earlier] = number;
	file->same_as = files->first[earlier];
	return file->same_as != number;
}

/* Opens and locks the file that has the name then. 1; 0: it is another one of the set; -1: it has an error. */
static int open_file(struct outfiles *files, size_t number)
{
	struct outfile *file = &files->list[number];
	for (int tries = 0; tries < OPEN_TRIES; tries++) {
		if (outfile_open(file, names_get(&files->names, number)) < 0)
			return -1;
		if (find_same(files, number))
			return 0;
		if (file->error != 0 || outfile_lock(file, &files->wait_until) < 0)
			return -1;
		switch (outfile_is_named(file, &file->length)) {
		case 1:
			return 1;
		case 0:
			break;
		default:
			outfile_fail(file, "");
			return -1;
		}
	}
	errno = ESTALE;
	outfile_fail(file, " is renamed again and again");
	return -1;
}

/* A file that is new in the set. */
struct newcomer {
	struct span name;
	size_t number;
};

static int compare_newcomers(const void *a, const void *b)
{
	const struct span x = ((const struct newcomer *)a)->name, y = ((const struct newcomer *)b)->name;
	int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
	return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

/* Opens the files that are new in the set, in the order of their names: two spools that share several files would wait
 * for each other's locks else. 0, or -1 with errno if the state failed. */
static int open_files(struct outfiles *files)
{
	int result = 0;
	size_t count = files->names.count - files->opened;
	struct newcomer *newcomers = calloc(count + 1, sizeof *newcomers);
	if (newcomers == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		newcomers[i] = (struct newcomer){names_get(&files->names, files->opened + i), files->opened + i};
	qsort(newcomers, count, sizeof *newcomers, compare_newcomers);
	for (size_t i = 0; i < count && result == 0; i++) {
		struct outfile *file = &files->list[newcomers[i].number];
		if (file->error == 0 && open_file(files, newcomers[i].number) == 1)
			result = outfile_look(&files->context, file);
	}
	files->opened += count;
	free(newcomers);
	return result;
}

static bool is_in_use(const struct outfiles *files, size_t number)
{
	const struct outfile *file = &files->list[number];
	return file->same_as == number && file->fd >= 0;
}

static bool is_to_record(const struct outfiles *files, size_t number)
{
	return is_in_use(files, number) && files->list[number].is_new && files->list[number].error == 0;
}

/* Records files that are not recorded as they are now, in a transaction of its own: so a length is always known before
 * it grows. */
static int record_new(struct outfiles *files)
{
	const struct target_context *c = &files->context;
	bool some = false;
	for (size_t i = 0; i < files->names.count; i++)
		some |= is_to_record(files, i);
	if (!some)
		return 0;
	int result = state_begin(c->state);
	if (result < 0)
		return -1;
	for (size_t i = 0; i < files->names.count && result == 0; i++)
		if (is_to_record(files, i))
			result = outfile_record(c, &files->list[i]);
	if (result < 0 || state_commit(c->state) < 0) {
		state_rollback(c->state);
		return -1;
	}
	for (size_t i = 0; i < files->names.count; i++)
		files->list[i].is_new = false;
	return 0;
}

int outfiles_flush(struct outfiles *files)
{
	struct outfile_space space = {0};
	state_read_end(files->context.state);
	if (open_files(files) < 0 || record_new(files) < 0)
		return -1;
	for (size_t i = 0; i < files->names.count; i++) {
		struct buf *records = &files->list[i].records;
		files->flushed += records->len;
		outfile_append(&files->context, outfile(files, i), records, &space);
		records->len = 0;
	}
	files->buffered = 0;
	return 0;
}

/* From here on the files have more than whole events. */
static int drain(void *arg, struct buf *out)
{
	struct outfiles *files = arg;
	(void)out;
	files->is_torn = true;
	return outfiles_flush(files);
}

int outfiles_take(struct outfiles *files, const struct conf_target *conf, const struct event *event, size_t *number)
{
	files->scratch.len = 0;
	if (target_path(conf, event, &files->scratch) < 0 ||
	    outfiles_add(files, (struct span){files->scratch.data, files->scratch.len}, target_fixed(conf), conf->mode,
			 number) < 0)
		return -1;
	struct buf *out = &files->list[*number].records;
	size_t before = out->len;
	if (records_append(event, out, drain, files) < 0) {
		if (!files->is_torn)
			out->len = before;
		return -1;
	}
	files->buffered += out->len - (files->is_torn ? 0 : before);
	files->is_torn = false;
	return 0;
}

static void sync_files(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (is_in_use(files, i) && file->error == 0 && file->grown > 0 && fsio_datasync(file->fd) < 0)
			outfile_fail(file, " cannot be made durable");
	}
}

/* Looks whether what was appended is where its readers look for it. False: a name has become another file's. */
static bool confirm(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (!is_in_use(files, i) || file->error != 0 || file->grown == 0)
			continue;
		switch (outfile_is_named(file, &file->size)) {
		case 1:
			break;
		case 0:
			return false;
		default:
			outfile_fail(file, " cannot be found again");
		}
	}
	return true;
}

enum outfiles_result outfiles_write(struct outfiles *files, void spread(void *arg), void *arg)
{
	enum outfiles_result result = OUTFILES_WRITTEN;
	if (outfiles_flush(files) < 0) {
		result = OUTFILES_FAILED;
	} else {
		spread(arg);
		sync_files(files);
		spread(arg);
		if (!confirm(files))
			result = OUTFILES_MOVED;
		spread(arg);
	}
	outfiles_undo(files, result != OUTFILES_WRITTEN);
	return result;
}

/* What was appended is judged when the state is asked again: whether a commit that failed is durable is known only
 * then. */
static void leave(struct outfiles *files)
{
	files->context.era->number = 0;
	for (size_t i = 0; i < files->names.count; i++)
		files->list[i].grown = 0;
}

void outfiles_undo(struct outfiles *files, bool all)
{
	int saved = errno;
	/* Another deliverer writes to these files now, and judges what it finds there: where locks do nothing, this
	 * length may be the one that it has reached. */
	if (saved == STATE_TAKEN) {
		leave(files);
		return;
	}
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (is_in_use(files, i) && file->grown > 0 && (all || file->error != 0))
			outfile_undo(&files->context, file);
	}
	errno = saved;
}

static int settle(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (is_in_use(files, i) && file->error == 0 && (file->grown > 0 || file->standing.events.count > 0) &&
		    outfile_settle(&files->context, file) < 0)
			return -1;
	}
	return 0;
}

int outfiles_commit(struct outfiles *files, int put(void *arg), void *arg)
{
	struct state *state = files->context.state;
	bool asked = false;
	if (state_begin(state) == 0 && settle(files) == 0 && put(arg) == 0 && state_keep_age(state) == 0 &&
	    state_is_there(state) == 0) {
		asked = true;
		if (state_commit(state) == 0)
			return 0;
	}
	state_rollback(state);
	if (!asked)
		outfiles_undo(files, true);
	else
		leave(files);
	return -1;
}

void outfiles_clear(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		fsio_close(&file->fd);
		if (file->records.cap > KEEP_BYTES || i >= KEEP_FILES)
			buf_fini(&file->records);
	}
	names_clear(&files->names);
	names_clear(&files->paths);
	files->opened = 0;
	files->wait_until = 0;
}

/* 1, 0 or -1, as outfiles_run. */
static int try_once(struct outfiles *files, const struct outfiles_owner *owner, void *arg, bool *moved)
{
	int result = owner->gather(arg);
	*moved = false;
	if (result != 1)
		return result;
	switch (outfiles_write(files, owner->spread, arg)) {
	case OUTFILES_WRITTEN:
		return outfiles_commit(files, owner->put, arg) < 0 ? -1 : 1;
	case OUTFILES_MOVED:
		*moved = true;
		errno = ESTALE;
		break;
	case OUTFILES_FAILED:
		break;
	}
	return -1;
}

int outfiles_run(struct outfiles *files, const struct target_context *context, const struct outfiles_owner *owner,
		 void *arg)
{
	int result = -1;
	bool moved = true;
	for (int tries = 0; moved && tries < RUN_TRIES; tries++) {
		outfiles_begin(files, context);
		result = try_once(files, owner, arg, &moved);
		int saved = errno;
		if (result < 0) {
			outfiles_undo(files, true);
			owner->undone(arg);
		}
		state_read_end(context->state);
		outfiles_clear(files);
		errno = saved;
	}
	return result;
}

void outfiles_fini(struct outfiles *files)
{
	outfiles_clear(files);
	for (size_t i = 0; i < files->cap; i++)
		outfile_fini(&files->list[i]);
	free(files->list);
	free(files->first);
	names_fini(&files->names);
	names_fini(&files->paths);
	buf_fini(&files->scratch);
	*files = (struct outfiles){0};
}
