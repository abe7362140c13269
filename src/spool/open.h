/* Opening a spool. */
#ifndef HOOKSPOOL_SPOOL_OPEN_H
#define HOOKSPOOL_SPOOL_OPEN_H

#include "spool/spool.h"

/* Opens the spool, and makes what is missing. 0, or -1 with errno and nothing left open; layout_fault may know why. */
int spool_open(struct spool *spool, const struct conf *conf, enum spool_use use);

#endif
