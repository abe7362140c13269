#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "command/command.h"
#include "command/input.h"
#include "receive/receive.h"
#include "sender/explain.h"
#include "sender/key.h"

/* The algorithm that the scheme expects of a member. */
static enum mac_algorithm expected(const struct trial_result *r)
{
	return strcmp(r->member, "sig") == 0 ? MAC_SHA1 : MAC_SHA256;
}

/* Whether a signature so read is one that is accepted. */
static bool is_right(const struct trial_result *r)
{
	return r->matches && r->algorithm == expected(r) && r->order == TRIAL_NONCE_LAST && r->span != TRIAL_BODY;
}

static void explain_signature(const struct trial_result *r, size_t secret_count)
{
	const char *algorithm = r->algorithm == MAC_SHA1 ? "SHA1" : "SHA256";
	printf("    %-7s ", r->member);
	if (!r->there)
		puts("is not there");
	else if (!r->readable)
		puts("is neither hex nor base64 of 20 bytes (SHA1) or 32 bytes (SHA256)");
	else if (!r->matches)
		printf("is %s of the length of %s, and no reading matches\n", trial_encoding_names[r->encoding],
		       algorithm);
	else
		printf("is HMAC-%s in %s, over %s, %s, with secret %zu of %zu%s\n", algorithm,
		       trial_encoding_names[r->encoding], trial_span_names[r->span], trial_order_names[r->order],
		       r->secret + 1, secret_count, is_right(r) ? "" : "; this is not accepted");
}

/* Tries the secrets without what may stand around them by mistake. */
static void explain_keys(const struct conf_endpoint *endpoint, struct span body)
{
	for (size_t i = 0; i < endpoint->secret_count; i++) {
		struct span key = endpoint->secrets[i];
		const char *layer;
		for (size_t n = 0; n < KEY_LAYERS && (layer = key_strip(&key)) != NULL; n++) {
			struct trial_result results[TRIAL_SIGNATURES] = {0};
			size_t tried;
			trial_run(body, &key, 1, results, &tried);
			for (size_t k = 0; k < TRIAL_SIGNATURES; k++)
				if (results[k].matches)
					printf("    %-7s is signed with secret %zu without %s: take that away in %s\n",
					       results[k].member, i + 1, layer, endpoint->secret_file);
		}
	}
}

static void explain(const struct conf_endpoint *endpoint, struct span body)
{
	struct trial_result results[TRIAL_SIGNATURES];
	size_t tried;
	static const char *const notes[] = {
		[TRIAL_DONE] = NULL,
		[TRIAL_NO_JSON] = "the body is no JSON object: nothing can be tried",
		[TRIAL_NO_DATA] = "the body has no data: only the whole body was tried",
		[TRIAL_NO_MEMORY] = "there is not enough memory to try anything",
	};
	enum trial_verdict verdict = trial_run(body, endpoint->secrets, endpoint->secret_count, results, &tried);
	if (notes[verdict] != NULL)
		printf("    %s\n", notes[verdict]);
	if (verdict == TRIAL_NO_JSON || verdict == TRIAL_NO_MEMORY)
		return;
	for (size_t i = 0; i < TRIAL_SIGNATURES; i++)
		explain_signature(&results[i], endpoint->secret_count);
	explain_keys(endpoint, body);
	printf("    %zu readings were tried, with %zu %s\n", tried, endpoint->secret_count,
	       endpoint->secret_count == 1 ? "secret" : "secrets");
}

static int verify(const struct conf *conf, const char *path, const char *file, bool explaining)
{
	struct receipt receipt = {0};
	struct buf copy = {0};
	int result = EX_NOINPUT;
	const struct conf_endpoint *endpoint = command_endpoint(conf, path);
	if (endpoint == NULL)
		return EX_USAGE;
	/* The scheme may change the body in place. */
	if (input_read(file, &receipt.body) < 0 || buf_append(&copy, receipt.body.data, receipt.body.len) < 0)
		goto end;
	receive_judge(endpoint, NULL, &receipt);
	bool fits = receipt.body.len <= endpoint->max_body, is_accepted = receipt.accepted && fits;
	if (is_accepted)
		printf("accepted: %s, event %s, %u elements in data\n", endpoint->path, receipt.event.id,
		       receipt.event.count);
	else
		printf("refused: %s: %s\n", endpoint->path, fits ? receipt.reason : "body over max_body");
	if (explaining)
		explain(endpoint, (struct span){copy.data, copy.len});
	result = is_accepted ? 0 : 1;
end:
	receipt_fini(&receipt);
	buf_fini(&copy);
	return result;
}

static int run_verify(const char *conf_path, int argc, char **argv)
{
	const char *endpoint = NULL;
	bool explaining = false;
	const struct command_option known[] = {
		{"endpoint", .value = &endpoint},
		{"explain", .flag = &explaining},
		{0},
	};
	int at = command_options(argc, argv, known);
	if (at < 0 || at + 1 != argc)
		return EX_USAGE;
	struct conf *conf = command_conf(conf_path, true);
	if (conf == NULL)
		return EX_CONFIG;
	int result = verify(conf, endpoint, argv[at], explaining);
	conf_free(conf);
	return result;
}

const struct command verify_command = {
	.name = "verify",
	.arguments = "[--endpoint PATH] [--explain] FILE",
	.summary = "check a captured body",
	.help = "Checks a captured body (- is standard input), and says whether it would be\n"
		"accepted, or why not.\n"
		"\n"
		"    --endpoint PATH   whose secrets are tried; the first one by default\n"
		"    --explain         for each signature in it: what was signed, how, and with\n"
		"                      which secret. Tried are hex, base64 and base64url; data\n"
		"                      as it stands, data without white space, the whole body;\n"
		"                      the nonce behind, before, or not at all; each secret;\n"
		"                      SHA-1 and SHA-256\n",
	.prints = true,
	.run = run_verify,
};
