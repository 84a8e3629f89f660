/*
 * The data plane's state as one JSON document, for `edgeos chain show`, metrics and tests.
 */
#include <errno.h>

#include "plane/plane_ports.h"
#include "plane/plane_priv.h"

static void put_counter(void *ctx, const char *name, uint64_t value)
{
	eos_json_u64(ctx, name, value);
}

static void put_stage(struct eos_json *json, const struct plane_entry *entry, unsigned i)
{
	struct chain_stage_stats stats;
	if (chain_template_stage_stats(entry->template, i, &stats) < 0)
		return;
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "image", entry->manifest->stages[i].image);
	eos_json_u64(json, "received", stats.received);
	eos_json_u64(json, "forwarded", stats.forwarded);
	eos_json_u64(json, "answered", stats.answered);
	eos_json_u64(json, "hopped", stats.hopped);
	eos_json_u64(json, "sent", stats.sent);
	eos_json_u64(json, "dropped", stats.dropped);
	eos_json_u64(json, "refused", stats.refused);
	eos_json_u64(json, "full", stats.full);
	eos_json_u64(json, "died", stats.died);
	eos_json_u64(json, "timed_out", stats.timed_out);
	eos_json_u64(json, "run_ns", stats.run_ns);
	eos_json_open(json, "counters", '{');
	chain_template_counters(entry->template, i, put_counter, json);
	eos_json_close(json, '}');
	eos_json_close(json, '}');
}

static void put_streams(struct eos_json *json, const struct plane_entry *entry)
{
	eos_json_u64(json, "upstreams", entry->stats.upstreams);
	eos_json_u64(json, "upstream_failed", entry->stats.upstream_failed);
	if (entry->tls == NULL)
		return;
	eos_json_u64(json, "tls_handshakes", entry->stats.tls_handshakes);
	eos_json_u64(json, "tls_resumed", entry->stats.tls_resumed);
	eos_json_u64(json, "tls_failed", entry->stats.tls_failed);
	eos_json_u64(json, "tls_refused", entry->stats.tls_refused);
	int64_t end = tls_server_not_after(entry->tls);
	eos_json_u64(json, "tls_not_after", end < 0 ? 0 : (uint64_t)end);
}

static void put_entry(struct eos_json *json, const struct plane_entry *entry)
{
	static const char *const isolations[] = {
		[CHAIN_PER_CLIENT] = "client",
		[CHAIN_PER_TENANT] = "tenant",
		[CHAIN_FIXED] = "fixed",
	};
	const struct plane_manifest *manifest = entry->manifest;
	struct chain_stats stats;
	chain_template_stats(entry->template, &stats);
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "chain", manifest->name);
	eos_json_text(json, "tenant", manifest->tenant);
	eos_json_text(json, "isolation", isolations[manifest->isolation]);
	eos_json_text(json, "port",
		      manifest->has_endpoint ? manifest->endpoint.port : manifest->match.port);
	eos_json_text(json, "out", manifest->out[0] == '\0' ? NULL : manifest->out);
	eos_json_u64(json, "version", stats.version);
	eos_json_u64(json, "chains", stats.chains);
	eos_json_u64(json, "chains_max", stats.chains_max);
	eos_json_u64(json, "started", stats.started);
	eos_json_u64(json, "start_ns", stats.start_ns);
	eos_json_u64(json, "reclaimed", stats.reclaimed);
	eos_json_u64(json, "replaced", stats.replaced);
	eos_json_u64(json, "packets", stats.packets);
	eos_json_u64(json, "no_chain", stats.no_chain);
	eos_json_u64(json, "limit", stats.limit);
	eos_json_u64(json, "flows_refused", stats.flows_refused);
	eos_json_u64(json, "send_failed", stats.send_failed);
	if (manifest->has_endpoint && manifest->endpoint.is_tcp)
		put_streams(json, entry);
	eos_json_open(json, "stages", '[');
	for (unsigned i = 0; i < manifest->stages_count; i++)
		put_stage(json, entry, i);
	eos_json_close(json, ']');
	eos_json_close(json, '}');
}

int plane_status_put_chain(struct plane *plane, const char *name, struct eos_buf *buf)
{
	struct eos_json json = eos_json_begin(buf);
	const struct plane_entry *entry = plane_entry_find(plane, name);
	if (entry == NULL)
		return -ENOENT;
	put_entry(&json, entry);
	return 0;
}

void plane_status_put(struct plane *plane, struct eos_buf *buf)
{
	struct eos_json json = eos_json_begin(buf);
	struct fwp_engine_stats engine;
	fwp_engine_stats(plane->engine, &engine);
	eos_json_open(&json, NULL, '{');
	eos_json_u64(&json, "fwps", engine.alive);
	eos_json_u64(&json, "fwps_max", plane->config.fwps_max);
	eos_json_u64(&json, "fwps_peak", engine.alive_max);
	eos_json_u64(&json, "datagrams_cut", plane->stats.datagrams_cut);
	eos_json_u64(&json, "datagrams_unsent", plane->stats.datagrams_unsent);
	eos_json_u64(&json, "streams_refused", plane->stats.streams_refused);
	eos_json_u64(&json, "streams_full", plane->stats.streams_full);
	eos_json_open(&json, "ports", '[');
	for (unsigned i = 0; i < plane->ports_count; i++) {
		eos_json_open(&json, NULL, '{');
		plane_port_put(plane, i, &json);
		eos_json_close(&json, '}');
	}
	eos_json_close(&json, ']');
	eos_json_open(&json, "chains", '[');
	EOS_LIST_FOR_EACH (node, &plane->entries)
		put_entry(&json, EOS_CONTAINER_OF(node, struct plane_entry, node));
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
}
