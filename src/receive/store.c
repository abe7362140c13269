#include "config.h"

#include "receive/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "event/line.h"
#include "receive/spawn.h"
#include "spool/layout.h"
#include "spool/open.h"

#define INODES_RESERVE 64 /* that must stay free beside the bytes of `reserve` */

/* With errno, unless what is wrong can be told better. */
static void warn(const struct conf *conf, const char *failed)
{
	char fault[LAYOUT_FAULT_SIZE];
	int saved = errno;
	if ((saved == ENOENT || saved == EACCES || saved == EPERM) && layout_fault(conf, SPOOL_RECEIVE, fault)) {
		log_warnx("events are refused with 503: %s", fault);
	} else {
		errno = saved;
		log_warn("events are refused with 503: %s: %s", conf->spool, failed);
	}
}

int store_init(struct store *store, struct current *current)
{
	*store = (struct store){.current = current, .conf = current_hold(current), .segment = SEGMENT_NONE};
	if (spool_open(&store->spool, store->conf, SPOOL_RECEIVE) < 0) {
		warn(store->conf, "cannot be opened");
		conf_free(store->conf);
		store->conf = NULL;
		return -1;
	}
	audit_init(&store->audit, &store->spool, store->conf->audit_max);
	return 0;
}

void store_renew(struct store *store)
{
	if (current_is(store->current, store->conf))
		return;
	conf_free(store->conf);
	store->conf = current_hold(store->current);
	store->audit.max = store->conf->audit_max;
}

/* Gives what was acknowledged of a segment that somebody has taken away a place where the deliverer finds it. 0, or -1
 * with errno: there is no room for it now, and it is tried again. */
static int rescue(struct store *store)
{
	char name[SEGMENT_NAME_SIZE];
	uint64_t size = store->segment.size;
	strcpy(name, store->segment.name);
	if (segment_rescue(&store->segment, &store->spool) < 0)
		return -1;
	log_warnx("%s/journal/%s was removed, moved or replaced by another process while it was written: what was "
		  "acknowledged of it is written again, to %s%s; see LOCKS in hookspool(7)",
		  store->spool.path, name, store->segment.name,
		  store->segment.size < size ? "; a part could not be read any more, and is lost" : "");
	return 0;
}

/* Seals the segment. 0, or -1 with errno: it is lost, and cannot be rescued now. */
static int seal(struct store *store)
{
	if (store->segment.fd >= 0 && !segment_is_named(&store->segment, &store->spool) && rescue(store) < 0)
		return -1;
	segment_close(&store->segment);
	return 0;
}

void store_fini(struct store *store)
{
	if (seal(store) < 0)
		log_warn("%s/journal/%s was removed, moved or replaced by another process, and cannot be written again",
			 store->spool.path, store->segment.name);
	segment_close(&store->segment);
	audit_fini(&store->audit);
	spool_close(&store->spool);
	conf_free(store->conf);
}

void store_seal(struct store *store)
{
	seal(store);
	audit_fini(&store->audit);
}

/* Reasons with a message of their own. */
static const char not_there[] = "spool not there", lost[] = "segment removed by another process";

/* A spool that was taken away must not fill up where nobody looks; one that came back is used again. Its segment went
 * with it, or is rescued once there is a spool. */
static const char *find_spool(struct store *store)
{
	if (store->spool.fd >= 0 && spool_is_there(&store->spool))
		return NULL;
	if (store->spool.fd >= 0 && store->segment.fd >= 0 && segment_is_named(&store->segment, &store->spool))
		segment_close(&store->segment);
	audit_fini(&store->audit);
	spool_close(&store->spool);
	return spool_open(&store->spool, store->conf, SPOOL_RETURN) < 0 ? not_there : NULL;
}

static const char *check_space(const struct store *store)
{
	uint64_t bytes, inodes;
	if (fsio_free_space(store->spool.journal_fd, &bytes, &inodes) < 0)
		return "free space unknown";
	if (bytes >= store->conf->reserve && inodes >= INODES_RESERVE)
		return NULL;
	errno = ENOSPC;
	return "disk below its reserve";
}

static const char *prepare_segment(struct store *store, int64_t first)
{
	if (store->segment.fd >= 0 && segment_is_full(&store->segment, clock_monotonic()) && seal(store) < 0)
		return lost;
	if (store->segment.fd >= 0 && store->segment.is_lost && rescue(store) < 0)
		return lost;
	if (store->segment.fd < 0 && segment_open(&store->segment, &store->spool, first) < 0)
		return "no segment could be made";
	return NULL;
}

/* NULL: durable. Otherwise why not, and errno says more. */
static const char *append(struct store *store, struct receipt *const *receipts, size_t count)
{
	struct iovec few[3 * 16];
	struct iovec *iov = count <= 16 ? few : calloc(3 * count, sizeof *iov);
	int vectors = 0;
	if (iov == NULL)
		return "out of memory";
	for (size_t i = 0; i < count; i++)
		if (receipts[i]->accepted) {
			line_vectors(&receipts[i]->line, iov + vectors);
			vectors += 3;
		}
	const char *failed = NULL;
	if (segment_commit(&store->segment, &store->spool, iov, vectors) < 0)
		failed = store->segment.fd >= 0 ? lost : "write or sync failed";
	if (iov != few)
		free(iov);
	return failed;
}

/* Why the spool cannot be used, and what to do: a folder at its path may be where it was mounted, so the receiver makes
 * nothing there. */
static void warn_not_there(const struct store *store)
{
	const char *path = store->conf->spool;
	struct stat st;
	if (errno == ENOENT && stat(path, &st) == 0)
		log_warnx("events are refused with 503: %s has no journal/ any more: mount its file system or put the "
			  "spool back; or restart the receiver, which begins a new one there",
			  path);
	else
		log_warn("events are refused with 503: the spool %s cannot be opened any more; mount its file system "
			 "or put it back",
			 path);
}

static void warn_failure(struct store *store, const char *failed)
{
	int64_t now = clock_monotonic();
	if (store->warned_at != 0 && now - store->warned_at < CLOCK_SECOND)
		return;
	store->warned_at = now;
	if (failed == not_there)
		warn_not_there(store);
	else if (failed == lost)
		log_warnx("events are refused with 503: %s/journal/%s: %s", store->conf->spool, store->segment.name,
			  failed);
	else
		warn(store->conf, failed);
}

void store_commit(struct store *store, struct receipt *const *receipts, size_t count)
{
	int64_t first = INT64_MAX;
	for (size_t i = 0; i < count; i++)
		if (receipts[i]->accepted && receipts[i]->event.received_at < first)
			first = receipts[i]->event.received_at;
	if (first == INT64_MAX)
		return;
	errno = 0;
	const char *failed = find_spool(store);
	if (failed == NULL)
		failed = check_space(store);
	if (failed == NULL)
		failed = prepare_segment(store, first);
	if (failed == NULL)
		failed = append(store, receipts, count);
	if (failed == NULL)
		return;
	warn_failure(store, failed);
	/* At once: those of it that were acknowledged wait for nobody else. */
	if (failed == lost && store->segment.is_lost)
		rescue(store);
	for (size_t i = 0; i < count; i++)
		if (receipts[i]->accepted)
			receipt_refuse(receipts[i], failed);
}

void store_tell(struct store *store, const char *lines, size_t n)
{
	audit_write(&store->audit, lines, n);
	if (store->segment.fd < 0)
		audit_fini(&store->audit);
	spool_trigger(&store->spool);
}

bool store_wake(struct store *store)
{
	if (spool_trigger(&store->spool) == SPOOL_AWAKE || !store->conf->deliver_auto)
		return true;
	int64_t now = clock_monotonic();
	if (store->started_at != 0 && now - store->started_at < STORE_WAKE_AGAIN)
		return false;
	store->started_at = now;
	wake_deliverer(store->conf->path, &store->spool);
	return true;
}
