#include "config.h"

#include "base/clock.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static int64_t clock_read(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * CLOCK_SECOND + t.tv_nsec / 1000;
}

int64_t clock_now(void)
{
	return clock_read(CLOCK_REALTIME);
}

int64_t clock_monotonic(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

/* 'T' and 'Z' stand for themselves. */
static bool is_letter(unsigned char c)
{
	static const bool letters[256] = {
		['Y'] = true, ['M'] = true, ['D'] = true, ['h'] = true, ['m'] = true, ['s'] = true, ['f'] = true};
	return letters[c];
}

/* Writes `at` in the shape of a pattern: letters stand for digits of the year (Y), month (M), and so on. */
static void clock_format(int64_t at, const char *pattern, char *out)
{
	time_t second = at / CLOCK_SECOND - (at % CLOCK_SECOND < 0);
	struct tm tm;
	gmtime_r(&second, &tm);
	/* By the pattern's letter. */
	long value['s' + 1] = {['Y'] = tm.tm_year + 1900L,
			       ['M'] = tm.tm_mon + 1,
			       ['D'] = tm.tm_mday,
			       ['h'] = tm.tm_hour,
			       ['m'] = tm.tm_min,
			       ['s'] = tm.tm_sec,
			       ['f'] = (long)(at - second * CLOCK_SECOND)};
	size_t n = strlen(pattern);
	out[n] = '\0';
	while (n-- > 0) {
		unsigned char letter = (unsigned char)pattern[n];
		if (is_letter(letter)) {
			out[n] = (char)('0' + value[letter] % 10);
			value[letter] /= 10;
		} else {
			out[n] = pattern[n];
		}
	}
}

static int clock_parse(const char *s, const char *pattern, int64_t *at)
{
	long value['s' + 1] = {0};
	for (size_t i = 0; pattern[i] != '\0'; i++) {
		char p = pattern[i];
		if (!is_letter((unsigned char)p)) {
			if (s[i] != p)
				return -1;
		} else if (s[i] >= '0' && s[i] <= '9') {
			value[(unsigned char)p] = value[(unsigned char)p] * 10 + (s[i] - '0');
		} else {
			return -1;
		}
	}
	struct tm tm = {.tm_year = (int)value['Y'] - 1900, .tm_mon = (int)value['M'] - 1, .tm_mday = (int)value['D']};
	int64_t midnight = timegm(&tm);
	/* timegm makes the first of March of what would be the thirtieth of February. */
	if (tm.tm_mon != value['M'] - 1 || tm.tm_mday != value['D'] || value['h'] > 23 || value['m'] > 59 ||
	    value['s'] > 60)
		return -1;
	*at = (midnight + value['h'] * 3600 + value['m'] * 60 + value['s']) * CLOCK_SECOND + value['f'];
	return 0;
}

#define TEXT_PATTERN  "YYYY-MM-DDThh:mm:ss.ffffffZ"
#define STAMP_PATTERN "YYYYMMDDThhmmss.ffffffZ"

void clock_text(int64_t at, char text[CLOCK_TEXT_SIZE])
{
	clock_format(at, TEXT_PATTERN, text);
}

void clock_stamp(int64_t at, char stamp[CLOCK_STAMP_SIZE])
{
	clock_format(at, STAMP_PATTERN, stamp);
}

int clock_parse_text(const char *s, int64_t *at)
{
	return clock_parse(s, TEXT_PATTERN, at);
}

int clock_parse_stamp(const char *s, int64_t *at)
{
	return clock_parse(s, STAMP_PATTERN, at);
}
