/*
 * Network ports that bypass the kernel (DPDK), and the frames that they receive and send.
 *
 * Concepts
 * - The environment (struct nic) is DPDK's, once a process: memory for frames, with hugepages or
 *   without, and its devices.
 * - A port is a device: a physical NIC, or one made from a description ("af_xdp:IF",
 *   "af_packet:IF", "tap:NAME", "memif:SOCKET,role=server", "vhost:SOCKET", "virtio_user:SOCKET",
 *   "pcap:IN.pcap,OUT.pcap", "null", "ring", "pci:0000:01:00.0"; sockets have ",role=server" or
 *   ",role=client", memif ",id=N"; paths are absolute). It has as many queues as cores
 *   poll it.
 * - A frame is borrowed memory of the environment: received ones are the caller's until it sends or
 *   frees them. Each lies in one piece, with room before and behind.
 * - The adaptive loop: nic_wait() sleeps until a port has something, where its driver can say so
 *   (interrupts, descriptors), and in growing steps where it cannot.
 *
 * Threads: opening, closing and the environment are one thread's; a queue of a port is one thread's
 * at a time, and several threads wait for their own queues at once. Sending and receiving do not
 * allocate, lock or log, nor call the kernel beyond what the driver does.
 *
 * Peers: the other end of a virtio socket is trusted with nothing but frames; that of a memif can
 * end this process (DPDK 22.11), so it has to be trusted. Who connects to a socket (role=client,
 * and virtio_user) does not connect again when the other end has gone: the link is down then, and
 * the port is to be closed and opened. Who listens serves the next one.
 *
 * Interfaces: a port on one of the kernel's (af_packet, af_xdp) sets its MTU. A MAC address of the
 * port's is let in beside the interface's own, as long as the port is open: to the kernel's network
 * what comes for it is somebody else's. Without one the kernel sees the frames of af_packet, too,
 * so the interface should have no IP address. A kernel on the other end of a veth leaves checksums
 * out ("ethtool -K IF tx off" there), and an interface that joins frames makes them too long ("gro
 * off"). An interface that was deleted, or moved to another namespace, is lost: the port is down
 * until it is closed and opened, also if one of its name is there again. af_xdp has as many queues
 * as the interface has combined channels, and frames of at most 3,006 bytes.
 *
 * The process's SIGPIPE is ignored from nic_new() on, and SIGIO from the opening of a tap on; a tap
 * sends a real-time signal for each frame, whose handler runs on the alternate stack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

#define NIC_BURST_MAX 64u
#define NIC_NAME_MAX  31u
#define NIC_PORTS_MAX 32u
#define NIC_FRAME_MAX 9728u /* bytes */

struct nic;
struct nic_port;

struct nic_config {
	const char *cores;	 /* "1" or "1,3"; NULL: where the process may run */
	uint32_t memory_mib;	 /* without hugepages; 0: 256 */
	bool with_hugepages;	 /* false: none are asked for */
	uint32_t frames_max;	 /* that can exist at once; 0: 16,384 */
	uint32_t frame_bytes;	 /* the longest; 0: 1,600, with NIC_FRAME_MAX for jumbo frames */
	const char *runtime_dir; /* for DPDK's own files, removed at the end; NULL: the default */
	bool with_pci;		 /* look for PCI devices, without which there is no "pci:" */
};

/* Once a process. -EBUSY: there is one, or was; -EINVAL; -ENOMEM; -EIO: DPDK said no, and WHY has
 * its words. Where the caller may run is not changed. */
int nic_new(const struct nic_config *config, struct nic **ret_nic,
	    struct eos_why *why) EOS_MUST_CHECK;
/* All ports were closed. The process cannot make another one afterwards. */
struct nic *nic_free(struct nic *nic);

/* The calling thread, which is not the one that called nic_new(), will poll queues: it gets a cache
 * of frames of its own, without which taking and giving them is slower and shared with all others.
 * Once a thread; -ENOMEM: there are too many. */
int nic_thread_enter(struct nic *nic) EOS_MUST_CHECK;
/* Before it ends, if it has entered. */
void nic_thread_leave(struct nic *nic);

/* Do frames that come to a device of this description spread over its queues by themselves, and can
 * each core send by its own? Others are polled by one core. */
bool nic_device_can_spread(const char *description);

struct nic_port_config {
	const char *name;   /* ours: "lan"; letters, digits, "-", "_" */
	const char *device; /* as above */
	uint8_t mac[6];	    /* all zero: the device's own */
	uint16_t mtu;	    /* 0: 1,500 */
	uint16_t queues;    /* receive and send queues, spread by RSS; 0: 1 */
	uint16_t vlan; /* 0: untagged; else frames carry this tag outside, and lose it inside */
	bool is_promiscuous;
};

/* -EINVAL: WHY names the value; -ENODEV: no such device; -EEXIST: the name is taken; -ENOTSUP: the
 * device cannot do this (queues, MTU); -ENOMEM; -EIO. */
int nic_port_open(struct nic *nic, const struct nic_port_config *config, struct nic_port **ret_port,
		  struct eos_why *why) EOS_MUST_CHECK;
/* Frames in its queues are freed. NULL is fine. */
struct nic_port *nic_port_close(struct nic_port *port);

struct nic_port_info {
	char name[NIC_NAME_MAX + 1];
	char driver[32];
	uint8_t mac[6];
	uint16_t mtu, queues;
	bool is_up; /* link, and the interface */
	uint32_t speed_mbps;
	bool can_sleep; /* nic_wait() is woken by it */
	bool has_rss;	/* the device spreads over the queues, by the hash of frames */
};
/* Any thread. Asks the kernel or the device: not for each frame. */
void nic_port_info(const struct nic_port *port, struct nic_port_info *ret_info);

/* Counted since it was opened. Any thread. */
struct nic_port_stats {
	uint64_t received, received_bytes, sent, sent_bytes;
	uint64_t missed;    /* by the device, as nobody took them */
	uint64_t no_frames; /* no memory to receive into */
	uint64_t errors;    /* the device's, and frames that were not made right */
	uint64_t send_full; /* not sent: the queue was full, or the link down */
	uint64_t too_long, wrong_vlan;
};
void nic_port_stats(const struct nic_port *port, struct nic_port_stats *ret_stats);

struct nic_counter {
	char name[64];
	uint64_t value;
};
/* The driver's own counters: up to MAX are written. Returns how many, 0 where it has none. Any
 * thread. */
unsigned nic_port_driver_counters(const struct nic_port *port, struct nic_counter *ret_counters,
				  unsigned max);

#define NIC_FRAME_CHECKSUM_GOOD 1u /* the device says so */
#define NIC_FRAME_CHECKSUM_BAD	2u

struct nic_frame {
	uint8_t *data; /* may be moved within head- and tailroom, with len */
	uint32_t len;
	uint16_t headroom, tailroom; /* when it was received or made */
	uint32_t flags;
	uint32_t hash; /* RSS; 0: none */
	void *memory;  /* the environment's */
};

/* Up to COUNT (at most NIC_BURST_MAX) frames; returns how many. */
unsigned nic_port_receive(struct nic_port *port, unsigned queue, struct nic_frame *frames,
			  unsigned count);
/* Takes all COUNT frames: what cannot be sent is freed and counted. Returns how many were sent. */
unsigned nic_port_send(struct nic_port *port, unsigned queue, struct nic_frame *frames,
		       unsigned count);
/* LEN bytes, not cleared, with headroom. -ENOBUFS: frames_max are in use; -EMSGSIZE. */
int nic_frame_new(struct nic *nic, uint32_t len, struct nic_frame *ret_frame) EOS_MUST_CHECK;
/* The same in the memory of SPENT, which was received or made and whose bytes nobody needs: that is
 * in the processor's cache. SPENT has no memory then. -EBUSY: it has none that can be sent again.
 */
int nic_frame_renew(struct nic *nic, uint32_t len, struct nic_frame *spent,
		    struct nic_frame *ret_frame) EOS_MUST_CHECK;
/* Frames without memory are left out. */
void nic_frames_free(struct nic_frame *frames, unsigned count);

/*
 * Sleeps until one of the ports of POLLED has something to receive on its QUEUE, until WAKE_FD (-1:
 * none) is readable, or until PAUSE's time is over. Returns at once when there may be something
 * already; a signal ends it, too. Where a driver cannot say (memif, pcap, null, ring), it looks
 * again after a step, which is as long as the caller says, or 1/64 of the time in which nothing
 * came, up to 4 ms: so what comes to a port that was idle may wait so long. Each thread waits for
 * the queues that it polls; a port's may be several threads'.
 */
struct nic_pause {
	uint64_t timeout_ns;
	uint64_t step_ns; /* the least; 0 is fine */
	uint64_t idle_ns; /* for how long nothing has come already */
};
struct nic_polled {
	struct nic_port *port;
	unsigned queue;
};
void nic_wait(struct nic *nic, const struct nic_polled *polled, unsigned count, int wake_fd,
	      const struct nic_pause *pause);
