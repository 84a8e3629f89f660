/*
 * What a thread knows of the bucket that it looked at last: its record, and which documents it does
 * not have. Requests on one connection are nearly always about one bucket, and each has to know
 * its settings; so most need no look into LMDB for that.
 *
 * Nobody sees anything older than what was acknowledged:
 * 1. Committing a change that may touch a bucket's record or documents moves the generation on,
 *    behind the commit and before the change is acknowledged (local_commit.c).
 * 2. What is kept was read in a transaction that began behind a look at the generation, with which
 *    it is kept; it is used only while the generation is still that one.
 * So a look behind an acknowledgement finds a generation that is newer than what was kept before
 * the commit (1) and reads anew; and what was kept under the newest generation was read behind the
 * commit that made it (2). What can be seen is a change that is about to be acknowledged, as in
 * LMDB itself.
 *
 * Texts are not kept: they can be long, and each connection has a thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/local_commit_priv.h"
#include "store/local_records_priv.h"

struct local;

/* To be looked at before the transaction begins that reads what will be kept. */
uint64_t local_memo_generation(struct local *local);
/* BUCKET's record is FOUND, and it has none of the documents LACKS; all read in one transaction. */
void local_memo_keep(struct local *local, uint64_t generation, const char *bucket,
		     const struct local_bucket *found, const char *const *lacks, size_t count);
/* Whether the bucket is known, and that it has none of these documents. The counts in RET_BUCKET
 * are zeros. */
bool local_memo_find(struct local *local, const char *bucket, const char *const *names,
		     size_t count, struct local_bucket *ret_bucket);
/* A transaction with a change of this kind was committed, or may have been. */
void local_memo_note(struct local *local, enum local_op_kind kind);
/* One that no other store of this process ever had: its address may be another's one day. */
uint64_t local_memo_number(void);
