/*
 * The return from preemption for x86-64. The stack pointer is at a copy of the kernel's struct
 * ucontext, where rt_sigreturn (15) expects it.
 *
 * There is no unwind information for it, and the instructions are those of every libc's
 * __restore_rt: by these two facts unwinders and debuggers know a signal frame and walk on into
 * the interrupted code. They look up the address before the return address: hence the nop.
 */
	.text

	.p2align 4
	nop
	.globl	fwp_machine_resume
	.hidden	fwp_machine_resume
	.type	fwp_machine_resume, @function
fwp_machine_resume:
	mov	$15, %rax
	syscall
	ud2
	.size	fwp_machine_resume, . - fwp_machine_resume
	.globl	fwp_machine_resume_end
	.hidden	fwp_machine_resume_end
fwp_machine_resume_end:

	.section .note.GNU-stack, "", @progbits
