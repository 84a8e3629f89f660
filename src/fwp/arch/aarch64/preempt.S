/*
 * The return from preemption for AArch64. The stack pointer is at a copy of the kernel's struct
 * rt_sigframe, where rt_sigreturn (139) expects it.
 *
 * There is no unwind information for it, and the instructions are those of the kernel's own
 * trampoline: by these two facts unwinders and debuggers know a signal frame and walk on into the
 * interrupted code. They look up the address before the return address: hence the nop.
 */
	.text

	.p2align 4
	nop
	.globl	fwp_machine_resume
	.hidden	fwp_machine_resume
	.type	fwp_machine_resume, %function
fwp_machine_resume:
	mov	x8, #139
	svc	#0
	brk	#1
	.size	fwp_machine_resume, . - fwp_machine_resume
	.globl	fwp_machine_resume_end
	.hidden	fwp_machine_resume_end
fwp_machine_resume_end:

	.section .note.GNU-stack, "", %progbits
