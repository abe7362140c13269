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
#include "sender/mac.h"

/* What the payload says beside its data. */
struct payload {
	const char *endpoint, *object_type, *type, *event, *connection, *nonce, *algorithm, *encoding, *file;
};

static const struct {
	const char *name, *member;
	enum mac_algorithm algorithm;
} algorithms[] = {
	{"sha1", "sig", MAC_SHA1},
	{"sha256", "sig256", MAC_SHA256},
};

static int append_member(struct buf *out, const char *name, const char *value)
{
	return buf_str(out, ",\"") < 0 || buf_str(out, name) < 0 || buf_str(out, "\":") < 0 ||
			       buf_json_string(out, value, strlen(value)) < 0
		       ? -1
		       : 0;
}

static int append_signature(struct buf *out, size_t which, const struct payload *p, struct span secret,
			    struct span data)
{
	uint8_t digest[MAC_SIZE_MAX];
	const struct span parts[] = {data, {p->nonce, strlen(p->nonce)}};
	size_t size = mac_size(algorithms[which].algorithm);
	mac_sign(algorithms[which].algorithm, secret, parts, 2, digest);
	if (buf_str(out, ",\"") < 0 || buf_str(out, algorithms[which].member) < 0 || buf_str(out, "\":\"") < 0)
		return -1;
	if (strcmp(p->encoding, "hex") == 0) {
		char hex[2 * MAC_SIZE_MAX + 1];
		text_hex(digest, size, hex);
		return buf_str(out, hex) < 0 || buf_char(out, '"') < 0 ? -1 : 0;
	}
	return text_base64(out, digest, size) < 0 || buf_char(out, '"') < 0 ? -1 : 0;
}

static int compose(struct buf *out, const struct payload *p, struct span secret, struct span data)
{
	if (buf_str(out, "{\"data\":") < 0 || buf_append(out, data.ptr, data.len) < 0 ||
	    buf_str(out, ",\"webhook\":{\"id\":\"hookspool-sign\"") < 0 ||
	    append_member(out, "connection_id", p->connection) < 0 ||
	    append_member(out, "object_type", p->object_type) < 0 || append_member(out, "event", p->event) < 0 ||
	    buf_char(out, '}') < 0 || append_member(out, "nonce", p->nonce) < 0)
		return -1;
	for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++)
		if (strcmp(p->algorithm, "both") == 0 || strcmp(p->algorithm, algorithms[i].name) == 0)
			if (append_signature(out, i, p, secret, data) < 0)
				return -1;
	return append_member(out, "type", p->type) < 0 || buf_str(out, "}\n") < 0 ? -1 : 0;
}

/* Whether a receiver would take it for an event at all. Says why not. */
static bool is_event(const struct conf_endpoint *endpoint, const struct buf *payload)
{
	struct receipt receipt = {.answer.status = 500, .reason = "out of memory"};
	if (buf_append(&receipt.body, payload->data, payload->len) == 0)
		receive_judge(endpoint, NULL, &receipt);
	bool is_event = receipt.answer.status != 400 && receipt.answer.status != 500;
	if (!is_event)
		log_warnx("this would be refused with %d: %s", receipt.answer.status, receipt.reason);
	receipt_fini(&receipt);
	return is_event;
}

static int sign(const struct conf *conf, const struct payload *p)
{
	struct buf data = {0}, out = {0};
	struct json_value value;
	size_t where;
	int result = EX_OSERR;
	const struct conf_endpoint *endpoint = command_endpoint(conf, p->endpoint);
	if (endpoint == NULL)
		return EX_USAGE;
	if (input_read(p->file, &data) < 0) {
		result = EX_NOINPUT;
	} else if (json_scan(data.data, data.len, &value, &where) != JSON_OK) {
		log_warnx("%s: no JSON: byte %zu", p->file, where);
		result = EX_DATAERR;
	} else if (value.type != JSON_ARRAY && value.type != JSON_OBJECT) {
		log_warnx("%s: the data must be an array or an object", p->file);
		result = EX_DATAERR;
	} else {
		struct span compact = value.raw;
		compact.len = json_compact(data.data + (compact.ptr - data.data), compact.len);
		if (compose(&out, p, endpoint->secrets[0], compact) < 0)
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
	struct payload p = {.object_type = "crm_contact",
			    .type = "VIRTUAL",
			    .event = "updated",
			    .connection = "example-connection",
			    .nonce = nonce,
			    .algorithm = "both",
			    .encoding = "base64"};
	const struct command_option known[] = {
		{"endpoint", .value = &p.endpoint},
		{"object", .value = &p.object_type},
		{"type", .value = &p.type},
		{"event", .value = &p.event},
		{"connection", .value = &p.connection},
		{"nonce", .value = &p.nonce},
		{"algorithm", .value = &p.algorithm},
		{"encoding", .value = &p.encoding},
		{0},
	};
	fsio_random(random, sizeof random);
	text_hex(random, sizeof random, nonce);
	int at = command_options(argc, argv, known);
	if (at < 0 || at + 1 != argc ||
	    !is_one_of("--algorithm", p.algorithm, (const char *const[]){"sha1", "sha256", "both", NULL}) ||
	    !is_one_of("--encoding", p.encoding, (const char *const[]){"hex", "base64", NULL}))
		return EX_USAGE;
	p.file = argv[at];
	struct conf *conf = command_conf(conf_path, true);
	if (conf == NULL)
		return EX_CONFIG;
	int result = sign(conf, &p);
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
