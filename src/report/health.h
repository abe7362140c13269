/* The health of a target, a connection or an endpoint, judged by facts about it. Pure. */
#ifndef HOOKSPOOL_REPORT_HEALTH_H
#define HOOKSPOOL_REPORT_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum health {
	HEALTH_OK,
	HEALTH_LATE,    /* something that should have happened has not yet */
	HEALTH_FAILING, /* something was given up, or fails again and again: somebody must see to it */
};

/* "ok", "late", "failing" */
extern const char *const health_names[];

/* All times are us since 1970; 0: there is none. What does not apply is left 0. */
struct health_facts {
	int64_t now;
	int64_t late_after; /* us */
	int64_t expect;     /* us; 0: it may be silent for any time */
	int64_t last_at;    /* its last event */
	int64_t oldest_at;  /* when the oldest event was received that still waits */
	bool tried;         /* an attempt to deliver what waits has failed */
	uint64_t parked;
	int64_t fault_at; /* the last request that was refused for a fault of this side (5xx) */
};

/* *why is a literal; NULL if all is well. */
enum health health_judge(const struct health_facts *facts, const char **why);

/* The moment after `now` at which the judgement becomes worse if nothing happens until then; 0: it does not. */
int64_t health_turns_at(const struct health_facts *facts);

#endif
