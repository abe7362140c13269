/* What is wrong with a configuration file: collected while it is read, told in the order of its lines. */
#ifndef HOOKSPOOL_CONFIG_PROBLEMS_H
#define HOOKSPOOL_CONFIG_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

#define PROBLEMS_MAX 100 /* further ones are counted only */

/* Zero-initialise to begin. */
struct problems {
	struct problem {
		unsigned line; /* 0: the file as a whole */
		char *text;
	} list[PROBLEMS_MAX];
	size_t count; /* of those in the list */
	size_t more;  /* that did not fit, or for which there was no memory */
};

/* "what is wrong; what to do". Control characters in it become '?'. */
void problems_add(struct problems *problems, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

bool problems_at(const struct problems *problems, unsigned line);
bool problems_any(const struct problems *problems);

/* Moves them all, and leaves `from` empty. */
void problems_move(struct problems *to, struct problems *from);

/* One call for each, as "FILE:LINE: text", or "FILE: text" for line 0. */
void problems_tell(struct problems *problems, const char *file, void (*tell)(void *arg, const char *message),
		   void *arg);

void problems_fini(struct problems *problems);

#endif
