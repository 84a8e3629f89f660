/*
 * Bench "switch": from one to the other, on one core.
 *
 *     pipe                  two processes that wake each other through pipes, per switch
 *     futex                 the same with a word in shared memory
 *     fwp_switch            two FWPs of a tenant that yield to each other, through the scheduler
 *     fwp_switch_tenants    the same for FWPs of two tenants
 *
 * A switch between processes is half of a round trip. One between FWPs is too short to be measured
 * alone: a sample is FWP_SWITCHES of them.
 */
#include <errno.h>

#include "base/macros.h"
#include "bench.h"
#include "core.h"
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

struct pair {
	struct core core;
	struct sched_server tenants[2];
	struct core_fwp members[2];
	struct samples *samples;
	unsigned count;	      /* switches since the last sample */
	uint64_t start_ticks; /* when that was taken */
};

/* Each of the two comes here in turn, so a call is a switch. */
static void host_yield(struct fwp *fwp)
{
	fwp_host_enter(fwp);
	struct core_fwp *member = fwp_context(fwp);
	struct pair *pair = EOS_CONTAINER_OF(member->core, struct pair, core);

	if (++pair->count == FWP_SWITCHES) {
		uint64_t now = ticks_now();

		/* The first ones are not counted. */
		if (pair->start_ticks != 0)
			samples_add(pair->samples, ticks_between_ns(pair->start_ticks, now));
		pair->core.is_stopped = samples_is_full(pair->samples);
		pair->count = 0;
		pair->start_ticks = now;
	}
	fwp_yield_leave(fwp);
}

static const struct fwp_import imports[] = {{"bench", "yield", ":", (void (*)(void))host_yield}};

static int run_pair(struct pair *pair, struct fwp_image *image, bool has_one_tenant,
		    struct eos_why *why)
{
	int tenants = 0, err = 0;

	while (tenants < 2 && err == 0) {
		err = core_add_tenant(&pair->core, &pair->tenants[tenants], 0, 0, why);
		if (err < 0)
			break;
		struct sched_server *tenant = &pair->tenants[has_one_tenant ? 0 : tenants];

		err = core_add(&pair->core, &pair->members[tenants++], image, tenant,
			       SCHED_CLASS_DEFAULT, why);
	}
	if (err == 0)
		err = core_run(&pair->core, UINT64_MAX, why);
	for (int i = 0; i < 2; i++)
		core_remove(&pair->members[i]);
	for (int i = 0; i < tenants; i++)
		sched_server_fini(&pair->tenants[i]);
	return err;
}

static int measure_pair(struct bench *bench, const char *name, struct fwp_image *image,
			bool has_one_tenant, struct samples *samples, struct eos_why *why)
{
	static struct pair pair;
	struct core_config config = {.fwps_max = 2};
	int err;

	samples->count = 0;
	pair = (struct pair){.samples = samples};
	err = core_init(&pair.core, &config, why);
	if (err < 0)
		return err;
	err = run_pair(&pair, image, has_one_tenant, why);
	core_fini(&pair.core);
	if (err == 0)
		report_add_sums(&bench->report, name, "ns", samples->values, samples->count,
				FWP_SWITCHES);
	return err;
}

static int measure_fwps(struct bench *bench, struct samples *samples, struct eos_why *why)
{
	struct fwp_image *image;
	int err = guest_make(bench, "yield", imports, EOS_ARRAY_SIZE(imports), &image, why);

	if (err < 0)
		return err;
	err = measure_pair(bench, "fwp_switch", image, true, samples, why);
	if (err == 0)
		err = measure_pair(bench, "fwp_switch_tenants", image, false, samples, why);
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
