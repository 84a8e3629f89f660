/*
 * Signal frames for AArch64. A copy is the kernel's struct rt_sigframe: a siginfo, which
 * rt_sigreturn does not read, and struct ucontext, which ends in a list of records (vector
 * registers and more). If they do not fit into its 4,096 bytes, the last record there, EXTRA_MAGIC,
 * points to the rest, which follows at once. Copied is up to where the list ends; the frame has the
 * kernel's full size all the same, as that is what rt_sigreturn may check.
 *
 * Below the stack pointer there is nothing to spare: AAPCS64 has no red zone, and Linux writes its
 * own signal frames there.
 */
#include "fwp/fwp_preempt_priv.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>

#define SIGINFO_BYTES	 128u
#define TERMINATOR_BYTES 16u
/* Branch type of PSTATE: what kind of branch came here; wrong for a made-up call. */
#define PSTATE_BTYPE (UINT64_C(3) << 10)

_Static_assert(sizeof(siginfo_t) == SIGINFO_BYTES, "the first half of struct rt_sigframe");
_Static_assert(offsetof(ucontext_t, uc_mcontext.__reserved) % 16 == 0, "records are aligned");

/* The record MAGIC in the 4,096 bytes, or NULL. *RET_END is where the list ends there. */
static const void *find_record(const ucontext_t *context, uint32_t magic, const char **ret_end)
{
	const char *at = (const char *)context->uc_mcontext.__reserved;
	const char *end = at + sizeof(context->uc_mcontext.__reserved);
	const void *found = NULL;
	*ret_end = end;
	while ((size_t)(end - at) >= TERMINATOR_BYTES) {
		const struct _aarch64_ctx *head = (const void *)at;
		if (head->magic == 0) {
			*ret_end = at + TERMINATOR_BYTES;
			break;
		}
		/* Not of the kernel's making. */
		if (head->size < sizeof(*head) || head->size > (size_t)(end - at))
			break;
		if (head->magic == magic)
			found = at;
		at += head->size;
	}
	return found;
}

/* Bytes from the start of CONTEXT to the end of its records. */
static size_t context_bytes(const ucontext_t *context, const struct extra_context **ret_extra)
{
	const char *end;
	const struct extra_context *extra = find_record(context, EXTRA_MAGIC, &end);
	if (extra != NULL)
		end = (const char *)(uintptr_t)extra->datap + extra->size;
	*ret_extra = extra;
	return (size_t)(end - (const char *)context);
}

static size_t frame_bytes(size_t context)
{
	size_t size = SIGINFO_BYTES + (context > sizeof(ucontext_t) ? context : sizeof(ucontext_t));
	return (size + 15) & ~(size_t)15;
}

size_t fwp_machine_frame_size(const ucontext_t *context)
{
	const struct extra_context *extra;
	/* And what it takes to align an interrupted stack pointer. */
	return frame_bytes(context_bytes(context, &extra)) + 16;
}

void *fwp_machine_frame_save(ucontext_t *context, char *sp_limit)
{
	char *sp = (char *)(uintptr_t)context->uc_mcontext.sp;
	const struct extra_context *extra;
	size_t size = context_bytes(context, &extra);
	if ((uintptr_t)sp < (uintptr_t)sp_limit ||
	    (size_t)(sp - sp_limit) < fwp_machine_frame_size(context))
		return NULL;
	sp -= frame_bytes(size);
	sp -= (uintptr_t)sp % 16;
	char *copy = sp + SIGINFO_BYTES;
	memcpy(copy, context, size);
	if (extra != NULL) {
		size_t record = (size_t)((const char *)extra - (const char *)context);
		uint64_t datap = (uintptr_t)copy + (extra->datap - (uintptr_t)context);
		memcpy(copy + record + offsetof(struct extra_context, datap), &datap,
		       sizeof(datap));
	}
	return sp;
}

void fwp_machine_frame_redirect(ucontext_t *context, void *frame, void (*function)(void *arg),
				void *arg)
{
	const char *end;
	uintptr_t fpsimd = (uintptr_t)find_record(context, FPSIMD_MAGIC, &end);
	/* Round to nearest, no traps: as at the start of a thread. */
	if (fpsimd != 0)
		((struct fpsimd_context *)fpsimd)->fpcr = 0;
	context->uc_mcontext.pc = (uintptr_t)function;
	context->uc_mcontext.sp = (uintptr_t)frame;
	context->uc_mcontext.regs[0] = (uintptr_t)arg;
	context->uc_mcontext.regs[29] = 0;
	context->uc_mcontext.regs[30] = (uintptr_t)fwp_machine_resume;
	context->uc_mcontext.pstate &= ~PSTATE_BTYPE;
}

bool fwp_machine_is_resuming(const ucontext_t *context)
{
	uintptr_t pc = (uintptr_t)context->uc_mcontext.pc;
	return pc >= (uintptr_t)fwp_machine_resume && pc < (uintptr_t)fwp_machine_resume_end;
}
