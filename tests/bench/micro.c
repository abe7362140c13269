/* What each step of an event's way costs, over growing bodies: micro FOLDER [KILOBYTES|FILE …]. A FILE is a body, whose
 * data is signed anew. The journal's step writes into FOLDER and removes what it wrote. Computing steps are measured in
 * processor time, the append in time that passed. Of several rounds the best one counts: what disturbs only ever slows
 * down. */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "config/conf.h"
#include "event/event.h"
#include "event/line.h"
#include "event/record.h"
#include "sender/mac.h"
#include "sender/presets.h"
#include "sender/scheme.h"
#include "spool/open.h"
#include "spool/segment.h"

/* json-c has an enum of this name too. */
#define json_type json_c_type
#include <json-c/json.h>
#undef json_type

#define ROUNDS        5
#define ROUND_SECONDS 0.02
#define NONCE         "5ed8f0ab6c1f4e2d"
#define ELEMENT                                                                                                        \
	"{\"id\":\"65f0c1000000000000000001\",\"name\":\"Jane Doe\",\"company\":\"Caf\xc3\xa9 Zo\xc3\xab\","           \
	"\"emails\":[{\"email\":\"jane@example.com\",\"type\":\"WORK\"}],\"address\":{\"city\":\"Toronto\"}}"

/* A signed body, and what each step makes of it for the next one. */
struct subject {
	struct buf body, scratch, line, records;
	struct json_value data;
	struct event event;
	struct line encoded;
	struct json_tokener *tokener;
	struct spool spool;
	struct segment segment;
	bool failed;
};

static const struct span secret = {"the benchmark's secret", 22};
static struct span secrets[] = {{"the benchmark's secret", 22}};
static void sign_data(struct subject *s, enum mac_algorithm algorithm, uint8_t digest[MAC_SIZE_MAX])
{
	const struct span parts[] = {s->data.raw, {NONCE, sizeof NONCE - 1}};
	mac_sign(algorithm, secret, parts, 2, digest);
}

static void step_copy(struct subject *s)
{
	memcpy(s->scratch.data, s->body.data, s->body.len);
}

static void step_compact(struct subject *s)
{
	step_copy(s);
	s->failed |= json_compact(s->scratch.data, s->body.len) > s->body.len;
}

static void take_data(void *arg, struct span key, const struct json_value *value)
{
	struct subject *s = arg;
	if (json_string_is(key, "data"))
		s->data = *value;
}

static void step_scan(struct subject *s)
{
	struct json_value whole;
	size_t where;
	s->failed |= json_scan_members(s->body.data, s->body.len, &whole, take_data, s, &where) != JSON_OK;
}

static void step_json_c(struct subject *s)
{
	json_tokener_reset(s->tokener);
	struct json_object *tree = json_tokener_parse_ex(s->tokener, s->body.data, (int)s->body.len);
	s->failed |= tree == NULL;
	json_object_put(tree);
}

static void step_elements(struct subject *s)
{
	struct json_walk walk;
	json_walk_begin(&walk, &s->data);
	while (json_walk_next(&walk))
		s->failed |= walk.value.type != JSON_OBJECT;
}

static void step_sha1(struct subject *s)
{
	uint8_t digest[MAC_SIZE_MAX];
	sign_data(s, MAC_SHA1, digest);
}

static void step_sha256(struct subject *s)
{
	uint8_t digest[MAC_SIZE_MAX];
	sign_data(s, MAC_SHA256, digest);
}

static void step_identify(struct subject *s)
{
	event_identify(&s->event, (struct span){NONCE, sizeof NONCE - 1});
}

static void step_accept(struct subject *s)
{
	const char *reason;
	const struct scheme_request request = {.secrets = secrets,
					       .secret_count = 1,
					       .algorithms = SCHEME_SHA1 | SCHEME_SHA256,
					       .body = s->scratch.data,
					       .n = s->body.len};
	step_copy(s);
	s->event = (struct event){.endpoint = {"/webhook", 8}, .scheme = {"unified", 7}};
	s->failed |= presets_find("unified")->accept(&request, &s->event, &reason) != SCHEME_ACCEPTED;
	s->event.received_at = 1700000000 * CLOCK_SECOND;
}

static void step_encode(struct subject *s)
{
	s->failed |= line_encode(&s->event, &s->encoded) < 0;
}

static void step_decode(struct subject *s)
{
	struct event event;
	s->failed |= line_decode(s->line.data, s->line.len, &event) != LINE_OK;
}

static void step_records(struct subject *s)
{
	s->records.len = 0;
	s->failed |= records_append(&s->event, &s->records, NULL, NULL) < 0;
}

static void step_append(struct subject *s)
{
	struct iovec iov[3];
	line_vectors(&s->encoded, iov);
	if (s->segment.fd >= 0 && segment_is_full(&s->segment, 0)) {
		unlinkat(s->spool.journal_fd, s->segment.name, 0);
		segment_close(&s->segment);
	}
	if (s->segment.fd < 0)
		segment_open(&s->segment, &s->spool, 0);
	s->failed |= s->segment.fd < 0 || segment_commit(&s->segment, &s->spool, iov, 3) < 0;
}

static const struct {
	const char *name;
	void (*run)(struct subject *s);
	clockid_t clock;
} steps[] = {
	{"memcpy of the body", step_copy, CLOCK_PROCESS_CPUTIME_ID},
	{"scan, members taken", step_scan, CLOCK_PROCESS_CPUTIME_ID},
	{"the same with json-c", step_json_c, CLOCK_PROCESS_CPUTIME_ID},
	{"walk over the elements", step_elements, CLOCK_PROCESS_CPUTIME_ID},
	{"memcpy and compact", step_compact, CLOCK_PROCESS_CPUTIME_ID},
	{"HMAC-SHA1", step_sha1, CLOCK_PROCESS_CPUTIME_ID},
	{"HMAC-SHA256", step_sha256, CLOCK_PROCESS_CPUTIME_ID},
	{"identity (SHA-256)", step_identify, CLOCK_PROCESS_CPUTIME_ID},
	{"all of the scheme", step_accept, CLOCK_PROCESS_CPUTIME_ID},
	{"line encoded, with its sum", step_encode, CLOCK_PROCESS_CPUTIME_ID},
	{"line appended and synced", step_append, CLOCK_MONOTONIC},
	{"line decoded, sum checked", step_decode, CLOCK_PROCESS_CPUTIME_ID},
	{"records (their bytes)", step_records, CLOCK_PROCESS_CPUTIME_ID},
};
#define STEPS (sizeof steps / sizeof steps[0])

static double now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double run_times(struct subject *s, void (*run)(struct subject *s), clockid_t clock, unsigned times)
{
	double begin = now(clock);
	for (unsigned i = 0; i < times; i++)
		run(s);
	return now(clock) - begin;
}

/* Seconds for one run. */
static double measure(struct subject *s, void (*run)(struct subject *s), clockid_t clock)
{
	unsigned times = 1;
	while (run_times(s, run, clock, times) < ROUND_SECONDS)
		times *= 2;
	double best = run_times(s, run, clock, times);
	for (int round = 1; round < ROUNDS; round++) {
		double found = run_times(s, run, clock, times);
		best = found < best ? found : best;
	}
	return best / times;
}

/* An array of about this many bytes. */
static int make_data(struct buf *data, size_t size)
{
	do
		if (buf_char(data, data->len == 0 ? '[' : ',') < 0 || buf_str(data, ELEMENT) < 0)
			return -1;
	while (data->len + sizeof ELEMENT < size);
	return buf_char(data, ']');
}

/* What stands as "data" in a body in a file. */
static int read_data(struct buf *data, const char *path)
{
	struct buf body = {0};
	struct subject s = {0};
	char chunk[65536];
	FILE *file = fopen(path, "rb");
	if (file == NULL)
		return -1;
	for (size_t n; (n = fread(chunk, 1, sizeof chunk, file)) > 0;)
		if (buf_append(&body, chunk, n) < 0)
			break;
	fclose(file);
	s.body = body;
	step_scan(&s);
	int result = s.failed || s.data.raw.ptr == NULL ? -1 : buf_append(data, s.data.raw.ptr, s.data.raw.len);
	buf_fini(&body);
	return result;
}

/* A signed body with this data, and whatever a step needs of those before it. */
static int prepare(struct subject *s, const struct buf *data)
{
	uint8_t digest[MAC_SIZE_MAX];
	char hex[2 * MAC_SIZE_MAX + 1];
	struct iovec iov[3];
	s->body.len = s->line.len = 0;
	s->data.raw = (struct span){data->data, data->len};
	sign_data(s, MAC_SHA256, digest);
	text_hex(digest, mac_size(MAC_SHA256), hex);
	if (buf_str(&s->body, "{\"data\":") < 0 || buf_append(&s->body, data->data, data->len) < 0 ||
	    buf_printf(&s->body,
		       ",\"webhook\":{\"id\":\"w\",\"connection_id\":\"c\",\"object_type\":\"crm_contact\",\"event\":"
		       "\"updated\"},\"nonce\":\"%s\",\"sig256\":\"%s\",\"type\":\"VIRTUAL\"}",
		       NONCE, hex) < 0 ||
	    buf_reserve(&s->scratch, s->body.len) < 0)
		return -1;
	step_scan(s);
	step_accept(s);
	step_encode(s);
	line_vectors(&s->encoded, iov);
	for (size_t i = 0; i < 3; i++)
		if (buf_append(&s->line, iov[i].iov_base, iov[i].iov_len) < 0)
			return -1;
	s->line.len--; /* its newline */
	return s->failed ? -1 : 0;
}

static bool compare(struct subject *s, const char *what)
{
	struct buf data = {0};
	unsigned long kilobytes = strtoul(what, NULL, 10);
	bool good = (kilobytes > 0 ? make_data(&data, 1000 * kilobytes) : read_data(&data, what)) == 0 &&
		    prepare(s, &data) == 0;
	if (good)
		printf("\nbody %zu bytes, %u elements\n", s->body.len, s->event.count);
	for (size_t i = 0; i < STEPS && good; i++) {
		double seconds = measure(s, steps[i].run, steps[i].clock);
		size_t bytes = steps[i].run == step_records ? s->records.len : s->body.len;
		printf("    %-26s %10.2f us %8.0f MB/s\n", steps[i].name, seconds * 1e6, (double)bytes / seconds / 1e6);
		good = !s->failed;
	}
	buf_fini(&data);
	return good;
}

int main(int argc, char **argv)
{
	static const char *const usual[] = {"1", "5", "50", "500", "5000"};
	const char *const *bodies = argc > 2 ? (const char *const *)argv + 2 : usual;
	size_t count = argc > 2 ? (size_t)argc - 2 : sizeof usual / sizeof usual[0];
	if (argc < 2) {
		fprintf(stderr, "usage: micro FOLDER [KILOBYTES|FILE …]\n");
		return 64;
	}
	struct conf conf = {.spool = argv[1]};
	struct subject subject = {.spool = SPOOL_NONE, .segment = SEGMENT_NONE};
	subject.tokener = json_tokener_new_ex(JSON_DEPTH + 1);
	if (subject.tokener == NULL || spool_open(&subject.spool, &conf, SPOOL_RECEIVE) < 0) {
		perror(argv[1]);
		return 1;
	}
	json_tokener_set_flags(subject.tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	bool good = true;
	for (size_t i = 0; i < count && good; i++)
		good = compare(&subject, bodies[i]);
	segment_close(&subject.segment);
	spool_close(&subject.spool);
	json_tokener_free(subject.tokener);
	line_fini(&subject.encoded);
	struct buf *const bufs[] = {&subject.body, &subject.scratch, &subject.line, &subject.records};
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_fini(bufs[i]);
	if (!good)
		fprintf(stderr, "micro: a step failed\n");
	return good ? 0 : 1;
}
