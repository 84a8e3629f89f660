/*
 * Opening and closing of ports.
 *
 * A port is opened in steps, and close() undoes those that were done, so that it also is the way
 * out of a failure: the device is plugged in (probed), configured, given its queues, started; then
 * what wakes its threads is found. The driver's name of a device is made of our own number for it,
 * which is free again when it was closed.
 */
#include "nic/nic_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "base/assert.h"
#include "base/file.h"
#include "base/str.h"

#define MTU	   1500u
#define MTU_MIN	   68u /* what IPv4 asks for */
#define VLAN_MAX   4094u
#define HEADER_LEN 14u
#define TAG_LEN	   4u
/* A ring has at most 2,048 places. */
#define EMPTY_BURSTS (2 * 2048 / NIC_BURST_MAX)
#define RSS_HASHES   (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP)
#define CHECKSUM_OFFLOADS                                                                          \
	(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |                            \
	 RTE_ETH_RX_OFFLOAD_TCP_CKSUM)

static int check_name(const struct nic *nic, const char *name, struct eos_why *why)
{
	size_t len = name != NULL ? strlen(name) : 0;
	if (len == 0 || len > NIC_NAME_MAX ||
	    name[strspn(name,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] !=
		    '\0')
		return eos_why(
			why, -EINVAL,
			"a port's name is 1 to %u letters, digits, \"-\" or \"_\", not \"%s\"",
			NIC_NAME_MAX, name != NULL ? name : "");
	for (unsigned i = 0; i < NIC_PORTS_MAX; i++) {
		if (nic->ports[i] != NULL && strcmp(nic->ports[i]->name, name) == 0)
			return eos_why(why, -EEXIST, "there is a port \"%s\" already", name);
	}
	return 0;
}

static int check_config(const struct nic *nic, struct nic_port_config *config, struct eos_why *why)
{
	if (config->mtu == 0)
		config->mtu = MTU;
	if (config->queues == 0)
		config->queues = 1;
	int err = check_name(nic, config->name, why);
	if (err < 0)
		return err;
	if (config->device == NULL)
		return eos_why(why, -EINVAL, "port \"%s\" has no device", config->name);
	if (config->queues > NIC_QUEUES_MAX)
		return eos_why(why, -EINVAL, "port \"%s\": %u queues; %u are the most",
			       config->name, config->queues, NIC_QUEUES_MAX);
	if (config->vlan > VLAN_MAX)
		return eos_why(why, -EINVAL, "port \"%s\": VLAN %u; %u is the highest",
			       config->name, config->vlan, VLAN_MAX);
	if ((config->mac[0] & 1) != 0)
		return eos_why(why, -EINVAL, "port \"%s\": its MAC address is one of groups",
			       config->name);
	if (config->mtu < MTU_MIN || config->mtu + HEADER_LEN + 2 * TAG_LEN > nic->frame_bytes)
		return eos_why(why, -EINVAL,
			       "port \"%s\": an MTU of %u; %u to %u are possible with frames of %u "
			       "bytes",
			       config->name, config->mtu, MTU_MIN,
			       nic->frame_bytes - HEADER_LEN - 2 * TAG_LEN, nic->frame_bytes);
	return 0;
}

static int find_slot(const struct nic *nic, unsigned *ret_slot, struct eos_why *why)
{
	for (unsigned i = 0; i < NIC_PORTS_MAX; i++) {
		if (nic->ports[i] == NULL) {
			*ret_slot = i;
			return 0;
		}
	}
	return eos_why(why, -ENOSPC, "there are %u ports already", NIC_PORTS_MAX);
}

/* An interface or socket is one port's: the second would find it busy, or take the first's. */
static int check_unused(const struct nic *nic, const struct nic_device *device, struct eos_why *why)
{
	for (unsigned i = 0; i < NIC_PORTS_MAX; i++) {
		const struct nic_port *port = nic->ports[i];
		if (port == NULL)
			continue;
		if (device->interface[0] != '\0' &&
		    strcmp(port->device.interface, device->interface) == 0)
			return eos_why(why, -EBUSY, "interface %s is port \"%s\"",
				       device->interface, port->name);
		if (device->listens && strcmp(port->device.path, device->path) == 0)
			return eos_why(why, -EBUSY, "%s is port \"%s\"", device->path, port->name);
	}
	return 0;
}

static bool has_mac(const struct nic_port_config *config)
{
	static const uint8_t none[6];
	return memcmp(config->mac, none, sizeof(none)) != 0;
}

static int lock_xdp(struct nic_port *port, struct eos_why *why)
{
	int lock = nic_leftover_lock_xdp(port->device.interface, why);
	if (lock < 0)
		return lock;
	port->lock = lock;
	return nic_leftover_xdp(port->device.interface, why);
}

/* Of an interface that was there before the port. */
static int prepare_interface(struct nic_port *port, const struct nic_port_config *config,
			     struct eos_why *why)
{
	const char *name = port->device.interface;
	int err = nic_interface_set_mtu(name, port->mtu, why);
	if (err < 0)
		return err;
	port->hold_socket = nic_interface_hold(name, has_mac(config) ? config->mac : NULL,
					       config->is_promiscuous);
	return port->hold_socket >= 0
		       ? 0
		       : eos_why(why, port->hold_socket, "%s: letting the port's frames in: %s",
				 name, strerror(-port->hold_socket));
}

/* What must be so before the driver sees the device. */
static int prepare(struct nic_port *port, const struct nic_port_config *config, struct eos_why *why)
{
	const struct nic_device *device = &port->device;
	bool is_tap = (device->kind->flags & NIC_KIND_SIGNALS) != 0;
	int err = 0;
	if ((device->kind->flags & NIC_KIND_PCI) != 0 && !port->nic->with_pci)
		return eos_why(why, -ENOTSUP, "PCI devices were not looked for");
	if (device->listens)
		err = nic_leftover_socket(device->path, why);
	if (err < 0 || device->interface[0] == '\0')
		return err;
	if (is_tap)
		return nic_interface_exists(device->interface)
			       ? eos_why(why, -EBUSY, "there is an interface %s already",
					 device->interface)
			       : 0;
	if (!nic_interface_exists(device->interface))
		return eos_why(why, -ENODEV, "there is no interface %s", device->interface);
	if ((device->kind->flags & NIC_KIND_XDP) != 0 && port->nic->frame_bytes > NIC_XDP_FRAME_MAX)
		return eos_why(why, -ENOTSUP,
			       "AF_XDP wants frames to fit into a page: frame_bytes is %u, %u is "
			       "possible",
			       port->nic->frame_bytes, NIC_XDP_FRAME_MAX);
	if ((device->kind->flags & NIC_KIND_XDP) != 0)
		err = lock_xdp(port, why);
	return err < 0 ? err : prepare_interface(port, config, why);
}

static int probe(struct nic_port *port, struct eos_why *why)
{
	const struct nic_device *device = &port->device;
	struct nic_wake_signals signals;
	nic_log_begin();
	nic_wake_signals_before(&signals);
	int err = rte_eal_hotplug_add(device->bus, device->name, device->args);
	if ((device->kind->flags & NIC_KIND_SIGNALS) != 0)
		nic_wake_signals_after(&signals);
	port->is_probed = err == 0;
	if (err == 0 && rte_eth_dev_get_port_by_name(device->name, &port->id) < 0)
		err = -ENODEV;
	bool is_pci = (device->kind->flags & NIC_KIND_PCI) != 0;
	return nic_log_failed(why,
			      err == 0 ? 0
			      : is_pci ? -ENODEV
				       : -EIO,
			      "device %s", device->name);
}

/* Fills CONF for what the device can do. */
static int choose(struct nic_port *port, const struct rte_eth_dev_info *info,
		  struct rte_eth_conf *conf, struct eos_why *why)
{
	unsigned flags = port->device.kind->flags;
	bool is_pci = (flags & NIC_KIND_PCI) != 0;
	uint32_t frame = port->mtu + HEADER_LEN + 2 * TAG_LEN;
	if (port->queues_count > info->max_rx_queues || port->queues_count > info->max_tx_queues)
		return eos_why(why, -ENOTSUP, "device %s has %u queues, not %u", port->device.name,
			       EOS_MIN(info->max_rx_queues, info->max_tx_queues),
			       port->queues_count);
	/* Software devices carry longer frames than they say. */
	if (port->mtu <= info->max_mtu && frame <= info->max_rx_pktlen)
		conf->rxmode.mtu = port->mtu;
	else if (is_pci || (flags & NIC_KIND_XDP) != 0)
		return eos_why(why, -ENOTSUP, "device %s: an MTU of %u; %u is the most",
			       port->device.name, port->mtu, info->max_mtu);
	if (is_pci)
		conf->rxmode.offloads = info->rx_offload_capa & CHECKSUM_OFFLOADS;
	if (port->queues_count > 1 && (flags & NIC_KIND_SPREADS) == 0) {
		conf->rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & RSS_HASHES;
		port->has_rss = conf->rx_adv_conf.rss_conf.rss_hf != 0;
		if (port->has_rss)
			conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		else if (is_pci)
			return eos_why(why, -ENOTSUP, "device %s does not spread over queues",
				       port->device.name);
	}
	conf->intr_conf.rxq = port->device.kind->wake == NIC_WAKE_INTERRUPT ||
			      port->device.kind->wake == NIC_WAKE_LEVEL;
	return 0;
}

static int configure(struct nic_port *port, struct rte_eth_dev_info *ret_info, struct eos_why *why)
{
	struct rte_eth_conf conf = {0};
	int err = rte_eth_dev_info_get(port->id, ret_info);
	if (err < 0)
		return eos_why(why, -EIO, "device %s: %s", port->device.name, strerror(-err));
	err = choose(port, ret_info, &conf, why);
	if (err < 0)
		return err;
	nic_log_begin();
	err = rte_eth_dev_configure(port->id, port->queues_count, port->queues_count, &conf);
	if (err < 0 && conf.intr_conf.rxq != 0) {
		/* This one has no interrupts after all, so nic_wait() will have to look. */
		conf.intr_conf.rxq = 0;
		err = rte_eth_dev_configure(port->id, port->queues_count, port->queues_count,
					    &conf);
	}
	return nic_log_failed(why, err, "device %s", port->device.name);
}

/* Sets up receive queue I. af_xdp opens its socket here. */
static int set_up_receive(struct nic_port *port, uint16_t i, uint16_t descriptors)
{
	bool is_xdp = (port->device.kind->flags & NIC_KIND_XDP) != 0;
	struct nic_wake_sockets before = {.count = 0}, after;
	if (is_xdp)
		nic_wake_find(AF_XDP, 0, &before);
	int err = rte_eth_rx_queue_setup(port->id, i, descriptors, SOCKET_ID_ANY, NULL,
					 port->nic->pool);
	if (err < 0 || !is_xdp)
		return err;
	nic_wake_find(AF_XDP, 0, &after);
	for (unsigned k = 0; k < after.count; k++) {
		bool is_old = false;
		for (unsigned b = 0; b < before.count; b++)
			is_old = is_old || before.fds[b] == after.fds[k];
		if (!is_old && port->queues[i].socket < 0)
			port->queues[i].socket = after.fds[k];
	}
	return 0;
}

static int start(struct nic_port *port, struct eos_why *why)
{
	uint16_t receive = NIC_DESCRIPTORS, send = NIC_DESCRIPTORS;
	nic_log_begin();
	int err = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &receive, &send);
	for (uint16_t i = 0; err == 0 && i < port->queues_count; i++) {
		err = set_up_receive(port, i, receive);
		if (err == 0)
			err = rte_eth_tx_queue_setup(port->id, i, send, SOCKET_ID_ANY, NULL);
	}
	if (err == 0)
		err = rte_eth_dev_start(port->id);
	port->is_started = err == 0;
	return nic_log_failed(why, err, "device %s", port->device.name);
}

/* The address and what it lets in. */
static int set_filters(struct nic_port *port, const struct nic_port_config *config,
		       struct eos_why *why)
{
	struct rte_ether_addr address;
	bool is_pci = (port->device.kind->flags & NIC_KIND_PCI) != 0;
	bool is_held = port->hold_socket >= 0; /* which lets the address in already */
	int err = rte_eth_macaddr_get(port->id, &address);
	if (err < 0)
		return eos_why(why, -EIO, "device %s: %s", port->device.name, strerror(-err));
	memcpy(port->mac, address.addr_bytes, sizeof(port->mac));
	if (has_mac(config) && memcmp(config->mac, port->mac, sizeof(port->mac)) != 0) {
		memcpy(address.addr_bytes, config->mac, sizeof(port->mac));
		nic_log_begin();
		err = is_held ? 0 : rte_eth_dev_default_mac_addr_set(port->id, &address);
		/* Without filters it needs to be known here only. */
		if (err == -ENOTSUP && !is_pci && port->device.interface[0] == '\0')
			err = 0;
		err = nic_log_failed(why, err, "device %s: MAC address", port->device.name);
		if (err < 0)
			return err;
		memcpy(port->mac, config->mac, sizeof(port->mac));
	}
	if (!is_pci)
		return 0;
	err = config->is_promiscuous ? rte_eth_promiscuous_enable(port->id)
				     : rte_eth_allmulticast_enable(port->id);
	return err < 0 ? eos_why(why, -ENOTSUP, "device %s: promiscuous or multicasts: %s",
				 port->device.name, strerror(-err))
		       : 0;
}

static int open_device(struct nic_port *port, const struct nic_port_config *config,
		       struct eos_why *why)
{
	struct rte_eth_dev_info info;
	int err = prepare(port, config, why);
	if (err == 0)
		err = probe(port, why);
	if (err == 0)
		err = configure(port, &info, why);
	if (err == 0)
		err = start(port, why);
	if (err == 0)
		err = set_filters(port, config, why);
	if (err == 0 && (port->device.kind->flags & NIC_KIND_SIGNALS) != 0)
		err = nic_interface_set_mtu(port->device.interface, port->mtu, why);
	if (err < 0)
		return err;
	(void)snprintf(port->driver, sizeof(port->driver), "%s", info.driver_name);
	nic_wake_open(port);
	return 0;
}

static struct nic_port *make(struct nic *nic, const struct nic_port_config *config,
			     const struct nic_device *device, unsigned slot)
{
	struct nic_port *port = aligned_alloc(alignof(struct nic_port), sizeof(*port));
	if (port == NULL)
		return NULL;
	memset(port, 0, sizeof(*port));
	port->nic = nic;
	port->device = *device;
	port->slot = slot;
	port->mtu = config->mtu;
	port->vlan = config->vlan;
	port->queues_count = config->queues;
	port->frame_max = config->mtu + HEADER_LEN + TAG_LEN + (config->vlan != 0 ? TAG_LEN : 0);
	port->hold_socket = port->lock = -1;
	(void)snprintf(port->name, sizeof(port->name), "%s", config->name);
	for (unsigned i = 0; i < NIC_QUEUES_MAX; i++)
		port->queues[i].wait_fd = port->queues[i].socket = -1;
	return port;
}

int nic_port_open(struct nic *nic, const struct nic_port_config *config, struct nic_port **ret_port,
		  struct eos_why *why)
{
	struct nic_port_config checked = *config;
	struct nic_device device;
	unsigned slot = 0;
	int err = check_config(nic, &checked, why);
	if (err == 0)
		err = find_slot(nic, &slot, why);
	if (err < 0)
		return err;
	struct nic_device_wants wants = {slot, checked.queues, checked.mtu, {0}};
	memcpy(wants.mac, checked.mac, sizeof(wants.mac));
	err = nic_device_parse(checked.device, &wants, &device, why);
	if (err == 0)
		err = check_unused(nic, &device, why);
	if (err < 0) {
		eos_why_prefix(why, "port \"%s\"", checked.name);
		return err;
	}
	struct nic_port *port = make(nic, &checked, &device, slot);
	if (port == NULL)
		return eos_why(why, -ENOMEM, "no memory");
	nic->ports[slot] = port;
	err = open_device(port, &checked, why);
	if (err < 0) {
		eos_why_prefix(why, "port \"%s\"", checked.name);
		(void)nic_port_close(port);
		return err;
	}
	*ret_port = port;
	return 0;
}

/* Frees what is in the queue: rings keep it, and the next one of that name would have it. There are
 * devices that always have more. */
static void empty(struct nic_port *port, unsigned index)
{
	struct rte_mbuf *mbufs[NIC_BURST_MAX];
	if (port->queues[index].looked != NULL)
		rte_pktmbuf_free(port->queues[index].looked);
	for (unsigned i = 0; port->is_started && i < EMPTY_BURSTS; i++) {
		unsigned n = rte_eth_rx_burst(port->id, (uint16_t)index, mbufs, NIC_BURST_MAX);
		rte_pktmbuf_free_bulk(mbufs, n);
		if (n == 0)
			return;
	}
}

struct nic_port *nic_port_close(struct nic_port *port)
{
	if (port == NULL)
		return NULL;
	EOS_ASSERT(port->nic->ports[port->slot] == port);
	nic_wake_close(port);
	for (unsigned i = 0; i < port->queues_count; i++)
		empty(port, i);
	if (port->is_started)
		(void)rte_eth_dev_stop(port->id);
	if (port->is_probed) {
		if (rte_eth_dev_is_valid_port(port->id))
			(void)rte_eth_dev_close(port->id);
		(void)rte_eal_hotplug_remove(port->device.bus, port->device.name);
	}
	if ((port->device.kind->flags & NIC_KIND_XDP) != 0)
		nic_xdp_close(port);
	(void)eos_close(port->hold_socket);
	(void)eos_close(port->lock);
	port->nic->ports[port->slot] = NULL;
	free(port);
	return NULL;
}
