/* The memory of duplicates (state/dedup.c) beside a plain table (tests/unit/dedup_table.h): dedup DIRECTORY [EVENTS].
 * Each of the two takes EVENTS (a million) new identities in transactions of a thousand, and looks up each of them
 * first and one in ten again, in a process and a spool of its own. A row for each tenth of the way has the time, the
 * processor time, the bytes written in calls and to the disk, the peak memory, and the size of state.db with its log.
 * Then another process opens the database and finds the first identity. DIRECTORY is to be missing. */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/conf.h"
#include "spool/open.h"
#include "spool/spool.h"
#include "state/state.h"
#include "state/state_private.h"
#include "unit/dedup_table.h"

#define PARTS    10
#define BATCH    1000
#define AGAIN    10 /* one in so many was there before */
#define REMEMBER (INT64_C(30) * 86400 * CLOCK_SECOND)

static struct spool spool;
static struct state *state;
static struct dedup_table table;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void open_spool(const char *path)
{
	struct conf conf = {.spool = path, .audit_max = 16u << 20};
	if (spool_open(&spool, &conf, SPOOL_DELIVER) < 0)
		die(path);
}

static void open_own(void)
{
	bool fresh;
	state = state_open(&spool, STATE_DELIVER, &fresh);
	if (state == NULL || (fresh && state_commit(state) < 0))
		die("state.db");
}

static void open_table(void)
{
	open_own();
	if (table_open(&table, state->db.handle) < 0)
		die("table");
}

static int own_seen(const uint8_t *id)
{
	return state_seen(state, id);
}

static int own_add(const uint8_t *id)
{
	return state_seen_add(state, id);
}

static int own_sweep(void)
{
	return state_seen_sweep(state, 2L * BATCH, REMEMBER);
}

static void close_own(void)
{
	state_close(state);
}

static int plain_seen(const uint8_t *id)
{
	return table_seen(&table, id);
}

static int plain_add(const uint8_t *id)
{
	return table_add(&table, id, state_age(state));
}

static int plain_sweep(void)
{
	return table_sweep(&table, state_age(state) - REMEMBER);
}

static void close_table(void)
{
	table_close(&table);
	state_close(state);
}

static const struct kind {
	const char *name;
	void (*open)(void);
	int (*seen)(const uint8_t *id);
	int (*add)(const uint8_t *id);
	int (*sweep)(void);
	void (*close)(void);
} kinds[] = {
	{"dedup.c", open_own, own_seen, own_add, own_sweep, close_own},
	{"table", open_table, plain_seen, plain_add, plain_sweep, close_table},
};

/* Identities are parts of a SHA-256: any bits will do that look random. */
static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static const uint8_t *make_id(uint64_t number)
{
	static uint64_t halves[2];
	halves[0] = mix(2 * number * UINT64_C(0x9e3779b97f4a7c15));
	halves[1] = mix((2 * number + 1) * UINT64_C(0x9e3779b97f4a7c15));
	return (const uint8_t *)halves;
}

static void expect(int result, int expected)
{
	if (result != expected) {
		fprintf(stderr, "%d in place of %d\n", result, expected);
		exit(1);
	}
}

static void take_batch(const struct kind *kind, uint64_t from, uint64_t to)
{
	expect(state_begin(state), 0);
	for (uint64_t i = from; i < to; i++) {
		if (i % AGAIN == 0 && i > 0)
			expect(kind->seen(make_id(mix(i) % i)), 1);
		expect(kind->seen(make_id(i)), 0);
		expect(kind->add(make_id(i)), 0);
	}
	expect(kind->sweep(), 0);
	expect(state_commit(state), 0);
}

static double processor_seconds(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static double io_gigabytes(const char *name)
{
	char line[128];
	unsigned long long value = 0;
	FILE *file = fopen("/proc/self/io", "r");
	size_t n = strlen(name);
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, name, n) == 0)
			value = strtoull(line + n, NULL, 10);
	if (file != NULL)
		fclose(file);
	return (double)value / 1e9;
}

static double file_megabytes(void)
{
	struct stat db, log;
	if (fstatat(spool.fd, "state.db", &db, 0) < 0 || fstatat(spool.fd, "state.db-wal", &log, 0) < 0)
		die("state.db");
	return (double)(db.st_size + log.st_size) / 1e6;
}

static void print_row(const struct kind *kind, uint64_t count, int64_t begun)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("%-8s %11llu %9.1f %11.1f %12.2f %9.2f %8.1f %9.1f\n", kind->name, (unsigned long long)count,
	       (double)(clock_monotonic() - begun) / CLOCK_SECOND, processor_seconds(), io_gigabytes("wchar:"),
	       io_gigabytes("write_bytes:"), (double)usage.ru_maxrss / 1024, file_megabytes());
	fflush(stdout);
}

static void fill(const struct kind *kind, uint64_t events)
{
	int64_t begun = clock_monotonic();
	kind->open();
	for (uint64_t part = 1, i = 0; part <= PARTS; part++) {
		for (uint64_t end = events * part / PARTS, to; i < end; i = to) {
			to = i + BATCH < end ? i + BATCH : end;
			take_batch(kind, i, to);
		}
		print_row(kind, i, begun);
	}
	kind->close();
}

static void find_first(const struct kind *kind, uint64_t events)
{
	(void)events;
	int64_t begun = clock_monotonic();
	double used = processor_seconds();
	kind->open();
	expect(kind->seen(make_id(0)), 1);
	printf("%-8s opened again, and the first one found, in %.1f ms, %.1f of the processor\n", kind->name,
	       (double)(clock_monotonic() - begun) / 1e3, (processor_seconds() - used) * 1e3);
	kind->close();
}

static void run_alone(void (*step)(const struct kind *kind, uint64_t events), const struct kind *kind, uint64_t events)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		step(kind, events);
		exit(0);
	}
	if (waitpid(child, &status, 0) < 0 || status != 0)
		exit(1);
}

int main(int argc, char *argv[])
{
	if (argc < 2 || mkdir(argv[1], 0700) < 0) {
		fprintf(stderr, "usage: dedup DIRECTORY [EVENTS]; the directory is to be missing\n");
		return 64;
	}
	uint64_t events = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	char path[PATH_MAX], root[PATH_MAX];
	if (realpath(argv[1], root) == NULL)
		die(argv[1]);
	printf("%-8s %11s %9s %11s %12s %9s %8s %9s\n", "", "identities", "s", "processor s", "GB in calls",
	       "GB to disk", "peak MB", "state.db MB");
	fflush(stdout);
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (snprintf(path, sizeof path, "%s/%s", root, kinds[i].name) >= (int)sizeof path)
			die(argv[1]);
		open_spool(path);
		run_alone(fill, &kinds[i], events);
		run_alone(find_first, &kinds[i], events);
		spool_close(&spool);
	}
	return 0;
}
