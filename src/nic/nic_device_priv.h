/*
 * Descriptions of devices ("af_packet:eth0") and what DPDK calls them: a bus, a name and arguments.
 *
 * A description may come from a configuration that somebody else wrote. What is put into DPDK's
 * arguments is therefore made of names whose every character is known to mean nothing there: no
 * comma, no equals sign, no bracket.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

/* How nic_wait() hears of frames. */
enum nic_wake {
	NIC_WAKE_NEVER,	    /* it has to look */
	NIC_WAKE_SOCKET,    /* a packet socket of the driver's, which DPDK does not tell */
	NIC_WAKE_INTERRUPT, /* DPDK's interrupts: an event descriptor that the peer or device rings
			     */
	NIC_WAKE_LEVEL,	    /* DPDK tells a descriptor that is readable while there are frames */
};

/* What a driver needs that others do not. */
#define NIC_KIND_XDP	  1u /* detach what an earlier process left behind */
#define NIC_KIND_SOCKET	  2u /* PATH is a socket that we listen on: remove what was left behind */
#define NIC_KIND_PCI	  4u
#define NIC_KIND_SIGNALS  8u  /* installs a signal handler */
#define NIC_KIND_SPREADS  16u /* the kernel spreads frames over its queues */
#define NIC_KIND_SET_MAC  32u /* takes its address as an argument */
#define NIC_KIND_NO_QUEUE 64u /* one queue only */

/* Frames of af_packet's rings are multiples of this, and buffers must have room for them. */
#define NIC_PACKET_RING_STEP 1024u

struct nic_kind {
	const char *word;   /* "af_packet" */
	const char *driver; /* "net_af_packet" */
	enum nic_wake wake;
	unsigned flags;
};

struct nic_device_wants {
	unsigned slot; /* makes DPDK's name unique */
	uint16_t queues, mtu;
	uint8_t mac[6]; /* all zero: the device's own */
};

struct nic_device {
	const struct nic_kind *kind;
	const char *bus; /* "vdev" or "pci" */
	char name[40];	 /* "net_af_packet3", "0000:01:00.0" */
	char args[640];
	char interface[16]; /* af_packet, af_xdp, tap; else "" */
	char path[108];	    /* of a socket; else "" */
	bool listens;	    /* on PATH, rather than connects to it */
};

/* -EINVAL: WHY says what of TEXT is wrong; -ENOTSUP: this kind has one queue only. */
int nic_device_parse(const char *text, const struct nic_device_wants *wants,
		     struct nic_device *ret_device, struct eos_why *why) EOS_MUST_CHECK;
