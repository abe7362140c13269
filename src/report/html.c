#include "config.h"

#include "report/html.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/plain.h"
#include "base/text.h"

void html_markup(struct html *h, const char *markup)
{
	if (buf_str(&h->out, markup) < 0)
		h->failed = true;
}

static int escape(struct buf *out, struct span text)
{
	static const struct {
		char character;
		const char *entity;
	} entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};
	for (size_t i = 0; i < text.len; i++) {
		const char *entity = NULL;
		for (size_t k = 0; k < sizeof entities / sizeof entities[0]; k++)
			if (text.ptr[i] == entities[k].character)
				entity = entities[k].entity;
		if ((entity == NULL ? buf_char(out, text.ptr[i]) : buf_str(out, entity)) < 0)
			return -1;
	}
	return 0;
}

void html_text(struct html *h, struct span text)
{
	struct buf plain = {0};
	if (text.len > 0 &&
	    (plain_append(&plain, text.ptr, text.len) < 0 || escape(&h->out, (struct span){plain.data, plain.len}) < 0))
		h->failed = true;
	buf_fini(&plain);
}

static void write_string(struct html *h, const char *text)
{
	html_text(h, (struct span){text, strlen(text)});
}

/* 1,234,567 */
static void write_count(struct html *h, uint64_t n)
{
	char digits[24];
	int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
	for (int i = 0; i < count; i++)
		if ((i > 0 && (count - i) % 3 == 0 && buf_char(&h->out, ',') < 0) || buf_char(&h->out, digits[i]) < 0)
			h->failed = true;
}

void html_write(struct html *h, const char *markup, ...)
{
	va_list args;
	va_start(args, markup);
	while (*markup != '\0') {
		size_t n = strcspn(markup, "%");
		if (buf_append(&h->out, markup, n) < 0)
			h->failed = true;
		markup += n;
		if (*markup == '\0')
			break;
		markup += strcspn(markup, "sud");
		if (*markup == 's')
			write_string(h, va_arg(args, const char *));
		else if (*markup == 'u')
			write_count(h, va_arg(args, uint64_t));
		else if (buf_printf(&h->out, "%" PRId64, va_arg(args, int64_t)) < 0)
			h->failed = true;
		markup++;
	}
	va_end(args);
}

void html_ago(struct html *h, int64_t at, int64_t now)
{
	char moment[CLOCK_TEXT_SIZE], ago[TEXT_HUMAN_SIZE];
	if (at == 0) {
		html_markup(h, "\u2013");
		return;
	}
	clock_text(at, moment);
	text_human_duration(at > now ? at - now : now - at, ago);
	html_write(h, "<time datetime=\"%s\" title=\"%s\">", moment, moment);
	if (at > now - CLOCK_SECOND && at < now + CLOCK_SECOND)
		html_markup(h, "just now</time>");
	else if (at > now)
		html_write(h, "in %s</time>", ago);
	else
		html_write(h, "%s ago</time>", ago);
}
