/*
 * The buffer, from left to right: chunks that are cut but not written (staged; duplicates are left
 * out), the chunk in the making, room.
 *
 *     | staged | dup | staged | in the making ...... |            |
 *                              ^start                 ^len         ^cap
 *
 * When a MiB is staged, or the room ends, the staged chunks are written by one pwritev() to one
 * reserved place, and what is in the making moves to the front. The buffer grows as it is needed
 * up to a MiB and a chunk of the largest size, so a small object costs little memory.
 *
 * A chunk that comes twice within a list would be written twice, as the first is in no table yet: a
 * direct-mapped index finds those that are not too far apart (long zeros, above all).
 */
#include "store/local_chunker_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/assert.h"
#include "crypto/crypto.h"
#include "store/local_priv.h"

EOS_COUNTER(chunks_written, "store.chunks_written_total", "Chunks written to segments.")
EOS_COUNTER(chunks_shared, "store.chunks_shared_total",
	    "Chunks of uploads that were stored already, or are stored once in them.")
EOS_COUNTER(bytes_shared, "store.bytes_shared_total", "Bytes of those.")
EOS_COUNTER(chunk_bytes_written, "store.chunk_bytes_written_total",
	    "Bytes of chunks written to segments, as they are stored.")

#define FLUSH_BYTES (1u << 20)
#define BUFFER_MIN  (64u << 10)
#define STAGED_MAX  256u
#define INDEX_SIZE  2048u
#define ZSTD_LEVEL  1

struct staged {
	size_t index; /* in the list */
	const void *payload;
	void *owned; /* compressed; or NULL */
};

struct local_chunker {
	struct local *local;
	bool is_compressed, is_manifest_pinned;
	const struct local_key *key; /* borrowed; NULL: not encrypted */
	ZSTD_CCtx *zstd;
	/* Encrypted: what the staged chunks' payloads stand in; as large as they can be. */
	uint8_t *sealed;
	size_t sealed_len;

	struct local_cdc cdc;
	uint8_t *buffer;
	size_t start, len, cap;
	uint64_t offset; /* of buffer[start] in the object */
	uint8_t *stored; /* what was stored before is read into it */
	size_t stored_cap;

	struct local_chunk_list list;
	uint16_t index[INDEX_SIZE]; /* by name: where in the list + 1 */

	struct staged staged[STAGED_MAX];
	unsigned staged_count;
	uint64_t staged_bytes;
	struct local_entry entries[STAGED_MAX];
	struct iovec iov[3 * STAGED_MAX];

	/* The segments that the list's chunks were written to: one reference and one writer each.
	 */
	struct local_segment **written;
	size_t written_count, written_cap;
};

int local_chunker_new(struct local *local, bool is_compressed, const struct local_key *key,
		      struct local_chunker **ret_chunker)
{
	struct local_chunker *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->local = local;
	c->is_compressed = is_compressed;
	c->key = key;
	local_cdc_begin(&c->cdc, 0);
	*ret_chunker = c;
	return 0;
}

/* What the list holds is committed, or never will be. */
static void release_list(struct local_chunker *c)
{
	for (size_t i = 0; i < c->list.count; i++) {
		struct local_new_chunk *chunk = &c->list.all[i];
		if (chunk->segment == NULL && !chunk->is_staged)
			local_unpin(&c->local->chunk_pins, chunk->name);
	}
	for (size_t i = 0; i < c->written_count; i++) {
		local_segment_written(&c->local->segments, c->written[i]);
		local_segment_put(&c->local->segments, c->written[i]);
	}
	c->list.count = c->written_count = 0;
	memset(c->index, 0, sizeof(c->index));
}

static void unstage(struct local_chunker *c)
{
	for (unsigned i = 0; i < c->staged_count; i++)
		free(c->staged[i].owned);
	c->staged_count = 0;
	c->staged_bytes = c->sealed_len = 0;
}

struct local_chunker *local_chunker_free(struct local_chunker *c)
{
	if (c == NULL)
		return NULL;
	release_list(c);
	unstage(c);
	if (c->is_manifest_pinned) {
		uint8_t name[LOCAL_PIN_SIZE];
		local_manifest_pin_name(c->list.manifest, name);
		local_unpin(&c->local->manifest_pins, name);
	}
	ZSTD_freeCCtx(c->zstd);
	free(c->written);
	free(c->list.all);
	free(c->stored);
	free(c->buffer);
	free(c->sealed);
	free(c);
	return NULL;
}

/* Copies of what was marked as damaged are in its place now. */
static void heal(struct local_chunker *c)
{
	for (size_t i = 0; i < c->list.count; i++)
		if (c->list.all[i].segment != NULL &&
		    local_pins_is_damaged(&c->local->chunk_pins, c->list.all[i].name))
			local_pins_set_damaged(&c->local->chunk_pins, c->list.all[i].name, false);
}

void local_chunker_committed(struct local_chunker *c)
{
	heal(c);
	release_list(c);
}

static struct local_new_chunk *list_add(struct local_chunker *c)
{
	if (c->list.count == c->list.cap) {
		size_t cap = EOS_MAX(2 * c->list.cap, (size_t)16);
		struct local_new_chunk *all = realloc(c->list.all, cap * sizeof(all[0]));
		if (all == NULL)
			return NULL;
		c->list.all = all;
		c->list.cap = cap;
	}
	struct local_new_chunk *chunk = &c->list.all[c->list.count++];
	memset(chunk, 0, sizeof(*chunk));
	return chunk;
}

static uint16_t *index_of(struct local_chunker *c, const uint8_t *name)
{
	uint16_t word;
	memcpy(&word, name, sizeof(word));
	return &c->index[word % INDEX_SIZE];
}

static int written_add(struct local_chunker *c)
{
	if (c->written_count < c->written_cap)
		return 0;
	size_t cap = EOS_MAX(2 * c->written_cap, (size_t)8);
	struct local_segment **written = realloc(c->written, cap * sizeof(written[0]));
	if (written == NULL)
		return -ENOMEM;
	c->written = written;
	c->written_cap = cap;
	return 0;
}

/* Seals the staged entries for their place and lists what is to be written. */
static int lay_out(struct local_chunker *c, const struct local_segment *segment, uint64_t offset)
{
	static const uint8_t zeros[8];
	int count = 0;
	for (unsigned i = 0; i < c->staged_count; i++) {
		struct local_new_chunk *chunk = &c->list.all[c->staged[i].index];
		struct local_entry *entry = &c->entries[i];
		entry->stored_len = chunk->stored_len;
		entry->len = chunk->len;
		entry->flags = chunk->flags;
		entry->key = chunk->key;
		memcpy(entry->name, chunk->name, LOCAL_NAME_SIZE);
		entry->payload_sum = chunk->payload_sum;
		local_entry_seal(entry, segment->salt, offset);
		chunk->offset = offset;
		uint64_t bytes = local_entry_bytes(chunk->stored_len);
		size_t pad = bytes - sizeof(*entry) - chunk->stored_len;
		c->iov[count++] = (struct iovec){entry, sizeof(*entry)};
		c->iov[count++] =
			(struct iovec){(void *)(uintptr_t)c->staged[i].payload, chunk->stored_len};
		if (pad > 0)
			c->iov[count++] = (struct iovec){(void *)(uintptr_t)zeros, pad};
		offset += bytes;
	}
	return count;
}

/* Writes the staged chunks. */
static int flush(struct local_chunker *c)
{
	struct local_segment *segment;
	uint64_t offset;
	if (c->staged_count == 0)
		return 0;
	int err = written_add(c);
	if (err == 0)
		err = local_space_check(c->local);
	if (err == 0)
		err = local_segment_reserve(&c->local->segments, c->staged_bytes, &segment,
					    &offset);
	if (err < 0)
		return err;
	c->written[c->written_count++] = segment;
	int count = lay_out(c, segment, offset);
	err = local_segment_write(segment, c->iov, count, offset);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < c->staged_count; i++)
		c->list.all[c->staged[i].index].segment = segment;
	/* Those that came again within what was staged. */
	for (size_t i = c->staged[0].index; i < c->list.count; i++) {
		struct local_new_chunk *chunk = &c->list.all[i];
		if (chunk->is_staged && chunk->segment == NULL) {
			chunk->offset = c->list.all[chunk->same_as].offset;
			chunk->segment = segment;
		}
	}
	eos_counter_add(&chunks_written, c->staged_count);
	eos_counter_add(&chunk_bytes_written, c->staged_bytes);
	unstage(c);
	return 0;
}

/* Commits the list to the manifest. */
static int commit_ahead(struct local_chunker *c)
{
	struct local_op op = {.kind = LOCAL_OP_MANIFEST_APPEND, .chunks = &c->list};
	int err = flush(c);
	if (err < 0)
		return err;
	uint64_t next = c->list.offset;
	for (size_t i = 0; i < c->list.count; i++)
		next += c->list.all[i].len;
	err = local_commit(c->local, &op);
	if (op.is_pinned) {
		c->list.manifest = op.record.manifest;
		c->is_manifest_pinned = true;
	}
	if (err < 0)
		return err;
	c->list.offset = next;
	local_chunker_committed(c);
	return 0;
}

/* Compresses where it saves a sixteenth: less is not worth what reading costs. */
static int compress(struct local_chunker *c, struct staged *staged, struct local_new_chunk *chunk)
{
	if (c->zstd == NULL)
		c->zstd = ZSTD_createCCtx();
	size_t room = chunk->len - chunk->len / 16;
	void *out = malloc(room);
	if (c->zstd == NULL || out == NULL) {
		free(out);
		return -ENOMEM;
	}
	size_t n = ZSTD_compressCCtx(c->zstd, out, room, staged->payload, chunk->len, ZSTD_LEVEL);
	if (ZSTD_isError(n) || n == 0) { /* it does not fit */
		free(out);
		return 0;
	}
	staged->payload = staged->owned = out;
	chunk->stored_len = (uint32_t)n;
	chunk->flags |= LOCAL_CHUNK_ZSTD;
	return 0;
}

/* The payload as it is now goes, sealed, to where the next one stands. What is staged is less than
 * FLUSH_BYTES before each chunk. */
static int seal(struct local_chunker *c, struct staged *staged, struct local_new_chunk *chunk)
{
	if (c->sealed == NULL && (c->sealed = malloc(FLUSH_BYTES + LOCAL_CHUNK_STORED_MAX)) == NULL)
		return -ENOMEM;
	uint8_t *out = c->sealed + c->sealed_len;
	int err = local_crypt_seal_chunk(c->local, c->key, chunk, staged->payload,
					 chunk->stored_len, out);
	if (err < 0)
		return err;
	free(staged->owned);
	staged->owned = NULL;
	staged->payload = out;
	c->sealed_len += chunk->stored_len;
	return 0;
}

/* Whether what is stored can be read: whoever brings the bytes again must not be told that they are
 * safe when the copy that is there is not. Reading costs less than writing them once more. */
static int is_readable(struct local_chunker *c, const uint8_t *name, uint32_t len, bool *ret)
{
	*ret = false;
	if (local_pins_is_damaged(&c->local->chunk_pins, name))
		return 0;
	if (c->stored_cap < len) {
		free(c->stored);
		c->stored = malloc(len);
		c->stored_cap = c->stored != NULL ? len : 0;
	}
	if (c->stored == NULL)
		return -ENOMEM;
	int err = local_chunk_fetch(c->local, c->key, name, len, c->stored);
	*ret = err == 0;
	return err == -EBADMSG || err == -EIO ? 0 : err;
}

/* Whether the chunk is stored; then it is pinned. */
static int look_up(struct local_chunker *c, const uint8_t *name, uint32_t len, bool *ret_is_there)
{
	struct local_chunk there;
	MDB_txn *txn;
	*ret_is_there = false;
	int err = local_pin(&c->local->chunk_pins, name);
	if (err < 0)
		return err == -EAGAIN ? 0 : err;
	err = local_read_begin(c->local, &txn);
	if (err == 0) {
		err = local_chunk_get(c->local, txn, name, &there);
		mdb_txn_abort(txn);
		if (err == 0 && there.len == len)
			err = is_readable(c, name, len, ret_is_there);
		if (err == -ENOENT || err == -EBADMSG)
			err = 0;
	}
	if (!*ret_is_there)
		local_unpin(&c->local->chunk_pins, name);
	return err;
}

/* NAME is within the list already, as number SAME: the same place counts for both. */
static void share(struct local_chunker *c, struct local_new_chunk *chunk, size_t same)
{
	const struct local_new_chunk *first = &c->list.all[same];
	*chunk = *first;
	if (first->is_staged && first->segment == NULL)
		chunk->same_as = first->same_as;
}

static int stage(struct local_chunker *c, const uint8_t *data, struct local_new_chunk *chunk)
{
	struct staged *staged = &c->staged[c->staged_count];
	*staged = (struct staged){.index = c->list.count - 1, .payload = data};
	chunk->is_staged = true;
	chunk->same_as = c->list.count - 1;
	int err = c->is_compressed ? compress(c, staged, chunk) : 0;
	if (err == 0 && c->key != NULL)
		err = seal(c, staged, chunk);
	if (err < 0) {
		free(staged->owned);
		return err;
	}
	chunk->payload_sum = local_payload_sum(chunk->name, staged->payload, chunk->stored_len);
	c->staged_count++;
	c->staged_bytes += local_entry_bytes(chunk->stored_len);
	return 0;
}

static void count_shared(uint32_t len)
{
	eos_counter_add(&chunks_shared, 1);
	eos_counter_add(&bytes_shared, len);
}

/* LEN bytes at DATA, in the buffer, are a chunk. */
static int take_chunk(struct local_chunker *c, const uint8_t *data, uint32_t len)
{
	uint8_t name[LOCAL_NAME_SIZE];
	bool is_there = false;
	int err = local_crypt_name(c->local, c->key, data, len, name);
	if (err < 0)
		return err;
	uint16_t *slot = index_of(c, name);
	size_t same = *slot;
	bool is_known = same > 0 && c->list.all[same - 1].len == len &&
			memcmp(c->list.all[same - 1].name, name, sizeof(name)) == 0 &&
			c->list.all[same - 1].is_staged;
	if (!is_known)
		err = look_up(c, name, len, &is_there);
	if (err < 0)
		return err;
	struct local_new_chunk *chunk = list_add(c);
	if (chunk == NULL) {
		if (is_there)
			local_unpin(&c->local->chunk_pins, name);
		return -ENOMEM;
	}
	if (is_known || is_there)
		count_shared(len);
	if (is_known) {
		share(c, chunk, same - 1);
		return 0;
	}
	memcpy(chunk->name, name, sizeof(name));
	chunk->len = chunk->stored_len = len;
	if (is_there)
		return 0;
	*slot = (uint16_t)c->list.count;
	return stage(c, data, chunk);
}

/* Writes what is staged and moves the chunk in the making to the front. */
static int make_room(struct local_chunker *c)
{
	int err = flush(c);
	if (err < 0)
		return err;
	memmove(c->buffer, c->buffer + c->start, c->len - c->start);
	c->len -= c->start;
	c->start = 0;
	return 0;
}

/* The chunk in the making ends after LEN bytes. */
static int end_chunk(struct local_chunker *c, size_t len)
{
	int err = take_chunk(c, c->buffer + c->start, (uint32_t)len);
	if (err < 0)
		return err;
	c->start += len;
	c->offset += len;
	local_cdc_begin(&c->cdc, c->offset);
	if (c->list.count >= LOCAL_LIST_MAX)
		err = commit_ahead(c);
	if (err == 0 && (c->staged_bytes >= FLUSH_BYTES || c->staged_count == STAGED_MAX))
		err = make_room(c);
	return err;
}

static int grow(struct local_chunker *c, size_t wanted)
{
	size_t most = FLUSH_BYTES + c->cdc.max;
	if (c->cap >= most)
		return make_room(c);
	size_t cap = EOS_MAX(c->cap, (size_t)BUFFER_MIN);
	while (cap < most && cap < c->len + wanted)
		cap *= 2;
	cap = EOS_MIN(cap, most);
	uint8_t *buffer = malloc(cap);
	if (buffer == NULL)
		return -ENOMEM;
	if (c->buffer != NULL) {
		memcpy(buffer, c->buffer, c->len);
		for (unsigned i = 0; i < c->staged_count; i++) {
			struct staged *staged = &c->staged[i];
			if (staged->owned == NULL && c->key == NULL)
				staged->payload =
					buffer + ((const uint8_t *)staged->payload - c->buffer);
		}
		free(c->buffer);
	}
	c->buffer = buffer;
	c->cap = cap;
	return 0;
}

int local_chunker_write(struct local_chunker *c, const void *data, size_t len)
{
	const uint8_t *in = data;
	while (len > 0) {
		int err = 0;
		if (c->len == c->cap)
			err = grow(c, len);
		if (err < 0)
			return err;
		size_t n = EOS_MIN(len, c->cap - c->len);
		memcpy(c->buffer + c->len, in, n);
		c->len += n;
		in += n;
		len -= n;
		size_t end;
		while (err == 0 &&
		       (end = local_cdc_end(&c->cdc, c->buffer + c->start, c->len - c->start)) > 0)
			err = end_chunk(c, end);
		if (err < 0)
			return err;
	}
	return 0;
}

static int end_last(struct local_chunker *c)
{
	return c->len > c->start ? end_chunk(c, c->len - c->start) : 0;
}

int local_chunker_refer(struct local_chunker *c, const uint8_t name[LOCAL_NAME_SIZE], uint32_t len)
{
	int err = end_last(c);
	if (err == 0)
		err = local_pin(&c->local->chunk_pins, name);
	if (err < 0)
		return err;
	struct local_new_chunk *chunk = list_add(c);
	if (chunk == NULL) {
		local_unpin(&c->local->chunk_pins, name);
		return -ENOMEM;
	}
	memcpy(chunk->name, name, LOCAL_NAME_SIZE);
	chunk->len = chunk->stored_len = len;
	c->offset += len;
	local_cdc_begin(&c->cdc, c->offset);
	count_shared(len);
	return c->list.count >= LOCAL_LIST_MAX ? commit_ahead(c) : 0;
}

int local_chunker_finish(struct local_chunker *c, const struct local_chunk_list **ret_list)
{
	int err = end_last(c);
	if (err == 0)
		err = flush(c);
	if (err < 0)
		return err;
	*ret_list = &c->list;
	return 0;
}

/* Reads a chunk of the list back, from where it was written or from where it was found. */
static int read_listed(struct local_chunker *c, const struct local_new_chunk *chunk, void *data)
{
	struct local_chunk there;
	if (chunk->segment == NULL)
		return local_chunk_fetch(c->local, c->key, chunk->name, chunk->len, data);
	there.segment = chunk->segment->id;
	there.offset = chunk->offset;
	there.payload_sum = chunk->payload_sum;
	there.stored_len = chunk->stored_len;
	there.len = chunk->len;
	there.flags = chunk->flags;
	there.key = chunk->key;
	return local_chunk_read(c->local, c->key, chunk->name, &there, data);
}

static int each_committed(struct local_chunker *c, uint8_t *data,
			  int (*visit)(void *ctx, const void *data, size_t len), void *ctx)
{
	for (uint64_t offset = 0; offset < c->list.offset;) {
		struct local_page page;
		uint64_t start;
		MDB_txn *txn;
		int err = local_read_begin(c->local, &txn);
		if (err < 0)
			return err;
		err = local_manifest_find(c->local, txn, c->list.manifest, offset, &page, &start);
		mdb_txn_abort(txn);
		for (uint32_t i = 0; err == 0 && i < page.count; i++) {
			err = local_chunk_fetch(c->local, c->key, page.entries[i].name,
						page.entries[i].len, data);
			if (err == 0)
				err = visit(ctx, data, page.entries[i].len);
			offset += page.entries[i].len;
		}
		if (err < 0)
			return err;
	}
	return 0;
}

int local_chunker_each(struct local_chunker *c,
		       int (*visit)(void *ctx, const void *data, size_t len), void *ctx)
{
	int err = flush(c);
	if (err < 0)
		return err;
	uint8_t *data = malloc(LOCAL_CHUNK_BYTES_MAX);
	if (data == NULL)
		return -ENOMEM;
	err = each_committed(c, data, visit, ctx);
	for (size_t i = 0; err == 0 && i < c->list.count; i++) {
		err = read_listed(c, &c->list.all[i], data);
		if (err == 0)
			err = visit(ctx, data, c->list.all[i].len);
	}
	free(data);
	return err < 0 || c->len == c->start ? err
					     : visit(ctx, c->buffer + c->start, c->len - c->start);
}
