#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/executable.h"
#include "base/fsio.h"
#include "base/log.h"
#include "base/text.h"
#include "command/command.h"
#include "command/session.h"
#include "config/template.h"
#include "sender/key.h"
#include "sender/scheme.h"
#include "spool/layout.h"
#include "spool/locks.h"
#include "state/counts.h"
#include "state/files.h"
#include "state/state.h"
#include "target/file_path.h"
#include "target/target.h"

#define OTHERS_SHOWN 5

/* The configuration under examination, and what came of it. */
struct check {
	const struct conf *conf;
	bool fails; /* something will not work */
};

/* Says what will not work. */
__attribute__((format(printf, 2, 3))) static void fail(struct check *c, const char *format, ...)
{
	char text[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	log_warnx("%s", text);
	c->fails = true;
}

/* A line of the report: what it is about, and what follows in the caller's own printf. */
static void begin(const char *indent, const char *label)
{
	printf("%s%-*s ", indent, 15 - (int)strlen(indent), label);
}

static void print_size(const char *label, uint64_t bytes)
{
	char text[TEXT_HUMAN_SIZE];
	text_human_size(bytes, text);
	begin("  ", label);
	puts(text);
}

static void print_duration(const char *label, int64_t us)
{
	char text[TEXT_HUMAN_SIZE];
	text_human_duration(us, text);
	begin("  ", label);
	puts(text);
}

static void print_free_space(struct check *c, const char *folder)
{
	const struct conf *conf = c->conf;
	uint64_t bytes, inodes;
	char space[TEXT_HUMAN_SIZE], reserve[TEXT_HUMAN_SIZE];
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsio_free_space(fd, &bytes, &inodes) < 0) {
		fail(c, "cannot ask for the free space of %s: %s", folder, strerror(errno));
	} else {
		text_human_size(bytes, space);
		text_human_size(conf->reserve, reserve);
		begin("  ", "free");
		printf("%s; below %s (reserve) senders are told to try again later\n", space, reserve);
		if (bytes < conf->reserve)
			fail(c, "%s has less free space than the reserve: nothing will be accepted", folder);
	}
	if (fd >= 0)
		close(fd);
}

/* Where segments are, or will be. */
static void find_journal(const char *folder, char journal[PATH_MAX])
{
	if (snprintf(journal, PATH_MAX, "%s/journal", folder) >= PATH_MAX || access(journal, F_OK) < 0)
		snprintf(journal, PATH_MAX, "%s", folder);
}

static void check_locks(struct check *c, const char *folder)
{
	char journal[PATH_MAX];
	find_journal(folder, journal);
	errno = 0;
	const char *fault = locks_fault(journal);
	if (fault != NULL)
		fail(c, "%s: %s%s%s; see LOCKS in hookspool(7)", journal, fault, errno == 0 ? "" : ": ",
		     errno == 0 ? "" : strerror(errno));
}

/* A receiver that is another user than the deliverer writes to the shared folders alone. 0, or -1 with errno. */
static int ask_access(const struct conf *conf, const char *folder)
{
	char journal[PATH_MAX];
	find_journal(folder, journal);
	return access(folder, R_OK | X_OK) < 0 ? -1 : access(conf->has_group ? journal : folder, R_OK | W_OK | X_OK);
}

/* What this user can do with the spool, or with the folder that it will be made in. NULL: nothing. */
static const char *spool_state(struct check *c, const char *folder, bool is_there)
{
	struct stat st;
	bool known = stat(folder, &st) == 0;
	if (known && !S_ISDIR(st.st_mode)) {
		fail(c, "the spool cannot be used: %s is no folder", folder);
		return NULL;
	}
	if (!known || ask_access(c->conf, folder) < 0) {
		fail(c, "the spool cannot be used by this user: %s: %s", folder, strerror(errno));
		return NULL;
	}
	if (!is_there)
		return "is not there yet; this user can make it";
	if (st.st_mode & S_IWOTH) {
		fail(c, "the spool will not be used, because everybody can write there: chmod o-w %s", c->conf->spool);
		return NULL;
	}
	return "is there; this user can write to it";
}

/* Whether receiver and deliverer can use it as two users. Who asks may be the one, the other, or root. */
static void check_group(struct check *c)
{
	const struct conf *conf = c->conf;
	static const char *const shared[] = {"journal", "errands", "audit", "trigger"};
	char fault[LAYOUT_FAULT_SIZE];
	struct stat st;
	if (stat(conf->spool, &st) < 0)
		return;
	begin("  ", "owner");
	printf("id %u, as which `hookspool deliver` must run; for another user: chown -Rh USER %s\n",
	       (unsigned)st.st_uid, conf->spool);
	if (layout_is_foreign(conf, st.st_uid, fault))
		fail(c, "%s", fault);
	for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
		char path[PATH_MAX];
		snprintf(path, sizeof path, "%s/%s", conf->spool, shared[i]);
		if (stat(path, &st) < 0 || (st.st_gid == conf->group && (st.st_mode & 0060) == 0060))
			continue;
		fail(c,
		     "the group cannot use the spool as it is, until the deliverer is started again: "
		     "hookspool -c %s deliver --once",
		     conf->path);
		return;
	}
}

static int fail_of_trouble(void *arg, const struct state_trouble *trouble)
{
	struct check *c = arg;
	fail(c, "%s: %s: %s", c->conf->spool, trouble->what, trouble->why);
	return 0;
}

static int warn_of_others(void *arg, const char *path, int64_t others_at)
{
	char at[CLOCK_TEXT_SIZE];
	(void)arg;
	clock_text(others_at, at);
	log_warnx(
		"%s: something else writes to it too, last seen at %s; nothing is lost, but if it is another spool, an "
		"event that both are sent may be in it twice",
		path, at);
	return 0;
}

/* What the deliverer has seen. */
static void check_state(struct check *c)
{
	struct session session;
	if (session_open(&session, c->conf, STATE_LOOK) == 0 && session.state != NULL) {
		state_troubles(session.state, fail_of_trouble, c);
		state_files_of_others(session.state, OTHERS_SHOWN, warn_of_others, NULL);
	}
	session_close(&session);
}

/* A spool that is not there is made by its first user, but not the folder that it stands in. */
static void print_spool(struct check *c)
{
	const struct conf *conf = c->conf;
	char parent[PATH_MAX];
	bool is_there = access(conf->spool, F_OK) == 0 || errno != ENOENT;
	snprintf(parent, sizeof parent, "%s", conf->spool);
	const char *folder = is_there ? conf->spool : dirname(parent);
	begin("", "spool");
	puts(conf->spool);
	const char *state = spool_state(c, folder, is_there);
	begin("  ", "state");
	puts(state == NULL ? "cannot be used" : state);
	if (state != NULL) {
		print_free_space(c, folder);
		check_locks(c, folder);
	}
	if (state != NULL && is_there)
		check_state(c);
	if (conf->has_group) {
		begin("  ", "group");
		printf("id %u may read and write\n", (unsigned)conf->group);
		check_group(c);
	}
}

static void check_keys(const struct conf_endpoint *e)
{
	for (size_t i = 0; i < e->secret_count; i++) {
		struct span bare = e->secrets[i];
		const char *layer = key_strip(&bare);
		if (layer != NULL)
			log_warnx(
				"%s: secret %zu has %s, which is taken as a part of it; remove it if the sender's has "
				"none",
				e->secret_file, i + 1, layer);
		if (e->secrets[i].len < KEY_SHORT)
			log_warnx("%s: secret %zu has %zu bytes and could be guessed; use the one that the sender "
				  "made, or "
				  "one of at least %d",
				  e->secret_file, i + 1, e->secrets[i].len, KEY_SHORT);
	}
}

static void print_endpoint(const struct conf_endpoint *e)
{
	static const char *const algorithms[] = {
		[SCHEME_SHA1] = "SHA-1",
		[SCHEME_SHA256] = "SHA-256",
		[SCHEME_SHA1 | SCHEME_SHA256] = "SHA-1 or SHA-256, both right where both are there",
	};
	putchar('\n');
	begin("", "endpoint");
	puts(e->path);
	begin("  ", "scheme");
	printf("%s, signed with %s\n", e->scheme->name, algorithms[e->algorithms]);
	begin("  ", "secrets");
	printf("%zu in %s\n", e->secret_count, e->secret_file);
	check_keys(e);
	begin("  ", "connections");
	for (size_t i = 0; i < e->connection_count; i++)
		printf("%s%s", i == 0 ? "only " : ", ", e->connections[i]);
	puts(e->connection_count == 0 ? "all" : "");
	print_size("max_body", e->max_body);
	if (e->expect > 0)
		print_duration("expect", e->expect);
}

/* A secret, and an endpoint that has it. */
struct holder {
	const struct span *secret;
	const struct conf_endpoint *endpoint;
};

static int by_secret(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;
	size_t n = x->secret->len < y->secret->len ? x->secret->len : y->secret->len;
	int order = memcmp(x->secret->ptr, y->secret->ptr, n);
	if (order == 0)
		order = (x->secret->len > y->secret->len) - (x->secret->len < y->secret->len);
	return order != 0 ? order : (x->endpoint > y->endpoint) - (x->endpoint < y->endpoint);
}

static bool is_same(const struct span *a, const struct span *b)
{
	return a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
}

/* The path is not signed. One line a secret, however many have it. */
static void check_secrets(const struct conf *conf)
{
	size_t count = 0, n = 0, next;
	for (size_t i = 0; i < conf->endpoint_count; i++)
		count += conf->endpoints[i].secret_count;
	struct holder *holders = calloc(count + 1, sizeof *holders);
	if (holders == NULL) {
		log_warn("cannot compare the secrets");
		return;
	}
	for (const struct conf_endpoint *e = conf->endpoints; e < conf->endpoints + conf->endpoint_count; e++)
		for (size_t i = 0; i < e->secret_count; i++)
			holders[n++] = (struct holder){&e->secrets[i], e};
	qsort(holders, count, sizeof *holders, by_secret);
	for (size_t i = 0; i < count; i = next) {
		size_t others = 0;
		for (next = i + 1; next < count && is_same(holders[i].secret, holders[next].secret); next++)
			others += holders[next].endpoint != holders[next - 1].endpoint;
		if (others == 0)
			continue;
		char more[48] = "";
		if (others > 1)
			snprintf(more, sizeof more, " and %zu more", others - 1);
		log_warnx("endpoints \"%s\" and \"%s\"%s have a secret in common: a request that was made for one is "
			  "an event of its own at the other",
			  holders[i].endpoint->path, holders[next - 1].endpoint->path, more);
	}
	free(holders);
}

static void print_status(const struct conf *conf)
{
	putchar('\n');
	begin("", "status");
	printf("%s/\n", strcmp(conf->status_path, "/") == 0 ? "" : conf->status_path);
	begin("  ", "tokens");
	printf("%zu in %s\n", conf->token_count, conf->token_file);
}

/* An event such as comes often. */
static int append_example(void *arg, const char *name, struct buf *out)
{
	static const struct {
		const char *name, *value;
	} values[] = {
		{"type", "VIRTUAL"},
		{"event", "updated"},
		{"object_type", "crm_contact"},
		{"environment", "Production"},
	};
	const struct conf *conf = arg;
	char now[CLOCK_TEXT_SIZE];
	clock_text(clock_now(), now);
	if (strcmp(name, "date") == 0)
		return buf_append(out, now, strlen("2026-11-23"));
	if (strcmp(name, "hour") == 0)
		return buf_append(out, now + strlen("2026-11-23T"), strlen("09"));
	if (strcmp(name, "endpoint") == 0)
		return buf_str(out, conf->endpoints[0].path);
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		if (strcmp(name, values[i].name) == 0)
			return buf_str(out, values[i].value);
	return buf_str(out, name);
}

/* What is known of its path before there is an event. */
static void check_file(struct check *c, const struct conf_target *t)
{
	struct buf why = {0};
	size_t fixed = target_fixed(t);
	struct span path = {t->file, strchr(t->file, '%') != NULL ? fixed : strlen(t->file)};
	if (outpath_check(path, fixed, &why) < 0)
		fail(c, "target \"%s\": %s", t->name, why.len > 0 ? why.data : strerrordesc_np(errno));
	buf_fini(&why);
}

static void print_file(struct check *c, const struct conf_target *t)
{
	struct buf example = {0};
	begin("  ", "file");
	printf("%s, mode %04o\n", t->file, (unsigned)t->mode);
	if (template_expand(t->file, append_example, (void *)c->conf, &example) == 0 && buf_cstr(&example) != NULL &&
	    strcmp(example.data, t->file) != 0) {
		begin("  ", "for example");
		puts(example.data);
	}
	buf_fini(&example);
	check_file(c, t);
}

static void print_words(struct check *c, const struct conf_target *t)
{
	char why[EXECUTABLE_WHY_SIZE];
	begin("  ", t->kind->option);
	for (char *const *word = t->words; *word != NULL; word++)
		printf("%s%s", word == t->words ? "" : " ", **word == '\0' ? "\"\"" : *word);
	putchar('\n');
	const char *fault = t->kind->is_program ? executable_fault(t->words[0], why) : NULL;
	if (fault != NULL)
		fail(c, "target \"%s\": %s cannot be run by this user: %s", t->name, t->words[0], fault);
	print_duration("timeout", t->timeout);
	begin("  ", "batch");
	printf("%u\n", t->batch);
	begin("  ", "workers");
	printf("%u\n", t->workers);
	print_duration("retry_for", t->retry_for);
}

/* Whether two conditions are on one field that nothing can have: one is a plain value, which the other does not allow.
 */
static bool contradict(const struct conf_match *a, const struct conf_match *b)
{
	return strcmp(a->field, b->field) == 0 && strpbrk(a->glob, "*?[\\") == NULL &&
	       fnmatch(b->glob, a->glob, 0) != 0;
}

static void check_matches(const struct conf_target *t)
{
	for (size_t i = 0; i < t->match_count; i++)
		for (size_t k = 0; k < t->match_count; k++)
			if (contradict(&t->matches[i], &t->matches[k])) {
				log_warnx("target \"%s\" gets nothing: no event can meet both %s=%s and %s=%s; a glob "
					  "such as "
					  "crm_* allows several values, or make a target for each",
					  t->name, t->matches[i].field, t->matches[i].glob, t->matches[k].field,
					  t->matches[k].glob);
				return;
			}
}

static void print_target(struct check *c, const struct conf_target *t)
{
	putchar('\n');
	begin("", "target");
	puts(t->name);
	if (t->kind->is_file)
		print_file(c, t);
	else
		print_words(c, t);
	begin("  ", "match");
	for (size_t i = 0; i < t->match_count; i++)
		printf("%s%s=%s", i == 0 ? "" : " and ", t->matches[i].field, t->matches[i].glob);
	puts(t->match_count == 0 ? "every event" : "");
	check_matches(t);
}

static void check_workers(const struct conf *conf)
{
	size_t workers = 0, most = descriptors_for_scripts(descriptors_most());
	for (size_t i = 0; i < conf->target_count; i++)
		if (!conf->targets[i].kind->is_file)
			workers += conf->targets[i].workers;
	if (workers > most)
		log_warnx(
			"the targets have %zu workers, but only %zu scripts can run at a time: the hard limit on open "
			"files is %llu (ulimit -Hn, LimitNOFILE)",
			workers, most, (unsigned long long)descriptors_most());
}

static void print_conf(struct check *c)
{
	const struct conf *conf = c->conf;
	begin("", "configuration");
	puts(conf->path);
	print_spool(c);
	print_duration("keep", conf->keep);
	print_duration("remember", conf->remember);
	print_size("audit_max", conf->audit_max);
	print_duration("late_after", conf->late_after);
	print_size("in_flight_max", conf->in_flight_max);
	begin("", "deliver");
	puts(conf->deliver_auto ? "auto: the receiver starts a deliverer when there is none"
				: "manual: a service or cron must run `hookspool deliver`");
	for (size_t i = 0; i < conf->endpoint_count; i++)
		print_endpoint(&conf->endpoints[i]);
	check_secrets(conf);
	for (size_t i = 0; i < conf->target_count; i++)
		print_target(c, &conf->targets[i]);
	if (conf->status_path != NULL)
		print_status(conf);
	check_workers(conf);
	if (conf->target_count == 0)
		log_warnx("%s has no target: what is received will be delivered nowhere", conf->path);
}

static int run_check(const char *conf_path, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return EX_USAGE;
	struct conf *conf = command_conf(conf_path, true);
	if (conf == NULL)
		return EX_CONFIG;
	struct check c = {.conf = conf};
	print_conf(&c);
	conf_free(conf);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_warn("cannot write the report");
		return EX_IOERR;
	}
	return c.fails ? 1 : 0;
}

const struct command check_command = {
	.name = "check",
	.arguments = "",
	.summary = "say what the configuration means, or what is wrong with it",
	.help = "Reads the configuration, the modes of the secrets and the spool, and says what\n"
		"they mean, or what is wrong, with file and line.\n",
	.prints = true,
	.run = run_check,
};
