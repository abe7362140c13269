/* What the headers of this folder share: the errors that have a meaning of their own, and the size of an identity. */
#ifndef HOOKSPOOL_STATE_COMMON_H
#define HOOKSPOOL_STATE_COMMON_H

#include <errno.h>

/* The database is damaged, or could not be read (state_set_aside). No file system gives this one, as they do EBADMSG
 * (for a damaged directory, say). */
#define STATE_CORRUPT ENOTRECOVERABLE
/* From state_open: another version of this program has made the database. Nothing was changed. */
#define STATE_OTHER_VERSION EPROTONOSUPPORT
/* From state_begin, for a deliverer: another one has opened the database since, and it alone may write, there and to
 * the files of targets. */
#define STATE_TAKEN EOWNERDEAD
/* From state_is_there: the name is another file's now, or nobody's. */
#define STATE_REPLACED EIDRM

#define STATE_ID_SIZE 16 /* bytes of an event's identity */

#endif
