/* The configuration: const once it is read (config/parse). A process that lives on reads it again when it has changed
 * (config/current). */
#ifndef HOOKSPOOL_CONFIG_CONF_H
#define HOOKSPOOL_CONFIG_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

struct arena;
struct scheme;

struct conf_endpoint {
	const char *path; /* "/webhook": begins with '/', has no trailing '/', no "..", no query */
	const struct scheme *scheme;
	const char *secret_file; /* absolute */
	/* One a line of secret_file, at least one, none empty, a NUL behind each; NULL if they were not read. */
	struct span *secrets;
	size_t secret_count;
	unsigned algorithms;      /* of SCHEME_SHA1 | SCHEME_SHA256; both by default */
	const char **connections; /* ids allowed; none: all */
	size_t connection_count;
	uint64_t max_body; /* bytes; default 10M */
	int64_t expect;    /* us; a connection that is silent for longer is late; 0, the default: none is */
	unsigned line;     /* where its section begins in the file */
};

/* One condition of a target: a shell glob (fnmatch(3)) over a field of the event. */
struct conf_match {
	const char *field; /* "type", "event", "object_type", "connection_id", "endpoint", "environment",
			      "integration_type", "webhook_id", "workspace_id", "external_xref" */
	const char *glob;
};

/* A kind of target, by the option that chooses it. All of them, and NULL at the end, stand in target/kind.c. */
struct conf_kind {
	const char *option;
	bool is_file;    /* set to a path, with placeholders; else to one word or more */
	bool is_program; /* the first word is a path, of a program */
};
extern const struct conf_kind *const conf_kinds[];

struct conf_target {
	const char *name; /* [A-Za-z0-9._-]+ */
	const struct conf_kind *kind;
	const char *file;   /* of a kind of files: template with absolute fixed part; else NULL */
	char *const *words; /* of another kind: NULL-terminated; a program's [0] is absolute; else NULL */
	mode_t mode;        /* of files made by a file target; default 0600 */
	struct conf_match *matches;
	size_t match_count;
	int64_t timeout;   /* us; default 30s */
	unsigned batch;    /* events per run, 1..1000; default 1 */
	unsigned workers;  /* runs at a time, 1..64; default 1 */
	int64_t retry_for; /* us; default 3d */
	unsigned line;
};

struct conf {
	const char *path;  /* of the file itself, absolute */
	const char *spool; /* absolute */
	bool deliver_auto; /* deliver = "auto" (default), else "manual" */
	bool has_group;
	gid_t group;      /* with has_group: receiver and deliverer are in it, and may be two users (spool/layout) */
	uint64_t reserve; /* bytes that must stay free; default 64M */
	uint64_t in_flight_max; /* bytes of bodies at a time; default 64M */
	int64_t keep;           /* us; archive; default 7d */
	int64_t remember;       /* us; identities; default 30d */
	uint64_t audit_max;     /* bytes of audit.jsonl before it is rotated; default 16M */
	int64_t late_after;     /* us; what is undelivered for longer is late; default 15m */
	struct conf_endpoint *endpoints;
	size_t endpoint_count;
	struct conf_target *targets;
	size_t target_count;
	const char *status_path; /* the page's, like an endpoint's; NULL: there is none */
	const char *token_file;  /* absolute; with status_path */
	struct span *tokens;     /* as an endpoint's secrets */
	size_t token_count;
	unsigned status_line;
	void *owner; /* internal: everything above lives here; NULL where it was not read from a file */
};

/* Makes an empty configuration. What it points to must be allocated in *arena, which conf_free frees with it. NULL with
 * errno ENOMEM. */
struct conf *conf_new(struct arena **arena);

/* One more reference to it, for conf_free. Every thread that has one may call. */
const struct conf *conf_hold(const struct conf *conf);

/* Gives up a reference. With the last one it is freed, secrets overwritten first. Takes NULL. */
void conf_free(const struct conf *conf);

#endif
