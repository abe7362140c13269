#include "config.h"

#include "config/current.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "config/parse.h"

/* Microseconds. */
#define LOOK_EVERY  CLOCK_SECOND
#define SETTLE      (CLOCK_SECOND / 10) /* between two looks that must see the same change */
#define SETTLE_MAX  (CLOCK_SECOND / 2)  /* from then on it is read, though it changes still */
#define YOUNG       CLOCK_SECOND        /* a file may change within this time without another stamp */
#define AGAIN_AFTER (10 * CLOCK_SECOND) /* what was refused may have had another reason than the files */
#define READINGS    3                   /* in a row, of files that change meanwhile */

/* What was complained of: lines. */
static void note(void *arg, const char *message)
{
	struct buf *problems = arg;
	if (buf_str(problems, message) < 0 || buf_char(problems, '\n') < 0)
		problems->len = 0;
}

static void tell(struct buf *problems)
{
	char *rest = problems->len == 0 ? NULL : buf_cstr(problems);
	for (char *line; rest != NULL && (line = strsep(&rest, "\n")) != NULL && *line != '\0';)
		log_warnx("%s", line);
}

/* Reads the files, again if they have changed meanwhile: the parts of one configuration belong together. */
static struct conf *read_files(const char *path, bool with_secrets, struct sources *sources, struct buf *problems)
{
	struct conf *conf = NULL;
	uint8_t noted[HASH_SIZE], now[HASH_SIZE];
	for (int i = 0; i < READINGS; i++) {
		conf_free(conf);
		problems->len = 0;
		sources_begin(sources);
		conf = conf_read_sources(path, with_secrets, sources, note, problems);
		sources_noted(sources, noted);
		sources_look(sources, now);
		if (memcmp(noted, now, sizeof now) == 0)
			break;
	}
	return conf;
}

/* When it is to be read once more, though no change is seen. A change within the same tick of the file system's clock
 * leaves the stamps as they are. */
static int64_t again_at(const struct sources *sources)
{
	return sources->youngest > clock_now() - YOUNG ? clock_monotonic() + YOUNG : 0;
}

int current_open(struct current *current, const char *path, bool with_secrets)
{
	struct buf problems = {0};
	*current = CURRENT_OF(NULL);
	struct conf *conf = read_files(path, with_secrets, &current->sources, &problems);
	tell(&problems);
	buf_fini(&problems);
	if (conf != NULL && (current->spool = strdup(conf->spool)) == NULL) {
		log_warn("%s", path);
		conf_free(conf);
		conf = NULL;
	}
	if (conf == NULL) {
		sources_fini(&current->sources);
		return -1;
	}
	conf->spool = current->spool;
	current->with_secrets = with_secrets;
	sources_contents(&current->sources, current->contents);
	current->again_at = again_at(&current->sources);
	current->look_at = clock_monotonic() + LOOK_EVERY;
	atomic_store(&current->conf, conf);
	return 0;
}

void current_close(struct current *current)
{
	conf_free(atomic_load(&current->conf));
	sources_fini(&current->sources);
	free(current->spool);
	free(current->why);
	pthread_mutex_destroy(&current->lock);
}

const struct conf *current_hold(struct current *current)
{
	pthread_mutex_lock(&current->lock);
	const struct conf *conf = conf_hold(atomic_load(&current->conf));
	pthread_mutex_unlock(&current->lock);
	return conf;
}

bool current_is(const struct current *current, const struct conf *conf)
{
	return atomic_load(&current->conf) == conf;
}

const char *current_spool(const struct current *current)
{
	return atomic_load(&current->conf)->spool;
}

int64_t current_look_at(const struct current *current)
{
	return current->look_at;
}

const char *current_why(const struct current *current)
{
	return current->why;
}

/* Whether the files are to be read now. */
static bool is_due(struct current *current, int64_t now)
{
	uint8_t noted[HASH_SIZE], stamps[HASH_SIZE];
	sources_noted(&current->sources, noted);
	sources_look(&current->sources, stamps);
	if (memcmp(stamps, noted, sizeof noted) == 0) {
		current->seen_at = 0;
		return current->again_at != 0 && now >= current->again_at;
	}
	bool settled = current->seen_at != 0 &&
		       (memcmp(stamps, current->seen, sizeof stamps) == 0 || now - current->seen_at >= SETTLE_MAX);
	if (current->seen_at == 0)
		current->seen_at = now;
	memcpy(current->seen, stamps, sizeof stamps);
	if (!settled)
		current->look_at = now + SETTLE;
	return settled;
}

/* Whether a running process can go on with it. */
static bool can_follow(const struct conf *before, const struct conf *conf, struct buf *problems)
{
	char text[256];
	const char *what = strcmp(conf->spool, before->spool) != 0                                ? "spool"
			   : conf->has_group != before->has_group || conf->group != before->group ? "group"
												  : NULL;
	if (what == NULL)
		return true;
	snprintf(text, sizeof text,
		 ": %s is another one, which a process that runs cannot change to; restart it, or put the old one back",
		 what);
	if (buf_str(problems, conf->path) == 0)
		note(problems, text);
	return false;
}

static enum current_look refuse(struct current *current, struct buf *problems, bool is_news)
{
	const char *path = atomic_load(&current->conf)->path;
	const char *lines = buf_cstr(problems);
	size_t n = lines == NULL ? 0 : strcspn(lines, "\n");
	char *why = n == 0 ? NULL : strndup(lines, n);
	if (why == NULL && asprintf(&why, "%s: not enough memory to read it; try again", path) < 0)
		why = NULL;
	int64_t now = clock_monotonic();
	current->again_at = now + AGAIN_AFTER;
	bool is_told = !is_news && why != NULL && current->why != NULL && strcmp(why, current->why) == 0 &&
		       now - current->told_at < CURRENT_TELL_AGAIN;
	free(current->why);
	current->why = why;
	if (is_told)
		return CURRENT_SAME;
	current->told_at = now;
	tell(problems);
	log_warnx("%s: not taken; what was in force before stays so", path);
	return CURRENT_REFUSED;
}

static enum current_look take(struct current *current, struct conf *conf)
{
	uint8_t contents[HASH_SIZE];
	bool was_refused = current->why != NULL;
	sources_contents(&current->sources, contents);
	bool is_same = memcmp(contents, current->contents, sizeof contents) == 0;
	free(current->why);
	current->why = NULL;
	if (is_same && !was_refused) {
		conf_free(conf);
		return CURRENT_SAME;
	}
	memcpy(current->contents, contents, sizeof contents);
	conf->spool = current->spool;
	log_warnx("%s: read again, and in force", conf->path);
	pthread_mutex_lock(&current->lock);
	const struct conf *before = atomic_exchange(&current->conf, conf);
	pthread_mutex_unlock(&current->lock);
	conf_free(before);
	return CURRENT_TAKEN;
}

static enum current_look read_again(struct current *current, bool asked)
{
	const struct conf *before = atomic_load(&current->conf);
	struct buf problems = {0};
	uint8_t noted_before[HASH_SIZE], noted[HASH_SIZE];
	sources_noted(&current->sources, noted_before);
	struct conf *conf = read_files(before->path, current->with_secrets, &current->sources, &problems);
	sources_noted(&current->sources, noted);
	bool is_news = memcmp(noted_before, noted, sizeof noted) != 0;
	current->seen_at = 0;
	current->again_at = is_news ? again_at(&current->sources) : 0;
	enum current_look look;
	if (conf != NULL && can_follow(before, conf, &problems)) {
		look = take(current, conf);
	} else {
		conf_free(conf);
		look = refuse(current, &problems, is_news || asked);
	}
	buf_fini(&problems);
	return look;
}

enum current_look current_look(struct current *current, bool asked)
{
	int64_t now = clock_monotonic();
	if (current->look_at == INT64_MAX || (!asked && now < current->look_at))
		return CURRENT_SAME;
	current->look_at = now + LOOK_EVERY;
	return asked || is_due(current, now) ? read_again(current, asked) : CURRENT_SAME;
}
