/* File templates: whatever a sender's fields are, the path stays below the template's fixed part, and each of its
 * components is a plain name. The input is a template on its first line, and the fields' values on the next ones; a
 * value may hold any byte but a newline, so "\n" in it stands for one, "\0" for NUL. */
#include "config.h"

#include <string.h>

#include "config/problems.h"
#include "config/template.h"
#include "fuzz.h"

struct values {
	struct span rest;
};

static struct span next_line(struct span *rest)
{
	const char *end = rest->len == 0 ? NULL : memchr(rest->ptr, '\n', rest->len);
	struct span line = {rest->ptr, end == NULL ? rest->len : (size_t)(end - rest->ptr)};
	size_t used = line.len + (end != NULL);
	*rest = (struct span){rest->ptr + used, rest->len - used};
	return line;
}

static int next_value(void *arg, const char *name, struct buf *out)
{
	struct values *values = arg;
	struct span line = next_line(&values->rest);
	MUST(template_is_field(name) || strcmp(name, "date") == 0 || strcmp(name, "hour") == 0);
	for (size_t i = 0; i < line.len; i++) {
		char c = line.ptr[i];
		if (c == '\\' && i + 1 < line.len && (line.ptr[i + 1] == 'n' || line.ptr[i + 1] == '0'))
			c = line.ptr[++i] == 'n' ? '\n' : '\0';
		if (buf_char(out, c) < 0)
			return -1;
	}
	return 0;
}

/* Every component behind the fixed part: no empty one, no "." or "..", nothing that a sender could have put in raw. */
static void check_path(const char *template, struct span path)
{
	size_t fixed = strcspn(template, "%");
	while (fixed > 0 && template[fixed - 1] != '/')
		fixed--;
	MUST(path.len >= fixed && memcmp(path.ptr, template, fixed) == 0);
	MUST(memchr(path.ptr, '\0', path.len) == NULL && memchr(path.ptr, '\n', path.len) == NULL);
	size_t slashes = 0;
	for (size_t i = 0; i < path.len; i++)
		slashes += path.ptr[i] == '/';
	for (const char *s = template; *s != '\0'; s++)
		slashes -= *s == '/';
	MUST(slashes == 0);
	for (size_t at = fixed; at < path.len;) {
		const char *end = memchr(path.ptr + at, '/', path.len - at);
		size_t n = end == NULL ? path.len - at : (size_t)(end - path.ptr) - at;
		MUST(!(n == 2 && memcmp(path.ptr + at, "..", 2) == 0));
		at += n + 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct values values = {{(const char *)data, size}};
	struct span line = next_line(&values.rest);
	struct problems problems = {0};
	struct buf path = {0};
	char *template = line.len > 0 && memchr(line.ptr, '\0', line.len) != NULL ? NULL : strndup(line.ptr, line.len);
	if (template == NULL)
		return 0;
	if (template_check(template, 1, &problems)) {
		MUST(!problems_any(&problems));
		MUST(template_expand(template, next_value, &values, &path) == 0);
		check_path(template, (struct span){path.data, path.len});
	} else {
		MUST(problems.count == 1);
	}
	buf_fini(&path);
	problems_fini(&problems);
	free(template);
	return 0;
}
