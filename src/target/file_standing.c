#include "config.h"

#include "target/file_standing.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "event/record.h"
#include "state/files.h"
#include "state/state.h"

static struct standing_event *standing_event(struct standing *standing, const uint8_t id[STATE_ID_SIZE])
{
	size_t number;
	if (array_grow(&standing->list, standing->events.count, &standing->cap, sizeof *standing->list) < 0)
		return NULL;
	int added = names_add(&standing->events, id, STATE_ID_SIZE, &number);
	if (added < 0)
		return NULL;
	if (added)
		standing->list[number] = (struct standing_event){0};
	return &standing->list[number];
}

int standing_put(struct standing *standing, const uint8_t id[STATE_ID_SIZE], uint32_t records, bool unknown)
{
	struct standing_event *event = standing_event(standing, id);
	if (event == NULL)
		return -1;
	event->records = records;
	event->unknown = unknown;
	return 0;
}

int standing_note(struct standing *standing, const uint8_t id[STATE_ID_SIZE], uint32_t index, bool unknown)
{
	struct standing_event *event = standing_event(standing, id);
	if (event == NULL)
		return -1;
	event->unknown = unknown;
	if (event->records == index)
		event->records++;
	return 0;
}

static bool stands(struct standing *standing, struct span record)
{
	uint8_t id[STATE_ID_SIZE];
	uint32_t index;
	if (record_head(record, id, &index) != RECORD_OF_EVENT)
		return false;
	size_t number = names_find(&standing->events, id, sizeof id);
	if (number == SIZE_MAX)
		return false;
	standing->list[number].met = true;
	return index < standing->list[number].records;
}

void standing_leave_out(struct standing *standing, struct buf *records)
{
	size_t kept = 0;
	if (standing->events.count == 0)
		return;
	for (size_t at = 0; at < records->len;) {
		const char *line = records->data + at, *newline = memchr(line, '\n', records->len - at);
		size_t n = newline == NULL ? records->len - at : (size_t)(newline + 1 - line);
		if (!stands(standing, (struct span){line, n})) {
			memmove(records->data + kept, line, n);
			kept += n;
		}
		at += n;
	}
	records->len = kept;
}

static const uint8_t *event_id(const struct standing *standing, size_t i)
{
	return (const uint8_t *)names_get(&standing->events, i).ptr;
}

int standing_store(const struct standing *standing, struct state *state, struct span path)
{
	size_t unknown = 0;
	for (size_t i = 0; i < standing->events.count; i++)
		unknown += standing->list[i].unknown;
	for (size_t i = 0; i < standing->events.count; i++) {
		const struct standing_event *event = &standing->list[i];
		bool is_stored = event->records > 0 && !(event->unknown && unknown-- > STANDING_UNKNOWN);
		int result = is_stored ? state_standing_put(state, path, event_id(standing, i), event->records,
							    event->unknown)
				       : state_standing_drop(state, path, event_id(standing, i));
		if (result < 0)
			return -1;
	}
	return 0;
}

int standing_drop_met(const struct standing *standing, struct state *state, struct span path, uint64_t *left)
{
	*left = 0;
	for (size_t i = 0; i < standing->events.count; i++) {
		if (!standing->list[i].met)
			(*left)++;
		else if (state_standing_drop(state, path, event_id(standing, i)) < 0)
			return -1;
	}
	return 0;
}

static int load_one(void *arg, const uint8_t event[STATE_ID_SIZE], uint32_t records, bool unknown)
{
	return standing_put(arg, event, records, unknown);
}

int standing_load(struct standing *standing, struct state *state, struct span path)
{
	return state_standing(state, path, load_one, standing);
}

void standing_clear(struct standing *standing)
{
	names_clear(&standing->events);
}

void standing_fini(struct standing *standing)
{
	names_fini(&standing->events);
	free(standing->list);
	*standing = (struct standing){0};
}
