/* All that is known about a spool at a moment, from the state, the audit trail and the journal together. */
#ifndef HOOKSPOOL_REPORT_OVERVIEW_H
#define HOOKSPOOL_REPORT_OVERVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/conf.h"
#include "report/health.h"
#include "spool/spool.h"
#include "state/counts.h"

/* Lists are linked. Texts live as long as the overview. Connections are encoded (text_component). Times are us
 * since 1970; 0: never, or none. */

struct overview_refusal {
	struct overview_refusal *next;
	const char *endpoint, *connection; /* "": unknown */
	const char *reason;
	unsigned status;
	uint64_t count;
	int64_t last_at;
};

/* Refused requests by reason alone. */
struct overview_reason {
	struct overview_reason *next;
	const char *reason;
	uint64_t count;
};

/* What waits or was given up, for a target or from a connection. */
struct overview_backlog {
	uint64_t pending, parked; /* deliveries */
	int64_t oldest_at;        /* when the oldest event of those that are pending was received */
	bool tried;               /* an attempt to deliver a pending one has failed */
};

struct overview_target {
	struct overview_target *next;
	int64_t id; /* in the state; 0: not there yet */
	const char *name;
	const struct conf_target *conf; /* NULL: not in the configuration any more */
	uint64_t done, failed;          /* deliveries, attempts */
	int64_t done_at, error_at;
	const char *error; /* the last one, or NULL */
	struct overview_backlog backlog;
	enum health health;
	const char *why; /* NULL if it is well */
};

struct overview_connection {
	struct overview_connection *next;
	const char *endpoint, *connection;
	uint64_t events, unread, refused; /* taken in, not taken in yet, refused requests */
	struct overview_reason *reasons;  /* of those refused */
	int64_t last_at, unread_at, refused_at;
	struct overview_backlog backlog;
	enum health health;
	const char *why;
};

struct overview_endpoint {
	struct overview_endpoint *next;
	const struct conf_endpoint *conf;
	uint64_t events, unread, refused;
	struct overview_reason *reasons;
	int64_t last_at, unread_at, refused_at, fault_at;
	enum health health;
	const char *why;
};

struct overview_sync {
	struct overview_sync *next;
	const char *endpoint, *connection, *object_type;
	uint64_t pages, records;
	int64_t begun_at, last_at;
	bool complete;
};

/* A kind of process that goes on with an earlier configuration. */
struct overview_conf {
	struct overview_conf *next;
	const char *by, *why; /* why it refused the newest one; NULL: it has taken it */
	int64_t at;
};

/* What the deliverer cannot do; failed deliveries are no trouble in this sense. */
struct overview_trouble {
	struct overview_trouble *next;
	const char *what, *why;
	int64_t at; /* since when */
};

struct overview {
	struct arena arena;
	int64_t now;
	enum health health; /* the worst of all */
	const char *why;    /* what is wrong with the spool as a whole, or NULL */
	int64_t turns_at;   /* when one of them becomes worse if nothing happens; 0: never */
	int64_t deliverer;  /* its process; 0: none runs; -1: unknown */
	uint64_t counts[STATE_COUNTS];
	uint64_t unread;   /* events in the journal that the deliverer has not taken in yet */
	int64_t unread_at; /* when the oldest of them was received */
	bool unread_more;  /* there are more, which were not counted */
	bool torn;         /* a segment was put away meanwhile: it may say less than there is */
	uint64_t refused;
	struct overview_backlog backlog;
	struct overview_conf *confs;
	struct overview_reason *reasons;
	struct overview_refusal *refusals;
	struct overview_target *targets;
	struct overview_endpoint *endpoints;
	struct overview_connection *connections, *last_connection;
	struct overview_sync *syncs;
	struct overview_trouble *troubles;
};

enum overview_reach {
	OVERVIEW_ALL, /* for commands */
	/* For the deliverer: of unread events that are very many only the first. The state stays in its read
	 * transaction (state_read_begin), which the caller ends. */
	OVERVIEW_NEAR,
};

/* Fills a zeroed overview from what the caller has open. spool may be NULL: there is none, and the overview has only
 * what the configuration says. state may be NULL: no deliverer has ever run. 0, or -1 with errno: the state's, or the
 * spool's; `torn` is right even so. Free with overview_fini in any case. */
int overview_read(struct overview *o, const struct conf *conf, const struct spool *spool, struct state *state,
		  enum overview_reach reach);
void overview_fini(struct overview *o);

#endif
