/*
 * One version of a template: its stages' FWP templates, and what the guests said in their
 * initialisation, which runs here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fault.h"
#include "chain/chain_priv.h"

#define MEMORY_DEFAULT (1u << 20)
#define STACK_DEFAULT  (64u << 10)
/* Of an initialisation, in all. */
#define INIT_TIMEOUT_NS UINT64_C(5000000000)

static int copy_text(const char *text, char **ret_copy)
{
	int err = eos_fault("chain.strdup");
	char *copy = err == 0 ? strdup(text) : NULL;
	if (copy == NULL)
		return -ENOMEM;
	*ret_copy = copy;
	return 0;
}

static int copy_settings(struct chain_stage *stage, const struct chain_stage_config *config)
{
	if (config->settings_count == 0)
		return 0;
	int err = eos_fault("chain.calloc");
	stage->settings =
		err == 0 ? calloc(config->settings_count, sizeof(*stage->settings)) : NULL;
	if (stage->settings == NULL)
		return -ENOMEM;
	for (; stage->settings_count < config->settings_count; stage->settings_count++) {
		char *key = NULL, *value = NULL;
		err = copy_text(config->settings[stage->settings_count].key, &key);
		if (err == 0)
			err = copy_text(config->settings[stage->settings_count].value, &value);
		if (err < 0) {
			free(key);
			return err;
		}
		stage->settings[stage->settings_count] = (struct chain_setting){key, value};
	}
	return 0;
}

static void free_stage(struct chain_stage *stage)
{
	fwp_template_unref(stage->template);
	for (size_t i = 0; i < stage->settings_count; i++) {
		free((char *)(uintptr_t)stage->settings[i].key);
		free((char *)(uintptr_t)stage->settings[i].value);
	}
	free(stage->settings);
	free(stage->counters_gone);
	free(stage->name);
}

static void free_version(struct chain_version *version)
{
	for (unsigned i = 0; i < version->stages_count; i++)
		free_stage(&version->stages[i]);
	for (unsigned i = 0; i < CHAIN_ABI_PORTS_MAX; i++)
		free(version->ports[i]);
	eos_list_remove(&version->node);
	free(version);
}

void chain_version_unref(struct chain_template *template, struct chain_version *version)
{
	if (version == NULL || --version->references > 0)
		return;
	if (template->version != NULL && template->version != version)
		chain_counters_fold(template->version, version);
	free_version(version);
}

/* What the host must know of what the guest left. */
static int check_stage(struct chain_stage *stage, const struct fwp_image *image,
		       struct eos_why *why)
{
	stage->packet = (uint32_t(*)(void *, uint32_t, uint32_t))(void *)fwp_image_find_export(
		image, "edgeos_packet", "ii:i");
	stage->timer =
		(void (*)(void *, uint32_t))fwp_image_find_export(image, "edgeos_timer", "i:");
	if (stage->packet == NULL)
		return eos_why(why, -EINVAL,
			       "stage %s: it exports no function edgeos_packet(buf, len)",
			       stage->name);
	return 0;
}

static int initialise(struct chain_template *template, struct chain_stage *stage, unsigned index,
		      const struct chain_stage_config *config, struct eos_why *why)
{
	struct chain chain = {.template = template};
	struct chain_fwp c = {
		.stage = stage,
		.chain = &chain,
		.index = (uint8_t)index,
		.is_init = true,
	};
	struct fwp_engine *engine = template->chains->engine;
	struct fwp_limits limits = stage->limits;
	limits.timeout_ns = INIT_TIMEOUT_NS;
	int err = fwp_new_for_template(engine, config->image, &limits, &c, &c.fwp, why);
	if (err < 0) {
		eos_why_prefix(why, "stage %s", stage->name);
		return err == -EAGAIN ? -ENOMEM : err;
	}
	c.memory = fwp_memory(c.fwp, 0, 0);
	char error[CHAIN_INIT_ERROR_SIZE] = "";
	template->init_error = error;
	enum fwp_state state = fwp_run(c.fwp);
	template->init_error = NULL;
	const struct fwp_death *death = state == FWP_DEAD ? fwp_death(c.fwp) : NULL;
	if (death == NULL || death->kind != FWP_DEATH_EXIT || death->code != 0) {
		char place[FWP_PLACE_SIZE] = "";
		if (death != NULL)
			fwp_death_place(c.fwp, place, sizeof(place));
		err = eos_why(why, -EIO, "stage %s: its initialisation ended: %s%s%s%s%s",
			      stage->name, death != NULL ? death->text : "it waits for something",
			      place[0] != '\0' ? " in " : "", place, error[0] != '\0' ? ": " : "",
			      error);
	} else if (stage->capacity == 0) {
		err = eos_why(why, -EIO,
			      "stage %s: its initialisation did not call edgeos_packets()",
			      stage->name);
	} else {
		err = fwp_template_capture(c.fwp, &stage->template, why);
	}
	fwp_free(c.fwp);
	return err < 0 ? err : chain_slot_share(stage, why);
}

static int make_stage(struct chain_template *template, struct chain_version *version,
		      const struct chain_stage_config *config, struct eos_why *why)
{
	unsigned index = version->stages_count;
	struct chain_stage *stage = &version->stages[index];
	version->stages_count++; /* from here on it is freed with the version */
	stage->limits = config->limits;
	if (stage->limits.memory_bytes == 0)
		stage->limits.memory_bytes = MEMORY_DEFAULT;
	if (stage->limits.stack_bytes == 0)
		stage->limits.stack_bytes = STACK_DEFAULT;
	int err = copy_text(config->name, &stage->name);
	if (err == 0)
		err = copy_settings(stage, config);
	if (err < 0)
		return eos_why(why, err, "no memory for a stage");
	err = check_stage(stage, config->image, why);
	return err < 0 ? err : initialise(template, stage, index, config, why);
}

const char *const chain_sides[2] = {[CHAIN_CLIENT] = "client", [CHAIN_OUT] = "out"};

static int copy_ports(struct chain_version *version, const struct chain_config *config)
{
	for (unsigned i = 0; i < CHAIN_ABI_PORTS_MAX; i++) {
		const char *name = config->ports[i];
		if (i < EOS_ARRAY_SIZE(chain_sides) && name == NULL)
			name = chain_sides[i];
		if (name == NULL)
			continue;
		int err = copy_text(name, &version->ports[i]);
		if (err < 0)
			return err;
		uint32_t mtu = config->ports_mtu[i];
		version->mtu[i] =
			mtu > 0 ? EOS_MIN(mtu, CHAIN_ABI_PACKET_MAX) : CHAIN_ABI_PACKET_MAX;
	}
	return 0;
}

int chain_version_new(struct chain_template *template, const struct chain_config *config,
		      struct chain_version **ret_version, struct eos_why *why)
{
	int err = eos_fault("chain.calloc");
	struct chain_version *version = err == 0 ? calloc(1, sizeof(*version)) : NULL;
	if (version == NULL)
		return eos_why(why, -ENOMEM, "no memory for a chain's template");
	eos_list_init(&version->node);
	version->references = 1;
	version->timeout_ns = config->timeout_ns > 0 ? config->timeout_ns : CHAIN_TIMEOUT_NS;
	err = copy_ports(version, config);
	if (err < 0)
		err = eos_why(why, err, "no memory for a chain's template");
	/* Ports have names while stages initialise. */
	struct chain_version *before = template->naming;
	template->naming = version;
	for (size_t i = 0; i < config->stages_count && err == 0; i++)
		err = make_stage(template, version, &config->stages[i], why);
	template->naming = before;
	if (err < 0) {
		free_version(version);
		return err;
	}
	*ret_version = version;
	return 0;
}
