/* The record: one line of JSON that a target gets for each element of an event (doc/hookspool.7, RECORDS). Nothing else
 * knows how it begins and goes on. Pure. */
#ifndef HOOKSPOOL_EVENT_RECORD_H
#define HOOKSPOOL_EVENT_RECORD_H

#include <stdint.h>

#include "base/buf.h"
#include "event/event.h"

/* Appends the event's records, always with the same keys in the same order. An event without elements gives one record
 * with index null and count 0.
 *
 * Records can be hundreds of times as large as their event. Whenever a megabyte of them stands in `out`, `drain` is to
 * take all of it and leave `out` empty: 0, or -1 with errno, which ends it. NULL: they stay in `out`. 0, or -1 with
 * errno (ENOMEM, or the drain's): then a part of them may have been drained or stand in `out`; without a drain `out` is
 * as it was. */
typedef int record_drain(void *arg, struct buf *out);
int records_append(const struct event *event, struct buf *out, record_drain *drain, void *arg);

/* At most so many bytes of records_append are not the event's data: each record has the fields and the keys again.
 * Cheap: nothing is read but lengths. */
uint64_t records_overhead(const struct event *event);

/* The first bytes of a record: its event, and its number within it. */
#define RECORD_HEAD_MAX 80
enum record_head {
	RECORD_ALIEN,   /* no record of this program begins so */
	RECORD_BEGUN,   /* too short to say whose record it is; any could begin so */
	RECORD_OF_EVENT /* *id is filled in; *index too, unless the text ends before it: then it is UINT32_MAX */
};
enum record_head record_head(struct span text, uint8_t id[EVENT_ID_BYTES], uint32_t *index);

#endif
