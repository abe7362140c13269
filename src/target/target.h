/* Targets: which events they want, and what is common to their kinds. */
#ifndef HOOKSPOOL_TARGET_TARGET_H
#define HOOKSPOOL_TARGET_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "config/conf.h"
#include "event/event.h"

struct target {
	const struct conf_target *conf;
	int64_t id;     /* its row in state.db */
	bool waiting;   /* a delivery to it may be pending */
	bool was_retry; /* its last start was a retry's (retry_turn) */
};

/* Whether all of the target's conditions hold: 1, 0, or -1 with errno ENOMEM. An absent field matches as an empty one;
 * a value with a NUL in it matches nothing. */
int target_matches(const struct conf_target *conf, const struct event *event, struct buf *scratch);

/* Appends the plain value of a field as a configuration names it: "endpoint", the sender's fields, "date" and "hour".
 * 0, or -1 with errno (EINVAL: no such field). */
int target_value(const struct event *event, const char *name, struct buf *out);

/* The event's lane: a hash of its connection and object type, decoded. 0, or -1 with errno ENOMEM. */
int target_lane(const struct event *event, struct buf *scratch, int64_t *lane);

/* Appends the file that a file target's path stands for. 0, or -1 with errno ENOMEM. */
int target_path(const struct conf_target *conf, const struct event *event, struct buf *out);

/* Bytes of a path that do not depend on the event: the folder before the first placeholder, or the file's own folder.
 */
size_t target_fixed(const struct conf_target *conf);

#endif
