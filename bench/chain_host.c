#include "chain_host.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "flow/flow.h"
#include "guest.h"

#define IPV4_OFFSET	14u
#define UDP_OFFSET	34u
#define CLIENTS_NETWORK 0x0a000000u /* 10.0.0.0 */

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
	const struct fwp_engine_config engine = {.fwps_max = fwps_max, .pool_high = fwps_max};
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

static void put16(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

void chain_host_frame(uint8_t *out, uint32_t len, uint32_t client)
{
	struct flow_packet packet;

	memset(out, 0, len);
	memcpy(out, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00", IPV4_OFFSET);
	uint8_t *ip = out + IPV4_OFFSET, *udp = out + UDP_OFFSET;

	ip[0] = 0x45;
	put16(ip + 2, len - IPV4_OFFSET);
	ip[8] = 64;
	ip[9] = 17;
	put16(ip + 12, (CLIENTS_NETWORK + client + 1) >> 16);
	put16(ip + 14, (CLIENTS_NETWORK + client + 1) & 0xffffu);
	memcpy(ip + 16, "\xc0\x00\x02\x01", 4); /* 192.0.2.1 */
	put16(udp, 40000);
	put16(udp + 2, 53);
	put16(udp + 4, len - UDP_OFFSET);
	flow_parse(out, len, &packet);
	flow_checksums_set(out, &packet);
}
