/*
 * Functions whose trigger is `udp` or `tcp`: the data plane runs them, as a chain of one stage.
 * They have its limits, and nothing of what cells do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "func/manifest_priv.h"

#define IDLE_NS	     (30 * EOS_NS_PER_S)
#define IDLE_NS_MAX  (86400 * EOS_NS_PER_S)
#define NAME_BYTES   63u /* of a setting */
#define VALUE_BYTES  1024u
#define MEMORY_BYTES (16u << 20)
#define STACK_BYTES  (64u << 10)
#define TIMEOUT_NS   (10 * EOS_NS_PER_MS)

bool func_manifest_names_endpoint(const struct eos_node *root)
{
	const struct eos_node *list = eos_node_get(root, "triggers");
	for (size_t i = 0; list != NULL && i < eos_node_count(list); i++) {
		const struct eos_node *item = eos_node_at(list, i);
		if (eos_node_get(item, "udp") != NULL || eos_node_get(item, "tcp") != NULL)
			return true;
	}
	return false;
}

void func_manifest_set_packet_defaults(struct func_manifest *manifest)
{
	manifest->is_packet = true;
	manifest->isolation = FUNC_ISOLATION_CLIENT;
	manifest->memory_bytes = MEMORY_BYTES;
	manifest->stack_bytes = STACK_BYTES;
	manifest->timeout_ns = TIMEOUT_NS;
}

int func_manifest_decode_endpoint(const struct eos_node *node, bool is_tcp,
				  struct func_trigger *trigger, struct eos_why *why)
{
	static const char *const keys[] = {"port", "address", "idle", NULL};
	uint8_t address[sizeof(struct in6_addr)];
	uint64_t port = 0;
	trigger->kind = is_tcp ? FUNC_TRIGGER_TCP : FUNC_TRIGGER_UDP;
	trigger->idle_ns = IDLE_NS;
	strcpy(trigger->address, "127.0.0.1");
	int err = func_manifest_check_keys(node, keys, NULL, why);
	if (err == 0)
		err = eos_node_get_u64(node, "port", 1, UINT16_MAX, &port, why);
	if (err == 0)
		err = func_manifest_get_text(node, "address", trigger->address,
					     sizeof(trigger->address), why);
	if (err == 0)
		err = eos_node_get_duration(node, "idle", 0, IDLE_NS_MAX, &trigger->idle_ns, why);
	if (err < 0)
		return err;
	if (port == 0)
		return eos_node_fail(node, why, "port: is missing");
	if (inet_pton(AF_INET, trigger->address, address) != 1 &&
	    inet_pton(AF_INET6, trigger->address, address) != 1)
		return eos_node_fail(eos_node_get(node, "address"), why,
				     "address: not an address: \"%.60s\"", trigger->address);
	trigger->port = (uint16_t)port;
	return 0;
}

static int check_config(const struct eos_node *config, struct eos_why *why)
{
	for (size_t i = 0; config != NULL && i < eos_node_count(config); i++) {
		const struct eos_node *node = eos_node_at(config, i);
		if (strlen(eos_node_key_at(config, i)) > NAME_BYTES ||
		    strlen(eos_node_text(node)) > VALUE_BYTES)
			return eos_node_fail(node, why,
					     "config: for a packet function names have up to %u "
					     "bytes, values up to %u",
					     NAME_BYTES, VALUE_BYTES);
	}
	return 0;
}

int func_manifest_check_packets(const struct eos_node *root, const struct func_manifest *manifest,
				struct eos_why *why)
{
	static const char *const none[] = {"cpu", "grants", "retry"};
	static const char *const limits_none[] = {"concurrency", "host_calls"};
	const struct eos_node *limits = eos_node_get(root, "limits");
	for (size_t i = 0; i < EOS_ARRAY_SIZE(none); i++) {
		const struct eos_node *node = eos_node_get(root, none[i]);
		if (node != NULL)
			return eos_node_fail(node, why, "%s: not with a udp or tcp trigger",
					     none[i]);
	}
	for (size_t i = 0; limits != NULL && i < EOS_ARRAY_SIZE(limits_none); i++) {
		const struct eos_node *node = eos_node_get(limits, limits_none[i]);
		if (node != NULL)
			return eos_node_fail(node, why, "limits.%s: not with a udp or tcp trigger",
					     limits_none[i]);
	}
	if (manifest->triggers_count != 1)
		return eos_node_fail(eos_node_get(root, "triggers"), why,
				     "triggers: udp or tcp is a function's only trigger");
	return check_config(eos_node_get(root, "config"), why);
}
