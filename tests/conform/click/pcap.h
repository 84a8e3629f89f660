/*
 * Classic pcap files, in both byte orders and both resolutions of time, for tests. What is read is
 * not believed: every length is checked against the file's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

#define PCAP_PACKET_MAX 262144u

struct pcap_packet {
	uint64_t time_ns; /* since 1970 */
	const uint8_t *data;
	uint32_t len; /* captured */
};

struct pcap {
	struct eos_buf file; /* owned; packets point into it */
	struct pcap_packet *packets;
	size_t count;
	uint32_t link_type;
};

/* -EINVAL: not such a file, or damaged; others are the file system's. WHY names the file. */
int pcap_read(const char *path, struct pcap *ret_pcap, struct eos_why *why) EOS_MUST_CHECK;
void pcap_fini(struct pcap *pcap);

/* A file with resolution of nanoseconds, in OUT: its header, and a packet. */
void pcap_write_header(struct eos_buf *out, uint32_t link_type);
void pcap_write_packet(struct eos_buf *out, uint64_t time_ns, const void *data, uint32_t len);
