/* An overview as a JSON document, for programs. */
#ifndef HOOKSPOOL_REPORT_STATUS_JSON_H
#define HOOKSPOOL_REPORT_STATUS_JSON_H

#include "base/json_writer.h"
#include "report/overview.h"

void status_json_write(struct writer *w, const struct overview *o, const struct conf *conf);

#endif
