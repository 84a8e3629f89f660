#include "firewall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "host_double.h"

#define CLIENT "10.0.0.5"
#define SERVER "192.0.2.1"

static uint32_t send(bool is_from_client, struct host_packet packet)
{
	uint8_t data[2048];
	packet.source = packet.source != NULL ? packet.source : is_from_client ? CLIENT : SERVER;
	packet.target = packet.target != NULL ? packet.target : is_from_client ? SERVER : CLIENT;
	uint32_t len = host_make(data, &packet);
	return host_frame(is_from_client ? EDGEOS_PORT_CLIENT : EDGEOS_PORT_OUT, data, len);
}

static uint32_t segment(bool is_from_client, uint16_t client_port, uint8_t flags, uint32_t seq,
			uint32_t ack, uint32_t len)
{
	static const uint8_t payload[1460];
	return send(is_from_client,
		    (struct host_packet){.proto = FRAME_TCP,
					 .source_port = is_from_client ? client_port : 80,
					 .target_port = is_from_client ? 80 : client_port,
					 .flags = flags,
					 .seq = seq,
					 .ack = ack,
					 .payload = payload,
					 .payload_len = len});
}

static uint32_t datagram(bool is_from_client, uint16_t source_port, uint16_t target_port)
{
	return send(is_from_client, (struct host_packet){.proto = FRAME_UDP,
							 .source_port = source_port,
							 .target_port = target_port});
}

static void start(const char *rules, const char *connections)
{
	host_set(NULL, NULL);
	host_set("rules", rules);
	host_set("connections", connections);
	assert_true(host_start());
}

#define PASSES(call) assert_int_equal((call), EDGEOS_FORWARD)
#define DROPS(call)  assert_int_equal((call), EDGEOS_DROP)

static void open_connection(uint16_t port)
{
	PASSES(segment(true, port, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(false, port, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
	PASSES(segment(true, port, FRAME_ACK, 1001, 5001, 0));
}

static void test_connection(void **state)
{
	start("allow tcp 80; deny all", NULL);
	DROPS(segment(true, 1, FRAME_ACK, 1, 1, 10));
	DROPS(segment(false, 1, FRAME_SYN, 1, 0, 0));
	open_connection(2000);
	PASSES(segment(true, 2000, FRAME_ACK | FRAME_PSH, 1001, 5001, 100));
	PASSES(segment(false, 2000, FRAME_ACK, 5001, 1101, 1460));
	PASSES(segment(false, 2000, FRAME_ACK | FRAME_FIN, 6461, 1101, 0));
	PASSES(segment(true, 2000, FRAME_ACK, 1101, 6462, 50));
	PASSES(segment(true, 2000, FRAME_ACK | FRAME_FIN, 1151, 6462, 0));
	PASSES(segment(false, 2000, FRAME_ACK, 6462, 1152, 0));
	/* It is forgotten soon; and the ports may be used again at once. */
	PASSES(segment(true, 2000, FRAME_SYN, 90000, 0, 0));
	host_now_ns += 31 * HOST_SECOND;
	DROPS(segment(false, 2000, FRAME_SYN | FRAME_ACK, 5000, 90001, 0));
	/* Not by who may not begin. */
	open_connection(2002);
	PASSES(segment(false, 2002, FRAME_ACK | FRAME_FIN, 5001, 1001, 0));
	PASSES(segment(true, 2002, FRAME_ACK | FRAME_FIN, 1001, 5002, 0));
	DROPS(segment(false, 2002, FRAME_SYN, 90000, 0, 0));
	PASSES(segment(false, 2002, FRAME_ACK, 5002, 1002, 0));
	/* Idle for two hours is not too long for an open one. */
	open_connection(2001);
	host_now_ns += 7200 * HOST_SECOND;
	PASSES(segment(false, 2001, FRAME_ACK, 5001, 1001, 1));
	host_now_ns += 7441 * HOST_SECOND;
	DROPS(segment(false, 2001, FRAME_ACK, 5002, 1001, 1));
}

static void test_handshake_is_needed(void **state)
{
	start("allow tcp 80", NULL);
	PASSES(segment(true, 3000, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(true, 3000, FRAME_SYN, 1000, 0, 0));
	DROPS(segment(true, 3000, FRAME_SYN, 2000, 0, 0));
	DROPS(segment(true, 3000, FRAME_ACK, 1001, 1, 0));
	DROPS(segment(false, 3000, FRAME_SYN | FRAME_ACK, 5000, 1002, 0));
	DROPS(segment(false, 3000, FRAME_RST, 0, 0, 0));
	DROPS(segment(false, 3000, FRAME_RST | FRAME_ACK, 0, 1000, 0));
	/* A refusal. */
	PASSES(segment(false, 3000, FRAME_RST | FRAME_ACK, 0, 1001, 0));
	DROPS(segment(false, 3000, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
}

static void test_odd_flags(void **state)
{
	start("allow all", NULL);
	open_connection(3500);
	for (unsigned flags = 0; flags < 64; flags++) {
		unsigned set = ((flags & FRAME_SYN) != 0) + ((flags & FRAME_FIN) != 0) +
			       ((flags & FRAME_RST) != 0);
		if (set > 1 || (set == 0 && !(flags & FRAME_ACK)) ||
		    ((flags & FRAME_FIN) && !(flags & FRAME_ACK))) {
			DROPS(segment(true, 3500, (uint8_t)flags, 1001, 5001, 0));
			DROPS(segment(true, 3501, (uint8_t)flags, 1001, 5001, 0));
		}
	}
	PASSES(segment(true, 3500, FRAME_ACK, 1001, 5001, 10));
}

static void test_blind_segments(void **state)
{
	start("allow tcp 80", NULL);
	open_connection(4000);
	/* Resets and data that do not know the numbers. */
	DROPS(segment(false, 4000, FRAME_RST, 5001 + 70000, 0, 0));
	DROPS(segment(false, 4000, FRAME_RST, 5001 - 70000, 0, 0));
	DROPS(segment(false, 4000, FRAME_ACK, 5001 + 70000, 1001, 10));
	DROPS(segment(false, 4000, FRAME_ACK, 5001, 1001 + 5000, 10));
	DROPS(segment(false, 4000, FRAME_ACK, 5001, 1001 - 200000, 10));
	unsigned passed = 0;
	for (unsigned i = 0; i < 4000; i++)
		passed += segment(false, 4000, FRAME_RST, host_random(), 0, 0) == EDGEOS_FORWARD;
	/* The window is one in 32,768 of all numbers. */
	assert_in_range(passed, 0, 2);
	/* One within it is asked for again by who gets it; nothing has ended. */
	PASSES(segment(false, 4000, FRAME_ACK, 5001, 1001, 10));
	PASSES(segment(false, 4000, FRAME_RST, 5011 + 100, 0, 0));
	PASSES(segment(true, 4000, FRAME_ACK, 1001, 5011, 0));
	host_now_ns += 7000 * HOST_SECOND;
	PASSES(segment(true, 4000, FRAME_ACK, 1001, 5011, 5));
	/* Unless nothing follows. */
	PASSES(segment(false, 4000, FRAME_RST, 5011 + 100, 0, 0));
	host_now_ns += 11 * HOST_SECOND;
	DROPS(segment(true, 4000, FRAME_ACK, 1001, 5011, 5));
	open_connection(4001);
	PASSES(segment(false, 4001, FRAME_RST, 5001, 0, 0));
	DROPS(segment(false, 4001, FRAME_ACK, 5001, 1001, 10));
	/* What was said last may have got lost: it is answered with the number that is known. */
	open_connection(4002);
	PASSES(segment(true, 4002, FRAME_ACK, 1001, 5001, 10));
	PASSES(segment(true, 4002, FRAME_RST, 1001, 0, 0));
	DROPS(segment(true, 4002, FRAME_ACK, 1011, 5001, 10));
}

static void test_lost_handshakes(void **state)
{
	start("allow tcp 80", NULL);
	open_connection(4100);
	/* The server has not got the acknowledgement, and waits for it to speak first. */
	PASSES(segment(false, 4100, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
	PASSES(segment(true, 4100, FRAME_ACK, 1001, 5001, 0));
	DROPS(segment(false, 4100, FRAME_SYN | FRAME_ACK, 6000, 1001, 0));
	DROPS(segment(false, 4100, FRAME_SYN | FRAME_ACK, 5000, 1002, 0));
	DROPS(segment(false, 4100, FRAME_SYN | FRAME_ACK, 5000, 1001, 1));
	/* The client has not got the answer. */
	PASSES(segment(true, 4101, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(false, 4101, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
	PASSES(segment(true, 4101, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(true, 4101, FRAME_ACK, 1001, 5001, 0));
	/* Data with the SYN (RFC 7413), which is taken, or not. */
	PASSES(segment(true, 4102, FRAME_SYN, 1000, 0, 100));
	PASSES(segment(true, 4102, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(false, 4102, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
	PASSES(segment(true, 4102, FRAME_ACK, 1001, 5001, 100));
	PASSES(segment(false, 4102, FRAME_ACK, 5001, 1101, 0));
	PASSES(segment(true, 4103, FRAME_SYN, 1000, 0, 100));
	DROPS(segment(false, 4103, FRAME_SYN | FRAME_ACK, 5000, 1102, 0));
	PASSES(segment(false, 4103, FRAME_SYN | FRAME_ACK, 5000, 1101, 0));
	PASSES(segment(true, 4103, FRAME_ACK, 1101, 5001, 10));
}

static void test_both_begin(void **state)
{
	start("allow tcp 80", NULL);
	DROPS(segment(false, 4200, FRAME_SYN, 5000, 0, 0));
	PASSES(segment(true, 4200, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(false, 4200, FRAME_SYN, 5000, 0, 0));
	PASSES(segment(true, 4200, FRAME_SYN | FRAME_ACK, 1000, 5001, 0));
	PASSES(segment(false, 4200, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
	PASSES(segment(true, 4200, FRAME_ACK, 1001, 5001, 10));
	PASSES(segment(false, 4200, FRAME_ACK, 5001, 1011, 10));
	/* A forged SYN does not keep the answer out. */
	PASSES(segment(true, 4201, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(false, 4201, FRAME_SYN, 77777, 0, 0));
	DROPS(segment(false, 4201, FRAME_SYN, 88888, 0, 0));
	PASSES(segment(false, 4201, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
	DROPS(segment(false, 4201, FRAME_SYN | FRAME_ACK, 88888, 1001, 0));
	PASSES(segment(true, 4201, FRAME_ACK, 1001, 5001, 10));
	PASSES(segment(false, 4201, FRAME_ACK, 5001, 1011, 10));
}

static void test_begun_anew(void **state)
{
	start("allow tcp 80", NULL);
	/* The client has lost what it knew. The server has not, and says so. */
	open_connection(4300);
	PASSES(segment(true, 4300, FRAME_SYN, 900000, 0, 0));
	PASSES(segment(false, 4300, FRAME_ACK, 5001, 1001, 0));
	PASSES(segment(true, 4300, FRAME_RST, 1001, 0, 0));
	PASSES(segment(true, 4300, FRAME_SYN, 900000, 0, 0));
	PASSES(segment(false, 4300, FRAME_SYN | FRAME_ACK, 700000, 900001, 0));
	PASSES(segment(true, 4300, FRAME_ACK, 900001, 700001, 10));
	/* Both have; or the server is not there any more. */
	open_connection(4301);
	PASSES(segment(true, 4301, FRAME_SYN, 900000, 0, 0));
	DROPS(segment(false, 4301, FRAME_SYN | FRAME_ACK, 700000, 900002, 0));
	PASSES(segment(false, 4301, FRAME_SYN | FRAME_ACK, 700000, 900001, 0));
	PASSES(segment(true, 4301, FRAME_ACK, 900001, 700001, 10));
	PASSES(segment(false, 4301, FRAME_ACK, 700001, 900011, 10));
	DROPS(segment(false, 4301, FRAME_ACK, 5001, 1001, 0));
	open_connection(4302);
	PASSES(segment(true, 4302, FRAME_SYN, 900000, 0, 0));
	DROPS(segment(false, 4302, FRAME_RST | FRAME_ACK, 0, 900002, 0));
	PASSES(segment(false, 4302, FRAME_RST | FRAME_ACK, 0, 900001, 0));
	DROPS(segment(true, 4302, FRAME_ACK, 1001, 5001, 0));
	/* The other side's is nobody's. */
	open_connection(4303);
	DROPS(segment(false, 4303, FRAME_SYN, 900000, 0, 0));
	PASSES(segment(true, 4303, FRAME_ACK, 1001, 5001, 0));
}

static void test_udp_and_icmp(void **state)
{
	start("allow udp 53; allow icmp; deny all", NULL);
	DROPS(datagram(false, 53, 7000));
	DROPS(datagram(true, 7000, 54));
	PASSES(datagram(true, 7000, 53));
	DROPS(datagram(false, 53, 7001));
	PASSES(datagram(false, 53, 7000));
	host_now_ns += 179 * HOST_SECOND;
	PASSES(datagram(false, 53, 7000));
	host_now_ns += 181 * HOST_SECOND;
	DROPS(datagram(false, 53, 7000));
	struct host_packet ping = {.proto = FRAME_ICMP, .icmp_type = 8, .source_port = 77};
	struct host_packet pong = {.proto = FRAME_ICMP, .icmp_type = 0, .source_port = 77};
	DROPS(send(false, pong));
	PASSES(send(true, ping));
	PASSES(send(false, pong));
	pong.source_port = 78;
	DROPS(send(false, pong));
}

static void test_related_errors(void **state)
{
	uint8_t quoted[256];
	start("allow tcp 80; allow udp 53", NULL);
	open_connection(5000);
	PASSES(datagram(true, 7100, 53));
	struct host_packet inner = {.proto = FRAME_UDP,
				    .source = CLIENT,
				    .target = SERVER,
				    .source_port = 7100,
				    .target_port = 53};
	struct host_packet error = {.proto = FRAME_ICMP,
				    .icmp_type = 3,
				    .icmp_code = 4,
				    .source = "198.51.100.7",
				    .target = CLIENT,
				    .payload = quoted + 14};
	uint32_t len = host_make(quoted, &inner);
	error.payload_len = len - 14;
	PASSES(send(false, error));
	/* From the wrong side, to somebody else, of somebody else, or of nothing. */
	DROPS(send(true, error));
	error.target = "10.0.0.6";
	DROPS(send(false, error));
	error.target = CLIENT;
	inner.source_port = 7101;
	host_make(quoted, &inner);
	DROPS(send(false, error));
	error.payload_len = 0;
	DROPS(send(false, error));
	/* Of TCP only with a number that was sent. */
	inner = (struct host_packet){.proto = FRAME_TCP,
				     .source = CLIENT,
				     .target = SERVER,
				     .source_port = 5000,
				     .target_port = 80,
				     .seq = 1001};
	len = host_make(quoted, &inner);
	/* 8 bytes of it are enough. */
	error.payload_len = 20 + 8;
	PASSES(send(false, error));
	inner.seq = 0x40000000;
	host_make(quoted, &inner);
	DROPS(send(false, error));
	(void)len;
}

static void test_fragments(void **state)
{
	start("allow udp 53", NULL);
	struct host_packet first = {.proto = FRAME_UDP,
				    .source_port = 9,
				    .target_port = 53,
				    .fragment = 0x2000,
				    .fragment_id = 5,
				    .payload = "0123456789abcdef",
				    .payload_len = 16};
	struct host_packet later = {.proto = FRAME_UDP,
				    .fragment = 3,
				    .fragment_id = 5,
				    .payload = "01234567",
				    .payload_len = 8};
	DROPS(send(true, later));
	PASSES(send(true, first));
	PASSES(send(true, later));
	later.fragment = 1;
	DROPS(send(true, later));
	later.fragment = 3;
	later.fragment_id = 6;
	DROPS(send(true, later));
	first.target_port = 54;
	first.fragment_id = 6;
	DROPS(send(true, first));
	DROPS(send(true, later));
	later.fragment_id = 5;
	host_now_ns += 31 * HOST_SECOND;
	DROPS(send(true, later));
}

static void test_fragments_of_tcp(void **state)
{
	static const uint8_t bytes[1000];
	start("allow tcp 80", NULL);
	open_connection(5500);
	struct host_packet first = {.proto = FRAME_TCP,
				    .source_port = 5500,
				    .target_port = 80,
				    .flags = FRAME_ACK,
				    .seq = 1001,
				    .ack = 5001,
				    .fragment = 0x2000,
				    .fragment_id = 5,
				    .payload = bytes,
				    .payload_len = 500};
	struct host_packet later = {.proto = FRAME_TCP,
				    .fragment = (20 + 500) / 8,
				    .fragment_id = 5,
				    .payload = bytes,
				    .payload_len = 300};
	PASSES(send(true, first));
	DROPS(segment(false, 5500, FRAME_ACK, 5001, 1801, 0));
	PASSES(send(true, later));
	/* All of it is acknowledged, and no more than was sent. */
	DROPS(segment(false, 5500, FRAME_ACK, 5001, 1802, 0));
	PASSES(segment(false, 5500, FRAME_ACK, 5001, 1801, 0));
	/* Beyond what there is room for. */
	first.fragment_id = later.fragment_id = 6;
	first.seq = 1801 + 65535 - 520;
	PASSES(send(true, first));
	DROPS(send(true, later));
}

static void test_limits(void **state)
{
	/* What nobody answers makes room, so that a flood shuts nobody out; what was answered
	 * stays. */
	start("allow udp 1-65535; allow tcp 80", "100");
	for (uint16_t port = 1; port <= 1000; port++)
		PASSES(datagram(true, port, 53));
	host_now_ns += HOST_SECOND / 5;
	PASSES(datagram(true, 1001, 53));
	assert_in_range(host_counter("connections"), 90, 100);
	PASSES(datagram(false, 53, 1001));
	start("allow udp 1-65535; allow tcp 80", "100");
	unsigned passed = 0;
	for (uint16_t port = 1; port <= 1000; port++) {
		if (datagram(true, port, 53) != EDGEOS_FORWARD)
			continue;
		passed++;
		PASSES(datagram(false, 53, port));
	}
	assert_in_range(passed, 90, 100);
	assert_int_equal(host_counter("table_full"), 1000 - passed);
	host_now_ns += 181 * HOST_SECOND;
	PASSES(datagram(true, 2000, 53));
	/* A flood of SYNs does not end what is open. */
	start("allow tcp 80", "2048");
	open_connection(6000);
	for (unsigned i = 0; i < 20000; i++)
		segment(true, (uint16_t)(7000 + i), FRAME_SYN, i, 0, 0);
	PASSES(segment(false, 6000, FRAME_ACK, 5001, 1001, 10));
}

static void test_rules(void **state)
{
	static const char *const bad[] = {
		"allow",
		"permit tcp",
		"allow tcp 80 90",
		"allow tcp 65536",
		"allow tcp 90-80",
		"allow icmp 8",
		"allow tcp 80,",
		"deny tcp 80-",
		"allow tcp from",
		"allow tcp from 10.0.0.0/33",
		"allow tcp from ::/0 from ::/0",
		"allow 256",
		"in allow tcp",
		"allow tcp 1,2,3,4,5,6,7,8,9",
		"allow tcp -5",
	};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		host_set(NULL, NULL);
		host_set("rules", bad[i]);
		assert_false(host_start());
		assert_non_null(strstr(host_log, bad[i]));
	}
	start("deny tcp 81 to 192.0.2.0/24; allow tcp 80-90 from 10.0.0.0/8;"
	      "out allow 47 ; deny udp; allow all to 2001:db8::/32",
	      NULL);
	struct host_packet packet = {.proto = FRAME_TCP, .target_port = 81, .flags = FRAME_SYN};
	DROPS(send(true, packet));
	packet.target = "192.0.3.1";
	PASSES(send(true, packet));
	packet.source = "11.0.0.1";
	DROPS(send(true, packet));
	packet = (struct host_packet){.proto = 47};
	DROPS(send(true, packet));
	PASSES(send(false, packet));
	packet =
		(struct host_packet){.proto = 50, .source = "2001:db9::1", .target = "2001:db8::1"};
	PASSES(send(true, packet));
	DROPS(send(true, (struct host_packet){.proto = 50, .source = "::1", .target = "::2"}));
	/* All of IPv6 is nothing of IPv4, and the other way round. */
	start("allow udp from ::/0; out allow udp to 0.0.0.0/0", NULL);
	DROPS(datagram(true, 1, 53));
	PASSES(datagram(false, 1, 53));
	packet = (struct host_packet){
		.proto = FRAME_UDP, .source = "2001:db9::1", .target = "2001:db8::1"};
	DROPS(send(false, packet));
	PASSES(send(true, packet));
}

static void test_link(void **state)
{
	uint8_t arp[60] = {[12] = 0x08, [13] = 0x06};
	start("deny all", NULL);
	PASSES(host_frame(EDGEOS_PORT_CLIENT, arp, sizeof(arp)));
	arp[13] = 0x07;
	DROPS(host_frame(EDGEOS_PORT_CLIENT, arp, sizeof(arp)));
	/* Neighbour discovery has not been routed: its hop limit is 255. */
	uint8_t data[256];
	const struct host_packet packet = {
		.proto = FRAME_ICMP6, .source = "fe80::1", .target = "ff02::1", .icmp_type = 135};
	uint32_t len = host_make(data, &packet);
	DROPS(host_frame(EDGEOS_PORT_CLIENT, data, len));
	data[14 + 7] = 255;
	PASSES(host_frame(EDGEOS_PORT_CLIENT, data, len));
}

static void test_hostile(void **state)
{
	uint8_t data[512], quoted[256];
	start("allow all; out allow all", NULL);
	static const struct host_packet packets[] = {
		{.proto = FRAME_TCP,
		 .source = CLIENT,
		 .target = SERVER,
		 .flags = FRAME_SYN,
		 .payload = "\x02\x04\x05\xb4\x03\x03\x07\x00",
		 .payload_len = 8},
		{.proto = FRAME_UDP, .source = "2001:db8::1", .target = "2001:db8::2"},
		{.proto = FRAME_UDP, .source = CLIENT, .target = SERVER, .fragment = 0x2000},
	};
	for (unsigned i = 0; i < 3; i++)
		host_be_hostile(data, host_make(data, &packets[i]), 5000);
	/* Options of TCP. */
	uint32_t len = host_make(data, &packets[0]);
	data[14 + 20 + 12] = 7 << 4;
	host_be_hostile(data, len, 5000);
	struct host_packet error = {.proto = FRAME_ICMP,
				    .icmp_type = 3,
				    .source = SERVER,
				    .target = CLIENT,
				    .payload = quoted + 14};
	error.payload_len = host_make(quoted, &packets[0]) - 14;
	host_be_hostile(data, host_make(data, &error), 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_handshake_is_needed),
		cmocka_unit_test(test_odd_flags),
		cmocka_unit_test(test_blind_segments),
		cmocka_unit_test(test_udp_and_icmp),
		cmocka_unit_test(test_related_errors),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_fragments_of_tcp),
		cmocka_unit_test(test_lost_handshakes),
		cmocka_unit_test(test_both_begin),
		cmocka_unit_test(test_begun_anew),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
