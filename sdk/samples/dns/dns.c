/*
 * dns: a name server for names in its configuration, as an endpoint; and a cache on the way to
 * somebody else's, as a stage of a chain of frames.
 *
 *     sdk/build dns && edgeos chain apply sdk/samples/dns/manifest.yaml
 *     dig -p 5353 @127.0.0.1 web.edge.example
 *
 *     edgeos chain apply sdk/samples/dns/cache.yaml
 *     dig @SERVER example.org; dig @SERVER example.org     # from port lan: the second is at once
 *
 * Configuration of the name server:
 *     origin                  what names end with ("edge.example")
 *     zone, zone2 … zone9     "NAME [TTL] TYPE DATA; …": A, AAAA, CNAME, PTR, TXT. A name that ends
 *                             with a dot is whole, others are below origin; "@" is origin itself.
 * The cache needs none. It keeps 512 answers of up to 768 bytes, also that there is nothing. Its
 * clients trust each other: who asks knows the number that the answer must have, and whoever helps
 * him from outside, under the server's address, could answer in its stead. Where they do not, each
 * gets a cache of his own (isolation: client).
 *
 * Not here: zone transfers, DNSSEC of one's own, TCP (what does not fit is marked as truncated; the
 * cache passes TCP), wildcards.
 */
#include <stdlib.h>
#include <string.h>

#include "dns.h"
#include "edgeos_packet.h"
#include "frame.h"
#include "settings.h"

#define DNS_PORT 53u

EDGEOS_PACKETS(EDGEOS_PACKET_MAX)

enum { QUERIES, HITS, MISSES, KEPT, UNASKED, MALFORMED, PASSED };
static struct edgeos_counter counters[] = {
	[QUERIES] = {"queries", 0},	  [HITS] = {"cache_hits", 0},
	[MISSES] = {"cache_misses", 0},	  [KEPT] = {"cache_kept", 0},
	[UNASKED] = {"not_asked_for", 0}, [MALFORMED] = {"malformed", 0},
	[PASSED] = {"passed", 0},
};

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	char key[] = "zone\0";
	struct piece text, wrong;
	bool has_origin = settings_text("origin", &text);
	/* Nobody asks for names below "invalid" (RFC 6761). */
	if (!has_origin)
		text = (struct piece){"invalid", 7};
	if (text.len == 0 || !zone_init(text.text, text.len))
		settings_fail("origin", "not a name", text);
	for (char digit = '1'; digit <= '9'; digit++) {
		key[4] = digit == '1' ? '\0' : digit;
		if (settings_text(key, &text) &&
		    !zone_add(text.text, text.len, &wrong.text, &wrong.len))
			settings_fail(key, "not a record, or too many", wrong);
	}
	if (zone_count() > 0 && !has_origin)
		settings_fail("origin", "needed for a zone", (struct piece){"", 0});
	if (edgeos_open_packets() < 0 ||
	    edgeos_counters(counters, sizeof(counters) / sizeof(counters[0])) < 0)
		abort();
}

static uint32_t drop_malformed(void)
{
	counters[MALFORMED].value++;
	return EDGEOS_DROP;
}

static uint32_t take_query(const uint8_t *data, uint32_t len)
{
	uint8_t out[ANSWER_MAX];
	uint32_t n = zone_answer(data, len, out);
	counters[QUERIES].value++;
	if (n == 0)
		return drop_malformed();
	uint8_t *at = edgeos_slot.data + EDGEOS_HEADROOM;
	memcpy(at, out, n);
	edgeos_slot.info.address = (uint32_t)(uintptr_t)at;
	edgeos_slot.info.len = n;
	return EDGEOS_ANSWER;
}

/* --- the cache's frames --- */

static void swap(uint8_t *a, uint8_t *b, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		uint8_t byte = a[i];
		a[i] = b[i];
		b[i] = byte;
	}
}

/* Are the checksums of FRAME's IP and UDP right? What is kept goes out with right ones. */
static bool is_whole(const struct frame *frame)
{
	const uint8_t *ip = frame->data + frame->ip;
	if ((edgeos_slot.info.flags & EDGEOS_CHECKSUM_GOOD) != 0)
		return true;
	return frame_checksum_is_right(frame) &&
	       (frame->version == 6 ||
		frame_fold(frame_sum(ip, frame->transport - frame->ip, 0)) == 0);
}

static uint32_t network_of(const struct frame *frame)
{
	uint32_t network = 0;
	/* Each tag is four bytes before Ethernet's type, and ends with its number. */
	for (uint32_t at = 14; at < frame->ip; at += 4)
		network = network << 16 | 0x1000 | (frame_u16(frame->data + at) & 0xfff);
	return network;
}

/* Makes FRAME, a query, the answer with LEN bytes of DATA. */
static uint32_t turn_round(struct frame *frame, const uint8_t *data, uint32_t len)
{
	uint8_t *ip = frame->data + frame->ip, *udp = frame->data + frame->transport;
	swap(frame->data, frame->data + 6, 6);
	if (frame->version == 4)
		swap(ip + 12, ip + 16, 4);
	else
		swap(ip + 8, ip + 24, 16);
	swap(udp, udp + 2, 2);
	memcpy(frame->data + frame->payload, data, len);
	frame->end = frame->payload + len;
	frame_put_u16(udp + 4, 8 + len);
	if (frame->version == 4) {
		frame_put_u16(ip + 2, frame->end - frame->ip);
		ip[8] = 64;
	} else {
		frame_put_u16(ip + 4, frame->end - frame->ip - 40);
		ip[7] = 64;
	}
	frame_fill_checksums(frame);
	edgeos_slot.info.len = frame->end;
	return EDGEOS_ANSWER;
}

static uint32_t take_frame(uint8_t *data, uint32_t len, bool is_from_client)
{
	uint8_t out[ANSWER_MAX];
	struct frame frame;
	if (!frame_parse(&frame, data, len))
		return drop_malformed();
	uint16_t port = is_from_client ? frame.target_port : frame.source_port;
	/* UDP's length, not IP's, is what the message has; both are the same but for tricks. */
	bool is_dns = frame.proto == FRAME_UDP && frame.has_transport && !frame.is_fragment &&
		      port == DNS_PORT;
	/* What is damaged is its receiver's to see. */
	if (!is_dns || !is_whole(&frame)) {
		counters[PASSED].value++;
		return EDGEOS_FORWARD;
	}
	const uint8_t *udp = frame.data + frame.transport, *message = frame.data + frame.payload;
	if (frame_u16(udp + 4) != frame.end - frame.transport)
		return drop_malformed();
	struct asked asked = {0};
	memcpy(asked.client, is_from_client ? frame.source : frame.target, 16);
	memcpy(asked.server, is_from_client ? frame.target : frame.source, 16);
	asked.network = network_of(&frame);
	asked.client_port = is_from_client ? frame.source_port : frame.target_port;
	uint32_t message_len = frame.end - frame.payload;
	uint64_t now_ns = edgeos_slot.info.time_ns;
	if (!is_from_client)
		return cache_take(message, message_len, &asked, now_ns) ? EDGEOS_FORWARD
									: drop_malformed();
	counters[QUERIES].value++;
	/* The answer has the query's headers: with what else lies there it might not fit. */
	if (frame.transport - frame.ip != (frame.version == 4 ? 20 : 40)) {
		counters[PASSED].value++;
		return EDGEOS_FORWARD;
	}
	int n = cache_answer(message, message_len, &asked, now_ns, out);
	if (n < 0)
		return drop_malformed();
	return n == 0 ? EDGEOS_FORWARD : turn_round(&frame, out, (uint32_t)n);
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	uint32_t verdict = EDGEOS_DROP;
	if (edgeos_slot.info.kind == EDGEOS_DATAGRAM)
		verdict = take_query(buf, len);
	else if (edgeos_slot.info.kind == EDGEOS_FRAME)
		verdict = take_frame(buf, len, edgeos_slot.info.port == EDGEOS_PORT_CLIENT);
	counters[HITS].value = cache_stats.hits;
	counters[MISSES].value = cache_stats.misses;
	counters[KEPT].value = cache_stats.kept;
	counters[UNASKED].value = cache_stats.unasked;
	return verdict;
}
