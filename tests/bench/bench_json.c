/* How fast the scanner is beside json-c, over a request's body: bench_json FILE… */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"

/* json-c has an enum of this name too. */
#define json_type json_c_type
#include <json-c/json.h>
#undef json_type

#define ROUNDS        9
#define ROUND_SECONDS 0.1

struct body {
	char *text, *scratch;
	size_t n;
	struct json_value whole;
	struct json_value data; /* the member of that name, or the whole */
	struct json_tokener *tokener;
	bool failed;
};

/* Processor time: all of this computes, and other processes take none of it. */
static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void scan(struct body *body)
{
	size_t where;
	body->failed |= json_scan(body->text, body->n, &body->whole, &where) != JSON_OK;
}

static void walk_members(struct body *body)
{
	struct json_walk walk;
	json_walk_begin(&walk, &body->whole);
	body->data = body->whole;
	while (json_walk_next(&walk))
		if (body->whole.type == JSON_OBJECT && json_string_is(walk.key, "data"))
			body->data = walk.value;
}

static void walk_elements(struct body *body)
{
	struct json_walk walk;
	uint32_t count = 0;
	json_walk_begin(&walk, &body->data);
	while (json_walk_next(&walk))
		count++;
	body->failed |= count != body->data.count;
}

static void copy(struct body *body)
{
	memcpy(body->scratch, body->text, body->n);
}

static void copy_and_compact(struct body *body)
{
	copy(body);
	body->failed |= json_compact(body->scratch, body->n) > body->n;
}

static void parse_with_json_c(struct body *body)
{
	json_tokener_reset(body->tokener);
	struct json_object *tree = json_tokener_parse_ex(body->tokener, body->text, (int)body->n);
	body->failed |= tree == NULL;
	json_object_put(tree);
}

static const struct {
	const char *name;
	void (*run)(struct body *body);
} contests[] = {
	{"json_scan", scan},
	{"walk over the members", walk_members},
	{"walk over data's elements", walk_elements},
	{"memcpy", copy},
	{"memcpy and json_compact", copy_and_compact},
	{"json-c json_tokener_parse", parse_with_json_c},
};

#define CONTESTS (sizeof contests / sizeof contests[0])

/* The best of some rounds, in MB/s: what disturbs only ever slows down. */
static double speed(struct body *body, void (*run)(struct body *body))
{
	double best = 0;
	for (int round = 0; round < ROUNDS; round++) {
		double begin = now(), elapsed;
		unsigned runs = 0;
		do {
			run(body);
			runs++;
			elapsed = now() - begin;
		} while (elapsed < ROUND_SECONDS);
		double found = (double)body->n * runs / elapsed / 1e6;
		best = found > best ? found : best;
	}
	return best;
}

static int read_body(const char *path, struct body *body)
{
	FILE *file = fopen(path, "rb");
	if (file == NULL || fseek(file, 0, SEEK_END) < 0)
		return -1;
	long n = ftell(file);
	rewind(file);
	body->n = n < 0 ? 0 : (size_t)n;
	body->text = malloc(body->n + 1);
	body->scratch = malloc(body->n + 1);
	body->tokener = json_tokener_new_ex(JSON_DEPTH + 1);
	if (body->text == NULL || body->scratch == NULL || body->tokener == NULL)
		return -1;
	json_tokener_set_flags(body->tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	body->text[body->n] = '\0';
	size_t got = fread(body->text, 1, body->n, file);
	fclose(file);
	return got == body->n ? 0 : -1;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct body body = {0};
		double speeds[CONTESTS];
		if (read_body(argv[i], &body) < 0) {
			perror(argv[i]);
			return 1;
		}
		for (size_t c = 0; c < CONTESTS; c++)
			speeds[c] = speed(&body, contests[c].run);
		printf("%s, %zu bytes, %u elements\n", argv[i], body.n, body.data.count);
		for (size_t c = 0; c < CONTESTS; c++)
			printf("  %-26s %8.0f MB/s %8.1f times json-c\n", contests[c].name, speeds[c],
			       speeds[c] / speeds[CONTESTS - 1]);
		json_tokener_free(body.tokener);
		free(body.text);
		free(body.scratch);
		if (body.failed)
			return 1;
	}
	return 0;
}
