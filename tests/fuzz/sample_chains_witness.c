/* What a client gets who is left alone: the same, whatever others do. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "host_double.h"
#include "sample_chains.h"

#define SERVICE "192.0.2.10"
#define NEXT	2u

static uint8_t sent[SAMPLE_PACKET_MAX];
static uint32_t sent_len;
static uint16_t turn; /* of this client: what it says differs */

static void send_packet(enum chain_side side, struct host_packet packet)
{
	sent_len = host_make(sent, &packet);
	witness_sends(side, sent, sent_len);
}

static struct host_packet datagram(const char *source, const char *target, uint16_t source_port,
				   uint16_t target_port)
{
	return (struct host_packet){.proto = FRAME_UDP,
				    .source = source,
				    .target = target,
				    .source_port = source_port,
				    .target_port = target_port,
				    .payload = "hello",
				    .payload_len = 5};
}

static struct sample_output *the_output(uint32_t port)
{
	assert_int_equal(sample_outputs_count, 1);
	assert_int_equal(sample_outputs[0].port, port);
	return &sample_outputs[0];
}

static void assert_passed(uint32_t port)
{
	struct sample_output *output = the_output(port);
	assert_int_equal(output->len, sent_len);
	assert_memory_equal(output->data, sent, sent_len);
}

static struct frame frame_of(struct sample_output *output)
{
	struct frame frame;
	assert_true(frame_parse(&frame, output->data, output->len));
	assert_true(host_checksums_are_right(output->data, output->len));
	return frame;
}

static void assert_address(const uint8_t address[16], const char *text)
{
	uint8_t expected[16];
	assert_true(frame_parse_address(text, (uint32_t)strlen(text), expected));
	assert_memory_equal(address, expected, 16);
}

/* --- frames --- */

void check_firewall(void)
{
	/* No more than there may be. */
	turn = (uint16_t)(turn % 100 + 1);
	send_packet(CHAIN_CLIENT, datagram("10.0.0.200", SERVICE, turn, 53));
	assert_passed(CHAIN_OUT);
	send_packet(CHAIN_OUT, datagram(SERVICE, "10.0.0.200", 53, turn));
	assert_passed(CHAIN_CLIENT);
	send_packet(CHAIN_OUT, datagram(SERVICE, "10.0.0.200", 54, turn));
	assert_int_equal(sample_outputs_count, 0);
	send_packet(CHAIN_CLIENT, datagram("10.0.0.200", SERVICE, turn, 54));
	assert_int_equal(sample_outputs_count, 0);
}

void check_ratelimit(void)
{
	send_packet(CHAIN_CLIENT, datagram("10.0.0.200", SERVICE, 4000, 53));
	assert_passed(CHAIN_OUT);
	send_packet(CHAIN_OUT, datagram(SERVICE, "10.0.0.200", 53, 4000));
	assert_passed(CHAIN_CLIENT);
}

void check_dpi(void)
{
	struct host_packet packet = datagram("10.0.0.200", SERVICE, ++turn, 53);
	send_packet(CHAIN_CLIENT, packet);
	assert_passed(CHAIN_OUT);
	packet.payload = "GET /etc/passwd";
	packet.payload_len = 15;
	send_packet(CHAIN_CLIENT, packet);
	assert_passed(NEXT);
	packet.source_port = ++turn;
	packet.payload_len = 14;
	send_packet(CHAIN_CLIENT, packet);
	assert_passed(CHAIN_OUT);
}

static uint8_t backend[16];

static void ask_balancer(uint8_t ret_backend[16])
{
	struct host_packet packet = datagram("10.0.0.200", SERVICE, 4000, 80);
	packet.proto = FRAME_TCP;
	packet.flags = FRAME_ACK;
	send_packet(CHAIN_CLIENT, packet);
	memcpy(ret_backend, frame_of(the_output(CHAIN_OUT)).target, 16);
}

void greet_balancer(void)
{
	ask_balancer(backend);
}

void check_balancer(void)
{
	char name[] = "10.0.0.10x";
	uint8_t now[16];
	ask_balancer(now);
	assert_memory_equal(now, backend, 16);
	assert_in_range(backend[15], 101, 103);
	name[9] = (char)('0' + backend[15] - 100);
	struct host_packet packet = datagram(name, "10.0.0.200", 80, 4000);
	packet.proto = FRAME_TCP;
	packet.flags = FRAME_ACK;
	send_packet(CHAIN_OUT, packet);
	assert_address(frame_of(the_output(CHAIN_CLIENT)).source, SERVICE);
}

static uint16_t public_port;

/* To the MAC address that nat.click has there. */
static void send_to_nat(enum chain_side side, struct host_packet packet)
{
	sent_len = host_make(sent, &packet);
	sent[4] = side == CHAIN_CLIENT ? 1 : 2;
	sent[5] = 1;
	witness_sends(side, sent, sent_len);
}

static uint16_t ask_nat(void)
{
	send_to_nat(CHAIN_CLIENT, datagram("100.64.0.200", SERVICE, 4000, 53));
	struct frame frame = frame_of(the_output(CHAIN_OUT));
	assert_address(frame.source, "192.0.2.1");
	assert_address(frame.target, SERVICE);
	return frame.source_port;
}

void greet_nat(void)
{
	public_port = ask_nat();
}

void check_nat(void)
{
	assert_int_equal(ask_nat(), public_port);
	/* It is known by the flow. */
	send_to_nat(CHAIN_OUT, datagram(SERVICE, "192.0.2.1", 53, public_port));
	struct frame frame = frame_of(the_output(CHAIN_CLIENT));
	assert_address(frame.target, "100.64.0.200");
	assert_int_equal(frame.target_port, 4000);
}

/* --- DNS --- */

static void send_dns(bool is_query)
{
	uint8_t message[64];
	uint32_t len = is_query ? dns_query(message, turn) : dns_answer(message, turn);
	struct host_packet packet = is_query ? datagram("10.0.0.200", SERVICE, turn, 53)
					     : datagram(SERVICE, "10.0.0.200", 53, turn);
	packet.payload = message;
	packet.payload_len = len;
	send_packet(is_query ? CHAIN_CLIENT : CHAIN_OUT, packet);
}

void greet_cache(void)
{
	turn++;
	send_dns(true);
	assert_passed(CHAIN_OUT);
	send_dns(false);
	assert_passed(CHAIN_CLIENT);
}

void check_cache(void)
{
	static const uint8_t address[] = {10, 0, 0, 7};
	turn++;
	send_dns(true);
	/* Answered, until what was said does not hold any more. */
	if (sample_outputs_count == 1 && sample_outputs[0].port == CHAIN_OUT) {
		assert_passed(CHAIN_OUT);
		send_dns(false);
		assert_passed(CHAIN_CLIENT);
		return;
	}
	struct sample_output *output = the_output(CHAIN_CLIENT);
	struct frame frame = frame_of(output);
	assert_int_equal(frame.target_port, turn);
	assert_int_equal(frame_u16(output->data + frame.payload), turn);
	assert_memory_equal(output->data + frame.end - 4, address, 4);
}

void check_dns(void)
{
	static const uint8_t address[] = {192, 0, 2, 1};
	uint8_t query[64];
	uint32_t len = dns_query(query, ++turn);
	witness_sends(CHAIN_CLIENT, query, len);
	struct sample_output *output = the_output(CHAIN_CLIENT);
	assert_int_equal(frame_u16(output->data), turn);
	assert_memory_equal(output->data + output->len - 4, address, 4);
}

/* --- other endpoints --- */

static void ask(const void *request, uint32_t len, const void *answer, uint32_t answer_len)
{
	witness_sends(CHAIN_CLIENT, request, len);
	struct sample_output *output = the_output(CHAIN_CLIENT);
	assert_int_equal(output->len, answer_len);
	assert_memory_equal(output->data, answer, answer_len);
}

#define ASK(request, answer) ask(request, sizeof(request) - 1, answer, sizeof(answer) - 1)

void greet_coap(void)
{
	turn++;
	uint8_t request[] = "\x40\3\0\1\xb4mine\xffkept", answer[] = "\x60\x41\0\1";
	frame_put_u16(request + 2, turn);
	frame_put_u16(answer + 2, turn);
	ASK(request, answer);
}

void check_coap(void)
{
	uint8_t request[] = "\x41\1\0\1t\xb4mine";
	frame_put_u16(request + 2, ++turn);
	witness_sends(CHAIN_CLIENT, request, sizeof(request) - 1);
	struct sample_output *output = the_output(CHAIN_CLIENT);
	assert_in_range(output->len, 10, 30);
	assert_memory_equal(output->data, "\x61\x45", 2);
	assert_int_equal(frame_u16(output->data + 2), turn);
	assert_memory_equal(output->data + output->len - 5, "\xffkept", 5);
}

void check_inference(void)
{
	/* The first two of the training script's reference. */
	ASK(".45 -.21 -.75 -.82 -.44 .21 .75 .82 .40 -.21 -.77 -.82 -.41 .20 .77 .84",
	    "score 2 normal\n");
	ASK("-.25 .34 .78 .74 .29 -.33 -.75 -.72 -.26 .36 .79 .71 .24 -.35 -.73 -.76",
	    "score 4 normal\n");
}

void greet_memcached(void)
{
	ASK("\0\7\0\0\0\1\0\0set mine 3 0 5\r\nvalue\r\n", "\0\7\0\0\0\1\0\0STORED\r\n");
}

void check_memcached(void)
{
	ASK("\0\7\0\0\0\1\0\0get mine\r\n", "\0\7\0\0\0\1\0\0VALUE mine 3 5\r\nvalue\r\nEND\r\n");
}

void greet_memcached_streams(void)
{
	ASK("set mine 3 0 5\r\nvalue\r\n", "STORED\r\n");
}

void check_memcached_streams(void)
{
	/* In two pieces. */
	witness_sends(CHAIN_CLIENT, "get mi", 6);
	assert_int_equal(sample_outputs_count, 0);
	ASK("ne\r\n", "VALUE mine 3 5\r\nvalue\r\nEND\r\n");
}
