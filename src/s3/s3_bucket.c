/* Operations on buckets. */
#include "s3/s3_priv.h"

#include <errno.h>
#include <string.h>

#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

static int visit_bucket(void *ctx, const struct store_bucket_info *info)
{
	struct eos_buf *buf = ctx;
	s3_xml_open(buf, "Bucket");
	s3_xml_text(buf, "Name", info->name);
	s3_xml_time(buf, "CreationDate", info->created_ns);
	s3_xml_close(buf, "Bucket");
	return 0;
}

enum s3_code s3_list_buckets(struct s3_request *request)
{
	struct eos_buf buf;

	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ListAllMyBucketsResult");
	s3_xml_open(&buf, "Owner");
	s3_xml_text(&buf, "ID", S3_OWNER);
	s3_xml_text(&buf, "DisplayName", S3_OWNER);
	s3_xml_close(&buf, "Owner");
	s3_xml_open(&buf, "Buckets");
	int err = store_bucket_list(request->server->store, visit_bucket, &buf);
	if (err < 0) {
		eos_buf_fini(&buf);
		return s3_code_of(err, S3_INTERNAL_ERROR);
	}
	s3_xml_close(&buf, "Buckets");
	s3_xml_close(&buf, "ListAllMyBucketsResult");
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_create_bucket(struct s3_request *request)
{
	char location[S3_LOCATION_MAX + 1];
	char path[STORE_BUCKET_NAME_MAX + 2] = "/";

	if (s3_xml_read_location(request->xml.data, request->xml.len, location) < 0)
		return S3_MALFORMED_XML;
	if (location[0] != '\0' && strcmp(location, request->server->config.region) != 0)
		return S3_ILLEGAL_LOCATION;
	int err = store_bucket_create(request->server->store, request->bucket);
	if (err == -EEXIST)
		return S3_BUCKET_OWNED_BY_YOU;
	if (err < 0)
		return s3_code_of(err, S3_INTERNAL_ERROR);
	strcat(path, request->bucket);
	const struct http_header headers[] = {{"Location", path}};
	s3_respond(request, 200, headers, EOS_ARRAY_SIZE(headers), NULL, 0);
	return S3_OK;
}

static enum s3_code find_bucket(struct s3_request *request)
{
	struct store_bucket_info info;
	int err = store_bucket_get(request->server->store, request->bucket, &info);
	return s3_code_of(err, S3_NO_SUCH_BUCKET);
}

enum s3_code s3_head_bucket(struct s3_request *request)
{
	enum s3_code code = find_bucket(request);
	const struct http_header headers[] = {
		{"x-amz-bucket-region", request->server->config.region}};
	if (code == S3_OK)
		s3_respond(request, 200, headers, EOS_ARRAY_SIZE(headers), NULL, 0);
	return code;
}

enum s3_code s3_delete_bucket(struct s3_request *request)
{
	int err = store_bucket_delete(request->server->store, request->bucket);
	if (err == -ENOTEMPTY)
		return S3_BUCKET_NOT_EMPTY;
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	s3_respond(request, 204, NULL, 0, NULL, 0);
	return S3_OK;
}

enum s3_code s3_get_location(struct s3_request *request)
{
	const char *region = request->server->config.region;
	struct eos_buf buf;

	enum s3_code code = find_bucket(request);
	if (code != S3_OK)
		return code;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "LocationConstraint");
	/* S3's first region has no name here. */
	if (strcmp(region, "us-east-1") != 0)
		s3_xml_escape(&buf, region, strlen(region));
	s3_xml_close(&buf, "LocationConstraint");
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_get_versioning(struct s3_request *request)
{
	struct eos_buf buf;

	enum s3_code code = find_bucket(request);
	if (code != S3_OK)
		return code;
	eos_buf_init(&buf);
	/* Empty: versioning was never switched on. */
	s3_xml_begin(&buf, "VersioningConfiguration");
	s3_xml_close(&buf, "VersioningConfiguration");
	return s3_respond_xml(request, &buf);
}
