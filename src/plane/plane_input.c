/*
 * Frames, in bursts: each is parsed; what is for the node's own addresses is dealt with by the
 * port's host (src/nic/host.h) or goes to an endpoint; the rest goes to the chain whose match takes
 * it first, in the order of the chains' names, or back through the chain that its flow came by.
 * What is left over is dropped and counted.
 *
 * All packets of a burst are delivered together, so that chains can look ahead. Frames are freed
 * afterwards.
 *
 * Several cores: the core whose queue a frame came by finds out whose it is, and hands it over if
 * need be, with what it has found out:
 *
 *	HOST    core 0, for the node itself; or the core of an endpoint's client
 *	ANSWER  the core that remembers its flow, or (the directory knows nothing) the client's; who
 *	        does not know it either asks the next core, ASKS times in all, and then goes on with
 *	MATCH   the core of the instance that the match gives it to
 *	SEND    core 0, of a port whose only queue it has
 *
 * The new owner looks again by itself: between two changes of a chain cores may see it differently,
 * and a frame that changed hands too often is dropped.
 */
#include <string.h>

#include "plane/plane_cores.h"
#include "plane/plane_ports_priv.h"

#define ICMP6 58u
#define UDP   17u
/* Each reason once, and a round of all cores. */
#define CHANGES_MAX (PLANE_CORES_MAX + 4u)
#define ASKS_CLIENT UINT8_MAX

/* What one look at a port, or at the rings, has to deliver. */
struct plane_burst {
	struct plane *plane;
	uint64_t now_ns;
	/* Frames that are ours: to be freed in the end. */
	struct nic_frame frames[PLANE_BURST];
	struct flow_packet headers[PLANE_BURST];
	unsigned frames_count;
	struct chain_packet packets[PLANE_BURST];
	uint8_t frame_of[PLANE_BURST]; /* in which each packet came */
	unsigned packets_count;
};

/* The frame that is looked at: the burst's last. */
struct look {
	struct plane_burst *burst;
	struct nic_frame *frame;
	const struct flow_packet *headers;
	uint16_t port;
	uint8_t changes; /* how often it changed hands */
	bool was_handed; /* it is somebody else's by now */
};

static struct plane_port *port_of(const struct look *look)
{
	return &look->burst->plane->ports[look->port];
}

static bool is_ip(const struct flow_packet *headers)
{
	return (headers->kind == FLOW_IPV4 || headers->kind == FLOW_IPV6) && !headers->is_bad;
}

/* Of ARP, too. */
static bool has_hosts(const struct flow_packet *headers)
{
	return headers->kind != FLOW_OTHER && !headers->is_bad;
}

/* --- whose it is --- */

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

/* The core that has the instance of ENTRY for the sender, or for the conversation. */
static unsigned core_for(struct plane *plane, const struct plane_entry *entry,
			 const struct flow_packet *headers)
{
	const struct plane_steer *steer = plane_cores_steer(plane);
	switch (entry->manifest->isolation) {
	case CHAIN_PER_CLIENT:
		/* What is nobody's finds no instance anywhere. */
		return has_hosts(headers) ? plane_steer_client(steer, headers, false) : plane->core;
	case CHAIN_FIXED:
		if (is_ip(headers))
			return (unsigned)((plane_steer_conversation(steer, headers) %
						   entry->manifest->fixed_count +
					   entry->home) %
					  plane->cores_count);
		break;
	case CHAIN_PER_TENANT:
		break;
	}
	return entry->home;
}

/* Returns whether CORE is another one, which has it now. */
static bool hand(struct look *look, unsigned core, enum plane_hop hop, unsigned asks)
{
	struct plane *plane = look->burst->plane;
	if (core == plane->core)
		return false;
	struct plane_handed handed = {
		.frame = *look->frame,
		.port = look->port,
		.hop = (uint8_t)hop,
		.asks = (uint8_t)asks,
		.changes = (uint8_t)(look->changes + 1u),
	};
	look->was_handed = true;
	if (handed.changes > CHANGES_MAX) {
		port_of(look)->counts.lost++;
		plane_ports_free_frame(&handed.frame);
		return true;
	}
	plane_cores_hand(plane, core, &handed);
	return true;
}

/* --- to chains --- */

/* Room for one, which came in the frame that is looked at. */
static struct chain_packet *packet_place(struct look *look)
{
	struct plane_burst *burst = look->burst;
	burst->frame_of[burst->packets_count] = (uint8_t)(look->frame - burst->frames);
	return &burst->packets[burst->packets_count++];
}

static struct chain_packet *next_packet(struct look *look)
{
	struct chain_packet *packet = packet_place(look);
	bool is_good = (look->frame->flags & NIC_FRAME_CHECKSUM_GOOD) != 0;
	*packet = (struct chain_packet){
		.data = look->frame->data,
		.len = look->frame->len,
		.kind = CHAIN_FRAME,
		.flags = is_good ? CHAIN_CHECKSUM_GOOD : 0,
		.headers = look->headers,
		.domain = (uint16_t)(look->port + 1),
	};
	return packet;
}

/* Back through the chain on this core that asked. False: none did. */
static bool to_asker(struct look *look)
{
	uint16_t domain = (uint16_t)(look->port + 1);
	if (!chains_knows_flow(look->burst->plane->chains, domain, look->headers))
		return false;
	next_packet(look)->side = CHAIN_OUT;
	return true;
}

static unsigned next_core(const struct plane *plane)
{
	return plane->core + 1 < plane->cores_count ? plane->core + 1 : 0;
}

/* The same, on whichever core it is. ASKS: of how many cores this one is the first to be asked; 0:
 * none was; ASKS_CLIENT: this one alone, as it is its client's. */
static bool to_asker_anywhere(struct look *look, unsigned asks)
{
	struct plane *plane = look->burst->plane;
	struct plane_steer *steer = plane_cores_steer(plane);
	uint64_t now_ns = look->burst->now_ns;
	if (asks == ASKS_CLIENT)
		return to_asker(look);
	/* ARP is of no flow. */
	bool has_flow = is_ip(look->headers);
	uint64_t flow =
		has_flow ? plane_steer_flow(steer, look->headers, (uint16_t)(look->port + 1)) : 0;
	unsigned core = asks > 0    ? plane->core
			: !has_flow ? PLANE_STEER_NONE
				    : plane_steer_find(steer, flow, now_ns);
	if (core == PLANE_STEER_NONE) {
		/* Chains of clients that keep their address know it without their flows. */
		if (!port_of(look)->has_client_askers)
			return false;
		core = plane_steer_client(steer, look->headers, true);
		return hand(look, core, PLANE_HOP_ANSWER, ASKS_CLIENT) || to_asker(look);
	}
	if (asks == 0)
		asks = plane->cores_count;
	if (core != PLANE_STEER_UNKNOWN && hand(look, core, PLANE_HOP_ANSWER, asks))
		return true;
	if (to_asker(look)) {
		/* Somebody else's word for it is older. */
		(void)plane_steer_remember(steer, flow, plane->core, now_ns);
		return true;
	}
	plane_steer_forget(steer, flow, plane->core);
	return asks > 1 && hand(look, next_core(plane), PLANE_HOP_ANSWER, asks - 1);
}

static bool has_asker(struct look *look, unsigned asks, bool is_matched)
{
	/* What comes back belongs to who asked, whatever else is wanted here. */
	if (port_of(look)->askers_count == 0 || is_matched || !has_hosts(look->headers))
		return false;
	if (look->burst->plane->cores_count == 1)
		return to_asker(look);
	return to_asker_anywhere(look, asks);
}

/* IS_MATCHED: another core has looked who asked for it. */
static void to_chain(struct look *look, unsigned asks, bool is_matched)
{
	struct plane *plane = look->burst->plane;
	struct plane_port *port = port_of(look);
	unsigned side = CHAIN_CLIENT;
	if (has_asker(look, asks, is_matched))
		return;
	struct plane_entry *entry = find_match(port, look->headers);
	if (entry == NULL) {
		side = CHAIN_OUT;
		entry = find_bridge(port);
	}
	if (entry == NULL) {
		port->counts.unwanted++;
		return;
	}
	if (plane->cores_count > 1 &&
	    hand(look, core_for(plane, entry, look->headers), PLANE_HOP_MATCH, 0))
		return;
	/* Its instances have just gone to other cores, or come from there. */
	if (EOS_UNLIKELY(entry->template == NULL)) {
		port->counts.lost++;
		return;
	}
	struct chain_packet *packet = next_packet(look);
	packet->side = (uint8_t)side;
	packet->template = entry->template;
}

/* --- to the node --- */

/* False: there is no such endpoint. */
static bool to_endpoint(struct look *look, const struct nic_host_datagram *datagram)
{
	struct plane *plane = look->burst->plane;
	struct plane_entry *entry = find_endpoint(port_of(look), datagram->local_port);
	if (entry == NULL)
		return false;
	struct plane_peer seen = {
		.entry = entry,
		.nic_port = look->port,
		.port = datagram->peer_port,
		.local_port = datagram->local_port,
	};
	memcpy(seen.address, datagram->peer, sizeof(seen.address));
	memcpy(seen.local, datagram->local, sizeof(seen.local));
	memcpy(seen.mac, datagram->peer_mac, sizeof(seen.mac));
	if (EOS_UNLIKELY(entry->template == NULL)) {
		port_of(look)->counts.lost++;
		return true;
	}
	const struct plane_peer *peer = plane_peers_meet(&plane->peers, &seen, look->burst->now_ns);
	if (peer == NULL)
		return true;
	struct chain_packet *packet = packet_place(look);
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
static void refuse(struct look *look)
{
	struct plane *plane = look->burst->plane;
	struct plane_port *port = port_of(look);
	struct nic_frame reply;
	port->counts.unwanted++;
	if (nic_frame_new(plane->nic, NIC_HOST_CONTROL_MAX, &reply) < 0) {
		port->counts.no_frames++;
		return;
	}
	struct nic_host_buffer buffer = {.data = reply.data, .capacity = NIC_HOST_CONTROL_MAX};
	bool is_due = nic_host_refuse(port->host, look->frame->data, look->frame->len,
				      look->headers, look->burst->now_ns, &buffer);
	plane_port_reply(plane, look->port, &reply, is_due ? buffer.len : 0);
}

static void to_host(struct look *look)
{
	struct plane *plane = look->burst->plane;
	struct plane_port *port = port_of(look);
	const struct nic_frame *frame = look->frame;
	struct nic_host_datagram datagram;
	struct nic_frame reply;
	/* An echo is as long as what it answers. */
	uint32_t capacity = EOS_MAX(frame->len, NIC_HOST_CONTROL_MAX);
	if (nic_frame_new(plane->nic, capacity, &reply) < 0) {
		port->counts.no_frames++;
		return;
	}
	struct nic_host_buffer buffer = {.data = reply.data, .capacity = capacity};
	bool is_good = (frame->flags & NIC_FRAME_CHECKSUM_GOOD) != 0;
	enum nic_host_verdict verdict =
		nic_host_input(port->host, frame->data, frame->len, look->headers, is_good,
			       look->burst->now_ns, &buffer, &datagram);
	plane_port_reply(plane, look->port, &reply, buffer.len);
	if (verdict == NIC_HOST_NOT_OURS)
		to_chain(look, 0, false);
	else if (verdict == NIC_HOST_UDP && to_endpoint(look, &datagram))
		return;
	else if ((verdict == NIC_HOST_UDP || verdict == NIC_HOST_LOCAL) &&
		 find_match(port, look->headers) != NULL)
		to_chain(look, 0, false);
	else if (verdict == NIC_HOST_UDP || verdict == NIC_HOST_LOCAL)
		refuse(look);
}

/* Of a port with addresses, on several cores: returns whether it is another's. *RET_IS_OURS: it may
 * be for the node. */
static bool hand_to_host(struct look *look, bool *ret_is_ours)
{
	struct plane *plane = look->burst->plane;
	const struct plane_port *port = port_of(look);
	const struct flow_packet *headers = look->headers;
	bool is_local = is_ip(headers) && nic_host_has_address(port->host, headers->target);
	*ret_is_ours = is_local || headers->is_bad || headers->kind == FLOW_ARP ||
		       headers->is_icmp_error || headers->proto == ICMP6;
	if (!*ret_is_ours)
		return false;
	if (is_local && headers->proto == UDP && headers->has_ports && !headers->is_fragment &&
	    !headers->is_icmp_error) {
		const struct plane_entry *entry = find_endpoint(port, headers->target_port);
		if (entry != NULL)
			return hand(look, core_for(plane, entry, headers), PLANE_HOP_HOST, 0);
	}
	return hand(look, 0, PLANE_HOP_HOST, 0);
}

static void take(struct look *look, unsigned hop, unsigned asks)
{
	bool is_ours = true;
	if (port_of(look)->host == NULL || hop == PLANE_HOP_ANSWER || hop == PLANE_HOP_MATCH) {
		to_chain(look, asks, hop == PLANE_HOP_MATCH);
		return;
	}
	if (look->burst->plane->cores_count > 1 && hand_to_host(look, &is_ours))
		return;
	if (is_ours)
		to_host(look);
	else
		to_chain(look, 0, false);
}

/* --- bursts --- */

static void begin(struct plane_burst *burst, struct plane *plane, uint64_t now_ns)
{
	burst->plane = plane;
	burst->now_ns = now_ns;
	burst->frames_count = burst->packets_count = 0;
}

static void end(struct plane_burst *burst)
{
	struct plane *plane = burst->plane;
	if (burst->packets_count > 0) {
		plane->burst = burst;
		chains_deliver(plane->chains, burst->packets, burst->packets_count, burst->now_ns);
		plane->burst = NULL;
	}
	nic_frames_free(burst->frames, burst->frames_count);
}

struct nic_frame *plane_input_spent(struct plane *plane, const struct chain_packet *packet)
{
	struct plane_burst *burst = plane->burst;
	if (burst == NULL || packet == NULL)
		return NULL;
	return &burst->frames[burst->frame_of[packet - burst->packets]];
}

/* The frame at I, which is not in front of those that are ours, and how it changed hands. */
static void add(struct plane_burst *burst, unsigned i, uint16_t port,
		const struct plane_handed *handed)
{
	unsigned at = burst->frames_count;
	struct look look = {
		.burst = burst,
		.frame = &burst->frames[at],
		.headers = &burst->headers[at],
		.port = port,
		.changes = handed->changes,
	};
	if (at != i)
		burst->frames[at] = burst->frames[i];
	flow_parse(look.frame->data, look.frame->len, &burst->headers[at]);
	take(&look, handed->hop, handed->asks);
	burst->frames_count += !look.was_handed;
}

static unsigned poll_port(struct plane *plane, uint16_t index, uint64_t now_ns)
{
	static const struct plane_handed fresh = {.hop = PLANE_HOP_HOST};
	struct plane_port *port = &plane->ports[index];
	struct plane_burst burst;
	unsigned count = nic_port_receive(port->nic_port, port->queue, burst.frames, PLANE_BURST);
	if (count == 0)
		return 0;
	plane->stats.received += count;
	begin(&burst, plane, now_ns);
	/* Their headers were written elsewhere: all of them come at once. */
	for (unsigned i = 0; i < count; i++) {
		__builtin_prefetch(burst.frames[i].data);
		__builtin_prefetch(burst.frames[i].data + 64);
	}
	for (unsigned i = 0; i < count; i++)
		add(&burst, i, index, &fresh);
	end(&burst);
	return count;
}

/* What other cores handed over. */
static unsigned poll_cores(struct plane *plane, uint64_t now_ns)
{
	struct plane_handed handed[PLANE_BURST];
	struct plane_burst burst;
	unsigned count = plane_cores_take(plane, handed, PLANE_BURST);
	if (count == 0)
		return 0;
	begin(&burst, plane, now_ns);
	for (unsigned i = 0; i < count; i++) {
		if (handed[i].hop == PLANE_HOP_SEND) {
			plane_port_queue(plane, handed[i].port, &handed[i].frame);
			continue;
		}
		burst.frames[i] = handed[i].frame;
		add(&burst, i, handed[i].port, &handed[i]);
	}
	end(&burst);
	return count;
}

/* Announcements and the like. */
static void poll_host(struct plane *plane, uint16_t index, uint64_t now_ns)
{
	struct plane_port *port = &plane->ports[index];
	port->polled_ns = now_ns;
	for (unsigned i = 0; i < PLANE_BURST; i++) {
		struct nic_frame frame;
		if (nic_frame_new(plane->nic, NIC_HOST_CONTROL_MAX, &frame) < 0)
			return;
		struct nic_host_buffer buffer = {.data = frame.data,
						 .capacity = NIC_HOST_CONTROL_MAX};
		bool has_frame = nic_host_poll(port->host, now_ns, &buffer);
		plane_port_reply(plane, index, &frame, has_frame ? buffer.len : 0);
		if (!has_frame)
			return;
	}
}

unsigned plane_ports_poll(struct plane *plane, uint64_t now_ns)
{
	unsigned count = 0;
	for (unsigned i = 0; i < plane->ports_count; i++) {
		const struct plane_port *port = &plane->ports[i];
		if (EOS_LIKELY(port->has_queue))
			count += poll_port(plane, (uint16_t)i, now_ns);
		if (port->host != NULL && plane->core == 0 &&
		    now_ns - port->polled_ns >= PLANE_HOST_POLL_NS)
			poll_host(plane, (uint16_t)i, now_ns);
	}
	if (plane->cores_count > 1)
		count += poll_cores(plane, now_ns);
	return count;
}

/* On the thread's stack for what a stage lets pass, and on the stage's (16 KiB) for what it sends
 * besides. */
void plane_ports_remember(struct plane *plane, uint16_t port, const uint8_t *data, uint32_t len)
{
	struct flow_packet headers;
	if (plane->cores_count == 1)
		return;
	struct plane_steer *steer = plane_cores_steer(plane);
	flow_parse(data, len, &headers);
	if (is_ip(&headers))
		(void)plane_steer_remember(steer,
					   plane_steer_flow(steer, &headers, (uint16_t)(port + 1)),
					   plane->core, plane->now_ns);
}
