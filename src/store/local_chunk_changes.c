/*
 * What changes do to chunks, manifests and segments, inside the committer's transaction. The halves
 * of a change: local_changes_priv.h.
 */
#include <errno.h>

#include "store/local_changes_priv.h"
#include "store/local_chunks_priv.h"

/* The rest of the chunks; with them the manifest belongs to the record, no longer to the trash. */
int local_put_chunks(struct local_txn *t, struct local_op *op)
{
	if (op->record.kind != LOCAL_RECORD_CHUNKED)
		return 0;
	int err = local_manifest_append(t, op->chunks, &op->record.manifest);
	if (err == 0 && op->chunks->manifest != 0)
		err = local_trash_remove(t, op->chunks->manifest);
	return err;
}

/* A part of a large upload's chunks. Its manifest stands in the trash, and is pinned from the
 * beginning: the reclaimer runs before the caller hears of it. */
int local_apply_manifest_append(struct local_txn *t, struct local_op *op)
{
	uint8_t name[LOCAL_PIN_SIZE];
	int err = local_chunks_check(t, op->chunks);
	if (err < 0)
		return local_refuse(t, op, err);
	uint64_t id;
	err = local_manifest_append(t, op->chunks, &id);
	if (err < 0)
		return err;
	if (op->chunks->manifest == 0) {
		/* A former attempt had another id, which no transaction has seen. */
		if (op->is_pinned) {
			local_manifest_pin_name(op->record.manifest, name);
			local_unpin(&t->local->manifest_pins, name);
			op->is_pinned = false;
		}
		local_manifest_pin_name(id, name);
		err = local_pin(&t->local->manifest_pins, name);
		if (err < 0)
			return err;
		op->is_pinned = true;
		err = local_trash_put(t, id);
	}
	op->record.manifest = id;
	return err < 0 ? err : local_accept(t, op);
}

static int move_chunk(struct local_txn *t, const struct local_move *move)
{
	struct local_chunk chunk;
	int err = local_chunk_get(t->local, t->txn, move->name, &chunk);
	if (err == -ENOENT || err == -EBADMSG)
		return 0; /* gone meanwhile: the copy is garbage */
	if (err < 0)
		return err;
	if (chunk.segment != move->from_segment || chunk.offset != move->from_offset)
		return 0;
	int64_t bytes = (int64_t)local_entry_bytes(chunk.stored_len);
	chunk.segment = move->to->id;
	chunk.offset = move->to_offset;
	err = local_live_add(t, move->from_segment, -bytes);
	if (err == 0)
		err = local_live_add(t, move->to->id, bytes);
	return err < 0 ? err : local_chunk_put(t->local, t->txn, move->name, &chunk);
}

int local_apply_chunks_move(struct local_txn *t, struct local_op *op)
{
	for (size_t i = 0; i < op->moves_count; i++) {
		int err = move_chunk(t, &op->moves[i]);
		if (err < 0)
			return err;
	}
	return local_accept(t, op);
}

/* A segment that nothing refers to leaves the table; the committer unlinks it behind the commit. */
int local_apply_segment_drop(struct local_txn *t, struct local_op *op)
{
	for (size_t i = 0; i < t->live_count; i++)
		if (t->live[i].segment == op->segment)
			return local_refuse(t, op, -EBUSY);
	if (t->dropped_count == EOS_ARRAY_SIZE(t->dropped) ||
	    !local_segments_drop(&t->local->segments, op->segment))
		return local_refuse(t, op, -EBUSY);
	t->dropped[t->dropped_count++] = op->segment;
	uint8_t name[4];
	local_segment_key(op->segment, name);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name};
	int err = local_delete(t->txn, t->local->segments_dbi, &key);
	return err < 0 && err != -ENOENT ? err : local_accept(t, op);
}

/* The reclaimer runs behind the changes of each transaction. */
int local_apply_reclaim(struct local_txn *t, struct local_op *op)
{
	op->result = 0;
	return 0;
}
