/* The schemes that an endpoint can name. A new one is a file of this folder and a row of the table. */
#ifndef HOOKSPOOL_SENDER_PRESETS_H
#define HOOKSPOOL_SENDER_PRESETS_H

struct scheme;

/* Up to a NULL. */
extern const struct scheme *const presets[];

/* NULL if there is none of this name. */
const struct scheme *presets_find(const char *name);

#endif
