/*
 * Bench "neighbour": how much later does one run that wants to run every 100 us when another
 * tenant's 64 take all they can get of the same core?
 *
 *     fwp_quiet       an FWP that waits for a timer, alone on its core
 *     fwp_higher      the same beside 64 FWPs of another tenant that spin; its class goes first
 *     fwp_same        the same in the class of the others
 *     linux_quiet     a thread that sleeps until then, alone on its core
 *     linux_other     the same beside 64 processes that spin
 *     linux_fifo      the same with SCHED_FIFO
 *
 * The rows are the times from when it was due until it ran. The values added_p99_… are the
 * differences of the 99th percentiles to that of fwp_quiet; periods that were missed while it
 * waited are not made up for. As our core looks for work all the time, fwp_quiet is next to
 * nothing, and what is added nearly all.
 *
 * budget_error is by what part of it a tenant misses its budget of 20 ms in 100 ms, when it and the
 * others' 64 FWPs all spin; counted by the bench's clock around each turn.
 *
 * In turns, so that whatever else this machine does hits all of them. A node's cores are its own:
 * where this user may, the thread that runs the FWPs goes before all others of its core.
 */
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "base/macros.h"
#include "bench.h"
#include "core.h"
#include "fwp/fwp.h"
#include "guest.h"
#include "periodic.h"
#include "report.h"
#include "samples.h"
#include "sched/core.h"
#include "ticks.h"

#define SPINNERS	  64u
#define PERIOD_NS	  (100 * EOS_NS_PER_US)
#define ROUNDS		  3u
#define ROUND_NS	  (300 * EOS_NS_PER_MS)
#define ROUND_QUICK_NS	  (10 * EOS_NS_PER_MS)
#define BUDGET_NS	  (20 * EOS_NS_PER_MS)
#define BUDGET_PERIOD_NS  (100 * EOS_NS_PER_MS)
#define BUDGET_PERIODS	  20u
#define CLASS_HIGHER	  (SCHED_CLASS_DEFAULT - 1)
#define ADDED_HIGHER_MOST 100  /* us */
#define ADDED_SAME_MOST	  1200 /* us: a slice of a millisecond, and what it takes to end it */
#define BUDGET_ERROR_MOST 0.05

enum { QUIET, HIGHER, SAME, LINUX_QUIET, LINUX_OTHER, LINUX_FIFO, KINDS };

static const char *const names[KINDS] = {
	[QUIET] = "fwp_quiet",	       [HIGHER] = "fwp_higher",	      [SAME] = "fwp_same",
	[LINUX_QUIET] = "linux_quiet", [LINUX_OTHER] = "linux_other", [LINUX_FIFO] = "linux_fifo",
};

struct neighbour {
	struct bench *bench;
	struct core core;
	struct fwp_image *spin, *tick;
	struct sched_server tenant, other;
	struct core_fwp member, spinners[SPINNERS];
	struct sched_timer timer;
	uint64_t due_ns;
	struct samples *now; /* where host_yield() notes how late it was */
	struct samples samples[KINDS];
	struct eos_why no_fifo; /* why this user may not; "": he may */
};

static struct neighbour *neighbour_of(struct core_fwp *member)
{
	return EOS_CONTAINER_OF(member->core, struct neighbour, core);
}

/* The guest waits for its next period. */
static void host_yield(struct fwp *fwp)
{
	fwp_host_enter(fwp);
	struct neighbour *neighbour = neighbour_of(fwp_context(fwp));
	struct core *core = &neighbour->core;

	neighbour->due_ns = periodic_next(neighbour->due_ns, PERIOD_NS, eos_now_ns());
	sched_timer_set(core->sched, &neighbour->timer, neighbour->due_ns);
	fwp_block(fwp);
	samples_add(neighbour->now, eos_now_ns() - neighbour->due_ns);
	core->is_stopped = core->is_stopped || samples_is_full(neighbour->now);
	fwp_host_leave(fwp);
}

static const struct fwp_import imports[] = {{"bench", "yield", ":", (void (*)(void))host_yield}};

static void on_timer(struct sched_timer *timer)
{
	struct neighbour *neighbour = EOS_CONTAINER_OF(timer, struct neighbour, timer);

	sched_task_wake(&neighbour->member.task);
}

static int add_spinners(struct neighbour *neighbour, unsigned count, struct eos_why *why)
{
	int err = 0;

	for (unsigned i = 0; i < count && err == 0; i++)
		err = core_add(&neighbour->core, &neighbour->spinners[i], neighbour->spin,
			       &neighbour->other, SCHED_CLASS_DEFAULT, why);
	return err;
}

/* The two tenants, the one with IMAGE and BUDGET_NS, the other with SPINNERS; DURATION_NS of it. */
static int run_tenants(struct neighbour *neighbour, struct fwp_image *image, unsigned task_class,
		       uint64_t budget_ns, unsigned spinners, uint64_t duration_ns,
		       struct eos_why *why)
{
	struct core *core = &neighbour->core;
	int err = core_add_tenant(core, &neighbour->tenant, budget_ns, BUDGET_PERIOD_NS, why);

	if (err < 0)
		return err;
	err = core_add_tenant(core, &neighbour->other, 0, 0, why);
	if (err < 0)
		goto no_other;
	err = core_add(core, &neighbour->member, image, &neighbour->tenant, task_class, why);
	if (err == 0)
		err = add_spinners(neighbour, spinners, why);
	if (err == 0) {
		bool is_first = bench_go_first(true);

		neighbour->due_ns = eos_now_ns();
		err = core_run(core, neighbour->due_ns + duration_ns, why);
		if (is_first && !bench_go_first(false) && err == 0)
			err = eos_why(why, -EPERM, "this user may not leave SCHED_FIFO");
	}
	sched_timer_cancel(core->sched, &neighbour->timer);
	core_remove(&neighbour->member);
	for (unsigned i = 0; i < SPINNERS; i++)
		core_remove(&neighbour->spinners[i]);
	sched_server_fini(&neighbour->other);
no_other:
	sched_server_fini(&neighbour->tenant);
	return err;
}

static int measure_fwp(struct neighbour *neighbour, int kind, uint64_t duration_ns,
		       struct eos_why *why)
{
	neighbour->now = &neighbour->samples[kind];
	if (samples_is_full(neighbour->now))
		return 0;
	return run_tenants(neighbour, neighbour->tick,
			   kind == HIGHER ? CLASS_HIGHER : SCHED_CLASS_DEFAULT, 0,
			   kind == QUIET ? 0 : SPINNERS, duration_ns, why);
}

static int measure_linux(struct neighbour *neighbour, int kind, uint64_t duration_ns,
			 struct eos_why *why)
{
	struct samples *samples = &neighbour->samples[kind];
	unsigned spinners = kind == LINUX_QUIET ? 0 : SPINNERS;

	if (kind != LINUX_FIFO)
		return periodic_measure(spinners, false, PERIOD_NS, duration_ns, samples, why);
	if (neighbour->no_fifo.text[0] != '\0')
		return 0;
	int err = periodic_measure(spinners, true, PERIOD_NS, duration_ns, samples,
				   &neighbour->no_fifo);

	if (err == -EPERM)
		return 0;
	return err < 0 ? eos_why(why, err, "%s", neighbour->no_fifo.text) : 0;
}

static int measure_delays(struct neighbour *neighbour, struct eos_why *why)
{
	uint64_t duration_ns = neighbour->bench->is_quick ? ROUND_QUICK_NS : ROUND_NS;
	unsigned rounds = bench_count(neighbour->bench, ROUNDS, 1);
	int err = 0;

	for (unsigned round = 0; round < rounds; round++) {
		for (int kind = QUIET; kind <= SAME && err == 0; kind++)
			err = measure_fwp(neighbour, kind, duration_ns, why);
		for (int kind = LINUX_QUIET; kind < KINDS && err == 0; kind++)
			err = measure_linux(neighbour, kind, duration_ns, why);
	}
	return err;
}

static int measure_budget(struct neighbour *neighbour, double *ret_error, struct eos_why *why)
{
	unsigned periods = bench_count(neighbour->bench, BUDGET_PERIODS, 1);
	int err;

	neighbour->member.run_ns = 0;
	err = run_tenants(neighbour, neighbour->spin, SCHED_CLASS_DEFAULT, BUDGET_NS, SPINNERS,
			  periods * BUDGET_PERIOD_NS, why);
	if (err == 0)
		*ret_error = fabs((double)neighbour->member.run_ns / periods / BUDGET_NS - 1);
	return err;
}

static void report(struct neighbour *neighbour, double budget_error)
{
	struct report *report = &neighbour->bench->report;
	double p99[KINDS] = {0};

	for (int kind = 0; kind < KINDS; kind++) {
		struct samples *samples = &neighbour->samples[kind];

		if (kind == LINUX_FIFO && neighbour->no_fifo.text[0] != '\0') {
			report_add_skipped(report, names[kind], neighbour->no_fifo.text);
			continue;
		}
		report_add_samples(report, names[kind], "ns", samples->values, samples->count);
		p99[kind] = report_find(report, names[kind])->p99;
	}
	report_add_limit(report, "added_p99_higher_us",
			 (p99[HIGHER] - p99[QUIET]) / (double)EOS_NS_PER_US, ADDED_HIGHER_MOST);
	report_add_limit(report, "added_p99_same_us",
			 (p99[SAME] - p99[QUIET]) / (double)EOS_NS_PER_US, ADDED_SAME_MOST);
	report_add_limit(report, "budget_error", budget_error, BUDGET_ERROR_MOST);
}

static int measure(struct neighbour *neighbour, struct eos_why *why)
{
	double budget_error;
	int err = 0;

	for (int kind = 0; kind < KINDS && err == 0; kind++)
		err = samples_init(&neighbour->samples[kind], ROUNDS * (ROUND_NS / PERIOD_NS + 2),
				   why);
	if (err == 0)
		err = measure_delays(neighbour, why);
	if (err == 0)
		err = measure_budget(neighbour, &budget_error, why);
	if (err == 0)
		report(neighbour, budget_error);
	for (int kind = 0; kind < KINDS; kind++)
		samples_fini(&neighbour->samples[kind]);
	return err;
}

static int run(struct bench *bench, struct eos_why *why)
{
	static struct neighbour neighbour;
	struct core_config config = {.fwps_max = SPINNERS + 1, .counts_time = true};
	int err = bench_pin(why);

	neighbour.bench = bench;
	ticks_calibrate();
	sched_timer_init(&neighbour.timer, on_timer);
	if (err == 0)
		err = guest_make(bench, "yield", imports, EOS_ARRAY_SIZE(imports), &neighbour.tick,
				 why);
	if (err == 0)
		err = guest_make(bench, "spin", NULL, 0, &neighbour.spin, why);
	if (err == 0)
		err = core_init(&neighbour.core, &config, why);
	if (err == 0)
		err = measure(&neighbour, why);
	core_fini(&neighbour.core);
	fwp_image_unref(neighbour.spin);
	fwp_image_unref(neighbour.tick);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "neighbour", run);
}
