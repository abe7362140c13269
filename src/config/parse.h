/* Reads a configuration from its file. The only user of libConfuse. */
#ifndef HOOKSPOOL_CONFIG_PARSE_H
#define HOOKSPOOL_CONFIG_PARSE_H

#include <stdbool.h>

#include "config/conf.h"

struct sources;

/* Where to look: `given` (-c) if not NULL, else $HOOKSPOOL_CONF, $REDIRECT_HOOKSPOOL_CONF (mod_rewrite renames it),
 * hookspool.conf beside the program, SYSCONFDIR/hookspool/hookspool.conf. The first that is named or
 * exists. The caller frees. NULL: none; then a message that lists where it looked was given to log_warnx. */
char *conf_find(const char *given);

/* Reads and checks the file and, with_secrets, the secrets and their modes. Without, secrets are NULL: the deliverer
 * has no use for them, and can be a user that may not read them. NULL after every problem found was reported through
 * `complain` ("FILE:LINE: what is wrong; what to do", one call each, in the order of the lines; "FILE: …" where it is
 * about no line). Never tells a secret. Free with conf_free. One thread at a time: libConfuse has one scanner. */
typedef void conf_complain(void *arg, const char *message);
struct conf *conf_read(const char *path, bool with_secrets, conf_complain *complain, void *arg);
/* The same; the files that were read are in `sources` afterwards, whatever came of it. */
struct conf *conf_read_sources(const char *path, bool with_secrets, struct sources *sources, conf_complain *complain,
			       void *arg);

#endif
