/* Which chain a packet is for, and how many there are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "chain/fixtures/chain_fixture.h"

static void clients_have_their_own(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "ab"});
	for (unsigned i = 1; i <= 3; i++)
		for (unsigned client = 1; client <= 20; client++)
			assert_int_equal(tell(f, client, '-', 0)->data[SEEN], i);
	assert_int_equal(stats(f).chains, 20);
	assert_int_equal(stats(f).started, 20);
	assert_true(stats(f).start_ns > 0);
	/* What comes back is for them too; to others it is for nobody. */
	assert_int_equal(tell_back(f, 5, '-', 0)->data[SEEN], 4);
	assert_null(tell_back(f, 21, '-', 0));
	assert_int_equal(stats(f).no_chain, 1);
	/* No address: nobody's. */
	uint8_t data[FRAME_BYTES] = {[12] = 0x88};
	assert_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	assert_int_equal(stats(f).no_chain, 2);
}

static void tenant_has_one(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "a", .isolation = CHAIN_PER_TENANT});
	for (unsigned i = 1; i <= 20; i++)
		assert_int_equal(tell(f, i, '-', 0)->data[SEEN], i);
	assert_int_equal(tell_back(f, 5, '-', 0)->data[SEEN], 21);
	assert_int_equal(stats(f).chains, 1);
}

static void fixed_number_is_spread_by_flow(void **state)
{
	struct fixture *f = *state;
	uint64_t chains[100];
	uint64_t seen = 0;
	fixture_apply(f, &(struct stages){.ids = "a", .isolation = CHAIN_FIXED, .fixed_count = 8});
	for (unsigned client = 0; client < 100; client++) {
		chains[client] = tell(f, client, '-', 0)->chain;
		seen |= UINT64_C(1) << chains[client];
	}
	assert_int_equal(__builtin_popcountll(seen), 8);
	assert_int_equal(stats(f).chains, 8);
	for (unsigned client = 0; client < 100; client++) {
		assert_int_equal(tell(f, client, '-', 0)->chain, chains[client]);
		assert_int_equal(tell_back(f, client, '-', 0)->chain, chains[client]);
	}
}

/* A frame from outside, for which nobody says the template. */
static const struct sent *deliver_unknown(struct fixture *f, unsigned to)
{
	uint8_t data[FRAME_BYTES];
	frame(data, to, true);
	memcpy(data + COMMAND, "Na", 2);
	const struct chain_packet packet = {
		.data = data, .len = sizeof(data), .side = CHAIN_OUT, .domain = 2};
	unsigned before = f->sent_count;
	chains_deliver(f->chains, &packet, 1, ++f->now_ns);
	return f->sent_count > before ? &f->sent[f->sent_count - 1] : NULL;
}

static void answers_find_who_translated_addresses(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "ab"});
	for (unsigned client = 1; client <= 9; client++) {
		const struct sent *sent = tell(f, client, 'a', 'n');
		assert_int_equal(sent->data[29], 100 + client);
		uint64_t chain = sent->chain;
		/* The answer is to the translated address, and goes back to the client's. */
		sent = deliver_unknown(f, 100 + client);
		assert_non_null(sent);
		assert_int_equal(sent->chain, chain);
		assert_int_equal(sent->port, CHAIN_CLIENT);
		assert_int_equal(sent->data[33], client);
	}
	/* An answer confirms a flow: no flood pushes it out. */
	struct flow_table_stats flows;
	flow_table_stats(f->chains->flows, &flows);
	assert_int_equal(flows.flows, 9);
	assert_int_equal(flows.confirmed, 9);
	assert_null(deliver_unknown(f, 150));
	assert_int_equal(chains_lost(f->chains), 1);
	/* 4's chain sends as 5 did: 5 keeps its answers. */
	uint64_t five = tell(f, 5, 'a', 'n')->chain;
	uint8_t data[FRAME_BYTES];
	frame(data, 5, false);
	struct flow_packet headers;
	data[29] = 105;
	flow_parse(data, sizeof(data), &headers);
	struct chain *four = NULL;
	EOS_LIST_FOR_EACH (node, &f->template->idle) {
		struct chain *chain = EOS_CONTAINER_OF(node, struct chain, node);
		if (chain_identity(chain) != five)
			four = chain;
	}
	chain_clients_remember(four, data, sizeof(data), f->now_ns);
	assert_int_equal(deliver_unknown(f, 105)->chain, five);
	/* Without its template nobody knows anything. */
	assert_int_equal(chain_template_remove(f->chains, "chain"), 0);
	assert_null(deliver_unknown(f, 105));
}

/* How many flows, each answered, are remembered for the first of all instances. */
static uint32_t remembered(struct fixture *f, enum chain_isolation isolation)
{
	fixture_apply(f, &(struct stages){.ids = "a", .isolation = isolation});
	(void)tell(f, 1, '-', 0);
	struct chain *chain = EOS_CONTAINER_OF(f->template->idle.next, struct chain, node);
	struct flow_table_stats before, after;
	flow_table_stats(f->chains->flows, &before);
	for (uint32_t i = 0; i < before.flows_max; i++) {
		uint8_t data[FRAME_BYTES], source[4] = {10, 9, (uint8_t)(i >> 8), (uint8_t)i};
		frame(data, 1, false);
		memcpy(data + 26, source, 4);
		chain_clients_remember(chain, data, sizeof(data), f->now_ns);
		frame(data, 1, true);
		memcpy(data + 30, source, 4);
		chain_clients_remember(chain, data, sizeof(data), f->now_ns);
	}
	flow_table_stats(f->chains->flows, &after);
	return after.confirmed - before.confirmed;
}

static void shares_of_flows(void **state)
{
	struct fixture *f = *state;
	struct flow_table_stats flows;
	flow_table_stats(f->chains->flows, &flows);
	uint32_t share = flows.flows_max / 16, one = remembered(f, CHAIN_PER_CLIENT);
	assert_in_range(one, share, share);
	assert_int_equal(remembered(f, CHAIN_PER_TENANT), 4 * one);
}

static void answers_find_clients_by_their_address(void **state)
{
	struct fixture *f = *state;
	struct flow_packet headers;
	uint8_t data[FRAME_BYTES];
	fixture_apply(f, &(struct stages){.ids = "a"});
	frame(data, 3, true);
	flow_parse(data, sizeof(data), &headers);
	assert_null(deliver_unknown(f, 3));
	assert_false(chains_knows_flow(f->chains, 2, &headers));
	uint64_t chain = tell(f, 3, '-', 0)->chain;
	assert_true(chains_knows_flow(f->chains, 2, &headers));
	assert_false(chains_knows_flow(f->chains, 1, &headers));
	const struct sent *sent = deliver_unknown(f, 3);
	assert_non_null(sent);
	assert_int_equal(sent->chain, chain);
	/* Of that nothing is in the table of flows. */
	struct flow_table_stats flows;
	flow_table_stats(f->chains->flows, &flows);
	assert_int_equal(flows.flows, 0);
}

/* An ARP request of the client, or the answer to it. */
static void arp_frame(uint8_t out[FRAME_BYTES], unsigned client, bool is_back)
{
	static const uint8_t head[] = {0x08, 0x06, 0, 1, 8, 0, 6, 4, 0};
	const uint8_t near[] = {10, 0, 0, (uint8_t)client}, far[] = {192, 0, 2, 1};
	memset(out, 0, FRAME_BYTES);
	memcpy(out + 12, head, sizeof(head));
	out[21] = is_back ? 2 : 1;
	memcpy(out + 28, is_back ? far : near, 4);
	memcpy(out + 38, is_back ? near : far, 4);
}

static bool deliver_arp_answer(struct fixture *f, unsigned client, uint64_t *ret_chain)
{
	uint8_t data[FRAME_BYTES];
	arp_frame(data, client, true);
	const struct chain_packet packet = {
		.data = data, .len = sizeof(data), .side = CHAIN_OUT, .domain = 2};
	unsigned before = f->sent_count;
	chains_deliver(f->chains, &packet, 1, ++f->now_ns);
	if (f->sent_count == before)
		return false;
	*ret_chain = f->sent[before].chain;
	return f->sent[before].port == CHAIN_CLIENT;
}

/* A client that is asked for on its link, and asks, does so through its own chain. */
static void arp_is_the_clients(void **state)
{
	struct fixture *f = *state;
	uint8_t data[FRAME_BYTES];
	uint64_t chain;
	fixture_apply(f, &(struct stages){.ids = "ab"});
	uint64_t number = tell(f, 3, '-', 0)->chain;
	/* Where clients' ARP goes another way, what is for them does, too. */
	assert_false(deliver_arp_answer(f, 3, &chain));
	fixture_apply(f, &(struct stages){.ids = "ab", .takes_arp = true});
	assert_true(deliver_arp_answer(f, 3, &chain));
	assert_int_equal(chain, number);
	arp_frame(data, 3, false);
	const struct sent *sent = deliver(f, data, sizeof(data), CHAIN_CLIENT);
	assert_non_null(sent);
	assert_int_equal(sent->chain, number);
	assert_int_equal(sent->port, CHAIN_OUT);
	/* It may be the first that is heard of a client. */
	arp_frame(data, 4, false);
	sent = deliver(f, data, sizeof(data), CHAIN_CLIENT);
	assert_non_null(sent);
	number = sent->chain;
	assert_true(deliver_arp_answer(f, 4, &chain));
	assert_int_equal(chain, number);
	assert_int_equal(tell(f, 4, '-', 0)->chain, number);
	assert_int_equal(stats(f).chains, 2);
	/* Nobody asks for who has never been heard of. */
	assert_false(deliver_arp_answer(f, 5, &chain));
}

/* Who gets the place of one that is gone is not taken for him by those who had to do with him. */
static void chains_are_told_apart(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "a", .idle_ns = EOS_NS_PER_S});
	uint64_t before = tell(f, 1, '-', 0)->chain;
	assert_int_equal(tell(f, 1, '-', 0)->chain, before);
	f->now_ns += 3 * EOS_NS_PER_S;
	(void)chains_work(f->chains, f->now_ns);
	assert_int_equal(stats(f).chains, 0);
	uint64_t chain = tell(f, 2, '-', 0)->chain;
	assert_int_equal((uint32_t)chain, (uint32_t)before);
	assert_int_not_equal(chain, before);
}

static void idle_chains_are_reclaimed(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "ab", .idle_ns = EOS_NS_PER_S});
	for (unsigned client = 1; client <= 30; client++)
		assert_non_null(tell(f, client, '-', 0));
	/* Half of them goes on. */
	for (unsigned i = 0; i < 6; i++) {
		f->now_ns += EOS_NS_PER_S / 2;
		for (unsigned client = 1; client <= 15; client++)
			assert_non_null(tell(f, client, '-', 0));
		(void)chains_work(f->chains, f->now_ns);
		(void)chains_work(f->chains, f->now_ns);
	}
	assert_int_equal(stats(f).chains, 15);
	assert_int_equal(stats(f).reclaimed, 15);
	assert_int_equal(tell(f, 7, '-', 0)->data[SEEN], 8);
	assert_int_equal(tell(f, 20, '-', 0)->data[SEEN], 1);
	/* In the end all go, and their FWPs. */
	for (unsigned i = 0; i < 8; i++)
		(void)chains_work(f->chains, f->now_ns += EOS_NS_PER_S);
	assert_int_equal(stats(f).chains, 0);
	struct fwp_engine_stats engine;
	fwp_engine_stats(f->engine, &engine);
	assert_int_equal(engine.alive, 0);
	assert_null(tell_back(f, 7, '-', 0));
}

static void limits_hold(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "a", .chains_max = 10, .idle_ns = EOS_NS_PER_S});
	for (unsigned client = 1; client <= 20; client++)
		assert_int_equal(tell(f, client, '-', 0) != NULL, client <= 10);
	assert_int_equal(stats(f).limit, 10);
	assert_int_equal(stats(f).chains, 10);
	/* A new one gets the place of one that was idle long enough. */
	f->now_ns += 2 * EOS_NS_PER_S;
	assert_non_null(tell(f, 30, '-', 0));
	assert_int_equal(stats(f).reclaimed, 1);
	/* All chains there are: 64. */
	fixture_apply(f, &(struct stages){.ids = "a"});
	for (unsigned client = 1; client <= 100; client++)
		(void)tell(f, client, '-', 0);
	assert_int_equal(stats(f).chains, 64);
	/* All FWPs there are: 256; of which none is lost by chains that could not be made. */
	fixture_apply(f, &(struct stages){.ids = "abcdefg"});
	f->sent_count = 0;
	for (unsigned round = 0; round < 3; round++)
		for (unsigned client = 1; client <= 100; client++)
			(void)tell(f, client, '-', 0);
	assert_int_equal(f->sent_count % 3, 0);
	assert_true(f->sent_count / 3 >= 30 && f->sent_count / 3 <= 36);
	struct fwp_engine_stats engine;
	fwp_engine_stats(f->engine, &engine);
	assert_true(engine.alive <= 256);
}

static void place_is_clean_for_the_next_client(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "a", .chains_max = 1, .idle_ns = 1});
	for (unsigned i = 0; i < 300; i++)
		assert_int_equal(tell(f, i % 250, '-', 0)->data[SEEN], 1);
	assert_int_equal(stats(f).chains, 1);
	assert_int_equal(stats(f).started, 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(clients_have_their_own),
		TEST(tenant_has_one),
		TEST(fixed_number_is_spread_by_flow),
		TEST(answers_find_who_translated_addresses),
		TEST(shares_of_flows),
		TEST(answers_find_clients_by_their_address),
		TEST(arp_is_the_clients),
		TEST(chains_are_told_apart),
		TEST(idle_chains_are_reclaimed),
		TEST(limits_hold),
		TEST(place_is_clean_for_the_next_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
