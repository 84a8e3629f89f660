/*
 * What each change does to the tables, inside the committer's transaction.
 * The halves of a change: local_changes_priv.h.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "store/local_changes_priv.h"
#include "store/local_keys_priv.h"
#include "store/local_scrub_priv.h"

static MDB_val text_val(const char *text)
{
	/* LMDB does not write to the keys it is given. */
	return (MDB_val){.mv_size = strlen(text), .mv_data = (void *)(uintptr_t)text};
}

static MDB_val id_val(uint8_t bytes[8], uint64_t id)
{
	local_be64_put(bytes, id);
	return (MDB_val){.mv_size = 8, .mv_data = bytes};
}

int local_drop_record(struct local_txn *t, const struct local_record *record)
{
	return record->kind == LOCAL_RECORD_CHUNKED ? local_trash_put(t, record->manifest) : 0;
}

int local_refuse(struct local_txn *t, struct local_op *op, int result)
{
	op->result = result;
	return 0;
}

int local_accept(struct local_txn *t, struct local_op *op)
{
	op->result = 0;
	t->is_changed = true;
	return 0;
}

/* Called by the matcher, once a target. */
static void emit(void *ctx, const char *target, const char *rule)
{
	struct local_txn *t = ctx;
	struct store_event *event = &t->event;
	if (t->emit_error < 0)
		return;
	if (eos_str_copy(event->target, sizeof(event->target), target) < 0 ||
	    eos_str_copy(event->rule, sizeof(event->rule), rule == NULL ? "" : rule) < 0) {
		/* A bug of whoever made them; it must not hold up the data. */
		eos_log(EOS_LOG_ERROR, "store",
			"event dropped: target or rule too long target=%.64s...", target);
		return;
	}
	uint8_t encoded[LOCAL_EVENT_SIZE_MAX], name[8];
	event->id = t->state.event_next;
	MDB_val key = id_val(name, event->id);
	MDB_val value = {.mv_size = local_event_encode(event, encoded), .mv_data = encoded};
	t->emit_error = local_put(t->txn, t->local->outbox, &key, &value, 0);
	if (t->emit_error == 0) {
		t->state.event_next++;
		t->state.outbox_events++;
		t->has_events = true;
	}
}

int local_emit_events(struct local_txn *t, enum store_event_kind kind, const char *bucket,
		      const struct local_bucket *settings, const char *key, size_t key_len,
		      const struct local_record *record)
{
	if (t->local->match == NULL || store_bucket_is_own(bucket))
		return 0;
	struct store_event *event = &t->event;
	event->attempts = 0;
	event->not_before_ns = 0;
	event->kind = kind;
	event->time_ns = eos_wall_ns();
	event->size = record->size;
	event->sequence = t->state.sequence;
	event->version = record->version;
	event->id = t->state.event_next;
	eos_hex_encode(record->md5, sizeof(record->md5), event->etag);
	if (record->kind == LOCAL_RECORD_MARKER)
		event->etag[0] = '\0';
	int err = eos_str_copy(event->bucket, sizeof(event->bucket), bucket);
	EOS_ASSERT(err == 0 && key_len <= STORE_KEY_MAX);
	memcpy(event->owner, settings->tenant, sizeof(event->owner));
	event->bucket_created_ns = settings->created_ns;
	event->target[0] = event->rule[0] = '\0';
	event->key_len = (uint32_t)key_len;
	memcpy(event->key, key, key_len);
	event->key[key_len] = '\0';
	t->emit_error = 0;
	t->local->match(t->local->matcher_ctx, event, emit, t);
	return t->emit_error;
}

int local_bucket_put(struct local_txn *t, const char *name, struct local_bucket *bucket)
{
	local_bucket_seal(bucket, name, strlen(name));
	MDB_val key = text_val(name);
	MDB_val value = {.mv_size = sizeof(*bucket), .mv_data = bucket};
	return local_put(t->txn, t->local->buckets, &key, &value, 0);
}

static int apply_bucket_create(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err != -ENOENT)
		return local_refuse(t, op, err == 0 ? -EEXIST : err);
	bucket = (struct local_bucket){
		.node = t->state.node_next++,
		.created_ns = eos_wall_ns(),
	};
	local_bucket_take_settings(&bucket, op->settings);
	err = local_bucket_put(t, op->bucket, &bucket);
	if (err < 0)
		return err;
	if (!store_bucket_is_own(op->bucket))
		t->state.buckets++;
	return local_accept(t, op);
}

static int apply_bucket_delete(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err < 0)
		return local_refuse(t, op, err);
	int is_empty = local_keys_is_empty(t->txn, t->local->objects, bucket.node);
	if (is_empty <= 0)
		return local_refuse(t, op, is_empty == 0 ? -ENOTEMPTY : is_empty);
	MDB_val key = text_val(op->bucket);
	err = local_delete(t->txn, t->local->buckets, &key);
	if (err == 0)
		err = local_documents_drop(t, bucket.node);
	if (err < 0)
		return err;
	if (!store_bucket_is_own(op->bucket))
		t->state.buckets--;
	return local_accept(t, op);
}

static int apply_outbox_remove(struct local_txn *t, struct local_op *op)
{
	uint8_t name[8];
	MDB_val key = id_val(name, op->event_id), value;
	int err = local_error(mdb_get(t->txn, t->local->outbox, &key, &value));
	if (err < 0)
		return local_refuse(t, op, err);
	err = local_delete(t->txn, t->local->outbox, &key);
	if (err < 0)
		return err;
	t->state.outbox_events--;
	return local_accept(t, op);
}

static int apply_outbox_retry(struct local_txn *t, struct local_op *op)
{
	uint8_t name[8], encoded[LOCAL_EVENT_SIZE_MAX];
	MDB_val key = id_val(name, op->event_id), value;
	int err = local_error(mdb_get(t->txn, t->local->outbox, &key, &value));
	if (err == 0)
		err = local_event_parse(&value, op->event_id, &t->event);
	if (err < 0)
		return local_refuse(t, op, err);
	t->event.attempts++;
	t->event.not_before_ns = op->not_before_ns;
	value = (MDB_val){.mv_size = local_event_encode(&t->event, encoded), .mv_data = encoded};
	err = local_put(t->txn, t->local->outbox, &key, &value, 0);
	return err < 0 ? err : local_accept(t, op);
}

int local_change_apply(struct local_txn *t, struct local_op *op)
{
	static int (*const appliers[])(struct local_txn * t, struct local_op * op) = {
		[LOCAL_OP_BUCKET_CREATE] = apply_bucket_create,
		[LOCAL_OP_BUCKET_DELETE] = apply_bucket_delete,
		[LOCAL_OP_BUCKET_SETTINGS] = local_apply_settings,
		[LOCAL_OP_DOCUMENT_SET] = local_apply_document_set,
		[LOCAL_OP_DOCUMENT_DELETE] = local_apply_document_delete,
		[LOCAL_OP_TENANT_QUOTA] = local_apply_tenant_quota,
		[LOCAL_OP_REINDEX] = local_apply_reindex,
		[LOCAL_OP_OBJECT_PUT] = local_apply_put,
		[LOCAL_OP_OBJECT_DELETE] = local_apply_delete,
		[LOCAL_OP_OBJECT_RENAME] = local_apply_rename,
		[LOCAL_OP_OBJECT_UPDATE] = local_apply_update,
		[LOCAL_OP_OUTBOX_REMOVE] = apply_outbox_remove,
		[LOCAL_OP_OUTBOX_RETRY] = apply_outbox_retry,
		[LOCAL_OP_MANIFEST_APPEND] = local_apply_manifest_append,
		[LOCAL_OP_CHUNKS_MOVE] = local_apply_chunks_move,
		[LOCAL_OP_SEGMENT_DROP] = local_apply_segment_drop,
		[LOCAL_OP_KEYS_PUT] = local_apply_keys_put,
		[LOCAL_OP_RECOUNT] = local_apply_recount,
		[LOCAL_OP_SCRUB] = local_apply_scrub,
		[LOCAL_OP_DAMAGE] = local_apply_damage,
		[LOCAL_OP_RECLAIM] = local_apply_reclaim,
	};
	return appliers[op->kind](t, op);
}
