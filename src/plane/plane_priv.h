/*
 * Inside of src/plane: the data plane's state. Each core has a struct plane, which is its thread's
 * alone; what cores share is in plane_cores.h.
 */
#pragma once

#include <netinet/in.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/list.h"
#include "base/why.h"
#include "chain/chain.h"
#include "crypto/tls.h"
#include "flow/flow_table.h"
#include "nic/nic.h"
#include "plane/plane.h"
#include "plane/plane_config.h"
#include "plane/plane_heartbeat.h"
#include "plane/plane_manifest.h"

#define PLANE_BURST	      32u
#define PLANE_DATAGRAM_MAX    9728u
#define PLANE_STREAM_CHUNK    9728u	   /* bytes of a stream that a function gets at once */
#define PLANE_STREAM_OUT      (4u << 20)   /* answers that wait to be sent, of one stream */
#define PLANE_STREAM_PAUSE    (256u << 10) /* while so many wait, nothing is read */
#define PLANE_STREAM_KEPT     4096u	   /* bytes of a buffer, while nothing waits in it */
#define PLANE_STREAMS_BYTES   (64u << 20)  /* answers that wait, of all */
#define PLANE_STREAM_WIRE     16384u	   /* bytes of TLS that are looked at at once */
#define PLANE_STREAM_STALL_MS 60000	   /* so long may nothing of what waits be taken */
#define PLANE_CHAINS_MAX      1024u	   /* chains that can be applied */
#define PLANE_KERNEL	      UINT16_MAX   /* the port "kernel" */
#define PLANE_NOWHERE	      (UINT16_MAX - 1)

struct plane;
struct plane_cores; /* plane_cores.c */
struct plane_port;  /* plane_ports_priv.h */

/* What the epoll set leads to: the first member of those who wait there. */
struct plane_watch {
	void (*ready)(struct plane *plane, struct plane_watch *watch, uint32_t events,
		      uint64_t now_ns);
};

/* A socket of the kernel that an endpoint listens on. */
struct plane_socket {
	struct plane_watch watch;
	struct plane_entry *entry;
	int fd;
	uint16_t port;
	bool is_v6;
};

struct plane_stream_stats {
	uint64_t tls_handshakes, tls_resumed; /* RESUMED is part of them */
	uint64_t tls_failed;		      /* handshakes: broken off, or too slow */
	uint64_t tls_refused;		      /* too many under way of one address */
	uint64_t upstreams, upstream_failed;  /* connections by ways out */
};

/* What a chain is, to tell whether applying it changes more than its certificate. */
struct plane_identity {
	uint8_t chain[CRYPTO_SHA256_SIZE]; /* manifest and modules */
	uint8_t tls[CRYPTO_SHA256_SIZE];   /* files of TLS */
};

/* A chain that was applied. Each core has one, in the same order. */
struct plane_entry {
	struct eos_list node;
	struct plane *plane;
	struct plane_manifest
		*manifest; /* core 0's entry's, which is the first made and last freed */
	unsigned home; /* the core that has the only instance, the first of a fixed number, and the
			  kernel's sockets */
	struct chain_template *template; /* chains'; NULL: no instance of it is on this core */
	struct chain_update *update;	 /* chains', until it is committed */
	/* Ports by number; PLANE_KERNEL, PLANE_NOWHERE. In the order of EDGEOS_PORT_…. */
	uint16_t ports[2 + CHAIN_NEXT_MAX];
	struct tls_server *tls; /* its home's, owned; NULL: an endpoint without */
	struct plane_identity identity;
	struct plane_stream_stats stats;
	struct plane_socket *sockets; /* owned */
	unsigned sockets_count;
};

/*
 * Whom datagrams come from. A peer has a number as long as it is remembered; who was not heard of
 * for long makes room for others, and its number is then nobody's.
 */
struct plane_peer {
	uint32_t number;
	uint64_t owner; /* the chain that it spoke with, plus one; 0: none so far */
	struct plane_entry *entry;
	struct plane_socket *socket; /* NULL: by a port of the data plane */
	uint16_t nic_port;
	uint16_t port, local_port;
	uint8_t address[16], local[16];
	uint8_t mac[6];
};

struct plane_peers {
	struct flow_table *table;
	struct plane_peer *peers; /* by flow_id */
	uint32_t count, generation;
};

/* What a connection has a limited time for, each kind the same. */
enum plane_patience {
	PLANE_HANDSHAKE, /* until TLS' handshake is done */
	PLANE_CONNECT,	 /* until the other side of a way out is there */
	PLANE_LINGER,	 /* until the client has seen that we are through */
	PLANE_PATIENCES
};

/* A TCP connection: a client's, or one by a way out that was opened for it. plane_streams.c. */
struct plane_stream {
	struct plane_watch watch;
	struct eos_list node;	   /* of free ones, or of those in use */
	struct eos_list waits;	   /* of those with a limited time */
	struct eos_list unsettled; /* of those that something has happened to */
	struct plane *plane;
	struct plane_entry *entry;
	int fd;
	uint32_t number; /* a client's */
	uint64_t owner;	 /* as a peer's */
	uint8_t address[16];
	uint16_t port, local_port;
	struct tls_session *tls; /* NULL: without */
	/* A way out's: whose it is, by which port, who opened it. A client's: its ways. */
	struct plane_stream *client;
	struct eos_list ways;
	uint8_t way, stage;
	uint64_t until_ns;
	bool is_connecting;
	bool is_lingering; /* all was said: what comes is read, and nothing more */
	bool was_seen;	   /* the function knows of it */
	bool is_ended;	   /* by the other side: nothing more will come */
	bool is_closing;   /* by the function: when all was sent */
	bool must_shut;	   /* by the function: nothing more is sent, when all was */
	bool is_shut;	   /* that was done */
	bool must_reset;   /* the other side is to see that it is cut off */
	bool is_broken;
	uint32_t events; /* in the epoll set */
	size_t sent;	 /* of OUT */
	size_t counted;	 /* in waiting_bytes */
	struct eos_buf out;
};

struct plane_streams {
	struct plane_stream *all;
	uint32_t count, generation;
	struct eos_list free, used, unsettled;
	struct eos_list waits[PLANE_PATIENCES]; /* in the order of their ends */
	uint64_t waiting_bytes;
	struct plane_stream *current; /* whose bytes are being delivered */
	int spare_fd;		      /* for when there are no more descriptors */
	uint64_t looked_ns;	      /* the present look at the epoll set … */
	unsigned handshakes;	      /* … and what it spent on handshakes */
	uint8_t chunk[PLANE_STREAM_CHUNK], wire[PLANE_STREAM_WIRE];
};

/* Datagrams that came in one look, and those that are to leave. */
struct plane_datagrams {
	struct mmsghdr in[PLANE_BURST], out[PLANE_BURST];
	struct iovec in_vectors[PLANE_BURST], out_vectors[PLANE_BURST];
	struct sockaddr_storage in_names[PLANE_BURST], out_names[PLANE_BURST];
	alignas(16) uint8_t in_control[PLANE_BURST][64];
	alignas(16) uint8_t out_control[PLANE_BURST][64];
	uint8_t in_data[PLANE_BURST][PLANE_DATAGRAM_MAX], out_data[PLANE_BURST][PLANE_DATAGRAM_MAX];
	unsigned out_count;
	int out_fd;
};

struct plane_stats {
	uint64_t datagrams_cut, datagrams_unsent, streams_refused, streams_full;
	uint64_t received; /* frames, by this core's queues */
};

struct plane {
	struct plane_config config;
	struct plane_heartbeats *heartbeats; /* borrowed; the keeper reads them */
	/* Set when it is made. */
	struct plane_cores *cores; /* core 0's; NULL: there is one core only */
	unsigned cores_count, core;
	struct plane *first;	     /* core 0's, for others while they open */
	bool is_running;	     /* its loop may run */
	const _Atomic bool *awaited; /* core 0's: what its loop ends for; NULL: nothing */
	uint64_t now_ns;	     /* when its present turn began */
	struct fwp_engine *engine;
	struct chains *chains;
	struct plane_burst *burst; /* that is delivered now; NULL: none is */
	struct eos_list entries;
	unsigned entries_count;
	int epoll_fd, control_fd;
	uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE];
	struct plane_watch control_watch;
	bool must_stop;
	int stop_err; /* why; 0: it was asked to */
	struct plane_peers peers;
	struct plane_streams streams;
	struct plane_datagrams *datagrams;
	struct plane_stats stats;
	uint64_t death_told_ns, deaths_untold; /* stages' deaths, and the log */
	struct nic *nic;		       /* core 0's; NULL: without ports */
	struct plane_port *ports;
	unsigned ports_count;
	unsigned kernel_watches; /* sockets in the epoll set beside the control socket */
};

/* --- plane_peers.c --- */

int plane_peers_init(struct plane_peers *peers, uint32_t peers_max,
		     struct eos_why *why) EOS_MUST_CHECK;
void plane_peers_fini(struct plane_peers *peers);
/* The peer as SEEN says (address, port, local port, entry, and the way back), found or made; NULL:
 * there is no room. */
struct plane_peer *plane_peers_meet(struct plane_peers *peers, const struct plane_peer *seen,
				    uint64_t now_ns);
/* NULL: nobody has this number any more. */
struct plane_peer *plane_peers_find(struct plane_peers *peers, uint32_t number);
/* Forgets those of ENTRY, or of its chain OWNER - 1 only. */
void plane_peers_forget(struct plane_peers *peers, const struct plane_entry *entry, uint64_t owner);

/* --- plane_datagrams.c, plane_streams.c: the kernel's sockets --- */

/* Opens the sockets of ENTRY's endpoint. -EADDRINUSE and so on: WHY names address and port. */
int plane_sockets_open(struct plane_entry *entry, struct eos_why *why) EOS_MUST_CHECK;
void plane_sockets_close(struct plane_entry *entry);
int plane_watch(struct plane *plane, int fd, struct plane_watch *watch,
		uint32_t events) EOS_MUST_CHECK;

void plane_datagrams_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
			   uint64_t now_ns);
/* To a peer of a kernel socket. */
int plane_datagrams_send(struct plane *plane, const struct plane_peer *peer, const uint8_t *data,
			 uint32_t len) EOS_MUST_CHECK;
void plane_datagrams_flush(struct plane *plane);

int plane_streams_init(struct plane *plane) EOS_MUST_CHECK;
void plane_streams_fini(struct plane *plane);
/* A listening socket is ready. */
void plane_streams_accept(struct plane *plane, struct plane_watch *watch, uint32_t events,
			  uint64_t now_ns);
int plane_streams_send(struct plane *plane, const struct chain_output *output) EOS_MUST_CHECK;
int plane_streams_close(struct plane *plane, const struct chain_output *output) EOS_MUST_CHECK;
int plane_streams_shut(struct plane *plane, const struct chain_output *output,
		       enum chain_shut how) EOS_MUST_CHECK;
int plane_streams_info(struct plane *plane, const struct chain_output *output, enum chain_info what,
		       const char **ret_text) EOS_MUST_CHECK;
/* Ends those of ENTRY at once. Not inside of a delivery. */
void plane_streams_end(struct plane *plane, const struct plane_entry *entry);
/* CHAIN of ENTRY's died: ends those that it knew, as soon as nothing is delivered. */
void plane_streams_break(struct plane *plane, const struct plane_entry *entry, uint64_t chain);
/* Deals with those that deliveries have changed, and whose time is over. Not inside of a delivery.
 * Returns when it wants to be called again at the latest. */
uint64_t plane_streams_work(struct plane *plane, uint64_t now_ns);

/* --- plane_streams.c, for plane_stream_calls.c, plane_tls.c and plane_upstream.c --- */

/* A free place, in use from now on, without a descriptor; NULL: there is none. */
struct plane_stream *plane_stream_take(struct plane *plane, struct plane_entry *entry);
/* Closes it, with its ways. Not a client's inside of a delivery. */
void plane_stream_give(struct plane_stream *stream);
/* Gives STREAM's function LEN bytes of streams->chunk; 0: its end. */
void plane_stream_deliver(struct plane_stream *stream, size_t len, uint64_t now_ns);
/* Something has happened to it: plane_streams_work() settles it. */
void plane_stream_unsettle(struct plane_stream *stream);
size_t plane_stream_waiting(const struct plane_stream *stream);
/* Adds DATA to what is to be sent. -EBADF: it is over; -EAGAIN: no room, which was counted. */
int plane_stream_put(struct plane_stream *stream, const uint8_t *data, uint32_t len) EOS_MUST_CHECK;
/* Its time for WHAT begins; it is not limited any more. */
void plane_stream_wait(struct plane_stream *stream, enum plane_patience what, uint64_t now_ns);
void plane_stream_wait_no_more(struct plane_stream *stream);

/* --- plane_tls.c --- */

/* Makes ENTRY's server of the files that came as descriptors. -EINVAL: WHY names key and file. */
int plane_tls_open(const struct plane_manifest *manifest, const int *fds,
		   struct tls_server **ret_server, uint8_t ret_digest[CRYPTO_SHA256_SIZE],
		   struct eos_why *why) EOS_MUST_CHECK;
/* STREAM, of a client that has just come, speaks TLS. False: it is one too many. */
bool plane_tls_begin(struct plane_stream *stream, uint64_t now_ns);
/* Takes a piece of what its socket has. False: that was all, for now. */
bool plane_tls_receive(struct plane_stream *stream, uint64_t now_ns);
/* Seals what waits, while little that was sealed does. */
void plane_tls_seal(struct plane_stream *stream);
int plane_tls_info(const struct plane_stream *stream, enum chain_info what,
		   const char **ret_text) EOS_MUST_CHECK;

/* --- plane_upstream.c --- */

/* STREAM's connection by WAY; NULL: there is none. */
struct plane_stream *plane_upstream_find(const struct plane_stream *stream, uint32_t way);
/* The same, opened if need be. -EBADF: this way leads nowhere; -EAGAIN: there is no room. */
int plane_upstream_get(struct plane_stream *stream, const struct chain_output *output,
		       struct plane_stream **ret_upstream) EOS_MUST_CHECK;
/* Its socket says that it is connected, or cannot be. */
void plane_upstream_connected(struct plane_stream *upstream);
/* Is so much waiting for one of STREAM's ways that nothing more is read from it? */
bool plane_upstream_is_full(const struct plane_stream *stream);

/* --- plane_entries.c --- */

struct plane_entry *plane_entry_find(struct plane *plane, const char *name);
/* What it would be on this core: everything that can fail. MANIFEST and IMAGES, as many as it has
 * stages, are borrowed. */
int plane_entry_prepare(struct plane *plane, struct plane_manifest *manifest, unsigned home,
			struct fwp_image *const *images, struct plane_entry **ret_entry,
			struct eos_why *why) EOS_MUST_CHECK;
/* It is so now, in the place of the one of its name. Takes ENTRY. */
void plane_entry_commit(struct plane_entry *entry);
/* Or rather not: takes ENTRY. NULL is fine. */
struct plane_entry *plane_entry_abandon(struct plane_entry *entry);
/* At ENTRY's home: where nothing is new but the certificate, new connections get that one, and
 * nothing else changes. True: so it is, and TLS was taken. */
bool plane_entry_renew(struct plane_entry *entry, struct tls_server *tls,
		       const struct plane_identity *identity);
int plane_entry_remove(struct plane *plane, const char *name) EOS_MUST_CHECK;

/* --- plane_apply.c: the same on all cores, or on none --- */

/* IMAGES: as many as the manifest has stages. TLS: NULL where the manifest has none. Takes MANIFEST
 * and TLS, also on failure, when nothing has changed. Where TLS is all that is new, connections and
 * instances stay. Core 0. */
int plane_apply(struct plane *plane, struct plane_manifest *manifest,
		struct fwp_image *const *images, struct tls_server *tls,
		const struct plane_identity *identity, struct eos_why *why) EOS_MUST_CHECK;
/* -ENOENT. Core 0. */
int plane_remove(struct plane *plane, const char *name) EOS_MUST_CHECK;
/* How many of a fixed number of instances are on this core. */
unsigned plane_fixed_here(const struct plane *plane, unsigned home, uint32_t count);

/* --- plane_entries.c --- */

/* The chains' ops->send and close. */
extern const struct chains_ops plane_chains_ops;
/* May the chain that made OUTPUT speak with a peer that OWNER has? If it is the first to answer it,
 * it owns it from now on. */
bool plane_may_send(const struct chain_output *output, const struct plane_entry *entry,
		    uint64_t *owner);

/* --- plane_control.c --- */

void plane_control_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
			 uint64_t now_ns);
int plane_control_hello(struct plane *plane) EOS_MUST_CHECK;

/* --- plane_status.c: core 0 --- */

/* -ENOMEM. */
int plane_status_put(struct plane *plane, struct eos_buf *buf) EOS_MUST_CHECK;
/* One chain of it. -ENOENT; -ENOMEM. */
int plane_status_put_chain(struct plane *plane, const char *name,
			   struct eos_buf *buf) EOS_MUST_CHECK;
