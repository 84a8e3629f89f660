/*
 * What the bench "flood" runs for each client: a count of the client's requests, which goes into
 * bytes 8 to 11 of each of them. A datagram is answered; a frame passes.
 */
#include <edgeos.h>
#include <edgeos_packet.h>

#include <stdlib.h>
#include <string.h>

#define UDP	    (14u + 20u)
#define PAYLOAD	    (UDP + 8u)
#define CHECKSUM    (UDP + 6u)
#define COUNT_AT    8u
#define REQUEST_MIN 12u

EDGEOS_PACKETS(2048)

static uint32_t count;

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	if (edgeos_open_packets() < 0)
		abort();
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	uint8_t *bytes = buf;
	if (edgeos_slot.info.kind != EDGEOS_FRAME) {
		count++;
		if (len < REQUEST_MIN)
			return EDGEOS_DROP;
		memcpy(bytes + COUNT_AT, &count, sizeof(count));
		return EDGEOS_ANSWER;
	}
	if (edgeos_slot.info.port != EDGEOS_PORT_CLIENT || len < PAYLOAD + REQUEST_MIN ||
	    bytes[23] != 17)
		return EDGEOS_FORWARD;
	count++;
	memcpy(bytes + PAYLOAD + COUNT_AT, &count, sizeof(count));
	/* UDP may leave it out. */
	memset(bytes + CHECKSUM, 0, 2);
	return EDGEOS_FORWARD;
}
