/* The report that the deliverer writes and the receiver serves: an overview in all its shapes, in status/ of the spool.
 */
#ifndef HOOKSPOOL_REPORT_REPORT_H
#define HOOKSPOOL_REPORT_REPORT_H

#include "config/conf.h"
#include "spool/spool.h"
#include "state/state.h"

/* Reads an overview from the deliverer's spool and state, and writes each file. 0, or -1 with errno: some or all files
 * are as they were. */
int report_write(const struct conf *conf, const struct spool *spool, struct state *state);

#endif
