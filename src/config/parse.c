#include "config.h"

#include "config/parse.h"

#include <confuse.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/program.h"
#include "config/arena.h"
#include "config/options.h"
#include "config/pathname.h"
#include "config/problems.h"
#include "config/safe_file.h"
#include "config/source.h"
#include "config/sources.h"
#include "config/template.h"

#define FILE_SIZE_MAX (1u << 20)

/* Stands in each section as the value of its first option. That one has no name, so no file can set it: libConfuse
 * reads its preset where the section begins, and hands its callbacks no other place to leave something at.
 * libConfuse ends the process if a preset cannot be read: where memory runs out, this value and those of the settings
 * are NULL instead, and what takes them out says so. */
struct beginning {
	unsigned line;
	struct problems problems;
};

static int note_beginning(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	(void)opt;
	(void)value;
	struct beginning *b = calloc(1, sizeof *b);
	if (b != NULL)
		b->line = (unsigned)section->line;
	*(struct beginning **)result = b;
	return 0;
}

static void free_beginning(void *value)
{
	struct beginning *b = value;
	problems_fini(&b->problems);
	free(b);
}

static struct beginning *beginning(cfg_t *section)
{
	return cfg_opt_getnptr(cfg_getnopt(section, 0), 0);
}

static unsigned first_line(cfg_t *section)
{
	struct beginning *b = beginning(section);
	return b == NULL || b->line == 0 ? 1 : b->line;
}

/* Keeps a value as text, with its line. libConfuse lets the last of several assignments win; here they are counted in a
 * field of the option that has no meaning for this type. A preset is the first of them. */
static int note_setting(cfg_t *section, cfg_opt_t *opt, const char *value, void *result)
{
	size_t size = strlen(value) + 1;
	struct setting *s = malloc(sizeof *s + size);
	*(struct setting **)result = s;
	if (s == NULL)
		return 0;
	s->line = (unsigned)section->line;
	memcpy(s->text, value, size);
	long allowed = opt->def.parsed == NULL ? 1 : 2;
	if (opt->nvalues == 1 && ++opt->def.number > allowed)
		cfg_error(section, "option '%s' is set again", opt->name);
	return 0;
}

/* libConfuse's own messages, by how they begin, and what to do. */
static const struct {
	const char *begins, *advice;
} advices[] = {
	{"no such option", "remove it, or correct its name"},
	{"option '%s' is set again", "keep one of them"},
	{"found duplicate title", "give each section a title of its own"},
	{"missing", "hookspool.conf(5) shows how it is written"},
	{"premature end", "a closing brace is missing"},
	{"", "is a quote, a comma or a brace missing before it?"},
};

/* Where one thing on a line is wrong, what libConfuse says next about the same line is its echo. */
__attribute__((format(printf, 2, 0))) static void note_problem(cfg_t *section, const char *format, va_list args)
{
	char text[256];
	size_t i = 0;
	struct beginning *b = beginning(section);
	if (b == NULL || problems_at(&b->problems, (unsigned)section->line))
		return;
	while (strncmp(format, advices[i].begins, strlen(advices[i].begins)) != 0)
		i++;
	vsnprintf(text, sizeof text, format, args);
	problems_add(&b->problems, (unsigned)section->line, "%s; %s", text, advices[i].advice);
}

/* A table of options in libConfuse's terms. It reads a preset as it reads a file, which takes longer than all else: it
 * gets those of lists alone. */
static size_t declare(const struct option *options, cfg_opt_t *opts)
{
	size_t n = 0;
	opts[n++] = (cfg_opt_t)CFG_PTR_CB("", (char *)"-", CFGF_NONE, note_beginning, free_beginning);
	for (; options->name != NULL; options++)
		opts[n++] = (cfg_opt_t)CFG_PTR_CB(options->name, options->is_list ? (char *)options->preset : NULL,
						  options->is_list ? CFGF_LIST : CFGF_NONE, note_setting, free);
	opts[n] = (cfg_opt_t)CFG_END();
	return n;
}

/* Everything that the text has, or NULL if there is no memory. *cut: libConfuse gave up before the end.
 * CFGF_KEYSTRVAL makes it go on behind an unknown option, which it has reported then. */
static cfg_t *parse(struct buf *text, bool *cut)
{
	struct option of_target[OPTIONS_MAX + 1];
	const cfg_flag_t section = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
	cfg_opt_t root[OPTIONS_MAX + 5], endpoint[OPTIONS_MAX + 2], target[OPTIONS_MAX + 2], status[OPTIONS_MAX + 2];
	size_t n = declare(options_conf, root);
	declare(options_endpoint, endpoint);
	options_of_target(of_target);
	declare(of_target, target);
	declare(options_status, status);
	root[n++] = (cfg_opt_t)CFG_SEC("endpoint", endpoint, section);
	root[n++] = (cfg_opt_t)CFG_SEC("target", target, section);
	root[n++] = (cfg_opt_t)CFG_SEC("status", status, section);
	root[n] = (cfg_opt_t)CFG_END();
	cfg_t *cfg = cfg_init(root, CFGF_KEYSTRVAL);
	FILE *file = fmemopen(text->data, text->len, "r");
	if (cfg != NULL && file != NULL) {
		cfg_set_error_function(cfg, note_problem);
		*cut = cfg_parse_fp(cfg, file) != CFG_SUCCESS;
	} else if (cfg != NULL) {
		cfg_free(cfg);
		cfg = NULL;
	}
	if (file != NULL)
		fclose(file);
	return cfg;
}

/* What libConfuse collected for an option. */
static struct given gather(struct reading *r, cfg_opt_t *opt, unsigned line)
{
	struct given given = {.count = cfg_opt_size(opt), .line = line};
	given.settings = arena_alloc(r->arena, given.count * sizeof *given.settings);
	if (given.settings == NULL)
		given.count = 0;
	for (unsigned i = 0; i < given.count; i++)
		if ((given.settings[i] = cfg_opt_getnptr(opt, i)) == NULL) {
			r->arena->failed = true;
			given.count = 0;
		}
	return given;
}

/* A preset, as if the section began with it. */
static struct given preset(struct reading *r, const char *text, unsigned line)
{
	size_t size = strlen(text) + 1;
	struct setting *s = arena_alloc(r->arena, sizeof *s + size);
	struct given given = {.settings = arena_alloc(r->arena, sizeof *given.settings), .line = line};
	if (s == NULL || given.settings == NULL)
		return given;
	s->line = line;
	memcpy(s->text, text, size);
	given.settings[given.count++] = s;
	return given;
}

/* Takes the options of a section into its object. `whole`: what is not there is missing. */
static void take_section(struct reading *r, cfg_t *section, const struct option *options, bool whole, void *object)
{
	struct beginning *b = beginning(section);
	unsigned line = first_line(section), index = 1;
	if (b == NULL) {
		r->arena->failed = true;
		return;
	}
	problems_move(r->problems, &b->problems);
	for (; options->name != NULL; options++, index++) {
		struct given given = gather(r, cfg_getnopt(section, index), line);
		if (given.count == 0 && options->preset != NULL && !options->is_list)
			given = preset(r, options->preset, line);
		if (given.count > 0 || (options->is_list && options->preset != NULL))
			options->take(r, options, &given, object);
		else if (options->example != NULL && whole)
			problems_add(r->problems, line, "%s is not set; %s", options->name, options->example);
	}
	for (cfg_opt_t *opt; (opt = cfg_getnopt(section, index)) != NULL; index++)
		if (opt->name[0] == '\0')
			problems_add(r->problems, line, "an option in this section has no name; remove it");
}

/* What is wrong with an endpoint's path, or NULL. */
static const char *path_fault(const char *path)
{
	if (path[0] != '/')
		return "does not begin with '/'; write the path of its URL, as \"/webhook\"";
	for (const char *s = path; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~' || strchr("\"\\?#", *s) != NULL)
			return "has a character that no path of a URL has; write it as the sender will, with %XX";
	for (const char *s = path; *s != '\0'; s += strcspn(s, "/")) {
		size_t n = strcspn(++s, "/");
		if ((n == 0 && *s == '/') || (n == 1 && *s == '.') || (n == 2 && strncmp(s, "..", 2) == 0))
			return "has an empty, \".\" or \"..\" part; leave that out";
	}
	return NULL;
}

/* The section's title as a path, without a '/' at its end; NULL: no memory. */
static const char *take_path(struct reading *r, cfg_t *section)
{
	const char *title = cfg_title(section);
	size_t n = strlen(title);
	while (n > 1 && title[n - 1] == '/')
		n--;
	const char *path = arena_copy(r->arena, title, n), *fault = path == NULL ? NULL : path_fault(path);
	if (fault != NULL)
		problems_add(r->problems, first_line(section), "%s \"%s\" %s", cfg_name(section), title, fault);
	return path;
}

static void take_endpoint(struct reading *r, cfg_t *section, bool whole, struct conf *conf)
{
	struct conf_endpoint *e = &conf->endpoints[conf->endpoint_count++];
	const char *title = cfg_title(section);
	e->line = first_line(section);
	take_section(r, section, options_endpoint, whole, e);
	e->path = take_path(r, section);
	if (e->path == NULL)
		return;
	for (const struct conf_endpoint *other = conf->endpoints; other < e; other++)
		if (other->path != NULL && strcmp(other->path, e->path) == 0)
			problems_add(r->problems, e->line,
				     "endpoint \"%s\" has the same path as that of line %u; a '/' at the end does not "
				     "count; remove one",
				     title, other->line);
	if (conf->in_flight_max > 0 && e->max_body > conf->in_flight_max)
		problems_add(r->problems, e->line,
			     "endpoint \"%s\" has a max_body over in_flight_max, which no body of that size can pass; "
			     "raise in_flight_max",
			     title);
}

static void complain_no_kind(struct reading *r, const struct conf_target *t)
{
	char names[256];
	int n = snprintf(names, sizeof names, "neither %s", conf_kinds[0]->option);
	for (size_t i = 1; conf_kinds[i] != NULL && n < (int)sizeof names; i++)
		n += snprintf(names + n, sizeof names - (size_t)n, " nor %s", conf_kinds[i]->option);
	problems_add(r->problems, t->line, "target \"%s\" has %s; add one of them", t->name, names);
}

static void take_target(struct reading *r, cfg_t *section, bool whole, struct conf *conf)
{
	struct conf_target *t = &conf->targets[conf->target_count++];
	struct option options[OPTIONS_MAX + 1];
	const char *title = cfg_title(section);
	size_t before = r->problems->count + r->problems->more;
	t->line = first_line(section);
	t->name = arena_copy(r->arena, title, strlen(title));
	options_of_target(options);
	take_section(r, section, options, whole, t);
	if (title[0] == '\0' ||
	    title[strspn(title, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")])
		problems_add(r->problems, t->line, "target \"%s\" is no name; use letters, digits, '.', '_' and '-'",
			     title);
	bool is_sound = r->problems->count + r->problems->more == before;
	if (t->kind == NULL && whole && is_sound)
		complain_no_kind(r, t);
}

/* What is below the page's path is the page's. */
static void take_status(struct reading *r, cfg_t *section, bool whole, struct conf *conf)
{
	conf->status_line = first_line(section);
	take_section(r, section, options_status, whole, conf);
	conf->status_path = take_path(r, section);
	if (conf->status_path == NULL)
		return;
	size_t n = strlen(conf->status_path);
	n -= n == 1; /* "/" */
	for (size_t i = 0; i < conf->endpoint_count; i++) {
		const struct conf_endpoint *e = &conf->endpoints[i];
		if (e->path != NULL && strncmp(e->path, conf->status_path, n) == 0 &&
		    (e->path[n] == '/' || e->path[n] == '\0'))
			problems_add(r->problems, conf->status_line,
				     "status \"%s\" has the endpoint of line %u below it; give it a path of its own",
				     cfg_title(section), e->line);
	}
}

/* A file of a target may not be what the program itself lives of: what a sender wrote would be appended to it. */
static void check_reach(struct reading *r, const struct conf *conf, const struct conf_target *t)
{
	if (conf->spool != NULL &&
	    (template_meets(t->file, conf->spool, false) || template_meets(t->file, conf->spool, true)))
		problems_add(
			r->problems, t->line,
			"target \"%s\": file \"%s\" can lie in the spool %s; give the records a folder of their own",
			t->name, t->file, conf->spool);
	const char *guarded = template_meets(t->file, conf->path, false) ? conf->path : NULL;
	const char *before = "";
	for (size_t i = 0; guarded == NULL && i < conf->endpoint_count; i++) {
		const char *secret = conf->endpoints[i].secret_file;
		if (secret == NULL || strcmp(secret, before) == 0)
			continue;
		before = secret;
		if (template_meets(t->file, secret, false))
			guarded = secret;
	}
	if (guarded == NULL && conf->token_file != NULL && template_meets(t->file, conf->token_file, false))
		guarded = conf->token_file;
	for (size_t i = 0; guarded == NULL && i < conf->target_count; i++)
		if (conf->targets[i].words != NULL && conf->targets[i].kind->is_program &&
		    conf->targets[i].words[0] != NULL && template_meets(t->file, conf->targets[i].words[0], false))
			guarded = conf->targets[i].words[0];
	if (guarded != NULL)
		problems_add(r->problems, t->line,
			     "target \"%s\": file \"%s\" can be %s; give the records a folder of their own", t->name,
			     t->file, guarded);
}

/* Two targets that append to one file would each write an event to it. */
static void check_files(struct reading *r, const struct conf *conf)
{
	for (const struct conf_target *t = conf->targets; t < conf->targets + conf->target_count; t++) {
		if (t->file == NULL)
			continue;
		check_reach(r, conf, t);
		for (const struct conf_target *other = conf->targets; other < t; other++)
			if (other->file != NULL && template_meets(t->file, other->file, false)) {
				problems_add(r->problems, t->line,
					     "target \"%s\": file \"%s\" can be the same as that of target \"%s\" in "
					     "line %u, and "
					     "would have events twice; give each target files of its own",
					     t->name, t->file, other->name, other->line);
				break;
			}
	}
}

/* Whether the last section of a kind is all there: where libConfuse 3.3 finds no memory, it leaves one half made. */
static bool is_whole(cfg_t *cfg, const char *kind)
{
	unsigned n = cfg_size(cfg, kind);
	const cfg_t *last = n == 0 ? NULL : cfg_getnsec(cfg, kind, n - 1);
	return n == 0 || (last != NULL && last->name != NULL && last->title != NULL && last->opts != NULL);
}

/* Takes everything in, and looks at what concerns more than one option. */
static void take_file(struct reading *r, cfg_t *cfg, bool cut, struct conf *conf)
{
	unsigned endpoints = cfg_size(cfg, "endpoint"), targets = cfg_size(cfg, "target");
	unsigned pages = cfg_size(cfg, "status");
	conf->endpoints = arena_alloc(r->arena, endpoints * sizeof *conf->endpoints);
	conf->targets = arena_alloc(r->arena, targets * sizeof *conf->targets);
	if (conf->endpoints == NULL || conf->targets == NULL)
		return;
	take_section(r, cfg, options_conf, !cut, conf);
	/* The last section is the one that libConfuse was in when it gave up. */
	for (unsigned i = 0; i < endpoints; i++)
		take_endpoint(r, cfg_getnsec(cfg, "endpoint", i), !cut || i + 1 < endpoints, conf);
	for (unsigned i = 0; i < targets; i++)
		take_target(r, cfg_getnsec(cfg, "target", i), !cut || i + 1 < targets, conf);
	if (pages > 0)
		take_status(r, cfg_getnsec(cfg, "status", 0), !cut || pages > 1, conf);
	check_files(r, conf);
	if (pages > 1)
		problems_add(r->problems, first_line(cfg_getnsec(cfg, "status", 1)),
			     "there is a status section already, in line %u; remove one", conf->status_line);
	if (endpoints == 0 && !cut)
		problems_add(r->problems, 1, "there is no endpoint; add endpoint \"/webhook\" { ... }");
	if (cut && !problems_any(r->problems))
		problems_add(r->problems, (unsigned)cfg->line, "cannot be read beyond here; is there memory left?");
}

/* 0, or -1 if memory ran out. Other problems are in r->problems. */
static int read_file(struct reading *r, struct conf *conf)
{
	struct buf text = {0};
	char why[GUARDED_WHY_SIZE];
	int result = -1;
	if (sources_read(r->sources, conf->path, GUARDED_TEXT, FILE_SIZE_MAX, &text, why) < 0) {
		problems_add(r->problems, 0, "%s", why);
		result = 0;
		goto done;
	}
	/* fmemopen takes no empty text. */
	if (buf_char(&text, ' ') < 0)
		goto done;
	unsigned open_brace = source_prepare(&text, r->problems);
	if (problems_any(r->problems)) {
		result = 0;
		goto done;
	}
	bool cut;
	cfg_t *cfg = parse(&text, &cut);
	/* What is half made is left as it is: cfg_free would follow its null pointers. */
	if (cfg == NULL || !is_whole(cfg, "endpoint") || !is_whole(cfg, "target") || !is_whole(cfg, "status"))
		goto done;
	take_file(r, cfg, cut, conf);
	if (open_brace > 0 && !cut)
		problems_add(r->problems, open_brace, "the brace that is opened here is not closed; add }");
	cfg_free(cfg);
	result = r->arena->failed ? -1 : 0;
done:
	buf_fini(&text);
	return result;
}

struct conf *conf_read_sources(const char *path, bool with_secrets, struct sources *sources, conf_complain *complain,
			       void *arg)
{
	char cwd[PATH_MAX] = "";
	struct problems problems = {0};
	struct arena *arena;
	struct conf *conf = conf_new(&arena);
	if (conf == NULL || (path[0] != '/' && getcwd(cwd, sizeof cwd) == NULL))
		goto fail;
	struct reading reading = {
		.arena = arena, .conf = conf, .problems = &problems, .sources = sources, .with_secrets = with_secrets};
	conf->path = pathname_resolve(arena, cwd, path);
	if (conf->path == NULL || (reading.folder = pathname_folder(arena, conf->path)) == NULL)
		goto fail;
	if (read_file(&reading, conf) < 0)
		problems_add(&problems, 0, "not enough memory to read it; try again");
	if (!problems_any(&problems))
		return conf;
	problems_tell(&problems, conf->path, complain, arg);
	problems_fini(&problems);
	conf_free(conf);
	return NULL;
fail:
	problems_add(&problems, 0, "cannot be read: %s; try again", strerror(errno));
	problems_tell(&problems, path, complain, arg);
	problems_fini(&problems);
	conf_free(conf);
	return NULL;
}

struct conf *conf_read(const char *path, bool with_secrets, conf_complain *complain, void *arg)
{
	struct sources sources = {0};
	sources_begin(&sources);
	struct conf *conf = conf_read_sources(path, with_secrets, &sources, complain, arg);
	sources_fini(&sources);
	return conf;
}

/* hookspool.conf in the folder of the running program. 0, or -1 if that is not known. */
static int beside_program(char path[PATH_MAX])
{
	static const char name[] = "hookspool.conf";
	if (program_path(path) < 0)
		return -1;
	size_t n = (size_t)(strrchr(path, '/') + 1 - path);
	if (n + sizeof name > PATH_MAX)
		return -1;
	memcpy(path + n, name, sizeof name);
	return 0;
}

char *conf_find(const char *given)
{
	static const char *const variables[] = {"HOOKSPOOL_CONF", "REDIRECT_HOOKSPOOL_CONF"};
	static const char system_wide[] = SYSCONFDIR "/hookspool/hookspool.conf";
	char beside[PATH_MAX];
	for (size_t i = 0; given == NULL && i < sizeof variables / sizeof variables[0]; i++) {
		given = getenv(variables[i]);
		if (given != NULL && *given == '\0')
			given = NULL;
	}
	if (beside_program(beside) < 0)
		strcpy(beside, system_wide);
	if (given == NULL && access(beside, F_OK) == 0)
		given = beside;
	if (given == NULL && access(system_wide, F_OK) == 0)
		given = system_wide;
	if (given == NULL) {
		log_warnx("there is no configuration: -c FILE and $HOOKSPOOL_CONF are not given, and there is neither "
			  "%s nor %s",
			  beside, system_wide);
		return NULL;
	}
	char *path = strdup(given);
	if (path == NULL)
		log_warn("%s", given);
	return path;
}
