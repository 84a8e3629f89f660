#include "fwp/fwp_machine_priv.h"

#include <elf.h>
#include <string.h>

#include "base/macros.h"

/* Flags that a function may not be entered with: trap, direction, alignment check. */
#define FLAGS_CLEARED ((1 << 8) | (1 << 10) | (1 << 18))

const struct fwp_machine_elf fwp_machine_elf = {
	.machine = EM_X86_64,
	.none = R_X86_64_NONE,
	.relative = R_X86_64_RELATIVE,
	.glob_dat = R_X86_64_GLOB_DAT,
	.jump_slot = R_X86_64_JUMP_SLOT,
	.absolute = R_X86_64_64,
};

uintptr_t fwp_machine_pc(const ucontext_t *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
}

uintptr_t fwp_machine_sp(const ucontext_t *context)
{
	return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
}

void fwp_machine_redirect(ucontext_t *context, void (*function)(void *arg), void *arg,
			  void *stack_top)
{
	/* A function is entered with its return address on the stack; this one has none. */
	char *sp = (char *)stack_top - 8;
	memset(sp, 0, 8);
	greg_t *registers = context->uc_mcontext.gregs;
	registers[REG_RIP] = (greg_t)(uintptr_t)function;
	registers[REG_RDI] = (greg_t)(uintptr_t)arg;
	registers[REG_RSP] = (greg_t)(uintptr_t)sp;
	registers[REG_RBP] = 0;
	registers[REG_EFL] &= ~(greg_t)FLAGS_CLEARED;
}

unsigned fwp_machine_registers(const ucontext_t *context,
			       struct fwp_machine_register out[FWP_MACHINE_REGISTERS_MAX])
{
	static const struct {
		const char *name;
		int index;
	} names[] = {
		{"rip", REG_RIP}, {"rsp", REG_RSP}, {"rbp", REG_RBP}, {"rax", REG_RAX},
		{"rbx", REG_RBX}, {"rcx", REG_RCX}, {"rdx", REG_RDX}, {"rsi", REG_RSI},
		{"rdi", REG_RDI}, {"r8", REG_R8},   {"r9", REG_R9},   {"r10", REG_R10},
		{"r11", REG_R11}, {"r12", REG_R12}, {"r13", REG_R13}, {"r14", REG_R14},
		{"r15", REG_R15}, {"efl", REG_EFL}, {"err", REG_ERR}, {"trapno", REG_TRAPNO},
		{"cr2", REG_CR2},
	};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(names); i++)
		out[i] = (struct fwp_machine_register){
			names[i].name, (uint64_t)context->uc_mcontext.gregs[names[i].index]};
	return EOS_ARRAY_SIZE(names);
}
