#include "config.h"

#include "deliver/deliverer.h"

#include "base/clock.h"
#include "base/log.h"

struct target_context deliverer_context(struct deliverer *d)
{
	return (struct target_context){d->conf, d->spool, d->state, d->targets, &d->era};
}

void deliverer_tell(struct deliverer *d, const struct target *target, const char *event_id, unsigned attempt,
		    const char *result, const char *detail)
{
	audit_tell(&d->story,
		   &(struct audit_delivery){"delivery", target->conf->name, event_id, attempt, result, detail});
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
