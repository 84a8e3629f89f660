/* IPPrint's lines, word by word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sdk/click/ip.h>

#include "click/click_fixture_test.h"

/* From 10.0.0.1 to 192.168.1.2. */
#define IP(LEN, PROTO)                                                                             \
	0x45, 0x28, 0, (LEN), 0x01, 0x02, 0, 0, 64, (PROTO), 0, 0, 10, 0, 0, 1, 192, 168, 1, 2
#define TCP(FLAGS) 4, 0, 0, 80, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xfe, 0x50, (FLAGS), 1, 0, 0, 0, 0, 0

static struct test_router test;

/* What IPPrint(OPTIONS) logs of BYTES, the IP header at OFFSET. */
static void prints_at(unsigned offset, const char *options, const uint8_t *bytes, uint32_t len,
		      const char *expected)
{
	char text[400];
	snprintf(text, sizeof(text),
		 "FromDevice(0) -> MarkMACHeader -> MarkIPHeader(%u) -> IPPrint(%s) -> Discard",
		 offset, options);
	test_must_load(&test, text);
	struct click_packet *packet = click_packet_new(test.router, len);
	assert_non_null(packet);
	memcpy(packet->data, bytes, len);
	packet->time_ns = 1700000000000001000;
	click_router_receive(test.router, 0, packet);
	assert_string_equal(test.log, expected);
	test_unload(&test);
}

static void prints(const uint8_t *bytes, uint32_t len, const char *expected)
{
	prints_at(0, "TIMESTAMP false", bytes, len, expected);
}

static void tcp(void **state)
{
	uint8_t packet[] = {IP(43, 6), TCP(0x12), 'a', 'b', 'c'};
	(void)state;
	/* A SYN has a number, too. */
	prints(packet, 43,
	       "10.0.0.1.1024 > 192.168.1.2.80: S 9:13(4,43,43) ack 4294967294 win 256\n");
	packet[33] = 0x11;
	prints(packet, 43,
	       "10.0.0.1.1024 > 192.168.1.2.80: F 9:13(4,43,43) ack 4294967294 win 256\n");
	packet[33] = 0x0c;
	prints(packet, 43, "10.0.0.1.1024 > 192.168.1.2.80: RP 9:12(3,43,43) win 256\n");
	packet[33] = 0x20;
	prints(packet, 43, "10.0.0.1.1024 > 192.168.1.2.80: . 9:12(3,43,43) win 256\n");
	/* What the link added is not IP's. */
	packet[3] = 40;
	prints(packet, 43, "10.0.0.1.1024 > 192.168.1.2.80: . 9:9(0,43,40) win 256\n");
	prints(packet, 34, "10.0.0.1.1024 > 192.168.1.2.80: . 9:9(0,34,40)truncated-tcp\n");
	prints(packet, 33, "10.0.0.1.1024 > 192.168.1.2.80: truncated-tcp\n");
	prints(packet, 23, "10.0.0.1 > 192.168.1.2: truncated-tcp\n");
	/* Lengths that cannot be. */
	packet[32] = 0xf0;
	prints(packet, 43, "10.0.0.1.1024 > 192.168.1.2.80: . 9:4294967265(-40,43,40) win 256\n");
	packet[0] = 0x40;
	packet[3] = 0;
	prints(packet, 43, "10.0.0.1 > 192.168.1.2: truncated-tcp\n");
	prints(packet, 19, "truncated-ip\n");
}

static void udp_and_others(void **state)
{
	uint8_t packet[] = {IP(33, 17), 3, 0xe8, 0, 53, 0, 13, 0, 0, 'h', 'e', 'l', 'l', 'o'};
	(void)state;
	prints(packet, 33, "10.0.0.1.1000 > 192.168.1.2.53: udp 13\n");
	prints(packet, 27, "10.0.0.1.1000 > 192.168.1.2.53: truncated-udp\n");
	prints(packet, 22, "10.0.0.1 > 192.168.1.2: truncated-udp\n");
	packet[6] = 0x20;
	prints(packet, 33, "10.0.0.1.1000 > 192.168.1.2.53: udp 13 (frag 258:13@0+)\n");
	packet[6] = 0x00;
	packet[7] = 3;
	prints(packet, 33, "10.0.0.1 > 192.168.1.2: udp (frag 258:13@24)\n");
	packet[9] = 6;
	prints(packet, 33, "10.0.0.1 > 192.168.1.2: tcp (frag 258:13@24)\n");
	packet[9] = 1;
	prints(packet, 33, "10.0.0.1 > 192.168.1.2: icmp (frag 258:13@24)\n");
	packet[9] = 50;
	prints(packet, 33, "10.0.0.1 > 192.168.1.2: ip-proto-50 (frag 258:13@24)\n");
	packet[7] = 0;
	prints(packet, 33, "10.0.0.1 > 192.168.1.2: ip-proto-50\n");
}

/* ICMP of that TYPE and CODE, with an IP header in it. */
static void icmp_prints(uint8_t type, uint8_t code, uint8_t protocol, uint32_t len,
			const char *expected)
{
	const uint8_t packet[] = {IP(56, 1),	    type, code, 0, 0,  1, 2, 3, 4,
				  IP(90, protocol), 4,	  0,	0, 80, 0, 0, 0, 0};
	char line[200];
	assert_true(sizeof(packet) >= len);
	snprintf(line, sizeof(line), "10.0.0.1 > 192.168.1.2: %s\n", expected);
	prints(packet, len, line);
}

static void icmp(void **state)
{
	(void)state;
	icmp_prints(8, 0, 6, 56, "icmp echo (258, 772)");
	icmp_prints(0, 0, 6, 56, "icmp echo-reply (258, 772)");
	icmp_prints(8, 0, 6, 27, "icmp echo truncated-icmp");
	icmp_prints(8, 0, 6, 21, "truncated-icmp");
	icmp_prints(3, 1, 6, 56, "icmp 192.168.1.2 unreachable host");
	icmp_prints(3, 2, 6, 56, "icmp 192.168.1.2 unreachable protocol tcp");
	icmp_prints(3, 2, 200, 56, "icmp 192.168.1.2 unreachable protocol 200");
	icmp_prints(3, 3, 17, 56, "icmp 192.168.1.2 unreachable port udp/80");
	icmp_prints(3, 3, 200, 56, "icmp 192.168.1.2 unreachable port protocol 200/80");
	icmp_prints(3, 3, 17, 51, "icmp 192.168.1.2 unreachable port udptruncated-icmp");
	icmp_prints(3, 4, 6, 56, "icmp 192.168.1.2 unreachable needfrag (mtu 772)");
	icmp_prints(3, 99, 6, 56, "icmp 192.168.1.2 unreachable code 99");
	icmp_prints(3, 1, 6, 47, "icmp unreachable host truncated-icmp");
	icmp_prints(11, 0, 6, 56, "icmp timeexceeded transit");
	icmp_prints(5, 9, 6, 56, "icmp redirect code 9");
	icmp_prints(13, 0, 6, 56, "icmp timestamp");
	icmp_prints(99, 7, 6, 56, "icmp type 99 code 7");
}

static void keywords(void **state)
{
	const uint8_t packet[] = {1,  2,   3,	4,	    5,	 6,    7,   8,	 9,  10, 11,
				  12, 8,   0,	IP(33, 17), 3,	 0xe8, 0,   53,	 0,  13, 0,
				  0,  'h', 'e', 'l',	    'l', '\n', 'x', 'y', 'z'};
	const uint32_t len = sizeof(packet);
#define PAIR "10.0.0.1.1000 > 192.168.1.2.53: udp 13\n"
	(void)state;
	prints_at(14, "", packet, len, "1700000000.000001: " PAIR);
	prints_at(14, "\"a b\", ID true, TTL true, TOS 1, LENGTH yes, PAINT true", packet, len,
		  "a b: 1700000000.000001: paint 0: id 258 ttl 64 tos 40 length 33 " PAIR);
	prints_at(14, "LABEL x, TIMESTAMP no, AGGREGATE true, PAINT true", packet, len,
		  "x: #0.0: " PAIR);
	prints_at(14, "TIMESTAMP no, AGGREGATE true, ETHER true, CHANNEL c", packet, len,
		  "#0: 07-08-09-0A-0B-0C > 01-02-03-04-05-06: " PAIR);
	prints_at(0, "TIMESTAMP no, ETHER true", packet + 14, len - 14, PAIR);
	prints_at(14, "TIMESTAMP no, CONTENTS hex, NBYTES 29", packet, len,
		  PAIR "  01020304 05060708 090a0b0c 08004528 00210102 00004011\n"
		       "  00000a00 00\n");
	prints_at(14, "TIMESTAMP no, PAYLOAD ASCII, MAXLENGTH -1", packet, len,
		  PAIR "  hell.xyz\n");
	prints_at(14, "TIMESTAMP no, PAYLOAD true, MAXLENGTH 3", packet, len, PAIR "  68656c\n");
	prints_at(14, "TIMESTAMP no, PAYLOAD true, MAXLENGTH 0", packet, len, PAIR);
	prints_at(14, "TIMESTAMP no, CONTENTS Ascii", packet, len,
		  PAIR "  ........ ......E( .!....@. ........ .....5.. ..hell.x\n"
		       "  yz\n");
	prints_at(14, "ACTIVE false", packet, len, "");
	/* Without a mark it is no IP packet. */
	test_must_load(&test, "FromDevice(0) -> IPPrint -> Discard");
	test_receive(&test, 0, 0x45, 20);
	assert_string_equal(test.log, "");
	test_unload(&test);
}

/* The payload of a TCP header that says more than there is. */
static void payload_of_nothing(void **state)
{
	uint8_t packet[] = {IP(42, 6), TCP(0), 'a', 'b'};
	(void)state;
#define LINE "10.0.0.1.1024 > 192.168.1.2.80: "
	prints_at(0, "TIMESTAMP no, PAYLOAD hex", packet, 42,
		  LINE ". 9:11(2,42,42) win 256\n  6162\n");
	prints_at(0, "TIMESTAMP no, PAYLOAD hex", packet, 40, LINE ". 9:11(2,40,42) win 256\n");
	prints_at(0, "TIMESTAMP no, PAYLOAD hex", packet, 32, LINE "truncated-tcp\n");
	packet[32] = 0xf0;
	prints_at(0, "TIMESTAMP no, PAYLOAD hex", packet, 42,
		  LINE ". 9:4294967267(-38,42,42) win 256\n");
	packet[0] = 0x4f;
	prints_at(0, "TIMESTAMP no, PAYLOAD hex", packet, 42,
		  "10.0.0.1 > 192.168.1.2: truncated-tcp\n");
}

static void swap_and_handlers(void **state)
{
	const uint8_t packet[] = {IP(28, 1), 8, 0, 0, 0, 1, 2, 3, 4};
	(void)state;
	prints_at(0, "TIMESTAMP no, SWAP false", packet, 28,
		  "10.0.0.1 > 192.168.1.2: icmp echo (513, 1027)\n");
	test_must_fail_with("Idle -> p :: IPPrint(OUTFILE x) -> Discard",
			    "f:1: p :: IPPrint: OUTFILE");
	test_must_fail_with("Idle -> p :: IPPrint(CONTENTS hex, PAYLOAD hex) -> Discard",
			    "f:1: p :: IPPrint: at most one of PAYLOAD and CONTENTS");
	test_must_fail_with("Idle -> p :: IPPrint(PAYLOAD maybe) -> Discard",
			    "f:1: p :: IPPrint: PAYLOAD: 'maybe' is not");
	char text[16];
	test_must_load(&test, "Idle -> p :: IPPrint -> Discard");
	assert_int_equal(click_router_write(test.router, "p.active", "false", NULL), 0);
	assert_true(click_router_read(test.router, "p.active", text, sizeof(text)) > 0);
	assert_string_equal(text, "false");
	assert_int_equal(click_router_write(test.router, "p.active", "maybe", NULL), -1);
	test_unload(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tcp),
		cmocka_unit_test(udp_and_others),
		cmocka_unit_test(icmp),
		cmocka_unit_test(keywords),
		cmocka_unit_test(payload_of_nothing),
		cmocka_unit_test(swap_and_handlers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
