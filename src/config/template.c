#include "config.h"

#include "config/template.h"

#include <string.h>

#include "base/text.h"

#define NAME_SIZE 24 /* longer than any name */

static const char *const names[] = {
	"type",         "event",       "object_type",      "connection_id", "endpoint", "webhook_id",
	"workspace_id", "environment", "integration_type", "external_xref", "date",     "hour",
};
#define NAMES  (sizeof names / sizeof names[0])
#define FIELDS (NAMES - 2)

static bool is_among(const char *name, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

bool template_is_field(const char *name)
{
	return is_among(name, FIELDS);
}

/* Reads the placeholder that begins at `at`. Its length, or 0 if it is none or has no known name. */
static size_t placeholder(const char *at, char name[NAME_SIZE])
{
	const char *end = strchr(at, '}');
	if (strncmp(at, "%{", 2) != 0 || end == NULL || end - at - 2 >= NAME_SIZE)
		return 0;
	size_t n = (size_t)(end - at - 2);
	memcpy(name, at + 2, n);
	name[n] = '\0';
	return is_among(name, NAMES) ? n + 3 : 0;
}

static const char *fault(const char *path)
{
	size_t length = strlen(path), fixed = strcspn(path, "%");
	char name[NAME_SIZE];
	if (length == 0)
		return "is empty; name a file";
	if (path[length - 1] == '/')
		return "ends with '/'; name a file in that folder";
	for (const char *s = path; *s != '\0'; s += strcspn(s, "/"), s += strspn(s, "/"))
		if (strcspn(s, "/") == 2 && strncmp(s, "..", 2) == 0)
			return "has \"..\" in it; write the folder itself";
	if (path[0] == '/' && memchr(path + strspn(path, "/"), '/', fixed - strspn(path, "/")) == NULL)
		return "has no folder that is always the same; begin it with one, as in \"/srv/records/...\"";
	for (const char *s = path + fixed; *s != '\0'; s += strcspn(s, "%")) {
		size_t n = placeholder(s, name);
		if (n == 0)
			return "has a '%' that begins no known placeholder; known are %{object_type}, %{event}, "
			       "%{type}, "
			       "%{endpoint}, %{connection_id}, %{webhook_id}, %{workspace_id}, %{integration_type}, "
			       "%{environment}, %{external_xref}, %{date} and %{hour}";
		s += n;
	}
	return NULL;
}

bool template_check(const char *path, unsigned line, struct problems *problems)
{
	const char *why = fault(path);
	if (why != NULL)
		problems_add(problems, line, "file \"%s\" %s", path, why);
	return why == NULL;
}

int template_expand(const char *path, int (*value)(void *arg, const char *name, struct buf *out), void *arg,
		    struct buf *out)
{
	struct buf plain = {0};
	char name[NAME_SIZE];
	int result = 0;
	while (result == 0 && *path != '\0') {
		size_t n = placeholder(path, name);
		plain.len = 0;
		if (n == 0) {
			n = 1 + strcspn(path + 1, "%");
			result = buf_append(out, path, n);
		} else if (value(arg, name, &plain) < 0 || text_component(out, plain.data, plain.len) < 0) {
			result = -1;
		}
		path += n;
	}
	buf_fini(&plain);
	return result;
}
