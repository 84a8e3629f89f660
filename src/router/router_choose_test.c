#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "router/router_choose.h"

#define CELLS 4u

/* A call and all it points to. */
struct fixture {
	struct func_tenant tenant;
	struct func_manifest manifest;
	struct func func;
	struct func_call call;
};

static void init_call(struct fixture *f, const char *tenant, const char *name)
{
	*f = (struct fixture){0};
	strcpy(f->manifest.tenant, tenant);
	strcpy(f->manifest.name, name);
	f->func.manifest = &f->manifest;
	f->call.func = &f->func;
	f->call.tenant = &f->tenant;
}

static struct func_budget some_budget(void)
{
	return (struct func_budget){.budget_ns = 1000000, .period_ns = 100000000};
}

/* The choice with so many calls in each cell, and whose turn it is left alone. */
static unsigned choose(const struct fixture *f, const unsigned calls[CELLS], unsigned next)
{
	struct router_cell cells[CELLS];
	for (unsigned i = 0; i < CELLS; i++)
		cells[i] = (struct router_cell){.calls = calls[i], .is_ready = true};
	return router_choose(&f->call, cells, CELLS, &next);
}

static void the_fewest_calls(void **state)
{
	struct fixture f;
	init_call(&f, "acme", "hello");
	for (unsigned next = 0; next < 2 * CELLS; next++) {
		assert_int_equal(choose(&f, (unsigned[]){3, 2, 1, 2}, next), 2);
		assert_int_equal(choose(&f, (unsigned[]){0, 1, 1, 1}, next), 0);
		assert_int_equal(choose(&f, (unsigned[]){512, 511, 512, 512}, next), 1);
	}
}

static void equals_take_turns(void **state)
{
	struct fixture f;
	struct router_cell cells[CELLS];
	unsigned next = 0;
	init_call(&f, "acme", "hello");
	for (unsigned i = 0; i < CELLS; i++)
		cells[i] = (struct router_cell){.calls = 7, .is_ready = true};
	for (unsigned i = 0; i < 3 * CELLS; i++)
		assert_int_equal(router_choose(&f.call, cells, CELLS, &next), i % CELLS);
	/* Among those that have fewest. */
	cells[1].calls = cells[2].calls = 8;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(router_choose(&f.call, cells, CELLS, &next), i % 2 == 0 ? 0 : 3);
	/* From a turn that no cell has. */
	next = UINT32_MAX;
	assert_true(router_choose(&f.call, cells, CELLS, &next) < CELLS);
	assert_true(next < CELLS);
}

static void only_ready_cells(void **state)
{
	struct fixture f;
	unsigned next = 0;
	struct router_cell cells[] = {{0, false}, {9, true}, {0, false}, {8, true}};
	init_call(&f, "acme", "hello");
	for (unsigned i = 0; i < CELLS; i++)
		assert_int_equal(router_choose(&f.call, cells, CELLS, &next), 3);
	/* None: it waits where the fewest do. */
	struct router_cell none[] = {{2, false}, {1, false}, {2, false}, {2, false}};
	for (unsigned i = 0; i < CELLS; i++)
		assert_int_equal(router_choose(&f.call, none, CELLS, &next), 1);
}

/* Where F's calls go whatever the cells have to do; fails if they go to several. */
static unsigned bound_cell(const struct fixture *f)
{
	unsigned cell = choose(f, (unsigned[]){0, 0, 0, 0}, 0);
	for (unsigned i = 0; i < CELLS; i++) {
		unsigned calls[CELLS] = {5, 5, 5, 5};
		calls[i] = 0;
		assert_int_equal(choose(f, calls, i), cell);
	}
	/* It is waited for. */
	struct router_cell cells[CELLS] = {{0, true}, {0, true}, {0, true}, {0, true}};
	unsigned next = 0;
	cells[cell].is_ready = false;
	assert_int_equal(router_choose(&f->call, cells, CELLS, &next), cell);
	return cell;
}

static void functions_that_stay(void **state)
{
	unsigned used[CELLS] = {0};
	for (unsigned i = 0; i < 400; i++) {
		struct fixture f;
		char name[FUNC_NAME_MAX + 1];
		snprintf(name, sizeof(name), "f%u", i);
		init_call(&f, "acme", name);
		f.manifest.isolation = FUNC_ISOLATION_TENANT;
		used[bound_cell(&f)]++;
	}
	/* Spread: 100 each, and four standard deviations of sqrt(400 * 1/4 * 3/4) more or less. */
	for (unsigned i = 0; i < CELLS; i++)
		assert_in_range(used[i], 65, 135);
}

static void functions_with_a_budget(void **state)
{
	unsigned used[CELLS] = {0};
	for (unsigned i = 0; i < 100; i++) {
		struct fixture f;
		char name[FUNC_NAME_MAX + 1];
		snprintf(name, sizeof(name), "f%u", i);
		init_call(&f, "acme", name);
		f.manifest.cpu = some_budget();
		used[bound_cell(&f)]++;
	}
	for (unsigned i = 0; i < CELLS; i++)
		assert_int_not_equal(used[i], 0);
}

/* All of its functions, of whatever kind, have the tenant's cell. */
static void tenants_with_a_budget(void **state)
{
	unsigned used[CELLS] = {0};
	for (unsigned i = 0; i < 100; i++) {
		struct fixture f;
		char tenant[FUNC_NAME_MAX + 1];
		snprintf(tenant, sizeof(tenant), "t%u", i);
		init_call(&f, tenant, "one");
		f.tenant.cpu = some_budget();
		unsigned cell = bound_cell(&f);
		used[cell]++;
		for (unsigned other = 0; other < 20; other++) {
			snprintf(f.manifest.name, sizeof(f.manifest.name), "f%u", other);
			f.manifest.isolation =
				other % 2 ? FUNC_ISOLATION_TENANT : FUNC_ISOLATION_REQUEST;
			f.manifest.cpu = other % 4 < 2 ? some_budget() : (struct func_budget){0};
			assert_int_equal(bound_cell(&f), cell);
		}
	}
	for (unsigned i = 0; i < CELLS; i++)
		assert_int_not_equal(used[i], 0);
}

/* The names are not run together: else these were one. */
static void names_are_told_apart(void **state)
{
	unsigned differ = 0;
	for (unsigned i = 0; i < 100; i++) {
		struct fixture a, b;
		char name[FUNC_NAME_MAX + 1];
		snprintf(name, sizeof(name), "b%u", i);
		init_call(&a, "ab", name + 1);
		init_call(&b, "a", name);
		a.manifest.isolation = b.manifest.isolation = FUNC_ISOLATION_TENANT;
		differ += bound_cell(&a) != bound_cell(&b);
	}
	assert_true(differ > 50);
}

/* Calls that are bound do not take others' turns. */
static void turns_are_kept(void **state)
{
	struct fixture f;
	unsigned next = 2;
	struct router_cell cells[CELLS] = {{0, true}, {0, true}, {0, true}, {0, true}};
	init_call(&f, "acme", "stays");
	f.manifest.isolation = FUNC_ISOLATION_TENANT;
	(void)router_choose(&f.call, cells, CELLS, &next);
	assert_int_equal(next, 2);
}

static void one_cell(void **state)
{
	struct fixture f;
	unsigned next = 0;
	struct router_cell cell = {.calls = 100};
	init_call(&f, "acme", "hello");
	assert_int_equal(router_choose(&f.call, &cell, 1, &next), 0);
	f.tenant.cpu = some_budget();
	assert_int_equal(router_choose(&f.call, &cell, 1, &next), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_fewest_calls),
		cmocka_unit_test(equals_take_turns),
		cmocka_unit_test(only_ready_cells),
		cmocka_unit_test(functions_that_stay),
		cmocka_unit_test(functions_with_a_budget),
		cmocka_unit_test(tenants_with_a_budget),
		cmocka_unit_test(names_are_told_apart),
		cmocka_unit_test(turns_are_kept),
		cmocka_unit_test(one_cell),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
