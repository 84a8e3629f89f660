/*
 * Random changes of a flow table against a model that looks at all of its flows each time. Time is
 * a number.
 *
 *     flow_table_model_test [SEED [STEPS]]
 *
 * The seed is printed; it repeats a run.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "flow/flow_table_priv.h"

#define KEYS	    300u
#define SOURCES	    12u
#define STEPS	    60000u
#define EXPIRED_MAX KEYS

static unsigned long run_seed;
static unsigned long run_steps = STEPS;

/* What the model knows of a key. */
struct known {
	struct flow_key key;
	uint64_t hash;
	uint64_t source, value, seen_ns, placed_ns;
	uint64_t order; /* of being placed */
	flow_id id;
	bool is_there, is_confirmed;
	unsigned seen;
};

struct model {
	struct flow_table_config config;
	struct flow_table *table;
	struct known keys[KEYS];
	uint64_t now_ns, orders;
	uint64_t told_ns; /* the latest that the table was told */
	uint32_t flows;
	struct flow_table_stats stats;
	/* Who went, by the table's word and by the model's; indices. */
	uint32_t expired[EXPIRED_MAX], expected[EXPIRED_MAX];
	uint32_t expired_count, expected_count;
};

static uint32_t pick(uint32_t count)
{
	return (uint32_t)random() % count;
}

/* The time that a call passes: sometimes the clock of who calls is behind. */
static uint64_t tell(struct model *m)
{
	uint64_t now_ns = pick(10) == 0 ? m->now_ns - pick(1000) : m->now_ns;

	m->told_ns = EOS_MAX(m->told_ns, now_ns);
	return now_ns;
}

static uint64_t idle_of(const struct model *m, const struct known *k)
{
	if (k->is_confirmed || m->config.idle_new_ns == 0)
		return m->config.idle_ns == 0 ? UINT64_MAX : m->config.idle_ns;
	return m->config.idle_new_ns;
}

static uint64_t due_of(const struct model *m, const struct known *k)
{
	uint64_t idle = idle_of(m, k);

	return idle == UINT64_MAX ? UINT64_MAX : k->seen_ns + idle;
}

/* The one that was placed first; SOURCE NULL: of any. */
static struct known *first_of(struct model *m, bool is_confirmed, const uint64_t *source)
{
	struct known *first = NULL;

	for (uint32_t i = 0; i < KEYS; i++) {
		struct known *k = &m->keys[i];

		if (!k->is_there || k->is_confirmed != is_confirmed)
			continue;
		if (source != NULL && k->source != *source)
			continue;
		if (first == NULL || k->order < first->order)
			first = k;
	}
	return first;
}

static void place_known(struct model *m, struct known *k)
{
	k->placed_ns = k->seen_ns;
	k->order = ++m->orders;
}

static void drop_known(struct model *m, struct known *k)
{
	assert_true(k->is_there);
	k->is_there = false;
	m->flows--;
}

static void expect_expired(struct model *m, struct known *k)
{
	drop_known(m, k);
	m->expected[m->expected_count++] = (uint32_t)(k - m->keys);
}

static void on_expired(void *ctx, const struct flow_key *key, uint64_t value)
{
	struct model *m = ctx;
	uint32_t index;

	memcpy(&index, key->low, sizeof(index));
	assert_in_range(index, 0, KEYS - 1);
	assert_memory_equal(key, &m->keys[index].key, sizeof(*key));
	assert_int_equal(value, m->keys[index].value);
	assert_in_range(m->expired_count, 0, EXPIRED_MAX - 1);
	m->expired[m->expired_count++] = index;
}

/* The same went. */
static void check_expired(struct model *m)
{
	assert_int_equal(m->expired_count, m->expected_count);
	assert_memory_equal(m->expired, m->expected, m->expired_count * sizeof(m->expired[0]));
	m->expired_count = m->expected_count = 0;
}

static struct known *due_known(struct model *m)
{
	for (unsigned confirmed = 0; confirmed < 2; confirmed++) {
		struct known *k = first_of(m, confirmed == 1, NULL);

		if (k != NULL && due_of(m, k) <= m->told_ns)
			return k;
	}
	return NULL;
}

/* The one that goes has been idle for longer than any other of its state, but for the grain. */
static void expect_evicted(struct model *m, struct known *k, const uint64_t *source)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		const struct known *other = &m->keys[i];

		if (other->is_there && other->is_confirmed == k->is_confirmed &&
		    (source == NULL || other->source == *source))
			assert_true(k->seen_ns <=
				    other->seen_ns + idle_of(m, other) / FLOW_TABLE_GRAINS);
	}
	assert_true(!k->is_confirmed || m->config.when_full == FLOW_EVICT_ANY);
	expect_expired(m, k);
	m->stats.evicted++;
}

static int expect_room(struct model *m, uint64_t source)
{
	bool may_evict = m->config.when_full != FLOW_REFUSE;
	uint32_t count = 0;

	for (uint32_t i = 0; i < KEYS; i++)
		count += m->keys[i].is_there && m->keys[i].source == source;
	if (m->config.per_source_max != 0 && count >= m->config.per_source_max) {
		struct known *own = first_of(m, false, &source);

		if (!may_evict || own == NULL) {
			m->stats.refused_source++;
			return -EDQUOT;
		}
		expect_evicted(m, own, &source);
	}
	if (m->flows < m->config.flows_max)
		return 0;
	struct known *due = due_known(m), *idlest = first_of(m, false, NULL);

	if (idlest == NULL && m->config.when_full == FLOW_EVICT_ANY)
		idlest = first_of(m, true, NULL);
	if (due != NULL) {
		expect_expired(m, due);
		m->stats.aged++;
		return 0;
	}
	if (may_evict && idlest != NULL) {
		expect_evicted(m, idlest, NULL);
		return 0;
	}
	m->stats.refused_full++;
	return -ENOSPC;
}

static void step_add(struct model *m, struct known *k)
{
	uint64_t source = pick(4) == 0 ? 0 : pick(SOURCES), value = (uint64_t)random();
	uint64_t now_ns = tell(m);
	int expected = k->is_there ? -EEXIST : expect_room(m, source);
	flow_id id = FLOW_NONE;

	assert_int_equal(flow_table_add(m->table, &k->key, k->hash, source, value, now_ns, &id),
			 expected);
	check_expired(m);
	if (expected < 0) {
		assert_int_equal(id, FLOW_NONE);
		return;
	}
	k->is_there = true;
	k->is_confirmed = false;
	k->seen = 0;
	k->source = source;
	k->value = value;
	k->seen_ns = m->told_ns;
	k->id = id;
	place_known(m, k);
	m->flows++;
	m->stats.added++;
	/* Nobody else has that place. */
	for (uint32_t i = 0; i < KEYS; i++)
		assert_true(&m->keys[i] == k || !m->keys[i].is_there || m->keys[i].id != id);
}

static void confirm_known(struct model *m, struct known *k)
{
	if (k->is_confirmed)
		return;
	k->is_confirmed = true;
	k->seen_ns = m->told_ns;
	place_known(m, k);
}

static void step_touch(struct model *m, struct known *k)
{
	bool to_high = pick(8) == 0 || (k->key.low[0] & 1) != 0;

	if (!k->is_there)
		return;
	flow_table_touch(m->table, k->id, to_high, tell(m));
	k->seen_ns = m->told_ns;
	k->seen |= to_high ? 1 : 2;
	if (k->seen == 3 && !k->is_confirmed)
		confirm_known(m, k);
	else if (k->seen_ns - k->placed_ns >= idle_of(m, k) / FLOW_TABLE_GRAINS)
		place_known(m, k);
}

static void step_change(struct model *m, struct known *k)
{
	if (!k->is_there)
		return;
	switch (pick(4)) {
	case 0:
		flow_table_remove(m->table, k->id);
		drop_known(m, k);
		m->stats.removed++;
		break;
	case 1:
		flow_table_confirm(m->table, k->id);
		confirm_known(m, k);
		break;
	default:
		k->value = (uint64_t)random();
		flow_table_set(m->table, k->id, k->value);
		break;
	}
}

static void step_age(struct model *m)
{
	uint32_t count_max = pick(3) == 0 ? UINT32_MAX : pick(4), count = 0;
	uint64_t now_ns = tell(m);
	struct known *k;

	while (count < count_max && (k = due_known(m)) != NULL) {
		assert_true(m->told_ns - k->seen_ns >= idle_of(m, k));
		expect_expired(m, k);
		count++;
	}
	m->stats.aged += count;
	assert_int_equal(flow_table_age(m->table, now_ns, count_max), count);
	check_expired(m);
	for (uint32_t i = 0; count < count_max && i < KEYS; i++) {
		uint64_t idle = idle_of(m, &m->keys[i]);

		if (m->keys[i].is_there)
			assert_true(m->told_ns - m->keys[i].seen_ns <=
				    idle + idle / FLOW_TABLE_GRAINS);
	}
}

static void step_clear(struct model *m)
{
	struct known *k;

	for (unsigned confirmed = 0; confirmed < 2; confirmed++)
		while ((k = first_of(m, confirmed == 1, NULL)) != NULL)
			expect_expired(m, k);
	flow_table_clear(m->table);
	check_expired(m);
}

static void check_all(struct model *m)
{
	struct flow_table_stats stats;
	uint32_t confirmed = 0, sources = 0;
	uint64_t next_ns = UINT64_MAX;

	for (uint32_t i = 0; i < KEYS; i++) {
		struct known *k = &m->keys[i];
		flow_id id = flow_table_find(m->table, &k->key, k->hash);

		assert_int_equal(id, k->is_there ? k->id : FLOW_NONE);
		if (!k->is_there)
			continue;
		assert_int_equal(flow_table_value(m->table, id), k->value);
		assert_memory_equal(flow_table_key(m->table, id), &k->key, sizeof(k->key));
		assert_int_equal(flow_table_is_confirmed(m->table, id), k->is_confirmed);
		confirmed += k->is_confirmed;
	}
	for (uint64_t source = 0; source < SOURCES; source++)
		sources +=
			first_of(m, false, &source) != NULL || first_of(m, true, &source) != NULL;
	for (unsigned state = 0; state < 2; state++)
		if (first_of(m, state == 1, NULL) != NULL)
			next_ns = EOS_MIN(next_ns, due_of(m, first_of(m, state == 1, NULL)));
	assert_int_equal(flow_table_next_ns(m->table), next_ns);
	flow_table_stats(m->table, &stats);
	assert_int_equal(stats.flows, m->flows);
	assert_int_equal(stats.confirmed, confirmed);
	assert_int_equal(stats.sources, m->config.per_source_max == 0 ? 0 : sources);
	assert_int_equal(stats.added, m->stats.added);
	assert_int_equal(stats.removed, m->stats.removed);
	assert_int_equal(stats.aged, m->stats.aged);
	assert_int_equal(stats.evicted, m->stats.evicted);
	assert_int_equal(stats.refused_full, m->stats.refused_full);
	assert_int_equal(stats.refused_source, m->stats.refused_source);
}

/* HASH_BITS: so many of the low ones count, that flows share buckets and signatures. */
static void run_model(const struct flow_table_config *config, unsigned hash_bits)
{
	struct model *m = calloc(1, sizeof(*m));
	unsigned rush = 1 + pick(4);

	assert_non_null(m);
	m->config = *config;
	m->config.expired = on_expired;
	m->config.ctx = m;
	m->now_ns = 1000000;
	assert_int_equal(flow_table_new(&m->config, &m->table, NULL), 0);
	for (uint32_t i = 0; i < KEYS; i++) {
		memcpy(m->keys[i].key.low, &i, sizeof(i));
		m->keys[i].hash = flow_table_hash(m->table, &m->keys[i].key) &
				  (UINT64_MAX >> (64 - hash_bits));
	}
	for (unsigned long step = 0; step < run_steps; step++) {
		struct known *k = &m->keys[pick(KEYS)];
		uint32_t what = pick(100);

		if (pick(rush) == 0)
			m->now_ns += pick(pick(1000) == 0 ? 20000 : 20);
		if (what < 40)
			step_add(m, k);
		else if (what < 80)
			step_touch(m, k);
		else if (what < 90)
			step_change(m, k);
		else if (what < 99)
			step_age(m);
		else if (pick(200) == 0)
			step_clear(m);
		if (step % 64 == 0)
			check_all(m);
	}
	/* The run was about something. */
	assert_true(m->stats.added > run_steps / 100);
	print_message("added %lu removed %lu aged %lu evicted %lu refused %lu + %lu\n",
		      m->stats.added, m->stats.removed, m->stats.aged, m->stats.evicted,
		      m->stats.refused_full, m->stats.refused_source);
	m->table = flow_table_free(m->table);
	free(m);
}

static void refuses(void **state)
{
	run_model(&(struct flow_table_config){.flows_max = 100, .idle_ns = 9000}, 64);
}

static void evicts(void **state)
{
	run_model(&(struct flow_table_config){.flows_max = 100,
					      .idle_ns = 30000,
					      .idle_new_ns = 5000,
					      .when_full = FLOW_EVICT_IDLE},
		  64);
}

static void limits_sources(void **state)
{
	run_model(&(struct flow_table_config){.flows_max = 64,
					      .per_source_max = 9,
					      .idle_ns = 20000,
					      .idle_new_ns = 2000,
					      .when_full = FLOW_EVICT_IDLE},
		  64);
	run_model(&(struct flow_table_config){.flows_max = 120,
					      .per_source_max = 20,
					      .idle_ns = 20000},
		  64);
}

static void shares_buckets(void **state)
{
	run_model(&(struct flow_table_config){.flows_max = 200,
					      .per_source_max = 150,
					      .idle_ns = 40000,
					      .when_full = FLOW_EVICT_IDLE},
		  2);
	run_model(&(struct flow_table_config){.flows_max = 200, .idle_ns = 40000}, 4);
}

static void never_ages(void **state)
{
	run_model(&(struct flow_table_config){.flows_max = 40,
					      .idle_new_ns = 1,
					      .when_full = FLOW_EVICT_IDLE},
		  64);
	run_model(&(struct flow_table_config){.flows_max = 40, .when_full = FLOW_EVICT_ANY}, 64);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses),	  cmocka_unit_test(evicts),
		cmocka_unit_test(limits_sources), cmocka_unit_test(shares_buckets),
		cmocka_unit_test(never_ages),
	};

	run_seed = argc > 1 ? strtoul(argv[1], NULL, 10) : (unsigned long)(eos_now_ns() % 1000000);
	if (argc > 2)
		run_steps = strtoul(argv[2], NULL, 10);
	print_message("seed %lu\n", run_seed);
	srandom((unsigned)run_seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
