/* Commands that write to the spool are its owner's: what root made there, its owner could not use. */
#ifndef HOOKSPOOL_COMMAND_OWNER_H
#define HOOKSPOOL_COMMAND_OWNER_H

#include "config/conf.h"

/* For root: becomes the user whom the spool belongs to, for good, or the folder that it would be made in. Others stay
 * who they are. 0, or -1 after a message. */
int owner_become(const struct conf *conf);

#endif
