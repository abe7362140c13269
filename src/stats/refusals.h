/* Refused requests, counted by their reasons, and the last word of each kind of process about its configuration. A
 * receiver opens no database, so what it says of a refusal is a line of the audit trail; here these lines become counts
 * that outlive the trail (doc/journal.md, Counts). */
#ifndef HOOKSPOOL_STATS_REFUSALS_H
#define HOOKSPOOL_STATS_REFUSALS_H

#include "spool/spool.h"
#include "state/counts.h"

/* For the deliverer: adds what the trail has that was not counted yet, in a transaction of its own; without any there
 * is none. 1: there is more; 0: that was all; -1 with errno. To be called every few seconds, and before the deliverer
 * ends. */
int tally_fold(struct state *state, const struct spool *spool);

/* For commands: what tally_fold would add now, a call for each endpoint, connection and reason, and for each kind of
 * process that says something new of its configuration. Writes nothing. state may be NULL. 0, or -1 with errno, or from
 * a call. */
int tally_read(struct state *state, const struct spool *spool, state_each_refusal *each, state_each_conf *each_conf,
	       void *arg);

#endif
