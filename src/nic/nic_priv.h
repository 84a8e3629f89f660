/*
 * What the files of this folder share. DPDK's headers are included by the sources only, so that
 * this one compiles without them.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "nic/nic.h"
#include "nic/nic_device_priv.h"

#define NIC_QUEUES_MAX	16u
#define NIC_DESCRIPTORS 512u /* frames that wait in a queue of a device */
#define NIC_TAILROOM	66u  /* at least */
/* DPDK's heads (192 bytes), headroom (128) and a frame with its tailroom, as a multiple of
 * NIC_PACKET_RING_STEP, have to fit into a page. */
#define NIC_XDP_FRAME_MAX (3072u - NIC_TAILROOM)
/* Steps of nic_wait(): a share of the time in which nothing came, and the longest; a timer costs up
 * to 30 us on virtual machines, so 1,000 a second are 3 % of a processor. */
#define NIC_STEP_SHARE	64u
#define NIC_STEP_NS_MAX UINT64_C(4000000)

struct rte_mbuf;
struct rte_mempool;

/* The caller of nic_new() owns everything; POOL is any thread's. */
struct nic {
	struct rte_mempool *pool;
	uint32_t frame_bytes;
	bool with_pci;
	struct nic_port *ports[NIC_PORTS_MAX];
};

/* One queue in each direction. */
struct nic_queue {
	/* Its thread's. */
	alignas(64) struct rte_mbuf *looked; /* received by nic_wait(); nic_port_receive() begins
						with it */
	/* Counted by its thread, read by any. */
	_Atomic uint64_t received, received_bytes, sent, sent_bytes;
	_Atomic uint64_t send_full, too_long, wrong_vlan, errors;
	/* Set when the port is opened. */
	int wait_fd; /* epoll's; -1: nothing tells of frames */
	int socket;  /* NIC_WAKE_SOCKET: the driver's */
};

struct nic_port {
	/* Set when it is opened. */
	struct nic *nic;
	struct nic_device device;
	char name[NIC_NAME_MAX + 1];
	char driver[32];
	unsigned slot;
	uint16_t id; /* DPDK's */
	uint16_t mtu, vlan;
	uint16_t queues_count;
	uint32_t frame_max; /* bytes of a frame as the device sees it */
	uint8_t mac[6];
	bool has_rss, can_sleep;
	bool is_probed, is_started; /* how far opening has come */
	int lock;		    /* of AF_XDP; -1: none */
	int hold_socket; /* keeps the interface's filters open; -1: there is no interface */
	struct nic_queue queues[NIC_QUEUES_MAX];
};

/* nic_log.c: DPDK's words go to our log, and the first error among them into WHY. */
int nic_log_open(void) EOS_MUST_CHECK;
void nic_log_close(void);
/* Errors are kept instead of logged, by the calling thread, until nic_log_failed(). */
void nic_log_begin(void);
/* Returns ERR; WHY becomes the text, with DPDK's words behind it. */
int nic_log_failed(struct eos_why *why, int err, const char *fmt, ...) EOS_PRINTF(3, 4);

/* nic_leftover.c: what a killed process left behind. */
/* A descriptor, to be kept as long as AF_XDP is used on the interface. -EBUSY: another process of
 * ours has it; or another errno. */
int nic_leftover_lock_xdp(const char *interface, struct eos_why *why) EOS_MUST_CHECK;
/* Takes the program of AF_XDP sockets away from an interface that was locked. -EBUSY: the program
 * is of somebody else; or another errno. */
int nic_leftover_xdp(const char *interface, struct eos_why *why) EOS_MUST_CHECK;
/* Removes a socket that nobody listens on. -EBUSY: somebody does; -EEXIST: it is no socket. */
int nic_leftover_socket(const char *path, struct eos_why *why) EOS_MUST_CHECK;

/* nic_xdp.c: what DPDK leaves open and forgets of a port that it has closed. */
void nic_xdp_close(struct nic_port *port);

/* nic_interface.c: the kernel's side of an interface. */
bool nic_interface_exists(const char *name);
/* Up, and its link, too. */
bool nic_interface_is_up(const char *name);
/* The same of what HOLD, nic_interface_hold()'s, holds, whatever it is called now. False, too, when
 * it was deleted or has left the namespace: who used it gets nothing any more, also if it, or
 * another one of its name, comes again. */
bool nic_interface_held_is_up(int hold);
/* Sets the MTU where it is another one. -ENOTSUP. */
int nic_interface_set_mtu(const char *name, uint16_t mtu, struct eos_why *why) EOS_MUST_CHECK;
/* A socket: as long as it is open, the interface lets multicasts in, or everything, and what is for
 * MAC (NULL: none besides its own). To the kernel's own network such frames are somebody else's:
 * it drops them at once. -EINVAL: it is not Ethernet. */
int nic_interface_hold(const char *name, const uint8_t *mac, bool is_promiscuous) EOS_MUST_CHECK;

/* nic_wake.c: finds what tells of frames, and makes the queues' epoll sets. */
struct nic_wake_sockets {
	int fds[2 * NIC_PORTS_MAX * NIC_QUEUES_MAX];
	unsigned count;
};
/* The process's sockets of this DOMAIN; INDEX is the interface that they are bound to, 0: any. */
void nic_wake_find(int domain, unsigned index, struct nic_wake_sockets *ret_sockets);
/* A port that was started: its queues' wait_fd. What cannot be had is left out. */
void nic_wake_open(struct nic_port *port);
void nic_wake_close(struct nic_port *port);
/* Signal handlers that a driver put up since nic_wake_signals_before() get the alternate stack:
 * they may come on a guest's. */
struct nic_wake_signals {
	void *handlers[65];
};
void nic_wake_signals_before(struct nic_wake_signals *ret_signals);
void nic_wake_signals_after(const struct nic_wake_signals *signals);
