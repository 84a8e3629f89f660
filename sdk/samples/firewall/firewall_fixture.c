#include "firewall_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

uint32_t send_packet(bool is_from_client, struct host_packet packet)
{
	uint8_t data[2048];
	packet.source = packet.source != NULL ? packet.source : is_from_client ? CLIENT : SERVER;
	packet.target = packet.target != NULL ? packet.target : is_from_client ? SERVER : CLIENT;
	uint32_t len = host_make(data, &packet);
	return host_frame(is_from_client ? EDGEOS_PORT_CLIENT : EDGEOS_PORT_OUT, data, len);
}

uint32_t segment(bool is_from_client, uint16_t client_port, uint8_t flags, uint32_t seq,
		 uint32_t ack, uint32_t len)
{
	static const uint8_t payload[1460];
	return send_packet(is_from_client,
			   (struct host_packet){.proto = FRAME_TCP,
						.source_port = is_from_client ? client_port : 80,
						.target_port = is_from_client ? 80 : client_port,
						.flags = flags,
						.seq = seq,
						.ack = ack,
						.payload = payload,
						.payload_len = len});
}

uint32_t datagram(bool is_from_client, uint16_t source_port, uint16_t target_port)
{
	return send_packet(is_from_client, (struct host_packet){.proto = FRAME_UDP,
								.source_port = source_port,
								.target_port = target_port});
}

void start(const char *rules, const char *connections)
{
	host_set(NULL, NULL);
	host_set("rules", rules);
	host_set("connections", connections);
	assert_true(host_start());
}

void open_connection(uint16_t port)
{
	PASSES(segment(true, port, FRAME_SYN, 1000, 0, 0));
	PASSES(segment(false, port, FRAME_SYN | FRAME_ACK, 5000, 1001, 0));
	PASSES(segment(true, port, FRAME_ACK, 1001, 5001, 0));
}
