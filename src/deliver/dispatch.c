#include "config.h"

#include "deliver/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/text.h"
#include "event/record.h"
#include "spool/segment.h"
#include "state/counts.h"
#include "state/deliveries.h"
#include "state/state.h"
#include "target/file.h"
#include "target/kind.h"
#include "target/orphans.h"
#include "target/retry.h"

#define LANES_AT_ONCE 64
#define EVENTS_MAX    1000
#define BYTES_MAX     (8u << 20)
#define FILES_MAX     200
#define BUFFER_KEPT   (4u << 20)
#define MEMORY_MAX    (16u << 20) /* of a script's input, in memory */
#define ORPHANS_TRIES 100
#define ORPHANS_PAUSE 5000000            /* ns */
#define STARTS_MAX    16                 /* of scripts, until the journal is looked at again */
#define HELD_FOR      (5 * CLOCK_SECOND) /* until a script is started, after there were no means to */

/* An attempt that goes on, and the deliveries that it is for. */
struct slot {
	bool used;
	const struct target_kind *kind;
	struct attempt *attempt;
	struct target target;
	const struct conf *conf; /* held: the target's, which may not be the one in force any more */
	int64_t lane;
	bool retry; /* the lane's head has failed before, or the one before it was given up */
	struct state_delivery *deliveries;
	int count;
};

/* Lanes of a file target, whose deliveries are made in one transaction. */
struct batch {
	const struct target *target;
	int64_t limit; /* retries that are due at this age are gathered */
	int64_t lanes[LANES_AT_ONCE];
	int from[LANES_AT_ONCE + 1]; /* each lane's deliveries, in lanes->deliveries */
	int lane_count;
	size_t file_of[EVENTS_MAX];
};

struct lanes {
	struct deliverer *d;
	struct slot *slots;
	size_t count;
	size_t turn;        /* number of the target that is served first */
	int64_t held_until; /* us, monotonic: until then, or until a script ends, none is started; 0: none is held */
	struct state_delivery *deliveries; /* EVENTS_MAX of them */
	struct orphans orphans;
	bool orphans_left; /* processes that scripts have left behind */
	struct outfiles files;
	struct batch batch;
	struct buf line, first, records;
};

struct lanes *lanes_new(struct deliverer *d)
{
	struct lanes *lanes = calloc(1, sizeof *lanes);
	if (lanes == NULL)
		return NULL;
	lanes->d = d;
	lanes->deliveries = calloc(EVENTS_MAX, sizeof *lanes->deliveries);
	orphans_begin(&lanes->orphans);
	if (lanes->deliveries != NULL && lanes_fit(lanes, d->conf) == 0)
		return lanes;
	lanes_free(lanes);
	return NULL;
}

int lanes_fit(struct lanes *lanes, const struct conf *conf)
{
	size_t count = 0, used = 0;
	for (size_t i = 0; i < conf->target_count; i++)
		if (!conf->targets[i].kind->is_file)
			count += conf->targets[i].workers;
	/* What runs stays, also of a target that is gone or has fewer workers now. */
	for (size_t i = 0; i < lanes->count; i++)
		count += lanes->slots[i].used;
	struct slot *slots = calloc(count + 1, sizeof *slots);
	if (slots == NULL)
		return -1;
	for (size_t i = 0; i < lanes->count; i++)
		if (lanes->slots[i].used)
			slots[used++] = lanes->slots[i];
	free(lanes->slots);
	lanes->slots = slots;
	lanes->count = count;
	return 0;
}

static void slot_clear(struct slot *slot)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): not freed yet, a cleared slot holds NULL */
	free(slot->deliveries);
	free(slot->attempt);
	conf_free(slot->conf);
	*slot = (struct slot){0};
}

static bool no_script(const void *arg, pid_t pid)
{
	(void)arg;
	(void)pid;
	return false;
}

void lanes_free(struct lanes *lanes)
{
	if (lanes == NULL)
		return;
	for (size_t i = 0; lanes->slots != NULL && i < lanes->count; i++) {
		struct slot *slot = &lanes->slots[i];
		if (slot->used)
			slot->kind->kill(slot->attempt);
		slot_clear(slot);
	}
	for (int i = 0; i < ORPHANS_TRIES && orphans_kill(&lanes->orphans, no_script, NULL); i++)
		nanosleep(&(struct timespec){.tv_nsec = ORPHANS_PAUSE}, NULL);
	orphans_end();
	free(lanes->slots);
	free(lanes->deliveries);
	outfiles_fini(&lanes->files);
	buf_fini(&lanes->line);
	buf_fini(&lanes->first);
	buf_fini(&lanes->records);
	free(lanes);
}

static int64_t delay(unsigned attempts, int64_t max)
{
	uint64_t random;
	fsio_random(&random, sizeof random);
	return retry_delay(attempts, max, random);
}

/* Recording, within a transaction. */

static int record_one(struct deliverer *d, const struct target *target, const struct state_delivery *delivery,
		      enum retry_verdict verdict, const char *why, struct state_tally *tally)
{
	static const char *const results[] = {[RETRY_DONE] = "done", [RETRY_AGAIN] = "retry", [RETRY_PARK] = "parked"};
	char id[EVENT_ID_SIZE];
	text_hex(delivery->event, sizeof delivery->event, id);
	deliverer_audit_add(d, target, id, delivery->attempts, results[verdict], why);
	if (verdict == RETRY_DONE) {
		tally->done++;
		return state_delivery_done(d->state, delivery->id);
	}
	tally->failed++;
	tally->error = why;
	if (verdict == RETRY_AGAIN)
		return state_delivery_failed(d->state, delivery, why);
	tally->parked++;
	return state_delivery_park(d->state, delivery, why);
}

/* For how long an event has waited since it was received; its segment's name says that, or an earlier moment. */
static int64_t waited(const struct state_delivery *delivery)
{
	int64_t stamp;
	return segment_parse_name(delivery->segment, &stamp) ? clock_now() - stamp : 0;
}

/* The deliveries of one attempt, all of one lane. `why` may be NULL if it succeeded. `behind`: if it is their first,
 * the event before them was given up. */
static int record_attempt(struct deliverer *d, const struct target *target, int64_t lane,
			  const struct state_delivery *deliveries, int count, bool behind, enum retry_result result,
			  const char *why)
{
	struct state_tally tally = {0};
	int64_t now = state_age(d->state), next_at = 0;
	int64_t max = target_kind_of(target->conf)->retry_max;
	for (int i = 0; i < count; i++) {
		struct state_delivery delivery = deliveries[i];
		delivery.attempts++;
		if (delivery.first_at == 0)
			delivery.first_at = now;
		enum retry_verdict verdict = retry_judge(result, delivery.first_at, now, target->conf->retry_for);
		if (behind && delivery.attempts == 1)
			verdict = retry_judge_behind(verdict, waited(&delivery), target->conf->retry_for);
		/* The lane waits for the first of those that stay. */
		if (verdict == RETRY_AGAIN && next_at == 0)
			next_at = now + delay(delivery.attempts, max);
		if (record_one(d, target, &delivery, verdict, why, &tally) < 0)
			return -1;
	}
	/* What stands behind an event that was given up is likelier to fail than others: it has the share of retries.
	 */
	if (next_at == 0)
		next_at = result == RETRY_SUCCEEDED ? state_ready(d->state) : d->tried_age;
	if (state_target_add(d->state, target->id, &tally) < 0)
		return -1;
	return state_lane_settle(d->state, target->id, lane, next_at);
}

static int end_transaction(struct deliverer *d, int result)
{
	return deliverer_commit(d, result == 0 ? state_keep_age(d->state) : -1);
}

/* Reads a delivery's line. 1; 0: it is gone or damaged and the delivery was parked; -1 with errno. */
static int fetch(struct deliverer *d, const struct target *target, int64_t lane, const struct state_delivery *delivery,
		 struct buf *line, struct event *event)
{
	line->len = 0;
	if (reader_fetch(d->spool, delivery->segment, delivery->offset, delivery->length, line, event) == 0)
		return 1;
	if (errno != ENOENT && errno != EBADMSG)
		return -1;
	const char *why = errno == ENOENT ? "its line in the journal is gone" : "its line in the journal is damaged";
	if (state_begin(d->state) < 0)
		return -1;
	return end_transaction(d, record_attempt(d, target, lane, delivery, 1, false, RETRY_HOPELESS, why));
}

/* What passes when somebody else gives it back: no event is to blame. Memory is not among it: an event may be large. */
static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == EAGAIN;
}

/* An attempt that could not be made for another reason is one all the same: it is told, and it is not made for ever. */
static int fail_head(struct deliverer *d, const struct target *target, int64_t lane, const char *what, int error)
{
	struct state_delivery head;
	struct buf why = {0};
	int count = state_lane_head(d->state, target->id, lane, &head, 1), result = -1;
	if (count == 1 && buf_printf(&why, "%s: %s", what, strerrordesc_np(error)) == 0 && buf_cstr(&why) != NULL &&
	    state_begin(d->state) == 0)
		result = end_transaction(d, record_attempt(d, target, lane, &head, 1, false, RETRY_FAILED, why.data));
	buf_fini(&why);
	return count == 0 ? 0 : result;
}

/* Scripts */

struct load {
	unsigned running, retrying; /* the latter are among the former */
};

static struct load target_load(const struct lanes *lanes, const struct target *target)
{
	struct load load = {0};
	for (size_t i = 0; i < lanes->count; i++) {
		const struct slot *slot = &lanes->slots[i];
		bool counts = slot->used && slot->target.id == target->id;
		load.running += counts;
		load.retrying += counts && slot->retry;
	}
	return load;
}

bool lanes_is_running(const struct lanes *lanes, const struct target *target, int64_t lane)
{
	for (size_t i = 0; i < lanes->count; i++)
		if (lanes->slots[i].used && lanes->slots[i].target.id == target->id && lanes->slots[i].lane == lane)
			return true;
	return false;
}

static struct slot *free_slot(const struct lanes *lanes)
{
	for (size_t i = 0; i < lanes->count; i++)
		if (!lanes->slots[i].used)
			return &lanes->slots[i];
	return NULL;
}

/* The first lane of the target that is due at `from` or later and does not run. 1, 0 or -1. */
static int find_lane(const struct lanes *lanes, const struct target *target, int64_t from, struct state_lane *lane)
{
	struct state_lane due[LANES_AT_ONCE + 1];
	int n = state_lanes(lanes->d->state, target->id, from, due, (int)target_load(lanes, target).running + 1);
	for (int i = 0; i < n; i++)
		if (!lanes_is_running(lanes, target, due[i].lane)) {
			*lane = due[i];
			return 1;
		}
	return n < 0 ? -1 : 0;
}

/* The lane whose turn it is, of those that are due at `limit`, for a free worker of the target. 1, 0 or -1. */
static int choose_lane(const struct lanes *lanes, const struct target *target, int64_t limit, struct state_lane *lane)
{
	struct state_lane first = {0}, retry = {0};
	struct load load = target_load(lanes, target);
	if (load.running >= target->conf->workers)
		return 0;
	int first_found = find_lane(lanes, target, INT64_MIN, &first);
	int retry_found = find_lane(lanes, target, 0, &retry);
	if (first_found < 0 || retry_found < 0)
		return -1;
	struct retry_share share = {
		.workers = target->conf->workers,
		.retrying = load.retrying,
		.first_waits = first_found == 1 && first.next_at < 0,
		.retry_waits = retry_found == 1 && retry.next_at <= limit,
		.was_retry = target->was_retry,
	};
	enum retry_turn turn = retry_turn(&share);
	if (turn == RETRY_NOBODY)
		return 0;
	*lane = turn == RETRY_RETRY ? retry : first;
	return 1;
}

/* A script's input, which is kept in memory while it is small. */
struct input_writer {
	struct attempt_input *input;
	const struct deliverer *d;
	size_t bytes;
	bool on_disk;
};

/* What stays free is for the journal. */
static int keep_reserve(const struct deliverer *d)
{
	uint64_t bytes, inodes;
	if (fsio_free_space(d->spool->fd, &bytes, &inodes) == 0 && bytes < d->conf->reserve) {
		errno = ENOSPC;
		return -1;
	}
	return 0;
}

static int drain_to_input(void *arg, struct buf *out)
{
	struct input_writer *writer = arg;
	if (!writer->on_disk && writer->bytes + out->len > MEMORY_MAX) {
		if (attempt_input_spill(&writer->input->fd, writer->d->spool->fd) < 0)
			return -1;
		writer->on_disk = true;
	}
	if (writer->on_disk && keep_reserve(writer->d) < 0)
		return -1;
	if (fsio_write(writer->input->fd, out->data, out->len) < 0)
		return -1;
	writer->bytes += out->len;
	out->len = 0;
	return 0;
}

/* Writes the records of the lane's first deliveries to the script's input. Those that were written are moved to the
 * front of `deliveries`; their number, or -1 with errno and *what failed. */
static int write_input(struct lanes *lanes, struct slot *slot, int count, struct attempt_input *input,
		       struct event *first, const char **what)
{
	struct state_delivery *deliveries = lanes->deliveries;
	struct input_writer writer = {.input = input, .d = lanes->d};
	int kept = 0;
	for (int i = 0; i < count && writer.bytes < BYTES_MAX; i++) {
		struct event event;
		struct buf *line = kept == 0 ? &lanes->first : &lanes->line;
		*what = "its line in the journal cannot be read";
		int fetched = fetch(lanes->d, &slot->target, slot->lane, &deliveries[i], line, &event);
		if (fetched < 0)
			return -1;
		if (fetched == 0)
			continue;
		*what = "its records cannot be written for the script";
		lanes->records.len = 0;
		if (records_append(&event, &lanes->records, drain_to_input, &writer) < 0 ||
		    drain_to_input(&writer, &lanes->records) < 0)
			return -1;
		input->records += event.count;
		if (kept == 0)
			*first = event;
		deliveries[kept++] = deliveries[i];
	}
	return kept;
}

/* A large event's memory is not kept for the small ones that follow. */
static void give_back(struct lanes *lanes)
{
	struct buf *const buffers[] = {&lanes->line, &lanes->first, &lanes->records};
	int saved = errno;
	for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
		if (buffers[i]->cap > BUFFER_KEPT)
			buf_fini(buffers[i]);
	errno = saved;
}

/* Starts an attempt at the deliveries. 1, or -1 with errno. */
static int start_attempt(struct slot *slot, const struct state_delivery *deliveries, int count,
			 struct attempt_input *input)
{
	slot->deliveries = malloc((size_t)count * sizeof *slot->deliveries);
	slot->attempt = malloc(slot->kind->size);
	if (slot->deliveries == NULL || slot->attempt == NULL)
		return -1;
	memcpy(slot->deliveries, deliveries, (size_t)count * sizeof *slot->deliveries);
	slot->count = count;
	input->attempt = deliveries[0].attempts + 1;
	if (slot->kind->start(slot->attempt, slot->target.conf, input) == 0)
		return 1;
	/* Of fork: the system's lack, not this event's. */
	if (errno == ENOMEM)
		errno = EAGAIN;
	return -1;
}

/* 1: it runs; 0: nothing is left to run; -1 with errno and *what failed; NULL: not the attempt, but state.db. */
static int start_script(struct lanes *lanes, struct slot *slot, const char **what)
{
	struct event first;
	struct attempt_input input = {.first = &first, .files = &lanes->d->files_before};
	*what = NULL;
	int result = state_lane_head(lanes->d->state, slot->target.id, slot->lane, lanes->deliveries,
				     (int)slot->target.conf->batch);
	if (result <= 0)
		return result;
	*what = "there is no room for the script's input";
	input.fd = attempt_input_open();
	if (input.fd < 0)
		return -1;
	result = write_input(lanes, slot, result, &input, &first, what);
	if (result > 0) {
		*what = "the script cannot be started";
		result = start_attempt(slot, lanes->deliveries, result, &input);
	}
	fsio_close(&input.fd);
	give_back(lanes);
	return result;
}

/* No script is started until one ends, or for a while. No lane's time moves: all of them are due as they were. */
static void hold_scripts(struct lanes *lanes)
{
	lanes->held_until = clock_monotonic() + HELD_FOR;
	deliverer_report(lanes->d, "no further script can be started until one ends");
}

static bool scripts_are_held(const struct lanes *lanes)
{
	return lanes->held_until != 0 && clock_monotonic() < lanes->held_until;
}

/* A place for one more run, or NULL with errno EMFILE: some descriptors are kept for files and the page. */
static struct slot *find_room(const struct lanes *lanes)
{
	size_t used = 0;
	for (size_t i = 0; i < lanes->count; i++)
		used += lanes->slots[i].used;
	if (used < lanes->d->runs_max)
		return free_slot(lanes);
	errno = EMFILE;
	return NULL;
}

/* Starts the lane's script. 0; -1 with errno: state.db. */
static int start_lane(struct lanes *lanes, struct target *target, const struct state_lane *lane)
{
	const char *what;
	struct slot *slot = find_room(lanes);
	if (slot == NULL) {
		hold_scripts(lanes);
		return 0;
	}
	*slot = (struct slot){.kind = target_kind_of(target->conf),
			      .target = *target,
			      .conf = conf_hold(lanes->d->conf),
			      .lane = lane->lane,
			      .retry = lane->next_at >= 0};
	bool was_retry = slot->retry;
	int started = start_script(lanes, slot, &what), error = errno;
	slot->used = started == 1;
	if (started != 1)
		slot_clear(slot);
	errno = error;
	if (started < 0 && (what == NULL || error == STATE_CORRUPT))
		return -1;
	if (started < 0 && is_shortage(error)) {
		hold_scripts(lanes);
		return 0;
	}
	target->was_retry = was_retry;
	return started < 0 ? fail_head(lanes->d, target, lane->lane, what, error) : 0;
}

/* Starts at most `most` of them. */
static int start_scripts(struct lanes *lanes, struct target *target, int64_t limit, int most)
{
	int tried = 0;
	while (tried < most && !scripts_are_held(lanes)) {
		struct state_lane lane;
		int found = choose_lane(lanes, target, limit, &lane);
		if (found <= 0)
			return found < 0 ? -1 : tried;
		if (start_lane(lanes, target, &lane) < 0)
			return -1;
		tried += !scripts_are_held(lanes);
	}
	return tried;
}

/* Files: the deliveries of several lanes at a time. */

/* Adds a lane as far as it can be read. */
static int gather_lane(struct lanes *lanes, int64_t lane, size_t *bytes)
{
	struct batch *batch = &lanes->batch;
	int from = batch->from[batch->lane_count], kept = 0, gathered = 1;
	int count =
		state_lane_head(lanes->d->state, batch->target->id, lane, lanes->deliveries + from, EVENTS_MAX - from);
	for (int i = 0; i < count && *bytes < BYTES_MAX && lanes->files.names.count < FILES_MAX; i++) {
		struct event event;
		const struct state_delivery delivery = lanes->deliveries[from + i];
		gathered = fetch(lanes->d, batch->target, lane, &delivery, &lanes->line, &event);
		if (gathered == 1 &&
		    outfiles_take(&lanes->files, batch->target->conf, &event, &batch->file_of[from + kept]) < 0)
			gathered = -1;
		if (gathered < 0)
			break;
		if (gathered == 0)
			continue;
		*bytes += delivery.length;
		lanes->deliveries[from + kept++] = delivery;
	}
	if (lanes->files.is_torn || count < 0 || (gathered < 0 && (is_shortage(errno) || errno == STATE_CORRUPT)))
		return -1;
	if (gathered < 0 && kept == 0)
		return fail_head(lanes->d, batch->target, lane, "its line in the journal cannot be read", errno);
	batch->lanes[batch->lane_count++] = lane;
	batch->from[batch->lane_count] = from + kept;
	return 0;
}

/* Up to `max` lanes of those that wait for a retry (from 0 on), or of the ready ones. A lane whose script still runs,
 * because the target was one of scripts before the configuration changed, is not due before its end. */
static int gather_lanes(struct lanes *lanes, int64_t from, int64_t limit, int max)
{
	struct batch *batch = &lanes->batch;
	struct state_lane due[2 * LANES_AT_ONCE];
	size_t bytes = 0;
	int before = batch->lane_count, running = (int)target_load(lanes, batch->target).running;
	int n = state_lanes(lanes->d->state, batch->target->id, from, due,
			    max + (running < LANES_AT_ONCE ? running : LANES_AT_ONCE));
	for (int i = 0; i < n && due[i].next_at <= limit && batch->lane_count - before < max; i++) {
		if (lanes_is_running(lanes, batch->target, due[i].lane))
			continue;
		if (bytes >= BYTES_MAX || batch->from[batch->lane_count] >= EVENTS_MAX ||
		    lanes->files.names.count >= FILES_MAX)
			break;
		if (gather_lane(lanes, due[i].lane, &bytes) < 0)
			return -1;
	}
	return n < 0 ? -1 : 0;
}

/* What is due. Retries have their share of the batch, however many lanes are ready. */
static int gather(void *arg)
{
	struct lanes *lanes = arg;
	lanes->batch.lane_count = 0;
	if (gather_lanes(lanes, 0, lanes->batch.limit, LANES_AT_ONCE / 2) < 0 ||
	    gather_lanes(lanes, INT64_MIN, -1, LANES_AT_ONCE - lanes->batch.lane_count) < 0)
		return -1;
	return lanes->batch.lane_count > 0;
}

/* The delivery of a lane whose file has an error, the first one, or if there is none one that was held back for others;
 * -1: none. */
static int find_error(const struct lanes *lanes, int at)
{
	const struct batch *batch = &lanes->batch;
	int held = -1;
	for (int i = batch->from[at]; i < batch->from[at + 1]; i++) {
		int error = outfiles_error(&lanes->files, batch->file_of[i]);
		if (error != 0 && error != ECANCELED)
			return i;
		if (error != 0 && held < 0)
			held = i;
	}
	return held;
}

/* All lanes are written or none: those that are not to blame stay due. */
static void spread_errors(void *arg)
{
	struct lanes *lanes = arg;
	bool failed = false;
	for (int i = 0; i < lanes->batch.lane_count; i++)
		failed |= find_error(lanes, i) >= 0;
	for (size_t i = 0; failed && i < lanes->files.names.count; i++)
		outfiles_refuse(&lanes->files, i, ECANCELED);
}

/* Lanes that were only held back by others are left as they are. */
static int record_batch(void *arg)
{
	const struct lanes *lanes = arg;
	const struct batch *batch = &lanes->batch;
	for (int i = 0; i < batch->lane_count; i++) {
		int failed = find_error(lanes, i);
		size_t file = batch->file_of[failed < 0 ? batch->from[i] : failed];
		if (outfiles_error(&lanes->files, file) == ECANCELED)
			continue;
		if (record_attempt(lanes->d, batch->target, batch->lanes[i], lanes->deliveries + batch->from[i],
				   batch->from[i + 1] - batch->from[i], false,
				   failed < 0 ? RETRY_SUCCEEDED : RETRY_FAILED, outfiles_why(&lanes->files, file)) < 0)
			return -1;
	}
	return 0;
}

static void drop_audit_lines(void *arg)
{
	const struct lanes *lanes = arg;
	lanes->d->audit_lines.len = 0;
}

/* How many lanes were tried, or -1 with errno. */
static int append_files(struct lanes *lanes, const struct target *target, int64_t limit)
{
	static const struct outfiles_owner owner = {gather, spread_errors, record_batch, drop_audit_lines};
	const struct target_context context = deliverer_context(lanes->d);
	int waiting = state_is_waiting(lanes->d->state, target->id);
	if (waiting <= 0)
		return waiting;
	lanes->batch.target = target;
	lanes->batch.limit = limit;
	int result = outfiles_run(&lanes->files, &context, &owner, lanes);
	give_back(lanes);
	if (result == 1)
		deliverer_audit_flush(lanes->d);
	return result < 0 ? -1 : lanes->batch.lane_count;
}

int lanes_start(struct lanes *lanes, int64_t limit)
{
	struct deliverer *d = lanes->d;
	int tried = 0, starts = STARTS_MAX;
	d->tried_age = limit;
	size_t targets = d->conf->target_count, next = lanes->turn;
	for (size_t i = 0; i < targets; i++) {
		size_t number = (lanes->turn + i) % targets;
		struct target *target = &d->targets[number];
		bool is_file = target->conf->kind->is_file;
		int n = is_file ? append_files(lanes, target, limit) : start_scripts(lanes, target, limit, starts);
		if (n < 0)
			return -1;
		tried += n;
		if (is_file || n == 0)
			continue;
		starts -= n;
		/* Whoever could not have all of its starts is the first the next time. */
		if (starts > 0)
			next = number + 1;
	}
	lanes->turn = targets == 0 ? 0 : next % targets;
	return tried;
}

/* As lanes_next, for one target. */
static int target_next(const struct lanes *lanes, const struct target *target, int64_t limit, int64_t *next_at)
{
	struct state_lane lane = {0};
	bool is_file = target->conf->kind->is_file;
	if (!is_file && target_load(lanes, target).running >= target->conf->workers)
		return 0;
	if (!is_file && scripts_are_held(lanes)) {
		*next_at = limit + 1 + (lanes->held_until - clock_monotonic());
		return state_is_waiting(lanes->d->state, target->id);
	}
	int found = is_file ? find_lane(lanes, target, INT64_MIN, &lane) : choose_lane(lanes, target, limit, &lane);
	if (found == 0)
		found = find_lane(lanes, target, limit + 1, &lane);
	if (found == 1)
		*next_at = lane.next_at;
	return found;
}

int lanes_next(struct lanes *lanes, int64_t limit, int64_t *next_at)
{
	int some = 0;
	for (size_t i = 0; i < lanes->d->conf->target_count; i++) {
		int64_t at;
		int found = target_next(lanes, &lanes->d->targets[i], limit, &at);
		if (found < 0)
			return -1;
		if (found == 1 && (!some || at < *next_at))
			*next_at = at;
		some |= found;
	}
	return some;
}

size_t lanes_max(const struct lanes *lanes)
{
	return lanes->count;
}

size_t lanes_poll(const struct lanes *lanes, struct pollfd *fds)
{
	size_t n = 0;
	for (size_t i = 0; i < lanes->count; i++)
		if (lanes->slots[i].used && lanes->slots[i].attempt->fd >= 0)
			fds[n++] = (struct pollfd){.fd = lanes->slots[i].attempt->fd, .events = POLLIN};
	return n;
}

static int record_run(struct deliverer *d, struct slot *slot)
{
	struct buf why = {0};
	enum retry_result result = slot->kind->result(slot->attempt);
	int recorded = -1;
	if (slot->kind->describe(slot->attempt, &why) == 0 && buf_cstr(&why) != NULL)
		recorded = record_attempt(d, &slot->target, slot->lane, slot->deliveries, slot->count, slot->retry,
					  result, why.data);
	buf_fini(&why);
	return recorded;
}

/* All that have ended, in one transaction. */
static int record_runs(struct lanes *lanes)
{
	struct deliverer *d = lanes->d;
	int result = state_begin(d->state);
	if (result < 0)
		return -1;
	for (size_t i = 0; i < lanes->count && result == 0; i++) {
		struct slot *slot = &lanes->slots[i];
		if (slot->used && slot->attempt->ended)
			result = record_run(d, slot);
	}
	return end_transaction(d, result);
}

static bool is_script(const void *arg, pid_t pid)
{
	const struct lanes *lanes = arg;
	for (size_t i = 0; i < lanes->count; i++) {
		const struct slot *slot = &lanes->slots[i];
		if (slot->used && !slot->attempt->ended && slot->attempt->pid == pid)
			return true;
	}
	return false;
}

static void end_orphans(struct lanes *lanes)
{
	if (lanes->orphans_left)
		lanes->orphans_left = orphans_kill(&lanes->orphans, is_script, lanes);
}

int lanes_collect(struct lanes *lanes, int64_t now)
{
	int ended = 0;
	for (size_t i = 0; i < lanes->count; i++) {
		struct slot *slot = &lanes->slots[i];
		if (!slot->used)
			continue;
		slot->kind->tick(slot->attempt, now);
		if (!slot->kind->reap(slot->attempt))
			continue;
		lanes->held_until = 0;
		lanes->orphans_left = true;
		/* Stopped by us, and so not done: it stays pending as if it had not been tried. */
		if (slot->attempt->stopped && slot->kind->result(slot->attempt) != RETRY_SUCCEEDED)
			slot_clear(slot);
		else
			ended++;
	}
	end_orphans(lanes);
	if (ended == 0)
		return 0;
	if (record_runs(lanes) < 0)
		return -1;
	for (size_t i = 0; i < lanes->count; i++)
		if (lanes->slots[i].used && lanes->slots[i].attempt->ended)
			slot_clear(&lanes->slots[i]);
	return ended;
}

int64_t lanes_deadline(const struct lanes *lanes)
{
	int64_t deadline = INT64_MAX;
	for (size_t i = 0; i < lanes->count; i++)
		if (lanes->slots[i].used && lanes->slots[i].attempt->deadline < deadline)
			deadline = lanes->slots[i].attempt->deadline;
	return deadline;
}

bool lanes_are_busy(const struct lanes *lanes)
{
	for (size_t i = 0; i < lanes->count; i++)
		if (lanes->slots[i].used)
			return true;
	return false;
}

void lanes_stop(struct lanes *lanes, int64_t now)
{
	for (size_t i = 0; i < lanes->count; i++)
		if (lanes->slots[i].used)
			lanes->slots[i].kind->stop(lanes->slots[i].attempt, now);
}
