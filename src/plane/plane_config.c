#include "plane/plane_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "plane/plane_address.h"

#define MIB UINT64_C(1048576)

void plane_config_init(struct plane_config *config)
{
	*config = (struct plane_config){
		.processor = -1,
		.cores = 1,
		.memory_mib = 128,
		.frames_max = 8192,
		.chains_max = 4096,
		.fwps_max = 4096,
		.flows_max = 65536,
		.peers_max = 65536,
		.streams_max = 1024,
		.spin_ns = 50 * EOS_NS_PER_US,
		.step_ns = 200 * EOS_NS_PER_US,
		.watchdog_ns = PLANE_WATCHDOG_NS,
	};
}

static int get_u32(const struct eos_node *map, const char *key, uint64_t min, uint64_t max,
		   uint32_t *value, struct eos_why *why)
{
	uint64_t wide = *value;
	int err = eos_node_get_u64(map, key, min, max, &wide, why);
	*value = (uint32_t)wide;
	return err;
}

static int get_u16(const struct eos_node *map, const char *key, uint64_t min, uint64_t max,
		   uint16_t *value, struct eos_why *why)
{
	uint32_t wide = *value;
	int err = get_u32(map, key, min, max, &wide, why);
	*value = (uint16_t)wide;
	return err;
}

static int get_mac(const struct eos_node *map, uint8_t mac[6], struct eos_why *why)
{
	const char *text = NULL;
	unsigned parts[6];
	char rest;
	int err = eos_node_get_text(map, "mac", &text, why);
	if (err < 0 || text == NULL)
		return err;
	/* Signs and blanks are numbers' to sscanf(), too. */
	if (strspn(text, "0123456789abcdefABCDEF:") != strlen(text) ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &parts[0], &parts[1], &parts[2], &parts[3],
		   &parts[4], &parts[5], &rest) != 6)
		return eos_node_fail(eos_node_get(map, "mac"), why,
				     "mac: not an address like 02:00:00:00:00:01: \"%.40s\"", text);
	if ((parts[0] & 1) != 0)
		return eos_node_fail(eos_node_get(map, "mac"), why,
				     "mac: a group's address: \"%.40s\"", text);
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)parts[i];
	return 0;
}

static int get_addresses(const struct eos_node *map, struct plane_port_config *port,
			 struct eos_why *why)
{
	const struct eos_node *list = eos_node_get(map, "addresses");
	const char *gateway = NULL;
	if (list != NULL && eos_node_kind(list) != EOS_NODE_LIST)
		return eos_node_fail(list, why, "addresses: not a list");
	for (size_t i = 0; list != NULL && i < eos_node_count(list); i++) {
		const struct eos_node *node = eos_node_at(list, i);
		struct plane_address *address = &port->addresses[port->addresses_count];
		if (port->addresses_count == PLANE_ADDRESSES_MAX)
			return eos_node_fail(list, why, "addresses: more than %u",
					     PLANE_ADDRESSES_MAX);
		if (!plane_address_parse(eos_node_text(node), address->address, &address->bits))
			return eos_node_fail(node, why,
					     "addresses: not an address with a prefix length "
					     "(\"10.0.0.1/24\"): \"%.60s\"",
					     eos_node_text(node));
		port->addresses_count++;
	}
	int err = eos_node_get_text(map, "gateway", &gateway, why);
	if (err < 0 || gateway == NULL)
		return err;
	uint8_t bits;
	if (strchr(gateway, '/') != NULL || !plane_address_parse(gateway, port->gateway, &bits))
		return eos_node_fail(eos_node_get(map, "gateway"), why,
				     "gateway: not an address: \"%.60s\"", gateway);
	port->has_gateway = true;
	return 0;
}

static int decode_port(const struct eos_node *map, const char *name, struct plane_port_config *port,
		       struct eos_why *why)
{
	static const char *const keys[] = {"device",	  "mac",       "mtu",	  "vlan",
					   "promiscuous", "addresses", "gateway", NULL};
	const char *device = NULL;
	int err = eos_node_check_keys(map, keys, why);
	if (err == 0)
		err = eos_node_get_text(map, "device", &device, why);
	if (err < 0)
		return err;
	if (strcmp(name, PLANE_KERNEL_PORT_NAME) == 0)
		return eos_node_fail(map, why, "a port cannot have the name \"%s\"", name);
	if (eos_str_copy(port->name, sizeof(port->name), name) < 0 || name[0] == '\0')
		return eos_node_fail(map, why, "a port's name has 1 to %u bytes: \"%.40s\"",
				     PLANE_PORT_NAME_MAX, name);
	if (device == NULL)
		return eos_node_fail(map, why, "device: is missing (\"af_packet:eth1\" …)");
	if (eos_str_copy(port->device, sizeof(port->device), device) < 0)
		return eos_node_fail(map, why, "device: longer than %u bytes", PLANE_DEVICE_MAX);
	err = get_mac(map, port->mac, why);
	if (err == 0)
		err = get_u16(map, "mtu", 68, NIC_FRAME_MAX - 22, &port->mtu, why);
	if (err == 0)
		err = get_u16(map, "vlan", 1, 4094, &port->vlan, why);
	if (err == 0)
		err = eos_node_get_bool(map, "promiscuous", &port->is_promiscuous, why);
	return err < 0 ? err : get_addresses(map, port, why);
}

static int decode_ports(const struct eos_node *node, struct plane_config *config,
			struct eos_why *why)
{
	const struct eos_node *map = eos_node_get(node, "ports");
	if (map == NULL)
		return 0;
	if (eos_node_kind(map) != EOS_NODE_MAP)
		return eos_node_fail(map, why, "ports: not a map of names and ports");
	for (size_t i = 0; i < eos_node_count(map); i++) {
		if (config->ports_count == NIC_PORTS_MAX)
			return eos_node_fail(map, why, "ports: more than %u", NIC_PORTS_MAX);
		int err = decode_port(eos_node_at(map, i), eos_node_key_at(map, i),
				      &config->ports[config->ports_count], why);
		if (err < 0)
			return err;
		config->ports_count++;
	}
	return 0;
}

static int decode_processor(const struct eos_node *node, struct plane_config *config,
			    struct eos_why *why)
{
	const char *text = NULL;
	uint64_t number;
	int err = eos_node_get_text(node, "processor", &text, why);
	if (err < 0 || text == NULL || strcmp(text, "any") == 0)
		return err;
	if (eos_parse_u64(text, &number) < 0 || number > 4095)
		return eos_node_fail(eos_node_get(node, "processor"), why,
				     "processor: not \"any\" or a processor's number: \"%.40s\"",
				     text);
	config->processor = (int)number;
	return 0;
}

static int get_watchdog(const struct eos_node *node, uint64_t *ns, struct eos_why *why)
{
	int err = eos_node_get_duration(node, "watchdog", 0, PLANE_WATCHDOG_NS_MAX, ns, why);
	if (err == 0 && *ns != 0 && *ns < PLANE_WATCHDOG_NS_MIN)
		err = eos_node_fail(eos_node_get(node, "watchdog"), why,
				    "watchdog: neither 0 nor 1s or more");
	return err;
}

int plane_config_decode(const struct eos_node *node, struct plane_config *config,
			struct eos_why *why)
{
	static const char *const keys[] = {"processor", "cores", "hugepages", "memory", "frames",
					   "chains",	"fwps",	 "flows",     "peers",	"streams",
					   "spin",	"step",	 "watchdog",  "ports",	NULL};
	uint64_t bytes = config->memory_mib * MIB;
	int err = eos_node_check_keys(node, keys, why);
	if (err == 0)
		err = decode_processor(node, config, why);
	if (err == 0)
		err = get_u32(node, "cores", 1, PLANE_CORES_MAX, &config->cores, why);
	if (err == 0)
		err = eos_node_get_bool(node, "hugepages", &config->with_hugepages, why);
	if (err == 0)
		err = eos_node_get_size(node, "memory", 16 * MIB, 65536 * MIB, &bytes, why);
	config->memory_mib = (uint32_t)(bytes / MIB);
	if (err == 0)
		err = get_u32(node, "frames", PLANE_FRAMES_MIN, PLANE_FRAMES_MAX,
			      &config->frames_max, why);
	if (err == 0)
		err = get_u32(node, "chains", 1, (uint64_t)config->cores * PLANE_CORE_CHAINS_MAX,
			      &config->chains_max, why);
	if (err == 0)
		err = get_u32(node, "fwps", 1, PLANE_FWPS_MAX, &config->fwps_max, why);
	if (err == 0)
		err = get_u32(node, "flows", 16, 1u << 24, &config->flows_max, why);
	if (err == 0)
		err = get_u32(node, "peers", 16, 1u << 20, &config->peers_max, why);
	if (err == 0)
		err = get_u32(node, "streams", 1, 1u << 16, &config->streams_max, why);
	if (err == 0)
		err = eos_node_get_duration(node, "spin", 0, EOS_NS_PER_S, &config->spin_ns, why);
	if (err == 0)
		err = eos_node_get_duration(node, "step", EOS_NS_PER_US * 10, EOS_NS_PER_S,
					    &config->step_ns, why);
	if (err == 0)
		err = get_watchdog(node, &config->watchdog_ns, why);
	return err < 0 ? err : decode_ports(node, config, why);
}

bool plane_config_has_pci(const struct plane_config *config)
{
	for (unsigned i = 0; i < config->ports_count; i++) {
		if (eos_str_starts_with(config->ports[i].device, "pci:"))
			return true;
	}
	return false;
}
