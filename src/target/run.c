#include "config.h"

#include "target/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/executable.h"
#include "base/fsio.h"
#include "base/text.h"

#define GRACE           (5 * CLOCK_SECOND) /* from TERM to KILL */
#define ENVIRONMENT_MAX 16
#define HOPELESS        100
#define SIGNALS         64 /* that Linux has */
#define NOT_FOUND       127
#define END_TRIES       1000
#define END_PAUSE       1000000 /* ns */
#define READS           64      /* of a script that talks without end, at a time */

/* The environment: "NAME=value" texts, one after the other. */
struct environment {
	struct buf text;
	size_t starts[ENVIRONMENT_MAX];
	size_t count;
};

static int add_name(struct environment *env, const char *name)
{
	env->starts[env->count++] = env->text.len;
	return buf_str(&env->text, name) < 0 || buf_char(&env->text, '=') < 0 ? -1 : 0;
}

static int add(struct environment *env, const char *name, const char *value)
{
	return add_name(env, name) < 0 ? -1 : buf_append(&env->text, value, strlen(value) + 1);
}

static int add_number(struct environment *env, const char *name, uint64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%llu", (unsigned long long)value);
	return add(env, name, text);
}

/* A sender's value: nothing in it can mean anything to a shell. */
static int add_field(struct environment *env, const char *name, const struct event *event, enum event_field field)
{
	struct buf plain = {0};
	int result = add_name(env, name);
	if (result == 0 && event->fields[field].ptr != NULL) {
		result = event_field_text(event, field, &plain);
		if (result == 0)
			result = text_component(&env->text, plain.data, plain.len);
	}
	buf_fini(&plain);
	return result < 0 ? -1 : buf_char(&env->text, '\0');
}

/* The same however the deliverer was started: by a web server, which may clear the environment, or from a shell. The
 * name service is not asked: it needs shared libraries. */
static void find_home(char home[PATH_MAX])
{
	const char *given = getenv("HOME");
	snprintf(home, PATH_MAX, "%s", given != NULL && *given != '\0' ? given : "/");
	FILE *file = fopen("/etc/passwd", "re");
	if (file == NULL)
		return;
	struct passwd *user;
	while ((user = fgetpwent(file)) != NULL)
		if (user->pw_uid == geteuid()) {
			snprintf(home, PATH_MAX, "%s", user->pw_dir);
			break;
		}
	fclose(file);
}

static int make_environment(struct environment *env, const struct conf_target *conf, const struct attempt_input *input)
{
	const struct event *event = input->first;
	char home[PATH_MAX], endpoint[256];
	find_home(home);
	snprintf(endpoint, sizeof endpoint, "%.*s", (int)event->endpoint.len, event->endpoint.ptr);
	return add(env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") < 0 ||
			       add(env, "HOME", home) < 0 || add(env, "LANG", "C.UTF-8") < 0 ||
			       add(env, "HOOKSPOOL_EVENT_ID", event->id) < 0 ||
			       add(env, "HOOKSPOOL_ENDPOINT", endpoint) < 0 ||
			       add_field(env, "HOOKSPOOL_TYPE", event, EVENT_TYPE) < 0 ||
			       add_field(env, "HOOKSPOOL_EVENT", event, EVENT_EVENT) < 0 ||
			       add_field(env, "HOOKSPOOL_OBJECT_TYPE", event, EVENT_OBJECT_TYPE) < 0 ||
			       add_field(env, "HOOKSPOOL_CONNECTION_ID", event, EVENT_CONNECTION_ID) < 0 ||
			       add_number(env, "HOOKSPOOL_COUNT", input->records) < 0 ||
			       add_number(env, "HOOKSPOOL_ATTEMPT", input->attempt) < 0 ||
			       add(env, "HOOKSPOOL_TARGET", conf->name) < 0
		       ? -1
		       : 0;
}

/* Signals 32 and 33 too, which the C library keeps to itself: its posix_spawn leaves them ignored in a deliverer that
 * was started so, and a script would inherit that. */
static void reset_signals(void)
{
	static const uint64_t plain[8]; /* the kernel's struct sigaction: SIG_DFL is zero, and so is all else */
	sigset_t none;
	for (int number = 1; number <= SIGNALS; number++)
		syscall(SYS_rt_sigaction, number, plain, NULL, SIGNALS / 8);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child, from fork to exec: nothing here may need memory. */
static _Noreturn void become(char *const *argv, char **env, const struct attempt_input *input, int output, pid_t parent)
{
	setpgid(0, 0);
	/* What the script orphans stays below it until its end, so that it is known whose it is (orphans.h). */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (input->files != NULL)
		setrlimit(RLIMIT_NOFILE, input->files);
	/* When the deliverer is killed, its successor runs this event again: not beside this run. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || dup2(input->fd, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		_exit(NOT_FOUND);
	fsio_close_from(STDERR_FILENO + 1);
	reset_signals();
	if (chdir("/") == 0)
		execve(argv[0], argv, env);
	int failed = errno;
	char why[EXECUTABLE_WHY_SIZE];
	const char *fault = executable_fault(argv[0], why);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], fault != NULL ? fault : strerrordesc_np(failed));
	_exit(NOT_FOUND);
}

static int start_program(struct target_run *run, char *const *argv, char **env, const struct attempt_input *input)
{
	int output[2];
	if (pipe2(output, O_CLOEXEC) < 0)
		return -1;
	pid_t parent = getpid();
	run->attempt.pid = -1;
	if (fcntl(output[0], F_SETFL, O_NONBLOCK) == 0)
		run->attempt.pid = fork();
	if (run->attempt.pid == 0)
		become(argv, env, input, output[1], parent);
	int saved = errno;
	close(output[1]);
	if (run->attempt.pid < 0) {
		close(output[0]);
		errno = saved;
		return -1;
	}
	/* Both sides do it: whoever is first, the group is there when it is needed. */
	setpgid(run->attempt.pid, run->attempt.pid);
	run->attempt.fd = output[0];
	return 0;
}

static int run_start(struct attempt *attempt, const struct conf_target *conf, const struct attempt_input *input)
{
	struct target_run *run = (struct target_run *)attempt;
	struct environment env = {0};
	char *pointers[ENVIRONMENT_MAX + 1];
	int result = -1;
	*run = (struct target_run){.attempt.fd = -1};
	if (lseek(input->fd, 0, SEEK_SET) < 0 || make_environment(&env, conf, input) < 0)
		goto end;
	for (size_t i = 0; i < env.count; i++)
		pointers[i] = env.text.data + env.starts[i];
	pointers[env.count] = NULL;
	result = start_program(run, conf->words, pointers, input);
	run->attempt.deadline = clock_monotonic() + conf->timeout;
end:
	buf_fini(&env.text);
	return result;
}

static void hear(struct target_run *run, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run->tail[run->said++ % TARGET_RUN_TAIL] = bytes[i];
}

static void close_output(struct target_run *run)
{
	if (run->attempt.fd >= 0)
		close(run->attempt.fd);
	run->attempt.fd = -1;
}

static void take_output(struct target_run *run)
{
	char bytes[4096];
	for (int i = 0; i < READS && run->attempt.fd >= 0; i++) {
		ssize_t n = read(run->attempt.fd, bytes, sizeof bytes);
		if (n > 0) {
			hear(run, bytes, (size_t)n);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			close_output(run);
		} else if (errno == EAGAIN) {
			break;
		}
	}
}

/* A script may have left the group that it was made the leader of. */
static void send_signal(const struct target_run *run, int number)
{
	kill(-run->attempt.pid, number);
	kill(run->attempt.pid, number);
}

static void tell_to_end(struct target_run *run, int64_t now)
{
	send_signal(run, SIGTERM);
	run->stage = TARGET_RUN_TOLD;
	run->attempt.deadline = now + GRACE;
}

static void run_tick(struct attempt *attempt, int64_t now)
{
	struct target_run *run = (struct target_run *)attempt;
	take_output(run);
	if (now < run->attempt.deadline)
		return;
	if (run->stage == TARGET_RUN_GOING) {
		run->timed_out = true;
		tell_to_end(run, now);
	} else if (run->stage == TARGET_RUN_TOLD) {
		send_signal(run, SIGKILL);
		run->stage = TARGET_RUN_KILLED;
		run->attempt.deadline = INT64_MAX;
	}
}

static void run_stop(struct attempt *attempt, int64_t now)
{
	struct target_run *run = (struct target_run *)attempt;
	if (attempt->ended || run->stage != TARGET_RUN_GOING)
		return;
	run->attempt.stopped = true;
	tell_to_end(run, now);
}

/* Takes the leader's end, which must have come or be about to. One that the kernel does not let end is not waited for.
 */
static void take_end(struct target_run *run)
{
	/* While the leader is not reaped its number cannot become another group's. */
	send_signal(run, SIGKILL);
	for (int i = 0; i < END_TRIES && waitpid(run->attempt.pid, &run->status, WNOHANG) == 0; i++)
		nanosleep(&(struct timespec){.tv_nsec = END_PAUSE}, NULL);
	take_output(run);
	close_output(run);
	run->attempt.ended = true;
	run->attempt.deadline = INT64_MAX;
}

static bool run_reap(struct attempt *attempt)
{
	struct target_run *run = (struct target_run *)attempt;
	siginfo_t info = {0};
	if (attempt->ended)
		return true;
	if (waitid(P_PID, (id_t)run->attempt.pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return false;
	take_end(run);
	return true;
}

static void run_kill(struct attempt *attempt)
{
	if (!attempt->ended)
		take_end((struct target_run *)attempt);
}

static enum retry_result run_result(const struct attempt *attempt)
{
	const struct target_run *run = (const struct target_run *)attempt;
	if (run->timed_out || !WIFEXITED(run->status))
		return RETRY_FAILED;
	if (WEXITSTATUS(run->status) == 0)
		return RETRY_SUCCEEDED;
	return WEXITSTATUS(run->status) == HOPELESS ? RETRY_HOPELESS : RETRY_FAILED;
}

/* The last kilobyte of what it said, oldest byte first, without newlines at its end. */
static int append_tail(const struct target_run *run, struct buf *out)
{
	size_t n = run->said < TARGET_RUN_TAIL ? run->said : TARGET_RUN_TAIL;
	size_t from = run->said < TARGET_RUN_TAIL ? 0 : run->said % TARGET_RUN_TAIL;
	if (n == 0)
		return 0;
	if (buf_str(out, ": ") < 0 || buf_append(out, run->tail + from, n - from) < 0 ||
	    buf_append(out, run->tail, from) < 0)
		return -1;
	while (out->data[out->len - 1] == '\n')
		out->len--;
	return 0;
}

static int run_describe(const struct attempt *attempt, struct buf *out)
{
	const struct target_run *run = (const struct target_run *)attempt;
	int result;
	if (run->timed_out)
		result = buf_str(out, "timeout");
	else if (WIFSIGNALED(run->status))
		result = buf_printf(out, "signal %d", WTERMSIG(run->status));
	else
		result = buf_printf(out, "exit %d", WEXITSTATUS(run->status));
	return result < 0 ? -1 : append_tail(run, out);
}

const struct target_kind target_run_kind = {
	.conf = {"run", .is_program = true},
	.retry_max = RETRY_MAX,
	.size = sizeof(struct target_run),
	.start = run_start,
	.tick = run_tick,
	.reap = run_reap,
	.stop = run_stop,
	.kill = run_kill,
	.result = run_result,
	.describe = run_describe,
};
