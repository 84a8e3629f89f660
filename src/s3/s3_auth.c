/*
 * The canonical request (AWS, "Authenticating Requests: Using the Authorization Header"):
 *
 *   METHOD \n path \n query \n { header ":" value \n } \n signed headers \n payload
 *
 * The path is decoded and encoded again once, so that it does not matter which characters the
 * client chose to encode on the wire; S3, unlike AWS's other services, does not encode twice and
 * does not remove dots. Values are trimmed and runs of spaces become one; repeated headers are
 * joined by commas.
 */
#include "s3/s3_auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "crypto/crypto.h"

static const char empty_sha256[] =
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void put_line(struct eos_buf *out, const char *text)
{
	eos_buf_puts(out, text);
	eos_buf_append(out, "\n", 1);
}

static int append_path(struct eos_buf *out, const char *path)
{
	char small[512];
	size_t len = strlen(path);
	char *decoded = len <= sizeof(small) ? small : malloc(len);
	if (decoded == NULL)
		return -ENOMEM;
	long n = eos_percent_decode(path, len, decoded);
	int err = n < 0 ? -EINVAL : eos_percent_encode(out, decoded, (size_t)n, true);
	if (decoded != small)
		free(decoded);
	return err;
}

static void append_value(struct eos_buf *out, const char *value)
{
	bool is_first = true;
	for (;;) {
		value += strspn(value, " \t");
		size_t len = strcspn(value, " \t");
		if (len == 0)
			return;
		if (!is_first)
			eos_buf_append(out, " ", 1);
		eos_buf_append(out, value, len);
		value += len;
		is_first = false;
	}
}

static int append_header(struct eos_buf *out, const struct s3_sign_input *input, const char *name,
			 size_t name_len)
{
	bool is_found = false;
	eos_buf_append(out, name, name_len);
	eos_buf_append(out, ":", 1);
	for (size_t i = 0; i < input->headers_count; i++) {
		const struct s3_header *header = &input->headers[i];
		if (strncasecmp(header->name, name, name_len) != 0 ||
		    header->name[name_len] != '\0')
			continue;
		if (is_found)
			eos_buf_append(out, ",", 1);
		append_value(out, header->value);
		is_found = true;
	}
	eos_buf_append(out, "\n", 1);
	return is_found ? 0 : -ENOENT;
}

int s3_auth_canonical(const struct s3_auth *auth, const struct s3_sign_input *input,
		      struct eos_buf *out)
{
	put_line(out, input->method);
	int err = append_path(out, input->path);
	if (err < 0)
		return err;
	eos_buf_append(out, "\n", 1);
	err = s3_query_canonical(input->query, auth->is_presigned ? "X-Amz-Signature" : NULL, out);
	if (err < 0)
		return err;
	eos_buf_append(out, "\n", 1);
	for (const char *at = auth->signed_headers;;) {
		size_t len = strcspn(at, ";");
		err = append_header(out, input, at, len);
		if (err < 0)
			return err;
		if (at[len] == '\0')
			break;
		at += len + 1;
	}
	eos_buf_append(out, "\n", 1);
	put_line(out, auth->signed_headers);
	eos_buf_puts(out, input->payload);
	return eos_buf_failed(out) ? -ENOMEM : 0;
}

static bool is_signed(const struct s3_auth *auth, const char *name)
{
	size_t name_len = strlen(name);
	for (const char *at = auth->signed_headers;;) {
		size_t len = strcspn(at, ";");
		if (len == name_len && strncasecmp(at, name, len) == 0)
			return true;
		if (at[len] == '\0')
			return false;
		at += len + 1;
	}
}

/* Host and everything that S3 gives a meaning to must be signed. A presigned URL may be used with
 * x-amz-content-sha256, which then says nothing. */
static bool covers_enough(const struct s3_auth *auth, const struct s3_sign_input *input)
{
	if (!is_signed(auth, "host"))
		return false;
	for (size_t i = 0; i < input->headers_count; i++) {
		const char *name = input->headers[i].name;
		if (strncasecmp(name, "x-amz-", 6) != 0 || is_signed(auth, name))
			continue;
		if (!auth->is_presigned || strcasecmp(name, "x-amz-content-sha256") != 0)
			return false;
	}
	return true;
}

/* A growing buffer would grow several times; malloc() has pieces up to a kilobyte at hand. */
#define CANONICAL_BYTES 1000u
#define SIGNED_BYTES	450u

static int derive_new_key(const struct s3_auth *auth, const char *secret_key, uint8_t ret_key[32])
{
	char first[4 + S3_SECRET_KEY_MAX + 1];
	uint8_t a[32], b[32];

	int n = snprintf(first, sizeof(first), "AWS4%s", secret_key);
	int err = crypto_hmac_sha256(first, (size_t)n, auth->day, strlen(auth->day), a);
	if (err == 0)
		err = crypto_hmac_sha256(a, 32, auth->region, strlen(auth->region), b);
	if (err == 0)
		err = crypto_hmac_sha256(b, 32, "s3", 2, a);
	if (err == 0)
		err = crypto_hmac_sha256(a, 32, "aws4_request", 12, ret_key);
	explicit_bzero(first, sizeof(first));
	explicit_bzero(a, sizeof(a));
	explicit_bzero(b, sizeof(b));
	return err;
}

/* The key that a thread derived last: clients use one for a whole day, over connections that have
 * threads of their own. */
static _Thread_local struct {
	char secret_key[S3_SECRET_KEY_MAX + 1];
	char day[sizeof(((struct s3_auth *)NULL)->day)];
	char region[sizeof(((struct s3_auth *)NULL)->region)];
	uint8_t key[32];
} derived;

static int derive_key(const struct s3_auth *auth, const char *secret_key, uint8_t ret_key[32])
{
	if (derived.day[0] == '\0' || strcmp(derived.secret_key, secret_key) != 0 ||
	    strcmp(derived.day, auth->day) != 0 || strcmp(derived.region, auth->region) != 0) {
		derived.day[0] = '\0';
		int err = derive_new_key(auth, secret_key, derived.key);
		if (err < 0)
			return err;
		snprintf(derived.secret_key, sizeof(derived.secret_key), "%s", secret_key);
		memcpy(derived.region, auth->region, sizeof(derived.region));
		memcpy(derived.day, auth->day, sizeof(derived.day));
	}
	memcpy(ret_key, derived.key, sizeof(derived.key));
	return 0;
}

/* Signs KIND, date, scope and TEXT's lines. */
static int sign(const struct s3_signer *signer, const char *kind, const char *text,
		char ret_signature[S3_SIGNATURE_SIZE])
{
	struct eos_buf buf;
	uint8_t mac[32];

	eos_buf_init(&buf);
	eos_buf_reserve(&buf, SIGNED_BYTES);
	put_line(&buf, kind);
	put_line(&buf, signer->amz_date);
	put_line(&buf, signer->scope);
	eos_buf_puts(&buf, text);
	int err = eos_buf_failed(&buf)
			  ? -ENOMEM
			  : crypto_hmac_sha256(signer->key, 32, buf.data, buf.len, mac);
	if (err == 0)
		eos_hex_encode(mac, sizeof(mac), ret_signature);
	eos_buf_fini(&buf);
	return err;
}

/* Both have their bounds in their types. */
static void put_scope(const struct s3_auth *auth,
		      char out[sizeof(((struct s3_signer *)NULL)->scope)])
{
	out = stpcpy(out, auth->day);
	*out++ = '/';
	out = stpcpy(out, auth->region);
	strcpy(out, "/s3/aws4_request");
}

static int sign_request(const struct s3_auth *auth, const struct s3_sign_input *input,
			const char *secret_key, struct s3_signer *signer)
{
	struct eos_buf canonical;
	uint8_t hash[32];
	char hex[S3_SIGNATURE_SIZE];

	eos_buf_init(&canonical);
	eos_buf_reserve(&canonical, CANONICAL_BYTES);
	int err = s3_auth_canonical(auth, input, &canonical);
	if (err == 0)
		err = crypto_sha256(canonical.data, canonical.len, hash);
	eos_buf_fini(&canonical);
	if (err < 0)
		return err;
	eos_hex_encode(hash, sizeof(hash), hex);
	memcpy(signer->amz_date, auth->amz_date, sizeof(signer->amz_date));
	put_scope(auth, signer->scope);
	err = derive_key(auth, secret_key, signer->key);
	return err < 0 ? err : sign(signer, "AWS4-HMAC-SHA256", hex, signer->previous);
}

enum s3_code s3_auth_verify(const struct s3_auth *auth, const struct s3_sign_input *input,
			    const char *secret_key, struct s3_signer *ret_signer)
{
	struct s3_signer signer = {0};

	int err = sign_request(auth, input, secret_key, &signer);
	enum s3_code code = S3_OK;
	if (err == -EINVAL)
		code = S3_INVALID_URI;
	else if (err == -ENOENT)
		code = S3_SIGNATURE_MISMATCH;
	else if (err < 0)
		code = S3_INTERNAL_ERROR;
	else if (!crypto_equal(signer.previous, auth->signature, S3_SIGNATURE_SIZE - 1))
		code = S3_SIGNATURE_MISMATCH;
	else if (!covers_enough(auth, input))
		code = S3_ACCESS_DENIED;
	if (code == S3_OK)
		*ret_signer = signer;
	explicit_bzero(&signer, sizeof(signer));
	return code;
}

enum s3_code s3_auth_verify_text(const struct s3_auth *auth, const char *text,
				 const char *secret_key)
{
	uint8_t key[32], mac[32];
	char expected[S3_SIGNATURE_SIZE];

	int err = derive_key(auth, secret_key, key);
	if (err == 0)
		err = crypto_hmac_sha256(key, sizeof(key), text, strlen(text), mac);
	explicit_bzero(key, sizeof(key));
	if (err < 0)
		return S3_INTERNAL_ERROR;
	eos_hex_encode(mac, sizeof(mac), expected);
	return crypto_equal(expected, auth->signature, S3_SIGNATURE_SIZE - 1)
		       ? S3_OK
		       : S3_SIGNATURE_MISMATCH;
}

static int check(struct s3_signer *signer, const char *kind, const char *text,
		 const char *signature)
{
	char expected[S3_SIGNATURE_SIZE];

	int err = sign(signer, kind, text, expected);
	if (err < 0)
		return err;
	if (strlen(signature) != S3_SIGNATURE_SIZE - 1 ||
	    !crypto_equal(expected, signature, S3_SIGNATURE_SIZE - 1))
		return -EBADMSG;
	memcpy(signer->previous, expected, sizeof(signer->previous));
	return 0;
}

int s3_signer_check_chunk(struct s3_signer *signer, const uint8_t sha256[32], const char *signature)
{
	char text[3 * S3_SIGNATURE_SIZE];
	int n = snprintf(text, sizeof(text), "%s\n%s\n", signer->previous, empty_sha256);
	eos_hex_encode(sha256, 32, text + n);
	return check(signer, "AWS4-HMAC-SHA256-PAYLOAD", text, signature);
}

int s3_signer_check_trailers(struct s3_signer *signer, const char *canonical, size_t len,
			     const char *signature)
{
	char text[2 * S3_SIGNATURE_SIZE];
	uint8_t hash[32];

	int err = crypto_sha256(canonical, len, hash);
	if (err < 0)
		return err;
	int n = snprintf(text, sizeof(text), "%s\n", signer->previous);
	eos_hex_encode(hash, 32, text + n);
	return check(signer, "AWS4-HMAC-SHA256-TRAILER", text, signature);
}
