/* The parts of elements that need no router's packets, each against a plain reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sdk/click/elements/ewma.h>
#include <sdk/click/elements/flow_table.h>
#include <sdk/click/elements/matcher.h>
#include <sdk/click/elements/out.h>
#include <sdk/click/elements/route_table.h>
#include <sdk/click/elements/token_bucket.h>
#include <sdk/click/ip.h>

#include "click/click_flow_fixture.h"

#define SECOND_NS 1000000000ull

static uint32_t random_u32(void)
{
	return (uint32_t)random() << 16 ^ (uint32_t)random();
}

/* --- token buckets --- */

static void bucket_gives_its_rate(void **state)
{
	(void)state;
	static const uint64_t rates[] = {1, 3, 7, 1000, 123457, 999999937};
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		struct click_bucket bucket;
		uint64_t now_ns = 5 * SECOND_NS, end_ns = now_ns + 10 * SECOND_NS;
		/* Steps that do not divide a second, and no token ever lost. */
		uint64_t taken, step_ns = SECOND_NS / rates[i] / 3 + 1;
		if (step_ns < 10007)
			step_ns = 10007;
		uint64_t capacity = rates[i] / (SECOND_NS / step_ns) + 100;
		click_bucket_init(&bucket, rates[i], capacity, now_ns);
		assert_true(click_bucket_take(&bucket, capacity, now_ns));
		taken = capacity;
		while (now_ns < end_ns) {
			now_ns = now_ns + step_ns < end_ns ? now_ns + step_ns : end_ns;
			while (click_bucket_has(&bucket, 1, now_ns)) {
				uint64_t some = bucket.level / 1000000000;
				assert_true(click_bucket_take(&bucket, some, now_ns));
				taken += some;
			}
		}
		assert_int_equal(taken, capacity + 10 * rates[i]);
	}
}

static void bucket_waits_exactly(void **state)
{
	(void)state;
	struct click_bucket bucket;
	uint64_t now_ns = 77;
	click_bucket_init(&bucket, 3, 1, now_ns);
	assert_int_equal(click_bucket_wait_ns(&bucket, 1), 0);
	assert_true(click_bucket_take(&bucket, 1, now_ns));
	assert_int_equal(click_bucket_wait_ns(&bucket, 1), 333333334);
	assert_false(click_bucket_has(&bucket, 1, now_ns + 333333333));
	assert_true(click_bucket_has(&bucket, 1, now_ns + 333333334));
	/* Debts are paid first. */
	click_bucket_owe(&bucket, 4);
	assert_false(click_bucket_has(&bucket, 0, now_ns + 1333333333));
	assert_true(click_bucket_has(&bucket, 0, now_ns + 1333333334));
	/* Never more than the capacity, and time does not go back. */
	assert_true(click_bucket_has(&bucket, 1, UINT64_MAX));
	assert_false(click_bucket_has(&bucket, 2, UINT64_MAX));
	assert_true(click_bucket_take(&bucket, 1, 5));
	assert_false(click_bucket_has(&bucket, 1, UINT64_MAX));
}

static void bucket_has_limits(void **state)
{
	(void)state;
	struct click_bucket bucket;
	click_bucket_init(&bucket, UINT64_MAX, UINT64_MAX, 0);
	assert_int_equal(bucket.rate, CLICK_BUCKET_RATE_MAX);
	assert_int_equal(bucket.capacity, CLICK_BUCKET_CAPACITY_MAX);
	for (unsigned i = 0; i < 10; i++)
		click_bucket_owe(&bucket, UINT64_MAX);
	assert_false(click_bucket_has(&bucket, 0, 0));
	assert_true(click_bucket_has(&bucket, CLICK_BUCKET_CAPACITY_MAX, UINT64_MAX));
	click_bucket_init(&bucket, 0, 1, 0);
	assert_true(click_bucket_take(&bucket, 1, 1));
	assert_int_equal(click_bucket_wait_ns(&bucket, 1), UINT64_MAX);
	assert_false(click_bucket_has(&bucket, 1, UINT64_MAX));
	/* 20 ms of a rate, and at least one. */
	assert_int_equal(click_bucket_burst(1000, 20000000), 20);
	assert_int_equal(click_bucket_burst(1, 20000000), 1);
	assert_int_equal(click_bucket_burst(CLICK_BUCKET_RATE_MAX, UINT64_MAX),
			 CLICK_BUCKET_CAPACITY_MAX);
	assert_int_equal(click_bucket_burst(1234567, 1500000000), 1851850);
}

static void ewma_follows(void **state)
{
	(void)state;
	struct click_ewma ewma;
	uint64_t now_ns = SECOND_NS;
	click_ewma_init(&ewma, now_ns);
	/* 1,000 a second for two seconds: (15/16)^200 of the difference is left. */
	for (unsigned i = 0; i < 2000; i++) {
		now_ns += 1000000;
		click_ewma_update(&ewma, 1, now_ns);
	}
	assert_in_range(click_ewma_rate(&ewma), 995, 1005);
	/* 100 ms without any: times (15/16)^9 and a little. */
	click_ewma_update(&ewma, 0, now_ns + 100000000);
	assert_in_range(click_ewma_rate(&ewma), 510, 600);
	click_ewma_update(&ewma, 0, now_ns + 100 * SECOND_NS);
	assert_int_equal(click_ewma_rate(&ewma), 0);
	assert_int_equal(click_decay(1u << 20, 1, 4), 1u << 16);
	assert_int_equal(click_decay(12345, 4, 0), 12345);
	assert_int_equal(click_decay(UINT64_MAX >> 1, 31, UINT64_MAX), 0);
}

/* --- routes --- */

#define ROUTES 600

struct reference {
	struct click_route routes[ROUTES];
	unsigned count;
};

static bool is_within(uint32_t address, const struct click_route *route)
{
	uint32_t mask = route->len ? UINT32_MAX << (32 - route->len) : 0;
	return ((click_address_to_host(address) ^ click_address_to_host(route->address)) & mask) ==
	       0;
}

static const struct click_route *reference_lookup(const struct reference *reference,
						  uint32_t address)
{
	const struct click_route *best = NULL;
	for (unsigned i = 0; i < reference->count; i++) {
		const struct click_route *route = &reference->routes[i];
		if (is_within(address, route) && (!best || route->len > best->len))
			best = route;
	}
	return best;
}

static struct click_route random_route(void)
{
	struct click_route route = {.len = (uint8_t)(random() % 33), .port = (int)(random() % 9)};
	/* Few bits differ, so that prefixes contain each other. */
	uint32_t host = random() % 4 ? (random_u32() & 0x00818103) | 0x0a000000 : random_u32();
	host &= route.len ? UINT32_MAX << (32 - route.len) : 0;
	route.address = click_address_to_network(host);
	route.gateway = random() % 2 ? random_u32() | 1 : 0;
	return route;
}

static void count_route(void *ctx, const struct click_route *route)
{
	(void)route;
	++*(unsigned *)ctx;
}

static void check_lookups(const struct click_route_table *table, const struct reference *reference)
{
	for (unsigned i = 0; i < 40; i++) {
		uint32_t host =
			random() % 4 ? (random_u32() & 0x00818103) | 0x0a000000 : random_u32();
		uint32_t address = click_address_to_network(host);
		const struct click_route *wanted = reference_lookup(reference, address);
		struct click_route route;
		assert_int_equal(click_routes_lookup(table, address, &route), wanted != NULL);
		if (wanted) {
			assert_int_equal(route.len, wanted->len);
			assert_int_equal(route.address, wanted->address);
			assert_int_equal(route.gateway, wanted->gateway);
			assert_int_equal(route.port, wanted->port);
		}
	}
	unsigned count = 0;
	click_routes_walk(table, count_route, &count);
	assert_int_equal(count, reference->count);
	assert_int_equal(table->routes_count, reference->count);
}

static void remove_one(struct click_route_table *table, struct reference *reference, unsigned at)
{
	struct click_route old, wanted = reference->routes[at];
	struct click_route other = wanted;
	other.port = wanted.port + 1;
	assert_int_equal(click_routes_remove(table, &other, &old), -ENOENT);
	other.port = random() % 2 ? -1 : wanted.port;
	assert_int_equal(click_routes_remove(table, &other, &old), 0);
	assert_int_equal(old.gateway, wanted.gateway);
	assert_int_equal(click_routes_remove(table, &other, &old), -ENOENT);
	reference->routes[at] = reference->routes[--reference->count];
}

static void routes_match_a_linear_search(void **state)
{
	(void)state;
	static struct reference reference;
	struct click_route_table table;
	void *memory = calloc(1, click_routes_size(ROUTES));
	assert_non_null(memory);
	click_routes_init(&table, memory, ROUTES);
	for (unsigned round = 0; round < 5000; round++) {
		struct click_route route = random_route(), old;
		unsigned at = 0;
		while (at < reference.count && (reference.routes[at].len != route.len ||
						reference.routes[at].address != route.address))
			at++;
		if (at < reference.count) {
			assert_int_equal(click_routes_add(&table, &route, false, &old), -EEXIST);
			assert_int_equal(old.port, reference.routes[at].port);
			assert_int_equal(click_routes_add(&table, &route, true, &old), 0);
			reference.routes[at] = route;
		} else if (reference.count < ROUTES) {
			assert_int_equal(click_routes_add(&table, &route, false, &old), 0);
			assert_int_equal(old.port, -1);
			reference.routes[reference.count++] = route;
		}
		if (reference.count > ROUTES / 2 || random() % 3 == 0)
			remove_one(&table, &reference, (unsigned)random() % reference.count);
		check_lookups(&table, &reference);
	}
	while (reference.count)
		remove_one(&table, &reference, (unsigned)random() % reference.count);
	assert_int_equal(table.root, 0);
	free(memory);
}

static void route_table_fills(void **state)
{
	(void)state;
	struct click_route_table table;
	struct click_route route = {.port = 1}, old;
	void *memory = calloc(1, click_routes_size(100));
	assert_non_null(memory);
	click_routes_init(&table, memory, 100);
	/* 100 fit in any case; when it is full, nothing of what is there is lost. */
	unsigned added = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		route.address = click_address_to_network(i * 0x9e3779b1u);
		route.len = 32;
		int error = click_routes_add(&table, &route, false, &old);
		assert_true(error == 0 || error == -ENOSPC);
		added += error == 0;
	}
	assert_in_range(added, 100, 201);
	unsigned found = 0;
	for (uint32_t i = 0; i < 1000; i++)
		found += click_routes_lookup(&table, click_address_to_network(i * 0x9e3779b1u),
					     &route);
	assert_int_equal(found, added);
	click_routes_clear(&table);
	assert_false(click_routes_lookup(&table, 0, &route));
	free(memory);
}

/* --- strings --- */

static void matcher_finds_what_memmem_finds(void **state)
{
	(void)state;
	static struct fixture fixture;
	unsigned found = 0;
	for (unsigned round = 0; round < 600; round++) {
		assert_true(fixture_init(&fixture, "Idle -> Discard;"));
		struct click_matcher matcher = {0};
		struct click_string strings[20];
		uint8_t bytes[20][12];
		unsigned count = 1 + (unsigned)random() % 20, letters = 2 + (unsigned)random() % 5;
		if (round % 50 == 0)
			letters = 256;
		for (unsigned i = 0; i < count; i++) {
			strings[i].len = 1 + (uint32_t)random() % 12;
			strings[i].data = bytes[i];
			for (unsigned at = 0; at < 12; at++)
				bytes[i][at] = (uint8_t)((unsigned)random() % letters);
		}
		assert_int_equal(click_matcher_build(&matcher, fixture.router, strings, count), 0);
		for (unsigned text = 0; text < 20; text++) {
			uint8_t data[80];
			uint32_t len = (uint32_t)random() % 80;
			for (unsigned at = 0; at < len; at++)
				data[at] = (uint8_t)((unsigned)random() % (letters + letters / 8));
			bool wanted = false;
			for (unsigned i = 0; i < count && !wanted; i++)
				wanted = memmem(data, len, bytes[i], strings[i].len) != NULL;
			assert_int_equal(click_matcher_finds(&matcher, data, len), wanted);
			found += wanted;
		}
		fixture_fini(&fixture);
	}
	assert_in_range(found, 2000, 11800);
}

static void matcher_has_limits(void **state)
{
	(void)state;
	static struct fixture fixture;
	static uint8_t bytes[CLICK_MATCHER_BYTES_MAX + 1];
	assert_true(fixture_init(&fixture, "Idle -> Discard;"));
	struct click_matcher matcher = {0};
	struct click_string string = {bytes, sizeof(bytes)};
	assert_int_equal(click_matcher_build(&matcher, fixture.router, &string, 1), -E2BIG);
	string.len--;
	assert_int_equal(click_matcher_build(&matcher, fixture.router, &string, 1), 0);
	assert_true(click_matcher_finds(&matcher, bytes, CLICK_MATCHER_BYTES_MAX));
	assert_false(click_matcher_finds(&matcher, bytes, CLICK_MATCHER_BYTES_MAX - 1));
	/* All bytes occur: the table would be too big. */
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(click_matcher_build(&matcher, fixture.router, &string, 1), -E2BIG);
	fixture_fini(&fixture);
}

/* --- flows --- */

static struct click_flow_key key_of(uint32_t number)
{
	return (struct click_flow_key){.saddr = number, .daddr = 7, .sport = 1, .protocol = 17};
}

static struct click_flow *add(struct click_flow_table *table, struct click_flow_list *list,
			      uint32_t number, uint64_t now_ns)
{
	struct click_flow_key forward = key_of(number), reply = key_of(number + 1000000);
	return click_flows_add(table, &forward, &reply, list, now_ns);
}

static bool has(struct click_flow_table *table, uint32_t number, uint64_t now_ns)
{
	struct click_flow_key key = key_of(number);
	return click_flows_find(table, &key, now_ns) != CLICK_FLOW_NONE;
}

static void flows_end_and_make_room(void **state)
{
	(void)state;
	static struct fixture fixture;
	struct click_flow_table table;
	struct click_flow_list slow = {.timeout_ns = 100, .guarantee_ns = 10};
	struct click_flow_list fast = {.timeout_ns = 20, .guarantee_ns = 10};
	assert_true(fixture_init(&fixture, "Idle -> Discard;"));
	assert_true(click_flows_init(&table, fixture.router, 4));
	assert_true(click_flows_add_list(&table, &slow) && click_flows_add_list(&table, &fast));
	assert_non_null(add(&table, &slow, 1, 1000));
	assert_non_null(add(&table, &fast, 2, 1001));
	assert_null(add(&table, &fast, 2, 1001)); /* it is there */
	assert_non_null(add(&table, &slow, 3, 1002));
	struct click_flow *flow = add(&table, &fast, 4, 1003);
	assert_non_null(flow);
	assert_null(add(&table, &slow, 5, 1009)); /* all are guaranteed */
	/* At 1011, 1 and 2 are not guaranteed any more, and 2 ends first. */
	assert_non_null(add(&table, &slow, 5, 1011));
	assert_false(has(&table, 2, 1011));
	assert_true(has(&table, 1, 1011) && has(&table, 1000001, 1011));
	click_flows_use(&table, flow, &slow, 1012);
	assert_true(has(&table, 4, 1111));
	assert_false(has(&table, 4, 1112));
	assert_false(has(&table, 1000004, 1112));
	/* The timer's way. */
	assert_int_equal(table.count, 3);
	assert_int_equal(click_flows_expire(&table, 1112, 10), 3);
	assert_int_equal(table.count, 0);
	assert_int_equal(slow.count + fast.count, 0);
	for (uint32_t i = 0; i < 4; i++)
		assert_non_null(add(&table, &slow, i, 2000));
	click_flows_set_limit(&table, 2);
	assert_int_equal(table.count, 2);
	assert_true(has(&table, 3, 2000));
	fixture_fini(&fixture);
}

/* Against a plain array, with random uses and times. */
static void flows_match_a_model(void **state)
{
	(void)state;
	static struct fixture fixture;
	static uint64_t used_ns[300]; /* 0: not there */
	struct click_flow_table table;
	struct click_flow_list list = {.timeout_ns = 5000, .guarantee_ns = 5000};
	assert_true(fixture_init(&fixture, "Idle -> Discard;"));
	assert_true(click_flows_init(&table, fixture.router, 300));
	assert_true(click_flows_add_list(&table, &list));
	uint64_t now_ns = 10;
	for (unsigned round = 0; round < 200000; round++) {
		now_ns += (unsigned)random() % 20;
		uint32_t number = (uint32_t)random() % 300;
		bool wanted = used_ns[number] && now_ns - used_ns[number] < 5000;
		struct click_flow_key key = key_of(random() % 2 ? number : number + 1000000);
		uint32_t entry = click_flows_find(&table, &key, now_ns);
		assert_int_equal(entry != CLICK_FLOW_NONE, wanted);
		if (wanted && random() % 3) {
			click_flows_use(&table, &table.flows[entry / 2], &list, now_ns);
			used_ns[number] = now_ns;
		} else if (wanted) {
			click_flows_remove(&table, &table.flows[entry / 2]);
			used_ns[number] = 0;
		} else {
			assert_non_null(add(&table, &list, number, now_ns));
			used_ns[number] = now_ns;
		}
	}
	fixture_fini(&fixture);
}

/* --- text --- */

static void numbers_are_written(void **state)
{
	(void)state;
	char text[64];
	struct click_out to;
	click_out_init(&to, text, sizeof(text));
	click_out_i64(&to, INT64_MIN);
	click_out_char(&to, ' ');
	click_out_fraction(&to, 1311, 16); /* 0.02 */
	click_out_char(&to, ' ');
	click_out_seconds(&to, 1500000000);
	click_out_char(&to, ' ');
	click_out_prefix(&to, click_address_to_network(0x0a000100), 24);
	text[to.len] = '\0';
	assert_string_equal(text, "-9223372036854775808 0.020004 1.5 10.0.1.0/24");
	click_out_init(&to, text, 3);
	click_out_u64(&to, 12345);
	assert_int_equal(to.len, 3);
	assert_memory_equal(text, "123", 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bucket_gives_its_rate),
		cmocka_unit_test(bucket_waits_exactly),
		cmocka_unit_test(bucket_has_limits),
		cmocka_unit_test(ewma_follows),
		cmocka_unit_test(routes_match_a_linear_search),
		cmocka_unit_test(route_table_fills),
		cmocka_unit_test(matcher_finds_what_memmem_finds),
		cmocka_unit_test(matcher_has_limits),
		cmocka_unit_test(flows_end_and_make_room),
		cmocka_unit_test(flows_match_a_model),
		cmocka_unit_test(numbers_are_written),
	};
	srandom(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
