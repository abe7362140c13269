#include "config.h"

#include "deliver/deliver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/signals.h"
#include "deliver/adopt.h"
#include "deliver/archive.h"
#include "deliver/deliverer.h"
#include "deliver/dispatch.h"
#include "deliver/gone.h"
#include "deliver/intake.h"
#include "deliver/kept.h"
#include "deliver/requests.h"
#include "spool/audit_line.h"
#include "spool/layout.h"
#include "spool/open.h"
#include "state/counts.h"
#include "state/deliveries.h"
#include "state/files.h"
#include "state/segments.h"
#include "state/state.h"
#include "stats/refusals.h"

/* Microseconds. */
#define LOCK_PAUSE     (CLOCK_SECOND / 20) /* between tries at the lock, at first */
#define LOCK_PAUSE_MAX CLOCK_SECOND
#define ONCE_FOR       (20 * CLOCK_SECOND) /* DELIVER_ONCE: the one that delivers may be on another machine, and stay */
#define NAMES_EVERY    (CLOCK_SECOND / 4)  /* whether names are still the files that are open */
#define YIELD_PAUSE    CLOCK_SECOND        /* before it ends after all, when somebody waited */
#define RETURN_EVERY   (2 * CLOCK_SECOND)  /* whether a spool that is gone is back */
#define STOP_LATEST    (8 * CLOCK_SECOND)  /* from then on: what SIGKILL has not ended by then is left */
#define FAILURE_PAUSE  (2 * CLOCK_SECOND)  /* after a failure; doubled while it goes on failing */
#define FAILURE_MAX    (30 * CLOCK_SECOND)
#define NOT_PUT_AWAY   "segments cannot be put away in archive/"
#define HELD_UP        "a segment cannot be read"
#define DOUBT_MAX      (60 * CLOCK_SECOND)  /* between two damages of state.db that are the same one */
#define DOUBT_PAUSE    100000000            /* ns, before it is opened again */
#define TIDY_EVERY     (600 * CLOCK_SECOND) /* or more often, where less is kept */
#define TIDY_SOONEST   CLOCK_SECOND
#define TIDY_SHARE     8 /* of what is kept or remembered; nothing stays for longer than it has to by more than that */
#define TALLY_EVERY    (2 * CLOCK_SECOND)
#define PUT_AWAY_EVERY CLOCK_SECOND
#define PUT_OFF_FIRST  (2 * CLOCK_SECOND) /* after a failure, twice as long after each other one */
#define PUT_OFF_LATEST (300 * CLOCK_SECOND)
#define REPORT_EVERY   (5 * CLOCK_SECOND)
#define REPORT_SOON    (CLOCK_SECOND / 4)
#define REPORT_LATEST  (30 * CLOCK_SECOND)
#define SHOW_EVERY     (CLOCK_SECOND / 5) /* how far deliveries are, which must be counted for it */
#define FILES_UNUSED   (INT64_C(2) * 86400 * CLOCK_SECOND)
#define FILES_DOUBTED  (INT64_C(60) * 86400 * CLOCK_SECOND)

/* Of the time each may take one part in so many. */
#define PUT_AWAY_SHARE 20
#define REPORT_SHARE   50

#define GATHER_LAST 16 /* steps at the end, for what waits */
#define TIDY_ROWS   20000
#define MOVED       (-1) /* in place of an exit code: the spool that was open is not there any more */
#define STATES_MAX  3    /* how often a state.db may prove damaged before it is a fault of ours */

const struct deliver_times deliver_times = {
	.idle_for = 10 * CLOCK_SECOND,
	.stop_after = 10 * CLOCK_SECOND,
	.look_every = 5 * CLOCK_SECOND,
};

/* What outlives a damaged state.db. */
struct process {
	struct current *current;
	const struct conf *conf; /* held */
	enum deliver_until until;
	const struct deliver_watcher *watcher;
	const struct deliver_times *times;
	struct spool spool;
	int place, seat, lock; /* -1 while it has none: of the one that waits, of the one that delivers; deliver.lock */
	int trigger, signals;  /* -1 while closed */
	struct rlimit files_before; /* the limit on open files that this process was started with */
	bool stopping, hung_up;
	bool is_held_up; /* a segment could not be read, and what was received after it waits */
};

/* From opening state.db to closing it. Times are us of the monotonic clock. */
struct session {
	struct process *process;
	struct deliverer d;
	struct round *round;
	struct lanes *lanes;
	struct gone gone;
	struct pollfd *fds;
	int64_t once_age; /* DELIVER_ONCE: what becomes due later is left */
	int64_t look_at, put_away_at, tidy_at, tally_at, report_at, show_at, idle_since, paused_until, stop_at;
	int64_t names_at, over_at;
	int64_t pause;   /* the next one, after a failure */
	int64_t work_at; /* when there is something to do though nothing happens; 0: not known */
	bool woken;      /* something has happened since the last turn */
	int64_t put_off; /* the last one, after a failure to put away; 0: there was none */
	uint64_t most_pending;
	uint64_t told;    /* state_changes when the last report was made */
	bool is_compared; /* with what a deliverer before this one said of its configuration */
	bool asked;       /* for another report, or there was none yet */
	bool more;        /* something was taken in or tried: there may be more to do at once */
	int held_up_told; /* the error that was told; 0: none */
	bool putting;     /* there is more to put away */
	bool is_put_off;  /* it is told that nothing can be put away */
	bool ending;      /* running scripts were told to end */
};

enum outcome {
	GO_ON,
	ENDED,
	STATE_BAD,     /* state.db is damaged */
	OTHER_VERSION, /* state.db is another version's; it was logged */
	STATE_GONE,    /* another deliverer has taken it over */
	STATE_OTHER,   /* its name is another file's, or nobody's */
	SPOOL_GONE,    /* path is another folder now, or none; it was logged */
	BROKEN,        /* nothing can be done; it was logged */
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Whether the session goes on, by errno. */
static enum outcome judge_state(void)
{
	switch (errno) {
	case STATE_CORRUPT:
		return STATE_BAD;
	case STATE_TAKEN:
		return STATE_GONE;
	case STATE_REPLACED:
		return STATE_OTHER;
	default:
		return GO_ON;
	}
}

/* A failure: logged, and tried again after a pause, unless it is to be done once. */
static enum outcome failed(struct session *s, const char *what)
{
	enum outcome outcome = judge_state();
	if (outcome != GO_ON)
		return outcome;
	deliverer_report(&s->d, what);
	s->paused_until = clock_monotonic() + s->pause;
	s->pause = earlier(s->pause * 2, FAILURE_MAX);
	s->more = false;
	return s->process->until == DELIVER_ONCE || s->process->stopping ? BROKEN : GO_ON;
}

/* Reports */

static bool reports(const struct session *s)
{
	return s->process->conf->status_path != NULL && s->process->watcher != NULL &&
	       s->process->watcher->report != NULL;
}

static bool has_news(const struct session *s)
{
	return reports(s) && (s->asked || state_changes(s->d.state) != s->told);
}

static void report(struct session *s)
{
	int64_t begun = clock_monotonic();
	s->asked = false;
	s->told = state_changes(s->d.state);
	s->process->watcher->report(s->process->watcher->arg, s->d.conf, s->d.spool, s->d.state);
	int64_t now = clock_monotonic(), pause = (now - begun) * REPORT_SHARE;
	/* If the machine stood still meanwhile, it seems to have taken long. */
	if (pause > REPORT_LATEST)
		pause = REPORT_LATEST;
	s->report_at = now + (pause > REPORT_EVERY ? pause : REPORT_EVERY);
}

/* Opening and closing */

static int resume(void *arg, const char *segment, uint64_t offset)
{
	return reader_resume(arg, segment, offset);
}

/* The targets of a configuration; the caller frees them. NULL with errno. */
static struct target *find_targets(struct deliverer *d, const struct conf *conf)
{
	struct target *targets = calloc(conf->target_count + 1, sizeof *targets);
	int result = targets == NULL ? -1 : state_begin(d->state);
	bool has_begun = result == 0;
	for (size_t i = 0; i < conf->target_count && result == 0; i++) {
		targets[i].conf = &conf->targets[i];
		result = state_target(d->state, conf->targets[i].name, &targets[i].id);
	}
	if (has_begun && deliverer_commit(d, result) == 0)
		return targets;
	free(targets);
	return NULL;
}

static int open_targets(struct deliverer *d)
{
	d->targets = find_targets(d, d->conf);
	return d->targets == NULL ? -1 : 0;
}

/* A new state.db is made in one transaction with what the archive remembers. */
static int make_state(struct session *s, const struct adopt *adopt)
{
	if (archive_remember(&s->d, adopt) < 0 || state_commit(s->d.state) < 0)
		return -1;
	log_warnx("%s/state.db: made anew", s->d.conf->spool);
	return 0;
}

/* Brings state.db and folders to one moment after a crash, or after either was lost. */
static int recover(struct session *s, bool fresh)
{
	struct adopt adopt = {0};
	int result = adopt_look(&adopt, &s->d);
	if (result == 0 && fresh)
		result = make_state(s, &adopt);
	if (result == 0)
		result = archive_recover(&s->d, &adopt) < 0 ? -1 : adopt_all(&adopt, &s->d);
	int saved = errno;
	adopt_fini(&adopt);
	errno = saved;
	return result;
}

/* For signals, the trigger, and each script that may run. */
static int make_poll_set(struct session *s)
{
	struct pollfd *fds = reallocarray(s->fds, lanes_max(s->lanes) + 2, sizeof *fds);
	if (fds == NULL)
		return -1;
	s->fds = fds;
	return 0;
}

/* Goes on with what is in force now. 0, or -1 with errno and everything as it was. */
static int change_conf(struct session *s)
{
	struct process *process = s->process;
	const struct conf *conf = current_hold(process->current);
	struct target *targets = find_targets(&s->d, conf);
	if (targets == NULL || lanes_fit(s->lanes, conf) < 0 || make_poll_set(s) < 0 ||
	    gone_find(&s->gone, s->d.state, conf) < 0) {
		free(targets);
		conf_free(conf);
		return -1;
	}
	free(s->d.targets);
	s->d.targets = targets;
	s->d.conf = conf;
	s->d.audit.max = conf->audit_max;
	spool_renew(&process->spool, conf);
	conf_free(process->conf);
	process->conf = conf;
	s->asked = s->more = true;
	return 0;
}

static int session_open(struct session *s, struct process *process)
{
	bool fresh;
	*s = (struct session){.process = process,
			      .d = {.conf = process->conf,
				    .spool = &process->spool,
				    .files_before = process->files_before,
				    .runs_max = descriptors_for_scripts(descriptors_now())},
			      .asked = true,
			      .more = true,
			      .pause = FAILURE_PAUSE};
	audit_init(&s->d.audit, s->d.spool, process->conf->audit_max);
	s->d.state = state_open(s->d.spool, STATE_DELIVER, &fresh);
	if (s->d.state == NULL || recover(s, fresh) < 0 || open_targets(&s->d) < 0 ||
	    gone_find(&s->gone, s->d.state, s->d.conf) < 0)
		return -1;
	s->d.reader = reader_new(s->d.spool);
	s->d.kept = kept_new();
	s->round = round_new(&s->d);
	s->lanes = lanes_new(&s->d);
	if (s->d.reader == NULL || s->d.kept == NULL || s->round == NULL || s->lanes == NULL)
		return -1;
	if (make_poll_set(s) < 0)
		return -1;
	int is_put_off = state_has_trouble(s->d.state, NOT_PUT_AWAY);
	int was_held_up = is_put_off < 0 ? -1 : state_has_trouble(s->d.state, HELD_UP);
	if (was_held_up < 0)
		return -1;
	s->is_put_off = is_put_off;
	s->held_up_told = was_held_up ? EOWNERDEAD : 0;
	s->once_age = state_age(s->d.state);
	s->idle_since = clock_monotonic();
	return state_cursors(s->d.state, resume, s->d.reader);
}

static void session_close(struct session *s)
{
	int saved = errno;
	lanes_free(s->lanes);
	round_free(s->round);
	reader_free(s->d.reader);
	kept_free(s->d.kept);
	state_close(s->d.state);
	audit_fini(&s->d.audit);
	buf_fini(&s->d.audit_lines);
	free(s->d.targets);
	gone_fini(&s->gone);
	free(s->fds);
	errno = saved;
}

/* Waiting */

static void take_signals(struct process *process)
{
	struct signalfd_siginfo info;
	while (read(process->signals, &info, sizeof info) == (ssize_t)sizeof info)
		if (info.ssi_signo == SIGHUP)
			process->hung_up = true;
		else if (info.ssi_signo != SIGCHLD)
			process->stopping = true;
}

static bool take_trigger(const struct process *process)
{
	char bytes[4096];
	bool woken = false;
	while (process->trigger >= 0 && read(process->trigger, bytes, sizeof bytes) > 0)
		woken = true;
	return woken;
}

/* What is due at this age is to be tried. */
static int64_t age_limit(const struct session *s)
{
	return s->process->until == DELIVER_ONCE ? s->once_age : state_age(s->d.state);
}

/* When the next lane is to be tried, or, if none waits, when the deliverer has been idle for long enough to end. What
 * DELIVER_ONCE leaves for later wakes nobody. */
static int64_t next_lane(struct session *s, int64_t now)
{
	int64_t next_age, limit = age_limit(s);
	int waiting = lanes_next(s->lanes, limit, &next_age);
	switch (s->process->until) {
	case DELIVER_ONCE:
		return waiting == 1 && next_age <= limit ? now : INT64_MAX;
	case DELIVER_IDLE:
		if (waiting == 0 && !lanes_are_busy(s->lanes))
			return s->idle_since + s->process->times->idle_for;
		break;
	case DELIVER_STOP:
		break;
	}
	if (waiting != 1)
		return INT64_MAX;
	return next_age <= limit ? now : now + (next_age - limit);
}

/* When there is something to do though nothing happens. */
static int64_t next_turn(struct session *s, int64_t now)
{
	int64_t at = lanes_deadline(s->lanes);
	if (s->process->stopping)
		return earlier(at, s->stop_at);
	if (now < s->paused_until)
		return earlier(at, s->paused_until);
	if (s->more)
		return now;
	at = earlier(at, s->look_at);
	if (now < s->over_at)
		at = earlier(at, s->over_at);
	if (s->putting)
		at = earlier(at, s->put_away_at);
	if (has_news(s))
		at = earlier(at, s->report_at);
	return earlier(at, next_lane(s, now));
}

static void wait_for_turn(struct session *s)
{
	size_t n = 0;
	int64_t now = clock_monotonic();
	if (s->work_at == 0)
		s->work_at = next_turn(s, now);
	int64_t at = s->process->stopping ? s->work_at : earlier(s->work_at, current_look_at(s->process->current));
	int64_t left = at - now;
	s->fds[n++] = (struct pollfd){.fd = s->process->signals, .events = POLLIN};
	if (s->process->trigger >= 0)
		s->fds[n++] = (struct pollfd){.fd = s->process->trigger, .events = POLLIN};
	n += lanes_poll(s->lanes, s->fds + n);
	/* Rounded up: waking too early would be a turn for nothing. */
	s->woken = poll(s->fds, n, left <= 0 ? 0 : (int)earlier((left + 999) / 1000, 60000)) != 0;
	take_signals(s->process);
	if (take_trigger(s->process)) {
		s->look_at = 0;
		s->asked = true;
	}
}

/* Work */

static bool shows_progress(const struct session *s)
{
	return s->process->watcher != NULL && s->process->watcher->progress != NULL;
}

static void show_reading(const struct session *s)
{
	uint64_t done, left;
	if (!shows_progress(s))
		return;
	reader_progress(s->d.reader, &done, &left);
	s->process->watcher->progress(s->process->watcher->arg, DELIVER_READING, done, done + left);
}

static void show_trying(struct session *s, int64_t now)
{
	uint64_t pending;
	if (!shows_progress(s) || now < s->show_at || state_pending_count(s->d.state, &pending) < 0)
		return;
	s->show_at = now + SHOW_EVERY;
	if (pending > s->most_pending)
		s->most_pending = pending;
	s->process->watcher->progress(s->process->watcher->arg, DELIVER_TRYING, s->most_pending - pending,
				      s->most_pending);
}

/* Tells whoever asks what is wrong, or (NULL) that it is not any more. */
static int tell_trouble(struct deliverer *d, const char *what, const char *why)
{
	if (state_begin(d->state) < 0)
		return -1;
	return deliverer_commit(d, why != NULL ? state_trouble_put(d->state, what, why)
					       : state_trouble_drop(d->state, what));
}

static const char *remedy_of(int error)
{
	return error == EACCES || error == EPERM ? "give it to the user of the deliverer (chown), or move it away"
						 : "if that lasts, move it away";
}

/* A segment that cannot be read is named, once, and as long as it holds the others up. */
static enum outcome tell_unread(struct session *s)
{
	const char *segment = s->d.unread.segment;
	int error = segment[0] != '\0' ? s->d.unread.error : 0;
	char why[256];
	s->process->is_held_up = error != 0;
	if (error == s->held_up_told)
		return GO_ON;
	s->held_up_told = error;
	snprintf(why, sizeof why, "journal/%s: %s; what was received after it waits; %s", segment,
		 strerrordesc_np(error), remedy_of(error));
	if (error != 0)
		log_warnx("%s: %s: %s", s->d.spool->path, HELD_UP, why);
	return tell_trouble(&s->d, HELD_UP, error != 0 ? why : NULL) < 0 ? judge_state() : GO_ON;
}

static enum outcome take_in(struct session *s)
{
	int taken = round_take(s->round);
	if (taken < 0)
		return failed(s, "cannot take in events");
	if (taken == 0) {
		s->look_at = clock_monotonic() + s->process->times->look_every;
	} else {
		s->more = true;
		s->idle_since = clock_monotonic();
		show_reading(s);
	}
	return tell_unread(s);
}

static enum outcome run_errands(struct session *s)
{
	int count = reports(s) ? errands_run(&s->d) : 0;
	if (count > 0) {
		s->more = true;
		/* Who asked looks again soon, and what fails or works at once should be told then. */
		s->report_at = earlier(s->report_at, clock_monotonic() + REPORT_SOON);
	}
	return count < 0 ? failed(s, "cannot do what was asked for on the page") : GO_ON;
}

static enum outcome try_lanes(struct session *s)
{
	int tried = lanes_start(s->lanes, age_limit(s));
	if (tried < 0)
		return failed(s, "cannot deliver");
	if (tried > 0) {
		s->more = true;
		s->idle_since = clock_monotonic();
	}
	return GO_ON;
}

static enum outcome park_gone(struct session *s)
{
	int parked = gone_park(&s->gone, &s->d, s->lanes);
	if (parked < 0)
		return failed(s, "cannot park what is pending for a target that is gone");
	s->more |= parked > 0;
	return GO_ON;
}

/* Tells whoever asks that nothing can be put away, or (NULL) that it can be again. */
static int tell_put_off(struct session *s, const char *why)
{
	s->is_put_off = why != NULL;
	return tell_trouble(&s->d, NOT_PUT_AWAY, why);
}

/* It slows no delivery, and is tried again less and less often. */
static enum outcome put_off(struct session *s)
{
	enum outcome outcome = judge_state();
	if (outcome != GO_ON)
		return outcome;
	const char *why = strerrordesc_np(errno);
	deliverer_report(&s->d, NOT_PUT_AWAY "; they stay in journal/");
	s->putting = false;
	s->put_off = s->put_off == 0 ? PUT_OFF_FIRST : earlier(2 * s->put_off, PUT_OFF_LATEST);
	s->put_away_at = clock_monotonic() + s->put_off;
	return tell_put_off(s, why) < 0 ? judge_state() : GO_ON;
}

/* It went well, as it may not have done for an earlier deliverer. */
static enum outcome put_on(struct session *s)
{
	s->put_off = 0;
	return s->is_put_off && tell_put_off(s, NULL) < 0 ? judge_state() : GO_ON;
}

static enum outcome put_away(struct session *s)
{
	int64_t begun = clock_monotonic();
	int more = kept_gather(&s->d);
	int n = more < 0 ? -1 : archive_put_away(&s->d);
	int64_t now = clock_monotonic(), pause = (now - begun) * PUT_AWAY_SHARE;
	s->put_away_at = now + (pause > PUT_AWAY_EVERY ? pause : PUT_AWAY_EVERY);
	s->putting = n > 0 || more > 0;
	return n < 0 ? put_off(s) : put_on(s);
}

static int tidy_state(struct session *s)
{
	struct state *state = s->d.state;
	if (state_begin(state) < 0)
		return -1;
	if (state_seen_sweep(state, TIDY_ROWS, s->d.conf->remember) < 0 ||
	    state_files_sweep(state, s->d.era.number, FILES_UNUSED, FILES_DOUBTED) < 0 ||
	    state_traffic_sweep(state) < 0 || state_keep_age(state) < 0 || state_commit(state) < 0) {
		state_rollback(state);
		return -1;
	}
	return state_tidy(state, !s->more);
}

static int64_t tidy_pause(const struct conf *conf)
{
	int64_t pause = earlier(TIDY_EVERY, earlier(conf->keep, conf->remember) / TIDY_SHARE);
	return pause > TIDY_SOONEST ? pause : TIDY_SOONEST;
}

static enum outcome tidy(struct session *s)
{
	int pruned = archive_prune(&s->d);
	if (pruned < 0 || (pruned == 0 && tidy_state(s) < 0))
		return failed(s, "cannot tidy up");
	s->tidy_at = pruned > 0 ? 0 : clock_monotonic() + tidy_pause(s->d.conf);
	return GO_ON;
}

static void tell_conf(struct session *s, const char *result, const char *detail)
{
	audit_tell_conf(&s->d.audit_lines, &(struct audit_conf){"deliverer", result, detail});
	deliverer_audit_flush(&s->d);
	s->tally_at = 0;
	s->asked = true;
}

static int find_refusal(void *arg, const struct state_conf *conf)
{
	bool *found = arg;
	*found |= conf->why.ptr != NULL && conf->by.len == strlen("deliverer");
	return 0;
}

/* A deliverer before this one may have refused what this one has begun with. */
static int compare_conf(struct session *s)
{
	bool was_refused = false;
	if (state_confs(s->d.state, find_refusal, &was_refused) < 0)
		return -1;
	s->is_compared = true;
	if (was_refused && current_why(s->process->current) == NULL)
		tell_conf(s, "taken", "at the start");
	return 0;
}

static enum outcome tally(struct session *s)
{
	int more = tally_fold(s->d.state, s->d.spool);
	s->tally_at = more > 0 ? 0 : clock_monotonic() + TALLY_EVERY;
	if (more == 0 && !s->is_compared)
		more = compare_conf(s);
	return more < 0 ? failed(s, "cannot count refused requests") : GO_ON;
}

/* Whether all is done that is to be done before it may end. */
static bool is_over(struct session *s)
{
	int64_t next_age;
	if (s->more || lanes_are_busy(s->lanes) || clock_monotonic() < s->over_at)
		return false;
	switch (s->process->until) {
	case DELIVER_STOP:
		return false;
	case DELIVER_IDLE:
		return clock_monotonic() - s->idle_since >= s->process->times->idle_for &&
		       lanes_next(s->lanes, age_limit(s), &next_age) == 0;
	case DELIVER_ONCE:
		break;
	}
	return lanes_next(s->lanes, s->once_age, &next_age) == 0 || next_age > s->once_age;
}

static void listen_to_trigger(struct process *process)
{
	process->trigger = spool_trigger_listen(&process->spool);
	if (process->trigger < 0)
		log_warn("%s/trigger: cannot be read; new events are found a few seconds late", process->conf->spool);
}

/* How it ends when all that is left to do may fail. */
static enum outcome ended(enum outcome outcome)
{
	return outcome == STATE_BAD || outcome == STATE_GONE || outcome == STATE_OTHER ? outcome : ENDED;
}

static enum outcome put_rest_away(struct session *s)
{
	for (int steps = 0, n = 1; n > 0; steps++) {
		int more = steps < GATHER_LAST ? kept_gather(&s->d) : 0;
		n = more < 0 ? -1 : archive_put_away(&s->d);
		if (n < 0) {
			enum outcome outcome = put_off(s);
			return outcome != GO_ON ? outcome : s->process->until == DELIVER_ONCE ? BROKEN : ENDED;
		}
		n += more;
	}
	return ended(put_on(s));
}

/* One that waits and finds the trigger read yields, and whoever finds it waiting starts nobody: so as long as it is
 * there, the trigger is not given up. */
static bool somebody_waits(struct session *s)
{
	int place = spool_place(&s->process->spool, -1);
	bool is_taken = place < 0 && errno == EAGAIN;
	fsio_close(&place);
	if (!is_taken)
		return false;
	s->over_at = clock_monotonic() + YIELD_PAUSE;
	listen_to_trigger(s->process);
	return true;
}

/* A commit before the last look is seen by it; one after it finds no reader, and starts another deliverer. */
static enum outcome finish(struct session *s)
{
	fsio_close(&s->process->trigger);
	if (somebody_waits(s))
		return GO_ON;
	enum outcome outcome = take_in(s);
	if (outcome == GO_ON)
		outcome = run_errands(s);
	if (outcome != GO_ON)
		return outcome;
	if (s->more) {
		listen_to_trigger(s->process);
		return GO_ON;
	}
	do
		outcome = tally(s);
	while (outcome == GO_ON && s->tally_at == 0);
	outcome = ended(outcome);
	return outcome == ENDED ? put_rest_away(s) : outcome;
}

/* Another one has the lock that has this name now, on this machine or on another: it takes over as well. */
static enum outcome renew_lock(struct process *process)
{
	int lock = spool_lock(&process->spool);
	if (lock < 0)
		return errno == EAGAIN ? STATE_GONE : GO_ON;
	fsio_close(&process->lock);
	process->lock = lock;
	log_warnx("%s/deliver.lock: was removed or replaced; made anew", process->spool.path);
	return GO_ON;
}

static enum outcome leave_for_good(const struct process *process)
{
	log_warnx("%s: was moved away, removed or mounted over, so delivery from it ends", process->spool.path);
	return SPOOL_GONE;
}

/* state.db is not what this session had open. Scripts that ran were ended; what was appended and not committed was cut
 * off. */
static enum outcome open_anew(const struct process *process)
{
	if (!spool_is_there(&process->spool))
		return leave_for_good(process);
	log_warnx("%s/state.db: was removed or replaced; it is opened anew", process->spool.path);
	nanosleep(&(struct timespec){.tv_nsec = DOUBT_PAUSE}, NULL);
	return GO_ON;
}

/* Others know the spool and what is in it by their names: whether these still are what is open. */
static enum outcome check_names(struct session *s, int64_t now)
{
	struct process *process = s->process;
	if (now < s->names_at)
		return GO_ON;
	s->names_at = now + NAMES_EVERY;
	if (!spool_is_there(&process->spool))
		return leave_for_good(process);
	if (state_is_there(s->d.state) < 0)
		return STATE_OTHER;
	if (process->trigger >= 0 && !spool_is_named(&process->spool, "trigger", process->trigger)) {
		fsio_close(&process->trigger);
		s->look_at = s->work_at = 0;
	}
	if (process->trigger < 0)
		process->trigger = spool_trigger_listen(&process->spool);
	return spool_is_named(&process->spool, "deliver.lock", process->lock) ? GO_ON : renew_lock(process);
}

static enum outcome stop(struct session *s, int64_t now)
{
	fsio_close(&s->process->trigger);
	if (!lanes_are_busy(s->lanes))
		return ENDED;
	if (s->stop_at == 0)
		s->stop_at = now + s->process->times->stop_after;
	if (now >= s->stop_at && s->ending)
		return ENDED;
	if (now >= s->stop_at) {
		lanes_stop(s->lanes, now);
		s->ending = true;
		s->stop_at = now + STOP_LATEST;
	}
	return GO_ON;
}

static enum outcome work(struct session *s)
{
	int64_t now = clock_monotonic();
	enum outcome outcome = GO_ON;
	bool look = s->more || now >= s->look_at;
	s->more = false;
	if (look)
		outcome = take_in(s);
	if (outcome == GO_ON && look)
		outcome = run_errands(s);
	if (outcome == GO_ON && now >= s->paused_until)
		outcome = park_gone(s);
	if (outcome == GO_ON && now >= s->paused_until)
		outcome = try_lanes(s);
	if (outcome == GO_ON && now >= s->put_away_at)
		outcome = put_away(s);
	if (outcome == GO_ON && now >= s->tidy_at)
		outcome = tidy(s);
	bool report_due = now >= s->report_at && has_news(s);
	if (outcome == GO_ON && (now >= s->tally_at || report_due))
		outcome = tally(s);
	if (outcome == GO_ON && report_due)
		report(s);
	if (outcome == GO_ON && clock_monotonic() >= s->paused_until && is_over(s))
		outcome = finish(s);
	return outcome;
}

static enum outcome look_at_conf(struct session *s)
{
	struct process *process = s->process;
	bool asked = process->hung_up;
	process->hung_up = false;
	switch (current_look(process->current, asked)) {
	case CURRENT_SAME:
		break;
	case CURRENT_TAKEN:
		tell_conf(s, "taken", NULL);
		break;
	case CURRENT_REFUSED:
		tell_conf(s, "refused", current_why(process->current));
		break;
	}
	if (current_is(process->current, process->conf) || clock_monotonic() < s->paused_until || change_conf(s) == 0)
		return GO_ON;
	return failed(s, "cannot go on with the changed configuration");
}

static enum outcome turn(struct session *s)
{
	int64_t now = clock_monotonic();
	if (s->woken || now >= s->work_at)
		s->work_at = 0;
	int ended = lanes_collect(s->lanes, now);
	if (ended < 0) {
		enum outcome outcome = failed(s, "cannot record what has ended");
		if (outcome != GO_ON)
			return outcome;
	}
	if (ended > 0)
		show_trying(s, now);
	if (s->process->stopping)
		return stop(s, now);
	enum outcome outcome = look_at_conf(s);
	if (outcome == GO_ON)
		outcome = check_names(s, now);
	/* The look at the configuration, each second, is all that there was to do. */
	if (s->work_at != 0 && !s->more)
		return outcome;
	s->work_at = 0;
	if (outcome != GO_ON || now < s->paused_until)
		return outcome;
	outcome = work(s);
	if (now >= s->paused_until)
		s->pause = FAILURE_PAUSE;
	return outcome;
}

static enum outcome open_failed(const struct process *process)
{
	switch (errno) {
	case STATE_CORRUPT:
		return STATE_BAD;
	case STATE_TAKEN:
		return STATE_GONE;
	case STATE_OTHER_VERSION:
		log_warnx(
			"%s/state.db: made by another version of this program; run that one, or begin with a new spool",
			process->conf->spool);
		return OTHER_VERSION;
	default:
		log_warn("%s: cannot be opened for delivery", process->conf->spool);
		return BROKEN;
	}
}

static enum outcome session_run(struct process *process)
{
	struct session s;
	enum outcome outcome = session_open(&s, process) < 0 ? open_failed(process) : GO_ON;
	while (outcome == GO_ON) {
		outcome = turn(&s);
		if (outcome == GO_ON)
			wait_for_turn(&s);
	}
	if (outcome == ENDED && has_news(&s))
		report(&s);
	session_close(&s);
	return outcome;
}

/* A damaged state.db is set aside; the journal is delivered from its beginning. SQLite takes a read that failed for
 * damage too: only what is seen again at once is believed. */
static int run_sessions(struct process *process)
{
	char name[64];
	int64_t seen_at = -DOUBT_MAX;
	for (int aside = 0; aside < STATES_MAX;) {
		enum outcome outcome = session_run(process);
		if (outcome == STATE_OTHER)
			outcome = open_anew(process);
		if (outcome == GO_ON)
			continue;
		if (outcome == ENDED)
			return process->is_held_up && !process->stopping ? EX_IOERR : 0;
		if (outcome == OTHER_VERSION)
			return EX_SOFTWARE;
		if (outcome == SPOOL_GONE)
			return MOVED;
		if (outcome == STATE_GONE) {
			log_warnx("%s: another deliverer has taken over, so this one ends: deliver.lock was "
				  "removed, or locks do nothing there",
				  process->conf->spool);
			return EX_TEMPFAIL;
		}
		if (outcome != STATE_BAD)
			return EX_IOERR;
		bool is_first = clock_monotonic() - seen_at >= DOUBT_MAX;
		seen_at = is_first ? clock_monotonic() : -DOUBT_MAX;
		if (is_first) {
			log_warnx("%s/state.db: damaged, or could not be read; it is opened again",
				  process->conf->spool);
			nanosleep(&(struct timespec){.tv_nsec = DOUBT_PAUSE}, NULL);
			continue;
		}
		aside++;
		if (state_set_aside(&process->spool, name) < 0) {
			log_warn("%s/state.db: damaged, and cannot be set aside", process->conf->spool);
			return EX_IOERR;
		}
		log_warnx("%s/state.db: damaged; it is set aside as %s, and what is in the journal is delivered again",
			  process->conf->spool, name);
	}
	return EX_SOFTWARE;
}

/* Starting */

/* A deliverer that was killed while it started a script may leave a child that has its lock and its trigger for a
 * moment. */
static bool has_living_owner(const struct spool *spool)
{
	pid_t owner = spool_locked_by(spool);
	return owner > 0 && (kill(owner, 0) == 0 || errno != ESRCH);
}

/* Takes the seat and the lock, if nobody has them. 0, or -1 with errno. */
static int try_lock(struct process *process)
{
	if (process->seat < 0)
		process->seat = spool_seat(&process->spool);
	if (process->seat < 0)
		return -1;
	process->lock = spool_lock(&process->spool);
	return process->lock < 0 ? -1 : 0;
}

/* The place of the one that waits: its own standard input, where whoever started it has taken the place for it. */
static int take_place(const struct spool *spool)
{
	bool is_handed = spool_is_named(spool, "journal", STDIN_FILENO);
	int place = spool_place(spool, is_handed ? STDIN_FILENO : -1);
	int null = is_handed ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	/* The place is free when the last descriptor of it is closed. */
	if (null >= 0)
		dup2(null, STDIN_FILENO);
	fsio_close(&null);
	return place;
}

/* Waits for seat and lock in the place of the one that waits. 0; -1 with errno, or EAGAIN if another deliverer has them
 * and will look at the journal, or has the place and will look when it is its turn. */
static int take_lock(struct process *process)
{
	int64_t pause = LOCK_PAUSE, give_up_at = clock_monotonic() + ONCE_FOR;
	process->place = take_place(&process->spool);
	if (process->place < 0)
		return -1;
	while (try_lock(process) < 0) {
		if (errno != EAGAIN)
			return -1;
		if ((spool_trigger(&process->spool) == SPOOL_AWAKE && has_living_owner(&process->spool)) ||
		    (process->until == DELIVER_ONCE && clock_monotonic() >= give_up_at)) {
			errno = EAGAIN;
			return -1;
		}
		nanosleep(&(struct timespec){.tv_sec = pause / CLOCK_SECOND, .tv_nsec = pause % CLOCK_SECOND * 1000},
			  NULL);
		pause = earlier(pause * 2, LOCK_PAUSE_MAX);
	}
	return 0;
}

static void leave_spool(struct process *process)
{
	fsio_close(&process->trigger);
	fsio_close(&process->place);
	fsio_close(&process->lock);
	fsio_close(&process->seat);
	spool_close(&process->spool);
}

/* What is set up for the process, and put back at the end. */
struct signals {
	sigset_t mask;
	struct sigaction child;
};

static int signals_open(struct signals *saved)
{
	static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT};
	struct sigaction plain = {.sa_handler = SIG_DFL};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaddset(&set, numbers[i]);
	if (signals_hang_up())
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, &saved->mask);
	/* Ignored, as a parent may have left it, there would be no children to wait for. */
	sigaction(SIGCHLD, &plain, &saved->child);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void signals_close(const struct signals *saved)
{
	sigaction(SIGCHLD, &saved->child, NULL);
	sigprocmask(SIG_SETMASK, &saved->mask, NULL);
}

/* Whoever has found the place taken has committed before it is given up here, and that is before the first look. */
static int deliver_there(struct process *process)
{
	listen_to_trigger(process);
	fsio_close(&process->place);
	return run_sessions(process);
}

/* Opens the spool that stands at the path now, if there is one; it makes none: a mount may be missing. */
static bool find_spool(struct process *process)
{
	if (spool_open(&process->spool, process->conf, SPOOL_RETURN) < 0)
		return false;
	spool_close(&process->spool);
	if (spool_open(&process->spool, process->conf, SPOOL_DELIVER) < 0)
		return false;
	process->place = spool_place(&process->spool, -1);
	if (process->place >= 0 && try_lock(process) == 0)
		return true;
	leave_spool(process);
	return false;
}

/* Waits for a spool to come back. False: it is to end. */
static bool move_over(struct process *process)
{
	leave_spool(process);
	log_warnx("%s: waits for a spool to be there (a folder with journal/ in it)", process->conf->spool);
	while (!process->stopping && !find_spool(process)) {
		struct pollfd fd = {.fd = process->signals, .events = POLLIN};
		poll(&fd, 1, (int)(RETURN_EVERY / 1000));
		take_signals(process);
	}
	return !process->stopping;
}

static int run(struct process *process)
{
	struct signals saved;
	int result = EX_OSERR;
	descriptors_raise(&process->files_before);
	process->signals = signals_open(&saved);
	if (process->signals < 0) {
		log_warn("cannot watch for signals");
	} else {
		result = deliver_there(process);
		while (result == MOVED && process->until == DELIVER_STOP)
			result = move_over(process) ? deliver_there(process) : 0;
	}
	fsio_close(&process->signals);
	signals_close(&saved);
	setrlimit(RLIMIT_NOFILE, &process->files_before);
	return result == MOVED ? EX_TEMPFAIL : result;
}

static int cannot_open(const struct conf *conf)
{
	char fault[LAYOUT_FAULT_SIZE];
	if (!layout_fault(conf, SPOOL_DELIVER, fault)) {
		log_warn("%s: cannot be opened", conf->spool);
		return EX_IOERR;
	}
	log_warnx("%s", fault);
	return EX_NOPERM;
}

int deliver(struct current *current, enum deliver_until until, const struct deliver_watcher *watcher,
	    const struct deliver_times *times)
{
	struct process process = {.current = current,
				  .until = until,
				  .watcher = watcher,
				  .times = times,
				  .place = -1,
				  .seat = -1,
				  .lock = -1,
				  .trigger = -1,
				  .signals = -1};
	int result = EX_IOERR;
	process.conf = current_hold(current);
	if (spool_open(&process.spool, process.conf, SPOOL_DELIVER) < 0) {
		result = cannot_open(process.conf);
		goto end;
	}
	if (take_lock(&process) == 0)
		result = run(&process);
	else if (errno == EAGAIN)
		result = until == DELIVER_STOP ? EX_TEMPFAIL : 0;
	else
		log_warn("%s/deliver.lock", current_spool(current));
	leave_spool(&process);
end:
	conf_free(process.conf);
	return result;
}
