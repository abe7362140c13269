#include "config.h"

#include "receive/server.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/signals.h"
#include "receive/receive.h"
#include "receive/store.h"
#include "spool/audit_line.h"
#include "web/fcgi.h"

#define CREW_MANY   8            /* threads that one kind has while no request waits for its sender */
#define LARGE_BODY  (128u << 10) /* bytes, with which a thread is busy for longer than with all else */
#define CREW_MAX    64
#define STACK_SIZE  (256u << 10)         /* bytes, of a thread that reads requests */
#define SILENCE_MAX (15 * CLOCK_SECOND)  /* a new connection that says nothing */
#define SLOW_AFTER  (CLOCK_SECOND / 20)  /* a request that takes longer to read waits for its sender */
#define REQUEST_MAX (120 * CLOCK_SECOND) /* from a request's first byte to the last of its body */
#define CROWDED_MAX (3 * CLOCK_SECOND)   /* the same, while all threads, or all of in_flight_max, wait for senders */
#define DRAIN_MAX   (2 * CLOCK_SECOND)   /* until requests are cut off, once the server is stopping */
#define SEND_MAX    3                    /* seconds, until a peer takes more of its answer */
#define STOP_SIGNAL SIGUSR2
#define BATCH_MAX   256                 /* jobs in one commit */
#define SPARE_MAX   64                  /* jobs kept for later */
#define SEAL_AFTER  (60 * CLOCK_SECOND) /* without an event */
#define SLEEP_MAX   (3600 * CLOCK_SECOND)

/* A connection: waiting for its next request, or being served. */
struct connection {
	int fd;
	bool fresh;       /* has not carried a request yet */
	bool watched;     /* epoll knows it */
	int64_t began_at; /* us, monotonic: when its present request's first byte was there */
	int64_t deadline; /* the same; 0: none */
	struct connection *previous, *next;
};

/* Circular, with a head. */
struct connections {
	struct connection head;
};

/* A request on its way from an acceptor to its answer. */
struct job {
	struct connection *connection;
	struct fcgi_request *fcgi;
	struct receipt receipt;
	struct job *next;
};

/* Threads of one kind: acceptors take new connections, keepers serve those that were kept or said nothing at first. */
struct crew {
	struct server *server;
	bool (*work)(struct server *server, int timeout);
	unsigned count, free;
	pthread_t threads[CREW_MAX];
};

struct server {
	const struct server_options *options;
	struct receive receive;
	struct store store;
	int epoll_fd;
	int stop_fd; /* readable once the server is stopping: for the keepers */

	atomic_bool stopping;
	int64_t end; /* us, monotonic: when it cuts off all requests, once it is stopping */

	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t queued;
	struct job *first, **last; /* the commit queue */
	bool closing;              /* no more jobs will come */
	bool rings;                /* the deliverer is to be woken, though nothing was committed */
	struct buf news;           /* audit lines that are no request's */
	struct connections idle, reading;
	unsigned processors; /* up to CREW_MANY */
	bool sees_large;     /* there are large bodies */
	struct job *spare;   /* jobs to be used again */
	unsigned spare_count;
	struct crew acceptors, keepers;
};

static void list_init(struct connections *list)
{
	list->head.previous = list->head.next = &list->head;
}

static void list_remove(struct connection *c)
{
	c->previous->next = c->next;
	c->next->previous = c->previous;
}

static void list_append(struct connections *list, struct connection *c)
{
	c->previous = list->head.previous;
	c->next = &list->head;
	c->previous->next = c;
	list->head.previous = c;
}

/* Watches a connection for its next request. Takes it over. */
static void connection_rest(struct server *server, struct connection *c)
{
	int operation = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	c->watched = true;
	/* It is in the list before it is watched: an acceptor may have it the moment it is. */
	pthread_mutex_lock(&server->lock);
	c->deadline = c->fresh ? clock_monotonic() + SILENCE_MAX : 0;
	list_append(&server->idle, c);
	pthread_mutex_unlock(&server->lock);
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, .data.ptr = c};
	if (epoll_ctl(server->epoll_fd, operation, c->fd, &event) == 0)
		return;
	pthread_mutex_lock(&server->lock);
	list_remove(c);
	pthread_mutex_unlock(&server->lock);
	close(c->fd);
	free(c);
}

static void job_free(struct job *job)
{
	if (job == NULL)
		return;
	fcgi_free(job->fcgi);
	receipt_fini(&job->receipt);
	free(job);
}

static struct job *job_new(void)
{
	struct job *job = calloc(1, sizeof *job);
	if (job != NULL && (job->fcgi = fcgi_new()) == NULL) {
		free(job);
		job = NULL;
	}
	return job;
}

/* Called with the lock held: one that was used before, or NULL. */
static struct job *job_take(struct server *server)
{
	struct job *job = server->spare;
	if (job != NULL) {
		server->spare = job->next;
		server->spare_count--;
	}
	return job;
}

/* Called with the lock held. NULL if it is kept, or else the job, to be freed. */
static struct job *job_put(struct server *server, struct job *job)
{
	if (server->spare_count >= SPARE_MAX)
		return job;
	job->next = server->spare;
	server->spare = job;
	server->spare_count++;
	return NULL;
}

/* Out of descriptors: the connection that has been idle longest makes room. */
static void make_room(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	struct connection *oldest = server->idle.head.next;
	if (oldest != &server->idle.head)
		fcgi_abort(oldest->fd);
	pthread_mutex_unlock(&server->lock);
	/* Its end is an event, and an acceptor will close it; without one there is nothing to do but wait. */
	nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void *crew_run(void *arg)
{
	struct crew *crew = arg;
	while (!atomic_load(&crew->server->stopping) && crew->work(crew->server, -1))
		;
	return NULL;
}

/* Called with the lock held. When no thread can be had, those that are there go on. */
static void crew_add(struct crew *crew)
{
	pthread_attr_t attributes;
	if (crew->count == CREW_MAX || atomic_load(&crew->server->stopping) || pthread_attr_init(&attributes) != 0)
		return;
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (pthread_create(&crew->threads[crew->count], &attributes, crew_run, crew) == 0) {
		crew->count++;
		crew->free++;
	}
	pthread_attr_destroy(&attributes);
}

/* Called with the lock held. While all are busy with requests that are all there, another thread would only take the
 * processor from them, unless they are busy for long; when a request waits for its sender, others must not wait for it.
 */
static void crew_add_if_stuck(struct crew *crew)
{
	const struct server *server = crew->server;
	const struct connection *oldest = server->reading.head.next;
	bool slow = oldest != &server->reading.head && clock_monotonic() - oldest->began_at > SLOW_AFTER;
	bool long_busy = server->sees_large && crew->count < server->processors;
	if (crew->free == 0 && (slow || long_busy))
		crew_add(crew);
}

static void crew_begin(struct server *server, struct crew *crew, unsigned first,
		       bool (*work)(struct server *server, int timeout))
{
	crew->server = server;
	crew->work = work;
	pthread_mutex_lock(&server->lock);
	for (unsigned i = 0; i < first; i++)
		crew_add(crew);
	pthread_mutex_unlock(&server->lock);
}

/* Sends the answer. The connection if it stays open, else -1. */
static int job_answer(struct server *server, struct job *job)
{
	receipt_release(&server->receive, &job->receipt);
	receipt_answer(&job->receipt, fcgi_request(job->fcgi));
	return fcgi_finish(job->fcgi);
}

/* Afterwards; fd is what job_answer returned. */
static void job_end(struct server *server, struct job *job, int fd)
{
	receipt_clear(&server->receive, &job->receipt);
	if (fd >= 0)
		connection_rest(server, job->connection);
	else
		free(job->connection);
	pthread_mutex_lock(&server->lock);
	job = job_put(server, job);
	pthread_mutex_unlock(&server->lock);
	job_free(job);
}

/* Reads a request. False: the connection has ended. */
static bool job_read(struct server *server, struct job *job, struct connection *c)
{
	if (fcgi_begin(job->fcgi, c->fd) < 0)
		return false;
	job->connection = c;
	job->next = NULL;
	receive_request(&server->receive, fcgi_request(job->fcgi), &job->receipt);
	return true;
}

/* Called with the lock held. Whether the committer has to be told. */
static bool queue_put(struct server *server, struct job *job)
{
	bool was_empty = server->first == NULL;
	*server->last = job;
	server->last = &job->next;
	return was_empty;
}

/* Reads one request of a connection that has something to say, and hands it to the committer, which owns the job from
 * then on; or answers it, if nothing of it is to be committed. The connection is in no list. */
static void crew_serve(struct crew *crew, struct connection *c)
{
	struct server *server = crew->server;
	c->fresh = false;
	c->began_at = clock_monotonic();
	pthread_mutex_lock(&server->lock);
	/* With the lock held: drain shortens those that are in the list already. */
	c->deadline = atomic_load(&server->stopping) ? server->end : c->began_at + REQUEST_MAX;
	crew->free--;
	crew_add_if_stuck(crew);
	list_append(&server->reading, c);
	struct job *job = job_take(server);
	pthread_mutex_unlock(&server->lock);
	if (job == NULL)
		job = job_new();
	bool begun = job != NULL && job_read(server, job, c);
	bool waits = begun && !job->receipt.quiet, rings = begun && job->receipt.rings;
	/* A page is large, and whoever reads it slowly must not hold up the committer. */
	int fd = begun && !waits ? job_answer(server, job) : -1;
	pthread_mutex_lock(&server->lock);
	crew->free++;
	list_remove(c);
	server->sees_large |= begun && job->receipt.bytes > LARGE_BODY;
	bool signals = (waits && queue_put(server, job)) || rings;
	server->rings |= rings;
	pthread_mutex_unlock(&server->lock);
	if (signals)
		pthread_cond_signal(&server->queued);
	if (waits)
		return;
	if (begun) {
		job_end(server, job, fd);
		return;
	}
	if (job == NULL)
		close(c->fd);
	job_free(job);
	free(c);
}

/* Takes one new connection; it is served at once if it says something at once, as web servers do. False: the server
 * stops, or nobody stands at the door (timeout 0). The wait is in accept4, which wakes one thread for one connection;
 * epoll_wait would wake several. A signal ends it. */
static bool connection_accept(struct server *server, int timeout)
{
	char first;
	int fd = accept4(server->options->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			make_room(server);
		return timeout != 0 || errno == EINTR;
	}
	struct connection *c = calloc(1, sizeof *c);
	if (c == NULL) {
		close(fd);
		return true;
	}
	c->fd = fd;
	c->fresh = true;
	/* Or a peer that does not read its answers would hold the committer. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = SEND_MAX}, sizeof(struct timeval));
	if (recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
		crew_serve(&server->acceptors, c);
	else
		connection_rest(server, c);
	return true;
}

/* Waits for a resting connection that has something to say, and serves it. False: there was none in that time (ms; -1:
 * for ever), or the server stops. */
static bool connection_wake(struct server *server, int timeout)
{
	struct epoll_event event;
	int n = epoll_wait(server->epoll_fd, &event, 1, timeout);
	if (n < 0)
		return errno == EINTR;
	struct connection *c = n == 0 ? NULL : event.data.ptr;
	if (c == NULL)
		return false;
	pthread_mutex_lock(&server->lock);
	list_remove(c);
	pthread_mutex_unlock(&server->lock);
	crew_serve(&server->keepers, c);
	return true;
}

/* The committer. */

/* Commits and answers up to BATCH_MAX jobs; returns what is left of the list. */
static struct job *batch_run(struct server *server, struct job *jobs)
{
	struct receipt *receipts[BATCH_MAX] = {NULL};
	struct buf audit = {0};
	size_t count = 0;
	struct job *job, *end;
	for (end = jobs; end != NULL && count < BATCH_MAX; end = end->next)
		receipts[count++] = &end->receipt;
	store_commit(&server->store, receipts, count);
	for (job = jobs; job != end; job = job->next)
		if (receipt_audit(&job->receipt, fcgi_request(job->fcgi), &audit) < 0)
			break;
	audit_write(&server->store.audit, audit.data, audit.len);
	buf_fini(&audit);
	for (job = jobs; job != end; job = jobs) {
		jobs = job->next;
		job_end(server, job, job_answer(server, job));
	}
	return end;
}

/* Waits for jobs and takes all there are, and the news. NULL with *closing: there will be none any more; otherwise it
 * is `at` (us, monotonic), or there are news, or *rings: the deliverer is to be woken. */
static struct job *queue_take(struct server *server, int64_t at, struct buf *news, bool *closing, bool *rings)
{
	const struct timespec until = {.tv_sec = at / CLOCK_SECOND, .tv_nsec = at % CLOCK_SECOND * 1000};
	int waited = 0;
	pthread_mutex_lock(&server->lock);
	while (server->first == NULL && !server->closing && !server->rings && server->news.len == 0 && waited == 0)
		waited = pthread_cond_timedwait(&server->queued, &server->lock, &until);
	struct job *jobs = server->first;
	server->first = NULL;
	server->last = &server->first;
	*closing = server->closing;
	*rings = server->rings;
	server->rings = false;
	*news = server->news;
	server->news = (struct buf){0};
	pthread_mutex_unlock(&server->lock);
	return jobs;
}

/* When the committer has something to do though no job comes: a deliverer that is not awake is called again, and a
 * segment is closed that has had no event since `last`. Without either it sleeps for a long time. */
static int64_t committer_deadline(const struct server *server, bool awake, int64_t last)
{
	if (!awake)
		return clock_monotonic() + STORE_WAKE_AGAIN;
	return server->store.segment.fd >= 0 ? last + SEAL_AFTER : clock_monotonic() + SLEEP_MAX;
}

static void *committer_run(void *arg)
{
	struct server *server = arg;
	bool closing = false, rings = false, awake = true;
	int64_t last = clock_monotonic();
	for (;;) {
		struct buf news;
		struct job *jobs = queue_take(server, committer_deadline(server, awake, last), &news, &closing, &rings);
		store_renew(&server->store);
		if (news.len > 0)
			store_tell(&server->store, news.data, news.len);
		buf_fini(&news);
		if (jobs == NULL && closing)
			return NULL;
		if (jobs != NULL) {
			last = clock_monotonic();
			awake = false;
		} else if (server->store.segment.fd >= 0 && clock_monotonic() - last >= SEAL_AFTER) {
			store_seal(&server->store);
		}
		while (jobs != NULL)
			jobs = batch_run(server, jobs);
		if (rings)
			awake = false;
		if (!awake)
			awake = store_wake(&server->store);
	}
}

/* The main thread: signals, children, the clock. */

/* Called with the lock held. Whether new requests wait until a thread has read what its sender is slow to send. */
static bool crew_is_stuck(struct crew *crew)
{
	crew_add_if_stuck(crew);
	return crew->free == 0;
}

/* Cuts off connections whose time is up, and adds a thread where they hold all there are; where none can be added, or
 * their bodies leave no room for others, their time is up earlier. A descriptor that libfcgi closes this very moment
 * may already be another connection's: that one's request fails unacknowledged, and is sent again. */
static void watch_connections(struct server *server)
{
	int64_t now = clock_monotonic();
	const struct connection *c;
	pthread_mutex_lock(&server->lock);
	bool acceptors_stuck = crew_is_stuck(&server->acceptors), keepers_stuck = crew_is_stuck(&server->keepers);
	bool is_full = atomic_exchange(&server->receive.was_full, false);
	int64_t slow = acceptors_stuck || keepers_stuck || is_full ? now - CROWDED_MAX : 0;
	for (c = server->idle.head.next; c != &server->idle.head; c = c->next)
		if (c->deadline != 0 && now > c->deadline)
			fcgi_abort(c->fd);
	for (c = server->reading.head.next; c != &server->reading.head; c = c->next)
		if (now > c->deadline || c->began_at < slow)
			fcgi_abort(c->fd);
	pthread_mutex_unlock(&server->lock);
}

static void reap_children(const struct server_options *options)
{
	pid_t pid;
	int status;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (options->child_ended != NULL)
			options->child_ended(options->arg, pid, status);
}

/* `rings`: the page has to tell it, too. */
static void tell_conf(struct server *server, const char *result, const char *detail, bool rings)
{
	pthread_mutex_lock(&server->lock);
	audit_tell_conf(&server->news, &(struct audit_conf){"receiver", result, detail});
	server->rings |= rings;
	pthread_mutex_unlock(&server->lock);
	pthread_cond_signal(&server->queued);
}

static void look_at_conf(struct server *server, bool asked)
{
	struct current *current = server->receive.current;
	bool was_refused = current_why(current) != NULL;
	switch (current_look(current, asked)) {
	case CURRENT_SAME:
		break;
	case CURRENT_TAKEN:
		tell_conf(server, "taken", NULL, was_refused);
		break;
	case CURRENT_REFUSED:
		tell_conf(server, "refused", current_why(current), true);
		break;
	}
}

/* A second, or less when a change of the configuration is to be looked at once more. */
static struct timespec until_next_look(const struct server *server)
{
	int64_t left = current_look_at(server->receive.current) - clock_monotonic();
	left = left < 0 ? 0 : left > CLOCK_SECOND ? CLOCK_SECOND : left;
	return (struct timespec){.tv_sec = left / CLOCK_SECOND, .tv_nsec = left % CLOCK_SECOND * 1000};
}

static void watch(struct server *server, const sigset_t *signals)
{
	const struct server_options *options = server->options;
	int number = 0;
	for (;;) {
		look_at_conf(server, number == SIGHUP);
		if (options->tick != NULL)
			options->tick(options->arg);
		watch_connections(server);
		bodies_trim(server->receive.bodies);
		const struct timespec timeout = until_next_look(server);
		number = sigtimedwait(signals, NULL, &timeout);
		if (number == SIGCHLD)
			reap_children(options);
		else if (number == SIGHUP && options->hung_up != NULL)
			options->hung_up(options->arg);
		else if (number > 0 && number != SIGHUP)
			return;
	}
}

/* Waits for the end of a thread. One that is about to wait in accept4 just when the signal comes misses it: so it comes
 * again. */
static void thread_end(struct server *server, pthread_t thread)
{
	struct timespec until;
	do {
		pthread_kill(thread, STOP_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 20000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		watch_connections(server);
	} while (pthread_timedjoin_np(thread, NULL, &until) != 0);
}

static void crew_end(struct crew *crew)
{
	for (unsigned i = 0; i < crew->count; i++)
		thread_end(crew->server, crew->threads[i]);
}

/* Takes what stands at the door already: it was sent to us, and can be answered still. A thread, for the main one has
 * to watch its connections. */
static void *door_run(void *arg)
{
	struct server *server = arg;
	if (fcntl(server->options->listen_fd, F_SETFL, O_NONBLOCK) == 0)
		while (clock_monotonic() < server->end && connection_accept(server, 0))
			;
	while (clock_monotonic() < server->end && connection_wake(server, 0))
		;
	return NULL;
}

/* Lets the threads end, and whatever is under way with them. */
static void drain(struct server *server)
{
	pthread_t door;
	server->end = clock_monotonic() + DRAIN_MAX;
	atomic_store(&server->stopping, true);
	pthread_mutex_lock(&server->lock);
	for (struct connection *c = server->reading.head.next; c != &server->reading.head; c = c->next)
		c->deadline = server->end;
	pthread_mutex_unlock(&server->lock);
	eventfd_write(server->stop_fd, 1);
	/* The listener stays open until the last moment, but its name goes: new connections find the next server. */
	if (server->options->socket_path != NULL)
		unlink(server->options->socket_path);
	crew_end(&server->acceptors);
	crew_end(&server->keepers);
	epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, server->stop_fd, NULL);
	if (pthread_create(&door, NULL, door_run, server) == 0)
		thread_end(server, door);
}

static unsigned count_processors(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	return processors < 1 ? 1 : processors > CREW_MANY ? CREW_MANY : (unsigned)processors;
}

static int server_open(struct server *server, struct current *current)
{
	pthread_condattr_t attributes;
	server->receive.current = current;
	server->processors = count_processors();
	list_init(&server->idle);
	list_init(&server->reading);
	server->last = &server->first;
	pthread_mutex_init(&server->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&server->queued, &attributes);
	pthread_condattr_destroy(&attributes);
	server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* A socket with a timeout has its accept ended by every signal (signal(7)), others take SA_RESTART into
	 * account. */
	const struct timeval hour = {.tv_sec = 3600};
	/* An event without a connection is the stop. */
	struct epoll_event stop = {.events = EPOLLIN, .data.ptr = NULL};
	if (server->epoll_fd < 0 || server->stop_fd < 0 || fcgi_init() < 0 ||
	    setsockopt(server->options->listen_fd, SOL_SOCKET, SO_RCVTIMEO, &hour, sizeof hour) < 0 ||
	    epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, server->stop_fd, &stop) < 0) {
		log_warn("cannot begin to serve");
		return EX_OSERR;
	}
	server->receive.bodies = bodies_new();
	if (server->receive.bodies == NULL) {
		log_warn("cannot begin to serve");
		return EX_OSERR;
	}
	return store_init(&server->store, current) < 0 ? EX_IOERR : 0;
}

static void server_close(struct server *server)
{
	struct connections *idle = &server->idle;
	while (idle->head.next != &idle->head) {
		struct connection *c = idle->head.next;
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the list's head goes on to another one */
		list_remove(c);
		close(c->fd);
		free(c);
	}
	while (server->spare != NULL)
		job_free(job_take(server));
	close(server->options->listen_fd);
	if (server->epoll_fd >= 0)
		close(server->epoll_fd);
	if (server->stop_fd >= 0)
		close(server->stop_fd);
	bodies_free(server->receive.bodies);
	buf_fini(&server->news);
	store_fini(&server->store);
	pthread_cond_destroy(&server->queued);
	pthread_mutex_destroy(&server->lock);
}

/* What a large body took goes back to the system when it is freed, and many threads do not keep a heap each. */
static void limit_memory(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

static void on_stop_signal(int number)
{
	(void)number;
}

int server_run(struct current *current, const struct server_options *options)
{
	static const int handled[] = {SIGTERM, SIGINT, SIGUSR1, SIGCHLD};
	struct server server = {.options = options, .store = {.spool = SPOOL_NONE, .segment = SEGMENT_NONE}};
	pthread_t committer;
	sigset_t signals;
	limit_memory();
	/* It ends the wait in accept4, see server_open, and no read of a request. */
	sigaction(STOP_SIGNAL, &(struct sigaction){.sa_handler = on_stop_signal, .sa_flags = SA_RESTART}, NULL);
	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++)
		sigaddset(&signals, handled[i]);
	if (signals_hang_up())
		sigaddset(&signals, SIGHUP);
	/* Before any thread: they inherit it, and only the main thread waits for signals. */
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	int result = server_open(&server, current);
	if (result == 0 && pthread_create(&committer, NULL, committer_run, &server) != 0) {
		log_warnx("cannot start a thread");
		result = EX_OSERR;
	}
	if (result != 0) {
		server_close(&server);
		return result;
	}
	/* The other half of the processors is for those who send, and for the committer. A thread that is never idle
	 * reads more of small bodies than two that wake each other. */
	crew_begin(&server, &server.acceptors, (server.processors + 1) / 2, connection_accept);
	crew_begin(&server, &server.keepers, 1, connection_wake);
	bool begun = server.acceptors.count > 0 && server.keepers.count > 0;
	if (begun) {
		tell_conf(&server, "taken", "at the start", false);
		watch(&server, &signals);
	} else {
		log_warnx("cannot start a thread");
	}
	drain(&server);
	pthread_mutex_lock(&server.lock);
	server.closing = true;
	pthread_mutex_unlock(&server.lock);
	pthread_cond_signal(&server.queued);
	pthread_join(committer, NULL);
	server_close(&server);
	return begun ? 0 : EX_OSERR;
}
