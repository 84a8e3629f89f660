/*
 * The mover's turn: one port's outbound descriptors, and those that wait for its inbound buffers.
 *
 * Outbound positions, all private to the mover:
 *
 *	   tail            cursor                 head (read once a turn)
 *	    │                │                     │
 *	────┬───┬───┬───┬────┬───┬───┬───┬───┬─────┬────
 *	    │ W │ d │ W │ d  │ . │ . │ . │ . │ .   │          W waits, d done, . not yet looked at
 *	────┴───┴───┴───┴────┴───┴───┴───┴───┴─────┴────
 *
 * A pass goes with cursor from tail to head. A message whose receiver has no buffer is left where
 * it is, its connection is stalled for the rest of the pass (which keeps its messages in order) and
 * waits at the receiver. When buffers come, a new pass begins at tail. So one receiver that does
 * not listen delays nobody else's messages, and nothing is looked at again without a reason.
 *
 * Invariants
 * 1. Shared memory is read with one atomic load a field. What was read decides nothing after it was
 *    read anew.
 * 2. Each address is checked against the owner's size at the moment of use; sizes only grow.
 * 3. head - tail <= count for each ring: a head that says otherwise kills its port, so positions
 *    never lead outside of the slots (which the mask forbids anyway) nor a turn go on for ever.
 * 4. tail <= cursor <= head.
 * 5. Within a turn only private positions move. They are published at its end, then wakes and
 *    faults are told.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/counter.h"
#include "mma/mma_priv.h"

/* Messages after which the process's counters are brought up to date at the latest. */
#define COUNTED_MAX 1024u

EOS_COUNTER(count_messages, "mma.messages_total", "Messages moved between memories.");
EOS_COUNTER(count_bytes, "mma.bytes_total", "Bytes moved between memories.");
EOS_COUNTER(count_dropped, "mma.dropped_total", "Messages dropped, as nobody could take them.");
EOS_COUNTER(count_faults, "mma.faults_total", "Bad descriptors of guests.");
EOS_COUNTER(count_killed, "mma.ports_killed_total", "Ports killed, as a ring was nonsense.");

/* The figures have one writer. */
static void add(_Atomic uint64_t *figure, uint64_t n)
{
	uint64_t value = atomic_load_explicit(figure, memory_order_relaxed);
	atomic_store_explicit(figure, value + n, memory_order_relaxed);
}

/* The fields before cookie, which is not our business. Each by itself, as the guest wrote them: a
 * load that is wider than the stores just before it waits until they have reached the cache. */
static struct mma_abi_descriptor load_slot(const struct mma_abi_descriptor *slot)
{
	return (struct mma_abi_descriptor){
		.address = __atomic_load_n(&slot->address, __ATOMIC_RELAXED),
		.len = __atomic_load_n(&slot->len, __ATOMIC_RELAXED),
		.conn = __atomic_load_n(&slot->conn, __ATOMIC_RELAXED),
		.capacity = __atomic_load_n(&slot->capacity, __ATOMIC_RELAXED),
		.flags = __atomic_load_n(&slot->flags, __ATOMIC_RELAXED),
		.status = __atomic_load_n(&slot->status, __ATOMIC_RELAXED),
		.reserved = __atomic_load_n(&slot->reserved, __ATOMIC_RELAXED),
	};
}

/* Where LEN bytes at ADDRESS are, or NULL when they are not all inside. */
static uint8_t *place(const struct mma_port *port, uint32_t address, uint32_t len)
{
	uint64_t bytes = atomic_load_explicit(port->memory.bytes, memory_order_acquire);
	if (EOS_UNLIKELY(address > bytes || len > bytes - address))
		return NULL;
	return port->memory.base + address;
}

void mma_make_ready(struct mma_port *port)
{
	if (eos_list_is_empty(&port->ready_node))
		eos_list_add_tail(&port->mma->ready, &port->ready_node);
}

static void touch(struct mma_port *port)
{
	if (port->is_touched)
		return;
	port->is_touched = true;
	port->touched_next = port->mma->touched;
	port->mma->touched = port;
}

static void note_fault(struct mma_port *port, enum mma_abi_status status, const char *text)
{
	if (port->fault.count++ == 0) {
		port->fault.status = status;
		port->fault.text = text;
	}
	add(&port->stats_faults, 1);
	touch(port);
}

static void kill_port(struct mma_port *port, const char *text)
{
	port->fault.is_dead = true;
	port->fault.text = text;
	atomic_store_explicit(&port->is_dead, true, memory_order_release);
	eos_counter_add(&count_killed, 1);
	mma_release_waiters(port);
	touch(port);
}

static bool is_dead(const struct mma_port *port)
{
	return atomic_load_explicit(&port->is_dead, memory_order_relaxed);
}

/* Reads the guest's head anew. False: it is nonsense. */
static bool refresh_head(struct mma_ring *ring)
{
	uint32_t head = __atomic_load_n(&ring->shared->head, __ATOMIC_ACQUIRE);
	if (EOS_UNLIKELY(head - ring->tail > ring->mask + 1))
		return false;
	ring->head = head;
	return true;
}

static void look_again(struct mma_connection *connection)
{
	struct mma_port *sender = connection->sender;
	eos_list_remove(&connection->wait_node);
	sender->cursor = sender->out.tail;
	sender->pass++;
	mma_make_ready(sender);
}

void mma_release_waiters(struct mma_port *port)
{
	EOS_LIST_FOR_EACH (node, &port->waiters)
		look_again(EOS_CONTAINER_OF(node, struct mma_connection, wait_node));
	atomic_store_explicit(&port->has_waiters, false, memory_order_relaxed);
}

/* Buffers may have come: as many as there are may look again. When some of them have changed their
 * mind, the buffers are still there at this port's next turn, which lets others look. */
static void serve_waiters(struct mma_port *port)
{
	if (eos_list_is_empty(&port->waiters)) {
		atomic_store_explicit(&port->has_waiters, false, memory_order_relaxed);
		return;
	}
	if (port->in.shared == NULL)
		return;
	if (!refresh_head(&port->in)) {
		kill_port(port, "the inbound ring's head is nonsense");
		return;
	}
	uint32_t buffers = port->in.head - port->in.tail;
	if (buffers == 0)
		return;
	for (; buffers > 0 && !eos_list_is_empty(&port->waiters); buffers--)
		look_again(EOS_CONTAINER_OF(port->waiters.next, struct mma_connection, wait_node));
	if (eos_list_is_empty(&port->waiters))
		atomic_store_explicit(&port->has_waiters, false, memory_order_relaxed);
	else
		mma_make_ready(port);
}

static void wait_for_buffers(struct mma_connection *connection)
{
	struct mma_port *receiver = connection->receiver;
	connection->stalled_pass = connection->sender->pass;
	if (!eos_list_is_empty(&connection->wait_node))
		return;
	eos_list_add_tail(&receiver->waiters, &connection->wait_node);
	/* Who posts looks at this after its head moved; so the head must be read once more after
	 * this, which is what the receiver's turn does, behind the fence that each turn begins
	 * with. */
	atomic_store_explicit(&receiver->has_waiters, true, memory_order_relaxed);
	if (receiver->mma->has_thread)
		mma_make_ready(receiver);
}

static void fill(struct mma_port *receiver, uint32_t len, uint32_t tag, enum mma_abi_status status)
{
	struct mma_ring *ring = &receiver->in;
	struct mma_abi_descriptor *slot = &ring->slots[ring->tail & ring->mask];
	__atomic_store_n(&slot->len, len, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->conn, tag, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->status, (uint16_t)status, __ATOMIC_RELAXED);
	ring->tail++;
	touch(receiver);
}

/* The receiver's next good buffer; bad ones go back to it. NULL: there is none, or it is dead. */
static uint8_t *next_buffer(struct mma_port *receiver, uint32_t *ret_capacity)
{
	struct mma_ring *ring = &receiver->in;
	if (ring->shared == NULL)
		return NULL;
	/* What is posted while we look must wait for another turn: invariant 3. */
	for (uint32_t left = ring->mask + 1; left > 0; left--) {
		if (ring->tail == ring->head && !refresh_head(ring)) {
			kill_port(receiver, "the inbound ring's head is nonsense");
			return NULL;
		}
		if (ring->tail == ring->head)
			return NULL;
		struct mma_abi_descriptor buffer = load_slot(&ring->slots[ring->tail & ring->mask]);
		uint8_t *at = place(receiver, buffer.address, buffer.capacity);
		bool is_clean = buffer.status == MMA_ABI_PENDING && buffer.flags == 0 &&
				buffer.reserved == 0;
		if (EOS_LIKELY(at != NULL && is_clean)) {
			*ret_capacity = buffer.capacity;
			return at;
		}
		enum mma_abi_status status = at == NULL ? MMA_ABI_FAULT : MMA_ABI_BAD_FLAGS;
		note_fault(receiver, status, "a bad buffer in the inbound ring");
		fill(receiver, 0, 0, status);
	}
	mma_make_ready(receiver);
	return NULL;
}

/* MMA_ABI_PENDING: it has to wait. */
static enum mma_abi_status deliver(struct mma_connection *connection,
				   const struct mma_abi_descriptor *message, const uint8_t *from)
{
	struct mma_port *receiver = connection->receiver;
	uint32_t capacity = 0;
	uint8_t *to = next_buffer(receiver, &capacity);
	if (EOS_UNLIKELY(to == NULL)) {
		if (is_dead(receiver))
			return MMA_ABI_GONE;
		bool may_wait = connection->when_full == MMA_WAIT &&
				(message->flags & MMA_ABI_FLAG_NO_WAIT) == 0;
		return may_wait ? MMA_ABI_PENDING : MMA_ABI_DROPPED;
	}
	if (EOS_UNLIKELY(message->len > capacity))
		return MMA_ABI_TOO_SMALL;
	memcpy(to, from, message->len);
	fill(receiver, message->len, connection->tag, MMA_ABI_DONE);
	add(&receiver->stats_received, 1);
	add(&receiver->stats_received_bytes, message->len);
	return MMA_ABI_DONE;
}

/* All that can be said about a descriptor before its receiver is asked; DONE: it may be sent. */
static enum mma_abi_status check(const struct mma_port *sender,
				 const struct mma_abi_descriptor *message,
				 struct mma_connection **ret_connection, const uint8_t **ret_from)
{
	const struct mma_cap *cap = mma_caps_get(&sender->caps, message->conn);
	if (EOS_UNLIKELY(cap == NULL || cap->kind != MMA_CAP_CONNECTION ||
			 (cap->rights & MMA_RIGHT_SEND) == 0))
		return MMA_ABI_BAD_HANDLE;
	struct mma_connection *connection = cap->object;
	if (EOS_UNLIKELY((message->flags & ~MMA_ABI_FLAGS_ALL) != 0 || message->reserved != 0 ||
			 message->status != MMA_ABI_PENDING))
		return MMA_ABI_BAD_FLAGS;
	if (EOS_UNLIKELY(message->len > connection->len_max))
		return MMA_ABI_TOO_LONG;
	*ret_from = place(sender, message->address, message->len);
	if (EOS_UNLIKELY(*ret_from == NULL))
		return MMA_ABI_FAULT;
	if (EOS_UNLIKELY(connection->receiver == NULL || is_dead(connection->receiver)))
		return MMA_ABI_GONE;
	*ret_connection = connection;
	return MMA_ABI_DONE;
}

/* The slot at POSITION is dealt with. */
static void complete(struct mma_port *port, uint32_t position, enum mma_abi_status status)
{
	struct mma_ring *ring = &port->out;
	__atomic_store_n(&ring->slots[position & ring->mask].status, (uint16_t)status,
			 __ATOMIC_RELAXED);
	port->has_completed = true;
	if (position != ring->tail) {
		uint32_t index = position & ring->mask;
		port->done[index / 64] |= UINT64_C(1) << index % 64;
		return;
	}
	for (;;) {
		uint32_t index = ++ring->tail & ring->mask;
		uint64_t bit = UINT64_C(1) << index % 64;
		if (EOS_LIKELY((port->done[index / 64] & bit) == 0))
			break;
		port->done[index / 64] &= ~bit;
	}
	/* What was done before is behind tail now, and its slots may be the guest's again. */
	if ((int32_t)(ring->tail - port->cursor) > 0)
		port->cursor = ring->tail;
}

static bool is_done(const struct mma_port *port, uint32_t position)
{
	uint32_t index = position & port->out.mask;
	return (port->done[index / 64] >> index % 64 & 1) != 0;
}

static void settle(struct mma_port *port, const struct mma_abi_descriptor *message,
		   enum mma_abi_status status)
{
	switch (status) {
	case MMA_ABI_DONE:
		add(&port->stats_sent, 1);
		add(&port->stats_sent_bytes, message->len);
		port->mma->messages++;
		port->mma->bytes += message->len;
		break;
	case MMA_ABI_DROPPED:
	case MMA_ABI_TOO_SMALL:
	case MMA_ABI_GONE:
		add(&port->stats_dropped, 1);
		eos_counter_add(&count_dropped, 1);
		break;
	default:
		note_fault(port, status, "a bad descriptor in the outbound ring");
		break;
	}
}

/* The descriptor at the cursor. Its cost, or 0: the port has not saved enough for it. */
static uint64_t move_one(struct mma_port *port)
{
	uint32_t position = port->cursor;
	struct mma_abi_descriptor message = load_slot(&port->out.slots[position & port->out.mask]);
	struct mma_connection *connection = NULL;
	const uint8_t *from = NULL;
	enum mma_abi_status status = check(port, &message, &connection, &from);
	uint64_t cost = MMA_MESSAGE_COST;
	bool may_move = EOS_LIKELY(status == MMA_ABI_DONE);
	if (may_move && cost + message.len > port->deficit)
		return 0;
	/* Now, not later: what follows may send the cursor back to tail. */
	port->cursor++;
	if (may_move) {
		if (connection->stalled_pass == port->pass)
			return cost;
		status = deliver(connection, &message, from);
		if (status == MMA_ABI_PENDING) {
			wait_for_buffers(connection);
			return cost;
		}
		cost += message.len;
	}
	complete(port, position, status);
	settle(port, &message, status);
	return cost;
}

/* Returns what the turn cost. */
static uint64_t send_from(struct mma_port *port)
{
	struct mma_ring *ring = &port->out;
	if (ring->shared == NULL)
		return 0;
	/* Nor may it go back to before what we have looked at: invariant 4. */
	if (!refresh_head(ring) || ring->head - ring->tail < port->cursor - ring->tail) {
		kill_port(port, "the outbound ring's head is nonsense");
		return 0;
	}
	/* Nothing to look at: what it may have saved is lost, or it could flood later. */
	if (port->cursor == ring->head) {
		port->deficit = 0;
		return 0;
	}
	port->deficit += MMA_QUANTUM;
	uint64_t spent = 0;
	unsigned left = MMA_TURN_DESCRIPTORS;
	for (; left > 0 && port->cursor != ring->head; left--) {
		__builtin_prefetch(&ring->slots[(port->cursor + 1) & ring->mask]);
		if (EOS_UNLIKELY(is_done(port, port->cursor))) {
			port->cursor++;
			continue;
		}
		if (port->deficit < MMA_MESSAGE_COST)
			break;
		uint64_t cost = move_one(port);
		if (cost == 0)
			break;
		port->deficit -= cost;
		spent += cost;
	}
	if (port->cursor != ring->head)
		mma_make_ready(port);
	else
		port->deficit = 0;
	/* A port with more descriptors than a turn looks at shall not hoard. */
	port->deficit = EOS_MIN(port->deficit,
				(uint64_t)MMA_MESSAGE_BYTES_MAX + MMA_MESSAGE_COST + MMA_QUANTUM);
	return spent;
}

/* Whatever is found was a wish, and may be another than a load saw before: taken back, it must be
 * granted. Without a thread nobody is there to make another. */
static bool take_wish(struct mma_port *port)
{
	if (port->mma->has_thread)
		return atomic_exchange_explicit(&port->wants, 0, memory_order_acq_rel) != 0;
	atomic_store_explicit(&port->wants, 0, memory_order_relaxed);
	return true;
}

/* Tells the owner of PORT what the turn meant for it. */
static void tell(struct mma_port *port, unsigned events)
{
	if (atomic_load_explicit(&port->is_dead, memory_order_relaxed))
		events |= MMA_EVENT_RECEIVED | MMA_EVENT_SENT;
	if ((atomic_load_explicit(&port->wants, memory_order_relaxed) & events) != 0 &&
	    take_wish(port) && port->ops->wake != NULL)
		port->ops->wake(port->ctx, events);
	if (EOS_LIKELY(port->fault.count == 0 && !port->fault.is_dead))
		return;
	struct mma_fault fault = port->fault;
	port->fault = (struct mma_fault){0};
	eos_counter_add(&count_faults, fault.count);
	if (port->ops->fault != NULL)
		port->ops->fault(port->ctx, &fault);
}

static void publish_receiver(struct mma_port *port)
{
	if (port->in.shared == NULL)
		return;
	__atomic_store_n(&port->in.shared->tail, port->in.tail, __ATOMIC_RELEASE);
	atomic_store_explicit(&port->received, port->in.tail, memory_order_release);
}

/* Invariant 5. */
static void end_turn(struct mma *mma, struct mma_port *sender)
{
	bool has_completed = sender->has_completed;
	if (has_completed) {
		sender->has_completed = false;
		__atomic_store_n(&sender->out.shared->tail, sender->out.tail, __ATOMIC_RELEASE);
		atomic_store_explicit(&sender->sent, sender->out.tail, memory_order_release);
		uint32_t completions =
			atomic_load_explicit(&sender->completions, memory_order_relaxed);
		atomic_store_explicit(&sender->completions, completions + 1, memory_order_release);
	}
	for (struct mma_port *port = mma->touched; port != NULL; port = port->touched_next)
		publish_receiver(port);
	/* Published before the wish to be woken is looked for: mma_port_prepare_wait(). */
	if (mma->has_thread)
		atomic_thread_fence(memory_order_seq_cst);
	while (mma->touched != NULL) {
		struct mma_port *port = mma->touched;
		mma->touched = port->touched_next;
		port->is_touched = false;
		tell(port, MMA_EVENT_RECEIVED);
	}
	if (has_completed)
		tell(sender, MMA_EVENT_SENT);
}

static uint64_t take_turn(struct mma_port *port)
{
	uint64_t spent = 0;
	if (EOS_LIKELY(!is_dead(port))) {
		serve_waiters(port);
		spent = is_dead(port) ? 0 : send_from(port);
	}
	end_turn(port->mma, port);
	return EOS_MAX(spent, (uint64_t)MMA_MESSAGE_COST);
}

uint64_t mma_turn(struct mma *mma)
{
	struct eos_list *node = eos_list_take(&mma->ready);
	return node != NULL ? take_turn(EOS_CONTAINER_OF(node, struct mma_port, ready_node)) : 0;
}

void mma_count(struct mma *mma)
{
	if (mma->messages == 0)
		return;
	eos_counter_add(&count_messages, mma->messages);
	eos_counter_add(&count_bytes, mma->bytes);
	mma->messages = mma->bytes = 0;
}

/* What was delivered since there had been BEFORE. */
static uint64_t end_move(struct mma *mma, uint64_t before)
{
	uint64_t delivered = mma->messages - before;
	mma->is_moving = false;
	if (EOS_UNLIKELY(mma->messages >= COUNTED_MAX))
		mma_count(mma);
	return delivered;
}

uint64_t mma_move(struct mma *mma, uint64_t budget)
{
	EOS_ASSERT(!mma->has_thread && !mma->is_moving);
	uint64_t before = mma->messages;
	mma->is_moving = true;
	while (budget > 0) {
		uint64_t cost = mma_turn(mma);
		if (cost == 0)
			break;
		budget -= EOS_MIN(cost, budget);
	}
	return end_move(mma, before);
}

uint64_t mma_move_port(struct mma_port *port, uint64_t budget)
{
	struct mma *mma = port->mma;
	EOS_ASSERT(!mma->has_thread && !mma->is_moving);
	uint64_t before = mma->messages;
	mma->is_moving = true;
	do {
		eos_list_remove(&port->ready_node);
		budget -= EOS_MIN(take_turn(port), budget);
	} while (budget > 0 && !is_dead(port) && port->cursor != port->out.head);
	return end_move(mma, before);
}

bool mma_is_idle(const struct mma *mma)
{
	return eos_list_is_empty(&mma->ready) &&
	       atomic_load_explicit(&mma->kicked, memory_order_acquire) == NULL;
}
