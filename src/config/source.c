#include "config.h"

#include "config/source.h"

#include <string.h>

/* These end a word. */
#define MARKS " #\"'\t\n\r={}()+,*"

struct cursor {
	char *at, *end;
	unsigned line;
	unsigned depth, opened; /* braces that are open, and the line of the first of them */
	struct problems *problems;
};

static bool is_at(const struct cursor *c, const char *word)
{
	size_t n = strlen(word);
	return (size_t)(c->end - c->at) >= n && memcmp(c->at, word, n) == 0;
}

static void blank_to_end_of_line(struct cursor *c)
{
	while (c->at < c->end && *c->at != '\n')
		*c->at++ = ' ';
}

static void blank_block(struct cursor *c)
{
	unsigned began = c->line;
	memset(c->at, ' ', 2);
	c->at += 2;
	while (c->at < c->end && !is_at(c, "*/")) {
		if (*c->at == '\n')
			c->line++;
		else
			*c->at = ' ';
		c->at++;
	}
	if (c->at == c->end) {
		problems_add(c->problems, began, "this comment has no end; add */");
		return;
	}
	memset(c->at, ' ', 2);
	c->at += 2;
}

static void check_variable(struct cursor *c)
{
	if (is_at(c, "${"))
		problems_add(
			c->problems, c->line,
			"variables are not replaced here; write the value itself (\"\\${\" for these two characters)");
}

static void pass_string(struct cursor *c)
{
	char quote = *c->at++;
	while (c->at < c->end && *c->at != quote) {
		if (*c->at == '\\' && c->at + 1 < c->end)
			c->at++;
		else if (quote == '"')
			check_variable(c);
		if (*c->at == '\n')
			break;
		c->at++;
	}
	if (c->at == c->end || *c->at == '\n') {
		problems_add(c->problems, c->line, "this string does not end on its line; add %c", quote);
		return;
	}
	c->at++;
}

/* What libConfuse takes as a word without quotes: in it a comment cannot begin with '/'. */
static void pass_word(struct cursor *c)
{
	while (c->at < c->end && strchr(MARKS, *c->at) == NULL) {
		check_variable(c);
		c->at++;
	}
}

/* '{', '}' or what stands between words. */
static void pass_mark(struct cursor *c)
{
	if (*c->at == '{' && c->depth++ == 0)
		c->opened = c->line;
	else if (*c->at == '}' && c->depth > 0)
		c->depth--;
	else if (*c->at == '\n')
		c->line++;
	c->at++;
}

static void pass_token(struct cursor *c)
{
	if (*c->at == '#' || is_at(c, "//")) {
		blank_to_end_of_line(c);
	} else if (is_at(c, "/*")) {
		blank_block(c);
	} else if (*c->at == '"' || *c->at == '\'') {
		pass_string(c);
	} else if (strchr(MARKS, *c->at) != NULL) {
		pass_mark(c);
	} else {
		pass_word(c);
	}
}

unsigned source_prepare(struct buf *text, struct problems *problems)
{
	struct cursor c = {.at = text->data, .end = text->data + text->len, .line = 1, .problems = problems};
	if (text->len > 0 && memchr(text->data, '\0', text->len) != NULL) {
		problems_add(problems, 0, "holds a NUL byte and so is no text; save it as UTF-8");
		return 0;
	}
	if (is_at(&c, "\xef\xbb\xbf"))
		problems_add(problems, 1, "the file begins with a byte order mark; save it without");
	while (c.at < c.end)
		pass_token(&c);
	return c.depth > 0 ? c.opened : 0;
}
