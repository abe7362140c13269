#include "config.h"

#include "receive/store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "receive/wake.h"

#define INODES_RESERVE 64 /* that must stay free beside the bytes of `reserve` */

int store_init(struct store *store, const struct conf *conf)
{
	*store = (struct store){.conf = conf, .segment = SEGMENT_NONE};
	if (spool_open(&store->spool, conf, SPOOL_RECEIVE) < 0)
		return -1;
	audit_init(&store->audit, &store->spool, conf->audit_max);
	return 0;
}

void store_fini(struct store *store)
{
	segment_close(&store->segment);
	audit_fini(&store->audit);
	spool_close(&store->spool);
}

void store_seal(struct store *store)
{
	segment_close(&store->segment);
}

/* A spool that was taken away must not fill up where nobody looks; one that came back is used again. */
static const char *find_spool(struct store *store)
{
	if (store->spool.fd >= 0 && spool_is_there(&store->spool))
		return NULL;
	segment_close(&store->segment);
	audit_fini(&store->audit);
	spool_close(&store->spool);
	return spool_open(&store->spool, store->conf, SPOOL_RETURN) < 0 ? "spool not there" : NULL;
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
	if (store->segment.fd >= 0 && segment_is_full(&store->segment, clock_monotonic()))
		segment_close(&store->segment);
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
			event_line_vectors(&receipts[i]->line, iov + vectors);
			vectors += 3;
		}
	const char *failed = segment_commit(&store->segment, iov, vectors) < 0 ? "write or sync failed" : NULL;
	if (iov != few)
		free(iov);
	return failed;
}

static void warn_failure(struct store *store, const char *failed)
{
	int64_t now = clock_monotonic();
	if (store->warned_at != 0 && now - store->warned_at < CLOCK_SECOND)
		return;
	store->warned_at = now;
	log_warn("events are refused with 503: %s: %s", store->conf->spool, failed);
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
	for (size_t i = 0; i < count; i++)
		if (receipts[i]->accepted)
			receipt_refuse(receipts[i], failed);
}

bool store_wake(struct store *store)
{
	if (spool_trigger(&store->spool) == SPOOL_AWAKE || !store->conf->deliver_auto)
		return true;
	int64_t now = clock_monotonic();
	if (store->started_at != 0 && now - store->started_at < STORE_WAKE_AGAIN)
		return false;
	store->started_at = now;
	wake_deliverer(store->conf->path);
	return true;
}
