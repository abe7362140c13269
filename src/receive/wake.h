/* Starting a deliverer. */
#ifndef HOOKSPOOL_WAKE_H
#define HOOKSPOOL_WAKE_H

/* Starts `hookspool -c CONF deliver` of this same program, detached: a session of its own, descriptors on /dev/null, no
 * signal blocked or ignored, nothing of the web server's environment. A failure is logged: the next event, or cron,
 * tries again. */
void wake_deliverer(const char *conf_path);

#endif
