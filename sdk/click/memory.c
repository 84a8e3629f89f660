/*
 * Memory that is given back all at once, in chunks; and the pool of packets.
 *
 * A router has two arenas. What packets touch is in one of them, as near together as it can be:
 * first the router itself, then the elements in their order with their ports behind them, then what
 * they allocated, unless that is large. All that is read only while it is loaded and by handlers is
 * in the other one.
 *
 * The pool has as many packets as elements have reserved for what they keep, made when the router
 * is loaded: in a chain that is the template, and handling packets asks for no memory. Where more
 * are kept (a queue that was made longer, clones) it grows by slabs, until it has CLICK_PACKETS_MAX
 * or memory is over. Nothing is given back before the router goes. Packets and their buffers are
 * apart, so that a buffer that was never used is never touched. A packet in a foreign buffer is
 * one of the router's own, beside what else packets touch; only if it is kept beyond the call does
 * it need its buffer, and the next one a place in the pool.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

#define CHUNK_BYTES  4096u
#define HOT_MAX	     1024u /* more at once is not among what packets touch */
#define SLAB_PACKETS 16u
#define BUFFER_BYTES (CLICK_HEADROOM + CLICK_PACKET_MAX)
#define ALIGN	     8u /* of all that is allocated: the largest of what elements have */

struct click_chunk {
	struct click_chunk *next;
	size_t size, used;
	uint8_t *bytes; /* aligned to ALIGN; behind this, or before it where they are borrowed */
	bool is_borrowed;
};

#define HEAD_BYTES ((sizeof(struct click_chunk) + ALIGN - 1) & ~(size_t)(ALIGN - 1))

struct click_slab {
	struct click_slab *next;
	struct click_packet packets[SLAB_PACKETS];
	uint8_t buffers[SLAB_PACKETS][BUFFER_BYTES];
};

void *click_arena_alloc(struct click_arena *arena, size_t size)
{
	if (size > CLICK_MEMORY_MAX)
		return NULL;
	size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct click_chunk *chunk = arena->chunks;
	if (chunk == NULL || chunk->size - chunk->used < size) {
		size_t bytes = size > CHUNK_BYTES / 4 ? size : CHUNK_BYTES;
		if (arena->total > arena->max || bytes > arena->max - arena->total)
			return NULL;
		chunk = calloc(1, HEAD_BYTES + bytes);
		if (chunk == NULL)
			return NULL;
		chunk->size = bytes;
		chunk->bytes = (uint8_t *)chunk + HEAD_BYTES;
		arena->total += bytes;
		/* The one with more room left stays in front. */
		struct click_chunk *first = arena->chunks;
		if (first != NULL && bytes == size) {
			chunk->next = first->next;
			first->next = chunk;
		} else {
			chunk->next = first;
			arena->chunks = chunk;
		}
	}
	void *result = chunk->bytes + chunk->used;
	chunk->used += size;
	return result;
}

void click_arena_lend(struct click_arena *arena, void *memory, size_t size)
{
	if (size < HEAD_BYTES + ALIGN)
		return;
	size_t bytes = (size - HEAD_BYTES) & ~(size_t)(ALIGN - 1);
	struct click_chunk *chunk = (struct click_chunk *)((uint8_t *)memory + bytes);
	chunk->size = bytes;
	chunk->bytes = memory;
	chunk->is_borrowed = true;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
}

char *click_arena_text(struct click_arena *arena, const char *bytes, size_t len)
{
	char *text = click_arena_alloc(arena, len + 1);
	if (text != NULL)
		memcpy(text, bytes, len);
	return text;
}

void click_arena_fini(struct click_arena *arena)
{
	while (arena->chunks != NULL) {
		struct click_chunk *chunk = arena->chunks;
		arena->chunks = chunk->next;
		if (!chunk->is_borrowed)
			free(chunk);
	}
	arena->total = 0;
}

bool click_arena_grow(struct click_arena *arena, void *array, uint32_t count, uint32_t *capacity,
		      size_t size)
{
	if (count < *capacity)
		return true;
	uint32_t more = *capacity == 0 ? 8 : *capacity * 2;
	void *bytes = more > *capacity ? click_arena_alloc(arena, more * size) : NULL;
	if (bytes == NULL)
		return false;
	void *old;
	memcpy(&old, array, sizeof(old));
	if (count > 0)
		memcpy(bytes, old, count * size);
	memcpy(array, &bytes, sizeof(bytes));
	*capacity = more;
	return true;
}

struct click_arena *click_args_arena(struct click_router *router)
{
	return router->scratch != NULL ? router->scratch : &router->arena;
}

/* The limit is of both arenas together. */
void *click_hot_alloc(struct click_router *router, size_t size)
{
	size_t max = router->arena.max, others = router->arena.total;
	router->hot.max = max > others ? max - others : 0;
	return click_arena_alloc(&router->hot, size);
}

void *click_alloc(struct click_router *router, size_t size)
{
	return size <= HOT_MAX ? click_hot_alloc(router, size) : click_cold_alloc(router, size);
}

void *click_cold_alloc(struct click_router *router, size_t size)
{
	struct click_arena *arena = &router->arena;
	size_t max = arena->max, others = router->hot.total;
	arena->max = max > others ? max - others : 0;
	void *memory = click_arena_alloc(arena, size);
	arena->max = max;
	return memory;
}

/* --- packets --- */

static __attribute__((noinline)) bool add_slab(struct click_router *router)
{
	if (router->packets_count + SLAB_PACKETS > CLICK_PACKETS_MAX)
		return false;
	struct click_slab *slab = malloc(sizeof(*slab));
	if (slab == NULL)
		return false;
	slab->next = router->slabs;
	router->slabs = slab;
	router->packets_count += SLAB_PACKETS;
	for (unsigned i = SLAB_PACKETS; i-- > 0;) {
		struct click_packet *packet = &slab->packets[i];
		packet->home = packet->buffer = slab->buffers[i];
		packet->has_anno = true; /* who knows */
		packet->next = router->free_packets;
		router->free_packets = packet;
	}
	return true;
}

bool click_packets_init(struct click_router *router)
{
	struct click_packet *own = &router->own;
	own->home = own->buffer = click_arena_alloc(&router->arena, BUFFER_BYTES);
	return own->home != NULL && add_slab(router);
}

void click_reserve_packets(struct click_router *router, uint32_t count)
{
	uint32_t more = CLICK_PACKETS_MAX - router->packets_reserved;
	router->packets_reserved += count < more ? count : more;
}

void click_packets_fill(struct click_router *router)
{
	/* The first slab is for those that are under way. */
	while (router->packets_count < router->packets_reserved + SLAB_PACKETS)
		if (!add_slab(router))
			break;
}

void click_packets_fini(struct click_router *router)
{
	while (router->slabs != NULL) {
		struct click_slab *slab = router->slabs;
		router->slabs = slab->next;
		free(slab);
	}
}

/* What is left of the packet's life before. */
static void clear(struct click_packet *packet)
{
	const size_t from = offsetof(struct click_packet, next);
	if (packet->has_anno)
		memset(packet->anno, 0, sizeof(packet->anno));
	memset((uint8_t *)packet + from, 0, sizeof(*packet) - from);
	packet->mac = packet->network = packet->transport = CLICK_NO_HEADER;
}

static struct click_packet *take(struct click_router *router)
{
	if (router->free_packets == NULL && !add_slab(router)) {
		click_count_exhausted(router);
		return NULL;
	}
	struct click_packet *packet = router->free_packets;
	router->free_packets = packet->next;
	clear(packet);
	packet->buffer = packet->home;
	return packet;
}

struct click_packet *click_packet_new(struct click_router *router, uint32_t len)
{
	struct click_packet *packet = len <= CLICK_PACKET_MAX ? take(router) : NULL;
	if (packet != NULL) {
		packet->data = packet->buffer + CLICK_HEADROOM;
		packet->len = len;
	}
	return packet;
}

struct click_packet *click_packet_borrow(struct click_router *router, uint8_t *buffer,
					 uint8_t *data, uint32_t len)
{
	if (data < buffer || data > buffer + BUFFER_BYTES ||
	    len > (size_t)(buffer + BUFFER_BYTES - data) || router->borrowed != NULL)
		return NULL;
	struct click_packet *packet = router->is_own_taken ? take(router) : &router->own;
	if (packet == &router->own) {
		router->is_own_taken = true;
		clear(packet);
	}
	if (packet != NULL) {
		packet->buffer = buffer;
		packet->data = data;
		packet->len = len;
		router->borrowed = packet;
	}
	return packet;
}

void click_packet_settle(struct click_router *router)
{
	struct click_packet *packet = router->borrowed;
	if (packet == NULL)
		return;
	size_t offset = (size_t)(packet->data - packet->buffer);
	memcpy(packet->home + offset, packet->data, packet->len);
	packet->buffer = packet->home;
	packet->data = packet->home + offset;
	router->borrowed = NULL;
}

void click_packet_free(struct click_router *router, struct click_packet *packet)
{
	if (packet == NULL)
		return;
	if (packet == router->borrowed)
		router->borrowed = NULL;
	if (packet == &router->own) {
		router->is_own_taken = false;
		return;
	}
	packet->buffer = packet->home;
	packet->next = router->free_packets;
	router->free_packets = packet;
}

struct click_packet *click_packet_clone(struct click_router *router,
					const struct click_packet *packet)
{
	struct click_packet *clone = take(router);
	if (clone == NULL)
		return NULL;
	uint8_t *home = clone->home;
	*clone = *packet;
	clone->next = NULL;
	clone->home = clone->buffer = home;
	clone->data = home + (packet->data - packet->buffer);
	memcpy(clone->data, packet->data, packet->len);
	/* Stripped headers may come back. */
	size_t before = (size_t)(packet->data - packet->buffer);
	memcpy(home, packet->buffer, before);
	return clone;
}

static void move(struct click_packet *packet, int by)
{
	int16_t *const offsets[] = {&packet->mac, &packet->network, &packet->transport};
	for (unsigned i = 0; i < 3; i++) {
		if (*offsets[i] == CLICK_NO_HEADER)
			continue;
		int offset = *offsets[i] - by;
		bool fits = offset > INT16_MIN && offset <= INT16_MAX;
		*offsets[i] = fits ? (int16_t)offset : CLICK_NO_HEADER;
	}
	packet->data += by;
	packet->len = (uint32_t)((int64_t)packet->len - by);
}

bool click_packet_push(struct click_packet *packet, uint32_t n)
{
	if (n > (size_t)(packet->data - packet->buffer))
		return false;
	move(packet, -(int)n);
	return true;
}

bool click_packet_pull(struct click_packet *packet, uint32_t n)
{
	if (n > packet->len)
		return false;
	move(packet, (int)n);
	return true;
}

bool click_packet_put(struct click_packet *packet, uint32_t n)
{
	size_t room = (size_t)(packet->buffer + BUFFER_BYTES - packet->data) - packet->len;
	if (n > room)
		return false;
	packet->len += n;
	return true;
}

bool click_packet_take(struct click_packet *packet, uint32_t n)
{
	if (n > packet->len)
		return false;
	packet->len -= n;
	return true;
}

uint8_t *click_packet_header(const struct click_packet *packet, int16_t offset, uint32_t size)
{
	/* In front of data there may be a header that was stripped, but not in front of the
	 * buffer. */
	if (offset == CLICK_NO_HEADER || offset < packet->buffer - packet->data)
		return NULL;
	if ((int64_t)packet->len - offset < (int64_t)size)
		return NULL;
	return packet->data + offset;
}
