/* The list of schemes that an endpoint can name. A new scheme is a file in sender/ and a row in presets.c. */
#ifndef HOOKSPOOL_SENDER_PRESETS_H
#define HOOKSPOOL_SENDER_PRESETS_H

struct scheme;

/* Ends with a NULL. */
extern const struct scheme *const presets[];

/* Returns the scheme of this name, or NULL. */
const struct scheme *presets_find(const char *name);

#endif
