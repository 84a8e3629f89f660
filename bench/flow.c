/*
 * Bench "flow": which flow a packet belongs to, with a million of them, on one core.
 *
 *     flow_lookup_1m        a flow's value by its key, hash included; packets come in bursts of
 *                           BURST, as ports receive them
 *     flow_lookup_1m_alone  the same for packets that come alone: none is looked up before the one
 *                           before it was found
 *     flow_add_1m           a flow goes and another one comes, in the full table, in bursts; both
 *                           together
 *     flow_parse_key        a packet's headers, and the key of its flow; it is in the caches
 *     chained_lookup_1m     the table that everybody writes first: as many chains as flows, nodes
 *                           from malloc(); the same keys, hash and bursts as flow_lookup_1m
 *
 * All flows are as likely as others. A sample is a burst, whose keys are in the caches, as they are
 * when packets were just parsed. Both tables are measured in turns.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "bench.h"
#include "flow/flow.h"
#include "flow/flow_table.h"
#include "report.h"
#include "samples.h"
#include "ticks.h"

#define FLOWS		1000000u
#define FLOWS_QUICK	1000u
#define BURST		32u
#define ROUNDS		20u
#define PER_ROUND	2000u /* samples */
#define PER_ROUND_QUICK 5u
#define SEED		UINT64_C(0x5eedf00d)

/* The most that a lookup may take. */
#define LOOKUP_NS_MAX 100.0

struct node {
	struct node *next;
	struct flow_key key;
	uint64_t value;
};

struct chained {
	struct node **chains;
	uint64_t mask;
};

enum { LOOKUP, ALONE, ADD, PARSE, CHAINED, ROWS };

struct run {
	struct flow_table *table;
	struct chained chained;
	struct flow_key *keys; /* of as many flows as there are, and SPARE more */
	uint32_t flows;
	uint64_t random;
	struct samples samples[ROWS];
	/* The burst. */
	struct flow_key burst[BURST];
	uint64_t expected[BURST]; /* values */
};

static uint64_t next_random(struct run *run)
{
	run->random ^= run->random << 13;
	run->random ^= run->random >> 7;
	run->random ^= run->random << 17;
	return run->random;
}

/* Flow N: a client of 10.0.0.0/8 speaks to one of 250 servers. No two are the same. */
static struct flow_key make_key(struct run *run, uint32_t n)
{
	uint64_t r = next_random(run);
	struct flow_key key = {.low_port = (uint16_t)r, .high_port = 53, .domain = 1, .proto = 17};
	const uint8_t low[6] = {0xff, 0xff, 10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	const uint8_t high[6] = {0xff, 0xff, 192, 0, 2, (uint8_t)(r >> 16) % 250};

	memcpy(key.low + 10, low, 6);
	memcpy(key.high + 10, high, 6);
	return key;
}

static int chained_init(struct run *run, struct eos_why *why)
{
	uint64_t size = 1;

	while (size < run->flows)
		size *= 2;
	run->chained.mask = size - 1;
	run->chained.chains = calloc(size, sizeof(struct node *));
	if (run->chained.chains == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < run->flows; i++) {
		uint64_t hash = flow_table_hash(run->table, &run->keys[i]);
		struct node **chain = &run->chained.chains[hash & run->chained.mask];
		struct node *node = malloc(sizeof(*node));

		if (node == NULL)
			return eos_why(why, -ENOMEM, "out of memory");
		*node = (struct node){.next = *chain, .key = run->keys[i], .value = i};
		*chain = node;
	}
	return 0;
}

static void chained_fini(struct chained *chained)
{
	for (uint64_t i = 0; chained->chains != NULL && i <= chained->mask; i++) {
		while (chained->chains[i] != NULL) {
			struct node *node = chained->chains[i];

			chained->chains[i] = node->next;
			free(node);
		}
	}
	free(chained->chains);
}

static const struct node *chained_find(const struct chained *chained, const struct flow_key *key,
				       uint64_t hash)
{
	const struct node *node = chained->chains[hash & chained->mask];

	while (node != NULL && memcmp(&node->key, key, sizeof(*key)) != 0)
		node = node->next;
	return node;
}

static int fill_table(struct run *run, struct eos_why *why)
{
	struct flow_table_config config = {
		.flows_max = run->flows, .idle_ns = UINT64_C(60000000000), .seed = SEED};
	flow_id id;
	int err = flow_table_new(&config, &run->table, why);

	for (uint32_t i = 0; err == 0 && i < run->flows; i++) {
		run->keys[i] = make_key(run, i);
		err = flow_table_add(run->table, &run->keys[i],
				     flow_table_hash(run->table, &run->keys[i]), 0, i, i, &id);
		if (err < 0)
			return eos_why(why, err, "flow %u: %s", i, strerror(-err));
	}
	return err;
}

static int init(struct run *run, const struct bench *bench, struct eos_why *why)
{
	unsigned per_round = bench_count(bench, PER_ROUND, PER_ROUND_QUICK);
	int err = 0;

	run->flows = bench_count(bench, FLOWS, FLOWS_QUICK);
	run->random = SEED;
	run->keys = calloc(run->flows, sizeof(*run->keys));
	if (run->keys == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	for (unsigned row = 0; err == 0 && row < ROWS; row++)
		err = samples_init(&run->samples[row], (size_t)ROUNDS * per_round, why);
	if (err == 0)
		err = fill_table(run, why);
	return err < 0 ? err : chained_init(run, why);
}

static void fini(struct run *run)
{
	chained_fini(&run->chained);
	flow_table_free(run->table);
	for (unsigned row = 0; row < ROWS; row++)
		samples_fini(&run->samples[row]);
	free(run->keys);
}

static void choose_burst(struct run *run)
{
	for (unsigned i = 0; i < BURST; i++) {
		run->expected[i] = next_random(run) % run->flows;
		run->burst[i] = run->keys[run->expected[i]];
	}
}

/* What was found is what was looked for. */
static int check(const uint64_t found[BURST], const struct run *run, struct eos_why *why)
{
	if (memcmp(found, run->expected, sizeof(run->expected)) == 0)
		return 0;
	return eos_why(why, -EIO, "the table has another value than was put in");
}

static int lookup(struct run *run, struct eos_why *why)
{
	uint64_t hashes[BURST], found[BURST];
	uint64_t start = ticks_now();

	for (unsigned i = 0; i < BURST; i++) {
		hashes[i] = flow_table_hash(run->table, &run->burst[i]);
		flow_table_prefetch(run->table, hashes[i]);
	}
	for (unsigned i = 0; i < BURST; i++)
		flow_table_prefetch_flow(run->table, hashes[i]);
	for (unsigned i = 0; i < BURST; i++) {
		flow_id id = flow_table_find(run->table, &run->burst[i], hashes[i]);

		found[i] = id == FLOW_NONE ? UINT64_MAX : flow_table_value(run->table, id);
	}
	samples_add(&run->samples[LOOKUP], ticks_between_ns(start, ticks_now()));
	return check(found, run, why);
}

static int lookup_alone(struct run *run, struct eos_why *why)
{
	uint64_t found[BURST], last = 0;
	uint64_t start = ticks_now();

	for (unsigned i = 0; i < BURST; i++) {
		/* The processor does not know that this is nothing, so it has to wait for LAST. */
		__asm__ volatile("" : "+r"(last));
		struct flow_key key = run->burst[i];

		key.reserved[0] = (uint8_t)(last >> 56);
		flow_id id = flow_table_find(run->table, &key, flow_table_hash(run->table, &key));

		found[i] = id == FLOW_NONE ? UINT64_MAX : flow_table_value(run->table, id);
		last = found[i];
	}
	samples_add(&run->samples[ALONE], ticks_between_ns(start, ticks_now()));
	return check(found, run, why);
}

static int lookup_chained(struct run *run, struct eos_why *why)
{
	uint64_t found[BURST];
	uint64_t start = ticks_now();

	for (unsigned i = 0; i < BURST; i++) {
		const struct node *node = chained_find(&run->chained, &run->burst[i],
						       flow_table_hash(run->table, &run->burst[i]));

		found[i] = node == NULL ? UINT64_MAX : node->value;
	}
	samples_add(&run->samples[CHAINED], ticks_between_ns(start, ticks_now()));
	return check(found, run, why);
}

/* The flows of the burst go, and come again. One that is there twice goes once. */
static int replace(struct run *run, struct eos_why *why)
{
	uint64_t hashes[BURST];
	flow_id id;
	int err = 0;
	uint64_t start = ticks_now();

	for (unsigned i = 0; i < BURST; i++) {
		hashes[i] = flow_table_hash(run->table, &run->burst[i]);
		flow_table_prefetch(run->table, hashes[i]);
	}
	for (unsigned i = 0; i < BURST; i++)
		flow_table_prefetch_flow(run->table, hashes[i]);
	for (unsigned i = 0; i < BURST; i++) {
		id = flow_table_find(run->table, &run->burst[i], hashes[i]);
		if (id != FLOW_NONE)
			flow_table_remove(run->table, id);
	}
	for (unsigned i = 0; i < BURST && (err == 0 || err == -EEXIST); i++)
		err = flow_table_add(run->table, &run->burst[i], hashes[i], 0, run->expected[i], 0,
				     &id);
	samples_add(&run->samples[ADD], ticks_between_ns(start, ticks_now()));
	return err == -EEXIST || err == 0 ? 0 : eos_why(why, err, "adding: %s", strerror(-err));
}

/* UDP from 10.0.0.1 with a payload of 18 bytes: the shortest frame. */
static const uint8_t frame[60] = {
	2,    0, 0, 0,	0, 1,  2, 0, 0,	 0,  0, 2, 8,  0,		      /* Ethernet */
	0x45, 0, 0, 46, 0, 0,  0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, /* IPv4 */
	0xc0, 0, 0, 53, 0, 26, 0, 0,					      /* UDP */
};

static int parse(struct run *run, struct eos_why *why)
{
	uint8_t copies[BURST][sizeof(frame)];
	unsigned good = 0;

	for (unsigned i = 0; i < BURST; i++) {
		memcpy(copies[i], frame, sizeof(frame));
		copies[i][29] = (uint8_t)i;
	}
	uint64_t start = ticks_now();

	for (unsigned i = 0; i < BURST; i++) {
		struct flow_packet packet;

		if (flow_parse(copies[i], sizeof(frame), &packet) == FLOW_IPV4)
			good += flow_key_of(&packet, 1, &run->burst[i]);
	}
	samples_add(&run->samples[PARSE], ticks_between_ns(start, ticks_now()));
	return good == BURST ? 0 : eos_why(why, -EIO, "a good packet was found bad");
}

static int measure(struct run *run, unsigned per_round, struct eos_why *why)
{
	static int (*const kinds[ROWS])(struct run * run, struct eos_why * why) = {
		[LOOKUP] = lookup, [ALONE] = lookup_alone,     [ADD] = replace,
		[PARSE] = parse,   [CHAINED] = lookup_chained,
	};

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned row = 0; row < ROWS; row++) {
			for (unsigned i = 0; i < per_round; i++) {
				choose_burst(run);
				int err = kinds[row](run, why);

				if (err < 0)
					return err;
			}
		}
	}
	return 0;
}

static int run_flow(struct bench *bench, struct eos_why *why)
{
	static const char *const names[ROWS] = {
		[LOOKUP] = "flow_lookup_1m",	 [ALONE] = "flow_lookup_1m_alone",
		[ADD] = "flow_add_1m",		 [PARSE] = "flow_parse_key",
		[CHAINED] = "chained_lookup_1m",
	};
	struct run run = {0};
	int err = bench_pin(why);

	ticks_calibrate();
	if (err == 0)
		err = init(&run, bench, why);
	if (err == 0)
		err = measure(&run, bench_count(bench, PER_ROUND, PER_ROUND_QUICK), why);
	for (unsigned row = 0; err == 0 && row < ROWS; row++)
		report_add_sums(&bench->report, names[row], "ns", run.samples[row].values,
				run.samples[row].count, BURST);
	if (err == 0) {
		report_add_ratio(&bench->report, names[CHAINED], names[LOOKUP], 2);
		report_add_limit(&bench->report, "flow_lookup_1m_ns",
				 report_find(&bench->report, names[LOOKUP])->p50, LOOKUP_NS_MAX);
	}
	fini(&run);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "flow", run_flow);
}
