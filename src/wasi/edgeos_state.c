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
	return (struct edgeos_handlers){
		.initialize = (void (*)(void *))fwp_image_find_export(image, "_initialize", ":"),
		.init = (void (*)(void *))fwp_image_find_export(image, "edgeos_init", ":"),
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
	const struct fwp_memory_view view = fwp_memory_view(fwp);
	const struct mma_port_config config = {
		.memory = {view.base, view.bytes},
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

void edgeos_timer_start(struct edgeos *edgeos, uint32_t id, uint64_t delay_ns)
{
	uint64_t due_ns = UINT64_MAX;
	if (delay_ns > 0 && __builtin_add_overflow(eos_now_ns(), delay_ns, &due_ns))
		due_ns = UINT64_MAX - 1;
	edgeos->timers_due_ns[id] = due_ns;
	edgeos->timers_delay_ns[id] = delay_ns;
}

void edgeos_save(const struct edgeos *edgeos, struct edgeos_saved *ret_saved)
{
	*ret_saved = (struct edgeos_saved){.taken = edgeos->taken};
	mma_port_rings(edgeos->port, &ret_saved->rings);
	for (unsigned i = 0; i < EDGEOS_TIMERS_MAX; i++)
		if (edgeos->timers_due_ns[i] != UINT64_MAX)
			ret_saved->timers_delay_ns[i] = edgeos->timers_delay_ns[i];
}

int edgeos_restore(struct edgeos *edgeos, const struct edgeos_saved *saved)
{
	int err = mma_port_attach_rings(edgeos->port, &saved->rings);
	if (err < 0)
		return err;
	edgeos->taken = saved->taken;
	for (uint32_t i = 0; i < EDGEOS_TIMERS_MAX; i++)
		edgeos_timer_start(edgeos, i, saved->timers_delay_ns[i]);
	edgeos->is_initialised = true;
	return 0;
}

void edgeos_move(struct edgeos *edgeos)
{
	if (mma_has_thread(edgeos->config.mma))
		mma_kick(edgeos->port);
	else
		(void)mma_move_port(edgeos->port, edgeos->config.budget);
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
