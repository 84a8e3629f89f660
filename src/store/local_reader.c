/*
 * Reading one version of an object.
 *
 * An inline object is copied and checked when it is opened. Of a chunked one the manifest is
 * pinned, so that its chunks stay, whatever becomes of the record; where they are is looked up when
 * they are read, since compaction moves them. Chunks that stand side by side in a segment are read
 * by one call, straight into the caller's memory when it wants them whole; else into a window that
 * is kept, so small reads in sequence read and check each chunk once. A read that goes on where the
 * last ended fills the window with as many chunks as fit: read-ahead.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fault.h"
#include "base/file.h"
#include "store/local_memo_priv.h"
#include "store/local_priv.h"
#include "store/local_reader_priv.h"

/* Read at once, at most, if it is more than one chunk. */
#define RUN_BYTES  (512u << 10)
#define RUN_CHUNKS 16u

struct local_reader {
	struct store_reader reader; /* first */
	struct local *local;
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	char key[STORE_KEY_MAX];
	size_t key_len;
	uint64_t version; /* that was asked for */

	bool is_inline;
	char *data; /* inline: all, in as many bytes as DATA_CAP; else whatever the last one left */
	size_t data_cap;
	uint64_t manifest; /* chunked: pinned; else 0 */

	/* What it is encrypted with. A tenant's key is looked for when it is needed. */
	uint16_t key_id;
	const uint8_t *customer_key; /* during the open */
	bool has_own_key;	     /* of a customer's object */
	struct local_key own_key;
	bool is_sealed; /* DATA is, so far */
	uint64_t node;	/* of the bucket */

	/* The page of the manifest that was used last; page_end is 0: none. */
	uint64_t page_start, page_end;
	struct local_page page;

	/* Bytes that were read and checked: window_len from window_start. */
	char *window;
	size_t window_cap, window_len;
	uint64_t window_start;
	uint64_t expected; /* where a read in sequence goes on */

	struct store_object_info info;
};

/* Chunks that are read together; the places are those of one look. */
struct run {
	uint32_t first, count; /* in the page */
	uint64_t start;	       /* of the first in the object */
	size_t len;
	struct local_chunk chunks[RUN_CHUNKS];
};

static struct local_reader *reader_of(struct store_reader *reader)
{
	return EOS_CONTAINER_OF(reader, struct local_reader, reader);
}

static int damaged(struct local_reader *r, const char *what)
{
	local_damages_note(r->local, r->bucket, r->key, r->key_len, r->info.version,
			   r->info.sequence);
	return local_damaged(what, r->bucket, r->key, r->key_len);
}

static int reserve_data(struct local_reader *r, size_t len)
{
	if (r->data != NULL && len <= r->data_cap)
		return 0;
	free(r->data);
	r->data = malloc(EOS_MAX(len, (size_t)1));
	r->data_cap = r->data == NULL ? 0 : len;
	return r->data == NULL ? -ENOMEM : 0;
}

static int take_inline(struct local_reader *r, const struct local_found *found)
{
	size_t len = local_inline_bytes(&found->record);
	if (local_sum(found->data, len, 0) != found->record.check)
		return damaged(r, "object data");
	int err = reserve_data(r, len);
	if (err < 0)
		return err;
	memcpy(r->data, found->data, len);
	r->is_inline = true;
	r->is_sealed = len > found->record.size;
	return 0;
}

/* What the key of the object's customer opens; without it only its description is known. */
static int take_key(struct local_reader *r)
{
	const char *wrapped = store_metadata_get(&r->info, STORE_META_CUSTOMER_KEY);
	if (r->key_id != LOCAL_KEY_CUSTOMER || r->customer_key == NULL)
		return 0;
	if (wrapped == NULL)
		return damaged(r, "customer's key");
	int err = local_crypt_customer_key(r->local, wrapped, r->customer_key, &r->own_key);
	r->has_own_key = err == 0;
	return err;
}

/* Opens inline data when it is first asked for. */
static int unseal(struct local_reader *r)
{
	const struct local_owner owner = {r->node, r->key, r->key_len};
	const struct local_record record = {.size = r->info.size, .key = r->key_id};
	uint8_t *plain = malloc(r->info.size);
	int err = plain == NULL
			  ? -ENOMEM
			  : local_crypt_open_inline(r->local, &record, &owner, r->data, plain);
	if (err < 0) {
		free(plain);
		return err == -EBADMSG ? damaged(r, "object data") : err;
	}
	free(r->data);
	r->data = (char *)plain;
	r->data_cap = r->info.size;
	r->is_sealed = false;
	return 0;
}

/* Fills R from what is at the key now. *RET_MANIFEST is 0 for an inline object. */
static int look_up(struct local *local, struct local_reader *r, uint64_t *ret_manifest)
{
	struct local_bucket root;
	struct local_found found;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	/* Should the bucket be gone by now, so are its objects: no other gets its node. */
	if (!local_memo_find(local, r->bucket, NULL, 0, &root))
		err = local_bucket_find(local, txn, r->bucket, &root);
	if (err == 0)
		err = local_object_find(local, txn, r->bucket, root.node, r->key, r->key_len,
					r->version, &found);
	if (err == -EBADMSG)
		local_damages_note(local, r->bucket, r->key, r->key_len, r->version, 0);
	if (err == 0) {
		local_found_info(&found, &r->info);
		*ret_manifest = found.data != NULL ? 0 : found.record.manifest;
		r->key_id = found.record.key;
		r->node = root.node;
		if (found.data != NULL)
			err = take_inline(r, &found);
	}
	local_read_end(local, txn);
	return err == 0 ? take_key(r) : err;
}

/* Pins the manifest. -EAGAIN: a transaction that is not committed yet takes it apart; -ESTALE: its
 * object is gone, and so may be its chunks, or it is damaged. */
static int pin(struct local *local, uint64_t manifest)
{
	uint8_t name[LOCAL_PIN_SIZE];
	MDB_txn *txn;
	local_manifest_pin_name(manifest, name);
	int err = local_pin(&local->manifest_pins, name);
	if (err < 0)
		return err;
	/* Behind the pin: what is neither in the trash now nor was reclaimed before stays. */
	err = local_read_begin(local, &txn);
	if (err == 0) {
		struct local_page page;
		uint64_t start;
		err = local_trash_has(local, txn, manifest);
		if (err == 1 || (err == 0 && local_manifest_find(local, txn, manifest, 0, &page,
								 &start) == -EBADMSG))
			err = -ESTALE;
		local_read_end(local, txn);
	}
	if (err != 0)
		local_unpin(&local->manifest_pins, name);
	return err;
}

/*
 * Between the look at the record and the pin the object may be replaced and its manifest go. Then
 * the next look finds another record; the same one means that the manifest is lost, or that the
 * trash has it as well (a record and the trash never have it in one transaction).
 */
static int open_version(struct local *local, struct local_reader *r)
{
	uint64_t manifest = 0, missing = 0;
	for (;;) {
		int err = look_up(local, r, &manifest);
		if (err < 0 || manifest == 0 || r->info.size == 0)
			return err;
		err = pin(local, manifest);
		if (err == 0)
			r->manifest = manifest;
		if (err != -EAGAIN && err != -ESTALE)
			return err;
		if (err == -ESTALE && manifest == missing)
			return damaged(r, "manifest");
		if (err == -ESTALE)
			missing = manifest;
		else
			usleep(200); /* until the transaction that replaces it is committed */
	}
}

static struct local_reader *reader_new(struct local *local)
{
	struct local_reader *r = eos_spares_take(&local->readers);
	if (r != NULL)
		return r;
	r = malloc(sizeof(*r));
	if (r != NULL) {
		r->data = NULL;
		r->data_cap = 0;
	}
	return r;
}

/* With DATA, which is at most LOCAL_INLINE_MAX bytes and a seal. */
static void reader_free(struct local_reader *r)
{
	if (r != NULL)
		free(r->data);
	free(r);
}

void local_readers_fini(struct local *local)
{
	struct local_reader *r;
	while ((r = eos_spares_take(&local->readers)) != NULL)
		reader_free(r);
}

int local_reader_open(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t version, const uint8_t *customer_key,
		      struct store_reader **ret_reader)
{
	struct local_reader *r = reader_new(local_of(store));
	if (r == NULL)
		return -ENOMEM;
	r->reader.ops = store->ops;
	r->local = local_of(store);
	r->window = NULL;
	r->is_inline = r->is_sealed = r->has_own_key = false;
	r->customer_key = customer_key;
	r->manifest = r->page_start = r->page_end = r->window_start = 0;
	r->window_cap = r->window_len = 0;
	r->expected = UINT64_MAX;
	memcpy(r->bucket, bucket, strlen(bucket) + 1);
	memcpy(r->key, key, key_len);
	r->key_len = key_len;
	r->version = version;
	int err = open_version(r->local, r);
	r->customer_key = NULL;
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
	if (r->manifest != 0) {
		uint8_t name[LOCAL_PIN_SIZE];
		local_manifest_pin_name(r->manifest, name);
		local_unpin(&r->local->manifest_pins, name);
	}
	free(r->window);
	explicit_bzero(&r->own_key, sizeof(r->own_key));
	/* What was sealed on the disk is not left in memory either. */
	if (r->is_inline && r->key_id != 0)
		explicit_bzero(r->data, r->data_cap);
	reader_free(eos_spares_give(&r->local->readers, r));
}

/* Brings the page that holds OFFSET. */
static int find_page(struct local_reader *r, MDB_txn *txn, uint64_t offset)
{
	if (offset >= r->page_start && offset < r->page_end)
		return 0;
	r->page_end = 0;
	int err = local_manifest_find(r->local, txn, r->manifest, offset, &r->page, &r->page_start);
	if (err < 0)
		return err;
	uint64_t end = r->page_start;
	for (uint32_t i = 0; i < r->page.count; i++)
		end += r->page.entries[i].len;
	if (end > r->info.size)
		return -EBADMSG;
	r->page_end = end;
	return 0;
}

/* Whether B follows A in the same segment, both as plain bytes. */
static bool is_adjacent(const struct local_chunk *a, const struct local_chunk *b)
{
	return a->segment == b->segment && a->flags == 0 && b->flags == 0 &&
	       a->offset + local_entry_bytes(a->stored_len) == b->offset;
}

/* The chunk that holds OFFSET, and those behind it that can be read with it, up to MOST bytes. */
static int find_run(struct local_reader *r, MDB_txn *txn, uint64_t offset, size_t most,
		    struct run *run)
{
	int err = find_page(r, txn, offset);
	if (err < 0)
		return err;
	run->start = r->page_start;
	run->first = 0;
	while (run->start + r->page.entries[run->first].len <= offset)
		run->start += r->page.entries[run->first++].len;
	run->len = run->count = 0;
	for (uint32_t i = run->first; i < r->page.count && run->count < RUN_CHUNKS; i++) {
		const struct local_page_entry *entry = &r->page.entries[i];
		struct local_chunk *chunk = &run->chunks[run->count];
		if (run->count > 0 && run->len + entry->len > most)
			break;
		err = local_chunk_get(r->local, txn, entry->name, chunk);
		if (err == 0 && chunk->len != entry->len)
			err = -EBADMSG;
		if (err < 0 && run->count > 0)
			break; /* told when it is its turn */
		if (err < 0)
			return err == -ENOENT ? -EBADMSG : err;
		if (run->count > 0 && !is_adjacent(chunk - 1, chunk))
			break;
		run->len += entry->len;
		run->count++;
	}
	return 0;
}

/* Reads plain chunks that stand side by side into DATA, without what is between them. */
static int read_plain(struct local_reader *r, const struct run *run, struct local_segment *segment,
		      char *data)
{
	uint8_t between[sizeof(struct local_entry) + 8];
	struct iovec iov[2 * RUN_CHUNKS];
	int count = 0;
	size_t total = 0;
	for (uint32_t i = 0; i < run->count; i++) {
		const struct local_chunk *chunk = &run->chunks[i];
		iov[count++] = (struct iovec){data, chunk->len};
		data += chunk->len;
		total += chunk->len;
		if (i + 1 < run->count) {
			size_t gap = local_entry_bytes(chunk->len) - chunk->len;
			iov[count++] = (struct iovec){between, gap};
			total += gap;
		}
	}
	return local_segment_readv(segment, iov, count, total,
				   run->chunks[0].offset + sizeof(struct local_entry));
}

static const struct local_key *key_of(const struct local_reader *r)
{
	return r->has_own_key ? &r->own_key : NULL;
}

static int check_run(struct local_reader *r, const struct run *run, char *data)
{
	for (uint32_t i = 0; i < run->count; i++) {
		const struct local_chunk *chunk = &run->chunks[i];
		int err = local_chunk_decode(r->local, NULL, r->page.entries[run->first + i].name,
					     chunk, data, data);
		if (err < 0)
			return err;
		data += chunk->len;
	}
	return 0;
}

/* Reads RUN into DATA. -ENOENT: it was moved. */
static int read_run(struct local_reader *r, const struct run *run, char *data)
{
	struct local_segment *segment;
	const struct local_chunk *first = &run->chunks[0];
	if (first->flags != 0 || first->stored_len != first->len)
		return local_chunk_read(r->local, key_of(r), r->page.entries[run->first].name,
					first, data);
	int err = local_segment_get(&r->local->segments, first->segment, &segment);
	if (err < 0)
		return err;
	err = read_plain(r, run, segment, data);
	segment = local_segment_put(&r->local->segments, segment);
	if (err == 0)
		err = check_run(r, run, data);
	return err == -ENODATA ? -EBADMSG : err;
}

/* A look alone, whose transaction ends before anything is read. */
static int look_at(struct local_reader *r, uint64_t offset, size_t most, struct run *run)
{
	MDB_txn *txn;
	int err = local_read_begin(r->local, &txn);
	if (err < 0)
		return err;
	err = find_run(r, txn, offset, most, run);
	local_read_end(r->local, txn);
	return err;
}

/* Chunk by chunk: so that only the damaged one fails, and what moved is looked up again. */
static int read_slowly(struct local_reader *r, const struct run *run, char *data)
{
	for (uint32_t i = 0; i < run->count; i++) {
		const struct local_page_entry *entry = &r->page.entries[run->first + i];
		int err = local_chunk_fetch(r->local, key_of(r), entry->name, entry->len, data);
		if (err < 0)
			return err;
		data += entry->len;
	}
	return 0;
}

static int window_reserve(struct local_reader *r, size_t len)
{
	if (len <= r->window_cap)
		return 0;
	r->window_len = 0;
	free(r->window);
	r->window = malloc(len);
	r->window_cap = r->window == NULL ? 0 : len;
	return r->window == NULL ? -ENOMEM : 0;
}

static int fill_window(struct local_reader *r, struct run *run, uint64_t offset)
{
	int err = window_reserve(r, run->len);
	if (err < 0)
		return err;
	r->window_len = 0;
	err = read_run(r, run, r->window);
	if (err == -ENOENT || err == -EBADMSG) {
		/* Ahead of what was asked for nobody needs to know of damage yet. */
		while (run->start + r->page.entries[run->first].len <= offset) {
			run->start += r->page.entries[run->first].len;
			run->first++;
		}
		run->count = 1;
		run->len = r->page.entries[run->first].len;
		err = read_slowly(r, run, r->window);
	}
	if (err < 0)
		return err;
	r->window_start = run->start;
	r->window_len = run->len;
	return 0;
}

static bool is_in_window(const struct local_reader *r, uint64_t offset)
{
	return offset >= r->window_start && offset - r->window_start < r->window_len;
}

/* Reads from OFFSET on: into OUT or through the window. Returns the count of bytes. */
static int64_t read_some(struct local_reader *r, char *out, size_t len, uint64_t offset)
{
	if (!is_in_window(r, offset)) {
		struct run run;
		bool is_sequence = offset == r->expected || len >= RUN_BYTES;
		int err = look_at(r, offset, is_sequence ? RUN_BYTES : 0, &run);
		if (err == 0 && run.start == offset && run.len <= len) {
			err = read_run(r, &run, out);
			if (err == -ENOENT || err == -EBADMSG)
				err = read_slowly(r, &run, out);
			return err < 0 ? err : (int64_t)run.len;
		}
		if (err == 0)
			err = fill_window(r, &run, offset);
		if (err < 0)
			return err;
	}
	size_t skip = offset - r->window_start;
	size_t n = EOS_MIN(r->window_len - skip, len);
	memcpy(out, r->window + skip, n);
	return (int64_t)n;
}

int64_t local_reader_read(struct store_reader *reader, void *data, size_t len, uint64_t offset)
{
	struct local_reader *r = reader_of(reader);
	if (r->key_id == LOCAL_KEY_CUSTOMER && !r->has_own_key)
		return -EACCES;
	if (r->is_sealed) {
		int err = unseal(r);
		if (err < 0)
			return err;
	}
	if (r->is_inline) {
		memcpy(data, r->data + offset, len);
		return (int64_t)len;
	}
	char *out = data;
	size_t rest = len;
	while (rest > 0) {
		int64_t n = read_some(r, out, rest, offset);
		if (n == -EBADMSG)
			return damaged(r, "chunk");
		if (n < 0)
			return n;
		out += n;
		offset += (uint64_t)n;
		rest -= (size_t)n;
		r->expected = offset;
		/* Too little room for the next run: better whole, and without a copy, in the next
		 * call. */
		if (len >= RUN_BYTES && rest < RUN_BYTES && !is_in_window(r, offset))
			break;
	}
	return (int64_t)(len - rest);
}

const char *local_reader_whole(const struct store_reader *reader)
{
	const struct local_reader *r = (const struct local_reader *)reader;
	return r->is_inline && !r->is_sealed && r->key_id != LOCAL_KEY_CUSTOMER ? r->data : NULL;
}

bool local_reader_is_shareable(const struct store_reader *reader, uint16_t key_id,
			       const char *wrapped)
{
	const struct local_reader *r = (const struct local_reader *)reader;
	const char *own = store_metadata_get(&r->info, STORE_META_CUSTOMER_KEY);
	if (r->manifest == 0 || r->key_id != key_id)
		return false;
	return key_id != LOCAL_KEY_CUSTOMER ||
	       (own != NULL && wrapped != NULL && strcmp(own, wrapped) == 0);
}

int local_reader_chunk_at(struct store_reader *reader, uint64_t offset,
			  struct local_page_entry *ret_entry, uint64_t *ret_start)
{
	struct local_reader *r = reader_of(reader);
	MDB_txn *txn;
	int err = local_read_begin(r->local, &txn);
	if (err < 0)
		return err;
	err = find_page(r, txn, offset);
	local_read_end(r->local, txn);
	if (err < 0)
		return err == -EBADMSG ? damaged(r, "manifest") : err;
	uint64_t start = r->page_start;
	uint32_t i = 0;
	while (start + r->page.entries[i].len <= offset)
		start += r->page.entries[i++].len;
	*ret_entry = r->page.entries[i];
	*ret_start = start;
	return 0;
}
