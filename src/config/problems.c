#include "config.h"

#include "config/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void append(struct problems *problems, unsigned line, char *text)
{
	if (text == NULL || problems->count == PROBLEMS_MAX) {
		free(text);
		problems->more++;
		return;
	}
	problems->list[problems->count++] = (struct problem){line, text};
}

void problems_add(struct problems *problems, unsigned line, const char *format, ...)
{
	va_list args;
	char *text;
	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	for (char *s = text; s != NULL && *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	append(problems, line, text);
}

bool problems_at(const struct problems *problems, unsigned line)
{
	for (size_t i = 0; i < problems->count; i++)
		if (problems->list[i].line == line)
			return true;
	return false;
}

bool problems_any(const struct problems *problems)
{
	return problems->count > 0 || problems->more > 0;
}

void problems_move(struct problems *to, struct problems *from)
{
	for (size_t i = 0; i < from->count; i++)
		append(to, from->list[i].line, from->list[i].text);
	to->more += from->more;
	from->count = from->more = 0;
}

/* By line; those of one line stay in the order in which they were found. */
static void sort(struct problems *problems)
{
	for (size_t i = 1; i < problems->count; i++) {
		struct problem moved = problems->list[i];
		size_t at = i;
		for (; at > 0 && problems->list[at - 1].line > moved.line; at--)
			problems->list[at] = problems->list[at - 1];
		problems->list[at] = moved;
	}
}

void problems_tell(struct problems *problems, const char *file, void (*tell)(void *arg, const char *message), void *arg)
{
	sort(problems);
	for (size_t i = 0; i < problems->count; i++) {
		const struct problem *p = &problems->list[i];
		char line[16] = "", *message;
		if (p->line > 0)
			snprintf(line, sizeof line, ":%u", p->line);
		if (asprintf(&message, "%s%s: %s", file, line, p->text) < 0) {
			tell(arg, p->text);
			continue;
		}
		tell(arg, message);
		free(message);
	}
	if (problems->more > 0)
		tell(arg, "there are more problems than are told here; correct these first");
}

void problems_fini(struct problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		free(problems->list[i].text);
	*problems = (struct problems){0};
}
