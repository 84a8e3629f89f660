/*
 * Bench "switch": from one to the other, on one core.
 *
 *     pipe          two processes that wake each other through pipes, per switch
 *     futex         the same with a word in shared memory
 *     fwp_switch    two FWPs that yield to each other
 *
 * A switch between processes is half of a round trip. One between FWPs is too short to be measured
 * alone: a sample is FWP_SWITCHES of them.
 */
#include <errno.h>

#include "base/macros.h"
#include "bench.h"
#include "fwp/fwp.h"
#include "guest.h"
#include "pingpong.h"
#include "report.h"
#include "samples.h"
#include "ticks.h"

#define ROUND_TRIPS	  100000u
#define ROUND_TRIPS_QUICK 100u
#define FWP_SWITCHES	  100u
#define FWP_SAMPLES	  20000u
#define FWP_SAMPLES_QUICK 20u

static void host_yield(struct fwp *fwp)
{
	fwp_host_enter(fwp);
	fwp_block(fwp);
	fwp_host_leave(fwp);
}

static const struct fwp_import imports[] = {{"bench", "yield", ":", (void (*)(void))host_yield}};

static int run_pair(struct fwp *const pair[2], struct samples *samples, struct eos_why *why)
{
	while (!samples_is_full(samples)) {
		uint64_t start = ticks_now();

		for (unsigned i = 0; i < FWP_SWITCHES; i++)
			if (fwp_run(pair[i % 2]) != FWP_BLOCKED)
				return eos_why(why, -EIO, "the guest ended");
		samples_add(samples, ticks_to_ns(ticks_now() - start));
	}
	return 0;
}

static int measure_fwps(struct bench *bench, struct samples *samples, struct eos_why *why)
{
	struct fwp_engine *engine = NULL;
	struct fwp_image *image = NULL;
	struct fwp *pair[2] = {NULL};
	int err = guest_make(bench, "yield", imports, EOS_ARRAY_SIZE(imports), &image, why);

	if (err == 0)
		err = fwp_engine_new(NULL, &engine, why);
	for (int i = 0; i < 2 && err == 0; i++)
		err = fwp_new(engine, image, NULL, NULL, &pair[i], why);
	if (err == 0)
		err = run_pair(pair, samples, why);
	for (int i = 0; i < 2; i++)
		fwp_free(pair[i]);
	fwp_engine_free(engine);
	fwp_image_unref(image);
	return err;
}

static int measure(struct bench *bench, struct samples *round_trips, struct samples *switches,
		   struct eos_why *why)
{
	int err = pingpong_pipe(1, round_trips, why);

	if (err < 0)
		return err;
	report_add_sums(&bench->report, "pipe", "ns", round_trips->values, round_trips->count,
			PINGPONG_EACH);
	round_trips->count = 0;
	err = pingpong_futex(round_trips, why);
	if (err < 0)
		return err;
	report_add_sums(&bench->report, "futex", "ns", round_trips->values, round_trips->count,
			PINGPONG_EACH);
	err = measure_fwps(bench, switches, why);
	if (err < 0)
		return err;
	report_add_sums(&bench->report, "fwp_switch", "ns", switches->values, switches->count,
			FWP_SWITCHES);
	report_add_ratio(&bench->report, "pipe", "fwp_switch", 15);
	report_add_ratio(&bench->report, "futex", "fwp_switch", 15);
	return 0;
}

static int run(struct bench *bench, struct eos_why *why)
{
	struct samples round_trips = {0}, switches = {0};
	int err = bench_pin(why);

	ticks_calibrate();
	if (err == 0)
		err = samples_init(&round_trips, bench_count(bench, ROUND_TRIPS, ROUND_TRIPS_QUICK),
				   why);
	if (err == 0)
		err = samples_init(&switches, bench_count(bench, FWP_SAMPLES, FWP_SAMPLES_QUICK),
				   why);
	if (err == 0)
		err = measure(bench, &round_trips, &switches, why);
	samples_fini(&round_trips);
	samples_fini(&switches);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "switch", run);
}
