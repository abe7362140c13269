/* Starting a deliverer. */
#ifndef HOOKSPOOL_RECEIVE_SPAWN_H
#define HOOKSPOOL_RECEIVE_SPAWN_H

struct spool;

/* Starts `hookspool -c CONF deliver` of this same program, detached: a session of its own, descriptors on /dev/null, no
 * signal blocked or ignored, nothing of the web server's environment. It takes the place of the one that waits first
 * (spool_place), and hands it on as standard input: where somebody has it, that one will look at the journal, and no
 * other is started. A failure is logged: the next event, or cron, tries again. */
void wake_deliverer(const char *conf_path, const struct spool *spool);

#endif
