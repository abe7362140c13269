#include "config.h"

#include "config/conf.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "config/arena.h"

/* Where a configuration lives, itself too. */
struct owner {
	struct conf conf;
	struct arena arena;
	atomic_uint references;
};

struct conf *conf_new(struct arena **arena)
{
	struct owner *owner = calloc(1, sizeof *owner);
	if (owner == NULL)
		return NULL;
	atomic_init(&owner->references, 1);
	owner->conf.owner = owner;
	*arena = &owner->arena;
	return &owner->conf;
}

const struct conf *conf_hold(const struct conf *conf)
{
	struct owner *owner = conf->owner;
	if (owner != NULL)
		atomic_fetch_add(&owner->references, 1);
	return conf;
}

void conf_free(const struct conf *conf)
{
	struct owner *owner = conf == NULL ? NULL : conf->owner;
	if (owner == NULL || atomic_fetch_sub(&owner->references, 1) > 1)
		return;
	arena_fini(&owner->arena);
	free(owner);
}
