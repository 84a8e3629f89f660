/*
 * Bench "churn": how many a second can be made, run, ended and cleaned up after on one core, where
 * each writes to four pages of memory.
 *
 *     vfork_exec_wait_musl    processes of a static program (musl): vfork, exec, and wait
 *     fwp_churn               FWPs of a template, one after the other; the time in which their
 *                             places are cleaned counts
 *
 * In turns, so that whatever else this machine does hits both.
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

#define ROUNDS			  10u
#define ROUNDS_QUICK		  2u
#define FWPS_PER_ROUND		  100000u
#define FWPS_PER_ROUND_QUICK	  100u
#define PROCESSES_PER_ROUND	  500u
#define PROCESSES_PER_ROUND_QUICK 5u
/* What the project promises a core does. */
#define FWPS_PER_S_LEAST 300000

struct churn {
	struct fwp_engine *engine;
	struct fwp_image *image;
	struct fwp_template *template;
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

static int measure(struct churn *churn, struct bench *bench, struct eos_why *why)
{
	static char program[BENCH_PATH_SIZE];
	unsigned rounds = bench_count(bench, ROUNDS, ROUNDS_QUICK);
	unsigned fwps = bench_count(bench, FWPS_PER_ROUND, FWPS_PER_ROUND_QUICK);
	unsigned processes = bench_count(bench, PROCESSES_PER_ROUND, PROCESSES_PER_ROUND_QUICK);
	uint64_t fwps_ns = 0, processes_ns = 0;
	struct eos_why missing = {0};
	bool has_program = bench_find("churn_child", program, &missing) == 0;
	int err = 0;

	for (unsigned round = 0; round < rounds && err == 0; round++) {
		uint64_t start_ns = eos_now_ns();

		if (has_program)
			err = run_processes(program, processes, why);
		uint64_t middle_ns = eos_now_ns();

		if (err == 0)
			err = run_fwps(churn, fwps, why);
		processes_ns += middle_ns - start_ns;
		fwps_ns += eos_now_ns() - middle_ns;
	}
	if (err < 0)
		return err;
	size_t count = (size_t)rounds * processes;

	if (has_program)
		report_add_rate(&bench->report, "vfork_exec_wait_musl", "1/s", count,
				(double)count * EOS_NS_PER_S / (double)processes_ns);
	else
		report_add_skipped(&bench->report, "vfork_exec_wait_musl", missing.text);
	count = (size_t)rounds * fwps;
	double rate = (double)count * EOS_NS_PER_S / (double)fwps_ns;

	report_add_rate(&bench->report, "fwp_churn", "1/s", count, rate);
	report_add_rate_ratio(&bench->report, "fwp_churn", "vfork_exec_wait_musl", 40);
	report_add_least(&bench->report, "fwp_churn/300000_per_s", rate / FWPS_PER_S_LEAST, 1);
	return 0;
}

static int run(struct bench *bench, struct eos_why *why)
{
	struct churn churn = {0};
	int err = bench_pin(why);

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
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "churn", run);
}
