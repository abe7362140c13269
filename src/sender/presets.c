#include "config.h"

#include "sender/presets.h"

#include <string.h>

#include "sender/scheme.h"

extern const struct scheme scheme_unified;

const struct scheme *const presets[] = {
	&scheme_unified,
	NULL,
};

const struct scheme *presets_find(const char *name)
{
	for (const struct scheme *const *preset = presets; *preset != NULL; preset++)
		if (strcmp((*preset)->name, name) == 0)
			return *preset;
	return NULL;
}
