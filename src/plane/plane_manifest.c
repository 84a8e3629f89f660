/*
 * Decoding a chain's manifest. What only the node knows (whether a port is there, whether an image
 * is a packet function) is found out later.
 */
#include "plane/plane_manifest.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "plane/plane_address.h"
#include "plane/plane_manifest_priv.h"

#define WASM_PAGE   UINT64_C(65536)
#define IDLE_NS_MAX (24 * 3600 * EOS_NS_PER_S)
#define FIXED_MAX   1024u
#define CHAINS_MAX  1000000u
/* Reserved, not used: an instance costs the pages that it writes. Tables and queues of usual Click
 * configurations fit. */
#define MEMORY_DEFAULT (UINT64_C(16) << 20)

bool plane_manifest_is_name(const char *text, size_t max)
{
	size_t len = strlen(text);
	if (len == 0 || len > max)
		return false;
	for (const char *p = text; *p != '\0'; p++) {
		bool is_letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');
		bool is_other = (*p >= '0' && *p <= '9') || *p == '-' || *p == '_';
		if (!is_letter && (!is_other || p == text))
			return false;
	}
	return true;
}

int plane_manifest_get_name(const struct eos_node *map, const char *key, bool is_required,
			    char *out, size_t size, struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(map, key, &text, why);
	if (err < 0)
		return err;
	if (text == NULL)
		return is_required ? eos_node_fail(map, why, "%s: is missing", key) : 0;
	if (!plane_manifest_is_name(text, size - 1))
		return eos_node_fail(
			eos_node_get(map, key), why,
			"%s: not a name (up to %zu letters, digits, '-', '_'; a letter "
			"first): \"%.80s\"",
			key, size - 1, text);
	return eos_str_copy(out, size, text);
}

/* --- match --- */

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {
	{"icmp", IPPROTO_ICMP}, {"tcp", IPPROTO_TCP},
	{"udp", IPPROTO_UDP},	{"gre", IPPROTO_GRE},
	{"esp", IPPROTO_ESP},	{"icmp6", IPPROTO_ICMPV6},
	{"sctp", IPPROTO_SCTP}, {"ip", 0},
};

static int get_proto(const struct eos_node *map, struct plane_match *match, struct eos_why *why)
{
	const char *text = NULL;
	uint64_t number;
	int err = eos_node_get_text(map, "proto", &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (strcmp(text, "any") == 0) {
		match->is_any = match->has_fragments = true;
		return 0;
	}
	for (size_t i = 0; i < EOS_ARRAY_SIZE(protocols); i++) {
		if (strcmp(text, protocols[i].name) == 0) {
			match->proto = protocols[i].number;
			return 0;
		}
	}
	if (eos_parse_u64(text, &number) == 0 && number > 0 && number < 256) {
		match->proto = (uint8_t)number;
		return 0;
	}
	return eos_node_fail(
		eos_node_get(map, "proto"), why,
		"proto: not any, ip, tcp, udp, icmp, icmp6, sctp, gre, esp or a number "
		"from 1 to 255: \"%.40s\"",
		text);
}

static int get_prefix(const struct eos_node *map, const char *key, uint8_t address[16],
		      uint8_t *bits, struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(map, key, &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (!plane_address_parse(text, address, bits))
		return eos_node_fail(eos_node_get(map, key), why,
				     "%s: not an address or prefix (\"10.0.0.0/8\", "
				     "\"2001:db8::/32\"): \"%.60s\"",
				     key, text);
	plane_address_mask(address, *bits);
	return 0;
}

/* "53", "1000-1999". */
int plane_manifest_get_range(const struct eos_node *map, const char *key, uint16_t *first,
			     uint16_t *last, struct eos_why *why)
{
	const char *text = NULL;
	char copy[16];
	uint64_t from = 0, to = 0;
	int err = eos_node_get_text(map, key, &text, why);
	if (err < 0 || text == NULL)
		return err;
	bool is_good = eos_str_copy(copy, sizeof(copy), text) == 0;
	char *dash = is_good ? strchr(copy, '-') : NULL;
	if (dash != NULL)
		*dash = '\0';
	is_good = is_good && eos_parse_u64(copy, &from) == 0 && from > 0 && from <= UINT16_MAX;
	to = from;
	if (is_good && dash != NULL)
		is_good = eos_parse_u64(dash + 1, &to) == 0 && to >= from && to <= UINT16_MAX;
	if (!is_good)
		return eos_node_fail(eos_node_get(map, key), why,
				     "%s: not a port number or range (\"53\", \"1000-1999\"): "
				     "\"%.40s\"",
				     key, text);
	*first = (uint16_t)from;
	*last = (uint16_t)to;
	return 0;
}

static int decode_match(const struct eos_node *map, struct plane_match *match, struct eos_why *why)
{
	static const char *const keys[] = {"port",	  "proto",	 "source",    "target",
					   "source_port", "target_port", "fragments", NULL};
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = plane_manifest_get_name(map, "port", true, match->port, sizeof(match->port),
					      why);
	if (err == 0)
		err = get_proto(map, match, why);
	if (err == 0)
		err = get_prefix(map, "source", match->source, &match->source_bits, why);
	if (err == 0)
		err = get_prefix(map, "target", match->target, &match->target_bits, why);
	if (err == 0)
		err = plane_manifest_get_range(map, "source_port", &match->source_port,
					       &match->source_port_last, why);
	if (err == 0)
		err = plane_manifest_get_range(map, "target_port", &match->target_port,
					       &match->target_port_last, why);
	if (err == 0)
		err = eos_node_get_bool(map, "fragments", &match->has_fragments, why);
	if (err == 0 && strcmp(match->port, PLANE_KERNEL_PORT_NAME) == 0)
		err = eos_node_fail(map, why,
				    "match: port: the kernel's sockets give no frames: "
				    "use endpoint");
	return err;
}

static bool prefix_takes(const uint8_t prefix[16], unsigned bits, const uint8_t address[16])
{
	unsigned bytes = bits / 8, rest = bits % 8;
	if (memcmp(prefix, address, bytes) != 0)
		return false;
	return rest == 0 || ((prefix[bytes] ^ address[bytes]) & (uint8_t)(0xff00u >> rest)) == 0;
}

static bool range_takes(uint16_t first, uint16_t last, uint16_t number)
{
	return first == 0 || (number >= first && number <= last);
}

bool plane_match_takes(const struct plane_match *match, const struct flow_packet *packet)
{
	bool is_ip = packet->kind == FLOW_IPV4 || packet->kind == FLOW_IPV6;
	if (!is_ip || packet->is_bad)
		return match->is_any;
	if (packet->is_fragment && !match->has_fragments)
		return false;
	if (match->proto != 0 && packet->proto != match->proto)
		return false;
	if (!prefix_takes(match->source, match->source_bits, packet->source) ||
	    !prefix_takes(match->target, match->target_bits, packet->target))
		return false;
	if (!packet->has_ports)
		return match->source_port == 0 && match->target_port == 0;
	return range_takes(match->source_port, match->source_port_last, packet->source_port) &&
	       range_takes(match->target_port, match->target_port_last, packet->target_port);
}

/* --- stages --- */

static int decode_settings(const struct eos_node *map, struct plane_stage *stage,
			   struct eos_why *why)
{
	if (eos_node_kind(map) != EOS_NODE_MAP)
		return eos_node_fail(map, why, "config: not a map of names and values");
	for (size_t i = 0; i < eos_node_count(map); i++) {
		const char *key = eos_node_key_at(map, i);
		const struct eos_node *value = eos_node_at(map, i);
		struct chain_setting *setting = &stage->settings[stage->settings_count];
		if (stage->settings_count == PLANE_SETTINGS_MAX)
			return eos_node_fail(map, why, "config: more than %u values",
					     PLANE_SETTINGS_MAX);
		if (key[0] == '\0' || strlen(key) > 63)
			return eos_node_fail(value, why, "config: a name has 1 to 63 bytes");
		if (eos_node_kind(value) != EOS_NODE_SCALAR ||
		    strlen(eos_node_text(value)) > PLANE_SETTING_BYTES)
			return eos_node_fail(value, why,
					     "config: %.63s: not a text of up to %u bytes", key,
					     PLANE_SETTING_BYTES);
		/* Who meant an empty one writes "". */
		if (eos_node_is_null(value))
			return eos_node_fail(value, why, "config: %.63s: has no value", key);
		char **texts = &stage->texts[2 * stage->settings_count];
		texts[0] = strdup(key);
		texts[1] = strdup(eos_node_text(value));
		*setting = (struct chain_setting){.key = texts[0], .value = texts[1]};
		stage->settings_count++;
		if (texts[0] == NULL || texts[1] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int decode_stage(const struct eos_node *node, struct plane_stage *stage, struct eos_why *why)
{
	static const char *const keys[] = {"image", "config", NULL};
	const char *image = NULL;
	int err = 0;
	if (eos_node_kind(node) == EOS_NODE_SCALAR) {
		image = eos_node_text(node);
	} else {
		err = eos_node_check_keys(node, keys, why);
		if (err == 0)
			err = eos_node_get_text(node, "image", &image, why);
	}
	if (err < 0)
		return err;
	if (image == NULL || image[0] == '\0')
		return eos_node_fail(node, why,
				     "stages: a stage is FILE.click, FILE.wasm, or "
				     "{image: FILE, config: {…}}");
	if (eos_str_copy(stage->image, sizeof(stage->image), image) < 0)
		return eos_node_fail(node, why, "image: longer than %u bytes",
				     PLANE_IMAGE_NAME_MAX);
	const struct eos_node *config = eos_node_get(node, "config");
	return config == NULL ? 0 : decode_settings(config, stage, why);
}

static int decode_stages(const struct eos_node *root, struct plane_manifest *manifest,
			 struct eos_why *why)
{
	const struct eos_node *list = eos_node_get(root, "stages");
	if (list == NULL || eos_node_kind(list) != EOS_NODE_LIST || eos_node_count(list) == 0)
		return eos_node_fail(list == NULL ? root : list, why,
				     "stages: must be a list of at least one stage");
	if (eos_node_count(list) > CHAIN_STAGES_MAX)
		return eos_node_fail(list, why, "stages: more than %u", CHAIN_STAGES_MAX);
	for (size_t i = 0; i < eos_node_count(list); i++) {
		/* First counted, so that what was copied is freed. */
		manifest->stages_count++;
		int err = decode_stage(eos_node_at(list, i), &manifest->stages[i], why);
		if (err < 0)
			return err;
	}
	return 0;
}

/* --- the whole --- */

static int decode_isolation(const struct eos_node *root, struct plane_manifest *manifest,
			    struct eos_why *why)
{
	static const char *const keys[] = {"fixed", NULL};
	const struct eos_node *node = eos_node_get(root, "isolation");
	uint64_t count = 0;
	if (node == NULL)
		return 0;
	const char *text = eos_node_text(node);
	if (eos_node_kind(node) == EOS_NODE_MAP) {
		int err = eos_node_check_keys(node, keys, why);
		if (err == 0)
			err = eos_node_get_u64(node, "fixed", 1, FIXED_MAX, &count, why);
		if (err < 0)
			return err;
		manifest->isolation = CHAIN_FIXED;
		manifest->fixed_count = (uint32_t)count;
	} else if (strcmp(text, "tenant") == 0) {
		manifest->isolation = CHAIN_PER_TENANT;
	} else if (strcmp(text, "client") != 0) {
		return eos_node_fail(
			node, why, "isolation: not client, tenant or {fixed: N}: \"%.40s\"", text);
	}
	if (manifest->isolation == CHAIN_FIXED && count == 0)
		return eos_node_fail(node, why, "isolation: fixed: how many?");
	return 0;
}

static int decode_limits(const struct eos_node *root, struct plane_manifest *manifest,
			 struct eos_why *why)
{
	static const char *const keys[] = {"memory", "stack", "timeout", "chains", NULL};
	const struct eos_node *map = eos_node_get(root, "limits");
	uint64_t chains = 0;
	if (map == NULL)
		return 0;
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = eos_node_get_size(map, "memory", WASM_PAGE, FWP_MEMORY_PAGES_MAX * WASM_PAGE,
					&manifest->memory_bytes, why);
	if (err == 0)
		err = eos_node_get_size(map, "stack", FWP_STACK_BYTES_MIN, FWP_STACK_BYTES_MAX,
					&manifest->stack_bytes, why);
	if (err == 0)
		err = eos_node_get_duration(map, "timeout", EOS_NS_PER_US * 100, EOS_NS_PER_S,
					    &manifest->timeout_ns, why);
	if (err == 0)
		err = eos_node_get_u64(map, "chains", 1, CHAINS_MAX, &chains, why);
	manifest->chains_max = (uint32_t)chains;
	return err;
}

static int decode_ways_out(const struct eos_node *root, struct plane_manifest *manifest,
			   struct eos_why *why)
{
	const struct eos_node *map = eos_node_get(root, "next");
	int err = plane_manifest_get_name(root, "out", false, manifest->out, sizeof(manifest->out),
					  why);
	if (err < 0 || map == NULL)
		return err;
	for (size_t i = 0; i < eos_node_count(map); i++) {
		struct plane_next *next = &manifest->next[i];
		err = plane_manifest_get_name(map, next->name, true, next->port, sizeof(next->port),
					      why);
		if (err < 0)
			return err;
	}
	return 0;
}

static int decode_next_names(const struct eos_node *root, struct plane_manifest *manifest,
			     struct eos_why *why)
{
	const struct eos_node *map = eos_node_get(root, "next");
	if (map == NULL)
		return 0;
	if (eos_node_kind(map) != EOS_NODE_MAP || eos_node_count(map) > CHAIN_NEXT_MAX)
		return eos_node_fail(map, why, "next: not a map of up to %u names and ports",
				     CHAIN_NEXT_MAX);
	for (size_t i = 0; i < eos_node_count(map); i++) {
		const char *name = eos_node_key_at(map, i);
		if (!plane_manifest_is_name(name, PLANE_PORT_NAME_MAX))
			return eos_node_fail(map, why, "next: not a name: \"%.40s\"", name);
		strcpy(manifest->next[i].name, name);
		manifest->next_count++;
	}
	return 0;
}

static int decode_source(const struct eos_node *root, struct plane_manifest *manifest,
			 struct eos_why *why)
{
	const struct eos_node *match = eos_node_get(root, "match");
	const struct eos_node *endpoint = eos_node_get(root, "endpoint");
	if ((match == NULL) == (endpoint == NULL))
		return eos_node_fail(root, why,
				     "needs either match (frames) or endpoint (UDP or TCP)");
	int err = decode_next_names(root, manifest, why);
	if (err < 0)
		return err;
	if (match == NULL)
		return plane_endpoint_decode(root, manifest, why);
	err = decode_ways_out(root, manifest, why);
	return err < 0 ? err : decode_match(match, &manifest->match, why);
}

static int decode(const struct eos_node *root, struct plane_manifest *manifest, struct eos_why *why)
{
	static const char *const keys[] = {"chain",	"tenant", "match",  "endpoint",
					   "isolation", "idle",	  "stages", "out",
					   "next",	"limits", NULL};
	int err = eos_node_check_keys(root, keys, why);
	if (err == 0)
		err = plane_manifest_get_name(root, "chain", true, manifest->name,
					      sizeof(manifest->name), why);
	if (err == 0)
		err = plane_manifest_get_name(root, "tenant", false, manifest->tenant,
					      sizeof(manifest->tenant), why);
	if (err == 0)
		err = decode_isolation(root, manifest, why);
	if (err == 0)
		err = eos_node_get_duration(root, "idle", 0, IDLE_NS_MAX, &manifest->idle_ns, why);
	if (err == 0)
		err = decode_limits(root, manifest, why);
	if (err == 0)
		err = decode_source(root, manifest, why);
	return err < 0 ? err : decode_stages(root, manifest, why);
}

int plane_manifest_decode(const struct eos_node *root, struct plane_manifest **ret_manifest,
			  struct eos_why *why)
{
	struct plane_manifest *manifest = calloc(1, sizeof(*manifest));
	if (manifest == NULL)
		return -ENOMEM;
	strcpy(manifest->tenant, "default");
	manifest->isolation = CHAIN_PER_CLIENT;
	manifest->idle_ns = 30 * EOS_NS_PER_S;
	manifest->memory_bytes = MEMORY_DEFAULT;
	int err = decode(root, manifest, why);
	if (err < 0) {
		plane_manifest_free(manifest);
		return err;
	}
	*ret_manifest = manifest;
	return 0;
}

struct plane_manifest *plane_manifest_free(struct plane_manifest *manifest)
{
	if (manifest == NULL)
		return NULL;
	for (unsigned i = 0; i < manifest->stages_count; i++) {
		struct plane_stage *stage = &manifest->stages[i];
		for (unsigned k = 0; k < 2 * stage->settings_count; k++)
			free(stage->texts[k]);
	}
	free(manifest);
	return NULL;
}
