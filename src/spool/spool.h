/* The spool's folders and small files: where everything durable stands. doc/journal.md says who may do what. */
#ifndef HOOKSPOOL_SPOOL_SPOOL_H
#define HOOKSPOOL_SPOOL_SPOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct conf;

struct spool {
	const char *path; /* borrowed from the configuration */
	int fd;           /* folder descriptors; -1 while not open */
	int journal_fd;
	int archive_fd; /* deliverer and commands only */
	int damaged_fd; /* deliverer only */
	int trigger_fd; /* the writer's end, -1 until somebody was woken */
	bool has_group; /* receiver and deliverer may be two users, who are in it */
	gid_t group;
	uid_t owner;       /* of what root makes: the spool's; (uid_t)-1 for all other users */
	uint64_t line_max; /* longer than any line of the journal is */
};

/* An unopened spool, which spool_close takes. */
#define SPOOL_NONE                                                                                                     \
	(struct spool)                                                                                                 \
	{                                                                                                              \
		.fd = -1, .journal_fd = -1, .archive_fd = -1, .damaged_fd = -1, .trigger_fd = -1, .owner = (uid_t)-1   \
	}

enum spool_use {
	SPOOL_RECEIVE, /* journal/ and trigger only, made where missing, if this user may */
	SPOOL_RETURN,  /* the same, nothing made: a receiver whose spool was taken away must not begin another one */
	SPOOL_DELIVER, /* everything, made where missing, with the modes of this version (spool/layout) */
	SPOOL_LOOK,    /* everything that is there, nothing made */
};

void spool_close(struct spool *spool);
/* Goes on with what another configuration says of the same spool. */
void spool_renew(struct spool *spool, const struct conf *conf);

/* Whether path still is the folder that is open: false when it was moved away, removed or mounted over. */
bool spool_is_there(const struct spool *spool);

/* A folder of the spool, made where missing: its descriptor, which the caller closes, or -1 with errno. Both users may
 * make and remove names in a shared one; in one of the deliverer's own, the other may only read. */
int spool_folder(const struct spool *spool, const char *name);
int spool_shared_folder(const struct spool *spool, const char *name);

mode_t spool_folder_mode(const struct spool *spool, bool is_shared);
mode_t spool_file_mode(const struct spool *spool, bool is_shared);

/* Gives a file that this process made its mode and the spool's group, whatever the umask: the deliverer's own, or one
 * that both users may write to. */
int spool_own(const struct spool *spool, int fd);
int spool_share(const struct spool *spool, int fd);

/* What may be wrong with a name in a shared folder that is there: the text of an errno of spool_open_shared. */
const char *spool_fault(int error);

/* Opens a file in a folder where the other user may have put anything, without waiting: only a regular file, and none
 * of this user's own that has another name elsewhere (a hard link). -1 with errno; EINVAL: it is something else;
 * EMLINK: it has another name. */
int spool_open_shared(const struct spool *spool, int folder, const char *name, int flags);

/* Makes the trigger, if it is missing. 0, or -1 with errno. */
int spool_make_trigger(const struct spool *spool);
/* The deliverer's end of the trigger, which is made where it is missing; non-blocking, or -1. It is open for writing
 * too: a FIFO without writers would always be readable (end of file). */
int spool_trigger_listen(const struct spool *spool);

/* One byte for the deliverer. SIGPIPE must be ignored. */
enum spool_wake {
	SPOOL_AWAKE,       /* it reads; it will look */
	SPOOL_ASLEEP,      /* nobody reads */
	SPOOL_WAKE_FAILED, /* errno: there is no trigger, or it is something else */
};
enum spool_wake spool_trigger(struct spool *spool);

/* Of the deliverers on one machine one has the seat, and one may wait for it in its place. Both are flocks of a folder
 * (the spool's own; journal/), for nobody can remove one under whoever has it without taking the spool away. The
 * descriptor that holds it, or -1 with errno (EAGAIN: somebody else has it). Where folders cannot be locked, whoever
 * asks has it. */
int spool_seat(const struct spool *spool);
/* `handed`: a descriptor that may hold the place already, for whoever starts a deliverer takes it first and hands it
 * on; it is not closed, and what is returned is another one. -1: there is none. */
int spool_place(const struct spool *spool, int handed);

/* Whether the name, below the spool, still is the file that is open. */
bool spool_is_named(const struct spool *spool, const char *name, int fd);

/* The deliverer's lock, which holds for other machines too, and says who it is: the descriptor that holds it, or -1
 * with errno (EAGAIN: somebody else is the deliverer). */
int spool_lock(const struct spool *spool);
/* The process that holds it, 0 if none, -1 with errno. Takes nothing. */
pid_t spool_locked_by(const struct spool *spool);

#endif
