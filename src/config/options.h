/* The options of the configuration file: their names, what they may be, and where they end up. */
#ifndef HOOKSPOOL_CONFIG_OPTIONS_H
#define HOOKSPOOL_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/problems.h"
#include "config/sources.h"

/* A value with the line it stands on. */
struct setting {
	unsigned line;
	char text[];
};

/* What the file, or the preset, has for an option. */
struct given {
	const struct setting **settings;
	size_t count;
	unsigned line; /* of the section's beginning, for what is not there */
};

/* What reading needs and finds. */
struct reading {
	struct arena *arena;     /* holds all that is taken */
	const struct conf *conf; /* what was taken before */
	struct problems *problems;
	struct sources *sources; /* each file that is read */
	const char *folder;      /* of the file, absolute */
	bool with_secrets;
};

struct option {
	const char *name; /* NULL ends a table */
	/* Checks what was given, and puts it into the object that its section describes. Called if there is something,
	 * and for a list with a preset. */
	void (*take)(struct reading *r, const struct option *option, const struct given *given, void *object);
	size_t offset;       /* in the object; for those that have `take` in common */
	const char *preset;  /* as the file would have it */
	const char *example; /* for an option that must be there: what to do */
	uint64_t min, max;   /* in the units of the object */
	bool is_list;
};

/* For struct conf and conf_endpoint; options_status is for struct conf too. */
extern const struct option options_conf[], options_endpoint[], options_status[];
#define OPTIONS_MAX 16 /* in one table */
/* For struct conf_target: one for each kind, and those that all have. */
void options_of_target(struct option options[OPTIONS_MAX + 1]);

#endif
