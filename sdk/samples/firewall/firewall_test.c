#include "firewall_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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
	DROPS(send_packet(false, pong));
	PASSES(send_packet(true, ping));
	PASSES(send_packet(false, pong));
	pong.source_port = 78;
	DROPS(send_packet(false, pong));
	/* Who is asked does not ask, nor answer something else; nobody answers unasked. */
	DROPS(send_packet(false, ping));
	pong.source_port = 77;
	for (unsigned type = 1; type < 256; type++) {
		pong.icmp_type = (uint8_t)type;
		DROPS(send_packet(false, pong));
	}
	ping.icmp_type = 13;
	pong.icmp_type = 14;
	DROPS(send_packet(false, pong));
	DROPS(send_packet(true, pong));
	PASSES(send_packet(true, ping));
	PASSES(send_packet(false, pong));
	/* Both may ask, with the same number. */
	start("allow icmp6; out allow icmp6", NULL);
	ping = (struct host_packet){.proto = FRAME_ICMP6,
				    .icmp_type = 128,
				    .source = "2001:db8::1",
				    .target = "2001:db8::2"};
	pong = (struct host_packet){.proto = FRAME_ICMP6,
				    .icmp_type = 129,
				    .source = "2001:db8::2",
				    .target = "2001:db8::1"};
	PASSES(send_packet(true, ping));
	DROPS(send_packet(true, pong));
	PASSES(send_packet(false, ping));
	PASSES(send_packet(false, pong));
	DROPS(send_packet(false, (struct host_packet){.proto = FRAME_ICMP6,
						      .icmp_type = 129,
						      .source = "2001:db8::2",
						      .target = "2001:db8::3"}));
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
	PASSES(send_packet(false, error));
	/* From the wrong side, to somebody else, of somebody else, or of nothing. */
	DROPS(send_packet(true, error));
	error.target = "10.0.0.6";
	DROPS(send_packet(false, error));
	error.target = CLIENT;
	inner.source_port = 7101;
	host_make(quoted, &inner);
	DROPS(send_packet(false, error));
	error.payload_len = 0;
	DROPS(send_packet(false, error));
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
	PASSES(send_packet(false, error));
	/* What asks to go another way is no error. */
	error.icmp_type = 5;
	DROPS(send_packet(false, error));
	error.icmp_type = 3;
	inner.seq = 0x40000000;
	host_make(quoted, &inner);
	DROPS(send_packet(false, error));
	/* A SYN with a number of its own has been sent, too. */
	PASSES(segment(true, 5000, FRAME_SYN, 0x40000000, 0, 0));
	PASSES(send_packet(false, error));
	(void)len;
}

static void test_errors_about_echoes(void **state)
{
	uint8_t quoted[256];
	start("allow icmp", NULL);
	struct host_packet inner = {.proto = FRAME_ICMP,
				    .icmp_type = 8,
				    .source = CLIENT,
				    .target = SERVER,
				    .source_port = 0};
	struct host_packet error = {.proto = FRAME_ICMP,
				    .icmp_type = 11,
				    .source = "198.51.100.7",
				    .target = CLIENT,
				    .payload = quoted + 14};
	error.payload_len = host_make(quoted, &inner) - 14;
	DROPS(send_packet(false, error));
	PASSES(send_packet(true, inner));
	PASSES(send_packet(false, error));
	/* There are no errors about errors, nor about what was not sent. */
	for (unsigned type = 0; type < 256; type++) {
		inner.icmp_type = (uint8_t)type;
		host_make(quoted, &inner);
		assert_int_equal(send_packet(false, error),
				 type == 8 ? EDGEOS_FORWARD : EDGEOS_DROP);
	}
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
	DROPS(send_packet(true, later));
	PASSES(send_packet(true, first));
	PASSES(send_packet(true, later));
	for (later.fragment = 1; later.fragment < 3; later.fragment++)
		DROPS(send_packet(true, later));
	later.fragment_id = 6;
	DROPS(send_packet(true, later));
	first.target_port = 54;
	first.fragment_id = 6;
	DROPS(send_packet(true, first));
	DROPS(send_packet(true, later));
	later.fragment_id = 5;
	host_now_ns += 31 * HOST_SECOND;
	DROPS(send_packet(true, later));
}

/* What a later fragment says of the protocol does not count (RFC 8200, 4.5). */
static void test_fragments_of_ipv6(void **state)
{
	static const uint8_t next[] = {FRAME_UDP, 60, FRAME_TCP, 0};
	uint8_t body[8 + 8 + 16] = {60, 0, 0, 1, 0, 0, 0, 7, FRAME_UDP, 0, 1, 4};
	struct host_packet packet = {.proto = 44,
				     .source = "2001:db8::1",
				     .target = "2001:db8::2",
				     .payload = body,
				     .payload_len = sizeof(body)};
	start("allow udp 53", NULL);
	memcpy(body + 16, "\0\x35\0\x35\0\x30", 6);
	PASSES(send_packet(true, packet));
	frame_put_u16(body + 2, 24 | 1);
	for (unsigned i = 0; i < sizeof(next); i++) {
		body[0] = next[i];
		PASSES(send_packet(true, packet));
		/* The other side has not sent the first one. */
		DROPS(send_packet(false, packet));
	}
	/* One that would overwrite ports, which are behind the options. */
	frame_put_u16(body + 2, 16 | 1);
	DROPS(send_packet(true, packet));
	frame_put_u16(body + 2, 24 | 1);
	body[7] = 8;
	DROPS(send_packet(true, packet));
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
	PASSES(send_packet(true, first));
	DROPS(segment(false, 5500, FRAME_ACK, 5001, 1801, 0));
	PASSES(send_packet(true, later));
	DROPS(send_packet(true, (struct host_packet){.proto = FRAME_TCP,
						     .fragment = 20 / 8,
						     .fragment_id = 5,
						     .payload = bytes,
						     .payload_len = 8}));
	/* All of it is acknowledged, and no more than was sent. */
	DROPS(segment(false, 5500, FRAME_ACK, 5001, 1802, 0));
	PASSES(segment(false, 5500, FRAME_ACK, 5001, 1801, 0));
	/* Beyond what there is room for. */
	first.fragment_id = later.fragment_id = 6;
	first.seq = 1801 + 65535 - 520;
	PASSES(send_packet(true, first));
	DROPS(send_packet(true, later));
}

static void test_limits(void **state)
{
	/* What nobody answers makes room, so that a flood shuts nobody out; where both go on
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
		PASSES(datagram(true, port, 53));
	}
	assert_in_range(passed, 90, 100);
	assert_int_equal(host_counter("table_full"), 1000 - passed);
	host_now_ns += 181 * HOST_SECOND;
	PASSES(datagram(true, 2000, 53));
	/* However few there may be. */
	start("allow udp 1-65535", "1");
	for (uint16_t port = 1; port <= 1000; port++)
		PASSES(datagram(true, port, 53));
	PASSES(datagram(false, 53, 1000));
	PASSES(datagram(true, 1000, 53));
	DROPS(datagram(true, 1, 53));
	/* Questions with an answer each keep nobody out, whoever asks how often. */
	start("allow udp 53; allow tcp 80", "100");
	for (uint16_t port = 1; port <= 1000; port++) {
		PASSES(datagram(true, port, 53));
		PASSES(datagram(false, 53, port));
		PASSES(datagram(false, 53, port));
	}
	open_connection(1);
	/* Of those that the last ones are not among, too. */
	start("allow udp 1-65535", "200");
	PASSES(datagram(true, 1, 53));
	for (uint16_t port = 2; port <= 200; port++) {
		PASSES(datagram(true, port, 53));
		PASSES(datagram(false, 53, port));
		PASSES(datagram(true, port, 53));
	}
	PASSES(datagram(true, 201, 53));
	DROPS(datagram(false, 53, 1));
	PASSES(datagram(false, 53, 201));
	PASSES(datagram(true, 201, 53));
	DROPS(datagram(true, 202, 53));
	/* Who uses the same ports again and again has one connection. */
	start("allow tcp 80", "2");
	for (unsigned i = 0; i < 50; i++) {
		open_connection(1);
		PASSES(segment(true, 1, FRAME_RST, 1001, 0, 0));
	}
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
	/* Conversations that are over before they are answered, or end before they begin. */
	static const char *const never[] = {"0s", "2562047788015215h", "10000h", "60"};
	for (unsigned i = 0; i < 4; i++) {
		host_set(NULL, NULL);
		host_set("rules", "allow udp");
		host_set("udp", never[i]);
		assert_false(host_start());
		assert_non_null(strstr(host_log, "udp: not a duration"));
	}
	start("deny tcp 81 to 192.0.2.0/24; allow tcp 80-90 from 10.0.0.0/8;"
	      "out allow 47 ; deny udp; allow all to 2001:db8::/32",
	      NULL);
	struct host_packet packet = {.proto = FRAME_TCP, .target_port = 81, .flags = FRAME_SYN};
	DROPS(send_packet(true, packet));
	packet.target = "192.0.3.1";
	PASSES(send_packet(true, packet));
	packet.source = "11.0.0.1";
	DROPS(send_packet(true, packet));
	packet = (struct host_packet){.proto = 47};
	DROPS(send_packet(true, packet));
	PASSES(send_packet(false, packet));
	packet =
		(struct host_packet){.proto = 50, .source = "2001:db9::1", .target = "2001:db8::1"};
	PASSES(send_packet(true, packet));
	DROPS(send_packet(true,
			  (struct host_packet){.proto = 50, .source = "::1", .target = "::2"}));
	/* All of IPv6 is nothing of IPv4, and the other way round. */
	start("allow udp from ::/0; out allow udp to 0.0.0.0/0", NULL);
	DROPS(datagram(true, 1, 53));
	PASSES(datagram(false, 1, 53));
	packet = (struct host_packet){
		.proto = FRAME_UDP, .source = "2001:db9::1", .target = "2001:db8::1"};
	DROPS(send_packet(false, packet));
	PASSES(send_packet(true, packet));
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
	/* Listeners' reports and the question for them have one hop, of the link to the link. */
	static const struct {
		const char *source, *target;
		uint8_t type, hops;
		bool passes;
	} some[] = {
		{"fe80::1", "ff02::16", 143, 1, true},
		{"fe80::1", "ff02::1", 130, 1, true},
		{"fe80::1", "ff02::1:2", 131, 1, true},
		{"fe80::1", "ff02::2", 132, 1, true},
		{"::", "ff02::16", 143, 1, true},
		{"fe80::1", "ff02::16", 143, 2, false},
		{"fe80::1", "ff05::16", 143, 1, false},
		{"fe80::1", "2001:db8::1", 130, 1, false},
		{"2001:db8::1", "ff02::1", 130, 1, false},
		{"fe80::1", "ff02::1", 128, 1, false},
		{"fe80::1", "ff02::1", 137, 255, false},
	};
	for (unsigned i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		struct host_packet one = packet;
		one.source = some[i].source;
		one.target = some[i].target;
		one.icmp_type = some[i].type;
		len = host_make(data, &one);
		data[14 + 7] = some[i].hops;
		assert_int_equal(host_frame(EDGEOS_PORT_OUT, data, len), some[i].passes);
	}
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
		cmocka_unit_test(test_udp_and_icmp),
		cmocka_unit_test(test_related_errors),
		cmocka_unit_test(test_errors_about_echoes),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_fragments_of_ipv6),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_fragments_of_tcp),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
