/* What can be asked about a port while it works. Counters of ours are read without locks. */
#include "nic/nic_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#define DRIVER_COUNTERS_MAX 512

void nic_port_info(const struct nic_port *port, struct nic_port_info *ret_info)
{
	struct rte_eth_link link = {0};
	*ret_info = (struct nic_port_info){
		.mtu = port->mtu,
		.queues = port->queues_count,
		.can_sleep = port->can_sleep,
		.has_rss = port->has_rss,
	};
	memcpy(ret_info->name, port->name, sizeof(ret_info->name));
	memcpy(ret_info->driver, port->driver, sizeof(ret_info->driver));
	memcpy(ret_info->mac, port->mac, sizeof(ret_info->mac));
	/* Drivers of kernel interfaces say that they are up, whatever the interface is. */
	if (port->device.interface[0] != '\0') {
		ret_info->is_up = port->hold_socket >= 0
					  ? nic_interface_held_is_up(port->hold_socket)
					  : nic_interface_is_up(port->device.interface);
		return;
	}
	if (rte_eth_link_get_nowait(port->id, &link) < 0)
		return;
	ret_info->is_up = link.link_status == RTE_ETH_LINK_UP;
	if (link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		ret_info->speed_mbps = link.link_speed;
}

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void nic_port_stats(const struct nic_port *port, struct nic_port_stats *ret_stats)
{
	struct rte_eth_stats device = {0};
	struct nic_port_stats sum = {0};
	for (unsigned i = 0; i < port->queues_count; i++) {
		const struct nic_queue *queue = &port->queues[i];
		sum.received += load(&queue->received);
		sum.received_bytes += load(&queue->received_bytes);
		sum.sent += load(&queue->sent);
		sum.sent_bytes += load(&queue->sent_bytes);
		sum.send_full += load(&queue->send_full);
		sum.too_long += load(&queue->too_long);
		sum.wrong_vlan += load(&queue->wrong_vlan);
		sum.errors += load(&queue->errors);
	}
	if (rte_eth_stats_get(port->id, &device) == 0) {
		sum.missed = device.imissed;
		sum.no_frames = device.rx_nombuf;
		sum.errors += device.ierrors + device.oerrors;
	}
	*ret_stats = sum;
}

unsigned nic_port_driver_counters(const struct nic_port *port, struct nic_counter *ret_counters,
				  unsigned max)
{
	struct rte_eth_xstat values[DRIVER_COUNTERS_MAX];
	struct rte_eth_xstat_name names[DRIVER_COUNTERS_MAX];
	int n = rte_eth_xstats_get_names(port->id, names, DRIVER_COUNTERS_MAX);
	/* With more than fit, nothing was written. */
	if (n <= 0 || n > DRIVER_COUNTERS_MAX ||
	    rte_eth_xstats_get(port->id, values, (unsigned)n) != n)
		return 0;
	unsigned count = EOS_MIN((unsigned)n, max);
	for (unsigned i = 0; i < count; i++) {
		(void)snprintf(ret_counters[i].name, sizeof(ret_counters[i].name), "%.63s",
			       names[i].name);
		ret_counters[i].value = values[i].value;
	}
	return count;
}
