#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fwp/fixtures/fixture.h"
#include "fwp/fwp.h"
#include "sched/sanitizer.h"

static struct fwp_engine *engine;
static struct fwp_image *image;

static void begin(void)
{
	engine = fixture_engine(NULL);
	image = fixture_load("image");
}

static void end(void)
{
	image = fwp_image_unref(image);
	engine = fwp_engine_free(engine);
}

/* TSan delivers signals late, at calls that it knows: endless loops make none. */
static bool has_signals(void)
{
	return !SCHED_TSAN;
}

static uint64_t checksum_of(uint32_t rounds)
{
	struct fixture fixture = {.program = PROGRAM_CHECKSUM, .answer = rounds};
	struct fwp *fwp = fixture_new(engine, image, NULL, &fixture);
	assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	fwp_free(fwp);
	return fixture.notes[0];
}

/* Many computations in slices, in turns: each comes out as if it had been alone. */
static void computations_survive_preemption(void **state)
{
	enum { COUNT = 16 };
	if (!has_signals())
		return;
	begin();
	struct fixture fixtures[COUNT];
	struct fwp *fwps[COUNT];
	uint64_t expected[COUNT];
	unsigned alive = COUNT, slices = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		fixtures[i] = (struct fixture){.program = PROGRAM_CHECKSUM, .answer = 1000000 + i};
		expected[i] = checksum_of(fixtures[i].answer);
		fwps[i] = fixture_new(engine, image, NULL, &fixtures[i]);
		assert_int_equal(fwp_run(fwps[i]), FWP_BLOCKED);
	}
	while (alive > 0) {
		for (unsigned i = 0; i < COUNT; i++) {
			if (fwps[i] == NULL)
				continue;
			enum fwp_state now = fwp_run_until(fwps[i], eos_now_ns() + 100000);
			slices++;
			if (now == FWP_READY)
				continue;
			assert_int_equal(now, FWP_DEAD);
			assert_int_equal(fwp_death(fwps[i])->kind, FWP_DEATH_EXIT);
			assert_int_equal(fixtures[i].notes[0], expected[i]);
			fwps[i] = fwp_free(fwps[i]);
			alive--;
		}
	}
	assert_true(slices > 2 * COUNT);
	end();
}

/* Who was preempted once is preempted again at the end of his slice, also deeper on his stack, and
 * where all his time goes into a function of the C library. */
static void long_functions_are_preempted_again(void **state)
{
	if (!has_signals())
		return;
	begin();
	struct fixture fixture = {.program = PROGRAM_SPIN_DEEP};
	struct fwp *fwp = fixture_new(engine, image, NULL, &fixture);
	assert_int_equal(fwp_run_until(fwp, eos_now_ns() + EOS_NS_PER_MS), FWP_READY);
	volatile uint8_t *memory = fwp_memory(fwp, 0, 3);
	unsigned calls = 0;
	for (uint8_t i = 1; i <= 8; i++) {
		memory[0] = i;
		while (memory[1] != i)
			assert_int_equal(fwp_run_until(fwp, eos_now_ns() + EOS_NS_PER_MS),
					 FWP_READY);
		calls += memory[2];
	}
	/* Each takes milliseconds: about none was done within a slice. */
	assert_in_range(calls, 0, 20);
	fwp_free(fwp);
	end();
}

/* FWPs that hand the processor on to each other, round and round. */
struct ring {
	struct fwp *fwps[16];
	unsigned last, handed, refused;
};

static struct fwp *ring_next(struct ring *ring)
{
	do {
		ring->last = (ring->last + 1) % EOS_ARRAY_SIZE(ring->fwps);
	} while (ring->fwps[ring->last] == NULL);
	return ring->fwps[ring->last];
}

static struct fwp_turn hand_on(void *ctx, struct fwp *stopped)
{
	struct ring *ring = ctx;
	assert_ptr_equal(stopped, ring->fwps[ring->last]);
	assert_int_equal(fwp_state(stopped), FWP_READY);
	/* Sometimes the engine's thread wants it back. */
	if (++ring->handed % 7 == 0) {
		ring->refused++;
		return (struct fwp_turn){0};
	}
	return (struct fwp_turn){ring_next(ring), eos_now_ns() + 100000};
}

static void computations_survive_being_handed_on(void **state)
{
	enum { COUNT = EOS_ARRAY_SIZE(((struct ring *)NULL)->fwps) };
	if (!has_signals())
		return;
	begin();
	struct ring ring = {.last = 0};
	struct fixture fixtures[COUNT];
	uint64_t expected[COUNT];
	unsigned refused = 0;
	for (unsigned i = 0; i < COUNT; i++) {
		fixtures[i] = (struct fixture){.program = PROGRAM_CHECKSUM, .answer = 1000000 + i};
		expected[i] = checksum_of(fixtures[i].answer);
		ring.fwps[i] = fixture_new(engine, image, NULL, &fixtures[i]);
		assert_int_equal(fwp_run(ring.fwps[i]), FWP_BLOCKED);
	}
	for (unsigned alive = COUNT; alive > 0;) {
		struct fwp *last =
			fwp_run_turns(ring_next(&ring), eos_now_ns() + 100000, hand_on, &ring);
		assert_ptr_equal(last, ring.fwps[ring.last]);
		if (fwp_state(last) == FWP_READY) {
			assert_int_equal(ring.refused, ++refused);
			continue;
		}
		assert_int_equal(fwp_state(last), FWP_DEAD);
		assert_int_equal(fwp_death(last)->kind, FWP_DEATH_EXIT);
		assert_int_equal(fixtures[ring.last].notes[0], expected[ring.last]);
		ring.fwps[ring.last] = fwp_free(last);
		alive--;
	}
	assert_true(ring.handed > 2 * COUNT && refused > 0);
	end();
}

struct late {
	struct fwp *waiting, *late;
	unsigned asked;
};

static struct fwp_turn hand_to_late(void *ctx, struct fwp *stopped)
{
	struct late *late = ctx;
	assert_ptr_equal(stopped, late->waiting);
	assert_int_equal(fwp_state(stopped), FWP_BLOCKED);
	return (struct fwp_turn){late->asked++ == 0 ? stopped : late->late, UINT64_MAX};
}

/* Handed to itself, an FWP goes on; one whose time is over comes back to the engine, dead. */
static void who_is_late_dies_when_it_is_handed_to(void **state)
{
	begin();
	struct fixture fixtures[2] = {{.program = PROGRAM_WAIT}, {.program = PROGRAM_WAIT}};
	struct fwp_limits limits = fwp_limits_default;
	limits.timeout_ns = 50 * EOS_NS_PER_MS;
	struct late late = {.waiting = fixture_new(engine, image, NULL, &fixtures[0]),
			    .late = fixture_new(engine, image, &limits, &fixtures[1])};
	(void)fwp_run(late.late);
	while (fwp_state(late.late) == FWP_BLOCKED && eos_now_ns() < fwp_deadline_ns(late.late))
		;
	assert_ptr_equal(fwp_run_turns(late.waiting, UINT64_MAX, hand_to_late, &late), late.late);
	assert_int_equal(late.asked, 2);
	assert_int_equal(fwp_state(late.late), FWP_DEAD);
	assert_int_equal(fwp_death(late.late)->kind, FWP_DEATH_TIMEOUT);
	fwp_free(late.late);
	/* The one that handed it on goes on where it was: in the second of its four waits. */
	assert_int_equal(fwp_state(late.waiting), FWP_BLOCKED);
	assert_int_equal(fwp_run(late.waiting), FWP_BLOCKED);
	assert_int_equal(fwp_run(late.waiting), FWP_BLOCKED);
	assert_int_equal(fwp_run(late.waiting), FWP_DEAD);
	fwp_free(late.waiting);
	end();
}

static void endless_loops_give_way(void **state)
{
	static const uint32_t programs[] = {PROGRAM_SPIN, PROGRAM_SPIN_MEMSET};
	if (!has_signals())
		return;
	begin();
	for (size_t p = 0; p < EOS_ARRAY_SIZE(programs); p++) {
		struct fixture fixture = {.program = programs[p]};
		struct fwp_limits limits = fwp_limits_default;
		limits.timeout_ns = EOS_NS_PER_S;
		struct fwp *fwp = fixture_new(engine, image, &limits, &fixture);
		for (int i = 0; i < 50; i++)
			assert_int_equal(fwp_run_until(fwp, eos_now_ns() + 200000), FWP_READY);
		/* It can be freed while it is set aside, and timed out. */
		if (p == 0) {
			while (fwp_run_until(fwp, eos_now_ns() + 50 * EOS_NS_PER_MS) == FWP_READY)
				;
			assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_TIMEOUT);
		}
		fwp_free(fwp);
	}
	end();
}

static void slices_end_after_host_functions(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_HOST_SPIN}; /* 60 ms in the host */
	struct fwp *fwp = fixture_new(engine, image, NULL, &fixture);
	if (has_signals())
		assert_int_equal(fwp_run_until(fwp, eos_now_ns() + EOS_NS_PER_MS), FWP_READY);
	else
		while (fwp_run_until(fwp, eos_now_ns() + EOS_NS_PER_MS) == FWP_READY)
			;
	assert_int_equal(fixture.waited, 1);
	assert_int_equal(fixture.notes_count, has_signals() ? 0 : 1);
	if (has_signals())
		assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_state(fwp), FWP_DEAD);
	assert_int_equal(fixture.notes_count, 1);
	fwp_free(fwp);
	end();
}

/* A slice that is over before it begins still ends, and the guest gets on. */
static void slices_may_be_over_at_once(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_CALL_MUCH};
	struct fwp *fwp = fixture_new(engine, image, NULL, &fixture);
	unsigned turns = 0;
	while (fwp_run_until(fwp, turns % 2 == 0 ? 1 : eos_now_ns()) == FWP_READY)
		assert_true(++turns < 10000000);
	assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_EXIT);
	assert_int_equal(fixture.notes_count, 10000);
	fwp_free(fwp);
	end();
}

/* A storm of timer signals from elsewhere finds host, guest, switches and resumptions at random. */
static void a_storm_of_signals_is_harmless(void **state)
{
	if (!has_signals())
		return;
	begin();
	uint64_t expected = checksum_of(200000);
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	struct itimerspec period = {{0, 30000}, {0, 30000}};
	assert_int_equal(timer_settime(timer, 0, &period, NULL), 0);
	uint64_t end_ns = eos_now_ns() + 300 * EOS_NS_PER_MS;
	unsigned preempted = 0;
	while (eos_now_ns() < end_ns) {
		struct fixture fixture = {.program = PROGRAM_CHECKSUM, .answer = 200000};
		struct fwp *fwp = fixture_new(engine, image, NULL, &fixture);
		enum fwp_state now;
		while ((now = fwp_run_until(fwp, eos_now_ns() + 10000)) != FWP_DEAD)
			preempted += now == FWP_READY;
		assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_EXIT);
		assert_int_equal(fixture.notes[0], expected);
		fwp_free(fwp);
	}
	assert_int_equal(timer_delete(timer), 0);
	assert_true(preempted > 10);
	end();
}

/* No room for the registers: that is a stack overflow of the guest's, whatever it computes. */
static void deep_guests_are_contained(void **state)
{
	if (!has_signals())
		return;
	begin();
	for (unsigned i = 0; i < 40; i++) {
		struct fixture fixture = {.program = PROGRAM_RECURSE_SMALL};
		struct fwp_limits limits = fwp_limits_default;
		limits.stack_bytes = FWP_STACK_BYTES_MIN << (i % 4);
		struct fwp *fwp = fixture_new(engine, image, &limits, &fixture);
		while (fwp_run_until(fwp, eos_now_ns() + 1000 * i) == FWP_READY)
			;
		assert_int_equal(fwp_death(fwp)->trap, IMAGE_TRAP_STACK_OVERFLOW);
		fwp_free(fwp);
	}
	end();
}

static void host_calls_have_a_rate(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_CALL_MUCH};
	struct fwp_limits limits = fwp_limits_default;
	limits.host_calls_per_s = 100000;
	struct fwp *fwp = fixture_new(engine, image, &limits, &fixture);
	uint64_t start_ns = eos_now_ns();
	unsigned waits = 0;
	while (fwp_run(fwp) == FWP_BLOCKED) {
		uint64_t resume_ns = fwp_resume_ns(fwp);
		assert_true(resume_ns != UINT64_MAX);
		while (eos_now_ns() < resume_ns)
			;
		waits++;
	}
	/* 10,000 calls, of which 1,000 may have been saved up. */
	assert_true(eos_now_ns() - start_ns >= 85 * EOS_NS_PER_MS);
	assert_true(waits > 10);
	assert_int_equal(fixture.notes_count, 10000);
	fwp_free(fwp);
	/* One call a second: the second waits. */
	limits.host_calls_per_s = 1;
	fwp = fixture_new(engine, image, &limits, &fixture);
	assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_true(fwp_resume_ns(fwp) > eos_now_ns() + EOS_NS_PER_S / 2);
	fwp_free(fwp);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(computations_survive_preemption),
		cmocka_unit_test(long_functions_are_preempted_again),
		cmocka_unit_test(computations_survive_being_handed_on),
		cmocka_unit_test(who_is_late_dies_when_it_is_handed_to),
		cmocka_unit_test(endless_loops_give_way),
		cmocka_unit_test(slices_end_after_host_functions),
		cmocka_unit_test(slices_may_be_over_at_once),
		cmocka_unit_test(a_storm_of_signals_is_harmless),
		cmocka_unit_test(deep_guests_are_contained),
		cmocka_unit_test(host_calls_have_a_rate),
	};
	return cmocka_run_group_tests_name("fwp_preempt", tests, NULL, NULL);
}
