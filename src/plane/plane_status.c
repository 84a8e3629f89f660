/*
 * The data plane's state as one JSON document, for `edgeos chain show`, metrics and tests. Each
 * core in turn adds what it has to sums, which are then written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "plane/plane_cores.h"
#include "plane/plane_ports.h"
#include "plane/plane_priv.h"

struct counter {
	char *name; /* owned */
	uint64_t value;
};

struct stage_sum {
	struct chain_stage_stats stats;
	struct counter *counters; /* owned */
	size_t count, room, at;	  /* AT: where the next name is looked for first */
	bool *has_failed;	  /* the sum's */
};

struct entry_sum {
	struct chain_stats stats;
	struct plane_stream_stats streams; /* its home's */
	bool has_tls;
	int64_t tls_not_after;
	struct stage_sum *stages; /* owned; as many as the manifest has */
};

struct core_sum {
	uint64_t fwps, fwps_peak, chains, received;
};

struct sum {
	const char *only; /* a chain's name; NULL: all */
	struct entry_sum *entries;
	unsigned entries_count;
	struct core_sum cores[PLANE_CORES_MAX];
	struct plane_stats stats;
	struct plane_port_counts ports[NIC_PORTS_MAX];
	bool has_failed; /* no memory */
};

/* --- adding, on each core --- */

static int make_room(struct stage_sum *sum)
{
	if (sum->count < sum->room)
		return 0;
	size_t room = sum->room == 0 ? 16 : 2 * sum->room;
	struct counter *counters = reallocarray(sum->counters, room, sizeof(*counters));
	if (counters == NULL)
		return -ENOMEM;
	sum->counters = counters;
	sum->room = room;
	return 0;
}

/* All cores name them in the same order, as they have the same image. */
static void add_counter(void *ctx, const char *name, uint64_t value)
{
	struct stage_sum *sum = ctx;
	for (size_t i = 0; i < sum->count; i++) {
		struct counter *counter = &sum->counters[(sum->at + i) % sum->count];
		if (strcmp(counter->name, name) != 0)
			continue;
		counter->value += value;
		sum->at = (sum->at + i + 1) % sum->count;
		return;
	}
	char *copy = make_room(sum) == 0 ? strdup(name) : NULL;
	if (copy == NULL) {
		*sum->has_failed = true;
		return;
	}
	sum->counters[sum->count++] = (struct counter){copy, value};
	sum->at = 0;
}

static void add_stage(struct stage_sum *sum, struct chain_template *template, unsigned i)
{
	struct chain_stage_stats stats;
	if (chain_template_stage_stats(template, i, &stats) < 0)
		return;
	sum->stats.received += stats.received;
	sum->stats.forwarded += stats.forwarded;
	sum->stats.answered += stats.answered;
	sum->stats.hopped += stats.hopped;
	sum->stats.sent += stats.sent;
	sum->stats.dropped += stats.dropped;
	sum->stats.refused += stats.refused;
	sum->stats.full += stats.full;
	sum->stats.died += stats.died;
	sum->stats.timed_out += stats.timed_out;
	sum->stats.run_ns += stats.run_ns;
	sum->at = 0;
	chain_template_counters(template, i, add_counter, sum);
}

static void add_entry(struct entry_sum *sum, const struct plane_entry *entry, bool is_home)
{
	struct chain_stats stats;
	if (entry->template == NULL)
		return;
	chain_template_stats(entry->template, &stats);
	sum->stats.chains += stats.chains;
	sum->stats.chains_max += stats.chains_max;
	sum->stats.started += stats.started;
	sum->stats.reclaimed += stats.reclaimed;
	sum->stats.replaced += stats.replaced;
	sum->stats.start_ns += stats.start_ns;
	sum->stats.packets += stats.packets;
	sum->stats.no_chain += stats.no_chain;
	sum->stats.limit += stats.limit;
	sum->stats.flows_refused += stats.flows_refused;
	sum->stats.send_failed += stats.send_failed;
	/* Only there has it been from the first version on. */
	if (is_home) {
		sum->stats.version = stats.version;
		sum->streams = entry->stats;
		sum->has_tls = entry->tls != NULL;
		sum->tls_not_after = sum->has_tls ? tls_server_not_after(entry->tls) : 0;
	}
	for (unsigned i = 0; i < entry->manifest->stages_count; i++)
		add_stage(&sum->stages[i], entry->template, i);
}

static bool is_wanted(const struct sum *sum, const struct plane_entry *entry)
{
	return sum->only == NULL || strcmp(sum->only, entry->manifest->name) == 0;
}

static void add_totals(struct plane *plane, struct sum *sum)
{
	struct core_sum *core = &sum->cores[plane->core];
	struct fwp_engine_stats engine;
	fwp_engine_stats(plane->engine, &engine);
	core->fwps = engine.alive;
	core->fwps_peak = engine.alive_max;
	core->received = plane->stats.received;
	sum->stats.datagrams_cut += plane->stats.datagrams_cut;
	sum->stats.datagrams_unsent += plane->stats.datagrams_unsent;
	sum->stats.streams_refused += plane->stats.streams_refused;
	sum->stats.streams_full += plane->stats.streams_full;
	for (unsigned i = 0; i < plane->ports_count; i++)
		plane_port_count(plane, i, &sum->ports[i]);
}

static int add_core(struct plane *plane, void *ctx)
{
	struct sum *sum = ctx;
	unsigned i = 0;
	add_totals(plane, sum);
	/* Entries are in the same order on all cores: see plane_apply.c. */
	EOS_LIST_FOR_EACH (node, &plane->entries) {
		const struct plane_entry *entry = EOS_CONTAINER_OF(node, struct plane_entry, node);
		struct chain_stats stats = {.chains = 0};
		if (entry->template != NULL)
			chain_template_stats(entry->template, &stats);
		sum->cores[plane->core].chains += stats.chains;
		if (!is_wanted(sum, entry))
			continue;
		EOS_ASSERT(i < sum->entries_count);
		add_entry(&sum->entries[i++], entry, plane->core == entry->home);
	}
	return 0;
}

/* --- sums --- */

static void sum_fini(struct sum *sum, const struct plane *plane)
{
	unsigned i = 0;
	EOS_LIST_FOR_EACH (node, &plane->entries) {
		const struct plane_entry *entry = EOS_CONTAINER_OF(node, struct plane_entry, node);
		if (!is_wanted(sum, entry) || i >= sum->entries_count)
			continue;
		struct stage_sum *stages = sum->entries[i++].stages;
		for (unsigned k = 0; stages != NULL && k < entry->manifest->stages_count; k++) {
			while (stages[k].count > 0)
				free(stages[k].counters[--stages[k].count].name);
			free(stages[k].counters);
		}
		free(stages);
	}
	free(sum->entries);
	sum->entries = NULL;
}

/* All cores' sums. -ENOMEM; with sum_fini() in any case. */
static int sum_init(struct sum *sum, struct plane *plane, const char *only)
{
	*sum = (struct sum){.only = only};
	sum->entries = calloc(plane->entries_count + 1u, sizeof(*sum->entries));
	if (sum->entries == NULL)
		return -ENOMEM;
	EOS_LIST_FOR_EACH (node, &plane->entries) {
		const struct plane_entry *entry = EOS_CONTAINER_OF(node, struct plane_entry, node);
		unsigned count = entry->manifest->stages_count;
		if (!is_wanted(sum, entry))
			continue;
		struct stage_sum *stages = calloc(count, sizeof(*stages));
		sum->entries[sum->entries_count++].stages = stages;
		if (stages == NULL)
			return -ENOMEM;
		for (unsigned i = 0; i < count; i++)
			stages[i].has_failed = &sum->has_failed;
	}
	for (unsigned i = 0; i < plane->cores_count; i++)
		(void)plane_cores_ask(plane, i, add_core, sum);
	return sum->has_failed ? -ENOMEM : 0;
}

/* --- writing --- */

static void put_stage(struct eos_json *json, const char *image, const struct stage_sum *sum)
{
	const struct chain_stage_stats *stats = &sum->stats;
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "image", image);
	eos_json_u64(json, "received", stats->received);
	eos_json_u64(json, "forwarded", stats->forwarded);
	eos_json_u64(json, "answered", stats->answered);
	eos_json_u64(json, "hopped", stats->hopped);
	eos_json_u64(json, "sent", stats->sent);
	eos_json_u64(json, "dropped", stats->dropped);
	eos_json_u64(json, "refused", stats->refused);
	eos_json_u64(json, "full", stats->full);
	eos_json_u64(json, "died", stats->died);
	eos_json_u64(json, "timed_out", stats->timed_out);
	eos_json_u64(json, "run_ns", stats->run_ns);
	eos_json_open(json, "counters", '{');
	for (size_t i = 0; i < sum->count; i++)
		eos_json_u64(json, sum->counters[i].name, sum->counters[i].value);
	eos_json_close(json, '}');
	eos_json_close(json, '}');
}

static void put_streams(struct eos_json *json, const struct entry_sum *sum)
{
	const struct plane_stream_stats *stats = &sum->streams;
	eos_json_u64(json, "upstreams", stats->upstreams);
	eos_json_u64(json, "upstream_failed", stats->upstream_failed);
	if (!sum->has_tls)
		return;
	eos_json_u64(json, "tls_handshakes", stats->tls_handshakes);
	eos_json_u64(json, "tls_resumed", stats->tls_resumed);
	eos_json_u64(json, "tls_failed", stats->tls_failed);
	eos_json_u64(json, "tls_refused", stats->tls_refused);
	eos_json_u64(json, "tls_not_after",
		     sum->tls_not_after < 0 ? 0 : (uint64_t)sum->tls_not_after);
}

static void put_entry(struct eos_json *json, const struct plane_entry *entry,
		      const struct entry_sum *sum)
{
	static const char *const isolations[] = {
		[CHAIN_PER_CLIENT] = "client",
		[CHAIN_PER_TENANT] = "tenant",
		[CHAIN_FIXED] = "fixed",
	};
	const struct plane_manifest *manifest = entry->manifest;
	const struct chain_stats *stats = &sum->stats;
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "chain", manifest->name);
	eos_json_text(json, "tenant", manifest->tenant);
	eos_json_text(json, "isolation", isolations[manifest->isolation]);
	eos_json_text(json, "port",
		      manifest->has_endpoint ? manifest->endpoint.port : manifest->match.port);
	eos_json_text(json, "out", manifest->out[0] == '\0' ? NULL : manifest->out);
	eos_json_u64(json, "version", stats->version);
	eos_json_u64(json, "chains", stats->chains);
	eos_json_u64(json, "chains_max", stats->chains_max);
	eos_json_u64(json, "started", stats->started);
	eos_json_u64(json, "start_ns", stats->start_ns);
	eos_json_u64(json, "reclaimed", stats->reclaimed);
	eos_json_u64(json, "replaced", stats->replaced);
	eos_json_u64(json, "packets", stats->packets);
	eos_json_u64(json, "no_chain", stats->no_chain);
	eos_json_u64(json, "limit", stats->limit);
	eos_json_u64(json, "flows_refused", stats->flows_refused);
	eos_json_u64(json, "send_failed", stats->send_failed);
	if (manifest->has_endpoint && manifest->endpoint.is_tcp)
		put_streams(json, sum);
	eos_json_open(json, "stages", '[');
	for (unsigned i = 0; i < manifest->stages_count; i++)
		put_stage(json, manifest->stages[i].image, &sum->stages[i]);
	eos_json_close(json, ']');
	eos_json_close(json, '}');
}

/* HANDED: frames that others have had of it; DROPPED: those that they had no room for. */
static void put_core(struct eos_json *json, const struct plane *plane, const struct sum *sum,
		     unsigned i)
{
	const struct core_sum *core = &sum->cores[i];
	eos_json_open(json, NULL, '{');
	eos_json_u64(json, "core", i);
	eos_json_u64(json, "fwps", core->fwps);
	eos_json_u64(json, "chains", core->chains);
	eos_json_u64(json, "received", core->received);
	eos_json_open(json, "to", '[');
	for (unsigned k = 0; k < plane->cores_count; k++) {
		struct plane_hop_stats hop;
		if (k == i)
			continue;
		plane_cores_hop_stats(plane, i, k, &hop);
		eos_json_open(json, NULL, '{');
		eos_json_u64(json, "core", k);
		eos_json_u64(json, "handed", hop.handed);
		eos_json_u64(json, "dropped", hop.dropped);
		eos_json_close(json, '}');
	}
	eos_json_close(json, ']');
	eos_json_close(json, '}');
}

static void put_totals(struct eos_json *json, const struct plane *plane, const struct sum *sum)
{
	uint64_t fwps = 0, peak = 0;
	for (unsigned i = 0; i < plane->cores_count; i++) {
		fwps += sum->cores[i].fwps;
		peak += sum->cores[i].fwps_peak;
	}
	eos_json_u64(json, "fwps", fwps);
	eos_json_u64(json, "fwps_max", plane->config.fwps_max);
	eos_json_u64(json, "fwps_peak", peak);
	eos_json_u64(json, "datagrams_cut", sum->stats.datagrams_cut);
	eos_json_u64(json, "datagrams_unsent", sum->stats.datagrams_unsent);
	eos_json_u64(json, "streams_refused", sum->stats.streams_refused);
	eos_json_u64(json, "streams_full", sum->stats.streams_full);
	eos_json_open(json, "cores", '[');
	for (unsigned i = 0; i < plane->cores_count; i++)
		put_core(json, plane, sum, i);
	eos_json_close(json, ']');
}

int plane_status_put_chain(struct plane *plane, const char *name, struct eos_buf *buf)
{
	struct eos_json json = eos_json_begin(buf);
	const struct plane_entry *entry = plane_entry_find(plane, name);
	struct sum sum;
	if (entry == NULL)
		return -ENOENT;
	int err = sum_init(&sum, plane, name);
	if (err == 0)
		put_entry(&json, entry, &sum.entries[0]);
	sum_fini(&sum, plane);
	return err;
}

int plane_status_put(struct plane *plane, struct eos_buf *buf)
{
	struct eos_json json = eos_json_begin(buf);
	struct sum sum;
	unsigned at = 0;
	int err = sum_init(&sum, plane, NULL);
	if (err < 0) {
		sum_fini(&sum, plane);
		return err;
	}
	eos_json_open(&json, NULL, '{');
	put_totals(&json, plane, &sum);
	eos_json_open(&json, "ports", '[');
	for (unsigned i = 0; i < plane->ports_count; i++) {
		eos_json_open(&json, NULL, '{');
		plane_port_put(plane, i, &sum.ports[i], &json);
		eos_json_close(&json, '}');
	}
	eos_json_close(&json, ']');
	eos_json_open(&json, "chains", '[');
	EOS_LIST_FOR_EACH (node, &plane->entries)
		put_entry(&json, EOS_CONTAINER_OF(node, struct plane_entry, node),
			  &sum.entries[at++]);
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	sum_fini(&sum, plane);
	return 0;
}
