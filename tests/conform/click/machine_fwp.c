/*
 * The configuration in a chain of one stage.
 *
 * The module is click-any.wasm, which lies beside this program: all that `edgeos build` links, all
 * classes, and the configuration as a setting (any_config.c). With CLICK_EACH in the environment,
 * or if the text has a NUL, it is the one that `edgeos build` makes of this configuration, which
 * takes seconds to compile.
 *
 * The host's clock, in the place of which the linker puts __wrap_eos_now_ns(), is the packets': it
 * stands still while a guest runs, so that what comes out does not depend on the machine. It counts
 * from EPOCH_NS, which is ahead of the kernel's clock, by whose timers the engine takes the
 * processor from guests: they do not come; an endless loop is for who started this program.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aot/aot.h"
#include "aot/aot_user.h"
#include "base/file.h"
#include "base/log.h"
#include "chain/chain.h"
#include "click/click_build.h"
#include "machine.h"

/* A multiple of what clocks are divided by, so that times within it are those of the packets. */
#define ROUND_NS UINT64_C(1000000000000)

static const struct machine_owner *owner;
static struct fwp_engine *engine;
static struct fwp_image *image;
static struct chains *chains;
static struct chain_template *template;
static uint64_t epoch_ns;    /* the host's clock at the packets' time 0 */
static uint64_t time_ns;     /* the packets' */
static uint64_t deadline_ns; /* of the host's clock */

uint64_t __real_eos_now_ns(void);
uint64_t __wrap_eos_now_ns(void);
uint64_t __wrap_eos_wall_ns(void);

uint64_t __wrap_eos_now_ns(void)
{
	if (epoch_ns == 0)
		epoch_ns = (__real_eos_now_ns() / ROUND_NS + 2) * ROUND_NS;
	return epoch_ns + time_ns;
}

uint64_t __wrap_eos_wall_ns(void)
{
	return time_ns;
}

static int on_send(void *ctx, const struct chain_output *output)
{
	owner->send(output->port, output->data, output->len);
	return 0;
}

static int on_close(void *ctx, const struct chain_output *output)
{
	return 0;
}

static void on_log(void *ctx, const struct chain_template *from, unsigned stage, unsigned level,
		   const char *text, size_t len)
{
	owner->print(text, (uint32_t)len);
}

static void on_died(void *ctx, const struct chain_template *of, uint64_t chain, unsigned stage,
		    const struct fwp_death *death, const char *place)
{
	fprintf(stderr, "the packet function died: %s (%s)\n", death->text,
		place != NULL ? place : "");
	exit(3);
}

static const struct chains_ops ops = {
	.send = on_send, .close = on_close, .log = on_log, .died = on_died};

#define MODULE_MAX (16u << 20)

/* The module for all configurations. */
static int read_any(struct eos_buf *module, struct eos_why *why)
{
	char dir[3000], path[4096];
	int err = eos_program_dir(dir, sizeof(dir));
	if (err < 0)
		return eos_why(why, err, "cannot find this program's directory");
	(void)snprintf(path, sizeof(path), "%s/click-any.wasm", dir);
	err = eos_read_file(AT_FDCWD, path, MODULE_MAX, module);
	return err < 0 ? eos_why(why, err, "%s: %s", path, strerror(-err)) : 0;
}

static const char *bytes_of(const struct eos_buf *text)
{
	return text->len > 0 ? text->data : "";
}

static bool is_each(const struct eos_buf *text)
{
	return getenv("CLICK_EACH") != NULL || memchr(bytes_of(text), 0, text->len) != NULL;
}

static int compile(const char *name, const struct eos_buf *text, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0}, errors = {0};
	struct aot_user user;
	struct image *file = NULL;
	size_t imports_count;
	int err = aot_user_open(&user, why);
	if (err < 0)
		return err;
	if (is_each(text))
		err = click_build(name, bytes_of(text), text->len, user.work_dir.data, &module,
				  &errors, why);
	else
		err = read_any(&module, why);
	const struct aot_config config = {.cache_dir_fd = user.cache_dir_fd,
					  .work_dir = user.work_dir.data,
					  .key = &user.key};
	if (err == 0)
		err = aot_build(&config, "click", module.data, module.len, &file, why);
	const struct fwp_import *imports = chain_imports(&imports_count);
	if (err == 0)
		err = fwp_image_load(file, imports, imports_count, &image, why);
	image_close(file);
	aot_user_close(&user);
	return err;
}

static int start(const char *name, const struct eos_buf *text, struct eos_why *why)
{
	const struct fwp_engine_config engine_config = {.fwps_max = 16};
	int err = fwp_engine_new(&engine_config, &engine, why);
	if (err < 0)
		return err;
	const struct chains_config config = {.engine = engine, .ops = &ops, .chains_max = 4};
	err = chains_new(&config, &chains, why);
	if (err < 0)
		return err;
	const struct chain_setting settings[] = {{"name", name}, {"click", bytes_of(text)}};
	const struct chain_stage_config stage = {
		.name = "click",
		.image = image,
		.settings = settings,
		.settings_count = is_each(text) ? 0 : 2,
		.limits = {.memory_bytes = 16u << 20, .stack_bytes = 64u << 10},
	};
	struct chain_config chain = {
		.name = "chain",
		.tenant = "test",
		.isolation = CHAIN_PER_TENANT,
		.timeout_ns = UINT64_C(10000000000),
		.ports = {"client", "out"},
		.stages = &stage,
		.stages_count = 1,
	};
	static char names[CHAIN_NEXT_MAX][16];
	for (unsigned i = 0; i < CHAIN_NEXT_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "port%u", i + 2);
		chain.ports[i + 2] = names[i];
	}
	return chain_template_apply(chains, &chain, &template, why);
}

int machine_open(const char *name, const struct eos_buf *text,
		 const struct machine_owner *for_owner)
{
	struct eos_why why = {""};
	eos_log_set_level(EOS_LOG_ERROR);
	owner = for_owner;
	int err = compile(name, text, &why);
	if (err == 0)
		err = start(name, text, &why);
	if (err < 0)
		fprintf(stderr, "%s\n", why.text);
	deadline_ns = UINT64_MAX;
	return err;
}

void machine_close(void)
{
	chains = chains_free(chains);
	engine = fwp_engine_free(engine);
	image = fwp_image_unref(image);
}

void machine_set_time(uint64_t now_ns)
{
	time_ns = now_ns;
}

void machine_receive(unsigned device, const uint8_t *data, uint32_t len)
{
	const struct chain_packet packet = {
		.data = data,
		.len = len,
		.kind = CHAIN_FRAME,
		.side = device == 0 ? CHAIN_CLIENT : CHAIN_OUT,
		.template = template,
	};
	uint64_t now_ns = __wrap_eos_now_ns();
	chains_deliver(chains, &packet, 1, now_ns);
	/* There may be timers now; packets of the same time come before them. */
	deadline_ns = now_ns;
}

uint64_t machine_deadline(void)
{
	return deadline_ns == UINT64_MAX ? UINT64_MAX : deadline_ns - epoch_ns;
}

void machine_run(void)
{
	uint64_t now_ns = __wrap_eos_now_ns();
	deadline_ns = chains_work(chains, now_ns);
	/* Work that chains have put off. */
	if (deadline_ns <= now_ns)
		deadline_ns = now_ns + 1;
}
