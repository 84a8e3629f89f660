/*
 * Preemption of guest code from a signal handler: the interrupted registers, all of them, are set
 * aside on the FWP's own stack, something else runs there in the meantime, and rt_sigreturn takes
 * the registers back. arch/<cpu>/preempt.c and preempt.S.
 *
 *	handler:  size = fwp_machine_frame_size(context)       (does the stack have the room?)
 *		  frame = fwp_machine_frame_save(context, sp_limit)
 *		  fwp_machine_frame_redirect(context, frame, function, arg); return
 *	stack:	  function(arg), which may switch to another context and come back
 *		  fwp_machine_resume: rt_sigreturn with FRAME; the guest goes on
 *
 * A frame is the kernel's signal frame of this processor, so it is resumed by the thread that was
 * interrupted: its signal mask and its alternate stack are in there, too. Not for threads with a
 * shadow stack (CET, GCS), which Linux gives only to those that ask.
 *
 * All functions: signal context, on another stack than the interrupted one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <ucontext.h>

/* How much room fwp_machine_frame_save() wants below the interrupted stack pointer, in bytes: a
 * multiple of 16. CONTEXT is what the kernel gave to the handler, not a copy. */
size_t fwp_machine_frame_size(const ucontext_t *context);
/*
 * Copies the frame of CONTEXT, which the kernel gave to the handler, below the stack pointer of the
 * code that it interrupted (and below what that code may keep there). Returns the copy's address,
 * below which the stack is free, or NULL if there is not that much room above SP_LIMIT; then
 * nothing is written.
 */
void *fwp_machine_frame_save(ucontext_t *context, char *sp_limit);
/*
 * Lets the signal return into FUNCTION(ARG), on the stack below FRAME, as a C function expects to
 * be entered (the floating-point control registers have their defaults); when it returns, the code
 * whose registers are in FRAME goes on. CONTEXT is the one that was saved in FRAME; FRAME's signal
 * mask and alternate stack are in force until then.
 */
void fwp_machine_frame_redirect(ucontext_t *context, void *frame, void (*function)(void *arg),
				void *arg);
/* FUNCTION has returned, and its frame is about to be taken back: the program counter is in the
 * code that does so, the stack pointer at the frame. */
bool fwp_machine_is_resuming(const ucontext_t *context);

/* The code that does so; only the addresses are used. */
void fwp_machine_resume(void);
extern const char fwp_machine_resume_end[];
