#include "config.h"

#include "deliver/gone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "state/counts.h"
#include "state/deliveries.h"
#include "state/state.h"

#define LANES_AT_ONCE 200 /* more than run at a time for one target */
#define EVENTS_MAX    1000
#define WHY           "the target is not in the configuration any more"

static bool has_target(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->target_count; i++)
		if (strcmp(conf->targets[i].name, name) == 0)
			return true;
	return false;
}

struct finding {
	struct gone found;
	const struct conf *conf;
};

static int add_goal(void *arg, const struct state_goal *goal)
{
	struct finding *finding = arg;
	struct gone *gone = &finding->found;
	if (has_target(finding->conf, goal->target))
		return 0;
	if (gone->count == gone->cap) {
		size_t cap = gone->cap == 0 ? 8 : gone->cap * 2;
		struct conf_target *confs = reallocarray(gone->confs, cap, sizeof *confs);
		if (confs == NULL)
			return -1;
		gone->confs = confs;
		struct target *targets = reallocarray(gone->targets, cap, sizeof *targets);
		if (targets == NULL)
			return -1;
		gone->targets = targets;
		gone->cap = cap;
	}
	char *name = strdup(goal->target);
	if (name == NULL)
		return -1;
	gone->confs[gone->count] = (struct conf_target){.name = name};
	gone->targets[gone->count++] = (struct target){.id = goal->id};
	return 0;
}

int gone_find(struct gone *gone, struct state *state, const struct conf *conf)
{
	struct finding finding = {.conf = conf};
	if (state_goals(state, add_goal, &finding) < 0) {
		int saved = errno;
		gone_fini(&finding.found);
		errno = saved;
		return -1;
	}
	for (size_t i = 0; i < finding.found.count; i++)
		finding.found.targets[i].conf = &finding.found.confs[i];
	gone_fini(gone);
	*gone = finding.found;
	return 0;
}

/* The lane's first deliveries. Their number, or -1. */
static int park_lane(struct deliverer *d, const struct target *target, int64_t lane, struct state_delivery *deliveries)
{
	struct state_tally tally = {.error = WHY};
	char id[EVENT_ID_SIZE];
	int n = state_lane_head(d->state, target->id, lane, deliveries, EVENTS_MAX);
	for (int i = 0; i < n; i++) {
		text_hex(deliveries[i].event, sizeof deliveries[i].event, id);
		deliverer_audit_add(d, target, id, deliveries[i].attempts, "parked", WHY);
		tally.parked++;
		if (state_delivery_park(d->state, &deliveries[i], WHY) < 0)
			return -1;
	}
	if (n < 0 || state_target_add(d->state, target->id, &tally) < 0 ||
	    state_lane_settle(d->state, target->id, lane, state_ready(d->state)) < 0)
		return -1;
	return n;
}

/* In a transaction of the caller's, up to about EVENTS_MAX. */
static int park_target(struct deliverer *d, const struct target *target, const struct lanes *lanes)
{
	struct state_lane due[LANES_AT_ONCE];
	int parked = 0, n = state_lanes(d->state, target->id, INT64_MIN, due, LANES_AT_ONCE);
	struct state_delivery *deliveries = n <= 0 ? NULL : calloc(EVENTS_MAX, sizeof *deliveries);
	if (n > 0 && deliveries == NULL)
		return -1;
	for (int i = 0; i < n && parked >= 0 && parked < EVENTS_MAX; i++) {
		if (lanes_is_running(lanes, target, due[i].lane))
			continue;
		int more = park_lane(d, target, due[i].lane, deliveries);
		parked = more < 0 ? -1 : parked + more;
	}
	int saved = errno;
	free(deliveries);
	errno = saved;
	return n < 0 ? -1 : parked;
}

int gone_park(const struct gone *gone, struct deliverer *d, const struct lanes *lanes)
{
	for (size_t i = 0; i < gone->count; i++) {
		int waiting = state_is_waiting(d->state, gone->targets[i].id);
		if (waiting == 0)
			continue;
		if (waiting < 0 || state_begin(d->state) < 0)
			return -1;
		int parked = park_target(d, &gone->targets[i], lanes);
		if (deliverer_commit(d, parked > 0 ? state_keep_age(d->state) : -1) == 0)
			return parked;
		if (parked != 0)
			return -1;
	}
	return 0;
}

void gone_fini(struct gone *gone)
{
	for (size_t i = 0; i < gone->count; i++)
		free((char *)gone->confs[i].name);
	free(gone->confs);
	free(gone->targets);
	*gone = (struct gone){0};
}
