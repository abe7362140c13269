/* The system calls whose failure matters, and the small compositions of them that durability needs.
 * Unless said otherwise: 0, or -1 with errno. Descriptors are opened close-on-exec. EINTR is retried. */
#ifndef HOOKSPOOL_BASE_FSIO_H
#define HOOKSPOOL_BASE_FSIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The calls that unit tests make fail. They point at the system's own. */
struct fsio_calls {
	ssize_t (*writev)(int fd, const struct iovec *iov, int count);
	int (*fdatasync)(int fd);
	int (*fsync)(int fd);
};
extern struct fsio_calls fsio_calls;

/* All bytes of all vectors, continued after short writes. The vectors are changed. On -1 any part may have been
 * written. */
int fsio_write_all(int fd, struct iovec *iov, int count);
int fsio_write(int fd, const void *bytes, size_t n);

int fsio_datasync(int fd);
/* For folders, and for files whose metadata matter. */
int fsio_sync(int fd);

/* Closes *fd, unless it is -1, and makes it that. errno stays as it is: a failure before can be told afterwards. */
void fsio_close(int *fd);

/* Takes an exclusive advisory lock (flock). EWOULDBLOCK: another process has it, and has had it for so long (us, 0: no
 * waiting). Whoever waits gets it in turn. For a process with one thread that does not use SIGALRM. */
int fsio_lock(int fd, int64_t us);

/* Reads up to n bytes at offset, continued until n or end of file. Bytes read, or -1. */
ssize_t fsio_read_at(int fd, void *bytes, size_t n, off_t offset);

/* Where the last line of a file of this size begins if no newline ends it; else size. */
int fsio_find_tail(int fd, uint64_t size, uint64_t *start);

/* Makes the folder `name` in dirfd with exactly this mode whatever the umask, and syncs dirfd; a folder that is there
 * is left as it is. Returns a descriptor of the folder (O_DIRECTORY, never through a symbolic link), or -1. */
int fsio_make_folder(int dirfd, const char *name, mode_t mode);

/* Calls back for each name in the folder `path` (in dirfd, never through a symbolic link) but "." and "..", with a
 * descriptor of the folder, until a call returns other than 0. What the last call returned; 0 if there was none; or -1
 * with errno: the folder could not be read. */
typedef int fsio_name(void *arg, int folder, const char *name);
int fsio_each_name(int dirfd, const char *path, fsio_name *each, void *arg);

/* Free space of the file system that fd lives on, for this user: bytes and inodes (UINT64_MAX where it counts none). */
int fsio_free_space(int fd, uint64_t *bytes, uint64_t *inodes);

/* Closes every descriptor from `lowest` up that is not needed: web servers leak theirs into their children. */
void fsio_close_from(int lowest);

/* Random bytes for names and jitter (getrandom). */
void fsio_random(void *bytes, size_t n);

#endif
