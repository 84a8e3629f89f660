/*
 * ListParts, ListMultipartUploads.
 *
 * Entries of uploads lie in the order in which the uploads began; S3 lists them by key. So all
 * entries of the bucket are looked at for each page, and the first ones behind the marker are kept
 * in order (struct uploads): a page needs memory for a page only, however many uploads there are.
 */
#include "s3/s3_multipart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_listing.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

#define PAGE_MAX 1000u

/* The list of the object to be: who began the upload will own that. */
static const char *acl_of(const struct store_object_info *entry)
{
	return store_metadata_get(entry, S3_METADATA_TO_BE S3_METADATA_ACL);
}

static void add_owners(const struct s3_request *request, const char *acl, struct eos_buf *buf)
{
	s3_owner_xml(request, "Initiator", acl, buf);
	s3_owner_xml(request, "Owner", acl, buf);
}

static void add_checksum_kind(struct eos_buf *buf, const struct s3_checksum_record *sum)
{
	if (sum->kind == S3_CHECKSUM_NONE)
		return;
	s3_xml_text(buf, "ChecksumAlgorithm", s3_checksum_name(sum->kind));
	s3_xml_text(buf, "ChecksumType", sum->is_composite ? "COMPOSITE" : "FULL_OBJECT");
}

struct parts_listing {
	struct eos_buf buf;
	uint64_t limit, after, last;
	bool is_url, has_more;
};

static int visit_part(void *ctx, const struct store_list_entry *entry)
{
	struct parts_listing *listing = ctx;
	struct s3_checksum_record sum;
	uint64_t number;
	char digits[6];

	/* "…/p00001" */
	if (entry->is_prefix || entry->key_len < 6 || entry->key[entry->key_len - 6] != 'p')
		return 0;
	memcpy(digits, entry->key + entry->key_len - 5, 5);
	digits[5] = '\0';
	if (eos_parse_u64(digits, &number) < 0)
		return 0;
	listing->last = number;
	s3_xml_open(&listing->buf, "Part");
	s3_xml_u64(&listing->buf, "PartNumber", number);
	s3_xml_time(&listing->buf, "LastModified", entry->info->modified_ns);
	s3_xml_etag(&listing->buf, entry->info->etag);
	s3_xml_u64(&listing->buf, "Size", entry->info->size);
	s3_checksum_of(entry->info, &sum);
	if (sum.kind != S3_CHECKSUM_NONE)
		s3_xml_text(&listing->buf, s3_checksum_tag(sum.kind), sum.value);
	s3_xml_close(&listing->buf, "Part");
	return 0;
}

static enum s3_code find_parts(struct s3_request *request, struct parts_listing *listing)
{
	char name[S3_PIECE_NAME_SIZE];

	if (listing->limit == 0)
		return S3_OK;
	size_t len = s3_part_name(request, (unsigned)listing->after, name);
	const struct store_list_query query = {
		.prefix = name,
		.prefix_len = len - 5, /* "…/p" */
		.after = name,
		.after_len = len,
		.limit = (unsigned)listing->limit,
	};
	int err = store_object_list(request->server->store, request->multipart->pieces, &query,
				    visit_part, listing, &listing->has_more);
	return s3_code_of(err, S3_INTERNAL_ERROR);
}

static enum s3_code respond_parts(struct s3_request *request, struct parts_listing *listing)
{
	struct eos_buf buf;

	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ListPartsResult");
	s3_xml_text(&buf, "Bucket", request->bucket);
	s3_xml_key(&buf, "Key", request->key, request->key_len, listing->is_url);
	s3_xml_text(&buf, "UploadId", request->multipart->id);
	add_owners(request, acl_of(&request->multipart->info), &buf);
	s3_xml_text(&buf, "StorageClass", "STANDARD");
	s3_xml_u64(&buf, "PartNumberMarker", listing->after);
	s3_xml_u64(&buf, "NextPartNumberMarker", listing->last);
	s3_xml_u64(&buf, "MaxParts", listing->limit);
	if (listing->is_url)
		s3_xml_text(&buf, "EncodingType", "url");
	s3_xml_bool(&buf, "IsTruncated", listing->has_more);
	add_checksum_kind(&buf, &request->multipart->sum);
	eos_buf_append(&buf, listing->buf.data, listing->buf.len);
	s3_xml_close(&buf, "ListPartsResult");
	buf.failed = buf.failed || eos_buf_failed(&listing->buf);
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_list_parts(struct s3_request *request)
{
	struct parts_listing listing = {.limit = PAGE_MAX};

	enum s3_code code = s3_find_upload(request);
	if (code == S3_OK)
		code = s3_read_limit(request, "max-parts", PAGE_MAX, &listing.limit);
	if (code == S3_OK)
		code = s3_read_limit(request, "part-number-marker", 99999, &listing.after);
	if (code == S3_OK)
		code = s3_read_encoding(request, &listing.is_url);
	if (code != S3_OK)
		return code;
	eos_buf_init(&listing.buf);
	code = find_parts(request, &listing);
	if (code == S3_OK)
		code = respond_parts(request, &listing);
	eos_buf_fini(&listing.buf);
	return code;
}

/* An upload of the page, or a common prefix of some. */
struct row {
	bool is_prefix;
	uint64_t initiated_ns;
	struct s3_checksum_record sum;
	char id[S3_UPLOAD_ID_DIGITS + 1]; /* "" of a prefix */
	char owner[STORE_TENANT_MAX + 1]; /* "": the bucket's */
	size_t key_len;
	char key[];
};

struct uploads {
	struct s3_request *request;
	const char *prefix, *delimiter, *after_key, *after_id;
	char bucket_time[S3_BUCKET_TIME_SIZE];
	bool is_url;
	uint64_t limit;
	/* The first rows behind the marker, in order; one more than the page holds. */
	struct row *rows[PAGE_MAX + 1];
	size_t count;
};

static int compare(const struct row *row, const char *key, size_t key_len, const char *id)
{
	int order = memcmp(row->key, key, EOS_MIN(row->key_len, key_len));
	if (order == 0 && row->key_len != key_len)
		order = row->key_len < key_len ? -1 : 1;
	return order != 0 ? order : strcmp(row->id, id);
}

static bool is_behind(const struct uploads *uploads, const struct row *row)
{
	const char *after = uploads->after_key;

	if (after == NULL)
		return true;
	if (row->is_prefix)
		return strcmp(row->key, after) > 0 && !eos_str_starts_with(after, row->key);
	int order = strcmp(row->key, after);
	return order > 0 ||
	       (order == 0 && uploads->after_id != NULL && strcmp(row->id, uploads->after_id) > 0);
}

/* Takes ROW. */
static void insert(struct uploads *uploads, struct row *row)
{
	size_t low = 0, high = uploads->count;
	int order = 1;

	while (low < high && order != 0) {
		size_t middle = (low + high) / 2;
		order = compare(uploads->rows[middle], row->key, row->key_len, row->id);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* The same prefix again, or behind the page. */
	if (order == 0 || low > uploads->limit) {
		free(row);
		return;
	}
	if (uploads->count > uploads->limit)
		free(uploads->rows[--uploads->count]);
	memmove(&uploads->rows[low + 1], &uploads->rows[low],
		(uploads->count - low) * sizeof(uploads->rows[0]));
	uploads->rows[low] = row;
	uploads->count++;
}

/* Where the common prefix of KEY ends, 0: it has none. */
static size_t prefix_end(const struct uploads *uploads, const char *key)
{
	size_t prefix_len = uploads->prefix != NULL ? strlen(uploads->prefix) : 0;
	const char *delimiter = uploads->delimiter;

	if (delimiter == NULL)
		return 0;
	const char *at = strstr(key + prefix_len, delimiter);
	return at != NULL ? (size_t)(at - key) + strlen(delimiter) : 0;
}

static int visit_upload(void *ctx, const struct store_list_entry *entry)
{
	struct uploads *uploads = ctx;
	const char *key =
		!entry->is_prefix ? store_metadata_get(entry->info, S3_METADATA_KEY) : NULL;
	const char *time = key != NULL ? store_metadata_get(entry->info, S3_METADATA_BUCKET) : NULL;

	if (time == NULL || strcmp(time, uploads->bucket_time) != 0 ||
	    entry->key_len < S3_UPLOAD_ID_DIGITS ||
	    (uploads->prefix != NULL && !eos_str_starts_with(key, uploads->prefix)))
		return 0;
	size_t end = prefix_end(uploads, key);
	size_t len = end > 0 ? end : strlen(key);
	struct row *row = calloc(1, sizeof(*row) + len + 1);
	if (row == NULL)
		return -ENOMEM;
	memcpy(row->key, key, len);
	row->key_len = len;
	row->is_prefix = end > 0;
	row->initiated_ns = entry->info->modified_ns;
	s3_checksum_of(entry->info, &row->sum);
	const char *acl = acl_of(entry->info);
	if (acl != NULL)
		snprintf(row->owner, sizeof(row->owner), "%.*s", (int)strcspn(acl, " "), acl);
	if (!row->is_prefix)
		memcpy(row->id, entry->key + entry->key_len - S3_UPLOAD_ID_DIGITS,
		       S3_UPLOAD_ID_DIGITS);
	if (is_behind(uploads, row))
		insert(uploads, row);
	else
		free(row);
	return 0;
}

static void add_upload(const struct uploads *uploads, const struct row *row, struct eos_buf *buf)
{
	s3_xml_open(buf, "Upload");
	s3_xml_key(buf, "Key", row->key, row->key_len, uploads->is_url);
	s3_xml_text(buf, "UploadId", row->id);
	add_owners(uploads->request, row->owner[0] != '\0' ? row->owner : NULL, buf);
	s3_xml_text(buf, "StorageClass", "STANDARD");
	s3_xml_time(buf, "Initiated", row->initiated_ns);
	add_checksum_kind(buf, &row->sum);
	s3_xml_close(buf, "Upload");
}

static void add_text(const struct uploads *uploads, struct eos_buf *buf, const char *tag,
		     const char *text)
{
	if (text != NULL)
		s3_xml_key(buf, tag, text, strlen(text), uploads->is_url);
}

static enum s3_code respond_uploads(const struct uploads *uploads)
{
	struct eos_buf buf;
	bool has_more = uploads->limit > 0 && uploads->count > uploads->limit;
	size_t count = EOS_MIN(uploads->count, (size_t)uploads->limit);
	const struct row *last = count > 0 ? uploads->rows[count - 1] : NULL;

	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ListMultipartUploadsResult");
	s3_xml_text(&buf, "Bucket", uploads->request->bucket);
	add_text(uploads, &buf, "KeyMarker", uploads->after_key != NULL ? uploads->after_key : "");
	s3_xml_text(&buf, "UploadIdMarker", uploads->after_id != NULL ? uploads->after_id : "");
	if (has_more) {
		s3_xml_key(&buf, "NextKeyMarker", last->key, last->key_len, uploads->is_url);
		s3_xml_text(&buf, "NextUploadIdMarker", last->id);
	}
	add_text(uploads, &buf, "Prefix", uploads->prefix != NULL ? uploads->prefix : "");
	add_text(uploads, &buf, "Delimiter", uploads->delimiter);
	if (uploads->is_url)
		s3_xml_text(&buf, "EncodingType", "url");
	s3_xml_u64(&buf, "MaxUploads", uploads->limit);
	s3_xml_bool(&buf, "IsTruncated", has_more);
	for (size_t i = 0; i < count; i++)
		if (!uploads->rows[i]->is_prefix)
			add_upload(uploads, uploads->rows[i], &buf);
	for (size_t i = 0; i < count; i++) {
		const struct row *row = uploads->rows[i];
		if (!row->is_prefix)
			continue;
		s3_xml_open(&buf, "CommonPrefixes");
		s3_xml_key(&buf, "Prefix", row->key, row->key_len, uploads->is_url);
		s3_xml_close(&buf, "CommonPrefixes");
	}
	s3_xml_close(&buf, "ListMultipartUploadsResult");
	return s3_respond_xml(uploads->request, &buf);
}

static enum s3_code list_uploads(struct uploads *uploads)
{
	struct s3_request *request = uploads->request;
	char name[S3_PIECE_NAME_SIZE];
	bool has_more;

	uploads->limit = PAGE_MAX;
	enum s3_code code = s3_read_limit(request, "max-uploads", PAGE_MAX, &uploads->limit);
	if (code == S3_OK)
		code = s3_read_encoding(request, &uploads->is_url);
	if (code == S3_OK)
		code = s3_bucket_time(request, uploads->bucket_time);
	if (code != S3_OK)
		return code;
	uploads->prefix = s3_query_get(&request->query, "prefix");
	uploads->delimiter = s3_read_delimiter(request);
	uploads->after_key = s3_query_get(&request->query, "key-marker");
	/* Without a key it has no meaning, and S3 does not look at it. */
	if (uploads->after_key != NULL && uploads->after_key[0] != '\0')
		uploads->after_id = s3_query_get(&request->query, "upload-id-marker");
	if (uploads->after_id != NULL && uploads->after_id[0] == '\0')
		uploads->after_id = NULL;
	const struct store_list_query query = {
		.prefix = name,
		.prefix_len = s3_entry_name(request, "", name),
		.limit = UINT32_MAX,
	};
	int err = store_object_list(request->server->store, S3_MULTIPART_BUCKET, &query,
				    visit_upload, uploads, &has_more);
	return err < 0 ? s3_code_of(err, S3_INTERNAL_ERROR) : respond_uploads(uploads);
}

enum s3_code s3_list_multiparts(struct s3_request *request)
{
	struct uploads *uploads = calloc(1, sizeof(*uploads));
	if (uploads == NULL)
		return S3_INTERNAL_ERROR;
	uploads->request = request;
	enum s3_code code = list_uploads(uploads);
	for (size_t i = 0; i < uploads->count; i++)
		free(uploads->rows[i]);
	free(uploads);
	return code;
}
