/*
 * Uploads: objects in the making.
 *
 *     in memory  --- grows past LOCAL_INLINE_MAX --->  in a staging file
 *         \                                               |
 *          \--- commit: inline record                     |--- commit: block file
 *
 * An upload goes to its file once and stays there, also when it is truncated to less. While a
 * file is written from front to back its MD5 and the checksums of its chunks are made on the way;
 * the first write elsewhere ends that (is_streaming), and commit then reads the file once more.
 * The table of checksums is kept in memory: 128 KiB a GiB.
 *
 * After a failed write the upload cannot be committed: its caller may not have noticed, and what
 * the file holds is not what was asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/assert.h"
#include "base/fault.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "store/local_blocks_priv.h"
#include "store/local_priv.h"

EOS_COUNTER(refused, "store.uploads_refused_total", "Uploads refused, because there were too many.")

/* Bytes of one upload that nobody wrote: a hole costs no disk, but to be hashed and sent. */
#define GAP_BYTES_MAX (UINT64_C(1) << 30)

struct local_upload {
	struct store_upload upload; /* first */
	struct local *local;
	uint64_t bucket_node;
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	char *key, *metadata; /* owned */
	size_t key_len;
	uint32_t metadata_len;
	uint64_t size;
	uint64_t gap_bytes;
	int failed; /* the first error of a write, or 0 */

	char *memory; /* while fd < 0 */
	size_t memory_cap;

	int fd;
	char staging_name[LOCAL_STAGING_NAME_SIZE];
	uint64_t salt;
	bool is_streaming;
	struct crypto_hash *md5;
	XXH3_state_t *chunk_sum; /* of the chunk that is not full */
	uint64_t *table;	 /* of the full ones */
	size_t table_len, table_cap;
};

static struct local_upload *upload_of(struct store_upload *upload)
{
	return EOS_CONTAINER_OF(upload, struct local_upload, upload);
}

static int bucket_node(struct local *local, const char *bucket, uint64_t *ret_node)
{
	struct local_bucket root;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, bucket, &root);
	mdb_txn_abort(txn);
	if (err == 0)
		*ret_node = root.node;
	return err;
}

int local_upload_begin(struct store *store, const char *bucket, const char *key, size_t key_len,
		       const char *metadata, uint32_t metadata_len,
		       struct store_upload **ret_upload)
{
	struct local *local = local_of(store);
	uint64_t node = 0;
	int err = local_check_writable(local);
	if (err == 0)
		err = bucket_node(local, bucket, &node);
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
	u->bucket_node = node;
	memcpy(u->bucket, bucket, strlen(bucket) + 1);
	u->key = own_key;
	u->key_len = key_len;
	memcpy(u->key, key, key_len);
	u->metadata = own_metadata;
	u->metadata_len = metadata_len;
	memcpy(u->metadata, metadata, metadata_len);
	u->fd = -1;
	*ret_upload = &u->upload;
	return 0;
}

/* Forgets the way there; what is on disk is the caller's. */
static void upload_free(struct local_upload *u)
{
	u->fd = eos_close(u->fd);
	u->md5 = crypto_hash_free(u->md5);
	if (u->chunk_sum != NULL)
		XXH3_freeState(u->chunk_sum);
	free(u->table);
	free(u->memory);
	free(u->metadata);
	free(u->key);
	atomic_fetch_sub(&u->local->uploads, 1);
	free(u);
}

void local_upload_abort(struct store_upload *upload)
{
	struct local_upload *u = upload_of(upload);
	if (u->fd >= 0)
		local_staging_remove(u->local, u->staging_name);
	upload_free(u);
}

uint64_t local_upload_size(const struct store_upload *upload)
{
	/* UPLOAD is the first field. */
	return ((const struct local_upload *)upload)->size;
}

/* Ends the running chunk: its checksum goes into the table. */
static int end_chunk(struct local_upload *u)
{
	if (u->table_len == u->table_cap) {
		size_t cap = EOS_MAX(2 * u->table_cap, (size_t)16);
		uint64_t *table = realloc(u->table, cap * sizeof(table[0]));
		if (table == NULL)
			return -ENOMEM;
		u->table = table;
		u->table_cap = cap;
	}
	u->table[u->table_len++] = XXH3_64bits_digest(u->chunk_sum);
	XXH3_64bits_reset_withSeed(u->chunk_sum, local_chunk_seed(u->salt, u->table_len));
	return 0;
}

/* Takes the next LEN bytes, which stand at OFFSET, into MD5 and chunk checksums. */
static int stream(struct local_upload *u, const char *data, size_t len, uint64_t offset)
{
	int err = crypto_hash_update(u->md5, data, len);
	while (err == 0 && len > 0) {
		size_t room = LOCAL_CHUNK_SIZE - offset % LOCAL_CHUNK_SIZE;
		size_t n = EOS_MIN(len, room);
		XXH3_64bits_update(u->chunk_sum, data, n);
		if (n == room)
			err = end_chunk(u);
		data += n;
		offset += n;
		len -= n;
	}
	return err;
}

static int start_streaming(struct local_upload *u)
{
	uint8_t digest[LOCAL_MD5_SIZE];
	int err = 0;
	if (u->chunk_sum == NULL)
		u->chunk_sum = XXH3_createState();
	if (u->chunk_sum == NULL)
		return -ENOMEM;
	if (u->md5 == NULL)
		err = crypto_hash_new(CRYPTO_MD5, &u->md5);
	else
		err = crypto_hash_final(u->md5, digest); /* starts it anew */
	XXH3_64bits_reset_withSeed(u->chunk_sum, local_chunk_seed(u->salt, 0));
	u->table_len = 0;
	return err;
}

/* From memory to a staging file. After an error nothing has changed but the mark of failure. */
static int spill(struct local_upload *u)
{
	uint64_t unique;
	int fd;
	int err = local_staging_create(u->local, u->staging_name, &fd);
	if (err < 0)
		return err;
	u->fd = fd;
	unique = strtoull(u->staging_name, NULL, 16);
	u->salt = local_sum(&unique, sizeof(unique), u->local->salt_base);
	u->is_streaming = true;
	err = start_streaming(u);
	if (err == 0)
		err = eos_pwrite_full(fd, u->memory, u->size, LOCAL_BLOCK_DATA_OFFSET);
	if (err == 0)
		err = stream(u, u->memory, u->size, 0);
	free(u->memory);
	u->memory = NULL;
	u->memory_cap = 0;
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

static int write_file(struct local_upload *u, const void *data, size_t len, uint64_t offset)
{
	int err = eos_fault("store.block_write");
	if (err == 0)
		err = eos_pwrite_full(u->fd, data, len, (off_t)(LOCAL_BLOCK_DATA_OFFSET + offset));
	if (err < 0)
		return err;
	if (offset != u->size)
		u->is_streaming = false;
	return u->is_streaming ? stream(u, data, len, offset) : 0;
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
	if (u->fd < 0 && offset + len > LOCAL_INLINE_MAX)
		err = spill(u);
	if (err == 0 && u->fd < 0)
		err = write_memory(u, data, len, offset);
	else if (err == 0)
		err = write_file(u, data, len, offset);
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
	if (u->fd < 0) {
		memcpy(data, u->memory + offset, len);
		return (int64_t)len;
	}
	int err = eos_pread_full(u->fd, data, len, (off_t)(LOCAL_BLOCK_DATA_OFFSET + offset));
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
	if (u->fd < 0 && size > LOCAL_INLINE_MAX)
		err = spill(u);
	if (err == 0 && u->fd < 0) {
		err = memory_reserve(u, size);
		if (err == 0 && size > u->size)
			memset(u->memory + u->size, 0, size - u->size);
	} else if (err == 0) {
		err = eos_fault("store.block_write");
		if (err == 0 && ftruncate(u->fd, (off_t)(LOCAL_BLOCK_DATA_OFFSET + size)) < 0)
			err = -errno;
		u->is_streaming = false;
	}
	if (err == 0 && u->fd >= 0 && size == 0) {
		u->is_streaming = true;
		err = start_streaming(u);
	}
	if (err < 0)
		return fail(u, err);
	u->gap_bytes += gap;
	u->size = size;
	return 0;
}

/* What streaming would have made, from the file. */
static int reread(struct local_upload *u)
{
	char *chunk = malloc(LOCAL_CHUNK_SIZE);
	int err = chunk == NULL ? -ENOMEM : start_streaming(u);
	for (uint64_t offset = 0; err == 0 && offset < u->size;) {
		size_t n = EOS_MIN(u->size - offset, (uint64_t)LOCAL_CHUNK_SIZE);
		err = eos_pread_full(u->fd, chunk, n, (off_t)(LOCAL_BLOCK_DATA_OFFSET + offset));
		if (err == 0)
			err = stream(u, chunk, n, offset);
		offset += n;
	}
	free(chunk);
	return err;
}

static int take_id(struct local *local, uint64_t *ret_id)
{
	int err;
	while ((err = local_ids_take(&local->ids, ret_id)) == -EAGAIN) {
		struct local_op op = {.kind = LOCAL_OP_RESERVE};
		err = local_commit(local, &op);
		if (err < 0)
			break;
	}
	return err;
}

/* Steps 1 to 4 (local_commit.c). On success OP describes a block file in its place. */
static int make_block(struct local_upload *u, struct local_op *op)
{
	struct local_record *record = &op->record;
	int err = u->is_streaming ? 0 : reread(u);
	if (err == 0 && u->size % LOCAL_CHUNK_SIZE != 0)
		err = end_chunk(u);
	if (err == 0)
		err = crypto_hash_final(u->md5, record->md5);
	if (err < 0)
		return err;
	EOS_ASSERT(u->table_len == local_chunk_count(u->size));
	uint64_t id;
	err = take_id(u->local, &id);
	if (err < 0)
		return err;
	record->kind = LOCAL_RECORD_BLOCK;
	record->check = u->salt;
	record->block_id = id;
	err = local_block_finish(u->local, u->fd, id, u->size, u->salt, u->table, u->table_len);
	if (err == 0)
		err = local_block_publish(u->local, u->staging_name, id, &op->block_dir_fd);
	if (err < 0)
		local_ids_settle(&u->local->ids, id); /* it never came to blocks/ */
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
	record->check = local_sum(data, u->size, 0);
	op->data = data;
	return err;
}

int local_upload_append(struct store_upload *upload, struct store_reader *reader, uint64_t offset,
			uint64_t len)
{
	struct local_upload *u = upload_of(upload);
	char *piece = malloc(LOCAL_CHUNK_SIZE);
	int err = piece == NULL ? fail(u, -ENOMEM) : 0;
	while (err == 0 && len > 0) {
		size_t n = EOS_MIN(len, (uint64_t)LOCAL_CHUNK_SIZE);
		int64_t got = local_reader_read(reader, piece, n, offset);
		err = got < 0 ? fail(u, (int)got) : local_upload_write(upload, piece, n, u->size);
		offset += n;
		len -= n;
	}
	free(piece);
	return err;
}

int local_upload_set_metadata(struct store_upload *upload, const char *metadata,
			      uint32_t metadata_len)
{
	struct local_upload *u = upload_of(upload);
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
		.block_dir_fd = -1,
		.record = {.metadata_len = u->metadata_len, .size = u->size},
	};
	int err = u->failed < 0 ? u->failed : local_check_writable(u->local);
	if (err == 0)
		err = u->fd < 0 ? make_inline(u, &op) : make_block(u, &op);
	if (err < 0) {
		local_upload_abort(upload);
		return err == -EDQUOT ? -ENOSPC : err;
	}
	err = local_commit(u->local, &op);
	op.block_dir_fd = eos_close(op.block_dir_fd);
	if (err == 0 && ret_info != NULL)
		local_record_info(&op.record, u->metadata, ret_info);
	upload_free(u);
	return err;
}
