#include "config.h"

#include "sender/presets.h"

#include <string.h>

#include "sender/scheme.h"

/* A row NAME stands for the file NAME.c, which defines NAME_scheme. */
/* clang-format off */
#define SCHEMES(row) \
	row(unified)
/* clang-format on */

#define DECLARE(name) extern const struct scheme name##_scheme;
#define ROW(name)     &name##_scheme,
SCHEMES(DECLARE)
const struct scheme *const presets[] = {SCHEMES(ROW) NULL};

const struct scheme *presets_find(const char *name)
{
	for (const struct scheme *const *preset = presets; *preset != NULL; preset++)
		if (strcmp((*preset)->name, name) == 0)
			return *preset;
	return NULL;
}
