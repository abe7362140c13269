/* What a state is, for the files of this folder alone. */
#ifndef HOOKSPOOL_STATE_STATE_PRIVATE_H
#define HOOKSPOOL_STATE_STATE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "state/db.h"

struct dedup;

struct state {
	struct db db;
	int64_t age, began; /* the spool's age at this moment, us of the monotonic clock */
	bool reading;       /* between state_read_begin and state_read_end */
	int64_t owner;      /* this deliverer's number; 0: it is none */
	struct dedup *dedup;
};

#endif
