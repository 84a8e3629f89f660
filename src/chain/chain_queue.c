/*
 * The queue of what stages send to each other besides their verdicts: a ring of records of the size
 * that they need. A record lies in one piece: what is left at the ring's end is skipped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fault.h"
#include "chain/chain_priv.h"

#define QUEUE_ALIGN 64u
#define QUEUE_SKIP  UINT32_MAX

int chain_queue_init(struct chain_queue *queue)
{
	int err = eos_fault("chain.calloc");
	*queue = (struct chain_queue){0};
	if (err == 0)
		queue->bytes = aligned_alloc(QUEUE_ALIGN, CHAIN_QUEUE_BYTES);
	return queue->bytes == NULL ? -ENOMEM : 0;
}

void chain_queue_fini(struct chain_queue *queue)
{
	free(queue->bytes);
	queue->bytes = NULL;
}

static struct chain_queued *record_at(const struct chain_queue *queue, uint32_t offset)
{
	return (struct chain_queued *)(void *)(queue->bytes + offset);
}

bool chain_queue_put(struct chain_queue *queue, struct chain_fwp *to,
		     const struct chain_abi_packet *head, const void *data, uint32_t len)
{
	uint32_t size = EOS_ALIGN_UP((uint32_t)sizeof(struct chain_queued) + len, QUEUE_ALIGN);
	uint32_t end_room = CHAIN_QUEUE_BYTES - queue->tail;
	uint32_t skip = size > end_room ? end_room : 0;
	if (len > CHAIN_ABI_PACKET_MAX || size + skip > CHAIN_QUEUE_BYTES - queue->used)
		return false;
	if (skip > 0) {
		struct chain_queued *record = record_at(queue, queue->tail);
		record->size = skip;
		record->len = QUEUE_SKIP;
		queue->tail = 0;
	}
	struct chain_queued *record = record_at(queue, queue->tail);
	record->size = size;
	record->len = len;
	record->to = to;
	record->head = *head;
	memcpy(record + 1, data, len);
	queue->tail = (queue->tail + size) % CHAIN_QUEUE_BYTES;
	queue->used += skip + size;
	return true;
}

static void remove_record(struct chain_queue *queue)
{
	uint32_t size = record_at(queue, queue->head)->size;
	EOS_ASSERT(size <= queue->used);
	queue->head = (queue->head + size) % CHAIN_QUEUE_BYTES;
	queue->used -= size;
}

const struct chain_queued *chain_queue_first(struct chain_queue *queue)
{
	if (queue->used == 0)
		return NULL;
	if (record_at(queue, queue->head)->len == QUEUE_SKIP)
		remove_record(queue);
	return record_at(queue, queue->head);
}

void chain_queue_remove_first(struct chain_queue *queue)
{
	remove_record(queue);
	/* What comes next is in the caches. */
	if (queue->used == 0)
		queue->head = queue->tail = 0;
}
