#include "config.h"

#include "deliver/requests.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "spool/audit_line.h"
#include "spool/request_file.h"
#include "state/deliveries.h"
#include "state/state.h"

#define ERRANDS_MAX 64 /* at a time */
#define ROWS_MAX    64 /* in a transaction */

/* Deliveries: read first, and changed then. */
struct rows {
	const char *target; /* only of this one; NULL: of all */
	struct {
		struct state_row row;
		char target[ERRAND_NAME_SIZE];
	} list[ROWS_MAX];
	int count;
};

static int note_row(void *arg, const struct state_row *row)
{
	struct rows *rows = arg;
	if (rows->count == ROWS_MAX || (rows->target != NULL && strcmp(rows->target, row->target) != 0))
		return 0;
	rows->list[rows->count].row = *row;
	strncat(strcpy(rows->list[rows->count].target, ""), row->target, ERRAND_NAME_SIZE - 1);
	rows->count++;
	return 0;
}

static int tell(struct deliverer *d, const struct state_row *row, const char *target)
{
	char id[EVENT_ID_SIZE];
	text_hex(row->delivery.event, STATE_ID_SIZE, id);
	return audit_tell(&d->audit_lines,
			  &(struct audit_delivery){"operator", target, id, 0, "retried", "on the page"});
}

/* What waits for another attempt is due now. */
static int retry_waiting(struct deliverer *d)
{
	char detail[64];
	uint64_t lanes;
	if (state_lanes_push(d->state, &lanes) < 0)
		return -1;
	if (lanes == 0)
		return 0;
	snprintf(detail, sizeof detail, "on the page: %llu that waited", (unsigned long long)lanes);
	return audit_tell(&d->audit_lines, &(struct audit_delivery){"operator", NULL, NULL, 0, "retried", detail});
}

/* In a transaction. */
static int retry_rows(struct deliverer *d, struct rows *rows, const struct errand *errand)
{
	uint8_t id[STATE_ID_SIZE];
	int result;
	rows->count = 0;
	rows->target = errand->target;
	if (errand->all) {
		result = state_parked(d->state, ROWS_MAX, note_row, rows);
	} else {
		text_unhex(errand->event, EVENT_ID_SIZE - 1, id, sizeof id);
		result = state_rows(d->state, id, note_row, rows);
	}
	for (int i = 0; i < rows->count && result >= 0; i++) {
		result = state_delivery_retry(d->state, &rows->list[i].row);
		if (result == 1)
			result = tell(d, &rows->list[i].row, rows->list[i].target);
	}
	if (result < 0)
		return -1;
	return errand->all && rows->count < ROWS_MAX ? retry_waiting(d) : 0;
}

/* Whether there may be more of them: 1, 0, or -1. */
static int carry_out(struct deliverer *d, struct rows *rows, const struct errand *errand)
{
	if (state_begin(d->state) < 0)
		return -1;
	return deliverer_commit(d, retry_rows(d, rows, errand)) < 0 ? -1 : rows->count == ROWS_MAX;
}

int errands_run(struct deliverer *d)
{
	struct errand errands[ERRANDS_MAX];
	struct rows rows;
	int count = errand_list(d->spool, errands, ERRANDS_MAX), done = 0;
	if (count < 0)
		return -1;
	for (int i = 0; i < count; i++) {
		int more;
		do
			more = carry_out(d, &rows, &errands[i]);
		while (more == 1);
		if (more < 0)
			return -1;
		/* It is carried out again then, which changes nothing. */
		if (errand_done(d->spool, &errands[i]) < 0 && errno != ENOENT)
			deliverer_report(d, "an errand that was carried out cannot be removed from errands/");
		else
			done++;
	}
	return done;
}
