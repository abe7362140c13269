/* One round of intake: events from the journal to files and delivery rows, in one transaction (doc/journal.md, The
 * deliverer's transaction). */
#ifndef HOOKSPOOL_DELIVER_INTAKE_H
#define HOOKSPOOL_DELIVER_INTAKE_H

#include "deliver/deliverer.h"

struct round;

/* NULL with errno ENOMEM. */
struct round *round_new(void);
void round_free(struct round *round);

enum round_result {
	ROUND_NOTHING, /* there was nothing new */
	ROUND_TAKEN,   /* there may be more */
	ROUND_FAILED,  /* errno; the journal stands where it stood, and the next round takes the same again */
};
enum round_result round_take(struct round *round, struct deliverer *d);

#endif
