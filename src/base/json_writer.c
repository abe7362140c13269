#include "config.h"

#include "base/json_writer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"

/* What stands before each value. */
static void begin(struct writer *w, const char *key)
{
	if (w->comma && buf_char(&w->out, ',') < 0)
		w->failed = true;
	if (key != NULL && (buf_json_string(&w->out, key, strlen(key)) < 0 || buf_char(&w->out, ':') < 0))
		w->failed = true;
	w->comma = true;
}

void writer_open(struct writer *w, const char *key, char bracket)
{
	begin(w, key);
	if (buf_char(&w->out, bracket) < 0)
		w->failed = true;
	w->comma = false;
}

void writer_close(struct writer *w, char bracket)
{
	if (buf_char(&w->out, bracket) < 0)
		w->failed = true;
	w->comma = true;
}

void writer_string(struct writer *w, const char *key, const char *value)
{
	writer_text(w, key, (struct span){value, value == NULL ? 0 : strlen(value)});
}

void writer_text(struct writer *w, const char *key, struct span value)
{
	if (value.ptr == NULL) {
		writer_raw(w, key, value);
		return;
	}
	begin(w, key);
	if (buf_json_string(&w->out, value.ptr, value.len) < 0)
		w->failed = true;
}

void writer_number(struct writer *w, const char *key, uint64_t value)
{
	begin(w, key);
	if (buf_printf(&w->out, "%llu", (unsigned long long)value) < 0)
		w->failed = true;
}

void writer_bool(struct writer *w, const char *key, bool value)
{
	writer_raw(w, key, value ? (struct span){"true", 4} : (struct span){"false", 5});
}

void writer_time(struct writer *w, const char *key, int64_t at)
{
	char text[CLOCK_TEXT_SIZE];
	if (at != 0)
		clock_text(at, text);
	writer_string(w, key, at == 0 ? NULL : text);
}

void writer_raw(struct writer *w, const char *key, struct span value)
{
	if (value.ptr == NULL)
		value = (struct span){"null", 4};
	begin(w, key);
	if (buf_append(&w->out, value.ptr, value.len) < 0)
		w->failed = true;
}

int writer_end(struct writer *w)
{
	if (!w->failed && buf_char(&w->out, '\n') == 0)
		return 0;
	errno = ENOMEM;
	return -1;
}

int writer_print(struct writer *w)
{
	int result = writer_end(w);
	if (result == 0)
		result = fsio_write(STDOUT_FILENO, w->out.data, w->out.len);
	if (result < 0)
		log_warn("cannot write the answer");
	buf_fini(&w->out);
	return result;
}
