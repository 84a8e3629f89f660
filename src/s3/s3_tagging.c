/* GetObjectTagging, PutObjectTagging, DeleteObjectTagging. */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "s3/s3_tags.h"
#include "s3/s3_xml.h"

enum s3_code s3_update(struct s3_request *request,
		       int (*change)(void *ctx, struct store_object_info *info), void *ctx)
{
	const struct s3_place place = s3_place_of(request);
	int err = store_object_update(request->server->store, place.bucket, place.key,
				      place.key_len, place.version, change, ctx);
	if (err == -ENOENT || err == -EINVAL)
		return s3_missing(request, &place, -ENOENT);
	return err == -EMSGSIZE ? S3_METADATA_TOO_LARGE : s3_code_of(err, S3_NO_SUCH_KEY);
}

enum s3_code s3_get_tagging(struct s3_request *request)
{
	struct eos_buf buf;
	struct store_object_info *info = malloc(sizeof(*info));

	enum s3_code code = info != NULL ? s3_find(request, info) : S3_INTERNAL_ERROR;
	if (code == S3_OK) {
		eos_buf_init(&buf);
		s3_xml_begin(&buf, "Tagging");
		s3_tags_write_xml(info, &buf);
		s3_xml_close(&buf, "Tagging");
		code = s3_respond_xml(request, &buf);
	}
	free(info);
	return code;
}

struct tag_change {
	const struct s3_tags *tags;
	uint64_t version; /* whose they became */
};

static int change_tags(void *ctx, struct store_object_info *info)
{
	struct tag_change *change = ctx;
	change->version = info->version;
	/* Not -ENOSPC, which is a full disk's. */
	return s3_tags_store(change->tags, info) < 0 ? -EMSGSIZE : 0;
}

static enum s3_code set_tags(struct s3_request *request, const struct s3_tags *tags,
			     unsigned status)
{
	struct tag_change change = {.tags = tags};
	enum s3_code code = s3_update(request, change_tags, &change);
	if (code != S3_OK)
		return code;
	s3_add_version(request, "x-amz-version-id", request->bucket, change.version);
	s3_respond(request, status, NULL, 0, NULL, 0);
	return S3_OK;
}

enum s3_code s3_put_tagging(struct s3_request *request)
{
	struct s3_tags *tags = calloc(1, sizeof(*tags));
	if (tags == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = s3_tags_read_xml(tags, request->xml.data, request->xml.len);
	if (code != S3_OK && tags->problem != NULL)
		code = s3_say(request, code, "%s", tags->problem);
	if (code == S3_OK)
		code = set_tags(request, tags, 200);
	free(tags);
	return code;
}

enum s3_code s3_delete_tagging(struct s3_request *request)
{
	struct s3_tags *none = calloc(1, sizeof(*none));
	enum s3_code code = none != NULL ? set_tags(request, none, 204) : S3_INTERNAL_ERROR;
	free(none);
	return code;
}
