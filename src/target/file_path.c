#include "config.h"

#include "target/file_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"

/* A folder to pass through needs no permission to read it: /home often gives none. */
#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define FILE_FLAGS   (O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

void outpath_explain(struct buf *why, const char *format, ...)
{
	char text[4096 + 256];
	int saved = errno;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	why->len = 0;
	if (buf_str(why, text) < 0 || buf_cstr(why) == NULL)
		why->len = 0;
	errno = saved;
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

static const char *kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a file";
	case S_IFDIR:
		return "a folder";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

static void explain_entry(const char *path, struct buf *why)
{
	if (errno == EACCES)
		outpath_explain(why, "the folder above %s cannot be entered by this user (uid %u); change its mode",
				path, (unsigned)geteuid());
	else
		outpath_explain(why, "%s cannot be used: %s", path, strerrordesc_np(errno));
}

/* Why the folder `path` could not be entered, which is `name` in `above`; errno says how it failed. */
static void explain_folder(int above, const char *path, const char *name, bool made, struct buf *why)
{
	struct stat st;
	int error = errno;
	if (error == ENOTDIR && fstatat(above, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		outpath_explain(why, "%s is %s, not a folder; move it away", path, kind(st.st_mode));
	else if (error == EACCES && made)
		outpath_explain(why,
				"the folder %s cannot be made by this user (uid %u): the folder above it must be "
				"readable and writable",
				path, (unsigned)geteuid());
	else
		explain_entry(path, why);
	errno = error;
}

/* Whether this user can make something in the folder. */
static int can_make(int folder)
{
	return faccessat(folder, ".", R_OK | W_OK | X_OK, AT_EACCESS);
}

/* Opens the folder `name` in `above`, which is closed; makes it where it is missing, or if it is not to be made (mode
 * 0) fails with ENOENT if that could be done. */
static int enter_folder(int above, const char *path, const char *name, bool follow, mode_t mode, struct buf *why)
{
	int fd = openat(above, name, FOLDER_FLAGS | (follow ? 0 : O_NOFOLLOW));
	bool made = fd < 0 && errno == ENOENT;
	if (made && mode != 0)
		fd = make_folder(above, name, mode);
	else if (made && can_make(above) == 0)
		errno = ENOENT;
	if (fd < 0)
		explain_folder(above, path, name, made, why);
	fsio_close(&above);
	return fd;
}

/* Opens the folder that the file stands in; *name is the rest of the path. */
static int open_folder(char *path, size_t fixed, mode_t mode, const char **name, struct buf *why)
{
	int fd = open("/", FOLDER_FLAGS);
	char *at = path + strspn(path, "/");
	for (;;) {
		size_t n = strcspn(at, "/");
		char *next = at + n + strspn(at + n, "/"), slash = at[n];
		if (fd < 0 || slash == '\0')
			break;
		at[n] = '\0';
		fd = enter_folder(fd, path, at, (size_t)(at - path) < fixed, mode, why);
		at[n] = slash;
		at = next;
	}
	*name = at;
	return fd;
}

static void explain_file(const char *path, bool made, struct buf *why)
{
	if (errno == EACCES && made)
		outpath_explain(why,
				"%s cannot be made by this user (uid %u): its folder must be readable and writable",
				path, (unsigned)geteuid());
	else if (errno == EACCES)
		outpath_explain(
			why,
			"%s cannot be read and written by this user (uid %u), which both are needed; change its "
			"owner or mode",
			path, (unsigned)geteuid());
	else
		outpath_explain(why, "%s cannot be used: %s", path, strerrordesc_np(errno));
}

/* Only a regular file with one name is used. */
static int refuse_other(const char *path, const struct stat *st, struct buf *why)
{
	if (S_ISREG(st->st_mode) && st->st_nlink <= 1)
		return 0;
	if (S_ISREG(st->st_mode))
		outpath_explain(why, "%s has %lu names (hard links); remove the others", path,
				(unsigned long)st->st_nlink);
	else
		outpath_explain(why, "%s is %s, and only a plain file is written to; move it away", path,
				kind(st->st_mode));
	errno = S_ISREG(st->st_mode) ? EMLINK : S_ISLNK(st->st_mode) ? ELOOP : EINVAL;
	return -1;
}

/* Opens a regular file with one name, or makes it. */
static int open_file(int folder, const char *path, const char *name, mode_t mode, struct stat *st, struct buf *why)
{
	/* Looking first: opening a device can do something. */
	bool made = fstatat(folder, name, st, AT_SYMLINK_NOFOLLOW) < 0;
	if (!made && !S_ISREG(st->st_mode))
		return refuse_other(path, st, why);
	if (made && errno != ENOENT) {
		explain_entry(path, why);
		return -1;
	}
	int fd = openat(folder, name, FILE_FLAGS | (made ? O_CREAT | O_EXCL : 0), 0600);
	if (fd < 0 || (made && (fchmod(fd, mode) < 0 || fsio_sync(fd) < 0 || sync_folder(folder) < 0)) ||
	    fstat(fd, st) < 0) {
		explain_file(path, made, why);
		fsio_close(&fd);
		return -1;
	}
	if (refuse_other(path, st, why) < 0)
		fsio_close(&fd);
	return fd;
}

static int copy_path(struct span path, struct buf *copy, struct buf *why)
{
	if (buf_append(copy, path.ptr, path.len) == 0 && buf_cstr(copy) != NULL)
		return 0;
	outpath_explain(why, "no memory");
	return -1;
}

static void free_copy(struct buf *copy)
{
	int saved = errno;
	buf_fini(copy);
	errno = saved;
}

int outpath_open(const struct outpath *path, struct stat *st, struct buf *why)
{
	struct buf copy = {0};
	const char *name;
	int fd = -1;
	if (copy_path(path->path, &copy, why) == 0) {
		int folder = open_folder(copy.data, path->fixed, folder_mode(path->mode), &name, why);
		if (folder >= 0)
			fd = open_file(folder, copy.data, name, path->mode, st, why);
		fsio_close(&folder);
	}
	free_copy(&copy);
	return fd;
}

/* The file `name`, or "" for the folder itself. */
static int check_file(int folder, const char *path, const char *name, struct buf *why)
{
	struct stat st;
	bool missing = name[0] == '\0' || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0;
	if (missing && name[0] != '\0' && errno != ENOENT) {
		explain_entry(path, why);
		return -1;
	}
	if (!missing && refuse_other(path, &st, why) < 0)
		return -1;
	if (missing ? can_make(folder) == 0 : faccessat(folder, name, R_OK | W_OK, AT_EACCESS) == 0)
		return 0;
	if (name[0] != '\0')
		explain_file(path, missing, why);
	else
		outpath_explain(why,
				"nothing can be made in %s by this user (uid %u): it must be readable and writable",
				path, (unsigned)geteuid());
	return -1;
}

int outpath_check(struct span path, size_t fixed, struct buf *why)
{
	struct buf copy = {0};
	const char *name;
	int result = copy_path(path, &copy, why);
	if (result == 0) {
		int folder = open_folder(copy.data, fixed, 0, &name, why);
		result = folder >= 0 ? check_file(folder, copy.data, name, why) : errno == ENOENT ? 0 : -1;
		fsio_close(&folder);
	}
	free_copy(&copy);
	return result;
}
