#include "config.h"

#include "base/descriptors.h"

#define ENOUGH 65536
#define KEPT   256 /* a round has up to 200 files open */

static struct rlimit get_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		limit = (struct rlimit){.rlim_cur = 1024, .rlim_max = 1024};
	return limit;
}

void descriptors_raise(struct rlimit *before)
{
	*before = get_limit();
	struct rlimit raised = *before;
	raised.rlim_cur = descriptors_most();
	if (raised.rlim_cur > before->rlim_cur)
		setrlimit(RLIMIT_NOFILE, &raised);
}

size_t descriptors_for_scripts(rlim_t limit)
{
	if (limit > ENOUGH)
		limit = ENOUGH;
	return limit < 2 * KEPT ? limit / 2 : limit - KEPT;
}

rlim_t descriptors_most(void)
{
	struct rlimit limit = get_limit();
	if (limit.rlim_cur >= ENOUGH)
		return limit.rlim_cur;
	return limit.rlim_max < ENOUGH ? limit.rlim_max : ENOUGH;
}

rlim_t descriptors_now(void)
{
	return get_limit().rlim_cur;
}
