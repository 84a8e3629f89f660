/*
 * Tenants and functions, as the cell knows them: what calls share.
 *
 * A function is there from its first call on. One without calls is kept for the next: with its
 * template, and with what it used of its budget, which must not come back by being forgotten. Of
 * those at most FUNCTIONS_KEPT are kept, but none is given up before the period is over in which
 * it last ran; CELL_FUNCTIONS_MAX bounds them all. When edged takes an image away, the functions
 * that have it go with their last call.
 *
 * Both are found by all that makes them what they are, budgets too: a deployment that changes a
 * function's budget, or one under an old name, makes another function, whose calls do not mix with
 * those that are still under way.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "cell/cell_image.h"
#include "cell/cell_priv.h"

#define FUNCTIONS_KEPT 64u

static_assert(LINK_CLASSES == SCHED_CLASSES && LINK_PERIOD_NS_MIN >= SCHED_PERIOD_NS_MIN &&
		      LINK_PERIOD_NS_MAX <= SCHED_PERIOD_NS_MAX &&
		      LINK_BUDGET_NS_MIN >= SCHED_BUDGET_NS_MIN &&
		      LINK_QUANTUM_NS_MIN >= SCHED_QUANTUM_NS_MIN,
	      "what the link lets pass is what the scheduler takes");

EOS_COUNTER(functions_now, "cell.functions", "Functions that the cell knows.")

static bool is_span(const char *text, struct link_span span)
{
	return strncmp(text, span.data, span.len) == 0 && text[span.len] == '\0';
}

static bool is_same_budget(const struct link_budget *a, const struct link_budget *b)
{
	return a->budget_ns == b->budget_ns && a->period_ns == b->period_ns;
}

static size_t bucket_of(struct link_span name)
{
	uint32_t hash = 2166136261u; /* FNV-1a; names are the deployer's, and few */
	for (uint32_t i = 0; i < name.len; i++)
		hash = (hash ^ (uint8_t)name.data[i]) * 16777619u;
	return (hash ^ hash >> 16) % CELL_FUNCTION_BUCKETS;
}

static struct sched_server_config server_config(const struct link_budget *budget)
{
	return (struct sched_server_config){
		.budget_ns = budget->budget_ns,
		.period_ns = budget->period_ns,
	};
}

static int new_tenant(struct cell *cell, const struct link_message *message,
		      struct cell_tenant **ret_tenant)
{
	struct cell_tenant *tenant = calloc(1, sizeof(*tenant));
	if (tenant == NULL)
		return -ENOMEM;
	const struct link_span *name = &message->invoke_parts.tenant;
	tenant->budget = message->invoke.tenant;
	memcpy(tenant->name, name->data, name->len);
	struct sched_server_config config = server_config(&tenant->budget);
	int err = sched_server_init(&tenant->server, cell->core, NULL, &config, NULL);
	if (err < 0) {
		free(tenant);
		return err;
	}
	eos_list_add_tail(&cell->tenants, &tenant->link);
	*ret_tenant = tenant;
	return 0;
}

static void free_tenant(struct cell_tenant *tenant)
{
	EOS_ASSERT(tenant->functions_count == 0);
	eos_list_remove(&tenant->link);
	sched_server_fini(&tenant->server);
	free(tenant);
}

/* Those that are there, in any order: this happens once for each function. */
static int take_tenant(struct cell *cell, const struct link_message *message,
		       struct cell_tenant **ret_tenant)
{
	EOS_LIST_FOR_EACH (link, &cell->tenants) {
		struct cell_tenant *tenant = EOS_CONTAINER_OF(link, struct cell_tenant, link);
		if (is_span(tenant->name, message->invoke_parts.tenant) &&
		    is_same_budget(&tenant->budget, &message->invoke.tenant)) {
			*ret_tenant = tenant;
			return 0;
		}
	}
	return new_tenant(cell, message, ret_tenant);
}

static int new_function(struct cell *cell, const struct link_message *message,
			struct cell_function **ret_function)
{
	const struct link_invoke *invoke = &message->invoke;
	const struct link_span *name = &message->invoke_parts.name;
	struct cell_tenant *tenant;
	int err = take_tenant(cell, message, &tenant);
	if (err < 0)
		return err;
	struct cell_function *function = calloc(1, sizeof(*function));
	struct sched_server_config config = server_config(&invoke->function);
	err = -ENOMEM;
	if (function != NULL)
		err = sched_server_init(&function->server, cell->core, &tenant->server, &config,
					NULL);
	if (err < 0) {
		free(function);
		if (tenant->functions_count == 0)
			free_tenant(tenant);
		return err;
	}
	function->tenant = tenant;
	tenant->functions_count++;
	function->budget = invoke->function;
	function->deployment = invoke->deployment;
	function->image = fwp_image_ref(cell->images[invoke->image_id].image);
	memcpy(function->name, name->data, name->len);
	eos_list_init(&function->idle);
	eos_list_init(&function->waiting);
	eos_list_init(&function->queue);
	function->stays = cell_image_stays(function->image);
	eos_list_add_tail(&cell->functions[bucket_of(*name)], &function->link);
	cell->functions_count++;
	eos_counter_add(&functions_now, 1);
	*ret_function = function;
	return 0;
}

static void free_function(struct cell *cell, struct cell_function *function)
{
	struct cell_tenant *tenant = function->tenant;
	EOS_ASSERT(function->calls_count == 0 && function->current == NULL);
	function->resident = cell_resident_free(function->resident);
	if (!eos_list_is_empty(&function->idle)) {
		eos_list_remove(&function->idle);
		cell->functions_idle--;
	}
	eos_list_remove(&function->link);
	sched_server_fini(&function->server);
	EOS_ASSERT(function->initialiser == NULL && eos_list_is_empty(&function->waiting) &&
		   eos_list_is_empty(&function->queue));
	fwp_template_unref(function->template);
	fwp_image_unref(function->image);
	free(function->last_words);
	free(function);
	cell->functions_count--;
	eos_counter_sub(&functions_now, 1);
	tenant->functions_count--;
	if (tenant->functions_count == 0)
		free_tenant(tenant);
}

static bool is_function(const struct cell_function *function, struct fwp_image *image,
			const struct link_message *message)
{
	return function->image == image && function->deployment == message->invoke.deployment &&
	       is_span(function->name, message->invoke_parts.name) &&
	       is_span(function->tenant->name, message->invoke_parts.tenant) &&
	       is_same_budget(&function->budget, &message->invoke.function) &&
	       is_same_budget(&function->tenant->budget, &message->invoke.tenant);
}

static struct cell_function *find_function(struct cell *cell, const struct link_message *message)
{
	struct fwp_image *image = cell->images[message->invoke.image_id].image;
	EOS_LIST_FOR_EACH (link, &cell->functions[bucket_of(message->invoke_parts.name)]) {
		struct cell_function *function = EOS_CONTAINER_OF(link, struct cell_function, link);
		if (is_function(function, image, message))
			return function;
	}
	return NULL;
}

/* Marks the older deployments of FUNCTION's name, or FUNCTION itself if it is an older one: a call
 * of what was deployed before may come late. One of the others whose resident FWP is to go and that
 * no call needs, or NULL. */
static struct cell_function *find_superseded(struct cell *cell, struct cell_function *function)
{
	struct link_span name = {function->name, (uint32_t)strlen(function->name)};
	struct cell_function *found = NULL;
	EOS_LIST_FOR_EACH (link, &cell->functions[bucket_of(name)]) {
		struct cell_function *other = EOS_CONTAINER_OF(link, struct cell_function, link);
		if (other == function || strcmp(other->name, function->name) != 0 ||
		    strcmp(other->tenant->name, function->tenant->name) != 0)
			continue;
		if (other->deployment > function->deployment) {
			function->is_superseded = true;
			continue;
		}
		other->is_superseded = true;
		if (other->calls_count == 0 && other->resident != NULL)
			found = other;
	}
	return found;
}

/* FUNCTION is new here: older deployments keep resident FWPs no longer than calls need them. */
static void supersede_others(struct cell *cell, struct cell_function *function)
{
	struct cell_function *other;
	while ((other = find_superseded(cell, function)) != NULL) {
		other->resident = cell_resident_free(other->resident);
		/* May free others too: hence the search from the start. */
		cell_function_settle(cell, other);
	}
}

/* Gives up those that were idle longest. */
static void trim_idle(struct cell *cell, uint64_t now_ns)
{
	while (cell->functions_idle > FUNCTIONS_KEPT) {
		struct cell_function *oldest =
			EOS_CONTAINER_OF(cell->idle.next, struct cell_function, idle);
		uint64_t period_ns =
			EOS_MAX(oldest->budget.period_ns, oldest->tenant->budget.period_ns);
		if (now_ns - oldest->idle_since_ns < period_ns)
			return;
		free_function(cell, oldest);
	}
}

int cell_function_take(struct cell *cell, const struct link_message *message,
		       struct cell_function **ret_function, struct eos_why *why)
{
	struct cell_function *function = find_function(cell, message);
	if (function == NULL) {
		trim_idle(cell, eos_now_ns());
		if (cell->functions_count == CELL_FUNCTIONS_MAX)
			return eos_why(why, -ENOSPC,
				       "the cell knows %u functions, as many as it may",
				       CELL_FUNCTIONS_MAX);
		int err = new_function(cell, message, &function);
		if (err < 0)
			return err;
		supersede_others(cell, function);
	}
	if (!eos_list_is_empty(&function->idle)) {
		eos_list_remove(&function->idle);
		cell->functions_idle--;
	}
	function->calls_count++;
	*ret_function = function;
	return 0;
}

struct cell_function *cell_function_give(struct cell *cell, struct cell_function *function)
{
	if (function == NULL)
		return NULL;
	EOS_ASSERT(function->calls_count > 0);
	function->calls_count--;
	if (function->calls_count > 0)
		return NULL;
	if (function->is_superseded)
		function->resident = cell_resident_free(function->resident);
	cell_function_settle(cell, function);
	return NULL;
}

void cell_function_settle(struct cell *cell, struct cell_function *function)
{
	if (function->calls_count > 0 || !eos_list_is_empty(&function->idle))
		return;
	if (function->is_unloaded) {
		free_function(cell, function);
		return;
	}
	/* One with a resident FWP is not idle: that would lose its state. */
	if (function->resident != NULL)
		return;
	function->idle_since_ns = eos_now_ns();
	eos_list_add_tail(&cell->idle, &function->idle);
	cell->functions_idle++;
	trim_idle(cell, function->idle_since_ns);
}

void cell_functions_unload(struct cell *cell, const struct fwp_image *image)
{
	for (size_t i = 0; i < CELL_FUNCTION_BUCKETS; i++) {
		EOS_LIST_FOR_EACH (link, &cell->functions[i]) {
			struct cell_function *function =
				EOS_CONTAINER_OF(link, struct cell_function, link);
			if (function->image != image)
				continue;
			function->is_unloaded = true;
			if (function->calls_count == 0)
				free_function(cell, function);
		}
	}
}

void cell_functions_shrink(struct cell *cell)
{
	cell_residents_shrink(cell);
	EOS_LIST_FOR_EACH (link, &cell->idle) {
		struct cell_function *function = EOS_CONTAINER_OF(link, struct cell_function, idle);
		function->template = fwp_template_unref(function->template);
	}
}

void cell_functions_init(struct cell *cell)
{
	eos_list_init(&cell->tenants);
	eos_list_init(&cell->idle);
	eos_list_init(&cell->residents);
	for (size_t i = 0; i < CELL_FUNCTION_BUCKETS; i++)
		eos_list_init(&cell->functions[i]);
}

void cell_functions_free(struct cell *cell)
{
	for (size_t i = 0; i < CELL_FUNCTION_BUCKETS; i++) {
		EOS_LIST_FOR_EACH (link, &cell->functions[i]) {
			free_function(cell, EOS_CONTAINER_OF(link, struct cell_function, link));
		}
	}
	EOS_ASSERT(eos_list_is_empty(&cell->tenants) && cell->functions_count == 0);
}
