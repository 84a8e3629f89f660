/*
 * coap: a place where small devices leave what they measure, and others read it, or are told when
 * it changes. Resources are made by PUT, or by POST below a path, and live in memory.
 *
 *     sdk/build coap && edgeos chain apply sdk/samples/coap/manifest.yaml
 *     coap-client -m put -e 21.5 coap://127.0.0.1/kitchen/temperature
 *     coap-client -m get -s 60 coap://127.0.0.1/kitchen/temperature     # observes it
 *     coap-client -m get coap://127.0.0.1/.well-known/core
 *
 * RFC 7252: CON and NON, piggybacked answers, the same message twice is done once, ETags, If-Match,
 * If-None-Match, Accept. RFC 7641: observing. RFC 7959: Block1 and Block2, sizes. RFC 6690: the
 * list can be filtered by href and ct. No DTLS, no proxy, no multicast.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coap.h"
#include "edgeos_packet.h"

EDGEOS_PACKETS(2048)

static struct edgeos_counter counters[] = {
	{"requests", 0},  {"duplicates", 0}, {"malformed", 0},	  {"notifications", 0},
	{"resources", 0}, {"observers", 0},  {"not_notified", 0}, {"observers_lost", 0},
};
static bool has_begun;

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	if (edgeos_open_packets() < 0 ||
	    edgeos_counters(counters, sizeof(counters) / sizeof(counters[0])) < 0)
		abort();
}

static void count(void)
{
	counters[0].value = coap_stats.requests;
	counters[1].value = coap_stats.duplicates;
	counters[2].value = coap_stats.malformed;
	counters[3].value = coap_stats.notifications;
	counters[4].value = resources_count();
	counters[5].value = observers_count();
	counters[6].value = coap_stats.refused;
	counters[7].value = coap_stats.observers_lost;
}

/* Each instance is a copy of one: what is to be its own begins with its first packet. */
static void begin(uint64_t now_ns)
{
	uint32_t seeds[3] = {0};
	has_begun = true;
	/* Without randomness the clock does. */
	if (getentropy(seeds, sizeof(seeds)) != 0)
		seeds[0] = seeds[1] = seeds[2] = (uint32_t)(now_ns >> 10);
	resources_seed(seeds[0]);
	exchanges_seed(seeds[1]);
	observers_seed(seeds[2], now_ns);
}

EDGEOS_EXPORT(edgeos_timer) void edgeos_timer(uint32_t id)
{
	if (id == OBSERVE_TIMER)
		observers_timer(edgeos_now_ns());
	count();
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	const uint8_t *answer = NULL;
	if (edgeos_slot.info.kind != EDGEOS_DATAGRAM)
		return EDGEOS_DROP;
	if (!has_begun)
		begin(edgeos_slot.info.time_ns);
	uint32_t n = coap_input(edgeos_slot.info.peer, buf, len, edgeos_slot.info.time_ns, &answer);
	count();
	if (n == 0)
		return EDGEOS_DROP;
	uint8_t *at = edgeos_slot.data + EDGEOS_HEADROOM;
	memcpy(at, answer, n);
	edgeos_slot.info.address = (uint32_t)(uintptr_t)at;
	edgeos_slot.info.len = n;
	return EDGEOS_ANSWER;
}
