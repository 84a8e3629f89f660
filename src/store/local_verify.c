/*
 * store_verify(): all data is read, all counts are compared with a recount, and all objects are
 * looked through. It works on one snapshot, so what others change meanwhile makes no differences;
 * as long as it runs, pages that LMDB frees cannot be used again.
 *
 * store_repair(): verifies, removes the versions that cannot be read whole, and has the committer
 * count anew inside a transaction of its own: nobody else writes during that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/local_audit_priv.h"
#include "store/local_changes_priv.h"
#include "store/local_keys_priv.h"
#include "store/local_pages_priv.h"
#include "store/local_priv.h"
#include "store/local_tables_priv.h"
#include "store/local_upkeep_priv.h"

/* So many damaged entries one behind the other are taken for a table that does not end. */
#define DAMAGED_IN_A_ROW_MAX 1024u

struct verify {
	struct local_audit audit;
	store_problem_fn problem;
	void *ctx;
	struct store_usage usage; /* outside the node's own buckets */
	uint64_t buckets;
	uint64_t node; /* of the bucket looked at */
	/* Repair: the versions to remove, one behind the other (struct victim, bucket, key). */
	struct eos_buf *victims;
	/* Repair, in the transaction: the keys of a bucket whose latest record is damaged (length,
	 * bytes); and the names of buckets that had such, with their NULs. */
	struct eos_buf doomed, *reindexed;
};

struct victim {
	uint64_t version;
	size_t bucket_len, key_len;
};

static void tell(struct verify *v, const char *bucket, const char *key, size_t key_len,
		 uint64_t version, const char *text)
{
	if (v->problem != NULL)
		v->problem(v->ctx, bucket, key, key_len, version, text);
}

/* Encrypted inline data: without the key only its checksum is looked at. */
static int check_sealed(struct verify *v, const char *key, size_t key_len,
			const struct local_record *record, const char *data)
{
	const struct local_owner owner = {v->node, key, key_len};
	uint8_t plain[LOCAL_INLINE_MAX];
	if (local_inline_bytes(record) == record->size)
		return 0;
	int err = local_crypt_open_inline(v->audit.local, record, &owner, data, plain);
	explicit_bzero(plain, sizeof(plain));
	return err == -ENOKEY ? 0 : err;
}

/* Whether what a record stands for can be read whole: 0, or -EBADMSG with why. */
static int check_content(struct verify *v, const char *key, size_t key_len,
			 const struct local_record *record, const char *data, const char **ret_text)
{
	int err = record->kind == LOCAL_RECORD_CHUNKED
			  ? local_audit_add_manifest(&v->audit, record->manifest)
			  : 0;
	if (err == 0)
		err = local_audit_content(&v->audit, record, data, ret_text);
	if (err < 0 || record->kind == LOCAL_RECORD_CHUNKED || data == NULL)
		return err;
	*ret_text = "its data is damaged";
	return check_sealed(v, key, key_len, record, data);
}

static int check_version(struct verify *v, const char *bucket, const char *key, size_t key_len,
			 const struct local_found *found, struct store_usage *usage)
{
	const char *text = "";
	v->audit.verdict.objects++;
	if (found->record.kind == LOCAL_RECORD_MARKER)
		return 0;
	usage->objects++;
	usage->bytes += found->record.size;
	int err = check_content(v, key, key_len, &found->record, found->data, &text);
	if (err != -EBADMSG)
		return err;
	v->audit.verdict.damaged_objects++;
	tell(v, bucket, key, key_len, found->record.version, text);
	if (v->victims != NULL) {
		struct victim victim = {found->record.version, strlen(bucket), key_len};
		eos_buf_append(v->victims, &victim, sizeof(victim));
		eos_buf_append(v->victims, bucket, victim.bucket_len);
		eos_buf_append(v->victims, key, key_len);
	}
	return 0;
}

/* The noncurrent versions of a key. */
static int check_history(struct verify *v, const char *bucket, const char *key, size_t key_len,
			 uint64_t history, uint64_t seed, struct store_usage *usage)
{
	struct local_history_cursor cursor;
	struct local_found found;
	if (history == 0)
		return 0;
	local_history_cursor_init(&cursor, v->audit.txn, v->audit.local->versions);
	int err = local_history_seek(&cursor, history, UINT64_MAX, seed, &found);
	unsigned damaged = 0;
	while ((err == 0 || err == -EBADMSG) && damaged < DAMAGED_IN_A_ROW_MAX) {
		if (err == 0) {
			damaged = 0;
			err = check_version(v, bucket, key, key_len, &found, usage);
		} else {
			damaged++;
			v->audit.verdict.objects++;
			v->audit.verdict.damaged_objects++;
			tell(v, bucket, key, key_len, STORE_VERSION_LATEST,
			     "the record of a noncurrent version is damaged");
			err = 0;
		}
		if (err == 0)
			err = local_history_next(&cursor, history, seed, &found);
	}
	local_history_cursor_fini(&cursor);
	v->audit.is_partial |= err == -EBADMSG;
	return err == -ENOENT || err == -EBADMSG ? 0 : err;
}

static int check_key(struct verify *v, const char *bucket, uint64_t node,
		     const struct local_key_cursor *cursor, struct store_usage *usage)
{
	struct local_found found = {.is_latest = true};
	uint64_t seed = local_record_seed(node, cursor->key, cursor->key_len);
	int err = local_record_parse(&cursor->value, seed, &found.record, &found.metadata,
				     &found.data);
	if (err < 0) {
		v->audit.verdict.objects++;
		v->audit.verdict.damaged_objects++;
		tell(v, bucket, cursor->key, cursor->key_len, STORE_VERSION_LATEST,
		     "its record is damaged");
		if (v->audit.fix != NULL) {
			eos_buf_append(&v->doomed, &cursor->key_len, sizeof(cursor->key_len));
			eos_buf_append(&v->doomed, cursor->key, cursor->key_len);
		}
		return 0;
	}
	err = check_version(v, bucket, cursor->key, cursor->key_len, &found, usage);
	return err < 0 ? err
		       : check_history(v, bucket, cursor->key, cursor->key_len,
				       found.record.history, seed, usage);
}

static int fix_bucket(struct verify *v, const char *name, const struct local_bucket *bucket,
		      const struct store_usage *usage)
{
	struct local_bucket fixed = *bucket;
	fixed.objects = usage->objects;
	fixed.bytes = usage->bytes;
	v->audit.fix->is_changed = true;
	return local_bucket_put(v->audit.fix, name, &fixed);
}

/* Keys whose record is damaged can be neither read nor replaced nor deleted: they go. What their
 * records referred to is leaked then, or counted too often, and settled with the rest. */
static int remove_doomed(struct verify *v, const char *name, uint64_t node)
{
	struct local_txn *t = v->audit.fix;
	int err = v->doomed.failed ? -ENOMEM : 0;
	if (err == 0 && v->doomed.len > 0)
		err = eos_buf_append(v->reindexed, name, strlen(name) + 1);
	for (size_t at = 0; err == 0 && at < v->doomed.len;) {
		size_t key_len;
		memcpy(&key_len, v->doomed.data + at, sizeof(key_len));
		at += sizeof(key_len);
		t->is_changed = true;
		err = local_keys_delete(t->txn, t->local->objects, node, v->doomed.data + at,
					key_len);
		at += key_len;
	}
	eos_buf_fini(&v->doomed);
	eos_buf_init(&v->doomed);
	return err;
}

static int check_bucket(struct verify *v, const char *name, const struct local_bucket *bucket)
{
	struct store_usage usage = {0};
	struct local_key_cursor *cursor = malloc(sizeof(*cursor));
	if (cursor == NULL)
		return -ENOMEM;
	v->node = bucket->node;
	local_key_cursor_init(cursor, v->audit.txn, v->audit.local->objects, bucket->node);
	int err = local_key_cursor_seek(cursor, "", 0);
	unsigned damaged = 0;
	bool is_whole = true;
	while ((err == 0 || err == -EBADMSG) && damaged < DAMAGED_IN_A_ROW_MAX) {
		if (err == 0) {
			damaged = 0;
			err = check_key(v, name, bucket->node, cursor, &usage);
		} else {
			damaged++;
			is_whole = false;
			v->audit.verdict.damaged_objects++;
			tell(v, name, "", 0, 0,
			     "a node of its keys is damaged: those below were not looked at");
			err = 0;
		}
		if (err == 0)
			err = local_key_cursor_next(cursor);
	}
	local_key_cursor_fini(cursor);
	free(cursor);
	v->audit.is_partial |= !is_whole;
	if (err == -EBADMSG) /* many, one behind the other: a page of LMDB's */
		err = -ENOENT;
	if (err == -ENOENT && v->audit.fix != NULL) {
		int removed = remove_doomed(v, name, bucket->node);
		if (removed < 0)
			return removed;
	}
	if (usage.objects != bucket->objects || usage.bytes != bucket->bytes) {
		v->audit.verdict.wrong_counts++;
		if (v->audit.fix != NULL && err == -ENOENT && is_whole)
			err = fix_bucket(v, name, bucket, &usage);
	}
	if (!store_bucket_is_own(name)) {
		v->buckets++;
		v->usage.objects += usage.objects;
		v->usage.bytes += usage.bytes;
	}
	return err == -ENOENT ? 0 : err;
}

static int check_buckets(struct verify *v)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = local_error(mdb_cursor_open(v->audit.txn, v->audit.local->buckets, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; err == 0 && rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		char name[STORE_BUCKET_NAME_MAX + 1];
		struct local_bucket bucket;
		if (key.mv_size > STORE_BUCKET_NAME_MAX) {
			/* A damaged page of LMDB; nobody can ask for it. */
			v->audit.verdict.damaged_objects++;
			v->audit.is_partial = true;
			tell(v, "", "", 0, 0, "the name of a bucket is damaged");
			continue;
		}
		memcpy(name, key.mv_data, key.mv_size);
		name[key.mv_size] = '\0';
		if (local_bucket_parse(&value, name, key.mv_size, &bucket) == 0) {
			err = check_bucket(v, name, &bucket);
			continue;
		}
		v->audit.verdict.damaged_objects++;
		v->audit.is_partial = true;
		tell(v, name, "", 0, 0, "the bucket's record is damaged");
	}
	if (err == 0 && rc != MDB_NOTFOUND)
		err = local_error(rc);
	mdb_cursor_close(cursor);
	return err;
}

/* Entries of the tables that are looked at nowhere else. */
static int check_tables(struct verify *v)
{
	struct local *local = v->audit.local;
	int err = 0;
	for (const struct local_table *table = local_tables; err == 0 && table->what != NULL;
	     table++) {
		MDB_dbi dbi = local_table_dbi(local, table);
		MDB_cursor *cursor;
		MDB_val key, value;
		if (dbi != local->documents && dbi != local->keys && dbi != local->index &&
		    dbi != local->outbox)
			continue;
		err = local_error(mdb_cursor_open(v->audit.txn, dbi, &cursor));
		if (err < 0)
			return err;
		int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
		for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
			if (table->check(&key, &value) == 0)
				continue;
			v->audit.verdict.damaged_objects++;
			tell(v, "", "", 0, 0, table->what);
		}
		mdb_cursor_close(cursor);
		if (rc != MDB_NOTFOUND)
			err = local_error(rc);
	}
	return err;
}

static int check_pages(struct verify *v)
{
	struct eos_why why = {""};
	uint64_t bytes;
	int err = local_pages_check_now(v->audit.local, NULL, NULL, &bytes, &why);
	if (err != -EBADMSG)
		return err;
	v->audit.verdict.damaged_objects++;
	tell(v, "", "", 0, 0, why.text);
	return 0;
}

static int check_state(struct verify *v)
{
	struct local_state state;
	MDB_stat stat;
	int err = local_state_get(v->audit.local, v->audit.txn, &state);
	if (err == 0)
		err = local_error(mdb_stat(v->audit.txn, v->audit.local->chunks, &stat));
	if (err < 0)
		return err;
	v->audit.verdict.wrong_counts += state.buckets != v->buckets;
	v->audit.verdict.wrong_counts += state.objects != v->usage.objects;
	v->audit.verdict.wrong_counts += state.bytes != v->usage.bytes;
	v->audit.verdict.wrong_counts += state.chunks != stat.ms_entries;
	uint64_t tenants = 0;
	err = local_tenants_check(v->audit.local, v->audit.txn, &tenants);
	v->audit.verdict.wrong_counts += tenants;
	return err;
}

/* Inside the committer's transaction: what verify compares is set right. What is damaged stays in
 * the counts, since it stays in the tables. */
int local_apply_recount(struct local_txn *t, struct local_op *op)
{
	struct verify v = {
		.reindexed = op->reindexed_buckets,
		.audit = {.local = t->local, .txn = t->txn, .fix = t},
	};
	MDB_stat stat;
	eos_buf_init(&v.doomed);
	if (op->audit->local != NULL)
		local_audit_fini(op->audit); /* a former attempt */
	int err = check_buckets(&v);
	if (err == 0)
		err = local_tenants_recount(t);
	if (err == 0)
		err = local_audit_manifests(&v.audit);
	if (err == 0)
		err = local_audit_counts(&v.audit);
	if (err == 0)
		err = local_error(mdb_stat(t->txn, t->local->chunks, &stat));
	if (err == 0) {
		t->state.buckets = v.buckets;
		t->state.objects = v.usage.objects;
		t->state.bytes = v.usage.bytes;
		t->state.chunks = stat.ms_entries;
	}
	eos_buf_fini(&v.doomed);
	*op->audit = v.audit; /* its marks are the caller's until the commit */
	return err < 0 ? err : local_accept(t, op);
}

static int run(struct verify *v)
{
	int err = local_audit_data(&v->audit);
	if (err == 0)
		err = local_audit_counts(&v->audit);
	if (err == 0)
		err = check_buckets(v);
	if (err == 0)
		err = check_tables(v);
	if (err == 0)
		err = check_pages(v);
	if (err == 0)
		err = check_state(v);
	if (err == 0)
		err = local_audit_manifests(&v->audit);
	return err;
}

static int verify_once(struct local *local, struct verify *v, struct store_verdict *ret_verdict)
{
	v->audit.local = local;
	pthread_mutex_lock(&local->segments.lock);
	v->audit.of = local->segments.live_bytes;
	pthread_mutex_unlock(&local->segments.lock);
	int err = local_read_begin(local, &v->audit.txn);
	if (err < 0)
		return err;
	err = run(v);
	mdb_txn_abort(v->audit.txn);
	if (err == 0)
		*ret_verdict = v->audit.verdict;
	local_audit_fini(&v->audit);
	return err;
}

int local_verify(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict)
{
	struct verify v = {
		.problem = problem,
		.ctx = ctx,
		.audit = {.progress = progress, .ctx = ctx},
	};
	return verify_once(local_of(store), &v, ret_verdict);
}

/* Removes what verify found; what cannot be removed (it is held) is told, and stays. */
static int remove_victims(struct local *local, struct verify *v)
{
	struct store_removal removal = {.bypasses_governance = true};
	struct store_removed removed;
	for (size_t at = 0; at < v->victims->len;) {
		struct victim victim;
		char bucket[STORE_BUCKET_NAME_MAX + 1];
		memcpy(&victim, v->victims->data + at, sizeof(victim));
		at += sizeof(victim);
		memcpy(bucket, v->victims->data + at, victim.bucket_len);
		bucket[victim.bucket_len] = '\0';
		const char *key = v->victims->data + at + victim.bucket_len;
		at += victim.bucket_len + victim.key_len;
		removal.version = victim.version;
		int err = local_object_delete(&local->store, bucket, key, victim.key_len, &removal,
					      &removed);
		if (err == -EPERM || err == -EBADMSG)
			tell(v, bucket, key, victim.key_len, victim.version,
			     err == -EPERM ? "not removed: it is held"
					   : "not removed: its record is damaged");
		else if (err < 0 && err != -ENOENT)
			return err;
	}
	return 0;
}

static int recount(struct local *local)
{
	struct local_audit audit = {0};
	struct eos_buf buckets;
	eos_buf_init(&buckets);
	struct local_op op = {
		.kind = LOCAL_OP_RECOUNT,
		.audit = &audit,
		.reindexed_buckets = &buckets,
	};
	int err = local_commit(local, &op);
	if (audit.local != NULL)
		local_audit_fini(&audit);
	/* The index still has entries of the keys that went. Names may come twice. */
	for (size_t at = 0; err == 0 && at < buckets.len; at += strlen(buckets.data + at) + 1) {
		err = local_index_rebuild(local, buckets.data + at);
		if (err == -ENOENT) /* deleted meanwhile */
			err = 0;
	}
	eos_buf_fini(&buckets);
	return err;
}

int local_repair(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict)
{
	struct local *local = local_of(store);
	struct eos_buf victims;
	eos_buf_init(&victims);
	struct verify v = {
		.problem = problem,
		.ctx = ctx,
		.victims = &victims,
		.audit = {.progress = progress, .ctx = ctx},
	};
	struct store_verdict verdict;
	int err = verify_once(local, &v, &verdict);
	if (err == 0 && victims.failed)
		err = -ENOMEM;
	if (err == 0)
		err = remove_victims(local, &v);
	/* References of the removed first: counted anew they would be the same, but for pins. */
	if (err == 0)
		err = recount(local);
	eos_buf_fini(&victims);
	if (err == 0)
		*ret_verdict = verdict;
	return err;
}
