/*
 * HTTP/1.1 messages as a proxy between hostile clients and servers must read them: what two readers
 * could take for different things is refused, never repaired. Heads are parsed whole, in place;
 * bodies are passed through in pieces.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

#define HTTP_HEAD_MAX	16384u
#define HTTP_FIELDS_MAX 100u

enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_END };

struct http_field {
	struct piece name, value;
};

/* Its texts lie in the head that was parsed. */
struct http_head {
	struct piece method, target, host; /* of a request */
	uint32_t status;		   /* of a response */
	struct piece reason;
	unsigned minor;	  /* HTTP/1.MINOR: 0 or 1 */
	bool wants_close; /* the connection ends behind this message */
	enum http_framing framing;
	uint64_t length; /* HTTP_LENGTH */
	bool has_connection;
	unsigned count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/* Where the head at the front of TEXT ends, looked for from *SCANNED on, which is moved. 0: not
 * yet; -1: it has a line that does not end with CR LF. */
int32_t http_find_end(const char *text, uint32_t len, uint32_t *scanned);
/* TEXT up to its end. 0, or the status that says what is wrong: 400, 431, 501, 505. Its method and
 * target are there as far as they could be read. */
uint32_t http_parse_request(const char *text, uint32_t len, struct http_head *head);
/* The same; what comes back but 0 only says that it is wrong. REQUEST_IS_HEAD: it answers HEAD. */
uint32_t http_parse_response(const char *text, uint32_t len, bool request_is_head,
			     struct http_head *head);
/* Is FIELD meant for the next hop only, or by framing, so that it is not passed on? */
bool http_is_hop_by_hop(const struct http_head *head, const struct http_field *field);
bool http_is(struct piece piece, const char *text); /* whatever the case of its letters */
/* Is it a name or an address, and perhaps a port? What else there is, servers read in different
 * ways. */
bool http_is_host(struct piece host);

/* A body under way. */
struct http_body {
	enum http_framing framing;
	uint64_t left; /* of the length, or the chunk */
	uint8_t state; /* in a chunk's frame */
	uint8_t digits;
	uint32_t frame_bytes; /* of extensions and trailers */
	bool is_done;
};

void http_body_init(struct http_body *body, enum http_framing framing, uint64_t length);
/* Takes bytes off the front of DATA, *RET_DATA (or none) of which are content. How many; -1: the
 * frame is malformed. Again until all are taken or the body is done. */
int32_t http_body_take(struct http_body *body, const char *data, uint32_t len,
		       struct piece *ret_data);
