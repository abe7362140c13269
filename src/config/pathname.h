/* File names as a configuration has them, made absolute. */
#ifndef HOOKSPOOL_CONFIG_PATHNAME_H
#define HOOKSPOOL_CONFIG_PATHNAME_H

#include "config/arena.h"

/* `name` as seen from the absolute `folder`, without empty, "." and ".." components, taken out by name as a shell's cd
 * does it, and without a '/' at its end. So paths can be compared. NULL: no memory. */
char *pathname_resolve(struct arena *arena, const char *folder, const char *name);

/* The folder that an absolute path stands in. NULL: no memory. */
char *pathname_folder(struct arena *arena, const char *path);

#endif
