/*
 * Plain requests: the ones that nearly all clients send nearly always. A GET or HEAD of HTTP/1.1
 * without a body, whole, short, and so regular that there are no two opinions on what it says.
 *
 * The parser knows nothing else and repairs nothing: what is not plain is left to libmicrohttpd and
 * http_check.c, whether it is legitimate or not. So no request is refused here, and only what both
 * would understand alike is accepted.
 *
 *     request = ( "GET" / "HEAD" ) SP target SP "HTTP/1.1" CRLF *( line CRLF ) CRLF
 *     target  = "/" *( any byte over 0x20 but DEL )
 *     line    = token ":" *( SP / HTAB ) [ value ]
 *     value   = bytes without controls but HTAB, not ending with SP or HTAB
 *
 * One line is "Host". None has to do with framing (Content-Length, Transfer-Encoding and whatever
 * begins like them, Trailer), with the connection (Upgrade, TE, Keep-Alive; Connection may say
 * "keep-alive"), or with an interim answer (Expect).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "http/http_server.h"

#define HTTP_PLAIN_BYTES_MAX   4096u
#define HTTP_PLAIN_TARGET_MAX  1024u
#define HTTP_PLAIN_HEADERS_MAX 48u

struct http_plain {
	bool is_head;
	const char *path, *query; /* as http_target_split() leaves them */
	size_t headers_count;
	struct http_header headers[HTTP_PLAIN_HEADERS_MAX];
};

/*
 * How many bytes at the beginning of TEXT are a plain request, or 0: not plain, or not whole. When
 * it is one, PLAIN is filled in and points into TEXT, which was written to; otherwise TEXT may have
 * been written to as well. TEXT is borrowed for as long as PLAIN is used. Any thread.
 */
size_t http_plain_parse(char *text, size_t len, struct http_plain *ret_plain) EOS_MUST_CHECK;
