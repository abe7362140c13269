#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/program.h"
#include "base/signals.h"
#include "command/command.h"
#include "receive/server.h"
#include "receive/single.h"
#include "spool/open.h"
#include "spool/spool.h"
#include "web/fcgi.h"
#include "web/listen.h"

#define BACKLOG       1024
#define RESTART_FIRST CLOCK_SECOND
#define RESTART_MAX   (60 * CLOCK_SECOND)
#define RAN_WELL      (60 * CLOCK_SECOND) /* a deliverer that lived this long is started again at once */
#define PART_AFTER_MS 1500                /* how long to wait for the deliverer's end, after the server's */
#define TAKEN_MS      1000                /* how long to wait for a socket's name */

/* The deliverer that `serve` watches, while the configuration says so. */
struct supervisor {
	struct current *current;
	pid_t child;       /* 0: none */
	bool is_dismissed; /* it was asked to end */
	int64_t started_at, start_at, pause;
};

/* In the child. `place` is the deliverer's place in the queue, a lock, which it gets as standard input; -1: none. */
static void run_deliverer(const struct conf *conf, const char *program, pid_t parent, int place)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* A SIGHUP that is passed on before the deliverer handles it must not end it. */
	signals_hold_hang_up();
	/* The deliverer gets SIGTERM when its parent is killed, which may have happened before this call. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() == parent && (place < 0 || dup2(place, STDIN_FILENO) == STDIN_FILENO))
		execl(program, "hookspool", "-c", conf->path, "deliver", "--stay", (char *)NULL);
	_exit(EX_OSERR);
}

/* Whether a deliverer may be started, which is not so if another one waits already. *place is the lock for it, or -1.
 */
static bool take_place(const struct conf *conf, int *place)
{
	struct spool spool;
	*place = -1;
	if (spool_open(&spool, conf, SPOOL_RETURN) < 0)
		return true;
	*place = spool_place(&spool, -1);
	bool is_taken = *place < 0 && errno == EAGAIN;
	spool_close(&spool);
	return !is_taken;
}

static void supervisor_start(struct supervisor *s, const struct conf *conf, int64_t now)
{
	char path[PATH_MAX];
	int place;
	const char *program = program_again(path);
	s->start_at = now + s->pause;
	if (!take_place(conf, &place))
		return;
	pid_t self = getpid(), child = program == NULL ? -1 : fork();
	if (child == 0)
		run_deliverer(conf, program, self, place);
	fsio_close(&place);
	if (child < 0)
		log_warn("cannot start the deliverer");
	else
		s->child = child;
	s->is_dismissed = false;
	s->started_at = now;
}

static void supervisor_tick(void *arg)
{
	struct supervisor *s = arg;
	int64_t now = clock_monotonic();
	const struct conf *conf = current_hold(s->current);
	if (s->child == 0 && conf->deliver_auto && now >= s->start_at)
		supervisor_start(s, conf, now);
	if (s->child != 0 && !conf->deliver_auto && !s->is_dismissed) {
		kill(s->child, SIGTERM);
		s->is_dismissed = true;
	}
	conf_free(conf);
}

static void supervisor_hung_up(void *arg)
{
	struct supervisor *s = arg;
	if (s->child != 0)
		kill(s->child, SIGHUP);
}

static void supervisor_child_ended(void *arg, pid_t pid, int status)
{
	struct supervisor *s = arg;
	if (pid != s->child)
		return;
	int64_t now = clock_monotonic();
	s->child = 0;
	s->pause = now - s->started_at >= RAN_WELL ? RESTART_FIRST : s->pause * 2;
	if (s->pause > RESTART_MAX)
		s->pause = RESTART_MAX;
	s->start_at = s->is_dismissed ? now : now + s->pause;
	if (s->is_dismissed)
		return;
	if (WIFSIGNALED(status))
		log_warnx("the deliverer was killed by signal %d; it is started again", WTERMSIG(status));
	else
		log_warnx("the deliverer ended with exit code %d; it is started again", WEXITSTATUS(status));
}

/* Asks the deliverer to end. It may take longer than this waits, and then ends by itself. */
static void supervisor_stop(struct supervisor *s)
{
	if (s->child == 0)
		return;
	kill(s->child, SIGTERM);
	for (int i = 0; i < PART_AFTER_MS / 10; i++) {
		if (waitpid(s->child, NULL, WNOHANG) != 0)
			return;
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
}

/* Whether nobody listens on the socket file: it is left from a crash, and may be replaced. */
static bool is_stale(const struct sockaddr_un *address, socklen_t size)
{
	struct stat st;
	if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)address, size) < 0 && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return refused;
}

/* Binds. If the name is in use, it tries again for a while: a receiver that is killed while it starts a child leaves
 * the socket listening until the child has executed its program. 0, or -1 with errno. */
static int take_name(int fd, const struct sockaddr_un *address, socklen_t size)
{
	for (int left = TAKEN_MS / 10; bind(fd, (const struct sockaddr *)address, size) < 0; left--) {
		if (errno != EADDRINUSE)
			return -1;
		if (left <= 0) {
			errno = EADDRINUSE;
			return -1;
		}
		if (!is_stale(address, size) || unlink(address->sun_path) < 0)
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	return 0;
}

/* Whether other programs would take it for a network address. Here it would become a file of that name. */
static bool is_address(const char *path)
{
	static const char *const schemes[] = {"tcp:", "tcp4:", "tcp6:", "inet:", "inet6:", "http:", "fcgi:", "unix:"};
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (strncasecmp(path, schemes[i], strlen(schemes[i])) == 0)
			return true;
	const char *colon = strrchr(path, ':'), *port = colon == NULL ? path : colon + 1;
	return strchr(path, '/') == NULL && *port != '\0' && port[strspn(port, "0123456789")] == '\0';
}

/* A listening unix socket, 0660: the web server's group may connect, others may not. -1 after a message. */
static int listen_on(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof address.sun_path) {
		log_warnx("%s: too long for a socket, at most %zu characters", path, sizeof address.sun_path - 1);
		return -1;
	}
	strcpy(address.sun_path, path);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		log_warn("cannot make a socket");
		return -1;
	}
	mode_t before = umask(0117);
	int bound = take_name(fd, &address, size);
	umask(before);
	if (bound < 0 || listen(fd, BACKLOG) < 0) {
		log_warn("cannot listen on %s", path);
		close(fd);
		return -1;
	}
	return fd;
}

static int serve(struct current *current, struct server_options options)
{
	struct supervisor supervisor = {.current = current, .pause = RESTART_FIRST};
	options.tick = supervisor_tick;
	options.child_ended = supervisor_child_ended;
	options.hung_up = supervisor_hung_up;
	options.arg = &supervisor;
	int result = server_run(current, &options);
	supervisor_stop(&supervisor);
	return result;
}

static int run_serve(const char *conf_path, int argc, char **argv)
{
	struct server_options options = {.listen_fd = inherit_listener()};
	int option;
	while ((option = getopt(argc, argv, "s:")) != -1) {
		if (option != 's')
			return EX_USAGE;
		options.socket_path = optarg;
	}
	if (optind != argc)
		return EX_USAGE;
	if (options.socket_path == NULL && options.listen_fd < 0) {
		log_warnx("serve needs a socket: give one with -s SOCKET, or start it from a systemd socket unit");
		return EX_USAGE;
	}
	if (options.socket_path != NULL && is_address(options.socket_path)) {
		log_warnx("\"%s\" is no path of a unix socket, and serve listens on no other: give a path, as in -s "
			  "/run/hookspool/fcgi.sock, and the same to the web server",
			  options.socket_path);
		return EX_USAGE;
	}
	struct current current;
	signals_hold_hang_up();
	if (command_current(&current, conf_path, true) < 0)
		return EX_CONFIG;
	if (options.socket_path != NULL)
		options.listen_fd = listen_on(options.socket_path);
	int result = options.listen_fd < 0 ? EX_OSERR : serve(&current, options);
	current_close(&current);
	return result;
}

const struct command serve_command = {
	.name = "serve",
	.arguments = "[-s SOCKET]",
	.summary = "serve FastCGI on a unix socket; start and watch a deliverer",
	.help = "Serves FastCGI on a unix socket until SIGTERM, and answers what is in flight\n"
		"then. With deliver = \"auto\" it starts a deliverer and watches it.\n"
		"\n"
		"    -s SOCKET   make this socket, mode 0660; without it the socket is the one\n"
		"                that systemd passed\n",
	.run = run_serve,
};

int command_fcgi(const char *conf_path, int listen_fd)
{
	struct current current;
	signals_hold_hang_up();
	if (command_current(&current, conf_path, true) < 0)
		return EX_CONFIG;
	int result = server_run(&current, &(struct server_options){.listen_fd = listen_fd});
	current_close(&current);
	return result;
}

int command_cgi(const char *conf_path)
{
	struct conf *conf = command_conf(conf_path, true);
	if (conf == NULL) {
		single_fail();
		return EX_CONFIG;
	}
	int result = single_run(conf);
	conf_free(conf);
	return result;
}
