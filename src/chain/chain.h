/*
 * Chains: packet functions, one behind the other, made for each client when its first packet comes.
 *
 * Concepts
 * - struct chains is what one core has: it belongs to an FWP engine (fwp.h) and runs on its thread.
 * - A template is a chain's description under its name: stages (images with their configuration),
 *   isolation, idle time. Its stages' FWP templates are made once, so that a chain of a new client
 *   costs a few stores.
 * - A chain is an instance for a client (its address on the client side), for the tenant (one), or
 *   one of a fixed number (spread by flow). It has one FWP a stage.
 * - A packet runs to its end: it is copied into the first stage's slot (sdk/c/edgeos_packet.h), its
 *   verdict is obeyed, it is copied from there into the next stage's, and so on, until it leaves by
 *   ops->send() or is dropped. From the client side stages are passed in order, from the out side
 *   in reverse. What stages send besides (edgeos_packet_send()) waits in a queue of fixed size and
 *   takes the same way behind it.
 * - Return traffic: what leaves on the out side is remembered by its flow, as it looks then, so
 * that answers find their chain even behind address translation.
 *
 * Bytes cross memories only by chain_copy.c, which checks both sides' bounds. A stage that traps,
 * exits, or runs longer than its limit is replaced by a new FWP of its template; its packet is
 * dropped and counted, the other stages keep their state.
 *
 * Replacing a template changes its chains between two packets, each at its next one (or at once,
 * when it is idle): no packet is lost, what stages remembered is.
 *
 * Everything: the engine's thread. Nothing is allocated for a packet, nor for a chain of a known
 * template; all of it has limits, which are counted when they are hit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "flow/flow.h"
#include "fwp/fwp.h"

#define CHAIN_STAGES_MAX 16u
#define CHAIN_NAME_MAX	 63u
#define CHAIN_NEXT_MAX	 14u		    /* named next hops */
#define CHAIN_TIMEOUT_NS UINT64_C(10000000) /* of one packet or timer in one stage */

struct chains;
struct chain_template;
struct chain_update;

/* As in edgeos_packet.h. */
enum chain_packet_kind { CHAIN_FRAME, CHAIN_DATAGRAM, CHAIN_STREAM };
enum chain_side { CHAIN_CLIENT, CHAIN_OUT };

#define CHAIN_CHECKSUM_GOOD 1u
#define CHAIN_FIRST	    2u
#define CHAIN_LAST	    4u
#define CHAIN_BROKEN	    8u

/* A packet that comes in. */
struct chain_packet {
	const uint8_t *data; /* borrowed for the call */
	uint32_t len;
	uint8_t kind, side; /* enum chain_packet_kind, enum chain_side */
	uint32_t flags;
	struct chain_template *template;   /* NULL, on the out side only: by the flow alone */
	const struct flow_packet *headers; /* frames: what flow_parse() said; not bad */
	/* Datagrams and streams: */
	uint16_t domain; /* frames of the out side: its out_domain */
	uint32_t peer;
	uint8_t peer_address[16];
	uint16_t peer_port, local_port;
	/* Streams of the out side: the way by which it comes in (from 1 on; 0: 1), and the stage
	 * that opened it. */
	uint8_t port, stage;
};

/* One that leaves. DATA is in the guest's memory: its bounds were checked, its bytes are as
 * hostile as the guest. */
struct chain_output {
	struct chain_template *template;
	uint64_t chain; /* which: the same as long as the chain lives, and no other one's later */
	uint32_t port;	/* EDGEOS_PORT_... */
	uint8_t kind;
	uint32_t peer;
	bool is_current_peer; /* PEER's packet is what the stage handles now: it may have the number
			       */
	bool is_verdict;      /* nobody is told whether it could be sent */
	bool is_last;	      /* streams: nothing more will come; LEN may be 0 */
	uint8_t stage;	      /* whose it is */
	/* Of the burst: what caused it, whose data nobody reads any more; NULL: a timer did. */
	const struct chain_packet *packet;
	const uint8_t *data;
	uint32_t len;
};

/* How a stream is ended; as in edgeos_packet.h. */
enum chain_shut { CHAIN_SHUT_SEND, CHAIN_SHUT_ALL, CHAIN_SHUT_BREAK };
/* What may be asked of a stream. */
enum chain_info {
	CHAIN_INFO_TLS = 1,
	CHAIN_INFO_SERVER_NAME,
	CHAIN_INFO_PROTOCOL,
	CHAIN_INFO_CLIENT
};

struct chains_ops {
	/* Takes a copy. 0, or -EBADF: no such peer; -EAGAIN: no room; -EMSGSIZE. May be called on
	 * an FWP's stack (16 KiB). */
	int (*send)(void *ctx, const struct chain_output *output);
	/* The stream and all its ways. -EBADF. */
	int (*close)(void *ctx, const struct chain_output *output);
	/* Its connection by OUTPUT's port. -EBADF. May be NULL. */
	int (*shut)(void *ctx, const struct chain_output *output, enum chain_shut how);
	/* Borrows the text until the next call of anything. -EBADF, -ENOENT. May be NULL. */
	int (*info)(void *ctx, const struct chain_output *output, enum chain_info what,
		    const char **ret_text);
	void (*log)(void *ctx, const struct chain_template *template, unsigned stage,
		    unsigned level, const char *text, size_t len);
	/* A stage of CHAIN died: DEATH says of what, PLACE where. */
	void (*died)(void *ctx, const struct chain_template *template, uint64_t chain,
		     unsigned stage, const struct fwp_death *death, const char *place);
};

struct chains_config {
	struct fwp_engine *engine; /* borrowed */
	const struct chains_ops *ops;
	void *ctx;
	uint32_t chains_max; /* of all templates; 0: 4,096 */
	uint32_t flows_max;  /* remembered for return traffic; 0: 65,536 */
};

/* -EINVAL, -ENOMEM. */
int chains_new(const struct chains_config *config, struct chains **ret_chains,
	       struct eos_why *why) EOS_MUST_CHECK;
struct chains *chains_free(struct chains *chains);

/* The functions that a packet function's image may import, for fwp_image_load(). fwp_context() of
 * its FWPs is ours. */
const struct fwp_import *chain_imports(size_t *ret_count);

enum chain_isolation { CHAIN_PER_CLIENT, CHAIN_PER_TENANT, CHAIN_FIXED };

struct chain_setting {
	const char *key, *value;
};

struct chain_stage_config {
	const char *name;		      /* for people: the file's */
	struct fwp_image *image;	      /* referenced by the template */
	struct fwp_limits limits;	      /* all zero: memory 1 MiB, stack 64 KiB, no rate */
	const struct chain_setting *settings; /* copied */
	size_t settings_count;
};

struct chain_config {
	const char *name, *tenant;
	enum chain_isolation isolation;
	uint32_t fixed_count;	     /* CHAIN_FIXED: from 1 on */
	uint32_t chains_max;	     /* of this one; 0: as many as fit */
	uint64_t idle_ns;	     /* 0: never reclaimed */
	bool takes_arp;		     /* clients' ARP comes by here: what is for them does, too */
	uint64_t timeout_ns;	     /* of one packet in one stage; 0: CHAIN_TIMEOUT_NS */
	uint16_t domain, out_domain; /* of the two sides' addresses; see flow.h */
	const char
		*ports[2 + CHAIN_NEXT_MAX]; /* names: client side, out side, next hops; or NULL */
	uint32_t ports_mtu[2 + CHAIN_NEXT_MAX]; /* bytes of a packet; 0: EDGEOS_PACKET_MAX */
	const struct chain_stage_config *stages;
	size_t stages_count;
};

/*
 * Makes the template NAME, or its next version: chains of the one before change to it as said
 * above. The initialisation of each stage runs here. -EINVAL: WHY names what; -EIO: an
 * initialisation failed, nothing has changed; -ENOMEM; -ENOSPC: too many templates.
 */
int chain_template_apply(struct chains *chains, const struct chain_config *config,
			 struct chain_template **ret_template, struct eos_why *why) EOS_MUST_CHECK;
/*
 * The same in two steps, for who has chains on several cores: what can fail, which changes nothing,
 * and the change, which cannot fail. Between the two packets may be delivered, but no template
 * prepared or removed.
 */
int chain_template_prepare(struct chains *chains, const struct chain_config *config,
			   struct chain_update **ret_update, struct eos_why *why) EOS_MUST_CHECK;
/* Takes UPDATE. */
struct chain_template *chain_template_commit(struct chain_update *update);
/* Or rather not. NULL is fine. */
struct chain_update *chain_template_abandon(struct chain_update *update);
/* Its chains end; their packets have all left. -ENOENT. */
int chain_template_remove(struct chains *chains, const char *name) EOS_MUST_CHECK;
struct chain_template *chain_template_find(struct chains *chains, const char *name);
const char *chain_template_name(const struct chain_template *template);
/* The owner's word for it, 0 at first; it survives versions. */
void chain_template_set_tag(struct chain_template *template, uintptr_t tag);
uintptr_t chain_template_tag(const struct chain_template *template);

/* The longest packet that all of its stages take. */
uint32_t chain_template_packet_max(const struct chain_template *template);

/* COUNT packets, at most 64, in order. What becomes of each is counted; an error of one does not
 * stop the others. Inside, ops->send() is called. Never from inside of ops. */
void chains_deliver(struct chains *chains, const struct chain_packet *packets, unsigned count,
		    uint64_t now_ns);
/* Did a chain send what PACKET, which came in on the out side of DOMAIN, is an answer to? Of the
 * flow, or of the address that it is for. PACKET is IPv4, IPv6 or ARP, and not bad. */
bool chains_knows_flow(struct chains *chains, uint16_t domain, const struct flow_packet *packet);
/* Packets without a template that were nobody's. */
uint64_t chains_lost(const struct chains *chains);
/* Fires stages' timers, reclaims idle chains and forgets old flows, a bounded step of each: who has
 * packets is soon asked again. Returns when it wants to be called again at the latest. */
uint64_t chains_work(struct chains *chains, uint64_t now_ns);
/* One step of what was put off (pools); false: nothing is left. */
bool chains_maintain(struct chains *chains);

/* Drops: each hop has these. */
struct chain_stage_stats {
	uint64_t received, forwarded, answered, hopped, sent; /* SENT: besides verdicts */
	uint64_t dropped;				      /* by its verdict */
	uint64_t refused;	  /* no such port, bad address or length, too long */
	uint64_t full;		  /* what it sent besides found no room */
	uint64_t died, timed_out; /* TIMED_OUT is part of DIED */
	uint64_t run_ns;	  /* from the switch to the stage until its handler returned */
};
struct chain_stats {
	uint32_t chains, chains_max, version;
	uint64_t started, reclaimed, replaced;
	uint64_t start_ns;	    /* that all starts took together */
	uint64_t packets, no_chain; /* NO_CHAIN: from the out side, to nobody known */
	uint64_t limit;		    /* new clients refused: chains_max, FWPs, memory */
	uint64_t flows_refused; /* not remembered for answers: the table, or the chain's share */
	uint64_t send_failed;
};
void chain_template_stats(const struct chain_template *template, struct chain_stats *ret_stats);
/* -EINVAL: no such stage. */
int chain_template_stage_stats(const struct chain_template *template, unsigned stage,
			       struct chain_stage_stats *ret_stats) EOS_MUST_CHECK;
/* Guests' counters (edgeos_counters()) of STAGE, summed over the template's chains, living and
 * gone. FN is called for each name; the name is hostile but for its letters. */
void chain_template_counters(struct chain_template *template, unsigned stage,
			     void (*fn)(void *ctx, const char *name, uint64_t value), void *ctx);
/* For lists. */
void chains_each(struct chains *chains, void (*fn)(void *ctx, struct chain_template *template),
		 void *ctx);
