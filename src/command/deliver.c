#include "config.h"

#include "deliver/deliver.h"

#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/signals.h"
#include "command/bar.h"
#include "command/command.h"
#include "command/owner.h"
#include "report/report.h"

#define WARN_EVERY (60 * CLOCK_SECOND)

struct watch {
	struct bar bars[2]; /* by work */
	int64_t warned_at;  /* us, monotonic; 0: never */
};

static void report(void *arg, const struct conf *conf, const struct spool *spool, struct state *state)
{
	struct watch *watch = arg;
	int64_t now = clock_monotonic();
	if (report_write(conf, spool, state) == 0 || (watch->warned_at != 0 && now - watch->warned_at < WARN_EVERY))
		return;
	watch->warned_at = now;
	log_warn("%s/status: cannot be written; the page stays as it is", conf->spool);
}

static void show_progress(void *arg, enum deliver_work work, uint64_t done, uint64_t total)
{
	struct watch *watch = arg;
	struct bar *bar = &watch->bars[work];
	if (bar->label == NULL)
		bar_begin(bar, work == DELIVER_READING ? "reading" : "delivering", work == DELIVER_READING);
	if (done < total)
		bar_step(bar, done, total);
	else
		bar_end(bar);
}

static int become_owner(struct current *current)
{
	const struct conf *conf = current_hold(current);
	int result = owner_become(conf);
	conf_free(conf);
	return result;
}

static int run_deliver(const char *conf_path, int argc, char **argv)
{
	bool once = false, stay = false;
	const struct command_option known[] = {{"once", .flag = &once}, {"stay", .flag = &stay}, {0}};
	if (command_options(argc, argv, known) != argc || (once && stay))
		return EX_USAGE;
	struct current current;
	signals_hold_hang_up();
	if (command_current(&current, conf_path, false) < 0)
		return EX_CONFIG;
	struct watch watch = {0};
	const struct deliver_watcher watcher = {
		.report = report,
		.progress = isatty(STDERR_FILENO) ? show_progress : NULL,
		.arg = &watch,
	};
	int result = become_owner(&current) < 0 ? EX_NOPERM
						: deliver(&current,
							  once   ? DELIVER_ONCE
							  : stay ? DELIVER_STOP
								 : DELIVER_IDLE,
							  &watcher, &deliver_times);
	for (size_t i = 0; i < 2; i++)
		bar_end(&watch.bars[i]);
	current_close(&current);
	return result;
}

const struct command deliver_command = {
	.name = "deliver",
	.arguments = "[--once|--stay]",
	.summary = "deliver what is in the journal; end when idle",
	.help = "Delivers what is in the journal. One deliverer works on a spool at a time; a\n"
		"second one ends at once. Without an option it ends when it has been idle for\n"
		"a while and nothing waits for another attempt: good for cron.\n"
		"\n"
		"    --once      try everything that can be delivered now once, and end\n"
		"    --stay      go on until SIGTERM: for a service\n",
	.run = run_deliver,
};
