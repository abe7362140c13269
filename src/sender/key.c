#include "config.h"

#include "sender/key.h"

#include <stdbool.h>
#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool strip_space(struct span *key)
{
	size_t before = key->len;
	while (key->len > 0 && is_space(key->ptr[key->len - 1]))
		key->len--;
	while (key->len > 0 && is_space(key->ptr[0])) {
		key->ptr++;
		key->len--;
	}
	return key->len < before;
}

/* "NAME=", as in a file of variables. What has nothing but '=' behind it is base64. */
static bool strip_name(struct span *key)
{
	size_t n = 0, value;
	while (n < key->len && (is_letter(key->ptr[n]) || (n > 0 && key->ptr[n] >= '0' && key->ptr[n] <= '9')))
		n++;
	if (n == 0 || n == key->len || key->ptr[n] != '=')
		return false;
	for (value = n + 1; value < key->len && key->ptr[value] == '=';)
		value++;
	if (value == key->len)
		return false;
	*key = (struct span){key->ptr + n + 1, key->len - n - 1};
	return true;
}

static bool strip_quotes(struct span *key)
{
	if (key->len < 3 || strchr("\"'`", key->ptr[0]) == NULL || key->ptr[key->len - 1] != key->ptr[0])
		return false;
	*key = (struct span){key->ptr + 1, key->len - 2};
	return true;
}

const char *key_strip(struct span *key)
{
	struct span inner = *key;
	const char *layer = strip_space(&inner)    ? "white space around it"
			    : strip_name(&inner)   ? "a name and '=' before it"
			    : strip_quotes(&inner) ? "quotes around it"
						   : NULL;
	if (layer != NULL && inner.len > 0)
		*key = inner;
	return inner.len > 0 ? layer : NULL;
}
