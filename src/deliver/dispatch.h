/* Pending deliveries, lane by lane: what is due is tried, what ended is recorded (doc/journal.md, Delivery rows). */
#ifndef HOOKSPOOL_DELIVER_DISPATCH_H
#define HOOKSPOOL_DELIVER_DISPATCH_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "deliver/deliverer.h"

struct lanes;

/* NULL with errno ENOMEM. */
struct lanes *lanes_new(struct deliverer *d);
/* Has room for what this configuration runs from now on, beside what runs already. 0, or -1 with errno ENOMEM. */
int lanes_fit(struct lanes *lanes, const struct conf *conf);
/* Takes NULL. Scripts that still run are killed; their deliveries stay pending. */
void lanes_free(struct lanes *lanes);

/* Tries what is due at the age `limit`: starts scripts as far as there are workers, a few at a time, and appends to
 * files. How many lanes were tried, or -1 with errno. */
int lanes_start(struct lanes *lanes, int64_t limit);

/* When the next lane is due, but for those that must wait until a script ends: 1 and *next_at, which is not after
 * `limit` if lanes_start can try it now; 0: there is none; -1 with errno. */
int lanes_next(struct lanes *lanes, int64_t limit, int64_t *next_at);

/* Adds the scripts' outputs to a poll set of lanes_max() entries; their number. */
size_t lanes_max(const struct lanes *lanes);
size_t lanes_poll(const struct lanes *lanes, struct pollfd *fds);
/* Takes what they have said, sends signals that are due (now: us, monotonic), and records what has ended. How many have
 * ended, or -1 with errno: then they are recorded the next time. */
int lanes_collect(struct lanes *lanes, int64_t now);
/* When lanes_collect has signals to send: us, monotonic; INT64_MAX: never. */
int64_t lanes_deadline(const struct lanes *lanes);

/* Whether a script runs for this lane of the target. */
bool lanes_is_running(const struct lanes *lanes, const struct target *target, int64_t lane);

bool lanes_are_busy(const struct lanes *lanes);
/* Ends all scripts early; their deliveries stay as they are. */
void lanes_stop(struct lanes *lanes, int64_t now);

#endif
