/* Time: the only reader of the system's clocks. */
#ifndef HOOKSPOOL_BASE_CLOCK_H
#define HOOKSPOOL_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_SECOND INT64_C(1000000)

/* Microseconds since 1970-01-01T00:00:00Z. Tests may fake it (libfaketime). */
int64_t clock_now(void);

/* Microseconds on a clock that only goes forward; its zero is arbitrary. For waiting, never for storing. */
int64_t clock_monotonic(void);

/* "2026-11-23T09:00:00.123456Z" (RFC 3339, always six digits): 27 characters and a NUL. */
#define CLOCK_TEXT_SIZE 28
void clock_text(int64_t at, char text[CLOCK_TEXT_SIZE]);

/* "20261123T090000.123456Z", the same moment for a file's name: 23 characters and a NUL. Sorts by time. */
#define CLOCK_STAMP_SIZE 24
void clock_stamp(int64_t at, char stamp[CLOCK_STAMP_SIZE]);

/* The reverse of the two above: reads exactly the given shape at the beginning of s. 0, or -1 if it is not that shape,
 * or no date that there is. */
int clock_parse_text(const char *s, int64_t *at);
int clock_parse_stamp(const char *s, int64_t *at);

#endif
