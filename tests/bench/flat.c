/* Whether delivery stays as fast as it was: flat FOLDER [EVENTS]. EVENTS (a million), of which every tenth is one that
 * was delivered before, are put into a journal in ten parts, and one deliverer takes in part after part. For each part:
 * its processor time, its peak memory so far, and the size of state.db with its log. FOLDER is to be empty or missing.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "config/conf.h"
#include "deliver/deliver.h"
#include "event/event.h"
#include "event/line.h"
#include "spool/open.h"
#include "spool/spool.h"
#include "target/kind.h"

#define PARTS     10
#define DUPLICATE 10 /* one in so many */
#define SEGMENT   50000
#define DAY       (INT64_C(86400) * CLOCK_SECOND)

static const char data[] = "[{\"id\":\"65f0c1000000000000000001\",\"name\":\"Jane Doe\",\"emails\":[{\"email\":"
			   "\"jane@example.com\",\"type\":\"WORK\"}],\"address\":{\"city\":\"Toronto\"}}]";

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct span span(const char *text)
{
	return (struct span){text, strlen(text)};
}

static void put_line(struct buf *out, unsigned long number, int64_t at)
{
	static struct line line;
	struct iovec iov[3];
	char nonce[32], connection[16];
	snprintf(nonce, sizeof nonce, "\"%lu\"", number);
	snprintf(connection, sizeof connection, "\"c%03lu\"", number % 1000);
	struct event event = {.received_at = at,
			      .endpoint = span("/webhook"),
			      .scheme = span("unified"),
			      .nonce = span(nonce),
			      .data = span(data),
			      .count = 1};
	event.fields[EVENT_TYPE] = span("\"VIRTUAL\"");
	event.fields[EVENT_EVENT] = span("\"updated\"");
	event.fields[EVENT_OBJECT_TYPE] = span("\"crm_contact\"");
	event.fields[EVENT_CONNECTION_ID] = span(connection);
	event_identify(&event, (struct span){nonce + 1, strlen(nonce) - 2});
	if (line_encode(&event, &line) < 0)
		die("encode");
	line_vectors(&line, iov);
	for (size_t i = 0; i < 3; i++)
		if (buf_append(out, iov[i].iov_base, iov[i].iov_len) < 0)
			die("memory");
}

/* So many lines as segments. The first new event has the number `next`; how many were new. */
static unsigned long put_lines(const struct spool *spool, unsigned long next, unsigned long lines)
{
	static struct buf out;
	static unsigned written;
	unsigned long first = next;
	int64_t at = clock_now();
	for (unsigned long i = 0; i < lines; i++) {
		bool again = next > 0 && i % DUPLICATE == 0;
		put_line(&out, again ? (unsigned long)random() % next : next, at + (int64_t)i);
		next += !again;
		if ((i + 1) % SEGMENT != 0 && i + 1 < lines)
			continue;
		char stamp[CLOCK_STAMP_SIZE], name[64];
		clock_stamp(at + (int64_t)i, stamp);
		snprintf(name, sizeof name, "%s-1-%08x.jsonl", stamp, written++);
		int fd = openat(spool->journal_fd, "part", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || fsio_write(fd, out.data, out.len) < 0 || fsio_datasync(fd) < 0 ||
		    renameat(spool->journal_fd, "part", spool->journal_fd, name) < 0)
			die("segment");
		close(fd);
		out.len = 0;
	}
	return next - first;
}

static uint64_t size_of(int folder, const char *name)
{
	struct stat st;
	return fstatat(folder, name, &st, 0) < 0 ? 0 : (uint64_t)st.st_size;
}

/* The size of a record: they are all of one. 0: there is none yet. */
static uint64_t record_size(const char *path)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n = 0;
	FILE *file = fopen(path, "r");
	if (file != NULL) {
		n = getline(&line, &room, file);
		free(line);
		fclose(file);
	}
	return n > 0 ? (uint64_t)n : 0;
}

/* Until the file has so many records. */
static void wait_for(const char *path, pid_t child, unsigned long records)
{
	for (;;) {
		uint64_t one = record_size(path);
		if (one > 0 && size_of(AT_FDCWD, path) >= one * records)
			return;
		if (waitpid(child, NULL, WNOHANG) != 0)
			die("the deliverer has ended");
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	}
}

static double processor_seconds(pid_t child)
{
	clockid_t clock;
	struct timespec used;
	if (clock_getcpuclockid(child, &clock) != 0 || clock_gettime(clock, &used) < 0)
		die("clock");
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static unsigned long peak_kilobytes(pid_t child)
{
	char path[64], line[256];
	unsigned long kilobytes = 0;
	snprintf(path, sizeof path, "/proc/%d/status", (int)child);
	FILE *file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (sscanf(line, "VmHWM: %lu", &kilobytes) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kilobytes;
}

int main(int argc, char *argv[])
{
	if (argc < 2 || mkdir(argv[1], 0700) < 0) {
		if (argc < 2 || errno != EEXIST) {
			fprintf(stderr, "usage: flat FOLDER [EVENTS]\n");
			return 64;
		}
	}
	unsigned long events = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000, delivered = 0;
	char *folder = realpath(argv[1], NULL), spool_path[8192], file[8192];
	if (folder == NULL)
		die(argv[1]);
	snprintf(spool_path, sizeof spool_path, "%s/spool", folder);
	snprintf(file, sizeof file, "%s/records.jsonl", folder);
	struct conf_target target = {.name = "records", .kind = &target_file_kind.conf, .file = file, .mode = 0600};
	struct conf conf = {.spool = spool_path,
			    .audit_max = 16u << 20,
			    .keep = 7 * DAY,
			    .remember = 30 * DAY,
			    .targets = &target,
			    .target_count = 1};
	struct spool spool;
	if (spool_open(&spool, &conf, SPOOL_DELIVER) < 0)
		die(spool_path);
	signal(SIGPIPE, SIG_IGN);
	pid_t child = fork();
	if (child == 0)
		_exit(deliver(&CURRENT_OF(&conf), DELIVER_STOP, NULL, &deliver_times));
	double before = 0, first = 0, used = 0;
	printf("%9s %12s %10s %12s\n", "events", "processor s", "peak MB", "state.db MB");
	for (int part = 1; part <= PARTS; part++) {
		delivered += put_lines(&spool, delivered, events / PARTS);
		spool_trigger(&spool);
		wait_for(file, child, delivered);
		/* What follows a part is its own: putting away, tidying up. */
		sleep(2);
		double now = processor_seconds(child);
		used = now - before;
		before = now;
		first = part == 1 ? used : first;
		printf("%9lu %12.2f %10.1f %12.1f\n", events / PARTS * (unsigned long)part, used,
		       (double)peak_kilobytes(child) / 1024,
		       (double)(size_of(spool.fd, "state.db") + size_of(spool.fd, "state.db-wal")) / (1 << 20));
		fflush(stdout);
	}
	printf("the last part took %.2f times the processor time of the first\n", used / first);
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	spool_close(&spool);
	free(folder);
	return 0;
}
