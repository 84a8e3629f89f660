/*
 * A slot, from low to high addresses:
 *
 *	colour		0 to 60 × 3 pages
 *	guard		64 KiB and what the stack limit leaves of the next area
 *	stack		the guest's limit, plus FWP_HOST_STACK_BYTES; grows down
 *	guard		64 KiB and what the arena leaves of its area
 *	arena		instance and tables; grows down from the linear memory, to 16 MiB
 *	linear memory	accessible up to its present size
 *	guard		up to 8 GiB + 64 KiB from the start of the linear memory
 *
 * Invariants
 * 1. A guest's address is a 32-bit index plus a 32-bit offset plus at most 16 bytes, counted from
 *    MEMORY. So it is in the linear memory or in the guard above it, which is never accessible.
 * 2. memory_open is exact: a byte beyond the present size faults, also in a slot used before.
 * 3. Accessible bytes that no guest has written since the last cleaning are zero.
 * 4. The stack's guard is larger than any frame that is pushed without touching each page, so no
 *    overflow can step over it (guests are compiled with stack probes; host functions use less
 *    than FWP_HOST_STACK_BYTES).
 *
 * Arena and memory touch, so that a fresh slot opens both with one system call; so do the
 * unused parts of neighbouring slots, so that the kernel merges them.
 * The colours keep thousands of slots from falling into the same sets of caches and TLBs.
 */
#include "fwp/fwp_slot_priv.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "fwp/fwp.h"
#include "fwp/fwp_pages_priv.h"
#include "sched/context.h"

/* Kernels for aarch64 may have pages of 16 or 64 KiB: all boundaries are multiples of 64 KiB
 * there, at the price of a few bytes more. */
#if defined(__aarch64__)
#define PAGE (64u << 10)
#else
#define PAGE 4096u
#endif
#define GUARD_BYTES	   (64u << 10)
#define COLOURS		   61u
#define COLOUR_BYTES	   (3u * PAGE)
#define STACK_COLOURS	   32u
#define STACK_COLOUR_BYTES 192u /* three cache lines */
#define STACK_AREA_BYTES   (9u << 20)
#define MEMORY_BYTES	   (UINT64_C(8) << 30)
#define SLOT_BYTES                                                                                 \
	((COLOURS - 1) * COLOUR_BYTES + GUARD_BYTES + STACK_AREA_BYTES + GUARD_BYTES +             \
	 FWP_ARENA_BYTES_MAX + MEMORY_BYTES + GUARD_BYTES)
/* Enough for the instances of most modules. */
#define ARENA_OPEN_BYTES (4u * PAGE)
#define ARENA_STEP_BYTES (64u << 10)
/* Zeroing more pages than this costs more than giving them back and faulting them in again. */
#define WARM_PAGES_MAX 32u

_Static_assert(FWP_STACK_BYTES_MAX + FWP_HOST_STACK_BYTES + STACK_COLOURS * STACK_COLOUR_BYTES <=
		       STACK_AREA_BYTES,
	       "the largest stack fits");
_Static_assert(FWP_PAGE_SIZE % PAGE == 0, "a WebAssembly page is whole pages");

static int set_access(char *low, uint64_t bytes, int prot)
{
	if (bytes > 0 && mprotect(low, bytes, prot) < 0)
		return -errno;
	return 0;
}

/* The end of the stack's area; its first page is shared with the stack's colour. */
static char *stack_end(const struct fwp_slot *slot)
{
	return slot->memory - FWP_ARENA_BYTES_MAX - GUARD_BYTES;
}

int fwp_slot_map(struct fwp_slot *slot, unsigned index)
{
	char *low = mmap(NULL, SLOT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
	if (low == MAP_FAILED)
		return -errno;
	/* A small instance must not cost a huge page. Kernels without them answer EINVAL. */
	(void)madvise(low, SLOT_BYTES, MADV_NOHUGEPAGE);
	char *memory = low + (index % COLOURS) * COLOUR_BYTES + GUARD_BYTES + STACK_AREA_BYTES +
		       GUARD_BYTES + FWP_ARENA_BYTES_MAX;
	*slot = (struct fwp_slot){.low = low, .memory = memory};
	slot->stack_low = stack_end(slot);
	slot->stack_top = stack_end(slot) - (index % STACK_COLOURS) * STACK_COLOUR_BYTES;
	return 0;
}

void fwp_slot_unmap(struct fwp_slot *slot)
{
	if (slot->low == NULL)
		return;
	sched_stack_forget(slot->stack_low, (size_t)(stack_end(slot) - slot->stack_low));
	(void)munmap(slot->low, SLOT_BYTES);
	slot->low = NULL;
}

static int set_stack(struct fwp_slot *slot, uint64_t bytes)
{
	uint64_t want = EOS_ALIGN_UP(
		bytes + FWP_HOST_STACK_BYTES + STACK_COLOURS * STACK_COLOUR_BYTES, (uint64_t)PAGE);
	char *low = stack_end(slot) - want;
	int err = 0;
	if (low < slot->stack_low)
		err = set_access(low, (uint64_t)(slot->stack_low - low), PROT_READ | PROT_WRITE);
	else if (low > slot->stack_low)
		err = set_access(slot->stack_low, (uint64_t)(low - slot->stack_low), PROT_NONE);
	if (err == 0)
		slot->stack_low = low;
	return err;
}

int fwp_slot_set_memory(struct fwp_slot *slot, uint64_t bytes)
{
	EOS_ASSERT(bytes <= (uint64_t)FWP_MEMORY_PAGES_MAX * FWP_PAGE_SIZE);
	uint64_t open = slot->memory_open;
	int err = 0;
	if (bytes > open)
		err = set_access(slot->memory + open, bytes - open, PROT_READ | PROT_WRITE);
	else if (bytes < open)
		err = set_access(slot->memory + bytes, open - bytes, PROT_NONE);
	if (err == 0)
		slot->memory_open = bytes;
	return err;
}

int fwp_slot_open_arena(struct fwp_slot *slot, size_t bytes)
{
	EOS_ASSERT(bytes <= FWP_ARENA_BYTES_MAX);
	if (bytes <= slot->arena_open)
		return 0;
	size_t open = EOS_ALIGN_UP(bytes, (size_t)ARENA_STEP_BYTES);
	int err = set_access(slot->memory - open, open - slot->arena_open, PROT_READ | PROT_WRITE);
	if (err == 0)
		slot->arena_open = open;
	return err;
}

int fwp_slot_prepare(struct fwp_slot *slot, uint64_t stack_bytes, uint64_t memory_bytes)
{
	int err = set_stack(slot, stack_bytes);
	if (err < 0)
		return err;
	if (slot->arena_open > 0)
		return fwp_slot_set_memory(slot, memory_bytes);
	err = set_access(slot->memory - ARENA_OPEN_BYTES, ARENA_OPEN_BYTES + memory_bytes,
			 PROT_READ | PROT_WRITE);
	if (err == 0) {
		slot->arena_open = ARENA_OPEN_BYTES;
		slot->memory_open = memory_bytes;
	}
	return err;
}

int fwp_slot_clean(struct fwp_slot *slot, int pagemap_fd)
{
	if (!slot->is_dirty)
		return 0;
	/* One call for stack, arena and memory; what was not touched costs nothing. */
	char *end = slot->memory + slot->memory_open;
	if (pagemap_fd >= 0) {
		sched_stack_forget(slot->stack_low, (size_t)(stack_end(slot) - slot->stack_low));
		if (fwp_pages_zero(pagemap_fd, slot->stack_low, end, WARM_PAGES_MAX) == 0) {
			slot->is_dirty = false;
			return 0;
		}
	}
	if (madvise(slot->stack_low, (size_t)(end - slot->stack_low), MADV_DONTNEED) < 0)
		return -errno;
	slot->is_dirty = false;
	return 0;
}

bool fwp_slot_is_stack_guard(const struct fwp_slot *slot, uintptr_t address)
{
	return address >= (uintptr_t)slot->low && address < (uintptr_t)slot->stack_low;
}

bool fwp_slot_is_memory(const struct fwp_slot *slot, uintptr_t address)
{
	return address >= (uintptr_t)slot->memory && address < (uintptr_t)slot->low + SLOT_BYTES;
}

bool fwp_slot_is_stack(const struct fwp_slot *slot, uintptr_t sp)
{
	return sp >= (uintptr_t)slot->low && sp <= (uintptr_t)slot->stack_top;
}
