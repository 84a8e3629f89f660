/*
 * What the node's owner allows each tenant: how many of its calls run at once, and how much of a
 * processor they get together. Decoded from the node's configuration, key `tenants`; tenants
 * themselves are no more than the names in manifests.
 *
 * A budget is BUDGET_NS of running time in each PERIOD_NS; functions have them too (manifest, key
 * `cpu`), below their tenant's. The bounds here are those of the cell's scheduler.
 *
 * Immutable after decoding, so for any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/node.h"
#include "base/why.h"

#define FUNC_NAME_MAX	       63u
#define FUNC_RUNNING_MAX       512u /* calls of all functions that run at once */
#define FUNC_TENANTS_MAX       128u
#define FUNC_TENANT_CALLS_MAX  256u /* default of calls that run at once */
#define FUNC_BUDGET_NS_MIN     UINT64_C(100000)
#define FUNC_PERIOD_NS_MIN     UINT64_C(1000000)
#define FUNC_PERIOD_NS_MAX     UINT64_C(60000000000)
#define FUNC_PERIOD_NS_DEFAULT UINT64_C(100000000)

struct func_budget {
	uint64_t budget_ns; /* 0: no limit, else at most period_ns */
	uint64_t period_ns; /* 0 without a budget */
};

struct func_tenant {
	char name[FUNC_NAME_MAX + 1]; /* "" : of all that are not named */
	unsigned running_max;
	struct func_budget cpu;
};

struct func_tenants {
	struct func_tenant others; /* for those that are not named */
	unsigned count;
	struct func_tenant named[FUNC_TENANTS_MAX]; /* by name */
};

/* Without names, and with the defaults for all. */
void func_tenants_init(struct func_tenants *tenants);
/* MAP (NULL: nothing is said) over the defaults. -EINVAL with file and line. */
int func_tenants_decode(const struct eos_node *map, struct func_tenants *ret_tenants,
			struct eos_why *why) EOS_MUST_CHECK;
/* Never NULL; borrowed from TENANTS. */
const struct func_tenant *func_tenants_find(const struct func_tenants *tenants, const char *name);

/* The keys `budget` and `period` of MAP, whose keys are for the caller to check. A missing budget
 * leaves *BUDGET as it is. -EINVAL with file and line: out of bounds, or a period alone. */
int func_budget_decode(const struct eos_node *map, struct func_budget *budget,
		       struct eos_why *why) EOS_MUST_CHECK;
/* May TEXT be the name of a function or tenant? a-z 0-9 -, begins with a letter. */
bool func_is_name(const char *text);
