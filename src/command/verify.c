#include "config.h"

#include <stdio.h>
#include <sysexits.h>

#include "command/command.h"
#include "command/input.h"
#include "receive/receive.h"

static int judge(const struct conf_endpoint *endpoint, struct receipt *receipt, bool explaining)
{
	struct buf explained = {0};
	/* First, since judging may change the body. */
	bool is_explained = !explaining || receive_explain(endpoint, NULL, receipt, &explained) == 0;
	receive_judge(endpoint, NULL, receipt);
	bool fits = receipt->body.len <= endpoint->max_body, is_accepted = receipt->accepted && fits;
	if (is_accepted)
		printf("accepted: %s, event %s, %u elements in data\n", endpoint->path, receipt->event.id,
		       receipt->event.count);
	else
		printf("refused: %s: %s\n", endpoint->path, fits ? receipt->reason : "body over max_body");
	if (is_explained)
		printf("%.*s", (int)explained.len, explained.data);
	else
		puts("    there is not enough memory to try anything");
	buf_fini(&explained);
	return is_accepted ? 0 : 1;
}

static int verify(const struct conf *conf, const char *path, const char *file, bool explaining)
{
	struct receipt receipt = {0};
	const struct conf_endpoint *endpoint = command_endpoint(conf, path);
	if (endpoint == NULL)
		return EX_USAGE;
	int result = input_read(file, &receipt.body) < 0 ? EX_NOINPUT : judge(endpoint, &receipt, explaining);
	receipt_fini(&receipt);
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
