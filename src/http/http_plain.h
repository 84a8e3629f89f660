/*
 * Plain requests: the ones that nearly all clients send nearly always. A request of HTTP/1.1 whose
 * head is whole, short, and so regular that there are no two opinions on what it says.
 *
 * The parser knows nothing else and repairs nothing: what is not plain is left to libmicrohttpd and
 * http_check.c, whether it is legitimate or not. So no request is refused here, and only what both
 * would understand alike is accepted.
 *
 *     head    = method SP target SP "HTTP/1.1" CRLF *( line CRLF ) CRLF
 *     method  = "GET" / "HEAD" / "PUT" / "POST" / "DELETE"
 *     target  = "/" *( any byte over 0x20 but DEL )
 *     line    = token ":" *( SP / HTAB ) [ value ]
 *     value   = bytes without controls but HTAB, not ending with SP or HTAB
 *
 * One line is "Host". At most one is "Content-Length", a decimal number, which is all that tells of
 * a body: without it there is none. "Expect" says "100-continue", "Connection" "keep-alive". None
 * else has to do with framing (Transfer-Encoding, whatever begins like it or like Content-Length,
 * Trailer) or with the connection (Upgrade, TE, Keep-Alive).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "http/http_server.h"

#define HTTP_PLAIN_BYTES_MAX   4096u
#define HTTP_PLAIN_TARGET_MAX  1024u
#define HTTP_PLAIN_HEADERS_MAX 48u

struct http_plain {
	const char *method;
	bool is_head;
	bool has_content_length;
	bool expects_continue;
	uint64_t content_length;  /* 0 without a body */
	const char *path, *query; /* as http_target_split() leaves them */
	size_t headers_count;
	struct http_header headers[HTTP_PLAIN_HEADERS_MAX];
};

/*
 * How many bytes at the beginning of TEXT are the head of a plain request, or 0: not plain, or not
 * whole. When it is one, PLAIN is filled in and points into TEXT, which was written to; otherwise
 * TEXT may have been written to as well. TEXT is borrowed for as long as PLAIN is used. Any thread.
 */
size_t http_plain_parse(char *text, size_t len, struct http_plain *ret_plain) EOS_MUST_CHECK;
