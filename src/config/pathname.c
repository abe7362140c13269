#include "config.h"

#include "config/pathname.h"

#include <string.h>

/* Appends the components of `name` to the absolute path of `length` bytes; its new length. */
static size_t walk(char *path, size_t length, const char *name)
{
	for (const char *at = name; *at != '\0'; at += strspn(at, "/")) {
		size_t n = strcspn(at, "/");
		if (n == 2 && strncmp(at, "..", 2) == 0) {
			while (length > 0 && path[--length] != '/')
				;
		} else if (n > 0 && !(n == 1 && *at == '.')) {
			path[length++] = '/';
			memcpy(path + length, at, n);
			length += n;
		}
		at += n;
	}
	return length;
}

char *pathname_resolve(struct arena *arena, const char *folder, const char *name)
{
	char *path = arena_alloc(arena, strlen(folder) + strlen(name) + 3);
	if (path == NULL)
		return NULL;
	size_t length = name[0] == '/' ? 0 : walk(path, 0, folder);
	length = walk(path, length, name);
	if (length == 0)
		path[length++] = '/';
	path[length] = '\0';
	return path;
}

char *pathname_folder(struct arena *arena, const char *path)
{
	const char *last = strrchr(path, '/');
	return arena_copy(arena, path, last == path ? 1 : (size_t)(last - path));
}
