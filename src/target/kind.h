/* Kinds of targets: a kind is a file, and a row of the table in kind.c. */
#ifndef HOOKSPOOL_TARGET_KIND_H
#define HOOKSPOOL_TARGET_KIND_H

#include <stddef.h>

#include "base/buf.h"
#include "config/conf.h"
#include "target/attempt.h"
#include "target/retry.h"

struct target_kind {
	struct conf_kind conf; /* first: a target's kind points to it */
	int64_t retry_max;     /* us, between two attempts */

	/* The rest is for kinds whose attempts go on beside the deliverer, one for the deliveries of a lane. Those of
	 * files are made together, exactly once (file.h). None of these may wait. */

	size_t size; /* of what stands for an attempt, which begins with a struct attempt */
	/* Begins one. 0, or -1 with errno: there is none. */
	int (*start)(struct attempt *attempt, const struct conf_target *conf, const struct attempt_input *input);
	/* Takes what there is to read, and does what is due at this moment (us, monotonic). */
	void (*tick)(struct attempt *attempt, int64_t now);
	/* Whether it has ended: all of it is final then. */
	bool (*reap)(struct attempt *attempt);
	/* Ends it early, unless its end has begun. */
	void (*stop)(struct attempt *attempt, int64_t now);
	/* Ends it at once, and may wait for that, a second at most. */
	void (*kill)(struct attempt *attempt);
	/* How it ended, and the sentence for the audit (appended; 0, or -1 with errno ENOMEM). */
	enum retry_result (*result)(const struct attempt *attempt);
	int (*describe)(const struct attempt *attempt, struct buf *out);
};

/* Rows of the table, by their files. */
extern const struct target_kind target_file_kind, target_run_kind;

const struct target_kind *target_kind_of(const struct conf_target *conf);

#endif
