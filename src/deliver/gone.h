/* Targets that are not in the configuration any more: what is pending for them is parked, so that `status` tells it,
 * `drop` takes it, and `retry` delivers it once the target is back. */
#ifndef HOOKSPOOL_DELIVER_GONE_H
#define HOOKSPOOL_DELIVER_GONE_H

#include <stddef.h>

#include "deliver/deliverer.h"
#include "deliver/dispatch.h"

/* Zero-initialise to begin. */
struct gone {
	struct conf_target *confs; /* their names alone */
	struct target *targets;
	size_t count, cap;
};

/* Finds them: to be called when the configuration has changed. 0, or -1 with errno and those of before. */
int gone_find(struct gone *gone, struct state *state, const struct conf *conf);

/* Parks some of what is pending for them, but for lanes that have a script running. How many deliveries: 0: there are
 * none left; or -1 with errno. */
int gone_park(const struct gone *gone, struct deliverer *d, const struct lanes *lanes);

void gone_fini(struct gone *gone);

#endif
