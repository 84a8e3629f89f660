/*
 * Any bytes as what the data plane reads of others: the first byte chooses a chain's manifest, the
 * node's configuration (both YAML), or a request of the control socket. What is taken keeps what
 * the rest of the data plane relies on; what is refused has a reason.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "plane/plane_config.h"
#include "plane/plane_manifest.h"
#include "plane/plane_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
	if (!is_so)
		abort();
}

/* A text in an array of SIZE bytes that has its end there. */
static void require_text(const char *text, size_t size, size_t len_min)
{
	size_t len = strnlen(text, size);
	require(len < size && len >= len_min);
}

static void check_match(const struct plane_match *match)
{
	struct flow_packet packet = {.kind = FLOW_IPV4, .has_ports = true};
	require_text(match->port, sizeof(match->port), 1);
	require(match->source_bits <= 128 && match->target_bits <= 128);
	require(match->source_port <= match->source_port_last);
	require(match->target_port <= match->target_port_last);
	/* What the match itself names it takes. */
	memcpy(packet.source, match->source, sizeof(packet.source));
	memcpy(packet.target, match->target, sizeof(packet.target));
	packet.proto = match->proto;
	packet.source_port = match->source_port_last;
	packet.target_port = match->target_port;
	require(plane_match_takes(match, &packet));
}

static void check_stage(const struct plane_stage *stage)
{
	require_text(stage->image, sizeof(stage->image), 1);
	require(stage->settings_count <= PLANE_SETTINGS_MAX);
	for (unsigned i = 0; i < stage->settings_count; i++)
		require(strlen(stage->settings[i].key) > 0 &&
			strlen(stage->settings[i].value) <= PLANE_SETTING_BYTES);
}

static void check_tls(const struct plane_endpoint *endpoint)
{
	const struct plane_tls_config *tls = &endpoint->tls;
	if (!endpoint->has_tls)
		return;
	require(endpoint->is_tcp && tls->protocols_count <= PLANE_PROTOCOLS_MAX);
	for (unsigned i = 0; i < PLANE_TLS_FILES; i++)
		require_text(tls->files[i], sizeof(tls->files[i]),
			     i == PLANE_TLS_CLIENT_CA ? 0 : 1);
	for (unsigned i = 0; i < tls->protocols_count; i++)
		require_text(tls->protocols[i], sizeof(tls->protocols[i]), 1);
}

static void check_manifest(const struct plane_manifest *manifest)
{
	require_text(manifest->name, sizeof(manifest->name), 1);
	require(strchr(manifest->name, '/') == NULL && manifest->name[0] != '.');
	require_text(manifest->tenant, sizeof(manifest->tenant), 1);
	require_text(manifest->out, sizeof(manifest->out), 0);
	require(manifest->stages_count >= 1 && manifest->stages_count <= CHAIN_STAGES_MAX);
	require(manifest->next_count <= CHAIN_NEXT_MAX);
	require((manifest->isolation == CHAIN_FIXED) == (manifest->fixed_count > 0));
	require(manifest->timeout_ns <= EOS_NS_PER_S);
	if (manifest->has_endpoint) {
		const struct plane_endpoint *endpoint = &manifest->endpoint;
		require_text(endpoint->port, sizeof(endpoint->port), 1);
		require_text(endpoint->address, sizeof(endpoint->address), 0);
		require(endpoint->first > 0 && endpoint->first <= endpoint->last &&
			(unsigned)(endpoint->last - endpoint->first) < PLANE_ENDPOINT_PORTS);
		check_tls(endpoint);
		require(manifest->out[0] == '\0');
		require(endpoint->is_tcp ||
			(manifest->next_count == 0 && manifest->out_target.port == 0));
	} else {
		check_match(&manifest->match);
	}
	for (unsigned i = 0; i < manifest->stages_count; i++)
		check_stage(&manifest->stages[i]);
	for (unsigned i = 0; i < manifest->next_count; i++) {
		require_text(manifest->next[i].name, sizeof(manifest->next[i].name), 1);
		require_text(manifest->next[i].port, sizeof(manifest->next[i].port),
			     manifest->has_endpoint ? 0 : 1);
		require(manifest->has_endpoint == (manifest->next[i].target.port != 0));
	}
}

static void check_config(const struct plane_config *config)
{
	require(config->memory_mib >= 16 && config->chains_max >= 1 && config->fwps_max >= 1 &&
		config->flows_max >= 16 && config->peers_max >= 16 && config->streams_max >= 1);
	require(config->ports_count <= NIC_PORTS_MAX);
	for (unsigned i = 0; i < config->ports_count; i++) {
		const struct plane_port_config *port = &config->ports[i];
		require_text(port->name, sizeof(port->name), 1);
		require_text(port->device, sizeof(port->device), 0);
		require(port->addresses_count <= PLANE_ADDRESSES_MAX && (port->mac[0] & 1) == 0);
		for (unsigned k = 0; k < port->addresses_count; k++)
			require(port->addresses[k].bits <= 128);
	}
}

static void try_manifest(const struct eos_node *root, struct eos_why *why)
{
	struct plane_manifest *manifest = NULL;
	int err = plane_manifest_decode(root, &manifest, why);
	require((err == 0) == (manifest != NULL) && (err == 0 || why->text[0] != '\0'));
	if (err == 0)
		check_manifest(manifest);
	plane_manifest_free(manifest);
}

static void try_config(const struct eos_node *root, struct eos_why *why)
{
	static struct plane_config config;
	plane_config_init(&config);
	if (plane_config_decode(root, &config, why) == 0)
		check_config(&config);
	else
		require(why->text[0] != '\0');
}

static void try_request(const char *data, size_t len)
{
	struct plane_request request;
	int err = plane_request_decode(data, len, &request);
	require(err == 0 || err == -EPROTO);
	if (err < 0)
		return;
	require(request.op == PLANE_REQUEST_STATE || request.name != NULL);
	require(request.op != PLANE_REQUEST_APPLY || request.manifest != NULL);
	plane_request_fini(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eos_why why = {""};
	struct eos_doc *doc;
	if (size == 0)
		return 0;
	const char *text = (const char *)data + 1;
	if (data[0] % 3 == 2) {
		try_request(text, size - 1);
		return 0;
	}
	if (eos_doc_parse_yaml("fuzz", text, size - 1, &doc, &why) < 0)
		return 0;
	if (data[0] % 3 == 0)
		try_manifest(eos_doc_root(doc), &why);
	else
		try_config(eos_doc_root(doc), &why);
	eos_doc_free(doc);
	return 0;
}
