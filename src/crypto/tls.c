/*
 * Sessions over memory: OpenSSL's BIO is one of our own, which reads from what was put and writes
 * to the output, without a copy of either in between and without a limit that could make OpenSSL
 * wait. The bounds are those of the caller, who does not put while much waits to be sent.
 */
#include "crypto/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "crypto/crypto.h"

#define TICKET_KEYS_SIZE 80 /* name, HMAC's and AES's key, as OpenSSL 3 wants them */
#define TICKET_LIFE_S	 3600
#define CHAIN_MAX	 16	    /* certificates in a file, and CAs */
#define PEER_CHAIN_BYTES (32 << 10) /* of certificates that a client sends */
/* Each handshake signs once with it, for milliseconds at 4,096 bits of RSA; the time grows with the
 * cube of them. */
#define KEY_BITS_MAX 4096
/* Forward secrecy and authenticated encryption; those of TLS 1.3 are OpenSSL's three. */
#define CIPHERS_1_2 "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_server {
	SSL_CTX *ctx;
	unsigned references; /* the owner's, and its sessions': the protocols are theirs, too */
	int64_t not_after;
	uint8_t protocols[TLS_PROTOCOLS_MAX * (1 + TLS_PROTOCOL_MAX)]; /* as on the wire */
	unsigned protocols_len;
};

struct tls_session {
	struct tls_server *server; /* a reference */
	SSL *ssl;
	const uint8_t *in; /* what was put and not yet read */
	size_t in_len;
	size_t handshake_bytes;
	struct eos_buf out;
	bool is_open, is_broken;
	struct tls_info info;
	char server_name[TLS_NAME_MAX + 1], protocol[TLS_PROTOCOL_MAX + 1];
	char client[TLS_NAME_MAX + 1];
};

static BIO_METHOD *memory;
static uint8_t ticket_keys[TICKET_KEYS_SIZE];
static bool is_ready;
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* --- the BIO --- */

static int memory_read(BIO *bio, char *out, size_t size, size_t *ret_len)
{
	struct tls_session *session = BIO_get_data(bio);
	size_t len = EOS_MIN(size, session->in_len);
	BIO_clear_retry_flags(bio);
	*ret_len = len;
	if (len == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(out, session->in, len);
	session->in += len;
	session->in_len -= len;
	return 1;
}

static int memory_write(BIO *bio, const char *data, size_t len, size_t *ret_len)
{
	struct tls_session *session = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	*ret_len = len;
	return eos_buf_append(&session->out, data, len) == 0;
}

static long memory_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static void prepare(void)
{
	/* The files that libssl would read are not there in a sandbox. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 ||
	    RAND_priv_bytes(ticket_keys, sizeof(ticket_keys)) != 1)
		return;
	memory = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "memory");
	if (memory == NULL)
		return;
	is_ready = BIO_meth_set_read_ex(memory, memory_read) == 1 &&
		   BIO_meth_set_write_ex(memory, memory_write) == 1 &&
		   BIO_meth_set_ctrl(memory, memory_ctrl) == 1;
	/* What is fetched at the first use is fetched now. */
	SSL_CTX_free(SSL_CTX_new(TLS_server_method()));
}

int tls_init(void)
{
	pthread_once(&prepared, prepare);
	return is_ready ? 0 : -ENOMEM;
}

/* --- what the files hold --- */

static int fail(int err, struct eos_why *why, const char *what)
{
	ERR_clear_error();
	return eos_why(why, err, "%s", what);
}

/* With OpenSSL's own word for it, which never quotes the file. */
static int fail_with_reason(struct eos_why *why, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	int err = eos_why(why, -EINVAL, "%s%s%s", what, reason == NULL ? "" : ": ",
			  reason == NULL ? "" : reason);
	ERR_clear_error();
	return err;
}

static BIO *open_text(const struct tls_text *text)
{
	return text->len > INT32_MAX ? NULL : BIO_new_mem_buf(text->data, (int)text->len);
}

/* Nobody is asked for a password. */
static int no_password(char *out, int size, int is_writing, void *was_asked)
{
	(void)out;
	(void)size;
	(void)is_writing;
	*(bool *)was_asked = true;
	return -1;
}

/* The next certificate of a file. NULL, with *RET_IS_END where there is simply none more. */
static X509 *next_certificate(BIO *bio, bool *ret_is_end)
{
	bool was_asked = false;
	X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, &was_asked);
	unsigned long error = ERR_peek_last_error();
	*ret_is_end = certificate == NULL && ERR_GET_LIB(error) == ERR_LIB_PEM &&
		      ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
	return certificate;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
	struct tm tm;
	return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int use_chain(struct tls_server *server, BIO *bio, struct eos_why *why)
{
	for (unsigned i = 0; i <= CHAIN_MAX; i++) {
		bool is_end;
		X509 *certificate = next_certificate(bio, &is_end);
		if (certificate == NULL && is_end && i > 0) {
			ERR_clear_error();
			return 0;
		}
		if (certificate == NULL)
			return is_end ? fail(-EINVAL, why, "has no certificate (PEM)")
				      : fail_with_reason(why, "has a damaged certificate");
		if (i == 0)
			server->not_after = seconds_of(X509_get0_notAfter(certificate));
		bool is_taken = i == 0 ? SSL_CTX_use_certificate(server->ctx, certificate) == 1
				       : SSL_CTX_add1_chain_cert(server->ctx, certificate) == 1;
		X509_free(certificate);
		if (!is_taken)
			return fail_with_reason(why, "has a certificate that cannot be used");
	}
	return fail(-EINVAL, why, "has more than 16 certificates");
}

static int use_key(struct tls_server *server, BIO *bio, struct eos_why *why)
{
	bool was_asked = false;
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &was_asked);
	if (key == NULL && was_asked)
		return fail(-EINVAL, why,
			    "is encrypted, and nobody is there to be asked for its "
			    "password: openssl pkey -in FILE -out FILE writes it without");
	if (key == NULL)
		return fail(-EINVAL, why, "has no private key (PEM), or a damaged one");
	if (EVP_PKEY_get_bits(key) > KEY_BITS_MAX) {
		EVP_PKEY_free(key);
		return fail(-EINVAL, why,
			    "has more than 4096 bits: each handshake would take too long");
	}
	/* Which of the two files is wrong nobody can know; it is the key that is told. */
	bool is_taken = SSL_CTX_use_PrivateKey(server->ctx, key) == 1 &&
			SSL_CTX_check_private_key(server->ctx) == 1;
	EVP_PKEY_free(key);
	return is_taken ? 0 : fail(-EINVAL, why, "does not belong to the certificate");
}

static int use_client_ca(struct tls_server *server, BIO *bio, struct eos_why *why)
{
	X509_STORE *store = SSL_CTX_get_cert_store(server->ctx);
	for (unsigned i = 0; i <= CHAIN_MAX; i++) {
		bool is_end;
		X509 *certificate = next_certificate(bio, &is_end);
		if (certificate == NULL && is_end && i > 0) {
			ERR_clear_error();
			SSL_CTX_set_verify(server->ctx,
					   SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
			return 0;
		}
		if (certificate == NULL)
			return is_end ? fail(-EINVAL, why, "has no certificate (PEM)")
				      : fail_with_reason(why, "has a damaged certificate");
		bool is_taken = X509_STORE_add_cert(store, certificate) == 1 &&
				SSL_CTX_add_client_CA(server->ctx, certificate) == 1;
		X509_free(certificate);
		if (!is_taken)
			return fail_with_reason(why, "has a certificate that cannot be used");
	}
	return fail(-EINVAL, why, "has more than 16 certificates");
}

static int use_files(struct tls_server *server, const struct tls_server_config *config,
		     enum tls_part *ret_part, struct eos_why *why)
{
	static int (*const use[])(struct tls_server *, BIO *, struct eos_why *) = {
		[TLS_CERTIFICATE] = use_chain,
		[TLS_KEY] = use_key,
		[TLS_CLIENT_CA] = use_client_ca,
	};
	int err = 0;
	for (unsigned i = 0; err == 0 && i < TLS_PARTS; i++) {
		if (i == TLS_CLIENT_CA && config->pem[i].len == 0)
			break;
		*ret_part = (enum tls_part)i;
		BIO *bio = open_text(&config->pem[i]);
		ERR_clear_error();
		err = bio == NULL ? fail(-ENOMEM, why, "no memory") : use[i](server, bio, why);
		BIO_free(bio);
	}
	return err;
}

/* --- the server --- */

static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
			   const unsigned char *offered, unsigned offered_len, void *ctx)
{
	const struct tls_server *server = ctx;
	unsigned char *name;
	(void)ssl;
	if (SSL_select_next_proto(&name, ret_len, server->protocols, server->protocols_len, offered,
				  offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret_name = name;
	return SSL_TLSEXT_ERR_OK;
}

/* Any name is taken, and told that it was: who serves which is for the function to say. */
static int take_server_name(SSL *ssl, int *alert, void *ctx)
{
	(void)ssl;
	(void)alert;
	(void)ctx;
	return SSL_TLSEXT_ERR_OK;
}

static void use_protocols(struct tls_server *server, const struct tls_server_config *config)
{
	for (unsigned i = 0; i < EOS_MIN(config->protocols_count, TLS_PROTOCOLS_MAX); i++) {
		size_t len = strnlen(config->protocols[i], TLS_PROTOCOL_MAX);
		server->protocols[server->protocols_len++] = (uint8_t)len;
		memcpy(server->protocols + server->protocols_len, config->protocols[i], len);
		server->protocols_len += (unsigned)len;
	}
	if (server->protocols_len > 0)
		SSL_CTX_set_alpn_select_cb(server->ctx, choose_protocol, server);
}

/* Who had a session under another name, certificate or CA has to prove himself anew. */
static int use_scope(struct tls_server *server, const struct tls_server_config *config)
{
	struct crypto_hash *hash;
	uint8_t id[CRYPTO_SHA256_SIZE];
	int err = crypto_hash_new(CRYPTO_SHA256, &hash);
	if (err < 0)
		return err;
	err = crypto_hash_update(hash, config->scope, strlen(config->scope) + 1);
	for (unsigned i = 0; err == 0 && i < TLS_PARTS; i++) {
		const struct tls_text *pem = &config->pem[i];
		if (i == TLS_KEY)
			continue;
		err = crypto_hash_update(hash, &pem->len, sizeof(pem->len));
		if (err == 0 && pem->len > 0)
			err = crypto_hash_update(hash, pem->data, pem->len);
	}
	if (err == 0)
		err = crypto_hash_final(hash, id);
	crypto_hash_free(hash);
	if (err == 0 && SSL_CTX_set_session_id_context(server->ctx, id, sizeof(id)) != 1)
		err = -ENOMEM;
	return err;
}

static int set_up(struct tls_server *server, const struct tls_server_config *config)
{
	SSL_CTX *ctx = server->ctx;
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* Connections that are silent keep no buffers: 34 KiB each. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_timeout(ctx, TICKET_LIFE_S);
	SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_BYTES);
	SSL_CTX_set_tlsext_servername_callback(ctx, take_server_name);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) != 1 ||
	    SSL_CTX_set_tlsext_ticket_keys(ctx, ticket_keys, sizeof(ticket_keys)) != 1)
		return -ENOMEM;
	use_protocols(server, config);
	return use_scope(server, config);
}

int tls_server_new(const struct tls_server_config *config, struct tls_server **ret_server,
		   enum tls_part *ret_part, struct eos_why *why)
{
	*ret_part = TLS_CERTIFICATE;
	int err = tls_init();
	struct tls_server *server = err < 0 ? NULL : calloc(1, sizeof(*server));
	if (server != NULL) {
		server->references = 1;
		server->ctx = SSL_CTX_new(TLS_server_method());
	}
	if (server == NULL || server->ctx == NULL || set_up(server, config) < 0) {
		tls_server_unref(server);
		return fail(-ENOMEM, why, "TLS could not be set up");
	}
	err = use_files(server, config, ret_part, why);
	if (err < 0) {
		tls_server_unref(server);
		return err;
	}
	*ret_server = server;
	return 0;
}

struct tls_server *tls_server_unref(struct tls_server *server)
{
	if (server == NULL || --server->references > 0)
		return NULL;
	SSL_CTX_free(server->ctx);
	free(server);
	return NULL;
}

int64_t tls_server_not_after(const struct tls_server *server)
{
	return server->not_after;
}

/* --- sessions --- */

int tls_session_new(struct tls_server *server, struct tls_session **ret_session)
{
	struct tls_session *session = calloc(1, sizeof(*session));
	BIO *bio = session == NULL ? NULL : BIO_new(memory);
	if (bio == NULL) {
		free(session);
		return -ENOMEM;
	}
	session->ssl = SSL_new(server->ctx);
	if (session->ssl == NULL) {
		BIO_free(bio);
		free(session);
		ERR_clear_error();
		return -ENOMEM;
	}
	server->references++;
	session->server = server;
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio);
	SSL_set_accept_state(session->ssl);
	*ret_session = session;
	return 0;
}

struct tls_session *tls_session_free(struct tls_session *session)
{
	if (session == NULL)
		return NULL;
	SSL_free(session->ssl);
	tls_server_unref(session->server);
	eos_buf_fini(&session->out);
	free(session);
	return NULL;
}

void tls_session_put(struct tls_session *session, const void *data, size_t len)
{
	session->in = data;
	session->in_len = len;
	if (!session->is_open)
		session->handshake_bytes += len;
}

static void learn_client(struct tls_session *session)
{
	X509 *certificate = SSL_get1_peer_certificate(session->ssl);
	BIO *text = certificate == NULL ? NULL : BIO_new(BIO_s_mem());
	char *data;
	if (text != NULL &&
	    X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
		long len = BIO_get_mem_data(text, &data);
		if (len > 0)
			memcpy(session->client, data, EOS_MIN((size_t)len, (size_t)TLS_NAME_MAX));
	}
	BIO_free(text);
	X509_free(certificate);
}

static void learn(struct tls_session *session)
{
	const unsigned char *protocol;
	unsigned protocol_len;
	const char *name = SSL_get_servername(session->ssl, TLSEXT_NAMETYPE_host_name);
	if (name != NULL)
		memcpy(session->server_name, name, strnlen(name, TLS_NAME_MAX));
	SSL_get0_alpn_selected(session->ssl, &protocol, &protocol_len);
	if (protocol_len > 0 && protocol_len <= TLS_PROTOCOL_MAX)
		memcpy(session->protocol, protocol, protocol_len);
	learn_client(session);
	session->info = (struct tls_info){
		.server_name = session->server_name,
		.protocol = session->protocol,
		.version = SSL_get_version(session->ssl),
		.client = session->client,
		.was_resumed = SSL_session_reused(session->ssl) == 1,
	};
	session->is_open = true;
}

/* What RESULT, not a success, of OpenSSL's functions means. */
static long failure_of(struct tls_session *session, int result)
{
	int error = SSL_get_error(session->ssl, result);
	ERR_clear_error();
	if (error == SSL_ERROR_WANT_READ && session->in_len == 0)
		return 0;
	/* In a handshake that is the end of it: nobody has come, so nobody goes. */
	if (error == SSL_ERROR_ZERO_RETURN && session->is_open)
		return -EPIPE;
	session->is_broken = true;
	return eos_buf_failed(&session->out) ? -ENOMEM : -EPROTO;
}

long tls_session_read(struct tls_session *session, void *out, size_t size)
{
	size_t len;
	if (session->is_broken)
		return -EPROTO;
	ERR_clear_error();
	if (!session->is_open) {
		if (session->handshake_bytes > TLS_HANDSHAKE_BYTES) {
			session->is_broken = true;
			return -EPROTO;
		}
		int result = SSL_do_handshake(session->ssl);
		if (result != 1)
			return failure_of(session, result);
		learn(session);
	}
	int result = SSL_read_ex(session->ssl, out, size, &len);
	return result == 1 ? (long)len : failure_of(session, result);
}

int tls_session_write(struct tls_session *session, const void *data, size_t len)
{
	size_t written;
	if (session->is_broken || !session->is_open)
		return -EPROTO;
	ERR_clear_error();
	if (SSL_write_ex(session->ssl, data, len, &written) == 1 && written == len)
		return 0;
	ERR_clear_error();
	session->is_broken = true;
	return eos_buf_failed(&session->out) ? -ENOMEM : -EPROTO;
}

void tls_session_end(struct tls_session *session)
{
	if (session->is_broken || !session->is_open)
		return;
	ERR_clear_error();
	/* 0: the client has not said the same yet, for which nobody waits here. */
	if (SSL_shutdown(session->ssl) < 0)
		session->is_broken = true;
	ERR_clear_error();
}

struct eos_buf *tls_session_output(struct tls_session *session)
{
	return &session->out;
}

bool tls_session_is_open(const struct tls_session *session)
{
	return session->is_open;
}

const struct tls_info *tls_session_info(const struct tls_session *session)
{
	return session->is_open ? &session->info : NULL;
}
