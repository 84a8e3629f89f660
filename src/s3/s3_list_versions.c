/*
 * ListObjectVersions: all versions and delete markers, by key and for each key from the newest. A
 * page goes on behind a version of a key (key-marker and version-id-marker), or behind all of them
 * (key-marker alone).
 */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_listing.h"
#include "s3/s3_xml.h"

#define KEYS_MAX 1000u

struct listing {
	struct s3_request *request;
	const char *prefix, *delimiter, *after, *after_version;
	uint64_t after_number;
	uint64_t limit;
	bool is_url;
	struct eos_buf versions, prefixes;
	char last[STORE_KEY_MAX + 1];
	size_t last_len;
	char last_version[S3_VERSION_SIZE]; /* "" of a prefix */
};

static void add_version(struct listing *listing, const struct store_list_entry *entry)
{
	const struct store_object_info *info = entry->info;
	const char *tag = info->is_delete_marker ? "DeleteMarker" : "Version";
	struct eos_buf *buf = &listing->versions;
	struct s3_checksum_record sum;

	s3_format_version(info->version, listing->last_version);
	s3_xml_open(buf, tag);
	s3_xml_key(buf, "Key", entry->key, entry->key_len, listing->is_url);
	s3_xml_text(buf, "VersionId", listing->last_version);
	s3_xml_bool(buf, "IsLatest", info->is_latest);
	s3_xml_time(buf, "LastModified", info->modified_ns);
	if (!info->is_delete_marker) {
		s3_xml_etag(buf, s3_etag_of(info));
		s3_checksum_of(info, &sum);
		if (sum.kind != S3_CHECKSUM_NONE)
			s3_xml_text(buf, "ChecksumAlgorithm", s3_checksum_name(sum.kind));
		s3_xml_u64(buf, "Size", info->size);
		s3_xml_text(buf, "StorageClass", "STANDARD");
	}
	s3_owner_xml(listing->request, "Owner", store_metadata_get(info, S3_METADATA_ACL), buf);
	s3_xml_close(buf, tag);
}

static int visit(void *ctx, const struct store_list_entry *entry)
{
	struct listing *listing = ctx;

	if (entry->is_prefix) {
		s3_xml_open(&listing->prefixes, "CommonPrefixes");
		s3_xml_key(&listing->prefixes, "Prefix", entry->key, entry->key_len,
			   listing->is_url);
		s3_xml_close(&listing->prefixes, "CommonPrefixes");
		listing->last_version[0] = '\0';
	} else {
		add_version(listing, entry);
	}
	memcpy(listing->last, entry->key, entry->key_len);
	listing->last_len = entry->key_len;
	return 0;
}

static enum s3_code read_params(struct listing *listing)
{
	struct s3_request *request = listing->request;
	const struct s3_query *query = &request->query;

	enum s3_code code = s3_read_limit(request, "max-keys", KEYS_MAX, &listing->limit);
	if (code == S3_OK)
		code = s3_read_encoding(request, &listing->is_url);
	listing->prefix = s3_query_get(query, "prefix");
	listing->delimiter = s3_read_delimiter(request);
	listing->after = s3_query_get(query, "key-marker");
	listing->after_version = s3_query_get(query, "version-id-marker");
	if (code != S3_OK || listing->after_version == NULL || listing->after_version[0] == '\0')
		return code;
	if (listing->after == NULL || listing->after[0] == '\0')
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "A version-id marker cannot be specified without a key marker.");
	return s3_parse_version(request, listing->after_version, &listing->after_number);
}

static void add_text(const struct listing *listing, struct eos_buf *buf, const char *tag,
		     const char *text)
{
	s3_xml_key(buf, tag, text != NULL ? text : "", text != NULL ? strlen(text) : 0,
		   listing->is_url);
}

static enum s3_code respond(struct listing *listing, bool has_more)
{
	struct eos_buf buf;

	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ListVersionsResult");
	s3_xml_text(&buf, "Name", listing->request->bucket);
	add_text(listing, &buf, "Prefix", listing->prefix);
	add_text(listing, &buf, "KeyMarker", listing->after);
	s3_xml_text(&buf, "VersionIdMarker",
		    listing->after_version != NULL ? listing->after_version : "");
	if (has_more) {
		s3_xml_key(&buf, "NextKeyMarker", listing->last, listing->last_len,
			   listing->is_url);
		if (listing->last_version[0] != '\0')
			s3_xml_text(&buf, "NextVersionIdMarker", listing->last_version);
	}
	s3_xml_u64(&buf, "MaxKeys", listing->limit);
	if (listing->delimiter != NULL)
		add_text(listing, &buf, "Delimiter", listing->delimiter);
	if (listing->is_url)
		s3_xml_text(&buf, "EncodingType", "url");
	s3_xml_bool(&buf, "IsTruncated", has_more);
	eos_buf_append(&buf, listing->versions.data, listing->versions.len);
	eos_buf_append(&buf, listing->prefixes.data, listing->prefixes.len);
	s3_xml_close(&buf, "ListVersionsResult");
	buf.failed = buf.failed || eos_buf_failed(&listing->versions) ||
		     eos_buf_failed(&listing->prefixes);
	return s3_respond_xml(listing->request, &buf);
}

static size_t length_of(const char *text)
{
	return text != NULL ? strlen(text) : 0;
}

static enum s3_code run(struct listing *listing)
{
	struct store *store = listing->request->server->store;
	bool has_more = false;
	int err;

	const struct store_list_query query = {
		.prefix = listing->prefix,
		.prefix_len = length_of(listing->prefix),
		.delimiter = listing->delimiter,
		.delimiter_len = length_of(listing->delimiter),
		.after = listing->after,
		.after_len = length_of(listing->after),
		.limit = (unsigned)listing->limit,
	};
	if (listing->limit == 0 || query.prefix_len > STORE_KEY_MAX) {
		/* Nothing can be listed; but the bucket must be there. */
		struct store_bucket_info info;
		err = store_bucket_get(store, listing->request->bucket, &info);
	} else {
		err = store_version_list(store, listing->request->bucket, &query,
					 listing->after_number, visit, listing, &has_more);
	}
	return err < 0 ? s3_code_of(err, S3_NO_SUCH_BUCKET) : respond(listing, has_more);
}

enum s3_code s3_list_versions(struct s3_request *request)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (listing == NULL)
		return S3_INTERNAL_ERROR;
	listing->request = request;
	listing->limit = KEYS_MAX;
	listing->after_number = STORE_VERSION_LATEST;
	eos_buf_init(&listing->versions);
	eos_buf_init(&listing->prefixes);
	enum s3_code code = read_params(listing);
	if (code == S3_OK)
		code = run(listing);
	eos_buf_fini(&listing->versions);
	eos_buf_fini(&listing->prefixes);
	free(listing);
	return code;
}
