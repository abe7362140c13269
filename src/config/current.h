/* The configuration in force. A process that goes on reads it again when a file of it has changed, and swaps it as a
 * whole: whoever uses one holds a reference to it meanwhile.
 *
 * A configuration that cannot be used changes nothing. It is told, once for each change of its files, and the one
 * before stays in force. So does it where the spool or its group is another one: a process has that open. */
#ifndef HOOKSPOOL_CONFIG_CURRENT_H
#define HOOKSPOOL_CONFIG_CURRENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "config/conf.h"
#include "config/sources.h"

struct current {
	pthread_mutex_t lock; /* from reading `conf` to holding it */
	_Atomic(const struct conf *) conf;

	/* internal; for the one thread that looks */
	bool with_secrets;
	char *spool;            /* its path, the same text for each configuration: who has the spool open borrows it */
	struct sources sources; /* of the last reading */
	uint8_t contents[HASH_SIZE]; /* of what is in force */
	uint8_t seen[HASH_SIZE];     /* at the last look, if it was a change */
	int64_t seen_at;             /* us, monotonic: when that change was first seen; 0: there is none */
	int64_t look_at;             /* us, monotonic; INT64_MAX: never */
	int64_t again_at;            /* us, monotonic: when it is read again though no change is seen; 0: it is not */
	int64_t told_at;             /* us, monotonic: when a refusal was told last */
	char *why; /* the first problem of one that was refused; NULL: what is in force is the newest */
};

/* One that never changes: of a process that does not live on. */
#define CURRENT_OF(it)                                                                                                 \
	(struct current)                                                                                               \
	{                                                                                                              \
		.lock = PTHREAD_MUTEX_INITIALIZER, .conf = (it), .look_at = INT64_MAX                                  \
	}

/* Reads it for the first time. 0, or -1 after each problem was logged; then there is nothing to close. */
int current_open(struct current *current, const char *path, bool with_secrets);
void current_close(struct current *current);

/* A reference to what is in force, for conf_free. Every thread may call. */
const struct conf *current_hold(struct current *current);
/* Whether it still is. Costs nothing. */
bool current_is(const struct current *current, const struct conf *conf);

/* How often one that stays refused is told again: who hears nothing for longer can take it that the process is gone. */
#define CURRENT_TELL_AGAIN (3600 * CLOCK_SECOND)

enum current_look {
	CURRENT_SAME,
	CURRENT_TAKEN,   /* another one is in force, or one that was refused is right again; it was logged */
	CURRENT_REFUSED, /* it was logged; current_why has the first problem */
};
/* Looks whether a file has changed, if it is time for that (current_look_at), and reads it again; or reads it at once:
 * `asked`. A change is taken when it has been the same for a moment: a file that is being written is not read. */
enum current_look current_look(struct current *current, bool asked);
/* The spool's path, which stays the same. */
const char *current_spool(const struct current *current);
/* us, monotonic. */
int64_t current_look_at(const struct current *current);
/* "FILE:LINE: what is wrong; what to do", or NULL. */
const char *current_why(const struct current *current);

#endif
