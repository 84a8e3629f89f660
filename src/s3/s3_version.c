/*
 * Versions on the wire: "null", or the version's number in 16 hexadecimal digits. To clients an id
 * is a word without meaning.
 */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"

void s3_format_version(uint64_t version, char out[S3_VERSION_SIZE])
{
	if (version == STORE_VERSION_NULL)
		strcpy(out, "null");
	else
		snprintf(out, S3_VERSION_SIZE, "%016" PRIx64, version);
}

enum s3_code s3_parse_version(struct s3_request *request, const char *text, uint64_t *ret_version)
{
	uint8_t bytes[8];
	uint64_t version = 0;

	if (strcmp(text, "null") == 0) {
		*ret_version = STORE_VERSION_NULL;
		return S3_OK;
	}
	if (text[0] == '\0')
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Version id cannot be the empty string");
	if (eos_hex_decode(text, bytes, sizeof(bytes)) < 0)
		return s3_say(request, S3_INVALID_ARGUMENT, "Invalid version id specified");
	for (size_t i = 0; i < sizeof(bytes); i++)
		version = version << 8 | bytes[i];
	/* These two numbers mean something else. */
	if (version == STORE_VERSION_NULL || version == STORE_VERSION_LATEST)
		return s3_say(request, S3_INVALID_ARGUMENT, "Invalid version id specified");
	*ret_version = version;
	return S3_OK;
}

struct s3_place s3_place_of(const struct s3_request *request)
{
	return (struct s3_place){
		.bucket = request->bucket,
		.key = request->key,
		.key_len = request->key_len,
		.version = request->version,
	};
}

static bool keeps_versions(const struct s3_request *request, const char *bucket)
{
	struct store_bucket_settings settings;
	/* Of the request's own bucket that is known. */
	if (bucket == request->bucket)
		return request->settings.versioning != STORE_VERSIONING_OFF;
	return store_bucket_settings_get(request->server->store, bucket, &settings) == 0 &&
	       settings.versioning != STORE_VERSIONING_OFF;
}

void s3_add_version(struct s3_request *request, const char *name, const char *bucket,
		    uint64_t version)
{
	char text[S3_VERSION_SIZE];

	/* Only a bucket that keeps versions has one that is called "null". */
	if (version == STORE_VERSION_NULL && !keeps_versions(request, bucket))
		return;
	s3_format_version(version, text);
	s3_add_header(request, name, text);
}

void s3_add_new_version(struct s3_request *request)
{
	uint64_t version = request->object->version;
	if (version != STORE_VERSION_NULL)
		s3_add_version(request, "x-amz-version-id", request->bucket, version);
}

/* What there is to tell of a delete marker at PLACE; nothing of another's, such as a copy's source.
 */
static void add_marker_headers(struct s3_request *request, const struct s3_place *place,
			       const struct store_object_info *info)
{
	char modified[EOS_HTTP_DATE_SIZE];

	if (place->key != request->key)
		return;
	s3_add_header(request, "x-amz-delete-marker", "true");
	s3_add_version(request, "x-amz-version-id", place->bucket, info->version);
	/* Who did not name it sees no more of it. */
	if (place->version == STORE_VERSION_LATEST)
		return;
	eos_format_http_date(info->modified_ns, modified);
	s3_add_header(request, "Last-Modified", modified);
	s3_add_header(request, "Allow", "DELETE");
}

enum s3_code s3_missing(struct s3_request *request, const struct s3_place *place, int err)
{
	struct store *store = request->server->store;
	struct store_bucket_info bucket;
	enum s3_code code = S3_NO_SUCH_KEY;

	if (err != -ENOENT)
		return s3_code_of(err, S3_NO_SUCH_KEY);
	if (store_bucket_get(store, place->bucket, &bucket) == -ENOENT)
		return S3_NO_SUCH_BUCKET;
	struct store_object_info *info = malloc(sizeof(*info));
	if (info == NULL)
		return S3_INTERNAL_ERROR;
	info->is_delete_marker = false;
	err = store_object_get(store, place->bucket, place->key, place->key_len, place->version,
			       info);
	if (err == 0 && info->is_delete_marker) {
		add_marker_headers(request, place, info);
		code = S3_METHOD_NOT_ALLOWED;
	} else if (place->version != STORE_VERSION_LATEST) {
		code = S3_NO_SUCH_VERSION;
	} else if (err == -ENOENT && info->is_delete_marker) {
		add_marker_headers(request, place, info);
	}
	free(info);
	return code;
}

enum s3_code s3_open(struct s3_request *request, const struct s3_place *place,
		     const struct s3_customer_key *key, struct store_reader **ret_reader)
{
	struct store_reader *reader;
	int err = store_reader_open_encrypted(request->server->store, place->bucket, place->key,
					      place->key_len, place->version,
					      key->is_given ? key->key : NULL, &reader);
	if (err < 0)
		return s3_missing(request, place, err);
	enum s3_code code = s3_check_customer_key(request, key, store_reader_info(reader));
	if (code == S3_OK)
		*ret_reader = reader;
	else
		store_reader_close(reader);
	return code;
}

enum s3_code s3_find(struct s3_request *request, struct store_object_info *ret_info)
{
	const struct s3_place place = s3_place_of(request);
	int err = store_object_get(request->server->store, place.bucket, place.key, place.key_len,
				   place.version, ret_info);
	if (err < 0 || ret_info->is_delete_marker)
		return s3_missing(request, &place, err < 0 ? err : -ENOENT);
	s3_add_version(request, "x-amz-version-id", request->bucket, ret_info->version);
	return S3_OK;
}
