/*
 * Bench "churn": how many a second can be made, run, ended and cleaned up after on one core, where
 * each writes to four pages of memory.
 *
 *     vfork_exec_wait_musl    processes of a static program (musl): vfork, exec, and wait
 *     fwp_churn               FWPs of a template, one after the other; the time in which their
 *                             places are cleaned counts
 *
 * In turns, so that whatever else this machine does hits both; a rate is that of the median turn.
 */
#include <errno.h>

#include "base/clock.h"
#include "base/macros.h"
#include "bench.h"
#include "fwp/fwp.h"
#include "fwp/fwp_template.h"
#include "guest.h"
#include "process.h"
#include "report.h"
#include "samples.h"

/* Short ones, of about a millisecond: most are not interrupted. */
#define ROUNDS		     1000u
#define ROUNDS_QUICK	     2u
#define FWPS_PER_ROUND	     500u
#define FWPS_PER_ROUND_QUICK 100u
#define PROCESSES_PER_ROUND  5u
/* What the project promises a core does. */
#define FWPS_PER_S_LEAST 300000

struct churn {
	struct fwp_engine *engine;
	struct fwp_image *image;
	struct fwp_template *template;
	struct samples fwps, processes; /* the nanoseconds of a round */
};

static int run_fwps(struct churn *churn, unsigned count, struct eos_why *why)
{
	for (unsigned i = 0; i < count; i++) {
		struct fwp *fwp;
		int err = fwp_new_from(churn->template, NULL, NULL, &fwp, why);

		if (err < 0)
			return err;
		bool is_ok = fwp_run(fwp) == FWP_DEAD && fwp_death(fwp)->kind == FWP_DEATH_EXIT;

		fwp_free(fwp);
		if (!is_ok)
			return eos_why(why, -EIO, "the guest did not end as it should");
	}
	/* Each was cleaned for the next one, but for the last. */
	while (fwp_engine_maintain(churn->engine))
		;
	return 0;
}

static int run_processes(char *program, unsigned count, struct eos_why *why)
{
	char *const argv[] = {program, NULL};
	int err = 0;

	for (unsigned i = 0; i < count && err == 0; i++)
		err = process_run(argv, why);
	return err;
}

/* Fills the samples with the nanoseconds of rounds. PROGRAM may be "": there is none. */
static int run_rounds(struct churn *churn, unsigned fwps, char *program, struct eos_why *why)
{
	while (!samples_is_full(&churn->fwps)) {
		uint64_t start_ns = eos_now_ns();
		int err = program[0] == '\0' ? 0 : run_processes(program, PROCESSES_PER_ROUND, why);

		if (err < 0)
			return err;
		uint64_t middle_ns = eos_now_ns();

		err = run_fwps(churn, fwps, why);
		if (err < 0)
			return err;
		samples_add(&churn->fwps, eos_now_ns() - middle_ns);
		samples_add(&churn->processes, middle_ns - start_ns);
	}
	return 0;
}

static double add_rate(struct report *report, const char *name, struct samples *rounds,
		       unsigned per_round)
{
	double rate = (double)per_round * EOS_NS_PER_S / (double)samples_median(rounds);

	report_add_rate(report, name, "1/s", rounds->count * per_round, rate);
	return rate;
}

static int measure(struct churn *churn, struct bench *bench, struct eos_why *why)
{
	static char program[BENCH_PATH_SIZE];
	struct report *report = &bench->report;
	unsigned fwps = bench_count(bench, FWPS_PER_ROUND, FWPS_PER_ROUND_QUICK);
	struct eos_why missing = {0};

	if (bench_find("churn_child", program, &missing) < 0)
		program[0] = '\0';
	int err = run_rounds(churn, fwps, program, why);

	if (err < 0)
		return err;
	if (program[0] != '\0')
		add_rate(report, "vfork_exec_wait_musl", &churn->processes, PROCESSES_PER_ROUND);
	else
		report_add_skipped(report, "vfork_exec_wait_musl", missing.text);
	double rate = add_rate(report, "fwp_churn", &churn->fwps, fwps);

	report_add_rate_ratio(report, "fwp_churn", "vfork_exec_wait_musl", 40);
	report_add_least(report, "fwp_churn/300000_per_s", rate / FWPS_PER_S_LEAST, 1);
	return 0;
}

static int run(struct bench *bench, struct eos_why *why)
{
	struct churn churn = {0};
	unsigned rounds = bench_count(bench, ROUNDS, ROUNDS_QUICK);
	int err = bench_pin(why);

	if (err == 0)
		err = samples_init(&churn.fwps, rounds, why);
	if (err == 0)
		err = samples_init(&churn.processes, rounds, why);
	if (err == 0)
		err = guest_make(bench, "dirty", NULL, 0, &churn.image, why);
	if (err == 0)
		err = fwp_engine_new(NULL, &churn.engine, why);
	if (err == 0)
		err = fwp_template_new(churn.engine, churn.image, NULL, NULL, &churn.template, why);
	if (err == 0)
		err = measure(&churn, bench, why);
	fwp_template_unref(churn.template);
	fwp_engine_free(churn.engine);
	fwp_image_unref(churn.image);
	samples_fini(&churn.fwps);
	samples_fini(&churn.processes);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "churn", run);
}
