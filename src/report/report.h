/* What the deliverer leaves for the page: an overview in all its shapes, in the spool's folder status/. */
#ifndef HOOKSPOOL_REPORT_REPORT_H
#define HOOKSPOOL_REPORT_REPORT_H

#include "config/conf.h"
#include "spool/spool.h"
#include "state/state.h"

/* Reads what there is to tell, and writes each file. state is the deliverer's. 0, or -1 with errno: some or all files
 * are as they were. */
int report_write(const struct conf *conf, const struct spool *spool, struct state *state);

#endif
