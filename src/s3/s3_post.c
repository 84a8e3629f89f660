/*
 * Uploads by HTML forms: POST to a bucket with multipart/form-data.
 *
 * The form's fields stand before the file. When the file begins, all that is needed is there: the
 * signature over the policy is checked, the policy against the fields, the sender's access like any
 * other's, and from there on the request is a PutObject whose headers were the fields.
 *
 * The signature is version 4's or, only here, version 2's: an HMAC-SHA1 of the policy, which many
 * forms still have. A policy of the bucket can refuse it (s3:signatureversion).
 */
#include "s3/s3_post.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_access.h"
#include "s3/s3_form.h"
#include "s3/s3_post_policy.h"
#include "s3/s3_priv.h"
#include "s3/s3_xml.h"

struct s3_post {
	struct s3_request *request;
	struct s3_form form;
	struct s3_post_form fields;
	struct s3_post_limits limits;
	uint64_t bytes;
	enum s3_code code; /* why the form was refused */
};

/* Keeps CODE for s3_post_code(), which is asked when the body ends with this errno. */
static int fail(struct s3_post *post, enum s3_code code)
{
	if (code == S3_OK)
		return 0;
	post->code = code;
	return -ECANCELED;
}

enum s3_code s3_post_code(const struct s3_request *request, enum s3_code code)
{
	return request->post != NULL && request->post->code != S3_OK ? request->post->code : code;
}

static int on_field(void *ctx, const char *name, const char *value, size_t len)
{
	struct s3_post *post = ctx;
	if (memchr(value, '\0', len) != NULL || !eos_utf8_is_valid(value, len))
		return fail(post, s3_say(post->request, S3_INVALID_ARGUMENT,
					 "The field %.80s is not text.", name));
	int err = s3_post_form_add(&post->fields, name, value, len);
	if (err == -EEXIST || err == -EMFILE)
		return fail(post, s3_say(post->request, S3_INVALID_ARGUMENT,
					 err == -EEXIST ? "The field %.80s stands there twice."
							: "Too many fields: %.80s",
					 name));
	return err;
}

static void take_signer(struct s3_post *post, struct s3_credentials *credentials)
{
	post->request->is_anonymous = false;
	post->request->is_form = true;
	memcpy(post->request->tenant, credentials->tenant, sizeof(credentials->tenant));
}

/* Version 2: SIGNATURE is in base64, and nothing but the policy says how long it is good. */
static enum s3_code check_old_signature(struct s3_post *post, const char *policy,
					const char *signature)
{
	const struct s3_config *config = &post->request->server->config;
	const char *access_key = s3_post_form_get(&post->fields, "AWSAccessKeyId");
	char expected[4 * ((CRYPTO_SHA1_SIZE + 2) / 3) + 1];
	struct s3_credentials credentials;
	uint8_t mac[CRYPTO_SHA1_SIZE];

	if (access_key == NULL)
		return s3_say(post->request, S3_INVALID_ARGUMENT,
			      "Bucket POST must contain a field named 'AWSAccessKeyId'.");
	if (config->find_credentials(config->ctx, access_key, &credentials) < 0)
		return S3_INVALID_ACCESS_KEY;
	enum s3_code code = S3_INTERNAL_ERROR;
	if (crypto_hmac_sha1(credentials.secret_key, strlen(credentials.secret_key), policy,
			     strlen(policy), mac) == 0) {
		crypto_base64_encode(mac, sizeof(mac), expected);
		code = strlen(signature) == strlen(expected) &&
				       crypto_equal(signature, expected, strlen(expected))
			       ? S3_OK
			       : S3_SIGNATURE_MISMATCH;
	}
	if (code == S3_OK)
		take_signer(post, &credentials);
	explicit_bzero(&credentials, sizeof(credentials));
	return code;
}

static enum s3_code check_signature(struct s3_post *post, const char *policy)
{
	const struct s3_config *config = &post->request->server->config;
	const struct s3_post_form *fields = &post->fields;
	const char *old = s3_post_form_get(fields, "signature");
	const char *algorithm = s3_post_form_get(fields, "x-amz-algorithm");
	const char *credential = s3_post_form_get(fields, "x-amz-credential");
	const char *date = s3_post_form_get(fields, "x-amz-date");
	const char *signature = s3_post_form_get(fields, "x-amz-signature");
	struct s3_credentials credentials;
	struct s3_auth auth;

	if (old != NULL && signature != NULL)
		return s3_say(post->request, S3_INVALID_ARGUMENT,
			      "Only one auth mechanism is allowed.");
	if (old != NULL)
		return check_old_signature(post, policy, old);
	if (algorithm == NULL || credential == NULL || date == NULL || signature == NULL)
		return s3_say(post->request, S3_INVALID_ARGUMENT,
			      "Bucket POST must contain fields X-Amz-Algorithm, X-Amz-Credential, "
			      "X-Amz-Date and X-Amz-Signature.");
	enum s3_code code = s3_auth_parse_form(algorithm, credential, date, signature, &auth);
	if (code != S3_OK)
		return code;
	if (strcmp(auth.region, config->region) != 0)
		return s3_say(post->request, S3_INVALID_ARGUMENT,
			      "The region '%s' is wrong; expecting '%s'", auth.region,
			      config->region);
	if (config->find_credentials(config->ctx, auth.access_key, &credentials) < 0)
		return S3_INVALID_ACCESS_KEY;
	code = s3_auth_verify_text(&auth, policy, credentials.secret_key);
	if (code == S3_OK)
		take_signer(post, &credentials);
	explicit_bzero(&credentials, sizeof(credentials));
	return code;
}

static enum s3_code check_policy(struct s3_post *post, const char *policy)
{
	struct s3_request *request = post->request;
	struct eos_why why = {""};
	size_t len = strlen(policy);
	uint8_t *text = malloc(len + 4);

	if (text == NULL)
		return S3_INTERNAL_ERROR;
	long n = crypto_base64_decode(policy, len, text);
	int err = n < 0 ? eos_why(&why, -EINVAL, "Invalid Policy: it is not base64")
			: s3_post_policy_check((const char *)text, (size_t)n, &post->fields,
					       request->bucket, request->key,
					       (int64_t)(eos_wall_ns() / EOS_NS_PER_S),
					       &post->limits, &why);
	free(text);
	if (err == -EINVAL)
		return s3_say(request, S3_INVALID_POLICY_DOCUMENT, "%s", why.text);
	if (err == -EACCES || err == -ETIME)
		return s3_say(request, S3_ACCESS_DENIED, "%s", why.text);
	return err < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

/* The field "key", with the file's name where it asks for that. */
static enum s3_code take_key(struct s3_post *post, const char *filename)
{
	struct s3_request *request = post->request;
	EOS_CLEANUP(eos_buf_fini) struct eos_buf key = {0};
	const char *text = s3_post_form_get(&post->fields, "key");

	if (text == NULL || text[0] == '\0')
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Bucket POST must contain a field named 'key'.");
	/* Browsers of old sent whole paths. */
	for (const char *c = filename; *c != '\0'; c++)
		if (*c == '/' || *c == '\\')
			filename = c + 1;
	for (const char *word; (word = strstr(text, S3_POST_FILENAME)) != NULL;) {
		eos_buf_append(&key, text, (size_t)(word - text));
		eos_buf_puts(&key, filename);
		text = word + strlen(S3_POST_FILENAME);
	}
	eos_buf_puts(&key, text);
	if (eos_buf_failed(&key))
		return S3_INTERNAL_ERROR;
	if (key.len > STORE_KEY_MAX)
		return S3_KEY_TOO_LONG;
	if (key.len == 0 || !eos_utf8_is_valid(key.data, key.len))
		return s3_say(request, S3_INVALID_ARGUMENT, "The key is not valid UTF-8.");
	memcpy(request->key, key.data, key.len + 1);
	request->key_len = key.len;
	return S3_OK;
}

static bool is_kept_header(const char *name)
{
	static const char *const kept[] = {"host", "origin", "referer", "user-agent"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kept); i++)
		if (strcasecmp(name, kept[i]) == 0)
			return true;
	return false;
}

/* A field's bytes are any, but a header's go into answers: RFC 9110's tokens and values. */
static bool can_be_header(const struct s3_post_field *field)
{
	size_t len = strspn(field->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789!#$%&'*+-.^_`|~");
	if (len == 0 || field->name[len] != '\0')
		return false;
	for (const char *c = field->value; *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return false;
	return true;
}

/* From here on the fields are the request's headers; its own were about the form. */
static enum s3_code take_headers(struct s3_post *post)
{
	static const char *const ours[] = {"key",
					   "policy",
					   "bucket",
					   "success_action_status",
					   "redirect",
					   "submit",
					   "success_action_redirect",
					   "x-amz-signature",
					   "x-amz-date",
					   "x-amz-credential",
					   "x-amz-algorithm",
					   "AWSAccessKeyId",
					   "signature",
					   "tagging"};
	struct s3_request *request = post->request;
	size_t count = 0;

	for (size_t i = 0; i < request->headers_count; i++)
		if (is_kept_header(request->headers[i].name))
			request->headers[count++] = request->headers[i];
	for (size_t i = 0; i < post->fields.count; i++) {
		const struct s3_post_field *field = &post->fields.fields[i];
		bool is_ours = is_kept_header(field->name);
		for (size_t k = 0; k < EOS_ARRAY_SIZE(ours); k++)
			is_ours = is_ours || strcasecmp(field->name, ours[k]) == 0;
		if (is_ours || strncasecmp(field->name, "x-ignore-", 9) == 0)
			continue;
		if (!can_be_header(field))
			return s3_say(request, S3_INVALID_ARGUMENT,
				      "A field holds what no header can.");
		if (count == S3_HEADERS_MAX)
			return S3_INVALID_REQUEST;
		const char *name = strcasecmp(field->name, "acl") == 0 ? "x-amz-acl" : field->name;
		request->headers[count++] = (struct s3_header){name, field->value};
	}
	request->headers_count = count;
	return s3_check_headers(request);
}

static enum s3_code begin_file(struct s3_post *post, const char *filename)
{
	struct s3_request *request = post->request;
	const char *policy = s3_post_form_get(&post->fields, "policy");
	const char *bucket = s3_post_form_get(&post->fields, "bucket");
	bool is_signed = s3_post_form_get(&post->fields, "x-amz-signature") != NULL ||
			 s3_post_form_get(&post->fields, "signature") != NULL;

	if (bucket != NULL && strcmp(bucket, request->bucket) != 0)
		return s3_say(request, S3_ACCESS_DENIED,
			      "Invalid according to Policy: the form is for another bucket.");
	if (is_signed != (policy != NULL))
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The fields policy and signature go together.");
	enum s3_code code = take_key(post, filename);
	if (code == S3_OK && policy != NULL)
		code = check_signature(post, policy);
	if (code == S3_OK && policy != NULL)
		code = check_policy(post, policy);
	if (code == S3_OK)
		code = take_headers(post);
	if (code == S3_OK)
		code = s3_access_check_request(request);
	return code == S3_OK ? s3_put_object_begin(request) : code;
}

static int on_file(void *ctx, const char *filename)
{
	struct s3_post *post = ctx;
	return fail(post, begin_file(post, filename));
}

static int on_data(void *ctx, const void *data, size_t len)
{
	struct s3_post *post = ctx;
	post->bytes += len;
	if (post->bytes > post->limits.max_bytes || post->bytes > S3_PUT_BYTES_MAX)
		return fail(post, S3_ENTITY_TOO_LARGE);
	return s3_upload_sink(post->request, data, len);
}

int s3_post_sink(void *ctx, const void *data, size_t len)
{
	struct s3_request *request = ctx;
	struct s3_post *post = request->post;
	int err = s3_form_feed(&post->form, data, len);
	if (err == -EINVAL)
		return fail(post, S3_MALFORMED_POST);
	if (err == -EFBIG && post->code == S3_OK)
		return fail(post, s3_say(request, S3_MALFORMED_POST,
					 "Your POST request fields preceding the upload file were "
					 "too large."));
	return err;
}

enum s3_code s3_post_begin(struct s3_request *request)
{
	const char *type = s3_header(request, "content-type");
	const struct s3_form_handler handler = {
		.field = on_field, .file = on_file, .data = on_data};

	if (!request->is_anonymous)
		return s3_say(request, S3_INVALID_ARGUMENT, "Only one auth mechanism is allowed.");
	request->post = calloc(1, sizeof(*request->post));
	if (request->post == NULL)
		return S3_INTERNAL_ERROR;
	request->post->request = request;
	request->post->limits.max_bytes = UINT64_MAX;
	int err = s3_form_init(&request->post->form, type != NULL ? type : "", &handler);
	request->post->form.handler.ctx = request->post;
	if (err == -EINVAL)
		return s3_say(request, S3_PRECONDITION_FAILED,
			      "Bucket POST must be of the enclosure-type multipart/form-data");
	return err < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

void s3_post_free(struct s3_request *request)
{
	if (request->post == NULL)
		return;
	s3_form_fini(&request->post->form);
	s3_post_form_fini(&request->post->fields);
	free(request->post);
	request->post = NULL;
}

/* 303 to where the form wants the browser to be. False: it names nothing of that kind. */
static bool redirect(struct s3_request *request, const struct http_header *etag)
{
	struct s3_post_form *fields = &request->post->fields;
	EOS_CLEANUP(eos_buf_fini) struct eos_buf url = {0};
	const char *target = s3_post_form_get(fields, "success_action_redirect");

	if (target == NULL)
		target = s3_post_form_get(fields, "redirect");
	for (const char *c = target; c != NULL && *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	if (target == NULL ||
	    (!eos_str_starts_with(target, "http://") && !eos_str_starts_with(target, "https://")))
		return false;
	eos_buf_printf(&url, "%s%sbucket=%s&key=", target, strchr(target, '?') != NULL ? "&" : "?",
		       request->bucket);
	eos_percent_encode(&url, request->key, request->key_len, false);
	eos_buf_puts(&url, "&etag=");
	eos_percent_encode(&url, etag->value, strlen(etag->value), false);
	if (eos_buf_failed(&url))
		return false;
	const struct http_header headers[] = {*etag, {"Location", url.data}};
	s3_respond(request, 303, headers, EOS_ARRAY_SIZE(headers), NULL, 0);
	return true;
}

/* Where the object is, in the style that the form was sent in. */
static int add_location(struct s3_request *request, struct eos_buf *url)
{
	const char *host = s3_header(request, "host");
	bool is_in_host = strcmp(http_request_path(request->http), "/") == 0;

	eos_buf_printf(url, "%s://%s/", http_request_is_secure(request->http) ? "https" : "http",
		       host != NULL ? host : "");
	if (!is_in_host)
		eos_buf_printf(url, "%s/", request->bucket);
	eos_percent_encode(url, request->key, request->key_len, true);
	return eos_buf_failed(url) ? -ENOMEM : 0;
}

static enum s3_code respond(struct s3_request *request, const struct http_header *etag)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf buf = {0}, url = {0};
	const char *status = s3_post_field(request, "success_action_status");

	if (add_location(request, &url) < 0)
		return S3_INTERNAL_ERROR;
	const struct http_header headers[] = {
		*etag, {"Location", url.data}, {"Content-Type", "application/xml"}};
	if (status == NULL || strcmp(status, "201") != 0) {
		bool is_200 = status != NULL && strcmp(status, "200") == 0;
		s3_respond(request, is_200 ? 200 : 204, headers, 2, NULL, 0);
		return S3_OK;
	}
	eos_buf_puts(&buf, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse>");
	s3_xml_text(&buf, "Location", url.data);
	s3_xml_text(&buf, "Bucket", request->bucket);
	s3_xml_bytes(&buf, "Key", request->key, request->key_len);
	s3_xml_text(&buf, "ETag", etag->value);
	s3_xml_close(&buf, "PostResponse");
	if (eos_buf_failed(&buf))
		return S3_INTERNAL_ERROR;
	s3_respond(request, 201, headers, EOS_ARRAY_SIZE(headers), buf.data, buf.len);
	return S3_OK;
}

const char *s3_post_field(const struct s3_request *request, const char *name)
{
	return request->post != NULL ? s3_post_form_get(&request->post->fields, name) : NULL;
}

enum s3_code s3_post_end(struct s3_request *request)
{
	struct s3_post *post = request->post;
	char etag[80];

	if (s3_form_finish(&post->form) < 0)
		return s3_say(request, S3_MALFORMED_POST,
			      "The form ends before its file does, or has none.");
	if (post->bytes < post->limits.min_bytes)
		return S3_ENTITY_TOO_SMALL;
	enum s3_code code = s3_post_commit(request, etag, sizeof(etag));
	if (code != S3_OK)
		return code;
	const struct http_header header = {"ETag", etag};
	return redirect(request, &header) ? S3_OK : respond(request, &header);
}
