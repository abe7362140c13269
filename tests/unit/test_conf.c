#include "config.h"

#include <grp.h>
#include <sys/wait.h>

#include "config/parse.h"
#include "sender/scheme.h"
#include "unit.h"

#define MESSAGES 8
#define SECRET   "s3cret-of-the-workspace"

/* The least that a file must have: five lines. */
#define LEAST "spool = spool\nendpoint \"/hook\" {\n\tscheme = unified\n\tsecret_file = secret\n}\n"
/* The same with something more in the endpoint's sixth line, the fourth of the section. */
#define ENDPOINT(more) "spool = spool\nendpoint \"/hook\" {\n\tscheme = unified\n\tsecret_file = secret\n" more "\n}\n"
/* Six lines; `more` is line 7. */
#define TARGET(more)      LEAST "target t {\n" more "\n}\n"
#define FILE_TARGET(path) TARGET("file = \"" path "\"")

static char *folder, *conf_path;

static void put(const char *name, const char *bytes, size_t n, mode_t mode)
{
	const char *path = unit_path(folder, name);
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

struct messages {
	char *list[MESSAGES + 1];
	size_t count;
};

static void note(void *arg, const char *message)
{
	struct messages *m = arg;
	assert_null(strstr(message, "s3cret"));
	assert_null(strchr(message, '\n'));
	if (m->count <= MESSAGES)
		m->list[m->count] = strdup(message);
	m->count++;
}

static void forget(struct messages *m)
{
	for (size_t i = 0; i < m->count && i <= MESSAGES; i++)
		free(m->list[i]);
	*m = (struct messages){0};
}

static struct conf *read_conf(const char *text, struct messages *m)
{
	put("hookspool.conf", text, strlen(text), 0600);
	return conf_read(conf_path, true, note, m);
}

static struct conf *read_good(const char *text)
{
	struct messages m = {0};
	struct conf *conf = read_conf(text, &m);
	for (size_t i = 0; i < m.count; i++)
		print_message("%s\n", m.list[i]);
	assert_non_null(conf);
	assert_int_equal(m.count, 0);
	return conf;
}

/* What is refused: each message as "LINE words" in order; line 0 for one about the file as a whole. */
static const struct {
	const char *text, *messages[MESSAGES];
} refused[] = {
	/* libConfuse's syntax, with lines counted behind comments of all kinds */
	{"", {"1 spool is not set; add spool", "1 there is no endpoint; add"}},
	{"# one\n// two\n/* three\n four */\ncolour = 1\n", {"1 spool", "1 endpoint", "5 'colour'; remove it"}},
	{"/* one *//**/ # two\nspool = s // t\n'colour' = 1 /*x*/\n", {"1 endpoint", "3 'colour'"}},
	{LEAST "colour = red\ntaste = sweet\n", {"6 'colour'", "7 'taste'"}},
	{LEAST "colour = {red, blue}\n", {"6 'colour'"}},
	{LEAST "source x {\n}\n", {"6 'source'"}},
	{LEAST "\"\" = x\n", {"1 no name"}},
	{ENDPOINT("colour = red"), {"5 'colour'"}},
	{ENDPOINT("\"\" = x"), {"2 no name"}},
	{TARGET("run = /bin/cat\ncolour = red"), {"8 'colour'"}},
	{LEAST "spool = other\n", {"6 'spool' is set again; keep one"}},
	{ENDPOINT("max_body = 1k\nmax_body = 2k"), {"6 'max_body' is set again"}},
	{TARGET("run = /bin/cat\nmatch = {\"type=a\"}\nmatch = {\"type=b\", \"type=c\"}"), {"9 'match' is set again"}},
	{LEAST "keep = {7d}\n", {"6 unexpected token '{'"}},
	{LEAST "keep 7d\n", {"6 missing equal sign after option 'keep'"}},
	{LEAST "keep += 7d\n", {"6 append to non-list option 'keep'"}},
	{LEAST "endpoint {\n", {"6 missing title"}},
	{LEAST "}\n", {"6 unexpected closing brace"}},
	{LEAST "target t {\nfile = /srv/x\n", {"6 brace that is opened here is not closed; add }"}},
	{TARGET("run = {\"/bin/cat\",\n"), {"6 brace that is opened here is not closed; add }"}},
	{LEAST "target t {\nrun = {/bin/cat", {"7 premature end of file; a closing brace"}},
	{ENDPOINT("connections = {a b}"), {"5 unexpected token 'b'; is a quote, a comma"}},
	{"endpoint \"/hook\" {\nconnections = {\n}\n=\n", {"4 unexpected token '='"}},
	{LEAST "keep = \"7d\nremember = \"30d\"\n", {"6 string does not end on its line; add \""}},
	{LEAST "keep = '7d\n", {"6 string does not end on its line; add '"}},
	{LEAST "keep = \"7d\\\n\"\n", {"6 string does not end", "7 string does not end"}},
	{LEAST "\n/* x\ny\n", {"7 comment has no end"}},
	{LEAST "group = \"${HOME}\"\nkeep = ${KEEP}\n", {"6 variables are not replaced", "7 variables are not"}},
	{LEAST "keep = \"\\9\"\n", {"6 bad escape sequence"}},
	{"\xef\xbb\xbf" LEAST, {"1 byte order mark"}},
	{"spool = \"a\\nb\"\ncolour = \"x\\ny\"\n}\n", {"2 'colour'", "3 unexpected closing brace"}},

	/* values */
	{"spool = \"\"\nendpoint \"/hook\" {\n\tscheme = unified\n\tsecret_file = secret\n}\n",
	 {"1 spool \"\" names no"}},
	{"spool = /../\nendpoint \"/hook\" {\n\tscheme = unified\n\tsecret_file = secret\n}\n",
	 {"1 spool \"/../\" names"}},
	{LEAST "deliver = sometimes\n", {"6 deliver \"sometimes\" is not known; write \"auto\" or \"manual\""}},
	{LEAST "group = \"no-such-group\"\n", {"6 group \"no-such-group\""}},
	{LEAST "reserve = 64X\n", {"6 reserve \"64X\" is no size"}},
	{LEAST "reserve = -1\n", {"6 reserve \"-1\" is no size"}},
	{LEAST "reserve = 99999999999999999999\n", {"6 reserve \"99999999999999999999\" is no size"}},
	{LEAST "in_flight_max = 0\n", {"6 in_flight_max \"0\" is out of range; from 1 B to 1 TB"}},
	{LEAST "audit_max = 4095\n", {"6 audit_max \"4095\" is out of range; from 4 KB"}},
	{LEAST "keep = 7\n", {"6 keep \"7\" is no duration; write a number with ms, s"}},
	{LEAST "remember = 11y\n", {"6 remember \"11y\" is no duration"}},
	{LEAST "remember = 999ms\n", {"6 remember \"999ms\" is out of range; from 1 s to 3660 d"}},
	{LEAST "keep = 4000d\nremember = 0\n", {"6 keep \"4000d\" is out", "7 remember \"0\" is out"}},
	{LEAST "late_after = 0\n", {"6 late_after \"0\" is out of range; from 1 s to 366 d"}},

	/* endpoints */
	{"spool = s\nendpoint \"/hook\" {\n}\n",
	 {"2 scheme is not set", "2 secret_file is not set; add secret_file ="}},
	{"spool = s\nendpoint \"/hook\" {\nscheme = magic\nsecret_file = secret\n}\n",
	 {"3 scheme \"magic\" is not known; write \"unified\""}},
	{"spool = s\nendpoint hook {\nscheme = unified\nsecret_file = secret\n}\n", {"2 does not begin with '/'"}},
	{"spool = s\nendpoint \"\" {\nscheme = unified\nsecret_file = secret\n}\n", {"2 does not begin with '/'"}},
	{"spool = s\nendpoint \"/a/../b\" {\nscheme = unified\nsecret_file = secret\n}\n", {"2 \"..\" part"}},
	{"spool = s\nendpoint \"/a/.\" {\nscheme = unified\nsecret_file = secret\n}\n", {"2 \".\" or"}},
	{"spool = s\nendpoint \"//a\" {\nscheme = unified\nsecret_file = secret\n}\n", {"2 an empty"}},
	{"spool = s\nendpoint \"/a?b\" {\nscheme = unified\nsecret_file = secret\n}\n", {"2 has a character"}},
	{"spool = s\nendpoint \"/a b\" {\nscheme = unified\nsecret_file = secret\n}\n", {"2 has a character"}},
	{"spool = s\nendpoint \"/\xc3\xa4\" {\nscheme = unified\nsecret_file = secret\n}\n", {"2 has a character"}},
	{"spool = s\nendpoint '/a\"' {\nscheme = unified\nsecret_file = secret\n}\n", {"2 has a character"}},
	{LEAST "endpoint \"/hook\" {\n", {"6 duplicate title '/hook'; give each"}},
	{LEAST "endpoint \"/hook/\" {\nscheme = unified\nsecret_file = secret\n}\n", {"6 same path as that of line 2"}},
	{ENDPOINT("algorithms = {}"), {"2 algorithms is empty"}},
	{ENDPOINT("algorithms = {sha1, md5}"), {"5 algorithms has an unknown \"md5\""}},
	{ENDPOINT("connections = {a,\n\"\"}"), {"6 connections has an empty id"}},
	{ENDPOINT("max_body = 2G"), {"5 max_body \"2G\" is out of range; from 1 B to 1 GB"}},
	{ENDPOINT("max_body = 0"), {"5 max_body \"0\" is out of range"}},
	{ENDPOINT("expect = 1"), {"5 expect \"1\" is no duration"}},
	{ENDPOINT("expect = 999ms"), {"5 expect \"999ms\" is out of range; from 1 s to 366 d"}},
	{ENDPOINT("max_body = 65M"), {"2 max_body over in_flight_max"}},
	{"spool = s\nendpoint \"/hook\" {\nscheme = unified\nsecret_file = nothing\n}\n",
	 {"4 /nothing cannot be read: No"}},
	{"spool = s\nendpoint \"/hook\" {\nscheme = unified\nsecret_file = \"/\"\n}\n", {"4 no regular file"}},

	/* targets */
	{TARGET(""), {"6 target \"t\" has neither file nor run"}},
	{TARGET("run = {}"), {"6 neither file nor run"}},
	{TARGET("run = /bin/cat\nfile = /srv/x"), {"6 target \"t\" has both"}},
	{LEAST "target \"a b\" {\nfile = /srv/x\n}\n", {"6 target \"a b\" is no name"}},
	{LEAST "target \"\" {\nfile = /srv/x\n}\n", {"6 target \"\" is no name"}},
	{TARGET("run = /bin/cat\n}\ntarget t {\nrun = /bin/cat"), {"9 duplicate title 't'"}},
	{TARGET("run = cat"), {"7 run \"cat\" is no path of a program"}},
	{TARGET("run = /bin/"), {"7 run \"/bin/\" is no path"}},
	{TARGET("run = \"\""), {"7 run \"\" is no path"}},
	{FILE_TARGET(""), {"7 file \"\" is empty"}},
	{FILE_TARGET("records/"), {"7 ends with '/'"}},
	{FILE_TARGET("../records"), {"7 has \"..\" in it"}},
	{FILE_TARGET("/srv/x/.."), {"7 has \"..\" in it"}},
	{FILE_TARGET("/srv/../x"), {"7 has \"..\" in it"}},
	{FILE_TARGET("/records"), {"7 no folder that is always the same"}},
	{FILE_TARGET("/%{type}/x"), {"7 no folder that is always the same"}},
	{FILE_TARGET("//x-%{type}/y"), {"7 no folder that is always the same"}},
	{FILE_TARGET("/srv/%{colour}"), {"7 %{colour}\" has a '%' that begins no known placeholder"}},
	{FILE_TARGET("/srv/%{date"), {"7 has a '%'"}},
	{FILE_TARGET("/srv/%date"), {"7 has a '%'"}},
	{FILE_TARGET("/srv/%{date}%"), {"7 has a '%'"}},
	{FILE_TARGET("/srv/%{}"), {"7 has a '%'"}},
	{FILE_TARGET("/srv/%{dateeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee}"), {"7 has a '%'"}},
	{FILE_TARGET("spool/x"), {"6 /spool/x\" can lie in the spool"}},
	{FILE_TARGET("spool"), {"6 /spool\" can lie in the spool"}},
	{FILE_TARGET("%{object_type}/%{date}"), {"6 can lie in the spool"}},
	{FILE_TARGET("secret"), {"6 /secret\" can be"}},
	{FILE_TARGET("s%{type}t"), {"6 can be"}},
	{TARGET("file = \"x/%{type}\"\n}\ntarget u {\nrun = x/script"), {"6 /x/script; give"}},
	{LEAST "target t {\nfile = \"x/%{type}\"\n}\nstatus \"/p\" {\ntoken_file = x/token\n}\n",
	 {"6 /x/token; give", "10 cannot be read"}},
	{TARGET("file = /srv/x\n}\ntarget u {\nfile = /srv/y\n}\ntarget v {\nfile = /srv/./x"),
	 {"12 target \"v\": file \"/srv/x\" can be the same as that of target \"t\" in line 6"}},
	{TARGET("file = /srv/x/all.jsonl\n}\ntarget u {\nfile = \"/srv/x/%{type}.jsonl\""), {"9 can be the same as"}},
	{TARGET("run = /bin/cat\nmatch = {\"type=a\",\n\"colour=b\"}"), {"9 match has no field \"colour\""}},
	{TARGET("run = /bin/cat\nmatch = \"date=x\""), {"8 match has no field \"date\""}},
	{TARGET("run = /bin/cat\nmatch = \"type\""), {"8 match \"type\" is no condition"}},
	{TARGET("file = /srv/x\nmode = 0648"), {"8 mode \"0648\""}},
	{TARGET("file = /srv/x\nmode = 01600"), {"8 mode \"01600\""}},
	{TARGET("file = /srv/x\nmode = 0400"), {"8 mode \"0400\""}},
	{TARGET("run = /bin/cat\nbatch = 0\nworkers = 65"), {"8 batch \"0\" is out", "9 workers \"65\" is out"}},
	{TARGET("run = /bin/cat\nbatch = 1001\nworkers = 0"), {"8 write a number from 1 to 1000", "9 from 1 to 64"}},
	{TARGET("run = /bin/cat\nbatch = many\nworkers = 1.5"), {"8 batch \"many\"", "9 workers \"1.5\""}},
	{TARGET("run = /bin/cat\nbatch = 18446744073709551617"), {"8 batch"}},
	{TARGET("run = /bin/cat\nbatch = 4294967297"), {"8 batch"}},
	{TARGET("run = /bin/cat\ntimeout = 0"), {"8 timeout \"0\" is out of range; from 1 ms to 7 d"}},
	{TARGET("run = /bin/cat\nretry_for = 367d"), {"8 retry_for \"367d\" is out of range"}},

	/* the page */
	{LEAST "status \"/page/\" {\n}\n", {"6 token_file is not set; add token_file ="}},
	{LEAST "status \"page\" {\ntoken_file = secret\n}\n", {"6 status \"page\" does not begin with '/'"}},
	{LEAST "status \"/p\" {\ntoken_file = nothing\n}\n", {"7 /nothing cannot be read: No"}},
	{LEAST "status \"/p\" {\ntoken_file = short\n}\n", {"7 /short has a token that could be guessed; make one"}},
	{LEAST "status \"/p\" {\ntoken_file = secret\ncolour = red\n}\n", {"8 'colour'"}},
	{LEAST "status \"/hook/\" {\ntoken_file = secret\n}\n", {"6 has the endpoint of line 2 below it"}},
	{LEAST "status \"/\" {\ntoken_file = secret\n}\n", {"6 has the endpoint of line 2 below it"}},
	{LEAST "status \"/p\" {\ntoken_file = secret\n}\nstatus \"/q\" {\ntoken_file = secret\n}\n",
	 {"9 there is a status section already, in line 6"}},

	/* several, in the order of the lines */
	{"endpoint hook {\n\tscheme = magic\n\tmax_body = x\n}\nkeep = x\ntarget \"t\" {\n}\n",
	 {"1 spool is not set", "1 secret_file is not set", "1 begin with '/'", "2 magic", "3 max_body", "5 keep",
	  "6 neither"}},
};

static void check_messages(const struct messages *m, const char *const *expected)
{
	size_t count = 0;
	while (count < MESSAGES && expected[count] != NULL)
		count++;
	for (size_t i = 0; i < count || i < m->count; i++) {
		char start[4200];
		char *words;
		if (i >= count || i >= m->count)
			fail_msg("said %zu, not %zu; first beyond: %s", m->count, count,
				 i < m->count ? m->list[i] : expected[i]);
		unsigned long line = strtoul(expected[i], &words, 10);
		snprintf(start, sizeof start, line > 0 ? "%s:%lu: " : "%s: ", conf_path, line);
		if (strncmp(m->list[i], start, strlen(start)) != 0 || strstr(m->list[i], words + 1) == NULL)
			fail_msg("said \"%s\", not \"%s\"", m->list[i], expected[i]);
		if (strchr(m->list[i], ';') == NULL)
			fail_msg("does not say what to do: %s", m->list[i]);
	}
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(refused); i++) {
		struct messages m = {0};
		struct conf *conf = read_conf(refused[i].text, &m);
		if (conf != NULL)
			fail_msg("row %zu is accepted:\n%s", i, refused[i].text);
		check_messages(&m, refused[i].messages);
		forget(&m);
		/* Whatever state the last one left libConfuse's scanner in. */
		if (i % 8 == 0)
			conf_free(read_good(LEAST));
	}
}

static void test_defaults(void **state)
{
	(void)state;
	struct conf *conf = read_good(LEAST "target t {\nrun = /bin/cat\n}\ntarget f {\nfile = x\n}\n");
	assert_string_equal(conf->path, conf_path);
	assert_string_equal(conf->spool, unit_path(folder, "spool"));
	assert_true(conf->deliver_auto);
	assert_false(conf->has_group);
	assert_int_equal(conf->reserve, 64 << 20);
	assert_int_equal(conf->in_flight_max, 64 << 20);
	assert_int_equal(conf->keep, INT64_C(7) * 86400 * 1000000);
	assert_int_equal(conf->remember, INT64_C(30) * 86400 * 1000000);
	assert_int_equal(conf->audit_max, 16 << 20);
	assert_int_equal(conf->late_after, INT64_C(15) * 60 * 1000000);
	assert_int_equal(conf->endpoint_count, 1);
	const struct conf_endpoint *e = conf->endpoints;
	assert_string_equal(e->path, "/hook");
	assert_string_equal(e->scheme->name, "unified");
	assert_string_equal(e->secret_file, unit_path(folder, "secret"));
	assert_int_equal(e->secret_count, 1);
	assert_string_equal(e->secrets[0].ptr, SECRET);
	assert_int_equal(e->algorithms, SCHEME_SHA1 | SCHEME_SHA256);
	assert_int_equal(e->connection_count, 0);
	assert_int_equal(e->max_body, 10 << 20);
	assert_int_equal(e->expect, 0);
	assert_int_equal(e->line, 2);
	assert_int_equal(conf->target_count, 2);
	const struct conf_target *t = conf->targets;
	assert_string_equal(t->name, "t");
	assert_null(t->file);
	assert_string_equal(t->words[0], "/bin/cat");
	assert_null(t->words[1]);
	assert_int_equal(t->mode, 0600);
	assert_int_equal(t->match_count, 0);
	assert_int_equal(t->timeout, 30000000);
	assert_int_equal(t->batch, 1);
	assert_int_equal(t->workers, 1);
	assert_int_equal(t->retry_for, INT64_C(3) * 86400 * 1000000);
	assert_int_equal(t->line, 6);
	assert_null(t[1].words);
	assert_string_equal(t[1].file, unit_path(folder, "x"));
	assert_int_equal(t[1].line, 9);
	conf_free(conf);
}

static const char everything[] =
	"# every option\r\n"
	"spool = \"/var//lib/./x/../hookspool/\" # folder\r\n"
	"deliver = \"manual\"\r\n"
	"group = \"root\"\r\n"
	"reserve = 0\r\nin_flight_max = 1G\r\nkeep = 0\r\nremember = 1w\r\naudit_max = 4k\r\n"
	"late_after = 90s\r\n"
	"endpoint \"/a/\" { /* over\r\nlines */ scheme = 'unified'\r\n"
	"\tsecret_file = \"sub/../two\" connections = {\"c 1\", c2}\r\n"
	"\tmax_body = 1G algorithms = {\"sha256\"} expect = 1h }\r\n"
	"endpoint \"/\" {\r\nscheme = unified\r\nsecret_file = secret\r\nalgorithms = sha1\r\n}\r\n"
	"target \"A-1_b.c\" { file = \"rec//%{object_type}/./%{date}-%{hour}.%{endpoint}\" mode = \"0640\" }\r\n"
	"target run { run = {\"./bin/x\", \"\", \"--a b\", \"\\${HOME}\\n\"}\r\n"
	"\tmatch = {\"object_type=crm_*\", \"external_xref=\", \"endpoint=/=\"} match += {\"type=[!N]*\"}\r\n"
	"\ttimeout = 250ms batch = 1000 workers = 64 retry_for = 0 }\r\n";

static void test_everything(void **state)
{
	(void)state;
	struct conf *conf = read_good(everything);
	assert_string_equal(conf->spool, "/var/lib/hookspool");
	assert_false(conf->deliver_auto);
	assert_true(conf->has_group);
	assert_int_equal(conf->group, 0);
	assert_int_equal(conf->reserve, 0);
	assert_int_equal(conf->in_flight_max, 1 << 30);
	assert_int_equal(conf->keep, 0);
	assert_int_equal(conf->remember, INT64_C(7) * 86400 * 1000000);
	assert_int_equal(conf->audit_max, 4096);
	assert_int_equal(conf->late_after, 90000000);
	assert_int_equal(conf->endpoint_count, 2);
	const struct conf_endpoint *e = conf->endpoints;
	assert_string_equal(e->path, "/a");
	assert_int_equal(e->line, 11);
	assert_int_equal(e->secret_count, 2);
	assert_string_equal(e->secrets[0].ptr, "s3cret one");
	assert_string_equal(e->secrets[1].ptr, "s3cret two");
	assert_int_equal(e->connection_count, 2);
	assert_string_equal(e->connections[0], "c 1");
	assert_string_equal(e->connections[1], "c2");
	assert_int_equal(e->algorithms, SCHEME_SHA256);
	assert_int_equal(e->expect, INT64_C(3600) * 1000000);
	assert_string_equal(e[1].path, "/");
	assert_int_equal(e[1].algorithms, SCHEME_SHA1);
	assert_int_equal(e[1].line, 15);
	assert_int_equal(conf->target_count, 2);
	const struct conf_target *t = conf->targets;
	assert_string_equal(t->name, "A-1_b.c");
	assert_string_equal(t->file, unit_path(folder, "rec/%{object_type}/%{date}-%{hour}.%{endpoint}"));
	assert_int_equal(t->mode, 0640);
	t++;
	assert_string_equal(t->words[0], unit_path(folder, "bin/x"));
	assert_string_equal(t->words[1], "");
	assert_string_equal(t->words[2], "--a b");
	assert_string_equal(t->words[3], "${HOME}\n");
	assert_null(t->words[4]);
	assert_int_equal(t->match_count, 4);
	assert_string_equal(t->matches[0].field, "object_type");
	assert_string_equal(t->matches[0].glob, "crm_*");
	assert_string_equal(t->matches[1].glob, "");
	assert_string_equal(t->matches[2].glob, "/=");
	assert_string_equal(t->matches[3].field, "type");
	assert_int_equal(t->timeout, 250000);
	assert_int_equal(t->batch, 1000);
	assert_int_equal(t->workers, 64);
	assert_int_equal(t->retry_for, 0);
	conf_free(conf);
}

/* Every value in the example is what holds without it. */
static void test_example(void **state)
{
	(void)state;
	const char *srcdir = getenv("srcdir");
	struct buf text = unit_read(unit_path(srcdir != NULL ? srcdir : ".", "examples/hookspool.conf"));
	put("unified.secret", SECRET, strlen(SECRET), 0600);
	struct conf *example = read_good(text.data), *least = read_good(LEAST);
	assert_string_equal(example->spool, least->spool);
	assert_int_equal(example->deliver_auto, least->deliver_auto);
	assert_int_equal(example->reserve, least->reserve);
	assert_int_equal(example->in_flight_max, least->in_flight_max);
	assert_int_equal(example->keep, least->keep);
	assert_int_equal(example->remember, least->remember);
	assert_int_equal(example->audit_max, least->audit_max);
	assert_int_equal(example->late_after, least->late_after);
	assert_int_equal(example->endpoints->max_body, least->endpoints->max_body);
	assert_int_equal(example->endpoints->algorithms, least->endpoints->algorithms);
	assert_int_equal(example->endpoints->connection_count, 0);
	assert_int_equal(example->target_count, 1);
	assert_int_equal(example->targets->mode, 0600);
	conf_free(example);
	conf_free(least);
	buf_fini(&text);
}

/* More problems than are kept. */
static void test_many_problems(void **state)
{
	(void)state;
	static char text[8192];
	struct messages m = {0};
	size_t n = 0;
	for (unsigned i = 0; i < 300; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "colour%u = red\n", i);
	assert_null(read_conf(text, &m));
	assert_int_equal(m.count, 101);
	forget(&m);
}

#define SIXTEEN "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n"
static char longest[1026], too_long[1027];

static const struct {
	const char *name, *bytes;
	size_t n; /* 0: a string */
	mode_t mode;
	const char *refused; /* NULL: count secrets are found, with these first and last ones */
	size_t count;
	const char *first, *last;
} secret_files[] = {
	{"one", SECRET, 0, 0600, NULL, 1, SECRET, SECRET},
	{"read-only", SECRET "\n", 0, 0400, NULL, 1, SECRET, SECRET},
	{"two", "a1\nb2\n", 0, 0600, NULL, 2, "a1", "b2"},
	{"CR LF, blank lines", "\r\na1\r\n\r\n \t\nb2\r\n\r\n\n", 0, 0600, NULL, 2, "a1", "b2"},
	{"inner CR and spaces stay", " a\r1 \n", 0, 0600, NULL, 1, " a\r1 ", " a\r1 "},
	{"no UTF-8", "\xff\xfe\n", 0, 0600, NULL, 1, "\xff\xfe", "\xff\xfe"},
	{"longest", longest, 0, 0600, NULL, 1, NULL, NULL},
	{"sixteen", SIXTEEN, 0, 0600, NULL, 16, "1", "16"},
	{"seventeen", SIXTEEN "17\n", 0, 0600, "has too much in line 17", 0, NULL, NULL},
	{"too long", too_long, 0, 0600, "has too much in line 1", 0, NULL, NULL},
	{"empty", "", 0, 0600, "holds no secret; write one", 0, NULL, NULL},
	{"blank", "\n", 0, 0600, "holds no secret", 0, NULL, NULL},
	{"comments only", "# of the workspace\r\n#\n", 0, 0600, "holds no secret", 0, NULL, NULL},
	{"a comment", "# of the workspace\none\n#two\n #three\n", 0, 0600, NULL, 2, "one", " #three"},
	{"blanks", " \r\n\t\n", 0, 0600, "holds no secret", 0, NULL, NULL},
	{"NUL", "s3cret\0x\n", 9, 0600, "holds a NUL byte", 0, NULL, NULL},
	{"byte order mark", "\xef\xbb\xbfs3cret\n", 0, 0600, "a byte order mark", 0, NULL, NULL},
	{"readable by others", SECRET, 0, 0604, "can be read by others (mode 0604)", 0, NULL, NULL},
	{"writable by others", SECRET, 0, 0602, "can be changed by others (mode 0602)", 0, NULL, NULL},
	{"writable by the group", SECRET, 0, 0620, "can be changed by others (mode 0620)", 0, NULL, NULL},
	{"all", SECRET, 0, 0666, "can be changed by others (mode 0666)", 0, NULL, NULL},
};

static void test_secret_files(void **state)
{
	(void)state;
	memset(longest, 's', 1024);
	longest[1024] = '\n';
	memset(too_long, 's', 1025);
	for (size_t i = 0; i < UNIT_COUNT(secret_files); i++) {
		struct messages m = {0};
		const char *bytes = secret_files[i].bytes;
		put("other", bytes, secret_files[i].n > 0 ? secret_files[i].n : strlen(bytes), secret_files[i].mode);
		struct conf *conf =
			read_conf("spool = s\nendpoint \"/\" {\nscheme = unified\nsecret_file = other\n}\n", &m);
		if (secret_files[i].refused != NULL) {
			char expected[128];
			snprintf(expected, sizeof expected, "4 %s", secret_files[i].refused);
			check_messages(&m, (const char *const[]){expected, NULL});
			assert_null(conf);
		} else {
			if (conf == NULL)
				fail_msg("%s: %s", secret_files[i].name, m.list[0]);
			const struct conf_endpoint *e = conf->endpoints;
			assert_int_equal(e->secret_count, secret_files[i].count);
			for (size_t k = 0; k < e->secret_count; k++)
				assert_int_equal(e->secrets[k].ptr[e->secrets[k].len], '\0');
			if (secret_files[i].first != NULL) {
				assert_string_equal(e->secrets[0].ptr, secret_files[i].first);
				assert_string_equal(e->secrets[e->secret_count - 1].ptr, secret_files[i].last);
			}
		}
		forget(&m);
		conf_free(conf);
	}
}

static size_t problems_with_secret(void)
{
	struct messages m = {0};
	conf_free(read_conf(LEAST, &m));
	size_t count = m.count;
	forget(&m);
	return count;
}

/* Root may let a group read. */
static void test_secret_of_a_group(void **state)
{
	(void)state;
	char path[4096];
	snprintf(path, sizeof path, "%s/secret", folder);
	assert_int_equal(chmod(path, 0640), 0);
	if (geteuid() != 0) {
		assert_int_equal(problems_with_secret(), 1);
		assert_int_equal(chmod(path, 0600), 0);
		return;
	}
	const uid_t user = 4242;
	const gid_t group = 4243, second = 4244;
	assert_int_equal(chown(path, 0, group), 0);
	assert_int_equal(chown(folder, user, 0), 0);
	assert_int_equal(problems_with_secret(), 0);
	assert_int_equal(setgroups(1, &second), 0);
	assert_int_equal(setegid(group), 0);
	assert_int_equal(seteuid(user), 0);
	if (faccessat(AT_FDCWD, folder, W_OK, AT_EACCESS) < 0) {
		print_message("not tested as another user: it cannot reach %s\n", folder);
		goto done;
	}
	assert_int_equal(problems_with_secret(), 0);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown(path, 0, second), 0);
	assert_int_equal(seteuid(user), 0);
	assert_int_equal(problems_with_secret(), 0);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown(path, user, group), 0);
	assert_int_equal(seteuid(user), 0);
	assert_int_equal(problems_with_secret(), 1);
done:
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(setegid(0), 0);
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(chown(folder, 0, 0), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void test_without_secrets(void **state)
{
	(void)state;
	static const char text[] = "spool = s\nendpoint \"/\" {\nscheme = unified\nsecret_file = nothing\n}\n";
	struct messages m = {0};
	put("hookspool.conf", text, strlen(text), 0600);
	struct conf *conf = conf_read(conf_path, false, note, &m);
	assert_non_null(conf);
	assert_int_equal(m.count, 0);
	assert_null(conf->endpoints->secrets);
	assert_int_equal(conf->endpoints->secret_count, 0);
	assert_string_equal(conf->endpoints->secret_file, unit_path(folder, "nothing"));
	conf_free(conf);
}

static void test_status(void **state)
{
	(void)state;
	struct messages m = {0};
	/* Below an endpoint it may be: an endpoint is a whole path. */
	struct conf *conf = read_good(LEAST "status \"/hook/page/\" {\ntoken_file = secret\n}\n");
	assert_string_equal(conf->status_path, "/hook/page");
	assert_int_equal(conf->token_count, 1);
	assert_true(unit_same(conf->tokens[0], SECRET));
	assert_string_equal(conf->token_file, unit_path(folder, "secret"));
	conf_free(conf);
	conf = read_good(LEAST "status \"/hooks\" {\ntoken_file = secret\n}\n");
	assert_string_equal(conf->status_path, "/hooks");
	conf_free(conf);
	conf = read_good(LEAST);
	assert_null(conf->status_path);
	conf_free(conf);
	conf = conf_read(conf_path, false, note, &m);
	assert_non_null(conf);
	assert_null(conf->tokens);
	conf_free(conf);
}

static const struct {
	mode_t mode;
	const char *message;
} conf_modes[] = {
	{0644, NULL},
	{0400, NULL},
	{0620, "0 can be changed by others (mode 0620); take that away: chmod go-w"},
	{0602, "0 can be changed by others (mode 0602)"},
};

static void test_file_itself(void **state)
{
	(void)state;
	struct messages m = {0};
	for (size_t i = 0; i < UNIT_COUNT(conf_modes); i++) {
		put("hookspool.conf", LEAST, strlen(LEAST), conf_modes[i].mode);
		struct conf *conf = conf_read(conf_path, true, note, &m);
		assert_int_equal(conf != NULL, conf_modes[i].message == NULL);
		check_messages(&m, (const char *const[]){conf_modes[i].message, NULL});
		conf_free(conf);
		forget(&m);
	}
	put("hookspool.conf", "spool = s\0\n", 11, 0600);
	assert_null(conf_read(conf_path, true, note, &m));
	check_messages(&m, (const char *const[]){"0 holds a NUL byte", NULL});
	forget(&m);
	assert_int_equal(truncate(conf_path, (1 << 20) + 1), 0);
	assert_null(conf_read(conf_path, true, note, &m));
	check_messages(&m, (const char *const[]){"0 is larger than 1048576 bytes", NULL});
	forget(&m);
	unlink(conf_path);
	assert_null(conf_read(conf_path, true, note, &m));
	check_messages(&m, (const char *const[]){"0 cannot be read: No such file", NULL});
	forget(&m);
	assert_int_equal(mkfifo(conf_path, 0600), 0);
	assert_null(conf_read(conf_path, true, note, &m));
	check_messages(&m, (const char *const[]){"0 is no regular file", NULL});
	forget(&m);
	conf_free(NULL);
}

/* A relative path of the file is made absolute, and what is in the file is relative to its folder. */
static void test_relative(void **state)
{
	(void)state;
	struct messages m = {0};
	char before[4096];
	assert_non_null(getcwd(before, sizeof before));
	put("hookspool.conf", LEAST, strlen(LEAST), 0600);
	assert_int_equal(mkdir(unit_path(folder, "sub"), 0700), 0);
	assert_int_equal(chdir(unit_path(folder, "sub")), 0);
	struct conf *conf = conf_read("../hookspool.conf", true, note, &m);
	assert_int_equal(chdir(before), 0);
	assert_non_null(conf);
	assert_string_equal(conf->path, conf_path);
	assert_string_equal(conf->spool, unit_path(folder, "spool"));
	conf_free(conf);
}

/* conf_find looks beside the running program: a copy of this one runs in the folder, and tells. */
static const struct {
	const char *given, *variable, *redirected;
	bool beside;
	const char *found; /* in the folder, or as it is; NULL: none */
} searches[] = {
	{"/given", "/variable", "/redirected", true, "/given"},
	{NULL, "/variable", "/redirected", true, "/variable"},
	{NULL, NULL, "/redirected", true, "/redirected"},
	{NULL, "", "/redirected", true, "/redirected"},
	{NULL, "", "", true, "hookspool.conf"},
	{NULL, NULL, NULL, true, "hookspool.conf"},
	{NULL, NULL, NULL, false, NULL},
};

static void find(const char *program, size_t i, char answer[1024])
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		unsetenv("HOOKSPOOL_CONF");
		unsetenv("REDIRECT_HOOKSPOOL_CONF");
		if (searches[i].variable != NULL)
			setenv("HOOKSPOOL_CONF", searches[i].variable, 1);
		if (searches[i].redirected != NULL)
			setenv("REDIRECT_HOOKSPOOL_CONF", searches[i].redirected, 1);
		execl(program, program, "find", searches[i].given, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	size_t n = 0;
	for (ssize_t got; n < 1023 && (got = read(ends[0], answer + n, 1023 - n)) > 0;)
		n += (size_t)got;
	answer[n] = '\0';
	close(ends[0]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == (searches[i].found == NULL));
}

static void copy_this_program(const char *to)
{
	char bytes[65536];
	int in = open("/proc/self/exe", O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0700);
	for (ssize_t n; (n = read(in, bytes, sizeof bytes)) > 0;)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	close(in);
	close(out);
}

static void test_find(void **state)
{
	(void)state;
	static const char system_wide[] = SYSCONFDIR "/hookspool/hookspool.conf";
	char program[4096], answer[1024];
	snprintf(program, sizeof program, "%s/program", folder);
	copy_this_program(program);
	for (size_t i = 0; i < UNIT_COUNT(searches); i++) {
		if (searches[i].found == NULL && access(system_wide, F_OK) == 0)
			continue; /* this machine has one */
		unlink(conf_path);
		if (searches[i].beside)
			put("hookspool.conf", "", 0, 0600);
		find(program, i, answer);
		if (searches[i].found == NULL) {
			assert_non_null(strstr(answer, conf_path));
			assert_non_null(strstr(answer, system_wide));
		} else {
			assert_string_equal(answer, searches[i].found[0] == '/' ? searches[i].found : conf_path);
		}
	}
}

static int set_up(void **state)
{
	(void)state;
	umask(0);
	folder = unit_folder();
	conf_path = strdup(unit_path(folder, "hookspool.conf"));
	put("secret", SECRET "\n", strlen(SECRET) + 1, 0600);
	put("short", SECRET "\ns3cret-of-15-by\n", strlen(SECRET) + 17, 0600);
	put("two", "s3cret one\ns3cret two\n", 22, 0600);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unit_remove(folder);
	free(conf_path);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),           cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everything),        cmocka_unit_test(test_many_problems),
		cmocka_unit_test(test_example),           cmocka_unit_test(test_secret_files),
		cmocka_unit_test(test_secret_of_a_group), cmocka_unit_test(test_without_secrets),
		cmocka_unit_test(test_relative),          cmocka_unit_test(test_find),
		cmocka_unit_test(test_file_itself),       cmocka_unit_test(test_status),
	};
	if (argc > 1 && strcmp(argv[1], "find") == 0) {
		char *found = conf_find(argc > 2 ? argv[2] : NULL);
		printf("%s", found == NULL ? "" : found);
		free(found);
		return found == NULL;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
