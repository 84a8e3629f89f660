/*
 * The reservation of addresses in which one FWP lives; fwp_slot.c draws it. All functions: the
 * engine's thread, while no guest runs in the slot.
 *
 * A slot is plain (all of it is zero at first, for an FWP that makes its own instance) or bound to
 * a snapshot (what a template holds), which is then mapped into it copy-on-write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "fwp/fwp_pages_priv.h"
#include "sched/sanitizer.h"

/* Stack that host functions may use below the guest's, and the processor's state while an FWP is
 * preempted (12 KiB with AVX-512). Frames grow under the sanitizers. */
#if SCHED_ASAN || SCHED_TSAN
#define FWP_HOST_STACK_BYTES (256u << 10)
#else
#define FWP_HOST_STACK_BYTES (16u << 10)
#endif
#define FWP_PREEMPT_STACK_BYTES (20u << 10)
#define FWP_ARENA_BYTES_MAX	(16u << 20)
/* Kernels for aarch64 may have pages of 16 or 64 KiB: all boundaries are multiples of 64 KiB there,
 * at the price of a few bytes more. */
#if defined(__aarch64__)
#define FWP_SLOT_PAGE (64u << 10)
#else
#define FWP_SLOT_PAGE 4096u
#endif
/* Kernel mappings that a slot may cost, whose first guard is its neighbour's last: guard, more
 * arena, guard, stack, snapshot, grown memory. The shared page makes three of the snapshot; then
 * there is no stack. */
#define FWP_SLOT_MAPPINGS	6u
#define FWP_SLOT_MAPPINGS_PAGED 7u

/* The arena and the memory of an initialised instance, as a file. */
struct fwp_snapshot {
	int fd;
	const uint8_t *bytes;  /* the same, mapped read-only: arena, then memory */
	size_t arena_bytes;    /* whole pages */
	size_t arena_used;     /* of these, next to the memory; the rest is zero */
	uint64_t memory_bytes; /* whole WebAssembly pages */
	/* Where in the arena there are pointers: offsets from the start of BYTES, ascending. What
	 * the file holds there is the distance from the start of the linear memory; OWNER instead
	 * where it says FWP_SNAPSHOT_OWNER. */
	const uint32_t *pointers;
	size_t pointers_count;
	/* The file of the engine's shared page, borrowed, and where in the memory it stands; -1:
	 * the memory has none. */
	int page_fd;
	uint32_t page_address;
};
#define FWP_SNAPSHOT_OWNER INT64_MAX
#define FWP_SLOT_KNOWN_MAX 8u

struct fwp_slot {
	/* What each start looks at: a cache line. */
	char *stack_low;		     /* accessible from here … */
	char *stack_top;		     /* … where the stack starts; 16-aligned */
	char *memory;			     /* start of the linear memory */
	size_t arena_room;		     /* bytes below the memory that are the arena's */
	uint64_t memory_open;		     /* accessible bytes from MEMORY */
	const struct fwp_snapshot *snapshot; /* borrowed; NULL: plain */
	void *owner;			     /* what the snapshot's owner pointers become */
	uint16_t index;			     /* for the colours */
	bool is_dirty;			     /* a guest ran in it since it was cleaned */
	bool has_writers; /* others than the engine's thread may have written to it, too */

	char *low;	       /* of the reservation; NULL: none */
	char *stack_end;       /* the stack's, above its colour */
	size_t arena_open;     /* accessible bytes of the arena, next to the memory */
	size_t extension_open; /* accessible bytes of the arena's second area */

	/* Of a bound slot: its pages that hold something of their own, as they were when
	 * MEMORY_OPEN was KNOWN_OPEN and the thread had had KNOWN_FAULTS page faults
	 * (FWP_PAGES_FAULTS_UNKNOWN: they are not known). */
	uint64_t known_faults, known_open;
	unsigned known_count;
	struct fwp_pages_region known[FWP_SLOT_KNOWN_MAX];
};

/* Reserves the addresses of a plain slot; INDEX colours them. -ENOMEM. */
int fwp_slot_map(struct fwp_slot *slot, unsigned index, void *owner) EOS_MUST_CHECK;
void fwp_slot_unmap(struct fwp_slot *slot);
/* Makes a plain slot with nothing in it of any slot. -ENOMEM: it must not be used again. */
int fwp_slot_reset(struct fwp_slot *slot) EOS_MUST_CHECK;
/* Makes a slot that was reset or just mapped one that is bound to SNAPSHOT. On failure it has to be
 * reset if its snapshot is set, and is as before otherwise. -ENOMEM. */
int fwp_slot_bind(struct fwp_slot *slot, const struct fwp_snapshot *snapshot) EOS_MUST_CHECK;
/* Makes exactly STACK_BYTES of stack (plus the host's; 0: none) and MEMORY_BYTES of memory
 * accessible, and of a plain slot at least one page of the arena. -ENOMEM. */
int fwp_slot_prepare(struct fwp_slot *slot, uint64_t stack_bytes,
		     uint64_t memory_bytes) EOS_MUST_CHECK;
/* Makes exactly BYTES of memory accessible. -ENOMEM. */
int fwp_slot_set_memory(struct fwp_slot *slot, uint64_t bytes) EOS_MUST_CHECK;
/* The place for SIZE bytes of which *USED of the arena precede; adds them to *USED. NULL: no room
 * or no memory. */
void *fwp_slot_arena(struct fwp_slot *slot, uint32_t *used, size_t size);
/*
 * A bound slot is again as it was bound, but for its stack: what FWPs of one template leave there
 * none of them can read. With PAGEMAP_FD >= 0 (fwp_pages_open()) the pages of a guest that touched
 * few of them stay resident; *RET_WARM says so. FAULTS: fwp_pages_faults(), asked after the guest
 * was in the slot last; one answer will do for several slots. On failure the slot must not be used
 * again.
 */
int fwp_slot_restore(struct fwp_slot *slot, int pagemap_fd, uint64_t faults,
		     bool *ret_warm) EOS_MUST_CHECK;

/* Where an address lies; any context, also signal. */
bool fwp_slot_is_stack_guard(const struct fwp_slot *slot, uintptr_t address);
bool fwp_slot_is_memory(const struct fwp_slot *slot, uintptr_t address);
/* True for a stack pointer of code that runs in this slot, overflowed or not. */
bool fwp_slot_is_stack(const struct fwp_slot *slot, uintptr_t sp);
