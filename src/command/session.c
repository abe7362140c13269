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
#include "spool/audit_write.h"

#define PAUSE_MIN 10000 /* us */
#define PAUSE_MAX (CLOCK_SECOND / 2)

int deed_open(struct deed *deed, const struct conf *conf, enum state_use use)
{
	bool fresh;
	*deed = (struct deed){.conf = conf, .spool = SPOOL_NONE};
	if (use == STATE_CHANGE && owner_become(conf) < 0)
		return EX_NOPERM;
	if (spool_open(&deed->spool, conf, SPOOL_LOOK) == 0) {
		deed->state = state_open(&deed->spool, use, &fresh);
		if (deed->state != NULL)
			return 0;
	}
	return errno == ENOENT ? 0 : command_failed(conf);
}

void deed_close(struct deed *deed)
{
	state_close(deed->state);
	spool_close(&deed->spool);
	buf_fini(&deed->story);
}

/* For as long as the transaction before took: so the deliverer finds the lock free every other time. */
static void pause_after(int64_t took)
{
	int64_t us = took < PAUSE_MIN ? PAUSE_MIN : took > PAUSE_MAX ? PAUSE_MAX : took;
	if (took > 0)
		nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

int deed_begin(struct deed *deed)
{
	pause_after(deed->took);
	if (state_begin(deed->state) < 0)
		return -1;
	deed->began = clock_monotonic();
	return 0;
}

int deed_tell(struct deed *deed, const char *target, const uint8_t *id, const char *result, const char *detail)
{
	char hex[EVENT_ID_SIZE];
	if (id != NULL)
		text_hex(id, STATE_ID_SIZE, hex);
	return audit_tell(&deed->story,
			  &(struct audit_delivery){"operator", target, id == NULL ? NULL : hex, 0, result, detail});
}

int deed_commit(struct deed *deed)
{
	if (state_commit(deed->state) < 0)
		return -1;
	deed->took = clock_monotonic() - deed->began + 1;
	deed_publish(deed);
	return 0;
}

void deed_publish(struct deed *deed)
{
	if (deed->story.len > 0 && audit_append(&deed->spool, deed->story.data, deed->story.len) < 0)
		log_warn("%s/audit/audit.jsonl: cannot be written; what was done is not in it", deed->spool.path);
	deed->story.len = 0;
}

int deed_id(const char *text, uint8_t id[STATE_ID_SIZE])
{
	if (strlen(text) == EVENT_ID_SIZE - 1 &&
	    text_unhex(text, EVENT_ID_SIZE - 1, id, STATE_ID_SIZE) == STATE_ID_SIZE)
		return 0;
	log_warnx("\"%s\" is no event's identity: that has 32 hex digits", text);
	return -1;
}
