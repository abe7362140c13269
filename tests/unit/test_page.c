#include "config.h"

#include "receive/page.h"

#include <time.h>

#include "base/clock.h"
#include "base/text.h"
#include "spool/open.h"
#include "spool/published.h"
#include "spool/request_file.h"
#include "unit.h"

#define TOKEN "0123456789abcdef-token"

static struct {
	char *folder;
	struct conf conf;
	struct span tokens[2];
	struct spool spool;
	struct buf reply;
	bool rings;
	const char *body;
} t;

static ssize_t read_body(struct request *request, void *bytes, size_t n)
{
	(void)request;
	size_t left = strlen(t.body);
	n = n < left ? n : left;
	memcpy(bytes, t.body, n);
	t.body += n;
	return (ssize_t)n;
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof t);
	t.folder = unit_folder();
	t.conf = unit_conf(t.folder);
	t.conf.status_path = "/a/page";
	t.conf.late_after = 60 * CLOCK_SECOND;
	t.tokens[0] = UNIT_SPAN("another-token-of-the-file");
	t.tokens[1] = UNIT_SPAN(TOKEN);
	t.conf.tokens = t.tokens;
	t.conf.token_count = 2;
	assert_int_equal(spool_open(&t.spool, &t.conf, SPOOL_DELIVER), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_fini(&t.reply);
	spool_close(&t.spool);
	unit_remove(t.folder);
	return 0;
}

static enum view ask(const char *method, const char *uri, const char *authorization, const char *body)
{
	char length[24], header[256];
	char *variables[] = {authorization == NULL ? NULL : header, NULL};
	struct request request = {.method = method, .uri = uri, .variables = variables, .read = read_body};
	snprintf(header, sizeof header, "HTTP_AUTHORIZATION=%s", authorization);
	snprintf(length, sizeof length, "%zu", strlen(body));
	request.content_length = length;
	t.body = body;
	enum view view = view_answer(&t.conf, &request, &t.reply, &t.rings);
	assert_string_equal(t.body, "");
	return view;
}

static int status(void)
{
	return atoi(buf_cstr(&t.reply) + strlen("Status: "));
}

static bool says(const char *words)
{
	return strstr(buf_cstr(&t.reply), words) != NULL;
}

static void paths(void **state)
{
	(void)state;
	static const struct {
		const char *path, *uri;
		bool has;
	} rows[] = {
		{"/a/page", "/a/page", true},
		{"/a/page", "/a/page/", true},
		{"/a/page", "/a/page/x?y", true},
		{"/a/page", "/a/page?x", true},
		{"/a/page", "/a/pages", false},
		{"/a/page", "/a", false},
		{"/a/page", "/", false},
		{"/", "/", true},
		{"/", "/x", true},
		{NULL, "/", false},
		{"/a/page", NULL, false},
		{"/", "*", false},
	};
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		t.conf.status_path = rows[i].path;
		unit_check(view_has(&t.conf, rows[i].uri) == rows[i].has, "row %zu", i);
	}
}

/* "Basic" with this behind it. */
static const char *basic(const char *plain)
{
	static struct buf b;
	b.len = 0;
	assert_int_equal(buf_str(&b, "Basic "), 0);
	assert_int_equal(text_base64(&b, (const uint8_t *)plain, strlen(plain)), 0);
	return buf_cstr(&b);
}

static void only_with_a_token(void **state)
{
	(void)state;
	static const struct {
		const char *authorization;
		bool is_basic; /* to be encoded */
		enum view view;
		int status;
	} rows[] = {
		{"Bearer " TOKEN, false, VIEW_ANSWERED, 200},
		{"bearer another-token-of-the-file", false, VIEW_ANSWERED, 200},
		{":" TOKEN, true, VIEW_ANSWERED, 200},
		{"me:" TOKEN, true, VIEW_ANSWERED, 200},
		{NULL, false, VIEW_ANSWERED, 401},
		{"", false, VIEW_REFUSED, 401},
		{"Bearer", false, VIEW_REFUSED, 401},
		{"Bearer " TOKEN " ", false, VIEW_REFUSED, 401},
		{"Bearer another-token-of-the-fil", false, VIEW_REFUSED, 401},
		{TOKEN, true, VIEW_REFUSED, 401},
		{TOKEN ":", true, VIEW_REFUSED, 401},
		{"me:x:" TOKEN, true, VIEW_REFUSED, 401},
		{"Basic ====", false, VIEW_REFUSED, 401},
	};
	assert_int_equal(snapshot_write(&t.spool, SNAPSHOT_PAGE, UNIT_SPAN("the page")), 0);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const char *authorization = rows[i].is_basic ? basic(rows[i].authorization) : rows[i].authorization;
		unit_check(ask("GET", "/a/page/", authorization, "") == rows[i].view && status() == rows[i].status,
			   "row %zu: %d", i, status());
		unit_check(says("the page") == (rows[i].status == 200), "row %zu", i);
		assert_false(says(TOKEN));
	}
	/* Nobody has one. */
	t.conf.token_count = 0;
	assert_int_equal(ask("GET", "/a/page/", "Bearer ", ""), VIEW_REFUSED);
}

static void age_file(const char *name, int64_t seconds)
{
	struct timespec times[2];
	clock_gettime(CLOCK_REALTIME, &times[0]);
	times[0].tv_sec -= seconds;
	times[1] = times[0];
	assert_int_equal(utimensat(AT_FDCWD, unit_path(t.folder, name), times, 0), 0);
}

static void old_files_ring(void **state)
{
	(void)state;
	static const char page[] = "<header></header>" SNAPSHOT_AGE_MARK "<main></main>";
	assert_int_equal(ask("GET", "/a/page/", "Bearer " TOKEN, ""), VIEW_ANSWERED);
	assert_true(status() == 503 && t.rings);
	assert_int_equal(snapshot_write(&t.spool, SNAPSHOT_PAGE, unit_span(page)), 0);
	assert_int_equal(snapshot_write(&t.spool, SNAPSHOT_METRICS, UNIT_SPAN("numbers\n")), 0);
	ask("GET", "/a/page/", "Bearer " TOKEN, "");
	assert_true(says(page) && !t.rings);
	age_file("status/page.html", 12);
	ask("GET", "/a/page/", "Bearer " TOKEN, "");
	assert_true(says(page) && t.rings);
	age_file("status/page.html", 600);
	ask("GET", "/a/page/", "Bearer " TOKEN, "");
	assert_true(says("</header><p class=\"age\">This is 10 min old.") && t.rings);
	assert_true(says("Refresh: 5\r\n"));
	ask("GET", "/a/page/metrics", "Bearer " TOKEN, "");
	assert_true(says("\r\n\r\nnumbers\n") && !t.rings);
	ask("HEAD", "/a/page/metrics", "Bearer " TOKEN, "");
	assert_true(says("Content-Length: 8\r\n") && !says("numbers"));
	ask("POST", "/a/page/metrics", "Bearer " TOKEN, "x");
	assert_true(status() == 405 && says("Allow: GET, HEAD\r\n"));
	assert_int_equal(ask("GET", "/a/page/health2", "Bearer " TOKEN, ""), VIEW_UNKNOWN);
}

static void health(void **state)
{
	(void)state;
	const int64_t minute = 60 * CLOCK_SECOND;
	static const struct {
		bool ok;
		int looked, late, segment; /* minutes ago; 99: none */
		int status;
		bool rings;
	} rows[] = {
		{true, 0, 99, 99, 200, false}, {false, 0, 99, 99, 503, false}, {true, 5, 99, 99, 200, true},
		{true, 5, -1, 99, 200, true},  {true, 5, 1, 99, 503, true},    {true, 5, 99, 3, 503, true},
		{true, 5, 99, 0, 200, true},   {true, 2, 99, 3, 200, true},
	};
	assert_int_equal(ask("GET", "/a/page/health", NULL, ""), VIEW_ANSWERED);
	assert_true(status() == 503 && says("unknown") && t.rings);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		int64_t now = clock_now();
		char stamp[CLOCK_STAMP_SIZE], name[96];
		struct snapshot_health h = {.ok = rows[i].ok,
					    .at = now - rows[i].looked * minute,
					    .late_at = rows[i].late == 99 ? 0 : now - rows[i].late * minute};
		assert_int_equal(snapshot_health_write(&t.spool, &h), 0);
		clock_stamp(now - rows[i].segment * minute, stamp);
		snprintf(name, sizeof name, "journal/%s-1-00000000.jsonl", stamp);
		if (rows[i].segment != 99) {
			unit_write(unit_path(t.folder, name), "x\n", 2);
			age_file(name, rows[i].segment * 60);
		}
		assert_int_equal(ask("GET", "/a/page/health", NULL, ""), VIEW_ANSWERED);
		unit_check(status() == rows[i].status && t.rings == rows[i].rings, "row %zu: %d", i, status());
		if (rows[i].segment != 99)
			unlink(unit_path(t.folder, name));
	}
}

static void forms(void **state)
{
	(void)state;
	char word[SNAPSHOT_FORM_SIZE], body[128];
	struct errand errands[4];
	static const struct {
		const char *before, *after; /* the word */
		int status;
	} rows[] = {
		{"form=", "&errand=all", 202},
		{"errand=all&form=", "", 202},
		{"form=", "&errand=0123456789abcdef0123456789abcdef.crm", 202},
		{"form=", "&errand=0123456789abcdef0123456789abcdef.", 400},
		{"form=", "&errand=", 400},
		{"form=", "", 400},
		{"form=", "0&errand=all", 403},
		{"reform=", "&errand=all", 403},
		{"errand=all", NULL, 403},
		{"", NULL, 403},
	};
	assert_int_equal(snapshot_form(&t.spool, word), 0);
	/* No deliverer has made the folder yet. */
	assert_int_equal(rmdir(unit_path(t.conf.spool, "errands")), 0);
	snprintf(body, sizeof body, "form=%s&errand=all", word);
	ask("POST", "/a/page/retry", "Bearer " TOKEN, body);
	assert_int_equal(status(), 503);
	assert_int_equal(mkdir(unit_path(t.conf.spool, "errands"), 0700), 0);
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		snprintf(body, sizeof body, "%s%s%s", rows[i].before, rows[i].after == NULL ? "" : word,
			 rows[i].after == NULL ? "" : rows[i].after);
		assert_int_equal(ask("POST", "/a/page/retry", "Bearer " TOKEN, body), VIEW_ANSWERED);
		unit_check(status() == rows[i].status && t.rings == (status() == 202), "%s: %d", body, status());
	}
	assert_int_equal(errand_list(&t.spool, errands, 4), 2);
	snprintf(body, sizeof body, "form=%s&errand=all", word);
	assert_int_equal(ask("POST", "/a/page/retry", "Bearer wrong", body), VIEW_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(paths, setup, teardown),
		cmocka_unit_test_setup_teardown(only_with_a_token, setup, teardown),
		cmocka_unit_test_setup_teardown(old_files_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(health, setup, teardown),
		cmocka_unit_test_setup_teardown(forms, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
