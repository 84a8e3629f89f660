/*
 * What runs on an FWP's stack but is not the guest: the frame around host functions, and the
 * services that generated code calls (struct image_host_ops). The services are host functions too
 * and have the same frame.
 *
 * The size of the linear memory is kept here, not asked from the image: it is what was made
 * accessible, so fwp_memory() is right whatever the guest's instance says.
 */
#include "fwp/fwp_priv.h"

#include <errno.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"

/* How much of a second's host calls is taken at once, and how much may be saved up. */
#define HOST_CALLS_BATCH_NS (1 * EOS_NS_PER_MS)
#define HOST_CALLS_BURST_NS (10 * EOS_NS_PER_MS)

EOS_COUNTER(throttled, "fwp.host_call_waits_total",
	    "Waits of featherweight processes for their host-call rate.");

const char *fwp_trap_text(uint32_t trap)
{
	static const char *const texts[] = {
		[IMAGE_TRAP_NONE] = "no trap",
		[IMAGE_TRAP_OUT_OF_BOUNDS] = "out of bounds memory access",
		[IMAGE_TRAP_INTEGER_OVERFLOW] = "integer overflow",
		[IMAGE_TRAP_DIVIDE_BY_ZERO] = "integer divide by zero",
		[IMAGE_TRAP_INVALID_CONVERSION] = "invalid conversion to integer",
		[IMAGE_TRAP_UNREACHABLE] = "unreachable executed",
		[IMAGE_TRAP_CALL_INDIRECT] = "indirect call to a wrong function",
		[IMAGE_TRAP_STACK_OVERFLOW] = "stack overflow",
	};
	return trap < EOS_ARRAY_SIZE(texts) ? texts[trap] : "unknown trap";
}

void fwp_trap(struct fwp *fwp, enum image_trap trap)
{
	fwp_die(fwp, (struct fwp_death){
			     .kind = FWP_DEATH_TRAP, .trap = trap, .text = fwp_trap_text(trap)});
}

void fwp_exit(struct fwp *fwp, uint32_t code)
{
	fwp_die(fwp, (struct fwp_death){.kind = FWP_DEATH_EXIT, .code = code, .text = "exited"});
}

void *fwp_context(struct fwp *fwp)
{
	return fwp->user;
}

void *fwp_memory(struct fwp *fwp, uint32_t address, uint64_t len)
{
	uint64_t bytes = atomic_load_explicit(&fwp->memory_bytes, memory_order_relaxed);
	if (address > bytes || len > bytes - address)
		return NULL;
	return fwp->slot.memory + address;
}

void fwp_host_enter(struct fwp *fwp)
{
	/* Before the flag: should even this call find no stack, it is still the guest's fault. */
	uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
	/* The slot's stack_low: this one is in a line that the switch has touched. SP may be below
	 * it, where the stack for turns is open for another one's limit. */
	if (EOS_UNLIKELY(sp < (uintptr_t)fwp->context.stack_low + FWP_HOST_STACK_BYTES +
				      FWP_PREEMPT_STACK_BYTES))
		fwp_trap(fwp, IMAGE_TRAP_STACK_OVERFLOW);
	atomic_store_explicit(&fwp->in_host, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (EOS_UNLIKELY(fwp->host_calls_left-- == 0))
		fwp_host_calls_refill(fwp);
}

/* What came in while the host ran. */
void fwp_host_leave_pending(struct fwp *fwp)
{
	unsigned pending;
	while ((pending = atomic_load_explicit(&fwp->pending, memory_order_relaxed)) != 0) {
		/* Taken before it is served, so what comes now is not lost. */
		atomic_store_explicit(&fwp->in_host, true, memory_order_relaxed);
		atomic_signal_fence(memory_order_seq_cst);
		atomic_fetch_and_explicit(&fwp->pending, ~pending, memory_order_relaxed);
		if ((pending & FWP_PENDING_EXPIRED) != 0)
			fwp_die(fwp,
				(struct fwp_death){.kind = FWP_DEATH_TIMEOUT, .text = "timed out"});
		fwp_yield(fwp);
		atomic_signal_fence(memory_order_seq_cst);
		atomic_store_explicit(&fwp->in_host, false, memory_order_relaxed);
		atomic_signal_fence(memory_order_seq_cst);
	}
}

void fwp_host_leave(struct fwp *fwp)
{
	fwp_host_leave_now(fwp);
}

void fwp_engine_preempt(struct fwp_engine *engine)
{
	struct fwp *fwp = atomic_load_explicit(&engine->current, memory_order_relaxed);
	if (fwp != NULL)
		atomic_fetch_or_explicit(&fwp->pending, FWP_PENDING_YIELD, memory_order_relaxed);
}

/*
 * A token bucket that holds HOST_CALLS_BURST_NS worth of calls. Whole batches are taken from it, so
 * the clock is read once a batch; an empty one blocks the FWP until it holds a batch again.
 */
void fwp_host_calls_refill(struct fwp *fwp)
{
	uint64_t rate = fwp->host_calls_per_s;
	if (rate == 0) {
		fwp->host_calls_left = UINT32_MAX;
		return;
	}
	uint64_t batch = EOS_MAX(rate / (EOS_NS_PER_S / HOST_CALLS_BATCH_NS), UINT64_C(1));
	uint64_t batch_ns = batch * EOS_NS_PER_S / rate;
	uint64_t now_ns = eos_now_ns();
	uint64_t oldest_ns = now_ns - EOS_MIN(now_ns, EOS_MAX(HOST_CALLS_BURST_NS, batch_ns));
	fwp->rate_from_ns = EOS_MAX(fwp->rate_from_ns, oldest_ns);
	while (fwp->rate_from_ns + batch_ns > now_ns) {
		eos_counter_add(&throttled, 1);
		fwp->resume_ns = fwp->rate_from_ns + batch_ns;
		fwp_block(fwp);
		now_ns = eos_now_ns();
	}
	fwp->rate_from_ns += batch_ns;
	fwp->host_calls_left = (uint32_t)(batch - 1);
}

/* The FWP on whose stack we are. */
static struct fwp *running(void)
{
	return atomic_load_explicit(&fwp_engine_here->current, memory_order_relaxed);
}

/* Out of bounds, with the reason in other words than the usual. */
static void __attribute__((noreturn)) refuse(struct fwp *fwp, const char *text)
{
	fwp_die(fwp, (struct fwp_death){.kind = FWP_DEATH_TRAP,
					.trap = IMAGE_TRAP_OUT_OF_BOUNDS,
					.text = text});
}

static void __attribute__((noreturn)) host_trap(uint32_t reason, const void *pc)
{
	fwp_die(running(), (struct fwp_death){.kind = FWP_DEATH_TRAP,
					      .trap = reason,
					      .text = fwp_trap_text(reason),
					      .pc = (uintptr_t)pc});
}

static uint8_t *host_memory_reserve(uint32_t initial_pages)
{
	struct fwp *fwp = running();
	fwp_host_enter(fwp);
	if (fwp->has_memory)
		refuse(fwp, "a second linear memory");
	if (initial_pages > fwp->memory_pages_max)
		refuse(fwp, "the initial memory is beyond the memory limit");
	uint64_t bytes = (uint64_t)initial_pages * FWP_PAGE_SIZE;
	if (fwp_slot_set_memory(&fwp->slot, bytes) < 0)
		refuse(fwp, "the host has no memory left");
	fwp->has_memory = true;
	atomic_store_explicit(&fwp->memory_bytes, bytes, memory_order_relaxed);
	uint8_t *memory = (uint8_t *)fwp->slot.memory;
	fwp_host_leave(fwp);
	return memory;
}

static int host_memory_extend(uint32_t from_page, uint32_t to_page)
{
	struct fwp *fwp = running();
	fwp_host_enter(fwp);
	int result = -1;
	if (fwp->has_memory && from_page <= to_page && to_page <= fwp->memory_pages_max &&
	    (uint64_t)from_page * FWP_PAGE_SIZE == fwp_memory_bytes(fwp)) {
		uint64_t bytes = (uint64_t)to_page * FWP_PAGE_SIZE;
		if (fwp_slot_set_memory(&fwp->slot, bytes) == 0) {
			/* Released: a mover on another core may use the new bytes at once. */
			atomic_store_explicit(&fwp->memory_bytes, bytes, memory_order_release);
			result = 0;
		}
	}
	fwp_host_leave(fwp);
	return result;
}

void *fwp_arena_allocate(struct fwp *fwp, uint64_t size)
{
	void *bytes = fwp_slot_arena(&fwp->slot, &fwp->arena_used, size);
	if (bytes == NULL)
		refuse(fwp, "the tables are beyond the limit of 16 MiB");
	return bytes;
}

static void *host_allocate(uint64_t size)
{
	struct fwp *fwp = running();
	fwp_host_enter(fwp);
	void *result = fwp_arena_allocate(fwp, size);
	fwp_host_leave(fwp);
	return result;
}

static void host_note(uint32_t kind, void *object)
{
	struct fwp *fwp = running();
	if (!fwp->is_initialising)
		return;
	struct fwp_notes *notes = fwp->notes;
	if (notes->count == FWP_TEMPLATE_TABLES_MAX) {
		notes->is_full = true;
		return;
	}
	notes->notes[notes->count].kind = kind;
	notes->notes[notes->count++].object = object;
}

const struct image_host_ops fwp_host_ops = {
	.trap = host_trap,
	.memory_reserve = host_memory_reserve,
	.memory_extend = host_memory_extend,
	.allocate = host_allocate,
	.note = host_note,
};
