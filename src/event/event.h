/* An event as it stands in the journal: a line, and the records that it becomes. Pure. doc/journal.md has the format.
 */
#ifndef HOOKSPOOL_EVENT_EVENT_H
#define HOOKSPOOL_EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"

#define EVENT_VERSION 1
#define EVENT_ID_SIZE 33 /* 32 hex digits and a NUL */

/* The sender's fields, in the order of the line and of the record. */
enum event_field {
	EVENT_TYPE,
	EVENT_EVENT,
	EVENT_OBJECT_TYPE,
	EVENT_CONNECTION_ID,
	EVENT_WEBHOOK_ID,
	EVENT_WORKSPACE_ID,
	EVENT_INTEGRATION_TYPE,
	EVENT_ENVIRONMENT,
	EVENT_EXTERNAL_XREF,
	EVENT_FIELDS,
};

/* "type", "event", … as in the record. */
extern const char *const event_field_names[EVENT_FIELDS];

/* All spans are borrowed from the request's body or from the line. */
struct event {
	int64_t received_at; /* us since 1970 */
	char id[EVENT_ID_SIZE];
	struct span endpoint; /* plain text, of the configuration: printable ASCII without quote or backslash */
	struct span scheme;
	struct span fields[EVENT_FIELDS]; /* JSON string tokens with quotes; absent where the sender gave nothing */
	struct span nonce;                /* a JSON string token */
	struct span data;                 /* an array or an object, without insignificant white space */
	uint32_t count;                   /* records: elements of an array, 1 for an object, 0 for an empty array */
};

/* Fills event->id from endpoint, nonce (decoded) and data. */
void event_identify(struct event *event, struct span decoded_nonce);

/* The same for one who updates the hash with event->data in between. */
void event_identify_begin(const struct event *event, struct span decoded_nonce, struct hash *hash);
void event_identify_end(struct event *event, struct hash *hash);

/* A line to be written: head, data (borrowed from the event) and tail, in three vectors, newline included. */
struct event_line {
	struct buf head;
	struct span data;
	char tail[32];
	size_t tail_len;
};
/* Fills a line, zeroed or used before. 0, or -1 with errno ENOMEM. Free with event_line_fini. */
int event_encode(const struct event *event, struct event_line *line);
void event_line_vectors(struct event_line *line, struct iovec iov[3]);
void event_line_fini(struct event_line *line);

enum event_verdict {
	EVENT_OK,
	EVENT_DAMAGED, /* checksum, or not the shape */
	EVENT_NEWER,   /* a good line of a version that this program does not know */
};
/* Reads a line (without its newline) back. Spans point into it. */
enum event_verdict event_decode(const char *line, size_t n, struct event *event);

/* Appends the event's records, one JSON line each, always with the same keys in the same order. An event without
 * elements gives one record with index null and count 0.
 *
 * Records can be hundreds of times as large as their event. Whenever a megabyte of them stands in `out`, `drain` is to
 * take all of it and leave `out` empty: 0, or -1 with errno, which ends it. NULL: they stay in `out`. 0, or -1 with
 * errno (ENOMEM, or the drain's): then a part of them may have been drained or stand in `out`; without a drain `out` is
 * as it was. */
typedef int event_drain(void *arg, struct buf *out);
int event_records(const struct event *event, struct buf *out, event_drain *drain, void *arg);

/* At most so many bytes of event_records are not the event's data: each record has the fields and the keys again.
 * Cheap: nothing is read but lengths. */
uint64_t event_records_overhead(const struct event *event);

/* Decodes a field to UTF-8 and appends it; an absent field appends nothing. 0, or -1 with errno ENOMEM. */
int event_field_text(const struct event *event, enum event_field field, struct buf *out);

#endif
