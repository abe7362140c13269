/* Where memory ends: in what reads things from outside, each allocation fails once, one after the other. The outcome is
 * the one that the header has for it, and nothing is lost or used twice, which the sanitizers would see.
 * The linker puts the functions below before the C library's (see Makefile.am), for this program's own calls. */
#include "config.h"

#include <errno.h>

#include "base/log.h"
#include "config/conf.h"
#include "config/current.h"
#include "config/parse.h"
#include "config/template.h"
#include "event/line.h"
#include "event/record.h"
#include "receive/receive.h"
#include "sender/presets.h"
#include "sender/scheme.h"
#include "unit.h"
#include "web/request.h"

#define SECRET       "wks_5de520f96e439b002043d8d8_secret" /* of the samples */
#define ATTEMPTS_MAX 10000

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *old, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *old, size_t n);

static long left = -1; /* allocations that will still be granted; negative: all of them */
static bool refused;

static bool refuses(void)
{
	if (left < 0 || left-- > 0)
		return false;
	refused = true;
	errno = ENOMEM;
	return true;
}

void *__wrap_malloc(size_t n)
{
	return refuses() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
	return refuses() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *old, size_t n)
{
	return refuses() ? NULL : __real_realloc(old, n);
}

/* Runs it with each allocation refused in turn, until none is left to refuse. It returns whether all went well, and
 * must not say so where memory was refused. */
static void refuse_each(bool (*run)(void), const char *name)
{
	for (long granted = 0; granted < ATTEMPTS_MAX; granted++) {
		refused = false;
		left = granted;
		bool well = run();
		left = -1;
		unit_check(well == !refused, "%s, after %ld allocations", name, granted);
		if (!refused) {
			unit_check(granted > 0, "%s allocates nothing", name);
			return;
		}
	}
	fail();
}

/* A configuration. */

static char *folder;

static void count_complaint(void *arg, const char *message)
{
	unsigned *complaints = arg;
	(*complaints)++;
	assert_true(message[0] != '\0');
}

static bool read_conf(const char *name)
{
	unsigned complaints = 0;
	struct conf *conf = conf_read(unit_path(folder, name), true, count_complaint, &complaints);
	assert_true((conf == NULL) == (complaints > 0));
	conf_free(conf);
	return conf != NULL;
}

static bool read_good_conf(void)
{
	return read_conf("good.conf");
}

/* It is refused whether or not there is memory to say all that is wrong with it. */
static bool read_bad_conf(void)
{
	assert_false(read_conf("bad.conf"));
	return !refused;
}

static void hear_nothing(const char *line)
{
	assert_true(line[0] != '\0');
}

/* What cannot be read for want of memory changes nothing. */
static bool read_conf_again(void)
{
	struct current current;
	bool well = false;
	log_to(hear_nothing);
	if (current_open(&current, unit_path(folder, "good.conf"), true) == 0) {
		const struct conf *conf = current_hold(&current);
		well = current_look(&current, true) == CURRENT_SAME;
		assert_true(current_is(&current, conf));
		conf_free(conf);
		current_close(&current);
	}
	log_to(NULL);
	return well;
}

static const char good_conf[] = "spool = spool\n"
				"endpoint \"/webhook\" {\n scheme = unified\n secret_file = secret\n"
				" connections = {\"c1\", \"c2\"}\n}\n"
				"target a {\n file = \"out/%{type}.jsonl\"\n match = {\"event=updated\"}\n}\n"
				"target b {\n run = {\"./script\", \"--quiet\"}\n}\n";
static const char bad_conf[] = "spool = \"a\\x1b[31m\"\nkeep = forever\nno_such = 1\nkeep = 2d\n"
			       "endpoint \"webhook/../x\" {\n scheme = none\n}\n"
			       "target \"a b\" {\n file = \"x/%{colour}\"\n run = {}\n}\nendpoint x {";

static void conf(void **state)
{
	(void)state;
	folder = unit_folder();
	unit_write(unit_path(folder, "good.conf"), good_conf, sizeof good_conf - 1);
	unit_write(unit_path(folder, "bad.conf"), bad_conf, sizeof bad_conf - 1);
	unit_write(unit_path(folder, "secret"), "one secret\nand another\n", 23);
	refuse_each(read_good_conf, "a good configuration");
	refuse_each(read_bad_conf, "a bad configuration");
	refuse_each(read_conf_again, "a configuration that is read again");
	unit_remove(folder);
}

static int give_long(void *arg, const char *name, struct buf *out)
{
	(void)arg;
	(void)name;
	return buf_str(out, "a value that is longer than it need be, so that it takes more room than there is at first,"
			    " and then some more, and more again, until it has taken two hundred bytes and a few");
}

static bool expand_template(void)
{
	struct buf out = {0};
	int result = template_expand("/srv/%{type}/%{event}/%{date}.jsonl", give_long, NULL, &out);
	assert_true(result == 0 || errno == ENOMEM);
	buf_fini(&out);
	return result == 0;
}

static void template(void **state)
{
	(void)state;
	refuse_each(expand_template, "a template");
}

/* A request. */

static struct buf sample;

struct peer {
	struct request request; /* first: the callbacks are given this */
	size_t at;
};

static ssize_t peer_read(struct request *request, void *bytes, size_t n)
{
	struct peer *peer = (struct peer *)request;
	size_t rest = sample.len - peer->at;
	n = n < rest ? n : rest;
	memcpy(bytes, sample.data + peer->at, n);
	peer->at += n;
	return (ssize_t)n;
}

/* Received, and its audit line written; `length` NULL: not declared. Refused memory is a fault, never a bad signature.
 */
static bool receive_sample(const char *length)
{
	static struct span secrets[] = {UNIT_SPAN(SECRET)};
	static struct conf_endpoint endpoint = {.path = "/webhook",
						.secrets = secrets,
						.secret_count = 1,
						.algorithms = SCHEME_SHA1 | SCHEME_SHA256,
						.max_body = 1 << 20};
	const struct conf conf = {
		.spool = "/spool", .endpoints = &endpoint, .endpoint_count = 1, .in_flight_max = 1 << 24};
	struct receive receive = {.current = &CURRENT_OF(&conf)};
	struct receipt receipt = {0};
	struct peer peer = {.request = {.method = "POST",
					.uri = "/webhook",
					.content_type = "application/json",
					.content_length = length,
					.remote_addr = "192.0.2.1",
					.read = peer_read}};
	struct buf audit = {0};
	endpoint.scheme = presets_find("unified");
	receive_request(&receive, &peer.request, &receipt);
	assert_int_equal(receipt.answer.status, refused ? 500 : 200);
	assert_true(receipt.accepted == !refused);
	assert_int_equal(peer.at, sample.len);
	int written = receipt_audit(&receipt, &peer.request, &audit);
	assert_true(written == 0 || audit.len == 0);
	bool well = receipt.accepted && written == 0;
	receipt_clear(&receive, &receipt);
	assert_int_equal(receive.in_flight, 0);
	receipt_fini(&receipt);
	buf_fini(&audit);
	return well;
}

static bool receive_declared(void)
{
	char length[24];
	snprintf(length, sizeof length, "%zu", sample.len);
	return receive_sample(length);
}

static bool receive_undeclared(void)
{
	return receive_sample(NULL);
}

static void request(void **state)
{
	static const char *const names[] = {"both-signatures.json", "pretty-printed.json", "unicode.json",
					    "sha256-base64.json"};
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		sample = unit_sample(names[i]);
		refuse_each(receive_declared, names[i]);
		refuse_each(receive_undeclared, names[i]);
		buf_fini(&sample);
	}
}

/* A journal line. */

static struct event event;

static bool write_line(void)
{
	struct line line = {0};
	int result = line_encode(&event, &line);
	assert_true(result == 0 || errno == ENOMEM);
	line_fini(&line);
	return result == 0;
}

static bool write_records(void)
{
	struct buf out = {0};
	int result = records_append(&event, &out, NULL, NULL);
	assert_true(result == 0 || (errno == ENOMEM && out.len == 0));
	buf_fini(&out);
	return result == 0;
}

static bool write_field(void)
{
	struct buf out = {0};
	int result = event_field_text(&event, EVENT_TYPE, &out);
	assert_true(result == 0 || errno == ENOMEM);
	buf_fini(&out);
	return result == 0;
}

static void journal_line(void **state)
{
	(void)state;
	event = unit_event(INT64_C(1795424400123456), "\"n\"", "[{\"id\":\"1\"},{\"id\":\"2\"},[],3]", 4);
	refuse_each(write_line, "a line");
	refuse_each(write_records, "records");
	refuse_each(write_field, "a field");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conf),
		cmocka_unit_test(template),
		cmocka_unit_test(request),
		cmocka_unit_test(journal_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
