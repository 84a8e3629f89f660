/* What is mutated: packets like those of the samples' own tests, and the corpus of the parser of
 * frames. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "frame.h"
#include "host_double.h"
#include "sample_chains.h"

#define CLIENT "10.0.0.2"
#define SERVER "192.0.2.10"

static void add_packet(enum chain_side side, struct host_packet packet)
{
	static uint8_t data[SAMPLE_PACKET_MAX];
	bool is_six = packet.source != NULL;
	if (!is_six) {
		packet.source = side == CHAIN_CLIENT ? CLIENT : SERVER;
		packet.target = side == CHAIN_CLIENT ? SERVER : CLIENT;
	}
	seed_add(side, data, host_make(data, &packet));
}

static void add_conversation(void)
{
	static const uint8_t text[] = "GET /etc/passwd HTTP/1.0\r\n\r\n";
	static const struct {
		uint8_t side, flags, len;
		uint16_t seq, ack;
	} segments[] = {
		{CHAIN_CLIENT, FRAME_SYN, 0, 1000, 0},
		{CHAIN_OUT, FRAME_SYN | FRAME_ACK, 0, 5000, 1001},
		{CHAIN_CLIENT, FRAME_ACK, 0, 1001, 5001},
		{CHAIN_CLIENT, FRAME_ACK | FRAME_PSH, 10, 1001, 5001},
		{CHAIN_CLIENT, FRAME_ACK | FRAME_PSH, 18, 1011, 5001},
		{CHAIN_OUT, FRAME_ACK, 20, 5001, 1029},
		{CHAIN_OUT, FRAME_ACK | FRAME_FIN, 0, 5021, 1029},
		{CHAIN_CLIENT, FRAME_ACK | FRAME_FIN, 0, 1029, 5022},
		{CHAIN_OUT, FRAME_RST, 0, 5022, 0},
	};
	for (unsigned i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		bool is_client = segments[i].side == CHAIN_CLIENT;
		add_packet(
			segments[i].side,
			(struct host_packet){.proto = FRAME_TCP,
					     .source_port = is_client ? 4000 : 80,
					     .target_port = is_client ? 80 : 4000,
					     .flags = segments[i].flags,
					     .seq = segments[i].seq,
					     .ack = segments[i].ack,
					     .payload = text + (segments[i].seq == 1011 ? 10 : 0),
					     .payload_len = segments[i].len});
	}
}

static void add_errors(void)
{
	uint8_t inner[256];
	const struct host_packet quoted = {.proto = FRAME_UDP,
					   .source = CLIENT,
					   .target = SERVER,
					   .source_port = 4000,
					   .target_port = 53,
					   .payload = "datagram",
					   .payload_len = 8};
	uint32_t len = host_make(inner, &quoted);
	for (unsigned side = CHAIN_CLIENT; side <= CHAIN_OUT; side++)
		add_packet(side, (struct host_packet){.proto = FRAME_ICMP,
						      .icmp_type = 3,
						      .icmp_code = 4,
						      .payload = inner + 14,
						      .payload_len = len - 14});
}

static void add_datagrams(void)
{
	add_packet(CHAIN_CLIENT, (struct host_packet){.proto = FRAME_UDP,
						      .source_port = 4000,
						      .target_port = 53,
						      .payload = "datagram",
						      .payload_len = 8});
	add_packet(CHAIN_OUT, (struct host_packet){.proto = FRAME_UDP,
						   .source_port = 53,
						   .target_port = 4000,
						   .payload = "answer",
						   .payload_len = 6});
	add_packet(CHAIN_CLIENT, (struct host_packet){.proto = FRAME_ICMP,
						      .icmp_type = 8,
						      .source_port = 77,
						      .has_vlan = true});
	add_packet(CHAIN_OUT, (struct host_packet){.proto = FRAME_ICMP, .source_port = 77});
	/* Fragments, the first and a later one. */
	add_packet(CHAIN_CLIENT, (struct host_packet){.proto = FRAME_UDP,
						      .source_port = 9,
						      .target_port = 53,
						      .fragment = 0x2000,
						      .fragment_id = 5,
						      .payload = "0123456789abcdef",
						      .payload_len = 16});
	add_packet(CHAIN_CLIENT, (struct host_packet){.proto = FRAME_UDP,
						      .fragment = 3,
						      .fragment_id = 5,
						      .payload = "01234567",
						      .payload_len = 8});
	for (unsigned proto = FRAME_TCP; proto <= FRAME_UDP; proto += FRAME_UDP - FRAME_TCP)
		add_packet(CHAIN_CLIENT,
			   (struct host_packet){.proto = (uint8_t)proto,
						.source = "2001:db8::2",
						.target = "2001:db8:1::1",
						.source_port = 4000,
						.target_port = 80,
						.flags = FRAME_SYN,
						.payload = "\x90\x90\x90\x90\x90\x90\x90\x90",
						.payload_len = 8});
}

/* Files of the fuzzer of src/flow are frames. */
static void add_corpus(void)
{
	DIR *dir = opendir(FLOW_CORPUS);
	assert_non_null(dir);
	const struct dirent *entry;
	while ((entry = readdir(dir)) != NULL) {
		struct eos_buf data = {0};
		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(eos_read_file(dirfd(dir), entry->d_name, SAMPLE_PACKET_MAX, &data),
				 0);
		seed_add(CHAIN_CLIENT, data.data, (uint32_t)data.len);
		eos_buf_fini(&data);
	}
	assert_int_equal(closedir(dir), 0);
}

void seeds_of_frames(void)
{
	add_conversation();
	add_datagrams();
	add_errors();
	add_corpus();
}

void seeds_of_nat(void)
{
	/* Answers are to the public address. */
	static const struct {
		uint8_t side, proto;
		const char *source, *target;
		uint16_t source_port, target_port;
		uint8_t flags, icmp_type;
	} some[] = {
		{CHAIN_CLIENT, FRAME_UDP, "100.64.0.2", SERVER, 4000, 53, 0, 0},
		{CHAIN_CLIENT, FRAME_TCP, "100.64.0.3", SERVER, 4000, 80, FRAME_SYN, 0},
		{CHAIN_CLIENT, FRAME_ICMP, "100.64.0.4", SERVER, 77, 0, 0, 8},
		{CHAIN_OUT, FRAME_UDP, SERVER, "192.0.2.1", 53, 1024, 0, 0},
		{CHAIN_OUT, FRAME_TCP, SERVER, "192.0.2.1", 80, 1024, FRAME_SYN | FRAME_ACK, 0},
		{CHAIN_OUT, FRAME_ICMP, SERVER, "192.0.2.1", 77, 0, 0, 0},
	};
	for (unsigned i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
		uint8_t data[256];
		const struct host_packet packet = {.proto = some[i].proto,
						   .source = some[i].source,
						   .target = some[i].target,
						   .source_port = some[i].source_port,
						   .target_port = some[i].target_port,
						   .flags = some[i].flags,
						   .icmp_type = some[i].icmp_type,
						   .payload = "payload",
						   .payload_len = 7};
		uint32_t len = host_make(data, &packet);
		/* The MAC address that nat.click has there. */
		data[4] = some[i].side == CHAIN_CLIENT ? 1 : 2;
		data[5] = 1;
		seed_add(some[i].side, data, len);
	}
	seeds_of_frames();
}

/* --- DNS --- */

uint32_t dns_query(uint8_t out[64], uint16_t id)
{
	static const uint8_t query[] = "\0\0\1\0\0\1\0\0\0\0\0\0\3www\4edge\7example\0\0\1\0\1";
	memcpy(out, query, sizeof(query) - 1);
	frame_put_u16(out, id);
	return sizeof(query) - 1;
}

uint32_t dns_answer(uint8_t out[64], uint16_t id)
{
	static const uint8_t record[] = "\xc0\x0c\0\1\0\1\0\1\0\0\0\4\x0a\0\0\7";
	uint32_t len = dns_query(out, id);
	frame_put_u16(out + 2, 0x8400);
	frame_put_u16(out + 6, 1);
	memcpy(out + len, record, sizeof(record) - 1);
	return len + (uint32_t)sizeof(record) - 1;
}

void seeds_of_dns(void)
{
	static const uint8_t opt[] = "\0\0\x29\4\xd0\0\0\x80\0\0\0";
	uint8_t data[128];
	uint32_t len = dns_query(data, 7);
	seed_add(CHAIN_CLIENT, data, len);
	memcpy(data + len, opt, sizeof(opt) - 1);
	data[11] = 1;
	seed_add(CHAIN_CLIENT, data, len + (uint32_t)sizeof(opt) - 1);
	len = dns_query(data, 8);
	memcpy(data + 13, "web", 3);
	seed_add(CHAIN_CLIENT, data, len);
	data[len - 3] = 255;
	seed_add(CHAIN_CLIENT, data, len);
	seed_add(CHAIN_CLIENT, data, dns_answer(data, 7));
	/* Names that are pointers. */
	memcpy(data + 12, "\xc0\x0c\0\1\0\1", 6);
	seed_add(CHAIN_CLIENT, data, 18);
}

static void add_dns_frame(bool is_query, uint16_t id)
{
	uint8_t message[64];
	uint32_t len = is_query ? dns_query(message, id) : dns_answer(message, id);
	add_packet(is_query ? CHAIN_CLIENT : CHAIN_OUT,
		   (struct host_packet){.proto = FRAME_UDP,
					.source_port = is_query ? 4000 : 53,
					.target_port = is_query ? 53 : 4000,
					.payload = message,
					.payload_len = len});
}

void seeds_of_dns_frames(void)
{
	for (uint16_t id = 1; id < 4; id++) {
		add_dns_frame(true, id);
		add_dns_frame(false, id);
	}
	seeds_of_frames();
}

/* --- other endpoints --- */

#define ADD(text) seed_add(CHAIN_CLIENT, text, sizeof(text) - 1)

void seeds_of_coap(void)
{
	ADD("\x40\3\0\1\xb4kept\xff 21.5");
	ADD("\x44\1\0\2tokn\xb4kept");
	ADD("\x41\1\0\3t\x60\x54kept");	    /* observes it */
	ADD("\x50\3\0\4\xb4kept\xff 22.5"); /* NON */
	ADD("\x41\3\0\5t\xb3log\xd1\3\x08\xff 123456789abcdef");
	ADD("\x41\3\0\6t\xb3log\xd1\3\x10\xff 123");
	ADD("\x41\1\0\7t\xb3log\xc1\x10");
	ADD("\x40\1\0\x08\xbb.well-known\4core");
	ADD("\x40\1\0\x0c\xbb.well-known\4core\x47href=/k");
	ADD("\x40\1\0\x0d\xbb.well-known\4core\x45"
	    "ct=5*\x07href=/*");
	ADD("\x40\3\0\x0e\xb6k\xc3\xbc/;,\x01x\x11\x32\xff y");
	ADD("\x40\3\0\x0f\xb3log\xd1\3\x08\xd2\x14\x10\1\xff 123456789abcdef");
	ADD("\x40\1\0\x10\xb3log\xc0\x50");
	ADD("\x60\0\0\1");
	ADD("\x40\2\0\x09\xb4post\xff new");
	ADD("\x40\4\0\x0a\xb4kept");
	ADD("\x40\1\0\x0b\x10\x34\1\2\3\4\x74kept\x60\xdd\xff\xff\xee");
	ADD("\x70\0\0\1");
	ADD("\x40\0\0\x0c");
}

void seeds_of_inference(void)
{
	ADD("0 .57 .8 .57 0 -.57 -.8 -.57 0 .57 .8 .57 0 -.57 -.8 -.57");
	ADD("1.25, -3;\t99999999999999999999.5\r\n");
	ADD("-0.001 .9999999 1000000 -1000000 00000.1");
	ADD("- . -. --1 1..2 1.2.3");
	ADD("1e-05 5E2 +1.e+3 1e99999999999 1e5e5");
}

static const char *const requests[] = {
	"set key 1 0 5\r\nvalue\r\n",
	"get key\r\n",
	"gets key other\r\n",
	"add key 0 100 3\r\nabc\r\nappend key 0 0 1\r\nx\r\n",
	"cas key 1 0 1 7\r\nx\r\n",
	"incr n 1\r\ndecr n 18446744073709551615\r\nset n 0 0 2\r\n10\r\nincr n 5\r\n",
	"touch key 10\r\ngat 10 key\r\ndelete key\r\n",
	"mg key v t f k s c Oabc q\r\nmn\r\n",
	"ms key 5 T90 F1 c\r\nhello\r\nmd key\r\nma n N0 J1 v\r\nme key\r\n",
	"ms a2V5 b 3\r\nabc\r\nmg a2V5 b k v\r\n",
	"set large 0 0 3000\r\n0123456789",
	"stats\r\nstats items\r\nstats settings\r\nversion\r\nverbosity 1\r\n",
	"flush_all\r\ncache_memlimit 2\r\nset key 0 -1 1\r\nx\r\n",
	"set a\tb 0 10 2\r\nab\r\nlru_crawler metadump all\r\nstats cachedump 1 0\r\n",
	"ms key 1 C1 I E9 MR k Ox\r\ny\r\nmd key I T9 C9\r\nmg key R30 T0 u W\r\n",
	"slabs automove ratio 0.5\r\nlru tune 1 2 3.5 4\r\nslabs reassign -1 1\r\n",
	"set key 0 0 1 noreply\r\nxx\r\nflush_all 5 noreply\r\ncache_memlimit 8\r\n",
	"nonsense with many words and no end",
};

void seeds_of_memcached(void)
{
	static uint8_t data[SAMPLE_PACKET_MAX] = "\0\1\0\0\0\1\0";
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		size_t len = strlen(requests[i]);
		memcpy(data + 8, requests[i], len);
		seed_add(CHAIN_CLIENT, data, 8 + (uint32_t)len);
	}
}

void seeds_of_memcached_streams(void)
{
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		seed_add(CHAIN_CLIENT, requests[i], (uint32_t)strlen(requests[i]));
}
