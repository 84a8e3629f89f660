/*
 * The functions of module "edgeos" for packet functions. What guests pass is checked here, or where
 * bytes are copied; a result below zero is WASI's number of an error, as guests' <errno.h> has it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "chain/chain_priv.h"

static uint32_t result_of(int result)
{
	static const struct {
		int ours, guests;
	} numbers[] = {
		{EAGAIN, CHAIN_ABI_EAGAIN},
		{EBADF, CHAIN_ABI_EBADF},
		{EEXIST, CHAIN_ABI_EEXIST},
		{EFAULT, CHAIN_ABI_EFAULT},
		{EINVAL, CHAIN_ABI_EINVAL},
		{EMSGSIZE, CHAIN_ABI_EMSGSIZE},
		{ENAMETOOLONG, CHAIN_ABI_ENAMETOOLONG},
		{ENOENT, CHAIN_ABI_ENOENT},
		{EOPNOTSUPP, CHAIN_ABI_ENOTSUP},
	};
	if (EOS_LIKELY(result >= 0))
		return (uint32_t)result;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(numbers); i++)
		if (numbers[i].ours == -result)
			return 0u - (uint32_t)numbers[i].guests;
	return 0u - (uint32_t)CHAIN_ABI_EIO;
}

static uint32_t enter_packets(struct fwp *fwp, uint32_t slot)
{
	fwp_host_enter(fwp);
	int result = chain_slot_set(fwp_context(fwp), slot, false);
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint32_t enter_packet_page(struct fwp *fwp, uint32_t slot)
{
	fwp_host_enter(fwp);
	int result = chain_slot_set(fwp_context(fwp), slot, true);
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint32_t enter_packet_state(struct fwp *fwp, uint32_t bytes, uint32_t len)
{
	fwp_host_enter(fwp);
	int result = chain_slot_set_state(fwp_context(fwp), bytes, len);
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint32_t enter_packet_send(struct fwp *fwp, uint32_t port, uint32_t peer, uint32_t buf,
				  uint32_t len)
{
	fwp_host_enter(fwp);
	int result = chain_run_send(fwp_context(fwp), port, peer, buf, len);
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint32_t enter_stream_close(struct fwp *fwp, uint32_t peer)
{
	fwp_host_enter(fwp);
	int result = chain_stream_close(fwp_context(fwp), peer);
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint32_t enter_stream_shut(struct fwp *fwp, uint32_t port, uint32_t peer, uint32_t how)
{
	fwp_host_enter(fwp);
	int result = chain_stream_shut(fwp_context(fwp), port, peer, how);
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint32_t enter_stream_info(struct fwp *fwp, uint32_t peer, uint32_t what, uint32_t out,
				  uint32_t size)
{
	fwp_host_enter(fwp);
	int result = chain_stream_info(fwp_context(fwp), peer, what, out, size);
	fwp_host_leave(fwp);
	return result_of(result);
}

/* A name of the guest's as a string. */
static int get_name(struct chain_fwp *c, uint32_t address, uint32_t len,
		    char out[CHAIN_ABI_NAME_MAX + 1])
{
	if (len > CHAIN_ABI_NAME_MAX)
		return -ENAMETOOLONG;
	int err = chain_copy_from(c->fwp, out, address, len);
	if (err < 0)
		return err;
	out[len] = '\0';
	return strlen(out) == len ? 0 : -EINVAL;
}

static int call_port(struct chain_fwp *c, uint32_t address, uint32_t len)
{
	char name[CHAIN_ABI_NAME_MAX + 1];
	const struct chain_version *version =
		c->is_init ? c->chain->template->naming : c->chain->version;
	int err = get_name(c, address, len, name);
	if (err < 0)
		return err == -ENAMETOOLONG ? -ENOENT : err;
	for (int i = 0; i < (int)CHAIN_ABI_PORTS_MAX; i++)
		if (version->ports[i] != NULL && strcmp(version->ports[i], name) == 0)
			return i;
	/* The sides, whatever the ports there are called. */
	for (int i = 0; i < (int)EOS_ARRAY_SIZE(chain_sides); i++)
		if (strcmp(chain_sides[i], name) == 0)
			return i;
	return -ENOENT;
}

static uint32_t enter_port(struct fwp *fwp, uint32_t name, uint32_t len)
{
	fwp_host_enter(fwp);
	int result = call_port(fwp_context(fwp), name, len);
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint32_t enter_counters(struct fwp *fwp, uint32_t table, uint32_t count)
{
	uint32_t values = table + (uint32_t)offsetof(struct chain_abi_counter, value);
	fwp_host_enter(fwp);
	int result = chain_counters_register(fwp_context(fwp), table, count, values,
					     sizeof(struct chain_abi_counter));
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint32_t enter_counter_values(struct fwp *fwp, uint32_t table, uint32_t count,
				     uint32_t values)
{
	fwp_host_enter(fwp);
	int result =
		chain_counters_register(fwp_context(fwp), table, count, values, sizeof(uint64_t));
	fwp_host_leave(fwp);
	return result_of(result);
}

static int call_timer_set(struct chain_fwp *c, uint32_t id, uint64_t delay_ns)
{
	if (id >= CHAIN_ABI_TIMERS_MAX)
		return -EINVAL;
	if (c->stage->timer == NULL)
		return -EOPNOTSUPP;
	struct chain_stage *stage = c->is_init ? c->stage : NULL;
	if (stage == NULL) {
		chain_timer_set(c, id, delay_ns, eos_now_ns());
		return 0;
	}
	/* Each instance sets it anew. */
	uint32_t bit = UINT32_C(1) << id;
	stage->timers_set = delay_ns > 0 ? stage->timers_set | bit : stage->timers_set & ~bit;
	stage->timers_delay_ns[id] = delay_ns;
	return 0;
}

static uint32_t enter_timer_set(struct fwp *fwp, uint32_t id, uint64_t delay_ns)
{
	fwp_host_enter(fwp);
	int result = call_timer_set(fwp_context(fwp), id, delay_ns);
	fwp_host_leave(fwp);
	return result_of(result);
}

static uint64_t enter_now_ns(struct fwp *fwp)
{
	fwp_host_enter(fwp);
	uint64_t now_ns = eos_now_ns();
	fwp_host_leave(fwp);
	return now_ns;
}

void chain_log(struct chain_fwp *c, unsigned level, const char *text, size_t len)
{
	struct chain_template *template = c->chain->template;
	struct chains *chains = template->chains;
	struct chain_limiter *limiter = &template->logs;
	/* Whoever applies it hears why it fails. */
	if (c->is_init && level == 0)
		(void)snprintf(template->init_error, CHAIN_INIT_ERROR_SIZE, "%.*s",
			       (int)EOS_MIN(len, (size_t)CHAIN_INIT_ERROR_SIZE), text);
	if (chains->ops->log == NULL)
		return;
	if (!chain_limiter_allow(limiter, CHAIN_LOGS_PER_S, eos_now_ns()))
		return;
	if (limiter->refused > 0) {
		char note[64];
		int note_len = snprintf(note, sizeof(note), "%llu lines before this were too many",
					(unsigned long long)limiter->refused);
		limiter->refused = 0;
		chains->ops->log(chains->ctx, template, c->index, 1, note, (size_t)note_len);
	}
	chains->ops->log(chains->ctx, template, c->index, level, text, len);
}

static int call_log(struct chain_fwp *c, uint32_t level, uint32_t text, uint32_t len)
{
	if (level >= CHAIN_ABI_LOG_LEVELS)
		return -EINVAL;
	const uint8_t *bytes = chain_copy_look(c->fwp, text, len);
	if (bytes == NULL)
		return -EFAULT;
	chain_log(c, level, (const char *)bytes, EOS_MIN(len, CHAIN_ABI_LOG_MAX));
	return 0;
}

static uint32_t enter_log(struct fwp *fwp, uint32_t level, uint32_t text, uint32_t len)
{
	fwp_host_enter(fwp);
	int result = call_log(fwp_context(fwp), level, text, len);
	fwp_host_leave(fwp);
	return result_of(result);
}

const char *chain_setting(const struct chain_stage *stage, const char *key)
{
	for (size_t i = 0; i < stage->settings_count; i++)
		if (strcmp(stage->settings[i].key, key) == 0)
			return stage->settings[i].value;
	return NULL;
}

static int call_config(struct chain_fwp *c, uint32_t key, uint32_t key_len, uint32_t out,
		       uint32_t size)
{
	char name[CHAIN_ABI_NAME_MAX + 1];
	int err = get_name(c, key, key_len, name);
	if (err < 0)
		return err;
	if (chain_copy_look(c->fwp, out, size) == NULL)
		return -EFAULT;
	const char *value = chain_setting(c->stage, name);
	if (value == NULL)
		return -ENOENT;
	size_t len = strlen(value);
	err = chain_copy_to(c->fwp, out, value, (uint32_t)EOS_MIN(len, (size_t)size));
	return err < 0 ? err : (int)len;
}

static uint32_t enter_config(struct fwp *fwp, uint32_t key, uint32_t key_len, uint32_t out,
			     uint32_t size)
{
	fwp_host_enter(fwp);
	int result = call_config(fwp_context(fwp), key, key_len, out, size);
	fwp_host_leave(fwp);
	return result_of(result);
}

#define CALL(name, signature)                                                                      \
	{                                                                                          \
		CHAIN_ABI_MODULE, "edgeos_" #name, signature, (void (*)(void))enter_##name         \
	}
static const struct fwp_import calls[] = {
	CALL(packets, "i:i"),	     CALL(packet_send, "iiii:i"),
	CALL(stream_close, "i:i"),   CALL(port, "ii:i"),
	CALL(counters, "ii:i"),	     CALL(timer_set, "iI:i"),
	CALL(now_ns, ":I"),	     CALL(log, "iii:i"),
	CALL(config, "iiii:i"),	     CALL(stream_shut, "iii:i"),
	CALL(stream_info, "iiii:i"), CALL(packet_page, "i:i"),
	CALL(packet_state, "ii:i"),  CALL(counter_values, "iii:i"),
};

static struct fwp_import imports[EOS_ARRAY_SIZE(calls) + CHAIN_WASI_COUNT];

/* One table of both: before main(), so that any thread may ask. */
__attribute__((constructor)) static void join_imports(void)
{
	memcpy(imports, calls, sizeof(calls));
	memcpy(imports + EOS_ARRAY_SIZE(calls), chain_wasi_imports,
	       CHAIN_WASI_COUNT * sizeof(imports[0]));
}

const struct fwp_import *chain_imports(size_t *ret_count)
{
	*ret_count = EOS_ARRAY_SIZE(imports);
	return imports;
}
