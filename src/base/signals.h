/* The signals that mean the same to every process of this program. */
#ifndef HOOKSPOOL_BASE_SIGNALS_H
#define HOOKSPOOL_BASE_SIGNALS_H

#include <stdbool.h>

/* To be called first. A pipe without a reader and a file at its limit are errors of a write (EPIPE, EFBIG) and end no
 * process. What this process starts gets the signals as they are by default (target/run, receive/spawn). */
void signals_begin(void);

/* A pipe without a reader ends this process after all, silently: it has nothing to do but to write. */
void signals_end_at_pipe(void);

/* SIGHUP waits from now on, for whoever asks for it: a process that reads its configuration again at this signal must
 * not be ended by one that comes early. */
void signals_hold_hang_up(void);

/* Whether SIGHUP means anything here. Not where whoever started this process has it ignored, as nohup(1) does. */
bool signals_hang_up(void);

#endif
