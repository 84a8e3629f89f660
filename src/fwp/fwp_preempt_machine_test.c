/*
 * Interrupts code that holds known values in all registers, at whatever instruction a timer finds
 * it, runs other code on its stack, and looks whether it went on unharmed.
 */
#include "fwp/fwp_preempt_priv.h"

#include <execinfo.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <cmocka.h>

#include "base/macros.h"
#include "fwp/fixtures/hold.h"
#include "fwp/fwp_machine_priv.h"
#include "sched/context.h"
#include "sched/sanitizer.h"

#define STACK_BYTES	   (512u << 10)
#define SIGNAL_STACK_BYTES (256u << 10)
#define FIBERS		   3u
#define PREEMPTIONS	   3000u
#define PREEMPTIONS_ROUND  10u
#define NESTING_MAX	   4u

struct fiber {
	struct sched_context context;
	char *stack;
	struct hold_state state, expected;
	_Atomic uint32_t stop;
	unsigned rounds_bad;
	bool is_done;
};

static struct sched_context self;
static struct fiber fibers[FIBERS];
static enum hold_kind kind;
/* The main program tells the handler who runs and what to do with it. */
static struct fiber *volatile running;
static void (*volatile preempt_function)(void *arg);
/* And the handler the others. */
static volatile unsigned preemptions, resuming_seen, refused, nesting, nesting_seen;
static volatile int rounding_seen;
static volatile bool unwinder_found;

static uint64_t random_word(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15u;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Values that a register can really hold. */
static void fill(struct hold_state *state)
{
	uint64_t word;
	for (size_t i = 0; i < sizeof(*state); i += sizeof(word)) {
		word = random_word();
		memcpy((char *)state + i, &word, sizeof(word));
	}
	double on_x87 = (double)(random_word() >> 12);
#if defined(__x86_64__)
	/* Carry, parity, adjust, zero, sign, direction, overflow; interrupts are enabled, and bit 1
	 * is always set. */
	state->control[0] = (random_word() & 0xcd5) | 0x202;
	/* All exceptions masked; rounding upwards, or down. */
	state->control[1] = 0x1f80 | (random_word() & 1 ? 0x4000 : 0x2000);
	state->control[2] = 0x37f | (random_word() & 1 ? 0x800 : 0x400);
	memcpy(&state->control[3], &on_x87, sizeof(on_x87));
#else
	(void)on_x87;
	state->control[0] = random_word() & 0xf0000000;
	state->control[1] = random_word() & 1 ? 0x400000 : 0x800000;
	state->control[2] = random_word() & 0x1f;
#endif
}

static enum hold_kind best_kind(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
		return HOLD_LARGEST;
	return __builtin_cpu_supports("avx") ? HOLD_AVX : HOLD_BASE;
#else
	return getauxval(AT_HWCAP) & HWCAP_SVE ? HOLD_LARGEST : HOLD_BASE;
#endif
}

/* One shot, as a period could be shorter than what the handler takes. */
static void arm(void)
{
	const struct itimerval in = {.it_value.tv_usec = (suseconds_t)(20 + random_word() % 100)};
	(void)setitimer(ITIMER_REAL, &in, NULL);
}

static void disarm(void)
{
	const struct itimerval never = {0};
	(void)setitimer(ITIMER_REAL, &never, NULL);
}

static void on_timer(int sig, siginfo_t *info, void *arg)
{
	(void)sig;
	(void)info;
	ucontext_t *context = arg;
	struct fiber *fiber = running;
	uintptr_t pc = fwp_machine_pc(context);
	if (fwp_machine_is_resuming(context))
		resuming_seen++;
	else if (fiber != NULL && pc >= (uintptr_t)hold_registers &&
		 pc < (uintptr_t)hold_registers_end) {
		void *frame = fwp_machine_frame_save(context, fiber->stack);
		if (frame != NULL) {
			fwp_machine_frame_redirect(context, frame, preempt_function, fiber);
			if (++preemptions % PREEMPTIONS_ROUND == 0)
				atomic_store(&fiber->stop, 1);
		} else {
			refused++;
			atomic_store(&fiber->stop, 1);
		}
	}
	arm();
}

static int setup(void **state)
{
	static char *signal_stack;
	signal_stack = malloc(SIGNAL_STACK_BYTES);
	assert_non_null(signal_stack);
	const stack_t stack = {.ss_sp = signal_stack, .ss_size = SIGNAL_STACK_BYTES};
	assert_int_equal(sigaltstack(&stack, NULL), 0);
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
	action.sa_sigaction = on_timer;
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	*state = signal_stack;
	kind = best_kind();
	/* The first call loads the unwinder. */
	void *pcs[1];
	assert_int_equal(backtrace(pcs, 1), 1);
	sched_context_init_thread(&self);
	return 0;
}

static int teardown(void **state)
{
	disarm();
	const stack_t none = {.ss_flags = SS_DISABLE};
	assert_int_equal(sigaltstack(&none, NULL), 0);
	free(*state);
	return 0;
}

/* Leaves other values in all registers that a function may change. */
static void trash_registers(void)
{
	static struct hold_state other;
	static _Atomic uint32_t stop = 1;
	fill(&other);
	/* Its code is not what is to be preempted. */
	struct fiber *fiber = running;
	running = NULL;
	hold_registers(&other, &stop, kind);
	running = fiber;
}

/* Holds one set of values after the other, until it was preempted often enough. */
static void hold_entry(void *arg)
{
	struct fiber *fiber = arg;
	while (preemptions < PREEMPTIONS && refused == 0) {
		fill(&fiber->state);
		fiber->expected = fiber->state;
		atomic_store(&fiber->stop, 0);
		hold_registers(&fiber->state, &fiber->stop, kind);
		if (memcmp(&fiber->state, &fiber->expected, sizeof(fiber->state)) != 0)
			fiber->rounds_bad++;
	}
	fiber->is_done = true;
	sched_switch_final(&fiber->context, &self);
}

/* Runs COUNT fibers, the next one whenever one was preempted into FUNCTION and comes here. */
static void run_fibers(unsigned count, void (*function)(void *arg))
{
	/* TSan keeps signals back until the program calls the C library, which held code does not.
	 */
	if (SCHED_TSAN)
		skip();
	preemptions = refused = nesting = nesting_seen = 0;
	preempt_function = function;
	for (unsigned i = 0; i < count; i++) {
		fibers[i].stack = aligned_alloc(4096, STACK_BYTES);
		assert_non_null(fibers[i].stack);
		fibers[i].is_done = false;
		fibers[i].rounds_bad = 0;
		sched_context_init(&fibers[i].context, fibers[i].stack, STACK_BYTES, hold_entry,
				   &fibers[i]);
	}
	arm();
	for (unsigned done = 0; done < count;) {
		done = 0;
		for (unsigned i = 0; i < count; i++) {
			if (!fibers[i].is_done) {
				running = &fibers[i];
				sched_switch(&self, &fibers[i].context);
				running = NULL;
			}
			done += fibers[i].is_done;
		}
	}
	disarm();
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(fibers[i].rounds_bad, 0);
		sched_context_fini(&fibers[i].context);
		free(fibers[i].stack);
	}
}

static void trash(void *arg)
{
	(void)arg;
	if (rounding_seen == FE_TONEAREST)
		rounding_seen = fegetround();
	trash_registers();
}

static void interrupted_code_goes_on_unharmed(void **state)
{
	rounding_seen = FE_TONEAREST;
	run_fibers(1, trash);
	assert_true(preemptions >= PREEMPTIONS);
	assert_int_equal(refused, 0);
	/* It held another rounding, each time. */
	assert_int_equal(rounding_seen, FE_TONEAREST);
}

/* Each vector register that there is on all processors of this kind. */
static void base_registers_alone(void **state)
{
	kind = HOLD_BASE;
	run_fibers(1, trash);
	kind = best_kind();
	assert_true(preemptions >= PREEMPTIONS);
}

static void switch_away(void *arg)
{
	struct fiber *fiber = arg;
	trash_registers();
	sched_switch(&fiber->context, &self);
}

static void others_run_in_the_meantime(void **state)
{
	run_fibers(FIBERS, switch_away);
	assert_true(preemptions >= PREEMPTIONS);
	assert_int_equal(refused, 0);
}

/* Is preempted itself. */
static void nest(void *arg)
{
	struct fiber *fiber = arg;
	struct hold_state own, expected;
	if (nesting >= NESTING_MAX)
		return;
	nesting = nesting + 1;
	if (nesting > nesting_seen)
		nesting_seen = nesting;
	fill(&own);
	expected = own;
	/* As long as the outermost one waits. */
	hold_registers(&own, &fiber->stop, kind);
	if (memcmp(&own, &expected, sizeof(own)) != 0)
		fiber->rounds_bad++;
	nesting = nesting - 1;
}

static void frames_nest(void **state)
{
	run_fibers(1, nest);
	assert_int_equal(nesting_seen, NESTING_MAX);
	assert_int_equal(nesting, 0);
}

static void unwind(void *arg)
{
	(void)arg;
	void *pcs[16];
	int count = backtrace(pcs, EOS_ARRAY_SIZE(pcs));
	for (int i = 0; i < count; i++) {
		uintptr_t pc = (uintptr_t)pcs[i];
		if (pc >= (uintptr_t)hold_registers && pc < (uintptr_t)hold_registers_end)
			unwinder_found = true;
	}
}

static void unwinders_find_the_interrupted_code(void **state)
{
	unwinder_found = false;
	run_fibers(1, unwind);
	assert_true(unwinder_found);
}

/* What a handler found out about its own context. */
static struct {
	size_t size;
	char *sp, *frame, *frame_if_short;
	bool is_resuming_elsewhere, is_resuming_first, is_resuming_last, is_resuming_behind;
} probed;

static void ignore(void *arg)
{
	(void)arg;
}

static bool would_resume(const ucontext_t *context, uintptr_t pc)
{
	static char stack[64] __attribute__((aligned(16)));
	ucontext_t changed = *context;
	fwp_machine_redirect(&changed, (void (*)(void *))pc, NULL, stack + 64);
	return fwp_machine_is_resuming(&changed);
}

static void on_probe(int sig, siginfo_t *info, void *arg)
{
	(void)sig;
	(void)info;
	ucontext_t *context = arg;
	probed.size = fwp_machine_frame_size(context);
	probed.sp = (char *)fwp_machine_sp(context);
	probed.frame_if_short = fwp_machine_frame_save(context, probed.sp - probed.size + 1);
	probed.frame = fwp_machine_frame_save(context, probed.sp - probed.size);
	uintptr_t resume = (uintptr_t)fwp_machine_resume;
	uintptr_t end = (uintptr_t)fwp_machine_resume_end;
	probed.is_resuming_elsewhere = would_resume(context, (uintptr_t)ignore);
	probed.is_resuming_first = would_resume(context, resume);
	probed.is_resuming_last = would_resume(context, end - 1);
	probed.is_resuming_behind = would_resume(context, end);
}

static void says_how_much_room_it_needs(void **state)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK};
	action.sa_sigaction = on_probe;
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_null(probed.frame_if_short);
	assert_in_range((uintptr_t)probed.frame, (uintptr_t)(probed.sp - probed.size),
			(uintptr_t)(probed.sp - sizeof(mcontext_t)));
	assert_int_equal((uintptr_t)probed.frame % 16, 0);
	assert_int_equal(probed.size % 16, 0);
}

static void knows_its_own_code(void **state)
{
	assert_false(probed.is_resuming_elsewhere);
	assert_true(probed.is_resuming_first);
	assert_true(probed.is_resuming_last);
	assert_false(probed.is_resuming_behind);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupted_code_goes_on_unharmed),
		cmocka_unit_test(base_registers_alone),
		cmocka_unit_test(others_run_in_the_meantime),
		cmocka_unit_test(frames_nest),
		cmocka_unit_test(unwinders_find_the_interrupted_code),
		cmocka_unit_test(says_how_much_room_it_needs),
		cmocka_unit_test(knows_its_own_code),
	};
	return cmocka_run_group_tests_name("fwp_preempt_machine", tests, setup, teardown);
}
