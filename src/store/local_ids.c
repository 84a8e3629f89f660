/*
 * The ids in flight stand in a sorted array: taking appends, since ids grow; settling searches and
 * moves the tail, at most 16 KiB. A list would need memory for ids that outlive their upload.
 */
#include "store/local_ids_priv.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

void local_ids_init(struct local_ids *ids)
{
	pthread_mutex_init(&ids->lock, NULL);
	ids->next = ids->limit = 1;
	ids->count = 0;
}

void local_ids_fini(struct local_ids *ids)
{
	pthread_mutex_destroy(&ids->lock);
}

void local_ids_start(struct local_ids *ids, uint64_t next, uint64_t limit)
{
	EOS_ASSERT(ids->count == 0 && next <= limit);
	ids->next = next;
	ids->limit = limit;
}

int local_ids_take(struct local_ids *ids, uint64_t *ret_id)
{
	int err = 0;
	pthread_mutex_lock(&ids->lock);
	if (ids->count == LOCAL_IDS_IN_FLIGHT_MAX)
		err = -ENOSPC;
	else if (ids->next == ids->limit)
		err = -EAGAIN;
	else
		*ret_id = ids->in_flight[ids->count++] = ids->next++;
	pthread_mutex_unlock(&ids->lock);
	return err;
}

void local_ids_settle(struct local_ids *ids, uint64_t id)
{
	pthread_mutex_lock(&ids->lock);
	unsigned low = 0, high = ids->count;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (ids->in_flight[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	EOS_ASSERT(low < ids->count && ids->in_flight[low] == id);
	ids->count--;
	memmove(&ids->in_flight[low], &ids->in_flight[low + 1],
		(ids->count - low) * sizeof(ids->in_flight[0]));
	pthread_mutex_unlock(&ids->lock);
}

uint64_t local_ids_low(struct local_ids *ids)
{
	pthread_mutex_lock(&ids->lock);
	uint64_t low = ids->count > 0 ? ids->in_flight[0] : ids->next;
	pthread_mutex_unlock(&ids->lock);
	return low;
}

uint64_t local_ids_wanted(struct local_ids *ids, uint64_t high)
{
	pthread_mutex_lock(&ids->lock);
	if (high - ids->next < LOCAL_IDS_STEP)
		high = ids->next + 2 * LOCAL_IDS_STEP;
	pthread_mutex_unlock(&ids->lock);
	return high;
}

void local_ids_extend(struct local_ids *ids, uint64_t high)
{
	pthread_mutex_lock(&ids->lock);
	EOS_ASSERT(high >= ids->limit);
	ids->limit = high;
	pthread_mutex_unlock(&ids->lock);
}
