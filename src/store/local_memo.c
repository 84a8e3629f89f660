#include "store/local_memo_priv.h"

#include <string.h>

#include "store/local_priv.h"

#define NAMES_MAX 2u
#define NAME_SIZE 16u

/* By value and of fixed size: a thread that ends has nothing to free. */
static _Thread_local struct {
	uint64_t store; /* the number of its store; 0: nothing is known */
	uint64_t generation;
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	struct local_bucket record;
	char lacks[NAMES_MAX][NAME_SIZE]; /* documents that it does not have; "": none */
} memo;

uint64_t local_memo_generation(struct local *local)
{
	return atomic_load_explicit(&local->buckets_generation, memory_order_acquire);
}

void local_memo_keep(struct local *local, uint64_t generation, const char *bucket,
		     const struct local_bucket *found, const char *const *lacks, size_t count)
{
	memset(&memo, 0, sizeof(memo));
	for (size_t i = 0; i < count && i < NAMES_MAX; i++)
		if (strlen(lacks[i]) < NAME_SIZE)
			memcpy(memo.lacks[i], lacks[i], strlen(lacks[i]));
	memcpy(memo.bucket, bucket, strlen(bucket));
	memo.record = *found;
	/* These change with each object. */
	memo.record.objects = memo.record.bytes = 0;
	memo.generation = generation;
	memo.store = local->number;
}

static bool lacks(const char *name)
{
	for (size_t i = 0; i < NAMES_MAX; i++)
		if (strcmp(memo.lacks[i], name) == 0)
			return true;
	return false;
}

bool local_memo_find(struct local *local, const char *bucket, const char *const *names,
		     size_t count, struct local_bucket *ret_bucket)
{
	if (memo.store != local->number || memo.generation != local_memo_generation(local) ||
	    strcmp(memo.bucket, bucket) != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (!lacks(names[i]))
			return false;
	*ret_bucket = memo.record;
	return true;
}

/* No default: who adds a kind of change has to think of this. */
static bool may_touch_buckets(enum local_op_kind kind)
{
	switch (kind) {
	case LOCAL_OP_BUCKET_CREATE:
	case LOCAL_OP_BUCKET_DELETE:
	case LOCAL_OP_BUCKET_SETTINGS:
	case LOCAL_OP_DOCUMENT_SET:
	case LOCAL_OP_DOCUMENT_DELETE:
	case LOCAL_OP_RECOUNT:
		return true;
	/* Of the records of buckets these change the counts alone, which are not kept. */
	case LOCAL_OP_OBJECT_PUT:
	case LOCAL_OP_OBJECT_DELETE:
	case LOCAL_OP_OBJECT_RENAME:
	case LOCAL_OP_OBJECT_UPDATE:
	case LOCAL_OP_TENANT_QUOTA:
	case LOCAL_OP_REINDEX:
	case LOCAL_OP_OUTBOX_REMOVE:
	case LOCAL_OP_OUTBOX_RETRY:
	case LOCAL_OP_MANIFEST_APPEND:
	case LOCAL_OP_CHUNKS_MOVE:
	case LOCAL_OP_SEGMENT_DROP:
	case LOCAL_OP_KEYS_PUT:
	case LOCAL_OP_SCRUB:
	case LOCAL_OP_DAMAGE:
	case LOCAL_OP_RECLAIM:
		return false;
	}
	return true;
}

void local_memo_note(struct local *local, enum local_op_kind kind)
{
	if (may_touch_buckets(kind))
		atomic_fetch_add_explicit(&local->buckets_generation, 1, memory_order_release);
}

uint64_t local_memo_number(void)
{
	static _Atomic uint64_t stores;
	return atomic_fetch_add(&stores, 1) + 1;
}
