#include "config.h"

#include "deliver/deliverer.h"

#include "base/clock.h"
#include "base/log.h"
#include "spool/audit_line.h"

struct target_context deliverer_context(struct deliverer *d)
{
	return (struct target_context){d->conf, d->spool, d->state, d->targets, &d->era};
}

void deliverer_audit_add(struct deliverer *d, const struct target *target, const char *event_id, unsigned attempt,
			 const char *result, const char *detail)
{
	audit_tell(&d->audit_lines,
		   &(struct audit_delivery){"delivery", target->conf->name, event_id, attempt, result, detail});
}

void deliverer_audit_flush(struct deliverer *d)
{
	audit_write(&d->audit, d->audit_lines.data, d->audit_lines.len);
	d->audit_lines.len = 0;
}

int deliverer_commit(struct deliverer *d, int result)
{
	if (result == 0 && state_commit(d->state) == 0) {
		deliverer_audit_flush(d);
		return 0;
	}
	state_rollback(d->state);
	d->audit_lines.len = 0;
	return -1;
}

void deliverer_report(struct deliverer *d, const char *what)
{
	int64_t now = clock_monotonic();
	if (d->warned_at != 0 && now - d->warned_at < 60 * CLOCK_SECOND)
		return;
	d->warned_at = now;
	log_warn("%s: %s", d->conf->spool, what);
}
