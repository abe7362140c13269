/* The program's own messages, for its administrator: one line each, on standard error unless log_to() says otherwise.
 * Control characters in arguments are escaped: one message stays one line. errno survives each call. */
#ifndef HOOKSPOOL_BASE_LOG_H
#define HOOKSPOOL_BASE_LOG_H

/* Where lines go. `line` ends without a newline. NULL: standard error again. */
typedef void log_sink(const char *line);
void log_to(log_sink *sink);

/* The command's name, put before each line. Borrowed; a literal. */
void log_name(const char *name);

/* With ": " and the text of errno. */
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Without errno. */
void log_warnx(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
