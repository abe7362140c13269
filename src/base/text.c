#include "config.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hash.h"

static const char hex_digits[] = "0123456789abcdef";

void text_hex(const uint8_t *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = hex_digits[bytes[i] >> 4];
		out[2 * i + 1] = hex_digits[bytes[i] & 15];
	}
	out[2 * n] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

ssize_t text_unhex(const char *s, size_t n, uint8_t *out, size_t max)
{
	if (n % 2 != 0 || n / 2 > max)
		return -1;
	for (size_t i = 0; i < n / 2; i++) {
		int high = hex_value(s[2 * i]), low = hex_value(s[2 * i + 1]);
		if (high < 0 || low < 0)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return (ssize_t)(n / 2);
}

enum alphabet {
	BOTH,
	STANDARD,
	URL,
};

static int base64_value(char c, enum alphabet *which)
{
	*which = BOTH;
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	*which = c == '+' || c == '/' ? STANDARD : URL;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

ssize_t text_unbase64(const char *s, size_t n, uint8_t *out, size_t max)
{
	if (n % 4 == 0 && n > 0 && s[n - 1] == '=')
		n -= s[n - 2] == '=' ? 2 : 1;
	if (n % 4 == 1 || n / 4 * 3 + (n % 4 == 0 ? 0 : n % 4 - 1) > max)
		return -1;
	enum alphabet seen = BOTH;
	uint32_t bits = 0;
	unsigned held = 0;
	size_t length = 0;
	for (size_t i = 0; i < n; i++) {
		enum alphabet which;
		int value = base64_value(s[i], &which);
		if (value < 0 || (which != BOTH && seen != BOTH && which != seen))
			return -1;
		if (which != BOTH)
			seen = which;
		bits = bits << 6 | (uint32_t)value;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[length++] = (uint8_t)(bits >> held);
			bits &= (1u << held) - 1;
		}
	}
	return bits == 0 ? (ssize_t)length : -1;
}

int text_base64(struct buf *b, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	if (buf_reserve(b, (n + 2) / 3 * 4) < 0)
		return -1;
	for (size_t i = 0; i < n; i += 3) {
		size_t left = n - i;
		uint32_t bits = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
				(left > 2 ? bytes[i + 2] : 0);
		char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], left > 1 ? digits[bits >> 6 & 63] : '=',
				left > 2 ? digits[bits & 63] : '='};
		memcpy(b->data + b->len, four, sizeof four);
		b->len += sizeof four;
	}
	return 0;
}

#define COMPONENT_MAX  200
#define COMPONENT_MARK 34 /* "%x", which begins no encoded byte, and 32 hex digits */

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

int text_component(struct buf *b, const char *bytes, size_t n)
{
	char out[COMPONENT_MAX + 3];
	size_t length = 0, fits = 0;
	for (size_t i = 0; i < n && length <= COMPONENT_MAX; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (is_plain((char)c) && !(i == 0 && (c == '.' || c == '-'))) {
			out[length++] = (char)c;
		} else {
			out[length++] = '%';
			out[length++] = "0123456789ABCDEF"[c >> 4];
			out[length++] = "0123456789ABCDEF"[c & 15];
		}
		if (length <= COMPONENT_MAX - COMPONENT_MARK)
			fits = length;
	}
	if (n == 0)
		return buf_char(b, '_');
	if (n == 1 && bytes[0] == '_')
		return buf_str(b, "%5F");
	if (length <= COMPONENT_MAX)
		return buf_append(b, out, length);
	uint8_t digest[HASH_SIZE];
	char mark[2 * HASH_SIZE + 1];
	hash_sha256(&(struct span){bytes, n}, 1, digest);
	text_hex(digest, 16, mark);
	size_t before = b->len;
	if (buf_append(b, out, fits) < 0 || buf_str(b, "%x") < 0 || buf_append(b, mark, COMPONENT_MARK - 2) < 0) {
		b->len = before;
		return -1;
	}
	return 0;
}

/* Reads a decimal number; *end is behind it. 0, or -1 with errno. */
static int read_number(const char *s, uint64_t *value, const char **end)
{
	*value = 0;
	*end = s;
	for (; **end >= '0' && **end <= '9'; (*end)++)
		if (__builtin_mul_overflow(*value, UINT64_C(10), value) ||
		    __builtin_add_overflow(*value, (uint64_t)(**end - '0'), value)) {
			errno = ERANGE;
			return -1;
		}
	if (*end == s) {
		errno = EINVAL;
		return -1;
	}
	return 0;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static int scale(uint64_t value, const char *name, const struct unit *units, size_t count, uint64_t *result)
{
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(name, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(value, units[i].factor, result) || *result > INT64_MAX) {
			errno = ERANGE;
			return -1;
		}
		return 0;
	}
	errno = EINVAL;
	return -1;
}

int text_size(const char *s, uint64_t *bytes)
{
	static const struct unit units[] = {
		{"", 1},         {"b", 1},         {"k", 1u << 10}, {"kb", 1u << 10},
		{"m", 1u << 20}, {"mb", 1u << 20}, {"g", 1u << 30}, {"gb", 1u << 30},
	};
	uint64_t value;
	const char *end;
	if (read_number(s, &value, &end) < 0)
		return -1;
	return scale(value, end, units, sizeof units / sizeof units[0], bytes);
}

int text_duration(const char *s, int64_t *us)
{
	static const struct unit units[] = {
		{"ms", 1000},      {"s", 1000000},     {"m", 60000000},
		{"h", 3600000000}, {"d", 86400000000}, {"w", 604800000000},
	};
	uint64_t value, result;
	const char *end;
	if (read_number(s, &value, &end) < 0)
		return -1;
	if (value == 0 && *end == '\0') {
		*us = 0;
		return 0;
	}
	if (scale(value, end, units, sizeof units / sizeof units[0], &result) < 0)
		return -1;
	*us = (int64_t)result;
	return 0;
}

/* The largest unit of which there is at least one; one decimal below ten of them. */
static void human(uint64_t value, const struct unit *units, size_t count, char out[TEXT_HUMAN_SIZE])
{
	size_t i = 0;
	while (i + 1 < count && value >= units[i + 1].factor)
		i++;
	double amount = (double)value / (double)units[i].factor;
	bool whole = i == 0 || amount >= 10 || value % units[i].factor == 0;
	snprintf(out, TEXT_HUMAN_SIZE, whole ? "%.0f %s" : "%.1f %s", amount, units[i].name);
}

void text_human_size(uint64_t bytes, char out[TEXT_HUMAN_SIZE])
{
	static const struct unit units[] = {
		{"B", 1}, {"KB", 1u << 10}, {"MB", 1u << 20}, {"GB", 1u << 30}, {"TB", UINT64_C(1) << 40}};
	human(bytes, units, sizeof units / sizeof units[0], out);
}

void text_human_duration(int64_t us, char out[TEXT_HUMAN_SIZE])
{
	static const struct unit units[] = {
		{"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000}};
	human(us < 0 ? 0 : (uint64_t)us, units, sizeof units / sizeof units[0], out);
}
