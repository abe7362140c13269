/* What state.db counts for people: by target, connection, initial sync and reason, and over time. Functions return what
 * those of state.h do. What `each` is given is valid during the call; -1 from it ends the walk. */
#ifndef HOOKSPOOL_STATE_COUNTS_H
#define HOOKSPOOL_STATE_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct state;

/* Counts. */
enum state_count {
	STATE_EVENTS, /* taken in, without duplicates */
	STATE_RECORDS,
	STATE_DUPLICATES,
	STATE_DAMAGED,
	STATE_TORN,
	STATE_UNMATCHED, /* events that no target wanted */
	STATE_UNTOLD,    /* times that the audit trail was rotated before it was read */
	STATE_COUNTS,
};
int state_count_add(struct state *state, enum state_count count, uint64_t n);
/* 0 where nothing was counted. */
int state_count(struct state *state, enum state_count count, uint64_t *n);

/* Targets. *id is the number of the target of this name, made where it is new. */
int state_target(struct state *state, const char *name, int64_t *id);
/* Adds to the target's counts; error (NULL: none) becomes its last one. */
struct state_tally {
	uint64_t done, failed, parked;
	const char *error;
};
int state_target_add(struct state *state, int64_t target, const struct state_tally *tally);
struct state_goal {
	int64_t id;
	const char *target, *error; /* error may be NULL */
	uint64_t done, failed, parked;
	int64_t done_at, error_at; /* us since 1970; 0: never */
};
typedef int state_each_goal(void *arg, const struct state_goal *goal);
int state_goals(struct state *state, state_each_goal *each, void *arg);

/* A connection's last event. Texts are encoded (text_component). */
int state_connection_put(struct state *state, struct span endpoint, struct span connection, uint64_t events,
			 int64_t received_at);
struct state_contact {
	const char *endpoint, *connection; /* encoded */
	uint64_t events;
	int64_t last_at;
};
typedef int state_each_contact(void *arg, const struct state_contact *contact);
int state_contacts(struct state *state, state_each_contact *each, void *arg);

/* Pages of an initial sync. */
struct state_sync {
	struct span endpoint, connection, object_type, webhook;
	uint64_t pages, records;
	int64_t begun_at, last_at; /* us since 1970 */
	bool complete;
};
int state_sync_add(struct state *state, const struct state_sync *sync);
typedef int state_each_sync(void *arg, const struct state_sync *sync);
int state_syncs(struct state *state, state_each_sync *each, void *arg);

/* Refused requests by reason, counted from the audit trail. Nobody vouches for the connection of a refused request: one
 * that is not in the table of connections is stored as empty, and counts for the endpoint alone. */
struct state_refusal {
	struct span endpoint, connection, reason; /* connection encoded (text_component) */
	unsigned status;
	uint64_t count;
	int64_t last_at; /* us since 1970 */
};
int state_refusal_add(struct state *state, const struct state_refusal *refusal);
typedef int state_each_refusal(void *arg, const struct state_refusal *refusal);
int state_refusals(struct state *state, state_each_refusal *each, void *arg);

/* Whether the configuration that a kind of process read last was accepted, from the audit trail. */
struct state_conf {
	struct span by;  /* "receiver", "deliverer" */
	struct span why; /* why it was refused; absent: it was accepted */
	int64_t at;      /* us since 1970 */
};
int state_conf_put(struct state *state, const struct state_conf *conf);
typedef int state_each_conf(void *arg, const struct state_conf *conf);
int state_confs(struct state *state, state_each_conf *each, void *arg);

/* How far a file of the audit trail was read; its mark is a hash of its beginning. 1, 0 or -1. */
int state_trail(struct state *state, uint64_t mark, uint64_t *offset);
int state_trail_put(struct state *state, uint64_t mark, uint64_t offset);
/* Whether any file was. */
int state_trail_is_begun(struct state *state);

/* Counts of a quarter of an hour; `at` is any moment of it, us since 1970. They are kept for two days. */
#define STATE_QUARTER (INT64_C(900) * 1000000)
struct state_traffic {
	int64_t at; /* from state_traffic: its beginning */
	uint64_t events, records, refused;
	uint64_t done, failed; /* deliveries, attempts; state_target_add counts them here too */
};
int state_traffic_add(struct state *state, const struct state_traffic *traffic);
/* Forgets what is older than that. */
int state_traffic_sweep(struct state *state);
/* Quarters since then in which something happened, the first one first. */
typedef int state_each_traffic(void *arg, const struct state_traffic *traffic);
int state_traffic(struct state *state, int64_t since, state_each_traffic *each, void *arg);

/* What the deliverer cannot do at present, apart from deliveries, and why. `status` shows it until it is dropped. */
int state_trouble_put(struct state *state, const char *what, const char *why);
int state_trouble_drop(struct state *state, const char *what);
int state_has_trouble(struct state *state, const char *what);
struct state_trouble {
	const char *what, *why;
	int64_t at; /* us since 1970: since when */
};
typedef int state_each_trouble(void *arg, const struct state_trouble *trouble);
int state_troubles(struct state *state, state_each_trouble *each, void *arg);

#endif
