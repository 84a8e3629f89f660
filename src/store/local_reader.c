/*
 * Reading one version of an object.
 *
 * An inline object is copied and checked when it is opened. Of a block file the descriptor is kept,
 * so that the version stays readable after its file was unlinked; each chunk is checked before a
 * byte of it is returned. Whole chunks are read straight into the caller's memory; the chunk that
 * was read in part last is kept, so small reads in sequence check it once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/file.h"
#include "store/local_blocks_priv.h"
#include "store/local_priv.h"

#define NO_CHUNK UINT64_MAX
/* Checksums read at once: 4 KiB, 32 MiB of data. */
#define WINDOW 512u

struct local_reader {
	struct store_reader reader; /* first */
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	char key[STORE_KEY_MAX];
	size_t key_len;
	uint64_t version;      /* that was asked for */
	int fd;		       /* -1: inline */
	char *data;	       /* inline: all; block: the chunk in CHUNK_INDEX */
	uint64_t chunk_index;  /* NO_CHUNK: none */
	uint64_t window_start; /* index of the first checksum in WINDOW, NO_CHUNK: none */
	uint64_t salt;
	struct store_object_info info;
	uint64_t window[WINDOW];
};

static struct local_reader *reader_of(struct store_reader *reader)
{
	return EOS_CONTAINER_OF(reader, struct local_reader, reader);
}

static int take_inline(struct local_reader *r, const struct local_found *found)
{
	if (local_sum(found->data, found->record.size, 0) != found->record.check)
		return local_damaged("object data", r->bucket, r->key, r->key_len);
	r->data = malloc(EOS_MAX(found->record.size, 1u));
	if (r->data == NULL)
		return -ENOMEM;
	memcpy(r->data, found->data, found->record.size);
	return 0;
}

/* Fills R from what is at the key now. The record of a block file goes to RET_RECORD. */
static int look_up(struct local *local, struct local_reader *r, struct local_record *ret_record)
{
	struct local_bucket root;
	struct local_found found;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, r->bucket, &root);
	if (err == 0)
		err = local_object_find(local, txn, r->bucket, root.node, r->key, r->key_len,
					r->version, &found);
	if (err == 0) {
		local_found_info(&found, &r->info);
		*ret_record = found.record;
		if (found.data != NULL)
			err = take_inline(r, &found);
	}
	mdb_txn_abort(txn);
	return err;
}

/*
 * Between the look at the record and the opening of its file the object may be replaced and the
 * file unlinked. Then the next look finds another record; the same one means the file is lost.
 */
static int open_version(struct local *local, struct local_reader *r)
{
	struct local_record record;
	uint64_t missing_id = 0;
	for (;;) {
		int err = look_up(local, r, &record);
		if (err < 0 || record.kind == LOCAL_RECORD_INLINE)
			return err;
		r->salt = record.check;
		err = local_block_open(local, &record, &r->fd);
		if (err == -EBADMSG)
			return local_damaged("block header", r->bucket, r->key, r->key_len);
		if (err != -ENOENT)
			return err;
		if (record.block_id == missing_id)
			return local_damaged("missing block file", r->bucket, r->key, r->key_len);
		missing_id = record.block_id;
	}
}

int local_reader_open(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t version, struct store_reader **ret_reader)
{
	struct local_reader *r = malloc(sizeof(*r));
	if (r == NULL)
		return -ENOMEM;
	r->reader.ops = store->ops;
	r->fd = -1;
	r->data = NULL;
	r->chunk_index = r->window_start = NO_CHUNK;
	memcpy(r->bucket, bucket, strlen(bucket) + 1);
	memcpy(r->key, key, key_len);
	r->key_len = key_len;
	r->version = version;
	int err = open_version(local_of(store), r);
	if (err < 0) {
		local_reader_close(&r->reader);
		return err;
	}
	*ret_reader = &r->reader;
	return 0;
}

const struct store_object_info *local_reader_info(const struct store_reader *reader)
{
	/* READER is the first field. */
	return &((const struct local_reader *)reader)->info;
}

void local_reader_close(struct store_reader *reader)
{
	struct local_reader *r = reader_of(reader);
	r->fd = eos_close(r->fd);
	free(r->data);
	free(r);
}

/* A file that ends too early is damaged. */
static int pread_exactly(struct local_reader *r, void *data, size_t len, uint64_t offset)
{
	int err = eos_fault("store.block_read");
	if (err == 0)
		err = eos_pread_full(r->fd, data, len, (off_t)offset);
	return err == -ENODATA ? local_damaged("short block file", r->bucket, r->key, r->key_len)
			       : err;
}

static int checksum_of(struct local_reader *r, uint64_t index, uint64_t *ret_sum)
{
	uint64_t start = index - index % WINDOW;
	if (r->window_start != start) {
		uint64_t count = EOS_MIN(local_chunk_count(r->info.size) - start, (uint64_t)WINDOW);
		uint64_t offset = LOCAL_BLOCK_DATA_OFFSET + r->info.size + start * sizeof(uint64_t);
		r->window_start = NO_CHUNK;
		int err = pread_exactly(r, r->window, count * sizeof(uint64_t), offset);
		if (err < 0)
			return err;
		r->window_start = start;
	}
	*ret_sum = r->window[index - start];
	return 0;
}

/* Reads the chunk, LEN bytes, into DATA and checks it. */
static int read_chunk(struct local_reader *r, uint64_t index, char *data, size_t len)
{
	uint64_t sum;
	int err = checksum_of(r, index, &sum);
	if (err == 0)
		err = pread_exactly(r, data, len,
				    LOCAL_BLOCK_DATA_OFFSET + index * LOCAL_CHUNK_SIZE);
	if (err == 0 && local_sum(data, len, local_chunk_seed(r->salt, index)) != sum)
		err = local_damaged("chunk", r->bucket, r->key, r->key_len);
	return err;
}

static int cache_chunk(struct local_reader *r, uint64_t index, size_t len)
{
	if (r->chunk_index == index)
		return 0;
	if (r->data == NULL)
		r->data = malloc(EOS_MIN(r->info.size, (uint64_t)LOCAL_CHUNK_SIZE));
	if (r->data == NULL)
		return -ENOMEM;
	r->chunk_index = NO_CHUNK;
	int err = read_chunk(r, index, r->data, len);
	if (err == 0)
		r->chunk_index = index;
	return err;
}

int64_t local_reader_read(struct store_reader *reader, void *data, size_t len, uint64_t offset)
{
	struct local_reader *r = reader_of(reader);
	if (r->fd < 0) {
		memcpy(data, r->data + offset, len);
		return (int64_t)len;
	}
	char *out = data;
	size_t rest = len;
	while (rest > 0) {
		uint64_t index = offset / LOCAL_CHUNK_SIZE, start = index * LOCAL_CHUNK_SIZE;
		size_t skip = offset - start;
		size_t chunk_len = EOS_MIN(r->info.size - start, (uint64_t)LOCAL_CHUNK_SIZE);
		size_t n = EOS_MIN(chunk_len - skip, rest);
		int err;
		if (n == chunk_len && r->chunk_index != index) {
			err = read_chunk(r, index, out, n);
		} else {
			err = cache_chunk(r, index, chunk_len);
			if (err == 0)
				memcpy(out, r->data + skip, n);
		}
		if (err < 0)
			return err;
		out += n;
		offset += n;
		rest -= n;
	}
	return (int64_t)len;
}
