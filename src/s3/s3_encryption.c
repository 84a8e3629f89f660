/* Server-side encryption: s3_encryption.h. */
#include "s3/s3_encryption.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_multipart.h"
#include "s3/s3_object_priv.h"

#define SSE    "x-amz-server-side-encryption"
#define SOURCE "x-amz-copy-source-server-side-encryption"

struct names {
	const char *algorithm, *key, *md5;
};
static const struct names own_names = {SSE "-customer-algorithm", SSE "-customer-key",
				       SSE "-customer-key-md5"};
static const struct names source_names = {SOURCE "-customer-algorithm", SOURCE "-customer-key",
					  SOURCE "-customer-key-md5"};

/* What is sent in plain stays on this machine. */
static bool is_private(const struct s3_request *request)
{
	const char *address = request->server->config.address;
	return http_request_is_secure(request->http) ||
	       (address != NULL &&
		(eos_str_starts_with(address, "127.") || strcmp(address, "::1") == 0));
}

static enum s3_code invalid(struct s3_request *request, const char *what)
{
	return s3_say(request, S3_INVALID_ARGUMENT,
		      "Requests specifying Server Side Encryption with Customer provided keys must "
		      "provide %s.",
		      what);
}

static enum s3_code decode_key(struct s3_request *request, const char *key, const char *md5,
			       struct s3_customer_key *ret)
{
	struct crypto_hash *hash = NULL;
	uint8_t bytes[48], digest[CRYPTO_MD5_SIZE];
	size_t len = strlen(key);
	/* 44 digits are 32 bytes; what is longer is not looked at. */
	long n = len == 44 ? crypto_base64_decode(key, len, bytes) : -EINVAL;
	if (n != STORE_CUSTOMER_KEY_SIZE)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The secret key was invalid for the specified algorithm.");
	int err = crypto_hash_new(CRYPTO_MD5, &hash);
	if (err == 0)
		err = crypto_hash_update(hash, bytes, STORE_CUSTOMER_KEY_SIZE);
	if (err == 0)
		err = crypto_hash_final(hash, digest);
	crypto_hash_free(hash);
	if (err == 0) {
		crypto_base64_encode(digest, sizeof(digest), ret->md5);
		memcpy(ret->key, bytes, sizeof(ret->key));
		ret->is_given = true;
	}
	explicit_bzero(bytes, sizeof(bytes));
	if (err < 0)
		return S3_INTERNAL_ERROR;
	if (strcmp(ret->md5, md5) != 0)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The calculated MD5 hash of the key did not match the hash that was "
			      "provided.");
	return S3_OK;
}

static enum s3_code read_key(struct s3_request *request, const struct names *names,
			     struct s3_customer_key *ret)
{
	const char *algorithm = s3_header(request, names->algorithm);
	const char *key = s3_header(request, names->key);
	const char *md5 = s3_header(request, names->md5);

	if (algorithm == NULL && key == NULL && md5 == NULL)
		return S3_OK;
	if (!is_private(request))
		return s3_say(request, S3_INVALID_REQUEST,
			      "Requests specifying Server Side Encryption with Customer provided "
			      "keys must be made over a secure connection.");
	if (algorithm == NULL)
		return invalid(request, "a valid encryption algorithm");
	if (strcmp(algorithm, "AES256") != 0)
		return S3_INVALID_ENCRYPTION;
	if (key == NULL)
		return invalid(request, "an appropriate secret key");
	if (md5 == NULL)
		return invalid(request, "the client calculated MD5 of the secret key");
	return decode_key(request, key, md5, ret);
}

static bool makes_objects(const struct s3_operation *operation)
{
	return operation->begin == s3_put_object_begin || operation->end == s3_copy_object ||
	       operation->end == s3_create_multipart || operation->body_use == S3_BODY_FORM;
}

/* x-amz-server-side-encryption and what belongs to KMS. */
static enum s3_code read_sse(struct s3_request *request)
{
	const char *sse = s3_header(request, SSE);
	const char *kms_key = s3_header(request, SSE "-aws-kms-key-id");

	if (sse == NULL && kms_key == NULL)
		return S3_OK;
	if (request->encryption.customer.is_given)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Server Side Encryption with Customer provided key is incompatible "
			      "with the encryption method specified.");
	if (!makes_objects(request->operation))
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "%s header is not supported for this operation.", SSE);
	if (sse == NULL)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "%s-aws-kms-key-id is not applicable without %s.", SSE, SSE);
	if (strcmp(sse, "aws:kms") == 0 || strcmp(sse, "aws:kms:dsse") == 0)
		return s3_say(request, S3_NOT_IMPLEMENTED, "Keys of KMS are not implemented.");
	if (strcmp(sse, "AES256") != 0)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The encryption method specified is not supported.");
	if (kms_key != NULL)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The encryption method specified has no key of KMS.");
	request->encryption.is_wanted = true;
	return S3_OK;
}

enum s3_code s3_read_encryption(struct s3_request *request)
{
	memset(&request->encryption, 0, sizeof(request->encryption));
	enum s3_code code = read_key(request, &own_names, &request->encryption.customer);
	if (code == S3_OK)
		code = read_key(request, &source_names, &request->encryption.source);
	return code == S3_OK ? read_sse(request) : code;
}

static enum s3_code tell(struct s3_request *request, const char *name, const char *value)
{
	return http_request_add_header(request->http, name, value) < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

static enum s3_code tell_customer_key(struct s3_request *request)
{
	enum s3_code code = tell(request, SSE "-customer-algorithm", "AES256");
	return code == S3_OK
		       ? tell(request, SSE "-customer-key-MD5", request->encryption.customer.md5)
		       : code;
}

enum s3_code s3_take_encryption(struct s3_request *request, struct store_object_info *info)
{
	char wrapped[STORE_CUSTOMER_KEY_TEXT_SIZE];

	if (request->encryption.customer.is_given) {
		int err = store_customer_key_make(request->server->store,
						  request->encryption.customer.key, wrapped);
		if (err < 0)
			return s3_code_of(err, S3_INTERNAL_ERROR);
		if (store_metadata_add(info, STORE_META_CUSTOMER_KEY, wrapped) < 0)
			return S3_METADATA_TOO_LARGE;
		return tell_customer_key(request);
	}
	if (!request->settings.is_encrypted && !request->encryption.is_wanted)
		return S3_OK;
	if (store_metadata_add(info, S3_METADATA_SSE, "AES256") < 0)
		return S3_METADATA_TOO_LARGE;
	return tell(request, SSE, "AES256");
}

enum s3_code s3_take_part_encryption(struct s3_request *request, struct store_object_info *info)
{
	const struct store_object_info *entry = &request->multipart->info;
	const char *wrapped = store_metadata_get(entry, S3_METADATA_TO_BE STORE_META_CUSTOMER_KEY);
	bool is_given = request->encryption.customer.is_given;

	if (wrapped != NULL && !is_given)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The multipart upload initiate requested encryption. Subsequent part "
			      "requests must include the appropriate encryption parameters.");
	if (wrapped == NULL && is_given)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The multipart upload initiate did not request encryption. Please "
			      "resend the request without sending encryption parameters.");
	if (wrapped == NULL)
		return store_metadata_get(entry, S3_METADATA_TO_BE S3_METADATA_SSE) != NULL
			       ? tell(request, SSE, "AES256")
			       : S3_OK;
	if (store_metadata_add(info, STORE_META_CUSTOMER_KEY, wrapped) < 0)
		return S3_METADATA_TOO_LARGE;
	return tell_customer_key(request);
}

int s3_begin_encrypted(struct s3_request *request, const char *bucket, const char *key,
		       size_t key_len, const struct store_object_info *info,
		       struct store_upload **ret_upload)
{
	const struct s3_customer_key *customer = &request->encryption.customer;
	const struct store_upload_encryption encryption = {
		.is_encrypted = store_metadata_get(info, S3_METADATA_SSE) != NULL,
		.customer_key = customer->is_given ? customer->key : NULL,
	};
	return store_upload_begin_encrypted(request->server->store, bucket, key, key_len, info,
					    &encryption, ret_upload);
}

enum s3_code s3_check_customer_key(struct s3_request *request, const struct s3_customer_key *key,
				   const struct store_object_info *info)
{
	bool is_needed = info->encryption == STORE_ENCRYPTED_BY_CUSTOMER;

	if (is_needed && !key->is_given)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The object was stored using a form of Server Side Encryption. The "
			      "correct parameters must be provided to retrieve the object.");
	if (!is_needed && key->is_given)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The encryption parameters are not applicable to this object.");
	return S3_OK;
}

void s3_add_encryption(struct s3_request *request, const struct store_object_info *info)
{
	if (info->encryption == STORE_ENCRYPTED) {
		s3_add_header(request, SSE, "AES256");
	} else if (info->encryption == STORE_ENCRYPTED_BY_CUSTOMER) {
		s3_add_header(request, SSE "-customer-algorithm", "AES256");
		s3_add_header(request, SSE "-customer-key-MD5", request->encryption.customer.md5);
	}
}
