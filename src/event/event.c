#include "config.h"

#include "event/event.h"

#include "base/json.h"
#include "base/text.h"

const char *const event_field_names[EVENT_FIELDS] = {
	[EVENT_TYPE] = "type",
	[EVENT_EVENT] = "event",
	[EVENT_OBJECT_TYPE] = "object_type",
	[EVENT_CONNECTION_ID] = "connection_id",
	[EVENT_WEBHOOK_ID] = "webhook_id",
	[EVENT_WORKSPACE_ID] = "workspace_id",
	[EVENT_INTEGRATION_TYPE] = "integration_type",
	[EVENT_ENVIRONMENT] = "environment",
	[EVENT_EXTERNAL_XREF] = "external_xref",
};

void event_identify_begin(const struct event *event, struct span decoded_nonce, struct hash *hash)
{
	const struct span nul = {"", 1};
	hash_begin(hash);
	hash_update(hash, event->endpoint);
	hash_update(hash, nul);
	hash_update(hash, decoded_nonce);
	hash_update(hash, nul);
}

void event_identify_end(struct event *event, struct hash *hash)
{
	uint8_t digest[HASH_SIZE];
	hash_end(hash, digest);
	text_hex(digest, EVENT_ID_BYTES, event->id);
}

void event_identify(struct event *event, struct span decoded_nonce)
{
	struct hash hash;
	event_identify_begin(event, decoded_nonce, &hash);
	hash_update(&hash, event->data);
	event_identify_end(event, &hash);
}

static int append_fields(const struct event *event, struct buf *b)
{
	for (size_t i = 0; i < EVENT_FIELDS; i++) {
		struct span value = event->fields[i];
		if (value.ptr == NULL)
			value = (struct span){"null", 4};
		if (buf_str(b, ",\"") < 0 || buf_str(b, event_field_names[i]) < 0 || buf_str(b, "\":") < 0 ||
		    buf_span(b, value) < 0)
			return -1;
	}
	return 0;
}

int event_append_origin(const struct event *event, struct buf *out)
{
	return buf_str(out, ",\"endpoint\":\"") < 0 || buf_span(out, event->endpoint) < 0 ||
			       buf_str(out, "\",\"scheme\":\"") < 0 || buf_span(out, event->scheme) < 0 ||
			       buf_char(out, '"') < 0 || append_fields(event, out) < 0
		       ? -1
		       : 0;
}

int event_field_text(const struct event *event, enum event_field field, struct buf *out)
{
	if (event->fields[field].ptr == NULL)
		return 0;
	return json_decode_string(event->fields[field], out, NULL);
}
