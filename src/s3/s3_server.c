/*
 * The server: a request from its headers to its answer. See s3_priv.h for the steps.
 *
 * The signature is checked before anything else is said about the request, so that strangers learn
 * nothing. Errors in the body are answered as soon as they are seen.
 */
#include "s3/s3_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_access.h"
#include "s3/s3_cors.h"
#include "s3/s3_lifecycle.h"
#include "s3/s3_lifecycle_run.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

#define IDLE_TIMEOUT_S 60

EOS_COUNTER(requests_total, "s3.requests_total", "S3 requests.");
EOS_COUNTER(errors_total, "s3.errors_total", "S3 requests answered with an error.");
EOS_COUNTER(denied_total, "s3.denied_total",
	    "S3 requests whose signature was not accepted or that "
	    "were not allowed.");

enum s3_code s3_say(struct s3_request *request, enum s3_code code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(request->message, sizeof(request->message), fmt, args);
	va_end(args);
	/* The client's own words in it must not spoil the XML. */
	eos_make_printable(request->message, strlen(request->message));
	return code;
}

void s3_add_header(struct s3_request *request, const char *name, const char *value)
{
	if (http_request_add_header(request->http, name, value) < 0)
		eos_log(EOS_LOG_WARN, "s3", "out of memory, header left out name=%s id=%s", name,
			request->id);
}

void s3_respond(struct s3_request *request, unsigned status, const struct http_header *headers,
		size_t headers_count, const void *body, size_t body_len)
{
	http_respond(request->http, status, headers, headers_count, body, body_len);
}

enum s3_code s3_respond_xml(struct s3_request *request, struct eos_buf *buf)
{
	static const struct http_header headers[] = {{"Content-Type", "application/xml"}};
	bool is_whole = !eos_buf_failed(buf);
	if (is_whole)
		s3_respond(request, 200, headers, EOS_ARRAY_SIZE(headers), buf->data, buf->len);
	eos_buf_fini(buf);
	return is_whole ? S3_OK : S3_INTERNAL_ERROR;
}

static void respond_error(struct s3_request *request, enum s3_code code)
{
	const char *message =
		request->message[0] != '\0' ? request->message : s3_code_message(code);
	const char *path = http_request_path(request->http);
	static const struct http_header headers[] = {{"Content-Type", "application/xml"}};
	struct eos_buf buf;

	eos_counter_add(&errors_total, 1);
	if (code == S3_INTERNAL_ERROR)
		eos_log(EOS_LOG_ERROR, "s3", "request failed method=%s path=%s id=%s",
			http_request_method(request->http), path, request->id);
	eos_buf_init(&buf);
	if (code != S3_NOT_MODIFIED) {
		eos_buf_puts(&buf, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
		s3_xml_text(&buf, "Code", s3_code_name(code));
		s3_xml_text(&buf, "Message", message);
		if (code == S3_AUTH_HEADER_MALFORMED)
			s3_xml_text(&buf, "Region", request->server->config.region);
		s3_xml_text(&buf, "Resource", path);
		s3_xml_text(&buf, "RequestId", request->id);
		s3_xml_close(&buf, "Error");
	}
	/* Without memory for the text the status must do. */
	bool has_text = !eos_buf_failed(&buf);
	s3_respond(request, s3_code_status(code), headers, EOS_ARRAY_SIZE(headers),
		   has_text ? buf.data : NULL, has_text ? buf.len : 0);
	eos_buf_fini(&buf);
}

static void collect_header(void *ctx, const char *name, const char *value)
{
	struct s3_request *request = ctx;
	if (request->headers_count <= S3_HEADERS_MAX) {
		if (request->headers_count < S3_HEADERS_MAX)
			request->headers[request->headers_count] = (struct s3_header){name, value};
		/* One more marks that there were too many. */
		request->headers_count++;
	}
}

/* Who and when, from the header or the query; without either the request is anonymous. */
static enum s3_code read_auth(struct s3_request *request)
{
	struct s3_auth *auth = &request->auth;
	const char *header = s3_header(request, "authorization");
	bool is_presigned = s3_query_get(&request->query, "X-Amz-Signature") != NULL ||
			    s3_query_get(&request->query, "X-Amz-Algorithm") != NULL;
	enum s3_code code;

	if (header != NULL && is_presigned)
		return s3_say(request, S3_INVALID_ARGUMENT, "Only one auth mechanism is allowed.");
	if (is_presigned)
		return s3_auth_parse_query(&request->query, auth);
	if (s3_query_get(&request->query, "Signature") != NULL)
		return s3_say(request, S3_INVALID_REQUEST, "Please use AWS4-HMAC-SHA256.");
	if (header == NULL || header[0] == '\0') {
		request->is_anonymous = true;
		return S3_OK;
	}
	code = s3_auth_parse_header(header, auth);
	if (code == S3_INVALID_REQUEST)
		return s3_say(request, code, "Please use AWS4-HMAC-SHA256.");
	if (code == S3_INVALID_ARGUMENT)
		return s3_say(request, code, "Unsupported Authorization Type");
	if (code != S3_OK)
		return code;
	const char *date = s3_header(request, "x-amz-date");
	int64_t time_s;
	if (date == NULL && (date = s3_header(request, "date")) != NULL &&
	    s3_parse_http_date(date, &time_s) == 0) {
		struct tm tm;
		time_t t = (time_t)time_s;
		strftime(auth->amz_date, sizeof(auth->amz_date), "%Y%m%dT%H%M%SZ",
			 gmtime_r(&t, &tm));
	} else if (date == NULL || s3_auth_parse_time(date, &time_s) < 0) {
		return s3_say(request, S3_ACCESS_DENIED,
			      "AWS authentication requires a valid Date or x-amz-date header.");
	} else {
		memcpy(auth->amz_date, date, sizeof(auth->amz_date));
	}
	return S3_OK;
}

static enum s3_code check_region(struct s3_request *request)
{
	const char *region = request->server->config.region;

	if (strcmp(request->auth.region, region) == 0)
		return S3_OK;
	return s3_say(request,
		      request->auth.is_presigned ? S3_AUTH_QUERY_ERROR : S3_AUTH_HEADER_MALFORMED,
		      "The region '%s' is wrong; expecting '%s'", request->auth.region, region);
}

static enum s3_code check_time(struct s3_request *request)
{
	const struct s3_auth *auth = &request->auth;
	int64_t now_s = (int64_t)(eos_wall_ns() / EOS_NS_PER_S), then_s;

	if (s3_auth_parse_time(auth->amz_date, &then_s) < 0)
		return S3_ACCESS_DENIED;
	if (auth->is_presigned && now_s >= then_s + (int64_t)auth->expires_s)
		return s3_say(request, S3_ACCESS_DENIED, "Request has expired");
	if (then_s > now_s + S3_CLOCK_SKEW_S_MAX)
		return auth->is_presigned
			       ? s3_say(request, S3_ACCESS_DENIED, "Request is not valid yet")
			       : S3_TIME_TOO_SKEWED;
	if (!auth->is_presigned && then_s < now_s - (int64_t)S3_CLOCK_SKEW_S_MAX)
		return S3_TIME_TOO_SKEWED;
	if (memcmp(auth->amz_date, auth->day, strlen(auth->day)) != 0)
		return s3_say(request, S3_AUTH_HEADER_MALFORMED,
			      "Invalid credential date. This date is not the same as X-Amz-Date.");
	return S3_OK;
}

static const char *payload_text(const struct s3_request *request)
{
	const char *text = s3_header(request, "x-amz-content-sha256");
	if (text == NULL && request->auth.is_presigned)
		text = s3_query_get(&request->query, "X-Amz-Content-Sha256");
	if (text == NULL && (request->auth.is_presigned || request->is_anonymous))
		text = "UNSIGNED-PAYLOAD";
	return text;
}

static enum s3_code authenticate(struct s3_request *request)
{
	const struct s3_config *config = &request->server->config;
	struct s3_credentials credentials;

	/* A browser asks about a presigned URL, too, before it uses it: that is signed for another
	 * method, and what is answered is everybody's to know. */
	if (strcmp(http_request_method(request->http), "OPTIONS") == 0) {
		request->is_anonymous = true;
		return S3_OK;
	}
	enum s3_code code = read_auth(request);
	if (code != S3_OK || request->is_anonymous)
		return code;
	const char *payload = payload_text(request);
	if (payload == NULL)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Missing required header for this request: x-amz-content-sha256");
	if (config->find_credentials(config->ctx, request->auth.access_key, &credentials) < 0)
		return S3_INVALID_ACCESS_KEY;
	code = check_region(request);
	if (code == S3_OK)
		code = check_time(request);
	if (code == S3_OK) {
		const struct s3_sign_input input = {
			.method = http_request_method(request->http),
			.path = http_request_path(request->http),
			.query = &request->query,
			.headers = request->headers,
			.headers_count = request->headers_count,
			.payload = payload,
		};
		code = s3_auth_verify(&request->auth, &input, credentials.secret_key,
				      &request->signer);
		if (code == S3_ACCESS_DENIED)
			code = s3_say(request, code,
				      "There were headers present in the request which were not "
				      "signed");
	}
	if (code == S3_OK)
		memcpy(request->tenant, credentials.tenant, sizeof(request->tenant));
	explicit_bzero(&credentials, sizeof(credentials));
	return code;
}

static enum s3_code check_length(struct s3_request *request)
{
	uint64_t bytes;
	if (request->operation->body_use != S3_BODY_OBJECT)
		return S3_OK;
	if (!http_request_content_length(request->http, &bytes))
		return S3_MISSING_LENGTH;
	if (request->body.has_expected)
		bytes = request->body.expected_bytes;
	return bytes > S3_PUT_BYTES_MAX ? S3_ENTITY_TOO_LARGE : S3_OK;
}

static int xml_sink(void *ctx, const void *data, size_t len)
{
	struct s3_request *request = ctx;
	if (request->xml.len + len > S3_XML_BYTES_MAX)
		return -EFBIG;
	return eos_buf_append(&request->xml, data, len);
}

/* The bytes of a body that nobody asked for are only checked. */
static enum s3_code begin_body(struct s3_request *request)
{
	const char *text = payload_text(request);
	enum s3_payload payload;

	enum s3_code code = s3_payload_parse(text, &payload);
	if (code != S3_OK)
		return code;
	/* There is no key that chunks could be signed with. */
	if (request->is_anonymous &&
	    (payload == S3_PAYLOAD_STREAM_SIGNED || payload == S3_PAYLOAD_STREAM_SIGNED_TRAILER))
		return S3_ACCESS_DENIED;
	/* Elsewhere they are those of the object that the request is about. */
	bool has_sum = request->operation->body_use != S3_BODY_FORM &&
		       request->operation->end != s3_complete_multipart;
	code = s3_body_init(&request->body, payload, text, request->headers, request->headers_count,
			    &request->signer, has_sum);
	if (code != S3_OK)
		return code;
	request->has_body = true;
	if (request->operation->body_use == S3_BODY_XML)
		request->body.sink = xml_sink;
	else if (request->operation->body_use == S3_BODY_OBJECT)
		request->body.sink = s3_upload_sink;
	else if (request->operation->body_use == S3_BODY_FORM)
		request->body.sink = s3_post_sink;
	request->body.sink_ctx = request;
	return S3_OK;
}

static enum s3_code begin(struct s3_request *request)
{
	http_request_each_header(request->http, collect_header, request);
	if (request->headers_count > S3_HEADERS_MAX) {
		request->headers_count = 0;
		return s3_say(request, S3_INVALID_REQUEST, "Too many headers.");
	}
	int err = s3_query_parse(&request->query, http_request_query(request->http));
	if (err < 0)
		return err == -EINVAL ? S3_INVALID_URI : S3_INTERNAL_ERROR;
	enum s3_code code = authenticate(request);
	if (code != S3_OK) {
		eos_counter_add(&denied_total, 1);
		return code;
	}
	code = s3_route(request);
	/* Errors too are for the page that asked to see. */
	if (code == S3_OK && strcmp(request->operation->method, "OPTIONS") != 0)
		code = s3_cors_answer(request);
	if (code == S3_OK)
		code = s3_check_headers(request);
	if (code == S3_OK && request->operation->body_use != S3_BODY_FORM) {
		code = s3_access_check_request(request);
		if (code == S3_ACCESS_DENIED)
			eos_counter_add(&denied_total, 1);
	}
	if (code == S3_OK)
		code = begin_body(request);
	if (code == S3_OK)
		code = check_length(request);
	if (code == S3_OK && request->operation->begin != NULL)
		code = request->operation->begin(request);
	return code;
}

static struct s3_request *request_new(struct s3_server *server)
{
	struct s3_request *request = eos_spares_take(&server->spares);
	if (request == NULL)
		request = malloc(sizeof(*request));
	if (request == NULL)
		return NULL;
	memset(request, 0, offsetof(struct s3_request, query));
	request->query.storage = NULL;
	request->query.count = 0;
	request->query.initials = 0;
	request->key[0] = request->message[0] = '\0';
	memset(&request->auth, 0, offsetof(struct s3_auth, signed_headers) + 1);
	return request;
}

/* "00C0FFEE00C0FFEE". An odd multiplier spreads the counter over all bits and repeats no value. */
static void make_id(struct s3_server *server, char out[17])
{
	static const char digits[] = "0123456789ABCDEF";
	uint64_t n = atomic_fetch_add_explicit(&server->requests, 1, memory_order_relaxed);
	uint64_t id = server->seed ^ (n * UINT64_C(0x9E3779B97F4A7C15));
	for (size_t i = 0; i < 16; i++)
		out[i] = digits[id >> (60 - 4 * i) & 15];
	out[16] = '\0';
}

static void on_begin(void *ctx, struct http_request *http)
{
	struct s3_server *server = ctx;
	struct s3_request *request = request_new(server);

	eos_counter_add(&requests_total, 1);
	if (request == NULL) {
		http_respond(http, 503, NULL, 0, NULL, 0);
		return;
	}
	request->server = server;
	request->http = http;
	make_id(server, request->id);
	http_request_set_data(http, request);
	s3_add_header(request, "x-amz-request-id", request->id);
	enum s3_code code = begin(request);
	if (code != S3_OK)
		respond_error(request, code);
}

static void on_body(void *ctx, struct http_request *http, const void *data, size_t len)
{
	(void)ctx;
	struct s3_request *request = http_request_data(http);
	enum s3_code code = s3_body_feed(&request->body, data, len);
	if (code != S3_OK)
		respond_error(request, s3_post_code(request, code));
}

static void on_end(void *ctx, struct http_request *http)
{
	(void)ctx;
	struct s3_request *request = http_request_data(http);
	enum s3_code code = s3_body_finish(&request->body);
	/* A client can take its time for a document. Meanwhile its bucket may have been deleted and
	 * made again by another tenant, and its rights may have been taken. */
	if (code == S3_OK && request->operation->body_use == S3_BODY_XML)
		code = s3_access_check_request(request);
	if (code == S3_OK)
		code = request->operation->end(request);
	if (code != S3_OK)
		respond_error(request, code);
}

static void on_finish(void *ctx, struct http_request *http)
{
	struct s3_server *server = ctx;
	struct s3_request *request = http_request_data(http);
	if (request == NULL)
		return;
	request->upload = store_upload_abort(request->upload);
	free(request->object);
	s3_checksum_fini(&request->form_sum);
	free(request->multipart);
	s3_post_free(request);
	if (request->has_body)
		s3_body_fini(&request->body);
	eos_buf_fini(&request->xml);
	eos_buf_fini(&request->lifecycle);
	s3_query_fini(&request->query);
	explicit_bzero(&request->signer, sizeof(request->signer));
	explicit_bzero(&request->encryption, sizeof(request->encryption));
	free(eos_spares_give(&server->spares, request));
}

static const struct http_handler handler = {on_begin, on_body, on_end, on_finish};

static int prepare_store(struct store *store, struct eos_why *why)
{
	int err = store_bucket_create(store, S3_MULTIPART_BUCKET);
	if (err < 0 && err != -EEXIST)
		return eos_why(why, err, "cannot make the bucket for multipart uploads: %s",
			       strerror(-err));
	return 0;
}

int s3_server_new(const struct s3_config *config, struct store *store,
		  struct s3_server **ret_server, struct eos_why *why)
{
	struct s3_server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	s3_xml_read_init();
	server->config = *config;
	server->store = store;
	int err = crypto_random(&server->seed, sizeof(server->seed));
	if (err < 0)
		goto fail;
	err = prepare_store(store, why);
	if (err < 0)
		goto fail;
	const struct http_server_config http = {
		.address = config->address,
		.port = config->port,
		.connections_max = config->connections_max,
		.idle_timeout_s = IDLE_TIMEOUT_S,
		/* Chunked coding adds to the largest object; s3 itself knows the limit. */
		.body_bytes_max = 2 * S3_PUT_BYTES_MAX,
		.tls_certificate = config->tls_certificate,
		.tls_key = config->tls_key,
		.handler = &handler,
		.ctx = server,
	};
	const struct s3_lifecycle_config lifecycle = {
		.interval_ms = config->lifecycle_interval_ms,
		.day_ns = config->lifecycle_day_ns != 0 ? config->lifecycle_day_ns
							: S3_LIFECYCLE_DAY_NS,
	};
	err = s3_lifecycle_start(store, &lifecycle, &server->lifecycle);
	if (err < 0) {
		eos_why(why, err, "cannot start the lifecycle's thread: %s", strerror(-err));
		goto fail;
	}
	err = http_server_new(&http, &server->http, why);
	if (err < 0)
		goto fail;
	*ret_server = server;
	return 0;

fail:
	s3_lifecycle_stop(server->lifecycle);
	free(server);
	return err;
}

uint16_t s3_server_port(const struct s3_server *server)
{
	return http_server_port(server->http);
}

struct s3_server *s3_server_free(struct s3_server *server)
{
	if (server == NULL)
		return NULL;
	http_server_free(server->http);
	s3_lifecycle_stop(server->lifecycle);
	struct s3_request *request;
	while ((request = eos_spares_take(&server->spares)) != NULL)
		free(request);
	free(server);
	return NULL;
}
