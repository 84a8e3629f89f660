/*
 * Bench "start": from the decision to start something until its first instruction of its own runs.
 *
 *     vfork_exec_musl    vfork and exec of a static program (musl), until its main
 *     vfork_exec_glibc   the same with glibc
 *     crun, runc         the same program (musl) as the only file of a container
 *     fwp_load           an image of the cache: its file opened, its signature verified, its code
 *                        mapped, and an FWP started that initialises itself
 *     fwp_cold           a new FWP of a template: addresses are reserved, memory and stack made
 *                        accessible, and it runs
 *     fwp_warm           the same in a place that was cleaned after another FWP of the template
 *     fwp_hot            the same, always in the one place that was cleaned just before
 *
 * Process and FWP tell the time themselves as the first thing that they do: the process in main,
 * with CLOCK_MONOTONIC; the FWP in a host call that is the first instruction of its _start, with
 * the processor's counter (ticks.h), as clock_gettime() would be a good part of what is measured.
 *
 * All are measured in one process, in turns, so that whatever else this machine does hits all of
 * them. WARM_PER_ROUND FWPs are alive at once before the first of them ends: as many places are
 * used in turn, and between two uses of one the memory of about as many others goes through the
 * caches, as on a busy node. When an FWP ends, the engine reads what the next start needs
 * (fwp_pool_warm()); the some hundred nanoseconds that this takes are not part of any start, but of
 * the bench "churn".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/why.h"
#include "bench.h"
#include "container.h"
#include "fwp/fwp.h"
#include "fwp/fwp_template.h"
#include "guest.h"
#include "process.h"
#include "report.h"
#include "samples.h"
#include "ticks.h"

#define ROUNDS		     100u
#define ROUNDS_QUICK	     2u
#define WARM_PER_ROUND	     1024u
#define COLD_PER_ROUND	     50u
#define HOT_PER_ROUND	     200u
#define LOAD_PER_ROUND	     3u
#define PROCESS_PER_ROUND    5u
#define ROUNDS_PER_CONTAINER 5u /* containers take milliseconds */

enum { MUSL, GLIBC, CRUN, RUNC, LOAD, COLD, WARM, HOT, KINDS };

static const struct {
	const char *name;
	unsigned per_round;
} kinds[KINDS] = {
	[MUSL] = {"vfork_exec_musl", PROCESS_PER_ROUND},
	[GLIBC] = {"vfork_exec_glibc", PROCESS_PER_ROUND},
	[CRUN] = {"crun", 1},
	[RUNC] = {"runc", 1},
	[LOAD] = {"fwp_load", LOAD_PER_ROUND},
	[COLD] = {"fwp_cold", COLD_PER_ROUND},
	[WARM] = {"fwp_warm", WARM_PER_ROUND},
	[HOT] = {"fwp_hot", HOT_PER_ROUND},
};

struct start {
	struct bench *bench;
	char programs[2][BENCH_PATH_SIZE]; /* MUSL and GLIBC */
	struct container containers[2];	   /* CRUN and RUNC */
	struct eos_why missing[KINDS];	   /* why it cannot be measured; "": it can */
	struct guest guest;
	struct fwp_engine *engine;
	struct fwp_image *image;
	struct fwp_template *template;
	uint64_t zero_ticks, zero_ns; /* the same time on both clocks */
	struct fwp *kept[WARM_PER_ROUND];
	struct samples samples[KINDS];
};

static uint64_t first_ticks;

/* The guest's first instruction. */
static void host_first(struct fwp *fwp)
{
	first_ticks = ticks_now();
	fwp_host_enter(fwp);
	fwp_host_leave(fwp);
}

static const struct fwp_import imports[] = {{"bench", "first", ":", (void (*)(void))host_first}};

/* To its end. */
static int run_fwp(struct fwp *fwp, struct eos_why *why)
{
	if (fwp_run(fwp) != FWP_DEAD || fwp_death(fwp)->kind != FWP_DEATH_EXIT)
		return eos_why(why, -EIO, "the guest did not end as it should");
	return 0;
}

/* COUNT FWPs that are kept until the last has run: each needs a place of its own. Without SAMPLES
 * they only use the places. */
static int run_fwps(struct start *start, unsigned count, struct samples *samples,
		    struct eos_why *why)
{
	unsigned made = 0;
	int err = 0;

	start->zero_ns = eos_now_ns();
	start->zero_ticks = ticks_now();
	while (made < count && err == 0) {
		uint64_t start_ticks = ticks_now();

		/* A node's scheduler has just read the clock, and this is its reading. */
		fwp_engine_set_now(start->engine,
				   start->zero_ns +
					   ticks_between_ns(start->zero_ticks, start_ticks));
		err = fwp_new_from(start->template, NULL, NULL, &start->kept[made], why);
		if (err < 0)
			break;
		err = run_fwp(start->kept[made++], why);
		if (err == 0 && samples != NULL)
			samples_add(samples, ticks_between_ns(start_ticks, first_ticks));
	}
	for (unsigned i = 0; i < made; i++)
		fwp_free(start->kept[i]);
	while (fwp_engine_maintain(start->engine))
		;
	return err;
}

static int measure_load(struct start *start, struct eos_why *why)
{
	struct fwp_image *image;
	struct fwp *fwp = NULL;
	uint64_t start_ticks = ticks_now();
	int err = guest_load(&start->guest, imports, EOS_ARRAY_SIZE(imports), &image, why);

	if (err < 0)
		return err;
	err = fwp_new(start->engine, image, NULL, NULL, &fwp, why);
	if (err == 0)
		err = run_fwp(fwp, why);
	if (err == 0)
		samples_add(&start->samples[LOAD], ticks_between_ns(start_ticks, first_ticks));
	fwp_free(fwp);
	fwp_image_unref(image);
	return err;
}

/* On an engine of its own, so that its places are new. */
static int measure_fwps(struct start *start, struct eos_why *why)
{
	struct fwp_engine_config config = {.fwps_max = WARM_PER_ROUND + 1,
					   .pool_high = WARM_PER_ROUND};
	int err = fwp_engine_new(&config, &start->engine, why);

	if (err < 0)
		return err;
	err = fwp_template_new(start->engine, start->image, NULL, NULL, &start->template, why);
	if (err == 0)
		err = run_fwps(start, COLD_PER_ROUND, &start->samples[COLD], why);
	if (err == 0)
		err = run_fwps(start, WARM_PER_ROUND, NULL, why);
	if (err == 0)
		err = run_fwps(start, WARM_PER_ROUND, &start->samples[WARM], why);
	for (unsigned i = 0; i < HOT_PER_ROUND && err == 0; i++)
		err = run_fwps(start, 1, &start->samples[HOT], why);
	for (unsigned i = 0; i < LOAD_PER_ROUND && err == 0; i++)
		err = measure_load(start, why);
	start->template = fwp_template_unref(start->template);
	start->engine = fwp_engine_free(start->engine);
	return err;
}

static int measure_process(struct start *start, int kind, struct eos_why *why)
{
	char *const argv[] = {start->programs[kind], NULL};
	uint64_t ns;
	int err = process_time_start(argv, STDERR_FILENO, &ns, why);

	if (err == 0)
		samples_add(&start->samples[kind], ns);
	return err;
}

/* A runtime that fails is missing from then on: it is not what this bench is about. */
static void measure_container(struct start *start, int kind)
{
	uint64_t ns;

	if (container_time_start(&start->containers[kind - CRUN], &ns, &start->missing[kind]) == 0)
		samples_add(&start->samples[kind], ns);
}

static bool is_there(const struct start *start, int kind)
{
	return start->missing[kind].text[0] == '\0';
}

static int measure_round(struct start *start, unsigned round, struct eos_why *why)
{
	int err = 0;

	for (int kind = MUSL; kind <= GLIBC; kind++)
		for (unsigned i = 0; i < PROCESS_PER_ROUND && err == 0; i++)
			if (is_there(start, kind))
				err = measure_process(start, kind, why);
	for (int kind = CRUN; kind <= RUNC && err == 0; kind++)
		if (is_there(start, kind) && round % ROUNDS_PER_CONTAINER == 0)
			measure_container(start, kind);
	return err < 0 ? err : measure_fwps(start, why);
}

/* What there is to measure. What is missing is reported, and is no error. */
static void find_baselines(struct start *start)
{
	(void)!bench_find("start_child_musl", start->programs[MUSL], &start->missing[MUSL]);
	(void)!bench_find("start_child_glibc", start->programs[GLIBC], &start->missing[GLIBC]);
	for (int kind = CRUN; kind <= RUNC; kind++) {
		if (!is_there(start, MUSL))
			start->missing[kind] = start->missing[MUSL];
		else
			(void)!container_prepare(&start->containers[kind - CRUN], start->bench,
						 kinds[kind].name, start->programs[MUSL],
						 &start->missing[kind]);
	}
}

static void report(struct start *start)
{
	struct report *report = &start->bench->report;

	for (int kind = 0; kind < KINDS; kind++) {
		struct samples *samples = &start->samples[kind];

		if (is_there(start, kind))
			report_add_samples(report, kinds[kind].name, "ns", samples->values,
					   samples->count);
		else
			report_add_skipped(report, kinds[kind].name, start->missing[kind].text);
	}
	report_add_ratio(report, "vfork_exec_musl", "fwp_warm", 400);
	report_add_ratio(report, "vfork_exec_glibc", "fwp_warm", 1500);
	report_add_ratio(report, "crun", "fwp_warm", 50000);
	report_add_ratio(report, "runc", "fwp_warm", 50000);
	report_add_ratio(report, "vfork_exec_musl", "fwp_cold", 5);
	report_add_ratio(report, "vfork_exec_musl", "fwp_load", 0);
}

static int run(struct bench *bench, struct eos_why *why)
{
	static struct start start;
	unsigned rounds = bench_count(bench, ROUNDS, ROUNDS_QUICK);
	int err = guest_build(bench, "first", &start.guest, why);

	start.bench = bench;
	ticks_calibrate();
	if (err == 0)
		err = guest_load(&start.guest, imports, EOS_ARRAY_SIZE(imports), &start.image, why);
	if (err < 0)
		return err;
	find_baselines(&start);
	for (int kind = 0; kind < KINDS && err == 0; kind++)
		err = samples_init(&start.samples[kind], (size_t)rounds * kinds[kind].per_round,
				   why);
	for (unsigned round = 0; round < rounds && err == 0; round++)
		err = measure_round(&start, round, why);
	if (err == 0)
		report(&start);
	for (int kind = 0; kind < KINDS; kind++)
		samples_fini(&start.samples[kind]);
	fwp_image_unref(start.image);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "start", run);
}
