#include "config.h"

#include "report/html.h"

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

void html_string(struct html *h, const char *text)
{
	html_text(h, (struct span){text, strlen(text)});
}

void html_count(struct html *h, uint64_t n)
{
	char digits[24];
	int count = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
	for (int i = 0; i < count; i++)
		if ((i > 0 && (count - i) % 3 == 0 && buf_char(&h->out, ',') < 0) || buf_char(&h->out, digits[i]) < 0)
			h->failed = true;
}

void html_integer(struct html *h, int64_t n)
{
	if (buf_printf(&h->out, "%lld", (long long)n) < 0)
		h->failed = true;
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
	html_markup(h, "<time datetime=\"");
	html_string(h, moment);
	html_markup(h, "\" title=\"");
	html_string(h, moment);
	if (at > now - CLOCK_SECOND && at < now + CLOCK_SECOND) {
		html_markup(h, "\">just now</time>");
		return;
	}
	html_markup(h, at > now ? "\">in " : "\">");
	html_string(h, ago);
	html_markup(h, at > now ? "</time>" : " ago</time>");
}
