/*
 * firewall: lets through what the rules allow and what belongs to it: answers, errors of ICMP about
 * it, fragments of it. All else is dropped and counted.
 *
 *     sdk/build firewall && edgeos chain apply sdk/samples/firewall/manifest.yaml
 *     curl http://SERVER/          # from behind port lan: allowed, and nothing on another port
 *
 * Configuration:
 *     rules        see rules.c: "allow tcp 80,443; out allow tcp 22 from 10.0.0.0/8; deny all"
 *     connections  at most so many at a time (1 to 2,048; default 1,024)
 *     udp, icmp, other   how long silence ends such a conversation (60s, 30s, 60s)
 * ARP, and IPv6's neighbour discovery and listeners, pass always: without them there is no link.
 * Who may begin with ICMP may ask, and gets answers of that kind; nobody answers unasked.
 */
#include <stdlib.h>
#include <string.h>

#include "edgeos_packet.h"
#include "firewall.h"

/* Twice what may be there, so that a set is rarely full before the table is. */
#define PLACES	      (2 * CONNECTIONS_MAX)
#define FRAGMENTS_MAX 64u
#define BEGUN_MAX     64u
#define FRAGMENT_NS   (30 * NS_PER_S)
#define ICMP_REDIRECT 5u
/* Answers are there: a conversation of UDP lives so many times longer. */
#define ANSWERED 3u

EDGEOS_PACKETS(EDGEOS_PACKET_MAX)

struct connection {
	struct flow flow;
	struct tcp tcp;
	bool is_from_client; /* who began it */
	bool is_answered;
	bool is_lasting; /* who began it went on after an answer */
};

/* A datagram whose first fragment has passed. */
struct passed {
	uint8_t source[16], target[16];
	uint32_t id;
	uint8_t proto;
	bool is_from_client;
	uint64_t ends_ns;
	uint32_t len; /* of the first one's part of it */
	/* Of TCP: its connection, and the number that a byte at offset 0 would have. */
	struct flow_key key;
	uint32_t begin;
};

static struct connection connections[PLACES];
static struct flows flows = FLOWS_OF(connections);
static uint32_t connections_max, connections_seen, begun_since, sweep_at;
static uint32_t begun[BEGUN_MAX], begun_next; /* where the last ones are */
static struct passed passed[FRAGMENTS_MAX];
static uint32_t passed_next;
static uint64_t udp_ns, icmp_ns, other_ns;
static bool has_begun;

enum { ALLOWED, DENIED, INVALID, UNRELATED, FULL, BAD_FRAMES, NEW, LIVE };
static struct edgeos_counter counters[] = {
	[ALLOWED] = {"allowed", 0},	[DENIED] = {"denied", 0},
	[INVALID] = {"tcp_invalid", 0}, [UNRELATED] = {"unrelated", 0},
	[FULL] = {"table_full", 0},	[BAD_FRAMES] = {"malformed", 0},
	[NEW] = {"connections_new", 0}, [LIVE] = {"connections", 0},
};

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	struct piece text, wrong;
	if (!settings_text("rules", &text))
		settings_fail("rules", "needed", (struct piece){"", 0});
	if (!rules_parse(text, &wrong))
		settings_fail("rules", "not a rule, or too many", wrong);
	connections_max = (uint32_t)settings_u64("connections", 1, CONNECTIONS_MAX, 1024);
	udp_ns = settings_duration_ns("udp", 60 * NS_PER_S);
	icmp_ns = settings_duration_ns("icmp", 30 * NS_PER_S);
	other_ns = settings_duration_ns("other", 60 * NS_PER_S);
	if (edgeos_open_packets() < 0 ||
	    edgeos_counters(counters, sizeof(counters) / sizeof(counters[0])) < 0)
		abort();
}

/* --- which conversation --- */

/* Requests of ICMP, each with its answer: echo, time, information, mask; echo and names of IPv6. */
static const uint8_t queries[][3] = {
	{FRAME_ICMP, 8, 0},   {FRAME_ICMP, 13, 14},    {FRAME_ICMP, 15, 16},
	{FRAME_ICMP, 17, 18}, {FRAME_ICMP6, 128, 129}, {FRAME_ICMP6, 139, 140},
};

/* The key of FRAME's conversation. Of ICMP that is what is asked, by whom: who answers may not ask
 * in the same one. False: FRAME is an answer, and begins none. */
static bool key_of(const struct frame *frame, bool is_from_client, struct flow_key *ret)
{
	bool is_asked_by_client = is_from_client, is_answer = false;
	*ret = flow_key_of(frame, is_from_client);
	if ((frame->proto != FRAME_ICMP && frame->proto != FRAME_ICMP6) || !frame->has_transport)
		return true;
	ret->reserved[0] = frame->icmp_type;
	for (unsigned i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		if (queries[i][0] != frame->proto || queries[i][2] != frame->icmp_type)
			continue;
		ret->reserved[0] = queries[i][1];
		is_asked_by_client = !is_from_client;
		is_answer = true;
	}
	ret->reserved[1] = is_asked_by_client ? 1 : 2;
	return !is_answer;
}

/* --- connections --- */

static uint64_t timeout_of(const struct connection *connection)
{
	switch (connection->flow.key.proto) {
	case FRAME_TCP:
		return tcp_timeout_ns(&connection->tcp);
	case FRAME_UDP:
		return udp_ns * (connection->is_answered ? ANSWERED : 1);
	case FRAME_ICMP:
	case FRAME_ICMP6:
		return icmp_ns;
	default:
		return other_ns;
	}
}

/* Looks at some places, so that it is known how many connections have ended. What began meanwhile
 * is added: this number is never too low, nor is the one that lacks those that have ended. */
static void sweep(uint64_t now_ns)
{
	static uint32_t living;
	for (unsigned i = 0; i < 8; i++) {
		living += connections[sweep_at].flow.ends_ns > now_ns;
		if (++sweep_at == PLACES) {
			uint32_t seen = living + begun_since;
			if (seen < connections_seen)
				connections_seen = seen;
			living = begun_since = sweep_at = 0;
		}
	}
}

/* Looks at all only where the limit seems to be reached, and then not for each packet. */
static bool is_full(uint64_t now_ns)
{
	static uint64_t counted_ns;
	if (connections_seen < connections_max)
		return false;
	if (counted_ns != 0 && now_ns - counted_ns < NS_PER_S / 10)
		return true;
	counted_ns = now_ns;
	connections_seen = 0;
	for (uint32_t i = 0; i < PLACES; i++)
		connections_seen += connections[i].flow.ends_ns > now_ns;
	return connections_seen >= connections_max;
}

static bool evict(uint32_t place, uint64_t now_ns)
{
	struct flow *flow = &connections[place].flow;
	if (flow->ends_ns <= now_ns || flow->is_kept)
		return false;
	flow->ends_ns = 0;
	connections_seen--;
	return true;
}

/* Takes the place of one that is not open: a flood of SYNs evicts itself, as do many questions with
 * an answer each (DNS), and what is closed. Where there are few of those, they are the last that
 * began. False: there is none; all are looked at, but not for each packet. */
static bool make_room(uint64_t now_ns)
{
	static uint32_t at;
	static uint64_t looked_ns;
	for (unsigned i = 0; i < 256; i++) {
		if (evict(at++ % PLACES, now_ns))
			return true;
	}
	for (unsigned i = 0; i < BEGUN_MAX; i++) {
		if (evict(begun[(begun_next + i) % BEGUN_MAX], now_ns))
			return true;
	}
	if (looked_ns != 0 && now_ns - looked_ns < NS_PER_S / 10)
		return false;
	looked_ns = now_ns;
	for (uint32_t place = 0; place < PLACES; place++) {
		if (evict(place, now_ns))
			return true;
	}
	return false;
}

static uint32_t begin(const struct frame *frame, const struct flow_key *key, bool is_from_client,
		      uint64_t now_ns)
{
	struct tcp tcp = {.state = TCP_NEW};
	bool was_evicted = false;
	if (!rules_allow(frame, is_from_client))
		return DENIED;
	if (frame->proto == FRAME_TCP && !tcp_take(&tcp, frame, 0))
		return INVALID;
	if (is_full(now_ns) && !make_room(now_ns))
		return FULL;
	struct connection *connection = flows_add(&flows, key, now_ns, &was_evicted);
	if (connection == NULL)
		return FULL;
	connection->tcp = tcp;
	connection->is_from_client = is_from_client;
	connection->flow.ends_ns = now_ns + timeout_of(connection);
	connection->flow.is_kept = false;
	connections_seen += !was_evicted;
	begun_since++;
	begun[begun_next++ % BEGUN_MAX] = (uint32_t)(connection - connections);
	counters[NEW].value++;
	return ALLOWED;
}

static uint32_t take_known(struct connection *connection, const struct frame *frame,
			   bool is_from_client, uint64_t now_ns)
{
	bool is_answer = connection->is_from_client != is_from_client;
	if (frame->proto == FRAME_TCP && !tcp_take(&connection->tcp, frame, is_answer))
		return INVALID;
	connection->is_lasting |= connection->is_answered && !is_answer;
	connection->is_answered |= is_answer;
	connection->flow.is_kept = frame->proto == FRAME_TCP
					   ? connection->tcp.state == TCP_ESTABLISHED ||
						     connection->tcp.state == TCP_CLOSING
					   : connection->is_lasting;
	connection->flow.ends_ns = now_ns + timeout_of(connection);
	return ALLOWED;
}

/* An error about a packet of a conversation that passes here, sent to who sent that. A redirection
 * is none: it would change somebody's routes. */
static uint32_t take_error(const struct frame *frame, bool is_from_client, uint64_t now_ns)
{
	struct frame quoted;
	struct flow_key key;
	if (!frame_parse_quoted(&quoted, frame) ||
	    memcmp(quoted.source, frame->target, sizeof(quoted.source)) != 0 ||
	    (frame->proto == FRAME_ICMP && frame->icmp_type == ICMP_REDIRECT))
		return UNRELATED;
	/* What it quotes went the other way. */
	key_of(&quoted, !is_from_client, &key);
	const struct connection *connection = flows_find(&flows, &key, now_ns);
	if (connection == NULL)
		return UNRELATED;
	unsigned side = connection->is_from_client != !is_from_client;
	if (quoted.proto == FRAME_TCP &&
	    (!quoted.has_transport || !tcp_has_sent(&connection->tcp, side, quoted.seq)))
		return UNRELATED;
	return ALLOWED;
}

/* --- fragments --- */

/* What a fragment of IPv6 says of what is in its datagram counts of the first one only. */
static bool is_same(const struct passed *one, const struct frame *frame)
{
	return one->id == frame->fragment_id &&
	       (frame->version == 6 || one->proto == frame->proto) &&
	       memcmp(one->source, frame->source, 16) == 0 &&
	       memcmp(one->target, frame->target, 16) == 0;
}

static void remember_fragment(const struct frame *frame, bool is_from_client, uint64_t now_ns)
{
	struct passed *one = &passed[passed_next++ % FRAGMENTS_MAX];
	*one = (struct passed){.id = frame->fragment_id,
			       .proto = frame->proto,
			       .is_from_client = is_from_client,
			       .len = frame->end - frame->fragment_begin,
			       .ends_ns = now_ns + FRAGMENT_NS};
	if (frame->proto == FRAME_TCP) {
		one->key = flow_key_of(frame, is_from_client);
		one->begin = tcp_end(frame) - one->len;
	}
	memcpy(one->source, frame->source, 16);
	memcpy(one->target, frame->target, 16);
}

/* What is acknowledged afterwards is more than the first fragment has said. */
static uint32_t take_more(const struct passed *one, const struct frame *frame, uint64_t now_ns)
{
	uint32_t len = frame->end - frame->fragment_begin;
	struct connection *connection = flows_find(&flows, &one->key, now_ns);
	if (connection == NULL)
		return UNRELATED;
	unsigned side = connection->is_from_client != one->is_from_client;
	return tcp_take_more(&connection->tcp, side, one->begin + frame->fragment_offset + len)
		       ? ALLOWED
		       : INVALID;
}

static uint32_t take_fragment(const struct frame *frame, bool is_from_client, uint64_t now_ns)
{
	for (unsigned i = 0; i < FRAGMENTS_MAX; i++) {
		const struct passed *one = &passed[i];
		if (one->ends_ns <= now_ns || one->is_from_client != is_from_client ||
		    !is_same(one, frame))
			continue;
		/* One that would overwrite what was decided by (RFC 3128, 5722). */
		if (frame->fragment_offset < one->len)
			return UNRELATED;
		return one->proto == FRAME_TCP ? take_more(one, frame, now_ns) : ALLOWED;
	}
	return UNRELATED;
}

/* --- packets --- */

/* Neighbour discovery, and who listens to which group, so that switches deliver it (RFC 4890): what
 * no router lets through. */
static bool is_of_the_link(const struct frame *frame)
{
	if (frame->version == 0)
		return frame->type == FRAME_ARP;
	if (frame->version != 6 || frame->proto != FRAME_ICMP6 || !frame->has_transport ||
	    frame->is_fragment)
		return false;
	uint8_t type = frame->icmp_type, hops = frame->data[frame->ip + 7];
	bool is_discovery = type >= 133 && type <= 136;
	bool is_listening = (type >= 130 && type <= 132) || type == 143;
	bool is_to_link = frame->target[0] == 0xff && (frame->target[1] & 15) == 2;
	/* Who has no address yet may have to be found, to learn that another one has it. */
	static const uint8_t none[16];
	bool is_from_link = (frame->source[0] == 0xfe && (frame->source[1] & 0xc0) == 0x80) ||
			    memcmp(frame->source, none, 16) == 0;
	return (is_discovery && hops == 255) ||
	       (is_listening && hops == 1 && is_to_link && is_from_link);
}

static uint32_t decide(const struct frame *frame, bool is_from_client, uint64_t now_ns)
{
	if (is_of_the_link(frame))
		return ALLOWED;
	if (frame->version == 0)
		return DENIED;
	if (frame->fragment_offset > 0)
		return take_fragment(frame, is_from_client, now_ns);
	uint32_t decision;
	if (frame_is_icmp_error(frame)) {
		decision = take_error(frame, is_from_client, now_ns);
	} else {
		struct flow_key key;
		bool may_begin = key_of(frame, is_from_client, &key);
		struct connection *connection = flows_find(&flows, &key, now_ns);
		/* A new connection may take the ports of one that is over. */
		bool is_reused = connection != NULL && frame->proto == FRAME_TCP &&
				 connection->tcp.state >= TCP_CLOSED &&
				 (frame->tcp_flags & (FRAME_SYN | FRAME_ACK)) == FRAME_SYN &&
				 rules_allow(frame, is_from_client);
		if (is_reused) {
			connection->flow.ends_ns = 0;
			connections_seen--;
			connection = NULL;
		}
		if (connection != NULL)
			decision = take_known(connection, frame, is_from_client, now_ns);
		else if (may_begin)
			decision = begin(frame, &key, is_from_client, now_ns);
		else
			decision = UNRELATED;
	}
	if (decision == ALLOWED && frame->is_fragment)
		remember_fragment(frame, is_from_client, now_ns);
	return decision;
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	struct frame frame;
	uint64_t now_ns = edgeos_slot.info.time_ns;
	if (!has_begun) {
		flows_seed(&flows);
		has_begun = true;
	}
	sweep(now_ns);
	uint32_t decision = BAD_FRAMES;
	if (frame_parse(&frame, buf, len))
		decision = decide(&frame, edgeos_slot.info.port == EDGEOS_PORT_CLIENT, now_ns);
	counters[decision].value++;
	counters[LIVE].value = connections_seen;
	return decision == ALLOWED ? EDGEOS_FORWARD : EDGEOS_DROP;
}
