/*
 * Bench "chain", its part without ports: packets of 1,000 clients, each with a chain of its own, in
 * turns, so that no two packets that follow each other meet the same FWPs. They come from memory,
 * in bursts of 32, are parsed, pass stages that count them, and are counted when they leave.
 * Nanoseconds a packet:
 *
 *     native_N_BYTES     N stages' work as C functions, over a copy of the packet
 *     one_fwp_N_BYTES    N stages' work in one FWP for each client
 *     chain_N_BYTES      N stages: N FWPs for each client
 *     chain_warm_N_BYTES the same for 64 clients, whose chains stay in the processor's caches
 *     stage_BYTES_ns     what one more stage costs: the difference, divided; stage_warm_… likewise
 *
 * and the rate of a core for one stage. A sample is a burst.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "chain_host.h"
#include "flow/flow.h"
#include "frame.h"
#include "report.h"
#include "samples.h"
#include "ticks.h"

#define CLIENTS	      1000u
#define CLIENTS_QUICK 64u
#define CLIENTS_WARM  64u
#define BURSTS	      60000u
#define BURSTS_QUICK  100u
#define STAGES_MAX    6u
#define CLIENT_FWPS   (STAGES_MAX + 2u)
#define STAGE_NS_MOST 250.0
#define MPPS_LEAST    1.0
#define HEADROOM      128u

/* What a native function would keep of a client, as far apart as FWPs' memories are not. */
struct native_client {
	struct {
		volatile uint64_t packets, bytes, ipv4, short_ones;
	} counts[STAGES_MAX];
	uint8_t packet[HEADROOM + FRAME_MAX];
};

struct run {
	struct chain_host host;
	unsigned clients, next;
	uint32_t bytes;
	uint8_t (*frames)[FRAME_MAX];
	struct native_client *natives;
	uint64_t native_sent;
	unsigned bursts; /* of the last row */
	struct samples samples;
};

static __attribute__((noinline)) bool native_count(struct native_client *client, unsigned stage,
						   const uint8_t *packet, uint32_t len)
{
	client->counts[stage].packets++;
	client->counts[stage].bytes += len;
	client->counts[stage].ipv4 += packet[12] == 8 && packet[13] == 0;
	if (len >= 60)
		return true;
	client->counts[stage].short_ones++;
	return false;
}

/* The clients of the next burst begin here. */
static unsigned take_clients(struct run *run)
{
	unsigned first = run->next;

	run->next = (first + CHAIN_HOST_BURST) % run->clients;
	return first;
}

static void native_burst(struct run *run, unsigned stages)
{
	unsigned first = take_clients(run);
	struct flow_packet headers;

	for (unsigned i = 0; i < CHAIN_HOST_BURST; i++) {
		unsigned at = (first + i) % run->clients;
		struct native_client *client = &run->natives[at];
		uint8_t *packet = client->packet + HEADROOM;
		bool passes = flow_parse(run->frames[at], run->bytes, &headers) == FLOW_IPV4;

		memcpy(packet, run->frames[at], run->bytes);
		for (unsigned stage = 0; stage < stages && passes; stage++)
			passes = native_count(client, stage, packet, run->bytes);
		run->native_sent += passes;
	}
}

static void chain_burst(struct run *run, struct chain_template *template)
{
	unsigned first = take_clients(run);
	struct flow_packet headers[CHAIN_HOST_BURST];
	struct chain_packet packets[CHAIN_HOST_BURST];

	for (unsigned i = 0; i < CHAIN_HOST_BURST; i++) {
		unsigned at = (first + i) % run->clients;

		flow_parse(run->frames[at], run->bytes, &headers[i]);
		packets[i] = (struct chain_packet){
			.data = run->frames[at],
			.len = run->bytes,
			.template = template,
			.headers = &headers[i],
		};
	}
	chains_deliver(run->host.chains, packets, CHAIN_HOST_BURST, eos_now_ns());
}

/* With a template, or natively. The first packets of each client are not counted. */
static void take_samples(struct run *run, struct chain_template *template, unsigned stages)
{
	unsigned first = 2 * run->clients / CHAIN_HOST_BURST + 1;

	run->samples.count = 0;
	run->bursts = 0;
	while (!samples_is_full(&run->samples)) {
		uint64_t start = ticks_now();

		if (template != NULL)
			chain_burst(run, template);
		else
			native_burst(run, stages);
		uint64_t end = ticks_now();

		if (run->bursts++ >= first)
			samples_add(&run->samples, ticks_between_ns(start, end));
	}
}

static const char *name_row(char *out, size_t size, const char *what, unsigned stages,
			    uint32_t bytes)
{
	(void)snprintf(out, size, "%s_%u_%u", what, stages, bytes);
	return out;
}

/* The report keeps names: they live as long as it. */
static void add_row(struct bench *bench, struct run *run, const char *what, unsigned stages)
{
	static char names[REPORT_ROWS_MAX][REPORT_NAME_SIZE];
	char *name = names[bench->report.rows_count];

	name_row(name, sizeof(names[0]), what, stages, run->bytes);
	report_add_sums(&bench->report, name, "ns", run->samples.values, run->samples.count,
			CHAIN_HOST_BURST);
}

/* STAGES FWPs a client, each with the work of WORK stages. */
static int measure_chains(struct bench *bench, struct run *run, const char *what, unsigned stages,
			  unsigned work, struct eos_why *why)
{
	struct chain_template *template;
	uint64_t sent = run->host.sent;
	int err = chain_host_apply(&run->host, what, stages, work, 0, &template, why);

	if (err < 0)
		return err;
	take_samples(run, template, 0);
	uint64_t expected = (uint64_t)run->bursts * CHAIN_HOST_BURST;

	if (run->host.sent - sent != expected)
		err = eos_why(why, -EIO, "%llu packets left, expected %llu",
			      (unsigned long long)(run->host.sent - sent),
			      (unsigned long long)expected);
	add_row(bench, run, what, stages * work);
	if (chain_template_remove(run->host.chains, what) < 0)
		err = eos_why(why, -EIO, "the template is gone");
	while (fwp_engine_maintain(run->host.engine))
		;
	return err;
}

static int measure_stages(struct bench *bench, struct run *run, unsigned stages,
			  struct eos_why *why)
{
	take_samples(run, NULL, stages);
	add_row(bench, run, "native", stages);
	int err = measure_chains(bench, run, "one_fwp", 1, stages, why);

	return err < 0 ? err : measure_chains(bench, run, "chain", stages, 1, why);
}

static double median_of(struct bench *bench, const char *what, unsigned stages, uint32_t bytes)
{
	char name[REPORT_NAME_SIZE];
	const struct report_row *row =
		report_find(&bench->report, name_row(name, sizeof(name), what, stages, bytes));

	return row != NULL ? row->p50 : 0;
}

static void add_ratios(struct bench *bench, uint32_t bytes, unsigned stages)
{
	static const char *const baselines[] = {"native", "one_fwp"};
	char baseline[REPORT_NAME_SIZE], ours[REPORT_NAME_SIZE];

	for (size_t i = 0; i < EOS_ARRAY_SIZE(baselines); i++)
		report_add_ratio(&bench->report,
				 name_row(baseline, sizeof(baseline), baselines[i], stages, bytes),
				 name_row(ours, sizeof(ours), "chain", stages, bytes), 0);
}

/* What one more stage costs, of the rows WHAT. */
static void add_stage(struct bench *bench, const char *what, const char *name, uint32_t bytes)
{
	char text[REPORT_NAME_SIZE];
	double one = median_of(bench, what, 1, bytes);
	double all = median_of(bench, what, STAGES_MAX, bytes);

	(void)snprintf(text, sizeof(text), "%s_%u_ns", name, bytes);
	report_add_limit(&bench->report, text, (all - one) / (STAGES_MAX - 1), STAGE_NS_MOST);
}

static int measure_bytes(struct bench *bench, struct run *run, uint32_t bytes, struct eos_why *why)
{
	static const unsigned stages[] = {1, 3, 6};
	unsigned clients = run->clients;
	char name[REPORT_NAME_SIZE];
	int err = 0;

	run->bytes = bytes;
	for (unsigned i = 0; i < run->clients; i++)
		frame_make(run->frames[i], bytes, i);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(stages) && err == 0; i++)
		err = measure_stages(bench, run, stages[i], why);
	if (err < 0)
		return err;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(stages); i++)
		add_ratios(bench, bytes, stages[i]);
	add_stage(bench, "chain", "stage", bytes);
	double one = median_of(bench, "chain", 1, bytes);

	(void)snprintf(name, sizeof(name), "chain_1_%u/1_mpps", bytes);
	report_add_least(&bench->report, name, one > 0 ? 1000 / one / MPPS_LEAST : 0, 1);
	run->clients = EOS_MIN(clients, CLIENTS_WARM);
	run->next = 0;
	err = measure_chains(bench, run, "chain_warm", 1, 1, why);
	if (err == 0)
		err = measure_chains(bench, run, "chain_warm", STAGES_MAX, 1, why);
	run->clients = clients;
	add_stage(bench, "chain_warm", "stage_warm", bytes);
	return err;
}

static int run(struct bench *bench, struct eos_why *why)
{
	static struct run run;
	unsigned clients = bench_count(bench, CLIENTS, CLIENTS_QUICK);
	int err = bench_pin(why);

	ticks_calibrate();
	run.clients = clients;
	run.frames = calloc(clients, sizeof(run.frames[0]));
	run.natives = calloc(clients, sizeof(run.natives[0]));
	if (run.frames == NULL || run.natives == NULL)
		err = eos_why(why, -ENOMEM, "no memory for %u clients", clients);
	if (err == 0)
		err = samples_init(&run.samples, bench_count(bench, BURSTS, BURSTS_QUICK), why);
	if (err == 0)
		err = chain_host_init(&run.host, bench, clients * CLIENT_FWPS, clients, why);
	if (err == 0)
		err = measure_bytes(bench, &run, 64, why);
	if (err == 0)
		err = measure_bytes(bench, &run, 1500, why);
	chain_host_fini(&run.host);
	samples_fini(&run.samples);
	free(run.frames);
	free(run.natives);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "chain_memory", run);
}
