/* Rewriters against a model: flows do not share mappings, replies come back, checksums are right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sdk/click/ip.h>

#include "click/click_flow_fixture.h"

#define SECOND_NS 1000000000ull
#define INSIDE	  0u
#define OUTSIDE	  1u

struct flow {
	uint32_t saddr, daddr; /* host order */
	uint16_t sport, dport;
	uint8_t protocol;
};

static struct fixture fixture;

/* --- packets --- */

/* A checksum as RFC 1071 tells it, without anything of the elements' code. */
static uint32_t plain_sum(const uint8_t *data, uint32_t len)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	return sum;
}

static uint16_t plain_checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t transport_checksum(const uint8_t *packet, uint32_t len)
{
	uint32_t sum = plain_sum(packet + 20, len - 20);
	if (packet[9] != CLICK_ICMP)
		sum += plain_sum(packet + 12, 8) + packet[9] + len - 20;
	return plain_checksum(sum);
}

static unsigned checksum_at(uint8_t protocol)
{
	return protocol == CLICK_TCP ? 36 : protocol == CLICK_UDP ? 26 : 22;
}

/* An IP packet with SIZE bytes of payload; its length. */
static uint32_t make(uint8_t *packet, const struct flow *flow, uint32_t size, uint8_t tcp_flags)
{
	uint32_t header = flow->protocol == CLICK_TCP ? 20 : 8, len = 20 + header + size;
	memset(packet, 0, len);
	packet[0] = 0x45;
	click_put_u16(packet + 2, len);
	packet[8] = 64;
	packet[9] = flow->protocol;
	click_put_u32(packet + 12, flow->saddr);
	click_put_u32(packet + 16, flow->daddr);
	click_put_u16(packet + 20, flow->sport);
	click_put_u16(packet + 22, flow->dport);
	if (flow->protocol == CLICK_TCP) {
		packet[32] = 0x50;
		packet[33] = tcp_flags;
	} else if (flow->protocol == CLICK_UDP) {
		click_put_u16(packet + 24, len - 20);
	} else { /* an echo request, or with a DPORT a reply */
		packet[20] = flow->dport ? 0 : 8;
		packet[21] = packet[22] = packet[23] = 0;
		click_put_u16(packet + 24, flow->dport ? flow->dport : flow->sport);
	}
	for (uint32_t i = 0; i < size; i++)
		packet[20 + header + i] = (uint8_t)random();
	click_put_u16(packet + 10, plain_checksum(plain_sum(packet, 20)));
	uint16_t sum = transport_checksum(packet, len);
	if (flow->protocol == CLICK_UDP && sum == 0)
		sum = 0xffff;
	click_put_u16(packet + checksum_at(flow->protocol), sum);
	return len;
}

static void check_sums(const struct fixture_packet *packet)
{
	assert_int_equal(plain_checksum(plain_sum(packet->data, 20)), 0);
	assert_int_equal(transport_checksum(packet->data, packet->len), 0);
}

static struct flow flow_of(const struct fixture_packet *packet)
{
	const uint8_t *data = packet->data;
	assert_true(packet->len >= 28);
	struct flow flow = {.saddr = click_get_u32(data + 12),
			    .daddr = click_get_u32(data + 16),
			    .sport = click_get_u16(data + 20),
			    .dport = click_get_u16(data + 22),
			    .protocol = data[9]};
	if (flow.protocol == CLICK_ICMP) {
		flow.sport = data[20] == 8 ? click_get_u16(data + 24) : 0;
		flow.dport = data[20] == 8 ? 0 : click_get_u16(data + 24);
	}
	return flow;
}

static bool is_same(const struct flow *a, const struct flow *b)
{
	return a->saddr == b->saddr && a->daddr == b->daddr && a->sport == b->sport &&
	       a->dport == b->dport && a->protocol == b->protocol;
}

static struct flow reverse(const struct flow *flow)
{
	return (struct flow){flow->daddr, flow->saddr, flow->dport, flow->sport, flow->protocol};
}

/* FLOW's packet comes by DEVICE. The one packet that was sent for it, or NULL. */
static const struct fixture_packet *pass(unsigned device, const struct flow *flow, uint32_t size,
					 uint8_t tcp_flags)
{
	uint8_t packet[400];
	fixture_clear(&fixture);
	uint32_t len = make(packet, flow, size, tcp_flags);
	assert_true(fixture_send(&fixture, device, packet, len));
	assert_in_range(fixture.sent_count, 0, 1);
	if (fixture.sent_count == 0)
		return NULL;
	assert_int_equal(fixture.sent[0].len, len);
	assert_memory_equal(fixture.sent[0].data + len - size, packet + len - size, size);
	check_sums(&fixture.sent[0]);
	return &fixture.sent[0];
}

#define NAT(rewriter)                                                                              \
	"FromDevice(0) -> MarkIPHeader(0) -> [0]rw; FromDevice(1) -> MarkIPHeader(0) -> [1]rw;\n"  \
	"rw :: " rewriter ";\n"                                                                    \
	"rw[0] -> ToDevice(1); rw[1] -> ToDevice(0);\n"

static void load(const char *config)
{
	bool is_loaded = fixture_init(&fixture, config);
	if (!is_loaded)
		print_error("%s", fixture.errors);
	assert_true(is_loaded);
}

/* --- NAT of ports --- */

#define FLOWS_MAX 4000u
#define PORTS	  50u

static struct {
	struct flow inside, outside;
} model[FLOWS_MAX];

static struct flow random_flow(void)
{
	struct flow flow = {.saddr = 0x0a000001 + (uint32_t)random() % 12,
			    .daddr = 0x08080800 + (uint32_t)random() % 3,
			    .sport = (uint16_t)(2000 + random() % 40),
			    .dport = (uint16_t)(random() % 2 ? 80 : 443),
			    .protocol = random() % 2 ? CLICK_TCP : CLICK_UDP};
	if (random() % 4 == 0)
		flow.sport = (uint16_t)(1024 + random() % (PORTS + 10));
	return flow;
}

/* What is new must be 1.0.0.1, a port of the range, and nobody else's. */
static void check_new(const struct flow *inside, const struct flow *outside, unsigned count)
{
	assert_int_equal(outside->saddr, 0x01000001);
	assert_int_equal(outside->daddr, inside->daddr);
	assert_int_equal(outside->dport, inside->dport);
	assert_in_range(outside->sport, 1024, 1024 + PORTS - 1);
	unsigned used = 0;
	bool wanted_is_used = false;
	for (unsigned i = 0; i < count; i++) {
		assert_false(is_same(&model[i].outside, outside));
		if (model[i].outside.daddr != outside->daddr ||
		    model[i].outside.dport != outside->dport ||
		    model[i].outside.protocol != outside->protocol)
			continue;
		used++;
		wanted_is_used |= model[i].outside.sport == inside->sport;
	}
	assert_true(used < PORTS);
	/* The port stays if it can. */
	if (inside->sport >= 1024 && inside->sport < 1024 + PORTS && !wanted_is_used)
		assert_int_equal(outside->sport, inside->sport);
}

/* All ports towards that destination are in use. */
static void check_exhausted(const struct flow *inside, unsigned count)
{
	unsigned used = 0;
	for (unsigned i = 0; i < count; i++)
		used += model[i].outside.daddr == inside->daddr &&
			model[i].outside.dport == inside->dport &&
			model[i].outside.protocol == inside->protocol;
	assert_int_equal(used, PORTS);
}

static void nat_matches_a_model(void **state)
{
	(void)state;
	unsigned count = 0, dropped = 0;
	load(NAT("IPRewriter(pattern 1.0.0.1 1024-1073 - - 0 1, drop, TCP_DONE_TIMEOUT 86400)"));
	for (unsigned round = 0; round < 20000; round++) {
		struct flow flow = random_flow();
		unsigned at = 0;
		while (at < count && !is_same(&model[at].inside, &flow))
			at++;
		fixture_now_ns += (uint64_t)random() % 1000000;
		const struct fixture_packet *out =
			pass(INSIDE, &flow, (uint32_t)random() % 60, (uint8_t)(random() % 2));
		if (!out) {
			assert_int_equal(at, count);
			check_exhausted(&flow, count);
			dropped++;
			continue;
		}
		assert_int_equal(out->device, OUTSIDE);
		struct flow outside = flow_of(out);
		if (at < count) {
			assert_true(is_same(&model[at].outside, &outside));
		} else {
			check_new(&flow, &outside, count);
			model[count].inside = flow;
			model[count++].outside = outside;
		}
		/* A reply comes back to whoever that is. */
		at = (unsigned)random() % count;
		struct flow reply = reverse(&model[at].outside);
		out = pass(OUTSIDE, &reply, (uint32_t)random() % 60, 16);
		assert_non_null(out);
		assert_int_equal(out->device, INSIDE);
		struct flow wanted = reverse(&model[at].inside), got = flow_of(out);
		assert_true(is_same(&wanted, &got));
		/* What nobody asked for does not. */
		reply.dport = (uint16_t)(reply.dport + 1000);
		assert_null(pass(OUTSIDE, &reply, 0, 2));
	}
	assert_int_equal(count, 2 * 3 * 2 * PORTS);
	assert_true(dropped > 1000);
	assert_int_equal(fixture_count(&fixture, "rw.nmappings"), count);
	assert_int_equal(fixture_count(&fixture, "rw.mapping_failures"), dropped);
	fixture_fini(&fixture);
}

static struct flow tcp(uint16_t sport)
{
	return (struct flow){0x0a000001, 0x08080808, sport, 80, CLICK_TCP};
}

static struct flow udp(uint16_t sport)
{
	return (struct flow){0x0a000001, 0x08080808, sport, 53, CLICK_UDP};
}

/* Whether FLOW, which became OUTSIDE, is still there: a reply comes back. */
static bool lives(const struct flow *outside)
{
	struct flow reply = reverse(outside);
	return pass(OUTSIDE, &reply, 0, 16) != NULL;
}

static struct flow begin(const struct flow *flow, uint32_t size, uint8_t tcp_flags)
{
	const struct fixture_packet *out = pass(INSIDE, flow, size, tcp_flags);
	assert_non_null(out);
	return flow_of(out);
}

static void nat_forgets_in_time(void **state)
{
	(void)state;
	load(NAT("IPRewriter(pattern 1.0.0.1 - - - 0 1, drop, TCP_TIMEOUT 1000,"
		 " TCP_NODATA_TIMEOUT 100, TCP_DONE_TIMEOUT 10, UDP_TIMEOUT 20,"
		 " UDP_STREAMING_TIMEOUT 200)"));
	fixture_now_ns = 1;
	struct flow flow = udp(1000), outside = begin(&flow, 0, 0);
	fixture_now_ns += 20 * SECOND_NS;
	assert_false(lives(&outside));
	/* A reply, and a third packet: streaming. */
	begin(&flow, 0, 0);
	fixture_now_ns += 20 * SECOND_NS - 1;
	assert_true(lives(&outside));
	begin(&flow, 0, 0);
	fixture_now_ns += 200 * SECOND_NS - 1;
	assert_true(lives(&outside));
	fixture_now_ns += 200 * SECOND_NS;
	assert_false(lives(&outside));
	/* TCP without data in both directions. */
	flow = tcp(2000);
	outside = begin(&flow, 10, 16);
	fixture_now_ns += 100 * SECOND_NS - 1;
	assert_true(lives(&outside));
	fixture_now_ns += 100 * SECOND_NS;
	assert_false(lives(&outside));
	/* With: until one end says that it is over, and the other. */
	begin(&flow, 10, 16);
	struct flow reply = reverse(&outside);
	assert_non_null(pass(OUTSIDE, &reply, 10, 16));
	fixture_now_ns += 1000 * SECOND_NS - 1;
	begin(&flow, 0, 1);
	fixture_now_ns += 1000 * SECOND_NS - 1;
	assert_non_null(pass(OUTSIDE, &reply, 0, 1));
	fixture_now_ns += 10 * SECOND_NS - 1;
	assert_true(lives(&outside));
	fixture_now_ns += 10 * SECOND_NS;
	assert_false(lives(&outside));
	/* A reset is over at once; and the timer removes what nobody asks for. */
	begin(&flow, 0, 4);
	assert_int_equal(fixture_count(&fixture, "rw.nmappings"), 1);
	fixture_run_until(&fixture, fixture_now_ns + 1900 * SECOND_NS);
	assert_int_equal(fixture_count(&fixture, "rw.nmappings"), 0);
	fixture_fini(&fixture);
}

static void nat_has_a_capacity(void **state)
{
	(void)state;
	load(NAT("IPRewriter(pattern 1.0.0.1 - - - 0 1, drop, MAPPING_CAPACITY 3,"
		 " UDP_GUARANTEE 5)"));
	struct flow outside[4];
	for (uint16_t i = 0; i < 3; i++) {
		struct flow flow = udp((uint16_t)(1000 + i));
		outside[i] = begin(&flow, 0, 0);
		fixture_now_ns += SECOND_NS;
	}
	struct flow fourth = udp(1003);
	assert_null(pass(INSIDE, &fourth, 0, 0));
	assert_int_equal(fixture_count(&fixture, "rw.mapping_failures"), 1);
	fixture_now_ns += 2 * SECOND_NS; /* the first one's guarantee is over */
	outside[3] = begin(&fourth, 0, 0);
	assert_false(lives(&outside[0]));
	assert_true(lives(&outside[1]) && lives(&outside[2]) && lives(&outside[3]));
	assert_true(fixture_write(&fixture, "rw.capacity", "1"));
	assert_int_equal(fixture_count(&fixture, "rw.size"), 1);
	assert_false(fixture_write(&fixture, "rw.capacity", "4"));
	assert_true(fixture_write(&fixture, "rw.clear", ""));
	assert_int_equal(fixture_count(&fixture, "rw.size"), 0);
	fixture_fini(&fixture);
}

static void nat_shares_a_capacity(void **state)
{
	(void)state;
	load(NAT("IPRewriter(pattern 1.0.0.1 - - - 0 1, drop, MAPPING_CAPACITY 2)") "a :: "
										    "UDPRewriter("
										    "keep 0 0, "
										    "MAPPING_"
										    "CAPACITY rw, "
										    "GUARANTEE 5);"
										    "FromDevice(2) "
										    "-> "
										    "MarkIPHeader("
										    "0) -> a -> "
										    "ToDevice(1);");
	struct flow flow = udp(1);
	begin(&flow, 0, 0);
	assert_non_null(pass(2, &flow, 0, 0)); /* the same flow, of another table */
	assert_int_equal(fixture_count(&fixture, "rw.size"), 2);
	assert_int_equal(fixture_count(&fixture, "a.nmappings"), 1);
	flow = udp(2);
	assert_null(pass(INSIDE, &flow, 0, 0));
	fixture_now_ns += 6 * SECOND_NS;
	assert_non_null(pass(INSIDE, &flow, 0, 0));
	assert_int_equal(fixture_count(&fixture, "rw.size"), 2);
	fixture_fini(&fixture);
}

static void nat_tells_its_table(void **state)
{
	(void)state;
	load("p :: IPRewriterPatterns(web 1.0.0.1 5000-5001# 9.9.9.9 8080);" NAT(
		"IPRewriter(pattern web 0 1, pattern 7.7.7.7 1-9? - - 0 1)"));
	struct flow flow = tcp(1000);
	begin(&flow, 0, 2);
	flow.sport = 1001;
	begin(&flow, 0, 2);
	assert_string_equal(fixture_read(&fixture, "rw.tcp_table"),
			    "(10.0.0.1, 1000, 8.8.8.8, 80) => (1.0.0.1, 5000, 9.9.9.9, 8080)"
			    " [*0 1]\n"
			    "(9.9.9.9, 8080, 1.0.0.1, 5000) => (8.8.8.8, 80, 10.0.0.1, 1000)"
			    " [0 *1]\n"
			    "(10.0.0.1, 1001, 8.8.8.8, 80) => (1.0.0.1, 5001, 9.9.9.9, 8080)"
			    " [*0 1]\n"
			    "(9.9.9.9, 8080, 1.0.0.1, 5001) => (8.8.8.8, 80, 10.0.0.1, 1001)"
			    " [0 *1]\n");
	assert_string_equal(fixture_read(&fixture, "rw.udp_table"), "");
	assert_string_equal(fixture_read(&fixture, "rw.patterns"),
			    "1.0.0.1 5000-5001# 9.9.9.9 8080 0 1\n7.7.7.7 1-9? - - 0 1\n");
	assert_true(fixture_write(&fixture, "rw.tcp_lookup", "10.0.0.1 1001 8.8.8.8 80"));
	assert_string_equal(fixture_read(&fixture, "rw.tcp_lookup"), "1.0.0.1 5001 9.9.9.9 8080");
	assert_true(fixture_write(&fixture, "rw.tcp_lookup", "10.0.0.1 1002 8.8.8.8 80"));
	assert_string_equal(fixture_read(&fixture, "rw.tcp_lookup"), "");
	assert_false(fixture_write(&fixture, "rw.tcp_lookup", "10.0.0.1 1002 8.8.8.8"));
	flow.sport = 1002;
	assert_null(pass(INSIDE, &flow, 0, 2));
	fixture_fini(&fixture);
}

static void mappers_take_turns(void **state)
{
	(void)state;
	load("m :: RoundRobinIPMapper(- - 9.0.0.1 - 0 1, - - 9.0.0.2 - 0 1);" NAT(
		"IPRewriter(m, pass 1)"));
	for (uint16_t i = 0; i < 6; i++) {
		struct flow flow = tcp((uint16_t)(100 + i)), outside = begin(&flow, 0, 2);
		assert_int_equal(outside.daddr, 0x09000001 + i % 2);
		assert_int_equal(outside.sport, flow.sport);
		struct flow again = begin(&flow, 0, 16);
		assert_true(is_same(&outside, &again));
		assert_true(lives(&outside));
	}
	fixture_fini(&fixture);
}

static void echoes_are_rewritten(void **state)
{
	(void)state;
	load(NAT("ICMPPingRewriter(pattern 1.0.0.1 7-9# - - 0 1, drop)"));
	struct flow flow = {0x0a000001, 0x08080808, 500, 0, CLICK_ICMP};
	struct flow outside = begin(&flow, 30, 0);
	assert_int_equal(outside.saddr, 0x01000001);
	assert_int_equal(outside.sport, 7);
	struct flow other = flow;
	other.saddr = 0x0a000002;
	struct flow other_outside = begin(&other, 30, 0);
	assert_int_equal(other_outside.sport, 8);
	struct flow reply = reverse(&outside), wanted = reverse(&flow);
	struct flow got = flow_of(pass(OUTSIDE, &reply, 30, 0));
	assert_true(is_same(&got, &wanted));
	reply.dport = 9; /* nobody's */
	assert_null(pass(OUTSIDE, &reply, 0, 0));
	assert_null(pass(INSIDE, &reply, 0, 0));
	fixture_fini(&fixture);
}

/* --- NAT of addresses --- */

static void addresses_are_rewritten(void **state)
{
	(void)state;
	load(NAT("IPAddrRewriter(pattern 1.0.0.1-1.0.0.2# - 0 1, drop)"));
	struct flow flow = udp(1000), outside = begin(&flow, 9, 0);
	assert_int_equal(outside.saddr, 0x01000001);
	assert_int_equal(outside.sport, 1000);
	/* Another destination and protocol are of the same mapping; replies come from anywhere. */
	flow = tcp(7);
	flow.daddr++;
	outside = begin(&flow, 9, 0);
	assert_int_equal(outside.saddr, 0x01000001);
	outside.daddr = 0x0b0b0b0b;
	struct flow reply = reverse(&outside), got = flow_of(pass(OUTSIDE, &reply, 3, 0));
	assert_int_equal(got.daddr, 0x0a000001);
	assert_int_equal(got.saddr, 0x0b0b0b0b);
	flow.saddr = 0x0a000002;
	assert_int_equal(begin(&flow, 0, 0).saddr, 0x01000002);
	flow.saddr = 0x0a000003;
	assert_null(pass(INSIDE, &flow, 0, 0));
	fixture_fini(&fixture);
	load(NAT("IPAddrPairRewriter(pattern 1.0.0.0/30 2.2.2.2 0 1, drop)"));
	for (unsigned i = 0; i < 4; i++) {
		flow = udp(1000);
		flow.saddr += i;
		outside = begin(&flow, 5, 0);
		assert_int_equal(outside.saddr & 0xfffffffc, 0x01000000);
		assert_int_equal(outside.daddr, 0x02020202);
		reply = reverse(&outside);
		got = flow_of(pass(OUTSIDE, &reply, 5, 0));
		assert_int_equal(got.saddr, flow.daddr);
		assert_int_equal(got.daddr, flow.saddr);
	}
	flow.saddr++;
	assert_null(pass(INSIDE, &flow, 0, 0));
	fixture_fini(&fixture);
}

/* --- errors --- */

/* An ICMP error of TYPE from FROM to TO about the first LEN bytes of PACKET, with right sums. */
static uint32_t make_error(uint8_t *out, uint8_t type, uint32_t from, uint32_t to,
			   const uint8_t *packet, uint32_t len)
{
	memset(out, 0, 28);
	out[0] = 0x45;
	click_put_u16(out + 2, 28 + len);
	out[8] = 64;
	out[9] = CLICK_ICMP;
	click_put_u32(out + 12, from);
	click_put_u32(out + 16, to);
	out[20] = type;
	out[21] = 1;
	memcpy(out + 28, packet, len);
	click_put_u16(out + 10, plain_checksum(plain_sum(out, 20)));
	click_put_u16(out + 22, transport_checksum(out, 28 + len));
	return 28 + len;
}

static void errors_reach_who_sent(void **state)
{
	(void)state;
	load(NAT("IPRewriter(pattern 1.0.0.1 5000-6000# - - 0 1, drop)") "ping :: "
									 "ICMPPingRewriter(pattern "
									 "1.0.0.1 7-99# - - 0 1, "
									 "drop);"
									 "FromDevice(2) -> "
									 "MarkIPHeader(0) -> "
									 "[0]ping; Idle -> [1]ping;"
									 "ping[0] -> ToDevice(1); "
									 "ping[1] -> ToDevice(0);"
									 "FromDevice(3) -> "
									 "MarkIPHeader(0) -> e :: "
									 "ICMPRewriter(rw ping);"
									 "e[0] -> ToDevice(0); "
									 "e[1] -> ToDevice(4);");
	static const uint8_t protocols[] = {CLICK_UDP, CLICK_TCP, CLICK_ICMP};
	for (unsigned i = 0; i < 300; i++) {
		uint8_t protocol = protocols[i % 3], inside[400], error[500];
		struct flow flow = {0x0a000001 + i, 0x08080808, (uint16_t)(300 + i), 80, protocol};
		if (protocol == CLICK_ICMP) {
			flow.dport = 0;
			flow.saddr = 0x0a000001 + i % 9;
			flow.sport = 0x0a00;
		}
		uint32_t len = make(inside, &flow, 40, 2);
		fixture_clear(&fixture);
		assert_true(fixture_send(&fixture, protocol == CLICK_ICMP ? 2 : 0, inside, len));
		assert_int_equal(fixture.sent_count, 1);
		/* From the destination itself, or from a router on the way. */
		uint32_t from = i % 2 ? 0x08080808 : 0x09090909;
		uint32_t part = i % 4 < 2 ? 28 : len;
		uint8_t type = i % 5 ? 3 : 11;
		uint32_t error_len =
			make_error(error, type, from, 0x01000001, fixture.sent[0].data, part);
		fixture_clear(&fixture);
		assert_true(fixture_send(&fixture, 3, error, error_len));
		assert_int_equal(fixture.sent_count, 1);
		assert_int_equal(fixture.sent[0].device, 0);
		/* It is what it would have been without us. */
		uint8_t wanted[500];
		make_error(wanted, type, from, flow.saddr, inside, part);
		assert_int_equal(fixture.sent[0].len, error_len);
		assert_memory_equal(fixture.sent[0].data, wanted, error_len);
		/* An unknown flow's goes to the other output, as it was. */
		error[28 + 12] ^= 1;
		click_put_u16(error + 22, 0);
		fixture_clear(&fixture);
		assert_true(fixture_send(&fixture, 3, error, error_len));
		assert_int_equal(fixture.sent[0].device, 4);
		assert_memory_equal(fixture.sent[0].data, error, error_len);
	}
	fixture_fini(&fixture);
}

/* --- hostile packets --- */

static void damaged_packets_do_no_harm(void **state)
{
	(void)state;
	load(NAT("IPRewriter(pattern 1.0.0.1 1024-65535 - - 0 1, pattern 2.0.0.0 1-9 - - 1 0,"
		 " MAPPING_CAPACITY 500)") "FromDevice(2) -> MarkIPHeader(0) -> t :: Tee(5);"
					   "t[0] -> [0]ping :: ICMPPingRewriter(pattern 1.0.0.1 "
					   "7-9# - - 0 0) -> Discard;"
					   "t[1] -> IPAddrRewriter(pattern 1.0.0.0/24 - 0 0, "
					   "MAPPING_CAPACITY 99) -> Discard;"
					   "t[2] -> IPAddrPairRewriter(pattern 1.0.0.0/24 - 0 0) "
					   "-> Discard;"
					   "t[3] -> ICMPRewriter(rw ping) -> Discard;"
					   "t[4] -> RadixIPLookup(0/0 0) -> StringMatcher(ab, "
					   "\"\\<0000>\", PAYLOAD_ONLY true)"
					   " -> HashSwitch(0, 40) -> SetCRC32 -> CheckCRC32 -> "
					   "Discard;");
	for (unsigned i = 0; i < 30000; i++) {
		uint8_t packet[400], error[500];
		struct flow flow = random_flow();
		if (i % 3 == 0)
			flow.protocol = CLICK_ICMP;
		uint32_t len = make(packet, &flow, (uint32_t)random() % 64, (uint8_t)random());
		if (i % 4 == 0) {
			len = make_error(error, (uint8_t)(random() % 14), 0x08080808, 0x01000001,
					 packet, (uint32_t)random() % (len + 1));
			memcpy(packet, error, len);
		}
		for (unsigned bits = (unsigned)random() % 6; bits > 0; bits--)
			packet[(unsigned)random() % len] ^= (uint8_t)(1u << random() % 8);
		if (random() % 3 == 0)
			len = (uint32_t)random() % (len + 1);
		fixture_now_ns += (uint64_t)random() % SECOND_NS;
		fixture_clear(&fixture);
		assert_true(fixture_send(&fixture, (unsigned)random() % 3, packet, len));
	}
	fixture_run_until(&fixture, fixture_now_ns + 7200 * SECOND_NS);
	assert_int_equal(fixture_count(&fixture, "rw.nmappings"), 0);
	fixture_fini(&fixture);
}

/* --- mistakes --- */

static void mistakes_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *rewriter, *wanted;
	} cases[] = {
		{"IPRewriter(drop)", "2 inputs need as many"},
		{"IPRewriter(drop, drop, drop)", "2 inputs need as many"},
		{"IPRewriter(drop, pass 2)", "'2' is not an output"},
		{"IPRewriter(drop, pattern 1.0.0.1 - - 0 1)", "expected 'pattern SADDR SPORT"},
		{"IPRewriter(drop, pattern 1.0.0.1 9-8 - - 0 1)", "bad word '9-8'"},
		{"IPRewriter(drop, pattern 1.0.0.1 70000 - - 0 1)", "bad word '70000'"},
		{"IPRewriter(drop, pattern nothing 0 1)", "no pattern 'nothing'"},
		{"IPRewriter(drop, nobody)", "neither a specification nor a mapper"},
		{"IPRewriter(drop, pattern a b c d e f g h i)", "expected 'pattern"},
		{"IPRewriter(drop, drop, MAPPING_CAPACITY 0)", "MAPPING_CAPACITY must be"},
		{"IPRewriter(drop, drop, MAPPING_CAPACITY rw)", "not a rewriter of its own"},
		{"IPRewriter(drop, drop, UDP_TIMEOU 3)", "did you mean 'UDP_TIMEOUT'"},
		{"IPAddrRewriter(drop, pattern 1.0.0.1 2.2.2.2 0 1)", "DADDR of a pattern"},
		{"IPAddrPairRewriter(drop, pattern 1.0.0.9-1.0.0.1 - 0 1)", "bad word"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char config[512] =
			"FromDevice(0) -> [0]rw; FromDevice(1) -> [1]rw; rw[0] -> Discard;"
			"rw[1] -> Discard; rw :: ";
		strcat(config, cases[i].rewriter);
		strcat(config, ";");
		assert_false(fixture_init(&fixture, config));
		if (!strstr(fixture.errors, cases[i].wanted))
			print_error("%s: %s", cases[i].rewriter, fixture.errors);
		assert_non_null(strstr(fixture.errors, cases[i].wanted));
		fixture_fini(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nat_matches_a_model),
		cmocka_unit_test(nat_forgets_in_time),
		cmocka_unit_test(nat_has_a_capacity),
		cmocka_unit_test(nat_shares_a_capacity),
		cmocka_unit_test(nat_tells_its_table),
		cmocka_unit_test(mappers_take_turns),
		cmocka_unit_test(echoes_are_rewritten),
		cmocka_unit_test(addresses_are_rewritten),
		cmocka_unit_test(errors_reach_who_sent),
		cmocka_unit_test(damaged_packets_do_no_harm),
		cmocka_unit_test(mistakes_are_told),
	};
	srandom(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
