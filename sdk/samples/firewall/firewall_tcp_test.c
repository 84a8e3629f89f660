/*
 * What the firewall knows of connections of TCP.
 */
#include "firewall_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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
	/* The last bytes got lost more than once. */
	host_now_ns += 50 * HOST_SECOND;
	PASSES(segment(false, 2000, FRAME_ACK | FRAME_FIN, 6461, 1151, 0));
	PASSES(segment(true, 2000, FRAME_ACK, 1152, 6462, 0));
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
	DROPS(segment(true, 3000, FRAME_ACK, 1001, 1, 0));
	DROPS(segment(false, 3000, FRAME_SYN | FRAME_ACK, 5000, 1002, 0));
	DROPS(segment(false, 3000, FRAME_RST, 0, 0, 0));
	DROPS(segment(false, 3000, FRAME_RST | FRAME_ACK, 0, 1000, 0));
	/* A refusal. */
	PASSES(segment(false, 3000, FRAME_RST | FRAME_ACK, 0, 1001, 0));
	DROPS(segment(false, 3000, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
	/* Who has given up begins with another number, and either may be answered. */
	for (uint16_t port = 3001; port <= 3002; port++) {
		uint32_t seq = port == 3001 ? 1000 : 2000;
		PASSES(segment(true, port, FRAME_SYN, 1000, 0, 0));
		PASSES(segment(true, port, FRAME_SYN, 2000, 0, 0));
		PASSES(segment(false, port, FRAME_SYN | FRAME_ACK, 5000, seq + 1, 0));
		PASSES(segment(true, port, FRAME_ACK, seq + 1, 5001, 10));
	}
	PASSES(segment(true, 3003, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(true, 3003, FRAME_SYN, 2000, 0, 0));
	PASSES(segment(false, 3003, FRAME_RST | FRAME_ACK, 0, 2001, 0));
	DROPS(segment(false, 3003, FRAME_SYN | FRAME_ACK, 5000, 2001, 0));
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

/* A SYN with a window scale. */
static uint32_t scaled_syn(bool is_from_client, uint16_t port, uint8_t flags, uint32_t seq,
			   uint32_t ack, uint8_t scale)
{
	uint8_t data[128];
	const uint8_t option[4] = {1, 3, 3, scale};
	const struct host_packet packet = {.proto = FRAME_TCP,
					   .source = is_from_client ? CLIENT : SERVER,
					   .target = is_from_client ? SERVER : CLIENT,
					   .source_port = is_from_client ? port : 80,
					   .target_port = is_from_client ? 80 : port,
					   .flags = flags,
					   .seq = seq,
					   .ack = ack,
					   .payload = option,
					   .payload_len = sizeof(option)};
	uint32_t len = host_make(data, &packet);
	data[14 + 20 + 12] = 6 << 4;
	return host_frame(is_from_client ? EDGEOS_PORT_CLIENT : EDGEOS_PORT_OUT, data, len);
}

/* As much is on its way as the receiver, not the sender, has room for: either side's. */
static void test_large_windows(void **state)
{
	start("allow tcp 80", NULL);
	for (unsigned way = 0; way < 2; way++) {
		bool is_upload = way == 0;
		uint16_t port = (uint16_t)(4400 + way);
		uint32_t seq = is_upload ? 1001 : 5001, other = is_upload ? 5001 : 1001;
		PASSES(scaled_syn(true, port, FRAME_SYN, 1000, 0, is_upload ? 0 : 7));
		PASSES(scaled_syn(false, port, FRAME_SYN | FRAME_ACK, 5000, 1001,
				  is_upload ? 7 : 0));
		PASSES(segment(true, port, FRAME_ACK, 1001, 5001, 0));
		PASSES(segment(!is_upload, port, FRAME_ACK, other, seq, 0));
		uint32_t sent = 0;
		for (; sent + 1460 <= 65535u << 7; sent += 1460)
			PASSES(segment(is_upload, port, FRAME_ACK, seq + sent, other, 1460));
		DROPS(segment(is_upload, port, FRAME_ACK, seq + sent, other, 1460));
		/* The first one got lost, and all others were heard of. */
		PASSES(segment(!is_upload, port, FRAME_ACK, other, seq, 0));
		PASSES(segment(is_upload, port, FRAME_ACK, seq, other, 1460));
		PASSES(segment(!is_upload, port, FRAME_ACK, other, seq + 1460, 0));
		PASSES(segment(!is_upload, port, FRAME_ACK, other, seq + sent, 0));
		/* One from further back than there was room for is somebody else's. */
		DROPS(segment(!is_upload, port, FRAME_ACK, other,
			      seq + sent - (65535u << 7) - 70000, 0));
	}
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
	/* One that the firewall does not know: it is acknowledged, and reset. */
	PASSES(segment(true, 4304, FRAME_SYN, 900000, 0, 0));
	DROPS(segment(false, 4304, FRAME_ACK, 5001, 1001, 1));
	DROPS(segment(false, 4304, FRAME_ACK | FRAME_FIN, 5001, 1001, 0));
	DROPS(segment(true, 4304, FRAME_ACK, 900001, 5001, 0));
	PASSES(segment(false, 4304, FRAME_ACK, 5001, 1001, 0));
	PASSES(segment(true, 4304, FRAME_RST, 1001, 0, 0));
	PASSES(segment(true, 4304, FRAME_SYN, 900000, 0, 0));
	PASSES(segment(false, 4304, FRAME_SYN | FRAME_ACK, 700000, 900001, 0));
	PASSES(segment(true, 4304, FRAME_ACK, 900001, 700001, 10));
	/* The other side's is nobody's. */
	open_connection(4303);
	DROPS(segment(false, 4303, FRAME_SYN, 900000, 0, 0));
	PASSES(segment(true, 4303, FRAME_ACK, 1001, 5001, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connection),    cmocka_unit_test(test_handshake_is_needed),
		cmocka_unit_test(test_odd_flags),     cmocka_unit_test(test_blind_segments),
		cmocka_unit_test(test_large_windows), cmocka_unit_test(test_lost_handshakes),
		cmocka_unit_test(test_both_begin),    cmocka_unit_test(test_begun_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
