#include "sched/switch_priv.h"

#include <stdint.h>
#include <string.h>

/* The layout that switch.S describes. fpcr 0: round to nearest, no traps. */
struct frame {
	uint64_t x19_to_x28[10];
	uint64_t x29, x30;
	uint64_t d8_to_d15[8];
	uint64_t fpcr, unused;
};
_Static_assert(sizeof(struct frame) == 176, "as in switch.S");

void *sched_arch_prepare(void *stack_top, void (*entry)(void *arg), void *arg)
{
	char *sp = (char *)stack_top - sizeof(struct frame);
	struct frame frame = {
		.x19_to_x28 = {(uint64_t)(uintptr_t)entry, (uint64_t)(uintptr_t)arg},
		.x30 = (uint64_t)(uintptr_t)sched_arch_start,
	};
	memcpy(sp, &frame, sizeof(frame));
	return sp;
}
