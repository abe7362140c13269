/* A secret as it was written by mistake: with something around it that the sender does not sign with. Pure. */
#ifndef HOOKSPOOL_SENDER_KEY_H
#define HOOKSPOOL_SENDER_KEY_H

#include "base/buf.h"

#define KEY_SHORT  16 /* bytes; shorter ones can be guessed */
#define KEY_LAYERS 4  /* that are taken off one after the other */

/* Takes off what most likely does not belong to it: white space around it, a name with '=' before it, quotes. What that
 * was, to stand behind "with" or "without"; NULL: there is nothing of the kind. */
const char *key_strip(struct span *key);

#endif
