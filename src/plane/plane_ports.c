/*
 * Frames, in bursts: each is parsed; what is for the node's own addresses is dealt with by the
 * port's host (src/nic/host.h) or goes to an endpoint; the rest goes to the chain whose match takes
 * it first, in the order of the chains' names, or back through the chain that its flow came by.
 * What is left over is dropped and counted.
 *
 * All packets of a burst are delivered together, so that chains can look ahead. Frames are freed
 * afterwards: what leaves is a copy, in a frame of its own, and is sent at the end of the turn.
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

#define POLL_NS	       (100 * EOS_NS_PER_MS) /* how often hosts are asked for what is due */
#define NEIGHBOURS_MAX 4096u
#define V4_PREFIX_BITS 96u

struct plane_port {
	struct nic_port *nic_port;
	struct nic_host *host; /* NULL: the port has no addresses */
	/* Who gets frames: borrowed entries, in the order of their names. */
	struct plane_entry **matches, **endpoints;
	struct plane_entry **askers; /* whose chains lead here, so that answers come */
	unsigned matches_count, endpoints_count, askers_count;
	/* Frames that leave at the end of the turn. */
	struct nic_frame out[NIC_BURST_MAX];
	unsigned out_count;
	uint64_t polled_ns;
	uint64_t unwanted;     /* frames that nobody takes */
	uint64_t no_frames;    /* for what was to be sent */
	uint64_t no_neighbour; /* datagrams to somebody who cannot be reached */
};

/* What one look at a port has to deliver. */
struct burst {
	struct plane *plane;
	uint16_t port;
	uint64_t now_ns;
	struct nic_frame frames[PLANE_BURST];
	struct flow_packet headers[PLANE_BURST];
	struct chain_packet packets[PLANE_BURST];
	unsigned packets_count;
};

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
	static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
	if (config->addresses_count == 0)
		return 0;
	nic_port_info(port->nic_port, &info);
	memcpy(host.mac, info.mac, sizeof(host.mac));
	host.mtu = info.mtu;
	for (unsigned i = 0; i < config->addresses_count; i++) {
		const struct plane_address *from = &config->addresses[i];
		bool is_v4 = memcmp(from->address, v4_prefix, sizeof(v4_prefix)) == 0;
		memcpy(addresses[i].address, from->address, sizeof(from->address));
		addresses[i].prefix_len =
			(uint8_t)(is_v4 ? from->bits - V4_PREFIX_BITS : from->bits);
	}
	if (config->has_gateway) {
		bool is_v4 = memcmp(config->gateway, v4_prefix, sizeof(v4_prefix)) == 0;
		memcpy(is_v4 ? host.gateway4 : host.gateway6, config->gateway, 16);
	}
	int err = crypto_random(&host.seed, sizeof(host.seed));
	return err < 0 ? err : nic_host_new(&host, &port->host, why);
}

static int open_port(struct plane *plane, const struct plane_port_config *config,
		     struct eos_why *why)
{
	struct plane_port *port = &plane->ports[plane->ports_count];
	struct nic_port_config nic_config = {
		.name = config->name,
		.device = config->device,
		.mtu = config->mtu,
		.vlan = config->vlan,
		/* What has no addresses is a wire: everything on it is meant. */
		.is_promiscuous = config->is_promiscuous || config->addresses_count == 0,
	};
	memcpy(nic_config.mac, config->mac, sizeof(config->mac));
	int err = nic_port_open(plane->nic, &nic_config, &port->nic_port, why);
	if (err < 0) {
		eos_why_prefix(why, "port %s", config->name);
		return err;
	}
	plane->ports_count++;
	err = open_host(port, config, why);
	if (err < 0)
		eos_why_prefix(why, "port %s", config->name);
	return err;
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
	};
	(void)snprintf(cores, sizeof(cores), "%d", config->processor);
	plane->ports = calloc(config->ports_count, sizeof(*plane->ports));
	if (plane->ports == NULL)
		return eos_why(why, -ENOMEM, "no memory for %u ports", config->ports_count);
	int err = nic_new(&nic, &plane->nic, why);
	for (unsigned i = 0; err == 0 && i < config->ports_count; i++)
		err = open_port(plane, &config->ports[i], why);
	return err;
}

static void free_routes(struct plane_port *port)
{
	free(port->matches);
	free(port->endpoints);
	free(port->askers);
	port->matches = port->endpoints = port->askers = NULL;
	port->matches_count = port->endpoints_count = port->askers_count = 0;
}

void plane_ports_close(struct plane *plane)
{
	for (unsigned i = 0; i < plane->ports_count; i++) {
		struct plane_port *port = &plane->ports[i];
		nic_frames_free(port->out, port->out_count);
		free_routes(port);
		nic_host_free(port->host);
		nic_port_close(port->nic_port);
	}
	plane->ports_count = 0;
	free(plane->ports);
	plane->ports = NULL;
	plane->nic = nic_free(plane->nic);
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
		if (leads_to(entry, index))
			port->askers[port->askers_count++] = entry;
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

static struct plane_entry *find_endpoint(const struct plane_port *port, uint16_t number)
{
	for (unsigned i = 0; i < port->endpoints_count; i++) {
		const struct plane_endpoint *endpoint = &port->endpoints[i]->manifest->endpoint;
		if (number >= endpoint->first && number <= endpoint->last)
			return port->endpoints[i];
	}
	return NULL;
}

static struct plane_entry *find_match(const struct plane_port *port,
				      const struct flow_packet *headers)
{
	for (unsigned i = 0; i < port->matches_count; i++) {
		if (plane_match_takes(&port->matches[i]->manifest->match, headers))
			return port->matches[i];
	}
	return NULL;
}

/* Who gets what comes back without an address: a chain for everybody and everything. */
static struct plane_entry *find_bridge(const struct plane_port *port)
{
	for (unsigned i = 0; i < port->askers_count; i++) {
		const struct plane_manifest *manifest = port->askers[i]->manifest;
		if (manifest->match.is_any && manifest->isolation != CHAIN_PER_CLIENT)
			return port->askers[i];
	}
	return NULL;
}

/* --- in --- */

static void queue_frame(struct plane_port *port, const struct nic_frame *frame)
{
	if (port->out_count == NIC_BURST_MAX) {
		nic_port_send(port->nic_port, 0, port->out, port->out_count);
		port->out_count = 0;
	}
	port->out[port->out_count++] = *frame;
}

/* A frame of the host's own, made by MAKE. */
static void send_reply(struct plane_port *port, struct nic_frame *frame, uint32_t len)
{
	if (len == 0) {
		nic_frames_free(frame, 1);
		return;
	}
	frame->len = len;
	queue_frame(port, frame);
}

static void to_chain(struct burst *burst, unsigned i)
{
	struct plane_port *port = &burst->plane->ports[burst->port];
	const struct flow_packet *headers = &burst->headers[i];
	struct plane_entry *entry;
	struct chain_packet *packet = &burst->packets[burst->packets_count];
	*packet = (struct chain_packet){
		.data = burst->frames[i].data,
		.len = burst->frames[i].len,
		.kind = CHAIN_FRAME,
		.flags = (burst->frames[i].flags & NIC_FRAME_CHECKSUM_GOOD) != 0
				 ? CHAIN_CHECKSUM_GOOD
				 : 0,
		.headers = headers,
		.domain = (uint16_t)(burst->port + 1),
	};
	bool has_hosts = headers->kind != FLOW_OTHER && !headers->is_bad;
	/* What comes back belongs to who asked, whatever else is wanted here. */
	if (port->askers_count > 0 && has_hosts &&
	    chains_knows_flow(burst->plane->chains, packet->domain, headers)) {
		packet->side = CHAIN_OUT;
		burst->packets_count++;
		return;
	}
	entry = find_match(port, headers);
	if (entry == NULL) {
		packet->side = CHAIN_OUT;
		entry = find_bridge(port);
	}
	if (entry == NULL) {
		port->unwanted++;
		return;
	}
	packet->template = entry->template;
	burst->packets_count++;
}

/* False: there is no such endpoint. */
static bool to_endpoint(struct burst *burst, const struct nic_host_datagram *datagram)
{
	struct plane *plane = burst->plane;
	struct plane_entry *entry = find_endpoint(&plane->ports[burst->port], datagram->local_port);
	if (entry == NULL)
		return false;
	struct plane_peer seen = {
		.entry = entry,
		.nic_port = burst->port,
		.port = datagram->peer_port,
		.local_port = datagram->local_port,
	};
	memcpy(seen.address, datagram->peer, sizeof(seen.address));
	memcpy(seen.local, datagram->local, sizeof(seen.local));
	memcpy(seen.mac, datagram->peer_mac, sizeof(seen.mac));
	const struct plane_peer *peer = plane_peers_meet(&plane->peers, &seen, burst->now_ns);
	if (peer == NULL)
		return true;
	struct chain_packet *packet = &burst->packets[burst->packets_count++];
	*packet = (struct chain_packet){
		.data = datagram->payload,
		.len = datagram->len,
		.kind = CHAIN_DATAGRAM,
		.side = CHAIN_CLIENT,
		.flags = CHAIN_CHECKSUM_GOOD,
		.template = entry->template,
		.peer = peer->number,
		.peer_port = datagram->peer_port,
		.local_port = datagram->local_port,
	};
	memcpy(packet->peer_address, datagram->peer, sizeof(packet->peer_address));
	return true;
}

/* Nobody wants what is for an address of ours. */
static void refuse(struct burst *burst, unsigned i)
{
	struct plane_port *port = &burst->plane->ports[burst->port];
	struct nic_frame reply;
	port->unwanted++;
	if (nic_frame_new(burst->plane->nic, NIC_HOST_CONTROL_MAX, &reply) < 0) {
		port->no_frames++;
		return;
	}
	struct nic_host_buffer buffer = {.data = reply.data, .capacity = NIC_HOST_CONTROL_MAX};
	bool is_due = nic_host_refuse(port->host, burst->frames[i].data, burst->frames[i].len,
				      &burst->headers[i], burst->now_ns, &buffer);
	send_reply(port, &reply, is_due ? buffer.len : 0);
}

static void to_host(struct burst *burst, unsigned i)
{
	struct plane_port *port = &burst->plane->ports[burst->port];
	const struct nic_frame *frame = &burst->frames[i];
	struct nic_host_datagram datagram;
	struct nic_frame reply;
	/* An echo is as long as what it answers. */
	uint32_t capacity = EOS_MAX(frame->len, NIC_HOST_CONTROL_MAX);
	if (nic_frame_new(burst->plane->nic, capacity, &reply) < 0) {
		port->no_frames++;
		return;
	}
	struct nic_host_buffer buffer = {.data = reply.data, .capacity = capacity};
	enum nic_host_verdict verdict = nic_host_input(
		port->host, frame->data, frame->len, &burst->headers[i],
		(frame->flags & NIC_FRAME_CHECKSUM_GOOD) != 0, burst->now_ns, &buffer, &datagram);
	send_reply(port, &reply, buffer.len);
	if (verdict == NIC_HOST_NOT_OURS)
		to_chain(burst, i);
	else if (verdict == NIC_HOST_UDP && to_endpoint(burst, &datagram))
		return;
	else if ((verdict == NIC_HOST_UDP || verdict == NIC_HOST_LOCAL) &&
		 find_match(port, &burst->headers[i]) != NULL)
		to_chain(burst, i);
	else if (verdict == NIC_HOST_UDP || verdict == NIC_HOST_LOCAL)
		refuse(burst, i);
}

static unsigned poll_port(struct plane *plane, uint16_t index, uint64_t now_ns)
{
	struct plane_port *port = &plane->ports[index];
	struct burst burst;
	unsigned count = nic_port_receive(port->nic_port, 0, burst.frames, PLANE_BURST);
	if (count == 0)
		return 0;
	burst.plane = plane;
	burst.port = index;
	burst.now_ns = now_ns;
	burst.packets_count = 0;
	for (unsigned i = 0; i < count; i++) {
		flow_parse(burst.frames[i].data, burst.frames[i].len, &burst.headers[i]);
		if (port->host != NULL)
			to_host(&burst, i);
		else
			to_chain(&burst, i);
	}
	if (burst.packets_count > 0)
		chains_deliver(plane->chains, burst.packets, burst.packets_count, now_ns);
	nic_frames_free(burst.frames, count);
	return count;
}

/* Announcements and the like. */
static void poll_host(struct plane *plane, struct plane_port *port, uint64_t now_ns)
{
	port->polled_ns = now_ns;
	for (unsigned i = 0; i < PLANE_BURST; i++) {
		struct nic_frame frame;
		if (nic_frame_new(plane->nic, NIC_HOST_CONTROL_MAX, &frame) < 0)
			return;
		struct nic_host_buffer buffer = {.data = frame.data,
						 .capacity = NIC_HOST_CONTROL_MAX};
		bool has_frame = nic_host_poll(port->host, now_ns, &buffer);
		send_reply(port, &frame, has_frame ? buffer.len : 0);
		if (!has_frame)
			return;
	}
}

unsigned plane_ports_poll(struct plane *plane, uint64_t now_ns)
{
	unsigned count = 0;
	for (unsigned i = 0; i < plane->ports_count; i++) {
		struct plane_port *port = &plane->ports[i];
		count += poll_port(plane, (uint16_t)i, now_ns);
		if (port->host != NULL && now_ns - port->polled_ns >= POLL_NS)
			poll_host(plane, port, now_ns);
	}
	return count;
}

/* --- out --- */

void plane_ports_flush(struct plane *plane)
{
	for (unsigned i = 0; i < plane->ports_count; i++) {
		struct plane_port *port = &plane->ports[i];
		if (port->out_count > 0)
			nic_port_send(port->nic_port, 0, port->out, port->out_count);
		port->out_count = 0;
	}
}

void plane_ports_wait(struct plane *plane, uint64_t timeout_ns)
{
	struct nic_polled polled[NIC_PORTS_MAX];
	bool has_host = false;
	for (unsigned i = 0; i < plane->ports_count; i++) {
		polled[i] = (struct nic_polled){.port = plane->ports[i].nic_port};
		has_host |= plane->ports[i].host != NULL;
	}
	if (has_host)
		timeout_ns = EOS_MIN(timeout_ns, POLL_NS);
	nic_wait(plane->nic, polled, plane->ports_count, plane->epoll_fd, timeout_ns,
		 plane->config.step_ns);
}

unsigned plane_port_mtu(const struct plane *plane, uint16_t port)
{
	struct nic_port_info info;
	nic_port_info(plane->ports[port].nic_port, &info);
	return info.mtu;
}

int plane_ports_send(struct plane *plane, uint16_t port_index, const uint8_t *data, uint32_t len)
{
	struct plane_port *port = &plane->ports[port_index];
	struct nic_frame frame;
	int err = nic_frame_new(plane->nic, len, &frame);
	if (err < 0) {
		port->no_frames++;
		return err == -ENOBUFS ? -EAGAIN : err;
	}
	memcpy(frame.data, data, len);
	queue_frame(port, &frame);
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
		port->no_frames++;
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
		port->no_neighbour++;
	/* Also a request for the neighbour, in its place. */
	send_reply(port, &frame, buffer.len);
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

void plane_port_put(struct plane *plane, unsigned index, struct eos_json *json)
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
	eos_json_u64(json, "received", stats.received);
	eos_json_u64(json, "received_bytes", stats.received_bytes);
	eos_json_u64(json, "sent", stats.sent);
	eos_json_u64(json, "sent_bytes", stats.sent_bytes);
	eos_json_u64(json, "missed", stats.missed);
	eos_json_u64(json, "errors", stats.errors);
	eos_json_u64(json, "send_full", stats.send_full);
	eos_json_u64(json, "too_long", stats.too_long);
	eos_json_u64(json, "wrong_vlan", stats.wrong_vlan);
	eos_json_u64(json, "unwanted", port->unwanted);
	eos_json_u64(json, "no_frames", stats.no_frames + port->no_frames);
	eos_json_u64(json, "no_neighbour", port->no_neighbour);
}
