/* What the deliverer writes for the page, and the receiver sends: the spool's folder status/ (doc/journal.md, The
 * page). */
#ifndef HOOKSPOOL_SPOOL_PUBLISHED_H
#define HOOKSPOOL_SPOOL_PUBLISHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "spool/spool.h"

enum snapshot_file {
	SNAPSHOT_PAGE,
	SNAPSHOT_STYLE,
	SNAPSHOT_STATUS, /* JSON */
	SNAPSHOT_METRICS,
	SNAPSHOT_HEALTH,
	SNAPSHOT_FORM,
	SNAPSHOT_FILES,
};

/* Stands in the page where the receiver says how old it is. */
#define SNAPSHOT_AGE_MARK "<!-- age -->"

/* For the deliverer: puts a file in the place of the one that is there, whole, and makes the folder where it is
 * missing. 0, or -1 with errno. */
int snapshot_write(const struct spool *spool, enum snapshot_file file, struct span content);

/* For the receiver, from any thread: the file's content, appended, and when it was written, us since 1970. `spool` is
 * the spool's path. 0, or -1 with errno (ENOENT: there is none yet). */
int snapshot_read(const char *spool, enum snapshot_file file, struct buf *out, int64_t *written_at);

/* The word that proves that a form comes from the page: 32 hex digits, made where there is none. 0, or -1 with errno.
 */
#define SNAPSHOT_FORM_SIZE 33 /* with its NUL */
int snapshot_form(const struct spool *spool, char word[SNAPSHOT_FORM_SIZE]);

/* The line of `health`. */
struct snapshot_health {
	bool ok;
	int64_t at;      /* when the deliverer looked, us since 1970 */
	int64_t late_at; /* from when it is late though nothing happens; 0: never */
};
int snapshot_health_write(const struct spool *spool, const struct snapshot_health *health);
/* 0, or -1 with errno (EBADMSG: it is no such line). */
int snapshot_health_read(const char *spool, struct snapshot_health *health);

/* Whether an event stands in journal/ that came after `at` and before `before`, as far as names and times of the
 * segments tell. 1, 0, or -1 with errno. */
int snapshot_is_waiting(const char *spool, int64_t at, int64_t before);

#endif
