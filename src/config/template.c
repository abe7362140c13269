#include "config.h"

#include "config/template.h"

#include <stdlib.h>
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

/* What may stand at a place of a path that a template becomes. */
struct place {
	enum {
		PLACE_LITERAL,
		PLACE_DIGIT,
		PLACE_FIRST, /* of an encoded value (text_component) */
		PLACE_REST,  /* any number of its further bytes */
		PLACE_ALL,   /* any number of any bytes */
	} kind;
	char literal;
};

static bool is_repeated(const struct place *p)
{
	return p->kind >= PLACE_REST;
}

static size_t add_value(struct place *places, const char *name)
{
	const char *shape = strcmp(name, "date") == 0 ? "dddd-dd-dd" : strcmp(name, "hour") == 0 ? "dd" : NULL;
	size_t n = 0;
	if (shape == NULL) {
		places[n++].kind = PLACE_FIRST;
		places[n++].kind = PLACE_REST;
		return n;
	}
	for (; shape[n] != '\0'; n++)
		places[n] = shape[n] == 'd' ? (struct place){PLACE_DIGIT, 0} : (struct place){PLACE_LITERAL, shape[n]};
	return n;
}

/* The places of a path; NULL with *count 0: no memory. The caller frees. */
static struct place *take_places(const char *path, bool is_folder, size_t *count)
{
	char name[NAME_SIZE];
	struct place *places = calloc(2 * strlen(path) + 2, sizeof *places); /* "%{date}" becomes the most: 10 of 7 */
	*count = 0;
	while (places != NULL && *path != '\0') {
		size_t n = placeholder(path, name);
		if (n == 0)
			places[(*count)++] = (struct place){PLACE_LITERAL, *path++};
		else
			*count += add_value(places + *count, name);
		path += n;
	}
	if (places != NULL && is_folder) {
		places[(*count)++] = (struct place){PLACE_LITERAL, '/'};
		places[(*count)++].kind = PLACE_ALL;
	}
	return places;
}

static bool may_be(const struct place *p, char c)
{
	switch (p->kind) {
	case PLACE_LITERAL:
		return c == p->literal;
	case PLACE_DIGIT:
		return c >= '0' && c <= '9';
	case PLACE_FIRST:
		return c != '.' && c != '-' && c != '/';
	case PLACE_REST:
		return c != '/';
	default:
		return true;
	}
}

/* Whether one byte can stand at both; all kinds but literals have digits in common. */
static bool agree(const struct place *a, const struct place *b)
{
	return a->kind == PLACE_LITERAL   ? may_be(b, a->literal)
	       : b->kind == PLACE_LITERAL ? may_be(a, b->literal)
					  : true;
}

/* Goes through both at once: `now` and `next` say which places of b can be reached with this place of a, and with the
 * one behind it. Each has one more than b has places, all false but for the beginning. */
static bool walk_places(const struct place *a, size_t n, const struct place *b, size_t m, bool *now, bool *next)
{
	for (size_t i = 0; i <= n; i++) {
		for (size_t k = 0; k <= m; k++) {
			if (!now[k])
				continue;
			if (i < n && is_repeated(&a[i]))
				next[k] = true;
			if (k < m && is_repeated(&b[k]))
				now[k + 1] = true;
			if (i == n || k == m || !agree(&a[i], &b[k]))
				continue;
			bool *row = is_repeated(&a[i]) ? now : next;
			row[is_repeated(&b[k]) ? k : k + 1] = true;
		}
		if (i == n)
			return now[m];
		bool *past = now;
		now = next;
		next = past;
		memset(next, 0, (m + 1) * sizeof *next);
	}
	return false;
}

bool template_meets(const char *path, const char *other, bool is_folder)
{
	size_t same = 0, n, m;
	while (path[same] == other[same] && path[same] != '\0' && path[same] != '%')
		same++;
	/* Most are told apart by this alone. */
	if (path[same] != '%' && other[same] != '%' && (path[same] != other[same]) &&
	    !(is_folder && other[same] == '\0'))
		return false;
	struct place *a = take_places(path, false, &n), *b = take_places(other, is_folder, &m);
	bool *rows = calloc(2 * (m + 1), sizeof *rows), meets = true; /* in doubt, where there is no memory */
	if (a != NULL && b != NULL && rows != NULL) {
		rows[0] = true;
		meets = walk_places(a, n, b, m, rows, rows + m + 1);
	}
	free(a);
	free(b);
	free(rows);
	return meets;
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
