/* For the benches of the data plane: everything that comes goes back. */
#include <edgeos_packet.h>

#include "guest.h"

EDGEOS_PACKETS(1536)

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	if (edgeos_open_packets() < 0)
		__builtin_trap();
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	(void)buf;
	(void)len;
	return EDGEOS_ANSWER;
}
