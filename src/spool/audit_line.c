#include "config.h"

#include "spool/audit_line.h"

#include <string.h>

#include "base/clock.h"
#include "base/json.h"

#define PATH_TOLD       200 /* bytes of an unknown path that an audit line takes */
#define AUDIT_FIELD_MAX 256 /* bytes of a sender's token that an audit line takes */

/* How the line of a request and of a configuration go on behind their time. */
#define AT        "{\"at\":\""
#define REQUEST   "\",\"what\":\"request\",\"status\":"
#define ACCEPTED  "200,"
#define CONF      "\",\"what\":\"configuration\""
#define AT_WHAT   (sizeof AT - 1 + CLOCK_TEXT_SIZE - 1)
#define AT_STATUS (AT_WHAT + sizeof REQUEST - 1)

static int append(struct buf *out, const char *before, const char *value)
{
	return buf_str(out, before) < 0 ? -1 : buf_str(out, value);
}

/* There is one for each delivery: without printf where there is nothing to format. */
int audit_tell(struct buf *out, const struct audit_delivery *delivery)
{
	size_t before = out->len;
	const char *id = delivery->event_id, *detail = delivery->detail;
	char at[CLOCK_TEXT_SIZE];
	clock_text(clock_now(), at);
	if (append(out, AT, at) < 0 || append(out, "\",\"what\":\"", delivery->what) < 0 ||
	    append(out, "\",\"target\":\"", delivery->target) < 0 ||
	    (id == NULL ? buf_str(out, "\",\"event_id\":null") : append(out, "\",\"event_id\":\"", id)) < 0 ||
	    (id != NULL && buf_char(out, '"') < 0) ||
	    (delivery->attempt > 0 && buf_printf(out, ",\"attempt\":%u", delivery->attempt) < 0) ||
	    append(out, ",\"result\":\"", delivery->result) < 0 || buf_char(out, '"') < 0 ||
	    (detail != NULL &&
	     (buf_str(out, ",\"detail\":") < 0 || buf_json_string(out, detail, strlen(detail)) < 0)) ||
	    buf_str(out, "}\n") < 0) {
		out->len = before;
		return -1;
	}
	return 0;
}

int audit_tell_conf(struct buf *out, const struct audit_conf *conf)
{
	size_t before = out->len;
	char at[CLOCK_TEXT_SIZE];
	clock_text(clock_now(), at);
	if (buf_printf(out, AT "%s" CONF ",\"by\":\"%s\",\"result\":\"%s\",\"detail\":", at, conf->by, conf->result) <
		    0 ||
	    (conf->detail == NULL ? buf_str(out, "null") : buf_json_string(out, conf->detail, strlen(conf->detail))) <
		    0 ||
	    buf_str(out, "}\n") < 0) {
		out->len = before;
		return -1;
	}
	return 0;
}

/* Whether a token has something raw in it that could move a terminal's cursor: DEL, or U+0080 to U+009F. The other
 * control characters can only be there as escapes. */
static bool has_control(struct span token)
{
	const unsigned char *s = (const unsigned char *)token.ptr;
	for (size_t i = 0; i < token.len; i++)
		if (s[i] == 0x7f || (s[i] == 0xc2 && s[i + 1] < 0xa0))
			return true;
	return false;
}

static int append_decoded(struct buf *out, struct span token)
{
	struct buf text = {0};
	int result = json_decode_string(token, &text, NULL);
	if (result == 0)
		result = buf_json_string(out, text.data, text.len);
	buf_fini(&text);
	return result;
}

/* One of the sender's tokens, or null where it is absent or too long for a line that people read. */
static int append_token(struct buf *out, const char *name, struct span token)
{
	if (token.ptr == NULL || token.len > AUDIT_FIELD_MAX)
		token = (struct span){"null", 4};
	if (buf_str(out, ",\"") < 0 || buf_str(out, name) < 0 || buf_str(out, "\":") < 0)
		return -1;
	return has_control(token) ? append_decoded(out, token) : buf_append(out, token.ptr, token.len);
}

static int append_string(struct buf *out, const char *name, const char *value)
{
	if (value == NULL)
		return append_token(out, name, (struct span){NULL, 0});
	return buf_str(out, ",\"") < 0 || buf_str(out, name) < 0 || buf_str(out, "\":") < 0 ||
			       buf_json_string(out, value, strnlen(value, AUDIT_FIELD_MAX)) < 0
		       ? -1
		       : 0;
}

/* What was asked for where there is no endpoint, without its query. */
static int append_path(struct buf *out, const char *path)
{
	if (path == NULL)
		return 0;
	size_t n = strcspn(path, "?");
	return buf_str(out, ",\"path\":") < 0 ? -1 : buf_json_string(out, path, n < PATH_TOLD ? n : PATH_TOLD);
}

int audit_tell_request(struct buf *out, const struct audit_request *request)
{
	size_t before = out->len;
	char at[CLOCK_TEXT_SIZE];
	clock_text(clock_now(), at);
	if (buf_printf(out, AT "%s" REQUEST "%d", at, request->status) < 0 ||
	    append_string(out, "reason", request->reason) < 0 ||
	    append_string(out, "endpoint", request->endpoint) < 0 || append_path(out, request->path) < 0 ||
	    append_string(out, "event_id", request->event_id) < 0 ||
	    append_token(out, "connection_id", request->connection_id) < 0 ||
	    append_token(out, "object_type", request->object_type) < 0 ||
	    buf_printf(out, ",\"records\":%u,\"bytes\":%zu", request->records, request->bytes) < 0 ||
	    append_string(out, "remote", request->remote) < 0 || buf_str(out, "}\n") < 0) {
		out->len = before;
		return -1;
	}
	return 0;
}

static const char *const member_names[TRAIL_MEMBERS] = {
	[TRAIL_AT] = "at",
	[TRAIL_WHAT] = "what",
	[TRAIL_STATUS] = "status",
	[TRAIL_REASON] = "reason",
	[TRAIL_ENDPOINT] = "endpoint",
	[TRAIL_PATH] = "path",
	[TRAIL_EVENT_ID] = "event_id",
	[TRAIL_CONNECTION_ID] = "connection_id",
	[TRAIL_OBJECT_TYPE] = "object_type",
	[TRAIL_RECORDS] = "records",
	[TRAIL_BYTES] = "bytes",
	[TRAIL_REMOTE] = "remote",
	[TRAIL_TARGET] = "target",
	[TRAIL_ATTEMPT] = "attempt",
	[TRAIL_RESULT] = "result",
	[TRAIL_DETAIL] = "detail",
	[TRAIL_BY] = "by",
};

bool trail_parse(struct span raw, struct trail_line *line)
{
	struct json_value value;
	struct json_walk walk;
	size_t where;
	*line = (struct trail_line){0};
	if (json_scan(raw.ptr, raw.len, &value, &where) != JSON_OK || value.type != JSON_OBJECT)
		return false;
	json_walk_begin(&walk, &value);
	while (json_walk_next(&walk))
		for (size_t i = 0; i < TRAIL_MEMBERS; i++)
			if (walk.value.type != JSON_NULL && json_string_is(walk.key, member_names[i]))
				line->members[i] = walk.value.raw;
	return line->members[TRAIL_AT].ptr != NULL && line->members[TRAIL_WHAT].ptr != NULL;
}

uint64_t trail_number(const struct trail_line *line, enum trail_member member)
{
	uint64_t value = 0;
	struct span token = line->members[member];
	for (size_t i = 0; i < token.len; i++)
		if (token.ptr[i] < '0' || token.ptr[i] > '9' || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
		    __builtin_add_overflow(value, (uint64_t)(token.ptr[i] - '0'), &value))
			return 0;
	return value;
}

int trail_text(const struct trail_line *line, enum trail_member member, struct buf *out)
{
	struct span token = line->members[member];
	if (token.ptr == NULL || token.ptr[0] != '"')
		return 0;
	return json_decode_string(token, out, NULL);
}

static bool goes_on(struct span raw, size_t at, const char *expected)
{
	size_t n = strlen(expected);
	return raw.len > at + n && memcmp(raw.ptr + at, expected, n) == 0;
}

enum audit_kind audit_kind(struct span raw, int64_t *at)
{
	bool is_request = goes_on(raw, AT_WHAT, REQUEST);
	if (!is_request && !goes_on(raw, AT_WHAT, CONF))
		return AUDIT_OTHER;
	if (clock_parse_text(raw.ptr + sizeof AT - 1, at) < 0)
		*at = 0;
	if (!is_request)
		return AUDIT_CONF;
	return goes_on(raw, AT_STATUS, ACCEPTED) ? AUDIT_OTHER : AUDIT_REFUSED;
}
