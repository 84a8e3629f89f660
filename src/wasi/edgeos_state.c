/*
 * The life of a struct edgeos.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "wasi/edgeos_priv.h"
#include "wasi/wasi_priv.h"

static void on_wake(void *ctx, unsigned events)
{
	struct edgeos *edgeos = ctx;
	edgeos->config.ops->wake(edgeos->config.ctx);
}

static void on_fault(void *ctx, const struct mma_fault *fault)
{
	struct edgeos *edgeos = ctx;
	if (edgeos->config.ops->fault != NULL)
		edgeos->config.ops->fault(edgeos->config.ctx, fault);
}

static const struct mma_port_ops port_ops = {.wake = on_wake, .fault = on_fault};

int edgeos_new(const struct edgeos_config *config, struct edgeos **ret_edgeos)
{
	struct edgeos *edgeos = calloc(1, sizeof(*edgeos));
	if (edgeos == NULL)
		return -ENOMEM;
	edgeos->config = *config;
	if (edgeos->config.budget == 0)
		edgeos->config.budget = EDGEOS_BUDGET_DEFAULT;
	for (unsigned i = 0; i < EDGEOS_TIMERS_MAX; i++)
		edgeos->timers_due_ns[i] = UINT64_MAX;
	*ret_edgeos = edgeos;
	return 0;
}

struct edgeos *edgeos_free(struct edgeos *edgeos)
{
	if (edgeos == NULL)
		return NULL;
	mma_port_free(edgeos->port);
	for (unsigned i = 0; i < edgeos->connections_count; i++)
		free(edgeos->connections[i].name);
	free(edgeos);
	return NULL;
}

void wasi_set_edgeos(struct wasi *wasi, struct edgeos *edgeos)
{
	wasi->edgeos = edgeos;
}

struct edgeos *edgeos_of(struct fwp *fwp)
{
	const struct wasi *wasi = fwp_context(fwp);
	struct edgeos *edgeos = wasi->edgeos;
	return edgeos != NULL && edgeos->port != NULL ? edgeos : NULL;
}

static struct edgeos_handlers find_handlers(const struct fwp_image *image)
{
	void (*init)(void) = fwp_image_find_export(image, "edgeos_init", ":");
	void (*init_with_result)(void) = fwp_image_find_export(image, "edgeos_init", ":i");
	return (struct edgeos_handlers){
		.initialize = (void (*)(void *))fwp_image_find_export(image, "_initialize", ":"),
		.init = (void (*)(void *))init,
		.init_with_result = (uint32_t(*)(void *))init_with_result,
		.message = (void (*)(void *, uint32_t, uint32_t, uint32_t))fwp_image_find_export(
			image, "edgeos_message", "iii:"),
		.timer = (void (*)(void *, uint32_t))fwp_image_find_export(image, "edgeos_timer",
									   "i:"),
	};
}

int edgeos_bind(struct edgeos *edgeos, struct fwp *fwp, const struct fwp_image *image,
		struct eos_why *why)
{
	EOS_ASSERT(edgeos->port == NULL);
	const struct mma_port_config config = {
		.memory = {fwp_memory(fwp, 0, 0), &edgeos->memory_bytes},
		.ops = &port_ops,
		.ctx = edgeos,
		.handles_max = edgeos->config.handles_max,
	};
	int err = mma_port_new(edgeos->config.mma, &config, &edgeos->port, why);
	if (err < 0)
		return err;
	edgeos->handlers = find_handlers(image);
	return 0;
}

struct mma_port *edgeos_port(struct edgeos *edgeos)
{
	return edgeos->port;
}

bool edgeos_has_handlers(const struct edgeos *edgeos)
{
	return edgeos->handlers.message != NULL || edgeos->handlers.timer != NULL;
}

int edgeos_name_connection(struct edgeos *edgeos, const char *name, uint32_t handle)
{
	if (strlen(name) > EDGEOS_NAME_MAX)
		return -ENAMETOOLONG;
	for (unsigned i = 0; i < edgeos->connections_count; i++)
		if (strcmp(edgeos->connections[i].name, name) == 0)
			return -EEXIST;
	if (edgeos->connections_count == EDGEOS_CONNECTIONS_MAX)
		return -EMFILE;
	char *copy = strdup(name);
	if (copy == NULL)
		return -ENOMEM;
	edgeos->connections[edgeos->connections_count++] =
		(struct edgeos_connection){.name = copy, .handle = handle};
	return 0;
}

void edgeos_refresh(struct edgeos *edgeos, struct fwp *fwp)
{
	atomic_store_explicit(&edgeos->memory_bytes, fwp_memory_bytes(fwp), memory_order_release);
}

void edgeos_move(struct edgeos *edgeos)
{
	mma_kick(edgeos->port);
	if (!mma_has_thread(edgeos->config.mma))
		(void)mma_move(edgeos->config.mma, edgeos->config.budget);
}

int edgeos_wait_port(struct edgeos *edgeos, struct fwp *fwp, unsigned events, uint32_t received,
		     uint32_t completions, uint64_t until_ns)
{
	if (!mma_port_prepare_wait(edgeos->port, events, received, completions))
		return 0;
	uint64_t deadline_ns = fwp_deadline_ns(fwp);
	edgeos->config.ops->wait(edgeos->config.ctx, fwp, EOS_MIN(until_ns, deadline_ns));
	return eos_now_ns() >= deadline_ns ? -EINTR : 0;
}

void edgeos_stop(struct edgeos *edgeos)
{
	atomic_store_explicit(&edgeos->must_stop, true, memory_order_release);
}
