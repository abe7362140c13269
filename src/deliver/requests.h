/* Carrying out what the page asks for (doc/journal.md, The page). */
#ifndef HOOKSPOOL_DELIVER_REQUESTS_H
#define HOOKSPOOL_DELIVER_REQUESTS_H

#include "deliver/deliverer.h"

/* Carries out the errands that are there: parked deliveries become pending, in transactions of its own, and the audit
 * trail tells it. How many were carried out, or -1 with errno. */
int errands_run(struct deliverer *d);

#endif
