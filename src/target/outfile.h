/* One output file: it is compared with what state.db has of it, and records are appended. When, and to which files, is
 * up to the set that it is in (file.h). A file that cannot be used gets an error, and the caller leaves it alone then.
 */
#ifndef HOOKSPOOL_TARGET_OUTFILE_H
#define HOOKSPOOL_TARGET_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "target/context.h"
#include "target/file_standing.h"

struct outfile {
	struct buf records; /* to be appended */
	int error;          /* errno; 0: none */
	struct buf why;     /* the same in words */

	size_t fixed;
	mode_t mode;
	int fd;
	struct buf path; /* as the kernel has it, without symbolic links */
	dev_t device;
	ino_t inode;
	uint64_t length;   /* before this set */
	uint64_t grown;    /* beyond it, by this set */
	uint64_t size;     /* from outfile_is_named: what is recorded */
	bool is_new;       /* to be recorded before the first append */
	int64_t others_at; /* struct state_file */
	struct standing standing;
	size_t same_as; /* number of the file in the set that is the same one; its own number otherwise */
};

/* Begins with a file whose memory may be used again; zero-initialise it before the first time. */
void outfile_init(struct outfile *file, size_t fixed, mode_t mode, size_t number);
void outfile_fini(struct outfile *file);

/* Notes errno, with which a call about the file itself has failed, as its error. */
void outfile_fail(struct outfile *file, const char *what);

/* Opens the file of this name and finds its path. 0, or -1: it has an error. */
int outfile_open(struct outfile *file, struct span name);
/* Takes the advisory lock, waiting for others up to *wait_until (us, monotonic; 0: set to a second from now). Where the
 * file system has no locks, others have none either. 0, or -1: it has an error. */
int outfile_lock(struct outfile *file, int64_t *wait_until);
/* Whether the path still is the file's that is open, and how long that is: 1 or 0; -1 with errno. */
int outfile_is_named(const struct outfile *file, uint64_t *size);

/* Compares the file with what is recorded of it, and cuts back what a crash has left. 0, or -1 with errno if the state
 * failed. */
int outfile_look(const struct target_context *c, struct outfile *file);
/* Records the file as it is. Within a transaction: 0, or -1 with errno. */
int outfile_record(const struct target_context *c, struct outfile *file);

/* Free space of the file system that was asked last. Zero-initialise to begin. */
struct outfile_space {
	bool known;
	dev_t device;
	uint64_t bytes;
};
/* Appends the records, but for those that stand in the file already. */
void outfile_append(const struct target_context *c, struct outfile *file, struct buf *records,
		    struct outfile_space *space);
/* Cuts off exactly what was appended. Where anything else has come in, the next append looks at the file. */
void outfile_undo(const struct target_context *c, struct outfile *file);
/* Records the file with what was appended. Within a transaction: 0, or -1 with errno. */
int outfile_settle(const struct target_context *c, struct outfile *file);

#endif
