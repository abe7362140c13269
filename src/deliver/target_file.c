#include "config.h"

#include "deliver/target_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/log.h"
#include "deliver/remains.h"

/* A folder to pass through needs no permission to read it: /home often gives none. */
#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

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
	switch (names_add(&files->names, path.ptr, path.len, number)) {
	case NAMES_FAILED:
		return -1;
	case NAMES_KNOWN:
		return 0;
	case NAMES_NEW:
		break;
	}
	struct outfile *file = &files->list[*number];
	/* Buffers of earlier rounds are used again. */
	*file = (struct outfile){.records = {file->records.data, 0, file->records.cap},
				 .path = {file->path.data, 0, file->path.cap},
				 .fixed = fixed,
				 .mode = mode,
				 .fd = -1,
				 .same_as = *number};
	return 0;
}

static struct outfile *outfile(const struct outfiles *files, size_t number)
{
	return &files->list[files->list[number].same_as];
}

int outfiles_error(const struct outfiles *files, size_t number)
{
	return outfile(files, number)->error;
}

bool outfiles_refuse(struct outfiles *files, size_t number, int error)
{
	struct outfile *file = outfile(files, number);
	if (file->error != 0)
		return false;
	file->error = error;
	return true;
}

/* Whoever may read or write a folder's files may enter it. */
static mode_t folder_mode(mode_t file_mode)
{
	mode_t mode = 0700;
	if (file_mode & 0060)
		mode |= 0050;
	if (file_mode & 0006)
		mode |= 0005;
	if (file_mode & 0020)
		mode |= 0020;
	return mode;
}

/* One in which something is made must be synced, so it must be readable. */
static int open_to_sync(int folder)
{
	return openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_folder(int above, const char *name, mode_t mode)
{
	int fd = open_to_sync(above);
	if (fd < 0)
		return -1;
	int made = fsio_make_folder(fd, name, mode);
	fsio_close(&fd);
	return made;
}

static int sync_folder(int folder)
{
	int fd = open_to_sync(folder);
	if (fd < 0)
		return -1;
	int result = fsio_sync(fd);
	fsio_close(&fd);
	return result;
}

/* Opens the folder `name` in `above`, which is closed; makes it where it is missing. */
static int enter_folder(int above, const char *name, bool follow, mode_t mode)
{
	int fd = openat(above, name, FOLDER_FLAGS | (follow ? 0 : O_NOFOLLOW));
	if (fd < 0 && errno == ENOENT)
		fd = make_folder(above, name, mode);
	fsio_close(&above);
	return fd;
}

/* Opens the folder that the file stands in; *name is the rest of the path. The path is changed. */
static int open_folder(char *path, size_t fixed, mode_t mode, const char **name)
{
	int fd = open("/", FOLDER_FLAGS);
	char *at = path + strspn(path, "/");
	for (;;) {
		size_t n = strcspn(at, "/");
		char *next = at + n + strspn(at + n, "/");
		if (fd < 0 || at[n] == '\0')
			break;
		at[n] = '\0';
		fd = enter_folder(fd, at, (size_t)(at - path) < fixed, mode);
		at = next;
	}
	*name = at;
	return fd;
}

#define FILE_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* For reading too, where that is allowed: what a crash has left is looked at. */
static int open_to_write(int folder, const char *name, int flags)
{
	int fd = openat(folder, name, O_RDWR | FILE_FLAGS | flags, 0600);
	return fd < 0 && errno == EACCES ? openat(folder, name, O_WRONLY | FILE_FLAGS | flags, 0600) : fd;
}

/* Opens a regular file with one name, or makes it. */
static int open_file(int folder, const char *name, mode_t mode, struct stat *st)
{
	bool made = false;
	/* Looking first: opening a device can do something. */
	if (fstatat(folder, name, st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return -1;
		made = true;
	} else if (!S_ISREG(st->st_mode)) {
		errno = S_ISLNK(st->st_mode) ? ELOOP : EINVAL;
		return -1;
	}
	int fd = open_to_write(folder, name, made ? O_APPEND | O_CREAT | O_EXCL : O_APPEND);
	if (fd < 0)
		return -1;
	if (made && (fchmod(fd, mode) < 0 || fsio_sync(fd) < 0 || sync_folder(folder) < 0))
		goto fail;
	if (fstat(fd, st) < 0)
		goto fail;
	if (S_ISREG(st->st_mode) && st->st_nlink == 1)
		return fd;
	errno = S_ISREG(st->st_mode) ? EMLINK : EINVAL;
fail:
	fsio_close(&fd);
	return -1;
}

static int identify(int fd, struct state_file *file)
{
	struct fsio_identity identity;
	if (fsio_identify(fd, "", &identity) < 0)
		return -1;
	*file = (struct state_file){identity.inode, identity.born, identity.size};
	return 0;
}

/* The one path of an open file: two targets, or one with a symbolic link in its fixed part, can name it in different
 * ways. ESTALE if the name has become another file's since it was opened. */
static int find_path(const struct stat *opened, struct span name, struct buf *path)
{
	char resolved[PATH_MAX];
	struct stat st;
	path->len = 0;
	if (buf_append(path, name.ptr, name.len) < 0 || buf_cstr(path) == NULL ||
	    realpath(path->data, resolved) == NULL || lstat(resolved, &st) < 0)
		return -1;
	if (st.st_dev != opened->st_dev || st.st_ino != opened->st_ino) {
		errno = ESTALE;
		return -1;
	}
	path->len = 0;
	return buf_str(path, resolved) < 0 || buf_cstr(path) == NULL ? -1 : 0;
}

static int outfile_open(struct outfile *file, struct span path)
{
	struct stat st;
	const char *name;
	file->path.len = 0;
	if (buf_append(&file->path, path.ptr, path.len) < 0 || buf_cstr(&file->path) == NULL)
		return -1;
	int folder = open_folder(file->path.data, file->fixed, folder_mode(file->mode), &name);
	if (folder < 0)
		return -1;
	file->fd = open_file(folder, name, file->mode, &st);
	fsio_close(&folder);
	if (file->fd < 0)
		return -1;
	return identify(file->fd, &file->state) < 0 || find_path(&st, path, &file->path) < 0 ? -1 : 0;
}

static struct span outfile_path(const struct outfile *file)
{
	return (struct span){file->path.data, file->path.len};
}

static bool is_same_file(const struct state_file *a, const struct state_file *b)
{
	return a->inode == b->inode && a->born == b->born;
}

static int cut(int fd, uint64_t length)
{
	return ftruncate(fd, (off_t)length) < 0 ? -1 : fsio_sync(fd);
}

/* Cuts a file that is longer than recorded behind what is to stay of it, and tells its length then. 0; 1: errno, the
 * file cannot be used; -1 with errno: the state failed. */
static int cut_remains(struct remains *remains, const char *path, int fd, uint64_t recorded, uint64_t *length)
{
	uint64_t end;
	switch (remains_judge(remains, fd, recorded, *length, &end)) {
	case REMAINS_FAILED:
		return -1;
	case REMAINS_UNREADABLE:
		return 1;
	case REMAINS_JUDGED:
		break;
	}
	if (end > recorded)
		log_warnx("%s: %llu bytes more than state.db knows of; it knows their events, so they stay", path,
			  (unsigned long long)(end - recorded));
	if (end < *length && cut(fd, end) < 0)
		return 1;
	*length = end;
	return 0;
}

/* Compares the file with what is recorded of it. 0, or -1 with errno if the state failed. */
static int outfile_check(struct outfile *file, struct remains *remains)
{
	struct state_file known;
	uint64_t *length = &file->state.length;
	int found = state_file(remains->state, outfile_path(file), &known);
	if (found < 0)
		return -1;
	int result = 0;
	file->is_new = found == 0 || !is_same_file(&known, &file->state) || *length < known.length;
	if (file->is_new) {
		result = remains_end_line(file->fd, *length, length) < 0;
	} else if (*length > known.length) {
		result = cut_remains(remains, file->path.data, file->fd, known.length, length);
		file->is_new = *length > known.length;
	}
	if (result == 1)
		file->error = errno;
	return result < 0 ? -1 : 0;
}

/* Looks whether an earlier file of the set is the same one. */
static void find_same(struct outfiles *files, size_t number)
{
	size_t earlier;
	struct outfile *file = &files->list[number];
	switch (names_add(&files->paths, file->path.data, file->path.len, &earlier)) {
	case NAMES_FAILED:
		file->error = ENOMEM;
		break;
	case NAMES_NEW:
		files->first[earlier] = number;
		break;
	case NAMES_KNOWN:
		file->same_as = files->first[earlier];
		break;
	}
}

/* Opens the files that are new in the set. 0, or -1 with errno if the state failed. */
static int open_files(struct outfiles *files, struct remains *remains)
{
	for (; files->opened < files->names.count; files->opened++) {
		struct outfile *file = &files->list[files->opened];
		if (file->error == 0 && outfile_open(file, names_get(&files->names, files->opened)) < 0)
			file->error = errno;
		if (file->error == 0)
			find_same(files, files->opened);
		if (file->error == 0 && file->same_as == files->opened && outfile_check(file, remains) < 0)
			return -1;
	}
	return 0;
}

static bool is_in_use(const struct outfiles *files, size_t number)
{
	const struct outfile *file = &files->list[number];
	return file->same_as == number && file->fd >= 0;
}

static int record_new(struct outfiles *files, struct state *state)
{
	bool some = false;
	for (size_t i = 0; i < files->names.count; i++)
		some |= is_in_use(files, i) && files->list[i].is_new;
	if (!some)
		return 0;
	if (state_begin(state) < 0)
		return -1;
	for (size_t i = 0; i < files->names.count; i++)
		if (is_in_use(files, i) && files->list[i].is_new &&
		    state_file_put(state, outfile_path(&files->list[i]), &files->list[i].state) < 0)
			goto fail;
	if (state_commit(state) < 0)
		goto fail;
	for (size_t i = 0; i < files->names.count; i++)
		files->list[i].is_new = false;
	return 0;
fail:
	state_rollback(state);
	return -1;
}

static void append(struct outfiles *files, size_t number)
{
	struct outfile *records = &files->list[number], *file = outfile(files, number);
	size_t n = records->records.len;
	records->records.len = 0;
	if (n == 0 || file->error != 0)
		return;
	off_t at = (off_t)(file->state.length + file->grown);
	/* Counted first: a write that fails may have written a part. */
	file->grown += n;
	if (fsio_write(file->fd, records->records.data, n) < 0)
		file->error = errno;
	else
		/* The disk can begin; outfiles_sync waits for it. */
		sync_file_range(file->fd, at, (off_t)n, SYNC_FILE_RANGE_WRITE);
}

int outfiles_flush(struct outfiles *files, const struct spool *spool, struct state *state)
{
	struct remains remains = {.state = state, .spool = spool};
	int result = open_files(files, &remains), saved = errno;
	remains_fini(&remains);
	errno = saved;
	if (result < 0 || record_new(files, state) < 0)
		return -1;
	for (size_t i = 0; i < files->names.count; i++)
		append(files, i);
	return 0;
}

void outfiles_sync(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (is_in_use(files, i) && file->error == 0 && file->grown > 0 && fsio_datasync(file->fd) < 0)
			file->error = errno;
	}
}

void outfiles_undo(struct outfiles *files, bool all)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (!is_in_use(files, i) || file->grown == 0 || !(all || file->error != 0))
			continue;
		/* If this fails, it is done before the next append. */
		cut(file->fd, file->state.length);
		file->grown = 0;
	}
}

int outfiles_settle(struct outfiles *files, struct state *state)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (!is_in_use(files, i) || file->grown == 0 || file->error != 0)
			continue;
		struct state_file now = file->state;
		now.length += file->grown;
		if (state_file_put(state, outfile_path(file), &now) < 0)
			return -1;
	}
	return 0;
}

/* Buffers that are kept for the next round: not one that was needed once for something large, nor one of many. */
#define KEEP_BYTES (16u << 20)
#define KEEP_FILES 4

void outfiles_clear(struct outfiles *files)
{
	for (size_t i = 0; i < files->names.count; i++) {
		struct outfile *file = &files->list[i];
		if (file->fd >= 0)
			close(file->fd);
		if (file->records.cap > KEEP_BYTES || i >= KEEP_FILES)
			buf_fini(&file->records);
	}
	names_clear(&files->names);
	names_clear(&files->paths);
	files->opened = 0;
}

void outfiles_fini(struct outfiles *files)
{
	outfiles_clear(files);
	for (size_t i = 0; i < files->cap; i++) {
		buf_fini(&files->list[i].records);
		buf_fini(&files->list[i].path);
	}
	free(files->list);
	free(files->first);
	names_fini(&files->names);
	names_fini(&files->paths);
	*files = (struct outfiles){0};
}

/* The path has no symbolic links: none is followed. -1 with errno. */
static int open_recorded(const char *path)
{
	char copy[PATH_MAX];
	if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
		return -1;
	int fd = open("/", FOLDER_FLAGS);
	char *at = copy + strspn(copy, "/");
	for (char *slash; fd >= 0 && (slash = strchr(at, '/')) != NULL; at = slash + 1) {
		*slash = '\0';
		int next = openat(fd, at, FOLDER_FLAGS | O_NOFOLLOW);
		close(fd);
		fd = next;
	}
	if (fd < 0)
		return -1;
	int file = open_to_write(fd, at, 0);
	close(fd);
	return file;
}

static int recover_file(void *arg, const char *path, const struct state_file *known)
{
	struct state_file now;
	int fd = open_recorded(path), result = 0;
	if (fd < 0)
		return 0;
	if (identify(fd, &now) == 0 && is_same_file(&now, known) && now.length > known->length)
		result = cut_remains(arg, path, fd, known->length, &now.length);
	fsio_close(&fd);
	return result < 0 ? -1 : 0;
}

int outfiles_recover(const struct spool *spool, struct state *state)
{
	struct remains remains = {.state = state, .spool = spool};
	int result = state_files(state, recover_file, &remains), saved = errno;
	remains_fini(&remains);
	errno = saved;
	return result;
}
