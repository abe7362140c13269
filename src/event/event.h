/* An event: who sent it, what it is about, and its identity, by which a duplicate is known. event/line has it as a line
 * of the journal, event/record as what targets get. Pure. */
#ifndef HOOKSPOOL_EVENT_EVENT_H
#define HOOKSPOOL_EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/hash.h"

#define EVENT_ID_BYTES 16
#define EVENT_ID_SIZE  (2 * EVENT_ID_BYTES + 1) /* as hex digits, with a NUL */

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

/* All spans are borrowed: from the request's body, what a scheme made beside it, or the line. */
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
/* The same in two steps, for a caller that updates the hash with event->data itself, in between. */
void event_identify_begin(const struct event *event, struct span decoded_nonce, struct hash *hash);
void event_identify_end(struct event *event, struct hash *hash);

/* Decodes a field to UTF-8 and appends it; an absent field appends nothing. 0, or -1 with errno ENOMEM. */
int event_field_text(const struct event *event, enum event_field field, struct buf *out);

/* Appends `,"endpoint":…` up to the last of the sender's fields, which a line and a record have in common. 0, or -1
 * with errno ENOMEM. */
int event_append_origin(const struct event *event, struct buf *out);

#endif
