/* File targets: files that records are appended to, each event exactly once (doc/journal.md, The deliverer's
 * transaction).
 *
 * A set holds the files of one transaction. outfiles_run takes it from its beginning to its end:
 *
 *   1. the owner's gather adds events (outfiles_take); the set appends their records now and then, and then the rest
 *   2. what was appended is synced, and the files' names are looked at again
 *   3. in one transaction the files' lengths are recorded, and the owner's put puts what else belongs to it
 *
 * A file is locked (flock) from its first append to the end, and what a crash has left of it is cut back before that
 * append. A file that cannot be used gets an error and nothing more happens to it; what becomes of the others is for
 * the owner to say (outfiles_refuse). If the whole fails, all files are cut back to what they were. */
#ifndef HOOKSPOOL_TARGET_FILE_H
#define HOOKSPOOL_TARGET_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/intern.h"
#include "target/context.h"
#include "target/outfile.h"

/* Zero-initialise to begin. */
struct outfiles {
	size_t flushed;  /* bytes of records that were to be appended, and are no longer in memory */
	size_t buffered; /* bytes of records in memory */
	bool is_torn;    /* a part of an event is appended, and its rest cannot be: all of it must be undone */

	/* internal */
	struct target_context context;
	struct names names;
	struct outfile *list; /* names.count of them are in use */
	size_t cap, opened;
	struct names paths; /* as the kernel has them */
	size_t *first;      /* of each of these: its file */
	int64_t wait_until; /* us, monotonic: for locks that others have; 0: none was met */
	struct buf scratch;
};

struct outfiles_owner {
	/* Adds events. 1; 0: there are none; -1 with errno. */
	int (*gather)(void *arg);
	/* Asked as errors come up: which other files are not to be written for them? (outfiles_refuse) */
	void (*spread)(void *arg);
	/* Within the transaction. 0, or -1 with errno. */
	int (*put)(void *arg);
	/* Nothing of it counts: what was gathered is to be gathered again. errno need not stay. */
	void (*undone)(void *arg);
};

/* 1: it is committed; 0: there was nothing to do; -1 with errno: the state has failed, or gather or put has. Then the
 * files are as they were, unless it is unknown whether the transaction counts: the next append finds out. When a file's
 * name has become another file's, all of it is undone and made again; ESTALE: that was so each time. */
int outfiles_run(struct outfiles *files, const struct target_context *context, const struct outfiles_owner *owner,
		 void *arg);

/* For gather: adds the event's records to the target's file, whose number is told. 0, or -1 with errno: nothing was
 * added, or the set is torn. */
int outfiles_take(struct outfiles *files, const struct conf_target *conf, const struct event *event, size_t *number);
/* For gather: appends what is in memory. 0, or -1 with errno if the state failed. It ends a hold of the state, and may
 * make a transaction of its own. */
int outfiles_flush(struct outfiles *files);

/* Why the file cannot be used, or 0; in words, or NULL. Words last until the end of outfiles_run. */
int outfiles_error(const struct outfiles *files, size_t number);
const char *outfiles_why(const struct outfiles *files, size_t number);
/* Gives it an error, if it has none. True if it had none. */
bool outfiles_refuse(struct outfiles *files, size_t number, int error);
void outfiles_fini(struct outfiles *files);

/* The steps of outfiles_run one by one, for tests that come in between. */

void outfiles_begin(struct outfiles *files, const struct target_context *context);
/* The number of the file of this absolute path, of which the first `fixed` bytes are its fixed part. Files that are
 * made get this mode, and folders one that fits, whatever the umask. 0, or -1 with errno ENOMEM. */
int outfiles_add(struct outfiles *files, struct span path, size_t fixed, mode_t mode, size_t *number);
enum outfiles_result {
	OUTFILES_WRITTEN, /* but for what has an error, which is as it was before */
	OUTFILES_MOVED,   /* the name of one has become another file's: all are as they were */
	OUTFILES_FAILED,  /* errno: the state failed, all are as they were */
};
enum outfiles_result outfiles_write(struct outfiles *files, void spread(void *arg), void *arg);
int outfiles_commit(struct outfiles *files, int put(void *arg), void *arg);
/* Cuts files with an error, or all, back to what they were; errno stays. What others have written meanwhile stays, and
 * what of this set stands before it. */
void outfiles_undo(struct outfiles *files, bool all);
void outfiles_clear(struct outfiles *files);

#endif
