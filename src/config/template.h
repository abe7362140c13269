/* The fields of an event as a configuration names them: in a file target's path, "/srv/%{object_type}/%{date}.jsonl",
 * and in a match. */
#ifndef HOOKSPOOL_CONFIG_TEMPLATE_H
#define HOOKSPOOL_CONFIG_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "config/problems.h"

/* "endpoint" and the sender's fields. In a path there are also "date" (UTC, YYYY-MM-DD) and "hour" (HH) of
 * received_at. */
bool template_is_field(const char *name);

/* Reports what is wrong with a path as the file has it, before it is made absolute. False if something was. */
bool template_check(const char *path, unsigned line, struct problems *problems);

/* Whether two templates with absolute fixed parts can become the same path, for whatever events; a path without
 * placeholders is one too. is_folder: or the first one a path below what the second one becomes. */
bool template_meets(const char *path, const char *other, bool is_folder);

/* Appends the path with each placeholder replaced. `value` appends the plain value of a field, date or hour; here it is
 * encoded (text_component). 0, or -1 with errno ENOMEM, or as `value` left it. */
int template_expand(const char *path, int (*value)(void *arg, const char *name, struct buf *out), void *arg,
		    struct buf *out);

#endif
