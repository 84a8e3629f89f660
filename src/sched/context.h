/*
 * Execution contexts: a stack and the registers a C call preserves. Switching takes a few
 * nanoseconds and no system call; the code is in arch/<cpu>/switch.S.
 *
 * The sanitizers are told of each switch, so ASan and TSan builds follow the stacks.
 * All functions: the thread that owns both contexts.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sched/sanitizer.h"

struct sched_context {
	void *sp;	       /* saved stack pointer; meaningless while running */
	const void *stack_low; /* lowest usable address; NULL for a thread's own stack */
	size_t stack_size;
	void *sanitizer; /* fake stack (ASan) or fiber (TSan); NULL otherwise */
};

/* The context of the calling thread itself, filled at the first switch away from it. */
void sched_context_init_thread(struct sched_context *context);

/*
 * A context that will call ENTRY(ARG) on the given stack at the first switch to it. ENTRY must
 * not return: it ends with sched_switch_final(). STACK_LOW + SIZE is 16-aligned.
 */
void sched_context_init(struct sched_context *context, void *stack_low, size_t stack_size,
			void (*entry)(void *arg), void *arg);
/* Frees what the sanitizers keep. The context is not running. */
void sched_context_fini(struct sched_context *context);

/* Pushes the preserved registers, stores the stack pointer in *SAVE_SP and continues LOAD_SP. In
 * arch/<cpu>/switch.S; for sched_switch() only. */
void sched_arch_switch(void **save_sp, void *load_sp);

/* Calls FN(A, B) with the stack pointer at STACK_TOP (16-aligned). In arch/<cpu>/switch.S; for
 * sched_call_on() only. */
void sched_arch_call_on(void (*fn)(void *a, void *b), void *a, void *b, void *stack_top);

/*
 * Calls FN(A, B) on the stack of SUSPENDED, below what it keeps there, and returns when FN does.
 * For work that any of many contexts has to do: their own stacks, of which each would need other
 * cache lines, stay short. FN does not switch.
 */
static inline void sched_call_on(const struct sched_context *suspended,
				 void (*fn)(void *a, void *b), void *a, void *b)
{
#if SCHED_ASAN || SCHED_TSAN
	/* They would take it for an overflow. */
	(void)suspended;
	fn(a, b);
#else
	sched_arch_call_on(fn, a, b, (void *)((uintptr_t)suspended->sp & ~(uintptr_t)15));
#endif
}

/* Saves the running context in FROM and continues TO. Returns when somebody switches to FROM. */
#if SCHED_ASAN || SCHED_TSAN
void sched_switch(struct sched_context *from, struct sched_context *to);
#else
/* Inline, as each function that returns on a stack which was just switched to costs a wrong
 * prediction: the processor's own stack of return addresses is that of the other context. */
static inline void sched_switch(struct sched_context *from, struct sched_context *to)
{
	sched_arch_switch(&from->sp, to->sp);
}
#endif
/* The same for a FROM that will never continue. */
void sched_switch_final(struct sched_context *from, struct sched_context *to)
	__attribute__((noreturn));

/*
 * Abandons all frames of RUNNING, the context that runs now, and calls ENTRY(ARG) at the top of its
 * stack. ENTRY must not return. Needs no more stack than a call.
 */
void sched_restart(struct sched_context *running, void (*entry)(void *arg), void *arg)
	__attribute__((noreturn));
/* Tells the sanitizers that no frame on this stack is alive. Any context, also signal. */
void sched_stack_forget(const void *stack_low, size_t stack_size);
