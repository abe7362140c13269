#include "config.h"

#include "target/target.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "config/template.h"

int target_value(const struct event *event, const char *name, struct buf *out)
{
	char at[CLOCK_TEXT_SIZE];
	for (size_t i = 0; i < EVENT_FIELDS; i++)
		if (strcmp(name, event_field_names[i]) == 0)
			return event_field_text(event, (enum event_field)i, out);
	if (strcmp(name, "endpoint") == 0)
		return buf_append(out, event->endpoint.ptr, event->endpoint.len);
	clock_text(event->received_at, at);
	if (strcmp(name, "date") == 0)
		return buf_append(out, at, strlen("2026-11-23"));
	if (strcmp(name, "hour") == 0)
		return buf_append(out, at + strlen("2026-11-23T"), 2);
	errno = EINVAL;
	return -1;
}

static int condition_holds(const struct conf_match *match, const struct event *event, struct buf *scratch)
{
	scratch->len = 0;
	if (target_value(event, match->field, scratch) < 0)
		return -1;
	const char *text = buf_cstr(scratch);
	if (text == NULL)
		return -1;
	return strlen(text) == scratch->len && fnmatch(match->glob, text, 0) == 0;
}

int target_matches(const struct conf_target *conf, const struct event *event, struct buf *scratch)
{
	int holds = 1;
	for (size_t i = 0; i < conf->match_count && holds == 1; i++)
		holds = condition_holds(&conf->matches[i], event, scratch);
	return holds;
}

int target_lane(const struct event *event, struct buf *scratch, int64_t *lane)
{
	uint8_t digest[HASH_SIZE];
	scratch->len = 0;
	if (event_field_text(event, EVENT_CONNECTION_ID, scratch) < 0)
		return -1;
	size_t n = scratch->len;
	if (event_field_text(event, EVENT_OBJECT_TYPE, scratch) < 0)
		return -1;
	const struct span parts[] = {{(const char *)&n, sizeof n}, {scratch->data, scratch->len}};
	hash_sha256(parts, 2, digest);
	memcpy(lane, digest, sizeof *lane);
	return 0;
}

static int path_value(void *arg, const char *name, struct buf *out)
{
	return target_value(arg, name, out);
}

int target_path(const struct conf_target *conf, const struct event *event, struct buf *out)
{
	size_t before = out->len;
	if (template_expand(conf->file, path_value, (void *)event, out) == 0)
		return 0;
	out->len = before;
	return -1;
}

size_t target_fixed(const struct conf_target *conf)
{
	size_t fixed = strcspn(conf->file, "%");
	while (fixed > 0 && conf->file[fixed - 1] != '/')
		fixed--;
	return fixed;
}
