/*
 * Context switch for AArch64, AAPCS64.
 *
 * A saved stack, from its stack pointer upwards:
 *
 *	  0  x19 to x28
 *	 80  x29 (frame pointer), x30 (where to continue)
 *	 96  d8 to d15
 *	160  fpcr, 8 bytes unused
 *
 * Everything else is the caller's to save, of the vector registers also what is above 64 bits.
 * Linux leaves x18 to programs, and compilers take it for one that calls destroy. Signed return
 * addresses (PAC) are signed with the stack pointer of the function that saved them, to which it
 * comes back.
 *
 * The end is an indirect branch, not `ret`: the return predictor holds the call stack of the
 * context that we leave. It does not come to a landing pad (BTI), so this file does not carry the
 * mark that it does: a linker then makes no program that insists on them.
 */
	.text

/* void sched_arch_switch(void **save_sp, void *load_sp) */
	.globl	sched_arch_switch
	.hidden	sched_arch_switch
	.type	sched_arch_switch, %function
	.p2align 4
sched_arch_switch:
	.cfi_startproc
	sub	sp, sp, #176
	.cfi_def_cfa_offset 176
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x9, fpcr
	str	x9, [sp, #160]
	.cfi_rel_offset x19, 0
	.cfi_rel_offset x20, 8
	.cfi_rel_offset x21, 16
	.cfi_rel_offset x22, 24
	.cfi_rel_offset x23, 32
	.cfi_rel_offset x24, 40
	.cfi_rel_offset x25, 48
	.cfi_rel_offset x26, 56
	.cfi_rel_offset x27, 64
	.cfi_rel_offset x28, 72
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	mov	x9, sp
	str	x9, [x0]
	mov	x0, x1
	b	sched_arch_leave
	.cfi_endproc
	.size	sched_arch_switch, . - sched_arch_switch

/* void sched_arch_leave(void *load_sp), which never comes back */
	.globl	sched_arch_leave
	.hidden	sched_arch_leave
	.type	sched_arch_leave, %function
	.p2align 4
sched_arch_leave:
	.cfi_startproc
	.cfi_undefined x30
	mov	sp, x0
	ldr	x9, [sp, #160]
	msr	fpcr, x9
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #176
	mov	x16, x30
	br	x16
	.cfi_endproc
	.size	sched_arch_leave, . - sched_arch_leave

/* void sched_arch_call_on(void (*fn)(void *, void *), void *a, void *b, void *stack_top) */
	.globl	sched_arch_call_on
	.hidden	sched_arch_call_on
	.type	sched_arch_call_on, %function
	.p2align 4
sched_arch_call_on:
	.cfi_startproc
	stp	x29, x30, [sp, #-16]!
	.cfi_def_cfa_offset 16
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	.cfi_def_cfa_register x29
	mov	sp, x3
	mov	x9, x0
	mov	x0, x1
	mov	x1, x2
	blr	x9
	mov	sp, x29
	.cfi_def_cfa_register sp
	ldp	x29, x30, [sp], #16
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	sched_arch_call_on, . - sched_arch_call_on

/* A new context starts here: x19 is its entry, x20 the argument. */
	.globl	sched_arch_start
	.hidden	sched_arch_start
	.type	sched_arch_start, %function
	.p2align 4
sched_arch_start:
	.cfi_startproc
	.cfi_undefined x30
	mov	x0, x19
	mov	x1, x20
	bl	sched_context_main
	brk	#1
	.cfi_endproc
	.size	sched_arch_start, . - sched_arch_start

/* void sched_arch_restart(void *stack_top, void (*entry)(void *), void *arg) */
	.globl	sched_arch_restart
	.hidden	sched_arch_restart
	.type	sched_arch_restart, %function
	.p2align 4
sched_arch_restart:
	.cfi_startproc
	.cfi_undefined x30
	mov	sp, x0
	mov	x0, x2
	mov	x29, xzr
	blr	x1
	brk	#1
	.cfi_endproc
	.size	sched_arch_restart, . - sched_arch_restart

	.section .note.GNU-stack, "", %progbits
