#include "fwp/fwp_machine_priv.h"

#include <elf.h>

/* Branch type of PSTATE: what kind of branch came here; wrong for a made-up call. */
#define PSTATE_BTYPE (UINT64_C(3) << 10)

const struct fwp_machine_elf fwp_machine_elf = {
	.machine = EM_AARCH64,
	.none = R_AARCH64_NONE,
	.relative = R_AARCH64_RELATIVE,
	.glob_dat = R_AARCH64_GLOB_DAT,
	.jump_slot = R_AARCH64_JUMP_SLOT,
	.absolute = R_AARCH64_ABS64,
};

uintptr_t fwp_machine_pc(const ucontext_t *context)
{
	return (uintptr_t)context->uc_mcontext.pc;
}

uintptr_t fwp_machine_sp(const ucontext_t *context)
{
	return (uintptr_t)context->uc_mcontext.sp;
}

void fwp_machine_redirect(ucontext_t *context, void (*function)(void *arg), void *arg,
			  void *stack_top)
{
	context->uc_mcontext.pc = (uintptr_t)function;
	context->uc_mcontext.sp = (uintptr_t)stack_top;
	context->uc_mcontext.regs[0] = (uintptr_t)arg;
	context->uc_mcontext.regs[29] = 0;
	context->uc_mcontext.regs[30] = 0;
	context->uc_mcontext.pstate &= ~PSTATE_BTYPE;
}

unsigned fwp_machine_registers(const ucontext_t *context,
			       struct fwp_machine_register out[FWP_MACHINE_REGISTERS_MAX])
{
	static const char *const names[31] = {
		"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",	 "x7",	"x8",  "x9",  "x10",
		"x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
		"x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30",
	};
	unsigned n = 0;
	out[n++] = (struct fwp_machine_register){"pc", context->uc_mcontext.pc};
	out[n++] = (struct fwp_machine_register){"sp", context->uc_mcontext.sp};
	for (unsigned i = 0; i < 31; i++)
		out[n++] = (struct fwp_machine_register){names[i], context->uc_mcontext.regs[i]};
	out[n++] = (struct fwp_machine_register){"pstate", context->uc_mcontext.pstate};
	out[n++] = (struct fwp_machine_register){"fault", context->uc_mcontext.fault_address};
	return n;
}
