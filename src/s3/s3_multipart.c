/*
 * Multipart uploads, kept in buckets of the node's own:
 *
 *   BUCKET/m/UPLOAD          empty; its metadata is that of the object to be, and its key
 *   BUCKET/p/UPLOAD/p00001   a part, an object like any other
 *
 * UPLOAD is the time in nanoseconds and 16 random bytes, in hexadecimal digits: so uploads of one
 * key are listed in the order in which they began, as S3 does it. All state is in the store, so
 * uploads survive restarts. Completion takes the parts over into one new object by reference
 * (store_upload_append()), which becomes visible whole, and then deletes the upload; a crash in
 * between leaves an upload behind that AbortMultipartUpload removes.
 *
 * A bucket's name is no proof that an upload is the bucket's: it may have been another's, who
 * deleted it. So entries hold when their bucket was made (S3_METADATA_BUCKET), and those of another
 * time are not there. DeleteBucket removes what is left, and s3_lifecycle_run.c what it could not.
 *
 * Entries are all in S3_MULTIPART_BUCKET. Parts for an encrypted bucket are in one that is
 * encrypted for the same tenant: bytes that are to be encrypted are never on the disk in plain, and
 * can be taken over as they are. Those for an object with a customer's key have that object's data
 * key, which the entry has, wrapped; so completion needs no key. The entry says where its parts are
 * (S3_METADATA_PIECES), since the bucket's settings may change meanwhile.
 *
 * The names of the object's metadata have S3_METADATA_TO_BE in front of them in the entry, which
 * otherwise would be retained or found by its tags itself.
 *
 * The ETag of an object of N parts is the MD5 of the parts' MD5s, and "-N". It is known before the
 * parts are joined and goes into the new object's metadata (S3_METADATA_ETAG).
 */
#include "s3/s3_access.h"
#include "s3/s3_multipart.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_xml.h"

size_t s3_entry_name(const struct s3_request *request, const char *id, char out[S3_PIECE_NAME_SIZE])
{
	return (size_t)snprintf(out, S3_PIECE_NAME_SIZE, "%s/m/%s", request->bucket, id);
}

size_t s3_part_name(const struct s3_request *request, unsigned number, char out[S3_PIECE_NAME_SIZE])
{
	return (size_t)snprintf(out, S3_PIECE_NAME_SIZE, "%s/p/%s/p%05u", request->bucket,
				request->multipart->id, number);
}

enum s3_code s3_bucket_time(struct s3_request *request, char out[S3_BUCKET_TIME_SIZE])
{
	struct store_bucket_info bucket;
	int err = store_bucket_get(request->server->store, request->bucket, &bucket);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	snprintf(out, S3_BUCKET_TIME_SIZE, "%" PRIu64, bucket.created_ns);
	return S3_OK;
}

/* Reads the entry of upload ID of the request's key. */
static enum s3_code read_entry(struct s3_request *request, const char *id, const char *bucket_time,
			       struct s3_upload *upload)
{
	char name[S3_PIECE_NAME_SIZE];

	strcpy(upload->id, id);
	size_t len = s3_entry_name(request, id, name);
	int err = store_object_get(request->server->store, S3_MULTIPART_BUCKET, name, len,
				   STORE_VERSION_LATEST, &upload->info);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_UPLOAD);
	const char *key = store_metadata_get(&upload->info, S3_METADATA_KEY);
	const char *pieces = store_metadata_get(&upload->info, S3_METADATA_PIECES);
	const char *time = store_metadata_get(&upload->info, S3_METADATA_BUCKET);
	s3_checksum_of(&upload->info, &upload->sum);
	return key != NULL && strcmp(key, request->key) == 0 && time != NULL &&
			       strcmp(time, bucket_time) == 0 && pieces != NULL &&
			       eos_str_copy(upload->pieces, sizeof(upload->pieces), pieces) == 0
		       ? S3_OK
		       : S3_NO_SUCH_UPLOAD;
}

enum s3_code s3_find_upload(struct s3_request *request)
{
	const char *id = s3_query_get(&request->query, "uploadId");
	uint8_t bytes[S3_UPLOAD_ID_BYTES];
	char bucket_time[S3_BUCKET_TIME_SIZE];

	enum s3_code code = s3_bucket_time(request, bucket_time);
	if (code != S3_OK)
		return code;
	if (eos_hex_decode(id, bytes, sizeof(bytes)) < 0)
		return S3_NO_SUCH_UPLOAD;
	struct s3_upload *upload = calloc(1, sizeof(*upload));
	if (upload == NULL)
		return S3_INTERNAL_ERROR;
	code = read_entry(request, id, bucket_time, upload);
	if (code == S3_OK) {
		free(request->multipart);
		request->multipart = upload;
	} else {
		free(upload);
	}
	return code;
}

/* Where the parts go: see above. The bucket is made if it is not there. */
static enum s3_code choose_pieces(struct s3_request *request, char out[STORE_BUCKET_NAME_MAX + 1])
{
	struct store *store = request->server->store;
	struct store_bucket_settings settings, parts = {.is_encrypted = true};
	uint8_t hash[CRYPTO_SHA256_SIZE];
	char hex[33];

	int err = store_bucket_settings_get(store, request->bucket, &settings);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	strcpy(out, S3_MULTIPART_BUCKET);
	/* Parts that have a customer's key are sealed wherever they are. */
	if (request->encryption.customer.is_given ||
	    (!settings.is_encrypted && !request->encryption.is_wanted))
		return S3_OK;
	if (crypto_sha256(settings.tenant, strlen(settings.tenant), hash) < 0)
		return S3_INTERNAL_ERROR;
	eos_hex_encode(hash, 16, hex);
	snprintf(out, STORE_BUCKET_NAME_MAX + 1, "%s-%s", S3_MULTIPART_BUCKET, hex);
	err = store_bucket_create(store, out);
	if (err == 0 || err == -EEXIST) {
		/* Also of one that is there: a crash may have come in between. */
		memcpy(parts.tenant, settings.tenant, sizeof(parts.tenant));
		err = store_bucket_settings_set(store, out, &parts);
	}
	return s3_code_of(err, S3_INTERNAL_ERROR);
}

/* The checksum that the whole shall have: x-amz-checksum-algorithm and -type. */
static enum s3_code read_sum(struct s3_request *request, struct s3_checksum_record *ret_sum)
{
	const char *type = s3_header(request, "x-amz-checksum-type");

	*ret_sum = (struct s3_checksum_record){.value = "-"};
	enum s3_code code = s3_read_algorithm(request, "x-amz-checksum-algorithm", &ret_sum->kind);
	if (code != S3_OK)
		return code;
	if (ret_sum->kind == S3_CHECKSUM_NONE)
		return type == NULL ? S3_OK
				    : s3_say(request, S3_INVALID_REQUEST,
					     "The x-amz-checksum-type header can only be used "
					     "with the x-amz-checksum-algorithm header.");
	if (type != NULL && strcmp(type, "COMPOSITE") != 0 && strcmp(type, "FULL_OBJECT") != 0)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Value for x-amz-checksum-type header is invalid.");
	bool is_crc64 = ret_sum->kind == S3_CHECKSUM_CRC64NVME;
	ret_sum->is_composite = type != NULL ? type[0] == 'C' : !is_crc64;
	if (ret_sum->is_composite ? is_crc64 : !s3_checksum_is_crc(ret_sum->kind))
		return s3_say(request, S3_INVALID_REQUEST,
			      "The %s checksum type cannot be used with the %s checksum "
			      "algorithm.",
			      ret_sum->is_composite ? "COMPOSITE" : "FULL_OBJECT",
			      s3_checksum_name(ret_sum->kind));
	return S3_OK;
}

/* Fills ENTRY from the request, whose object-to-be is made on the way. */
static enum s3_code fill_entry(struct s3_request *request, const struct s3_checksum_record *sum,
			       struct store_object_info *entry)
{
	char pieces[STORE_BUCKET_NAME_MAX + 1], to_be[STORE_KEY_MAX + 16];
	char bucket_time[S3_BUCKET_TIME_SIZE];
	const char *name, *value;
	uint32_t offset = 0;

	enum s3_code code = choose_pieces(request, pieces);
	if (code == S3_OK)
		code = s3_bucket_time(request, bucket_time);
	if (code == S3_OK)
		code = s3_new_object(request);
	if (code == S3_OK)
		code = s3_take_object(request);
	if (code == S3_OK)
		code = s3_keep_checksum(entry, sum);
	if (code != S3_OK)
		return code;
	int err = store_metadata_add(entry, S3_METADATA_KEY, request->key);
	if (err == 0)
		err = store_metadata_add(entry, S3_METADATA_PIECES, pieces);
	if (err == 0)
		err = store_metadata_add(entry, S3_METADATA_BUCKET, bucket_time);
	while (err == 0 && store_metadata_next(request->object, &offset, &name, &value)) {
		err = snprintf(to_be, sizeof(to_be), "%s%s", S3_METADATA_TO_BE, name) <
				      (int)sizeof(to_be)
			      ? 0
			      : -ENOSPC;
		if (err == 0)
			err = store_metadata_add(entry, to_be, value);
	}
	return err < 0 ? S3_METADATA_TOO_LARGE : S3_OK;
}

static enum s3_code make_id(char id[S3_UPLOAD_ID_DIGITS + 1])
{
	uint8_t random[S3_UPLOAD_ID_BYTES - 8];
	if (crypto_random(random, sizeof(random)) < 0)
		return S3_INTERNAL_ERROR;
	snprintf(id, 17, "%016" PRIx64, eos_wall_ns());
	eos_hex_encode(random, sizeof(random), id + 16);
	return S3_OK;
}

static enum s3_code write_entry(struct s3_request *request, const char *id,
				const struct store_object_info *entry)
{
	static const struct store_put_options options = {.condition = STORE_IF_ABSENT};
	struct store_upload *upload;
	char name[S3_PIECE_NAME_SIZE];

	size_t len = s3_entry_name(request, id, name);
	int err = store_upload_begin(request->server->store, S3_MULTIPART_BUCKET, name, len, entry,
				     &upload);
	if (err == 0)
		err = store_upload_commit(upload, &options, NULL);
	return s3_code_of(err, S3_INTERNAL_ERROR);
}

enum s3_code s3_create_multipart(struct s3_request *request)
{
	char id[S3_UPLOAD_ID_DIGITS + 1];
	struct s3_checksum_record sum;
	struct eos_buf buf;

	enum s3_code code = read_sum(request, &sum);
	if (code == S3_OK)
		code = make_id(id);
	if (code != S3_OK)
		return code;
	struct store_object_info *entry = calloc(1, sizeof(*entry));
	code = entry != NULL ? fill_entry(request, &sum, entry) : S3_INTERNAL_ERROR;
	if (code == S3_OK)
		code = write_entry(request, id, entry);
	free(entry);
	if (code != S3_OK)
		return code;
	if (sum.kind != S3_CHECKSUM_NONE) {
		s3_add_header(request, "x-amz-checksum-algorithm", s3_checksum_name(sum.kind));
		s3_add_header(request, "x-amz-checksum-type",
			      sum.is_composite ? "COMPOSITE" : "FULL_OBJECT");
	}
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "InitiateMultipartUploadResult");
	s3_xml_text(&buf, "Bucket", request->bucket);
	s3_xml_bytes(&buf, "Key", request->key, request->key_len);
	s3_xml_text(&buf, "UploadId", id);
	s3_xml_close(&buf, "InitiateMultipartUploadResult");
	return s3_respond_xml(request, &buf);
}

/* Names of pieces, gathered before they are deleted: a listing must not be changed under way. */
struct pieces {
	char names[64][S3_PIECE_NAME_SIZE];
	size_t lens[64];
	size_t count;
};

static int gather(void *ctx, const struct store_list_entry *entry)
{
	struct pieces *pieces = ctx;
	if (entry->key_len < S3_PIECE_NAME_SIZE) {
		memcpy(pieces->names[pieces->count], entry->key, entry->key_len);
		pieces->lens[pieces->count++] = entry->key_len;
	}
	return 0;
}

/* Somebody else may complete or abort the same upload. */
static int delete_piece(struct store *store, const char *bucket, const char *name, size_t len)
{
	int err = store_object_delete(store, bucket, name, len, NULL, NULL);
	return err == -ENOENT ? 0 : err;
}

static int remove_parts(struct s3_request *request, struct pieces *pieces)
{
	struct store *store = request->server->store;
	const char *bucket = request->multipart->pieces;
	char name[S3_PIECE_NAME_SIZE];
	int err = 0;

	const struct store_list_query query = {
		.prefix = name,
		.prefix_len = s3_part_name(request, 0, name) - 5, /* "…/p" */
		.limit = EOS_ARRAY_SIZE(pieces->names),
	};
	for (bool has_more = true; has_more && err == 0;) {
		pieces->count = 0;
		err = store_object_list(store, bucket, &query, gather, pieces, &has_more);
		for (size_t i = 0; i < pieces->count && err == 0; i++)
			err = delete_piece(store, bucket, pieces->names[i], pieces->lens[i]);
	}
	return err;
}

enum s3_code s3_remove_upload(struct s3_request *request)
{
	char name[S3_PIECE_NAME_SIZE];
	struct pieces *pieces = malloc(sizeof(*pieces));

	if (pieces == NULL)
		return S3_INTERNAL_ERROR;
	/* First the parts: as long as there are any, the upload can be aborted again. And once more
	 * at the end: a part that comes now finds that the upload is gone (s3_upload_part()), but
	 * one may have come just before. */
	int err = remove_parts(request, pieces);
	size_t len = s3_entry_name(request, request->multipart->id, name);
	if (err == 0)
		err = delete_piece(request->server->store, S3_MULTIPART_BUCKET, name, len);
	if (err == 0)
		err = remove_parts(request, pieces);
	free(pieces);
	return s3_code_of(err, S3_INTERNAL_ERROR);
}

enum s3_code s3_abort_multipart(struct s3_request *request)
{
	enum s3_code code = s3_find_upload(request);
	if (code == S3_OK)
		code = s3_remove_upload(request);
	if (code == S3_OK)
		s3_respond(request, 204, NULL, 0, NULL, 0);
	return code;
}

/* Some uploads of a bucket that is gone. */
struct leftovers {
	uint64_t created_ns;
	struct {
		char id[S3_UPLOAD_ID_DIGITS + 1], pieces[STORE_BUCKET_NAME_MAX + 1];
	} uploads[32];
	size_t count;
};

static int gather_leftover(void *ctx, const struct store_list_entry *entry)
{
	struct leftovers *left = ctx;
	uint64_t created_ns;

	if (entry->is_prefix || entry->key_len < S3_UPLOAD_ID_DIGITS)
		return 0;
	const char *pieces = store_metadata_get(entry->info, S3_METADATA_PIECES);
	const char *time = store_metadata_get(entry->info, S3_METADATA_BUCKET);
	/* A younger bucket's uploads are its own. */
	if (pieces == NULL || time == NULL || eos_parse_u64(time, &created_ns) < 0 ||
	    created_ns > left->created_ns)
		return 0;
	memcpy(left->uploads[left->count].id, entry->key + entry->key_len - S3_UPLOAD_ID_DIGITS,
	       S3_UPLOAD_ID_DIGITS);
	left->uploads[left->count].id[S3_UPLOAD_ID_DIGITS] = '\0';
	if (eos_str_copy(left->uploads[left->count].pieces, STORE_BUCKET_NAME_MAX + 1, pieces) == 0)
		left->count++;
	return left->count == EOS_ARRAY_SIZE(left->uploads);
}

static enum s3_code remove_leftovers(struct s3_request *request, struct leftovers *left)
{
	char name[S3_PIECE_NAME_SIZE];
	bool has_more;
	const struct store_list_query query = {
		.prefix = name,
		.prefix_len = s3_entry_name(request, "", name),
		.limit = UINT32_MAX,
	};
	enum s3_code code = S3_OK;

	for (bool is_full = true; is_full && code == S3_OK;) {
		left->count = 0;
		int err = store_object_list(request->server->store, S3_MULTIPART_BUCKET, &query,
					    gather_leftover, left, &has_more);
		is_full = err > 0;
		code = s3_code_of(err < 0 ? err : 0, S3_INTERNAL_ERROR);
		for (size_t i = 0; i < left->count && code == S3_OK; i++) {
			strcpy(request->multipart->id, left->uploads[i].id);
			strcpy(request->multipart->pieces, left->uploads[i].pieces);
			code = s3_remove_upload(request);
		}
	}
	return code;
}

enum s3_code s3_remove_uploads(struct s3_request *request, uint64_t created_ns)
{
	struct leftovers *left = calloc(1, sizeof(*left));

	free(request->multipart);
	request->multipart = calloc(1, sizeof(*request->multipart));
	enum s3_code code = S3_INTERNAL_ERROR;
	if (left != NULL && request->multipart != NULL) {
		left->created_ns = created_ns;
		code = remove_leftovers(request, left);
	}
	free(left);
	return code;
}
