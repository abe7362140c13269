#include "config.h"

#include "report/report.h"

#include <errno.h>
#include <string.h>

#include "report/metrics.h"
#include "report/overview.h"
#include "report/page.h"
#include "report/status_json.h"
#include "report/style_sheet.h"
#include "spool/published.h"
#include "state/state.h"

static struct span span_of(const struct buf *b)
{
	return (struct span){b->data, b->len};
}

static int write_status(const struct spool *spool, const struct overview *o, const struct conf *conf)
{
	struct writer w = {0};
	status_json_write(&w, o, conf);
	int result = writer_end(&w);
	if (result == 0)
		result = snapshot_write(spool, SNAPSHOT_STATUS, span_of(&w.out));
	buf_fini(&w.out);
	return result;
}

static int write_metrics(const struct spool *spool, const struct overview *o)
{
	struct buf out = {0};
	int result = metrics_write(&out, o);
	if (result == 0)
		result = snapshot_write(spool, SNAPSHOT_METRICS, span_of(&out));
	buf_fini(&out);
	return result;
}

static int write_page(const struct spool *spool, struct state *state, const struct overview *o)
{
	struct html h = {0};
	char csrf_token[SNAPSHOT_FORM_SIZE];
	struct page page = {.overview = o, .spool = spool, .state = state, .csrf_token = csrf_token};
	int result = snapshot_form(spool, csrf_token);
	if (result == 0)
		result = page_write(&h, &page);
	if (result == 0)
		result = snapshot_write(spool, SNAPSHOT_STYLE, (struct span){style_sheet, strlen(style_sheet)});
	if (result == 0)
		result = snapshot_write(spool, SNAPSHOT_PAGE, span_of(&h.out));
	buf_fini(&h.out);
	return result;
}

int report_write(const struct conf *conf, const struct spool *spool, struct state *state)
{
	struct overview o = {0};
	int result = overview_read(&o, conf, spool, state, OVERVIEW_NEAR);
	if (result == 0)
		result = write_page(spool, state, &o);
	if (result == 0)
		result = write_status(spool, &o, conf);
	if (result == 0)
		result = write_metrics(spool, &o);
	/* The last one: it says that the others are of this moment. */
	if (result == 0)
		result = snapshot_health_write(
			spool,
			&(struct snapshot_health){.ok = o.health == HEALTH_OK, .at = o.now, .late_at = o.turns_at});
	int saved = errno;
	state_read_end(state);
	overview_fini(&o);
	errno = saved;
	return result;
}
