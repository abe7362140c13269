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

struct date {
	long year, month, day;
};

/* The date of a day, counted from 1970-01-01. gmtime_r would read the time zone's file first, which a CGI program does
 * for each request. Counted from a first of March, the day that leap years add is a year's last one. */
static struct date date_of(int64_t day)
{
	enum { TO_1970 = 719468, YEAR = 365, FOUR = 4 * YEAR + 1, CENTURY = 25 * FOUR - 1, CYCLE = 4 * CENTURY + 1 };
	day += TO_1970; /* since 0000-03-01 */
	int64_t cycles = (day < 0 ? day - (CYCLE - 1) : day) / CYCLE;
	day -= cycles * CYCLE;
	int64_t centuries = day / CENTURY < 4 ? day / CENTURY : 3;
	day -= centuries * CENTURY;
	int64_t fours = day / FOUR;
	day -= fours * FOUR;
	int64_t years = day / YEAR < 4 ? day / YEAR : 3;
	day -= years * YEAR;
	/* From March on, five months have 153 days, in turns of 31 and 30. */
	long month = (long)(5 * day + 2) / 153;
	return (struct date){
		.year = (long)(400 * cycles + 100 * centuries + 4 * fours + years) + (month >= 10),
		.month = month >= 10 ? month - 9 : month + 3,
		.day = (long)day - (153 * month + 2) / 5 + 1,
	};
}

/* Writes `at` in the shape of a pattern: letters stand for digits of the year (Y), month (M), and so on. */
static void clock_format(int64_t at, const char *pattern, char *out)
{
	const int64_t whole_day = 86400 * CLOCK_SECOND;
	int64_t day = at / whole_day, rest = at % whole_day;
	if (rest < 0) {
		rest += whole_day;
		day--;
	}
	struct date date = date_of(day);
	long second = (long)(rest / CLOCK_SECOND);
	/* By the pattern's letter. */
	long value['s' + 1] = {['Y'] = date.year,
			       ['M'] = date.month,
			       ['D'] = date.day,
			       ['h'] = second / 3600,
			       ['m'] = second / 60 % 60,
			       ['s'] = second % 60,
			       ['f'] = (long)(rest % CLOCK_SECOND)};
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

static long days_in(long year, long month)
{
	static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leaps = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return days[month - 1] + (month == 2 && leaps);
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
	if (value['M'] < 1 || value['M'] > 12 || value['D'] < 1 || value['D'] > days_in(value['Y'], value['M']) ||
	    value['h'] > 23 || value['m'] > 59 || value['s'] > 60)
		return -1;
	struct tm tm = {.tm_year = (int)value['Y'] - 1900,
			.tm_mon = (int)value['M'] - 1,
			.tm_mday = (int)value['D'],
			.tm_hour = (int)value['h'],
			.tm_min = (int)value['m'],
			.tm_sec = (int)value['s']};
	*at = (int64_t)timegm(&tm) * CLOCK_SECOND + value['f'];
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
