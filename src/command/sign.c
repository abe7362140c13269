#include "config.h"

#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "command/command.h"
#include "command/input.h"
#include "receive/receive.h"
#include "sender/scheme.h"

/* Whether a receiver would take it for an event at all. Says why not. */
static bool is_event(const struct conf_endpoint *endpoint, const struct buf *payload)
{
	struct receipt receipt = {.answer.status = 500, .reason = "out of memory"};
	if (buf_append(&receipt.body, payload->data, payload->len) == 0)
		receive_judge(endpoint, NULL, &receipt);
	bool is_one = receipt.answer.status != 400 && receipt.answer.status != 500;
	if (!is_one)
		log_warnx("this would be refused with %d: %s", receipt.answer.status, receipt.reason);
	receipt_fini(&receipt);
	return is_one;
}

static int sign(const struct conf *conf, const char *path, const char *file, struct scheme_sample *sample)
{
	struct buf data = {0}, out = {0};
	struct json_value value;
	size_t where;
	int result = EX_OSERR;
	const struct conf_endpoint *endpoint = command_endpoint(conf, path);
	if (endpoint == NULL)
		return EX_USAGE;
	if (input_read(file, &data) < 0) {
		result = EX_NOINPUT;
	} else if (json_scan(data.data, data.len, &value, &where) != JSON_OK) {
		log_warnx("%s: no JSON: byte %zu", file, where);
		result = EX_DATAERR;
	} else if (value.type != JSON_ARRAY && value.type != JSON_OBJECT) {
		log_warnx("%s: the data must be an array or an object", file);
		result = EX_DATAERR;
	} else {
		sample->secret = endpoint->secrets[0];
		sample->data = value.raw;
		sample->data.len = json_compact(data.data + (value.raw.ptr - data.data), value.raw.len);
		if (endpoint->scheme->sign(sample, &out) < 0)
			log_warn("cannot compose the payload");
		else if (!is_event(endpoint, &out))
			result = EX_DATAERR;
		else if (fsio_write(STDOUT_FILENO, out.data, out.len) < 0)
			log_warn("cannot write the payload");
		else
			result = 0;
	}
	buf_fini(&data);
	buf_fini(&out);
	return result;
}

static bool is_one_of(const char *option, const char *value, const char *const *allowed)
{
	for (; *allowed != NULL; allowed++)
		if (strcmp(value, *allowed) == 0)
			return true;
	log_warnx("%s does not know \"%s\"", option, value);
	return false;
}

static int run_sign(const char *conf_path, int argc, char **argv)
{
	uint8_t random[16];
	char nonce[2 * sizeof random + 1];
	const char *endpoint = NULL, *algorithm = "both", *encoding = "base64";
	struct scheme_sample sample = {
		.fields =
			{
				[EVENT_TYPE] = "VIRTUAL",
				[EVENT_EVENT] = "updated",
				[EVENT_OBJECT_TYPE] = "crm_contact",
				[EVENT_CONNECTION_ID] = "example-connection",
				[EVENT_WEBHOOK_ID] = "hookspool-sign",
			},
		.nonce = nonce,
	};
	const struct command_option known[] = {
		{"endpoint", .value = &endpoint},
		{"object", .value = &sample.fields[EVENT_OBJECT_TYPE]},
		{"type", .value = &sample.fields[EVENT_TYPE]},
		{"event", .value = &sample.fields[EVENT_EVENT]},
		{"connection", .value = &sample.fields[EVENT_CONNECTION_ID]},
		{"nonce", .value = &sample.nonce},
		{"algorithm", .value = &algorithm},
		{"encoding", .value = &encoding},
		{0},
	};
	fsio_random(random, sizeof random);
	text_hex(random, sizeof random, nonce);
	int at = command_options(argc, argv, known);
	if (at < 0 || at + 1 != argc ||
	    !is_one_of("--algorithm", algorithm, (const char *const[]){"sha1", "sha256", "both", NULL}) ||
	    !is_one_of("--encoding", encoding, (const char *const[]){"hex", "base64", NULL}))
		return EX_USAGE;
	sample.is_hex = strcmp(encoding, "hex") == 0;
	sample.algorithms = (strcmp(algorithm, "sha256") == 0 ? 0 : SCHEME_SHA1) |
			    (strcmp(algorithm, "sha1") == 0 ? 0 : SCHEME_SHA256);
	struct conf *conf = command_conf(conf_path, true);
	if (conf == NULL)
		return EX_CONFIG;
	int result = sign(conf, endpoint, argv[at], &sample);
	conf_free(conf);
	return result;
}

const struct command sign_command = {
	.name = "sign",
	.arguments = "[OPTION …] FILE",
	.summary = "print a signed payload for the data in FILE",
	.help = "Prints a signed payload for the JSON array or object in FILE (- is standard\n"
		"input), for a test:\n"
		"\n"
		"    echo '[{\"id\":\"1\"}]' | hookspool sign - |\n"
		"        curl -H 'Content-Type: application/json' --data-binary @- URL\n"
		"\n"
		"    --endpoint PATH      whose first secret signs; the first one by default\n"
		"    --object TYPE        crm_contact by default\n"
		"    --type TYPE          VIRTUAL by default\n"
		"    --event EVENT        updated by default\n"
		"    --connection ID      example-connection by default\n"
		"    --nonce NONCE        random by default; the same one makes the same event\n"
		"    --algorithm NAME     sha1, sha256 or both; both by default\n"
		"    --encoding NAME      base64 or hex; base64 by default\n",
	.prints = true,
	.run = run_sign,
};
