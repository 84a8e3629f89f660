/*
 * ListObjects (version 1: marker) and ListObjectsV2 (continuation-token, start-after).
 *
 * A continuation token is the last key or common prefix that was listed, in base64 behind a
 * letter that names the form. It is no secret and grants nothing: whoever may list may also give
 * any start-after. So it is checked for form only, and survives a restart of the node.
 */
#include "s3/s3_listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_xml.h"

#define KEYS_MAX      1000u
#define TOKEN_FORM    '1'
#define TOKEN_LEN_MAX (1 + 4 * ((STORE_KEY_MAX + 2) / 3))

struct listing {
	struct s3_request *request;
	bool is_v2, is_url, with_owner;
	const char *prefix, *delimiter, *after;
	char token_key[STORE_KEY_MAX + 3];
	uint64_t limit;
	unsigned count;
	struct eos_buf contents, prefixes;
	char last[STORE_KEY_MAX];
	size_t last_len;
};

static void add_object(struct listing *listing, const struct store_list_entry *entry)
{
	struct eos_buf *buf = &listing->contents;
	s3_xml_open(buf, "Contents");
	s3_xml_key(buf, "Key", entry->key, entry->key_len, listing->is_url);
	s3_xml_time(buf, "LastModified", entry->info->modified_ns);
	s3_xml_etag(buf, s3_etag_of(entry->info));
	s3_xml_u64(buf, "Size", entry->info->size);
	if (listing->with_owner)
		s3_owner_xml(listing->request, "Owner",
			     store_metadata_get(entry->info, S3_METADATA_ACL), buf);
	s3_xml_text(buf, "StorageClass", "STANDARD");
	s3_xml_close(buf, "Contents");
}

static int visit(void *ctx, const struct store_list_entry *entry)
{
	struct listing *listing = ctx;

	if (entry->is_prefix) {
		s3_xml_open(&listing->prefixes, "CommonPrefixes");
		s3_xml_key(&listing->prefixes, "Prefix", entry->key, entry->key_len,
			   listing->is_url);
		s3_xml_close(&listing->prefixes, "CommonPrefixes");
	} else {
		add_object(listing, entry);
	}
	memcpy(listing->last, entry->key, entry->key_len);
	listing->last_len = entry->key_len;
	listing->count++;
	return 0;
}

static enum s3_code decode_token(struct listing *listing, const char *token)
{
	size_t len = strlen(token);
	if (len < 5 || len > TOKEN_LEN_MAX || token[0] != TOKEN_FORM)
		goto bad;
	long n = crypto_base64_decode(token + 1, len - 1, (uint8_t *)listing->token_key);
	if (n <= 0 || (size_t)n > STORE_KEY_MAX ||
	    !eos_utf8_is_valid(listing->token_key, (size_t)n) ||
	    memchr(listing->token_key, '\0', (size_t)n) != NULL)
		goto bad;
	listing->token_key[n] = '\0';
	listing->after = listing->token_key;
	return S3_OK;
bad:
	return s3_say(listing->request, S3_INVALID_ARGUMENT,
		      "The continuation token provided is incorrect");
}

static enum s3_code read_params(struct listing *listing)
{
	const struct s3_query *query = &listing->request->query;
	const char *type = s3_query_get(query, "list-type");
	const char *owner = s3_query_get(query, "fetch-owner");

	listing->is_v2 = type != NULL;
	if (type != NULL && strcmp(type, "2") != 0)
		return s3_say(listing->request, S3_INVALID_ARGUMENT, "Unknown list-type.");
	listing->limit = KEYS_MAX;
	enum s3_code code = s3_read_limit(listing->request, "max-keys", KEYS_MAX, &listing->limit);
	if (code == S3_OK)
		code = s3_read_encoding(listing->request, &listing->is_url);
	if (code != S3_OK)
		return code;
	listing->with_owner = !listing->is_v2 || (owner != NULL && strcmp(owner, "true") == 0);
	listing->prefix = s3_query_get(query, "prefix");
	listing->delimiter = s3_read_delimiter(listing->request);
	listing->after = s3_query_get(query, listing->is_v2 ? "start-after" : "marker");
	const char *token = s3_query_get(query, "continuation-token");
	return token != NULL && token[0] != '\0' ? decode_token(listing, token) : S3_OK;
}

static void add_param(struct listing *listing, struct eos_buf *buf, const char *tag,
		      const char *name)
{
	const char *value = s3_query_get(&listing->request->query, name);
	if (value != NULL)
		s3_xml_key(buf, tag, value, strlen(value), listing->is_url);
}

static void add_position(struct listing *listing, struct eos_buf *buf, bool has_more)
{
	char token[TOKEN_LEN_MAX + 1];

	if (!listing->is_v2) {
		s3_xml_key(buf, "Marker", listing->after != NULL ? listing->after : "",
			   listing->after != NULL ? strlen(listing->after) : 0, listing->is_url);
		if (has_more)
			s3_xml_key(buf, "NextMarker", listing->last, listing->last_len,
				   listing->is_url);
		return;
	}
	s3_xml_u64(buf, "KeyCount", listing->count);
	add_param(listing, buf, "StartAfter", "start-after");
	const char *given = s3_query_get(&listing->request->query, "continuation-token");
	if (given != NULL)
		s3_xml_text(buf, "ContinuationToken", given);
	if (has_more) {
		token[0] = TOKEN_FORM;
		crypto_base64_encode(listing->last, listing->last_len, token + 1);
		s3_xml_text(buf, "NextContinuationToken", token);
	}
}

static enum s3_code respond(struct listing *listing, bool has_more)
{
	struct eos_buf buf;
	const char *prefix = listing->prefix != NULL ? listing->prefix : "";

	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ListBucketResult");
	s3_xml_text(&buf, "Name", listing->request->bucket);
	s3_xml_key(&buf, "Prefix", prefix, strlen(prefix), listing->is_url);
	add_position(listing, &buf, has_more);
	s3_xml_u64(&buf, "MaxKeys", listing->limit);
	if (listing->delimiter != NULL)
		add_param(listing, &buf, "Delimiter", "delimiter");
	if (listing->is_url)
		s3_xml_text(&buf, "EncodingType", "url");
	s3_xml_bool(&buf, "IsTruncated", has_more);
	eos_buf_append(&buf, listing->contents.data, listing->contents.len);
	eos_buf_append(&buf, listing->prefixes.data, listing->prefixes.len);
	s3_xml_close(&buf, "ListBucketResult");
	buf.failed = buf.failed || eos_buf_failed(&listing->contents) ||
		     eos_buf_failed(&listing->prefixes);
	return s3_respond_xml(listing->request, &buf);
}

static enum s3_code run(struct listing *listing)
{
	struct store *store = listing->request->server->store;
	bool has_more = false;

	struct store_list_query query = {
		.prefix = listing->prefix,
		.delimiter = listing->delimiter,
		.after = listing->after,
		.limit = (unsigned)listing->limit,
	};
	query.prefix_len = query.prefix != NULL ? strlen(query.prefix) : 0;
	query.delimiter_len = query.delimiter != NULL ? strlen(query.delimiter) : 0;
	query.after_len = query.after != NULL ? strlen(query.after) : 0;
	int err;
	if (listing->limit == 0 || query.prefix_len > STORE_KEY_MAX) {
		/* Nothing can be listed; but the bucket must be there. */
		struct store_bucket_info info;
		err = store_bucket_get(store, listing->request->bucket, &info);
	} else {
		err = store_object_list(store, listing->request->bucket, &query, visit, listing,
					&has_more);
	}
	return err < 0 ? s3_code_of(err, S3_NO_SUCH_BUCKET) : respond(listing, has_more);
}

enum s3_code s3_list_objects(struct s3_request *request)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (listing == NULL)
		return S3_INTERNAL_ERROR;
	listing->request = request;
	eos_buf_init(&listing->contents);
	eos_buf_init(&listing->prefixes);
	enum s3_code code = read_params(listing);
	if (code == S3_OK)
		code = run(listing);
	eos_buf_fini(&listing->contents);
	eos_buf_fini(&listing->prefixes);
	free(listing);
	return code;
}
