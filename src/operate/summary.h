/* An overview as a JSON document, for programs. */
#ifndef HOOKSPOOL_SUMMARY_H
#define HOOKSPOOL_SUMMARY_H

#include "operate/overview.h"
#include "operate/writer.h"

void summary_write(struct writer *w, const struct overview *o, const struct conf *conf);

#endif
