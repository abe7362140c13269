/* What those who write output files need of a deliverer, with events in its journal. */
#ifndef HOOKSPOOL_JOURNAL_FILES_H
#define HOOKSPOOL_JOURNAL_FILES_H

#include "base/text.h"
#include "event/record.h"
#include "spool/open.h"
#include "spool/segment.h"
#include "state/counts.h"
#include "target/context.h"
#include "target/kind.h"
#include "unit.h"

/* One target, with a file below out/ for each connection. */
struct unit_targets {
	char *folder; /* without symbolic links */
	char *template;
	struct conf conf;
	struct conf_target conf_target;
	struct target target;
	struct spool spool;
	struct target_era era;
	struct target_context c;
	int64_t now;
};

static inline void unit_targets_open(struct unit_targets *t)
{
	bool fresh;
	char *folder = unit_folder();
	*t = (struct unit_targets){.folder = realpath(folder, NULL), .now = INT64_C(1795435200000000)};
	free(folder);
	assert_true(asprintf(&t->template, "%s/out/%%{connection_id}", t->folder) > 0);
	t->conf = unit_conf(strdup(unit_path(t->folder, "spool")));
	t->conf_target = (struct conf_target){
		.name = "records", .kind = &target_file_kind.conf, .mode = 0600, .file = t->template};
	t->conf.targets = &t->conf_target;
	t->conf.target_count = 1;
	t->target.conf = &t->conf_target;
	assert_int_equal(spool_open(&t->spool, &t->conf, SPOOL_DELIVER), 0);
	t->c = (struct target_context){&t->conf, &t->spool, state_open(&t->spool, STATE_DELIVER, &fresh), &t->target,
				       &t->era};
	assert_non_null(t->c.state);
	assert_int_equal(state_target(t->c.state, "records", &t->target.id), 0);
	assert_int_equal(state_commit(t->c.state), 0);
}

static inline void unit_targets_remove(struct unit_targets *t)
{
	state_close(t->c.state);
	spool_close(&t->spool);
	free((char *)t->conf.spool);
	free(t->template);
	unit_remove(t->folder);
}

/* An event with so many elements for this file below out/. */
struct unit_written {
	uint8_t id[STATE_ID_SIZE];
	char segment[SEGMENT_NAME_SIZE];
	uint64_t length; /* of its line, which begins the segment */
	struct buf records;
};

/* Writes its line to a segment, unless it is not to be `unread`. Free the records. */
static inline struct unit_written unit_event_for(struct unit_targets *t, const char *name, unsigned count, bool unread)
{
	struct unit_written written = {0};
	struct segment segment = SEGMENT_NONE;
	struct buf data = {0}, line = {0};
	char nonce[40], connection[256];
	snprintf(nonce, sizeof nonce, "\"%lld\"", (long long)++t->now);
	snprintf(connection, sizeof connection, "\"%s\"", name);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(buf_printf(&data, "%c{\"n\":%u}", i == 0 ? '[' : ',', i), 0);
	assert_int_equal(buf_str(&data, count == 0 ? "[]" : "]"), 0);
	struct event event = unit_event(t->now, nonce, buf_cstr(&data), count);
	event.fields[EVENT_CONNECTION_ID] = unit_span(connection);
	unit_line(&event, &line);
	written.length = line.len - 1;
	assert_int_equal(records_append(&event, &written.records, NULL, NULL), 0);
	assert_non_null(buf_cstr(&written.records));
	text_unhex(event.id, EVENT_ID_SIZE - 1, written.id, sizeof written.id);
	if (unread) {
		assert_int_equal(segment_open(&segment, &t->spool, t->now), 0);
		strcpy(written.segment, segment.name);
		struct iovec iov = {line.data, line.len};
		assert_int_equal(segment_commit(&segment, &t->spool, &iov, 1), 0);
		segment_close(&segment);
	}
	buf_fini(&data);
	buf_fini(&line);
	return written;
}

#endif
