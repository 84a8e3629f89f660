/*
 * LMDB, as the other files use it: error codes, reads and writes with fault points, the records
 * that several of them look up, and what happens when something is damaged or the disk fails.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/local_priv.h"

EOS_COUNTER(damages, "store.damages_total", "Reads that met a damaged record, file or chunk.")
EOS_COUNTER(read_only_turns, "store.read_only_total",
	    "Times the store stopped writing because the disk failed.")

int local_error(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case EDQUOT:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EMFILE;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
		return -EBADMSG;
	default:
		return rc > 0 ? -rc : -EIO;
	}
}

int local_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags)
{
	int err = eos_fault("store.txn_put");
	return err < 0 ? err : local_error(mdb_put(txn, dbi, key, value, flags));
}

int local_delete(MDB_txn *txn, MDB_dbi dbi, MDB_val *key)
{
	int err = eos_fault("store.txn_put");
	return err < 0 ? err : local_error(mdb_del(txn, dbi, key, NULL));
}

int local_read_begin(struct local *local, MDB_txn **ret_txn)
{
	local_map_note_read(local);
	MDB_txn *txn = eos_spares_take(&local->reads);
	if (txn != NULL && mdb_txn_renew(txn) == 0) {
		*ret_txn = txn;
		return 0;
	}
	if (txn != NULL)
		mdb_txn_abort(txn);
	return local_error(mdb_txn_begin(local->env, NULL, MDB_RDONLY, ret_txn));
}

void local_read_end(struct local *local, MDB_txn *txn)
{
	/* From here on it keeps no page from being used anew. */
	mdb_txn_reset(txn);
	txn = eos_spares_give(&local->reads, txn);
	if (txn != NULL)
		mdb_txn_abort(txn);
}

void local_reads_fini(struct local *local)
{
	MDB_txn *txn;
	while ((txn = eos_spares_take(&local->reads)) != NULL)
		mdb_txn_abort(txn);
}

int local_bucket_find(struct local *local, MDB_txn *txn, const char *name,
		      struct local_bucket *ret_bucket)
{
	/* LMDB does not write to the keys it is given. */
	MDB_val key = {.mv_size = strlen(name), .mv_data = (void *)(uintptr_t)name}, value;
	int err = local_error(mdb_get(txn, local->buckets, &key, &value));
	if (err == 0)
		err = local_bucket_parse(&value, name, key.mv_size, ret_bucket);
	return err == -EBADMSG ? local_damaged("bucket record", name, NULL, 0) : err;
}

int local_bucket_read(struct local *local, const char *name, struct local_bucket *ret_bucket)
{
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, name, ret_bucket);
	local_read_end(local, txn);
	return err;
}

static char state_name[] = "state";

int local_state_find(struct local *local, MDB_txn *txn, const void **ret_state)
{
	MDB_val key = {.mv_size = sizeof(state_name), .mv_data = state_name}, value;
	int err = local_error(mdb_get(txn, local->meta, &key, &value));
	if (err == 0)
		*ret_state = value.mv_data;
	return err;
}

int local_state_get(struct local *local, MDB_txn *txn, struct local_state *ret_state)
{
	MDB_val key = {.mv_size = sizeof(state_name), .mv_data = state_name}, value;
	int err = local_error(mdb_get(txn, local->meta, &key, &value));
	return err < 0 ? err : local_state_parse(&value, ret_state);
}

uint32_t local_format_get(struct local *local, MDB_txn *txn)
{
	MDB_val key = {.mv_size = sizeof(state_name), .mv_data = state_name}, value;
	return mdb_get(txn, local->meta, &key, &value) == 0 ? local_state_format(&value) : 0;
}

int local_state_put(struct local *local, MDB_txn *txn, struct local_state *state)
{
	local_state_seal(state);
	MDB_val key = {.mv_size = sizeof(state_name), .mv_data = state_name};
	MDB_val value = {.mv_size = sizeof(*state), .mv_data = state};
	return local_put(txn, local->meta, &key, &value, 0);
}

int local_damaged(const char *what, const char *bucket, const char *key, size_t key_len)
{
	/* One line a second: a program that reads a damaged object in a loop must not fill the
	 * disk with our log. */
	static _Atomic uint64_t next_ns, dropped;
	eos_counter_add(&damages, 1);
	uint64_t now = eos_now_ns(), next = atomic_load(&next_ns);
	if (now < next || !atomic_compare_exchange_strong(&next_ns, &next, now + EOS_NS_PER_S)) {
		atomic_fetch_add(&dropped, 1);
		return -EBADMSG;
	}
	eos_log(EOS_LOG_ERROR, "store", "damaged what=\"%s\" bucket=%s key=%.*s not_logged=%llu",
		what, bucket, (int)key_len, key == NULL ? "" : key,
		(unsigned long long)atomic_exchange(&dropped, 0));
	return -EBADMSG;
}

void local_turn_read_only(struct local *local, const char *what, int err)
{
	if (atomic_exchange(&local->is_read_only, true))
		return;
	eos_counter_add(&read_only_turns, 1);
	eos_log(EOS_LOG_ERROR, "store",
		"read-only from now on: the disk did not keep what was written what=\"%s\" "
		"error=\"%s\"; check the disk, then restart",
		what, strerror(-err));
}

int local_check_writable(struct local *local)
{
	return atomic_load(&local->is_read_only) ? -EROFS : 0;
}
