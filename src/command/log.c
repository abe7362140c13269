#include "config.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/plain.h"
#include "base/text.h"
#include "base/utf8.h"
#include "command/command.h"
#include "command/table.h"
#include "spool/audit_read.h"
#include "spool/open.h"
#include "spool/spool.h"

#define POLL_MS   250
#define LAST      10 /* lines that -f begins with */
#define OUT_BYTES 65536

struct printer {
	bool json;
	struct buf out, text, plain;
};

static int flush(struct printer *p)
{
	int result = p->out.len == 0 ? 0 : fsio_write(STDOUT_FILENO, p->out.data, p->out.len);
	p->out.len = 0;
	return result;
}

static const struct {
	const char *result;
	enum tint tint;
} result_tints[] = {
	{"done", TINT_GOOD},
	{"retry", TINT_WARNING},
	{"parked", TINT_BAD},
	{"refused", TINT_BAD},
};

/* A member for people, padded to `width` columns; "-" where there is none. */
static int append_member(struct printer *p, const struct trail_line *line, enum trail_member member, int width)
{
	p->text.len = p->plain.len = 0;
	if (trail_text(line, member, &p->plain) < 0)
		return -1;
	if (p->plain.len == 0 && line->members[member].ptr != NULL && line->members[member].ptr[0] != '"' &&
	    buf_append(&p->plain, line->members[member].ptr, line->members[member].len) < 0)
		return -1;
	if (p->plain.len == 0 && buf_char(&p->plain, '-') < 0)
		return -1;
	if (plain_append(&p->text, p->plain.data, p->plain.len) < 0 || buf_cstr(&p->text) == NULL)
		return -1;
	int columns = (int)utf8_columns(p->text.data, p->text.len);
	return buf_printf(&p->out, "  %s%*s", p->text.data, columns < width ? width - columns : 0, "");
}

/* Date and time to the second. */
static int append_time(struct printer *p, const struct trail_line *line)
{
	p->plain.len = 0;
	if (trail_text(line, TRAIL_AT, &p->plain) < 0)
		return -1;
	if (p->plain.len != CLOCK_TEXT_SIZE - 1)
		return buf_printf(&p->out, "%20s", "-");
	return buf_printf(&p->out, "%s%.10s %.8sZ%s", tint_begin(TINT_FAINT), p->plain.data,
			  p->plain.data + strlen("2026-11-23T"), tint_end(TINT_FAINT));
}

static int append_request(struct printer *p, const struct trail_line *line)
{
	uint64_t status = trail_number(line, TRAIL_STATUS);
	enum tint tint = status == 200 ? TINT_GOOD : status < 500 ? TINT_WARNING : TINT_BAD;
	char bytes[TEXT_HUMAN_SIZE];
	text_human_size(trail_number(line, TRAIL_BYTES), bytes);
	if (buf_printf(&p->out, "  %s%llu", tint_begin(tint), (unsigned long long)status) < 0 ||
	    append_member(p, line, TRAIL_REASON, 18) < 0 || buf_str(&p->out, tint_end(tint)) < 0 ||
	    append_member(p, line, TRAIL_EVENT_ID, 32) < 0 || append_member(p, line, TRAIL_CONNECTION_ID, 12) < 0 ||
	    append_member(p, line, TRAIL_OBJECT_TYPE, 12) < 0)
		return -1;
	if (status == 200)
		return buf_printf(&p->out, "  %llu records, %s\n",
				  (unsigned long long)trail_number(line, TRAIL_RECORDS), bytes);
	enum trail_member where = line->members[TRAIL_PATH].ptr == NULL ? TRAIL_ENDPOINT : TRAIL_PATH;
	return append_member(p, line, where, 0) < 0 || buf_printf(&p->out, "  %s", bytes) < 0 ||
			       append_member(p, line, TRAIL_REMOTE, 0) < 0 || buf_char(&p->out, '\n') < 0
		       ? -1
		       : 0;
}

static enum tint tint_of(const struct printer *p)
{
	for (size_t i = 0; i < sizeof result_tints / sizeof result_tints[0]; i++)
		if (p->plain.len == strlen(result_tints[i].result) &&
		    memcmp(p->plain.data, result_tints[i].result, p->plain.len) == 0)
			return result_tints[i].tint;
	return TINT_PLAIN;
}

/* What became of a configuration. */
static int append_conf(struct printer *p, const struct trail_line *line)
{
	p->plain.len = 0;
	if (trail_text(line, TRAIL_RESULT, &p->plain) < 0)
		return -1;
	enum tint tint = tint_of(p);
	if (buf_printf(&p->out, "  %s ->", tint_begin(tint)) < 0 || append_member(p, line, TRAIL_RESULT, 18) < 0 ||
	    buf_str(&p->out, tint_end(tint)) < 0 || buf_str(&p->out, "  configuration") < 0 ||
	    append_member(p, line, TRAIL_BY, 0) < 0 ||
	    (line->members[TRAIL_DETAIL].ptr != NULL && append_member(p, line, TRAIL_DETAIL, 0) < 0))
		return -1;
	return buf_char(&p->out, '\n');
}

/* A line that has a target: an attempt to deliver, or what an operator did to a delivery. */
static int append_delivery(struct printer *p, const struct trail_line *line)
{
	p->plain.len = 0;
	if (trail_text(line, TRAIL_RESULT, &p->plain) < 0)
		return -1;
	enum tint tint = tint_of(p);
	if (buf_printf(&p->out, "  %s ->", tint_begin(tint)) < 0 || append_member(p, line, TRAIL_RESULT, 18) < 0 ||
	    buf_str(&p->out, tint_end(tint)) < 0 || append_member(p, line, TRAIL_EVENT_ID, 32) < 0 ||
	    append_member(p, line, TRAIL_TARGET, 12) < 0)
		return -1;
	if (trail_number(line, TRAIL_ATTEMPT) > 1 &&
	    buf_printf(&p->out, "  attempt %llu", (unsigned long long)trail_number(line, TRAIL_ATTEMPT)) < 0)
		return -1;
	if (line->members[TRAIL_DETAIL].ptr != NULL && append_member(p, line, TRAIL_DETAIL, 0) < 0)
		return -1;
	return buf_char(&p->out, '\n');
}

static int append_line(struct printer *p, struct span raw)
{
	struct trail_line line;
	/* A line that a crash has torn is not printed. */
	if (!trail_parse(raw, &line))
		return 0;
	if (p->json)
		return buf_append(&p->out, raw.ptr, raw.len) < 0 ? -1 : buf_char(&p->out, '\n');
	if (append_time(p, &line) < 0)
		return -1;
	if (line.members[TRAIL_TARGET].ptr != NULL)
		return append_delivery(p, &line);
	return line.members[TRAIL_BY].ptr != NULL ? append_conf(p, &line) : append_request(p, &line);
}

static int print_line(struct printer *p, struct span raw)
{
	size_t before = p->out.len;
	if (append_line(p, raw) < 0) {
		p->out.len = before;
		return -1;
	}
	return p->out.len >= OUT_BYTES ? flush(p) : 0;
}

/* All lines that there are now. */
static int print_trail(struct printer *p, struct trail *trail)
{
	struct span raw;
	int result;
	while ((result = trail_next(trail, &raw)) == 1)
		if (print_line(p, raw) < 0)
			return -1;
	return result;
}

/* Prints a whole file, unless its mark is `except`. */
static int print_file(struct printer *p, const struct spool *spool, enum trail_file which, const uint64_t *except)
{
	struct trail trail;
	int result = trail_open(&trail, spool, which);
	if (result == 1)
		result = except != NULL && trail.mark == *except ? 0 : print_trail(p, &trail);
	trail_close(&trail);
	return result;
}

static int print_all(struct printer *p, const struct spool *spool)
{
	if (print_file(p, spool, TRAIL_OLD, NULL) < 0 || print_file(p, spool, TRAIL_NEW, NULL) < 0)
		return -1;
	return flush(p);
}

/* Moves to the last few lines. */
static int skip_to_last(struct trail *trail)
{
	uint64_t starts[LAST];
	struct span raw;
	size_t n = 0;
	int result;
	uint64_t start = trail->offset;
	while ((result = trail_next(trail, &raw)) == 1) {
		starts[n++ % LAST] = start;
		start = trail->offset;
	}
	if (result == 0 && n > 0)
		trail->offset = starts[n < LAST ? 0 : n % LAST];
	return result;
}

/* Until it is killed, or nobody reads. */
static int follow(struct printer *p, const struct spool *spool)
{
	struct trail trail = TRAIL_NONE;
	bool first = true;
	int result = 0;
	while (result == 0) {
		if (trail.fd < 0) {
			result = trail_open(&trail, spool, TRAIL_NEW);
			if (result == 1)
				result = first ? skip_to_last(&trail) : 0;
			first = false;
		}
		/* This is asked first, so that what a writer adds before it begins a new file is read below. */
		bool over = result == 0 && trail.fd >= 0 && trail_is_over(&trail, spool);
		if (result == 0 && trail.fd >= 0)
			result = print_trail(p, &trail);
		/* One file may have come and gone since the last look. */
		if (result == 0 && over)
			result = print_file(p, spool, TRAIL_OLD, &trail.mark);
		if (result == 0)
			result = flush(p);
		if (over)
			trail_close(&trail);
		else
			nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
	}
	trail_close(&trail);
	return result;
}

static int print_log(const struct conf *conf, bool json, bool following)
{
	struct printer p = {.json = json};
	struct spool spool;
	int result = 0;
	if (spool_open(&spool, conf, SPOOL_LOOK) < 0) {
		/* Nothing was received yet. */
		if (errno == ENOENT && !following)
			return 0;
		return command_failed(conf);
	}
	if ((following ? follow(&p, &spool) : print_all(&p, &spool)) < 0) {
		log_warn("cannot print the audit trail of %s", conf->spool);
		result = EX_IOERR;
	}
	buf_fini(&p.out);
	buf_fini(&p.text);
	buf_fini(&p.plain);
	spool_close(&spool);
	return result;
}

static int run_log(const char *conf_path, int argc, char **argv)
{
	bool json = false, following = false;
	const struct command_option known[] = {
		{"json", .flag = &json},
		{"follow", .flag = &following, .letter = 'f'},
		{0},
	};
	if (command_options(argc, argv, known) != argc)
		return EX_USAGE;
	struct conf *conf = command_conf(conf_path, false);
	if (conf == NULL)
		return EX_CONFIG;
	int result = print_log(conf, json, following);
	conf_free(conf);
	return result;
}

const struct command log_command = {
	.name = "log",
	.arguments = "[-f] [--json]",
	.summary = "the audit trail: requests and deliveries",
	.help = "Prints the audit trail: each request and how it was answered, each attempt to\n"
		"deliver, and what operators did. Times are UTC.\n"
		"\n"
		"    -f, --follow   print the last ten lines and then what comes\n"
		"    --json         the lines as they are kept; hookspool(7) has their members\n",
	.prints = true,
	.run = run_log,
};
