/*
 * Templates under their names. Applying is in two halves: everything that can fail makes a new
 * version beside the one that is there; then the template's words are changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fault.h"
#include "chain/chain_priv.h"

static int check_stages(const struct chain_config *config, struct eos_why *why)
{
	if (config->stages_count == 0 || config->stages_count > CHAIN_STAGES_MAX)
		return eos_why(why, -EINVAL, "chain %s: stages: %zu, expected 1 to %u",
			       config->name, config->stages_count, CHAIN_STAGES_MAX);
	for (size_t i = 0; i < config->stages_count; i++) {
		const struct chain_stage_config *stage = &config->stages[i];
		if (stage->name == NULL || stage->image == NULL)
			return eos_why(why, -EINVAL, "chain %s: stage %zu has no name or image",
				       config->name, i);
		if (stage->settings_count > CHAIN_SETTINGS_MAX)
			return eos_why(why, -EINVAL, "chain %s: stage %s has more than %u settings",
				       config->name, stage->name, CHAIN_SETTINGS_MAX);
		/* A packet's time is the chain's timeout, which bounds calls too. */
		if (stage->limits.timeout_ns != 0 || stage->limits.host_calls_per_s != 0)
			return eos_why(why, -EINVAL,
				       "chain %s: stage %s: packet functions have no limit of time "
				       "or calls but the chain's",
				       config->name, stage->name);
	}
	return 0;
}

static int check_config(const struct chains *chains, const struct chain_config *config,
			struct eos_why *why)
{
	if (config->name == NULL || config->name[0] == '\0' ||
	    strlen(config->name) > CHAIN_NAME_MAX || config->tenant == NULL)
		return eos_why(why, -EINVAL, "a chain needs a name of 1 to %u bytes, and a tenant",
			       CHAIN_NAME_MAX);
	if ((unsigned)config->isolation > CHAIN_FIXED)
		return eos_why(why, -EINVAL, "chain %s: no such isolation", config->name);
	uint32_t fixed = config->fixed_count;
	if (config->isolation == CHAIN_FIXED && (fixed == 0 || fixed > chains->chain_pool.max))
		return eos_why(why, -EINVAL, "chain %s: fixed: %u, expected 1 to %u", config->name,
			       fixed, chains->chain_pool.max);
	return check_stages(config, why);
}

/* How many chains it has that are not clients'. */
static uint32_t fixed_of(const struct chain_config *config)
{
	switch (config->isolation) {
	case CHAIN_FIXED:
		return config->fixed_count;
	case CHAIN_PER_TENANT:
		return 1;
	case CHAIN_PER_CLIENT:
		break;
	}
	return 0;
}

static void free_template(struct chain_template *template)
{
	if (template == NULL)
		return;
	EOS_LIST_FOR_EACH (node, &template->idle)
		chain_free(EOS_CONTAINER_OF(node, struct chain, node));
	struct chain_version *version = template->version;
	template->version = NULL;
	chain_version_unref(template, version);
	EOS_ASSERT(eos_list_is_empty(&template->versions));
	eos_list_remove(&template->node);
	free(template->fixed);
	free(template->tenant);
	free(template);
}

static int new_template(struct chains *chains, const struct chain_config *config,
			struct chain_template **ret_template, struct eos_why *why)
{
	if (chains->templates_count == CHAIN_TEMPLATES_MAX)
		return eos_why(why, -ENOSPC, "there are %u chains' templates already",
			       CHAIN_TEMPLATES_MAX);
	int err = eos_fault("chain.calloc");
	struct chain_template *template = err == 0 ? calloc(1, sizeof(*template)) : NULL;
	if (template == NULL)
		return eos_why(why, -ENOMEM, "no memory for a chain's template");
	template->chains = chains;
	template->id = chains->next_id++;
	memcpy(template->name, config->name, strlen(config->name));
	eos_list_init(&template->idle);
	eos_list_init(&template->versions);
	eos_list_init(&template->node);
	*ret_template = template;
	return 0;
}

/* Its words, which cannot fail. TENANT and FIXED are taken. */
static void change(struct chain_template *template, const struct chain_config *config,
		   struct chain_version *version, char *tenant, struct chain **fixed)
{
	uint32_t fixed_count = fixed_of(config);
	bool is_same = template->version != NULL && template->isolation == config->isolation &&
		       template->domain == config->domain &&
		       template->out_domain == config->out_domain &&
		       template->fixed_count == fixed_count;
	if (is_same) {
		free(fixed);
	} else {
		/* Its packets are others' from now on. */
		EOS_LIST_FOR_EACH (node, &template->idle)
			chain_free(EOS_CONTAINER_OF(node, struct chain, node));
		free(template->fixed);
		template->fixed = fixed;
	}
	free(template->tenant);
	template->tenant = tenant;
	template->isolation = config->isolation;
	template->takes_arp = config->takes_arp;
	template->domain = config->domain;
	template->out_domain = config->out_domain;
	template->fixed_count = fixed_count;
	template->idle_ns = config->idle_ns;
	template->chains_max = template->chains->chain_pool.max;
	if (config->chains_max > 0)
		template->chains_max = EOS_MIN(config->chains_max, template->chains_max);
	struct chain_version *before = template->version;
	template->version = version;
	eos_list_add_tail(template->versions.next, &version->node);
	for (unsigned i = 0; before != NULL && i < CHAIN_STAGES_MAX; i++)
		if (i >= before->stages_count || i >= version->stages_count ||
		    strcmp(before->stages[i].name, version->stages[i].name) != 0)
			template->stages[i] = (struct chain_stage_stats){0};
	template->stats.version++;
	chain_version_unref(template, before);
}

/* A version that was made and is not its template's yet. */
struct chain_update {
	struct chain_config config; /* its numbers; the texts were borrowed */
	struct chain_template *template;
	bool is_new; /* the template is ours */
	struct chain_version *version;
	char *tenant;
	struct chain **fixed;
};

struct chain_update *chain_template_abandon(struct chain_update *update)
{
	if (update == NULL)
		return NULL;
	if (update->template != NULL)
		chain_version_unref(update->template, update->version);
	if (update->is_new)
		free_template(update->template);
	free(update->tenant);
	free(update->fixed);
	free(update);
	return NULL;
}

static int fill_update(struct chains *chains, const struct chain_config *config,
		       struct chain_update *update, struct eos_why *why)
{
	int err = 0;
	update->config = *config;
	update->template = chain_template_find(chains, config->name);
	if (update->template == NULL) {
		err = new_template(chains, config, &update->template, why);
		update->is_new = err == 0;
		if (err < 0)
			return err;
	}
	err = eos_fault("chain.strdup");
	update->tenant = err == 0 ? strdup(config->tenant) : NULL;
	err = eos_fault("chain.calloc");
	update->fixed = err == 0 ? calloc(fixed_of(config) + 1u, sizeof(struct chain *)) : NULL;
	if (update->tenant == NULL || update->fixed == NULL)
		return eos_why(why, -ENOMEM, "no memory for a chain's template");
	return chain_version_new(update->template, config, &update->version, why);
}

int chain_template_prepare(struct chains *chains, const struct chain_config *config,
			   struct chain_update **ret_update, struct eos_why *why)
{
	EOS_ASSERT(!chains->is_busy);
	int err = check_config(chains, config, why);
	if (err < 0)
		return err;
	err = eos_fault("chain.calloc");
	struct chain_update *update = err == 0 ? calloc(1, sizeof(*update)) : NULL;
	if (update == NULL)
		return eos_why(why, -ENOMEM, "no memory for a chain's template");
	err = fill_update(chains, config, update, why);
	if (err < 0) {
		chain_template_abandon(update);
		return err;
	}
	*ret_update = update;
	return 0;
}

struct chain_template *chain_template_commit(struct chain_update *update)
{
	struct chain_template *template = update->template;
	struct chains *chains = template->chains;
	EOS_ASSERT(!chains->is_busy);
	change(template, &update->config, update->version, update->tenant, update->fixed);
	if (update->is_new) {
		eos_list_add_tail(&chains->templates, &template->node);
		chains->templates_count++;
	}
	free(update);
	return template;
}

int chain_template_apply(struct chains *chains, const struct chain_config *config,
			 struct chain_template **ret_template, struct eos_why *why)
{
	struct chain_update *update;
	int err = chain_template_prepare(chains, config, &update, why);
	if (err == 0)
		*ret_template = chain_template_commit(update);
	return err;
}

int chain_template_remove(struct chains *chains, const char *name)
{
	EOS_ASSERT(!chains->is_busy);
	struct chain_template *template = chain_template_find(chains, name);
	if (template == NULL)
		return -ENOENT;
	chains->templates_count--;
	free_template(template);
	return 0;
}

struct chain_template *chain_template_find(struct chains *chains, const char *name)
{
	EOS_LIST_FOR_EACH (node, &chains->templates) {
		struct chain_template *template =
			EOS_CONTAINER_OF(node, struct chain_template, node);
		if (strcmp(template->name, name) == 0)
			return template;
	}
	return NULL;
}

void chains_each(struct chains *chains, void (*fn)(void *ctx, struct chain_template *template),
		 void *ctx)
{
	EOS_LIST_FOR_EACH (node, &chains->templates)
		fn(ctx, EOS_CONTAINER_OF(node, struct chain_template, node));
}

const char *chain_template_name(const struct chain_template *template)
{
	return template->name;
}

void chain_template_set_tag(struct chain_template *template, uintptr_t tag)
{
	template->tag = tag;
}

uint32_t chain_template_packet_max(const struct chain_template *template)
{
	const struct chain_version *version = template->version;
	uint32_t max = CHAIN_ABI_PACKET_MAX;
	for (unsigned i = 0; i < version->stages_count; i++)
		max = EOS_MIN(max, version->stages[i].room);
	return max;
}

uintptr_t chain_template_tag(const struct chain_template *template)
{
	return template->tag;
}

void chain_template_stats(const struct chain_template *template, struct chain_stats *ret_stats)
{
	*ret_stats = template->stats;
	ret_stats->chains_max = template->chains_max;
}

int chain_template_stage_stats(const struct chain_template *template, unsigned stage,
			       struct chain_stage_stats *ret_stats)
{
	if (stage >= template->version->stages_count)
		return -EINVAL;
	*ret_stats = template->stages[stage];
	return 0;
}
