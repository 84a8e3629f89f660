/*
 * Guests' counters. Names are read once, when the template is made, and are ours from then on; only
 * values are read from guests' memory later. What an FWP had counted when it ended is kept in its
 * version's sums, and what a version had in those of the next one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "chain/chain_priv.h"

#define COUNTER_SIZE ((uint32_t)sizeof(struct chain_abi_counter))
#define NAME_SIZE    sizeof(((struct chain_abi_counter *)0)->name)

/* Letters that the name may have; others become "_". -EINVAL: it has no end. */
static int clean_name(char *name)
{
	if (memchr(name, '\0', NAME_SIZE) == NULL)
		return -EINVAL;
	for (; *name != '\0'; name++) {
		bool is_letter = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
				 (*name >= '0' && *name <= '9');
		if (!is_letter && strchr("._/@", *name) == NULL)
			*name = '_';
	}
	return 0;
}

int chain_counters_register(struct chain_fwp *c, uint32_t table, uint32_t count, uint32_t values,
			    uint32_t step)
{
	struct chain_stage *stage = c->is_init ? c->stage : NULL;
	if (stage == NULL || stage->counter_names != NULL)
		return -EEXIST;
	if (count == 0 || count > CHAIN_ABI_COUNTERS_MAX)
		return -EINVAL;
	if (chain_copy_look(c->fwp, table, count * COUNTER_SIZE) == NULL ||
	    chain_copy_look(c->fwp, values, (count - 1) * step + sizeof(uint64_t)) == NULL)
		return -EFAULT;
	int err = eos_fault("chain.calloc");
	stage->counters_gone = err == 0 ? calloc(count, NAME_SIZE + sizeof(uint64_t)) : NULL;
	if (stage->counters_gone == NULL)
		return -EAGAIN;
	stage->counter_names = (void *)(stage->counters_gone + count);
	for (uint32_t i = 0; i < count && err == 0; i++) {
		struct chain_abi_counter counter;
		err = chain_copy_from(c->fwp, &counter, table + i * COUNTER_SIZE, COUNTER_SIZE);
		if (err == 0)
			err = clean_name(counter.name);
		memcpy(stage->counter_names[i], counter.name, NAME_SIZE);
	}
	if (err < 0) {
		free(stage->counters_gone);
		stage->counters_gone = NULL;
		stage->counter_names = NULL;
		return err;
	}
	stage->counters = values;
	stage->counters_step = step;
	stage->counters_count = count;
	return 0;
}

/* Adds what C has counted to SUMS. */
static void add_values(const struct chain_fwp *c, uint64_t *sums)
{
	const struct chain_stage *stage = c->stage;
	if (c->fwp == NULL)
		return;
	const uint8_t *values =
		chain_copy_look(c->fwp, stage->counters, (uint32_t)chain_counters_len(stage));
	for (uint32_t i = 0; values != NULL && i < stage->counters_count; i++) {
		uint64_t value;
		memcpy(&value, values + i * stage->counters_step, sizeof(value));
		sums[i] += value;
	}
}

void chain_counters_keep(struct chain_fwp *c)
{
	add_values(c, c->stage->counters_gone);
}

/* FROM's sums to those of TO that have the same name. */
static void fold_stage(const struct chain_stage *to, uint64_t *sums, const struct chain_stage *from,
		       const uint64_t *from_sums)
{
	for (uint32_t i = 0; i < from->counters_count; i++) {
		/* Mostly they are the same, in the same places. */
		for (uint32_t k = 0; k < to->counters_count; k++) {
			uint32_t j = (i + k) % to->counters_count;
			if (strcmp(from->counter_names[i], to->counter_names[j]) != 0)
				continue;
			sums[j] += from_sums[i];
			break;
		}
	}
}

static bool are_same(const struct chain_stage *a, const struct chain_stage *b)
{
	return strcmp(a->name, b->name) == 0;
}

void chain_counters_fold(struct chain_version *to, const struct chain_version *from)
{
	for (unsigned i = 0; i < EOS_MIN(to->stages_count, from->stages_count); i++)
		if (are_same(&to->stages[i], &from->stages[i]))
			fold_stage(&to->stages[i], to->stages[i].counters_gone, &from->stages[i],
				   from->stages[i].counters_gone);
}

/* All of VERSION's counters of stage I, as those of the stage TO. */
static void sum_version(struct chain_template *template, const struct chain_version *version,
			unsigned i, const struct chain_stage *to, uint64_t *sums)
{
	const struct chain_stage *stage = &version->stages[i];
	uint64_t own[CHAIN_ABI_COUNTERS_MAX] = {0};
	memcpy(own, stage->counters_gone, stage->counters_count * sizeof(own[0]));
	EOS_LIST_FOR_EACH (node, &template->idle) {
		const struct chain *chain = EOS_CONTAINER_OF(node, struct chain, node);
		if (chain->version == version)
			add_values(chain->fwps[i], own);
	}
	fold_stage(to, sums, stage, own);
}

void chain_template_counters(struct chain_template *template, unsigned stage,
			     void (*fn)(void *ctx, const char *name, uint64_t value), void *ctx)
{
	uint64_t sums[CHAIN_ABI_COUNTERS_MAX] = {0};
	if (stage >= template->version->stages_count)
		return;
	const struct chain_stage *to = &template->version->stages[stage];
	EOS_LIST_FOR_EACH (node, &template->versions) {
		const struct chain_version *version =
			EOS_CONTAINER_OF(node, struct chain_version, node);
		if (stage < version->stages_count && version->stages[stage].counters_count > 0 &&
		    are_same(to, &version->stages[stage]))
			sum_version(template, version, stage, to, sums);
	}
	for (uint32_t i = 0; i < to->counters_count; i++)
		if (to->counter_names[i][0] != '\0')
			fn(ctx, to->counter_names[i], sums[i]);
}
