/*
 * The table of tenants is sorted by name once, because it is searched for each new lane of the
 * queue.
 */
#include "func/tenant.h"

#include <stdlib.h>
#include <string.h>

static const char *const limit_keys[] = {"fwps", "cpu", NULL};
static const char *const budget_keys[] = {"budget", "period", NULL};

void func_tenants_init(struct func_tenants *tenants)
{
	*tenants = (struct func_tenants){.others.running_max = FUNC_TENANT_CALLS_MAX};
}

bool func_is_name(const char *text)
{
	if (text[0] < 'a' || text[0] > 'z')
		return false;
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return text[len] == '\0' && len <= FUNC_NAME_MAX;
}

int func_budget_decode(const struct eos_node *map, struct func_budget *budget, struct eos_why *why)
{
	uint64_t period_ns = FUNC_PERIOD_NS_DEFAULT, budget_ns = 0;
	int err = eos_node_get_duration(map, "period", FUNC_PERIOD_NS_MIN, FUNC_PERIOD_NS_MAX,
					&period_ns, why);
	if (err == 0)
		err = eos_node_get_duration(map, "budget", FUNC_BUDGET_NS_MIN, FUNC_PERIOD_NS_MAX,
					    &budget_ns, why);
	if (err < 0)
		return err;
	if (budget_ns == 0 && eos_node_get(map, "period") != NULL)
		return eos_node_fail(eos_node_get(map, "period"), why,
				     "period: without a budget it means nothing");
	if (budget_ns > period_ns)
		return eos_node_fail(eos_node_get(map, "budget"), why,
				     "budget: longer than its period");
	if (budget_ns > 0)
		*budget = (struct func_budget){.budget_ns = budget_ns, .period_ns = period_ns};
	return 0;
}

static int decode_limits(const struct eos_node *map, struct func_tenant *tenant,
			 struct eos_why *why)
{
	uint64_t fwps = tenant->running_max;
	int err = eos_node_check_keys(map, limit_keys, why);
	if (err == 0)
		err = eos_node_get_u64(map, "fwps", 1, FUNC_RUNNING_MAX, &fwps, why);
	const struct eos_node *cpu = eos_node_get(map, "cpu");
	if (err == 0 && cpu != NULL)
		err = eos_node_check_keys(cpu, budget_keys, why);
	if (err == 0 && cpu != NULL)
		err = func_budget_decode(cpu, &tenant->cpu, why);
	tenant->running_max = (unsigned)fwps;
	return err;
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct func_tenant *)a)->name, ((const struct func_tenant *)b)->name);
}

static int decode_named(const struct eos_node *map, struct func_tenants *tenants,
			struct eos_why *why)
{
	for (size_t i = 0; i < eos_node_count(map); i++) {
		const struct eos_node *node = eos_node_at(map, i);
		const char *name = eos_node_key_at(map, i);
		if (strcmp(name, "default") == 0)
			continue;
		if (!func_is_name(name))
			return eos_node_fail(node, why, "tenants: not a tenant's name: \"%.80s\"",
					     name);
		if (tenants->count == FUNC_TENANTS_MAX)
			return eos_node_fail(node, why, "tenants: more than %u", FUNC_TENANTS_MAX);
		struct func_tenant *tenant = &tenants->named[tenants->count++];
		*tenant = tenants->others;
		strcpy(tenant->name, name); /* func_is_name() has looked at the length */
		int err = decode_limits(node, tenant, why);
		if (err < 0)
			return err;
	}
	qsort(tenants->named, tenants->count, sizeof(tenants->named[0]), compare);
	return 0;
}

int func_tenants_decode(const struct eos_node *map, struct func_tenants *ret_tenants,
			struct eos_why *why)
{
	int err = 0;
	func_tenants_init(ret_tenants);
	if (map == NULL)
		return 0;
	if (eos_node_kind(map) != EOS_NODE_MAP)
		return eos_node_fail(map, why, "tenants: not a map of names and limits");
	/* First, wherever it stands: the others begin with what it says. */
	const struct eos_node *others = eos_node_get(map, "default");
	if (others != NULL)
		err = decode_limits(others, &ret_tenants->others, why);
	return err < 0 ? err : decode_named(map, ret_tenants, why);
}

const struct func_tenant *func_tenants_find(const struct func_tenants *tenants, const char *name)
{
	size_t low = 0, high = tenants->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(name, tenants->named[middle].name);
		if (order == 0)
			return &tenants->named[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return &tenants->others;
}
