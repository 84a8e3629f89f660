/*
 * TLS over memory against OpenSSL's own client: handshakes in pieces of any size, resumption and
 * what it is bound to, ends and cuts, mistakes in files, hostile bytes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "crypto/tls.h"

struct files {
	char *certificate, *key;
};

static struct files ours, others;

static char *text_of(BIO *bio)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);
	char *text = strndup(data, (size_t)len);
	assert_non_null(text);
	BIO_free(bio);
	return text;
}

static struct files make_files(const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	BIO *certificate_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_mem());
	assert_true(key != NULL && certificate != NULL && certificate_text != NULL &&
		    key_text != NULL);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_set_version(certificate, 2);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_set_pubkey(certificate, key);
	X509_NAME *subject = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
				   0);
	X509_set_issuer_name(certificate, subject);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(certificate_text, certificate), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL), 1);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return (struct files){text_of(certificate_text), text_of(key_text)};
}

/* An RSA key of BITS. Of four primes, which is sooner made. */
static char *make_rsa_key(int bits)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *key = NULL;
	BIO *key_text = BIO_new(BIO_s_mem());
	assert_true(ctx != NULL && key_text != NULL);
	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, 4), 1);
	assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
	assert_int_equal(PEM_write_bio_PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL), 1);
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(ctx);
	return text_of(key_text);
}

static struct tls_text text(const char *data)
{
	return (struct tls_text){data, data == NULL ? 0 : strlen(data)};
}

static struct tls_server *make_server(const struct files *files, const char *client_ca,
				      const char *scope)
{
	static const char *const protocols[] = {"b", "a"};
	const struct tls_server_config config = {
		.pem = {text(files->certificate), text(files->key), text(client_ca)},
		.protocols = protocols,
		.protocols_count = 2,
		.scope = scope,
	};
	struct tls_server *server = NULL;
	enum tls_part part;
	struct eos_why why = {""};
	assert_int_equal(tls_server_new(&config, &server, &part, &why), 0);
	return server;
}

/* --- a client --- */

struct pair {
	SSL_CTX *ctx;
	SSL *client;
	struct tls_session *session;
	char read[70000];
	size_t read_len;
	long result; /* of the session's last read */
};

static SSL_SESSION *ticket;

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(ticket);
	ticket = session;
	return 1;
}

static void begin(struct pair *pair, struct tls_server *server, int version,
		  const struct files *files)
{
	memset(pair, 0, sizeof(*pair));
	pair->ctx = SSL_CTX_new(TLS_client_method());
	assert_non_null(pair->ctx);
	SSL_CTX_set_min_proto_version(pair->ctx, version);
	SSL_CTX_set_max_proto_version(pair->ctx, version);
	/* With a cache of its own the context would spoil the ticket when it goes. */
	SSL_CTX_set_session_cache_mode(pair->ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(pair->ctx, keep_ticket);
	if (files != NULL) {
		BIO *bio = BIO_new_mem_buf(files->certificate, -1);
		X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		BIO_free(bio);
		bio = BIO_new_mem_buf(files->key, -1);
		EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
		BIO_free(bio);
		assert_int_equal(SSL_CTX_use_certificate(pair->ctx, certificate), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(pair->ctx, key), 1);
		X509_free(certificate);
		EVP_PKEY_free(key);
	}
	pair->client = SSL_new(pair->ctx);
	SSL_set_bio(pair->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_tlsext_host_name(pair->client, (void *)(uintptr_t) "edge.test");
	SSL_set_alpn_protos(pair->client, (const unsigned char *)"\1a\1b", 4);
	SSL_set_connect_state(pair->client);
	if (ticket != NULL)
		SSL_set_session(pair->client, ticket);
	assert_int_equal(tls_session_new(server, &pair->session), 0);
}

static void finish(struct pair *pair)
{
	/* Not freed as one that broke: that would spoil its ticket, too. */
	SSL_set_shutdown(pair->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(pair->client);
	SSL_CTX_free(pair->ctx);
	tls_session_free(pair->session);
}

/* LEN bytes for the session; reads all that comes of them. */
static void give(struct pair *pair, const void *data, size_t len)
{
	tls_session_put(pair->session, data, len);
	do {
		size_t room = sizeof(pair->read) - pair->read_len;
		/* Small pieces: what is left of a record is not lost. */
		pair->result = tls_session_read(pair->session, pair->read + pair->read_len,
						EOS_MIN(room, (size_t)1000));
		if (pair->result > 0)
			pair->read_len += (size_t)pair->result;
	} while (pair->result > 0);
}

static void take_output(struct pair *pair)
{
	struct eos_buf *out = tls_session_output(pair->session);
	if (out->len > 0)
		assert_int_equal(BIO_write(SSL_get_rbio(pair->client), out->data, (int)out->len),
				 out->len);
	eos_buf_clear(out);
}

/* What the client has written goes over in pieces of SIZE. */
static void pump(struct pair *pair, size_t size)
{
	char piece[16384];
	int n;
	while (pair->result >= 0 && (n = BIO_read(SSL_get_wbio(pair->client), piece,
						  (int)EOS_MIN(size, sizeof(piece)))) > 0)
		give(pair, piece, (size_t)n);
	take_output(pair);
}

/* True: both are through with the handshake. */
static bool shake(struct pair *pair, size_t size)
{
	char byte;
	for (unsigned i = 0; i < 10 && pair->result >= 0; i++) {
		(void)SSL_do_handshake(pair->client);
		pump(pair, size);
	}
	/* TLS 1.3's tickets come behind it. */
	(void)SSL_read(pair->client, &byte, 1);
	return SSL_is_init_finished(pair->client) && tls_session_is_open(pair->session);
}

/* --- tests --- */

static int set_up(void **state)
{
	(void)state;
	ours = make_files("edge.test");
	others = make_files("others");
	return tls_init();
}

static int tear_down(void **state)
{
	(void)state;
	SSL_SESSION_free(ticket);
	free(ours.certificate);
	free(ours.key);
	free(others.certificate);
	free(others.key);
	return 0;
}

static void test_talk(void **state)
{
	(void)state;
	static const size_t sizes[] = {1, 7, 1000, 16384};
	static char sent[60000], back[60000];
	struct tls_server *server = make_server(&ours, NULL, "x");
	memset(sent, 'q', sizeof(sent));
	for (unsigned i = 0; i < 8; i++) {
		struct pair pair;
		bool is_13 = i % 2 == 0;
		begin(&pair, server, is_13 ? TLS1_3_VERSION : TLS1_2_VERSION, NULL);
		assert_null(tls_session_info(pair.session));
		assert_int_equal(tls_session_write(pair.session, "x", 1), -EPROTO);
		assert_true(shake(&pair, sizes[i / 2]));
		const struct tls_info *info = tls_session_info(pair.session);
		assert_string_equal(info->server_name, "edge.test");
		/* The server's order counts. */
		assert_string_equal(info->protocol, "b");
		assert_string_equal(info->version, is_13 ? "TLSv1.3" : "TLSv1.2");
		assert_string_equal(info->client, "");
		assert_int_equal(SSL_write(pair.client, sent, sizeof(sent)), sizeof(sent));
		pump(&pair, sizes[i / 2]);
		assert_int_equal(pair.read_len, sizeof(sent));
		assert_memory_equal(pair.read, sent, sizeof(sent));
		for (size_t at = 0; at < sizeof(sent); at += 15000)
			assert_int_equal(tls_session_write(pair.session, sent + at, 15000), 0);
		take_output(&pair);
		size_t len = 0;
		for (int n; (n = SSL_read(pair.client, back + len, (int)(sizeof(back) - len))) > 0;)
			len += (size_t)n;
		assert_int_equal(len, sizeof(back));
		assert_memory_equal(back, sent, sizeof(back));
		/* The client ends, the server still speaks. */
		assert_int_equal(SSL_shutdown(pair.client), 0);
		pump(&pair, sizes[i / 2]);
		assert_int_equal(pair.result, -EPIPE);
		assert_int_equal(tls_session_write(pair.session, "bye", 3), 0);
		tls_session_end(pair.session);
		take_output(&pair);
		assert_int_equal(SSL_read(pair.client, back, sizeof(back)), 3);
		assert_int_equal(SSL_read(pair.client, back, sizeof(back)), 0);
		assert_true((SSL_get_shutdown(pair.client) & SSL_RECEIVED_SHUTDOWN) != 0);
		finish(&pair);
		SSL_SESSION_free(ticket);
		ticket = NULL;
	}
	tls_server_unref(server);
}

static bool resumes(struct tls_server *server, int version, const struct files *files)
{
	struct pair pair;
	begin(&pair, server, version, files);
	assert_true(shake(&pair, 16384));
	bool was_resumed = tls_session_info(pair.session)->was_resumed;
	finish(&pair);
	return was_resumed;
}

static void test_resumption(void **state)
{
	(void)state;
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	for (unsigned i = 0; i < 2; i++) {
		struct tls_server *one = make_server(&ours, NULL, "one");
		struct tls_server *same = make_server(&ours, NULL, "one");
		struct tls_server *two = make_server(&ours, NULL, "two");
		struct tls_server *renewed = make_server(&others, NULL, "one");
		struct tls_server *strict = make_server(&ours, ours.certificate, "one");
		assert_false(resumes(one, versions[i], NULL));
		assert_true(resumes(one, versions[i], NULL));
		/* The process' keys: its other servers of the same kind know it, too. */
		assert_true(resumes(same, versions[i], NULL));
		assert_false(resumes(two, versions[i], NULL));
		assert_false(resumes(one, versions[i], NULL));
		assert_false(resumes(renewed, versions[i], NULL));
		assert_false(resumes(one, versions[i], NULL));
		/* Who showed no certificate does not come in where one is asked for. */
		assert_false(resumes(strict, versions[i], &ours));
		assert_true(resumes(strict, versions[i], &ours));
		SSL_SESSION_free(ticket);
		ticket = NULL;
		tls_server_unref(one);
		tls_server_unref(same);
		tls_server_unref(two);
		tls_server_unref(renewed);
		tls_server_unref(strict);
	}
}

static void test_clients(void **state)
{
	(void)state;
	struct tls_server *server = make_server(&ours, ours.certificate, "x");
	struct pair pair;
	begin(&pair, server, TLS1_3_VERSION, &ours);
	/* A session keeps what it needs of its server. */
	tls_server_unref(server);
	assert_true(shake(&pair, 100));
	assert_string_equal(tls_session_info(pair.session)->client, "CN=edge.test");
	finish(&pair);
	SSL_SESSION_free(ticket);
	ticket = NULL;
	server = make_server(&ours, ours.certificate, "x");
	for (unsigned i = 0; i < 2; i++) {
		begin(&pair, server, TLS1_2_VERSION, i == 0 ? NULL : &others);
		assert_false(shake(&pair, 100));
		assert_int_equal(pair.result, -EPROTO);
		assert_int_equal(tls_session_read(pair.session, pair.read, 1), -EPROTO);
		finish(&pair);
	}
	tls_server_unref(server);
}

static void test_hostile(void **state)
{
	(void)state;
	struct tls_server *server = make_server(&ours, NULL, "x");
	static uint8_t bytes[16384];
	/* A client's first words, changed. */
	struct pair pair;
	begin(&pair, server, TLS1_3_VERSION, NULL);
	(void)SSL_do_handshake(pair.client);
	int len = BIO_read(SSL_get_wbio(pair.client), bytes, sizeof(bytes));
	assert_true(len > 100);
	finish(&pair);
	srand(5);
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t copy[16384];
		memcpy(copy, bytes, sizeof(copy));
		for (int n = rand() % 6; n >= 0; n--)
			copy[rand() % len] = (uint8_t)rand();
		begin(&pair, server, TLS1_3_VERSION, NULL);
		give(&pair, copy, (size_t)(rand() % (len + 1)));
		if (pair.result >= 0)
			give(&pair, copy, (size_t)len);
		assert_true(pair.result == 0 || pair.result == -EPROTO);
		assert_int_equal(pair.read_len, 0);
		assert_true(tls_session_output(pair.session)->len < 8192);
		finish(&pair);
	}
	/* A handshake without an end: a message that says it has 64 KiB, in fragments. */
	begin(&pair, server, TLS1_3_VERSION, NULL);
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, "\x16\x03\x01\x3f\xfb\x01\x01\xff\xff", 9);
	unsigned rounds = 0;
	for (; pair.result >= 0 && rounds < 100; rounds++) {
		give(&pair, bytes, sizeof(bytes));
		memset(bytes + 5, 0, 4);
	}
	assert_true(rounds <= TLS_HANDSHAKE_BYTES / sizeof(bytes) + 1);
	finish(&pair);
	/* Behind the handshake. */
	begin(&pair, server, TLS1_3_VERSION, NULL);
	assert_true(shake(&pair, 16384));
	give(&pair, "\x17\x03\x03\x00\x20 this was not sealed by anybody!!", 37);
	assert_int_equal(pair.result, -EPROTO);
	assert_int_equal(tls_session_write(pair.session, "x", 1), -EPROTO);
	finish(&pair);
	SSL_SESSION_free(ticket);
	ticket = NULL;
	tls_server_unref(server);
}

static void test_renegotiation(void **state)
{
	(void)state;
	struct tls_server *server = make_server(&ours, NULL, "x");
	struct pair pair;
	begin(&pair, server, TLS1_2_VERSION, NULL);
	assert_true(shake(&pair, 16384));
	SSL_renegotiate(pair.client);
	(void)SSL_do_handshake(pair.client);
	pump(&pair, 16384);
	assert_int_equal(pair.result, 0);
	/* Told that there is none, OpenSSL's client gives up. */
	assert_true(SSL_do_handshake(pair.client) <= 0);
	assert_int_equal(SSL_get_error(pair.client, -1), SSL_ERROR_SSL);
	finish(&pair);
	SSL_SESSION_free(ticket);
	ticket = NULL;
	tls_server_unref(server);
}

static void test_files(void **state)
{
	(void)state;
	static const char locked[] =
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
		"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjB2mBbFkJtYAICCAAw\n"
		"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEM3zbZ1F3m1mFz0i9DWc0zMEgZB3\n"
		"-----END ENCRYPTED PRIVATE KEY-----\n";
	char *large = make_rsa_key(4104), *fitting = make_rsa_key(4096);
	const struct {
		const char *certificate, *key, *client_ca;
		enum tls_part part;
		const char *why;
	} cases[] = {
		{"", ours.key, NULL, TLS_CERTIFICATE, "has no certificate"},
		{ours.key, ours.key, NULL, TLS_CERTIFICATE, "has no certificate"},
		{"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", ours.key, NULL,
		 TLS_CERTIFICATE, "damaged"},
		{ours.certificate, others.key, NULL, TLS_KEY, "does not belong"},
		{ours.certificate, fitting, NULL, TLS_KEY, "does not belong"},
		{ours.certificate, large, NULL, TLS_KEY, "more than 4096 bits"},
		{ours.certificate, ours.certificate, NULL, TLS_KEY, "has no private key"},
		{ours.certificate, locked, NULL, TLS_KEY, "private key"},
		{ours.certificate, ours.key, ours.key, TLS_CLIENT_CA, "has no certificate"},
		{ours.certificate, ours.key, "x", TLS_CLIENT_CA, "has no certificate"},
	};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		const struct tls_server_config config = {
			.pem = {text(cases[i].certificate), text(cases[i].key),
				text(cases[i].client_ca)},
			.scope = "x",
		};
		struct tls_server *server = NULL;
		enum tls_part part;
		struct eos_why why = {""};
		assert_int_equal(tls_server_new(&config, &server, &part, &why), -EINVAL);
		assert_null(server);
		assert_int_equal(part, cases[i].part);
		assert_non_null(strstr(why.text, cases[i].why));
		assert_null(strstr(why.text, "BEGIN"));
	}
	free(large);
	free(fitting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_talk),	      cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_clients),	      cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_renegotiation), cmocka_unit_test(test_files),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
