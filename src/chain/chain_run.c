/*
 * The way of packets through stages.
 *
 *	engine's thread         the stack for turns
 *	chains_deliver()
 *	  step() ── switch ──►  stage 0: guest's handler
 *	                        next(): pass_on(), the packet enters stage 1
 *	                        stage 1: handler
 *	                        next(): pass_on(), sends; step(), the next packet enters
 *	                        its stage 0: handler …
 *
 * Handlers are called one after the other on the stack that all FWPs for turns share; who is next
 * is decided between them (fwp_run_turns()). The engine's thread has the processor again when
 * somebody died or used up his time, when chains must be made or renewed, and at the end.
 *
 * Invariants
 * 1. run.current is the FWP that has a task which is not done.
 * 2. What the queue holds was caused by the packet, or timer, under way: before the next one begins
 *    it is empty. So nothing in it names a chain that could have been reclaimed.
 * 3. What the host believes of a packet (port, kind, peer) it keeps in run.head. The guest's copy
 *    is not read again, but for address and length.
 *
 * Time. A slice is half of the limit. At its first end the processor time of the thread is noted;
 * who at the next one has used a quarter of the limit since is late, and dies. So neither a machine
 * that stood still nor another process kills a stage, and an endless loop ends at the limit. All
 * that a packet causes has the limit once for each stage, and some more: then no hops are left.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "chain/chain_priv.h"

/* So many hops before its turn the room for a packet is fetched into the caches, and so many
 * packets before it comes what it holds. */
#define AHEAD_BYTES 2u
#define AHEAD_DATA  2u
#define TAG_BYTES   4u /* of VLANs */

static struct chain_stage_stats *stats_of(const struct chain_fwp *c)
{
	return &c->chain->template->stages[c->index];
}

/* The stages that the next packets pass if nobody drops any, at most CHAIN_AHEAD_MAX. */
static void collect_ahead(struct chain_run *run)
{
	unsigned count = 0;
	while (count < CHAIN_AHEAD_MAX && run->ahead_packet < run->count) {
		const struct chain_packet *packet = &run->packets[run->ahead_packet];
		const struct chain *chain = run->targets[run->ahead_packet].chain;
		if (chain == NULL || run->ahead_hop >= chain->stages_count) {
			run->ahead_packet++;
			run->ahead_hop = 0;
			continue;
		}
		unsigned stage = run->ahead_hop++;
		if (packet->side == CHAIN_OUT)
			stage = chain->stages_count - 1u - stage;
		if (chain->fwps[stage]->fwp == NULL)
			continue;
		run->ahead[count].c = chain->fwps[stage];
		run->ahead[count++].len = packet->len;
	}
	run->ahead_count = count;
	run->ahead_at = 0;
}

/*
 * Fetches what the switches to the next stages will touch, for many of them at once: each lives at
 * addresses of its own, which must be translated, and the processor does some of that at a time.
 */
static void __attribute__((noinline)) fetch_ahead(struct chain_run *run)
{
	collect_ahead(run);
	for (unsigned i = 0; i < run->ahead_count; i++)
		chain_copy_prefetch_first(run->ahead[i].c);
	for (unsigned i = 0; i < run->ahead_count; i++)
		chain_copy_prefetch(run->ahead[i].c);
	for (unsigned i = 0; i < run->ahead_count; i++)
		fwp_prefetch(run->ahead[i].c->fwp);
}

/* A hop begins. Where packets are long, the place for the bytes of one of the next is fetched. */
static inline void look_ahead(struct chain_run *run)
{
	if (run->ahead_at == run->ahead_count)
		fetch_ahead(run);
	unsigned next = run->ahead_at++ + AHEAD_BYTES;
	if (next < run->ahead_count)
		chain_copy_prefetch_bytes(run->ahead[next].c, run->ahead[next].len);
}

/* C gets TASK next. */
static void give_task(struct chain_run *run, struct chain_fwp *c, enum chain_task task)
{
	c->task = (uint8_t)task;
	c->is_done = false;
	run->current = c;
	run->cpu_ns = 0;
}

/* The packet, which FROM (NULL: no stage) lets go, enters stage C by PORT. False: it does not fit
 * there, and was counted. */
static bool enter(struct chain_run *run, struct chain_fwp *c, unsigned port,
		  const struct chain_fwp *from, const uint8_t *data, uint32_t len)
{
	struct chain_stage_stats *stats = stats_of(c);
	stats->received++;
	run->head.port = (uint16_t)port;
	if (EOS_UNLIKELY(c->fwp == NULL || chain_copy_in(c, &run->head, from, data, len) < 0)) {
		stats->refused++;
		return false;
	}
	give_task(run, c, CHAIN_TASK_PACKET);
	return true;
}

/* The stage of C's chain that is behind PORT; NULL: PORT leads out of the chain. */
static struct chain_fwp *neighbour(const struct chain_fwp *c, unsigned port)
{
	const struct chain *chain = c->chain;
	if (port == CHAIN_CLIENT && c->index > 0)
		return chain->fwps[c->index - 1];
	if (port == CHAIN_OUT && c->index + 1 < chain->stages_count)
		return chain->fwps[c->index + 1];
	return NULL;
}

/* The port by which its packets come in. */
static unsigned entrance(unsigned port)
{
	return port == CHAIN_CLIENT ? CHAIN_OUT : CHAIN_CLIENT;
}

static int leave(struct chains *chains, const struct chain_fwp *c, unsigned port, uint32_t peer,
		 const uint8_t *data, uint32_t len)
{
	struct chain *chain = c->chain;
	unsigned kind = chains->run.head.kind;
	const struct chain_output output = {
		.template = chain->template,
		.chain = chain_identity(chain),
		.port = port,
		.kind = (uint8_t)kind,
		.peer = peer,
		.is_current_peer = chain_is_current_peer(chains, c, peer),
		.is_verdict = c->is_done, /* else it is in a call */
		.is_last = c->is_done && kind == CHAIN_STREAM &&
			   (chains->run.head.flags & CHAIN_LAST) != 0,
		.stage = c->index,
		.packet = chains->run.next > 0 ? &chains->run.packets[chains->run.next - 1] : NULL,
		.data = data,
		.len = len,
	};
	if (port == CHAIN_OUT && kind == CHAIN_FRAME)
		chain_clients_remember(chain, data, len, chains->run.now_ns);
	int err = chains->ops->send(chains->ctx, &output);
	if (EOS_UNLIKELY(err < 0))
		chain->template->stats.send_failed++;
	return err;
}

/* Where VERDICT lets a packet go that came in by PORT; CHAIN_ABI_PORTS_MAX: there is no such port.
 */
static unsigned port_of(uint32_t verdict, unsigned port, struct chain_stage_stats *stats)
{
	if (EOS_LIKELY(verdict == CHAIN_ABI_FORWARD)) {
		stats->forwarded++;
		return entrance(port);
	}
	if (verdict == CHAIN_ABI_ANSWER) {
		stats->answered++;
		return port;
	}
	if (verdict >= CHAIN_ABI_HOP && verdict < CHAIN_ABI_HOP + CHAIN_ABI_PORTS_MAX) {
		stats->hopped++;
		return verdict - CHAIN_ABI_HOP;
	}
	return CHAIN_ABI_PORTS_MAX;
}

/* Whether LEN bytes may leave by PORT. A frame with a tag may be longer by that, as where it came
 * in. */
static inline bool fits(const struct chain_fwp *c, unsigned port, const uint8_t *data, uint32_t len)
{
	uint32_t max = c->chain->version->mtu[port];
	return EOS_LIKELY(len <= max) ||
	       (len - TAG_BYTES <= max && chain_chains(c)->run.head.kind == CHAIN_FRAME &&
		chain_copy_has_tag(data, len));
}

/* Obeys the verdict of C. True: the packet is in the next stage, which is run.current. */
static bool pass_on(struct chains *chains, struct chain_fwp *c)
{
	struct chain_run *run = &chains->run;
	struct chain_stage_stats *stats = stats_of(c);
	const uint8_t *data;
	uint32_t len;
	if (c->verdict == CHAIN_ABI_DROP) {
		stats->dropped++;
		return false;
	}
	/* The end of a stream has no bytes, and is passed on. */
	bool may_be_empty = run->head.kind == CHAIN_STREAM && (run->head.flags & CHAIN_LAST) != 0;
	if (EOS_UNLIKELY(!chain_copy_result(c, may_be_empty, &data, &len))) {
		stats->refused++;
		return false;
	}
	unsigned port = port_of(c->verdict, run->head.port, stats);
	/* Guests' word for a good checksum is not the host's. */
	run->head.flags &= ~CHAIN_CHECKSUM_GOOD;
	struct chain_fwp *to = neighbour(c, port);
	if (to != NULL && EOS_LIKELY(run->runs_left > 0)) {
		run->runs_left--;
		return enter(run, to, entrance(port), c, data, len);
	}
	if (EOS_UNLIKELY(to != NULL || port >= CHAIN_ABI_PORTS_MAX || !fits(c, port, data, len))) {
		stats->refused++;
		return false;
	}
	(void)leave(chains, c, port, run->head.peer, data, len);
	return false;
}

/* What waits in the queue: true when one of it is in its stage. */
static bool start_queued(struct chains *chains)
{
	struct chain_run *run = &chains->run;
	const struct chain_queued *queued;
	while ((queued = chain_queue_first(&chains->queue)) != NULL) {
		bool has_entered = false;
		run->head = queued->head;
		run->has_peer = false;
		if (run->runs_left > 0) {
			run->runs_left--;
			has_entered = enter(run, queued->to, queued->head.port, NULL,
					    (const uint8_t *)(queued + 1), queued->len);
		} else {
			stats_of(queued->to)->refused++;
		}
		chain_queue_remove_first(&chains->queue);
		if (has_entered)
			return true;
	}
	return false;
}

/* The next packet of the burst. False: dropped. */
static bool start_packet(struct chain_run *run, struct chain *chain,
			 const struct chain_packet *packet)
{
	bool is_back = packet->side == CHAIN_OUT;
	run->runs_left = CHAIN_RUNS_MAX;
	run->until_ns = 0;
	chain->kind = packet->kind;
	run->has_peer = true;
	run->head = (struct chain_abi_packet){
		.kind = packet->kind,
		.flags = packet->flags,
		.peer = packet->peer,
		.time_ns = run->now_ns,
		.peer_port = packet->peer_port,
		.local_port = packet->local_port,
	};
	if (packet->kind != CHAIN_FRAME)
		__builtin_memcpy(run->head.peer_address, packet->peer_address,
				 sizeof(run->head.peer_address));
	if (EOS_UNLIKELY(packet->port != 0))
		/* A version with fewer stages has no streams of the one before. */
		return enter(run, chain->fwps[EOS_MIN(packet->stage, chain->stages_count - 1u)],
			     packet->port, NULL, packet->data, packet->len);
	return enter(run, chain->fwps[is_back ? chain->stages_count - 1 : 0], packet->side, NULL,
		     packet->data, packet->len);
}

/* Another core, or a device, has written the packet's bytes; its headers have been read already. */
static inline void fetch_data(const struct chain_run *run, unsigned i)
{
	if (i >= run->count)
		return;
	const struct chain_packet *packet = &run->packets[i];
	for (uint32_t at = 128; at < packet->len; at += 64)
		__builtin_prefetch(packet->data + at);
}

/*
 * Lets the next packet enter a stage, which is run.current then. False: there is none, or (not
 * ON_ENGINE) it needs something that is done on the engine's thread.
 */
static bool step(struct chains *chains, bool on_engine)
{
	struct chain_run *run = &chains->run;
	if (EOS_UNLIKELY(chains->queue.used > 0) && start_queued(chains))
		return true;
	while (run->next < run->count) {
		bool needs_engine;
		struct chain *chain =
			chain_clients_get(chains, run->next, on_engine, &needs_engine);
		if (needs_engine)
			return false;
		struct chain_template *template = run->targets[run->next].template;
		const struct chain_packet *packet = &run->packets[run->next++];
		fetch_data(run, run->next - 1 + AHEAD_DATA);
		if (template != NULL)
			template->stats.packets++;
		if (run->ahead_packet < run->next) {
			run->ahead_packet = run->next;
			run->ahead_hop = 0;
			run->ahead_at = run->ahead_count;
		}
		if (chain != NULL && start_packet(run, chain, packet))
			return true;
	}
	return false;
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec time;
	/* Fails for clocks that do not exist. */
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * EOS_NS_PER_S + (uint64_t)time.tv_nsec;
}

/* The FWP lost the processor before it was done. True: it goes on until run.end_ns. */
static bool __attribute__((noinline)) goes_on(struct chain_run *run, uint64_t now_ns)
{
	uint64_t timeout_ns = run->current->chain->version->timeout_ns;
	if (now_ns < run->end_ns)
		return true;
	uint64_t cpu_ns = thread_cpu_ns();
	run->is_late = run->cpu_ns != 0 && cpu_ns - run->cpu_ns >= timeout_ns / 4;
	run->cpu_ns = cpu_ns;
	run->end_ns = now_ns + timeout_ns / 2;
	return !run->is_late;
}

/* run.current begins now. */
static struct fwp_turn turn(struct chains *chains, uint64_t now_ns)
{
	struct chain_run *run = &chains->run;
	struct chain_fwp *c = run->current;
	look_ahead(run);
	run->start_ns = now_ns;
	run->end_ns = now_ns + c->chain->version->timeout_ns / 2;
	fwp_engine_set_now(chains->engine, now_ns);
	return (struct fwp_turn){c->fwp, run->end_ns};
}

/* Whose turn is next. */
static struct fwp_turn next(void *ctx, struct fwp *stopped)
{
	struct chains *chains = ctx;
	struct chain_run *run = &chains->run;
	struct chain_fwp *c = run->current;
	uint64_t now_ns = fwp_engine_stopped_ns(chains->engine);
	if (EOS_UNLIKELY(!c->is_done)) {
		if (goes_on(run, now_ns))
			return (struct fwp_turn){stopped, run->end_ns};
		return (struct fwp_turn){NULL, 0};
	}
	stats_of(c)->run_ns += now_ns - run->start_ns;
	run->current = NULL;
	/* Of the burst's time nobody knows how long ago it was. */
	if (run->until_ns == 0)
		run->until_ns = now_ns + CHAIN_RUNS_NS +
				c->chain->stages_count * c->chain->version->timeout_ns;
	else if (EOS_UNLIKELY(now_ns >= run->until_ns))
		run->runs_left = 0;
	bool is_packet = c->task == CHAIN_TASK_PACKET;
	if ((is_packet && pass_on(chains, c)) || step(chains, false))
		return turn(chains, now_ns);
	return (struct fwp_turn){NULL, 0};
}

/* run.current is dead, or shall be. */
static void bury(struct chains *chains)
{
	struct chain_run *run = &chains->run;
	struct chain_fwp *c = run->current;
	struct chain_template *template = c->chain->template;
	struct chain_stage_stats *stats = stats_of(c);
	char place[FWP_PLACE_SIZE];
	stats->died++;
	if (fwp_state(c->fwp) != FWP_DEAD)
		fwp_kill(c->fwp, FWP_DEATH_TIMEOUT, "a packet took longer than allowed");
	if (run->is_late)
		stats->timed_out++;
	if (chains->ops->died != NULL) {
		fwp_death_place(c->fwp, place, sizeof(place));
		chains->ops->died(chains->ctx, template, chain_identity(c->chain), c->index,
				  fwp_death(c->fwp), place);
	}
	run->current = NULL;
	run->is_late = false;
	chain_fwp_replace(c, fwp_engine_stopped_ns(chains->engine));
}

/* Until the packets, or the timer, and all that came of them are through. */
static void run_all(struct chains *chains)
{
	struct chain_run *run = &chains->run;
	uint64_t now_ns = run->now_ns;
	while (run->current != NULL || step(chains, true)) {
		struct fwp_turn first = turn(chains, now_ns);
		(void)fwp_run_turns(first.fwp, first.end_ns, next, chains);
		now_ns = fwp_engine_stopped_ns(chains->engine);
		if (run->current != NULL)
			bury(chains);
	}
}

void chains_deliver(struct chains *chains, const struct chain_packet *packets, unsigned count,
		    uint64_t now_ns)
{
	struct chain_run *run = &chains->run;
	EOS_ASSERT(!chains->is_busy && count <= CHAIN_BURST_MAX);
	chains->is_busy = true;
	run->packets = packets;
	run->count = count;
	run->next = run->ahead_packet = run->ahead_hop = run->ahead_at = run->ahead_count = 0;
	run->now_ns = now_ns;
	chain_clients_find(chains);
	run_all(chains);
	run->count = run->next = 0;
	chains->is_busy = false;
}

void chain_run_timer(struct chains *chains, struct chain_fwp *c, uint32_t id, uint64_t now_ns)
{
	struct chain_run *run = &chains->run;
	run->now_ns = now_ns;
	run->runs_left = CHAIN_RUNS_MAX;
	run->until_ns = 0;
	run->head = (struct chain_abi_packet){.kind = c->chain->kind, .time_ns = now_ns};
	c->argument = id;
	chain_copy_nothing(c);
	give_task(run, c, CHAIN_TASK_TIMER);
	run_all(chains);
}

int chain_run_send(struct chain_fwp *c, uint32_t port, uint32_t peer, uint32_t address,
		   uint32_t len)
{
	if (c->is_init || port >= CHAIN_ABI_PORTS_MAX || c->chain->version->mtu[port] == 0)
		return -EBADF;
	struct chains *chains = chain_chains(c);
	struct chain_run *run = &chains->run;
	struct chain_stage_stats *stats = stats_of(c);
	if (len == 0)
		return -EINVAL;
	if (len > CHAIN_ABI_PACKET_MAX || len > c->chain->version->mtu[port] + TAG_BYTES)
		return -EMSGSIZE;
	const uint8_t *data = chain_copy_look(c->fwp, address, len);
	if (data == NULL)
		return -EFAULT;
	if (!fits(c, port, data, len))
		return -EMSGSIZE;
	struct chain_fwp *to = neighbour(c, port);
	if (to != NULL) {
		struct chain_abi_packet head = {
			.port = (uint16_t)entrance(port),
			.kind = run->head.kind,
			.peer = peer,
			.time_ns = run->head.time_ns,
		};
		if (!chain_queue_put(&chains->queue, to, &head, data, len)) {
			stats->full++;
			return -EAGAIN;
		}
	} else {
		int err = leave(chains, c, port, peer, data, len);
		if (err == -EAGAIN)
			stats->full++;
		if (err < 0)
			return err;
	}
	stats->sent++;
	return 0;
}
