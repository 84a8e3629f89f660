/*
 * The reclaimer (local_reclaim.c); the committer's thread only.
 */
#pragma once

#include "base/macros.h"

struct local_txn;

/* Takes back at most BUDGET (<= LOCAL_RECLAIM_MAX) references; t->trash tells what is left. After
 * an error the transaction must be aborted. */
int local_reclaim_step(struct local_txn *t, unsigned budget) EOS_MUST_CHECK;
/* The transaction is committed or aborted: what it removed can be used again, if it is there. */
void local_reclaim_done(struct local_txn *t);
