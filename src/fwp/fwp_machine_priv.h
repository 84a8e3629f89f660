/*
 * What differs between processors: relocation types, and the registers in a signal's context.
 * arch/<cpu>/machine.c.
 */
#pragma once

#include <stdint.h>
#include <ucontext.h>

struct fwp_machine_elf {
	uint16_t machine; /* e_machine */
	uint32_t none, relative, glob_dat, jump_slot, absolute;
};
extern const struct fwp_machine_elf fwp_machine_elf;

struct fwp_machine_register {
	const char *name;
	uint64_t value;
};
#define FWP_MACHINE_REGISTERS_MAX 40

/* All four: any context, also signal. */
uintptr_t fwp_machine_pc(const ucontext_t *context);
uintptr_t fwp_machine_sp(const ucontext_t *context);
/* Lets the signal return into FUNCTION(ARG) on the stack that ends at STACK_TOP, 16-aligned. */
void fwp_machine_redirect(ucontext_t *context, void (*function)(void *arg), void *arg,
			  void *stack_top);
/* Names and values for the crash report; returns how many. */
unsigned fwp_machine_registers(const ucontext_t *context,
			       struct fwp_machine_register out[FWP_MACHINE_REGISTERS_MAX]);
