#include "config.h"

#include "stats/refusals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/intern.h"
#include "base/json.h"
#include "base/text.h"
#include "spool/audit_read.h"
#include "state/counts.h"
#include "state/state.h"
#include "stats/traffic.h"

#define FOLD_BYTES (4u << 20) /* of a file at a time */
#define WHY_MAX    1000       /* bytes of a reason that are kept: another user may have written it */

static const char *const processes[] = {"receiver", "deliverer"};
#define PROCESSES (sizeof processes / sizeof processes[0])

struct count {
	unsigned status;
	uint64_t count;
	int64_t last_at;
};

/* Zero-initialise to begin. */
struct tally {
	struct names names; /* endpoint, connection and reason, a NUL behind each */
	struct count *counts;
	size_t cap;
	struct buf key, plain;
	struct traffic traffic;
	struct {
		bool there, refused;
		struct buf why;
		int64_t at;
	} confs[PROCESSES]; /* the last lines */
	struct {
		bool there;
		uint64_t mark, from, to;
	} files[2];
	bool untold; /* a file went by that was never read */
};

static void tally_fini(struct tally *tally)
{
	int saved = errno;
	names_fini(&tally->names);
	free(tally->counts);
	traffic_fini(&tally->traffic);
	for (size_t i = 0; i < PROCESSES; i++)
		buf_fini(&tally->confs[i].why);
	buf_fini(&tally->key);
	buf_fini(&tally->plain);
	errno = saved;
}

/* 0, or -1 with errno ENOMEM. */
static int take_conf(struct tally *tally, struct span raw, int64_t at)
{
	struct trail_line line;
	if (!trail_parse(raw, &line))
		return 0;
	for (size_t i = 0; i < PROCESSES; i++) {
		if (line.members[TRAIL_BY].ptr == NULL || !json_string_is(line.members[TRAIL_BY], processes[i]))
			continue;
		struct buf *why = &tally->confs[i].why;
		why->len = 0;
		if (trail_text(&line, TRAIL_DETAIL, why) < 0)
			return -1;
		why->len = why->len > WHY_MAX ? WHY_MAX : why->len;
		tally->confs[i].there = true;
		tally->confs[i].refused =
			line.members[TRAIL_RESULT].ptr != NULL && json_string_is(line.members[TRAIL_RESULT], "refused");
		tally->confs[i].at = at;
	}
	return 0;
}

static int append_part(struct tally *tally, const struct trail_line *line, enum trail_member member, bool encoded)
{
	tally->plain.len = 0;
	if (trail_text(line, member, &tally->plain) < 0)
		return -1;
	if (line->members[member].ptr != NULL &&
	    (encoded ? text_component(&tally->key, tally->plain.data, tally->plain.len)
		     : buf_append(&tally->key, tally->plain.data, strnlen(tally->plain.data, tally->plain.len))) < 0)
		return -1;
	return buf_char(&tally->key, '\0');
}

/* The count of the name that stands in `key`. NULL with errno ENOMEM. */
static struct count *find_count(struct tally *tally)
{
	size_t number;
	if (array_grow(&tally->counts, tally->names.count, &tally->cap, sizeof *tally->counts) < 0)
		return NULL;
	int added = names_add(&tally->names, tally->key.data, tally->key.len, &number);
	if (added < 0)
		return NULL;
	if (added)
		tally->counts[number] = (struct count){0};
	return &tally->counts[number];
}

static int take_refusal(struct tally *tally, struct span raw, int64_t at)
{
	struct trail_line line;
	if (!trail_parse(raw, &line))
		return 0;
	tally->key.len = 0;
	if (append_part(tally, &line, TRAIL_ENDPOINT, false) < 0 ||
	    append_part(tally, &line, TRAIL_CONNECTION_ID, true) < 0 ||
	    append_part(tally, &line, TRAIL_REASON, false) < 0)
		return -1;
	struct count *count = find_count(tally);
	if (count == NULL)
		return -1;
	count->count++;
	count->status = (unsigned)trail_number(&line, TRAIL_STATUS);
	if (at == 0)
		return 0;
	if (at > count->last_at)
		count->last_at = at;
	struct state_traffic *quarter = traffic_at(&tally->traffic, at);
	if (quarter == NULL)
		return -1;
	quarter->refused++;
	return 0;
}

static int take_line(struct tally *tally, struct span raw)
{
	int64_t at;
	switch (audit_kind(raw, &at)) {
	case AUDIT_REFUSED:
		return take_refusal(tally, raw, at);
	case AUDIT_CONF:
		return take_conf(tally, raw, at);
	case AUDIT_OTHER:
		break;
	}
	return 0;
}

/* Takes the lines of a file that were not counted yet, up to `max` bytes. 1: there is more; 0; -1 with errno. */
static int take_file(struct tally *tally, struct state *state, const struct spool *spool, enum trail_file which,
		     uint64_t max)
{
	struct trail trail;
	struct span raw;
	uint64_t offset = 0;
	int result = trail_open(&trail, spool, which);
	if (result <= 0)
		return result;
	int known = state == NULL ? 0 : state_trail(state, trail.mark, &offset);
	if (known < 0) {
		trail_close(&trail);
		return -1;
	}
	trail.offset = offset;
	while ((result = trail_next(&trail, &raw)) == 1) {
		if (take_line(tally, raw) < 0) {
			result = -1;
			break;
		}
		if (trail.offset - offset >= max)
			break;
	}
	tally->files[which].there = true;
	tally->files[which].mark = trail.mark;
	tally->files[which].from = offset;
	tally->files[which].to = trail.offset;
	if (known == 0 && which == TRAIL_OLD && state != NULL && state_trail_is_begun(state) == 1)
		tally->untold = true;
	trail_close(&trail);
	return result;
}

/* What was counted, a call for each name. */
static int tell(const struct tally *tally, state_each_refusal *each, void *arg)
{
	for (size_t i = 0; i < tally->names.count; i++) {
		const struct count *count = &tally->counts[i];
		struct span parts[3];
		const char *at = names_get(&tally->names, i).ptr;
		for (size_t k = 0; k < 3; k++) {
			parts[k] = (struct span){at, strlen(at)};
			at += parts[k].len + 1;
		}
		struct state_refusal refusal = {.endpoint = parts[0],
						.connection = parts[1],
						.reason = parts[2],
						.status = count->status,
						.count = count->count,
						.last_at = count->last_at};
		if (each(arg, &refusal) < 0)
			return -1;
	}
	return 0;
}

static int put_refusal(void *arg, const struct state_refusal *refusal)
{
	return state_refusal_add(arg, refusal);
}

static int tell_confs(const struct tally *tally, state_each_conf *each, void *arg)
{
	for (size_t i = 0; i < PROCESSES; i++) {
		const struct buf *why = &tally->confs[i].why;
		struct state_conf conf = {.by = {processes[i], strlen(processes[i])}, .at = tally->confs[i].at};
		if (tally->confs[i].refused)
			conf.why = why->len > 0 ? (struct span){why->data, why->len} : (struct span){"refused", 7};
		if (tally->confs[i].there && each(arg, &conf) < 0)
			return -1;
	}
	return 0;
}

static int put_conf(void *arg, const struct state_conf *conf)
{
	return state_conf_put(arg, conf);
}

static int put_tally(const struct tally *tally, struct state *state)
{
	if (tell(tally, put_refusal, state) < 0 || tell_confs(tally, put_conf, state) < 0 ||
	    (tally->untold && state_count_add(state, STATE_UNTOLD, 1) < 0))
		return -1;
	for (size_t i = 0; i < 2; i++)
		if (tally->files[i].there && state_trail_put(state, tally->files[i].mark, tally->files[i].to) < 0)
			return -1;
	return traffic_put(&tally->traffic, state);
}

static bool is_news(const struct tally *tally)
{
	for (size_t i = 0; i < 2; i++)
		if (tally->files[i].there && tally->files[i].to != tally->files[i].from)
			return true;
	return false;
}

int tally_fold(struct state *state, const struct spool *spool)
{
	struct tally tally = {0};
	int old = take_file(&tally, state, spool, TRAIL_OLD, FOLD_BYTES);
	int new = old < 0 ? -1 : take_file(&tally, state, spool, TRAIL_NEW, FOLD_BYTES);
	int result = new < 0 ? -1 : old + new > 0;
	if (result >= 0 && is_news(&tally)) {
		if (state_begin(state) < 0) {
			result = -1;
		} else if (put_tally(&tally, state) < 0 || state_commit(state) < 0) {
			state_rollback(state);
			result = -1;
		}
	}
	tally_fini(&tally);
	return result;
}

int tally_read(struct state *state, const struct spool *spool, state_each_refusal *each, state_each_conf *each_conf,
	       void *arg)
{
	struct tally tally = {0};
	int result = take_file(&tally, state, spool, TRAIL_OLD, UINT64_MAX);
	if (result >= 0)
		result = take_file(&tally, state, spool, TRAIL_NEW, UINT64_MAX);
	if (result >= 0)
		result = tell(&tally, each, arg);
	if (result >= 0)
		result = tell_confs(&tally, each_conf, arg);
	tally_fini(&tally);
	return result < 0 ? -1 : 0;
}
