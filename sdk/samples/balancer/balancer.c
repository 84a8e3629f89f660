/*
 * balancer: one address, many servers. New flows are spread by Maglev hashing, known ones stay
 * where they are. A new version of the chain knows none: what was a server's that is still there
 * stays by the hash, but for a few in a hundred.
 *
 *     sdk/build balancer && edgeos chain apply sdk/samples/balancer/manifest.yaml
 *     for i in $(seq 30); do curl -s http://192.0.2.10/; done    # from behind port lan
 *
 * Configuration:
 *     service   the address that clients use
 *     backends  "ADDRESS MAC [weight N]; …": up to 32; MAC is the server's, or the router's to it
 *     ports     of the service: "80" or "8000-8100"; default: all, and other protocols too
 *     mode      ip: the address is rewritten, and back in answers, which come through here
 *               mac: only the target MAC is; the servers have the service's address themselves,
 *               and answer clients directly
 *     idle      how long silence ends a flow (default 5min)
 * All frames to the service's address are of its ports, others are dropped. Fragments are, too: the
 * later ones do not say where they belong.
 */
#include <stdlib.h>
#include <string.h>

#include "balancer.h"
#include "edgeos_packet.h"

#define NS_PER_S     UINT64_C(1000000000)
#define FLOWS_PLACES 16384u

EDGEOS_PACKETS(EDGEOS_PACKET_MAX)

struct assigned {
	struct flow flow;
	uint8_t backend[16]; /* by its address: its index may change */
	uint8_t client_mac[6];
};

static struct assigned assigned[FLOWS_PLACES];
static struct flows flows = FLOWS_OF(assigned);
static uint8_t service[16];
static uint64_t first_port, last_port, idle_ns;
static bool rewrites_address, has_begun;

enum { TO_BACKENDS, TO_CLIENTS, NEW_FLOWS, MOVED, EVICTED, NOT_OURS, MALFORMED, FIXED_COUNTERS };
static struct edgeos_counter counters[FIXED_COUNTERS + MAGLEV_BACKENDS_MAX] = {
	[TO_BACKENDS] = {"to_backends", 0}, [TO_CLIENTS] = {"to_clients", 0},
	[NEW_FLOWS] = {"flows_new", 0},	    [MOVED] = {"flows_moved", 0},
	[EVICTED] = {"flows_evicted", 0},   [NOT_OURS] = {"not_ours", 0},
	[MALFORMED] = {"malformed", 0},
};

static void read_ports(void)
{
	struct piece text, first;
	first_port = 0;
	last_port = UINT16_MAX;
	if (!settings_text("ports", &text))
		return;
	struct piece rest = text;
	bool is_good =
		piece_split(&rest, "-", &first) && piece_u64(first, 1, UINT16_MAX, &first_port);
	last_port = first_port;
	bool is_range = text.len > 0 && memchr(text.text, '-', text.len) != NULL;
	if (!is_good || (is_range && !piece_u64(rest, first_port, UINT16_MAX, &last_port)))
		settings_fail("ports", "not a port or range", text);
}

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	struct piece text = {"", 0}, wrong;
	if (!settings_text("service", &text) || !frame_parse_address(text.text, text.len, service))
		settings_fail("service", "not an address", text);
	rewrites_address = true;
	if (settings_text("mode", &text)) {
		rewrites_address = piece_is(text, "ip");
		if (!rewrites_address && !piece_is(text, "mac"))
			settings_fail("mode", "neither ip nor mac", text);
	}
	read_ports();
	idle_ns = settings_duration_ns("idle", 300 * NS_PER_S);
	text = (struct piece){"", 0};
	if (!settings_text("backends", &text) || !backends_parse(text, service, &wrong))
		settings_fail("backends", "not a backend, or too many",
			      text.len > 0 ? wrong : text);
	for (unsigned i = 0; i < backends_count; i++) {
		char *name = counters[FIXED_COUNTERS + i].name;
		memcpy(name, "flows_of_00", 12);
		name[9] = (char)('0' + i / 10);
		name[10] = (char)('0' + i % 10);
	}
	if (edgeos_open_packets() < 0 ||
	    edgeos_counters(counters, FIXED_COUNTERS + backends_count) < 0)
		abort();
}

static void set_target_mac(struct frame *frame, const uint8_t mac[6])
{
	memcpy(frame->data, mac, 6);
}

static bool is_our_port(const struct frame *frame, uint16_t port)
{
	if (frame->proto != FRAME_TCP && frame->proto != FRAME_UDP)
		return first_port == 0;
	return port >= first_port && port <= last_port;
}

static uint32_t drop(unsigned why)
{
	counters[why].value++;
	return EDGEOS_DROP;
}

static unsigned assign(struct assigned *entry, const struct flow_key *key)
{
	unsigned backend = backends_choose(key);
	memcpy(entry->backend, backends[backend].address, 16);
	counters[FIXED_COUNTERS + backend].value++;
	return backend;
}

static uint32_t to_backend(struct frame *frame, uint64_t now_ns)
{
	if (memcmp(frame->target, service, 16) != 0 || !is_our_port(frame, frame->target_port))
		return drop(NOT_OURS);
	struct flow_key key = flow_key_of(frame, true);
	struct assigned *entry = flows_find(&flows, &key, now_ns);
	bool was_evicted = false;
	int backend;
	if (entry == NULL) {
		/* Nothing is kept for good, so that there is always a place. */
		entry = flows_add(&flows, &key, now_ns, &was_evicted);
		if (entry == NULL)
			return drop(EVICTED);
		backend = (int)assign(entry, &key);
		counters[NEW_FLOWS].value++;
		counters[EVICTED].value += was_evicted;
	} else {
		backend = backends_find(entry->backend);
		if (backend < 0) {
			backend = (int)assign(entry, &key);
			counters[MOVED].value++;
		}
	}
	entry->flow.ends_ns = now_ns + idle_ns;
	memcpy(entry->client_mac, frame->data + 6, 6);
	set_target_mac(frame, backends[backend].mac);
	if (rewrites_address)
		frame_set_address(frame, true, backends[backend].address);
	counters[TO_BACKENDS].value++;
	return EDGEOS_FORWARD;
}

/* The entry of the flow that FRAME, of a backend, answers in; the backend is not part of its key.
 */
static struct assigned *find_answered(const struct frame *frame, uint64_t now_ns)
{
	struct flow_key key = flow_key_of(frame, false);
	memcpy(key.out, service, 16);
	struct assigned *entry = flows_find(&flows, &key, now_ns);
	return entry != NULL && memcmp(entry->backend, frame->source, 16) == 0 ? entry : NULL;
}

static uint32_t to_client(struct frame *frame, uint64_t now_ns)
{
	if (!rewrites_address) {
		counters[TO_CLIENTS].value++;
		return EDGEOS_FORWARD;
	}
	struct assigned *entry = find_answered(frame, now_ns);
	if (entry == NULL || !is_our_port(frame, frame->source_port))
		return drop(NOT_OURS);
	entry->flow.ends_ns = now_ns + idle_ns;
	set_target_mac(frame, entry->client_mac);
	frame_set_address(frame, false, service);
	counters[TO_CLIENTS].value++;
	return EDGEOS_FORWARD;
}

/* An error about what a backend sent: to that one, so that it learns the path's MTU. */
static uint32_t error_to_backend(struct frame *frame, struct frame *quoted, uint64_t now_ns)
{
	if (memcmp(frame->target, service, 16) != 0 || memcmp(quoted->source, service, 16) != 0)
		return drop(NOT_OURS);
	struct flow_key key = flow_key_of(quoted, false);
	const struct assigned *entry = flows_find(&flows, &key, now_ns);
	int backend = entry != NULL ? backends_find(entry->backend) : -1;
	if (backend < 0)
		return drop(NOT_OURS);
	set_target_mac(frame, backends[backend].mac);
	if (rewrites_address) {
		rewrite_quoted(frame, quoted, false, backends[backend].address);
		frame_set_address(frame, true, backends[backend].address);
	}
	counters[TO_BACKENDS].value++;
	return EDGEOS_FORWARD;
}

/* One of a backend about what a client sent it (a closed port, say). */
static uint32_t error_to_client(struct frame *frame, struct frame *quoted, uint64_t now_ns)
{
	if (!rewrites_address) {
		counters[TO_CLIENTS].value++;
		return EDGEOS_FORWARD;
	}
	struct flow_key key = flow_key_of(quoted, true);
	memcpy(key.out, service, 16);
	const struct assigned *entry = flows_find(&flows, &key, now_ns);
	if (entry == NULL || memcmp(entry->backend, quoted->target, 16) != 0 ||
	    memcmp(frame->target, quoted->source, 16) != 0)
		return drop(NOT_OURS);
	set_target_mac(frame, entry->client_mac);
	rewrite_quoted(frame, quoted, true, service);
	if (memcmp(frame->source, entry->backend, 16) == 0)
		frame_set_address(frame, false, service);
	counters[TO_CLIENTS].value++;
	return EDGEOS_FORWARD;
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	struct frame frame, quoted;
	uint64_t now_ns = edgeos_slot.info.time_ns;
	bool is_from_client = edgeos_slot.info.port == EDGEOS_PORT_CLIENT;
	if (!has_begun) {
		flows_seed(&flows);
		has_begun = true;
	}
	if (!frame_parse(&frame, buf, len))
		return drop(MALFORMED);
	if (frame.version == 0 || frame.is_fragment)
		return drop(NOT_OURS);
	if (frame_is_icmp_error(&frame)) {
		/* One whose quotation is of the other version of IP has been made up. */
		if (!frame_parse_quoted(&quoted, &frame))
			return drop(MALFORMED);
		return is_from_client ? error_to_backend(&frame, &quoted, now_ns)
				      : error_to_client(&frame, &quoted, now_ns);
	}
	return is_from_client ? to_backend(&frame, now_ns) : to_client(&frame, now_ns);
}
