/* The page as it is served: files that the deliverer wrote, and errands left for it. Opens no database, waits for
 * nobody, and knows no threads (doc/journal.md, The page). */
#ifndef HOOKSPOOL_RECEIVE_PAGE_H
#define HOOKSPOOL_RECEIVE_PAGE_H

#include <stdbool.h>

#include "config/conf.h"
#include "web/request.h"

/* Whether the path of this URI is the page's, or below it. The URI may be NULL. */
bool view_has(const struct conf *conf, const char *uri);

/* The headers that the page reads, for request_keep. */
extern const char *const view_headers[];

enum view {
	VIEW_ANSWERED,
	VIEW_REFUSED, /* the token is wrong: answered too, but something to be told */
	VIEW_UNKNOWN, /* there is nothing of that name */
	VIEW_FAILED,  /* no memory */
};

/* Reads a request to its end. reply: a complete CGI response if it is answered. *rings: the deliverer should be woken.
 */
enum view view_answer(const struct conf *conf, struct request *request, struct buf *reply, bool *rings);

#endif
