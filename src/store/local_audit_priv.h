/*
 * Checks of what the tables say about chunks, against a recount and against the disk. What needs
 * memory is done in parts, so it does not grow with the store.
 *
 * The same code repairs: given the committer's transaction, it sets the counts right.
 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/local_chunks_priv.h"
#include "store/local_records_priv.h"
#include "store/store.h"

struct local;
struct local_txn;

struct local_audit {
	struct local *local;
	MDB_txn *txn;
	struct local_txn *fix; /* repair: the transaction that TXN is; else NULL */
	store_progress_fn progress;
	void *ctx;
	uint64_t done, of; /* bytes */
	struct store_verdict verdict;
	/* Manifests that records have; sorted by local_audit_manifests(). */
	uint64_t *manifests;
	size_t manifests_count, manifests_cap;
	/* Something could not be looked at, and may have some of the others: nothing is leaked. */
	bool is_partial;
	/* Chunks that repair removed, marked as going until local_audit_fini(). */
	uint8_t (*going)[LOCAL_NAME_SIZE];
	size_t going_count, going_cap;
};

/* Behind the commit of FIX, if there is one. */
void local_audit_fini(struct local_audit *audit);
/* Reads all chunks in the order they stand in the segments; those that are damaged are marked. */
int local_audit_data(struct local_audit *audit) EOS_MUST_CHECK;
/* References of chunks, and live bytes of segments. */
int local_audit_counts(struct local_audit *audit) EOS_MUST_CHECK;
int local_audit_add_manifest(struct local_audit *audit, uint64_t id) EOS_MUST_CHECK;
/* Manifests that neither a record nor the trash has. Repair puts them into the trash. */
int local_audit_manifests(struct local_audit *audit) EOS_MUST_CHECK;
/* Whether what a record stands for can be read whole, by its manifest or, inline, by DATA: as
 * below. */
int local_audit_content(struct local_audit *audit, const struct local_record *record,
			const char *data, const char **ret_text) EOS_MUST_CHECK;
/* Whether the manifest is whole, SIZE bytes long, and no chunk of it lost or marked as damaged: 0,
 * -EBADMSG and why in *RET_TEXT. */
int local_audit_manifest(struct local_audit *audit, uint64_t id, uint64_t size,
			 const char **ret_text) EOS_MUST_CHECK;
