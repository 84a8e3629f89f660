/*
 * All samples of a metric stand together, but the state has them chain by chain: each metric has a
 * buffer of its own until all of the state was read.
 *
 * The state of many chains is larger than what is parsed as one document, so that it is taken
 * apart first: the list of chains is cut out, and each chain parsed alone. What is cut wrong, as
 * the state is not well formed, does not parse.
 */
#include "plane/plane_metrics.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/node.h"
#include "base/str.h"

#define CHAINS_KEY "chains"

enum scope { OF_PLANE, OF_PORT, OF_CHAIN, OF_STAGE };
enum kind {
	GAUGE,
	COUNTER,
	COUNTER_NS, /* in nanoseconds there, in seconds here */
	UNTYPED,
};
static const char *const kind_names[] = {
	[GAUGE] = "gauge",
	[COUNTER] = "counter",
	[COUNTER_NS] = "counter",
	[UNTYPED] = "untyped",
};

static const struct family {
	enum scope scope;
	enum kind kind;
	const char *key; /* in the state */
	const char *name, *help;
} families[] = {
	{OF_PLANE, GAUGE, "fwps", "plane_fwps", "Featherweight processes of all chains."},
	{OF_PLANE, GAUGE, "fwps_max", "plane_fwps_limit", "As many there can be."},
	{OF_PLANE, GAUGE, "fwps_peak", "plane_fwps_peak", "As many there have been at once."},
	{OF_PLANE, COUNTER, "datagrams_cut", "plane_datagrams_cut_total",
	 "Datagrams dropped that were too long."},
	{OF_PLANE, COUNTER, "datagrams_unsent", "plane_datagrams_unsent_total",
	 "Answers that the kernel's sockets did not take."},
	{OF_PLANE, COUNTER, "streams_refused", "plane_streams_refused_total",
	 "TCP connections beyond plane.streams."},
	{OF_PLANE, COUNTER, "streams_full", "plane_streams_full_total",
	 "Answers for TCP that had no room."},

	{OF_PORT, GAUGE, "is_up", "plane_port_up", "Does the port have a link?"},
	{OF_PORT, GAUGE, "mtu", "plane_port_mtu_bytes", "The longest packet of the port."},
	{OF_PORT, COUNTER, "received", "plane_port_received_total", "Frames received."},
	{OF_PORT, COUNTER, "received_bytes", "plane_port_received_bytes_total", "Bytes of these."},
	{OF_PORT, COUNTER, "sent", "plane_port_sent_total", "Frames sent."},
	{OF_PORT, COUNTER, "sent_bytes", "plane_port_sent_bytes_total", "Bytes of these."},
	{OF_PORT, COUNTER, "missed", "plane_port_missed_total",
	 "Frames that the device had no room for."},
	{OF_PORT, COUNTER, "errors", "plane_port_errors_total", "Broken frames."},
	{OF_PORT, COUNTER, "send_full", "plane_port_send_full_total",
	 "Frames that the device did not take."},
	{OF_PORT, COUNTER, "too_long", "plane_port_too_long_total",
	 "Frames dropped that were too long."},
	{OF_PORT, COUNTER, "wrong_vlan", "plane_port_wrong_vlan_total",
	 "Frames dropped that were of another VLAN."},
	{OF_PORT, COUNTER, "unwanted", "plane_port_unwanted_total", "Frames that no chain wants."},
	{OF_PORT, COUNTER, "no_frames", "plane_port_no_frames_total",
	 "Frames dropped as there was no memory for them."},
	{OF_PORT, COUNTER, "no_neighbour", "plane_port_no_neighbour_total",
	 "Datagrams to somebody who could not be reached."},

	{OF_CHAIN, GAUGE, "version", "chain_version", "The version that was applied last."},
	{OF_CHAIN, GAUGE, "chains", "chain_instances", "Instances of the chain."},
	{OF_CHAIN, GAUGE, "chains_max", "chain_instances_limit", "As many there can be."},
	{OF_CHAIN, COUNTER, "started", "chain_started_total", "Instances started."},
	{OF_CHAIN, COUNTER_NS, "start_ns", "chain_start_seconds_total",
	 "Time that starting them took."},
	{OF_CHAIN, COUNTER, "reclaimed", "chain_reclaimed_total", "Instances that were idle."},
	{OF_CHAIN, COUNTER, "replaced", "chain_replaced_total",
	 "Instances that a new version replaced."},
	{OF_CHAIN, COUNTER, "packets", "chain_packets_total", "Packets for the chain."},
	{OF_CHAIN, COUNTER, "no_chain", "chain_no_chain_total", "Answers for nobody known."},
	{OF_CHAIN, COUNTER, "limit", "chain_limit_total", "New clients refused at a limit."},
	{OF_CHAIN, COUNTER, "flows_refused", "chain_flows_refused_total",
	 "Flows not remembered for answers."},
	{OF_CHAIN, COUNTER, "send_failed", "chain_send_failed_total",
	 "Packets that could not be sent."},
	{OF_CHAIN, COUNTER, "upstreams", "chain_upstreams_total", "Connections by ways out."},
	{OF_CHAIN, COUNTER, "upstream_failed", "chain_upstream_failed_total",
	 "Of these, that broke or were not answered."},
	{OF_CHAIN, COUNTER, "tls_handshakes", "chain_tls_handshakes_total", "TLS handshakes."},
	{OF_CHAIN, COUNTER, "tls_resumed", "chain_tls_resumed_total", "Of these, resumed ones."},
	{OF_CHAIN, COUNTER, "tls_failed", "chain_tls_failed_total", "TLS handshakes that failed."},
	{OF_CHAIN, COUNTER, "tls_refused", "chain_tls_refused_total",
	 "TLS connections refused at a limit."},
	{OF_CHAIN, GAUGE, "tls_not_after", "chain_tls_not_after_timestamp_seconds",
	 "When the certificate ends."},

	{OF_STAGE, COUNTER, "received", "chain_stage_received_total", "Packets for the stage."},
	{OF_STAGE, COUNTER, "forwarded", "chain_stage_forwarded_total", "Verdicts: forward."},
	{OF_STAGE, COUNTER, "answered", "chain_stage_answered_total", "Verdicts: answer."},
	{OF_STAGE, COUNTER, "hopped", "chain_stage_hopped_total", "Verdicts: a next hop."},
	{OF_STAGE, COUNTER, "dropped", "chain_stage_dropped_total", "Verdicts: drop."},
	{OF_STAGE, COUNTER, "sent", "chain_stage_sent_total", "Packets sent besides."},
	{OF_STAGE, COUNTER, "refused", "chain_stage_refused_total",
	 "Packets with no such port, or a bad address or length."},
	{OF_STAGE, COUNTER, "full", "chain_stage_full_total", "Packets that had no room."},
	{OF_STAGE, COUNTER, "died", "chain_stage_died_total", "Deaths of instances."},
	{OF_STAGE, COUNTER, "timed_out", "chain_stage_timed_out_total",
	 "Of these, as a packet took too long."},
	{OF_STAGE, COUNTER_NS, "run_ns", "chain_stage_run_seconds_total",
	 "Time that it ran, an estimate."},
};

/* Only the function knows whether they only grow. */
static const struct family function_family = {
	OF_STAGE,
	UNTYPED,
	"counters",
	"chain_function_counter",
	"Counters of the packet functions themselves.",
};

#define FAMILIES (EOS_ARRAY_SIZE(families) + 1)

struct metrics {
	struct eos_buf samples[FAMILIES]; /* as FAMILIES, function_family's last */
	size_t bytes;
	uint64_t left_out;
	bool failed;
};

/* --- samples --- */

static void put_sample(struct metrics *metrics, unsigned index, const struct family *family,
		       const struct eos_buf *labels, uint64_t value)
{
	struct eos_buf *out = &metrics->samples[index];
	size_t before = out->len;
	if (metrics->bytes >= PLANE_METRICS_BYTES_MAX) {
		metrics->left_out++;
		return;
	}
	if (family->kind == COUNTER_NS)
		eos_buf_printf(out, "edgeos_%s%s %llu.%09llu\n", family->name, labels->data,
			       (unsigned long long)(value / EOS_NS_PER_S),
			       (unsigned long long)(value % EOS_NS_PER_S));
	else
		eos_buf_printf(out, "edgeos_%s%s %llu\n", family->name, labels->data,
			       (unsigned long long)value);
	metrics->failed |= eos_buf_failed(out);
	metrics->bytes += out->len - before;
}

static bool get_value(const struct eos_node *node, uint64_t *ret_value)
{
	if (node == NULL || eos_node_kind(node) != EOS_NODE_SCALAR)
		return false;
	if (strcmp(eos_node_text(node), "true") == 0)
		*ret_value = 1;
	else if (strcmp(eos_node_text(node), "false") == 0)
		*ret_value = 0;
	else
		return eos_parse_u64(eos_node_text(node), ret_value) == 0;
	return true;
}

static void put_samples(struct metrics *metrics, enum scope scope, const struct eos_node *map,
			const struct eos_buf *labels)
{
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(families); i++) {
		const struct family *family = &families[i];
		uint64_t value;
		if (family->scope == scope && get_value(eos_node_get(map, family->key), &value))
			put_sample(metrics, i, family, labels, value);
	}
}

/* LABELS gets one more, between braces. A value is UTF-8 as its document is. */
static void add_label(struct eos_buf *labels, const char *name, const char *value)
{
	if (labels->len > 0)
		labels->len--; /* the brace */
	eos_buf_printf(labels, "%s%s=\"", labels->len == 0 ? "{" : ",", name);
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\n')
			eos_buf_puts(labels, "\\n");
		else if (*p == '"' || *p == '\\')
			eos_buf_printf(labels, "\\%c", *p);
		else
			eos_buf_append(labels, p, 1);
	}
	eos_buf_puts(labels, "\"}");
}

static const char *text_of(const struct eos_node *map, const char *key)
{
	const struct eos_node *node = eos_node_get(map, key);
	return node == NULL ? "" : eos_node_text(node);
}

/* --- parts of the state --- */

static void put_stage(struct metrics *metrics, const struct eos_node *stage, const char *chain,
		      size_t number)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf labels = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf counter = {0};
	const struct eos_node *counters = eos_node_get(stage, function_family.key);
	char text[24];
	(void)snprintf(text, sizeof(text), "%zu", number);
	add_label(&labels, "chain", chain);
	add_label(&labels, "stage", text);
	metrics->failed |= eos_buf_failed(&labels);
	if (metrics->failed)
		return;
	put_samples(metrics, OF_STAGE, stage, &labels);
	for (size_t i = 0; counters != NULL && i < eos_node_count(counters); i++) {
		uint64_t value;
		if (!get_value(eos_node_at(counters, i), &value))
			continue;
		eos_buf_clear(&counter);
		eos_buf_append(&counter, labels.data, labels.len);
		add_label(&counter, "counter", eos_node_key_at(counters, i));
		metrics->failed |= eos_buf_failed(&counter);
		if (metrics->failed)
			return;
		put_sample(metrics, FAMILIES - 1, &function_family, &counter, value);
	}
}

static void put_chain(struct metrics *metrics, const struct eos_node *chain)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf labels = {0};
	const struct eos_node *stages = eos_node_get(chain, "stages");
	const char *name = text_of(chain, "chain");
	add_label(&labels, "chain", name);
	metrics->failed |= eos_buf_failed(&labels);
	if (!metrics->failed)
		put_samples(metrics, OF_CHAIN, chain, &labels);
	for (size_t i = 0; stages != NULL && i < eos_node_count(stages); i++)
		put_stage(metrics, eos_node_at(stages, i), name, i);
}

static void put_plane(struct metrics *metrics, const struct eos_node *root)
{
	static char none[] = "";
	const struct eos_buf no_labels = {.data = none};
	const struct eos_node *ports = eos_node_get(root, "ports");
	put_samples(metrics, OF_PLANE, root, &no_labels);
	for (size_t i = 0; ports != NULL && i < eos_node_count(ports); i++) {
		EOS_CLEANUP(eos_buf_fini) struct eos_buf labels = {0};
		const struct eos_node *port = eos_node_at(ports, i);
		add_label(&labels, "port", text_of(port, "port"));
		metrics->failed |= eos_buf_failed(&labels);
		if (!metrics->failed)
			put_samples(metrics, OF_PORT, port, &labels);
	}
}

/* --- taking the state apart --- */

/* The place behind the text that begins at AT, with its quote. */
static size_t skip_text(const char *state, size_t len, size_t at)
{
	for (at++; at < len && state[at] != '"'; at++)
		at += state[at] == '\\';
	return EOS_MIN(at + 1, len);
}

/* Where the list of chains begins, behind its bracket; LEN: there is none. */
static size_t find_chains(const char *state, size_t len)
{
	unsigned depth = 0;
	bool is_it = false; /* was the last text before here, outside of lists and maps, its key? */
	for (size_t at = 0; at < len;) {
		char c = state[at];
		if (c == '"') {
			size_t end = skip_text(state, len, at);
			if (depth == 1)
				is_it = end - at == sizeof(CHAINS_KEY) + 1 &&
					memcmp(state + at + 1, CHAINS_KEY,
					       sizeof(CHAINS_KEY) - 1) == 0;
			at = end;
			continue;
		}
		at++;
		if (c == '[' && depth == 1 && is_it)
			return at;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return len;
}

/* The end of the list whose inside begins at AT: where its bracket is. Calls VISIT for each map in
 * it. */
static int each_chain(const char *state, size_t len, size_t at,
		      int (*visit)(struct metrics *metrics, const char *text, size_t text_len,
				   struct eos_why *why),
		      struct metrics *metrics, size_t *ret_end, struct eos_why *why)
{
	size_t begin = at;
	unsigned depth = 0;
	while (at < len) {
		char c = state[at];
		if (c == '"') {
			at = skip_text(state, len, at);
			continue;
		}
		if (depth == 0 && c == ']') {
			*ret_end = at;
			return 0;
		}
		if ((c == '{' || c == '[') && depth++ == 0)
			begin = at;
		at++;
		if ((c != '}' && c != ']') || depth == 0 || --depth > 0)
			continue;
		int err = visit == NULL ? 0 : visit(metrics, state + begin, at - begin, why);
		if (err < 0)
			return err;
	}
	return eos_why(why, -EPROTO, "the data plane's state has no end");
}

static int visit_chain(struct metrics *metrics, const char *text, size_t len, struct eos_why *why)
{
	struct eos_doc *doc;
	int err = eos_doc_parse_json("chain", text, len, &doc, why);
	if (err < 0)
		return err == -EINVAL ? -EPROTO : err;
	put_chain(metrics, eos_doc_root(doc));
	eos_doc_free(doc);
	return metrics->failed ? eos_why(why, -ENOMEM, "no memory") : 0;
}

/* All but the chains: STATE without what is between BEGIN and END. */
static int read_plane(struct metrics *metrics, const char *state, size_t len, size_t begin,
		      size_t end, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct eos_doc *doc;
	eos_buf_append(&text, state, begin);
	eos_buf_append(&text, state + end, len - end);
	if (eos_buf_failed(&text))
		return eos_why(why, -ENOMEM, "no memory");
	int err = eos_doc_parse_json("state", text.data, text.len, &doc, why);
	if (err < 0)
		return err == -EINVAL ? -EPROTO : err;
	put_plane(metrics, eos_doc_root(doc));
	eos_doc_free(doc);
	return metrics->failed ? eos_why(why, -ENOMEM, "no memory") : 0;
}

/* --- all of it --- */

static void put_family(const struct metrics *metrics, unsigned index, const struct family *family,
		       struct eos_buf *out)
{
	const struct eos_buf *samples = &metrics->samples[index];
	if (samples->len == 0)
		return;
	eos_buf_printf(out, "# HELP edgeos_%s %s\n# TYPE edgeos_%s %s\n", family->name,
		       family->help, family->name, kind_names[family->kind]);
	eos_buf_append(out, samples->data, samples->len);
}

static int put_all(const struct metrics *metrics, struct eos_buf *out, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(families); i++)
		put_family(metrics, i, &families[i], &text);
	put_family(metrics, FAMILIES - 1, &function_family, &text);
	eos_buf_printf(&text,
		       "# HELP edgeos_plane_metrics_left_out Metrics that there was no room for.\n"
		       "# TYPE edgeos_plane_metrics_left_out gauge\n"
		       "edgeos_plane_metrics_left_out %llu\n",
		       (unsigned long long)metrics->left_out);
	if (eos_buf_failed(&text) || eos_buf_append(out, text.data, text.len) < 0)
		return eos_why(why, -ENOMEM, "no memory");
	return 0;
}

int plane_metrics_format(const char *state, size_t len, struct eos_buf *out, struct eos_why *why)
{
	struct metrics metrics = {.bytes = 0};
	size_t begin = find_chains(state, len), end = len;
	int err = begin == len ? 0 : each_chain(state, len, begin, NULL, NULL, &end, why);
	/* The ports first: what there is no room for is chains'. */
	if (err == 0)
		err = read_plane(&metrics, state, len, begin, end, why);
	if (err == 0 && begin < len)
		err = each_chain(state, len, begin, visit_chain, &metrics, &end, why);
	if (err == 0)
		err = put_all(&metrics, out, why);
	for (unsigned i = 0; i < FAMILIES; i++)
		eos_buf_fini(&metrics.samples[i]);
	return err;
}
