#include "config.h"

#include "command/help.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *command, *text;
} texts[] = {
	{"serve", "Serves FastCGI on a unix socket until SIGTERM, and answers what is in flight\n"
		  "then. With deliver = \"auto\" it starts a deliverer and watches it.\n"
		  "\n"
		  "    -s SOCKET   make this socket, mode 0660; without it the socket is the one\n"
		  "                that systemd passed\n"},
	{"deliver", "Delivers what is in the journal. One deliverer works on a spool at a time; a\n"
		    "second one ends at once. Without an option it ends when it has been idle for\n"
		    "a while and nothing waits for another attempt: good for cron.\n"
		    "\n"
		    "    --once      try everything that can be delivered now once, and end\n"
		    "    --stay      go on until SIGTERM: for a service\n"},
	{"check", "Reads the configuration, the modes of the secrets and the spool, and says what\n"
		  "they mean, or what is wrong, with file and line.\n"},
	{"sign", "Prints a signed payload for the JSON array or object in FILE (- is standard\n"
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
		 "    --encoding NAME      base64 or hex; base64 by default\n"},
	{"verify", "Checks a captured body (- is standard input), and says whether it would be\n"
		   "accepted, or why not.\n"
		   "\n"
		   "    --endpoint PATH   whose secrets are tried; the first one by default\n"
		   "    --explain         for each signature in it: what was signed, how, and with\n"
		   "                      which secret. Tried are hex, base64 and base64url; data\n"
		   "                      as it stands, data without white space, the whole body;\n"
		   "                      the nonce behind, before, or not at all; each secret;\n"
		   "                      SHA-1 and SHA-256\n"},
	{"status", "Says how the spool is: what came, what waits, what was given up; for each\n"
		   "endpoint, target and connection, and how far initial syncs are.\n"
		   "\n"
		   "    --json      for programs\n"
		   "\n"
		   "Its exit code is for monitoring:\n"
		   "    0   ok\n"
		   "    1   late: an event has waited longer than late_after, or a connection has\n"
		   "        been silent for longer than its endpoint's expect\n"
		   "    2   failing: deliveries are parked, attempts have failed for longer than\n"
		   "        late_after, or requests could not be stored\n"},
	{"log", "Prints the audit trail: each request and how it was answered, each attempt to\n"
		"deliver, and what operators did. Times are UTC.\n"
		"\n"
		"    -f, --follow   print the last ten lines and then what comes\n"
		"    --json         the lines as they are kept; hookspool(7) has their members\n"},
	{"show", "Shows an event and what became of it at each target:\n"
		 "\n"
		 "    unread     it has not been taken in yet\n"
		 "    pending    it waits for its turn, or for the next attempt\n"
		 "    parked     it was given up: see retry and drop\n"
		 "    done       it was delivered\n"
		 "    dropped    somebody dropped it\n"
		 "    settled    done or dropped, longer ago than the audit trail goes back\n"
		 "\n"
		 "    --json      for programs; has the data, too\n"},
	{"replay", "Delivers again what is kept in the journal or the archive: one event, or all\n"
		   "that were received since a time. They go to each target that they match, files\n"
		   "too. What still waits is not delivered twice; what was parked is tried again.\n"
		   "\n"
		   "    --since TIME    \"2h\" is two hours ago; or a moment in UTC, such as\n"
		   "                    2026-11-24 or \"2026-11-24 09:00:00Z\"\n"
		   "    --target NAME   to this target only\n"},
	{"parked", "Lists the deliveries that were given up: the script said so (exit code 100), or\n"
		   "it has failed for as long as retry_for says.\n"
		   "\n"
		   "    --json      for programs\n"},
	{"retry", "Tries parked deliveries again, as if for the first time, and those that wait for\n"
		  "another attempt at once: of one event, or all.\n"},
	{"drop", "Forgets the deliveries of one event, or all that are parked or have failed. The\n"
		 "event itself stays for as long as keep says, and can be replayed.\n"},
};

const char *help_text(const char *command)
{
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (strcmp(texts[i].command, command) == 0)
			return texts[i].text;
	return NULL;
}
