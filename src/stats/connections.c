#include "config.h"

#include "stats/connections.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "base/text.h"
#include "state/counts.h"

struct progress_item {
	bool is_sync;
	uint64_t events, records;
	int64_t first_at, last_at;
	bool complete;
};

/* Appends a part of a name, encoded and so without the NUL that ends it. */
static int add_part(struct progress *progress, const struct event *event, enum event_field field)
{
	struct buf plain = {0};
	int result = 0;
	if (event->fields[field].ptr != NULL) {
		result = event_field_text(event, field, &plain);
		if (result == 0)
			result = text_component(&progress->key, plain.data, plain.len);
	}
	buf_fini(&plain);
	return result < 0 ? -1 : buf_char(&progress->key, '\0');
}

/* The item of the name that stands in `key`. NULL with errno ENOMEM. */
static struct progress_item *find_item(struct progress *progress)
{
	size_t number;
	if (array_grow(&progress->list, progress->names.count, &progress->cap, sizeof *progress->list) < 0)
		return NULL;
	int added = names_add(&progress->names, progress->key.data, progress->key.len, &number);
	if (added < 0)
		return NULL;
	if (added)
		progress->list[number] = (struct progress_item){0};
	return &progress->list[number];
}

static void item_add(struct progress_item *item, const struct event *event)
{
	if (item->events++ == 0 || event->received_at < item->first_at)
		item->first_at = event->received_at;
	if (event->received_at > item->last_at)
		item->last_at = event->received_at;
	item->records += event->count;
}

int progress_note(struct progress *progress, const struct event *event)
{
	struct buf *key = &progress->key;
	struct span type = event->fields[EVENT_TYPE];
	bool complete = type.ptr != NULL && json_string_is(type, "INITIAL-COMPLETE");
	struct state_traffic *quarter = traffic_at(&progress->traffic, event->received_at);
	if (quarter == NULL)
		return -1;
	quarter->events++;
	quarter->records += event->count;
	key->len = 0;
	if (buf_append(key, event->endpoint.ptr, event->endpoint.len) < 0 || buf_char(key, '\0') < 0 ||
	    add_part(progress, event, EVENT_CONNECTION_ID) < 0)
		return -1;
	struct progress_item *item = find_item(progress);
	if (item == NULL)
		return -1;
	item_add(item, event);
	if (!complete && (type.ptr == NULL || !json_string_is(type, "INITIAL-PARTIAL")))
		return 0;
	if (add_part(progress, event, EVENT_OBJECT_TYPE) < 0 || add_part(progress, event, EVENT_WEBHOOK_ID) < 0)
		return -1;
	item = find_item(progress);
	if (item == NULL)
		return -1;
	item->is_sync = true;
	item_add(item, event);
	item->complete |= complete;
	return 0;
}

/* Cuts the next part off a name. */
static struct span next_part(struct span *name)
{
	struct span part = {name->ptr, strlen(name->ptr)};
	name->ptr += part.len + 1;
	name->len -= part.len + 1;
	return part;
}

int progress_put(const struct progress *progress, struct state *state)
{
	for (size_t i = 0; i < progress->names.count; i++) {
		const struct progress_item *item = &progress->list[i];
		struct span name = names_get(&progress->names, i);
		struct state_sync sync = {
			.pages = item->events,
			.records = item->records,
			.begun_at = item->first_at,
			.last_at = item->last_at,
			.complete = item->complete,
		};
		sync.endpoint = next_part(&name);
		sync.connection = next_part(&name);
		int result;
		if (item->is_sync) {
			sync.object_type = next_part(&name);
			sync.webhook = next_part(&name);
			result = state_sync_add(state, &sync);
		} else {
			result = state_connection_put(state, sync.endpoint, sync.connection, item->events,
						      item->last_at);
		}
		if (result < 0)
			return -1;
	}
	return traffic_put(&progress->traffic, state);
}

void progress_clear(struct progress *progress)
{
	traffic_clear(&progress->traffic);
	names_clear(&progress->names);
}

void progress_fini(struct progress *progress)
{
	names_fini(&progress->names);
	free(progress->list);
	traffic_fini(&progress->traffic);
	buf_fini(&progress->key);
	*progress = (struct progress){0};
}
