/*
 * What packet functions and their host agree upon, version 1: the numbers and layouts of
 * sdk/c/edgeos_packet.h, for the host. A guest's structures are never used in place.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define CHAIN_ABI_MODULE       "edgeos"
#define CHAIN_ABI_VERSION      1u
#define CHAIN_ABI_HEADROOM     128u
#define CHAIN_ABI_CAPACITY_MIN (CHAIN_ABI_HEADROOM + 64u)
#define CHAIN_ABI_PACKET_MAX   9728u
#define CHAIN_ABI_PAGE	       4096u
#define CHAIN_ABI_STATE_MAX    512u /* bytes that edgeos_packet_state() names */
#define CHAIN_ABI_PORTS_MAX    16u
#define CHAIN_ABI_COUNTERS_MAX 256u
#define CHAIN_ABI_TIMERS_MAX   16u
#define CHAIN_ABI_NAME_MAX     255u  /* bytes of a key */
#define CHAIN_ABI_LOG_MAX      4096u /* a longer text is cut */
#define CHAIN_ABI_LOG_LEVELS   4u

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "guest memory is little-endian");

enum chain_abi_verdict {
	CHAIN_ABI_DROP = 0,
	CHAIN_ABI_FORWARD = 1,
	CHAIN_ABI_ANSWER = 2,
	CHAIN_ABI_HOP = 16,
};

enum chain_abi_shut {
	CHAIN_ABI_SHUT_SEND = 0,
	CHAIN_ABI_SHUT_ALL = 1,
	CHAIN_ABI_SHUT_BREAK = 2,
};

#define CHAIN_ABI_INFO_MAX 255u /* bytes of what edgeos_stream_info() says */
enum chain_abi_info {
	CHAIN_ABI_INFO_TLS = 1,
	CHAIN_ABI_INFO_SERVER_NAME = 2,
	CHAIN_ABI_INFO_PROTOCOL = 3,
	CHAIN_ABI_INFO_CLIENT = 4,
};

struct chain_abi_packet {
	uint32_t version, buffer, capacity;
	uint32_t address, len;
	uint16_t port, kind;
	uint32_t flags;
	uint32_t peer;
	uint64_t time_ns;
	uint8_t peer_address[16];
	uint16_t peer_port, local_port;
	uint32_t reserved;
};
static_assert(sizeof(struct chain_abi_packet) == 64, "the layout of version 1");
static_assert(offsetof(struct chain_abi_packet, address) == 12, "the layout of version 1");
static_assert(offsetof(struct chain_abi_packet, time_ns) == 32, "the layout of version 1");
static_assert(offsetof(struct chain_abi_packet, peer_port) == 56, "the layout of version 1");

struct chain_abi_counter {
	char name[56];
	uint64_t value;
};
static_assert(sizeof(struct chain_abi_counter) == 64, "the layout of version 1");

/* Errors as guests see them: wasi-libc's numbers of <errno.h>, which are WASI's. */
enum chain_abi_errno {
	CHAIN_ABI_EAGAIN = 6,
	CHAIN_ABI_EBADF = 8,
	CHAIN_ABI_EEXIST = 20,
	CHAIN_ABI_EFAULT = 21,
	CHAIN_ABI_EINVAL = 28,
	CHAIN_ABI_EIO = 29,
	CHAIN_ABI_EMSGSIZE = 35,
	CHAIN_ABI_ENAMETOOLONG = 37,
	CHAIN_ABI_ENOENT = 44,
	CHAIN_ABI_ENOSYS = 52,
	CHAIN_ABI_ENOTSUP = 58,
	CHAIN_ABI_EOVERFLOW = 61,
};
