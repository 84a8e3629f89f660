/*
 * The main loop of a function with handlers: on the FWP's stack, as a host function. The guest runs
 * only between fwp_host_leave() and fwp_host_enter(), in call_…().
 *
 * For the guest this loop does what the guest would do with its inbound ring: it looks at the slot
 * that was filled, and posts the buffer again. What it reads there the guest may have changed,
 * which can only mislead the guest: addresses go to its own handler, or to the mover, which checks
 * them.
 */
#include <errno.h>

#include "base/clock.h"
#include "wasi/edgeos_priv.h"

static void call_message(struct edgeos *edgeos, struct fwp *fwp, void *instance,
			 const struct mma_abi_descriptor *message)
{
	fwp_host_leave(fwp);
	edgeos->handlers.message(instance, message->conn, message->address, message->len);
	fwp_host_enter(fwp);
}

static void call_timer(struct edgeos *edgeos, struct fwp *fwp, void *instance, uint32_t id)
{
	fwp_host_leave(fwp);
	edgeos->handlers.timer(instance, id);
	fwp_host_enter(fwp);
}

static void call_init(struct edgeos *edgeos, struct fwp *fwp, void *instance)
{
	const struct edgeos_handlers *handlers = &edgeos->handlers;
	fwp_host_leave(fwp);
	if (handlers->initialize != NULL)
		handlers->initialize(instance);
	if (handlers->init != NULL)
		handlers->init(instance);
	fwp_host_enter(fwp);
}

/* The inbound ring, or NULL: there is none. */
static struct mma_abi_ring *inbound_get(struct edgeos *edgeos, struct fwp *fwp, uint32_t *ret_count)
{
	uint32_t address;
	mma_port_in_ring(edgeos->port, &address, ret_count);
	if (*ret_count == 0)
		return NULL;
	uint64_t size = sizeof(struct mma_abi_ring) +
			(uint64_t)*ret_count * sizeof(struct mma_abi_descriptor);
	return fwp_memory(fwp, address, size);
}

static struct mma_abi_descriptor *slot_of(struct mma_abi_ring *ring, uint32_t count,
					  uint32_t position)
{
	return (struct mma_abi_descriptor *)(void *)(ring + 1) + (position & (count - 1));
}

static void give_back(struct edgeos *edgeos, struct fwp *fwp,
		      const struct mma_abi_descriptor *message)
{
	uint32_t count;
	struct mma_abi_ring *ring = inbound_get(edgeos, fwp, &count);
	uint32_t head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED);
	*slot_of(ring, count, head) = (struct mma_abi_descriptor){
		.address = message->address,
		.capacity = message->capacity,
		.cookie = message->cookie,
	};
	__atomic_store_n(&ring->head, head + 1, __ATOMIC_RELEASE);
	mma_posted(edgeos->port);
}

/* True when there was a message. */
static bool take_message(struct edgeos *edgeos, struct fwp *fwp, void *instance)
{
	if (edgeos->handlers.message == NULL || mma_port_received(edgeos->port) == edgeos->taken)
		return false;
	uint32_t count;
	struct mma_abi_ring *ring = inbound_get(edgeos, fwp, &count);
	if (ring == NULL)
		return false;
	const struct mma_abi_descriptor message = *slot_of(ring, count, edgeos->taken++);
	/* A buffer that was refused would be refused again. */
	if (message.status != MMA_ABI_DONE)
		return true;
	call_message(edgeos, fwp, instance, &message);
	give_back(edgeos, fwp, &message);
	return true;
}

/* Calls for one timer that is due, if one is; the time of the next. */
static bool take_timer(struct edgeos *edgeos, struct fwp *fwp, void *instance,
		       uint64_t *ret_next_ns)
{
	uint64_t now_ns = 0, next_ns = UINT64_MAX;
	for (uint32_t id = 0; id < EDGEOS_TIMERS_MAX; id++) {
		uint64_t due_ns = edgeos->timers_due_ns[id];
		if (due_ns == UINT64_MAX)
			continue;
		if (now_ns == 0)
			now_ns = eos_now_ns();
		if (due_ns <= now_ns) {
			edgeos->timers_due_ns[id] = UINT64_MAX;
			call_timer(edgeos, fwp, instance, id);
			return true;
		}
		next_ns = EOS_MIN(next_ns, due_ns);
	}
	*ret_next_ns = next_ns;
	return false;
}

/* Until a message or the time of a timer comes. Messages are no reason for a function that does not
 * export what takes them: they stay where they are, for edgeos_wait() in its timers. */
static int wait_for_work(struct edgeos *edgeos, struct fwp *fwp, uint64_t until_ns)
{
	/* It hears of the end of its rings with either event. */
	unsigned events = edgeos->handlers.message != NULL ? MMA_EVENT_RECEIVED : MMA_EVENT_SENT;
	return edgeos_wait_port(edgeos, fwp, events, edgeos->taken,
				mma_port_completions(edgeos->port), until_ns);
}

void edgeos_entry(struct fwp *fwp, void *instance)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return;
	if (!edgeos->is_initialised)
		call_init(edgeos, fwp, instance);
	while (!atomic_load_explicit(&edgeos->must_stop, memory_order_acquire)) {
		uint64_t until_ns = UINT64_MAX;
		bool has_done = take_timer(edgeos, fwp, instance, &until_ns);
		if (take_message(edgeos, fwp, instance) || has_done)
			continue;
		if (mma_port_is_dead(edgeos->port))
			fwp_exit(fwp, EDGEOS_EXIT_RINGS);
		/* Its time is over: leaving ends it. */
		if (wait_for_work(edgeos, fwp, until_ns) < 0) {
			fwp_host_leave(fwp);
			fwp_host_enter(fwp);
		}
	}
}
