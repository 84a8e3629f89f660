/*
 * Decoding what a manifest says about an endpoint: where it listens, TLS, and to which addresses
 * its connections' ways out lead.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "plane/plane_address.h"
#include "plane/plane_manifest_priv.h"

#define TARGET_PREFIX "tcp:"

static const char *const tls_keys[PLANE_TLS_FILES + 2] = {
	[PLANE_TLS_CERTIFICATE] = "certificate",
	[PLANE_TLS_KEY] = "key",
	[PLANE_TLS_CLIENT_CA] = "client_ca",
	[PLANE_TLS_FILES] = "protocols",
};

const char *plane_tls_file_key(enum plane_tls_file file)
{
	return tls_keys[file];
}

unsigned plane_manifest_files(const struct plane_manifest *manifest)
{
	unsigned count = manifest->stages_count;
	if (!manifest->has_endpoint || !manifest->endpoint.has_tls)
		return count;
	for (unsigned i = 0; i < PLANE_TLS_FILES; i++)
		count += manifest->endpoint.tls.files[i][0] != '\0';
	return count;
}

/* --- TLS --- */

static int decode_tls_file(const struct eos_node *map, const char *key, char *out, size_t size,
			   bool is_required, struct eos_why *why)
{
	const char *name = NULL;
	int err = eos_node_get_text(map, key, &name, why);
	if (err < 0 || (name == NULL && !is_required))
		return err;
	if (name == NULL || name[0] == '\0')
		return eos_node_fail(map, why, "tls: %s: the name of a PEM file is missing", key);
	if (eos_str_copy(out, size, name) < 0)
		return eos_node_fail(eos_node_get(map, key), why, "tls: %s: longer than %zu bytes",
				     key, size - 1);
	return 0;
}

static int decode_protocols(const struct eos_node *map, struct plane_tls_config *tls,
			    struct eos_why *why)
{
	const struct eos_node *list = eos_node_get(map, "protocols");
	if (list == NULL)
		return 0;
	if (eos_node_kind(list) != EOS_NODE_LIST || eos_node_count(list) > PLANE_PROTOCOLS_MAX)
		return eos_node_fail(list, why, "tls: protocols: not a list of up to %u names",
				     PLANE_PROTOCOLS_MAX);
	for (size_t i = 0; i < eos_node_count(list); i++) {
		const struct eos_node *node = eos_node_at(list, i);
		const char *name = eos_node_text(node);
		if (name[0] == '\0' ||
		    eos_str_copy(tls->protocols[i], sizeof(tls->protocols[i]), name) < 0)
			return eos_node_fail(node, why,
					     "tls: protocols: a name has 1 to %u bytes "
					     "(http/1.1): \"%.40s\"",
					     PLANE_PROTOCOL_MAX, name);
		tls->protocols_count++;
	}
	return 0;
}

static int decode_tls(const struct eos_node *endpoint_map, struct plane_endpoint *endpoint,
		      struct eos_why *why)
{
	const struct eos_node *map = eos_node_get(endpoint_map, "tls");
	if (map == NULL)
		return 0;
	if (!endpoint->is_tcp)
		return eos_node_fail(map, why, "endpoint: tls: only with tcp");
	int err = eos_node_check_keys(map, tls_keys, why);
	for (unsigned i = 0; err == 0 && i < PLANE_TLS_FILES; i++)
		err = decode_tls_file(map, tls_keys[i], endpoint->tls.files[i],
				      sizeof(endpoint->tls.files[i]), i != PLANE_TLS_CLIENT_CA,
				      why);
	if (err == 0)
		err = decode_protocols(map, &endpoint->tls, why);
	endpoint->has_tls = true;
	return err;
}

/* --- ways out --- */

/* "10.0.0.7:80", "[::1]:81". */
static bool parse_target(const char *text, struct plane_target *ret_target)
{
	char copy[PLANE_ADDRESS_TEXT_SIZE + 16];
	uint8_t bits;
	uint64_t port;
	static const uint8_t none[16];
	if (eos_str_copy(copy, sizeof(copy), text) < 0)
		return false;
	char *colon = strrchr(copy, ':'), *address = copy;
	if (colon == NULL || eos_parse_u64(colon + 1, &port) < 0 || port == 0 || port > UINT16_MAX)
		return false;
	*colon = '\0';
	bool is_bracketed = address[0] == '[' && colon > copy + 1 && colon[-1] == ']';
	if (is_bracketed) {
		colon[-1] = '\0';
		address++;
	}
	if (strchr(address, '/') != NULL ||
	    !plane_address_parse(address, ret_target->address, &bits))
		return false;
	ret_target->port = (uint16_t)port;
	bool is_v4 = plane_address_is_v4(ret_target->address);
	/* Connecting to "any address" would be connecting to oneself. */
	return is_bracketed == !is_v4 && memcmp(ret_target->address, none, sizeof(none)) != 0 &&
	       !(is_v4 && memcmp(ret_target->address + 12, none, 4) == 0);
}

static int get_target(const struct eos_node *map, const char *key, struct plane_target *target,
		      struct eos_why *why)
{
	const char *text = NULL;
	const size_t prefix_len = sizeof(TARGET_PREFIX) - 1;
	int err = eos_node_get_text(map, key, &text, why);
	if (err < 0)
		return err;
	if (text == NULL || strncmp(text, TARGET_PREFIX, prefix_len) != 0 ||
	    !parse_target(text + prefix_len, target))
		return eos_node_fail(
			eos_node_get(map, key), why,
			"%s: not an address and a port number "
			"(\"tcp:10.0.0.7:80\", \"tcp:[2001:db8::7]:80\"; names are not "
			"looked up): \"%.80s\"",
			key, text == NULL ? "" : text);
	return 0;
}

static int decode_ways_out(const struct eos_node *root, struct plane_manifest *manifest,
			   struct eos_why *why)
{
	const struct eos_node *out = eos_node_get(root, "out"), *next = eos_node_get(root, "next");
	if (out == NULL && next == NULL)
		return 0;
	if (!manifest->endpoint.is_tcp)
		return eos_node_fail(out != NULL ? out : next, why,
				     "an endpoint for UDP answers: it has no out and no next");
	int err = out == NULL ? 0 : get_target(root, "out", &manifest->out_target, why);
	for (unsigned i = 0; err == 0 && i < manifest->next_count; i++)
		err = get_target(next, manifest->next[i].name, &manifest->next[i].target, why);
	return err;
}

/* --- the whole --- */

static int decode_numbers(const struct eos_node *map, struct plane_endpoint *endpoint,
			  struct eos_why *why)
{
	bool is_udp = eos_node_get(map, "udp") != NULL;
	endpoint->is_tcp = eos_node_get(map, "tcp") != NULL;
	if (is_udp == endpoint->is_tcp)
		return eos_node_fail(map, why, "endpoint: needs udp or tcp, with a port number");
	int err = plane_manifest_get_range(map, is_udp ? "udp" : "tcp", &endpoint->first,
					   &endpoint->last, why);
	if (err < 0)
		return err;
	if (endpoint->last - endpoint->first >= (int)PLANE_ENDPOINT_PORTS)
		return eos_node_fail(map, why, "endpoint: more than %u port numbers",
				     PLANE_ENDPOINT_PORTS);
	return 0;
}

static int decode_where(const struct eos_node *map, struct plane_endpoint *endpoint,
			struct eos_why *why)
{
	const char *address = NULL;
	uint8_t bytes[16], bits;
	bool is_kernel = strcmp(endpoint->port, PLANE_KERNEL_PORT_NAME) == 0;
	int err = eos_node_get_text(map, "address", &address, why);
	if (err < 0)
		return err;
	if (endpoint->is_tcp && !is_kernel)
		return eos_node_fail(map, why,
				     "endpoint: tcp: only on the kernel's sockets (port: kernel)");
	if (address == NULL)
		return 0;
	if (!is_kernel)
		return eos_node_fail(map, why, "endpoint: address: is the port's own");
	if (strchr(address, '/') != NULL || !plane_address_parse(address, bytes, &bits) ||
	    eos_str_copy(endpoint->address, sizeof(endpoint->address), address) < 0)
		return eos_node_fail(eos_node_get(map, "address"), why,
				     "endpoint: address: not an IP address: \"%.60s\"", address);
	return 0;
}

int plane_endpoint_decode(const struct eos_node *root, struct plane_manifest *manifest,
			  struct eos_why *why)
{
	static const char *const keys[] = {"port", "address", "udp", "tcp", "tls", NULL};
	const struct eos_node *map = eos_node_get(root, "endpoint");
	struct plane_endpoint *endpoint = &manifest->endpoint;
	manifest->has_endpoint = true;
	strcpy(endpoint->port, PLANE_KERNEL_PORT_NAME);
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = plane_manifest_get_name(map, "port", false, endpoint->port,
					      sizeof(endpoint->port), why);
	if (err == 0)
		err = decode_numbers(map, endpoint, why);
	if (err == 0)
		err = decode_where(map, endpoint, why);
	if (err == 0)
		err = decode_tls(map, endpoint, why);
	return err < 0 ? err : decode_ways_out(root, manifest, why);
}
