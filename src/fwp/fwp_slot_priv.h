/*
 * The reservation of addresses in which one FWP lives; fwp_slot.c draws it. All functions: the
 * engine's thread, while no guest runs in the slot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "sched/sanitizer.h"

/* Stack that host functions may use below the guest's. Frames grow under the sanitizers. */
#if SCHED_ASAN || SCHED_TSAN
#define FWP_HOST_STACK_BYTES (256u << 10)
#else
#define FWP_HOST_STACK_BYTES (16u << 10)
#endif
#define FWP_ARENA_BYTES_MAX (16u << 20)
/* Kernel mappings that a slot may cost: five pieces of different access, and one that does not
 * merge with its neighbour. */
#define FWP_SLOT_MAPPINGS 6

struct fwp_slot {
	char *low;	      /* of the reservation; NULL: none */
	char *stack_low;      /* accessible from here … */
	char *stack_top;      /* … where the stack starts; 16-aligned */
	char *memory;	      /* start of the linear memory */
	size_t arena_open;    /* accessible bytes below MEMORY */
	uint64_t memory_open; /* accessible bytes from MEMORY */
	bool is_dirty;	      /* a guest ran in it since it was cleaned */
};

/* Reserves the addresses; INDEX colours them. -ENOMEM. */
int fwp_slot_map(struct fwp_slot *slot, unsigned index) EOS_MUST_CHECK;
void fwp_slot_unmap(struct fwp_slot *slot);
/* Makes exactly STACK_BYTES of stack (plus the host's) and MEMORY_BYTES of memory accessible, and
 * at least one page of the arena. -ENOMEM. */
int fwp_slot_prepare(struct fwp_slot *slot, uint64_t stack_bytes,
		     uint64_t memory_bytes) EOS_MUST_CHECK;
/* Makes exactly BYTES of memory accessible. -ENOMEM. */
int fwp_slot_set_memory(struct fwp_slot *slot, uint64_t bytes) EOS_MUST_CHECK;
/* Makes at least BYTES of the arena accessible. -ENOMEM. */
int fwp_slot_open_arena(struct fwp_slot *slot, size_t bytes) EOS_MUST_CHECK;
/* Everything reads as zero again. On failure the slot must not be used again. With PAGEMAP_FD >= 0
 * (fwp_pages_open()) the pages of a guest that touched few of them stay resident. */
int fwp_slot_clean(struct fwp_slot *slot, int pagemap_fd) EOS_MUST_CHECK;

/* Where an address lies; any context, also signal. */
bool fwp_slot_is_stack_guard(const struct fwp_slot *slot, uintptr_t address);
bool fwp_slot_is_memory(const struct fwp_slot *slot, uintptr_t address);
/* True for a stack pointer of code that runs in this slot, overflowed or not. */
bool fwp_slot_is_stack(const struct fwp_slot *slot, uintptr_t sp);
