#include "config.h"

#include "config/secrets.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_blank(struct span line)
{
	for (size_t i = 0; i < line.len; i++)
		if (strchr(" \t\r", line.ptr[i]) == NULL)
			return false;
	return true;
}

/* Cuts the next line off, without its end. */
static struct span next_line(struct span *text)
{
	const char *end = memchr(text->ptr, '\n', text->len);
	struct span line = {text->ptr, end == NULL ? text->len : (size_t)(end - text->ptr)};
	size_t used = line.len + (end != NULL);
	*text = (struct span){text->ptr + used, text->len - used};
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* The secrets where they stand in the text. Their number, or -1. */
static int find(struct span text, struct span found[SECRETS_MAX], char why[GUARDED_WHY_SIZE])
{
	int count = 0;
	if (memchr(text.ptr, '\0', text.len) != NULL || (text.len >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0)) {
		snprintf(why, GUARDED_WHY_SIZE,
			 "holds a NUL byte or a byte order mark; save it as plain text, one secret a line");
		return -1;
	}
	for (unsigned number = 1; text.len > 0; number++) {
		struct span line = next_line(&text);
		if (is_blank(line) || line.ptr[0] == '#')
			continue;
		if (line.len > SECRETS_MAX_LEN || count == SECRETS_MAX) {
			snprintf(why, GUARDED_WHY_SIZE,
				 "has too much in line %u; at most %d secrets of at most %d bytes, one a line", number,
				 SECRETS_MAX, SECRETS_MAX_LEN);
			return -1;
		}
		found[count++] = line;
	}
	if (count == 0)
		snprintf(why, GUARDED_WHY_SIZE, "holds no secret; write one, on a line of its own");
	return count > 0 ? count : -1;
}

static int keep(struct arena *arena, const struct span *found, size_t count, struct span **secrets)
{
	*secrets = arena_alloc(arena, count * sizeof **secrets);
	for (size_t i = 0; i < count && !arena->failed; i++)
		(*secrets)[i] = (struct span){arena_copy(arena, found[i].ptr, found[i].len), found[i].len};
	return arena->failed ? -1 : 0;
}

int secrets_read(struct sources *sources, const char *path, struct arena *arena, struct span **secrets, size_t *count,
		 char why[GUARDED_WHY_SIZE])
{
	struct buf text = {0};
	struct span found[SECRETS_MAX];
	int result = -1;
	if (sources_read(sources, path, GUARDED_SECRET, 2 * SECRETS_MAX * SECRETS_MAX_LEN, &text, why) == 0) {
		int n = find((struct span){text.data, text.len}, found, why);
		if (n > 0) {
			*count = (size_t)n;
			result = keep(arena, found, *count, secrets);
			if (result < 0)
				snprintf(why, GUARDED_WHY_SIZE, "needs more memory than there is; try again");
		}
	}
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap);
	buf_fini(&text);
	return result;
}
