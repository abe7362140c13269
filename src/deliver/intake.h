/* One round of intake: events from the journal to files and delivery rows, in one transaction (doc/journal.md, The
 * deliverer's transaction). */
#ifndef HOOKSPOOL_DELIVER_INTAKE_H
#define HOOKSPOOL_DELIVER_INTAKE_H

#include "deliver/deliverer.h"

struct round;

/* NULL with errno ENOMEM. */
struct round *round_new(struct deliverer *d);
void round_free(struct round *round);

/* 1: events were taken, and there may be more; 0: there is nothing new; -1 with errno: the journal stands where it
 * stood, and the next round takes the same again. */
int round_take(struct round *round);

#endif
