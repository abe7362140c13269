/* state.db: what the deliverer knows beyond the journal. doc/journal.md says what is in it and what a crash leaves of
 * it. Here is what is asked of it; state.c has the database itself and the segments, dedup.c the identities,
 * files.c what is known of files, deliveries.c deliveries and their lanes, counts.c what is counted.
 *
 * Functions return 0, or -1 with errno, unless said otherwise; -1 may come from each of them: STATE_CORRUPT means that
 * the database is damaged, or could not be read (state_set_aside); ENOSPC, EIO, EAGAIN (another process holds it) and
 * ENOMEM are what they say. The ones that answer a question return 1 (yes, found) or 0.
 *
 * Times with the name `age` are the spool's age: microseconds that it is known to have lived. That clock does not jump
 * when the system's does, so nothing is forgotten or given up too early; but for the time between two deliverers the
 * system's is asked, and believed up to 60 days. */
#ifndef HOOKSPOOL_STATE_STATE_H
#define HOOKSPOOL_STATE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "event/event.h"
#include "spool/segment.h"
#include "spool/spool.h"
#include "state/common.h"

struct state;

enum state_use {
	STATE_DELIVER, /* made where missing */
	STATE_LOOK,    /* for commands: nothing is written. ENOENT: there is none yet */
	STATE_CHANGE,  /* for commands that write. ENOENT: there is none yet */
};

/* NULL with errno. STATE_DELIVER makes the caller the owner (STATE_TAKEN). A database that is new (*fresh) is open in a
 * transaction, which makes it when it is committed: until then, whatever happens, the next one to open it finds it
 * fresh. */
struct state *state_open(const struct spool *spool, enum state_use use, bool *fresh);
void state_close(struct state *state);

/* 0 if state.db still is what is open; -1 with errno STATE_REPLACED: what is committed from now on is lost. */
int state_is_there(const struct state *state);

/* Renames a damaged database, which nobody may have open, and tells its new name. */
int state_set_aside(const struct spool *spool, char name[64]);

int state_begin(struct state *state);
int state_commit(struct state *state);
void state_rollback(struct state *state);

/* A read transaction: questions are answered from one moment's contents, and cost less. To begin one that is open
 * already does nothing; state_begin ends it too. */
int state_read_begin(struct state *state);
void state_read_end(struct state *state);

/* The spool's age now. */
int64_t state_age(const struct state *state);
/* Stores it, in a transaction of the caller's. */
int state_keep_age(struct state *state);

/* Cursors: segments and how far they were taken in. */
typedef int state_cursor(void *arg, const char *segment, uint64_t offset);
int state_cursors(struct state *state, state_cursor *each, void *arg);
int state_cursor_put(struct state *state, const char *segment, uint64_t offset, int64_t *id);
int state_cursor_drop(struct state *state, const char *segment);
/* Whether a delivery row names the segment. */
int state_is_pinned(struct state *state, const char *segment);
/* The next segment, or file of the archive, that delivery rows name: the one whose number follows `after`. 1, 0 (there
 * is none) or -1. */
struct state_pin {
	int64_t id;
	char name[SEGMENT_NAME_SIZE];
};
int state_pin_next(struct state *state, int64_t after, struct state_pin *pin);
/* Up to max rows that name the segment, from the one whose number follows `after`, in their order. Their number, or -1.
 */
struct state_place {
	int64_t row;
	uint64_t offset, length;
};
int state_places(struct state *state, int64_t segment, int64_t after, struct state_place *places, int max);
/* Lets the row name another place, where a copy of its line stands. */
int state_place_move(struct state *state, const struct state_place *place, int64_t segment);
/* A number that is another one once anybody has written. */
int state_version(struct state *state, uint64_t *version);

/* Identities (dedup.h), for the deliverer. They are added and swept in a transaction; state_commit writes them. */
int state_seen(struct state *state, const uint8_t id[STATE_ID_SIZE]);
/* One that is not seen. */
int state_seen_add(struct state *state, const uint8_t id[STATE_ID_SIZE]);
/* Forgets identities older than `remember`, some more than `max` of them at most; some may be kept for a while longer,
 * and those of events that rows name are: as long as they do.
 * What is added from then on is kept so that these can be forgotten together. */
int state_seen_sweep(struct state *state, size_t max, int64_t remember);

/* Files of file targets. */
struct state_file {
	uint64_t length;
	int64_t mark; /* of its last bytes before that length */
	int64_t era;  /* deliver/deliverer.h */
	uint64_t standing;
	int64_t others_at; /* us since 1970: when it was last seen that something else had written to it; 0: never */
};
int state_file(struct state *state, struct span path, struct state_file *file);
int state_file_put(struct state *state, struct span path, const struct state_file *file);
/* The files that something else writes to too, `max` at most; the latest first. */
typedef int state_each_shared(void *arg, const char *path, int64_t others_at);
int state_files_of_others(struct state *state, int max, state_each_shared *each, void *arg);
/* Forgets files that were not appended to for so long: their lengths are recorded again before the next append. Those
 * of an earlier era may have remains, and are kept for `doubted_for`. */
int state_files_sweep(struct state *state, int64_t era, int64_t unused_for, int64_t doubted_for);

/* Records that stand in a file though their event may be written there again (target/file_standing.h). */
int state_standing_put(struct state *state, struct span path, const uint8_t event[STATE_ID_SIZE], uint32_t records,
		       bool unknown);
int state_standing_drop(struct state *state, struct span path, const uint8_t event[STATE_ID_SIZE]);
typedef int state_each_standing(void *arg, const uint8_t event[STATE_ID_SIZE], uint32_t records, bool unknown);
int state_standing(struct state *state, struct span path, state_each_standing *each, void *arg);

/* Targets. *id is the number of the target of this name, made where it is new. */
int state_target(struct state *state, const char *name, int64_t *id);
/* Adds to the target's counts; error (NULL: none) becomes its last one. */
struct state_tally {
	uint64_t done, failed, parked;
	const char *error;
};
int state_target_add(struct state *state, int64_t target, const struct state_tally *tally);

/* Deliveries and lanes. A lane has a row while a delivery of it is pending. next_at is the age at which it is due;
 * lanes that are ready have a next_at below zero, in the order in which they became so. */
struct state_delivery {
	int64_t id;
	int64_t segment_id;              /* for state_delivery_add */
	char segment[SEGMENT_NAME_SIZE]; /* from state_lane_head */
	uint64_t offset, length;
	uint8_t event[STATE_ID_SIZE];
	uint32_t records;
	unsigned attempts; /* made so far */
	int64_t first_at;  /* age at the first attempt; 0: none yet */
};
/* The next_at of a lane that becomes ready at this moment. */
int64_t state_ready(const struct state *state);
int state_delivery_add(struct state *state, int64_t target, int64_t lane, const struct state_delivery *delivery);
/* Gives the lane a row, unless it has one. */
int state_lane_add(struct state *state, int64_t target, int64_t lane, int64_t next_at);
/* How many deliveries are pending. */
int state_pending_count(struct state *state, uint64_t *n);
/* Whether anything is pending for the target, or in the lane. */
int state_is_waiting(struct state *state, int64_t target);
int state_lane_is_waiting(struct state *state, int64_t target, int64_t lane);
/* Up to max lanes of the target whose next_at is `from` or later, the first due first: from INT64_MIN on the ready
 * ones, whose head was not tried yet, from 0 on those that wait for a retry. Their number, or -1. */
struct state_lane {
	int64_t lane, next_at;
};
int state_lanes(struct state *state, int64_t target, int64_t from, struct state_lane *lanes, int max);
/* Up to max deliveries of the lane, the oldest first. Their number, or -1. */
int state_lane_head(struct state *state, int64_t target, int64_t lane, struct state_delivery *deliveries, int max);
int state_delivery_done(struct state *state, int64_t id);
int state_delivery_failed(struct state *state, const struct state_delivery *delivery, const char *why);
int state_delivery_park(struct state *state, const struct state_delivery *delivery, const char *why);
/* After the above: the lane is due at next_at, or has no row if nothing is pending in it. */
int state_lane_settle(struct state *state, int64_t target, int64_t lane, int64_t next_at);

/* What the archive holds, how much of it, and since when: `put` moves a file's time to now. */
int state_archive_put(struct state *state, const char *name, uint64_t length);
/* 1, 0 (it is not known) or -1. */
int state_archive_length(struct state *state, const char *name, uint64_t *length);
int state_archive_drop(struct state *state, const char *name);
/* Whether the file was put longer ago than `keep`. */
int state_archive_is_old(struct state *state, const char *name, int64_t keep);
/* Up to max names of such files that no row names. Their number, or -1. */
int state_archive_old(struct state *state, int64_t keep, char names[][SEGMENT_NAME_SIZE], int max);

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

/* A connection's last event. Texts are encoded (text_component). */
int state_connection_put(struct state *state, struct span endpoint, struct span connection, uint64_t events,
			 int64_t received_at);

/* Pages of an initial sync. */
struct state_sync {
	struct span endpoint, connection, object_type, webhook;
	uint64_t pages, records;
	int64_t begun_at, last_at; /* us since 1970 */
	bool complete;
};
int state_sync_add(struct state *state, const struct state_sync *sync);

/* Refused requests by reason, as the audit trail tells them (tally). A connection is nobody's word for it: what is not
 * in the table of connections counts for the endpoint, its connection is empty. */
struct state_refusal {
	struct span endpoint, connection, reason; /* connection encoded (text_component) */
	unsigned status;
	uint64_t count;
	int64_t last_at; /* us since 1970 */
};
int state_refusal_add(struct state *state, const struct state_refusal *refusal);
/* What became last of the configuration that a kind of process read, as the audit trail tells it. */
struct state_conf {
	struct span by;  /* "receiver", "deliverer" */
	struct span why; /* it was refused; absent: it was taken */
	int64_t at;      /* us since 1970 */
};
int state_conf_put(struct state *state, const struct state_conf *conf);
typedef int state_each_conf(void *arg, const struct state_conf *conf);
int state_confs(struct state *state, state_each_conf *each, void *arg);
/* How far a file of the audit trail was read, by its mark. 1, 0 or -1. */
int state_trail(struct state *state, uint64_t mark, uint64_t *offset);
int state_trail_put(struct state *state, uint64_t mark, uint64_t offset);
/* Whether any file was. */
int state_trail_is_begun(struct state *state);

/* What happened within a quarter of an hour; `at` is any moment of it, us since 1970. Two days of them are kept. */
#define STATE_QUARTER (INT64_C(900) * 1000000)
struct state_traffic {
	int64_t at; /* from state_traffic: its beginning */
	uint64_t events, records, refused;
	uint64_t done, failed; /* deliveries, attempts; state_target_add counts them here too */
};
int state_traffic_add(struct state *state, const struct state_traffic *traffic);
/* Forgets what is older than that. */
int state_traffic_sweep(struct state *state);

/* What the deliverer cannot do for now, beside deliveries, and why; it is told until it can be done again. */
int state_trouble_put(struct state *state, const char *what, const char *why);
int state_trouble_drop(struct state *state, const char *what);
int state_has_trouble(struct state *state, const char *what);

/* A number that grows with whatever is written through this `state`. */
uint64_t state_changes(const struct state *state);

/* For the operator's commands. */

/* 0 where nothing was counted. */
int state_count(struct state *state, enum state_count count, uint64_t *n);

/* What `each` is given is valid during the call. -1 from it ends the walk. */
struct state_goal {
	int64_t id;
	const char *target, *error; /* error may be NULL */
	uint64_t done, failed, parked;
	int64_t done_at, error_at; /* us since 1970; 0: never */
};
typedef int state_each_goal(void *arg, const struct state_goal *goal);
int state_goals(struct state *state, state_each_goal *each, void *arg);

struct state_contact {
	const char *endpoint, *connection; /* encoded */
	uint64_t events;
	int64_t last_at;
};
typedef int state_each_contact(void *arg, const struct state_contact *contact);
int state_contacts(struct state *state, state_each_contact *each, void *arg);
typedef int state_each_sync(void *arg, const struct state_sync *sync);
int state_syncs(struct state *state, state_each_sync *each, void *arg);
typedef int state_each_refusal(void *arg, const struct state_refusal *refusal);
int state_refusals(struct state *state, state_each_refusal *each, void *arg);
/* Quarters since then in which something happened, the first one first. */
typedef int state_each_traffic(void *arg, const struct state_traffic *traffic);
int state_traffic(struct state *state, int64_t since, state_each_traffic *each, void *arg);

struct state_trouble {
	const char *what, *why;
	int64_t at; /* since when, us since 1970 */
};
typedef int state_each_trouble(void *arg, const struct state_trouble *trouble);
int state_troubles(struct state *state, state_each_trouble *each, void *arg);

/* A delivery as it stands. */
struct state_row {
	struct state_delivery delivery;
	int64_t target_id, lane;
	const char *target, *why; /* why may be NULL */
	int64_t parked_at;        /* us since 1970; 0: pending */
	int64_t next_at;          /* age at which its lane is due, if it is pending; below 0: ready */
	uint64_t count;           /* state_backlog: how many there are of its kind */
};
typedef int state_each_row(void *arg, const struct state_row *row);
/* The oldest delivery of each lane of each target, and how many there are behind it: pending ones and parked ones each.
 */
int state_backlog(struct state *state, state_each_row *each, void *arg);
/* All deliveries of the event. */
int state_rows(struct state *state, const uint8_t event[STATE_ID_SIZE], state_each_row *each, void *arg);
/* Up to max deliveries that are parked (-1: all), the oldest first. */
int state_parked(struct state *state, int max, state_each_row *each, void *arg);
/* All deliveries, for `row` of which only target_id, parked_at, delivery.id and delivery.event are filled in. */
int state_all_rows(struct state *state, state_each_row *each, void *arg);
/* All deliveries, for `row` of which only target_id, parked_at and delivery.event, .segment, .offset and .length are
 * filled in. */
int state_all_lines(struct state *state, state_each_row *each, void *arg);

/* The number of a segment, or a file of the archive, for state_delivery_add; made with this cursor where it is new. */
int state_segment(struct state *state, const char *segment, uint64_t cursor, int64_t *id);
/* A parked delivery is pending again, as if it had never been tried, and its lane is ready. For one that is pending its
 * lane is due now, and what is known of its attempts stays. 1; 0: there is no such parked one, or it is due already. */
int state_delivery_retry(struct state *state, const struct state_row *row);
/* Forgets a delivery. What stands behind it is due if this one held it back. 1; 0: there is none. */
int state_delivery_drop(struct state *state, const struct state_row *row);
/* Up to max deliveries that failed, by their numbers, from the one behind `after` on: parked ones, and those that wait
 * for another attempt. */
int state_failed(struct state *state, int64_t after, int max, state_each_row *each, void *arg);
/* Makes each lane that waits for its time due now; *n: how many. */
int state_lanes_push(struct state *state, uint64_t *n);
/* When the first lane is due: 1 and its next_at, 0 (there is none) or -1. */
int state_lanes_next(struct state *state, int64_t *next_at);

/* Bounded work that keeps the files small. Outside of a transaction. `idle`: nothing else is to be done. */
int state_tidy(struct state *state, bool idle);

#endif
