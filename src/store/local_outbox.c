/*
 * The outbox. Events are written by the changes that cause them (local_changes.c); here they are
 * listed, acknowledged and put off. Acknowledgements go through the committer, so that many cost
 * one commit.
 */
#include <errno.h>

#include "store/local_priv.h"

/* A damaged event is logged and passed over: one must not hold up all the others. */
static int visit_event(const MDB_val *key, const MDB_val *value,
		       int (*visit)(void *ctx, const struct store_event *event), void *ctx)
{
	struct store_event event;
	if (key->mv_size != 8 ||
	    local_event_parse(value, local_be64_get(key->mv_data), &event) < 0) {
		(void)local_damaged("event", "", NULL, 0);
		return 0;
	}
	return visit(ctx, &event);
}

int local_outbox_list(struct store *store, uint64_t after_id,
		      int (*visit)(void *ctx, const struct store_event *event), void *ctx)
{
	struct local *local = local_of(store);
	MDB_txn *txn;
	MDB_cursor *cursor;
	if (after_id == UINT64_MAX)
		return 0;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_error(mdb_cursor_open(txn, local->outbox, &cursor));
	if (err == 0) {
		uint8_t first[8];
		local_be64_put(first, after_id + 1);
		MDB_val key = {.mv_size = sizeof(first), .mv_data = first}, value;
		int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
		for (; err == 0 && rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
			err = visit_event(&key, &value, visit, ctx);
		if (err == 0 && rc != MDB_NOTFOUND)
			err = local_error(rc);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return err;
}

int local_outbox_remove(struct store *store, uint64_t id)
{
	struct local_op op = {.kind = LOCAL_OP_OUTBOX_REMOVE, .event_id = id};
	return local_commit(local_of(store), &op);
}

int local_outbox_retry(struct store *store, uint64_t id, uint64_t not_before_ns)
{
	struct local_op op = {
		.kind = LOCAL_OP_OUTBOX_RETRY,
		.event_id = id,
		.not_before_ns = not_before_ns,
	};
	return local_commit(local_of(store), &op);
}
