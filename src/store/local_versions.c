/*
 * Changes of objects: which version becomes the latest, which stays, which goes.
 *
 *                    OFF                 ENABLED                SUSPENDED
 *     put            replaces            the latest is kept     replaces the null version, keeps
 *     delete         removes             a marker, as a put     a null marker, as a put
 *     delete of a version                removes it; the newest that is left becomes the latest
 *     rename         replaces            put at the new key; the version itself leaves the old
 *                                        key, where a marker becomes the latest
 * How versions are stored and what is true of them: local_history.c.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/str.h"
#include "store/local_changes_priv.h"
#include "store/local_keys_priv.h"
#include "store/store_metadata_priv.h"

/* A key and what is there before the change. What the founds point to is good until TXN writes. */
struct place {
	const char *name; /* of the bucket */
	uint64_t node;
	const char *key;
	size_t key_len;
	uint64_t seed;
	bool is_there; /* LATEST is */
	struct local_found latest;
	/* What a new latest version does to the old ones: plan(). */
	bool keeps;	    /* the former latest becomes noncurrent */
	bool replaces;	    /* or it goes */
	bool replaces_null; /* the noncurrent null version goes */
	struct local_record null;
};

/* The latest version, unless it is a marker; or NULL. */
static const struct local_found *visible(const struct place *p)
{
	return p->is_there && p->latest.record.kind != LOCAL_RECORD_MARKER ? &p->latest : NULL;
}

/* Adds what FACTOR of a version counts. */
static void count(struct local_delta *delta, const struct local_record *record, int factor)
{
	if (record->kind == LOCAL_RECORD_MARKER)
		return;
	delta->objects += factor;
	delta->bytes += factor * (int64_t)record->size;
}

static int look(struct local_txn *t, struct place *p, const char *name, uint64_t node,
		const char *key, size_t key_len)
{
	*p = (struct place){
		.name = name,
		.node = node,
		.key = key,
		.key_len = key_len,
		.seed = local_record_seed(node, key, key_len),
	};
	int err = local_latest_find(t->local, t->txn, name, node, key, key_len, &p->latest);
	p->is_there = err == 0;
	return err == -ENOENT ? 0 : err;
}

/* A time that cannot be read counts as one that never comes. */
static bool is_held(const struct local_found *found, bool bypasses_governance)
{
	const struct local_record *record = &found->record;
	const char *name, *value;
	bool is_retained = false, is_governed = false;
	uint64_t until_s;
	uint32_t offset = 0;
	while (store_metadata_pair(found->metadata, record->metadata_len, &offset, &name, &value)) {
		if (strcmp(name, STORE_META_LEGAL_HOLD) == 0 && strcmp(value, "ON") == 0)
			return true;
		if (strcmp(name, STORE_META_RETAIN_MODE) == 0)
			is_governed = strcmp(value, "GOVERNANCE") == 0;
		if (strcmp(name, STORE_META_RETAIN_UNTIL) == 0)
			is_retained = eos_parse_u64(value, &until_s) < 0 ||
				      until_s > eos_wall_ns() / EOS_NS_PER_S;
	}
	return is_retained && !(is_governed && bypasses_governance);
}

/*
 * What becomes of the versions at P when another becomes the latest; DELTA gets what goes. -EPERM:
 * something that would go is held. -EBADMSG.
 */
static int plan(struct local_txn *t, struct place *p, uint8_t versioning, bool bypasses_governance,
		struct local_delta *delta)
{
	struct local_found null;
	if (!p->is_there)
		return 0;
	const struct local_record *latest = &p->latest.record;
	p->keeps = versioning == STORE_VERSIONING_ENABLED || latest->version != STORE_VERSION_NULL;
	p->replaces = !p->keeps;
	p->replaces_null =
		versioning != STORE_VERSIONING_ENABLED && p->keeps && latest->null_sequence != 0;
	if (p->replaces && is_held(&p->latest, bypasses_governance))
		return -EPERM;
	if (p->replaces)
		count(delta, latest, -1);
	if (!p->replaces_null)
		return 0;
	int err = local_version_find(t->local, t->txn, p->name, p->node, p->key, p->key_len,
				     STORE_VERSION_NULL, &null);
	if (err < 0)
		return err;
	if (is_held(&null, bypasses_governance))
		return -EPERM;
	p->null = null.record;
	count(delta, &null.record, -1);
	return 0;
}

/* Copies what FOUND points to, for writing moves it. OUT has LOCAL_CONTENT_MAX bytes. */
static void take_copy(struct local_found *found, char *out)
{
	const struct local_record *record = &found->record;
	memcpy(out, found->metadata, record->metadata_len);
	found->metadata = out;
	if (found->data == NULL)
		return;
	memcpy(out + record->metadata_len, found->data,
	       local_record_size(record) - sizeof(*record) - record->metadata_len);
	found->data = out + record->metadata_len;
}

/* The latest at P as it is now; good whatever is written, until the next call. */
static int load_latest(struct local_txn *t, struct place *p, struct local_found *ret_latest)
{
	int err = local_latest_find(t->local, t->txn, p->name, p->node, p->key, p->key_len,
				    ret_latest);
	if (err == 0)
		take_copy(ret_latest, t->scratch);
	return err == -ENOENT ? -EBADMSG : err;
}

static int change_index(struct local_txn *t, const struct place *p,
			const struct local_record *record, const char *metadata, bool is_added)
{
	struct local_indexed object = {
		.bucket = p->name,
		.node = p->node,
		.key = p->key,
		.key_len = p->key_len,
		.record = record,
		.metadata = metadata,
	};
	return local_index_change(t, &object, is_added);
}

/* The latest version will be the latest no more, or has other metadata. */
static int leave_index(struct local_txn *t, const struct place *p)
{
	struct local_found latest;
	int err =
		local_latest_find(t->local, t->txn, p->name, p->node, p->key, p->key_len, &latest);
	if (err < 0)
		return err == -ENOENT ? -EBADMSG : err;
	return change_index(t, p, &latest.record, latest.metadata, false);
}

/* In the table and in the index; what was there must have left the index. */
static int put_latest(struct local_txn *t, struct place *p, struct local_record *record,
		      const char *metadata, const void *data)
{
	void *space;
	local_record_seal(record, metadata, p->seed);
	int err = local_keys_put(t->txn, t->local->objects, p->node, p->key, p->key_len,
				 local_record_size(record), &t->state.node_next, &space);
	if (err < 0)
		return err;
	local_record_write(record, metadata, data, space);
	return change_index(t, p, record, metadata, true);
}

/* The former latest becomes noncurrent: RECORD, the new one, gets to know it. */
static int push_latest(struct local_txn *t, struct place *p, struct local_record *record)
{
	struct local_found latest;
	int err = load_latest(t, p, &latest);
	if (err < 0)
		return err;
	if (record->history == 0)
		record->history = t->state.node_next++;
	if (latest.record.version == STORE_VERSION_NULL)
		record->null_sequence = latest.record.sequence;
	latest.record.history = record->history;
	latest.record.null_sequence = 0;
	return local_history_put(t, p->seed, &latest.record, latest.metadata, latest.data);
}

/* RECORD becomes the latest at P, and what plan() says happens to the others. METADATA and DATA
 * must not be in LMDB or t->scratch. */
static int set_latest(struct local_txn *t, struct place *p, struct local_record *record,
		      const char *metadata, const void *data)
{
	const struct local_record *old = &p->latest.record;
	int err = 0;
	record->history = p->is_there ? old->history : 0;
	record->null_sequence = p->is_there ? old->null_sequence : 0;
	if (p->replaces_null) {
		err = local_history_delete(t, old->history, old->null_sequence);
		if (err == 0)
			err = local_drop_record(t, &p->null);
		record->null_sequence = 0;
	}
	if (err == 0 && p->is_there)
		err = leave_index(t, p);
	if (err == 0 && p->keeps)
		err = push_latest(t, p, record);
	if (err == 0)
		err = put_latest(t, p, record, metadata, data);
	if (err == 0 && p->replaces)
		err = local_drop_record(t, old);
	return err;
}

static struct local_record new_record(struct local_txn *t, uint8_t versioning)
{
	uint64_t sequence = ++t->state.sequence;
	return (struct local_record){
		.kind = LOCAL_RECORD_MARKER,
		.sequence = sequence,
		.version = versioning == STORE_VERSIONING_ENABLED ? sequence : STORE_VERSION_NULL,
		.modified_ns = eos_wall_ns(),
	};
}

static bool etag_is(const struct local_record *record, const char *etag)
{
	char own[STORE_ETAG_SIZE];
	eos_hex_encode(record->md5, sizeof(record->md5), own);
	return strcmp(own, etag) == 0;
}

static int check_condition(const struct store_put_options *options, const struct local_found *old)
{
	if (options->condition == STORE_IF_ABSENT)
		return old != NULL ? -EEXIST : 0;
	if (options->condition != STORE_IF_MATCH)
		return 0;
	if (old == NULL)
		return -ENOENT;
	return etag_is(&old->record, options->etag) ? 0 : -ESTALE;
}

int local_apply_put(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	struct local_delta delta = {0};
	struct place p;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err == 0 && bucket.node != op->bucket_node) /* deleted and made anew meanwhile */
		err = -ENOENT;
	if (err == 0)
		err = look(t, &p, op->bucket, bucket.node, op->key, op->key_len);
	if (err == 0)
		err = check_condition(op->options, visible(&p));
	if (err == 0)
		err = plan(t, &p, bucket.versioning, false, &delta);
	if (err == 0) {
		count(&delta, &op->record, 1);
		err = local_usage_check(t, op->bucket, &bucket, delta);
	}
	if (err == 0 && op->chunks != NULL)
		err = local_chunks_check(t, op->chunks);
	if (err < 0)
		return local_refuse(t, op, err);

	struct local_record made = new_record(t, bucket.versioning);
	op->record.sequence = made.sequence;
	op->record.version = made.version;
	op->record.modified_ns = made.modified_ns;
	err = local_put_chunks(t, op);
	if (err == 0)
		err = set_latest(t, &p, &op->record, op->metadata, op->data);
	if (err == 0)
		err = local_emit_events(t, op->options->event, op->bucket, &bucket, op->key,
					op->key_len, &op->record);
	if (err == 0)
		err = local_usage_add(t, op->bucket, &bucket, delta);
	return err < 0 ? err : local_accept(t, op);
}

static enum store_event_kind removal_event(const struct local_op *op)
{
	return op->removal->is_expiration ? STORE_EVENT_EXPIRED : STORE_EVENT_REMOVED;
}

/* Without versions: the object goes, and its key with it. */
static int delete_object(struct local_txn *t, struct local_op *op, struct local_bucket *bucket,
			 struct place *p)
{
	struct local_delta delta = {0};
	const struct local_record *record = &p->latest.record;
	int err = is_held(&p->latest, op->removal->bypasses_governance) ? -EPERM : 0;
	count(&delta, record, -1);
	if (err == 0)
		err = local_usage_check(t, op->bucket, bucket, delta);
	if (err < 0)
		return local_refuse(t, op, err);

	t->state.sequence++;
	op->removed = (struct store_removed){.version = record->version};
	err = leave_index(t, p);
	if (err == 0)
		err = local_keys_delete(t->txn, t->local->objects, p->node, p->key, p->key_len);
	if (err == 0)
		err = local_drop_record(t, record);
	if (err == 0)
		err = local_emit_events(t, removal_event(op), op->bucket, bucket, op->key,
					op->key_len, record);
	if (err == 0)
		err = local_usage_add(t, op->bucket, bucket, delta);
	return err < 0 ? err : local_accept(t, op);
}

/* With versions: a delete marker becomes the latest. */
static int make_marker(struct local_txn *t, struct local_op *op, struct local_bucket *bucket,
		       struct place *p)
{
	struct local_delta delta = {0};
	int err = plan(t, p, bucket->versioning, op->removal->bypasses_governance, &delta);
	if (err == 0)
		err = local_usage_check(t, op->bucket, bucket, delta);
	if (err < 0)
		return local_refuse(t, op, err);

	struct local_record marker = new_record(t, bucket->versioning);
	op->removed = (struct store_removed){.version = marker.version, .is_delete_marker = true};
	err = set_latest(t, p, &marker, "", NULL);
	if (err == 0)
		err = local_emit_events(t,
					op->removal->is_expiration ? STORE_EVENT_MARKER_EXPIRED
								   : STORE_EVENT_MARKER_CREATED,
					op->bucket, bucket, op->key, op->key_len, &marker);
	if (err == 0)
		err = local_usage_add(t, op->bucket, bucket, delta);
	return err < 0 ? err : local_accept(t, op);
}

/* The newest noncurrent version, NEXT, takes the place of the latest. */
static int promote(struct local_txn *t, struct place *p, struct local_found *next)
{
	const struct local_record *latest = &p->latest.record;
	take_copy(next, t->scratch);
	next->record.null_sequence =
		next->record.version == STORE_VERSION_NULL ? 0 : latest->null_sequence;
	int err = leave_index(t, p);
	if (err == 0)
		err = local_history_delete(t, latest->history, next->record.sequence);
	return err < 0 ? err : put_latest(t, p, &next->record, next->metadata, next->data);
}

/* The writing half of the removal of the version FOUND. NEXT: what follows the latest, or NULL. */
static int remove_version(struct local_txn *t, struct place *p, const struct local_record *record,
			  bool is_latest, struct local_found *next)
{
	struct local_found latest;
	int err;
	if (is_latest && next != NULL)
		return promote(t, p, next);
	if (is_latest) {
		err = leave_index(t, p);
		return err < 0 ? err
			       : local_keys_delete(t->txn, t->local->objects, p->node, p->key,
						   p->key_len);
	}
	err = local_history_delete(t, record->history, record->sequence);
	if (err < 0 || record->version != STORE_VERSION_NULL)
		return err;
	err = load_latest(t, p, &latest);
	if (err < 0)
		return err;
	latest.record.null_sequence = 0;
	return put_latest(t, p, &latest.record, latest.metadata, latest.data);
}

static bool is_meant(const struct store_removal *removal, const struct local_record *record)
{
	return (removal->etag[0] == '\0' || etag_is(record, removal->etag)) &&
	       (removal->modified_ns == 0 || removal->modified_ns == record->modified_ns);
}

static int delete_version(struct local_txn *t, struct local_op *op, struct local_bucket *bucket,
			  struct place *p)
{
	const struct store_removal *removal = op->removal;
	struct local_found found, next;
	struct local_delta delta = {0};
	int err = local_version_find(t->local, t->txn, op->bucket, p->node, op->key, op->key_len,
				     removal->version, &found);
	if (err == 0 && !is_meant(removal, &found.record))
		err = -ESTALE;
	if (err == 0 && is_held(&found, removal->bypasses_governance))
		err = -EPERM;
	if (err == 0) {
		count(&delta, &found.record, -1);
		err = local_usage_check(t, op->bucket, bucket, delta);
	}
	bool has_next = false;
	if (err == 0 && found.is_latest) {
		err = local_history_newest(t->txn, t->local->versions, found.record.history,
					   p->seed, &next);
		has_next = err == 0;
		if (err == -ENOENT)
			err = 0;
		if (err == -EBADMSG)
			err = local_damaged("version record", op->bucket, op->key, op->key_len);
	}
	if (err < 0)
		return local_refuse(t, op, err);

	t->state.sequence++;
	op->removed = (struct store_removed){
		.version = found.record.version,
		.is_delete_marker = found.record.kind == LOCAL_RECORD_MARKER,
	};
	err = remove_version(t, p, &found.record, found.is_latest, has_next ? &next : NULL);
	if (err == 0)
		err = local_drop_record(t, &found.record);
	if (err == 0)
		err = local_emit_events(t, removal_event(op), op->bucket, bucket, op->key,
					op->key_len, &found.record);
	if (err == 0)
		err = local_usage_add(t, op->bucket, bucket, delta);
	return err < 0 ? err : local_accept(t, op);
}

int local_apply_delete(struct local_txn *t, struct local_op *op)
{
	const struct store_removal *removal = op->removal;
	struct local_bucket bucket;
	struct place p;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err == 0)
		err = look(t, &p, op->bucket, bucket.node, op->key, op->key_len);
	if (err < 0)
		return local_refuse(t, op, err);
	if (removal->version != STORE_VERSION_LATEST)
		return delete_version(t, op, &bucket, &p);
	const struct local_found *latest = visible(&p);
	bool has_versions = bucket.versioning != STORE_VERSIONING_OFF;
	bool is_bound = removal->etag[0] != '\0' || removal->modified_ns != 0;
	if (latest == NULL && (!has_versions || is_bound))
		return local_refuse(t, op, -ENOENT);
	if (latest != NULL && !is_meant(removal, &latest->record))
		return local_refuse(t, op, -ESTALE);
	return has_versions ? make_marker(t, op, &bucket, &p) : delete_object(t, op, &bucket, &p);
}

/* Inline data is sealed for its key: into t->sealed for the new one. */
static int seal_for(struct local_txn *t, const struct place *from, const struct place *to)
{
	const struct local_owner owner = {from->node, from->key, from->key_len};
	const struct local_owner new_owner = {to->node, to->key, to->key_len};
	struct local_record record = from->latest.record;
	if (from->latest.data == NULL || local_inline_bytes(&record) == record.size)
		return 0;
	int err = local_crypt_move_inline(t->local, &record, &owner, &new_owner, from->latest.data,
					  t->sealed);
	t->sealed_check = record.check;
	return err == -EBADMSG ? local_damaged("object data", from->name, from->key, from->key_len)
			       : err;
}

/* The first half: FROM loses its latest, TO gets it. */
static int plan_rename(struct local_txn *t, const struct local_bucket *bucket, struct place *from,
		       struct place *to, struct local_delta *delta)
{
	if (visible(from) == NULL)
		return -ENOENT;
	if (is_held(&from->latest, false))
		return -EPERM;
	int err = seal_for(t, from, to);
	if (err == 0)
		err = plan(t, to, bucket->versioning, false, delta);
	if (err < 0)
		return err;
	if (bucket->versioning != STORE_VERSIONING_OFF)
		err = plan(t, from, bucket->versioning, false, delta);
	if (from->replaces)
		count(delta, &from->latest.record, 1); /* it does not go, but to TO */
	from->keeps = from->replaces = false;
	return err < 0 ? err : local_usage_check(t, from->name, bucket, *delta);
}

/* The second half, but for the counts. */
static int move_latest(struct local_txn *t, const struct local_bucket *bucket, struct place *from,
		       struct place *to)
{
	uint8_t versioning = bucket->versioning;
	struct local_found moved;
	int err = load_latest(t, from, &moved);
	if (err < 0)
		return err;
	take_copy(&moved, t->moved);
	if (moved.data != NULL && local_inline_bytes(&moved.record) > moved.record.size) {
		moved.data = (const char *)t->sealed;
		moved.record.check = t->sealed_check;
	}
	struct local_record made = new_record(t, versioning);
	moved.record.sequence = made.sequence;
	moved.record.version = made.version;
	err = set_latest(t, to, &moved.record, moved.metadata, moved.data);
	if (err == 0)
		err = local_emit_events(t, STORE_EVENT_CREATED, to->name, bucket, to->key,
					to->key_len, &moved.record);
	if (err < 0)
		return err;
	if (versioning == STORE_VERSIONING_OFF) {
		err = leave_index(t, from);
		if (err == 0)
			err = local_keys_delete(t->txn, t->local->objects, from->node, from->key,
						from->key_len);
		return err < 0 ? err
			       : local_emit_events(t, STORE_EVENT_REMOVED, from->name, bucket,
						   from->key, from->key_len, &moved.record);
	}
	made = new_record(t, versioning);
	err = set_latest(t, from, &made, "", NULL);
	return err < 0 ? err
		       : local_emit_events(t, STORE_EVENT_MARKER_CREATED, from->name, bucket,
					   from->key, from->key_len, &made);
}

int local_apply_rename(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	struct local_delta delta = {0};
	struct place from, to;
	bool is_same =
		op->key_len == op->new_key_len && memcmp(op->key, op->new_key, op->key_len) == 0;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err == 0)
		err = look(t, &from, op->bucket, bucket.node, op->key, op->key_len);
	if (err == 0)
		err = look(t, &to, op->bucket, bucket.node, op->new_key, op->new_key_len);
	if (err == 0 && is_same)
		return local_refuse(t, op, visible(&from) == NULL ? -ENOENT : 0);
	if (err == 0)
		err = plan_rename(t, &bucket, &from, &to, &delta);
	if (err < 0)
		return local_refuse(t, op, err);

	err = move_latest(t, &bucket, &from, &to);
	if (err == 0)
		err = local_usage_add(t, op->bucket, &bucket, delta);
	return err < 0 ? err : local_accept(t, op);
}

/* Without it nobody could read the object again. */
static bool is_same_customer_key(const struct local_found *found,
				 const struct store_object_info *info)
{
	const char *before = local_customer_text(found->metadata, found->record.metadata_len);
	const char *after = store_metadata_get(info, STORE_META_CUSTOMER_KEY);
	return (before == NULL) == (after == NULL) &&
	       (before == NULL || strcmp(before, after) == 0);
}

int local_apply_update(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	struct local_found found;
	struct store_object_info *info = &t->info;
	struct place p;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err == 0)
		err = look(t, &p, op->bucket, bucket.node, op->key, op->key_len);
	if (err == 0)
		err = local_version_find(t->local, t->txn, op->bucket, bucket.node, op->key,
					 op->key_len, op->version, &found);
	if (err == 0 && found.record.kind == LOCAL_RECORD_MARKER)
		err = op->version == STORE_VERSION_LATEST ? -ENOENT : -EINVAL;
	if (err == 0) {
		local_found_info(&found, info);
		err = op->change(op->change_ctx, info);
	}
	if (err == 0 && (!store_metadata_is_valid(info->metadata, info->metadata_len) ||
			 !is_same_customer_key(&found, info)))
		err = -EINVAL;
	if (err < 0)
		return local_refuse(t, op, err);
	take_copy(&found, t->scratch);
	err = found.is_latest ? leave_index(t, &p) : 0;
	if (err < 0)
		return err;
	found.record.metadata_len = info->metadata_len;
	err = found.is_latest
		      ? put_latest(t, &p, &found.record, info->metadata, found.data)
		      : local_history_put(t, p.seed, &found.record, info->metadata, found.data);
	return err < 0 ? err : local_accept(t, op);
}
