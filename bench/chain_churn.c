/*
 * Bench "chain_churn": every packet is the first of a new client, so that a chain is made for it,
 * and one that was made a while ago, and is idle, is reclaimed. Chains a second on one core:
 *
 *     chain_churn_N      chains of N stages
 *
 * All of it counts: keys, tables, copies, and cleaning the places. The rate is that of the median
 * burst of 32.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/macros.h"
#include "chain_host.h"
#include "flow/flow.h"
#include "frame.h"
#include "report.h"
#include "samples.h"

/* Short ones, of some 100 microseconds: most are not interrupted. */
#define ROUNDS		   20000u
#define ROUNDS_QUICK	   100u
#define CHAINS_MAX	   1024u
#define CHAINS_PER_S_LEAST 100000.0
#define FRAME_BYTES	   64u
#define STAGES_MAX	   3u

struct churn {
	struct chain_host host;
	uint64_t now_ns; /* the chains' time: a packet each 1,000 ns */
	uint32_t clients;
	uint8_t frames[CHAIN_HOST_BURST][FRAME_BYTES];
	struct samples samples;
};

/* So many live at a time, whatever the rate is. */
#define PACKET_NS UINT64_C(1000)
#define IDLE_NS	  (CHAINS_MAX / 2 * PACKET_NS)

static void burst(struct churn *churn, struct chain_template *template)
{
	struct flow_packet headers[CHAIN_HOST_BURST];
	struct chain_packet packets[CHAIN_HOST_BURST];

	for (unsigned i = 0; i < CHAIN_HOST_BURST; i++) {
		frame_make(churn->frames[i], FRAME_BYTES, churn->clients++);
		flow_parse(churn->frames[i], FRAME_BYTES, &headers[i]);
		packets[i] = (struct chain_packet){
			.data = churn->frames[i],
			.len = FRAME_BYTES,
			.template = template,
			.headers = &headers[i],
		};
	}
	churn->now_ns += CHAIN_HOST_BURST * PACKET_NS;
	chains_deliver(churn->host.chains, packets, CHAIN_HOST_BURST, churn->now_ns);
	(void)chains_work(churn->host.chains, churn->now_ns);
}

static double add_rate(struct bench *bench, struct churn *churn, const char *name)
{
	double rate =
		(double)CHAIN_HOST_BURST * EOS_NS_PER_S / (double)samples_median(&churn->samples);

	report_add_rate(&bench->report, name, "1/s", churn->samples.count * CHAIN_HOST_BURST, rate);
	return rate;
}

static int measure(struct bench *bench, struct churn *churn, const char *name, unsigned stages,
		   double *ret_rate, struct eos_why *why)
{
	struct chain_template *template;
	struct chain_stats stats;
	int err = chain_host_apply(&churn->host, name, stages, 1, IDLE_NS, &template, why);

	if (err < 0)
		return err;
	churn->samples.count = 0;
	/* Until as many are reclaimed as are made. */
	for (unsigned i = 0; i < 2 * CHAINS_MAX / CHAIN_HOST_BURST; i++)
		burst(churn, template);
	while (!samples_is_full(&churn->samples)) {
		uint64_t start_ns = eos_now_ns();

		burst(churn, template);
		samples_add(&churn->samples, eos_now_ns() - start_ns);
	}
	chain_template_stats(template, &stats);
	if (stats.limit != 0 || stats.started != stats.packets)
		err = eos_why(why, -EIO, "%llu of %llu clients had no chain",
			      (unsigned long long)(stats.packets - stats.started),
			      (unsigned long long)stats.packets);
	*ret_rate = add_rate(bench, churn, name);
	if (chain_template_remove(churn->host.chains, name) < 0)
		err = eos_why(why, -EIO, "the template is gone");
	while (fwp_engine_maintain(churn->host.engine))
		;
	return err;
}

static int run_all(struct bench *bench, struct churn *churn, struct eos_why *why)
{
	double rate = 0;
	int err = measure(bench, churn, "chain_churn_1", 1, &rate, why);

	if (err < 0)
		return err;
	report_add_least(&bench->report, "chain_churn_1/100000_per_s", rate / CHAINS_PER_S_LEAST,
			 1);
	err = measure(bench, churn, "chain_churn_3", 3, &rate, why);
	if (err < 0)
		return err;
	report_add_least(&bench->report, "chain_churn_3/100000_per_s", rate / CHAINS_PER_S_LEAST,
			 1);
	return 0;
}

static int run(struct bench *bench, struct eos_why *why)
{
	static struct churn churn;
	int err = bench_pin(why);

	churn.now_ns = eos_now_ns();
	if (err == 0)
		err = samples_init(&churn.samples, bench_count(bench, ROUNDS, ROUNDS_QUICK), why);
	if (err == 0)
		err = chain_host_init(&churn.host, bench, (CHAINS_MAX + 64) * STAGES_MAX,
				      CHAINS_MAX, why);
	if (err == 0)
		err = run_all(bench, &churn, why);
	chain_host_fini(&churn.host);
	samples_fini(&churn.samples);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "chain_churn", run);
}
