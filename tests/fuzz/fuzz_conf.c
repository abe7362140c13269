/* Configuration text: what is taken is what conf.h promises, what is refused is explained in lines that are safe to
 * print. The input is the file. */
#include "config.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/conf.h"
#include "config/parse.h"
#include "fuzz.h"
#include "sender/scheme.h"

static void complain(void *arg, const char *message)
{
	unsigned *complaints = arg;
	(*complaints)++;
	for (const char *s = message; *s != '\0'; s++)
		MUST((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check_endpoint(const struct conf *conf, const struct conf_endpoint *e)
{
	MUST(e->path[0] == '/' && strchr(e->path, '?') == NULL);
	MUST(strcmp(e->path, "/") == 0 || e->path[strlen(e->path) - 1] != '/');
	for (const char *s = e->path; *s != '\0'; s++)
		MUST(*s > ' ' && *s <= '~' && *s != '"' && *s != '\\');
	MUST(strcmp(e->scheme->name, "unified") == 0 && e->secret_file[0] == '/');
	MUST(e->algorithms != 0 && (e->algorithms & ~(unsigned)(SCHEME_SHA1 | SCHEME_SHA256)) == 0);
	MUST(e->max_body >= 1 && e->max_body <= conf->in_flight_max);
	for (size_t i = 0; i < e->connection_count; i++)
		MUST(strlen(e->connections[i]) < 1 << 20);
	for (const struct conf_endpoint *other = conf->endpoints; other < e; other++)
		MUST(strcmp(other->path, e->path) != 0);
}

static void check_target(const struct conf_target *t)
{
	MUST(t->name[0] != '\0' && t->kind != NULL && (t->file == NULL) != (t->words == NULL));
	MUST(t->file == NULL || t->file[0] == '/');
	MUST(t->words == NULL || t->words[0][0] == '/');
	for (size_t i = 0; t->words != NULL && t->words[i] != NULL; i++)
		MUST(strlen(t->words[i]) < 1 << 20);
	MUST((t->mode & ~(mode_t)0777) == 0);
	MUST(t->timeout > 0 && t->batch >= 1 && t->batch <= 1000 && t->workers >= 1 && t->workers <= 64);
	MUST(t->retry_for >= 0 && t->line > 0);
	for (size_t i = 0; i < t->match_count; i++)
		MUST(t->matches[i].field[0] != '\0' && strlen(t->matches[i].glob) < 1 << 20);
}

static void check_conf(const struct conf *conf)
{
	MUST(conf->path[0] == '/' && conf->spool[0] == '/' && conf->endpoint_count > 0);
	MUST(conf->keep >= 0 && conf->remember > 0 && conf->audit_max > 0 && conf->in_flight_max > 0);
	for (size_t i = 0; i < conf->endpoint_count; i++)
		check_endpoint(conf, &conf->endpoints[i]);
	for (size_t i = 0; i < conf->target_count; i++)
		check_target(&conf->targets[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	unsigned complaints = 0;
	int fd = memfd_create("conf", MFD_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0600) < 0 || (size > 0 && write(fd, data, size) != (ssize_t)size)) {
		perror("memfd");
		abort();
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	struct conf *conf = conf_read(path, false, complain, &complaints);
	MUST((conf == NULL) == (complaints > 0));
	if (conf != NULL)
		check_conf(conf);
	conf_free(conf);
	close(fd);
	return 0;
}
