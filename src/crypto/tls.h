/*
 * The server's side of TLS 1.2 and 1.3, from OpenSSL's libssl, over memory: whoever has the bytes
 * of a connection puts them in and takes out what is to be sent. No sockets, no files.
 *
 * Concepts
 * - struct tls_server is what the connections of an endpoint share: certificate, key, protocols.
 *   Sessions keep a reference to it, so it may be replaced while they go on.
 * - struct tls_session is one connection: what came in is put (tls_session_put()), and then read
 *   until nothing more is there; what is to be sent gathers in tls_session_output().
 *
 * No renegotiation, no compression, no early data. Sessions are resumed by tickets, which are
 * sealed with keys that are made at random in each process and are never kept; a ticket is good for
 * servers of the same scope only. What clients may make us keep is bounded: a handshake has at most
 * TLS_HANDSHAKE_BYTES.
 *
 * Objects belong to one thread at a time. tls_init() once, before the process gives up its files.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

#define TLS_HANDSHAKE_BYTES (64u << 10)
#define TLS_PROTOCOLS_MAX   8u
#define TLS_PROTOCOL_MAX    32u	   /* bytes of a protocol's name */
#define TLS_RECORD_MAX	    16384u /* bytes that are sealed at once */
#define TLS_NAME_MAX	    255u

struct tls_server;
struct tls_session;

/* Which of the files a mistake is in. */
enum tls_part { TLS_CERTIFICATE, TLS_KEY, TLS_CLIENT_CA, TLS_PARTS };

struct tls_text {
	const void *data;
	size_t len;
};

struct tls_server_config {
	struct tls_text
		pem[TLS_PARTS];	      /* the certificate is followed by those between it and its
					 root; no client CA (len 0): clients need no certificate */
	const char *const *protocols; /* ALPN, the best first; none: whatever clients offer is
					 ignored */
	unsigned protocols_count;
	const char *scope; /* a text; tickets are for this scope, certificate and CA */
};

/* What is known of a connection after its handshake. Texts of clients are hostile. */
struct tls_info {
	const char *server_name; /* "": none was sent */
	const char *protocol;	 /* ALPN: one of ours, or "" */
	const char *version;	 /* "TLSv1.3" */
	const char *client; /* its certificate's subject (RFC 2253), cut at TLS_NAME_MAX, or "" */
	bool was_resumed;
};

/* -ENOMEM: OpenSSL could not be set up. */
int tls_init(void) EOS_MUST_CHECK;

/* Everything is copied. -EINVAL: RET_PART says in which file and WHY what is wrong, without its
 * name and without any of its bytes; -ENOMEM. */
int tls_server_new(const struct tls_server_config *config, struct tls_server **ret_server,
		   enum tls_part *ret_part, struct eos_why *why) EOS_MUST_CHECK;
/* It goes with the last of its sessions. */
struct tls_server *tls_server_unref(struct tls_server *server);
/* When the certificate's validity ends, in seconds since 1970. */
int64_t tls_server_not_after(const struct tls_server *server);

int tls_session_new(struct tls_server *server, struct tls_session **ret_session) EOS_MUST_CHECK;
struct tls_session *tls_session_free(struct tls_session *session);
/* DATA came from the client. It is borrowed until tls_session_read() returned 0 or an error. */
void tls_session_put(struct tls_session *session, const void *data, size_t len);
/* Goes on with the handshake, or reads. How many bytes were put into OUT; 0: more has to be put
 * first; -EPIPE: the client, whose handshake is done, has said that it sends nothing more; -EPROTO:
 * the connection is broken, the output may hold an alert that says why; -ENOMEM. */
long tls_session_read(struct tls_session *session, void *out, size_t size) EOS_MUST_CHECK;
/* Seals up to TLS_RECORD_MAX bytes into the output. -EPROTO, -ENOMEM: the connection is broken. */
int tls_session_write(struct tls_session *session, const void *data, size_t len) EOS_MUST_CHECK;
/* Says that nothing more is sent. */
void tls_session_end(struct tls_session *session);
/* What is to be sent, which the caller takes out. */
struct eos_buf *tls_session_output(struct tls_session *session);
/* Is the handshake done? */
bool tls_session_is_open(const struct tls_session *session);
/* NULL until it is; valid as long as the session. */
const struct tls_info *tls_session_info(const struct tls_session *session);
