/* What somebody asks the deliverer for on the page: to try parked deliveries again. An errand is an empty file in the
 * spool's folder errands/, and its name says it all (doc/journal.md, The page). */
#ifndef HOOKSPOOL_SPOOL_REQUEST_FILE_H
#define HOOKSPOOL_SPOOL_REQUEST_FILE_H

#include <stdbool.h>

#include "event/event.h"
#include "spool/spool.h"

#define ERRAND_NAME_SIZE 256 /* with its NUL: as long as a file's name can be */

struct errand {
	char name[ERRAND_NAME_SIZE]; /* of its file */
	bool all;                    /* all deliveries; otherwise: */
	char event[EVENT_ID_SIZE];
	const char *target; /* within name */
};

/* Reads the name of an errand: "all", or "<event>.<target>". False: it is none. Pure. */
bool errand_parse(struct errand *errand, const char *name);

/* For the receiver, from any thread: leaves the errand. `spool` is the spool's path. 0, also if it is there already; -1
 * with errno (ENOENT: no deliverer has made the folder yet). */
int errand_leave(const char *spool, const struct errand *errand);

/* For the deliverer. Some of those that are there, up to max. Their number, or -1 with errno. */
int errand_list(const struct spool *spool, struct errand *errands, int max);
/* It was carried out. 0, or -1 with errno. */
int errand_done(const struct spool *spool, const struct errand *errand);

#endif
