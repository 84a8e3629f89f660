/*
 * Ports: opening, who gets what of each, and what leaves: a copy, in a frame of its own, which is
 * sent at the end of the turn, by the core's own queue or, where a port has one only, by core 0.
 */
#include "plane/plane_ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "nic/host.h"
#include "plane/plane_address.h"
#include "plane/plane_cores.h"
#include "plane/plane_ports_priv.h"

#define NEIGHBOURS_MAX 4096u
#define V4_PREFIX_BITS 96u

/* --- opening --- */

static int open_host(struct plane_port *port, const struct plane_port_config *config,
		     struct eos_why *why)
{
	struct nic_host_address addresses[PLANE_ADDRESSES_MAX];
	struct nic_port_info info;
	struct nic_host_config host = {
		.addresses = addresses,
		.addresses_count = config->addresses_count,
		.neighbours_max = NEIGHBOURS_MAX,
		.now_ns = eos_now_ns(),
	};
	if (config->addresses_count == 0)
		return 0;
	nic_port_info(port->nic_port, &info);
	memcpy(host.mac, info.mac, sizeof(host.mac));
	host.mtu = info.mtu;
	for (unsigned i = 0; i < config->addresses_count; i++) {
		const struct plane_address *from = &config->addresses[i];
		bool is_v4 = plane_address_is_v4(from->address);
		memcpy(addresses[i].address, from->address, sizeof(from->address));
		addresses[i].prefix_len =
			(uint8_t)(is_v4 ? from->bits - V4_PREFIX_BITS : from->bits);
	}
	if (config->has_gateway) {
		bool is_v4 = plane_address_is_v4(config->gateway);
		memcpy(is_v4 ? host.gateway4 : host.gateway6, config->gateway, 16);
	}
	int err = crypto_random(&host.seed, sizeof(host.seed));
	return err < 0 ? err : nic_host_new(&host, &port->host, why);
}

static int open_device(struct plane *plane, const struct plane_port_config *config, unsigned queues,
		       struct nic_port **ret_port, struct eos_why *why)
{
	struct nic_port_config nic_config = {
		.name = config->name,
		.device = config->device,
		.mtu = config->mtu,
		.vlan = config->vlan,
		.queues = (uint16_t)queues,
		/* What has no addresses is a wire: everything on it is meant. */
		.is_promiscuous = config->is_promiscuous || config->addresses_count == 0,
	};
	memcpy(nic_config.mac, config->mac, sizeof(config->mac));
	return nic_port_open(plane->nic, &nic_config, ret_port, why);
}

/* This core's queue of a port that was opened, and its host. */
static int join_port(struct plane *plane, const struct plane_port_config *config,
		     struct nic_port *nic_port, struct eos_why *why)
{
	struct plane_port *port = &plane->ports[plane->ports_count++];
	struct nic_port_info info;
	nic_port_info(nic_port, &info);
	port->nic_port = nic_port;
	port->has_queue = plane->core < info.queues;
	port->queue = port->has_queue ? plane->core : 0;
	int err = open_host(port, config, why);
	if (err < 0)
		eos_why_prefix(why, "port %s", config->name);
	return err;
}

static int open_port(struct plane *plane, const struct plane_port_config *config,
		     struct eos_why *why)
{
	struct nic_port *nic_port;
	unsigned queues = nic_device_can_spread(config->device) ? plane->cores_count : 1;
	int err = open_device(plane, config, queues, &nic_port, why);
	/* It cannot have so many after all: an interface with fewer channels. */
	if (err < 0 && queues > 1)
		err = open_device(plane, config, 1, &nic_port, why);
	if (err < 0) {
		eos_why_prefix(why, "port %s", config->name);
		return err;
	}
	return join_port(plane, config, nic_port, why);
}

static uint32_t frame_bytes(const struct plane_config *config)
{
	uint32_t bytes = 1600;
	for (unsigned i = 0; i < config->ports_count; i++) {
		/* With Ethernet's header and two tags. */
		uint32_t needed = config->ports[i].mtu + 22u;
		bytes = needed > bytes ? needed : bytes;
	}
	return EOS_MIN(bytes, NIC_FRAME_MAX);
}

int plane_ports_open(struct plane *plane, struct eos_why *why)
{
	const struct plane_config *config = &plane->config;
	char cores[16];
	if (config->ports_count == 0)
		return 0;
	const struct nic_config nic = {
		.cores = config->processor < 0 ? NULL : cores,
		.memory_mib = config->memory_mib,
		.with_hugepages = config->with_hugepages,
		.frames_max = config->frames_max,
		.frame_bytes = frame_bytes(config),
		.with_pci = plane_config_has_pci(config),
	};
	(void)snprintf(cores, sizeof(cores), "%d", config->processor);
	plane->ports = calloc(config->ports_count, sizeof(*plane->ports));
	if (plane->ports == NULL)
		return eos_why(why, -ENOMEM, "no memory for %u ports", config->ports_count);
	int err = nic_new(&nic, &plane->nic, why);
	for (unsigned i = 0; err == 0 && i < config->ports_count; i++) {
		plane_beat(plane->heartbeats, 0);
		err = open_port(plane, &config->ports[i], why);
	}
	return err;
}

int plane_ports_join(struct plane *plane, const struct plane *first, struct eos_why *why)
{
	int err = 0;
	if (first->ports_count == 0)
		return 0;
	plane->nic = first->nic;
	plane->ports = calloc(first->ports_count, sizeof(*plane->ports));
	if (plane->ports == NULL)
		return eos_why(why, -ENOMEM, "no memory for %u ports", first->ports_count);
	for (unsigned i = 0; err == 0 && i < first->ports_count; i++)
		err = join_port(plane, &plane->config.ports[i], first->ports[i].nic_port, why);
	return err;
}

static void free_routes(struct plane_port *port)
{
	free(port->matches);
	free(port->endpoints);
	free(port->askers);
	port->matches = port->endpoints = port->askers = NULL;
	port->matches_count = port->endpoints_count = port->askers_count = 0;
	port->has_client_askers = false;
}

void plane_ports_leave(struct plane *plane)
{
	for (unsigned i = 0; i < plane->ports_count; i++) {
		struct plane_port *port = &plane->ports[i];
		nic_frames_free(port->out, port->out_count);
		port->out_count = 0;
		free_routes(port);
		port->host = nic_host_free(port->host);
	}
	if (plane->core > 0)
		free(plane->ports);
}

void plane_ports_close(struct plane *plane)
{
	for (unsigned i = 0; i < plane->ports_count; i++)
		nic_port_close(plane->ports[i].nic_port);
	plane->ports_count = 0;
	free(plane->ports);
	plane->ports = NULL;
	plane->nic = nic_free(plane->nic);
}

int plane_ports_thread_enter(struct plane *plane)
{
	return plane->first->nic != NULL ? nic_thread_enter(plane->first->nic) : 0;
}

void plane_ports_thread_leave(struct plane *plane)
{
	if (plane->first->nic != NULL)
		nic_thread_leave(plane->first->nic);
}

void plane_ports_free_frame(struct nic_frame *frame)
{
	nic_frames_free(frame, 1);
}

/* --- who gets what --- */

static int by_name(const void *a, const void *b)
{
	const struct plane_entry *const *x = a, *const *y = b;
	return strcmp((*x)->manifest->name, (*y)->manifest->name);
}

static bool leads_to(const struct plane_entry *entry, uint16_t port)
{
	for (unsigned i = 1; i < 2 + entry->manifest->next_count; i++) {
		if (entry->ports[i] == port)
			return true;
	}
	return false;
}

static void route_port(struct plane *plane, uint16_t index)
{
	struct plane_port *port = &plane->ports[index];
	free_routes(port);
	port->matches = calloc(plane->entries_count + 1, sizeof(struct plane_entry *));
	port->endpoints = calloc(plane->entries_count + 1, sizeof(struct plane_entry *));
	port->askers = calloc(plane->entries_count + 1, sizeof(struct plane_entry *));
	/* Without memory nobody gets anything, until the next change. */
	if (port->matches == NULL || port->endpoints == NULL || port->askers == NULL) {
		free_routes(port);
		return;
	}
	EOS_LIST_FOR_EACH (node, &plane->entries) {
		struct plane_entry *entry = EOS_CONTAINER_OF(node, struct plane_entry, node);
		if (leads_to(entry, index)) {
			port->askers[port->askers_count++] = entry;
			port->has_client_askers |= entry->manifest->isolation == CHAIN_PER_CLIENT;
		}
		if (entry->ports[0] != index)
			continue;
		if (entry->manifest->has_endpoint)
			port->endpoints[port->endpoints_count++] = entry;
		else
			port->matches[port->matches_count++] = entry;
	}
	qsort(port->matches, port->matches_count, sizeof(struct plane_entry *), by_name);
	qsort(port->endpoints, port->endpoints_count, sizeof(struct plane_entry *), by_name);
	qsort(port->askers, port->askers_count, sizeof(struct plane_entry *), by_name);
}

void plane_ports_route(struct plane *plane)
{
	for (unsigned i = 0; i < plane->ports_count; i++)
		route_port(plane, (uint16_t)i);
}

/* --- out --- */

static void send_out(struct plane *plane, uint16_t index)
{
	struct plane_port *port = &plane->ports[index];
	if (EOS_LIKELY(port->has_queue)) {
		nic_port_send(port->nic_port, port->queue, port->out, port->out_count);
	} else {
		for (unsigned i = 0; i < port->out_count; i++) {
			struct plane_handed handed = {
				.frame = port->out[i], .port = index, .hop = PLANE_HOP_SEND};
			plane_cores_hand(plane, 0, &handed);
		}
	}
	port->out_count = 0;
}

/* Where the next frame for it is put, which counts when out_count does. */
static struct nic_frame *next_out(struct plane *plane, uint16_t index)
{
	struct plane_port *port = &plane->ports[index];
	if (port->out_count == NIC_BURST_MAX)
		send_out(plane, index);
	return &port->out[port->out_count];
}

void plane_port_queue(struct plane *plane, uint16_t index, const struct nic_frame *frame)
{
	*next_out(plane, index) = *frame;
	plane->ports[index].out_count++;
}

void plane_port_reply(struct plane *plane, uint16_t index, struct nic_frame *frame, uint32_t len)
{
	if (len == 0) {
		nic_frames_free(frame, 1);
		return;
	}
	frame->len = len;
	plane_port_queue(plane, index, frame);
}

void plane_ports_flush(struct plane *plane)
{
	for (unsigned i = 0; i < plane->ports_count; i++) {
		if (plane->ports[i].out_count > 0)
			send_out(plane, (uint16_t)i);
	}
}

void plane_ports_wait(struct plane *plane, uint64_t timeout_ns, uint64_t idle_ns)
{
	struct nic_polled polled[NIC_PORTS_MAX];
	unsigned count = 0;
	for (unsigned i = 0; i < plane->ports_count; i++) {
		const struct plane_port *port = &plane->ports[i];
		if (port->has_queue)
			polled[count++] = (struct nic_polled){port->nic_port, port->queue};
		if (port->host != NULL && plane->core == 0)
			timeout_ns = EOS_MIN(timeout_ns, PLANE_HOST_POLL_NS);
	}
	const struct nic_pause pause = {timeout_ns, plane->config.step_ns, idle_ns};
	nic_wait(plane->nic, polled, count, plane->epoll_fd, &pause);
}

unsigned plane_port_mtu(const struct plane *plane, uint16_t port)
{
	struct nic_port_info info;
	nic_port_info(plane->ports[port].nic_port, &info);
	return info.mtu;
}

int plane_ports_send(struct plane *plane, uint16_t index, const struct chain_output *output)
{
	struct plane_port *port = &plane->ports[index];
	struct nic_frame *spent = plane_input_spent(plane, output->packet);
	struct nic_frame *frame = next_out(plane, index);
	int err = -EBUSY;
	/* Where the packet came in is the warmest place for it to leave from. */
	if (spent != NULL)
		err = nic_frame_renew(plane->nic, output->len, spent, frame);
	if (err == -EBUSY)
		err = nic_frame_new(plane->nic, output->len, frame);
	if (EOS_UNLIKELY(err < 0)) {
		port->counts.no_frames++;
		return err == -ENOBUFS ? -EAGAIN : err;
	}
	memcpy(frame->data, output->data, output->len);
	port->out_count++;
	return 0;
}

int plane_ports_send_datagram(struct plane *plane, const struct plane_peer *peer,
			      const uint8_t *data, uint32_t len)
{
	static const uint8_t no_mac[6];
	struct plane_port *port = &plane->ports[peer->nic_port];
	uint32_t capacity = len + NIC_HOST_HEADERS_MAX;
	struct nic_frame frame;
	int err = nic_frame_new(plane->nic, EOS_MAX(capacity, NIC_HOST_CONTROL_MAX), &frame);
	if (err < 0) {
		port->counts.no_frames++;
		return err == -ENOBUFS ? -EAGAIN : err;
	}
	struct nic_host_datagram datagram = {
		.payload = data,
		.len = len,
		.local_port = peer->local_port,
		.peer_port = peer->port,
		.has_peer_mac = memcmp(peer->mac, no_mac, sizeof(no_mac)) != 0,
	};
	memcpy(datagram.local, peer->local, sizeof(datagram.local));
	memcpy(datagram.peer, peer->address, sizeof(datagram.peer));
	memcpy(datagram.peer_mac, peer->mac, sizeof(datagram.peer_mac));
	struct nic_host_buffer buffer = {.data = frame.data, .capacity = frame.len};
	err = nic_host_output(port->host, &datagram, eos_now_ns(), &buffer);
	if (err < 0)
		port->counts.no_neighbour++;
	/* Also a request for the neighbour, in its place. */
	plane_port_reply(plane, peer->nic_port, &frame, buffer.len);
	return err == 0 || err == -EMSGSIZE ? err : -EAGAIN;
}

/* --- state --- */

static void put_mac(struct eos_json *json, const uint8_t mac[6])
{
	char text[18];
	(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
	eos_json_text(json, "mac", text);
}

void plane_port_count(const struct plane *plane, unsigned index, struct plane_port_counts *counts)
{
	const struct plane_port_counts *here = &plane->ports[index].counts;
	counts->unwanted += here->unwanted;
	counts->no_frames += here->no_frames;
	counts->no_neighbour += here->no_neighbour;
	counts->lost += here->lost;
}

void plane_port_put(struct plane *plane, unsigned index, const struct plane_port_counts *counts,
		    struct eos_json *json)
{
	const struct plane_port *port = &plane->ports[index];
	struct nic_port_info info;
	struct nic_port_stats stats;
	nic_port_info(port->nic_port, &info);
	nic_port_stats(port->nic_port, &stats);
	eos_json_text(json, "port", info.name);
	eos_json_text(json, "driver", info.driver);
	put_mac(json, info.mac);
	eos_json_u64(json, "mtu", info.mtu);
	eos_json_bool(json, "is_up", info.is_up);
	eos_json_bool(json, "can_sleep", info.can_sleep);
	eos_json_u64(json, "queues", info.queues);
	eos_json_u64(json, "received", stats.received);
	eos_json_u64(json, "received_bytes", stats.received_bytes);
	eos_json_u64(json, "sent", stats.sent);
	eos_json_u64(json, "sent_bytes", stats.sent_bytes);
	eos_json_u64(json, "missed", stats.missed);
	eos_json_u64(json, "errors", stats.errors);
	eos_json_u64(json, "send_full", stats.send_full);
	eos_json_u64(json, "too_long", stats.too_long);
	eos_json_u64(json, "wrong_vlan", stats.wrong_vlan);
	eos_json_u64(json, "unwanted", counts->unwanted);
	eos_json_u64(json, "lost", counts->lost);
	eos_json_u64(json, "no_frames", stats.no_frames + counts->no_frames);
	eos_json_u64(json, "no_neighbour", counts->no_neighbour);
}
