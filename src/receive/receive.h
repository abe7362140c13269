/* One request to one outcome: route, read, verify, and what is to be committed. Knows no threads and no servers. */
#ifndef HOOKSPOOL_RECEIVE_RECEIVE_H
#define HOOKSPOOL_RECEIVE_RECEIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/current.h"
#include "event/event.h"
#include "event/line.h"
#include "receive/bodies.h"
#include "web/request.h"

/* What all requests of a process share. */
struct receive {
	struct current *current;
	struct bodies *bodies;      /* NULL: no large buffers are kept */
	_Atomic uint64_t in_flight; /* bytes of bodies held, and of long fields beside them */
	_Atomic int64_t exposed_at; /* us, monotonic: when it was last said that the spool is exposed; 0: never */
	atomic_bool was_full;       /* a body has found no room since this was last cleared */
};

/* What became of a request. If it is accepted, `line` must be committed before `answer` may be sent; otherwise answer
 * is final. A request for the page has a `reply` in its place. */
struct receipt {
	const struct conf *conf; /* in force when its body was there; `endpoint` is in it */
	struct buf body;
	size_t bytes;    /* that the body had */
	uint64_t held;   /* bytes counted in receive->in_flight */
	struct buf made; /* what the event has beside the body */
	struct event event;
	struct line line;
	bool accepted;
	struct answer answer;
	const char *reason; /* for the audit */
	const char *endpoint;
	struct buf reply; /* a complete CGI response; empty: `answer` is what is sent */
	bool quiet;       /* the audit says nothing of it, and it waits for nothing that is committed */
	bool rings;       /* the deliverer should be woken */
};

/* Whether the web server would hand the spool's files to anybody who asks: then every request is answered 500, and
 * nothing may be made there. The document root may be NULL. */
bool receive_is_exposed(const struct conf *conf, const char *document_root);

/* Judges the body in a receipt that has nothing else yet, and fills its event, answer and reason. The body may change.
 * `request` is asked for headers; NULL: there are none. */
void receive_judge(const struct conf_endpoint *endpoint, const struct request *request, struct receipt *receipt);
/* Appends lines for people that say what each signature was made over. The receipt has a body and was not judged yet.
 * 0, or -1 with errno ENOMEM. */
int receive_explain(const struct conf_endpoint *endpoint, const struct request *request, struct receipt *receipt,
		    struct buf *out);

/* Fills a receipt, zeroed or cleared. */
void receive_request(struct receive *receive, struct request *request, struct receipt *receipt);

/* Turns an accepted receipt into a refusal: it could not be stored. */
void receipt_refuse(struct receipt *receipt, const char *reason);

/* Gives back what body and line held, once nothing of them is needed: `event` points into the body. Before the answer,
 * so that whoever has one and sends again finds the room that it had. */
void receipt_release(struct receive *receive, struct receipt *receipt);

/* Answers the request. 0, or -1 if the peer is gone. */
int receipt_answer(const struct receipt *receipt, struct request *request);

/* Appends the audit line. */
int receipt_audit(const struct receipt *receipt, const struct request *request, struct buf *out);

/* Ends the request, which holds nothing any more. The receipt may serve another one, and keeps buffers of ordinary size
 * for it. */
void receipt_clear(struct receive *receive, struct receipt *receipt);

void receipt_fini(struct receipt *receipt);

#endif
