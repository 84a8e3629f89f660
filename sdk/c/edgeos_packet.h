/*
 * For functions that handle packets, in C: stages of chains, and endpoints for UDP and TCP. Import
 * module "edgeos"; the layouts are version 1. Timers, log, configuration and the clock are those of
 * edgeos.h; rings, messages and connections of that header are not there for packet functions.
 *
 *	EDGEOS_PACKETS(2048)
 *
 *	EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
 *	{
 *		if (edgeos_open_packets() < 0)
 *			abort();
 *	}
 *
 *	EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
 *	{
 *		return len < 60 ? EDGEOS_DROP : EDGEOS_FORWARD;
 *	}
 *
 * edgeos_init() runs once, when the chain's template is made; each client's instance is a copy of
 * what it left, made when its first packet comes. What differs from client to client is therefore
 * not known there: look at packets for it.
 *
 * One packet is handled at a time. It is a copy in your memory, in the one slot that you gave: its
 * first byte is at address, len bytes of it are there, with at least EDGEOS_HEADROOM before them
 * when it arrives. You may change the bytes, and address and len within your slot's buffer; what
 * leaves is what they say when edgeos_packet() returns.
 *
 * Ports. A stage has two sides, and may have more ways out:
 *	EDGEOS_PORT_CLIENT  where the chain's clients are; what they send comes in here
 *	EDGEOS_PORT_OUT     where the chain leads to; what comes back comes in here
 *	EDGEOS_PORT_NEXT    and above: the template's named next hops; for frames ways out only
 * edgeos_port() finds a port by its name in the chain's template.
 *
 * Results below zero are errors: -EAGAIN and so on, with the numbers of <errno.h>. Each function
 * answers -EFAULT where something is not in your memory.
 */
#pragma once

#include <stdint.h>

#include "edgeos.h"

#define EDGEOS_PACKET_VERSION 1u
#define EDGEOS_HEADROOM	      128u  /* bytes free before a packet that arrives */
#define EDGEOS_PACKET_MAX     9728u /* bytes of one */

#define EDGEOS_PORT_CLIENT 0u
#define EDGEOS_PORT_OUT	   1u
#define EDGEOS_PORT_NEXT   2u
#define EDGEOS_PORTS_MAX   16u

/* What edgeos_packet() returns. */
enum edgeos_verdict {
	EDGEOS_DROP = 0,
	EDGEOS_FORWARD = 1, /* leaves by the other side than it came in by */
	EDGEOS_ANSWER = 2,  /* leaves by the side that it came in by */
	EDGEOS_HOP = 16,    /* EDGEOS_HOP + n: leaves by port n */
};

enum edgeos_packet_kind {
	EDGEOS_FRAME = 0,    /* Ethernet, without its checksum */
	EDGEOS_DATAGRAM = 1, /* the payload of UDP; whom it came from is in peer */
	EDGEOS_STREAM = 2,   /* bytes of a TCP connection, which is in peer; see below */
};

#define EDGEOS_CHECKSUM_GOOD 1u /* flags: transport and IP checksums were found right */
#define EDGEOS_FIRST	     2u /* flags, streams: the connection is new */
#define EDGEOS_LAST	     4u /* flags, streams: nothing more will come; len may be 0 */
#define EDGEOS_BROKEN	     8u /* flags, with LAST: it did not end, it broke; what came may be cut */

/*
 * Kinds DATAGRAM and STREAM are what endpoints get: the node has done Ethernet, ARP, IP, checksums,
 * TCP. An answer to a datagram goes to its peer. What comes of a stream comes in pieces, however it
 * was sent; answers follow each other on it; bytes that do not fit for now make the call fail with
 * -EAGAIN, and a verdict of ANSWER wait in the host up to its limit.
 * PEER stays the same for a stream as long as it is open, and for a datagram's source address and
 * port as long as something comes from there within 10 minutes (or less, where too many others are
 * heard of); an instance that is made anew reaches it when it has come to that one.
 *
 * Ways out of an endpoint for TCP ("tcp:10.0.0.7:80" as `out`, or as a next hop). What leaves by
 * such a port goes to a connection of the node's to that address, which is opened for this client
 * and this port when it is first used, and closed with the client's. What comes from there comes in
 * by that port, with the client's peer number, to the stage that opened it; forwarding it leads to
 * the client. FIRST and LAST are of that connection: LAST says that the other side has ended it,
 * LAST with BROKEN that it could not be opened, or broke. After LAST the next bytes that leave by
 * the port open another one.
 * A LAST of a stream that a verdict sends on is carried over: the other side is told that nothing
 * more comes, and may still answer. So a function that forwards everything is a transparent proxy.
 * While much waits to be sent to either side, nothing is read from the other one.
 */
struct edgeos_packet {
	uint32_t version;  /* EDGEOS_PACKET_VERSION; this and the next two are yours to set, once */
	uint32_t buffer;   /* address of the slot's bytes */
	uint32_t capacity; /* how many; at least EDGEOS_HEADROOM + 64 */
	/* Set by the host for each packet; address and len may then be changed. */
	uint32_t address;
	uint32_t len;
	uint16_t port;
	uint16_t kind; /* enum edgeos_packet_kind */
	uint32_t flags;
	uint32_t peer;
	uint64_t time_ns;	  /* when it arrived; edgeos_now_ns()'s time */
	uint8_t peer_address[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d; DATAGRAM and STREAM */
	uint16_t peer_port;
	uint16_t local_port;
	uint32_t reserved;
};
_Static_assert(sizeof(struct edgeos_packet) == 64, "the layout of version 1");

/* Says where the slot is, once; in edgeos_init(). -EFAULT, -EINVAL, -EEXIST. */
EDGEOS_IMPORT(edgeos_packets) int32_t edgeos_packets(struct edgeos_packet *slot);
/*
 * The same for a slot that begins a page, an address that 4,096 divides, with the buffer behind it.
 * Of these 4,096 bytes only the packet and its struct are there when edgeos_packet() begins, and
 * nothing when edgeos_timer() does: all else is zero, whatever you left there. In return the node
 * does not copy packets from stage to stage, nor does it clear or fetch memory of yours for them;
 * with thousands of clients that is most of what a packet costs. The rest of a longer buffer is
 * memory like any other. Counters (edgeos_counters()) in that page make the chain's apply fail.
 * -EFAULT, -EINVAL (also: less than 192 bytes of the buffer are in the page), -EEXIST.
 */
EDGEOS_IMPORT(edgeos_packet_page) int32_t edgeos_packet_page(struct edgeos_packet *slot);
/*
 * Says once, in edgeos_init(), which bytes nearly every packet touches, EDGEOS_STATE_MAX at most:
 * the node brings them into the processor's cache ahead, and nothing else of yours. -EFAULT,
 * -EINVAL, -EEXIST.
 */
#define EDGEOS_STATE_MAX 512u
EDGEOS_IMPORT(edgeos_packet_state)
int32_t edgeos_packet_state(const void *bytes, uint32_t len);
/*
 * Sends LEN bytes from anywhere in your memory, which are copied at once, by PORT, in addition to
 * what the verdict sends. For endpoints PEER says to whom (of the packet being handled, or of an
 * earlier one); it is 0 for frames. -EBADF: no such port or peer; -EMSGSIZE: longer than
 * EDGEOS_PACKET_MAX or the port's MTU (where a frame has a VLAN tag, by more than that); -EAGAIN:
 * what follows has no room, and the packet was counted as dropped; -EINVAL: it is empty.
 */
EDGEOS_IMPORT(edgeos_packet_send)
int32_t edgeos_packet_send(uint32_t port, uint32_t peer, const void *buf, uint32_t len);
/* Ends the stream PEER, its connections by ways out too, after what was sent before. -EBADF. */
EDGEOS_IMPORT(edgeos_stream_close) int32_t edgeos_stream_close(uint32_t peer);
/*
 * Ends one connection of the stream PEER: the client's (EDGEOS_PORT_CLIENT), or that of a way out.
 * -EBADF: there is none; -EINVAL: HOW is none of these.
 *	EDGEOS_SHUT_SEND   nothing more is sent once all of it has left; answers may still come
 *	EDGEOS_SHUT_ALL    the same, and nothing more of it comes to you
 *	EDGEOS_SHUT_BREAK  at once, so that the other side sees: what was sent may be cut off
 */
#define EDGEOS_SHUT_SEND  0u
#define EDGEOS_SHUT_ALL	  1u
#define EDGEOS_SHUT_BREAK 2u
EDGEOS_IMPORT(edgeos_stream_shut)
int32_t edgeos_stream_shut(uint32_t port, uint32_t peer, uint32_t how);
/*
 * What the node knows of the stream PEER, as text without a NUL, into BUF. Its length, of which no
 * more than SIZE bytes were written; -ENOENT: nothing, as without TLS, or it was not said; -EBADF:
 * no such stream; -EINVAL: there is no such WHAT. Texts that clients chose are as hostile as these.
 */
#define EDGEOS_STREAM_TLS	  1u /* "TLSv1.3" */
#define EDGEOS_STREAM_SERVER_NAME 2u /* whom the client wanted to speak with (SNI) */
#define EDGEOS_STREAM_PROTOCOL	  3u /* ALPN: "http/1.1" */
#define EDGEOS_STREAM_CLIENT	  4u /* the subject of the client's certificate, which was checked */
EDGEOS_IMPORT(edgeos_stream_info)
int32_t edgeos_stream_info(uint32_t peer, uint32_t what, char *buf, uint32_t size);
/* The number of the port NAME ("client", "out", a port's or next hop's name in the template).
 * -ENOENT. */
EDGEOS_IMPORT(edgeos_port) int32_t edgeos_port(const char *name, uint32_t len);

/*
 * Counters that `edgeos chain show` and /metrics show. The table is yours and stays where it is;
 * the host reads it whenever somebody asks. Once; in edgeos_init(). -EINVAL: more than
 * EDGEOS_COUNTERS_MAX, or a name without a NUL; -EEXIST.
 */
#define EDGEOS_COUNTERS_MAX 256u
struct edgeos_counter {
	char name[56]; /* letters, digits, ".", "_", "/", "@" */
	uint64_t value;
};
EDGEOS_IMPORT(edgeos_counters)
int32_t edgeos_counters(const struct edgeos_counter *table, uint32_t count);
/* The same with values that stand one behind the other, so that a packet which counts touches fewer
 * cache lines: TABLE's names are read once, VALUES[i] whenever somebody asks. */
EDGEOS_IMPORT(edgeos_counter_values)
int32_t edgeos_counter_values(const struct edgeos_counter *table, uint32_t count,
			      const uint64_t *values);

/* What a packet function exports; edgeos_init() and edgeos_timer() may be missing. The result is an
 * enum edgeos_verdict. */
uint32_t edgeos_packet(void *buf, uint32_t len);

/* Defines the slot, for packets of up to BYTES, and static int edgeos_open_packets(void), which
 * says where it is. edgeos_slot.info is the packet that is handled. Once in a program. It has whole
 * pages of its own: nothing that is kept from packet to packet may be in them. */
#define EDGEOS_PACKETS(bytes)                                                                      \
	static struct {                                                                            \
		_Alignas(4096) struct edgeos_packet info;                                          \
		uint8_t data[EDGEOS_HEADROOM + (bytes) + 64];                                      \
	} edgeos_slot;                                                                             \
	static int edgeos_open_packets(void)                                                       \
	{                                                                                          \
		edgeos_slot.info.version = EDGEOS_PACKET_VERSION;                                  \
		edgeos_slot.info.buffer = (uint32_t)(uintptr_t)edgeos_slot.data;                   \
		edgeos_slot.info.capacity = sizeof(edgeos_slot.data);                              \
		return edgeos_packet_page(&edgeos_slot.info);                                      \
	}
