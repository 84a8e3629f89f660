#include "flow/flow_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "flow/flow_table_priv.h"

#define SECOND UINT64_C(1000000000)
#define MANY   100000u

struct gone {
	unsigned count;
	uint32_t last; /* number of its key */
	uint64_t value;
};

static struct flow_key key_of(uint32_t n)
{
	struct flow_key key = {.proto = 17, .low_port = 53};

	memcpy(key.high + 12, &n, sizeof(n));
	return key;
}

static void on_expired(void *ctx, const struct flow_key *key, uint64_t value)
{
	struct gone *gone = ctx;

	gone->count++;
	memcpy(&gone->last, key->high + 12, sizeof(gone->last));
	gone->value = value;
}

static struct flow_table *make(struct flow_table_config config)
{
	struct flow_table *table;
	struct eos_why why = {0};

	if (flow_table_new(&config, &table, &why) < 0)
		fail_msg("%s", why.text);
	return table;
}

static int add_of(struct flow_table *table, uint32_t n, uint64_t source, uint64_t now_ns)
{
	struct flow_key key = key_of(n);
	flow_id id;

	return flow_table_add(table, &key, flow_table_hash(table, &key), source, n, now_ns, &id);
}

static flow_id find(const struct flow_table *table, uint32_t n)
{
	struct flow_key key = key_of(n);
	uint64_t hash = flow_table_hash(table, &key);

	flow_table_prefetch(table, hash);
	flow_table_prefetch_flow(table, hash);
	return flow_table_find(table, &key, hash);
}

static struct flow_table_stats stats_of(const struct flow_table *table)
{
	struct flow_table_stats stats;

	flow_table_stats(table, &stats);
	return stats;
}

static void configuration_is_checked(void **state)
{
	struct flow_table_config config = {0};
	struct flow_table *table = NULL;
	struct eos_why why = {0};

	assert_int_equal(flow_table_new(&config, &table, &why), -EINVAL);
	assert_non_null(strstr(why.text, "flows_max"));
	config.flows_max = FLOW_TABLE_FLOWS_MAX + 1;
	assert_int_equal(flow_table_new(&config, &table, NULL), -EINVAL);
	config = (struct flow_table_config){.flows_max = 1, .when_full = 7};
	assert_int_equal(flow_table_new(&config, &table, &why), -EINVAL);
	assert_non_null(strstr(why.text, "when_full"));
	assert_null(table);
	assert_null(flow_table_free(NULL));
}

static void memory_may_be_missing(void **state)
{
	struct flow_table_config config = {.flows_max = 10, .per_source_max = 1};
	struct flow_table *table = NULL;
	struct eos_why why = {0};

	assert_int_equal(eos_fault_arm("flow.table_memory:1=ENOMEM", NULL), 0);
	assert_int_equal(flow_table_new(&config, &table, &why), -ENOMEM);
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	assert_null(table);
	assert_non_null(strstr(why.text, "bytes"));
	assert_int_equal(flow_table_new(&config, &table, NULL), 0);
	assert_true(stats_of(table).bytes >= 10 * sizeof(struct flow_entry));
	flow_table_free(table);
}

static void seeds_are_secret(void **state)
{
	struct flow_table *a = make((struct flow_table_config){.flows_max = 1});
	struct flow_table *b = make((struct flow_table_config){.flows_max = 1});
	struct flow_table *c = make((struct flow_table_config){.flows_max = 1, .seed = 5});
	struct flow_key key = key_of(1);

	assert_true(flow_table_hash(a, &key) != flow_table_hash(b, &key));
	assert_true(flow_table_hash(c, &key) == flow_key_hash(&key, 5));
	flow_table_free(a);
	flow_table_free(b);
	flow_table_free(c);
}

static void full_table_refuses(void **state)
{
	struct gone gone = {0};
	struct flow_table *table = make((struct flow_table_config){
		.flows_max = 3, .idle_ns = SECOND, .expired = on_expired, .ctx = &gone});

	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(add_of(table, n, 0, n), 0);
	assert_int_equal(add_of(table, 1, 0, 3), -EEXIST);
	assert_int_equal(add_of(table, 3, 0, 3), -ENOSPC);
	assert_int_equal(find(table, 3), FLOW_NONE);
	assert_int_equal(stats_of(table).refused_full, 1);
	flow_table_remove(table, find(table, 1));
	assert_int_equal(add_of(table, 3, 0, 3), 0);
	assert_int_equal(gone.count, 0);
	/* One whose time is over does not stand in the way. */
	assert_int_equal(add_of(table, 4, 0, SECOND), 0);
	assert_int_equal(gone.count, 1);
	assert_int_equal(gone.last, 0);
	assert_int_equal(stats_of(table).aged, 1);
	assert_int_equal(add_of(table, 5, 0, SECOND), -ENOSPC);
	flow_table_free(table);
	assert_int_equal(gone.count, 1);
}

static void each_number_of_flows_fits(void **state)
{
	for (uint32_t count = 1; count < 40; count++) {
		struct flow_table *table = make((struct flow_table_config){
			.flows_max = count, .per_source_max = 1, .idle_ns = 1});

		for (uint32_t n = 0; n < count; n++)
			assert_int_equal(add_of(table, n, n, 0), 0);
		assert_int_equal(add_of(table, count, count, 0), -ENOSPC);
		for (uint32_t n = 0; n < count; n++)
			assert_int_equal(flow_table_value(table, find(table, n)), n);
		assert_int_equal(stats_of(table).sources, count);
		flow_table_free(table);
	}
}

static void idle_ones_go_in_time(void **state)
{
	struct gone gone = {0};
	struct flow_table *table = make((struct flow_table_config){.flows_max = 10,
								   .idle_ns = 16 * SECOND,
								   .idle_new_ns = SECOND,
								   .expired = on_expired,
								   .ctx = &gone});

	assert_int_equal(flow_table_next_ns(table), UINT64_MAX);
	assert_int_equal(add_of(table, 1, 0, 100), 0);
	assert_int_equal(add_of(table, 2, 0, 200), 0);
	assert_int_equal(flow_table_next_ns(table), SECOND + 100);
	flow_table_touch(table, find(table, 2), true, 300);
	assert_false(flow_table_is_confirmed(table, find(table, 2)));
	flow_table_touch(table, find(table, 2), false, 400);
	assert_true(flow_table_is_confirmed(table, find(table, 2)));
	assert_int_equal(stats_of(table).confirmed, 1);
	assert_int_equal(flow_table_age(table, SECOND + 99, 10), 0);
	assert_int_equal(flow_table_age(table, SECOND + 100, 10), 1);
	assert_int_equal(gone.last, 1);
	assert_int_equal(gone.value, 1);
	assert_int_equal(flow_table_next_ns(table), 16 * SECOND + 400);
	/* Seen again within the first sixteenth: it keeps its place, but not its time. */
	flow_table_touch(table, find(table, 2), true, SECOND);
	assert_int_equal(flow_table_next_ns(table), 17 * SECOND + 100);
	assert_int_equal(flow_table_age(table, 17 * SECOND + 99, 10), 0);
	assert_int_equal(flow_table_age(table, 17 * SECOND + 100, 0), 0);
	assert_int_equal(flow_table_age(table, 17 * SECOND + 100, 10), 1);
	assert_int_equal(gone.last, 2);
	assert_int_equal(flow_table_age(table, UINT64_MAX, 10), 0);
	flow_table_free(table);
}

static void time_does_not_go_back(void **state)
{
	struct flow_table *table =
		make((struct flow_table_config){.flows_max = 10, .idle_ns = SECOND});

	assert_int_equal(flow_table_age(table, 5 * SECOND, 1), 0);
	assert_int_equal(add_of(table, 1, 0, 0), 0);
	assert_int_equal(flow_table_next_ns(table), 6 * SECOND);
	flow_table_touch(table, find(table, 1), true, SECOND);
	assert_int_equal(flow_table_next_ns(table), 6 * SECOND);
	assert_int_equal(flow_table_age(table, 0, 1), 0);
	assert_int_equal(add_of(table, 2, 0, UINT64_MAX - 1), 0);
	assert_int_equal(flow_table_age(table, UINT64_MAX - 1, 10), 1);
	assert_int_equal(flow_table_next_ns(table), UINT64_MAX);
	flow_table_free(table);
}

static void sources_have_their_share(void **state)
{
	struct flow_table *table = make((struct flow_table_config){
		.flows_max = 100, .per_source_max = 3, .idle_ns = SECOND});

	for (uint32_t n = 0; n < 10; n++)
		assert_int_equal(add_of(table, n, 7, n), n < 3 ? 0 : -EDQUOT);
	assert_int_equal(stats_of(table).refused_source, 7);
	assert_int_equal(add_of(table, 20, 8, 20), 0);
	assert_int_equal(stats_of(table).sources, 2);
	flow_table_remove(table, find(table, 0));
	assert_int_equal(add_of(table, 21, 7, 20), 0);
	assert_int_equal(flow_table_age(table, 2 * SECOND, 100), 4);
	assert_int_equal(stats_of(table).sources, 0);
	flow_table_free(table);
}

static void sources_lose_their_own(void **state)
{
	struct gone gone = {0};
	struct flow_table *table = make((struct flow_table_config){.flows_max = 100,
								   .per_source_max = 3,
								   .idle_ns = SECOND,
								   .when_full = FLOW_EVICT_IDLE,
								   .expired = on_expired,
								   .ctx = &gone});

	assert_int_equal(add_of(table, 50, 8, 0), 0); /* idle for longer, but another's */
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(add_of(table, n, 7, n + 1), 0);
	flow_table_confirm(table, find(table, 0));
	assert_int_equal(add_of(table, 3, 7, 10), 0);
	assert_int_equal(gone.last, 1);
	/* Having been seen counts. */
	flow_table_touch(table, find(table, 2), true, SECOND / 2);
	assert_int_equal(add_of(table, 4, 7, SECOND / 2), 0);
	assert_int_equal(gone.last, 3);
	flow_table_confirm(table, find(table, 2));
	flow_table_confirm(table, find(table, 4));
	assert_int_equal(add_of(table, 5, 7, SECOND / 2), -EDQUOT);
	assert_int_equal(gone.count, 2);
	assert_int_equal(stats_of(table).evicted, 2);
	assert_true(find(table, 50) != FLOW_NONE);
	flow_table_free(table);
}

/* However many addresses somebody invents: confirmed flows stay, and each new one finds a place in
 * as many steps as the first. */
static void forged_sources_crowd_nobody_out(void **state)
{
	struct flow_table *table = make((struct flow_table_config){.flows_max = 1000,
								   .per_source_max = 10,
								   .idle_ns = 60 * SECOND,
								   .idle_new_ns = 10 * SECOND,
								   .when_full = FLOW_EVICT_IDLE});

	for (uint32_t n = 0; n < 900; n++) {
		assert_int_equal(add_of(table, n, n / 10, n), 0);
		flow_table_confirm(table, find(table, n));
	}
	uint64_t steps = table->steps;

	for (uint32_t n = 0; n < MANY; n++)
		assert_int_equal(add_of(table, 1000 + n, UINT64_C(1) << 40 | n, 1000 + n), 0);
	assert_in_range(table->steps - steps, MANY, 8 * MANY);
	for (uint32_t n = 0; n < 900; n++)
		assert_true(find(table, n) != FLOW_NONE);
	assert_int_equal(stats_of(table).confirmed, 900);
	assert_int_equal(stats_of(table).evicted, MANY - 100);
	/* With nothing but confirmed ones it refuses. */
	for (uint32_t n = MANY + 900; n < MANY + 1000; n++)
		flow_table_confirm(table, find(table, n));
	assert_int_equal(add_of(table, 500000, 12345, 0), -ENOSPC);
	flow_table_free(table);
}

/* Unconfirmed ones go first, then who was silent longest: a new one always finds a place. */
static void any_flow_may_go(void **state)
{
	struct flow_table *table = make((struct flow_table_config){
		.flows_max = 100, .idle_ns = 60 * SECOND, .when_full = FLOW_EVICT_ANY});

	for (uint32_t n = 0; n < 90; n++) {
		assert_int_equal(add_of(table, n, 0, n), 0);
		flow_table_confirm(table, find(table, n));
	}
	for (uint32_t n = 100; n < 1000; n++)
		assert_int_equal(add_of(table, n, 0, 100 + n), 0);
	for (uint32_t n = 0; n < 90; n++)
		assert_true(find(table, n) != FLOW_NONE);
	for (uint32_t n = 990; n < 1000; n++)
		flow_table_confirm(table, find(table, n));
	/* Heard of long after it got its place. */
	flow_table_touch(table, find(table, 0), true, 30 * SECOND);
	assert_int_equal(add_of(table, 1000, 0, 30 * SECOND), 0);
	assert_true(find(table, 0) != FLOW_NONE);
	assert_true(find(table, 1) == FLOW_NONE);
	assert_int_equal(add_of(table, 1001, 0, 30 * SECOND), 0);
	assert_true(find(table, 1000) == FLOW_NONE);
	assert_true(find(table, 2) != FLOW_NONE);
	flow_table_free(table);
}

static void nothing_is_scanned(void **state)
{
	struct flow_table *table = make((struct flow_table_config){
		.flows_max = MANY, .per_source_max = MANY, .idle_ns = SECOND});
	uint32_t chain_max = 0, overflows = 0;

	for (uint32_t n = 0; n < MANY; n++)
		assert_int_equal(add_of(table, n, n, n), 0);
	/* To find looks at one bucket, and seldom at a list. */
	for (uint64_t i = 0; i <= table->buckets_mask; i++)
		for (uint32_t id = table->buckets[i].overflow; id != FLOW_NONE;
		     id = table->entries[id].overflow)
			overflows++;
	assert_in_range(overflows, 0, MANY / 100);
	for (uint32_t n = 0; n < MANY; n++)
		chain_max = EOS_MAX(chain_max, flow_source_chain_len(table, n));
	assert_in_range(chain_max, 1, 12);
	/* Ageing that finds nothing looks at nothing. */
	uint64_t steps = table->steps;

	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(flow_table_age(table, SECOND - 1, 100), 0);
	assert_in_range(table->steps - steps, 1000, 2000);
	/* And each that goes costs what one costs. */
	steps = table->steps;
	assert_int_equal(flow_table_age(table, SECOND + MANY / 2 - 1, UINT32_MAX), MANY / 2);
	assert_in_range(table->steps - steps, MANY / 2, 3 * MANY);
	assert_int_equal(stats_of(table).flows, MANY / 2);
	flow_table_free(table);
}

/* All in one bucket, with one signature: more than it has slots for. */
static void buckets_overflow(void **state)
{
	enum { COUNT = 3 * FLOW_BUCKET_SLOTS };
	struct flow_table *table =
		make((struct flow_table_config){.flows_max = 100, .idle_ns = SECOND});
	flow_id ids[COUNT];

	for (uint32_t round = 0; round < 4; round++) {
		for (uint32_t n = 0; n < COUNT; n++) {
			struct flow_key key = key_of(n);

			assert_int_equal(flow_table_add(table, &key, 5, 0, n, 0, &ids[n]), 0);
		}
		/* The first in slots go first, the last in the list, or all of them mixed: each
		 * factor has no divisor in common with COUNT. */
		static const uint32_t factors[] = {1, COUNT - 1, 7, 13};

		for (uint32_t i = 0; i < COUNT; i++) {
			uint32_t gone = (i * factors[round] + COUNT - 1) % COUNT;
			struct flow_key key = key_of(gone);

			assert_int_equal(flow_table_find(table, &key, 5), ids[gone]);
			flow_table_remove(table, ids[gone]);
			assert_int_equal(flow_table_find(table, &key, 5), FLOW_NONE);
		}
		assert_int_equal(stats_of(table).flows, 0);
	}
	flow_table_free(table);
}

static void clearing_tells(void **state)
{
	struct gone gone = {0};
	struct flow_table *table = make((struct flow_table_config){.flows_max = 10,
								   .per_source_max = 10,
								   .idle_ns = SECOND,
								   .expired = on_expired,
								   .ctx = &gone});

	flow_table_clear(table);
	for (uint32_t n = 0; n < 10; n++)
		assert_int_equal(add_of(table, n, 0, 0), 0);
	flow_table_confirm(table, find(table, 4));
	flow_table_set(table, find(table, 4), 44);
	flow_table_clear(table);
	assert_int_equal(gone.count, 10);
	assert_int_equal(gone.last, 4);
	assert_int_equal(gone.value, 44);
	assert_int_equal(stats_of(table).flows + stats_of(table).sources, 0);
	for (uint32_t n = 0; n < 10; n++)
		assert_int_equal(add_of(table, n, 0, 0), 0);
	flow_table_free(table);
	assert_int_equal(gone.count, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration_is_checked),
		cmocka_unit_test(memory_may_be_missing),
		cmocka_unit_test(seeds_are_secret),
		cmocka_unit_test(full_table_refuses),
		cmocka_unit_test(each_number_of_flows_fits),
		cmocka_unit_test(idle_ones_go_in_time),
		cmocka_unit_test(time_does_not_go_back),
		cmocka_unit_test(sources_have_their_share),
		cmocka_unit_test(sources_lose_their_own),
		cmocka_unit_test(forged_sources_crowd_nobody_out),
		cmocka_unit_test(any_flow_may_go),
		cmocka_unit_test(nothing_is_scanned),
		cmocka_unit_test(buckets_overflow),
		cmocka_unit_test(clearing_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
