/* The deliverer: one per spool. Takes the journal in, in order, and hands records to targets until there is nothing to
 * do. */
#ifndef HOOKSPOOL_DELIVER_DELIVER_H
#define HOOKSPOOL_DELIVER_DELIVER_H

#include "config/current.h"
#include "spool/spool.h"
#include "state/state.h"

enum deliver_until {
	DELIVER_ONCE, /* everything that can be delivered now has been tried once */
	DELIVER_IDLE, /* nothing pending and nothing new for a while */
	DELIVER_STOP, /* SIGTERM */
};

/* What takes long, and what its progress is counted in. */
enum deliver_work {
	DELIVER_READING, /* bytes of the journal */
	DELIVER_TRYING,  /* deliveries */
};

/* Who watches a deliverer. Each may be NULL. */
struct deliver_watcher {
	/* With a status section: something has happened, or somebody asks how it is. Called every few seconds at most,
	 * for no more than a small part of the time, and at the end. */
	void (*report)(void *arg, const struct conf *conf, const struct spool *spool, struct state *state);
	/* How far it is. */
	void (*progress)(void *arg, enum deliver_work work, uint64_t done, uint64_t total);
	void *arg;
};

/* How long a deliverer waits, in microseconds. */
struct deliver_times {
	int64_t idle_for;   /* without work, before DELIVER_IDLE ends */
	int64_t stop_after; /* for scripts that run, after a signal */
	int64_t look_every; /* between two looks at the journal, though no trigger came */
};
extern const struct deliver_times deliver_times; /* those of hookspool(1) */

/* Changes of the configuration are taken as current_look finds them, and at SIGHUP, between two rounds. watcher may be
 * NULL. An exit code (sysexits): 0; 75 if another deliverer holds the spool and is awake (0 unless
 * DELIVER_STOP: the work is being done), has taken it over, or waits for it already,
 * or the spool was taken away (DELIVER_STOP waits for another one at its path); 70 if state.db is another version's, or
 * damaged again and again; 74 on other failures that end it; 77 if the spool belongs to another user. */
int deliver(struct current *current, enum deliver_until until, const struct deliver_watcher *watcher,
	    const struct deliver_times *times);

#endif
