/*
 * How a data plane is set up: the `plane` section of the node's configuration, all keys of which
 * packaging/edgeos.yaml describes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/node.h"
#include "base/why.h"
#include "nic/nic.h"
#include "plane/plane_heartbeat.h"
#include "plane/plane_manifest.h"

#define PLANE_ADDRESSES_MAX 16u /* of a port */
#define PLANE_DEVICE_MAX    255u
#define PLANE_CORES_MAX	    16u
/* Beyond these the worker would not start: frames as nic_new() takes them; instances are a core's,
 * as chains_new() takes them; FWPs are all of a process's, as fwp_engine_new() has room for. */
#define PLANE_FRAMES_MIN      2048u
#define PLANE_FRAMES_MAX      (1u << 20)
#define PLANE_CORE_CHAINS_MAX 65536u
#define PLANE_FWPS_MAX	      16000u

struct plane_address {
	uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t bits;	     /* of 128 */
};

struct plane_port_config {
	char name[PLANE_PORT_NAME_MAX + 1], device[PLANE_DEVICE_MAX + 1];
	uint8_t mac[6]; /* all zero: the device's own */
	uint16_t mtu, vlan;
	bool is_promiscuous;
	unsigned addresses_count;
	struct plane_address addresses[PLANE_ADDRESSES_MAX];
	bool has_gateway;
	uint8_t gateway[16];
};

struct plane_config {
	int processor;	/* of core 0, those of the others follow; negative: any */
	uint32_t cores; /* threads that carry packets */
	bool with_hugepages;
	uint32_t memory_mib, frames_max;
	uint32_t chains_max, fwps_max, flows_max, peers_max, streams_max;
	uint64_t spin_ns;     /* how long it polls after the last packet before it sleeps */
	uint64_t step_ns;     /* how often sleepless devices are looked at while idle */
	uint64_t watchdog_ns; /* a worker whose loop stands still for so long is ended; 0: never */
	unsigned ports_count;
	struct plane_port_config ports[NIC_PORTS_MAX];
};

void plane_config_init(struct plane_config *config);
/* Reads the map NODE over the defaults. -EINVAL with file and line. */
int plane_config_decode(const struct eos_node *node, struct plane_config *config,
			struct eos_why *why) EOS_MUST_CHECK;
/* Is one of the ports on a PCI device? For the others DPDK does not look for them. */
bool plane_config_has_pci(const struct plane_config *config);
