/* The deliverer: one per spool. Takes the journal in, in order, and hands records to targets until there is nothing to
 * do. */
#ifndef HOOKSPOOL_DELIVER_H
#define HOOKSPOOL_DELIVER_H

#include "config/conf.h"

enum deliver_until {
	DELIVER_ONCE, /* everything that can be delivered now has been tried once */
	DELIVER_IDLE, /* nothing pending and nothing new for a while */
	DELIVER_STOP, /* SIGTERM */
};

/* An exit code (sysexits): 0; 75 if another deliverer holds the spool and is awake (0 unless DELIVER_STOP: the work is
 * being done); 70, 74 on failures that end it. */
int deliver(const struct conf *conf, enum deliver_until until);

#endif
