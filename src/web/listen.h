/* What a process is started with: descriptors, and how a web server or systemd says what they are. */
#ifndef HOOKSPOOL_WEB_LISTEN_H
#define HOOKSPOOL_WEB_LISTEN_H

/* To be called first. Opens /dev/null on those of 0, 1, 2 that are closed, closes all others but the sockets that
 * systemd passes. */
void inherit_init(void);

/* The listening socket that was passed: by systemd (sd_listen_fds(3)), else on descriptor 0 (FastCGI
 * specification 2.2). -1: none. */
int inherit_listener(void);

#endif
