/* What stands in the spool's folders and does not belong there: the other user may have put it, or an administrator. It
 * is passed over by everybody, and told. */
#ifndef HOOKSPOOL_SPOOL_STRAYS_H
#define HOOKSPOOL_SPOOL_STRAYS_H

#include <stdint.h>

#include "spool/spool.h"

struct strays {
	uint64_t count;
	char first[320]; /* one of them: its path in the spool, and what it is */
};

/* Looks through journal/, errands/, audit/ and archive/. 0, or -1 with errno. */
int strays_look(const struct spool *spool, struct strays *strays);

#endif
