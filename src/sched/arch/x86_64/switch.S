/*
 * Context switch for x86-64, System V ABI.
 *
 * A saved stack, from its stack pointer upwards:
 *
 *	 0  mxcsr (4 bytes), x87 control word (2), unused (2)
 *	 8  r15, r14, r13, r12, rbx, rbp
 *	56  where to continue
 *
 * Everything else is the caller's to save. The end is a jump, not `ret`: the return predictor
 * holds the call stack of the context that we leave and would be wrong each time.
 * The CFI stays true across the change of the stack pointer, as both stacks have this layout.
 */
	.text

/* void sched_arch_switch(void **save_sp, void *load_sp) */
	.globl	sched_arch_switch
	.hidden	sched_arch_switch
	.type	sched_arch_switch, @function
	.p2align 4
sched_arch_switch:
	.cfi_startproc
	push	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	push	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	push	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	push	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	push	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	push	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	mov	(%rsp), %eax
	movzwl	4(%rsp), %edx
	mov	%rsp, (%rdi)
	mov	%rsi, %rsp
	cmp	(%rsp), %eax
	jne	3f
1:	cmp	4(%rsp), %dx
	jne	4f
2:	mov	8(%rsp), %r15
	mov	16(%rsp), %r14
	mov	24(%rsp), %r13
	mov	32(%rsp), %r12
	mov	40(%rsp), %rbx
	mov	48(%rsp), %rbp
	mov	56(%rsp), %rcx
	.cfi_remember_state
	.cfi_restore %r15
	.cfi_restore %r14
	.cfi_restore %r13
	.cfi_restore %r12
	.cfi_restore %rbx
	.cfi_restore %rbp
	.cfi_register %rip, %rcx
	add	$64, %rsp
	.cfi_def_cfa %rsp, 0
	jmp	*%rcx
	/* The control words are almost always the same, and loading them costs more than all the rest. */
	.cfi_restore_state
3:	ldmxcsr	(%rsp)
	jmp	1b
4:	fldcw	4(%rsp)
	jmp	2b
	.cfi_endproc
	.size	sched_arch_switch, . - sched_arch_switch

/* void sched_arch_leave(void *load_sp), which never comes back */
	.globl	sched_arch_leave
	.hidden	sched_arch_leave
	.type	sched_arch_leave, @function
	.p2align 4
sched_arch_leave:
	.cfi_startproc
	.cfi_undefined %rip
	mov	%rdi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	mov	8(%rsp), %r15
	mov	16(%rsp), %r14
	mov	24(%rsp), %r13
	mov	32(%rsp), %r12
	mov	40(%rsp), %rbx
	mov	48(%rsp), %rbp
	mov	56(%rsp), %rcx
	add	$64, %rsp
	jmp	*%rcx
	.cfi_endproc
	.size	sched_arch_leave, . - sched_arch_leave

/* void sched_arch_call_on(void (*fn)(void *, void *), void *a, void *b, void *stack_top) */
	.globl	sched_arch_call_on
	.hidden	sched_arch_call_on
	.type	sched_arch_call_on, @function
	.p2align 4
sched_arch_call_on:
	.cfi_startproc
	push	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	mov	%rcx, %rsp
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	call	*%rax
	mov	%rbp, %rsp
	.cfi_def_cfa_register %rsp
	pop	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	ret
	.cfi_endproc
	.size	sched_arch_call_on, . - sched_arch_call_on

/* A new context starts here: r12 is its entry, r13 the argument; the stack is 16-aligned. */
	.globl	sched_arch_start
	.hidden	sched_arch_start
	.type	sched_arch_start, @function
	.p2align 4
sched_arch_start:
	.cfi_startproc
	.cfi_undefined %rip
	mov	%r12, %rdi
	mov	%r13, %rsi
	call	sched_context_main
	ud2
	.cfi_endproc
	.size	sched_arch_start, . - sched_arch_start

/* void sched_arch_restart(void *stack_top, void (*entry)(void *), void *arg) */
	.globl	sched_arch_restart
	.hidden	sched_arch_restart
	.type	sched_arch_restart, @function
	.p2align 4
sched_arch_restart:
	.cfi_startproc
	.cfi_undefined %rip
	mov	%rdi, %rsp
	mov	%rdx, %rdi
	xor	%ebp, %ebp
	call	*%rsi
	ud2
	.cfi_endproc
	.size	sched_arch_restart, . - sched_arch_restart

	.section .note.GNU-stack, "", @progbits
