/* File targets: files that records are appended to, each event exactly once.
 *
 * A set holds the files of one transaction. Its owner calls
 *
 *     outfiles_begin     to say whose they are
 *     outfiles_add       for each file that it needs, and appends records to its buffer
 *     outfiles_flush     to append the buffers to the files, as often as it likes
 *     outfiles_write     to append the rest, and to make all of it durable and sure
 *     outfiles_commit    to put the lengths and what else belongs to the transaction
 *
 * and outfiles_undo, if it goes no further, and outfiles_clear in any case.
 *
 * outfiles_flush opens the files that are new in the set. It takes an advisory lock on each (flock), which is kept
 * until outfiles_clear, and cuts back what a crash has left of it (file_recovery.h). Files that are not recorded as
 * they are now are recorded in a transaction of their own: so a length is always known before it grows. A file that
 * cannot be used gets an error and nothing more happens to it; what becomes of the others is for the owner to say
 * (outfiles_refuse). */
#ifndef HOOKSPOOL_TARGET_FILE_H
#define HOOKSPOOL_TARGET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/intern.h"
#include "target/context.h"
#include "target/file_path.h"
#include "target/file_standing.h"

struct outfile {
	struct buf records; /* to be appended */
	int error;          /* errno; 0: none */
	struct buf why;     /* the same in words */

	/* internal */
	size_t fixed;
	mode_t mode;
	int fd;
	struct buf path; /* as the kernel has it, without symbolic links */
	dev_t device;
	ino_t inode;
	uint64_t length;   /* before this set */
	uint64_t grown;    /* beyond it, by this set */
	uint64_t size;     /* from outfiles_write: what is recorded */
	bool is_new;       /* to be recorded before the first append */
	int64_t others_at; /* struct state_file */
	struct standing standing;
	size_t same_as; /* number of the file in the set that is the same one; its own number otherwise */
};

/* Zero-initialise to begin. */
struct outfiles {
	struct target_context context;
	struct names names;
	struct outfile *list; /* names.count of them are in use */
	size_t cap, opened;
	struct names paths; /* as the kernel has them */
	size_t *first;      /* of each of these: its file */
	int64_t wait_until; /* us, monotonic: for locks that others have; 0: none was met */
};

/* What the context names stays until outfiles_clear. */
void outfiles_begin(struct outfiles *files, const struct target_context *context);

/* The number of the file of this absolute path, of which the first `fixed` bytes are its fixed part. Files that are
 * made get this mode, and folders one that fits, whatever the umask. 0, or -1 with errno ENOMEM. */
int outfiles_add(struct outfiles *files, struct span path, size_t fixed, mode_t mode, size_t *number);

/* 0, or -1 with errno if the state failed. */
int outfiles_flush(struct outfiles *files);

enum outfiles_result {
	OUTFILES_WRITTEN, /* but for what has an error, which is as it was before */
	OUTFILES_MOVED,   /* the name of one has become another file's: all are as they were, begin again */
	OUTFILES_FAILED,  /* errno: the state failed, all are as they were */
};
/* `spread` is asked, as errors come up, which other files are not to be written for them. */
typedef void outfiles_spread(void *arg);
enum outfiles_result outfiles_write(struct outfiles *files, outfiles_spread *spread, void *arg);

/* One transaction: `put` puts what else belongs to it. 0, or -1 with errno; then the files are as they were, unless it
 * is unknown whether the transaction counts: the next append finds out. */
typedef int outfiles_put(void *arg);
int outfiles_commit(struct outfiles *files, outfiles_put *put, void *arg);

/* Why the file cannot be used, or 0; in words, or NULL. Words last until outfiles_clear. */
int outfiles_error(const struct outfiles *files, size_t number);
const char *outfiles_why(const struct outfiles *files, size_t number);
/* Gives it an error, if it has none. True if it had none. */
bool outfiles_refuse(struct outfiles *files, size_t number, int error);
/* Cuts files with an error, or all, back to what they were; errno stays. What others have written meanwhile stays, and
 * what of this set stands before it. */
void outfiles_undo(struct outfiles *files, bool all);
void outfiles_clear(struct outfiles *files);
void outfiles_fini(struct outfiles *files);

#endif
