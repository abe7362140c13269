#include "config.h"

#include "receive/bodies.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_MAX 64 /* buffers */

struct kept {
	struct buf buf;
	bool rested; /* it was here the last time that bodies_trim was called */
};

struct bodies {
	pthread_mutex_t lock;
	struct kept kept[KEPT_MAX]; /* the last one came last */
	size_t count, bytes;
};

struct bodies *bodies_new(void)
{
	struct bodies *bodies = calloc(1, sizeof *bodies);
	if (bodies != NULL)
		pthread_mutex_init(&bodies->lock, NULL);
	return bodies;
}

void bodies_free(struct bodies *bodies)
{
	if (bodies == NULL)
		return;
	for (size_t i = 0; i < bodies->count; i++)
		buf_fini(&bodies->kept[i].buf);
	pthread_mutex_destroy(&bodies->lock);
	free(bodies);
}

/* Called with the lock held. */
static struct buf remove_at(struct bodies *bodies, size_t i)
{
	struct buf buf = bodies->kept[i].buf;
	bodies->bytes -= buf.cap;
	bodies->count--;
	memmove(&bodies->kept[i], &bodies->kept[i + 1], (bodies->count - i) * sizeof *bodies->kept);
	return buf;
}

bool bodies_take(struct bodies *bodies, size_t size, struct buf *body)
{
	bool found = false;
	pthread_mutex_lock(&bodies->lock);
	/* From the last: it is the likeliest to be in the processor's caches, and those that nobody needs grow old. */
	for (size_t i = bodies->count; i > 0 && !found; i--) {
		size_t cap = bodies->kept[i - 1].buf.cap;
		found = cap >= size && cap / 2 <= size;
		if (found)
			*body = remove_at(bodies, i - 1);
	}
	pthread_mutex_unlock(&bodies->lock);
	return found;
}

void bodies_put(struct bodies *bodies, struct buf *body)
{
	body->len = 0;
	pthread_mutex_lock(&bodies->lock);
	if (bodies->count < KEPT_MAX && body->cap <= BODIES_MAX - bodies->bytes) {
		bodies->bytes += body->cap;
		bodies->kept[bodies->count++] = (struct kept){.buf = *body};
		*body = (struct buf){0};
	}
	pthread_mutex_unlock(&bodies->lock);
	buf_fini(body);
}

void bodies_trim(struct bodies *bodies)
{
	struct buf rested[KEPT_MAX];
	size_t count = 0;
	pthread_mutex_lock(&bodies->lock);
	for (size_t i = bodies->count; i > 0; i--)
		if (bodies->kept[i - 1].rested)
			rested[count++] = remove_at(bodies, i - 1);
		else
			bodies->kept[i - 1].rested = true;
	pthread_mutex_unlock(&bodies->lock);
	while (count > 0)
		buf_fini(&rested[--count]);
}
