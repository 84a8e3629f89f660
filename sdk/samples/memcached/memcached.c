/*
 * memcached: the cache, as a packet function. One instance for each client or tenant, as its chain
 * says; over UDP (with memcached's frame header) and TCP.
 *
 *     edgeos chain apply memcached.yaml
 *     printf 'set a 0 0 1\r\nb\r\nget a\r\n' | nc -q 1 127.0.0.1 11211
 *
 * Configuration: memory, the limit of all items in MiB (default 64); item_size, the most that one
 * may be, with what memcached has around it (default "1MiB").
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "edgeos_packet.h"
#include "proto.h"
#include "settings.h"

#define FRAME_BYTES    8u
#define DATAGRAM_BYTES 1400u /* of an answer, as memcached's own */
#define STREAM_BYTES   8192u /* of an answer, at once */
#define MEBIBYTES      64
#define ITEM_SIZE_MIN  1024u

EDGEOS_PACKETS(2048)

static struct talk *talks[CONNECTIONS_MAX];
static struct talk datagram_talk;
static uint64_t began_ns;

static struct edgeos_counter counters[] = {
	{"items", 0}, {"bytes", 0}, {"hits", 0}, {"misses", 0}, {"evictions", 0}, {"sets", 0},
};

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	struct piece piece;
	uint64_t limit = settings_u64("memory", 1, MEBIBYTES_MAX, MEBIBYTES) << 20;
	uint64_t item_max = settings_size("item_size", 1 << 20);
	if (settings_text("item_size", &piece) && (item_max < ITEM_SIZE_MIN || item_max > limit))
		settings_fail("item_size", "not from 1KiB to the memory", piece);
	if (!items_init(limit, item_max) || edgeos_open_packets() < 0 ||
	    edgeos_counters(counters, sizeof(counters) / sizeof(counters[0])) < 0)
		abort();
}

/* What an instance finds out by itself: the initialisation was not its own. */
static void begin(void)
{
	uint32_t seed = 0;
	struct timespec wall = {0};
	began_ns = edgeos_slot.info.time_ns;
	if (getentropy(&seed, sizeof(seed)) == 0)
		items_seed(seed);
	clock_gettime(CLOCK_REALTIME, &wall);
	/* proto_now begins at 2, so that 1 is in the past. */
	proto_epoch = (uint64_t)wall.tv_sec - 2;
}

static void count(void)
{
	const struct items_stats *items = items_stats();
	counters[0].value = items->count;
	counters[1].value = items->bytes;
	counters[2].value = proto_stats.get_hits;
	counters[3].value = proto_stats.get_misses;
	counters[4].value = items->evictions;
	counters[5].value = proto_stats.cmd_set;
}

/* --- UDP --- */

static void put_u16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put_frame(uint8_t *frame, const uint8_t *id, uint32_t number, uint32_t total)
{
	memcpy(frame, id, 2);
	put_u16(frame + 2, number);
	put_u16(frame + 4, total);
	put_u16(frame + 6, 0);
}

static uint32_t answer_datagram(struct talk *talk, const uint8_t id[2])
{
	static uint8_t datagram[DATAGRAM_BYTES];
	const uint32_t room = DATAGRAM_BYTES - FRAME_BYTES;
	uint32_t total = (talk->out_len + room - 1) / room;
	if (total == 0 || total > UINT16_MAX)
		return EDGEOS_DROP;
	proto_stats.bytes_written += talk->out_len;
	for (uint32_t i = 0; i + 1 < total; i++) {
		put_frame(datagram, id, i, total);
		memcpy(datagram + FRAME_BYTES, talk->out + i * room, room);
		edgeos_packet_send(EDGEOS_PORT_CLIENT, edgeos_slot.info.peer, datagram,
				   DATAGRAM_BYTES);
	}
	/* The last, mostly the only one, is the packet itself. */
	uint32_t sent = (total - 1) * room, len = talk->out_len - sent;
	uint8_t *at = edgeos_slot.data + EDGEOS_HEADROOM;
	put_frame(at, id, total - 1, total);
	memcpy(at + FRAME_BYTES, talk->out + sent, len);
	edgeos_slot.info.address = (uint32_t)(uintptr_t)at;
	edgeos_slot.info.len = FRAME_BYTES + len;
	return EDGEOS_ANSWER;
}

static uint32_t take_datagram(const uint8_t *data, uint32_t len)
{
	uint8_t id[2];
	/* Requests of more than one datagram are not supported, as in memcached. */
	if (len < FRAME_BYTES || data[4] != 0 || data[5] != 1)
		return EDGEOS_DROP;
	memcpy(id, data, sizeof(id));
	struct talk *talk = &datagram_talk;
	talk->out_len = 0;
	talk_input(talk, (const char *)data + FRAME_BYTES, len - FRAME_BYTES);
	uint32_t verdict = talk->is_broken ? EDGEOS_DROP : answer_datagram(talk, id);
	/* What is not complete is forgotten; the memory for answers stays, unless it is much. */
	char *out = talk->out;
	uint32_t out_cap = talk->out_cap;
	item_free(talk->item);
	talk->item = NULL;
	free(talk->line);
	talk_init(talk, 0);
	if (out_cap <= 2 * STREAM_BYTES) {
		talk->out = out;
		talk->out_cap = out_cap;
	} else {
		free(out);
	}
	return verdict;
}

/* --- TCP --- */

static void flush_stream(struct talk *talk)
{
	/* As much at a time as a packet may have. */
	for (uint32_t at = 0; at < talk->out_len && !talk->is_broken;) {
		uint32_t len = talk->out_len - at;
		if (len > STREAM_BYTES)
			len = STREAM_BYTES;
		if (edgeos_packet_send(EDGEOS_PORT_CLIENT, talk->peer, talk->out + at, len) < 0)
			talk->is_broken = true;
		at += len;
	}
	proto_stats.bytes_written += talk->out_len;
	talk->out_len = 0;
}

static struct talk **find_talk(uint32_t peer)
{
	uint32_t at = peer % CONNECTIONS_MAX;
	struct talk **free_place = NULL;
	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++, at = (at + 1) % CONNECTIONS_MAX) {
		if (talks[at] != NULL && talks[at]->peer == peer)
			return &talks[at];
		if (talks[at] == NULL && free_place == NULL)
			free_place = &talks[at];
	}
	return free_place;
}

static void end_talk(struct talk **place)
{
	talk_fini(*place);
	free(*place);
	*place = NULL;
	proto_stats.connections_now--;
}

static uint32_t take_stream(const uint8_t *data, uint32_t len)
{
	uint32_t peer = edgeos_slot.info.peer;
	struct talk **place = find_talk(peer);
	if (place != NULL && *place == NULL) {
		*place = malloc(sizeof(**place));
		if (*place != NULL) {
			talk_init(*place, peer);
			(*place)->flush = flush_stream;
			(*place)->flush_bytes = STREAM_BYTES;
			proto_stats.connections_now++;
			proto_stats.connections++;
		}
	}
	if (place == NULL || *place == NULL) {
		proto_stats.rejected++;
		edgeos_stream_close(peer);
		return EDGEOS_DROP;
	}
	struct talk *talk = *place;
	talk_input(talk, (const char *)data, len);
	flush_stream(talk);
	bool is_over = talk->is_broken || talk->must_close;
	if (is_over)
		edgeos_stream_close(peer);
	if (is_over || (edgeos_slot.info.flags & EDGEOS_LAST) != 0)
		end_talk(place);
	return EDGEOS_DROP;
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	if (began_ns == 0)
		begin();
	proto_now = (uint32_t)((edgeos_slot.info.time_ns - began_ns) / 1000000000u) + 2;
	uint32_t verdict = edgeos_slot.info.kind == EDGEOS_STREAM     ? take_stream(buf, len)
			   : edgeos_slot.info.kind == EDGEOS_DATAGRAM ? take_datagram(buf, len)
								      : (uint32_t)EDGEOS_DROP;
	count();
	return verdict;
}
