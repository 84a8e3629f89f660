/*
 * Signal frames for x86-64. From its address upwards, a copy is
 *
 *	struct ucontext as the kernel knows it, which is shorter than the C library's: the C
 *	library's goes on with fields that the kernel does not fill
 *	unused bytes up to a multiple of 64
 *	the floating-point state, FXSAVE or XSAVE: uc_mcontext.fpregs points there
 *
 * and above it is the red zone of the interrupted code. The kernel also puts a siginfo into its
 * frames, but rt_sigreturn does not read it.
 */
#include "fwp/fwp_preempt_priv.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>

#define RED_ZONE_BYTES 128u
#define CONTEXT_BYTES  304u /* the kernel's struct ucontext, up to its mask of 64 signals */
#define FXSAVE_BYTES   512u
#define XSAVE_ALIGN    64u
#define SW_BYTES_AT    464u /* struct _fpx_sw_bytes, in what FXSAVE leaves to software */
#define XSTATE_BV_AT   FXSAVE_BYTES
#define XSAVE_MIN      (FXSAVE_BYTES + 64u)

/* Components of XSAVE that a C function finds in their initial state: x87, SSE, AVX, and the three
 * of AVX-512. Others, such as protection keys (9), stay as they are. */
#define XSTATE_VECTORS UINT64_C(0xe7)
#define X87_DEFAULT    0x37fu
#define MXCSR_DEFAULT  0x1f80u
/* Flags that a function may not be entered with: trap, direction, alignment check. */
#define FLAGS_CLEARED ((1 << 8) | (1 << 10) | (1 << 18))

_Static_assert(CONTEXT_BYTES == offsetof(ucontext_t, uc_sigmask) + sizeof(uint64_t),
	       "the kernel's struct ucontext");

/* The size of the XSAVE area at FPSTATE, with the number that ends it; 0 if it is FXSAVE only. */
static size_t xsave_bytes(const struct _libc_fpstate *fpstate)
{
	struct _fpx_sw_bytes sw;
	memcpy(&sw, (const char *)fpstate + SW_BYTES_AT, sizeof(sw));
	bool is_extended = sw.magic1 == FP_XSTATE_MAGIC1 && sw.extended_size >= XSAVE_MIN;
	return is_extended ? sw.extended_size : 0;
}

static size_t fpstate_bytes(const struct _libc_fpstate *fpstate)
{
	size_t extended = xsave_bytes(fpstate);
	return extended != 0 ? extended : FXSAVE_BYTES;
}

size_t fwp_machine_frame_size(const ucontext_t *context)
{
	size_t size = RED_ZONE_BYTES + CONTEXT_BYTES + 15;
	if (context->uc_mcontext.fpregs != NULL)
		size += fpstate_bytes(context->uc_mcontext.fpregs) + XSAVE_ALIGN - 1;
	return (size + 15) & ~(size_t)15;
}

void *fwp_machine_frame_save(ucontext_t *context, char *sp_limit)
{
	char *sp = (char *)(uintptr_t)context->uc_mcontext.gregs[REG_RSP];
	const struct _libc_fpstate *fpstate = context->uc_mcontext.fpregs;
	if ((uintptr_t)sp < (uintptr_t)sp_limit ||
	    (size_t)(sp - sp_limit) < fwp_machine_frame_size(context))
		return NULL;
	sp -= RED_ZONE_BYTES;
	if (fpstate != NULL) {
		size_t size = fpstate_bytes(fpstate);
		sp -= size;
		sp -= (uintptr_t)sp % XSAVE_ALIGN;
		memcpy(sp, fpstate, size);
	}
	const char *copied = fpstate != NULL ? sp : NULL;
	sp -= CONTEXT_BYTES;
	sp -= (uintptr_t)sp % 16;
	memcpy(sp, context, CONTEXT_BYTES);
	memcpy(sp + offsetof(ucontext_t, uc_mcontext.fpregs), &copied, sizeof(copied));
	return sp;
}

/* The psABI's state at the entry of a function: the x87 stack empty, the control words as they
 * are at the start of a thread, and no upper halves that make each SSE instruction slow. */
static void reset_fpstate(struct _libc_fpstate *fpstate)
{
	fpstate->cwd = X87_DEFAULT;
	fpstate->swd = 0;
	fpstate->ftw = 0;
	fpstate->mxcsr = MXCSR_DEFAULT;
	if (xsave_bytes(fpstate) != 0) {
		uint64_t present;
		memcpy(&present, (char *)fpstate + XSTATE_BV_AT, sizeof(present));
		present &= ~XSTATE_VECTORS;
		memcpy((char *)fpstate + XSTATE_BV_AT, &present, sizeof(present));
	}
}

void fwp_machine_frame_redirect(ucontext_t *context, void *frame, void (*function)(void *arg),
				void *arg)
{
	/* Where FUNCTION returns to; its return leaves the stack pointer at FRAME. */
	uintptr_t resume = (uintptr_t)fwp_machine_resume;
	char *sp = (char *)frame - sizeof(resume);
	memcpy(sp, &resume, sizeof(resume));
	greg_t *registers = context->uc_mcontext.gregs;
	registers[REG_RIP] = (greg_t)(uintptr_t)function;
	registers[REG_RDI] = (greg_t)(uintptr_t)arg;
	registers[REG_RSP] = (greg_t)(uintptr_t)sp;
	registers[REG_RBP] = 0;
	registers[REG_EFL] &= ~(greg_t)FLAGS_CLEARED;
	if (context->uc_mcontext.fpregs != NULL)
		reset_fpstate(context->uc_mcontext.fpregs);
}

bool fwp_machine_is_resuming(const ucontext_t *context)
{
	uintptr_t pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
	return pc >= (uintptr_t)fwp_machine_resume && pc < (uintptr_t)fwp_machine_resume_end;
}
