/* The text of a configuration file, before libConfuse gets it. */
#ifndef HOOKSPOOL_CONFIG_SOURCE_H
#define HOOKSPOOL_CONFIG_SOURCE_H

#include "base/buf.h"
#include "config/problems.h"

/* Overwrites comments with spaces: libConfuse 3.3 counts their lines twice. Reports what libConfuse would take without
 * a word or report in the wrong place: strings that go over the end of their line, comments without an end, bytes that
 * are no text, and ${NAME}, which it would replace from the environment: receiver and deliverer do not have the same
 * one. Returns the line of a brace that is not closed, or 0: libConfuse is content with the end of the file. */
unsigned source_prepare(struct buf *text, struct problems *problems);

#endif
