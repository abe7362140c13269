/* A file that a command was given; "-" is standard input. */
#ifndef HOOKSPOOL_COMMAND_INPUT_H
#define HOOKSPOOL_COMMAND_INPUT_H

#include "base/buf.h"

/* Reads it whole, appended to out. 0, or -1 after a message. */
int input_read(const char *file, struct buf *out);

#endif
