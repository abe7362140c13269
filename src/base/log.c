#include "config.h"

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_SIZE 1024

static log_sink *sink;
static const char *name = "hookspool";

void log_to(log_sink *to)
{
	sink = to;
}

void log_name(const char *to)
{
	name = to;
}

/* Escapes control characters, so that what a sender wrote cannot begin a line or move a terminal's cursor. */
static void log_line(const char *message)
{
	char line[LINE_SIZE * 4 + 64];
	size_t n = (size_t)snprintf(line, sizeof line, "%.40s: ", name);
	for (const unsigned char *s = (const unsigned char *)message; *s != '\0'; s++) {
		if (*s < 0x20 || *s == 0x7f)
			n += (size_t)snprintf(line + n, sizeof line - n, "\\x%02x", *s);
		else
			line[n++] = (char)*s;
	}
	if (sink != NULL) {
		line[n] = '\0';
		sink(line);
		return;
	}
	line[n++] = '\n';
	/* One write, so that lines of several processes do not mix. Nothing can be done if it fails. */
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

__attribute__((format(printf, 1, 0))) static void log_message(const char *format, va_list args, int error)
{
	char message[LINE_SIZE];
	int n = vsnprintf(message, sizeof message, format, args);
	if (error != 0 && n >= 0 && (size_t)n < sizeof message) {
		char text[128];
		snprintf(message + n, sizeof message - (size_t)n, ": %s", strerror_r(error, text, sizeof text));
	}
	log_line(message);
}

void log_warn(const char *format, ...)
{
	int saved = errno;
	va_list args;
	va_start(args, format);
	log_message(format, args, saved);
	va_end(args);
	errno = saved;
}

void log_warnx(const char *format, ...)
{
	int saved = errno;
	va_list args;
	va_start(args, format);
	log_message(format, args, 0);
	va_end(args);
	errno = saved;
}
