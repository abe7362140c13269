#include "config.h"

#include "command/session.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "command/command.h"
#include "command/owner.h"
#include "event/event.h"
#include "spool/audit_line.h"
#include "spool/audit_write.h"
#include "spool/open.h"
#include "state/state.h"

#define PAUSE_MIN 10000 /* us */
#define PAUSE_MAX (CLOCK_SECOND / 2)

int session_open(struct session *session, const struct conf *conf, enum state_use use)
{
	bool fresh;
	*session = (struct session){.conf = conf, .spool = SPOOL_NONE};
	if (use == STATE_CHANGE && owner_become(conf) < 0)
		return EX_NOPERM;
	if (spool_open(&session->spool, conf, SPOOL_LOOK) == 0) {
		session->state = state_open(&session->spool, use, &fresh);
		if (session->state != NULL)
			return 0;
	}
	return errno == ENOENT ? 0 : command_failed(conf);
}

void session_close(struct session *session)
{
	state_close(session->state);
	spool_close(&session->spool);
	buf_fini(&session->audit);
}

/* For as long as the transaction before took: so the deliverer finds the lock free every other time. */
static void pause_after(int64_t took)
{
	int64_t us = took < PAUSE_MIN ? PAUSE_MIN : took > PAUSE_MAX ? PAUSE_MAX : took;
	if (took > 0)
		nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

int session_begin(struct session *session)
{
	pause_after(session->took);
	if (state_begin(session->state) < 0)
		return -1;
	session->began = clock_monotonic();
	return 0;
}

int session_audit(struct session *session, const char *target, const uint8_t *id, const char *result,
		  const char *detail)
{
	char hex[EVENT_ID_SIZE];
	if (id != NULL)
		text_hex(id, STATE_ID_SIZE, hex);
	return audit_tell(&session->audit,
			  &(struct audit_delivery){"operator", target, id == NULL ? NULL : hex, 0, result, detail});
}

int session_commit(struct session *session)
{
	if (state_commit(session->state) < 0)
		return -1;
	session->took = clock_monotonic() - session->began + 1;
	session_flush(session);
	return 0;
}

void session_flush(struct session *session)
{
	if (session->audit.len > 0 && audit_append(&session->spool, session->audit.data, session->audit.len) < 0)
		log_warn("%s/audit/audit.jsonl: cannot be written; what was done is not in it", session->spool.path);
	session->audit.len = 0;
}

int session_parse_id(const char *text, uint8_t id[STATE_ID_SIZE])
{
	if (strlen(text) == EVENT_ID_SIZE - 1 &&
	    text_unhex(text, EVENT_ID_SIZE - 1, id, STATE_ID_SIZE) == STATE_ID_SIZE)
		return 0;
	log_warnx("\"%s\" is no event's identity: that has 32 hex digits", text);
	return -1;
}
