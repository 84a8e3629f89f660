/*
 * What arch/<cpu>/ provides to context.c beside sched_arch_switch() (context.h): the first frame of
 * a new stack, and ways out of one.
 */
#pragma once

/* Continues LOAD_SP and saves nothing. */
void sched_arch_leave(void *load_sp) __attribute__((noreturn));
/* Where a new context starts; only its address is used. */
void sched_arch_start(void);
/* Calls ENTRY(ARG) with the stack pointer at STACK_TOP (16-aligned); nothing is saved. */
void sched_arch_restart(void *stack_top, void (*entry)(void *arg), void *arg)
	__attribute__((noreturn));
/* Writes the frame with which sched_arch_start() calls sched_context_main(ENTRY, ARG). The
 * floating-point control registers have their defaults. Returns the stack pointer to continue. */
void *sched_arch_prepare(void *stack_top, void (*entry)(void *arg), void *arg);

/* The first C function on a new stack; called by sched_arch_start() only. */
void sched_context_main(void (*entry)(void *arg), void *arg) __attribute__((noreturn));
