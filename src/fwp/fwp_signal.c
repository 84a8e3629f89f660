/*
 * Faults and the timer.
 *
 * SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGTRAP are a guest's when its code ran (in_host is false and
 * the stack pointer is in the FWP's stack) and
 * - SEGV, BUS: the address is in the linear memory's reservation or in the stack's guard;
 * - FPE, ILL, TRAP: the program counter is in the image's code. (Compilers end what cannot be
 *   reached with ud2, SIGILL, on x86-64 and with brk, SIGTRAP, on aarch64.)
 * Then the registers to which the signal returns are changed so that it returns into fwp_finish()
 * at the top of the FWP's stack: the FWP is dead, the thread goes on. Everything else is a fault of
 * the host: a report is written, the handler that was there before ours is put back, and the
 * faulting instruction runs again, now into that handler (the sanitizers', or the kernel's default,
 * which ends the process).
 *
 * The timer's signal ends a guest whose time is over in the same way, from any instruction of guest
 * code. If only its slice is over, the registers are set aside on its stack (fwp_preempt_priv.h),
 * and the signal returns into fwp_preempted(), which switches to the engine's thread like any host
 * function that waits. When the signal finds the host it leaves a note for fwp_host_leave().
 *
 * All handlers run on an alternate stack, as a guest may have no stack left, and its stack
 * could not hold the processor's state (12 KiB with AVX-512). The signals block each other while
 * a handler runs and are unblocked by its return; there is no SA_NODEFER, so timers that come
 * faster than they are served do not nest.
 */
#include "fwp/fwp_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fault.h"
#include "fwp/fwp_preempt_priv.h"

/* Room for the state of any processor, for the report's backtrace, and for a sanitizer's. */
#define SIGNAL_STACK_BYTES (512u << 10)
/* When to look again at an FWP that was found while it resumed. */
#define RESUME_NS (20 * EOS_NS_PER_US)

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
static struct sigaction previous[EOS_ARRAY_SIZE(fault_signals)];
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_installed; /* guarded by install_lock, as is previous */

int fwp_signal_timer(void)
{
	return SIGRTMIN;
}

/* The FWP whose guest code was interrupted, or NULL. */
static struct fwp *interrupted_guest(const ucontext_t *context)
{
	struct fwp_engine *engine = fwp_engine_here;
	if (engine == NULL)
		return NULL;
	struct fwp *fwp = atomic_load_explicit(&engine->current, memory_order_relaxed);
	if (fwp == NULL || atomic_load_explicit(&fwp->in_host, memory_order_relaxed))
		return NULL;
	return fwp_is_stack(fwp, fwp_machine_sp(context)) ? fwp : NULL;
}

/* The signal's return ends the FWP. */
static void end_guest(struct fwp *fwp, ucontext_t *context, struct fwp_death death)
{
	death.pc = fwp_machine_pc(context);
	fwp->death = death;
	atomic_store_explicit(&fwp->in_host, true, memory_order_relaxed);
	char *low = (char *)(uintptr_t)fwp->context.stack_low;
	sched_stack_forget(low, fwp->context.stack_size);
	fwp_machine_redirect(context, fwp_finish, fwp, low + fwp->context.stack_size);
}

/* What a guest's fault is as a trap; IMAGE_TRAP_NONE when it is no guest's. */
static enum image_trap classify(const struct fwp *fwp, int sig, const siginfo_t *info,
				const ucontext_t *context)
{
	/* Sent by somebody, not raised by an instruction. */
	if (info->si_code <= 0)
		return IMAGE_TRAP_NONE;
	if (sig == SIGSEGV || sig == SIGBUS) {
		uintptr_t address = (uintptr_t)info->si_addr;
		if (fwp_is_stack_guard(fwp, address))
			return IMAGE_TRAP_STACK_OVERFLOW;
		if (fwp_slot_is_memory(&fwp->slot, address))
			return IMAGE_TRAP_OUT_OF_BOUNDS;
		return IMAGE_TRAP_NONE;
	}
	const void *pc = (const void *)fwp_machine_pc(context);
	if (!fwp_elf_contains(&fwp->image->elf, pc, 1, FWP_ELF_EXECUTE))
		return IMAGE_TRAP_NONE;
	return sig == SIGFPE ? IMAGE_TRAP_DIVIDE_BY_ZERO : IMAGE_TRAP_UNREACHABLE;
}

static void crash(int sig, const siginfo_t *info, const ucontext_t *context)
{
	fwp_report_crash(sig, info, context);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(fault_signals); i++) {
		if (fault_signals[i] == sig)
			(void)sigaction(sig, &previous[i], NULL);
	}
	/* An instruction's fault comes again by itself, with its address; a sent one does not, and
	 * a breakpoint is behind us. */
	if (info->si_code <= 0 || sig == SIGTRAP)
		(void)raise(sig);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct fwp *fwp = interrupted_guest(context);
	enum image_trap trap = fwp != NULL ? classify(fwp, sig, info, context) : IMAGE_TRAP_NONE;
	if (trap == IMAGE_TRAP_NONE) {
		crash(sig, info, context);
		return;
	}
	end_guest(fwp, context,
		  (struct fwp_death){
			  .kind = FWP_DEATH_TRAP, .trap = trap, .text = fwp_trap_text(trap)});
}

/* Where the program's own code is, as the linker says: the host's, and no library's or image's. */
extern const char __executable_start[], etext[];

/*
 * True while a preempted FWP is between its resumption and its own code: its frame is still below,
 * and it is in the host's code. (At the edges of host functions, deeper than where it was preempted
 * before, it is taken for that, too, and goes on a little longer.) To preempt it there would pile
 * one frame upon the other.
 */
static bool is_resuming(const struct fwp *fwp, const ucontext_t *context)
{
	if (fwp->frame == NULL || fwp_machine_sp(context) > (uintptr_t)fwp->frame)
		return false;
	uintptr_t pc = fwp_machine_pc(context);
	return pc >= (uintptr_t)__executable_start && pc < (uintptr_t)etext;
}

/* The signal's return takes the processor from the FWP. */
static void preempt_guest(struct fwp *fwp, ucontext_t *context)
{
	char *limit = (char *)(uintptr_t)fwp->context.stack_low + FWP_HOST_STACK_BYTES;
	void *frame = fwp_machine_frame_save(context, limit);
	if (frame == NULL) {
		/* It has used up more than its limit. */
		end_guest(fwp, context,
			  (struct fwp_death){.kind = FWP_DEATH_TRAP,
					     .trap = IMAGE_TRAP_STACK_OVERFLOW,
					     .text = fwp_trap_text(IMAGE_TRAP_STACK_OVERFLOW)});
		return;
	}
	fwp->frame = frame;
	atomic_store_explicit(&fwp->in_host, true, memory_order_relaxed);
	fwp_machine_frame_redirect(context, frame, fwp_preempted, fwp);
}

static void end_slice(struct fwp_engine *engine, struct fwp *fwp, ucontext_t *context,
		      uint64_t now_ns)
{
	bool is_over = now_ns >= fwp->deadline_ns;
	bool is_guest = interrupted_guest(context) == fwp;
	if (!is_guest)
		atomic_fetch_or_explicit(&fwp->pending,
					 is_over ? FWP_PENDING_EXPIRED : FWP_PENDING_YIELD,
					 memory_order_relaxed);
	else if (is_over)
		end_guest(fwp, context,
			  (struct fwp_death){.kind = FWP_DEATH_TIMEOUT, .text = "timed out"});
	else if (!is_resuming(fwp, context))
		preempt_guest(fwp, context);
	else if (fwp_engine_arm(engine, now_ns + RESUME_NS) < 0)
		end_guest(fwp, context, fwp_death_no_timer);
}

static void tick(struct fwp_engine *engine, ucontext_t *context)
{
	struct fwp *fwp = atomic_load_explicit(&engine->current, memory_order_relaxed);
	atomic_store_explicit(&engine->armed_ns, UINT64_MAX, memory_order_relaxed);
	if (fwp == NULL || fwp->end_ns == UINT64_MAX)
		return;
	uint64_t now_ns = eos_now_ns();
	/* Without a timer its slice is over now, and who continues it will see why. */
	if (now_ns >= fwp->end_ns || fwp_engine_arm(engine, fwp->end_ns) < 0)
		end_slice(engine, fwp, context, now_ns);
}

static void on_timer(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	int saved = errno;
	if (fwp_engine_here != NULL)
		tick(fwp_engine_here, context);
	errno = saved;
}

/* Makes on_fault() the handler of fault_signals[I], unless it is. */
static int install_fault_locked(size_t i)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
	struct sigaction old;
	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, fwp_signal_timer());
	action.sa_sigaction = on_fault;
	int err = eos_fault("fwp.sigaction");
	if (err < 0)
		return err;
	if (sigaction(fault_signals[i], NULL, &old) < 0)
		return -errno;
	bool is_ours = old.sa_sigaction == on_fault;
	if (is_ours && (old.sa_flags & action.sa_flags) == action.sa_flags)
		return 0;
	if (sigaction(fault_signals[i], &action, NULL) < 0)
		return -errno;
	/* Ours with other flags: somebody saved and restored it with signal(). */
	if (!is_ours)
		previous[i] = old;
	return 0;
}

/* Looks each time whether somebody (a library, a test framework) has replaced the handlers. */
int fwp_signal_install(struct eos_why *why)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	sigemptyset(&action.sa_mask);
	action.sa_sigaction = on_timer;
	(void)pthread_mutex_lock(&install_lock);
	if (!is_installed)
		fwp_report_init();
	is_installed = true;
	int err = eos_fault("fwp.sigaction");
	if (err == 0 && sigaction(fwp_signal_timer(), &action, NULL) < 0)
		err = -errno;
	for (size_t i = 0; err == 0 && i < EOS_ARRAY_SIZE(fault_signals); i++)
		err = install_fault_locked(i);
	(void)pthread_mutex_unlock(&install_lock);
	return err < 0 ? eos_why(why, err, "cannot install signal handlers") : 0;
}

int fwp_signal_thread_start(struct fwp_engine *engine)
{
	int err = eos_fault("fwp.mmap");
	if (err < 0)
		return err;
	void *memory = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	stack_t stack = {.ss_sp = memory, .ss_size = SIGNAL_STACK_BYTES};
	err = eos_fault("fwp.sigaltstack");
	if (err == 0 && sigaltstack(&stack, &engine->previous_stack) < 0)
		err = -errno;
	if (err < 0) {
		(void)munmap(memory, SIGNAL_STACK_BYTES);
		return err;
	}
	engine->signal_stack = memory;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, fwp_signal_timer());
	for (size_t i = 0; i < EOS_ARRAY_SIZE(fault_signals); i++)
		sigaddset(&set, fault_signals[i]);
	/* Fails for a wrong first argument only. */
	err = pthread_sigmask(SIG_UNBLOCK, &set, &engine->previous_mask);
	EOS_ASSERT(err == 0);
	return 0;
}

void fwp_signal_thread_stop(struct fwp_engine *engine)
{
	(void)pthread_sigmask(SIG_SETMASK, &engine->previous_mask, NULL);
	(void)sigaltstack(&engine->previous_stack, NULL);
	sched_stack_forget(engine->signal_stack, SIGNAL_STACK_BYTES);
	(void)munmap(engine->signal_stack, SIGNAL_STACK_BYTES);
}
