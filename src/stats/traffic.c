#include "config.h"

#include "state/counts.h"
#include "stats/traffic.h"

#include <stdlib.h>

#include "base/array.h"

struct state_traffic *traffic_at(struct traffic *traffic, int64_t at)
{
	int64_t begin = at - at % STATE_QUARTER;
	/* It mostly is the last one. */
	for (size_t i = traffic->count; i-- > 0;)
		if (traffic->quarters[i].at == begin)
			return &traffic->quarters[i];
	if (array_grow(&traffic->quarters, traffic->count, &traffic->cap, sizeof *traffic->quarters) < 0)
		return NULL;
	struct state_traffic *quarter = &traffic->quarters[traffic->count++];
	*quarter = (struct state_traffic){.at = begin};
	return quarter;
}

int traffic_put(const struct traffic *traffic, struct state *state)
{
	for (size_t i = 0; i < traffic->count; i++)
		if (state_traffic_add(state, &traffic->quarters[i]) < 0)
			return -1;
	return 0;
}

void traffic_clear(struct traffic *traffic)
{
	traffic->count = 0;
}

void traffic_fini(struct traffic *traffic)
{
	free(traffic->quarters);
	*traffic = (struct traffic){0};
}
