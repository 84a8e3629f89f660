#include "chain_host.h"

#include <errno.h>

#include "base/clock.h"
#include "guest.h"

static int on_send(void *ctx, const struct chain_output *output)
{
	struct chain_host *host = ctx;

	host->sent++;
	host->sent_bytes += output->len;
	return 0;
}

static const struct chains_ops ops = {.send = on_send};

int chain_host_init(struct chain_host *host, const struct bench *bench, unsigned fwps_max,
		    unsigned chains_max, struct eos_why *why)
{
	size_t imports_count;
	const struct fwp_import *imports = chain_imports(&imports_count);
	const struct fwp_engine_config engine = {
		.fwps_max = fwps_max, .pool_high = fwps_max, .shares_page = true};
	int err = guest_make(bench, "chain", imports, imports_count, &host->image, why);

	if (err == 0)
		err = fwp_engine_new(&engine, &host->engine, why);
	if (err < 0)
		return err;
	const struct chains_config config = {
		.engine = host->engine, .ops = &ops, .ctx = host, .chains_max = chains_max};

	return chains_new(&config, &host->chains, why);
}

void chain_host_fini(struct chain_host *host)
{
	host->chains = chains_free(host->chains);
	host->engine = fwp_engine_free(host->engine);
	host->image = fwp_image_unref(host->image);
}

int chain_host_apply(struct chain_host *host, const char *name, unsigned stages, unsigned work,
		     uint64_t idle_ns, struct chain_template **ret_template, struct eos_why *why)
{
	char value[2] = {(char)('0' + work), '\0'};
	const struct chain_setting setting = {"stages", value};
	struct chain_stage_config configs[CHAIN_STAGES_MAX];
	const struct chain_config config = {
		.name = name,
		.tenant = "bench",
		.isolation = CHAIN_PER_CLIENT,
		.idle_ns = idle_ns,
		.timeout_ns = EOS_NS_PER_S,
		.stages = configs,
		.stages_count = stages,
	};

	for (unsigned i = 0; i < stages; i++)
		configs[i] = (struct chain_stage_config){
			.name = "count",
			.image = host->image,
			.settings = &setting,
			.settings_count = 1,
		};
	return chain_template_apply(host->chains, &config, ret_template, why);
}
