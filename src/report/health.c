#include "config.h"

#include "report/health.h"

#include <stddef.h>

const char *const health_names[] = {
	[HEALTH_OK] = "ok",
	[HEALTH_LATE] = "late",
	[HEALTH_FAILING] = "failing",
};

enum health health_judge(const struct health_facts *f, const char **why)
{
	bool waits = f->oldest_at != 0 && f->now - f->oldest_at > f->late_after;
	bool silent = f->expect != 0 && (f->last_at == 0 || f->now - f->last_at > f->expect);
	/* The most serious rule first. */
	const struct {
		bool holds;
		enum health health;
		const char *why;
	} rules[] = {
		{f->parked > 0, HEALTH_FAILING, "deliveries are parked"},
		{waits && f->tried, HEALTH_FAILING, "attempts to deliver fail"},
		{f->fault_at > f->last_at, HEALTH_FAILING, "requests could not be stored"},
		{waits, HEALTH_LATE, "events wait to be delivered"},
		{silent, HEALTH_LATE, f->last_at == 0 ? "no event yet" : "silent for longer than expected"},
	};
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (rules[i].holds) {
			*why = rules[i].why;
			return rules[i].health;
		}
	*why = NULL;
	return HEALTH_OK;
}

int64_t health_turns_at(const struct health_facts *f)
{
	/* If no event has ever come, it is late already. */
	const int64_t moments[] = {f->oldest_at == 0 ? 0 : f->oldest_at + f->late_after + 1,
				   f->expect == 0 || f->last_at == 0 ? 0 : f->last_at + f->expect + 1};
	int64_t first = 0;
	for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++)
		if (moments[i] > f->now && (first == 0 || moments[i] < first))
			first = moments[i];
	return first;
}
