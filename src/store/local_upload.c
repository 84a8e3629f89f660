/*
 * Uploads: objects in the making.
 *
 *     in memory  -- grows past LOCAL_INLINE_MAX -->  in chunks  -- anything but an append --> in a
 *         |                                             |                                  file
 *         |-- commit: inline record                     |-- commit: chunked record          |
 *                                                       ^------------ commit ---------------/
 *
 * What is written from front to back goes through the chunker (local_chunker.c) as it comes, and
 * through MD5. The first write elsewhere, truncation or read ends that: what is there is copied to
 * a file in staging/ that has no name any more (local_crypt_staging.c), and is cut at the commit.
 * Functions that use an object as a file pay for that; uploads over S3 never do.
 *
 * The ETag is the MD5 of the content. Of an upload that takes ranges of other objects over by
 * reference, and so never sees their bytes, it is the MD5 of what identifies its pieces, in order:
 * the 16 bytes of MD5 of a stretch that was written or of a whole object, or, for a range, MD5
 * (16), offset (8) and length (8). A single whole object keeps its ETag.
 *
 * After a failed write the upload cannot be committed: its caller may not have noticed, and what
 * it holds is not what was asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "crypto/crypto.h"
#include "store/local_chunker_priv.h"
#include "store/local_priv.h"
#include "store/local_reader_priv.h"

EOS_COUNTER(refused, "store.uploads_refused_total", "Uploads refused, because there were too many.")

/* Bytes of one upload that nobody wrote: a hole costs no disk, but to be hashed and sent. */
#define GAP_BYTES_MAX (UINT64_C(1) << 30)
#define COPY_BYTES    (256u * 1024)

struct local_upload {
	struct store_upload upload; /* first */
	struct local *local;
	uint64_t bucket_node;
	bool is_compressed;
	struct local_upload_key sealing;
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	char *key, *metadata; /* owned */
	size_t key_len;
	uint32_t metadata_len;
	uint64_t size;
	uint64_t gap_bytes;
	int failed; /* the first error of a write, or 0 */

	/* Where the bytes are: in one of three. */
	char *memory; /* while there is neither of the others */
	size_t memory_cap;
	uint8_t *sealed; /* at the commit: what stands inline */
	struct local_chunker *chunker;
	struct local_staging *file;

	struct crypto_hash *md5; /* of the stretch that is being written; with CHUNKER */
	uint64_t stretch_bytes;
	/* Of the pieces, once there was one by reference; and the etag while there is one piece. */
	struct crypto_hash *pieces;
	unsigned pieces_count;
	uint8_t first_md5[LOCAL_MD5_SIZE];
	bool is_first_whole;
};

static struct local_upload *upload_of(struct store_upload *upload)
{
	return EOS_CONTAINER_OF(upload, struct local_upload, upload);
}

static void upload_free(struct local_upload *u)
{
	u->file = local_staging_free(u->file);
	u->chunker = local_chunker_free(u->chunker);
	u->md5 = crypto_hash_free(u->md5);
	u->pieces = crypto_hash_free(u->pieces);
	free(u->memory);
	free(u->sealed);
	free(u->metadata);
	free(u->key);
	explicit_bzero(&u->sealing, sizeof(u->sealing));
	atomic_fetch_sub(&u->local->uploads, 1);
	free(u);
}

int local_upload_begin(struct store *store, const char *bucket, const char *key, size_t key_len,
		       const char *metadata, uint32_t metadata_len,
		       const struct store_upload_encryption *encryption,
		       struct store_upload **ret_upload)
{
	struct local *local = local_of(store);
	struct local_bucket root;
	int err = local_check_writable(local);
	if (err == 0)
		err = local_space_check(local);
	if (err == 0)
		err = local_bucket_read(local, bucket, &root);
	if (err < 0)
		return err;
	if (atomic_fetch_add(&local->uploads, 1) >= LOCAL_UPLOADS_MAX) {
		atomic_fetch_sub(&local->uploads, 1);
		eos_counter_add(&refused, 1);
		return -EMFILE;
	}
	struct local_upload *u = calloc(1, sizeof(*u));
	char *own_key = malloc(key_len);
	char *own_metadata = malloc(EOS_MAX(metadata_len, 1u));
	if (u == NULL || own_key == NULL || own_metadata == NULL) {
		free(own_metadata);
		free(own_key);
		free(u);
		atomic_fetch_sub(&local->uploads, 1);
		return -ENOMEM;
	}
	u->upload.ops = store->ops;
	u->local = local;
	u->bucket_node = root.node;
	u->is_compressed = (root.flags & LOCAL_BUCKET_IS_COMPRESSED) != 0;
	memcpy(u->bucket, bucket, strlen(bucket) + 1);
	u->key = own_key;
	u->key_len = key_len;
	memcpy(u->key, key, key_len);
	u->metadata = own_metadata;
	u->metadata_len = metadata_len;
	memcpy(u->metadata, metadata, metadata_len);
	err = local_upload_key_choose(local, &root, encryption,
				      local_customer_text(metadata, metadata_len), &u->sealing);
	if (err < 0)
		upload_free(u);
	else
		*ret_upload = &u->upload;
	return err;
}

void local_upload_abort(struct store_upload *upload)
{
	upload_free(upload_of(upload));
}

uint64_t local_upload_size(const struct store_upload *upload)
{
	/* UPLOAD is the first field. */
	return ((const struct local_upload *)upload)->size;
}

/* Takes the next LEN bytes. */
static int stream(struct local_upload *u, const void *data, size_t len)
{
	int err = crypto_hash_update(u->md5, data, len);
	if (err == 0)
		err = local_chunker_write(u->chunker, data, len);
	u->stretch_bytes += len;
	return err;
}

static int stream_begin(struct local_upload *u)
{
	int err = local_chunker_new(u->local, u->is_compressed, u->sealing.key, &u->chunker);
	if (err == 0 && u->md5 == NULL)
		err = crypto_hash_new(CRYPTO_MD5, &u->md5);
	return err;
}

static void forget_memory(struct local_upload *u)
{
	free(u->memory);
	u->memory = NULL;
	u->memory_cap = 0;
}

/* From memory to chunks. */
static int spill(struct local_upload *u)
{
	int err = stream_begin(u);
	if (err == 0 && u->size > 0)
		err = stream(u, u->memory, u->size);
	forget_memory(u);
	return err;
}

struct copy {
	struct local_upload *u;
	uint64_t offset;
};

static int copy_to_file(void *ctx, const void *data, size_t len)
{
	struct copy *copy = ctx;
	int err = local_staging_write(copy->u->file, data, len, copy->offset);
	copy->offset += len;
	return err;
}

/* From memory or chunks to a file. */
static int to_file(struct local_upload *u)
{
	struct copy copy = {.u = u};
	int err = local_staging_new(u->local, u->sealing.key != NULL, &u->file);
	if (err < 0)
		return err;
	if (u->chunker != NULL)
		err = local_chunker_each(u->chunker, copy_to_file, &copy);
	else if (u->size > 0)
		err = copy_to_file(&copy, u->memory, u->size);
	forget_memory(u);
	u->chunker = local_chunker_free(u->chunker);
	u->md5 = crypto_hash_free(u->md5);
	u->pieces = crypto_hash_free(u->pieces);
	u->stretch_bytes = u->pieces_count = 0;
	return err;
}

static int memory_reserve(struct local_upload *u, size_t size)
{
	if (size <= u->memory_cap)
		return 0;
	size_t cap = EOS_MAX(u->memory_cap, (size_t)256);
	while (cap < size)
		cap *= 2;
	char *memory = realloc(u->memory, cap);
	if (memory == NULL)
		return -ENOMEM;
	u->memory = memory;
	u->memory_cap = cap;
	return 0;
}

static int write_memory(struct local_upload *u, const void *data, size_t len, uint64_t offset)
{
	int err = memory_reserve(u, offset + len);
	if (err < 0)
		return err;
	if (offset > u->size)
		memset(u->memory + u->size, 0, offset - u->size);
	memcpy(u->memory + offset, data, len);
	return 0;
}

/* Brings the upload to where LEN bytes at OFFSET can be written. */
static int write_anywhere(struct local_upload *u, const void *data, size_t len, uint64_t offset)
{
	bool is_small = u->chunker == NULL && u->file == NULL;
	int err = u->sealing.is_locked ? -ENOKEY : 0;
	if (err < 0)
		return err;
	if (is_small && offset + len <= LOCAL_INLINE_MAX)
		return write_memory(u, data, len, offset);
	if (u->file == NULL && offset != u->size)
		err = to_file(u);
	else if (is_small)
		err = spill(u);
	if (err < 0)
		return err;
	return u->file != NULL ? local_staging_write(u->file, data, len, offset)
			       : stream(u, data, len);
}

static int fail(struct local_upload *u, int err)
{
	if (err == -EDQUOT)
		err = -ENOSPC;
	if (u->failed == 0)
		u->failed = err;
	return err;
}

/* -EFBIG when growing from the present size to OFFSET would leave too large a gap. */
static int check_gap(const struct local_upload *u, uint64_t offset, uint64_t *ret_gap)
{
	uint64_t gap = offset > u->size ? offset - u->size : 0;
	if (gap > GAP_BYTES_MAX - u->gap_bytes)
		return -EFBIG;
	*ret_gap = gap;
	return 0;
}

int local_upload_write(struct store_upload *upload, const void *data, size_t len, uint64_t offset)
{
	struct local_upload *u = upload_of(upload);
	uint64_t gap;
	if (u->failed < 0)
		return u->failed;
	int err = check_gap(u, offset, &gap);
	if (err < 0)
		return err;
	err = write_anywhere(u, data, len, offset);
	if (err < 0)
		return fail(u, err);
	u->gap_bytes += gap;
	u->size = EOS_MAX(u->size, offset + len);
	return 0;
}

int64_t local_upload_read(struct store_upload *upload, void *data, size_t len, uint64_t offset)
{
	struct local_upload *u = upload_of(upload);
	if (u->failed < 0)
		return u->failed;
	if (u->file == NULL && u->chunker == NULL) {
		memcpy(data, u->memory + offset, len);
		return (int64_t)len;
	}
	int err = u->file == NULL ? to_file(u) : 0;
	if (err < 0)
		return fail(u, err);
	err = local_staging_read(u->file, data, len, offset);
	return err < 0 ? err : (int64_t)len;
}

int local_upload_truncate(struct store_upload *upload, uint64_t size)
{
	struct local_upload *u = upload_of(upload);
	uint64_t gap;
	if (u->failed < 0)
		return u->failed;
	if (size == u->size)
		return 0;
	int err = check_gap(u, size, &gap);
	if (err < 0)
		return err;
	bool is_small = u->chunker == NULL && u->file == NULL;
	if (u->sealing.is_locked && size > 0) {
		err = -ENOKEY;
	} else if (is_small && size <= LOCAL_INLINE_MAX) {
		err = memory_reserve(u, size);
		if (err == 0 && size > u->size)
			memset(u->memory + u->size, 0, size - u->size);
	} else if (u->file == NULL && size == 0) {
		u->chunker = local_chunker_free(u->chunker);
		u->md5 = crypto_hash_free(u->md5);
		u->pieces = crypto_hash_free(u->pieces);
		u->stretch_bytes = u->pieces_count = 0;
	} else {
		if (u->file == NULL)
			err = to_file(u);
		if (err == 0)
			err = local_staging_truncate(u->file, size);
	}
	if (err < 0)
		return fail(u, err);
	u->gap_bytes += gap;
	u->size = size;
	return 0;
}

/* What streaming would have made, from the file. */
static int stream_file(struct local_upload *u)
{
	char *piece = malloc(COPY_BYTES);
	int err = piece == NULL ? -ENOMEM : stream_begin(u);
	for (uint64_t offset = 0; err == 0 && offset < u->size;) {
		size_t n = EOS_MIN(u->size - offset, (uint64_t)COPY_BYTES);
		err = local_staging_read(u->file, piece, n, offset);
		if (err == 0)
			err = stream(u, piece, n);
		offset += n;
	}
	free(piece);
	return err;
}

/* One more piece of the etag, of LEN bytes at OFFSET of what has MD5. */
static int add_piece(struct local_upload *u, const uint8_t md5[LOCAL_MD5_SIZE], bool is_whole,
		     uint64_t offset, uint64_t len)
{
	int err = u->pieces == NULL ? crypto_hash_new(CRYPTO_MD5, &u->pieces) : 0;
	if (err == 0)
		err = crypto_hash_update(u->pieces, md5, LOCAL_MD5_SIZE);
	if (err == 0 && !is_whole)
		err = crypto_hash_update(u->pieces, &offset, sizeof(offset));
	if (err == 0 && !is_whole)
		err = crypto_hash_update(u->pieces, &len, sizeof(len));
	if (u->pieces_count++ == 0) {
		memcpy(u->first_md5, md5, LOCAL_MD5_SIZE);
		u->is_first_whole = is_whole;
	}
	return err;
}

/* What was written so far is a piece. */
static int end_stretch(struct local_upload *u)
{
	uint8_t md5[LOCAL_MD5_SIZE];
	if (u->stretch_bytes == 0)
		return 0;
	u->stretch_bytes = 0;
	int err = crypto_hash_final(u->md5, md5); /* starts it anew */
	return err < 0 ? err : add_piece(u, md5, true, 0, 0);
}

static int make_etag(struct local_upload *u, uint8_t out[LOCAL_MD5_SIZE])
{
	if (u->pieces_count == 0)
		return crypto_hash_final(u->md5, out);
	int err = end_stretch(u);
	if (err == 0 && u->pieces_count == 1 && u->is_first_whole)
		memcpy(out, u->first_md5, LOCAL_MD5_SIZE);
	else if (err == 0)
		err = crypto_hash_final(u->pieces, out);
	return err;
}

static bool is_inline(const struct local_upload *u)
{
	if (u->file != NULL || u->chunker != NULL)
		return false;
	/* A customer's key opens no inline data: other objects may take the chunks over without. */
	if (u->sealing.is_customers)
		return u->size == 0;
	/* Where space counts more than time, what is small is shared and compressed, too. */
	return u->size <= (u->is_compressed ? LOCAL_INLINE_COMPRESSED_MAX : LOCAL_INLINE_MAX);
}

/* Steps 1 and 2 (local_commit.c). */
static int make_chunked(struct local_upload *u, struct local_op *op)
{
	int err = u->file != NULL ? stream_file(u) : 0;
	if (err == 0 && u->chunker == NULL)
		err = spill(u);
	if (err == 0)
		err = local_chunker_finish(u->chunker, &op->chunks);
	if (err == 0)
		err = make_etag(u, op->record.md5);
	op->record.kind = LOCAL_RECORD_CHUNKED;
	return err;
}

static int make_inline(struct local_upload *u, struct local_op *op)
{
	struct local_record *record = &op->record;
	struct crypto_hash *md5;
	int err = crypto_hash_new(CRYPTO_MD5, &md5);
	if (err < 0)
		return err;
	const char *data = u->memory == NULL ? "" : u->memory;
	err = crypto_hash_update(md5, data, u->size);
	if (err == 0)
		err = crypto_hash_final(md5, record->md5);
	md5 = crypto_hash_free(md5);
	record->kind = LOCAL_RECORD_INLINE;
	op->data = data;
	if (err == 0 && u->sealing.key != NULL && u->size > 0) {
		const struct local_owner owner = {u->bucket_node, u->key, u->key_len};
		u->sealed = malloc(u->size + LOCAL_SEAL_BYTES);
		err = u->sealed == NULL ? -ENOMEM
					: local_crypt_seal_inline(u->local, u->sealing.key, &owner,
								  data, u->size, u->sealed);
		op->data = u->sealed;
	}
	if (err == 0)
		record->check = local_sum(op->data, local_inline_bytes(record), 0);
	return err;
}

/* IS_PART: the bytes are part of a range by reference; they count for the chunks, but not for the
 * etag. */
static int append_bytes(struct local_upload *u, struct store_reader *reader, uint64_t offset,
			uint64_t len, bool is_part)
{
	char *piece = malloc(COPY_BYTES);
	int err = piece == NULL ? -ENOMEM : u->sealing.is_locked ? -ENOKEY : 0;
	while (err == 0 && len > 0) {
		int64_t got = local_reader_read(reader, piece, EOS_MIN(len, (uint64_t)COPY_BYTES),
						offset);
		size_t n = got < 0 ? 0 : (size_t)got;
		if (got < 0)
			err = (int)got;
		else if (is_part)
			err = local_chunker_write(u->chunker, piece, n);
		else
			err = local_upload_write(&u->upload, piece, n, u->size);
		offset += n;
		len -= n;
	}
	free(piece);
	return err;
}

/* Whole chunks by reference, the ends of the range as bytes. */
static int append_range(struct local_upload *u, struct store_reader *reader, uint64_t offset,
			uint64_t len)
{
	uint64_t end = offset + len;
	while (offset < end) {
		struct local_page_entry entry;
		uint64_t start;
		int err = local_reader_chunk_at(reader, offset, &entry, &start);
		if (err < 0)
			return err;
		uint64_t next = start + entry.len;
		if (offset == start && next <= end) {
			err = local_chunker_refer(u->chunker, entry.name, entry.len);
		} else {
			next = EOS_MIN(next, end);
			err = append_bytes(u, reader, offset, next - offset, true);
		}
		if (err < 0)
			return err;
		offset = next;
	}
	return 0;
}

static int append_reference(struct local_upload *u, struct store_reader *reader, uint64_t offset,
			    uint64_t len)
{
	const struct store_object_info *info = local_reader_info(reader);
	uint8_t md5[LOCAL_MD5_SIZE];
	int err = u->chunker == NULL ? spill(u) : 0;
	if (err == 0)
		err = end_stretch(u);
	if (err == 0)
		err = eos_hex_decode(info->etag, md5, sizeof(md5));
	if (err == 0)
		err = add_piece(u, md5, len == info->size, offset, len);
	if (err == 0)
		err = append_range(u, reader, offset, len);
	if (err == 0)
		u->size += len;
	return err;
}

int local_upload_append(struct store_upload *upload, struct store_reader *reader, uint64_t offset,
			uint64_t len)
{
	struct local_upload *u = upload_of(upload);
	if (u->failed < 0)
		return u->failed;
	bool can_refer =
		u->file == NULL &&
		local_reader_is_shareable(reader, local_upload_key_id(&u->sealing),
					  local_customer_text(u->metadata, u->metadata_len));
	int err = can_refer ? append_reference(u, reader, offset, len)
			    : append_bytes(u, reader, offset, len, false);
	return err < 0 ? fail(u, err) : 0;
}

int local_upload_set_metadata(struct store_upload *upload, const char *metadata,
			      uint32_t metadata_len)
{
	struct local_upload *u = upload_of(upload);
	const char *before = local_customer_text(u->metadata, u->metadata_len);
	const char *after = local_customer_text(metadata, metadata_len);
	if ((before == NULL) != (after == NULL) || (before != NULL && strcmp(before, after) != 0))
		return -EINVAL;
	char *own = malloc(EOS_MAX(metadata_len, 1u));
	if (own == NULL)
		return -ENOMEM;
	memcpy(own, metadata, metadata_len);
	free(u->metadata);
	u->metadata = own;
	u->metadata_len = metadata_len;
	return 0;
}

int local_upload_commit(struct store_upload *upload, const struct store_put_options *options,
			struct store_object_info *ret_info)
{
	struct local_upload *u = upload_of(upload);
	struct local_op op = {
		.kind = LOCAL_OP_OBJECT_PUT,
		.bucket = u->bucket,
		.key = u->key,
		.key_len = u->key_len,
		.bucket_node = u->bucket_node,
		.options = options,
		.metadata = u->metadata,
		.record = {.metadata_len = u->metadata_len,
			   .size = u->size,
			   .key = local_upload_key_id(&u->sealing)},
	};
	int err = u->failed < 0 ? u->failed : local_check_writable(u->local);
	if (err == 0)
		err = is_inline(u) ? make_inline(u, &op) : make_chunked(u, &op);
	if (err < 0) {
		local_upload_abort(upload);
		return err == -EDQUOT ? -ENOSPC : err;
	}
	err = local_commit(u->local, &op);
	if (err == 0 && u->chunker != NULL)
		local_chunker_committed(u->chunker);
	if (err == 0 && ret_info != NULL)
		local_record_info(&op.record, u->metadata, ret_info);
	upload_free(u);
	return err;
}
