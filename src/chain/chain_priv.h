/*
 * The inside of chains, shared by the files of this folder.
 *
 * Files: chains.c (what a core has), chain_template.c and chain_version.c (what is applied),
 * chain_clients.c (which chain a packet is for), chain_instance.c (chains and their FWPs),
 * chain_run.c (the way of a packet), chain_fwp.c (an FWP's turn), chain_slot.c (where guests want
 * their packets), chain_copy.c (bytes between memories), chain_queue.c, chain_timers.c,
 * chain_work.c (what is due without a packet), chain_counters.c, chain_pool.c; what guests import:
 * chain_calls.c, chain_streams.c, chain_wasi.c.
 *
 * Fault points: chain.calloc, chain.strdup, chain.mmap.
 */
#pragma once

#include <stdalign.h>

#include "base/list.h"
#include "base/ticks.h"
#include "chain/chain.h"
#include "chain/chain_abi.h"
#include "flow/flow_table.h"
#include "fwp/fwp_template.h"
#include "sched/heap.h"

#define CHAIN_BURST_MAX	     64u
#define CHAIN_AHEAD_MAX	     32u
#define CHAIN_CHAINS_DEFAULT 4096u
#define CHAIN_CHAINS_MAX     65536u
#define CHAIN_FLOWS_DEFAULT  65536u
#define CHAIN_FLOW_SHARES    4u /* of what one client may have: for an instance for all clients */
#define CHAIN_TEMPLATES_MAX  1024u
#define CHAIN_SETTINGS_MAX   256u
/* What one packet, or one timer, may cause in all: hops between stages, of it and of what they send
 * because of it. More is an endless loop of stages that send to each other. */
#define CHAIN_RUNS_MAX	      1024u
#define CHAIN_RUNS_NS	      (100 * EOS_NS_PER_MS) /* for that, besides each stage's limit once */
#define CHAIN_QUEUE_BYTES     (256u << 10)
#define CHAIN_LOGS_PER_S      50u
#define CHAIN_IDLE_LOOK_MAX   8u
#define CHAIN_RECLAIM_MAX     64u /* in one step of chains_work() */
#define CHAIN_INIT_ERROR_SIZE 257u

/*
 * Items of one size in a reservation of addresses: taken and given back in constant time, last
 * given first taken. What was never taken costs no memory.
 */
struct chain_pool {
	char *items; /* NULL: none */
	size_t item_size, bytes;
	uint32_t max, made;
	void *free; /* the first word of a free item is the next one */
};
/* -ENOMEM. */
int chain_pool_init(struct chain_pool *pool, size_t item_size, uint32_t max) EOS_MUST_CHECK;
void chain_pool_fini(struct chain_pool *pool);
/* Not cleared; NULL: all are in use. */
void *chain_pool_take(struct chain_pool *pool);
void chain_pool_give(struct chain_pool *pool, void *item);

/* So much a second, and as much at once. */
struct chain_limiter {
	uint64_t full_ns; /* when all of it may be had again */
	uint64_t refused; /* since it was last allowed */
};
bool chain_limiter_allow(struct chain_limiter *limiter, unsigned per_s, uint64_t now_ns);

/* A stage, as it is in one version of a template. Everything about the guest is what it said when
 * it was initialised, and was checked then. */
struct chain_stage {
	/* What each packet looks at. */
	uint32_t (*packet)(void *instance, uint32_t buf, uint32_t len);
	struct fwp_template *template; /* a reference */
	uint32_t slot;		       /* addresses in the guest */
	uint32_t buffer, capacity;     /* CAPACITY 0: it has not said yet */
	uint32_t room;		       /* bytes of a packet that arrives */
	uint32_t state, state_len;     /* what packets touch besides; 0: unknown */
	uint32_t tables_len; /* the same below the memory: globals and tables; 0: too many */
	bool has_page;	     /* the slot begins a page, and the engine's shared one is there */
	void (*timer)(void *instance, uint32_t id); /* NULL: none */
	struct fwp_limits limits;

	char *name;
	struct chain_setting *settings; /* owned, with their strings */
	size_t settings_count;
	uint32_t timers_set; /* bits: by the initialisation */
	uint64_t timers_delay_ns[CHAIN_ABI_TIMERS_MAX];
	uint32_t counters, counters_step, counters_count; /* the first value's address, bytes */
	char (*counter_names)[sizeof(((struct chain_abi_counter *)0)->name)];
	uint64_t *counters_gone; /* of FWPs that are no more */
};

struct chain_version {
	unsigned references; /* the template's, and its chains' */
	unsigned stages_count;
	uint64_t timeout_ns;
	uint32_t mtu[CHAIN_ABI_PORTS_MAX]; /* 0: there is no such port */
	struct chain_stage stages[CHAIN_STAGES_MAX];
	char *ports[CHAIN_ABI_PORTS_MAX];
	struct eos_list node; /* of the template's versions, the newest first */
};

struct chain_template {
	struct chains *chains;
	struct chain_version *version; /* a reference; NULL: the first is being made */
	struct chain_version *naming;  /* the one that is being made; NULL: none is */
	char *init_error;	       /* the last that the stage said that is being initialised; of
					  CHAIN_INIT_ERROR_SIZE bytes; NULL: none is */
	uint32_t id;		       /* part of clients' and flows' keys */
	enum chain_isolation isolation;
	bool takes_arp;
	uint16_t domain, out_domain;
	uint32_t fixed_count;
	struct chain **fixed; /* CHAIN_PER_TENANT: one; NULL where there is none yet */
	uint32_t chains_max;
	uint64_t idle_ns;
	struct eos_list idle; /* its chains; in the order in which they were last looked at */
	struct chain_stats stats;
	struct chain_stage_stats stages[CHAIN_STAGES_MAX];

	struct eos_list versions;
	struct eos_list node;
	struct chain_limiter logs;
	uintptr_t tag;
	char name[CHAIN_NAME_MAX + 1];
	char *tenant;
};

struct chain_fwp;

/* Made when an FWP sets its first timer. */
struct chain_timers {
	struct sched_heap_node node; /* key: the earliest */
	struct chain_fwp *owner;
	uint32_t set; /* bits */
	uint64_t due_ns[CHAIN_ABI_TIMERS_MAX];
};

enum chain_task { CHAIN_TASK_PACKET, CHAIN_TASK_TIMER };

/* One stage's FWP in one chain: its fwp_context(). */
struct chain_fwp {
	alignas(64) struct fwp *fwp; /* NULL: it could not be made */
	struct chain_stage *stage;   /* changed by the initialisation only */
	uint8_t *memory;	     /* start of the linear memory */
	struct chain *chain;
	/* What it is to do, or has done. */
	uint32_t argument; /* address of the packet; number of the timer */
	uint32_t len;
	uint32_t verdict;
	uint8_t task;  /* enum chain_task */
	bool is_done;  /* it waits for the next one */
	uint8_t index; /* which stage */
	bool is_init;  /* it makes a template: CHAIN is a struct chain on the host's stack */
	struct chain_timers *timers; /* NULL: none was set */
};
static_assert(sizeof(struct chain_fwp) == 64, "a cache line");

struct chain {
	struct chain_template *template;
	struct chain_version *version; /* a reference */
	uint64_t last_ns;	       /* when it was last used */
	uint32_t number;	       /* its place in the pool */
	uint8_t kind;		       /* of its last packet */
	uint8_t stages_count;
	uint8_t missing; /* stages whose FWP could not be made */
	struct chain_fwp *fwps[CHAIN_STAGES_MAX];
	flow_id client;	     /* FLOW_NONE: it is one of the template's fixed ones */
	flow_id outside;     /* its client's address on the out side; FLOW_NONE: none was seen */
	uint32_t generation; /* of its place */
	uint32_t fixed_index;
	uint64_t looked_ns;   /* when it was last looked at, for idle ones */
	struct eos_list node; /* of the template's idle list */
};

/* What tells it from all others that are or were: flows know their chain by this, too. */
static inline uint64_t chain_identity(const struct chain *chain)
{
	return (uint64_t)chain->generation << 32 | chain->number;
}

/* A packet between two stages, or of a timer. The bytes are behind it. */
struct chain_queued {
	uint32_t size; /* with the bytes, and what aligns the next one */
	uint32_t len;  /* QUEUE_SKIP: nothing more until the end of the ring */
	struct chain_fwp *to;
	struct chain_abi_packet head;
};

struct chain_queue {
	char *bytes;
	uint32_t head, tail, used; /* offsets; bytes */
};
int chain_queue_init(struct chain_queue *queue) EOS_MUST_CHECK;
void chain_queue_fini(struct chain_queue *queue);
/* False: there is no room. */
bool chain_queue_put(struct chain_queue *queue, struct chain_fwp *to,
		     const struct chain_abi_packet *head, const void *data, uint32_t len);
/* The first, or NULL; valid until it is removed. */
const struct chain_queued *chain_queue_first(struct chain_queue *queue);
void chain_queue_remove_first(struct chain_queue *queue);

/* A packet of the burst, as far as was found out ahead. */
struct chain_target {
	struct chain_template *template; /* NULL: nobody's */
	struct chain *chain;		 /* NULL: none yet */
	uint64_t hash;
	struct flow_key key;
	uint32_t fixed_index;
	bool has_key; /* of a client */
};

/* What is under way: a burst of packets, or a timer. */
struct chain_run {
	struct chain_fwp *current;    /* who has the processor; NULL: nobody */
	struct chain_abi_packet head; /* of the packet that it handles */
	uint64_t start_ns;	      /* when it began */
	uint64_t end_ns;	      /* of its slice */
	uint64_t cpu_ns;   /* the thread's, at the end of the slice before; 0: it was the first */
	uint64_t until_ns; /* then no more hops are left; 0: its first turn is not over yet */
	unsigned runs_left;
	bool is_late;  /* it used up its time */
	bool has_peer; /* HEAD is of a packet that came in */

	const struct chain_packet *packets;
	unsigned count, next;
	uint64_t now_ns;
	/* The stages that were fetched into the caches last, and of which packet and hop the next
	 * ones will be. */
	struct {
		const struct chain_fwp *c;
		uint32_t len;
	} ahead[CHAIN_AHEAD_MAX];
	unsigned ahead_at, ahead_count, ahead_packet, ahead_hop;
	struct chain_target targets[CHAIN_BURST_MAX];
};

struct chains {
	struct chain_run run;
	struct fwp_engine *engine;
	const struct chains_ops *ops;
	void *ctx;
	struct flow_table *clients; /* value: the chain's number; on both sides */
	struct eos_fast_clock clock;
	uint64_t lost;
	struct flow_table *flows; /* value: number, and generation << 32 */
	struct chain_pool chain_pool, fwp_pool, timer_pool;
	struct chain_queue queue;
	struct sched_heap timers;
	struct eos_list templates;
	unsigned templates_count;
	uint32_t next_id;
	bool is_busy;			      /* inside chains_deliver() or chains_work() */
	uint8_t bounce[CHAIN_ABI_PACKET_MAX]; /* chain_copy.c */
};

/* chain_copy.c: the only place where bytes of guests' memories are read or written. */
/* Puts DATA, which is chain_copy_result()'s of FROM (NULL: it is no guest's), into the slot of TO,
 * with HEAD. -EMSGSIZE: it does not fit; -EFAULT. */
int chain_copy_in(struct chain_fwp *to, const struct chain_abi_packet *head,
		  const struct chain_fwp *from, const uint8_t *data, uint32_t len) EOS_MUST_CHECK;
/* TO gets a turn without a packet: nothing of others is in its shared page. */
void chain_copy_nothing(struct chain_fwp *to);
/* Where FROM's packet is, as its slot says: valid until the next turn. False: not in the slot's
 * buffer, or no length. */
bool chain_copy_result(const struct chain_fwp *from, bool may_be_empty, const uint8_t **ret_data,
		       uint32_t *ret_len);
/* Whether a frame that is somewhere there, LEN bytes of it, begins with the tag of a VLAN. */
bool chain_copy_has_tag(const uint8_t *frame, uint32_t len);
/* Of any memory of a guest. -EFAULT. */
int chain_copy_from(struct fwp *fwp, void *to, uint32_t from, uint32_t len) EOS_MUST_CHECK;
int chain_copy_to(struct fwp *fwp, uint32_t to, const void *from, uint32_t len) EOS_MUST_CHECK;
/* LEN bytes at ADDRESS, to be read once; NULL: not in its memory. */
const uint8_t *chain_copy_look(struct fwp *fwp, uint32_t address, uint32_t len);

/*
 * What a packet touches in C comes into the caches: first one line for each of some FWPs, as most
 * of the time goes for the translation of its address, which is like nobody else's, and processors
 * do several at a time for those who ask for several at once; then the rest.
 */
static inline void chain_copy_prefetch_first(const struct chain_fwp *c)
{
	__builtin_prefetch(c->memory + c->stage->state, 1);
}

static inline void chain_copy_prefetch(const struct chain_fwp *c)
{
	const struct chain_stage *stage = c->stage;
	const uint8_t *state = c->memory + stage->state;
	const uint8_t *data = c->memory + stage->buffer + CHAIN_ABI_HEADROOM;
	for (uint32_t at = 64; at < stage->state_len; at += 64)
		__builtin_prefetch(state + at, 1);
	for (uint32_t at = 64; at <= stage->tables_len; at += 64)
		__builtin_prefetch(c->memory - at, 1);
	__builtin_prefetch(c->memory + stage->slot, 1);
	if (stage->has_page)
		return;
	__builtin_prefetch(data, 1);
	__builtin_prefetch(data + 64, 1);
}

/* The rest of what LEN bytes will. */
static inline void chain_copy_prefetch_bytes(const struct chain_fwp *c, uint32_t len)
{
	const uint8_t *data = c->memory + c->stage->buffer + CHAIN_ABI_HEADROOM;
	if (c->stage->has_page)
		return;
	for (uint32_t at = 128; at < len; at += 64)
		__builtin_prefetch(data + at, 1);
}

/* chain_fwp.c */
/* A turn of each FWP: does what the host has put into its struct chain_fwp. */
void chain_fwp_turn(struct fwp *fwp, void *instance);

/* chain_instance.c: all on the engine's thread, while no FWP runs. */
/* The chain of TEMPLATE that TARGET says: a client's, or a fixed one. NULL: there is no room, which
 * was counted. */
struct chain *chain_new(struct chain_template *template, const struct chain_target *target,
			uint64_t now_ns);
void chain_free(struct chain *chain);
/* Makes it of its template's present version, and with all its FWPs. False: that was not possible.
 */
bool chain_renew(struct chain *chain, uint64_t now_ns);
static inline bool chain_is_ready(const struct chain *chain)
{
	return chain->missing == 0 && chain->version == chain->template->version;
}
/* A dead FWP's place gets a new one, if there is room. */
void chain_fwp_replace(struct chain_fwp *c, uint64_t now_ns);
/* Ends up to COUNT_MAX of TEMPLATE's chains that were idle long enough; looks at no more than
 * CHAIN_IDLE_LOOK_MAX beyond these. Returns how many. */
unsigned chain_reclaim(struct chain_template *template, unsigned count_max, uint64_t now_ns);

/* chain_clients.c */
/* Fills in the keys, hashes and chains, where there are any, of the burst in chains->run. */
void chain_clients_find(struct chains *chains);
/* The chain for packet I, which is ready, or NULL: the packet is dropped and was counted. Makes it
 * if need be, unless MAY_MAKE is false: then *RET_NEEDS says that. */
struct chain *chain_clients_get(struct chains *chains, unsigned i, bool may_make, bool *ret_needs);
/* A frame that leaves by the out side: answers to it are CHAIN's. */
void chain_clients_remember(struct chain *chain, const uint8_t *data, uint32_t len,
			    uint64_t now_ns);

/* PEER is that of the packet which C handles now, and which came in: what stages send to each other
 * can name anybody. */
static inline bool chain_is_current_peer(const struct chains *chains, const struct chain_fwp *c,
					 uint32_t peer)
{
	return chains->run.has_peer && c->task == CHAIN_TASK_PACKET &&
	       chains->run.head.kind != CHAIN_FRAME && chains->run.head.peer == peer;
}

/* chain_run.c */
/* What FWP C, which runs or makes a template, sends besides. As edgeos_packet_send(). */
int chain_run_send(struct chain_fwp *c, uint32_t port, uint32_t peer, uint32_t address,
		   uint32_t len);
void chain_run_timer(struct chains *chains, struct chain_fwp *c, uint32_t id, uint64_t now_ns);

/* chain_streams.c: as the functions for guests of such names. */
int chain_stream_close(struct chain_fwp *c, uint32_t peer);
int chain_stream_shut(struct chain_fwp *c, uint32_t port, uint32_t peer, uint32_t how);
int chain_stream_info(struct chain_fwp *c, uint32_t peer, uint32_t what, uint32_t address,
		      uint32_t size);

/* chain_timers.c */
/* DELAY_NS from now; 0: not at all. */
void chain_timer_set(struct chain_fwp *c, uint32_t id, uint64_t delay_ns, uint64_t now_ns);
void chain_timers_clear(struct chain_fwp *c);
/* Fires those that are due, at most COUNT_MAX, and none after TIME_NS. */
void chain_timers_fire(struct chains *chains, unsigned count_max, uint64_t time_ns,
		       uint64_t now_ns);
uint64_t chain_timers_next_ns(const struct chains *chains);

/* chain_version.c */
extern const char *const chain_sides[2]; /* their names, where ports have none */
int chain_version_new(struct chain_template *template, const struct chain_config *config,
		      struct chain_version **ret_version, struct eos_why *why) EOS_MUST_CHECK;
void chain_version_unref(struct chain_template *template, struct chain_version *version);

/* chain_counters.c */
/* The guest's table, in its initialisation; its values are STEP bytes apart from the address VALUES
 * on. */
int chain_counters_register(struct chain_fwp *c, uint32_t table, uint32_t count, uint32_t values,
			    uint32_t step) EOS_MUST_CHECK;
/* How many bytes it is from the first value to the end of the last one. */
static inline uint64_t chain_counters_len(const struct chain_stage *stage)
{
	return stage->counters_count > 0
		       ? (uint64_t)(stage->counters_count - 1) * stage->counters_step +
				 sizeof(uint64_t)
		       : 0;
}
/* The FWP is about to go: its counters stay in the sums. */
void chain_counters_keep(struct chain_fwp *c);
/* FROM is about to go: TO's sums take over what has the same name in the same stage. */
void chain_counters_fold(struct chain_version *to, const struct chain_version *from);

/* chain_slot.c */
/* What the guest says of its slot, in its initialisation. WANTS_PAGE: it begins a page of its own.
 * -EEXIST, -EINVAL, -EFAULT. */
int chain_slot_set(struct chain_fwp *c, uint32_t address, bool wants_page) EOS_MUST_CHECK;
/* What packets touch besides. -EEXIST, -EINVAL, -EFAULT. */
int chain_slot_set_state(struct chain_fwp *c, uint32_t address, uint32_t len) EOS_MUST_CHECK;
/* The initialisation is over and captured: the slot gets the shared page, where it may. -EINVAL:
 * the guest's counters are in it. */
int chain_slot_share(struct chain_stage *stage, struct eos_why *why) EOS_MUST_CHECK;

/* chain_calls.c */
void chain_log(struct chain_fwp *c, unsigned level, const char *text, size_t len);
/* The value of KEY, or NULL. */
const char *chain_setting(const struct chain_stage *stage, const char *key);

/* chain_wasi.c: WASI, as far as C libraries must have it. */
#define CHAIN_WASI_COUNT 46
extern const struct fwp_import chain_wasi_imports[CHAIN_WASI_COUNT];

static inline struct chains *chain_chains(const struct chain_fwp *c)
{
	return c->chain->template->chains;
}
