#include "config.h"

#include "receive/single.h"

#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "receive/receive.h"
#include "receive/store.h"
#include "web/cgi.h"

int single_run(const struct conf *conf)
{
	struct current current = CURRENT_OF(conf);
	struct receive receive = {.current = &current};
	struct cgi_request cgi;
	struct receipt receipt = {0}, *const batch[] = {&receipt};
	struct store store;
	struct buf audit = {0};
	cgi_init(&cgi);
	receive_request(&receive, &cgi.request, &receipt);
	bool exposed = receive_is_exposed(conf, cgi.request.document_root);
	bool stored = !exposed && store_init(&store, &current) == 0;
	if (stored) {
		store_commit(&store, batch, 1);
		if (!receipt.quiet && receipt_audit(&receipt, &cgi.request, &audit) == 0)
			audit_write(&store.audit, audit.data, audit.len);
		buf_fini(&audit);
	} else if (receipt.accepted) {
		receipt_refuse(&receipt, "spool not there");
	}
	int sent = receipt_answer(&receipt, &cgi.request);
	/* The web server has its answer when the stream ends, whatever is still to be done here. */
	close(STDOUT_FILENO);
	if (stored) {
		store_seal(&store);
		if (receipt.accepted || receipt.rings)
			store_wake(&store);
		store_fini(&store);
	}
	receipt_fini(&receipt);
	return sent < 0 ? EX_IOERR : 0;
}

void single_fail(void)
{
	struct cgi_request cgi;
	cgi_init(&cgi);
	request_drain(&cgi.request);
	request_answer(&cgi.request, &(struct answer){.status = 500, .error = "internal error"});
}
