/* Deliveries in state.db, and their lanes: what waits, what is parked, and what becomes of it. Functions return what
 * those of state.h do. What `each` is given is valid during the call; -1 from it ends the walk. */
#ifndef HOOKSPOOL_STATE_DELIVERIES_H
#define HOOKSPOOL_STATE_DELIVERIES_H

#include <stdint.h>

#include "spool/segment.h"
#include "state/common.h"

struct state;

/* What the deliverer does. */

/* A lane has a row while a delivery of it is pending. Its next_at is the age at which the next attempt is due. A lane
 * that is ready has a next_at below zero: the longer it is ready, the lower. */
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
/* Up to max lanes of the target whose next_at is `from` or later, the first due first. From INT64_MIN on these are the
 * ready ones, whose oldest delivery was not tried yet; from 0 on those that wait for a retry. Their number, or -1. */
struct state_lane {
	int64_t lane, next_at;
};
int state_lanes(struct state *state, int64_t target, int64_t from, struct state_lane *lanes, int max);
/* Up to max deliveries of the lane, the oldest first. Their number, or -1. */
int state_lane_head(struct state *state, int64_t target, int64_t lane, struct state_delivery *deliveries, int max);
int state_delivery_done(struct state *state, int64_t id);
int state_delivery_failed(struct state *state, const struct state_delivery *delivery, const char *why);
int state_delivery_park(struct state *state, const struct state_delivery *delivery, const char *why);
/* After one of the three above: the lane is due at next_at, or loses its row if nothing is pending in it. */
int state_lane_settle(struct state *state, int64_t target, int64_t lane, int64_t next_at);

/* What a copy of lines needs. */

/* Up to max rows that name the segment and have a number greater than `after`, in their order. Their number, or -1. */
struct state_place {
	int64_t row;
	uint64_t offset, length;
};
int state_places(struct state *state, int64_t segment, int64_t after, struct state_place *places, int max);
/* Makes the row name another place, which has a copy of its line. */
int state_place_move(struct state *state, const struct state_place *place, int64_t segment);

/* What commands and the page ask. */

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
/* The oldest pending and the oldest parked delivery of each lane of each target, each with the count of its kind. */
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

/* What an operator changes. */

/* Makes a parked delivery pending again, as if it had never been tried, and its lane ready. Makes the lane of a pending
 * one due now, and keeps its attempts. 1; 0: there is no such parked one, or the lane is due already. */
int state_delivery_retry(struct state *state, const struct state_row *row);
/* Forgets a delivery. The next one of its lane is due if this one held it back. 1; 0: there is none. */
int state_delivery_drop(struct state *state, const struct state_row *row);
/* Up to max deliveries that failed and have a number greater than `after`, in their order: parked ones, and those that
 * wait for another attempt. */
int state_failed(struct state *state, int64_t after, int max, state_each_row *each, void *arg);
/* Makes each lane that waits for its time due now; *n: how many. */
int state_lanes_push(struct state *state, uint64_t *n);
/* When the first lane is due: 1 and its next_at, 0 (there is none) or -1. */
int state_lanes_next(struct state *state, int64_t *next_at);

#endif
