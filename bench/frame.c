#include "frame.h"

#include <string.h>

#include "flow/flow.h"

#define IPV4_OFFSET	14u
#define SOURCE_OFFSET	26u
#define UDP_OFFSET	34u
#define LEN_MIN		60u
#define CLIENTS_NETWORK 0x0a000000u /* 10.0.0.0 */

static void put16(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

void frame_make(uint8_t *out, uint32_t len, uint32_t client)
{
	struct flow_packet packet;

	memset(out, 0, len);
	memcpy(out, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00", IPV4_OFFSET);
	uint8_t *ip = out + IPV4_OFFSET, *udp = out + UDP_OFFSET;

	ip[0] = 0x45;
	put16(ip + 2, len - IPV4_OFFSET);
	ip[8] = 64;
	ip[9] = 17;
	put16(out + SOURCE_OFFSET, (CLIENTS_NETWORK + client + 1) >> 16);
	put16(out + SOURCE_OFFSET + 2, (CLIENTS_NETWORK + client + 1) & 0xffffu);
	memcpy(ip + 16, "\xc0\x00\x02\x01", 4); /* 192.0.2.1 */
	put16(udp, 40000);
	put16(udp + 2, 53);
	put16(udp + 4, len - UDP_OFFSET);
	flow_parse(out, len, &packet);
	flow_checksums_set(out, &packet);
}

uint32_t frame_client(const uint8_t *frame, uint32_t len)
{
	const uint8_t *source = frame + SOURCE_OFFSET;

	if (len < LEN_MIN || frame[12] != 8 || frame[13] != 0 || source[0] != 10)
		return UINT32_MAX;
	return ((uint32_t)source[1] << 16 | (uint32_t)source[2] << 8 | source[3]) - 1;
}
