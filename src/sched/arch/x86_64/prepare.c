#include "sched/switch_priv.h"

#include <stdint.h>
#include <string.h>

#define MXCSR_DEFAULT 0x1f80u /* all exceptions masked, round to nearest */
#define X87_DEFAULT   0x037fu /* the same, 64-bit mantissa */

/* The layout that switch.S describes. */
struct frame {
	uint32_t mxcsr;
	uint16_t x87;
	uint16_t unused;
	uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};
_Static_assert(sizeof(struct frame) == 64, "as in switch.S");

void *sched_arch_prepare(void *stack_top, void (*entry)(void *arg), void *arg)
{
	/* The frame is popped whole, so the stack is at STACK_TOP when sched_arch_start() calls. */
	char *sp = (char *)stack_top - sizeof(struct frame);
	struct frame frame = {
		.mxcsr = MXCSR_DEFAULT,
		.x87 = X87_DEFAULT,
		.r12 = (uint64_t)(uintptr_t)entry,
		.r13 = (uint64_t)(uintptr_t)arg,
		.rip = (uint64_t)(uintptr_t)sched_arch_start,
	};
	memcpy(sp, &frame, sizeof(frame));
	return sp;
}
