#include "config.h"

#include "base/signals.h"

#include <signal.h>
#include <stddef.h>

void signals_begin(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

void signals_end_at_pipe(void)
{
	signal(SIGPIPE, SIG_DFL);
}

bool signals_hang_up(void)
{
	struct sigaction action;
	return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler != SIG_IGN;
}

void signals_hold_hang_up(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	/* One that is ignored is ignored only while it is not blocked. */
	if (signals_hang_up())
		sigprocmask(SIG_BLOCK, &set, NULL);
}
