/* Commands that write to the spool run as its owner, who could not use files that root made there. */
#ifndef HOOKSPOOL_COMMAND_OWNER_H
#define HOOKSPOOL_COMMAND_OWNER_H

#include "config/conf.h"

/* If the user is root: becomes, for good, the user who owns the spool, or the folder that it will be made in. Others
 * stay who they are. 0, or -1 after a message. */
int owner_become(const struct conf *conf);

#endif
