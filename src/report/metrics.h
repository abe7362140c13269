/* An overview in the text format of Prometheus (its exposition formats, version 0.0.4). */
#ifndef HOOKSPOOL_REPORT_METRICS_H
#define HOOKSPOOL_REPORT_METRICS_H

#include "base/buf.h"
#include "report/overview.h"

/* Appended. 0, or -1 with errno ENOMEM. */
int metrics_write(struct buf *out, const struct overview *o);

#endif
