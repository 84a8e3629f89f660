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
	if (address > fwp->memory_bytes || len > fwp->memory_bytes - address)
		return NULL;
	return fwp->slot.memory + address;
}

void fwp_host_enter(struct fwp *fwp)
{
	/* Before the flag: should even this call find no stack, it is still the guest's fault. */
	const char *sp = __builtin_frame_address(0);
	if (EOS_UNLIKELY((size_t)(sp - fwp->slot.stack_low) < FWP_HOST_STACK_BYTES))
		fwp_trap(fwp, IMAGE_TRAP_STACK_OVERFLOW);
	atomic_store_explicit(&fwp->in_host, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
}

void fwp_host_leave(struct fwp *fwp)
{
	/* The flag first: a timer that comes before it leaves a note, one that comes after it ends
	 * the guest by itself. */
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&fwp->in_host, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (EOS_UNLIKELY(atomic_load_explicit(&fwp->is_expired, memory_order_relaxed)))
		fwp_die(fwp, (struct fwp_death){.kind = FWP_DEATH_TIMEOUT, .text = "timed out"});
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
	fwp_trap(running(), reason);
}

static uint8_t *host_memory_reserve(uint32_t initial_pages, uint32_t *max_pages)
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
	fwp->memory_bytes = bytes;
	/* In the guest's own data; a bad pointer is a fault of the image and taken as such. */
	uint8_t *memory = (uint8_t *)fwp->slot.memory;
	uint32_t max = fwp->memory_pages_max;
	fwp_host_leave(fwp);
	if (*max_pages > max)
		*max_pages = max;
	return memory;
}

static int host_memory_extend(uint32_t from_page, uint32_t to_page)
{
	struct fwp *fwp = running();
	fwp_host_enter(fwp);
	int result = -1;
	if (fwp->has_memory && from_page <= to_page && to_page <= fwp->memory_pages_max &&
	    (uint64_t)from_page * FWP_PAGE_SIZE == fwp->memory_bytes) {
		uint64_t bytes = (uint64_t)to_page * FWP_PAGE_SIZE;
		if (fwp_slot_set_memory(&fwp->slot, bytes) == 0) {
			fwp->memory_bytes = bytes;
			result = 0;
		}
	}
	fwp_host_leave(fwp);
	return result;
}

void *fwp_arena_allocate(struct fwp *fwp, uint64_t size)
{
	uint64_t left = FWP_ARENA_BYTES_MAX - fwp->arena_used;
	if (size > left || EOS_ALIGN_UP(size, UINT64_C(16)) > left)
		refuse(fwp, "the tables are beyond the limit of 16 MiB");
	size_t used = fwp->arena_used + EOS_ALIGN_UP((size_t)size, (size_t)16);
	if (fwp_slot_open_arena(&fwp->slot, used) < 0)
		refuse(fwp, "the host has no memory left");
	fwp->arena_used = used;
	return fwp->slot.memory - used;
}

static void *host_allocate(uint64_t size)
{
	struct fwp *fwp = running();
	fwp_host_enter(fwp);
	void *result = fwp_arena_allocate(fwp, size);
	fwp_host_leave(fwp);
	return result;
}

const struct image_host_ops fwp_host_ops = {
	.trap = host_trap,
	.memory_reserve = host_memory_reserve,
	.memory_extend = host_memory_extend,
	.allocate = host_allocate,
};
