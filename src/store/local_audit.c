/*
 * Parts: the data is read a group of segments at a time (those with the same remainder), the
 * references are counted a range of names at a time; each part walks the whole table of chunks or
 * of manifests, but keeps only PART_CHUNKS entries.
 */
#include "store/local_audit_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/local_priv.h"

#define PART_CHUNKS (128u << 10)

struct item {
	uint8_t name[LOCAL_NAME_SIZE];
	struct local_chunk chunk;
	uint64_t counted;
};

struct items {
	struct item *all;
	size_t count, cap;
};

void local_audit_fini(struct local_audit *audit)
{
	for (size_t i = 0; i < audit->going_count; i++)
		local_pins_gone(&audit->local->chunk_pins, audit->going[i]);
	free(audit->going);
	free(audit->manifests);
	memset(audit, 0, sizeof(*audit));
}

static int items_add(struct items *items, const uint8_t *name, const struct local_chunk *chunk)
{
	if (items->count == items->cap) {
		size_t cap = EOS_MAX(2 * items->cap, (size_t)1024);
		struct item *all = realloc(items->all, cap * sizeof(all[0]));
		if (all == NULL)
			return -ENOMEM;
		items->all = all;
		items->cap = cap;
	}
	struct item *item = &items->all[items->count++];
	memcpy(item->name, name, LOCAL_NAME_SIZE);
	item->chunk = *chunk;
	item->counted = 0;
	return 0;
}

static int progress(struct local_audit *audit, uint64_t bytes)
{
	audit->done += bytes;
	if (audit->progress != NULL && !audit->progress(audit->ctx, audit->done, audit->of))
		return -EINTR;
	return 0;
}

/* Calls VISIT for each entry of the table. */
static int walk(struct local_audit *audit, MDB_dbi dbi,
		int (*visit)(struct local_audit *audit, const MDB_val *key, const MDB_val *value,
			     void *ctx),
		void *ctx)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = local_error(mdb_cursor_open(audit->txn, dbi, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; err == 0 && rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
		err = visit(audit, &key, &value, ctx);
	if (err == 0 && rc != MDB_NOTFOUND)
		err = local_error(rc);
	mdb_cursor_close(cursor);
	return err;
}

struct group {
	struct items items;
	uint32_t number, of;
};

static int collect_group(struct local_audit *audit, const MDB_val *key, const MDB_val *value,
			 void *ctx)
{
	struct group *group = ctx;
	struct local_chunk chunk;
	if (local_chunk_parse(key, value, &chunk) < 0) {
		audit->verdict.damaged_chunks += group->number == 0;
		return 0;
	}
	if (chunk.segment % group->of != group->number)
		return 0;
	return items_add(&group->items, key->mv_data, &chunk);
}

static int by_place(const void *a, const void *b)
{
	const struct local_chunk *x = &((const struct item *)a)->chunk;
	const struct local_chunk *y = &((const struct item *)b)->chunk;
	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* The entry before the payload says the same as the table. */
static int check_entry(struct local *local, const struct item *item)
{
	struct local_segment *segment;
	struct local_entry entry;
	const struct local_chunk *chunk = &item->chunk;
	int err = local_segment_get(&local->segments, chunk->segment, &segment);
	if (err < 0)
		return err;
	err = local_segment_read(segment, &entry, sizeof(entry), chunk->offset);
	if (err == 0)
		err = local_entry_check(&entry, segment->salt, chunk->offset);
	if (err == 0 && (memcmp(entry.name, item->name, LOCAL_NAME_SIZE) != 0 ||
			 entry.stored_len != chunk->stored_len || entry.len != chunk->len ||
			 entry.flags != chunk->flags || entry.key != chunk->key ||
			 entry.payload_sum != chunk->payload_sum))
		err = -EBADMSG;
	local_segment_put(&local->segments, segment);
	return err == -ENODATA ? -EBADMSG : err;
}

/* Whether the chunk is still where the snapshot has it: else it was moved or removed, as it may. */
static bool is_still_there(struct local *local, const struct item *item)
{
	struct local_chunk now;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err == 0) {
		err = local_chunk_get(local, txn, item->name, &now);
		mdb_txn_abort(txn);
	}
	return err == 0 && now.segment == item->chunk.segment && now.offset == item->chunk.offset;
}

static int check_item(struct local_audit *audit, const struct item *item, void *data)
{
	struct local *local = audit->local;
	int err = local_chunk_read(local, NULL, item->name, &item->chunk, data);
	if (err == -ENOKEY)
		err = 0; /* as it was written, by its checksum; more cannot be said */
	bool is_payload = err < 0;
	if (err == 0)
		err = check_entry(local, item);
	audit->verdict.chunks++;
	audit->verdict.bytes += item->chunk.stored_len;
	if (err == 0) {
		/* What a reader met once may have been the cable, not the disk. */
		if (local_pins_is_damaged(&local->chunk_pins, item->name) &&
		    is_still_there(local, item))
			local_pins_set_damaged(&local->chunk_pins, item->name, false);
		return progress(audit, item->chunk.stored_len);
	}
	if (err != -EBADMSG && err != -ENOENT && err != -EIO)
		return err;
	if (!is_still_there(local, item))
		return 0;
	audit->verdict.damaged_chunks++;
	if (is_payload)
		local_pins_set_damaged(&local->chunk_pins, item->name, true);
	eos_log(EOS_LOG_ERROR, "store", "damaged: chunk segment=%08x offset=%llu %s",
		item->chunk.segment, (unsigned long long)item->chunk.offset,
		is_payload ? "" : "(its head only)");
	return 0;
}

int local_audit_data(struct local_audit *audit)
{
	MDB_stat stat;
	int err = local_error(mdb_stat(audit->txn, audit->local->chunks, &stat));
	void *data = malloc(LOCAL_CHUNK_BYTES_MAX);
	struct group group = {.of = (uint32_t)(stat.ms_entries / PART_CHUNKS + 1)};
	if (err == 0 && data == NULL)
		err = -ENOMEM;
	for (; err == 0 && group.number < group.of; group.number++) {
		group.items.count = 0;
		err = walk(audit, audit->local->chunks, collect_group, &group);
		if (err < 0)
			break;
		if (group.items.count > 0)
			qsort(group.items.all, group.items.count, sizeof(struct item), by_place);
		for (size_t i = 0; err == 0 && i < group.items.count; i++)
			err = check_item(audit, &group.items.all[i], data);
	}
	free(group.items.all);
	free(data);
	return err;
}

struct live_count {
	uint32_t segment;
	uint64_t counted, recorded;
};

struct live_counts {
	struct live_count *all; /* sorted by segment */
	size_t count, cap;
};

/* The count of SEGMENT, made if there is none yet. NULL: no memory. */
static struct live_count *live_of(struct live_counts *counts, uint32_t segment)
{
	size_t low = 0, high = counts->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (counts->all[middle].segment < segment)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < counts->count && counts->all[low].segment == segment)
		return &counts->all[low];
	if (counts->count == counts->cap) {
		size_t cap = EOS_MAX(2 * counts->cap, (size_t)64);
		struct live_count *all = realloc(counts->all, cap * sizeof(all[0]));
		if (all == NULL)
			return NULL;
		counts->all = all;
		counts->cap = cap;
	}
	memmove(&counts->all[low + 1], &counts->all[low],
		(counts->count - low) * sizeof(counts->all[0]));
	counts->all[low] = (struct live_count){.segment = segment};
	counts->count++;
	return &counts->all[low];
}

/* The next PART_CHUNKS entries behind *FROM, which is moved on. */
static int collect_part(struct local_audit *audit, struct items *items, uint8_t *from,
			bool *ret_is_last)
{
	MDB_cursor *cursor;
	MDB_val key = {.mv_size = LOCAL_NAME_SIZE, .mv_data = from}, value;
	struct local_chunk chunk;
	items->count = 0;
	int err = local_error(mdb_cursor_open(audit->txn, audit->local->chunks, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; err == 0 && rc == 0 && items->count < PART_CHUNKS;
	     rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (local_chunk_parse(&key, &value, &chunk) < 0) {
			/* Nobody can read what it stood for. */
			if (audit->fix != NULL)
				err = local_error(mdb_cursor_del(cursor, 0));
			continue;
		}
		err = items_add(items, key.mv_data, &chunk);
	}
	*ret_is_last = rc == MDB_NOTFOUND;
	if (err == 0 && rc == 0 && key.mv_size == LOCAL_NAME_SIZE)
		memcpy(from, key.mv_data, LOCAL_NAME_SIZE);
	if (err == 0 && rc != 0 && rc != MDB_NOTFOUND)
		err = local_error(rc);
	mdb_cursor_close(cursor);
	return err;
}

static int by_name(const void *a, const void *b)
{
	return memcmp(a, b, LOCAL_NAME_SIZE);
}

static int count_page(struct local_audit *audit, const MDB_val *key, const MDB_val *value,
		      void *ctx)
{
	struct items *items = ctx;
	struct local_page page;
	if (local_page_parse(key, value, &page) < 0)
		return 0; /* local_audit_manifest() tells */
	for (uint32_t i = 0; i < page.count; i++) {
		struct item *item = bsearch(page.entries[i].name, items->all, items->count,
					    sizeof(struct item), by_name);
		if (item != NULL)
			item->counted++;
	}
	return 0;
}

/* As the reclaimer does: whoever looks at the chunk before the commit does not get it. */
static bool mark_going(struct local_audit *audit, const uint8_t *name)
{
	if (audit->going_count == audit->going_cap) {
		size_t cap = EOS_MAX(2 * audit->going_cap, (size_t)64);
		void *going = realloc(audit->going, cap * sizeof(audit->going[0]));
		if (going == NULL)
			return false;
		audit->going = going;
		audit->going_cap = cap;
	}
	if (!local_pins_going(&audit->local->chunk_pins, name))
		return false;
	memcpy(audit->going[audit->going_count++], name, LOCAL_NAME_SIZE);
	return true;
}

/* Sets the references of ITEM to what was counted; without any it goes. *RET_IS_GONE. */
static int fix_item(struct local_audit *audit, struct item *item, bool *ret_is_gone)
{
	struct local_txn *t = audit->fix;
	t->is_changed = true;
	*ret_is_gone = item->counted == 0 && mark_going(audit, item->name);
	if (!*ret_is_gone) {
		/* Pinned: an upload is about to refer to it, and if not, the next repair sees. */
		item->chunk.refs = item->counted > 0 ? item->counted : LOCAL_REFS_UNKNOWN;
		return local_chunk_put(audit->local, audit->txn, item->name, &item->chunk);
	}
	MDB_val key = {.mv_size = LOCAL_NAME_SIZE, .mv_data = item->name};
	t->state.chunks--;
	return local_delete(audit->txn, audit->local->chunks, &key);
}

static int count_items(struct local_audit *audit, struct items *items, struct live_counts *live)
{
	int err = walk(audit, audit->local->manifests, count_page, items);
	for (size_t i = 0; err == 0 && i < items->count; i++) {
		struct item *item = &items->all[i];
		bool is_wrong = item->counted != item->chunk.refs, is_gone = false;
		if (is_wrong)
			audit->verdict.wrong_counts++;
		if (is_wrong && audit->fix != NULL)
			err = fix_item(audit, item, &is_gone);
		if (err < 0 || is_gone)
			continue;
		struct live_count *count = live_of(live, item->chunk.segment);
		if (count == NULL)
			err = -ENOMEM;
		else
			count->counted += local_entry_bytes(item->chunk.stored_len);
	}
	return err;
}

/* What the table has for a segment. */
static int compare_live(struct local_audit *audit, const MDB_val *key, const MDB_val *value,
			void *ctx)
{
	struct local_segment_record record = {0};
	struct live_counts *live = ctx;
	uint32_t id;
	bool is_good = local_segment_record_parse(key, value, &record) == 0;
	if (key->mv_size != sizeof(id))
		return 0;
	memcpy(&id, key->mv_data, sizeof(id));
	audit->verdict.wrong_counts += !is_good;
	struct live_count *count = live_of(live, __builtin_bswap32(id));
	if (count == NULL)
		return -ENOMEM;
	count->recorded = record.live;
	return 0;
}

/* What the transaction, behind the changes before, must add so that the count becomes right. */
static int64_t missing(struct local_txn *t, const struct live_count *count)
{
	uint64_t live = count->recorded;
	(void)local_segments_live(&t->local->segments, count->segment, &live);
	for (size_t i = 0; i < t->live_count; i++)
		if (t->live[i].segment == count->segment)
			live += (uint64_t)t->live[i].bytes;
	return (int64_t)(count->counted - live);
}

static int settle_live(struct local_audit *audit, struct live_counts *live)
{
	int err = walk(audit, audit->local->segments_dbi, compare_live, live);
	for (size_t i = 0; err == 0 && i < live->count; i++) {
		const struct live_count *count = &live->all[i];
		audit->verdict.wrong_counts += count->counted != count->recorded;
		if (audit->fix == NULL)
			continue;
		/* Also where nothing is missing: the record may be what is wrong. */
		audit->fix->is_changed = true;
		err = local_live_add(audit->fix, count->segment, missing(audit->fix, count));
	}
	return err;
}

int local_audit_counts(struct local_audit *audit)
{
	struct items items = {0};
	struct live_counts live = {0};
	uint8_t from[LOCAL_NAME_SIZE] = {0};
	bool is_last = false;
	int err = 0;
	while (err == 0 && !is_last) {
		err = collect_part(audit, &items, from, &is_last);
		if (err == 0)
			err = count_items(audit, &items, &live);
		if (err == 0)
			err = progress(audit, 0);
	}
	if (err == 0)
		err = settle_live(audit, &live);
	free(live.all);
	free(items.all);
	return err;
}

int local_audit_add_manifest(struct local_audit *audit, uint64_t id)
{
	if (audit->manifests_count == audit->manifests_cap) {
		size_t cap = EOS_MAX(2 * audit->manifests_cap, (size_t)1024);
		uint64_t *all = realloc(audit->manifests, cap * sizeof(all[0]));
		if (all == NULL)
			return -ENOMEM;
		audit->manifests = all;
		audit->manifests_cap = cap;
	}
	audit->manifests[audit->manifests_count++] = id;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

struct leaks {
	uint64_t last; /* manifest seen */
	bool is_leaked;
	uint64_t *ids;
	size_t count, cap;
};

static int leaks_add(struct leaks *leaks, uint64_t id)
{
	if (leaks->count == leaks->cap) {
		size_t cap = EOS_MAX(2 * leaks->cap, (size_t)64);
		uint64_t *ids = realloc(leaks->ids, cap * sizeof(ids[0]));
		if (ids == NULL)
			return -ENOMEM;
		leaks->ids = ids;
		leaks->cap = cap;
	}
	leaks->ids[leaks->count++] = id;
	return 0;
}

static int find_leak(struct local_audit *audit, const MDB_val *key, const MDB_val *value, void *ctx)
{
	struct leaks *leaks = ctx;
	struct local_page page;
	int err = 0;
	if (key->mv_size != LOCAL_PAGE_KEY_SIZE)
		return 0;
	uint64_t id = local_be64_get(key->mv_data);
	if (id != leaks->last) {
		leaks->last = id;
		int in_trash = local_trash_has(audit->local, audit->txn, id);
		if (in_trash < 0)
			return in_trash;
		leaks->is_leaked =
			!in_trash && (audit->manifests_count == 0 ||
				      bsearch(&id, audit->manifests, audit->manifests_count,
					      sizeof(id), by_id) == NULL);
		audit->verdict.wrong_counts += leaks->is_leaked;
		if (leaks->is_leaked && audit->fix != NULL && !audit->is_partial)
			err = leaks_add(leaks, id);
	}
	if (leaks->is_leaked && local_page_parse(key, value, &page) == 0)
		for (uint32_t i = 0; i < page.count; i++)
			audit->verdict.leaked_bytes += page.entries[i].len;
	return err;
}

/* Entries of the trash that mean nobody knows which manifest. That one is leaked now. */
static int check_trash(struct local_audit *audit)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	uint64_t id;
	int err = local_error(mdb_cursor_open(audit->txn, audit->local->trash, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; err == 0 && rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (local_trash_parse(&key, &value, &id) == 0)
			continue;
		audit->verdict.wrong_counts++;
		if (audit->fix == NULL)
			continue;
		audit->fix->is_changed = true;
		err = local_error(mdb_cursor_del(cursor, 0));
	}
	mdb_cursor_close(cursor);
	return err == 0 && rc != 0 && rc != MDB_NOTFOUND ? local_error(rc) : err;
}

int local_audit_manifests(struct local_audit *audit)
{
	struct leaks leaks = {0};
	if (audit->manifests_count > 0)
		qsort(audit->manifests, audit->manifests_count, sizeof(uint64_t), by_id);
	int err = check_trash(audit);
	if (err == 0)
		err = walk(audit, audit->local->manifests, find_leak, &leaks);
	for (size_t i = 0; err == 0 && i < leaks.count; i++)
		err = local_trash_put(audit->fix, leaks.ids[i]);
	free(leaks.ids);
	return err;
}

static int check_page(struct local_audit *audit, const struct local_page *page,
		      const char **ret_text)
{
	for (uint32_t i = 0; i < page->count; i++) {
		struct local_chunk chunk;
		int err = local_chunk_get(audit->local, audit->txn, page->entries[i].name, &chunk);
		if (err == 0 && chunk.len == page->entries[i].len &&
		    !local_pins_is_damaged(&audit->local->chunk_pins, page->entries[i].name))
			continue;
		*ret_text = err == -ENOENT ? "a chunk is missing" : "a chunk is damaged";
		return err < 0 && err != -ENOENT && err != -EBADMSG ? err : -EBADMSG;
	}
	return 0;
}

int local_audit_manifest(struct local_audit *audit, uint64_t id, uint64_t size,
			 const char **ret_text)
{
	for (uint64_t offset = 0; offset < size;) {
		struct local_page page;
		uint64_t start;
		int err = local_manifest_find(audit->local, audit->txn, id, offset, &page, &start);
		if (err == 0 && start != offset)
			err = -EBADMSG;
		if (err < 0) {
			*ret_text = "its manifest is damaged";
			return err;
		}
		err = check_page(audit, &page, ret_text);
		if (err < 0)
			return err;
		for (uint32_t i = 0; i < page.count; i++)
			offset += page.entries[i].len;
		if (offset > size) {
			*ret_text = "its manifest is too long";
			return -EBADMSG;
		}
	}
	return 0;
}

int local_audit_content(struct local_audit *audit, const struct local_record *record,
			const char *data, const char **ret_text)
{
	if (record->kind == LOCAL_RECORD_CHUNKED)
		return local_audit_manifest(audit, record->manifest, record->size, ret_text);
	if (data != NULL && local_sum(data, local_inline_bytes(record), 0) != record->check) {
		*ret_text = "its data is damaged";
		return -EBADMSG;
	}
	return 0;
}
