#include "config.h"

#include "deliver/deliverer.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

void deliverer_tell(struct deliverer *d, const struct target *target, const char *event_id, unsigned attempt,
		    const char *result, const char *detail)
{
	struct buf *b = &d->story;
	size_t before = b->len;
	char at[CLOCK_TEXT_SIZE];
	clock_text(clock_now(), at);
	if (buf_printf(b,
		       "{\"at\":\"%s\",\"what\":\"delivery\",\"target\":\"%s\",\"event_id\":\"%s\",\"attempt\":%u,"
		       "\"result\":\"%s\"",
		       at, target->conf->name, event_id, attempt, result) < 0 ||
	    (detail != NULL && (buf_str(b, ",\"detail\":") < 0 || buf_json_string(b, detail, strlen(detail)) < 0)) ||
	    buf_str(b, "}\n") < 0)
		b->len = before;
}

void deliverer_publish(struct deliverer *d)
{
	audit_write(&d->audit, d->story.data, d->story.len);
	d->story.len = 0;
}

void deliverer_complain(struct deliverer *d, const char *what)
{
	int64_t now = clock_monotonic();
	if (d->warned_at != 0 && now - d->warned_at < 60 * CLOCK_SECOND)
		return;
	d->warned_at = now;
	log_warn("%s: %s", d->conf->spool, what);
}
