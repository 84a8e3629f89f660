/*
 * Packets through a configuration: the input's text up to a zero byte is a Click configuration, and
 * what follows are packets: the device, how long after the one before in 10 ms, the length in two
 * bytes, low first, and as many bytes as there are.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sdk/click/router.h>

#include "click/click_clock.h"

#define PACKETS_MAX 200u
#define STEP_NS	    10000000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t now_ns;

static void send_packet(void *ctx, unsigned device, const struct click_packet *packet)
{
	volatile uint8_t sum = 0;
	for (uint32_t i = 0; i < packet->len; i++)
		sum = (uint8_t)(sum + packet->data[i]);
	if (device >= CLICK_DEVICES_MAX || packet->len > CLICK_HEADROOM + CLICK_PACKET_MAX)
		abort();
}

static void pass(uint64_t until_ns, struct click_router *router)
{
	for (unsigned i = 0; i < 16; i++) {
		uint64_t deadline = click_router_deadline(router);
		if (deadline > until_ns)
			break;
		if (deadline > now_ns)
			now_ns = deadline;
		click_clock_set(now_ns, now_ns);
		(void)click_router_run(router);
	}
	now_ns = until_ns;
	click_clock_set(now_ns, now_ns);
}

static void play(struct click_router *router, const uint8_t *data, size_t size)
{
	for (unsigned i = 0; i < PACKETS_MAX && size >= 4; i++) {
		unsigned device = data[0] % 4;
		uint32_t len = (uint32_t)data[2] | (uint32_t)data[3] << 8;
		pass(now_ns + data[1] * (uint64_t)STEP_NS, router);
		data += 4;
		size -= 4;
		len = len % (CLICK_PACKET_MAX + 1);
		len = len < size ? len : (uint32_t)size;
		struct click_packet *packet = click_packet_new(router, len);
		if (packet == NULL)
			break; /* they are all in queues */
		memcpy(packet->data, data, len);
		packet->time_ns = now_ns;
		click_router_receive(router, device, packet);
		data += len;
		size -= len;
	}
	pass(now_ns + 100 * (uint64_t)STEP_NS, router);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct click_host host = {.send = send_packet};
	const uint8_t *zero = memchr(data, 0, size);
	if (zero == NULL || (size_t)(zero - data) > 65536)
		return 0;
	now_ns = UINT64_C(1000000000000);
	click_clock_set(now_ns, now_ns);
	struct click_router *router = click_router_new(&host, NULL);
	if (router == NULL)
		return 0;
	if (click_router_load(router, (const char *)data, (size_t)(zero - data), "fuzz", NULL) == 0)
		play(router, zero + 1, size - (size_t)(zero - data) - 1);
	(void)click_router_free(router);
	return 0;
}
