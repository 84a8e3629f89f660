/*
 * Packets of any length through random chains of stages, with slots in the shared page or not, at
 * all places in it, which move them about, cut them, add to them, answer, and send copies besides
 * (fixtures/chain_moves.h). What leaves is compared with what a model of all that says.
 *
 * CHAIN_MOVES=N: so many rounds; CHAIN_MOVES_SEED: others.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "chain/fixtures/chain_moves.h"
#include "chain/fixtures/chain_page_fixture.h"

#define TEMPLATES    3u
#define STAGES_MAX   4u
#define CLIENTS	     3u
#define ARENA	     (8u * 4096u)
#define BURST	     16u
#define BURSTS	     8u
#define ROUNDS	     60u
#define WAITING_MAX  256u
#define CAPACITY_MAX 12000u

struct model_packet {
	unsigned template, client, stage, port;
	uint32_t peer, len;
	uint8_t data[CAPACITY_MAX];
};

/* The state of the model: as the engine's, but with plain arrays. */
static struct {
	struct page_stage stages[TEMPLATES][STAGES_MAX];
	unsigned counts[TEMPLATES];
	uint32_t seen[TEMPLATES][CLIENTS][STAGES_MAX];
	uint64_t packets[TEMPLATES][STAGES_MAX], refused[TEMPLATES][STAGES_MAX];
	struct model_packet *waiting; /* WAITING_MAX, of which some are gone */
	unsigned first, last;
	struct model_packet *left; /* FIXTURE_SENT_MAX */
	unsigned left_count;
} model;

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
	return (uint32_t)(chain_move_mix(random_state++) % limit);
}

/* --- the model --- */

static void leave(const struct model_packet *packet)
{
	assert_true(model.left_count < FIXTURE_SENT_MAX);
	model.left[model.left_count++] = *packet;
}

/* PACKET by PORT of STAGE: true: it is before the next one. */
static bool go(struct model_packet *packet, unsigned stage, unsigned port)
{
	unsigned count = model.counts[packet->template];
	packet->stage = port == CHAIN_OUT ? stage + 1 : stage - 1;
	packet->port = port == CHAIN_OUT ? CHAIN_CLIENT : CHAIN_OUT;
	if (packet->stage < count)
		return true;
	packet->port = port;
	leave(packet);
	return false;
}

/* PACKET is before its stage. True: before another one now. */
static bool pass(struct model_packet *packet)
{
	unsigned i = packet->stage, t = packet->template;
	const struct page_stage *stage = &model.stages[t][i];
	uint32_t *seen = &model.seen[t][packet->client][i];
	if (packet->len > EOS_MIN(stage->capacity - CHAIN_ABI_HEADROOM, CHAIN_ABI_PACKET_MAX)) {
		model.refused[t][i]++;
		return false;
	}
	model.packets[t][i]++;
	++*seen;
	struct chain_move m = chain_move_of(stage->moves, *seen, 4096 - stage->buffer,
					    stage->capacity, packet->len);
	for (uint32_t k = packet->len; k < m.len; k++)
		packet->data[k] = chain_move_pad(k, *seen);
	packet->len = m.len;
	for (uint32_t k = 0; k < m.len; k++)
		packet->data[k] ^= (uint8_t)stage->id;
	unsigned port = m.answers ? packet->port : 1u - packet->port;
	if (m.sends) {
		struct model_packet *copy = &model.waiting[model.last];
		assert_true(model.last < WAITING_MAX);
		*copy = *packet;
		copy->peer = 7;
		model.last += go(copy, i, port);
		for (uint32_t k = 0; k < m.len; k++)
			packet->data[k] ^= 0x80;
	}
	return go(packet, i, port);
}

static void pass_all(struct model_packet *packet)
{
	while (pass(packet))
		;
	/* What stages sent to each other waits behind it. */
	while (model.first < model.last) {
		struct model_packet *waiting = &model.waiting[model.first++];
		while (pass(waiting))
			;
	}
	model.first = model.last = 0;
}

/* --- chains --- */

static struct page_stage random_stage(unsigned i)
{
	struct page_stage stage = {
		.id = (char)('a' + i),
		.has_page = random_below(4) != 0,
		.is_dirty = random_below(4) != 0,
		.moves = 1 + random_below(1u << 30),
	};
	static const uint32_t capacities[] = {192,
					      193,
					      256,
					      2240,
					      4032,
					      4033,
					      4096,
					      CHAIN_ABI_HEADROOM + 9600 + 64,
					      CHAIN_ABI_HEADROOM + CHAIN_ABI_PACKET_MAX,
					      CAPACITY_MAX};
	stage.capacity = random_below(3) == 0 ? 192 + random_below(CAPACITY_MAX - 192)
					      : capacities[2 + random_below(8)];
	if (random_below(8) == 0)
		stage.capacity = capacities[random_below(3)];
	stage.slot = stage.has_page ? 4096 * random_below(3) : 8 * random_below(1500);
	uint32_t far = 4096 - 192 - 64;
	uint32_t buffers[] = {0, 1, far, far - 1, random_below(far + 1)};
	stage.buffer = 64 + buffers[random_below(5)];
	assert_true(stage.slot + stage.buffer + stage.capacity <= ARENA);
	return stage;
}

static struct chain_template *random_chain(struct fixture *f, unsigned t)
{
	char name[2] = {(char)('x' + t), '\0'};
	unsigned before = model.counts[t];
	model.counts[t] = 1 + random_below(STAGES_MAX);
	for (unsigned i = 0; i < model.counts[t]; i++) {
		model.stages[t][i] = random_stage(i);
		/* Those that the version before did not have. */
		if (i >= before)
			model.packets[t][i] = model.refused[t][i] = 0;
	}
	memset(model.seen[t], 0, sizeof(model.seen[t]));
	return page_apply(f, &(struct page_chain){.name = name,
						  .stages = model.stages[t],
						  .count = model.counts[t]});
}

/* About where something ends: the slot, the page, the longest packet; or any. */
static uint32_t random_len(unsigned t)
{
	const struct page_stage *stage = &model.stages[t][random_below(model.counts[t])];
	const uint32_t borders[] = {
		1 + 2,
		64,
		1500,
		stage->capacity - CHAIN_ABI_HEADROOM,
		4096 - CHAIN_ABI_HEADROOM - EOS_MIN(stage->buffer, 3968u),
		4096,
		CHAIN_ABI_PACKET_MAX,
	};
	uint32_t len = random_below(3) == 0 ? 1 + random_below(CHAIN_ABI_PACKET_MAX)
					    : borders[random_below(7)] + random_below(5) - 2;
	return EOS_MIN(EOS_MAX(len, 1u), CHAIN_ABI_PACKET_MAX);
}

static void compare(const struct fixture *f)
{
	for (unsigned i = 0; i < EOS_MIN(f->sent_count, model.left_count); i++) {
		const struct sent *sent = &f->sent[i];
		const struct model_packet *left = &model.left[i];
		assert_int_equal(sent->port, left->port);
		assert_int_equal(sent->peer, left->peer);
		assert_int_equal(sent->len, left->len);
		assert_memory_equal(sent->data, left->data, left->len);
	}
	assert_int_equal(f->sent_count, model.left_count);
}

static void burst(struct fixture *f, struct chain_template *const templates[TEMPLATES])
{
	static struct model_packet packets[BURST], copy;
	struct chain_packet burst[BURST];
	model.left_count = 0;
	for (unsigned i = 0; i < BURST; i++) {
		struct model_packet *packet = &packets[i];
		unsigned t = random_below(TEMPLATES);
		*packet = (struct model_packet){.template = t, .client = random_below(CLIENTS)};
		packet->len = random_len(t);
		packet->peer = 1 + packet->client;
		for (uint32_t k = 0; k < packet->len; k++)
			packet->data[k] =
				(uint8_t)(chain_move_mix(random_state + k / 8) >> k % 8 * 8);
		/* Answers have a chain when there was a packet before. */
		bool is_back = model.seen[t][packet->client][0] > 0 && random_below(3) == 0;
		packet->port = is_back ? CHAIN_OUT : CHAIN_CLIENT;
		packet->stage = is_back ? model.counts[t] - 1 : 0;
		burst[i] = (struct chain_packet){.data = packet->data,
						 .len = packet->len,
						 .kind = CHAIN_DATAGRAM,
						 .side = (uint8_t)packet->port,
						 .template = templates[t]};
		page_set_client(&burst[i], 1 + packet->client);
		copy = *packet;
		pass_all(&copy);
	}
	page_deliver(f, burst, BURST);
	compare(f);
}

static void check_counts(struct fixture *f, struct chain_template *const templates[TEMPLATES])
{
	for (unsigned t = 0; t < TEMPLATES; t++) {
		page_assert_clean(templates[t], model.counts[t]);
		for (unsigned i = 0; i < STAGES_MAX; i++) {
			struct chain_stage_stats stats = {0};
			if (i >= model.counts[t])
				continue;
			assert_int_equal(chain_template_stage_stats(templates[t], i, &stats), 0);
			assert_int_equal(stats.received - stats.refused, model.packets[t][i]);
			assert_int_equal(stats.refused, model.refused[t][i]);
			assert_int_equal(stats.full, 0);
		}
	}
	assert_int_equal(f->died_count, 0);
}

static void any_chain_passes_packets_on(void **state)
{
	struct fixture *f = *state;
	struct chain_template *templates[TEMPLATES];
	const char *text = getenv("CHAIN_MOVES"), *seed = getenv("CHAIN_MOVES_SEED");
	unsigned rounds = text != NULL ? (unsigned)strtoul(text, NULL, 10) : ROUNDS, left = 0;
	random_state = seed != NULL ? strtoull(seed, NULL, 10) : 20261122;
	memset(&model, 0, sizeof(model));
	model.waiting = calloc(WAITING_MAX, sizeof(*model.waiting));
	model.left = calloc(FIXTURE_SENT_MAX, sizeof(*model.left));
	assert_true(model.waiting != NULL && model.left != NULL);
	for (unsigned round = 0; round < rounds; round++) {
		/* Some of them change, and their clients' chains with the next packet. */
		for (unsigned t = 0; t < TEMPLATES; t++)
			if (round == 0 || random_below(3) != 0)
				templates[t] = random_chain(f, t);
		/* As they send what leaves. */
		f->is_interrupting = random_below(2) == 0;
		for (unsigned i = 0; i < BURSTS; i++) {
			burst(f, templates);
			left += model.left_count;
		}
		check_counts(f, templates);
	}
	/* It was not about nothing. */
	assert_true(f->interrupted_count > rounds);
	assert_true(left > rounds * BURST * BURSTS / 4);
	free(model.waiting);
	free(model.left);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(any_chain_passes_packets_on, fixture_setup,
						fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
