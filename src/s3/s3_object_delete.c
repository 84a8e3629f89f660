/* DeleteObject, DeleteObjects. */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_access.h"
#include "s3/s3_xml.h"

/* That the latest version of PLACE matches IF_MATCH, as something the store checks again when it
 * removes it: the store's own ETag, which is not always the one that clients see. */
static enum s3_code read_match(struct s3_request *request, const struct s3_place *place,
			       const char *if_match, struct store_removal *removal)
{
	struct store_object_info *info = malloc(sizeof(*info));
	const struct s3_condition_headers headers = {.if_match = if_match};

	if (info == NULL)
		return S3_INTERNAL_ERROR;
	int err = store_object_get(request->server->store, place->bucket, place->key,
				   place->key_len, place->version, info);
	enum s3_code code =
		err < 0 ? s3_code_of(err, S3_NO_SUCH_KEY) : s3_check_conditions(&headers, info);
	if (code == S3_OK)
		memcpy(removal->etag, info->etag, sizeof(removal->etag));
	free(info);
	return code;
}

static enum s3_code remove_place(struct s3_request *request, const struct s3_place *place,
				 const char *if_match, struct store_removed *removed)
{
	struct store_removal removal = {
		.version = place->version,
		.bypasses_governance = s3_bypasses_governance(request),
	};
	enum s3_code code = S3_OK;

	if (if_match != NULL)
		code = read_match(request, place, if_match, &removal);
	if (code != S3_OK)
		return code;
	*removed = (struct store_removed){.version = place->version};
	int err = store_object_delete(request->server->store, place->bucket, place->key,
				      place->key_len, &removal, removed);
	/* What is not there is as good as deleted. */
	if (err == -ENOENT)
		return S3_OK;
	return s3_code_of(err, S3_NO_SUCH_KEY);
}

enum s3_code s3_delete_object(struct s3_request *request)
{
	const struct s3_place place = s3_place_of(request);
	struct store_bucket_info bucket;
	struct store_removed removed;

	int err = store_bucket_get(request->server->store, request->bucket, &bucket);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	enum s3_code code = remove_place(request, &place, s3_header(request, "if-match"), &removed);
	if (code != S3_OK)
		return code;
	if (removed.version != STORE_VERSION_LATEST)
		s3_add_version(request, "x-amz-version-id", request->bucket, removed.version);
	if (removed.is_delete_marker)
		s3_add_header(request, "x-amz-delete-marker", "true");
	s3_respond(request, 204, NULL, 0, NULL, 0);
	return S3_OK;
}

static void add_deleted(const struct s3_delete_key *entry, const struct store_removed *removed,
			struct eos_buf *buf)
{
	char version[S3_VERSION_SIZE];

	s3_xml_open(buf, "Deleted");
	s3_xml_text(buf, "Key", entry->key);
	if (entry->version != NULL)
		s3_xml_text(buf, "VersionId", entry->version);
	if (removed->is_delete_marker) {
		s3_format_version(removed->version, version);
		s3_xml_bool(buf, "DeleteMarker", true);
		s3_xml_text(buf, "DeleteMarkerVersionId", version);
	}
	s3_xml_close(buf, "Deleted");
}

static void add_error(struct s3_request *request, const struct s3_delete_key *entry,
		      enum s3_code code, struct eos_buf *buf)
{
	s3_xml_open(buf, "Error");
	s3_xml_text(buf, "Key", entry->key);
	if (entry->version != NULL)
		s3_xml_text(buf, "VersionId", entry->version);
	s3_xml_text(buf, "Code", s3_code_name(code));
	s3_xml_text(buf, "Message",
		    request->message[0] != '\0' ? request->message : s3_code_message(code));
	s3_xml_close(buf, "Error");
	request->message[0] = '\0';
}

static void delete_one(struct s3_request *request, const struct s3_delete_key *entry, bool is_quiet,
		       struct eos_buf *buf)
{
	struct store_removed removed = {0};
	struct s3_place place = {
		.bucket = request->bucket,
		.key = entry->key,
		.key_len = strlen(entry->key),
		.version = STORE_VERSION_LATEST,
	};

	enum s3_code code = entry->has_others ? S3_NOT_IMPLEMENTED
					      : s3_check_key(request, place.key, place.key_len);
	if (code == S3_OK && place.key_len == 0)
		code = S3_INVALID_ARGUMENT;
	if (code == S3_OK && entry->version != NULL)
		code = s3_parse_version(request, entry->version, &place.version);
	const struct s3_access access = {
		.action = "DeleteObject",
		.bucket = place.bucket,
		.key = place.key,
		.key_len = place.key_len,
		.version = place.version,
	};
	if (code == S3_OK)
		code = s3_access_check(request, &access);
	if (code == S3_OK)
		code = remove_place(request, &place, entry->etag, &removed);
	if (code != S3_OK)
		add_error(request, entry, code, buf);
	else if (!is_quiet)
		add_deleted(entry, &removed, buf);
}

enum s3_code s3_delete_objects(struct s3_request *request)
{
	struct store_bucket_info bucket;
	struct s3_delete_list list;
	struct eos_buf buf;

	int err = store_bucket_get(request->server->store, request->bucket, &bucket);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	err = s3_xml_read_delete(request->xml.data, request->xml.len, &list);
	if (err < 0)
		return err == -ENOMEM ? S3_INTERNAL_ERROR : S3_MALFORMED_XML;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "DeleteResult");
	for (size_t i = 0; i < list.count; i++)
		delete_one(request, &list.keys[i], list.is_quiet, &buf);
	s3_xml_close(&buf, "DeleteResult");
	s3_delete_list_fini(&list);
	return s3_respond_xml(request, &buf);
}
