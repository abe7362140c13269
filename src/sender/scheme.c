#include "config.h"

#include "sender/scheme.h"

#include <string.h>

#include "sender/unified.h"

static const struct scheme schemes[] = {
	{"unified", unified_accept},
};

const struct scheme *scheme_find(const char *name)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (strcmp(schemes[i].name, name) == 0)
			return &schemes[i];
	return NULL;
}
