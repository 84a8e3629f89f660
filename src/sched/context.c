/*
 * The switch of stacks. The registers are saved in arch/<cpu>/switch.S; this file tells the
 * sanitizers, which otherwise take the new stack for an overflow of the old one.
 *
 * ASan wants each switch announced on the stack that is left (with the bounds of the next one) and
 * confirmed on the stack that is entered; confirming also tells the bounds of the stack that was
 * left, which is how a thread's own stack is learnt. TSan has fibers of its own.
 * Without a sanitizer all of that is empty and sched_switch() is the bare switch.
 */
#include "sched/context.h"

#include "base/assert.h"
#include "sched/sanitizer.h"
#include "sched/switch_priv.h"

#if SCHED_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

/* Who announced the switch that is going on. */
static _Thread_local struct sched_context *switching_from;

static void announce(struct sched_context *from, void **fake_stack, const struct sched_context *to)
{
	switching_from = from;
	__sanitizer_start_switch_fiber(fake_stack, to->stack_low, to->stack_size);
}

static void confirm(void *fake_stack)
{
	const void *low;
	size_t size;
	__sanitizer_finish_switch_fiber(fake_stack, &low, &size);
	if (switching_from->stack_low == NULL) {
		switching_from->stack_low = low;
		switching_from->stack_size = size;
	}
}
#elif SCHED_TSAN
#include <sanitizer/tsan_interface.h>

/* Inline, as TSan notes calls and returns on the shadow stack of the fiber that is the present one.
 */
static inline __attribute__((always_inline)) void
announce(struct sched_context *from, void **fake_stack, const struct sched_context *to)
{
	(void)from;
	(void)fake_stack;
	__tsan_switch_to_fiber(to->sanitizer, 0);
}

static void confirm(void *fake_stack)
{
	(void)fake_stack;
}
#else
static inline void announce(struct sched_context *from, void **fake_stack,
			    const struct sched_context *to)
{
	(void)from;
	(void)fake_stack;
	(void)to;
}

static inline void confirm(void *fake_stack)
{
	(void)fake_stack;
}
#endif

void sched_context_init_thread(struct sched_context *context)
{
	*context = (struct sched_context){0};
#if SCHED_TSAN
	context->sanitizer = __tsan_get_current_fiber();
#endif
}

void sched_context_init(struct sched_context *context, void *stack_low, size_t stack_size,
			void (*entry)(void *arg), void *arg)
{
	char *top = (char *)stack_low + stack_size;
	EOS_ASSERT(((uintptr_t)top & 15) == 0);
	sched_stack_forget(stack_low, stack_size);
	*context = (struct sched_context){.stack_low = stack_low, .stack_size = stack_size};
#if SCHED_TSAN
	context->sanitizer = __tsan_create_fiber(0);
#endif
	context->sp = sched_arch_prepare(top, entry, arg);
}

void sched_context_fini(struct sched_context *context)
{
#if SCHED_TSAN
	if (context->sanitizer != NULL && context->stack_low != NULL)
		__tsan_destroy_fiber(context->sanitizer);
#endif
	context->sanitizer = NULL;
}

void sched_context_main(void (*entry)(void *arg), void *arg)
{
	confirm(NULL);
	entry(arg);
	eos_assert_failed("a context's entry does not return", __FILE__, __LINE__);
}

#if SCHED_ASAN || SCHED_TSAN
void sched_switch(struct sched_context *from, struct sched_context *to)
{
	announce(from, &from->sanitizer, to);
	sched_arch_switch(&from->sp, to->sp);
	confirm(from->sanitizer);
}
#endif

void sched_switch_final(struct sched_context *from, struct sched_context *to)
{
	/* No place to save the fake stack: ASan frees it. */
	announce(from, NULL, to);
	sched_arch_leave(to->sp);
}

void sched_stack_forget(const void *stack_low, size_t stack_size)
{
#if SCHED_ASAN
	__asan_unpoison_memory_region(stack_low, stack_size);
#else
	(void)stack_low;
	(void)stack_size;
#endif
}

void sched_restart(struct sched_context *running, void (*entry)(void *arg), void *arg)
{
	const char *low = running->stack_low;
	sched_stack_forget(low, running->stack_size);
	sched_arch_restart((void *)(uintptr_t)(low + running->stack_size), entry, arg);
}
