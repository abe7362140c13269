#include "config.h"

#include "config/options.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/conf.h"
#include "config/pathname.h"
#include "config/secrets.h"
#include "config/template.h"
#include "sender/presets.h"
#include "sender/scheme.h"

#define TOKEN_MIN 16 /* bytes */

static const char *copy(struct reading *r, const char *text)
{
	return arena_copy(r->arena, text, strlen(text));
}

static void *field(void *object, const struct option *option)
{
	return (char *)object + option->offset;
}

static void take_size(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	const struct setting *s = given->settings[0];
	uint64_t value;
	char min[TEXT_HUMAN_SIZE], max[TEXT_HUMAN_SIZE];
	if (text_size(s->text, &value) < 0) {
		problems_add(r->problems, s->line,
			     "%s \"%s\" is no size; write a number of bytes, or one with k, M or G", option->name,
			     s->text);
	} else if (value < option->min || value > option->max) {
		text_human_size(option->min, min);
		text_human_size(option->max, max);
		problems_add(r->problems, s->line, "%s \"%s\" is out of range; from %s to %s are possible",
			     option->name, s->text, min, max);
	} else {
		*(uint64_t *)field(object, option) = value;
	}
}

static void take_duration(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	const struct setting *s = given->settings[0];
	int64_t value;
	char min[TEXT_HUMAN_SIZE], max[TEXT_HUMAN_SIZE];
	if (text_duration(s->text, &value) < 0) {
		problems_add(r->problems, s->line,
			     "%s \"%s\" is no duration; write a number with ms, s, m, h, d or w behind it",
			     option->name, s->text);
	} else if ((uint64_t)value < option->min || (uint64_t)value > option->max) {
		text_human_duration((int64_t)option->min, min);
		text_human_duration((int64_t)option->max, max);
		problems_add(r->problems, s->line, "%s \"%s\" is out of range; from %s to %s are possible",
			     option->name, s->text, min, max);
	} else {
		*(int64_t *)field(object, option) = value;
	}
}

/* Digits only, in base 8 or 10. 0 or -1. */
static int read_digits(const char *s, int base, unsigned *value)
{
	char *end;
	if (*s == '\0' || strspn(s, base == 8 ? "01234567" : "0123456789") != strlen(s))
		return -1;
	errno = 0;
	unsigned long n = strtoul(s, &end, base);
	if (errno != 0 || n > UINT_MAX)
		return -1;
	*value = (unsigned)n;
	return 0;
}

static void take_count(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	const struct setting *s = given->settings[0];
	unsigned value;
	if (read_digits(s->text, 10, &value) < 0 || value < option->min || value > option->max)
		problems_add(r->problems, s->line, "%s \"%s\" is out of range; write a number from %u to %u",
			     option->name, s->text, (unsigned)option->min, (unsigned)option->max);
	else
		*(unsigned *)field(object, option) = value;
}

static void take_mode(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	const struct setting *s = given->settings[0];
	unsigned value;
	if (read_digits(s->text, 8, &value) < 0 || value > 0777 || (value & 0600) != 0600)
		problems_add(r->problems, s->line,
			     "%s \"%s\" is no mode for these files; write an octal number from 0600 to 0777 that lets "
			     "their owner read and write",
			     option->name, s->text);
	else
		*(mode_t *)field(object, option) = value;
}

static void take_spool(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	struct conf *conf = object;
	const struct setting *s = given->settings[0];
	const char *path = pathname_resolve(r->arena, r->folder, s->text);
	if (*s->text == '\0' || (path != NULL && strcmp(path, "/") == 0))
		problems_add(r->problems, s->line, "spool \"%s\" names no folder of its own; %s", s->text,
			     option->example);
	conf->spool = path;
}

static void take_deliver(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	struct conf *conf = object;
	const struct setting *s = given->settings[0];
	bool is_auto = strcmp(s->text, "auto") == 0;
	if (!is_auto && strcmp(s->text, "manual") != 0)
		problems_add(r->problems, s->line, "%s \"%s\" is not known; write \"auto\" or \"manual\"", option->name,
			     s->text);
	conf->deliver_auto = is_auto;
}

static void take_group(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	const struct setting *s = given->settings[0];
	struct conf *conf = object;
	const struct group *group = getgrnam(s->text);
	if (group == NULL) {
		problems_add(r->problems, s->line,
			     "%s \"%s\" is not known to the system; make it (groupadd) or name another one",
			     option->name, s->text);
		return;
	}
	conf->has_group = true;
	conf->group = group->gr_gid;
}

static void take_scheme(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	struct conf_endpoint *endpoint = object;
	const struct setting *s = given->settings[0];
	struct buf names = {0};
	endpoint->scheme = presets_find(s->text);
	if (endpoint->scheme != NULL)
		return;
	for (const struct scheme *const *preset = presets; *preset != NULL; preset++)
		if (buf_printf(&names, "%s\"%s\"", preset == presets ? "" : " or ", (*preset)->name) < 0)
			r->arena->failed = true;
	problems_add(r->problems, s->line, "%s \"%s\" is not known; write %.*s", option->name, s->text, (int)names.len,
		     names.data);
	buf_fini(&names);
}

/* Takes the secrets from an endpoint that was read before and has the same file. */
static bool share_secrets(const struct reading *r, struct conf_endpoint *endpoint)
{
	for (const struct conf_endpoint *other = r->conf->endpoints; other < endpoint; other++)
		if (other->secrets != NULL && strcmp(other->secret_file, endpoint->secret_file) == 0) {
			endpoint->secrets = other->secrets;
			endpoint->secret_count = other->secret_count;
			return true;
		}
	return false;
}

static void take_secret_file(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	struct conf_endpoint *endpoint = object;
	const struct setting *s = given->settings[0];
	char why[GUARDED_WHY_SIZE];
	endpoint->secret_file = pathname_resolve(r->arena, r->folder, s->text);
	if (endpoint->secret_file != NULL && r->with_secrets && !share_secrets(r, endpoint) &&
	    secrets_read(r->sources, endpoint->secret_file, r->arena, &endpoint->secrets, &endpoint->secret_count,
			 why) < 0)
		problems_add(r->problems, s->line, "%s %s %s", option->name, endpoint->secret_file, why);
}

static void take_token_file(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	struct conf *conf = object;
	const struct setting *s = given->settings[0];
	char why[GUARDED_WHY_SIZE];
	conf->token_file = pathname_resolve(r->arena, r->folder, s->text);
	if (conf->token_file == NULL || !r->with_secrets)
		return;
	if (secrets_read(r->sources, conf->token_file, r->arena, &conf->tokens, &conf->token_count, why) < 0)
		problems_add(r->problems, s->line, "%s %s %s", option->name, conf->token_file, why);
	for (size_t i = 0; i < conf->token_count; i++)
		if (conf->tokens[i].len < TOKEN_MIN)
			problems_add(r->problems, s->line,
				     "%s %s has a token that could be guessed; make one of at least %d characters: "
				     "openssl rand -hex 16",
				     option->name, conf->token_file, TOKEN_MIN);
}

static void take_algorithms(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {{"sha1", SCHEME_SHA1}, {"sha256", SCHEME_SHA256}};
	struct conf_endpoint *endpoint = object;
	if (given->count == 0)
		problems_add(r->problems, given->line, "%s is empty; leave it out to accept both", option->name);
	for (size_t i = 0; i < given->count; i++) {
		const struct setting *s = given->settings[i];
		unsigned bit = 0;
		for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
			if (strcmp(s->text, known[k].name) == 0)
				bit = known[k].bit;
		if (bit == 0)
			problems_add(r->problems, s->line,
				     "algorithms has an unknown \"%s\"; \"sha1\" and \"sha256\" are possible", s->text);
		endpoint->algorithms |= bit;
	}
	/* The scheme was taken before: it stands first in the table. */
	if (endpoint->scheme != NULL)
		endpoint->algorithms &= endpoint->scheme->algorithms;
}

static void take_connections(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	struct conf_endpoint *endpoint = object;
	size_t count = given->count;
	const char **ids = arena_alloc(r->arena, count * sizeof *ids);
	for (size_t i = 0; ids != NULL && i < count; i++) {
		const struct setting *s = given->settings[i];
		if (*s->text == '\0')
			problems_add(r->problems, s->line, "%s has an empty id; remove it", option->name);
		ids[i] = copy(r, s->text);
	}
	endpoint->connections = ids;
	endpoint->connection_count = count;
}

static void take_file(struct reading *r, const struct setting *s, struct conf_target *target)
{
	if (template_check(s->text, s->line, r->problems))
		target->file = pathname_resolve(r->arena, r->folder, s->text);
}

/* The program is a path: a name without a slash would be a file beside the configuration here, and one of PATH
 * everywhere else. */
static const char *take_program(struct reading *r, const char *name, const struct setting *s)
{
	if (strchr(s->text, '/') != NULL && s->text[strlen(s->text) - 1] != '/')
		return pathname_resolve(r->arena, r->folder, s->text);
	problems_add(r->problems, s->line,
		     "%s \"%s\" is no path of a program; write it whole, as \"/usr/local/bin/...\", or as \"./...\" "
		     "beside this file",
		     name, s->text);
	return copy(r, s->text);
}

static void take_words(struct reading *r, const struct given *given, struct conf_target *target)
{
	const char **words = arena_alloc(r->arena, (given->count + 1) * sizeof *words);
	if (words == NULL)
		return;
	for (size_t i = 0; i < given->count; i++)
		words[i] = i == 0 && target->kind->is_program
				   ? take_program(r, target->kind->option, given->settings[0])
				   : copy(r, given->settings[i]->text);
	target->words = (char *const *)words;
}

static void take_kind(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	struct conf_target *target = object;
	const struct conf_kind *const *kind = conf_kinds;
	while (strcmp((*kind)->option, option->name) != 0)
		kind++;
	if (target->kind != NULL)
		problems_add(r->problems, given->line, "target \"%s\" has both %s and %s; make two targets of it",
			     target->name, target->kind->option, option->name);
	target->kind = *kind;
	if (target->kind->is_file)
		take_file(r, given->settings[0], target);
	else
		take_words(r, given, target);
}

static void take_match(struct reading *r, const struct option *option, const struct given *given, void *object)
{
	struct conf_target *target = object;
	size_t count = given->count;
	struct conf_match *matches = arena_alloc(r->arena, count * sizeof *matches);
	for (size_t i = 0; matches != NULL && i < count; i++) {
		const struct setting *s = given->settings[i];
		size_t n = strcspn(s->text, "=");
		char *name = arena_copy(r->arena, s->text, n);
		matches[i] = (struct conf_match){name, copy(r, s->text + n + (s->text[n] == '='))};
		if (s->text[n] != '=')
			problems_add(r->problems, s->line,
				     "%s \"%s\" is no condition; write one as \"object_type=crm_*\"", option->name,
				     s->text);
		else if (name != NULL && !template_is_field(name))
			problems_add(r->problems, s->line,
				     "%s has no field \"%s\"; an event has type, event, object_type, connection_id, "
				     "endpoint, environment, integration_type, webhook_id, workspace_id, external_xref",
				     option->name, name);
	}
	target->matches = matches;
	target->match_count = count;
}

#define MINUTE INT64_C(60000000) /* us */
#define DAY    (1440 * MINUTE)
#define YEAR   (366 * DAY)
#define GB     (UINT64_C(1) << 30)

#define AT(type, member)     .offset = offsetof(struct type, member)
#define BETWEEN(least, most) .min = (least), .max = (most)

const struct option options_conf[] = {
	{"spool", take_spool, .example = "add spool = \"/var/lib/hookspool\""},
	{"deliver", take_deliver, .preset = "auto"},
	{.name = "group", .take = take_group},
	{"reserve", take_size, AT(conf, reserve), .preset = "64M", BETWEEN(0, 1024 * GB)},
	{"in_flight_max", take_size, AT(conf, in_flight_max), .preset = "64M", BETWEEN(1, 1024 * GB)},
	{"keep", take_duration, AT(conf, keep), .preset = "7d", BETWEEN(0, 10 * YEAR)},
	{"remember", take_duration, AT(conf, remember), .preset = "30d", BETWEEN(1000000, 10 * YEAR)},
	{"audit_max", take_size, AT(conf, audit_max), .preset = "16M", BETWEEN(4096, 1024 * GB)},
	{"late_after", take_duration, AT(conf, late_after), .preset = "15m", BETWEEN(1000000, YEAR)},
	{0},
};

const struct option options_endpoint[] = {
	{"scheme", take_scheme, .example = "add scheme = \"unified\""},
	{"secret_file", take_secret_file, .example = "add secret_file = \"/etc/hookspool/unified.secret\""},
	{"connections", take_connections, .is_list = true},
	{"max_body", take_size, AT(conf_endpoint, max_body), .preset = "10M", BETWEEN(1, GB)},
	{"algorithms", take_algorithms, .preset = "{sha1, sha256}", .is_list = true},
	{"expect", take_duration, AT(conf_endpoint, expect), BETWEEN(1000000, YEAR)},
	{0},
};

static const struct option options_target[] = {
	{"mode", take_mode, AT(conf_target, mode), .preset = "0600"},
	{"match", take_match, .is_list = true},
	{"timeout", take_duration, AT(conf_target, timeout), .preset = "30s", BETWEEN(1000, 7 * DAY)},
	{"batch", take_count, AT(conf_target, batch), .preset = "1", BETWEEN(1, 1000)},
	{"workers", take_count, AT(conf_target, workers), .preset = "1", BETWEEN(1, 64)},
	{"retry_for", take_duration, AT(conf_target, retry_for), .preset = "3d", BETWEEN(0, YEAR)},
	{0},
};

void options_of_target(struct option options[OPTIONS_MAX + 1])
{
	size_t n = 0, rows = sizeof options_target / sizeof options_target[0];
	for (const struct conf_kind *const *kind = conf_kinds; *kind != NULL; kind++)
		options[n++] =
			(struct option){.name = (*kind)->option, .take = take_kind, .is_list = !(*kind)->is_file};
	memcpy(options + n, options_target, rows * sizeof *options);
}

const struct option options_status[] = {
	{"token_file", take_token_file, .example = "add token_file = \"/etc/hookspool/status.token\""},
	{0},
};
