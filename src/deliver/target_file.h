/* File targets: files that records are appended to, each event exactly once.
 *
 * A set holds the files of one transaction. Its owner calls
 *
 *     outfiles_add       for each file that it needs, and appends records to its buffer
 *     outfiles_flush     to append the buffers to the files, as often as it likes
 *     outfiles_sync      to make them durable
 *     outfiles_settle    to put the new lengths, in a transaction of its own
 *     outfiles_clear     when that is committed; when it is not, after outfiles_undo
 *
 * outfiles_flush opens the files that are new in the set and cuts back what a crash has left of them. Those that were
 * never used before are recorded in a transaction of their own: so a length is always known before it grows. A file
 * that cannot be used gets an error and nothing more happens to it; what becomes of the others is for the owner to say
 * (outfiles_refuse), who calls outfiles_undo for those with an error.
 *
 * When a commit fails, nothing is undone: whether it is durable is known at the next start, or the next append.
 *
 * Below its fixed part no component of a path is followed if it is a symbolic link, and a file is used only if it is a
 * regular one with one name. A program other than this one must not append to these files: what is behind the recorded
 * length is taken for the remains of a crash. */
#ifndef HOOKSPOOL_TARGET_FILE_H
#define HOOKSPOOL_TARGET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "deliver/names.h"
#include "deliver/state.h"

struct outfile {
	struct buf records; /* to be appended */
	int error;          /* errno; 0: none */

	/* internal */
	size_t fixed;
	mode_t mode;
	int fd;
	struct buf path; /* as the kernel has it, without symbolic links */
	struct state_file state;
	uint64_t grown; /* beyond state.length */
	bool is_new;    /* to be recorded before the first append */
	size_t same_as; /* number of the file in the set that is the same one; its own number otherwise */
};

/* Zero-initialise to begin. */
struct outfiles {
	struct names names;
	struct outfile *list; /* names.count of them are in use */
	size_t cap, opened;
	struct names paths; /* as the kernel has them */
	size_t *first;      /* of each of these: its file */
};

/* The number of the file of this absolute path, of which the first `fixed` bytes are its fixed part. Files that are
 * made get this mode, and folders one that fits, whatever the umask. 0, or -1 with errno ENOMEM. */
int outfiles_add(struct outfiles *files, struct span path, size_t fixed, mode_t mode, size_t *number);

/* 0, or -1 with errno if the state failed. */
int outfiles_flush(struct outfiles *files, const struct spool *spool, struct state *state);
void outfiles_sync(struct outfiles *files);
/* Why the file cannot be used, or 0. */
int outfiles_error(const struct outfiles *files, size_t number);
/* Gives it an error, if it has none. True if it had none. */
bool outfiles_refuse(struct outfiles *files, size_t number, int error);
/* Cuts files with an error, or all, back to what they were. */
void outfiles_undo(struct outfiles *files, bool all);
int outfiles_settle(struct outfiles *files, struct state *state);
void outfiles_clear(struct outfiles *files);
void outfiles_fini(struct outfiles *files);

/* At the start: cuts back every file that is longer than recorded (remains_judge). 0, or -1 with errno if the state
 * failed; a file that cannot be cut is left to outfiles_flush. */
int outfiles_recover(const struct spool *spool, struct state *state);

#endif
